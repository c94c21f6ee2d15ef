//! The journal: what was accepted and what was decided, durable before anything follows from it.
//!
//! One SQLite file a store. Observations and decisions lie in tables of their own: the store's state is a fold over
//! the decisions, and observations are what a decision can be explained by. Nothing is ever edited.
//!
//! A batch is one transaction, so one sync makes many outputs durable (group commit), and either all of a batch is
//! there after a crash or none of it. The file is locked for as long as a [`Journal`] is open: two coordinators on
//! one journal would sell the same goods twice.

mod error;
mod read;
mod sequences;
mod sql;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::checkout::Decision;
use crate::checkout::session::Role;
use crate::coordinator::Output;
use crate::edge::sqlite;
use crate::observation::{DeviceId, OutboxId, Stamp, Stamped};
use crate::store::{Definition, NodeName};

pub use error::JournalError;
pub use read::{Contents, Device, Observations, Recorded};
use sequences::Sequences;

/// What made a decision: every decision names one such combination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Version of this program.
    pub code: String,
    /// [`Definition::hash`]: configuration, catalogue and planogram.
    pub definition: String,
    /// Version of the learnt models.
    pub model: String,
}

impl Versions {
    /// This program with that definition.
    pub fn of(definition: &Definition) -> Self {
        Versions {
            code: env!("CARGO_PKG_VERSION").to_owned(),
            definition: definition.hash.clone(),
            // Nothing in this build was learnt from data.
            model: "none".to_owned(),
        }
    }
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: Connection,
    versions: Versions,
    /// The row of `versions`, once a decision has named it.
    versions_id: Option<i64>,
    /// The committed sequences of every outbox. It grows with the outboxes, not with what they send.
    known: HashMap<NodeName, HashMap<OutboxId, Sequences>>,
    /// A write has failed: what the disk holds is not certain any more, so nothing more is written.
    failed: bool,
}

impl Journal {
    /// Opens the journal of that store, made first if there is no such file.
    ///
    /// Errors: another process has it open; it is no journal, a damaged one, a newer stroll's, or another store's.
    pub fn open(path: &Path, definition: &Definition) -> Result<Journal, JournalError> {
        let connection = sql::FORMAT.open(path, |new| {
            new.execute(
                sql::INSERT_META,
                params![definition.id, definition.currency.as_str()],
            )
            .map(drop)
        })?;
        let mut journal = Journal {
            path: path.to_owned(),
            connection,
            versions: Versions::of(definition),
            versions_id: None,
            known: HashMap::new(),
            failed: false,
        };
        journal.check_store(definition)?;
        journal.versions_id = journal.find_versions()?;
        journal.known = journal.load_known()?;
        Ok(journal)
    }

