//! Reading a journal: everything that was decided, and the observations behind it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rusqlite::{Row, params};

use super::sequences::Sequences;
use super::{Journal, JournalError, Versions, sql};
use crate::checkout::Decision;
use crate::checkout::session::Role;
use crate::observation::{DeviceId, OutboxId, Stamp, Stamped};
use crate::store::NodeName;
use crate::units::Timestamp;

/// Observations read from the file at a time.
const PAGE_ROWS: usize = 256;

/// What a journal holds.
#[derive(Debug)]
pub struct Contents<'j> {
    /// Every decision, in the order in which they were made.
    pub decisions: Vec<Recorded>,
    /// Every observation, read as it is asked for.
    pub observations: Observations<'j>,
}

/// A decision as the journal holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// From 1, without gaps.
    pub sequence: i64,
    /// What made it.
    pub versions: Arc<Versions>,
    pub decision: Decision,
}

/// A phone that may enter.
#[derive(Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub key: Vec<u8>,
    pub role: Role,
    pub revoked: bool,
}

impl std::fmt::Debug for Device {
    /// Without the key: it is a secret, and debug texts end in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Every decision, and every observation in the order in which they were accepted.
    pub fn load(&self) -> Result<Contents<'_>, JournalError> {
        Ok(Contents {
            decisions: self.decisions()?,
            observations: self.observations(),
        })
    }

    /// Every observation, in the order in which they were accepted.
    pub fn observations(&self) -> Observations<'_> {
        self.observations_after(0)
    }

    /// The observations after one of them, by order number.
    pub fn observations_after(&self, accepted: i64) -> Observations<'_> {
        Observations {
            journal: self,
            after: accepted,
            up_to: i64::MAX,
            ending_after: Timestamp(i64::MIN),
            page: VecDeque::new(),
            ended: false,
        }
    }

    /// How many observations it holds.
    pub fn observation_count(&self) -> Result<u64, JournalError> {
        self.connection
            .query_row(sql::COUNT_OBSERVATIONS, [], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
            .map_err(|source| self.error("reading table observation", source))
    }

    /// The observations up to one of them, by order number, that ended after a time; in the order in which they were
    /// accepted.
    pub fn observations_ending_after(
        &self,
        time: Timestamp,
        up_to: i64,
    ) -> Result<Observations<'_>, JournalError> {
        let after = self
            .connection
            .query_row(sql::SELECT_BEFORE_FIRST_ENDING_AFTER, [time.0], |row| {
                row.get(0)
            })
            .map_err(|source| self.error("reading table observation", source))?;
        Ok(Observations {
            after,
            up_to,
            ending_after: time,
            ..self.observations()
        })
    }

    /// The observation of that stamp.
    ///
    /// Errors: it is not there, or can't be read.
    pub fn observation(&self, stamp: &Stamp) -> Result<Stamped, JournalError> {
        let Stamp {
            node,
            outbox,
            sequence,
        } = stamp;
        let found = (self.connection)
            .prepare_cached(sql::SELECT_OBSERVATION)
            .and_then(|mut select| {
                select.query_row(
                    params![node.as_str(), outbox.as_str(), sequence.cast_signed()],
                    |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
                )
            });
        let (row, payload) =
            found.map_err(|source| self.error(format!("reading observation {stamp}"), source))?;
        self.stamped(row, stamp, &payload)
    }

    /// Every phone that was ever enrolled, by id.
    pub fn devices(&self) -> Result<Vec<Device>, JournalError> {
        self.collect(sql::SELECT_DEVICES, "device", |row| {
            Ok(Device {
                id: DeviceId::from(row.get::<_, String>(0)?),
                key: row.get(1)?,
                // The table holds no other word than these two.
                role: match row.get_ref(2)?.as_str()? {
                    "staff" => Role::Staff,
                    _ => Role::Shopper,
                },
                revoked: row.get(3)?,
            })
        })
    }

    /// Every decision, in the order in which they were made.
    pub fn decisions(&self) -> Result<Vec<Recorded>, JournalError> {
        self.decisions_after(0)
    }

    /// The last decisions, at most so many, in the order in which they were made.
    pub fn last_decisions(&self, count: u64) -> Result<Vec<Recorded>, JournalError> {
        let (_, last): (i64, i64) = (self.connection)
            .query_row(sql::SELECT_LAST_ROWS, [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .map_err(|source| self.error("reading table decision", source))?;
        self.decisions_after(last.saturating_sub_unsigned(count).max(0))
    }

    /// The decisions after one of them, by sequence.
    pub fn decisions_after(&self, sequence: i64) -> Result<Vec<Recorded>, JournalError> {
        let versions: HashMap<i64, Arc<Versions>> = self
            .collect(sql::SELECT_ALL_VERSIONS, "versions", |row| {
                let versions = Versions {
                    code: row.get(1)?,
                    definition: row.get(2)?,
                    model: row.get(3)?,
                };
                Ok((row.get(0)?, Arc::new(versions)))
            })?
            .into_iter()
            .collect();
        let bad = |row, why| self.bad_row("decision", row, why);
        let failed = |source| self.error("reading table decision", source);
        let mut statement = (self.connection)
            .prepare_cached(sql::SELECT_DECISIONS)
            .map_err(failed)?;
        let mut rows = statement.query([sequence]).map_err(failed)?;
        let mut decisions = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let sequence: i64 = row.get(0).map_err(failed)?;
            let made_by: i64 = row.get(1).map_err(failed)?;
            let event = row.get_ref(2).map_err(failed)?;
            let event = event.as_str().map_err(|e| bad(sequence, e.to_string()))?;
            decisions.push(Recorded {
                sequence,
                versions: versions.get(&made_by).cloned().ok_or_else(|| {
                    bad(
                        sequence,
                        format!("there is no row {made_by} in table versions"),
                    )
                })?,
                decision: serde_json::from_str(event)
                    .map_err(|e| bad(sequence, format!("its event cannot be read: {e}")))?,
            });
        }
        Ok(decisions)
    }

    /// The committed sequences of every outbox: the contiguous part from its own table, so that observations may be
    /// erased, and what lies beyond a gap from the stamps.
    pub(super) fn load_known(
        &self,
    ) -> Result<HashMap<NodeName, HashMap<OutboxId, Sequences>>, JournalError> {
        let mut known: HashMap<NodeName, HashMap<OutboxId, Sequences>> = HashMap::new();
        let outboxes = self.collect(sql::SELECT_OUTBOXES, "outbox", |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })?;
        for (node, outbox, committed) in outboxes {
            let failed = |source| self.error("reading table observation", source);
            let mut sequences = Sequences::up_to(committed.cast_unsigned());
            let mut statement = (self.connection)
                .prepare_cached(sql::SELECT_BEYOND)
                .map_err(failed)?;
            let mut rows = statement
                .query(params![node, outbox, committed])
                .map_err(failed)?;
            while let Some(row) = rows.next().map_err(failed)? {
                sequences.insert(row.get::<_, i64>(0).map_err(failed)?.cast_unsigned());
            }
            known
                .entry(node.into())
                .or_default()
                .insert(outbox.into(), sequences);
        }
        Ok(known)
    }

    /// Every row of a small table.
    fn collect<T>(
        &self,
        query: &str,
        table: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, JournalError> {
        let collect = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.connection.prepare_cached(query)?;
            let rows = statement.query_map([], |row| read(row))?;
            rows.collect()
        };
        collect().map_err(|source| self.error(format!("reading table {table}"), source))
    }

    fn bad_row(&self, table: &'static str, row: i64, why: String) -> JournalError {
        JournalError::Row {
            path: self.path.clone(),
            table,
            row,
            why,
        }
    }

    /// At most [`PAGE_ROWS`] observations accepted after `after`.
    fn page(&self, after: i64, up_to: i64, ending_after: Timestamp) -> Result<Page, JournalError> {
        let failed = |source| {
            self.error(
                format!("reading table observation after row {after}"),
                source,
            )
        };
        let mut statement = (self.connection)
            .prepare_cached(sql::SELECT_OBSERVATIONS)
            .map_err(failed)?;
        let mut rows = statement
            .query(params![after, up_to, ending_after.0, PAGE_ROWS as i64])
            .map_err(failed)?;
        let mut page = VecDeque::with_capacity(PAGE_ROWS);
        while let Some(row) = rows.next().map_err(failed)? {
            let accepted: i64 = row.get(0).map_err(failed)?;
            let stamp = Stamp {
                node: row.get::<_, String>(1).map_err(failed)?.into(),
                outbox: row.get::<_, String>(2).map_err(failed)?.into(),
                sequence: row.get::<_, i64>(3).map_err(failed)?.cast_unsigned(),
            };
            let payload: String = row.get(4).map_err(failed)?;
            page.push_back((accepted, self.stamped(accepted, &stamp, &payload)));
        }
        Ok(page)
    }

    fn stamped(&self, row: i64, stamp: &Stamp, payload: &str) -> Result<Stamped, JournalError> {
        let stamped: Stamped = serde_json::from_str(payload).map_err(|e| {
            self.bad_row(
                "observation",
                row,
                format!("its payload cannot be read: {e}"),
            )
        })?;
        if stamped.stamp != *stamp {
            let why = format!("it is stamped {stamp}, and its payload {}", stamped.stamp);
            return Err(self.bad_row("observation", row, why));
        }
        Ok(stamped)
    }
}

/// Rows with their order number.
type Page = VecDeque<(i64, Result<Stamped, JournalError>)>;

/// Observations in the order in which they were accepted, a page in memory at a time. It ends after an error.
#[derive(Debug)]
pub struct Observations<'j> {
    journal: &'j Journal,
    /// The row before the next page.
    after: i64,
    /// The last row.
    up_to: i64,
    ending_after: Timestamp,
    page: Page,
    ended: bool,
}

impl Iterator for Observations<'_> {
    type Item = Result<Stamped, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.page.is_empty() {
            let Observations {
                journal,
                after,
                up_to,
                ending_after,
                ..
            } = *self;
            match journal.page(after, up_to, ending_after) {
                Ok(page) => self.page = page,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        match self.page.pop_front() {
            Some((row, stamped)) => {
                self.after = row;
                self.ended = stamped.is_err();
                Some(stamped)
            }
            None => {
                self.ended = true;
                None
            }
        }
    }
}
