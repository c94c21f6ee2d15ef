//! Who did what in the console: a line for each act.

use rusqlite::params;

use super::{Office, OfficeError};
use crate::units::Timestamp;

/// Notes that are kept; beyond, the oldest is forgotten.
const NOTES_MAX: i64 = 100_000;

/// An act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub id: i64,
    pub at: Timestamp,
    /// The account's name, or what else acted.
    pub who: String,
    /// `verdict`, `log in`, ...
    pub did: String,
    /// On what, and how it went.
    pub about: String,
}

impl Office {
    /// Writes down an act.
    ///
    /// # Errors
    /// Those of the file.
    pub fn note(
        &self,
        who: &str,
        did: &str,
        about: &str,
        now: Timestamp,
    ) -> Result<(), OfficeError> {
        let connection = self.lock();
        connection
            .execute(
                "INSERT INTO note (at_us, who, did, about) VALUES (?1, ?2, ?3, ?4)",
                params![now.0, who, did, about],
            )
            .and_then(|_| {
                let oldest = connection.last_insert_rowid() - NOTES_MAX;
                connection.execute("DELETE FROM note WHERE id <= ?1", [oldest])
            })
            .map(drop)
            .map_err(|source| self.error("writing down an act", source))
    }

    /// The last acts, newest first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn notes(&self, count: u32) -> Result<Vec<Note>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading the acts", source);
        let mut statement = connection
            .prepare("SELECT id, at_us, who, did, about FROM note ORDER BY id DESC LIMIT ?1")
            .map_err(failed)?;
        let rows = statement
            .query_map([count], |row| {
                Ok(Note {
                    id: row.get(0)?,
                    at: Timestamp(row.get(1)?),
                    who: row.get(2)?,
                    did: row.get(3)?,
                    about: row.get(4)?,
                })
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }
}
