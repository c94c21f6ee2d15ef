//! Decides what is due, one after another in event time.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Coordinator, Output, Visit};
use crate::checkout::decision::Decision;
use crate::checkout::session::{Role, SessionId};
use crate::checkout::tracks::KEPT_S;
use crate::observation::{BodySegment, Observation, Stamped, TrackId};
use crate::store::ShelfId;
use crate::units::Timestamp;

/// A track that begins this long after somebody passed in is not theirs, seconds.
const BIND_S: f64 = 5.0;
/// Old poses are forgotten this often, seconds of event time.
const FORGET_S: f64 = 1.0;

impl Coordinator {
    /// Decides whatever every node that is not silent has promised to have said everything about.
    pub(super) fn advance(&mut self, out: &mut Vec<Output>) {
        let limit = self
            .intake
            .promise(|node| self.state.silent.contains_key(node));
        self.advance_to(limit, out);
    }

    pub(super) fn advance_to(&mut self, limit: Timestamp, out: &mut Vec<Output>) {
        let before = out.len();
        loop {
            let due = self.intake.next_due().filter(|due| *due <= limit);
            let deadline = match self.is_emergency() {
                true => None,
                false => self.next_deadline(due.unwrap_or(limit)),
            };
            match (due, deadline) {
                (Some(due), Some((deadline, session))) if deadline < due => {
                    self.pass_deadline(&session, deadline, out);
                }
                (Some(_), _) => self.decide_next(out),
                (None, Some((deadline, session))) => self.pass_deadline(&session, deadline, out),
                (None, None) => break,
            }
        }
        if !self.is_emergency() {
            self.settle_ready(limit, out);
        }
        if limit > self.state.frontier {
            self.state.frontier = limit;
            self.forget_old(limit);
        }
        if out[before..].iter().any(|o| matches!(o, Output::Decide(_))) {
            self.decide(
                Decision::FrontierAdvanced {
                    to: self.state.frontier,
                },
                out,
            );
        }
    }

    /// Forgets poses that nothing looks at any more, and with them whoever was never a shopper. Now and then is enough:
    /// what is too old makes no difference by being there.
    pub(super) fn forget_old(&mut self, decided_to: Timestamp) {
        if decided_to < self.pruned_to.plus_seconds(FORGET_S) {
            return;
        }
        self.pruned_to = decided_to;
        self.tracks.prune(decided_to);
        let oldest = decided_to.plus_seconds(-KEPT_S);
        let shopper = |track: &_| self.state.by_track.contains_key(track);
        (self.visits).retain(|track, visit| visit.last_seen >= oldest || shopper(track));
    }

    fn decide_next(&mut self, out: &mut Vec<Output>) {
        let Some((_, stamped)) = self.intake.pop() else {
            return;
        };
        let Stamped {
            stamp, observation, ..
        } = &*stamped;
        match observation {
            Observation::Shelf(change) => self.attribute(stamp, change, out),
            Observation::Vision(look) => self.inferring.looks.note(look),
            Observation::Body(segment) => self.follow(segment, out),
            Observation::Gate(event) => self.pass(event, out),
            Observation::Gap(gap) => self.decide_gap(stamp, gap, out),
        }
    }

    /// Follows a track: opens a session at first sight where there is no gate, binds a waiting shopper's track where
    /// there is one.
    fn follow(&mut self, segment: &BodySegment, out: &mut Vec<Output>) {
        let seen_before = self.visits.get(&segment.track);
        let new =
            seen_before.is_none_or(|visit| segment.start.seconds_since(visit.last_seen) > KEPT_S);
        let seen_s = segment.end.seconds_since(segment.start);
        self.visited(segment);
        if self.state.by_track.contains_key(&segment.track) {
            return;
        }
        if self.gateless {
            let session = self.session_id(segment.track.as_str(), segment.start);
            let (track, at) = (Some(segment.track.clone()), segment.start);
            self.decide(
                Decision::SessionOpened {
                    session: session.clone(),
                    at,
                    role: Role::Shopper,
                    device: None,
                    track,
                    second_charge: false,
                },
                out,
            );
            self.authorise(session, at, out);
        } else if new
            && !self.is_claimed(&segment.track)
            && self
                .near_gate(&segment.track, segment.start, seen_s)
                .is_some()
        {
            let passed = |at: &Option<Timestamp>| {
                at.is_some_and(|t| segment.start.seconds_since(t).abs() <= BIND_S)
            };
            let waiting = self
                .unbound
                .iter()
                .filter(|(_, at)| passed(at))
                .min_by_key(|(_, at)| **at);
            if let Some((session, _)) = waiting {
                self.bind(session.clone(), segment.track.clone(), segment.start, out);
            }
        }
    }

    pub(super) fn bind(
        &mut self,
        session: SessionId,
        track: TrackId,
        at: Timestamp,
        out: &mut Vec<Output>,
    ) {
        self.unbound.remove(&session);
        self.decide(Decision::TrackBound { session, track, at }, out);
    }

    /// Notes where a track was, without deciding anything.
    pub(super) fn visited(&mut self, segment: &BodySegment) {
        let visit = self
            .visits
            .entry(segment.track.clone())
            .or_insert_with(|| Visit {
                last_seen: segment.end,
                near: BTreeMap::new(),
            });
        visit.last_seen = visit.last_seen.max(segment.end);
        let seen = |p: &crate::observation::Pose| {
            let place = p.head.or_else(|| p.hands.first().copied())?.place;
            Some((place, p.at))
        };
        let Some((place, at)) = segment.poses.iter().rev().find_map(seen) else {
            return;
        };
        for shelf in self.floor.within_reach(place) {
            let last = visit.near.entry(shelf).or_insert(at);
            *last = at.max(*last);
        }
    }

    pub(super) fn session_id(&self, whose: &str, at: Timestamp) -> SessionId {
        format!(
            "s-{}",
            short_hash(&[&self.definition.id, whose, &at.0.to_string()])
        )
        .into()
    }
}

/// Twelve hex digits that name a combination of texts.
pub(super) fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The shelves that a track came within reach of.
pub(super) fn near<'a>(
    coordinator: &'a Coordinator,
    track: &TrackId,
) -> impl Iterator<Item = &'a ShelfId> + use<'a> {
    coordinator
        .visits
        .get(track)
        .into_iter()
        .flat_map(|v| v.near.keys())
}
