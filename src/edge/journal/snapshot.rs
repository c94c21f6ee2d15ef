//! The folded state beside the entries that it follows from: a restart begins with it and folds what came since.
//!
//! It is a shortcut, not a record: it is in no entry, and where it is not exactly what this program wrote for exactly
//! this journal it is passed over, and the state follows from all entries as if it had never been there.

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::chain::{Hash, digest};
use super::write::write_versions;
use super::{Archive, Journal, JournalError, sql};
use crate::checkout::Decision;

/// A snapshot is due after so many entries: what a restart then reads takes a fraction of a second.
pub const SNAPSHOT_EVERY: u64 = 10_000;

/// Or after so many changes on the shelves, whichever comes first: in a crowd, believing what followed from one again
/// takes milliseconds.
const CHANGES_MAX: u64 = 100;

/// Raised whenever a field of the state means something else than before, though it can still be read.
const FORM: i64 = 2;

/// A state that was kept, and what it follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The last entry that is folded.
    pub entry: u64,
    /// The last observation up to that entry, by order number.
    pub accepted: i64,
    /// The last decision up to that entry, by sequence.
    pub decided: i64,
    /// As it was given to [`Journal::keep_snapshot`].
    pub state: Vec<u8>,
}

impl Journal {
    /// Has a snapshot due after so many entries instead of [`SNAPSHOT_EVERY`].
    pub fn keep_snapshots_every(&mut self, entries: u64) {
        self.snapshot_every = entries;
    }

    /// Whether enough was written since the last snapshot.
    pub fn snapshot_due(&self) -> bool {
        self.head.entries >= self.kept_at.saturating_add(self.snapshot_every)
            || self.changes_since >= CHANGES_MAX
    }

    /// Counts decisions that were made after the last snapshot.
    pub fn count_changes<'d>(&mut self, decisions: impl Iterator<Item = &'d Decision>) {
        let changes = decisions.filter(|d| matches!(d, Decision::Attributed(_)));
        self.changes_since += changes.count() as u64;
    }

    /// Keeps the state that follows from all entries up to now, in place of any before.
    ///
    /// After an error the journal is as it was, and another snapshot is not due before long.
    pub fn keep_snapshot(&mut self, state: &[u8]) -> Result<(), JournalError> {
        (self.kept_at, self.changes_since) = (self.head.entries, 0);
        let (head, known) = (self.head, self.versions_id);
        let (path, versions) = (&self.path, &self.versions);
        let keep = |connection: &mut rusqlite::Connection| -> rusqlite::Result<i64> {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let versions_id = match known {
                Some(id) => id,
                None => write_versions(&transaction, versions)?,
            };
            transaction.execute(sql::DELETE_SNAPSHOTS, [])?;
            let last = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let (accepted, decided) = transaction.query_row(sql::SELECT_LAST_ROWS, [], last)?;
            let seal = seal(head.hash, accepted, decided, state);
            transaction.execute(
                sql::INSERT_SNAPSHOT,
                params![
                    head.entries.cast_signed(),
                    accepted,
                    decided,
                    versions_id,
                    FORM,
                    seal.bytes(),
                    state
                ],
            )?;
            transaction.commit()?;
            Ok(versions_id)
        };
        let kept = keep(&mut self.connection)
            .map_err(|source| sql::FORMAT.error(path, "keeping a snapshot", source))?;
        self.versions_id = Some(kept);
        Ok(())
    }

    /// The state that was kept last, if this program kept it, for this store definition and for this very journal.
    pub fn snapshot(&mut self) -> Result<Option<Kept>, JournalError> {
        let failed = |source| sql::FORMAT.error(&self.path, "reading table snapshot", source);
        let Some(versions_id) = self.versions_id else {
            return Ok(None);
        };
        let found = self
            .connection
            .query_row(sql::SELECT_SNAPSHOT, params![versions_id, FORM], read_kept)
            .optional()
            .map_err(failed)?;
        let Some((kept, is_sealed)) = found else {
            return Ok(None);
        };
        if !is_sealed {
            tracing::warn!(
                entry = kept.entry,
                "the snapshot of the journal is not what was kept, and is passed over"
            );
            return Ok(None);
        }
        self.kept_at = kept.entry;
        Ok(Some(kept))
    }
}

/// A row of [`sql::SELECT_SNAPSHOT`], and whether it is as it was kept.
fn read_kept(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Kept, bool)> {
    let kept = Kept {
        entry: row.get::<_, i64>(0)?.cast_unsigned(),
        accepted: row.get(1)?,
        decided: row.get(2)?,
        state: row.get(5)?,
    };
    let (sealed, hash) = (row.get::<_, [u8; 32]>(3)?, row.get_ref(4)?.as_blob()?);
    let found =
        Hash::of_bytes(hash).map(|hash| seal(hash, kept.accepted, kept.decided, &kept.state));
    Ok((kept, found == Some(Hash::from(sealed))))
}

/// What binds a state to the entry that it follows from.
fn seal(hash: Hash, accepted: i64, decided: i64, state: &[u8]) -> Hash {
    let rows = [accepted.to_be_bytes(), decided.to_be_bytes()].concat();
    digest(&[hash.bytes(), &rows, state])
}

impl Archive {
    /// Whether what is kept beside the entries is as it was kept.
    pub(super) fn verify_snapshot(&self) -> Result<(), JournalError> {
        let read = || -> rusqlite::Result<Vec<(Kept, bool)>> {
            let mut statement = self.connection.prepare(sql::SELECT_SNAPSHOTS)?;
            statement.query_map([], read_kept)?.collect()
        };
        let snapshots = read().map_err(|source| self.error("reading table snapshot", source))?;
        match snapshots.into_iter().find(|(_, is_sealed)| !is_sealed) {
            None => Ok(()),
            Some((kept, _)) => Err(JournalError::Table {
                path: self.path.clone(),
                table: "snapshot",
                why: format!("the state at entry {} is not what was kept", kept.entry),
            }),
        }
    }
}
