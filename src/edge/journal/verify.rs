//! Looks for what was changed in a journal after it was written.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use rusqlite::{OptionalExtension, params};

use super::archive::{RawEntry, RawRow};
use super::chain::{Hash, Head, RowOf, beginning, link};
use super::sequences::Sequences;
use super::write::quarantined;
use super::{Archive, JournalError, sql};
use crate::checkout::Decision;
use crate::units::Timestamp;

/// A journal in which nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    pub store: String,
    pub head: Head,
    pub observations: u64,
    pub decisions: u64,
}

/// Why an entry is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The chain goes on after it.
    Missing,
    /// Another row of its table should have come first, or it stands for no row.
    OutOfOrder {
        found: Option<RowOf>,
        expected: Option<RowOf>,
    },
    /// The chain has it, and its table doesn't.
    Erased(RowOf),
    /// It says something else now.
    Changed {
        row: RowOf,
        chained: Option<Hash>,
        found: Hash,
    },
    /// Its hash does not follow from the one before and its content.
    Unlinked(RowOf),
    /// A row of a table that is in no entry.
    Unchained(RowOf),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Missing => write!(f, "it is missing, and the chain goes on after it"),
            Flaw::OutOfOrder {
                found: Some(found),
                expected: Some(expected),
            } => write!(
                f,
                "it is {found} where {expected} was written: entries were moved or deleted"
            ),
            Flaw::OutOfOrder { .. } => write!(f, "it stands for no row of a table"),
            Flaw::Erased(row) => write!(f, "{row} is not there any more"),
            Flaw::Changed {
                row,
                chained: Some(chained),
                found,
            } => write!(
                f,
                "{row} was changed: it hashes to {}, and hashed to {} when it was written",
                found.short(),
                chained.short()
            ),
            Flaw::Changed { row, .. } => write!(f, "the hash of {row} is no hash"),
            Flaw::Unlinked(row) => write!(
                f,
                "its hash does not follow from the one before it and from {row}"
            ),
            Flaw::Unchained(row) => write!(
                f,
                "{row} is in no entry: it was added, or the chain was cut off there"
            ),
        }
    }
}

impl Archive {
    /// Looks at every entry: that none was changed, deleted, added or moved since it was written, and that the tables
    /// which follow from them do. `expected` is a head that the journal once had: with it, a journal that was cut off
    /// or rewritten since is found, too.
    ///
    /// Errors: the first entry that is not what was written, [`JournalError::Broken`]; or what else is wrong.
    pub fn verify(&self, expected: Option<&Head>) -> Result<Checked, JournalError> {
        let (store, currency) = self.store()?;
        let mut walk = Walk {
            archive: self,
            head: Head {
                entries: 0,
                hash: beginning(&store, &currency),
            },
            observations: 0,
            decisions: 0,
            known: HashMap::new(),
            quarantined: BTreeSet::new(),
            expected,
        };
        walk.compare_expected()?;
        self.raw_entries(0, &mut |raw| walk.step(&raw))?;
        walk.end()?;
        self.verify_snapshot()?;
        let sound: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|source| self.error("checking its pages", source))?;
        if sound != "ok" {
            let what: Vec<&str> = sound.lines().collect();
            return Err(self.table("file", what.join(" ")));
        }
        Ok(Checked {
            store,
            head: walk.head,
            observations: walk.observations,
            decisions: walk.decisions,
        })
    }

    /// The hash that an entry has; `None` if there is no such entry.
    pub(super) fn hash_of(&self, entry: u64) -> Result<Option<Hash>, JournalError> {
        if entry == 0 {
            let (store, currency) = self.store()?;
            return Ok(Some(beginning(&store, &currency)));
        }
        let bytes: Option<Vec<u8>> = self
            .connection
            .query_row(sql::SELECT_HASH, [entry.cast_signed()], |row| row.get(0))
            .optional()
            .map_err(|source| self.error("reading table chain", source))?;
        Ok(bytes.and_then(|bytes| Hash::of_bytes(&bytes)))
    }

    fn table(&self, table: &'static str, why: String) -> JournalError {
        JournalError::Table {
            path: self.path.clone(),
            table,
            why,
        }
    }
}

