//! What can be wrong with a journal.

use std::path::PathBuf;

use crate::edge::sqlite::DatabaseError;
use crate::observation::Stamp;
use crate::units::Currency;

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
}
