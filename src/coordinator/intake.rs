//! What has arrived: each stamp once, in the order of event time, as far as the watermarks promise.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inferring::PEAK_ERROR_S_MAX;
use crate::checkout::attribution::reach::REACH_WINDOW_S;
use crate::observation::{
    NodeStatus, Observation, OpenInterval, OutboxId, Stamp, Stamped, Watermark,
};
use crate::store::NodeName;
use crate::units::Timestamp;

/// Poses are awaited for this long after the moment of a change, seconds: attribution looks a little past it.
pub const POSES_AWAITED_S: f64 = 0.3;

/// Sequences received ahead of a missing one, at most, of one outbox; what comes beyond is left for the node to
/// send again.
const AHEAD_MAX: usize = 65_536;

/// Promises of one node that wait for observations, at most; beyond it the newest takes the place of the one before.
const WAITING_MAX: usize = 64;

/// When an observation is due to be decided, then who saw it: the order of decisions, whatever the order of arrival.
pub type Due = (Timestamp, NodeName, u64, OutboxId);

/// When an observation can be decided. Everything that it depends on, and everything that comes before it, is
/// known once every node has promised this time.
pub fn due_at(observation: &Observation) -> Timestamp {
    match observation {
        Observation::Shelf(o) => {
            let error_s = (o.peak_error_us as f64 / 1e6).min(PEAK_ERROR_S_MAX);
            let stood = o
                .stood
                .as_ref()
                .map(|s| s.until.plus_seconds(REACH_WINDOW_S));
            let changed = o.peak.plus_seconds(REACH_WINDOW_S + error_s);
            o.end.max(changed).max(stood.unwrap_or(changed))
        }
        Observation::Body(o) => o.start,
        // Before the change that it is about, which is due at its own end or later.
        Observation::Vision(o) => o.end,
        Observation::Gap(o) => o.end,
        Observation::Gate(o) => match o.event {
            crate::observation::GateEvent::CodeShown { .. } => o.at,
            // Whose body passed is told by the poses around it.
            crate::observation::GateEvent::PassedIn | crate::observation::GateEvent::PassedOut => {
                o.at.plus_seconds(POSES_AWAITED_S)
            }
        },
    }
}

/// What has arrived of an outbox, as it is kept over a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptOutbox {
    node: NodeName,
    outbox: OutboxId,
    contiguous: u64,
    ahead: BTreeSet<u64>,
}

/// What is known of one outbox.
#[derive(Clone, Debug, Default)]
struct Received {
    /// All up to this.
    contiguous: u64,
    /// Some beyond it.
    ahead: BTreeSet<u64>,
}

/// What is known of one node.
#[derive(Clone, Debug, Default)]
struct Heard {
    /// Wall time of the last sign of life.
    at: Option<Timestamp>,
    /// Wall time at which its promise last moved on, or at which it came back from silence.
    moved_at: Option<Timestamp>,
    /// What it promises, as far as everything before the promise has arrived.
    promise: Option<Watermark>,
    /// Promises that wait for observations still under way, oldest first.
    waiting: VecDeque<Watermark>,
    /// Outboxes that have spoken since the start.
    outboxes: BTreeSet<OutboxId>,
    /// What it last said of itself: shown, and never decided by.
    status: Option<NodeStatus>,
}

impl Heard {
    /// Whether a newer promise of the same outbox is here already: one that comes late or twice says nothing.
    fn is_stale(&self, watermark: &Watermark) -> bool {
        (self.waiting.back().or(self.promise.as_ref()))
            .is_some_and(|last| last.outbox == watermark.outbox && watermark.at < last.at)
    }
}

/// Sequences of an outbox that will never come: those between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub outbox: OutboxId,
    pub after: u64,
    pub before: u64,
}

/// The arrivals that are not decided yet.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    outboxes: BTreeMap<(NodeName, OutboxId), Received>,
    nodes: BTreeMap<NodeName, Heard>,
    /// What each node promises, the least first.
    promises: BTreeSet<(Timestamp, NodeName)>,
    pending: BTreeMap<Due, Arc<Stamped>>,
}

impl Intake {
    /// Expects the nodes that take part.
    pub fn new(nodes: impl IntoIterator<Item = NodeName>) -> Self {
        let nodes: BTreeMap<_, _> = nodes.into_iter().map(|n| (n, Heard::default())).collect();
        let promises = nodes.keys().map(|n| (Timestamp::MIN, n.clone()));
        Intake {
            promises: promises.collect(),
            nodes,
            ..Intake::default()
        }
    }

