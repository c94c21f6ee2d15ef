//! Earlier texts of the store's definition, so that a change can be undone.

use rusqlite::{OptionalExtension, params};

use super::{Office, OfficeError};
use crate::units::Timestamp;

/// Changes that can be undone; beyond, the oldest is forgotten.
const KEPT_MAX: i64 = 100;

/// A change of the definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub id: i64,
    pub at: Timestamp,
    pub by: String,
    /// What was changed, in a few words.
    pub what: String,
    /// The whole text before.
    pub before: String,
}

impl Office {
    /// Keeps what the definition said before a change.
    ///
    /// # Errors
    /// Those of the file.
    pub fn keep_before(
        &self,
        before: &str,
        what: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<(), OfficeError> {
        let connection = self.lock();
        connection
            .execute(
                "INSERT INTO definition_change (at_us, by_name, what, before) VALUES (?1, ?2, ?3, ?4)",
                params![now.0, by, what, before],
            )
            .and_then(|_| {
                let oldest = connection.last_insert_rowid() - KEPT_MAX;
                connection.execute("DELETE FROM definition_change WHERE id <= ?1", [oldest])
            })
            .map(drop)
            .map_err(|source| self.error("keeping the definition", source))
    }

    /// The last change that was not undone.
    ///
    /// # Errors
    /// Those of the file.
    pub fn last_change(&self) -> Result<Option<Change>, OfficeError> {
        self.lock()
            .query_row(
                "SELECT id, at_us, by_name, what, before FROM definition_change ORDER BY id DESC LIMIT 1",
                [],
                |row| {
                    Ok(Change {
                        id: row.get(0)?,
                        at: Timestamp(row.get(1)?),
                        by: row.get(2)?,
                        what: row.get(3)?,
                        before: row.get(4)?,
                    })
                },
            )
            .optional()
            .map_err(|source| self.error("reading the definition's changes", source))
    }

    /// Forgets a change, which is undone.
    ///
    /// # Errors
    /// Those of the file.
    pub fn forget_change(&self, id: i64) -> Result<(), OfficeError> {
        self.lock()
            .execute("DELETE FROM definition_change WHERE id = ?1", [id])
            .map(drop)
            .map_err(|source| self.error("undoing a change", source))
    }
}
