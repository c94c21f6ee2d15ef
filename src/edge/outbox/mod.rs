//! The outbox: what a node has seen, durable before it is published, kept until the coordinator has committed it.
//!
//! One SQLite file (WAL, `synchronous=FULL`) a node. An outbox has a random id, made together with the file, and
//! gives each observation the next sequence, for ever: the sequence has a table of its own, so that deleting rows
//! cannot reset it. Whoever deletes the file gets a new id with the new file, and the coordinator sees two outboxes
//! instead of one that counts twice.

mod error;
mod file;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::edge::wire::bounds;
use crate::observation::{
    Committed, NodeClock, Observation, OpenInterval, OutboxId, Stamp, Stamped, Watermark,
};
use crate::store::NodeName;
use crate::units::Timestamp;

pub use error::OutboxError;
use file::Content;

/// Committed rows are kept so much longer, microseconds: 24 hours.
const KEPT_US: i64 = 24 * 3_600 * 1_000_000;

/// How an outbox is opened.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// Rows that it holds at most, committed ones in their last 24 hours included; beyond it [`Outbox::append`]
    /// answers [`OutboxError::Full`].
    pub rows_max: u64,
    /// The id of a *new* outbox instead of a random one. For recordings only: they must come out the same each time.
    /// An outbox of that id may start from nothing again, since the recording gives each sequence the same
    /// observation: then the coordinator knows more of it than it holds itself.
    pub id: Option<OutboxId>,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        OutboxOptions {
            rows_max: 1_000_000,
            id: None,
        }
    }
}

/// A node's outbox.
#[derive(Debug)]
pub struct Outbox {
    connection: Connection,
    path: PathBuf,
    node: NodeName,
    id: OutboxId,
    rows_max: u64,
    rows: u64,
    last_sequence: u64,
    committed: u64,
    /// What it is given comes from a recording.
    is_replayed: bool,
}

impl Outbox {
    /// Opens the outbox of `node` at `path`, or makes it there.
    pub fn open(path: impl AsRef<Path>, node: &NodeName) -> Result<Self, OutboxError> {
        Self::open_with(path, node, OutboxOptions::default())
    }

    /// Opens the outbox of `node` at `path`, or makes it there.
    pub fn open_with(
        path: impl AsRef<Path>,
        node: &NodeName,
        options: OutboxOptions,
    ) -> Result<Self, OutboxError> {
        let path = path.as_ref();
        Connection::open(path)
            .map_err(|source| OutboxError::sqlite(path, node, source))
            .and_then(|connection| Self::over(connection, path.to_owned(), node, options))
    }

    /// An outbox in memory, which forgets everything with the process: for replays and simulations, where the
    /// recording is what is durable.
    pub fn in_memory(node: &NodeName, options: OutboxOptions) -> Result<Self, OutboxError> {
        let path = Path::new(":memory:");
        Connection::open_in_memory()
            .map_err(|source| OutboxError::sqlite(path, node, source))
            .and_then(|connection| Self::over(connection, path.to_owned(), node, options))
    }

    fn over(
        mut connection: Connection,
        path: PathBuf,
        node: &NodeName,
        options: OutboxOptions,
    ) -> Result<Self, OutboxError> {
        let fail = |source| OutboxError::sqlite(&path, node, source);
        let asked_for = options.id.clone();
        file::prepare(&connection).map_err(fail)?;
        let state = match file::identify(&connection).map_err(fail)? {
            Content::Nothing => file::create(&mut connection, &path, node, options.id)?,
            Content::Outbox => file::load(&connection).map_err(fail)?,
            Content::Newer(found) => {
                return Err(OutboxError::Newer {
                    path,
                    node: node.clone(),
                    found,
                });
            }
            Content::SomethingElse => {
                return Err(OutboxError::Foreign {
                    path,
                    node: node.clone(),
                });
            }
        };
        if state.node != *node {
            return Err(OutboxError::OtherNode {
                path,
                node: node.clone(),
                owner: state.node,
            });
        }
        let is_replayed = asked_for.is_some_and(|id| id == state.id);
        Ok(Outbox {
            connection,
            path,
            is_replayed,
            node: state.node,
            id: state.id,
            rows_max: options.rows_max,
            rows: state.rows,
            last_sequence: state.last_sequence,
            committed: state.committed,
        })
    }

