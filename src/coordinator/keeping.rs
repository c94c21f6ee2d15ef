//! What the coordinator knows at one moment, to be kept beside the journal: a restart then reads what came since, and not
//! everything from the first day on.
//!
//! A snapshot is a shortcut and never evidence: from the whole journal the same follows. It leaves out what is read from
//! the journal anyway: the observations that wait, and the poses of the last minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::gaps::Gap;
use super::inferring::{Inferring, KeptInferring};
use super::intake::KeptOutbox;
use super::{Coordinator, OpenReview, State, Visit};
use crate::checkout::decision::{Attributed, ReviewId};
use crate::checkout::entry::{Bar, Barred};
use crate::checkout::session::{SessionId, Sessions};
use crate::checkout::tracks::KEPT_S;
use crate::observation::{DeviceId, Observation, Stamp, Stamped, TrackId};
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

/// What the coordinator knew when everything that it had accepted and decided was in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    state: KeptState,
    visits: BTreeMap<TrackId, Visit>,
    used_codes: BTreeSet<(u64, DeviceId)>,
    unbound: BTreeMap<SessionId, Option<Timestamp>>,
    asked_to_void: BTreeSet<SessionId>,
    inferring: KeptInferring,
    outboxes: Vec<KeptOutbox>,
    /// Observations that were accepted and not decided, in the order in which they are due.
    waiting: Vec<Stamp>,
}

/// All of [`State`] but the store's definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptState {
    sessions: Sessions,
    closed: BTreeSet<(Timestamp, SessionId)>,
    active: BTreeSet<SessionId>,
    leaving: BTreeSet<SessionId>,
    by_track: BTreeMap<TrackId, SessionId>,
    claimed: BTreeSet<TrackId>,
    /// Each names its stamp itself.
    changes: Vec<Attributed>,
    reviews: BTreeMap<ReviewId, OpenReview>,
    silent: BTreeMap<NodeName, Timestamp>,
    provider_away: Option<(Timestamp, String)>,
    #[serde(default)]
    gaps: Vec<Gap>,
    #[serde(default)]
    bars: Vec<(Bar, Barred)>,
    frontier: Timestamp,
    accepted: u64,
    reviewed: u64,
    losses: u64,
}

impl State {
    fn keep(&self) -> KeptState {
        let State {
            definition: _,
            sessions,
            closed,
            active,
            leaving,
            by_track,
            claimed,
            changes,
            reviews,
            silent,
            provider_away,
            gaps,
            bars,
            frontier,
            accepted,
            reviewed,
            losses,
        } = self.clone();
        KeptState {
            sessions,
            closed,
            active,
            leaving,
            by_track,
            claimed,
            changes: changes.into_values().collect(),
            reviews,
            silent,
            provider_away,
            gaps,
            bars: bars.into_iter().collect(),
            frontier,
            accepted,
            reviewed,
            losses,
        }
    }

    fn kept(definition: Arc<Definition>, kept: KeptState) -> Self {
        let changes = kept.changes.into_iter();
        State {
            definition,
            sessions: kept.sessions,
            closed: kept.closed,
            active: kept.active,
            leaving: kept.leaving,
            by_track: kept.by_track,
            claimed: kept.claimed,
            changes: changes.map(|c| (c.change.clone(), c)).collect(),
            reviews: kept.reviews,
            silent: kept.silent,
            provider_away: kept.provider_away,
            gaps: kept.gaps,
            bars: kept.bars.into_iter().collect(),
            frontier: kept.frontier,
            accepted: kept.accepted,
            reviewed: kept.reviewed,
            losses: kept.losses,
        }
    }
}

impl Coordinator {
    /// What is to be kept. Only when the journal has everything that the coordinator has put out so far.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state.keep(),
            visits: self.visits.clone(),
            used_codes: self.used_codes.clone(),
            unbound: self.unbound.clone(),
            asked_to_void: self.asked_to_void.clone(),
            inferring: self.inferring.keep(),
            outboxes: self.intake.keep(),
            waiting: self.intake.waiting().map(|s| s.stamp.clone()).collect(),
        }
    }

    /// The coordinator of a store after a restart, as far as a snapshot says. What the journal holds besides follows in
    /// this order: the decisions that came after it ([`Coordinator::restore_decision`]); the observations that waited
    /// then ([`Coordinator::restore_waiting`]), and the poses before ([`Coordinator::restore_poses`]); the
    /// observations that came after it ([`Coordinator::restore_observation`]); [`Coordinator::resume`].
    ///
    /// The first list names the observations that waited, and poses are wanted from that time on.
    pub fn from_snapshot(
        definition: Arc<Definition>,
        nodes: &[NodeName],
        snapshot: Snapshot,
    ) -> (Self, Vec<Stamp>, Timestamp) {
        let mut core = Coordinator::new(definition.clone(), nodes);
        core.state = State::kept(definition.clone(), snapshot.state);
        core.visits = snapshot.visits;
        core.used_codes = snapshot.used_codes;
        core.unbound = snapshot.unbound;
        core.asked_to_void = snapshot.asked_to_void;
        core.inferring = Inferring::kept(definition, snapshot.inferring);
        core.intake.kept(snapshot.outboxes);
        let poses_from = core.state.frontier.plus_seconds(-KEPT_S);
        (core, snapshot.waiting, poses_from)
    }

    /// Takes back an observation that waited when the snapshot was made: it is decided by now, or waits on.
    pub fn restore_waiting(&mut self, stamped: Arc<Stamped>) {
        self.take_back(stamped);
    }

    /// Takes back where somebody was, from an observation that had been decided when the snapshot was made.
    pub fn restore_poses(&mut self, stamped: &Stamped) {
        if let Observation::Body(segment) = &stamped.observation
            && segment.end >= self.state.frontier.plus_seconds(-KEPT_S)
        {
            self.tracks.insert(segment);
        }
    }
}
