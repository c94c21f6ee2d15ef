//! The hash chain over the journal's entries, by which a change of what was written shows.
//!
//! Every observation and every decision is an entry, numbered from 1 in the order in which they were committed. The
//! *content* of an entry is the SHA-256 of its fields; its *hash* is the SHA-256 of the hash before it and its content:
//!
//! ```text
//! hash 0  = SHA-256(fields: "stroll journal", store, currency)
//! hash n  = SHA-256(hash n-1, content n)
//! content = SHA-256(fields: "observation", node, outbox, sequence, start_us, end_us, payload)
//!         | SHA-256(fields: "decision", code, definition, model, event)
//! ```
//!
//! A field is its length in bytes (8 bytes, big-endian) and its bytes; numbers are decimal text. The content is kept
//! beside the hash, so that an observation that has to be erased some day leaves the chain whole.
//!
//! Who can write the file can also make a new chain over a changed journal. Against that helps only a [`Head`] that is
//! kept elsewhere: no other journal has it.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::sql;

/// A SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

/// How long the journal is, and the hash of its last entry: two journals with the same head hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Head {
    pub entries: u64,
    pub hash: Hash,
}

/// A text that is no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 64 hexadecimal digits, and `{0}` is something else")]
pub struct NoHash(String);

impl Hash {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The hash of those bytes, if they are as many as one has.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Hash)
    }

    /// The first twelve digits, for sentences.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(12);
        text
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Hash(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let bad = || NoHash(text.to_owned());
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
        }
        Ok(Hash(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An observation as its table holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ObservationRow<'a> {
    pub node: &'a str,
    pub outbox: &'a str,
    pub sequence: i64,
    pub start_us: i64,
    pub end_us: i64,
    pub payload: &'a str,
}

/// A decision as its table holds it, with what made it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecisionRow<'a> {
    pub code: &'a str,
    pub definition: &'a str,
    pub model: &'a str,
    pub event: &'a str,
}

impl ObservationRow<'_> {
    pub fn content(&self) -> Hash {
        fields(&[
            "observation",
            self.node,
            self.outbox,
            &self.sequence.to_string(),
            &self.start_us.to_string(),
            &self.end_us.to_string(),
            self.payload,
        ])
    }
}

impl DecisionRow<'_> {
    pub fn content(&self) -> Hash {
        fields(&[
            "decision",
            self.code,
            self.definition,
            self.model,
            self.event,
        ])
    }
}

/// The hash before the first entry: two stores have no chain in common.
pub(super) fn beginning(store: &str, currency: &str) -> Hash {
    fields(&["stroll journal", store, currency])
}

/// The hash of the entry after the one with the hash `before`.
pub(super) fn link(before: Hash, content: Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update(before.0);
    hash.update(content.0);
    Hash(hash.finalize().into())
}

/// The hash of bytes.
pub(super) fn digest(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    Hash(hash.finalize().into())
}

fn fields(fields: &[&str]) -> Hash {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    Hash(hash.finalize().into())
}

/// Which row an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowOf {
    /// Of table observation, by order number.
    Observation(i64),
    /// Of table decision, by sequence.
    Decision(i64),
}

impl fmt::Display for RowOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowOf::Observation(row) => write!(f, "observation {row}"),
            RowOf::Decision(row) => write!(f, "decision {row}"),
        }
    }
}

impl Head {
    /// Chains one more entry.
    pub(super) fn append(
        &mut self,
        connection: &Connection,
        row: RowOf,
        content: Hash,
    ) -> rusqlite::Result<()> {
        let hash = link(self.hash, content);
        let (observation, decision) = match row {
            RowOf::Observation(row) => (Some(row), None),
            RowOf::Decision(row) => (None, Some(row)),
        };
        let entries = self.entries + 1;
        connection
            .prepare_cached(sql::INSERT_CHAIN)?
            .execute(params![
                entries.cast_signed(),
                observation,
                decision,
                content.bytes(),
                hash.bytes()
            ])?;
        *self = Head { entries, hash };
        Ok(())
    }

    /// The head of the journal that is open there.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Head> {
        let last = connection
            .query_row(sql::SELECT_HEAD, [], |row| {
                let bytes: [u8; 32] = row.get(1)?;
                Ok(Head {
                    entries: row.get::<_, i64>(0)?.cast_unsigned(),
                    hash: Hash(bytes),
                })
            })
            .optional()?;
        match last {
            Some(head) => Ok(head),
            None => connection.query_row(sql::SELECT_META, [], |row| {
                let (store, currency): (String, String) = (row.get(0)?, row.get(1)?);
                Ok(Head {
                    entries: 0,
                    hash: beginning(&store, &currency),
                })
            }),
        }
    }
}

/// From version 2 to 3: chains what is there. In which order observations and decisions came was not kept then, so
/// all observations come first. What was changed before this can't be found any more.
pub(super) fn chain_what_is_there(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(sql::CHAIN)?;
    let is_new = connection
        .query_row(sql::SELECT_META, [], |_| Ok(()))
        .optional()?
        .is_none();
    if is_new {
        return Ok(());
    }
    let mut head = Head::load(connection)?;
    let mut observations = connection.prepare(sql::SELECT_OBSERVATION_ROWS)?;
    let mut rows = observations.query([])?;
    while let Some(row) = rows.next()? {
        let content = ObservationRow {
            node: row.get_ref(1)?.as_str()?,
            outbox: row.get_ref(2)?.as_str()?,
            sequence: row.get(3)?,
            start_us: row.get(4)?,
            end_us: row.get(5)?,
            payload: row.get_ref(6)?.as_str()?,
        }
        .content();
        head.append(connection, RowOf::Observation(row.get(0)?), content)?;
    }
    let mut decisions = connection.prepare(sql::SELECT_DECISION_ROWS)?;
    let mut rows = decisions.query([])?;
    while let Some(row) = rows.next()? {
        let content = DecisionRow {
            code: row.get_ref(1)?.as_str()?,
            definition: row.get_ref(2)?.as_str()?,
            model: row.get_ref(3)?.as_str()?,
            event: row.get_ref(4)?.as_str()?,
        }
        .content();
        head.append(connection, RowOf::Decision(row.get(0)?), content)?;
    }
    Ok(())
}
