//! What is made of the frames of all ceiling cameras: who is where on the floor, and which camera can't be relied on.

use std::collections::{BTreeMap, VecDeque};

use super::bounding_box::Detection;
use super::camera_geometry::CameraGeometry;
use super::camera_health::{CameraHealth, CameraTrouble};
use super::engine::EngineError;
use super::floor_tracking::{FloorPerson, FloorSighting, FloorTracker};
use super::people::PeopleDetector;
use super::picture::Picture;
use super::tracking::{Tracker, TrackerSettings};
use crate::units::Timestamp;

/// A camera's frame is looked at so often for its health, seconds: that takes as long as a tenth of the network.
const HEALTH_EVERY_S: f64 = 1.0;
/// Steps are taken to be at least and at most so far apart, seconds.
const STEP_S: (f64, f64) = (0.001, 2.0);

/// One camera.
struct Overhead {
    name: String,
    geometry: CameraGeometry,
    tracker: Tracker,
    health: CameraHealth,
    checked_at: Option<Timestamp>,
}

/// The cameras of one room, and the network that they share.
pub struct Ceiling {
    detector: PeopleDetector,
    cameras: Vec<Overhead>,
    floor: FloorTracker,
    last_at: Option<Timestamp>,
    agreement: Agreement,
}

impl Ceiling {
    /// Cameras with their names and places; frames come from `now` on.
    pub fn new(
        detector: PeopleDetector,
        cameras: impl IntoIterator<Item = (String, CameraGeometry)>,
        now: Timestamp,
    ) -> Self {
        let settings = TrackerSettings::for_detector(detector.score_min());
        let camera = |(name, geometry)| Overhead {
            name,
            geometry,
            tracker: Tracker::new(settings),
            health: CameraHealth::new(now),
            checked_at: None,
        };
        Ceiling {
            detector,
            cameras: cameras.into_iter().map(camera).collect(),
            floor: FloorTracker::default(),
            last_at: None,
            agreement: Agreement::default(),
        }
    }

    /// Takes the frames of one moment, of the cameras with those indices, and gives who is seen then. What a camera in trouble
    /// shows is nobody: it may be of another time or place.
    pub fn step(
        &mut self,
        at: Timestamp,
        frames: &[(usize, Picture)],
    ) -> Result<Vec<FloorPerson>, EngineError> {
        let mut seen = Vec::new();
        for (index, picture) in frames {
            let Some(camera) = self.cameras.get_mut(*index) else {
                continue;
            };
            camera.check(at, picture);
            if camera.health.trouble(at).is_some() {
                continue;
            }
            // Doubtful boxes too: the tracker knows what to make of them.
            let doubtful = TrackerSettings::for_detector(self.detector.score_min()).doubtful_min;
            let found = self.detector.look(picture, doubtful)?;
            seen.extend(camera.sightings(*index, &found, picture));
        }
        let dt = self.last_at.map_or(STEP_S.0, |last| at.seconds_since(last));
        self.last_at = Some(at);
        self.agreement.note(&seen);
        let people = self.floor.step(dt.clamp(STEP_S.0, STEP_S.1), &seen);
        Ok(people)
    }

    /// What is wrong with cameras now, each by its name.
    pub fn troubles(&self, now: Timestamp) -> impl Iterator<Item = (&str, CameraTrouble)> {
        (self.cameras.iter()).filter_map(move |c| Some((c.name.as_str(), c.health.trouble(now)?)))
    }

    /// The pairs of cameras that do not place people alike, and by how many metres in the median: of whom each of them sees
    /// alone, over at least 50 moments. They do not hang where the calibration says.
    pub fn disagreements(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        let name = |index: usize| Some(self.cameras.get(index)?.name.as_str());
        let far = (self.agreement.medians()).filter(|(_, apart_m)| *apart_m > APART_M_MAX);
        far.filter_map(move |((a, b), apart_m)| Some((name(a)?, name(b)?, apart_m)))
    }

