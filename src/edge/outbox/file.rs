//! The SQLite file of an outbox: its schema, and the statements over it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::OutboxError;
use crate::observation::{OutboxId, Stamp, Stamped};
use crate::store::NodeName;

/// `PRAGMA user_version` of the files that this program writes.
pub(super) const VERSION: i64 = 1;
/// `PRAGMA application_id`: tells an outbox from every other SQLite file ("StOb").
const APPLICATION: i64 = 0x5374_4f62;

const SCHEMA: &str = "
    CREATE TABLE outbox (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        id TEXT NOT NULL,
        node TEXT NOT NULL,
        last_sequence INTEGER NOT NULL,
        committed INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE observation (
        sequence INTEGER PRIMARY KEY,
        stamped TEXT NOT NULL,
        -- Wall time of the coordinator's word, microseconds since the epoch; NULL until then.
        committed_at INTEGER
    ) STRICT;
    CREATE INDEX observation_by_commit ON observation (committed_at) WHERE committed_at IS NOT NULL;
";

/// What a file holds.
pub(super) enum Content {
    Nothing,
    Outbox,
    Newer(i64),
    SomethingElse,
}

/// The row of the table `outbox`, and how many observations there are.
pub(super) struct State {
    pub(super) id: OutboxId,
    pub(super) node: NodeName,
    pub(super) last_sequence: u64,
    pub(super) committed: u64,
    pub(super) rows: u64,
}

pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(200))?;
    // Two programs on one outbox would both believe that they are the node: the second must not get in.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")
}

pub(super) fn identify(connection: &Connection) -> rusqlite::Result<Content> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    Ok(match (application, version, tables) {
        (0, 0, 0) => Content::Nothing,
        (APPLICATION, VERSION, _) => Content::Outbox,
        (APPLICATION, newer, _) if newer > VERSION => Content::Newer(newer),
        (_, _, _) => Content::SomethingElse,
    })
}

pub(super) fn create(
    connection: &mut Connection,
    path: &Path,
    node: &NodeName,
    id: Option<OutboxId>,
) -> Result<State, OutboxError> {
    let id = match id {
        Some(id) => id,
        None => random_id().map_err(|source| OutboxError::Random {
            path: path.to_owned(),
            node: node.clone(),
            source,
        })?,
    };
    let write = |connection: &mut Connection| -> rusqlite::Result<()> {
        // One transaction with the version: a crash leaves either nothing or an outbox.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute(
            "INSERT INTO outbox VALUES (1, ?1, ?2, 0, 0)",
            params![id.as_str(), node.as_str()],
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()
    };
    write(connection).map_err(|source| OutboxError::sqlite(path, node, source))?;
    Ok(State {
        id,
        node: node.clone(),
        last_sequence: 0,
        committed: 0,
        rows: 0,
    })
}

pub(super) fn load(connection: &Connection) -> rusqlite::Result<State> {
    let rows: i64 =
        connection.query_row("SELECT count(*) FROM observation", [], |row| row.get(0))?;
    connection
        .query_row(
            "SELECT id, node, last_sequence, committed FROM outbox",
            [],
            |row| {
                Ok(State {
                    id: OutboxId::from(row.get::<_, String>(0)?),
                    node: NodeName::from(row.get::<_, String>(1)?),
                    last_sequence: unsigned(row.get(2)?),
                    committed: unsigned(row.get(3)?),
                    rows: unsigned(rows),
                })
            },
        )
        .optional()?
        .ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// 128 random bits in hex.
fn random_id() -> Result<OutboxId, getrandom::Error> {
    let bits = (u128::from(getrandom::u64()?) << 64) | u128::from(getrandom::u64()?);
    Ok(OutboxId::from(format!("{bits:032x}")))
}

/// Why a group could not be written.
pub(super) enum InsertError {
    Sqlite(rusqlite::Error),
    Json(Box<Stamp>, serde_json::Error),
}

impl From<rusqlite::Error> for InsertError {
    fn from(source: rusqlite::Error) -> Self {
        InsertError::Sqlite(source)
    }
}

impl InsertError {
    pub(super) fn at(self, path: &Path, node: &NodeName) -> OutboxError {
        match self {
            InsertError::Sqlite(source) => OutboxError::sqlite(path, node, source),
            InsertError::Json(stamp, source) => OutboxError::Unwritable { stamp, source },
        }
    }
}

pub(super) fn insert(connection: &mut Connection, stamped: &[Stamped]) -> Result<(), InsertError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO observation (sequence, stamped, committed_at) VALUES (?1, ?2, NULL)",
        )?;
        for each in stamped {
            let text = serde_json::to_string(each)
                .map_err(|source| InsertError::Json(Box::new(each.stamp.clone()), source))?;
            statement.execute(params![signed(each.stamp.sequence), text])?;
        }
        transaction
            .prepare_cached("UPDATE outbox SET last_sequence = last_sequence + ?1")?
            .execute(params![signed(stamped.len() as u64)])?;
    }
    Ok(transaction.commit()?)
}

/// Rows after `after` in the order of their sequence, at most `limit`: each sequence with its JSON.
pub(super) fn read(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, String)>> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, stamped FROM observation WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    statement
        .query_map(params![signed(after), signed(limit as u64)], |row| {
            Ok((unsigned(row.get(0)?), row.get(1)?))
        })?
        .collect()
}

/// Notes that everything after `from` up to `to` was committed at `now_us`.
pub(super) fn mark(
    connection: &mut Connection,
    from: u64,
    to: u64,
    now_us: i64,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction
        .prepare_cached(
            "UPDATE observation SET committed_at = ?1 WHERE sequence > ?2 AND sequence <= ?3",
        )?
        .execute(params![now_us, signed(from), signed(to)])?;
    transaction
        .prepare_cached("UPDATE outbox SET committed = ?1")?
        .execute(params![signed(to)])?;
    transaction.commit()
}

/// Deletes what was committed at or before `until_us`; how many rows went.
pub(super) fn prune(connection: &Connection, until_us: i64) -> rusqlite::Result<u64> {
    let gone = connection
        .prepare_cached("DELETE FROM observation WHERE committed_at <= ?1")?
        .execute(params![until_us])?;
    Ok(gone as u64)
}

/// SQLite's integers are signed; a sequence never comes near the sign.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
