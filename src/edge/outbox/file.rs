//! The SQLite file of an outbox: its schema, and the statements over it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::OutboxError;
use super::limits::Loss;
use crate::edge::levels::Levels;
use crate::observation::{Observation, OutboxId, ShelfObservation, Stamp, Stamped};
use crate::store::{NodeName, PlateId};
use crate::units::{Milligrams, Timestamp};

/// `PRAGMA user_version` of the files that this program writes.
pub(super) const VERSION: i64 = 2;
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

/// What version 2 adds to version 1.
const SINCE_VERSION_1: &str = "
    -- All up to here may have been published; what the coordinator has beyond it came from a newer copy of this file.
    ALTER TABLE outbox ADD COLUMN offered INTEGER NOT NULL DEFAULT 0;
    UPDATE outbox SET offered = last_sequence;
    -- What could not be kept since the outbox was full, as long as that has not been told.
    CREATE TABLE loss (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        dropped INTEGER NOT NULL
    ) STRICT;
    -- What each plate read when nothing moved, milligrams, and when that was last known.
    CREATE TABLE level (
        plate TEXT PRIMARY KEY,
        level INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- Rows of an outbox that turned out to be an old copy: they may have been counted, so they are never sent.
    CREATE TABLE doubtful (
        outbox TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        stamped TEXT NOT NULL,
        PRIMARY KEY (outbox, sequence)
    ) STRICT, WITHOUT ROWID;
";

/// What a file holds.
pub(super) enum Content {
    Nothing,
    Outbox,
    /// Of version 1.
    Older,
    Newer(i64),
    SomethingElse,
}

/// The row of the table `outbox`, and how many observations there are.
pub(super) struct State {
    pub(super) id: OutboxId,
    pub(super) node: NodeName,
    pub(super) last_sequence: u64,
    pub(super) committed: u64,
    pub(super) offered: u64,
    pub(super) rows: u64,
    pub(super) loss: Option<Loss>,
}

pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(200))?;
    // Two programs on one outbox would both believe that they are the node: the second must not get in.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    crate::edge::sqlite::keep_plans(connection)
}

pub(super) fn identify(connection: &Connection) -> rusqlite::Result<Content> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    Ok(match (application, version, tables) {
        (0, 0, 0) => Content::Nothing,
        (APPLICATION, VERSION, _) => Content::Outbox,
        (APPLICATION, 1, _) => Content::Older,
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
        transaction.execute_batch(SINCE_VERSION_1)?;
        transaction.execute(
            "INSERT INTO outbox (only, id, node, last_sequence, committed) VALUES (1, ?1, ?2, 0, 0)",
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
        offered: 0,
        rows: 0,
        loss: None,
    })
}

pub(super) fn load(connection: &Connection) -> rusqlite::Result<State> {
    let rows: i64 =
        connection.query_row("SELECT count(*) FROM observation", [], |row| row.get(0))?;
    let loss = load_loss(connection)?;
    connection
        .query_row(
            "SELECT id, node, last_sequence, committed, offered FROM outbox",
            [],
            |row| {
                Ok(State {
                    id: OutboxId::from(row.get::<_, String>(0)?),
                    node: NodeName::from(row.get::<_, String>(1)?),
                    last_sequence: unsigned(row.get(2)?),
                    committed: unsigned(row.get(3)?),
                    offered: unsigned(row.get(4)?),
                    rows: unsigned(rows),
                    loss,
                })
            },
        )
        .optional()?
        .ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// Brings the tables of version 1 up to date.
pub(super) fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(SINCE_VERSION_1)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// 128 random bits in hex.
pub(super) fn random_id() -> Result<OutboxId, getrandom::Error> {
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

/// Keeps a group. `offered` says that it will be published at once; whatever loss there was is told by it.
pub(super) fn insert(
    connection: &mut Connection,
    stamped: &[Stamped],
    offered: bool,
) -> Result<(), InsertError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    insert_rows(&transaction, stamped)?;
    if offered {
        (transaction.prepare_cached("UPDATE outbox SET offered = last_sequence")?).execute([])?;
    }
    transaction
        .prepare_cached("DELETE FROM loss")?
        .execute([])?;
    Ok(transaction.commit()?)
}

fn insert_rows(transaction: &Transaction<'_>, stamped: &[Stamped]) -> Result<(), InsertError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO observation (sequence, stamped, committed_at) VALUES (?1, ?2, NULL)",
    )?;
    for each in stamped {
        let text = serde_json::to_string(each)
            .map_err(|source| InsertError::Json(Box::new(each.stamp.clone()), source))?;
        statement.execute(params![signed(each.stamp.sequence), text])?;
        if let Observation::Shelf(change) = &each.observation {
            move_levels(transaction, change)?;
        }
    }
    transaction
        .prepare_cached("UPDATE outbox SET last_sequence = last_sequence + ?1")?
        .execute(params![signed(stamped.len() as u64)])?;
    Ok(())
}

