//! The pure core of the store: `handle(input, now) -> outputs`.
//!
//! The coordinator does no IO and reads no clock. Whoever drives it (the live service, a replay, a simulation)
//! writes the journal entries of a batch of outputs before it performs the batch's effects.
//!
//! Observations wait in [`intake`] until every node has promised the time at which they are due, and are then decided
//! one after another in event time ([`deciding`]); a cart is settled when every node that matters has passed the
//! exit ([`settlement`]) and paid ([`paying`]). [`state`] is the fold of the decisions; [`keeping`] makes it small enough to begin from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::checkout::decision::{Decision, PaymentRequest, ReviewId};
use crate::checkout::entry::Bar;
use crate::checkout::payment::{IdempotencyKey, PaymentOutcome};
use crate::checkout::receipt::Receipt;
use crate::checkout::session::{Role, SessionId};
use crate::checkout::tracks::Tracks;
use crate::observation::{
    Committed, DeviceId, Item, NodeState, NodeStatus, Observation, Stamp, Stamped, TrackId,
    Watermark,
};
use crate::store::{Definition, NodeName, ShelfId};
use crate::units::{Money, Timestamp};

mod bars;
mod corrections;
mod deciding;
mod floor;
mod gaps;
mod gate;
mod inferring;
mod intake;
mod keeping;
mod looks;
mod paying;
mod rejection;
mod restoring;
mod settlement;
mod state;
mod stuck;
#[cfg(test)]
mod tests;

pub use gaps::OpenReview;
pub use keeping::Snapshot;
pub use rejection::Rejection;
pub use state::State;

/// Something that the coordinator is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A stamped observation arrived.
    Observation(Arc<Stamped>),
    /// A stamped message arrived that could not be decoded.
    Undecodable {
        stamp: Stamp,
        reason: String,
    },
    Watermark(Watermark),
    Status(NodeStatus),
    /// A phone may enter: its key and what its owner does here are known from now on.
    DeviceEnrolled {
        device: DeviceId,
        key: Vec<u8>,
        role: Role,
    },
    /// A phone may not enter any more.
    DeviceRevoked {
        device: DeviceId,
    },
    /// The gateway answered.
    Payment {
        session: SessionId,
        key: IdempotencyKey,
        outcome: PaymentOutcome,
    },
    /// The gateway was asked and gave no answer; it is asked again under the same key.
    PaymentUnanswered {
        session: SessionId,
        key: IdempotencyKey,
        why: String,
    },
    /// What the owner's list of payers says of a phone: whether its owner has agreed to one further charge where the
    /// hold does not cover the total. Without it they have not.
    Payer {
        device: DeviceId,
        second_charge: bool,
    },
    /// Somebody wants an amount given back that a session was charged. It changes nothing if no single charge of a
    /// session of the last day is large enough, or if the gateway still owes an answer about it.
    Refund {
        session: SessionId,
        by: String,
        amount: Money,
    },
    /// An operator decided a review. It changes nothing if there is no such review, if the session's cart is settled
    /// already, or if a product is unknown or its quantity out of all proportion.
    Verdict {
        review: ReviewId,
        by: String,
        session: Option<SessionId>,
        items: Vec<Item>,
    },
    /// Nobody is to be let in, for that reason.
    Bar {
        bar: Bar,
        reason: String,
    },
    /// That is over.
    Unbar {
        bar: Bar,
    },
    /// Wall time went on: limits and deadlines are looked at.
    Tick,
    /// A recording is over: whoever is inside has left, and nothing more will come.
    EndOfRecording,
}

/// Something that the coordinator wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Keep this observation in the journal.
    Accept(Arc<Stamped>),
    /// Keep this decision in the journal, in this order.
    Decide(Decision),
    /// Do this once everything before it is durable.
    Effect(Effect),
}

/// What happens outside once the journal has it.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Tell a node what is durable.
    Commit {
        node: NodeName,
        committed: Committed,
    },
    /// Ask the gateway; the answer comes back as [`Input::Payment`].
    Pay {
        session: SessionId,
        key: IdempotencyKey,
        request: PaymentRequest,
    },
    /// Open the gate for an admitted shopper, or for staff.
    OpenGate { session: SessionId },
    /// Open the gate for everybody and leave it open: there is an emergency.
    ReleaseGate,
    /// Hand out a receipt.
    Receipt(Receipt),
}

/// A phone that may enter.
#[derive(Clone, Debug)]
struct EnrolledDevice {
    key: Vec<u8>,
    role: Role,
}

/// What a track did that no decision says: rebuilt from its body segments after a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Visit {
    last_seen: Timestamp,
    /// The shelves that it came within reach of, with the last time.
    near: BTreeMap<ShelfId, Timestamp>,
}

