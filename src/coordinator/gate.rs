//! What happens at the gate: codes are checked, and whoever passes in or out is found among the tracks.

use super::intake::POSES_AWAITED_S;
use super::{Coordinator, Effect, Output};
use crate::checkout::decision::Decision;
use crate::checkout::entry_code::EntryCode;
use crate::checkout::session::{Role, SessionId, SessionState};
use crate::observation::{GateEvent, GateObservation, TrackId};
use crate::units::Timestamp;

/// A track that is farther from the gate than this did not pass it, metres.
const GATE_M: f64 = 1.5;
/// Somebody without a session passed out if they were nearer to the gate than every shopper by this, metres: less is
/// what a tracker may be off, and a shopper whose exit is overlooked never gets a receipt.
const STRANGER_NEARER_M: f64 = 0.3;

impl Coordinator {
    pub(super) fn pass(&mut self, gate: &GateObservation, out: &mut Vec<Output>) {
        match &gate.event {
            GateEvent::CodeShown { code } => self.admit(code, gate.at, out),
            GateEvent::PassedIn => self.pass_in(gate.at, out),
            GateEvent::PassedOut => self.pass_out(gate.at, out),
        }
    }

    /// Checks an entry code. For a shopper it asks for the hold, and the gate opens when that is granted (or at once,
    /// if the provider is away and the owner's policy allows it); for staff, who pay nothing, it opens at once.
    fn admit(&mut self, code: &str, at: Timestamp, out: &mut Vec<Output>) {
        match self.check_code(code, at) {
            Ok((code, role)) => {
                // A code is good for its own step and one on each side: older ones need not be remembered.
                self.used_codes
                    .retain(|(step, _)| step.saturating_add(2) >= code.step);
                self.used_codes.insert((code.step, code.device.clone()));
                let session = self.session_id(code.device.as_str(), at);
                let second_charge = self.second_charge.contains(&code.device);
                self.unbound.insert(session.clone(), None);
                let opened = Decision::SessionOpened {
                    session: session.clone(),
                    at,
                    role,
                    device: Some(code.device),
                    track: None,
                    second_charge,
                };
                self.decide(opened, out);
                match role {
                    Role::Shopper => {
                        self.authorise(session.clone(), at, out);
                        if self.state.provider_away.is_some() {
                            self.admit_unsecured(session, at, out);
                        }
                    }
                    Role::Staff => out.push(Output::Effect(Effect::OpenGate { session })),
                }
            }
            Err(reason) => self.decide(Decision::EntryRefused { at, reason }, out),
        }
    }

    /// The code and the role of the phone that showed it; or why it opens nothing.
    fn check_code(&self, code: &str, at: Timestamp) -> Result<(EntryCode, Role), String> {
        if let Some(node) = self.state.silent.keys().next() {
            return Err(format!(
                "the store cannot see: node {node} is silent, see to it first"
            ));
        }
        let code = EntryCode::parse(code).map_err(|e| e.to_string())?;
        let unknown = || {
            format!(
                "device {} is not enrolled here or was revoked: enrol the phone",
                code.device
            )
        };
        let phone = self.devices.get(&code.device).ok_or_else(unknown)?;
        code.verify(&self.definition.id, &phone.key, at)
            .map_err(|e| e.to_string())?;
        if self.used_codes.contains(&(code.step, code.device.clone())) {
            return Err(format!(
                "this code of device {} was used already: show a fresh one",
                code.device
            ));
        }
        let role = phone.role;
        if let Some(reason) = self.barred(role) {
            return Err(reason.to_owned());
        }
        if role.is_shopper()
            && let Some((_, why)) = &self.state.provider_away
        {
            self.room_unsecured(why)?;
        }
        Ok((code, role))
    }

    /// The first admitted shopper who has not passed yet did: their track is the unclaimed one at the gate.
    fn pass_in(&mut self, at: Timestamp, out: &mut Vec<Output>) {
        let entered = |id: &&SessionId| self.state.sessions.get(*id).map(|s| s.entered_at);
        let waiting = self
            .unbound
            .iter()
            .filter(|(_, passed)| passed.is_none())
            .map(|(id, _)| id);
        let Some(session) = waiting.min_by_key(entered).cloned() else {
            return;
        };
        let unclaimed = self.tracks.ids().filter(|track| !self.is_claimed(track));
        let nearest = unclaimed
            .filter_map(|track| Some((self.near_gate(track, at, POSES_AWAITED_S)?, track)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, track)| track.clone());
        match nearest {
            Some(track) => self.bind(session, track, at, out),
            None => {
                self.unbound.insert(session, Some(at));
                self.lost_from = self.lost_from.min(at);
            }
        }
    }

    /// A track is somebody's for one visit: who lingers in the door after the receipt is not the next to come in.
    pub(super) fn is_claimed(&self, track: &TrackId) -> bool {
        self.state.claimed.contains(track)
    }

    /// The shopper whose track is at the gate has left; unless it was somebody whom no session is of.
    fn pass_out(&mut self, at: Timestamp, out: &mut Vec<Output>) {
        let inside = self
            .state
            .active
            .iter()
            .filter_map(|id| self.state.sessions.get(id));
        let leaving = inside
            .filter(|s| s.state == SessionState::Inside)
            .filter_map(|s| {
                Some((
                    self.near_gate(s.track.as_ref()?, at, POSES_AWAITED_S)?,
                    s.id.clone(),
                ))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let stranger_m = self.nearest_stranger(at);
        if let Some((distance_m, session)) = leaving
            && stranger_m.is_none_or(|stranger_m| distance_m < stranger_m + STRANGER_NEARER_M)
        {
            self.decide(Decision::SessionExited { session, at }, out);
        }
    }

    /// How near to the gate somebody was whom no session is of, if anybody was.
    fn nearest_stranger(&self, at: Timestamp) -> Option<f64> {
        let strangers = self.tracks.ids().filter(|track| !self.is_claimed(track));
        strangers
            .filter_map(|track| self.near_gate(track, at, POSES_AWAITED_S))
            .min_by(f64::total_cmp)
    }

    /// Metres between a track and the gate, if it is near it at that time. Poses later than `at` by more than
    /// `after_s` are left out: some may be here already, but nobody has promised that all are.
    pub(super) fn near_gate(&self, track: &TrackId, at: Timestamp, after_s: f64) -> Option<f64> {
        let gate = self.definition.layout.gate?.place;
        let place = self.tracks.place(track, at, 1.0, after_s)?;
        let distance = (place.x - gate.x).hypot(place.y - gate.y);
        (distance <= GATE_M).then_some(distance)
    }
}
