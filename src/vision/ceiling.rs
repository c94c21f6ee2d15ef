//! What is made of the frames of all ceiling cameras: who is where on the floor, and which camera can't be relied on.

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
        let people = self.floor.step(dt.clamp(STEP_S.0, STEP_S.1), &seen);
        Ok(people)
    }

    /// What is wrong with cameras now, each by its name.
    pub fn troubles(&self, now: Timestamp) -> impl Iterator<Item = (&str, CameraTrouble)> {
        (self.cameras.iter()).filter_map(move |c| Some((c.name.as_str(), c.health.trouble(now)?)))
    }

    /// The names of the cameras, by index.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.cameras.iter().map(|c| c.name.as_str())
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