/// The pure core.
#[derive(Debug)]
pub struct Coordinator {
    definition: Arc<Definition>,
    state: State,
    intake: intake::Intake,
    tracks: Tracks,
    /// Poses and visits were last forgotten when everything up to this was decided.
    pruned_to: Timestamp,
    floor: floor::Floor,
    visits: BTreeMap<TrackId, Visit>,
    devices: BTreeMap<DeviceId, EnrolledDevice>,
    /// Phones whose owners have agreed to a second charge: told at every start.
    second_charge: BTreeSet<DeviceId>,
    /// Entry codes that were accepted, by time step: each is accepted once.
    used_codes: BTreeSet<(u64, DeviceId)>,
    /// Admitted sessions whose shopper has passed the gate but has no track yet, with the time of passing.
    unbound: BTreeMap<SessionId, Option<Timestamp>>,
    /// No node watches the gate: a session lasts from a track's first sight to its last.
    gateless: bool,
    /// Nobody who is inside is given up before this, as far as was looked.
    lost_from: Timestamp,
    /// Settled sessions whose hold is being released: asked once.
    asked_to_void: BTreeSet<SessionId>,
    /// What the store believes about changes that later evidence may still decide.
    inferring: inferring::Inferring,
    /// What the journal has said so far, during a restart.
    restored: restoring::Restored,
    started_at: Option<Timestamp>,
}

impl Coordinator {
    /// The coordinator of a store, with the nodes that take part (all of the definition's when live; those of the
    /// recording in a replay).
    pub fn new(definition: Arc<Definition>, nodes: &[NodeName]) -> Self {
        let gateless = !nodes
            .iter()
            .any(|n| definition.layout.node(n).is_some_and(|n| n.watches_gate));
        Coordinator {
            state: State::new(definition.clone()),
            intake: intake::Intake::new(nodes.iter().cloned()),
            tracks: Tracks::default(),
            pruned_to: Timestamp::MIN,
            floor: floor::Floor::new(&definition.layout, definition.policy.reach_m),
            visits: BTreeMap::new(),
            devices: BTreeMap::new(),
            second_charge: BTreeSet::new(),
            used_codes: BTreeSet::new(),
            unbound: BTreeMap::new(),
            gateless,
            lost_from: Timestamp::MIN,
            asked_to_void: BTreeSet::new(),
            inferring: inferring::Inferring::new(definition.clone()),
            restored: restoring::Restored::default(),
            started_at: None,
            definition,
        }
    }

    /// Takes one input at wall time `now`; what follows is added to `out`, in order.
    pub fn handle(&mut self, input: Input, now: Timestamp, out: &mut Vec<Output>) {
        self.started_at.get_or_insert(now);
        match input {
            Input::Observation(stamped) => self.observe(stamped, now, out),
            Input::Undecodable { stamp, reason } => {
                self.meet(&stamp.node, &stamp.outbox, self.state.frontier, out);
                if self.intake.note(&stamp) {
                    self.decide(
                        Decision::Quarantined {
                            stamp: stamp.clone(),
                            reason,
                        },
                        out,
                    );
                    self.intake.settle_promises(&stamp.node, now);
                }
                self.acknowledge(&stamp, out);
            }
            Input::Watermark(watermark) => {
                let node = watermark.node.clone();
                self.intake.heard(&node, now);
                self.meet(&node, &watermark.outbox, watermark.at, out);
                if self.intake.promised(watermark, now) {
                    self.welcome(&node, now, out);
                }
                self.advance(out);
            }
            Input::Status(status) => self.told_status(&status, now, out),
            Input::DeviceEnrolled { device, key, role } => {
                self.devices.insert(device, EnrolledDevice { key, role });
            }
            Input::DeviceRevoked { device } => {
                self.devices.remove(&device);
            }
            Input::Payment {
                session,
                key,
                outcome,
            } => self.paid(&session, key, outcome, now, out),
            Input::PaymentUnanswered { session, key, why } => {
                self.unanswered(&session, &key, why, now, out);
            }
            Input::Payer {
                device,
                second_charge,
            } => self.know_payer(device, second_charge),
            Input::Refund {
                session,
                by,
                amount,
            } => self.refund(&session, by, amount, out),
            Input::Verdict {
                review,
                by,
                session,
                items,
            } => {
                if let Ok(items) = self.admissible(&review, session.as_ref(), &items) {
                    self.close(review, by, session, items, out);
                }
            }
            Input::Bar { bar, reason } => self.bar(bar, reason, now, out),
            Input::Unbar { bar } => self.unbar(bar, now, out),
            Input::Tick => self.look_for_silence(now, out),
            Input::EndOfRecording => self.end_recording(out),
        }
    }

