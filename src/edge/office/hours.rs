//! Opening hours.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use rusqlite::{OptionalExtension, params};

use super::{Office, OfficeError};

/// The hours of a day, minutes after midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub opens: u16,
    /// Later than it opens; 1440 is midnight.
    pub closes: u16,
}

/// The hours of a week, by ISO weekday: 1 is Monday. The store stays closed on a day that is left out; if all are, nothing
/// opens or closes by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours(pub BTreeMap<i8, Day>);

impl Hours {
    /// Whether the store is to be open at that moment; None if there are no hours.
    pub fn wants_open(&self, at: DateTime) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        let minute = i32::from(at.hour()) * 60 + i32::from(at.minute());
        let today = self.0.get(&at.weekday().to_monday_one_offset());
        Some(
            today
                .is_some_and(|day| (i32::from(day.opens)..i32::from(day.closes)).contains(&minute)),
        )
    }
}

impl Office {
    /// The hours of the week.
    ///
    /// # Errors
    /// Those of the file.
    pub fn hours(&self) -> Result<Hours, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading the opening hours", source);
        let mut statement = connection
            .prepare_cached("SELECT weekday, opens, closes FROM hours")
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                let (opens, closes) = (row.get(1)?, row.get(2)?);
                Ok((row.get(0)?, Day { opens, closes }))
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map(Hours).map_err(failed)
    }

    /// Keeps other hours. What they want then is wanted anew.
    ///
    /// # Errors
    /// Those of the file, also for a day that closes before it opens.
    pub fn set_hours(&self, hours: &Hours) -> Result<(), OfficeError> {
        let mut connection = self.lock();
        let failed = |source| self.error("keeping the opening hours", source);
        let transaction = connection.transaction().map_err(failed)?;
        transaction
            .execute_batch("DELETE FROM hours; DELETE FROM hours_wanted;")
            .map_err(failed)?;
        for (weekday, day) in &hours.0 {
            transaction
                .execute(
                    "INSERT INTO hours (weekday, opens, closes) VALUES (?1, ?2, ?3)",
                    params![weekday, day.opens, day.closes],
                )
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    /// What the hours wanted last, if they have wanted anything since they were set.
    ///
    /// # Errors
    /// Those of the file.
    pub fn hours_wanted(&self) -> Result<Option<bool>, OfficeError> {
        self.lock()
            .query_row("SELECT is_open FROM hours_wanted", [], |row| row.get(0))
            .optional()
            .map_err(|source| self.error("reading the opening hours", source))
    }

    /// Keeps what the hours want now.
    ///
    /// # Errors
    /// Those of the file.
    pub fn keep_hours_wanted(&self, is_open: bool) -> Result<(), OfficeError> {
        self.lock()
            .execute(
                "INSERT OR REPLACE INTO hours_wanted (id, is_open) VALUES (1, ?1)",
                [is_open],
            )
            .map(drop)
            .map_err(|source| self.error("keeping the opening hours", source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_open_by_its_hours_and_closed_on_days_without() {
        let monday = Day {
            opens: 8 * 60,
            closes: 20 * 60 + 30,
        };
        let hours = Hours([(1, monday)].into());
        for (at, open) in [
            ("2026-11-23T07:59", false),
            ("2026-11-23T08:00", true),
            ("2026-11-23T20:29", true),
            ("2026-11-23T20:30", false),
            ("2026-11-24T12:00", false),
        ] {
            assert_eq!(hours.wants_open(at.parse().unwrap()), Some(open), "{at}");
        }
        assert_eq!(
            Hours::default().wants_open("2026-11-23T12:00".parse().unwrap()),
            None
        );
    }
}
