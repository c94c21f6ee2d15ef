//! A restart: the state is folded from the journal's decisions, and what no decision says (where tracks were, who has
//! passed the gate, which codes were used) is found again in the accepted observations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::intake::{self, POSES_AWAITED_S};
use super::{Coordinator, Effect, EnrolledDevice, Output, commit};
use crate::checkout::decision::{Decision, PaymentRequest};
use crate::checkout::entry_code::EntryCode;
use crate::checkout::payment::PaymentState;
use crate::checkout::session::{Role, Session, SessionId, SessionState};
use crate::checkout::tracks::KEPT_S;
use crate::observation::{
    BodySegment, DeviceId, GateEvent, GateObservation, Observation, Stamp, Stamped, TrackId,
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
    /// Every session that was opened.
    opened: BTreeSet<SessionId>,
    /// Of those, the ones that a code has opened and the gateway has not refused, in the order in which they came.
    admitted: BTreeSet<(Timestamp, SessionId)>,
    /// When the last session of each track left that has its receipt.
    ended: BTreeMap<TrackId, Timestamp>,
}

impl Coordinator {
    /// Applies a decision of the journal after a restart. All decisions come first, in their order, then
    /// [`Coordinator::restore_observation`] for each accepted observation, then [`Coordinator::resume`]; or, where there
    /// is a snapshot, what came after it ([`Coordinator::from_snapshot`]).
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each decision, each short"
    )]
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
            Decision::CorrectionProposed { change, .. } => {
                self.restored.changes.insert(change.clone());
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
                if let Some(track) = &receipt.track {
                    self.visits.remove(track);
                    let ended =
                        (self.restored.ended.entry(track.clone())).or_insert(Timestamp::MIN);
                    *ended = receipt.exited_at.max(*ended);
                }
            }
            Decision::SessionOpened {
                session,
                at,
                device,
                ..
            } => {
                self.restored.opened.insert(session.clone());
                if device.is_some() {
                    (self.restored.admitted).insert((*at, session.clone()));
                }
            }
            Decision::PaymentDecided { session, .. } => {
                let refused =
                    |s: &Session| matches!(s.payment, PaymentState::Refused { .. }) && !s.unsecured;
                self.sent_away(session, refused);
            }
            // Whoever leaves without a track was refused after all.
            Decision::SessionExited { session, .. } => {
                self.sent_away(session, |s| s.track.is_none());
            }
            Decision::EntryRefused { .. }
            | Decision::AdmittedUnsecured { .. }
            | Decision::ProviderAway { .. }
            | Decision::ProviderBack { .. }
            | Decision::TrackBound { .. }
            | Decision::Revised(_)
            | Decision::LinesDropped { .. }
            | Decision::CartDrafted { .. }
            | Decision::CartDetermined { .. }
            | Decision::PaymentRequested { .. }
            | Decision::NodeSilent { .. }
            | Decision::NodeBack { .. }
            | Decision::Unwatched(_)
            | Decision::EntryBarred { .. }
            | Decision::EntryFreed { .. }
            | Decision::VisitGivenUp { .. }
            | Decision::Gap { .. }
            | Decision::FrontierAdvanced { .. } => {}
        }
    }

    /// Forgets that a session waits for its shopper to pass the gate, if it is one of those.
    fn sent_away(&mut self, session: &SessionId, is_one: impl FnOnce(&Session) -> bool) {
        let session = self.state.sessions.get(session);
        if let Some(session) = session.filter(|session| is_one(session)) {
            let came = (session.entered_at, session.id.clone());
            self.restored.admitted.remove(&came);
            self.unbound.remove(&session.id);
        }
    }

    /// Takes back an accepted observation of the journal: what is decided is not decided again, the rest waits.
    pub fn restore_observation(&mut self, stamped: Arc<Stamped>) {
        if self.intake.note(&stamped.stamp) {
            self.take_back(stamped);
        }
    }

    /// The same for an observation that is known to have arrived.
    pub(super) fn take_back(&mut self, stamped: Arc<Stamped>) {
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
            Observation::Vision(look) => {
                if passed {
                    self.inferring.looks.note(look);
                }
                passed
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
            Observation::Gap(_) => passed,
        };
        if !decided {
            self.intake.wait(stamped);
        }
    }

    /// Whether the shopper whose track it is has their receipt, and left after this: then the visit is forgotten.
    fn is_of_an_ended_visit(&self, segment: &BodySegment) -> bool {
        let exit = self.restored.ended.get(&segment.track);
        exit.is_some_and(|exit| segment.start <= *exit)
    }

    /// What a decided event at the gate has left behind.
    fn restore_gate(&mut self, gate: &GateObservation) {
        match &gate.event {
            GateEvent::CodeShown { code } => {
                // A code that was refused is not used: the phone whose name it bore may still come.
                let code = EntryCode::parse(code).ok().filter(|code| {
                    let session = self.session_id(code.device.as_str(), gate.at);
                    self.restored.opened.contains(&session)
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
        self.forget_old_codes();
        self.forget_old(self.state.frontier);
        if self.is_emergency() {
            out.push(Output::Effect(Effect::ReleaseGate));
        }
        self.open_again(out);
        // Also those that are closed: a refund may be under way.
        for session in self.state.sessions.values() {
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

    /// Opens the gate once more for whoever was let in and stands before it: whether it opened, nobody knows.
    fn open_again(&self, out: &mut Vec<Output>) {
        let passes = |stamped: &Stamped| match &stamped.observation {
            Observation::Gate(gate) => gate.event == GateEvent::PassedIn,
            Observation::Shelf(_)
            | Observation::Body(_)
            | Observation::Gap(_)
            | Observation::Vision(_) => false,
        };
        // Somebody has come in, and who it was is not decided yet.
        if self.intake.waiting().any(passes) {
            return;
        }
        let at_the_gate = (self.unbound.iter()).filter(|(_, passed)| passed.is_none());
        let let_in = at_the_gate.filter(|(id, _)| {
            self.state.sessions.get(*id).is_some_and(|session| {
                let is_held = matches!(session.payment, PaymentState::Authorised(_));
                session.device.is_some()
                    && (is_held || session.unsecured || !session.role.is_shopper())
            })
        });
        out.extend(let_in.map(|(id, _)| {
            let session = id.clone();
            Output::Effect(Effect::OpenGate { session })
        }));
    }

    /// Believes again what followed from the decided changes, as they were weighed then.
    fn restore_beliefs(&mut self) {
        let history = std::mem::take(&mut self.restored.history);
        let observations = std::mem::take(&mut self.restored.observations);
        for (decision, of) in history {
            let change = of.as_ref().and_then(|stamp| observations.get(stamp));
            match (&decision, change.map(|c| (&c.stamp, &c.observation))) {
                (Decision::Attributed(attributed), Some((stamp, Observation::Shelf(change)))) => {
                    self.inferring.absorb_again(stamp, change, attributed);
                }
                _ => self.inferring.follow(&decision, of.as_ref()),
            }
        }
    }

    /// Finds again who was admitted and waits for a track, and when they passed the gate: each passing was that of the
    /// first who had not passed, as [`Coordinator::handle`] has it.
    fn restore_unbound(&mut self) {
        let Restored {
            mut passed_in,
            admitted: mut waiting,
            ..
        } = std::mem::take(&mut self.restored);
        passed_in.sort_unstable();
        let of_before = (self.unbound.iter()).filter(|(_, passed)| passed.is_none());
        waiting.extend(of_before.filter_map(|(id, _)| {
            let session = self.state.sessions.get(id)?;
            Some((session.entered_at, id.clone()))
        }));
        for at in passed_in {
            let decided_at = at.plus_seconds(POSES_AWAITED_S);
            if (waiting.first()).is_some_and(|(entered_at, _)| *entered_at <= decided_at)
                && let Some((_, id)) = waiting.pop_first()
            {
                self.unbound.insert(id, Some(at));
            }
        }
        (self.unbound).extend(waiting.into_iter().map(|(_, id)| (id, None)));
        let is_unbound = |s: &Session| s.state == SessionState::Inside && s.track.is_none();
        (self.unbound).retain(|id, _| self.state.sessions.get(id).is_some_and(is_unbound));
    }

    /// Codes from before the last accepted one's time need not be remembered, as at the gate.
    fn forget_old_codes(&mut self) {
        if let Some((last, _)) = self.used_codes.last() {
            let last = *last;
            (self.used_codes).retain(|(step, _)| step.saturating_add(2) >= last);
        }
    }
}