    /// Makes the observations and decisions of a batch durable, all or none, with one sync; effects in it are
    /// passed over. A batch without either costs nothing.
    ///
    /// Errors: a stamp that is committed already (the caller's bug: nothing may count twice), or a failing disk;
    /// after the latter the journal takes nothing more until it is opened again.
    pub fn commit(&mut self, batch: &[Output]) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Stopped {
                path: self.path.clone(),
            });
        }
        let entries: Vec<Entry<'_>> = batch.iter().filter_map(Entry::of).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let fresh = self.stage(&entries)?;
        match self.write(&entries, &fresh) {
            Ok(versions_id) => {
                self.versions_id = versions_id;
                for ((node, outbox), sequences) in fresh {
                    let outboxes = self.known.entry(node.clone()).or_default();
                    outboxes.insert(outbox.clone(), sequences);
                }
                Ok(())
            }
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    /// Whether an observation, or an undecodable message, of that stamp has been committed.
    pub fn knows(&self, stamp: &Stamp) -> bool {
        self.sequences(&stamp.node, &stamp.outbox)
            .is_some_and(|sequences| sequences.contains(stamp.sequence))
    }

    /// The last sequence of the outbox up to which all are committed; 0 if the first is missing.
    pub fn committed_up_to(&self, node: &NodeName, outbox: &OutboxId) -> u64 {
        self.sequences(node, outbox)
            .map_or(0, Sequences::contiguous)
    }

    /// Keeps a phone's key and its owner's role. `false` if that very key has been revoked: it stays so, and only a new key admits the
    /// phone again.
    pub fn enrol_device(
        &mut self,
        device: &DeviceId,
        key: &[u8],
        role: Role,
    ) -> Result<bool, JournalError> {
        let enrol = || -> rusqlite::Result<bool> {
            self.connection
                .prepare_cached(sql::UPSERT_DEVICE)?
                .execute(params![device.as_str(), key, role_text(role)])?;
            let mut select = self.connection.prepare_cached(sql::SELECT_REVOKED)?;
            select.query_row([device.as_str()], |row| Ok(!row.get::<_, bool>(0)?))
        };
        enrol().map_err(|source| self.error(format!("enrolling device {device}"), source))
    }

    /// Revokes a phone's key; `false` if there is none to revoke.
    pub fn revoke_device(&mut self, device: &DeviceId) -> Result<bool, JournalError> {
        let revoke = || -> rusqlite::Result<usize> {
            self.connection
                .prepare_cached(sql::REVOKE_DEVICE)?
                .execute([device.as_str()])
        };
        revoke()
            .map(|changed| changed > 0)
            .map_err(|source| self.error(format!("revoking device {device}"), source))
    }

    /// Closes the journal as one file that can be copied. Dropping it instead leaves the write-ahead log beside the
    /// file, as a crash does: nothing is lost, and the two belong together.
    pub fn close(self) -> Result<(), JournalError> {
        let Journal {
            path, connection, ..
        } = self;
        sqlite::close(connection)
            .map_err(|source| sql::FORMAT.error(&path, "closing it", source).into())
    }

    fn error(&self, doing: impl Into<String>, source: rusqlite::Error) -> JournalError {
        sql::FORMAT.error(&self.path, doing, source).into()
    }

    fn sequences(&self, node: &NodeName, outbox: &OutboxId) -> Option<&Sequences> {
        self.known.get(node)?.get(outbox)
    }

    /// The outboxes that a batch touches as they will be; an error if it holds a stamp that is known.
    fn stage<'e>(&self, entries: &[Entry<'e>]) -> Result<Staged<'e>, JournalError> {
        let mut staged = Staged::new();
        for stamp in entries.iter().filter_map(Entry::stamp) {
            let sequences = staged
                .entry((&stamp.node, &stamp.outbox))
                .or_insert_with(|| {
                    self.sequences(&stamp.node, &stamp.outbox)
                        .cloned()
                        .unwrap_or_default()
                });
            if !sequences.insert(stamp.sequence) {
                return Err(JournalError::AlreadyCommitted {
                    path: self.path.clone(),
                    stamp: stamp.clone(),
                });
            }
        }
        Ok(staged)
    }

    /// Writes a batch as one transaction and gives the row of `versions` that its decisions name.
    fn write(
        &mut self,
        entries: &[Entry<'_>],
        staged: &Staged<'_>,
    ) -> Result<Option<i64>, JournalError> {
        let mut versions_id = self.versions_id;
        let path = &self.path;
        let failed = |doing: &str, source| sql::FORMAT.error(path, doing, source);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|source| failed("beginning a commit", source))?;
        for entry in entries {
            match entry {
                Entry::Observation(stamped) => {
                    write_observation(&transaction, stamped).map_err(|source| {
                        failed(&format!("writing observation {}", stamped.stamp), source)
                    })?
                }
                Entry::Decision(decision) => {
                    write_decision(&transaction, decision, &self.versions, &mut versions_id)
                        .map_err(|source| failed("writing a decision", source))?;
                }
            }
        }
        for ((node, outbox), sequences) in staged {
            write_outbox(&transaction, node, outbox, sequences)
                .map_err(|source| failed("writing table outbox", source))?;
        }
        transaction
            .commit()
            .map_err(|source| failed("committing", source))?;
        Ok(versions_id)
    }

    fn check_store(&self, definition: &Definition) -> Result<(), JournalError> {
        let (store, currency): (String, String) = self
            .connection
            .query_row(sql::SELECT_META, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|source| self.error("reading table meta", source))?;
        if store != definition.id {
            return Err(JournalError::OtherStore {
                path: self.path.clone(),
                found: store,
                asked: definition.id.clone(),
            });
        }
        if currency != definition.currency.as_str() {
            return Err(JournalError::OtherCurrency {
                path: self.path.clone(),
                found: currency,
                asked: definition.currency,
            });
        }
        Ok(())
    }

    fn find_versions(&self) -> Result<Option<i64>, JournalError> {
        let Versions {
            code,
            definition,
            model,
        } = &self.versions;
        self.connection
            .query_row(sql::SELECT_VERSIONS, [code, definition, model], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|source| self.error("reading table versions", source))
    }
}