    /// The names of the cameras, by index.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.cameras.iter().map(|c| c.name.as_str())
    }
}

/// Cameras that hang where they should agree to some decimetres; the median of what they differ by, metres.
const APART_M_MAX: f64 = 0.75;
/// Moments of two cameras that are remembered, the latest: at 10 frames/s half a minute.
const MOMENTS_MAX: usize = 300;
/// So many say something.
const MOMENTS_MIN: usize = 50;

/// Where pairs of cameras place the only person that each of them sees.
#[derive(Default)]
struct Agreement {
    /// Metres between the two places.
    apart: BTreeMap<(usize, usize), VecDeque<f64>>,
}

impl Agreement {
    fn note(&mut self, seen: &[FloorSighting]) {
        let alone = |s: &&FloorSighting| seen.iter().filter(|o| o.camera == s.camera).count() == 1;
        let alone: Vec<&FloorSighting> = seen.iter().filter(alone).collect();
        for (n, a) in alone.iter().enumerate() {
            for b in &alone[n + 1..] {
                let apart = self.apart.entry((a.camera, b.camera)).or_default();
                if apart.len() == MOMENTS_MAX {
                    apart.pop_front();
                }
                let (dx, dy) = (a.standing.x - b.standing.x, a.standing.y - b.standing.y);
                apart.push_back(dx.hypot(dy));
            }
        }
    }

    fn medians(&self) -> impl Iterator<Item = ((usize, usize), f64)> {
        let known = (self.apart.iter()).filter(|(_, apart)| apart.len() >= MOMENTS_MIN);
        known.map(|(pair, apart)| {
            let mut apart: Vec<f64> = apart.iter().copied().collect();
            apart.sort_by(f64::total_cmp);
            (*pair, apart[apart.len() / 2])
        })
    }
}

impl Overhead {
    fn check(&mut self, at: Timestamp, picture: &Picture) {
        let is_due = |last: Timestamp| at.seconds_since(last) >= HEALTH_EVERY_S;
        if self.checked_at.is_none_or(is_due) {
            self.checked_at = Some(at);
            self.health.see(at, picture);
        }
    }

    fn sightings(
        &mut self,
        index: usize,
        found: &[Detection],
        picture: &Picture,
    ) -> Vec<FloorSighting> {
        let (wide, high) = (picture.width(), picture.height());
        let tracked = self.tracker.step(found).into_iter();
        let sighting = |b: super::tracking::TrackedBox| {
            Some(FloorSighting {
                camera: index,
                track: b.track,
                standing: self.geometry.standing(&b.bounds, wide, high)?,
                score: b.score,
            })
        };
        tracked.filter_map(sighting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::camera_geometry::Standing;
    use super::*;

    #[test]
    fn cameras_that_disagree_are_told() {
        let sees = |camera: usize, x: f64| FloorSighting {
            camera,
            track: 1,
            standing: Standing {
                x,
                y: 0.0,
                sigma_m: 0.25,
            },
            score: 0.9,
        };
        let mut agreement = Agreement::default();
        for step in 0..1_000 {
            let x = 0.01 * f64::from(step);
            // The third camera is 2 m off, and in each fifth moment sees two.
            let mut seen = vec![sees(0, x), sees(1, x + 0.1), sees(2, x + 2.0)];
            if step % 5 == 0 {
                seen.push(sees(2, x - 4.0));
            }
            agreement.note(&seen);
        }
        let told: Vec<_> = agreement.medians().collect();
        let wanted = [((0, 1), 0.1), ((0, 2), 2.0), ((1, 2), 1.9)];
        assert_eq!(told.len(), wanted.len());
        for ((pair, apart), (wanted, m)) in told.into_iter().zip(wanted) {
            assert!(pair == wanted && (apart - m).abs() < 1e-9, "{pair:?}");
        }
        assert!(agreement.apart.values().all(|a| a.len() == MOMENTS_MAX));
    }
}