/// What was seen up to an entry.
struct Walk<'a> {
    archive: &'a Archive,
    head: Head,
    observations: u64,
    decisions: u64,
    known: HashMap<String, HashMap<String, Sequences>>,
    /// Node, outbox, sequence as it is kept, and the decision that put it away.
    quarantined: BTreeSet<(String, String, i64, i64)>,
    expected: Option<&'a Head>,
}

impl Walk<'_> {
    fn step(&mut self, raw: &RawEntry<'_>) -> Result<(), JournalError> {
        let entry = self.head.entries + 1;
        if raw.entry != entry {
            return Err(self.broken(entry, None, Flaw::Missing));
        }
        let expected = raw.row.map(|row| match row {
            RowOf::Observation(_) => RowOf::Observation(self.observations.cast_signed() + 1),
            RowOf::Decision(_) => RowOf::Decision(self.decisions.cast_signed() + 1),
        });
        let at = raw.of.as_ref().and_then(time_of);
        let (Some(row), true) = (raw.row, raw.row == expected) else {
            let found = raw.row;
            return Err(self.broken(entry, at, Flaw::OutOfOrder { found, expected }));
        };
        let Some(of) = &raw.of else {
            return Err(self.broken(entry, at, Flaw::Erased(row)));
        };
        let content = of.content();
        if raw.content != Some(content) {
            let flaw = Flaw::Changed {
                row,
                chained: raw.content,
                found: content,
            };
            return Err(self.broken(entry, at, flaw));
        }
        let hash = link(self.head.hash, content);
        if raw.hash != Some(hash) {
            return Err(self.broken(entry, at, Flaw::Unlinked(row)));
        }
        self.head = Head {
            entries: entry,
            hash,
        };
        self.note(of, row)?;
        self.compare_expected()
    }

    /// Counts an entry, and its stamp if it has one.
    fn note(&mut self, of: &RawRow<'_>, row: RowOf) -> Result<(), JournalError> {
        match of {
            RawRow::Observation(o) => {
                self.observations += 1;
                self.know(o.node, o.outbox, o.sequence.cast_unsigned());
            }
            RawRow::Decision(d) => {
                self.decisions += 1;
                let decision: Decision =
                    serde_json::from_str(d.event).map_err(|e| JournalError::Row {
                        path: self.archive.path.clone(),
                        table: "decision",
                        row: self.decisions.cast_signed(),
                        why: format!("its event cannot be read: {e}"),
                    })?;
                if let (Some(stamp), RowOf::Decision(row)) = (quarantined(&decision), row) {
                    self.know(stamp.node.as_str(), stamp.outbox.as_str(), stamp.sequence);
                    self.quarantined.insert((
                        stamp.node.to_string(),
                        stamp.outbox.to_string(),
                        stamp.sequence.cast_signed(),
                        row,
                    ));
                }
            }
        }
        Ok(())
    }

    fn know(&mut self, node: &str, outbox: &str, sequence: u64) {
        if !self.known.contains_key(node) {
            self.known.insert(node.to_owned(), HashMap::new());
        }
        let Some(outboxes) = self.known.get_mut(node) else {
            return;
        };
        match outboxes.get_mut(outbox) {
            Some(sequences) => {
                sequences.insert(sequence);
            }
            None => {
                let mut sequences = Sequences::default();
                sequences.insert(sequence);
                outboxes.insert(outbox.to_owned(), sequences);
            }
        }
    }

    /// After the last entry: nothing is left over, and what follows from the entries does.
    fn end(&self) -> Result<(), JournalError> {
        let archive = self.archive;
        let beyond = |query, seen: u64| {
            let first = archive
                .connection
                .query_row(query, [seen.cast_signed()], |row| row.get::<_, i64>(0));
            (first.optional())
                .map_err(|source| archive.error("reading what is in no entry", source))
        };
        let observation = beyond(sql::SELECT_OBSERVATION_BEYOND, self.observations)?;
        let decision = beyond(sql::SELECT_DECISION_BEYOND, self.decisions)?;
        let further = (observation.map(RowOf::Observation)).or(decision.map(RowOf::Decision));
        if let Some(row) = further {
            return Err(self.broken(self.head.entries + 1, None, Flaw::Unchained(row)));
        }
        if let Some(expected) = self.expected
            && expected.entries > self.head.entries
        {
            return Err(JournalError::CutOff {
                path: archive.path.clone(),
                entries: self.head.entries,
                expected: expected.entries,
            });
        }
        self.compare_outboxes()?;
        self.compare_quarantine()
    }

    /// A node sends nothing again that table outbox says is committed: it may not say more than the entries do.
    fn compare_outboxes(&self) -> Result<(), JournalError> {
        let archive = self.archive;
        let failed = |source| archive.error("reading table outbox", source);
        let mut statement = (archive.connection)
            .prepare(sql::SELECT_OUTBOXES)
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut outboxes = 0;
        while let Some(row) = rows.next().map_err(failed)? {
            let (node, outbox): (String, String) =
                (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
            let committed = row.get::<_, i64>(2).map_err(failed)?.cast_unsigned();
            let known = self.known.get(&node).and_then(|o| o.get(&outbox));
            let there = known.map_or(0, Sequences::contiguous);
            if committed != there {
                return Err(archive.table("outbox", format!(
                    "it says that {node}/{outbox} is committed up to {committed}, and the entries go up to {there}"
                )));
            }
            outboxes += 1;
        }
        let known: usize = self.known.values().map(HashMap::len).sum();
        if outboxes != known {
            return Err(archive.table(
                "outbox",
                format!("it has {outboxes} outboxes, and the entries are of {known}"),
            ));
        }
        Ok(())
    }

    fn compare_quarantine(&self) -> Result<(), JournalError> {
        let archive = self.archive;
        let read = || -> rusqlite::Result<BTreeSet<(String, String, i64, i64)>> {
            let mut statement = archive.connection.prepare(sql::SELECT_QUARANTINED)?;
            let rows = statement.query_map(params![], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
            rows.collect()
        };
        let found = read().map_err(|source| archive.error("reading table quarantine", source))?;
        match found.symmetric_difference(&self.quarantined).next() {
            None => Ok(()),
            Some((node, outbox, sequence, decision)) => Err(archive.table(
                "quarantine",
                format!("{node}/{outbox}/{sequence} and decision {decision} don't agree"),
            )),
        }
    }

    /// Where the journal once ended, it has the hash that it had then.
    fn compare_expected(&self) -> Result<(), JournalError> {
        match self.expected {
            Some(expected)
                if expected.entries == self.head.entries && expected.hash != self.head.hash =>
            {
                Err(JournalError::Rewritten {
                    path: self.archive.path.clone(),
                    entry: expected.entries,
                    found: self.head.hash,
                    expected: expected.hash,
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn broken(&self, entry: u64, at: Option<Timestamp>, flaw: Flaw) -> JournalError {
        JournalError::Broken {
            path: self.archive.path.clone(),
            entry,
            at,
            flaw: Box::new(flaw),
        }
    }
}

/// When it happened, as far as the row tells.
fn time_of(of: &RawRow<'_>) -> Option<Timestamp> {
    match of {
        RawRow::Observation(row) => Some(Timestamp(row.end_us)),
        RawRow::Decision(row) => {
            let decision: Decision = serde_json::from_str(row.event).ok()?;
            if let Decision::ReceiptIssued { receipt } = &decision {
                return Some(receipt.exited_at);
            }
            decision.at()
        }
    }
}
