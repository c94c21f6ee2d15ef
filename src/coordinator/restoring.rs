//! A restart: the state is folded from the journal's decisions, and what no decision says (where tracks were, who has
//! passed the gate, which codes were used) is found again in the accepted observations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::intake::{self, POSES_AWAITED_S};
use super::{Coordinator, Effect, EnrolledDevice, Output, commit};
use crate::checkout::decision::{Decision, PaymentRequest};
use crate::checkout::entry_code::EntryCode;
use crate::checkout::payment::PaymentState;
use crate::checkout::session::{Role, Session, SessionState};
use crate::checkout::tracks::KEPT_S;
use crate::observation::{
    BodySegment, DeviceId, GateEvent, GateObservation, Observation, Stamp, Stamped,
};
use crate::units::Timestamp;

/// What the journal has said so far, while it is read.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// The shelves' changes that are decided already.
    changes: BTreeSet<Stamp>,
    /// What the beliefs follow from, in order: decisions, and the change that each is about.
    history: Vec<(Decision, Option<Stamp>)>,
    /// The shelves' changes themselves.
    observations: BTreeMap<Stamp, Arc<Stamped>>,
    /// When somebody passed in, as far as it is decided.
    passed_in: Vec<Timestamp>,
}

impl Coordinator {
    /// Applies a decision of the journal after a restart. All decisions come first, in their order, then
    /// [`Coordinator::restore_observation`] for each accepted observation, then [`Coordinator::resume`].
    pub fn restore_decision(&mut self, decision: &Decision) {
        let reviewed = self.state.change_of_review(decision);
        self.state.apply(decision);
        match decision {
            Decision::Settled { .. } | Decision::ReviewClosed { .. } => {
                self.restored.history.push((decision.clone(), reviewed));
            }
            Decision::Quarantined { stamp, .. } => {
                self.intake.note(stamp);
            }
            Decision::Attributed(attributed) => {
                self.inferring.restore_clock(attributed);
                self.restored.changes.insert(attributed.change.clone());
                let of = Some(attributed.change.clone());
                self.restored.history.push((decision.clone(), of));
            }
            Decision::PaymentRequested {
                session,
                request: PaymentRequest::Void { .. },
                ..
            } => {
                self.asked_to_void.insert(session.clone());
            }
            Decision::ReceiptIssued { receipt } => {
                self.asked_to_void.remove(&receipt.session);
            }
            Decision::SessionOpened { .. }
            | Decision::EntryRefused { .. }
            | Decision::TrackBound { .. }
            | Decision::Revised(_)
            | Decision::LinesDropped { .. }
            | Decision::SessionExited { .. }
            | Decision::CartDrafted { .. }
            | Decision::CartDetermined { .. }
            | Decision::PaymentRequested { .. }
            | Decision::PaymentDecided { .. }
            | Decision::NodeSilent { .. }
            | Decision::NodeBack { .. }
            | Decision::Gap { .. }
            | Decision::FrontierAdvanced { .. } => {}
        }
    }

    /// Takes back an accepted observation of the journal: what is decided is not decided again, the rest waits.
    pub fn restore_observation(&mut self, stamped: Arc<Stamped>) {
        if !self.intake.note(&stamped.stamp) {
            return;
        }
        let frontier = self.state.frontier;
        let passed = intake::due_at(&stamped.observation) <= frontier;
        let decided = match &stamped.observation {
            Observation::Shelf(_) => {
                let decided = self.restored.changes.contains(&stamped.stamp);
                if decided {
                    let kept = &mut self.restored.observations;
                    kept.insert(stamped.stamp.clone(), stamped.clone());
                }
                decided
            }
            Observation::Body(segment) => {
                if segment.end >= frontier.plus_seconds(-KEPT_S) {
                    self.tracks.insert(segment);
                }
                if passed && !self.is_of_an_ended_visit(segment) {
                    self.visited(segment);
                }
                passed
            }
            Observation::Gate(gate) => {
                if passed {
                    self.restore_gate(gate);
                }
                passed
            }
        };
        if !decided {
            self.intake.wait(stamped);
        }
    }

