//! Webhooks: who is told of what, and every delivery until it has arrived or is given up.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Office, OfficeError};
use crate::units::Timestamp;

/// Webhooks that a store takes.
const HOOKS_MAX: usize = 20;
/// Deliveries of one webhook that wait; beyond, a new one is given up at once.
const WAITING_MAX: i64 = 10_000;
/// Deliveries of one webhook that are over and still listed; beyond, the oldest is forgotten.
const OVER_MAX: i64 = 1_000;
/// From one try to the next, seconds. After the last, a delivery is given up: a little over a day.
const WAITS_S: [f64; 9] = [
    2.0, 10.0, 60.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 28_800.0, 36_000.0,
];

/// Number of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(pub i64);

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub id: HookId,
    pub url: String,
    /// Kinds of events.
    pub events: Vec<String>,
    pub made_by: String,
    pub made_at: Timestamp,
    /// Why nothing is sent any more.
    pub off: Option<String>,
    /// Deliveries that are still to arrive.
    pub waiting: u64,
}

/// One that is to be made.
#[derive(Clone, Debug)]
pub struct NewHook<'a> {
    pub url: &'a str,
    pub secret: &'a [u8],
    pub events: &'a [&'a str],
    pub by: &'a str,
    /// The last decision of the journal that it need not know of.
    pub after: i64,
}

/// Something that webhooks are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same for every webhook and every try.
    pub id: String,
    pub kind: &'static str,
    /// The decision of the journal that it follows from; none if from no decision.
    pub decision: Option<i64>,
    /// JSON.
    pub body: String,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Waiting { next_at: Timestamp },
    Arrived { at: Timestamp },
    GivenUp,
}

/// An event on its way to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub id: i64,
    pub event: String,
    pub kind: String,
    pub made_at: Timestamp,
    pub tries: u32,
    pub state: DeliveryState,
    /// What came of the last try.
    pub said: String,
}

/// What is to be sent now.
#[derive(Clone, Debug)]
pub struct Due {
    pub delivery: i64,
    pub url: String,
    pub secret: Vec<u8>,
    pub event: String,
    pub body: String,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    Arrived(String),
    /// To be tried again.
    Failed(String),
    /// The receiver wants nothing more, ever.
    Gone(String),
}

/// Keeps events for every webhook that wants to know.
pub(super) fn queue(
    connection: &Connection,
    events: &[Event],
    now: Timestamp,
) -> rusqlite::Result<()> {
    for event in events {
        connection
            .prepare_cached(
                "INSERT INTO delivery (hook, event, kind, body, made_us, next_us, said)
                 SELECT id, ?1, ?2, ?3, ?4,
                     CASE WHEN (SELECT count(*) FROM delivery WHERE hook = hook.id AND next_us IS NOT NULL) < ?6 THEN ?4 END,
                     CASE WHEN (SELECT count(*) FROM delivery WHERE hook = hook.id AND next_us IS NOT NULL) < ?6 THEN '' ELSE 'too many wait before it' END
                 FROM hook WHERE off IS NULL AND instr(' ' || events || ' ', ' ' || ?2 || ' ') AND after < ?5",
            )?
            .execute(params![
                event.id,
                event.kind,
                event.body,
                now.0,
                event.decision.unwrap_or(i64::MAX),
                WAITING_MAX
            ])?;
    }
    Ok(())
}

fn hook(row: &Row<'_>) -> rusqlite::Result<Hook> {
    let events: String = row.get(2)?;
    Ok(Hook {
        id: HookId(row.get(0)?),
        url: row.get(1)?,
        events: events.split(' ').map(str::to_owned).collect(),
        made_by: row.get(3)?,
        made_at: Timestamp(row.get(4)?),
        off: row.get(5)?,
        waiting: row.get::<_, u32>(6)?.into(),
    })
}

impl Office {
    /// Adds a webhook.
    ///
    /// # Errors
    /// It wants to know of nothing; there are too many.
    pub fn add_hook(&self, new: &NewHook<'_>, now: Timestamp) -> Result<HookId, OfficeError> {
        if new.events.is_empty() {
            return Err(OfficeError::Key);
        }
        if self.hooks()?.len() >= HOOKS_MAX {
            return Err(OfficeError::TooMany);
        }
        let connection = self.lock();
        connection
            .execute(
                "INSERT INTO hook (url, secret, events, after, made_by, made_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![new.url, new.secret, new.events.join(" "), new.after, new.by, now.0],
            )
            .map_err(|source| self.error("adding a webhook", source))?;
        Ok(HookId(connection.last_insert_rowid()))
    }

    /// Every webhook, the newest first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn hooks(&self) -> Result<Vec<Hook>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading webhooks", source);
        let mut statement = connection
            .prepare_cached(
                "SELECT id, url, events, made_by, made_us, off,
                     (SELECT count(*) FROM delivery WHERE hook = hook.id AND next_us IS NOT NULL)
                 FROM hook ORDER BY id DESC",
            )
            .map_err(failed)?;
        let rows = statement.query_map([], hook).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Removes a webhook with its deliveries; false if there is none of that number.
    ///
    /// # Errors
    /// Those of the file.
    pub fn remove_hook(&self, id: HookId) -> Result<bool, OfficeError> {
        self.lock()
            .execute("DELETE FROM hook WHERE id = ?1", [id.0])
            .map(|rows| rows > 0)
            .map_err(|source| self.error("removing a webhook", source))
    }

