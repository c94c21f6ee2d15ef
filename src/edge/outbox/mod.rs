//! The outbox: what a node has seen, durable before it is published, kept until the coordinator has committed it.
//!
//! One SQLite file (WAL, `synchronous=FULL`) a node. An outbox has a random id, made together with the file, and
//! gives each observation the next sequence, for ever: the sequence has a table of its own, so that deleting rows
//! cannot reset it. Whoever deletes the file gets a new id with the new file, and the coordinator sees two outboxes
//! instead of one that counts twice; an old copy of the file is noticed, and gets a new id, too.

mod error;
mod file;
mod limits;
mod replaced;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::edge::levels::Levels;
use crate::edge::sqlite::is_full;
use crate::edge::wire::bounds;
use crate::observation::{
    Committed, NodeClock, Observation, OpenInterval, OutboxId, Stamp, Stamped, Watermark,
};
use crate::store::NodeName;
use crate::units::Timestamp;

pub use error::OutboxError;
use file::{Content, InsertError};
pub use limits::Loss;

/// Committed rows are kept so much longer, microseconds: 24 hours.
const KEPT_US: i64 = 24 * 3_600 * 1_000_000;

/// How an outbox is opened.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// Rows that it holds at most, committed ones in their last 24 hours included.
    pub rows_max: u64,
    /// Bytes that they take on the disk, at most; the write-ahead log beside them adds some megabytes.
    pub bytes_max: u64,
    /// The id of a *new* outbox instead of a random one. For recordings only: they must come out the same each time.
    /// An outbox of that id may start from nothing again, since the recording gives each sequence the same
    /// observation: then the coordinator knows more of it than it holds itself.
    pub id: Option<OutboxId>,
    /// The id with which it goes on if it turns out to be an old copy, instead of a random one. For simulations only: no
    /// two copies may ever go on as the same.
    pub successor: Option<OutboxId>,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        OutboxOptions {
            rows_max: 1_000_000,
            bytes_max: 1 << 30,
            id: None,
            successor: None,
        }
    }
}

/// What the coordinator's word was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing new, or not about this outbox.
    Known,
    /// More is committed than before.
    News,
    /// It has what this file never published: the outbox has a new id from now on.
    OldCopy,
}

/// A node's outbox.
#[derive(Debug)]
pub struct Outbox {
    connection: Connection,
    path: PathBuf,
    node: NodeName,
    id: OutboxId,
    rows_max: u64,
    bytes_max: u64,
    rows: u64,
    last_sequence: u64,
    committed: u64,
    /// Up to where the file says so, too: less than that after a word that the disk had no room for.
    marked: u64,
    /// All up to here may have been published.
    offered: u64,
    /// The last sequence when it was opened.
    opened_with: u64,
    /// What is appended is published at once.
    is_online: bool,
    loss: Option<Loss>,
    /// What it is given comes from a recording.
    is_replayed: bool,
    successor: Option<OutboxId>,
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
            Content::Older => {
                file::upgrade(&mut connection).map_err(fail)?;
                file::load(&connection).map_err(fail)?
            }
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
            bytes_max: options.bytes_max,
            rows: state.rows,
            last_sequence: state.last_sequence,
            committed: state.committed,
            marked: state.committed,
            offered: state.offered,
            opened_with: state.last_sequence,
            is_online: false,
            loss: state.loss,
            successor: options.successor,
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

    /// Whether its observations may be published before the coordinator has said what it has of them: nothing was
    /// stamped before it was opened, so it is no old copy.
    pub fn is_fresh(&self) -> bool {
        self.opened_with == 0 || self.is_replayed
    }

    /// Whether what is appended from now on is published at once.
    pub fn set_online(&mut self, is_online: bool) {
        self.is_online = is_online;
    }

    /// Stamps a group of observations and makes them durable, all or none; only then may they be published. Gives
    /// those that were kept.
    ///
    /// At its limits, or on a full disk, it keeps none of them and counts what it [loses](Outbox::loss); as soon as there
    /// is room again, a gap that tells of the loss comes before what is kept. So a call without observations may keep
    /// something, too. An observation that no reader would accept is refused with the bound that it breaks.
    pub fn append(
        &mut self,
        clock: &NodeClock,
        observations: Vec<Observation>,
    ) -> Result<Vec<Stamped>, OutboxError> {
        let told = self.loss.map(|loss| loss.told(clock.wall_us));
        if observations.is_empty() && told.is_none() {
            return Ok(Vec::new());
        }
        let stamped: Vec<Stamped> = (self.last_sequence + 1..)
            .zip(told.into_iter().chain(observations.iter().cloned()))
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
        if !self.makes_room(stamped.len() as u64)? || !self.insert(&stamped)? {
            self.lose(&observations)?;
            return Ok(Vec::new());
        }
        self.loss = None;
        self.rows += stamped.len() as u64;
        self.last_sequence += stamped.len() as u64;
        if self.is_online {
            self.offered = self.last_sequence;
        }
        Ok(stamped)
    }

