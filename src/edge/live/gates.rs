//! What gates are told: held while all is well, opened for who is let in, left alone in an emergency.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::checkout::entry::Bar;
use crate::coordinator::{Coordinator, Effect};
use crate::edge::mqtt::CoordinatorLink;
use crate::observation::{GateOrder, NodeState, NodeStatus};
use crate::store::NodeName;

/// How often a gate is told to stay shut, and for how long: a coordinator that is gone for longer holds nobody.
const HOLD_EVERY: Duration = Duration::from_millis(800);
const HOLD_MS: u64 = 3_000;
/// Who is let in has so long to pass.
const OPEN_MS: u64 = 8_000;
/// Gates of a store; more are left open.
const GATES_MAX: usize = 16;

/// The nodes that keep a gate, as they say themselves.
#[derive(Debug, Default)]
pub(super) struct Gates {
    nodes: BTreeSet<NodeName>,
    held_at: Option<Instant>,
}

impl Gates {
    /// Takes note of a node's state.
    pub(super) fn note(&mut self, status: &NodeStatus) {
        let keeps_one = status.state == NodeState::Online && status.gate.is_some();
        if !keeps_one {
            self.nodes.remove(&status.node);
        } else if self.nodes.len() < GATES_MAX && self.nodes.insert(status.node.clone()) {
            // It need not wait for the next round.
            self.held_at = None;
        }
    }

    /// Says what follows from what was decided, once that is durable, and what is to be said again.
    pub(super) fn tend(&mut self, link: &CoordinatorLink, effects: &[Effect], core: &Coordinator) {
        for effect in effects {
            match effect {
                Effect::OpenGate { .. } => self.say(link, GateOrder::Open { for_ms: OPEN_MS }),
                Effect::ReleaseGate => self.say(link, GateOrder::Release),
                Effect::Commit { .. } | Effect::Pay { .. } | Effect::Receipt(_) => {}
            }
        }
        if self.held_at.is_none_or(|at| at.elapsed() >= HOLD_EVERY) {
            self.held_at = Some(Instant::now());
            let is_emergency = core.state().bars.contains_key(&Bar::Emergency);
            let order = match is_emergency {
                true => GateOrder::Release,
                false => GateOrder::Hold { for_ms: HOLD_MS },
            };
            self.say(link, order);
        }
    }

    /// Nobody is held by a store that ends.
    pub(super) fn release(&self, link: &CoordinatorLink) {
        self.say(link, GateOrder::Release);
    }

    fn say(&self, link: &CoordinatorLink, order: GateOrder) {
        for node in &self.nodes {
            link.order(node, order);
        }
    }
}
