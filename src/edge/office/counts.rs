//! What people have counted on the shelves.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Office, OfficeError};
use crate::store::{ProductId, ShelfId};
use crate::units::Timestamp;

/// What somebody counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    pub units: u32,
    pub by: String,
    pub at: Timestamp,
}

impl Office {
    /// Keeps what somebody has counted of a product on a shelf.
    ///
    /// # Errors
    /// Those of the file.
    pub fn keep_count(
        &self,
        shelf: ShelfId,
        product: &ProductId,
        count: &Count,
    ) -> Result<(), OfficeError> {
        self.lock()
            .execute(
                "INSERT OR REPLACE INTO count (shelf, product, units, by_name, at_us) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![shelf.to_string(), product.as_str(), count.units, count.by, count.at.0],
            )
            .map(drop)
            .map_err(|source| self.error("keeping a count", source))
    }

    /// Every count.
    ///
    /// # Errors
    /// Those of the file.
    pub fn counts(&self) -> Result<BTreeMap<(ShelfId, ProductId), Count>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading the counts", source);
        let mut statement = connection
            .prepare("SELECT shelf, product, units, by_name, at_us FROM count")
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                let (shelf, product): (String, String) = (row.get(0)?, row.get(1)?);
                let count = Count {
                    units: row.get(2)?,
                    by: row.get(3)?,
                    at: Timestamp(row.get(4)?),
                };
                Ok((shelf, product, count))
            })
            .map_err(failed)?;
        let mut counts = BTreeMap::new();
        for row in rows {
            let (shelf, product, count) = row.map_err(failed)?;
            // Shelves are written by us; one that is no shelf is nobody's.
            if let Ok(shelf) = shelf.parse() {
                counts.insert((shelf, ProductId::from(product)), count);
            }
        }
        Ok(counts)
    }
}
