//! When the store lets nobody in: while it is blind or in danger, and after closing time. Each reason is a decision, and
//! its end is one, too.

use super::{Coordinator, Output};
use crate::checkout::decision::Decision;
use crate::checkout::entry::Bar;
use crate::checkout::session::Role;
use crate::observation::{GateState, NodeClock, NodeStatus};
use crate::store::NodeName;
use crate::units::Timestamp;

/// Event time that is so far from the wall's is that of a recording, seconds.
const PLAYED_S: f64 = 86_400.0;

impl Coordinator {
    /// Lets nobody in from now on, for a reason.
    pub(super) fn bar(&mut self, bar: Bar, reason: String, now: Timestamp, out: &mut Vec<Output>) {
        if self.state.bars.contains_key(&bar) {
            return;
        }
        let at = self.event_time(now);
        let barred = Decision::EntryBarred {
            bar: bar.clone(),
            at,
            reason,
        };
        self.decide(barred, out);
        self.begin(&bar, out);
    }

    /// That reason is gone.
    pub(super) fn unbar(&mut self, bar: Bar, now: Timestamp, out: &mut Vec<Output>) {
        let Some(barred) = self.state.bars.get(&bar) else {
            return;
        };
        let (since, at) = (barred.since, self.event_time(now));
        let was_emergency = bar == Bar::Emergency;
        self.decide(Decision::EntryFreed { bar, at }, out);
        if was_emergency {
            self.write_off(since, out);
        }
        self.advance(out);
    }

    /// The moment of something that people do, in the time of what nodes see: the wall's, unless they play a recording of
    /// another day.
    fn event_time(&self, now: Timestamp) -> Timestamp {
        let decided_to = self.state.frontier;
        let is_played = now.seconds_since(decided_to).abs() > PLAYED_S;
        if is_played && decided_to != Timestamp::MIN {
            return decided_to;
        }
        now
    }

    /// Why somebody of that role is not let in, if so.
    pub(super) fn barred(&self, role: Role) -> Option<&str> {
        let mut bars = self.state.bars.iter();
        let (_, barred) = bars.find(|(bar, _)| role.is_shopper() || bar.concerns_staff())?;
        Some(&barred.reason)
    }

    /// A node that is in trouble sees nothing that can be relied on.
    pub(super) fn heed_trouble(
        &mut self,
        status: &NodeStatus,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let node = status.node.clone();
        if self.definition.layout.node(&node).is_none() {
            return;
        }
        if status.gate == Some(GateState::Alarm) {
            // It is over when an operator says so, not when somebody pulls the button out again.
            let reason = format!("there is an emergency, says the input of node {node}");
            self.bar(Bar::Emergency, reason, now, out);
        }
        if status.trouble.is_empty() {
            self.unbar(Bar::Node { node }, now, out);
        } else {
            let reason = format!("the store cannot see: node {node}: {}", status.trouble);
            self.bar(Bar::Node { node }, reason, now, out);
        }
    }

    /// What a node saw can't be put in order with the rest if its clock is off by too much.
    pub(super) fn heed_clock(
        &mut self,
        node: &NodeName,
        clock: &NodeClock,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let error_s = clock.error_us as f64 / 1e6;
        let bar = Bar::Clock { node: node.clone() };
        if error_s <= self.definition.policy.limits.clock_error_max_s {
            self.unbar(bar, now, out);
        } else if self.definition.layout.node(node).is_some() {
            let reason =
                format!("the store cannot see: the clock of node {node} may be {error_s:.1} s off");
            self.bar(bar, reason, now, out);
        }
    }
}
