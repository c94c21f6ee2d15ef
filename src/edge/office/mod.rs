//! What the store knows of people and must be able to forget: accounts, logins, phones, receipts handed to them, requests,
//! and who did what in the console.
//!
//! One SQLite file beside the journal. The journal holds pseudonymous sessions for ever and nobody's name but an operator's;
//! whatever ties a session to a person is here, and deleting an account deletes it.

mod accounts;
mod counts;
mod logins;
mod notes;
mod requests;
mod shoppers;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

pub use accounts::{
    Account, AccountId, NAME_CHARS_MAX, PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, Part,
};
pub use counts::Count;
pub use logins::Token;
pub use notes::Note;
pub use requests::{Request, RequestState};
pub use shoppers::{Phone, Visit};

use crate::edge::sqlite::{DatabaseError, Format, Readers};

/// Version 1 of the office's file; `Stof`. Times are microseconds since the epoch.
const FORMAT: Format = Format {
    what: "file of accounts",
    application_id: 0x5374_6f66,
    version: 1,
    schema: "
        CREATE TABLE account (
            id       INTEGER PRIMARY KEY AUTOINCREMENT,
            name     TEXT NOT NULL UNIQUE COLLATE NOCASE,
            part     TEXT NOT NULL CHECK (part IN ('operator', 'staff', 'tester', 'shopper')),
            password TEXT NOT NULL, -- argon2id, as a PHC string
            made_us  INTEGER NOT NULL
        ) STRICT;

        -- Of a token only the SHA-256 is kept: who reads the file cannot log in with it.
        CREATE TABLE login (
            token    BLOB PRIMARY KEY CHECK (length(token) = 32),
            account  INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
            until_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX login_account ON login (account);

        CREATE TABLE phone (
            device  TEXT PRIMARY KEY,
            account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
            made_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- Receipts as their shoppers read them again: JSON.
        CREATE TABLE visit (
            session TEXT PRIMARY KEY,
            account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
            exit_us INTEGER NOT NULL,
            receipt TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE request (
            id        INTEGER PRIMARY KEY AUTOINCREMENT,
            account   INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
            session   TEXT NOT NULL,
            product   TEXT NOT NULL,
            minor     INTEGER NOT NULL CHECK (minor > 0),
            why       TEXT NOT NULL,
            made_us   INTEGER NOT NULL,
            state     TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'taken', 'accepted', 'dismissed')),
            closed_by TEXT,
            UNIQUE (session, product)
        ) STRICT;

        -- Proposed corrections that a person has seen to, by the stamp of their change.
        CREATE TABLE corrected (
            change   TEXT PRIMARY KEY,
            accepted INTEGER NOT NULL,
            by_name  TEXT NOT NULL,
            at_us    INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- What a person has counted on a shelf.
        CREATE TABLE count (
            shelf   TEXT NOT NULL,
            product TEXT NOT NULL,
            units   INTEGER NOT NULL CHECK (units >= 0),
            by_name TEXT NOT NULL,
            at_us   INTEGER NOT NULL,
            PRIMARY KEY (shelf, product)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE note (
            id    INTEGER PRIMARY KEY AUTOINCREMENT,
            at_us INTEGER NOT NULL,
            who   TEXT NOT NULL,
            did   TEXT NOT NULL,
            about TEXT NOT NULL
        ) STRICT;
    ",
    upgrades: &[],
    readers: Readers::Nobody,
};

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
