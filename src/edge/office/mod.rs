//! What the store knows of people and must be able to forget: accounts, logins, phones, receipts handed to them, requests,
//! and who did what in the console.
//!
//! One SQLite file beside the journal. The journal holds pseudonymous sessions for ever and nobody's name but an operator's;
//! whatever ties a session to a person is here, and deleting an account deletes it.

mod accounts;
mod books;
mod counts;
mod hooks;
mod hours;
mod keys;
mod logins;
mod notes;
mod requests;
mod shoppers;
mod tables;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

pub use accounts::{
    Account, AccountId, NAME_CHARS_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, Part,
};
pub use books::{Loss, Lost, RefundMade, Sale};
pub use counts::Count;
pub use hooks::{Delivery, DeliveryState, Due, Event, Hook, HookId, NewHook, Sent};
pub use hours::{Day, Hours};
pub use keys::{ApiKey, KeyId, Scope};
pub use logins::Token;
pub use notes::Note;
pub use requests::{Request, RequestState};
pub use shoppers::{Phone, Visit};
pub use versions::Change;

use crate::edge::sqlite::DatabaseError;
use tables::FORMAT;

/// Something that the office could not do.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("there is an account `{0}` already: choose another name")]
    NameTaken(String),
    #[error("a name is 1 to {NAME_CHARS_MAX} letters, digits, spaces and . _ - @ +")]
    Name,
    #[error("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")]
    Password,
    #[error("this is the last operator: make another one first")]
    LastOperator,
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
    #[error(
        "a key or a webhook has a name of 1 to {NAME_CHARS_MAX} letters, and at least one thing that it is for"
    )]
    Key,
    #[error("there are as many as this store takes: remove one first")]
    TooMany,
    #[error("this receipt is not yours, has no such line, or was asked about before")]
    NothingToAsk,
}

/// The file, open.
#[derive(Debug)]
pub struct Office {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Office {
    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// Another program has it open; it is no such file, damaged, or of a later version.
    pub fn open(path: &Path) -> Result<Self, OfficeError> {
        let connection = FORMAT.open(path, |_| Ok(()))?;
        Self::over(connection, path.to_owned())
    }

    /// One that forgets everything with the process.
    ///
    /// # Errors
    /// SQLite has no memory.
    pub fn in_memory() -> Result<Self, OfficeError> {
        Self::over(FORMAT.open_in_memory()?, PathBuf::from(":memory:"))
    }

    fn over(connection: Connection, path: PathBuf) -> Result<Self, OfficeError> {
        connection
            .pragma_update(None, "foreign_keys", true)
            // What was deleted is overwritten, too: an erased account leaves no bytes behind.
            .and_then(|()| connection.pragma_update(None, "secure_delete", true))
            .map_err(|source| FORMAT.error(&path, "opening it", source))?;
        Ok(Office {
            connection: Mutex::new(connection),
            path,
        })
    }

    /// Where it is kept for a journal: beside it.
    pub fn beside(journal: &Path) -> PathBuf {
        journal.with_extension("office.sqlite")
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, doing: &'static str, source: rusqlite::Error) -> OfficeError {
        FORMAT.error(&self.path, doing, source).into()
    }
}

#[cfg(test)]
mod tests;