    /// The state as decided.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The store that this is the coordinator of.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The nodes that take part: last sign of life (wall time) and promised event time.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeName, Option<Timestamp>, Option<Timestamp>)> {
        self.intake.nodes()
    }

    /// What a node last said of itself, since the coordinator started.
    pub fn status(&self, node: &NodeName) -> Option<&NodeStatus> {
        self.intake.status(node)
    }

    /// Applies a decision and hands it to the journal.
    fn decide(&mut self, decision: Decision, out: &mut Vec<Output>) {
        let reviewed = self.state.change_of_review(&decision);
        self.state.apply(&decision);
        if let Decision::SessionOpened { at, .. } | Decision::TrackBound { at, .. } = &decision {
            self.lost_from = self.lost_from.min(*at);
        }
        // While cameras are silent nobody has a deadline; afterwards everybody has, once they could have been seen.
        if let Decision::NodeBack { at, .. } = &decision {
            let wait_s = self.definition.policy.limits.visit_lost_s;
            self.lost_from = self.lost_from.min(at.plus_seconds(wait_s));
        }
        self.inferring.follow(&decision, reviewed.as_ref());
        out.push(Output::Decide(decision));
    }

    fn told_status(&mut self, status: &NodeStatus, now: Timestamp, out: &mut Vec<Output>) {
        self.intake.told(status);
        match status.state {
            NodeState::Online => {
                self.intake.heard(&status.node, now);
                self.welcome(&status.node, now, out);
                self.heed_trouble(status, now, out);
                if let Some(outbox) = &status.outbox {
                    let has = self.intake.contiguous(&status.node, outbox);
                    out.push(commit(&status.node, outbox, has));
                }
            }
            // The limit on silence decides, so that a short reconnection harms nobody.
            NodeState::Offline => {}
        }
    }

    fn observe(&mut self, stamped: Arc<Stamped>, now: Timestamp, out: &mut Vec<Output>) {
        let stamp = stamped.stamp.clone();
        self.intake.heard(&stamp.node, now);
        let at = stamped.observation.end();
        self.meet(&stamp.node, &stamp.outbox, at, out);
        self.heed_clock(&stamp.node, &stamped.clock, now, out);
        if self.intake.note(&stamp) {
            self.welcome(&stamp.node, now, out);
            out.push(Output::Accept(stamped.clone()));
            self.take_in(stamped);
            self.intake.settle_promises(&stamp.node, now);
            self.advance(out);
        }
        self.acknowledge(&stamp, out);
    }

    /// Lets a new observation wait; poses are there for attribution at once, which looks only at what is promised.
    fn take_in(&mut self, stamped: Arc<Stamped>) {
        if let Observation::Body(segment) = &stamped.observation {
            self.tracks.insert(segment);
        }
        self.intake.wait(stamped);
    }

    fn acknowledge(&self, stamp: &Stamp, out: &mut Vec<Output>) {
        out.push(commit(
            &stamp.node,
            &stamp.outbox,
            self.intake.contiguous(&stamp.node, &stamp.outbox),
        ));
    }

    /// Closes a review by somebody's verdict.
    fn close(
        &mut self,
        review: ReviewId,
        by: String,
        session: Option<SessionId>,
        items: Vec<Item>,
        out: &mut Vec<Output>,
    ) {
        let closed = Decision::ReviewClosed {
            review,
            at: self.state.frontier,
            by,
            session,
            items,
        };
        self.decide(closed, out);
        self.advance(out);
    }

    fn know_payer(&mut self, device: DeviceId, second_charge: bool) {
        match second_charge {
            true => self.second_charge.insert(device),
            false => self.second_charge.remove(&device),
        };
    }

    /// A node that was silent gets on again.
    fn welcome(&mut self, node: &NodeName, now: Timestamp, out: &mut Vec<Output>) {
        if self.state.silent.contains_key(node) {
            self.intake.is_back(node, now);
            self.decide(
                Decision::NodeBack {
                    node: node.clone(),
                    at: now,
                },
                out,
            );
        }
    }

    /// Declares nodes silent whose promises have not moved on for too long. That they still talk does not help: a
    /// camera that sees nothing any more, or a node whose observations do not come through, would hold the store up.
    fn look_for_silence(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let limit_s = self.definition.policy.node_silent_s;
        let since = |moved: Option<Timestamp>| moved.or(self.started_at).unwrap_or(now);
        let silent: Vec<(NodeName, Timestamp)> = (self.intake.moved())
            .map(|(node, moved)| (node.clone(), since(moved)))
            .filter(|(node, at)| {
                now.seconds_since(*at) > limit_s && !self.state.silent.contains_key(node)
            })
            .collect();
        for (node, since) in silent {
            self.decide(Decision::NodeSilent { node, since }, out);
        }
        self.advance(out);
    }
}

fn commit(node: &NodeName, outbox: &crate::observation::OutboxId, sequence: u64) -> Output {
    let committed = Committed {
        outbox: outbox.clone(),
        sequence,
    };
    Output::Effect(Effect::Commit {
        node: node.clone(),
        committed,
    })
}
