//! The journal: what was accepted and what was decided, durable before anything follows from it.
//!
//! One SQLite file a store. Observations and decisions lie in tables of their own: the store's state is a fold over
//! the decisions, and observations are what a decision can be explained by. Nothing is ever edited: [`chain`] makes a
//! change show, and [`Archive`] looks for one.
//!
//! A batch is one transaction, so one sync makes many outputs durable (group commit), and either all of a batch is
//! there after a crash or none of it. Only one [`Journal`] is open on a file at a time, for two coordinators on one
//! journal would sell the same goods twice; an [`Archive`] reads it meanwhile, and copies it.

pub mod archive;
pub mod chain;
mod copies;
mod error;
mod read;
mod sequences;
mod snapshot;
mod sql;
#[cfg(test)]
mod tests;
mod verify;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use crate::checkout::session::Role;
use crate::coordinator::Output;
use crate::edge::sqlite::{self, WriterLock};
use crate::observation::{DeviceId, OutboxId, Stamp};
use crate::store::{Definition, NodeName};

pub use archive::Archive;
pub use chain::{Hash, Head};
pub use copies::{Replaced, Restoring};
pub use error::JournalError;
pub use read::{Contents, Device, Observations, Recorded};
use sequences::Sequences;
pub use snapshot::{Kept, SNAPSHOT_EVERY};
pub use verify::{Checked, Flaw};
use write::{Entry, Staged, Written};

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
    /// `None` for a journal in memory, that no other process can reach.
    _lock: Option<WriterLock>,
    versions: Versions,
    /// The row of `versions`, once a decision has named it.
    versions_id: Option<i64>,
    head: Head,
    /// The entry at which the last snapshot was kept, as far as is known.
    kept_at: u64,
    /// Changes on the shelves that were attributed since.
    changes_since: u64,
    snapshot_every: u64,
    /// The committed sequences of every outbox. It grows with the outboxes, not with what they send.
    known: HashMap<NodeName, HashMap<OutboxId, Sequences>>,
    /// A write has failed: what the disk holds is not certain any more, so nothing more is written.
    failed: bool,
}

fn insert_meta(new: &Connection, definition: &Definition) -> rusqlite::Result<()> {
    new.execute(
        sql::INSERT_META,
        params![definition.id, definition.currency.as_str()],
    )
    .map(drop)
}

impl Journal {
    /// Opens the journal of that store, made first if there is no such file.
    ///
    /// Errors: another process has it open; it is no journal, a damaged one, a newer stroll's, or another store's.
    pub fn open(path: &Path, definition: &Definition) -> Result<Journal, JournalError> {
        let lock = WriterLock::take(path, sql::FORMAT.what)?;
        let connection = sql::FORMAT.open(path, |new| insert_meta(new, definition))?;
        Journal::over(path, connection, Some(lock), definition)
    }

    /// A journal that goes when it is dropped: for what is played once and never taken up again.
    ///
    /// Errors: memory that can't be had.
    pub fn in_memory(definition: &Definition) -> Result<Journal, JournalError> {
        let path = Path::new(":memory:");
        let connection = sql::FORMAT.open_in_memory()?;
        insert_meta(&connection, definition)
            .map_err(|source| sql::FORMAT.error(path, "naming its store", source))?;
        Journal::over(path, connection, None, definition)
    }

    fn over(
        path: &Path,
        connection: Connection,
        lock: Option<WriterLock>,
        definition: &Definition,
    ) -> Result<Journal, JournalError> {
        check_store(path, &connection, definition)?;
        let head = Head::load(&connection)
            .map_err(|source| sql::FORMAT.error(path, "reading table chain", source))?;
        let mut journal = Journal {
            path: path.to_owned(),
            connection,
            _lock: lock,
            versions: Versions::of(definition),
            versions_id: None,
            head,
            kept_at: 0,
            changes_since: 0,
            snapshot_every: SNAPSHOT_EVERY,
            known: HashMap::new(),
            failed: false,
        };
        journal.versions_id = journal.find_versions()?;
        journal.known = journal.load_known()?;
        Ok(journal)
    }

    /// Makes the observations and decisions of a batch durable, all or none, with one sync; effects in it are
    /// passed over. A batch without either costs nothing.
    ///
    /// Errors: a stamp that is committed already (the caller's bug: nothing may count twice); a full disk, after which
    /// the same batch can be tried again ([`JournalError::is_full`]); or a failing disk, after which the journal takes
    /// nothing more until it is opened again.
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
            Ok(Written { versions_id, head }) => {
                self.versions_id = versions_id;
                self.head = head;
                self.count_changes(entries.iter().filter_map(Entry::decision));
                for ((node, outbox), sequences) in fresh {
                    let outboxes = self.known.entry(node.clone()).or_default();
                    outboxes.insert(outbox.clone(), sequences);
                }
                Ok(())
            }
            Err(error) => {
                self.failed = !(error.is_full() && self.is_as_before());
                Err(error)
            }
        }
    }

    /// Whether a commit that failed has left nothing behind.
    fn is_as_before(&self) -> bool {
        self.connection.is_autocommit()
            && Head::load(&self.connection).is_ok_and(|head| head == self.head)
    }

    /// How long the journal is, and the hash of its last entry.
    pub fn head(&self) -> Head {
        self.head
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
        // The lock is let go when everything else is done.
        let Journal {
            path,
            connection,
            _lock,
            ..
        } = self;
        let closed = sqlite::close(connection)
            .map_err(|source| JournalError::from(sql::FORMAT.error(&path, "closing it", source)));
        match closed {
            // Everything is durable, and the log stays beside the file.
            Err(error) if error.is_full() => {
                tracing::warn!("{error}");
                Ok(())
            }
            closed => closed,
        }
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

/// A journal is one store's, in one currency.
fn check_store(
    path: &Path,
    connection: &Connection,
    definition: &Definition,
) -> Result<(), JournalError> {
    let (store, currency): (String, String) = connection
        .query_row(sql::SELECT_META, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|source| sql::FORMAT.error(path, "reading table meta", source))?;
    if store != definition.id {
        return Err(JournalError::OtherStore {
            path: path.to_owned(),
            found: store,
            asked: definition.id.clone(),
        });
    }
    if currency != definition.currency.as_str() {
        return Err(JournalError::OtherCurrency {
            path: path.to_owned(),
            found: currency,
            asked: definition.currency,
        });
    }
    Ok(())
}

/// How table device spells a role.
fn role_text(role: Role) -> &'static str {
    match role {
        Role::Shopper => "shopper",
        Role::Staff => "staff",
    }
}