    /// Notes that an outbox speaks. If it takes the place of another one of its node: what is known to be missing of
    /// that one.
    pub fn meet(&mut self, node: &NodeName, outbox: &OutboxId) -> Option<Vec<Missing>> {
        let heard = self.nodes.get_mut(node)?;
        if !heard.outboxes.insert(outbox.clone()) {
            return None;
        }
        let key = (node.clone(), outbox.clone());
        let others = self.of_node(node).filter(|(other, _)| *other != outbox);
        let missing: Vec<Missing> = others
            .flat_map(|(id, r)| self.missing(node, id, r))
            .collect();
        let heard = self.nodes.get(node)?;
        let had_another = heard.outboxes.len() > 1 || self.of_node(node).next().is_some();
        (had_another && !self.outboxes.contains_key(&key)).then_some(missing)
    }

    fn of_node(&self, node: &NodeName) -> impl Iterator<Item = (&OutboxId, &Received)> {
        let from = (node.clone(), OutboxId::from(""));
        let all = self.outboxes.range(from..);
        all.take_while(move |((of, _), _)| of == node)
            .map(|((_, outbox), received)| (outbox, received))
    }

    /// What never came of an outbox, as far as is known that there was more.
    fn missing(&self, node: &NodeName, outbox: &OutboxId, received: &Received) -> Vec<Missing> {
        let waiting = self.nodes.get(node).into_iter().flat_map(|h| &h.waiting);
        let promised = waiting.filter(|w| w.outbox == *outbox).map(|w| w.sequence);
        let beyond = promised.max().unwrap_or(0).saturating_add(1);
        let known = received.ahead.iter().copied().chain([beyond]);
        let mut after = received.contiguous;
        let mut missing = Vec::new();
        for before in known {
            if before > after + 1 {
                let outbox = outbox.clone();
                missing.push(Missing {
                    outbox,
                    after,
                    before,
                });
            }
            after = after.max(before);
        }
        missing
    }

    /// Notes a stamp. False if it was there already, or is too far ahead to be kept.
    pub fn note(&mut self, stamp: &Stamp) -> bool {
        let received = self
            .outboxes
            .entry((stamp.node.clone(), stamp.outbox.clone()))
            .or_default();
        let next = stamp.sequence == received.contiguous + 1;
        // The missing one is always welcome: it is what the others wait for.
        let full = received.ahead.len() >= AHEAD_MAX && !next;
        if stamp.sequence <= received.contiguous || full {
            return false;
        }
        if !received.ahead.insert(stamp.sequence) {
            return false;
        }
        while received.ahead.remove(&(received.contiguous + 1)) {
            received.contiguous += 1;
        }
        true
    }

    /// Lets an observation wait for its time.
    pub fn wait(&mut self, stamped: Arc<Stamped>) {
        let stamp = &stamped.stamp;
        let due = (
            due_at(&stamped.observation),
            stamp.node.clone(),
            stamp.sequence,
            stamp.outbox.clone(),
        );
        self.pending.insert(due, stamped);
    }

    /// The last sequence of an outbox up to which nothing is missing.
    pub fn contiguous(&self, node: &NodeName, outbox: &OutboxId) -> u64 {
        self.outboxes
            .get(&(node.clone(), outbox.clone()))
            .map_or(0, |r| r.contiguous)
    }

    /// Every outbox that was ever heard of, with the sequence up to which nothing is missing.
    pub fn outboxes(&self) -> impl Iterator<Item = (&NodeName, &OutboxId, u64)> {
        self.outboxes
            .iter()
            .map(|((node, outbox), r)| (node, outbox, r.contiguous))
    }

    /// A sign of life at wall time `now`.
    pub fn heard(&mut self, node: &NodeName, now: Timestamp) {
        if let Some(heard) = self.nodes.get_mut(node) {
            heard.at = Some(now);
        }
    }

    /// What a node says of itself.
    pub fn told(&mut self, status: &NodeStatus) {
        if let Some(heard) = self.nodes.get_mut(&status.node) {
            heard.status = Some(status.clone());
        }
    }

    /// What a node last said of itself.
    pub fn status(&self, node: &NodeName) -> Option<&NodeStatus> {
        self.nodes.get(node)?.status.as_ref()
    }