/// The outboxes that a batch touches, with the sequences that will be committed.
type Staged<'e> = BTreeMap<(&'e NodeName, &'e OutboxId), Sequences>;

/// What of an output goes into the journal.
enum Entry<'a> {
    Observation(&'a Stamped),
    Decision(&'a Decision),
}

impl<'a> Entry<'a> {
    fn of(output: &'a Output) -> Option<Self> {
        match output {
            Output::Accept(stamped) => Some(Entry::Observation(stamped)),
            Output::Decide(decision) => Some(Entry::Decision(decision)),
            Output::Effect(_) => None,
        }
    }

    /// The stamp that is known once this is committed.
    fn stamp(&self) -> Option<&'a Stamp> {
        match self {
            Entry::Observation(stamped) => Some(&stamped.stamp),
            Entry::Decision(decision) => quarantined(decision),
        }
    }
}

/// The stamp of the undecodable message that a decision puts away.
fn quarantined(decision: &Decision) -> Option<&Stamp> {
    match decision {
        Decision::Quarantined { stamp, .. } => Some(stamp),
        Decision::SessionOpened { .. }
        | Decision::EntryRefused { .. }
        | Decision::TrackBound { .. }
        | Decision::Attributed(_)
        | Decision::Revised(_)
        | Decision::ReviewClosed { .. }
        | Decision::SessionExited { .. }
        | Decision::CartDrafted { .. }
        | Decision::CartDetermined { .. }
        | Decision::LinesDropped { .. }
        | Decision::Settled { .. }
        | Decision::PaymentRequested { .. }
        | Decision::PaymentDecided { .. }
        | Decision::ReceiptIssued { .. }
        | Decision::NodeSilent { .. }
        | Decision::NodeBack { .. }
        | Decision::Gap { .. }
        | Decision::FrontierAdvanced { .. } => None,
    }
}

/// How table device spells a role.
fn role_text(role: Role) -> &'static str {
    match role {
        Role::Shopper => "shopper",
        Role::Staff => "staff",
    }
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn write_observation(transaction: &Transaction<'_>, stamped: &Stamped) -> rusqlite::Result<()> {
    let Stamped {
        stamp, observation, ..
    } = stamped;
    transaction
        .prepare_cached(sql::INSERT_OBSERVATION)?
        .execute(params![
            stamp.node.as_str(),
            stamp.outbox.as_str(),
            stamp.sequence.cast_signed(),
            observation.start().0,
            observation.end().0,
            json(stamped)?,
        ])
        .map(drop)
}

fn write_decision(
    transaction: &Transaction<'_>,
    decision: &Decision,
    versions: &Versions,
    versions_id: &mut Option<i64>,
) -> rusqlite::Result<()> {
    let versions_id = match *versions_id {
        Some(id) => id,
        None => {
            let Versions {
                code,
                definition,
                model,
            } = versions;
            transaction.execute(sql::INSERT_VERSIONS, [code, definition, model])?;
            *versions_id.insert(transaction.last_insert_rowid())
        }
    };
    transaction
        .prepare_cached(sql::INSERT_DECISION)?
        .execute(params![versions_id, json(decision)?])?;
    if let Some(stamp) = quarantined(decision) {
        let sequence = transaction.last_insert_rowid();
        transaction
            .prepare_cached(sql::INSERT_QUARANTINED)?
            .execute(params![
                stamp.node.as_str(),
                stamp.outbox.as_str(),
                stamp.sequence.cast_signed(),
                sequence
            ])?;
    }
    Ok(())
}

fn write_outbox(
    transaction: &Transaction<'_>,
    node: &NodeName,
    outbox: &OutboxId,
    sequences: &Sequences,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(sql::UPSERT_OUTBOX)?
        .execute(params![
            node.as_str(),
            outbox.as_str(),
            sequences.contiguous().cast_signed()
        ])
        .map(drop)
}
