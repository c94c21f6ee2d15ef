//! The limits of an outbox, and what happens there.
//!
//! What is committed and kept for a day longer goes first, the oldest before the rest. If that is not enough, or the
//! disk has no room, what comes is not kept: it is counted, with the time in which it was seen, and told as a gap as soon
//! as there is room again.

use super::{Outbox, OutboxError, file};
use crate::edge::sqlite::is_full;
use crate::observation::{GapCause, GapObservation, Observation};
use crate::units::Timestamp;

/// Committed rows that are given up at a time.
const FORGOTTEN_AT_ONCE: u64 = 1_000;

/// What could not be kept since the outbox was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Event time at which the first of it began.
    pub since: Timestamp,
    /// Event time at which the last of it ended.
    pub until: Timestamp,
    /// Observations.
    pub dropped: u64,
}

impl Loss {
    /// As it is told, at event time `now`.
    pub(super) fn told(&self, now: Timestamp) -> Observation {
        Observation::Gap(GapObservation {
            start: self.since,
            end: now.max(self.until),
            cause: GapCause::Full,
            dropped: self.dropped,
            replaces: None,
            shelves: Vec::new(),
        })
    }
}

impl Outbox {
    /// What could not be kept and is not told yet: while there is any, the node has nothing to promise after
    /// [`Loss::since`].
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.as_ref()
    }

    /// Whether so many rows more can be kept. A full outbox takes nothing before it is an eighth below its limits, so that
    /// the store doesn't open and close by turns.
    pub(super) fn makes_room(&mut self, more: u64) -> Result<bool, OutboxError> {
        let below = |max: u64| match self.loss {
            Some(_) => max - max / 8,
            None => max,
        };
        let (rows_max, bytes_max) = (below(self.rows_max), below(self.bytes_max));
        loop {
            let bytes = file::bytes(&self.connection).map_err(|source| self.fail(source))?;
            if self.rows + more <= rows_max && bytes <= bytes_max {
                return Ok(true);
            }
            if self.forget_committed()? == 0 {
                return Ok(false);
            }
        }
    }

    /// Gives up the oldest rows that are committed; how many.
    pub(super) fn forget_committed(&mut self) -> Result<u64, OutboxError> {
        let forget =
            |outbox: &mut Self| file::forget_committed(&outbox.connection, FORGOTTEN_AT_ONCE);
        let gone = self.with_room(forget).map_err(|source| self.fail(source))?;
        let gone = gone.unwrap_or(0);
        self.rows = self.rows.saturating_sub(gone);
        Ok(gone)
    }

    /// Counts what can't be kept. On a disk without room for a single page only this process knows of it; after a power
    /// cut the node finds what changed on its shelves meanwhile.
    pub(super) fn lose(&mut self, observations: &[Observation]) -> Result<(), OutboxError> {
        let starts = observations.iter().map(Observation::start);
        let ends = observations.iter().map(Observation::end);
        let Some((since, until)) = starts.min().zip(ends.max()) else {
            return Ok(());
        };
        let dropped = observations.len() as u64;
        let loss = match self.loss {
            None => Loss {
                since,
                until,
                dropped,
            },
            Some(before) => Loss {
                since: before.since.min(since),
                until: before.until.max(until),
                dropped: before.dropped + dropped,
            },
        };
        self.loss = Some(loss);
        match file::keep_loss(&self.connection, &loss) {
            Err(source) if !is_full(&source) => Err(self.fail(source)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