    /// Has a webhook told something that no other is, whatever it wants to know of.
    ///
    /// # Errors
    /// Those of the file.
    pub fn tell_hook(&self, id: HookId, event: &Event, now: Timestamp) -> Result<(), OfficeError> {
        self.lock()
            .execute(
                "INSERT INTO delivery (hook, event, kind, body, made_us, next_us) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
                params![id.0, event.id, event.kind, event.body, now.0],
            )
            .map(drop)
            .map_err(|source| self.error("keeping a delivery", source))
    }

    /// The deliveries of a webhook, the newest first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn deliveries(&self, id: HookId, count: u32) -> Result<Vec<Delivery>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading deliveries", source);
        let mut statement = connection
            .prepare_cached(
                "SELECT id, event, kind, made_us, tries, next_us, done_us, said
                 FROM delivery WHERE hook = ?1 ORDER BY id DESC LIMIT ?2",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map(params![id.0, count], |row| {
                let (next, done): (Option<i64>, Option<i64>) = (row.get(5)?, row.get(6)?);
                let state = match (next, done) {
                    (_, Some(at)) => DeliveryState::Arrived { at: Timestamp(at) },
                    (Some(next), None) => DeliveryState::Waiting {
                        next_at: Timestamp(next),
                    },
                    (None, None) => DeliveryState::GivenUp,
                };
                Ok(Delivery {
                    id: row.get(0)?,
                    event: row.get(1)?,
                    kind: row.get(2)?,
                    made_at: Timestamp(row.get(3)?),
                    tries: row.get(4)?,
                    state,
                    said: row.get(7)?,
                })
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Has a delivery tried again at once; false if there is none of that number.
    ///
    /// # Errors
    /// Those of the file.
    pub fn send_again(&self, delivery: i64, now: Timestamp) -> Result<bool, OfficeError> {
        self.lock()
            .execute(
                "UPDATE delivery SET next_us = ?2, done_us = NULL, tries = 0 WHERE id = ?1",
                params![delivery, now.0],
            )
            .map(|rows| rows > 0)
            .map_err(|source| self.error("sending a delivery again", source))
    }

    /// The webhooks to which something is to be sent now.
    ///
    /// # Errors
    /// Those of the file.
    pub fn due_hooks(&self, now: Timestamp) -> Result<Vec<HookId>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading deliveries", source);
        let mut statement = connection
            .prepare_cached(
                "SELECT id FROM hook WHERE off IS NULL AND EXISTS
                     (SELECT 1 FROM delivery WHERE hook = hook.id AND next_us <= ?1)",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map([now.0], |row| Ok(HookId(row.get(0)?)))
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// What is to be sent to a webhook first, if anything is.
    ///
    /// # Errors
    /// Those of the file.
    pub fn due(&self, id: HookId, now: Timestamp) -> Result<Option<Due>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading deliveries", source);
        connection
            .prepare_cached(
                "SELECT delivery.id, url, secret, event, body FROM delivery JOIN hook ON hook.id = delivery.hook
                 WHERE hook = ?1 AND next_us <= ?2 AND off IS NULL ORDER BY delivery.id LIMIT 1",
            )
            .map_err(failed)?
            .query_row(params![id.0, now.0], |row| {
                Ok(Due {
                    delivery: row.get(0)?,
                    url: row.get(1)?,
                    secret: row.get(2)?,
                    event: row.get(3)?,
                    body: row.get(4)?,
                })
            })
            .optional()
            .map_err(failed)
    }

    /// Keeps what came of a try. One that failed is tried again later, and given up after the last wait.
    ///
    /// # Errors
    /// Those of the file.
    pub fn sent(&self, delivery: i64, sent: &Sent, now: Timestamp) -> Result<(), OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("keeping what came of a delivery", source);
        let tries: u32 = connection
            .query_row(
                "SELECT tries FROM delivery WHERE id = ?1",
                [delivery],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed)?
            .unwrap_or_default();
        let (done, next, said) = match sent {
            Sent::Arrived(said) => (Some(now.0), None, said),
            Sent::Failed(said) => {
                let wait_s = WAITS_S.get(tries as usize).copied();
                (None, wait_s.map(|wait_s| now.plus_seconds(wait_s).0), said)
            }
            Sent::Gone(said) => (None, None, said),
        };
        connection
            .execute(
                "UPDATE delivery SET tries = tries + 1, done_us = ?2, next_us = ?3, said = ?4 WHERE id = ?1",
                params![delivery, done, next, said],
            )
            .and_then(|_| match sent {
                Sent::Gone(said) => connection.execute(
                    "UPDATE hook SET off = ?2 WHERE id = (SELECT hook FROM delivery WHERE id = ?1)",
                    params![delivery, said],
                ),
                Sent::Arrived(_) | Sent::Failed(_) => Ok(0),
            })
            .and_then(|_| {
                connection.execute(
                    "DELETE FROM delivery WHERE next_us IS NULL
                         AND hook = (SELECT hook FROM delivery WHERE id = ?1)
                         AND id <= ?1 - ?2",
                    params![delivery, OVER_MAX],
                )
            })
            .map(drop)
            .map_err(failed)
    }
}
