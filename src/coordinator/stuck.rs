//! Visits that nobody closes, and emergencies. Each has its rule:
//!
//! - Without a gate, whom no camera has seen for `track_lost_s` has left: the usual exit.
//! - With a gate, the same holds after `visit_lost_s`: somebody went past the gate's eyes, or the tracker lost them. While
//!   a camera is silent nobody is given up, for nobody can be seen.
//! - Who was let in and does not pass the gate within `admission_s` is not coming: the hold is released.
//! - Who is inside `closing_s` after closing time has left, too. In all of these what is sure is charged, as at any exit.
//! - In an emergency the gate stands open and nothing is settled. When it is over, whoever had not left before it began
//!   pays nothing. No rule needs the phone: who has lost it leaves like everybody else.

use super::{Coordinator, Effect, Output};
use crate::checkout::decision::Decision;
use crate::checkout::entry::Bar;
use crate::checkout::session::{Session, SessionId, SessionState};
use crate::units::Timestamp;

/// Why a visit is given up, and when the shopper is taken to have left.
struct GivenUp {
    reason: &'static str,
    left_at: Timestamp,
    due: Timestamp,
}

impl Coordinator {
    /// When somebody who is inside is taken to have left, if nothing is seen of them meanwhile.
    pub(super) fn given_up_at(&self, session: &Session) -> Option<Timestamp> {
        if self.gateless {
            let visit = self.visits.get(session.track.as_ref()?)?;
            let lost_s = self.definition.policy.track_lost_s;
            return Some(visit.last_seen.plus_seconds(lost_s));
        }
        self.giving_up(session).map(|given_up| given_up.due)
    }

    fn giving_up(&self, session: &Session) -> Option<GivenUp> {
        let limits = &self.definition.policy.limits;
        let visit = session.track.as_ref().and_then(|t| self.visits.get(t));
        let passed = self.unbound.get(&session.id);
        let (left_at, wait_s, reason) = match (visit, passed) {
            (Some(visit), _) => (visit.last_seen, limits.visit_lost_s, "not seen any more"),
            (None, Some(None)) => (
                session.entered_at,
                limits.admission_s,
                "did not pass the gate",
            ),
            (None, Some(Some(passed))) => (*passed, limits.visit_lost_s, "never seen inside"),
            (None, None) => (session.entered_at, limits.visit_lost_s, "never seen inside"),
        };
        // Who has not passed the gate is seen by nobody; for all others it takes a camera.
        let is_seen_for = matches!(passed, Some(None)) || !self.cameras_are_silent();
        let due = is_seen_for.then(|| left_at.plus_seconds(wait_s));
        let closing = self.state.bars.get(&Bar::Closed);
        let cleared = closing.map(|closing| closing.since.plus_seconds(limits.closing_s));
        match (due, cleared) {
            (due, Some(cleared)) if due.is_none_or(|due| cleared < due) => Some(GivenUp {
                reason: "still inside after closing time",
                left_at: left_at.max(session.entered_at).min(cleared),
                due: cleared,
            }),
            (due, _) => Some(GivenUp {
                reason,
                left_at,
                due: due?,
            }),
        }
    }

    fn cameras_are_silent(&self) -> bool {
        let tracks = |name| (self.definition.layout.node(name)).is_some_and(|n| n.tracks_bodies);
        self.state.silent.keys().any(tracks)
    }

    /// Takes somebody to have left.
    pub(super) fn give_up(&mut self, id: &SessionId, due: Timestamp, out: &mut Vec<Output>) {
        let Some(session) = self.state.sessions.get(id) else {
            return;
        };
        let session_id = id.clone();
        if self.gateless {
            let visit = session.track.as_ref().and_then(|t| self.visits.get(t));
            let at = visit.map_or(due, |visit| visit.last_seen);
            let exited = Decision::SessionExited {
                session: session_id,
                at,
            };
            return self.decide(exited, out);
        }
        let Some(given_up) = self.giving_up(session) else {
            return;
        };
        self.unbound.remove(id);
        let (at, reason) = (given_up.due, given_up.reason.to_owned());
        self.decide(
            Decision::VisitGivenUp {
                session: session_id.clone(),
                at,
                reason,
                written_off: false,
            },
            out,
        );
        let at = given_up.left_at;
        self.decide(
            Decision::SessionExited {
                session: session_id,
                at,
            },
            out,
        );
    }

    /// Whether nothing is settled, and no deadline passes.
    pub(super) fn is_emergency(&self) -> bool {
        self.state.bars.contains_key(&Bar::Emergency)
    }

    /// What a reason to let nobody in brings with it.
    pub(super) fn begin(&mut self, bar: &Bar, out: &mut Vec<Output>) {
        match bar {
            Bar::Emergency => out.push(Output::Effect(Effect::ReleaseGate)),
            // Deadlines came nearer.
            Bar::Closed => self.lost_from = Timestamp::MIN,
            Bar::Disk | Bar::Node { .. } | Bar::Clock { .. } => {}
        }
    }

    /// After an emergency: whoever had not left before it began pays nothing.
    pub(super) fn write_off(&mut self, since: Timestamp, out: &mut Vec<Output>) {
        let concerned: Vec<(SessionId, bool)> = (self.state.active.iter())
            .filter_map(|id| self.state.sessions.get(id))
            .filter(|s| s.is_open() && s.exited_at.is_none_or(|exit| exit >= since))
            .map(|s| (s.id.clone(), s.state == SessionState::Inside))
            .collect();
        for (session, inside) in concerned {
            let at = since.max(
                self.state
                    .sessions
                    .get(&session)
                    .map_or(since, |s| s.entered_at),
            );
            let given_up = Decision::VisitGivenUp {
                session: session.clone(),
                at,
                reason: "there was an emergency".to_owned(),
                written_off: true,
            };
            self.decide(given_up, out);
            self.unbound.remove(&session);
            if inside {
                self.decide(Decision::SessionExited { session, at }, out);
            }
        }
    }
}
