//! What can be wrong with a journal.

use std::io;
use std::path::PathBuf;

use super::chain::Hash;
use super::verify::Flaw;
use crate::edge::sqlite::DatabaseError;
use crate::observation::Stamp;
use crate::units::{Currency, Timestamp};

/// A journal that could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(
        "{path}: the journal of store `{found}`, and this is store `{asked}`; name another file"
    )]
    OtherStore {
        path: PathBuf,
        found: String,
        asked: String,
    },
    #[error(
        "{path}: the journal is kept in {found}, and the store definition says {}; a new currency takes a new journal",
        asked.as_str()
    )]
    OtherCurrency {
        path: PathBuf,
        found: String,
        asked: Currency,
    },
    #[error(
        "{path}: table {table}, row {row}: {why}; it was written by another version or is damaged"
    )]
    Row {
        path: PathBuf,
        table: &'static str,
        row: i64,
        why: String,
    },
    #[error(
        "{path}: observation {stamp} is committed already and may not count twice; this is a bug of stroll"
    )]
    AlreadyCommitted { path: PathBuf, stamp: Stamp },
    #[error("{path}: the journal takes nothing more after an error; restart stroll")]
    Stopped { path: PathBuf },
    #[error("{path}: entry {entry}{} is not what was written: {flaw}", moment(*at))]
    Broken {
        path: PathBuf,
        entry: u64,
        /// Event time, if the entry still says so.
        at: Option<Timestamp>,
        flaw: Box<Flaw>,
    },
    #[error(
        "{path}: the entries are what was written, and table {table} does not follow from them: {why}"
    )]
    Table {
        path: PathBuf,
        table: &'static str,
        why: String,
    },
    #[error(
        "{path}: the journal was cut off: it ends with entry {entries}, and once had {expected}"
    )]
    CutOff {
        path: PathBuf,
        entries: u64,
        expected: u64,
    },
    #[error(
        "{path}: the journal was rewritten, somewhere up to entry {entry}: that has the hash {found}, and once had {expected}"
    )]
    Rewritten {
        path: PathBuf,
        entry: u64,
        found: Hash,
        expected: Hash,
    },
    #[error("{path}: there is a file of that name already; `--force` overwrites it")]
    Exists { path: PathBuf },
    #[error("{path}: {what}; `--force` does it all the same")]
    WouldReplace { path: PathBuf, what: String },
    #[error("{path}: the copy of the journal cannot be {doing}: {source}")]
    Copy {
        path: PathBuf,
        doing: &'static str,
        source: io::Error,
    },
}

impl JournalError {
    /// Whether the disk had no room. Then nothing was written, and the journal takes the same again.
    pub fn is_full(&self) -> bool {
        matches!(self, JournalError::Database(DatabaseError::Full { .. }))
    }
}

fn moment(at: Option<Timestamp>) -> String {
    at.map_or(String::new(), |at| format!(" of {at}"))
}
