//! A journal to look at: by itself, or while a store writes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::chain::{DecisionRow, Hash, Head, ObservationRow, RowOf};
use super::{JournalError, Versions, sql};
use crate::checkout::Decision;
use crate::observation::{Stamp, Stamped};

/// A journal as it was when it was opened here, whatever a store adds meanwhile.
#[derive(Debug)]
pub struct Archive {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
}

/// An entry with what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Filed {
    pub entry: u64,
    pub hash: Hash,
    pub what: What,
    /// What was hashed, as it is kept: JSON in one line.
    pub text: String,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Observation(Box<Stamped>),
    Decision {
        versions: Arc<Versions>,
        decision: Box<Decision>,
    },
}

/// An entry as the tables hold it.
pub(super) struct RawEntry<'r> {
    pub entry: u64,
    /// `None`: the chain names no row, or two.
    pub row: Option<RowOf>,
    pub content: Option<Hash>,
    pub hash: Option<Hash>,
    /// `None`: the row that the chain names is not there.
    pub of: Option<RawRow<'r>>,
}

/// The row of an entry.
pub(super) enum RawRow<'r> {
    Observation(ObservationRow<'r>),
    Decision(DecisionRow<'r>),
}

impl RawRow<'_> {
    pub fn content(&self) -> Hash {
        match self {
            RawRow::Observation(row) => row.content(),
            RawRow::Decision(row) => row.content(),
        }
    }
}