    /// False if the disk has no room even without what is committed.
    fn insert(&mut self, stamped: &[Stamped]) -> Result<bool, OutboxError> {
        let mut is_folded = false;
        loop {
            match file::insert(&mut self.connection, stamped, self.is_online) {
                Ok(()) => return Ok(true),
                Err(InsertError::Sqlite(source)) if is_full(&source) => {
                    if self.forget_committed()? == 0 {
                        if is_folded {
                            return Ok(false);
                        }
                        is_folded = true;
                        self.fold_log().map_err(|source| self.fail(source))?;
                    }
                }
                Err(cause) => return Err(cause.at(&self.path, &self.node)),
            }
        }
    }

    /// Does something for which a full disk may have room after all: what the write-ahead log holds is folded into the
    /// file, and the room that the log has is used again. `None` if there is none.
    fn with_room<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        for is_last in [false, true] {
            match work(self) {
                Ok(done) => return Ok(Some(done)),
                Err(source) if !is_full(&source) => return Err(source),
                Err(_) if is_last => {}
                Err(_) => self.fold_log()?,
            }
        }
        Ok(None)
    }

    fn fold_log(&self) -> rusqlite::Result<()> {
        match file::fold_log(&self.connection) {
            Err(source) if !is_full(&source) => Err(source),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn fail(&self, source: rusqlite::Error) -> OutboxError {
        OutboxError::sqlite(&self.path, &self.node, source)
    }

    /// The same as [`Outbox::pending`], to be published now.
    pub fn offer(&mut self, after: u64, limit: usize) -> Result<Vec<Stamped>, OutboxError> {
        let pending = self.pending(after, limit)?;
        let upto = pending.last().map_or(0, |s| s.stamp.sequence);
        if upto > self.offered {
            match file::offer(&self.connection, upto) {
                // Sending is what makes room: a full disk must not keep it from doing so.
                Err(source) if !is_full(&source) => return Err(self.fail(source)),
                Ok(()) | Err(_) => self.offered = upto,
            }
        }
        Ok(pending)
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
    /// time. The word for another outbox is ignored, and it never goes back.
    ///
    /// If the coordinator has what this file never published, the file is an old copy: it goes on with a new id.
    pub fn committed(
        &mut self,
        committed: &Committed,
        now: Timestamp,
    ) -> Result<Word, OutboxError> {
        let sequence = if self.is_replayed {
            committed.sequence.min(self.last_sequence)
        } else {
            committed.sequence
        };
        if committed.outbox != self.id || sequence <= self.committed {
            return Ok(Word::Known);
        }
        if sequence > self.offered && !self.is_replayed {
            self.give_up(now)?;
            return Ok(Word::OldCopy);
        }
        let mark =
            |outbox: &mut Self| file::mark(&mut outbox.connection, outbox.marked, sequence, now.0);
        let marked = self.with_room(mark).map_err(|source| self.fail(source))?;
        // Not kept, it is noted with the next word, or said again after the next start.
        if marked.is_some() {
            self.marked = sequence;
        }
        self.committed = sequence;
        Ok(Word::News)
    }

    /// The coordinator has begun with an older journal, and wants everything after a sequence once more, as far as it is
    /// still there. True if there is anything.
    pub fn wanted_after(&mut self, sequence: u64) -> Result<bool, OutboxError> {
        if sequence >= self.committed || self.is_replayed {
            return Ok(false);
        }
        file::unmark(&mut self.connection, sequence).map_err(|source| self.fail(source))?;
        (self.committed, self.marked) = (sequence, sequence.min(self.marked));
        Ok(true)
    }

    /// Keeps what plates read while nothing moves. What observations say of plates that are kept is reckoned in as they are
    /// appended. On a full disk nothing is kept, and what was kept stays.
    pub fn keep_levels(&mut self, levels: &Levels) -> Result<(), OutboxError> {
        match file::keep_levels(&mut self.connection, levels) {
            Err(source) if !is_full(&source) => Err(self.fail(source)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// What plates read when that was last known.
    pub fn levels(&self) -> Result<Levels, OutboxError> {
        file::levels(&self.connection).map_err(|source| self.fail(source))
    }

    /// Deletes what was committed 24 hours or longer before `now`; how many rows went.
    pub fn prune(&mut self, now: Timestamp) -> Result<u64, OutboxError> {
        let gone = match file::prune(&self.connection, now.0.saturating_sub(KEPT_US)) {
            Err(source) if !is_full(&source) => return Err(self.fail(source)),
            pruned => pruned.unwrap_or(0),
        };
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