    /// Whether the shopper whose track it is has their receipt, and left after this: then the visit is forgotten.
    fn is_of_an_ended_visit(&self, segment: &BodySegment) -> bool {
        let ended = |s: &Session| {
            s.state == SessionState::Closed
                && s.track.as_ref() == Some(&segment.track)
                && s.exited_at.is_some_and(|exit| segment.start <= exit)
        };
        self.state.sessions.values().any(ended)
    }

    /// What a decided event at the gate has left behind.
    fn restore_gate(&mut self, gate: &GateObservation) {
        match &gate.event {
            GateEvent::CodeShown { code } => {
                // A code that was refused is not used: the phone whose name it bore may still come.
                let code = EntryCode::parse(code).ok().filter(|code| {
                    let session = self.session_id(code.device.as_str(), gate.at);
                    self.state.sessions.contains_key(&session)
                });
                self.used_codes.extend(code.map(|c| (c.step, c.device)));
            }
            GateEvent::PassedIn => self.restored.passed_in.push(gate.at),
            GateEvent::PassedOut => {}
        }
    }

    /// Takes back an enrolled phone after a restart.
    pub fn restore_device(&mut self, device: DeviceId, key: Vec<u8>, role: Role, revoked: bool) {
        if !revoked {
            self.devices.insert(device, EnrolledDevice { key, role });
        }
    }

    /// After a restart: asks again what had no answer, under the same keys, and tells nodes what is durable.
    pub fn resume(&mut self, out: &mut Vec<Output>) {
        self.restore_beliefs();
        self.restore_unbound();
        for session in self
            .state
            .active
            .iter()
            .filter_map(|id| self.state.sessions.get(id))
        {
            if let Some((key, request)) = session.payment.unanswered() {
                let pay = Effect::Pay {
                    session: session.id.clone(),
                    key: key.clone(),
                    request: request.clone(),
                };
                out.push(Output::Effect(pay));
            }
        }
        out.extend(
            self.intake
                .outboxes()
                .map(|(node, outbox, sequence)| commit(node, outbox, sequence)),
        );
    }

    /// Believes again what followed from the decided changes, as they were weighed then.
    fn restore_beliefs(&mut self) {
        let history = std::mem::take(&mut self.restored.history);
        let observations = std::mem::take(&mut self.restored.observations);
        for (decision, of) in history {
            let change = of.as_ref().and_then(|stamp| observations.get(stamp));
            match (&decision, change.map(|c| (&c.stamp, &c.observation))) {
                (Decision::Attributed(attributed), Some((stamp, Observation::Shelf(change)))) => {
                    self.inferring
                        .absorb_again(stamp, change, &attributed.reached);
                }
                _ => self.inferring.follow(&decision, of.as_ref()),
            }
        }
    }

    /// Finds again who was admitted and waits for a track, and when they passed the gate: each passing was that of the
    /// first who had not passed, as [`Coordinator::handle`] has it.
    fn restore_unbound(&mut self) {
        let mut passed_in = std::mem::take(&mut self.restored).passed_in;
        passed_in.sort_unstable();
        let admitted = |s: &&Session| {
            let refused = matches!(s.payment, PaymentState::Refused { .. });
            s.device.is_some() && !refused
        };
        let mut waiting: Vec<&Session> = self.state.sessions.values().filter(admitted).collect();
        waiting.sort_by_key(|s| (s.entered_at, &s.id));
        let mut unbound = BTreeMap::new();
        let is_unbound = |s: &Session| s.state == SessionState::Inside && s.track.is_none();
        for at in passed_in {
            let decided_at = at.plus_seconds(POSES_AWAITED_S);
            let first = waiting.iter().position(|s| s.entered_at <= decided_at);
            if let Some(session) = first.map(|index| waiting.remove(index))
                && is_unbound(session)
            {
                unbound.insert(session.id.clone(), Some(at));
            }
        }
        let not_passed = waiting.into_iter().filter(|s| is_unbound(s));
        unbound.extend(not_passed.map(|s| (s.id.clone(), None)));
        self.unbound = unbound;
    }
}