    /// The node that it belongs to.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The id that was made with the file.
    pub fn id(&self) -> &OutboxId {
        &self.id
    }

    /// The last sequence that was given out; 0 if none was.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// The coordinator has everything up to here; 0 if nothing.
    pub fn committed_sequence(&self) -> u64 {
        self.committed
    }

    /// Stamps a group of observations and makes them durable, all or none; only then may they be published.
    ///
    /// An observation that no reader would accept is refused with the bound that it breaks.
    pub fn append(
        &mut self,
        clock: &NodeClock,
        observations: Vec<Observation>,
    ) -> Result<Vec<Stamped>, OutboxError> {
        if observations.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows + observations.len() as u64;
        if rows > self.rows_max {
            return Err(OutboxError::Full {
                path: self.path.clone(),
                node: self.node.clone(),
                rows_max: self.rows_max,
            });
        }
        let stamped: Vec<Stamped> = (self.last_sequence + 1..)
            .zip(observations)
            .map(|(sequence, observation)| Stamped {
                stamp: Stamp {
                    node: self.node.clone(),
                    outbox: self.id.clone(),
                    sequence,
                },
                clock: clock.clone(),
                observation,
            })
            .collect();
        for each in &stamped {
            bounds::stamped(each).map_err(|source| OutboxError::Unfit {
                stamp: Box::new(each.stamp.clone()),
                source,
            })?;
        }
        file::insert(&mut self.connection, &stamped)
            .map_err(|cause| cause.at(&self.path, &self.node))?;
        self.rows = rows;
        self.last_sequence += stamped.len() as u64;
        Ok(stamped)
    }

    /// Observations after `after` in the order of their sequence, at most `limit`: what is to be sent (again).
    pub fn pending(&self, after: u64, limit: usize) -> Result<Vec<Stamped>, OutboxError> {
        let decode = |(sequence, text): (u64, String)| {
            serde_json::from_str(&text).map_err(|source| OutboxError::Row {
                path: self.path.clone(),
                node: self.node.clone(),
                sequence,
                source,
            })
        };
        let rows = file::read(&self.connection, after, limit)
            .map_err(|source| OutboxError::sqlite(&self.path, &self.node, source))?;
        rows.into_iter().map(decode).collect()
    }

    /// Takes the coordinator's word that everything up to a sequence is durable in its journal; `now` is the wall
    /// time. True if that was news: the word for another outbox is ignored, and it never goes back.
    pub fn committed(
        &mut self,
        committed: &Committed,
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        let sequence = if self.is_replayed {
            committed.sequence.min(self.last_sequence)
        } else {
            committed.sequence
        };
        if committed.outbox != self.id || sequence <= self.committed {
            return Ok(false);
        }
        if sequence > self.last_sequence {
            return Err(OutboxError::RolledBack {
                path: self.path.clone(),
                node: self.node.clone(),
                committed: sequence,
                last: self.last_sequence,
            });
        }
        file::mark(&mut self.connection, self.committed, sequence, now.0)
            .map_err(|source| OutboxError::sqlite(&self.path, &self.node, source))?;
        self.committed = sequence;
        Ok(true)
    }

    /// Deletes what was committed 24 hours or longer before `now`; how many rows went.
    pub fn prune(&mut self, now: Timestamp) -> Result<u64, OutboxError> {
        let gone = file::prune(&self.connection, now.0.saturating_sub(KEPT_US))
            .map_err(|source| OutboxError::sqlite(&self.path, &self.node, source))?;
        self.rows = self.rows.saturating_sub(gone);
        Ok(gone)
    }

    /// The node's promise at `at`, which holds once everything appended so far has been received.
    pub fn watermark(&self, at: Timestamp, open: Vec<OpenInterval>) -> Watermark {
        Watermark {
            node: self.node.clone(),
            outbox: self.id.clone(),
            sequence: self.last_sequence,
            at,
            open,
        }
    }
}

#[cfg(test)]
mod tests;