impl Archive {
    /// Opens a journal to look at it.
    ///
    /// Errors: there is no such file, it is no journal, a damaged one, or one of another version.
    pub fn open(path: &Path) -> Result<Archive, JournalError> {
        let archive = Archive {
            path: path.to_owned(),
            connection: sql::FORMAT.open_to_read(path)?,
        };
        // A transaction sees the same to its end. It begins with the first read.
        (archive.connection)
            .execute_batch("BEGIN")
            .map_err(|source| archive.error("beginning to read", source))?;
        archive.store()?;
        Ok(archive)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id of the store whose journal it is, and its currency.
    pub fn store(&self) -> Result<(String, String), JournalError> {
        self.connection
            .query_row(sql::SELECT_META, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|source| self.error("reading table meta", source))
    }

    /// How long the journal is, and the hash of its last entry.
    pub fn head(&self) -> Result<Head, JournalError> {
        Head::load(&self.connection).map_err(|source| self.error("reading table chain", source))
    }

    /// The observation of that stamp, if it is there.
    ///
    /// Errors: it can't be read.
    pub fn observation(&self, stamp: &Stamp) -> Result<Option<Stamped>, JournalError> {
        let Stamp {
            node,
            outbox,
            sequence,
        } = stamp;
        let found: Option<String> = (self.connection)
            .query_row(
                sql::SELECT_OBSERVATION,
                params![node.as_str(), outbox.as_str(), sequence.cast_signed()],
                |row| row.get(1),
            )
            .optional()
            .map_err(|source| self.error(format!("reading observation {stamp}"), source))?;
        Ok(found.and_then(|payload| serde_json::from_str(&payload).ok()))
    }

    /// At most so many entries after `after`, in order.
    ///
    /// Errors: an entry that can't be read.
    pub fn page(&self, after: u64, count: usize) -> Result<Vec<Filed>, JournalError> {
        let failed = |source| self.error("reading table chain", source);
        let mut statement = (self.connection)
            .prepare(sql::SELECT_ENTRIES)
            .map_err(failed)?;
        let mut rows = statement.query([after.cast_signed()]).map_err(failed)?;
        let (mut page, mut made_by) = (Vec::new(), None);
        while page.len() < count
            && let Some(row) = rows.next().map_err(failed)?
        {
            page.push(self.read(&raw_entry(row).map_err(failed)?, &mut made_by)?);
        }
        Ok(page)
    }

    /// At most so many decisions after one of them, by sequence, in order.
    ///
    /// Errors: a decision that can't be read.
    pub fn decisions_after(
        &self,
        sequence: i64,
        count: usize,
    ) -> Result<Vec<(i64, Decision)>, JournalError> {
        let failed = |source| self.error("reading table decision", source);
        let mut statement = (self.connection)
            .prepare_cached(sql::SELECT_DECISIONS)
            .map_err(failed)?;
        let mut rows = statement.query([sequence]).map_err(failed)?;
        let mut decisions = Vec::new();
        while decisions.len() < count
            && let Some(row) = rows.next().map_err(failed)?
        {
            let (sequence, event): (i64, String) =
                (row.get(0).map_err(failed)?, row.get(2).map_err(failed)?);
            let decision = serde_json::from_str(&event).map_err(|e| JournalError::Row {
                path: self.path.clone(),
                table: "decision",
                row: sequence,
                why: format!("its event cannot be read: {e}"),
            })?;
            decisions.push((sequence, decision));
        }
        Ok(decisions)
    }

    /// The sequence of the last decision; 0 if there is none.
    ///
    /// Errors: the file can't be read.
    pub fn last_decision(&self) -> Result<i64, JournalError> {
        (self.connection)
            .query_row(sql::SELECT_LAST_ROWS, [], |row| row.get(1))
            .map_err(|source| self.error("reading table decision", source))
    }

    /// Shows every entry after `after` in order, as far as `each` wants to see more.
    ///
    /// Errors: those of `each`; an entry that can't be read.
    pub fn entries(
        &self,
        after: u64,
        each: &mut dyn FnMut(Filed) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let mut made_by: Option<Arc<Versions>> = None;
        self.raw_entries(after, &mut |raw| each(self.read(&raw, &mut made_by)?))
    }

    /// Shows every entry after `after` as the tables hold it.
    pub(super) fn raw_entries(
        &self,
        after: u64,
        each: &mut dyn FnMut(RawEntry<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let failed = |source| self.error("reading table chain", source);
        let mut statement = (self.connection)
            .prepare(sql::SELECT_ENTRIES)
            .map_err(failed)?;
        let mut rows = statement.query([after.cast_signed()]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            each(raw_entry(row).map_err(failed)?)?;
        }
        Ok(())
    }

    pub(super) fn error(&self, doing: impl Into<String>, source: rusqlite::Error) -> JournalError {
        sql::FORMAT.error(&self.path, doing, source).into()
    }

    fn read(
        &self,
        raw: &RawEntry<'_>,
        made_by: &mut Option<Arc<Versions>>,
    ) -> Result<Filed, JournalError> {
        let bad = |why: String| JournalError::Row {
            path: self.path.clone(),
            table: "chain",
            row: raw.entry.cast_signed(),
            why,
        };
        let Some((of, hash)) = raw.of.as_ref().zip(raw.hash) else {
            return Err(bad("what it stands for is not there".to_owned()));
        };
        let (what, text) = match of {
            RawRow::Observation(row) => {
                let stamped = serde_json::from_str(row.payload)
                    .map_err(|e| bad(format!("its payload cannot be read: {e}")))?;
                (What::Observation(Box::new(stamped)), row.payload)
            }
            RawRow::Decision(row) => {
                let decision = serde_json::from_str(row.event)
                    .map_err(|e| bad(format!("its event cannot be read: {e}")))?;
                // Nearly always the same as that of the decision before.
                let versions = match made_by {
                    Some(before) if row.is_by(before) => before.clone(),
                    Some(_) | None => made_by.insert(Arc::new(row.versions())).clone(),
                };
                let decision = Box::new(decision);
                (What::Decision { versions, decision }, row.event)
            }
        };
        Ok(Filed {
            entry: raw.entry,
            hash,
            what,
            text: text.to_owned(),
        })
    }
}

impl DecisionRow<'_> {
    fn versions(&self) -> Versions {
        Versions {
            code: self.code.to_owned(),
            definition: self.definition.to_owned(),
            model: self.model.to_owned(),
        }
    }

    fn is_by(&self, versions: &Versions) -> bool {
        (self.code, self.definition, self.model)
            == (
                versions.code.as_str(),
                versions.definition.as_str(),
                versions.model.as_str(),
            )
    }
}

fn raw_entry<'r>(row: &'r Row<'_>) -> rusqlite::Result<RawEntry<'r>> {
    let text = |column| -> rusqlite::Result<&str> { Ok(row.get_ref(column)?.as_str()?) };
    let hash =
        |column| -> rusqlite::Result<_> { Ok(Hash::of_bytes(row.get_ref(column)?.as_blob()?)) };
    let rows: (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
    let is_there = |column| -> rusqlite::Result<bool> { Ok(row.get_ref(column)?.as_str().is_ok()) };
    let of = match rows {
        (Some(_), _) if is_there(10)? => Some(RawRow::Observation(ObservationRow {
            node: text(5)?,
            outbox: text(6)?,
            sequence: row.get(7)?,
            start_us: row.get(8)?,
            end_us: row.get(9)?,
            payload: text(10)?,
        })),
        (None, Some(_)) if is_there(11)? && is_there(14)? => Some(RawRow::Decision(DecisionRow {
            code: text(11)?,
            definition: text(12)?,
            model: text(13)?,
            event: text(14)?,
        })),
        (Some(_) | None, Some(_) | None) => None,
    };
    Ok(RawEntry {
        entry: row.get::<_, i64>(0)?.cast_unsigned(),
        row: match rows {
            (Some(row), None) => Some(RowOf::Observation(row)),
            (None, Some(row)) => Some(RowOf::Decision(row)),
            (Some(_), Some(_)) | (None, None) => None,
        },
        content: hash(3)?,
        hash: hash(4)?,
        of,
    })
}