/// What a change says has moved is no surprise after a power cut: in one transaction with the change.
fn move_levels(transaction: &Transaction<'_>, change: &ShelfObservation) -> rusqlite::Result<()> {
    let mut update = transaction
        .prepare_cached("UPDATE level SET level = level + ?2, at = max(at, ?3) WHERE plate = ?1")?;
    for plate in &change.plates {
        let id = PlateId {
            shelf: change.shelf,
            plate: plate.plate,
        };
        update.execute(params![id.to_string(), plate.delta_mg.0, change.end.0])?;
    }
    Ok(())
}

/// Keeps what plates read.
pub(super) fn keep_levels(connection: &mut Connection, levels: &Levels) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut upsert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO level (plate, level, at) VALUES (?1, ?2, ?3)",
        )?;
        for (plate, level) in &levels.plates {
            upsert.execute(params![plate.to_string(), level.0, levels.at.0])?;
        }
    }
    transaction.commit()
}

/// What plates read when that was last kept.
pub(super) fn levels(connection: &Connection) -> rusqlite::Result<Levels> {
    let mut select = connection.prepare_cached("SELECT plate, level, at FROM level")?;
    let mut rows = select.query([])?;
    let mut levels = Levels::default();
    while let Some(row) = rows.next()? {
        let plate: String = row.get(0)?;
        // A plate that no store can have is of no use.
        if let Ok(plate) = plate.parse() {
            levels.plates.insert(plate, Milligrams(row.get(1)?));
            levels.at = levels.at.max(Timestamp(row.get(2)?));
        }
    }
    Ok(levels)
}

/// Notes that everything up to a sequence may be published from now on.
pub(super) fn offer(connection: &Connection, upto: u64) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached("UPDATE outbox SET offered = max(offered, ?1)")?;
    update.execute(params![signed(upto)]).map(drop)
}

/// What an outbox begins with that takes the place of another one in the same file.
pub(super) struct Successor<'a> {
    pub(super) id: &'a OutboxId,
    pub(super) stamped: &'a [Stamped],
    /// Rows of the old outbox after this one are among `stamped`.
    pub(super) doubtful_upto: u64,
}

/// Gives an outbox up for another one, all at once; its rows are put aside.
pub(super) fn replace(
    connection: &mut Connection,
    successor: &Successor<'_>,
) -> Result<(), InsertError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT OR IGNORE INTO doubtful (outbox, sequence, stamped)
         SELECT id, sequence, stamped FROM observation, outbox WHERE sequence <= ?1",
        params![signed(successor.doubtful_upto)],
    )?;
    transaction.execute("DELETE FROM observation", [])?;
    transaction.execute(
        "UPDATE outbox SET id = ?1, last_sequence = 0, committed = 0, offered = 0",
        params![successor.id.as_str()],
    )?;
    insert_rows(&transaction, successor.stamped)?;
    Ok(transaction.commit()?)
}

/// The loss that has not been told.
fn load_loss(connection: &Connection) -> rusqlite::Result<Option<Loss>> {
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Loss {
            since: Timestamp(row.get(0)?),
            until: Timestamp(row.get(1)?),
            dropped: unsigned(row.get(2)?),
        })
    };
    (connection.query_row("SELECT since, until, dropped FROM loss", [], row)).optional()
}

/// Keeps what has been lost up to now.
pub(super) fn keep_loss(connection: &Connection, loss: &Loss) -> rusqlite::Result<()> {
    let mut upsert = connection.prepare_cached(
        "INSERT OR REPLACE INTO loss (only, since, until, dropped) VALUES (1, ?1, ?2, ?3)",
    )?;
    upsert
        .execute(params![loss.since.0, loss.until.0, signed(loss.dropped)])
        .map(drop)
}

/// Bytes of the pages that are in use.
pub(super) fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let used = pragma("page_count")? - pragma("freelist_count")?;
    Ok(unsigned(used.saturating_mul(pragma("page_size")?)))
}

/// Deletes the oldest `count` of the rows that are committed; how many went.
pub(super) fn forget_committed(connection: &Connection, count: u64) -> rusqlite::Result<u64> {
    let gone = connection
        .prepare_cached(
            "DELETE FROM observation WHERE sequence IN
             (SELECT sequence FROM observation WHERE committed_at IS NOT NULL ORDER BY sequence LIMIT ?1)",
        )?
        .execute(params![signed(count)])?;
    Ok(gone as u64)
}

/// Takes back that anything after `to` was committed.
pub(super) fn unmark(connection: &mut Connection, to: u64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction
        .prepare_cached("UPDATE observation SET committed_at = NULL WHERE sequence > ?1")?
        .execute(params![signed(to)])?;
    transaction
        .prepare_cached("UPDATE outbox SET committed = ?1")?
        .execute(params![signed(to)])?;
    transaction.commit()
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

/// Folds the write-ahead log into the file; the next write begins at the log's start again.
pub(super) fn fold_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
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

/// Makes a file as version 1 did, with seven observations that are pruned already.
#[cfg(test)]
pub(super) fn make_version_1(new: &Connection, id: &str, node: &str) -> rusqlite::Result<()> {
    new.execute_batch(SCHEMA)?;
    new.execute("INSERT INTO outbox VALUES (1, ?1, ?2, 7, 3)", [id, node])?;
    new.pragma_update(None, "application_id", APPLICATION)?;
    new.pragma_update(None, "user_version", 1)
}
