//! Where people are this second.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Shopper;
use crate::observation::{BodySegment, Observation, Stamped, TrackId};
use crate::units::Timestamp;

/// Who was not seen for so long is not shown, seconds.
const SEEN_S: f64 = 3.0;
/// Cameras that are so far behind show nothing of now, seconds.
const BEHIND_S: f64 = 15.0;
/// Bodies that are remembered; beyond, the one that was not seen longest is forgotten.
const BODIES_MAX: usize = 200;

/// A body on the floor; metres in the store's coordinates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BodyView {
    pub at: Timestamp,
    /// None: nobody whom we know.
    pub shopper: Option<Shopper>,
    pub head: (f64, f64),
    pub hands: Vec<(f64, f64)>,
}

/// Where bodies were seen last, and how much each node says.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    bodies: BTreeMap<TrackId, BodyView>,
}

impl Watch {
    /// Heeds an observation.
    pub fn push(&mut self, stamped: &Stamped) {
        match &stamped.observation {
            Observation::Body(segment) => self.see(segment),
            Observation::Shelf(_)
            | Observation::Vision(_)
            | Observation::Gate(_)
            | Observation::Gap(_) => {}
        }
    }

    fn see(&mut self, segment: &BodySegment) {
        let pose = segment.poses.iter().rev().find(|pose| pose.head.is_some());
        let Some((pose, head)) = pose.and_then(|pose| Some((pose, pose.head?))) else {
            return;
        };
        let hands = pose.hands.iter().map(|h| (h.place.x, h.place.y)).collect();
        let body = BodyView {
            at: pose.at,
            shopper: None,
            head: (head.place.x, head.place.y),
            hands,
        };
        self.bodies.insert(segment.track.clone(), body);
        if self.bodies.len() > BODIES_MAX {
            let oldest = self.bodies.iter().min_by_key(|(_, body)| body.at);
            if let Some(oldest) = oldest.map(|(track, _)| track.clone()) {
                self.bodies.remove(&oldest);
            }
        }
    }

    /// Who is there now; `whose` knows the shoppers.
    pub fn bodies(
        &self,
        now: Timestamp,
        whose: impl Fn(&TrackId) -> Option<Shopper>,
    ) -> Vec<BodyView> {
        // Cameras may be behind by some seconds: what counts is what they have told last.
        let told = self.bodies.values().map(|body| body.at).max();
        let told = told.filter(|told| now.seconds_since(*told) <= BEHIND_S);
        let there = (self.bodies.iter())
            .filter(|(_, body)| told.is_some_and(|told| told.seconds_since(body.at) <= SEEN_S));
        there
            .map(|(track, body)| BodyView {
                shopper: whose(track),
                ..body.clone()
            })
            .collect()
    }
}
