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
        let id = match self.successor.take() {
            Some(id) => id,
            None => file::random_id().map_err(|source| OutboxError::Random {
                path: self.path.clone(),
                node: self.node.clone(),
                source,
            })?,
        };
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
        let clock = clock.unwrap_or_else(|| NodeClock {
            boot: String::new(),
            monotonic_us: 0,
            wall_us: now,
            error_us: 0,
        });
        let told = (clock, gap);
        let again = fresh.into_iter().map(|s| (s.clock, s.observation));
        let stamped: Vec<Stamped> = (1..)
            .zip(std::iter::once(told).chain(again))
            .map(|(sequence, (clock, observation))| Stamped {
                stamp: stamp(self, &id, sequence),
                clock,
                observation,
            })
            .collect();
        let successor = file::Successor {
            id: &id,
            stamped: &stamped,
            doubtful_upto: self.opened_with,
        };
        file::replace(&mut self.connection, &successor)
            .map_err(|cause| cause.at(&self.path, &self.node))?;
        tracing::warn!(
            "the outbox {} of node `{}` was an old copy and goes on as {id}; {} observations that it held are put aside",
            self.path.display(),
            self.node,
            doubtful.len()
        );
        self.id = id;
        (self.rows, self.last_sequence) = (stamped.len() as u64, stamped.len() as u64);
        (self.committed, self.marked, self.offered, self.opened_with) = (0, 0, 0, 0);
        Ok(())
    }
}

fn stamp(outbox: &Outbox, id: &OutboxId, sequence: u64) -> Stamp {
    Stamp {
        node: outbox.node.clone(),
        outbox: id.clone(),
        sequence,
    }
}