    /// Waits as long for a node that is back as for one that has just moved on.
    pub fn is_back(&mut self, node: &NodeName, now: Timestamp) {
        if let Some(heard) = self.nodes.get_mut(node) {
            heard.moved_at = Some(now);
        }
    }

    /// Takes a promise at wall time `now`; it counts once all observations before it have arrived. True if it, or one
    /// before it, counts from now on.
    pub fn promised(&mut self, watermark: Watermark, now: Timestamp) -> bool {
        let node = self.nodes.get_mut(&watermark.node);
        if let Some(heard) = node.filter(|heard| !heard.is_stale(&watermark)) {
            if heard.waiting.len() == WAITING_MAX {
                heard.waiting.pop_back();
            }
            let node = watermark.node.clone();
            heard.waiting.push_back(watermark);
            let before = self.promise_of(&node);
            self.settle_promises(&node, now);
            return self.promise_of(&node) > before;
        }
        false
    }

    /// The time that a node has promised, if it has promised any.
    pub fn promised_by(&self, node: &NodeName) -> Option<Timestamp> {
        self.promise_of(node)
    }

    /// Where what has arrived of another outbox of a node ends.
    pub fn end_of_another(&self, node: &NodeName, outbox: &OutboxId) -> Option<Missing> {
        let mut others = self.of_node(node).filter(|(other, _)| *other != outbox);
        let (other, received) = others.next()?;
        Some(Missing {
            outbox: other.clone(),
            after: received.contiguous,
            before: received.contiguous + 1,
        })
    }

    fn promise_of(&self, node: &NodeName) -> Option<Timestamp> {
        Some(self.nodes.get(node)?.promise.as_ref()?.at)
    }

    /// Lets promises of a node count whose observations have all arrived by wall time `now`.
    pub fn settle_promises(&mut self, node: &NodeName, now: Timestamp) {
        let Some(heard) = self.nodes.get_mut(node) else {
            return;
        };
        let arrived = |w: &Watermark| {
            let received = self.outboxes.get(&(node.clone(), w.outbox.clone()));
            received.map_or(0, |r| r.contiguous) >= w.sequence
        };
        let Some(last) = heard.waiting.iter().rposition(arrived) else {
            return;
        };
        let Some(mut promise) = heard.waiting.drain(..=last).next_back() else {
            return;
        };
        // A promise is never taken back.
        let before = heard.promise.as_ref().map_or(Timestamp::MIN, |p| p.at);
        if promise.at > before {
            heard.moved_at = Some(now);
            self.promises.remove(&(before, node.clone()));
            self.promises.insert((promise.at, node.clone()));
        }
        promise.at = promise.at.max(before);
        heard.promise = Some(promise);
    }

    /// The time that every node but the `silent` ones has promised.
    pub fn promise(&self, silent: impl Fn(&NodeName) -> bool) -> Timestamp {
        let least = self.promises.iter().find(|(_, node)| !silent(node));
        least.map_or(Timestamp::MIN, |(at, _)| *at)
    }

    /// The intervals that are open on the shelves of every node but the `silent` ones.
    pub fn open(&self, silent: impl Fn(&NodeName) -> bool) -> impl Iterator<Item = &OpenInterval> {
        (self.nodes.iter())
            .filter(move |(node, _)| !silent(node))
            .filter_map(|(_, heard)| heard.promise.as_ref())
            .flat_map(|p| &p.open)
    }

    /// Nothing more will come: what was open has ended, and no promise waits any more.
    pub fn close(&mut self) {
        for heard in self.nodes.values_mut() {
            heard.waiting.clear();
            if let Some(promise) = &mut heard.promise {
                promise.open.clear();
            }
        }
    }

