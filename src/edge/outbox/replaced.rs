//! An outbox that turns out to be an old copy: a memory card that was swapped or restored.
//!
//! The file notes what it may have published ([`Outbox::offer`]). If the coordinator has more than that, a newer copy of
//! the file has given out the same sequences: what this one stamps would pass for what is counted already. So it takes a
//! new id. What was stamped since it was opened is new, and is stamped again; what lay in the copy unsent may have been
//! sent by the newer one, and is put aside: nobody can say whether it counted.

use super::{Outbox, OutboxError, file};
use crate::observation::{
    GapCause, GapObservation, NodeClock, Observation, OutboxId, Stamp, Stamped,
};
use crate::units::Timestamp;

impl Outbox {
    /// Gives up the id, at wall time `now`.
    pub(super) fn give_up(&mut self, now: Timestamp) -> Result<(), OutboxError> {
        let id = self.next_id()?;
        let known = self.offered.min(self.opened_with);
        let fresh = self.pending(self.opened_with, usize::MAX)?;
        let doubtful = self.pending(known, usize::MAX)?;
        let doubtful = &doubtful[..doubtful.len() - fresh.len()];
        let since = match (
            doubtful.first(),
            self.pending(known.saturating_sub(1), 1)?.first(),
        ) {
            (Some(first), _) => first.observation.start(),
            (None, Some(last)) => last.observation.end(),
            (None, None) => now,
        };
        let gap = Observation::Gap(GapObservation {
            start: since.min(now),
            end: now,
            cause: GapCause::Replaced,
            dropped: doubtful.len() as u64,
            replaces: Some(self.id.clone()),
            shelves: Vec::new(),
        });
        // The newest clock that is known: a gap is told when it is noticed.
        let clock = fresh.last().or(doubtful.last()).map(|s| s.clock.clone());
        let told = (clock.unwrap_or_else(|| unknown_clock(now)), gap);
        let again = fresh.into_iter().map(|s| (s.clock, s.observation));
        let stamped = self.stamped_as(&id, std::iter::once(told).chain(again));
        tracing::warn!(
            "the outbox {} of node `{}` was an old copy and goes on as {id}; {} observations that it held are put aside",
            self.path.display(),
            self.node,
            doubtful.len()
        );
        self.go_on_as(id, &stamped, self.opened_with)
    }
}

impl Outbox {
    /// The coordinator has begun with a journal that is older than what the outbox still holds: what lay between is pruned,
    /// and nobody has it any more. Then it goes on with a new id, tells of that with a gap, and stamps what it holds again,
    /// for the old numbers could never follow each other. True if it was so; `now` is the wall time.
    pub fn renew_after(&mut self, sequence: u64, now: Timestamp) -> Result<bool, OutboxError> {
        let is_older = sequence < self.committed && !self.is_replayed;
        if !is_older {
            return Ok(false);
        }
        let first = self.pending(sequence, 1)?.into_iter().next();
        let held_from = first
            .as_ref()
            .map_or(self.last_sequence + 1, |s| s.stamp.sequence);
        let dropped = held_from - sequence - 1;
        if dropped == 0 {
            return Ok(false);
        }
        let id = self.next_id()?;
        let held = self.pending(sequence, usize::MAX)?;
        let at = first.as_ref().map_or(now, |s| s.observation.start());
        let gap = Observation::Gap(GapObservation {
            start: at,
            end: at,
            cause: GapCause::Replaced,
            dropped,
            replaces: Some(self.id.clone()),
            shelves: Vec::new(),
        });
        let clock = first.map_or_else(|| unknown_clock(now), |s| s.clock);
        let again = held.into_iter().map(|s| (s.clock, s.observation));
        let stamped = self.stamped_as(&id, std::iter::once((clock, gap)).chain(again));
        tracing::warn!(
            "the coordinator has a journal from before what the outbox {} of node `{}` still holds; {dropped} observations are lost, and it goes on as {id}",
            self.path.display(),
            self.node
        );
        self.go_on_as(id, &stamped, 0)?;
        Ok(true)
    }

    fn next_id(&mut self) -> Result<OutboxId, OutboxError> {
        match self.successor.take() {
            Some(id) => Ok(id),
            None => file::random_id().map_err(|source| OutboxError::Random {
                path: self.path.clone(),
                node: self.node.clone(),
                source,
            }),
        }
    }

    fn stamped_as(
        &self,
        id: &OutboxId,
        told: impl Iterator<Item = (NodeClock, Observation)>,
    ) -> Vec<Stamped> {
        let stamp = |sequence| Stamp {
            node: self.node.clone(),
            outbox: id.clone(),
            sequence,
        };
        (1..)
            .zip(told)
            .map(|(sequence, (clock, observation))| Stamped {
                stamp: stamp(sequence),
                clock,
                observation,
            })
            .collect()
    }

    /// Takes that id, and holds only that; rows of the old one up to `doubtful_upto` are put aside.
    fn go_on_as(
        &mut self,
        id: OutboxId,
        stamped: &[Stamped],
        doubtful_upto: u64,
    ) -> Result<(), OutboxError> {
        let successor = file::Successor {
            id: &id,
            stamped,
            doubtful_upto,
        };
        file::replace(&mut self.connection, &successor)
            .map_err(|cause| cause.at(&self.path, &self.node))?;
        self.id = id;
        (self.rows, self.last_sequence) = (stamped.len() as u64, stamped.len() as u64);
        (self.committed, self.marked, self.offered, self.opened_with) = (0, 0, 0, 0);
        Ok(())
    }
}

fn unknown_clock(now: Timestamp) -> NodeClock {
    NodeClock {
        boot: String::new(),
        monotonic_us: 0,
        wall_us: now,
        error_us: 0,
    }
}