    /// The nodes that take part, with the wall time of their last sign of life and the time they have promised.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeName, Option<Timestamp>, Option<Timestamp>)> {
        self.nodes
            .iter()
            .map(|(node, heard)| (node, heard.at, heard.promise.as_ref().map(|p| p.at)))
    }

    /// When each node's promise last moved on, wall time.
    pub fn moved(&self) -> impl Iterator<Item = (&NodeName, Option<Timestamp>)> {
        (self.nodes.iter()).map(|(node, heard)| (node, heard.moved_at))
    }

    /// Every outbox, with all that has arrived of it.
    pub fn keep(&self) -> Vec<KeptOutbox> {
        let outboxes = self.outboxes.iter();
        outboxes
            .map(|((node, outbox), received)| KeptOutbox {
                node: node.clone(),
                outbox: outbox.clone(),
                contiguous: received.contiguous,
                ahead: received.ahead.clone(),
            })
            .collect()
    }

    /// After a restart: what had arrived.
    pub fn kept(&mut self, outboxes: Vec<KeptOutbox>) {
        for kept in outboxes {
            let received = Received {
                contiguous: kept.contiguous,
                ahead: kept.ahead,
            };
            self.outboxes.insert((kept.node, kept.outbox), received);
        }
    }

    /// When the next observation is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.pending.first_key_value().map(|(due, _)| due.0)
    }

    /// The next observation.
    pub fn pop(&mut self) -> Option<(Timestamp, Arc<Stamped>)> {
        self.pending
            .pop_first()
            .map(|(due, stamped)| (due.0, stamped))
    }

    /// The observations that wait, in order.
    pub fn waiting(&self) -> impl Iterator<Item = &Stamped> {
        self.pending.values().map(|s| &**s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sequence: u64) -> Stamp {
        Stamp {
            node: "n".into(),
            outbox: "o".into(),
            sequence,
        }
    }

    fn watermark(sequence: u64, at: i64) -> Watermark {
        Watermark {
            node: "n".into(),
            outbox: "o".into(),
            sequence,
            at: Timestamp(at),
            open: vec![],
        }
    }

    #[test]
    fn each_stamp_counts_once_and_gaps_hold_back() {
        let mut intake = Intake::new(["n".into()]);
        for (sequence, new, contiguous) in [
            (1, true, 1),
            (1, false, 1),
            (3, true, 1),
            (4, true, 1),
            (3, false, 1),
            (2, true, 4),
            (2, false, 4),
        ] {
            assert_eq!(intake.note(&stamp(sequence)), new, "{sequence}");
            assert_eq!(intake.contiguous(&"n".into(), &"o".into()), contiguous);
        }
    }

    #[test]
    fn a_promise_waits_for_what_came_before_it() {
        let mut intake = Intake::new(["n".into(), "m".into()]);
        let all = |_: &NodeName| false;
        intake.promised(watermark(2, 100), Timestamp(0));
        assert_eq!(intake.promise(|n| n.as_str() == "m"), Timestamp::MIN);
        intake.note(&stamp(2));
        intake.note(&stamp(1));
        intake.settle_promises(&"n".into(), Timestamp(0));
        assert_eq!(intake.promise(|n| n.as_str() == "m"), Timestamp(100));
        assert_eq!(
            intake.promise(all),
            Timestamp::MIN,
            "the other node has promised nothing"
        );
        intake.promised(watermark(0, 50), Timestamp(0));
        assert_eq!(
            intake.promise(|n| n.as_str() == "m"),
            Timestamp(100),
            "never taken back"
        );
    }

    #[test]
    fn promises_count_one_after_another_while_newer_ones_wait() {
        let mut intake = Intake::new(["n".into()]);
        let promise = |intake: &Intake| intake.promise(|_| false);
        intake.promised(watermark(1, 10), Timestamp(0));
        intake.promised(watermark(2, 20), Timestamp(0));
        intake.promised(watermark(0, 5), Timestamp(0));
        intake.note(&stamp(1));
        intake.settle_promises(&"n".into(), Timestamp(0));
        assert_eq!(promise(&intake), Timestamp(10));
        for at in 21..2_000 {
            intake.promised(watermark(3, at), Timestamp(0));
        }
        assert_eq!(intake.nodes[&"n".into()].waiting.len(), WAITING_MAX);
        intake.note(&stamp(2));
        intake.settle_promises(&"n".into(), Timestamp(0));
        assert_eq!(promise(&intake), Timestamp(20));
        intake.note(&stamp(3));
        intake.settle_promises(&"n".into(), Timestamp(0));
        assert_eq!(promise(&intake), Timestamp(1_999));
    }

    #[test]
    fn the_missing_sequence_is_taken_however_many_wait_behind_it() {
        let mut intake = Intake::new(["n".into()]);
        let beyond = AHEAD_MAX as u64 + 2;
        for sequence in 2..beyond {
            assert!(intake.note(&stamp(sequence)));
        }
        assert!(!intake.note(&stamp(beyond)), "the bound");
        assert!(intake.note(&stamp(1)));
        assert_eq!(intake.contiguous(&"n".into(), &"o".into()), beyond - 1);
        assert!(intake.note(&stamp(beyond)));
    }
}
