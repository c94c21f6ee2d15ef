//! Ceiling cameras as a node's body tracks: their frames become [`Record::Body`], as those of any tracker do.
//!
//! Live cameras are read by threads of their own, and one more looks at their latest frames ten times a second: a machine that
//! is too slow sees fewer frames, and never older ones. Frames of recordings carry their times and are read as far as event
//! time has come. Frames never leave this process.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::edge::camera::{self, CameraError, Frame, FrameSource, LiveReader};
use crate::observation::{GapCause, GapObservation, Observation, Pose, Sighting, TrackId};
use crate::recording::{BodyFrame, Record};
use crate::sensing::node::NodeSensor;
use crate::store::NodeName;
use crate::units::{Point, Timestamp};
use crate::vision::camera_geometry::HEAD_M;
use crate::vision::ceiling::Ceiling;
use crate::vision::floor_tracking::FloorPerson;
use crate::vision::picture::Picture;

/// Time between two looks, seconds.
pub const LOOK_EVERY_S: f64 = 0.1;
/// Blindness is told in pieces of this length, seconds: nothing is promised beyond a piece that is still open.
const BLIND_PIECE_S: f64 = 2.0;
/// Looks that wait for the node, at most; then the cameras wait, and what they see meanwhile is dropped.
const LOOKS_MAX: usize = 64;

/// What all cameras saw at one moment.
struct Look {
    at: Timestamp,
    people: Vec<FloorPerson>,
    /// Why they can't be relied on now; empty if they can.
    trouble: String,
    /// What works less well; empty if nothing does.
    notice: String,
}

/// Frames with times, read as far as they are wanted.
struct Recorded {
    source: Box<dyn FrameSource>,
    /// Read, and of a later moment.
    next: Option<Frame>,
    over: bool,
}

/// How event time follows from a recorded frame.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The time of the first look, and of frames that don't say when they were taken.
    pub from: Timestamp,
    /// Frames a second of those.
    pub rate_hz: f64,
    /// Whether the times that frames carry are event times; otherwise all go by the rate.
    pub as_stamped: bool,
}

enum Feed {
    Recorded {
        ceiling: Box<Ceiling>,
        cameras: Vec<Recorded>,
        timing: Timing,
        next_look: Timestamp,
    },
    Live {
        looks: Receiver<Look>,
        /// They end when this is dropped.
        _readers: Vec<LiveReader>,
    },
}

/// The ceiling cameras of a node.
pub struct CeilingCameras {
    node: NodeName,
    /// What makes tracks of one run differ from those of another.
    run: String,
    feed: Feed,
    /// The last moment that all cameras saw.
    seen_to: Timestamp,
    /// Since then a camera is blind, and that is not told yet.
    blind_since: Option<Timestamp>,
    trouble: String,
    notice: String,
}

/// Whether a source is a recording, not a device or stream.
pub fn is_recorded(name: &str) -> bool {
    !name.starts_with("/dev/") && Path::new(name).exists()
}

impl CeilingCameras {
    /// Cameras whose frames are recorded, in the order of the ceiling's; event time begins at `timing.from`. `run` makes their
    /// tracks differ from those of an earlier run; empty where the same frames are to give the same tracks.
    pub fn recorded(
        node: &NodeName,
        run: &str,
        ceiling: Ceiling,
        sources: Vec<Box<dyn FrameSource>>,
        timing: Timing,
    ) -> Self {
        let camera = |source| Recorded {
            source,
            next: None,
            over: false,
        };
        let feed = Feed::Recorded {
            ceiling: Box::new(ceiling),
            cameras: sources.into_iter().map(camera).collect(),
            timing,
            next_look: timing.from,
        };
        CeilingCameras::new(node, run, feed, timing.from)
    }

    /// Live cameras, by the names or addresses in `sources`; `clock` gives event time.
    pub fn live(
        node: &NodeName,
        run: &str,
        ceiling: Ceiling,
        sources: &[String],
        clock: impl Fn() -> Timestamp + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let opened = |source: &String| {
            let source = source.clone();
            move || camera::open(&source)
        };
        Self::live_by(node, run, ceiling, sources.iter().map(opened), clock)
    }

    fn live_by<O>(
        node: &NodeName,
        run: &str,
        ceiling: Ceiling,
        open: impl IntoIterator<Item = O>,
        clock: impl Fn() -> Timestamp + Clone + Send + 'static,
    ) -> std::io::Result<Self>
    where
        O: Fn() -> Result<Box<dyn FrameSource>, CameraError> + Send + 'static,
    {
        let from = clock();
        let names: Vec<String> = ceiling.names().map(str::to_owned).collect();
        let (mut readers, mut latest) = (Vec::new(), Vec::new());
        for (name, open) in names.iter().zip(open) {
            let slot: Slot = Arc::default();
            let into = Arc::clone(&slot);
            let take = move |_, frame| {
                *into.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame);
            };
            readers.push(LiveReader::start(name, clock.clone(), open, take)?);
            latest.push(slot);
        }
        let (send, looks) = sync_channel(LOOKS_MAX);
        std::thread::Builder::new()
            .name("ceiling".to_owned())
            .spawn(move || watch(ceiling, &latest, &clock, &send))?;
        let feed = Feed::Live {
            looks,
            _readers: readers,
        };
        Ok(CeilingCameras::new(node, run, feed, from))
    }

    fn new(node: &NodeName, run: &str, feed: Feed, from: Timestamp) -> Self {
        CeilingCameras {
            node: node.clone(),
            run: run.to_owned(),
            feed,
            seen_to: Timestamp(from.0 - 1),
            blind_since: None,
            trouble: String::new(),
            notice: String::new(),
        }
    }

    /// The moment before the first look: until then the node can vouch for what they see.
    pub fn began_at(&self) -> Timestamp {
        self.seen_to
    }

    /// Gives the node what was seen up to `until`: bodies, and stretches of time in which a camera was blind.
    pub fn look(&mut self, until: Timestamp, sensor: &mut NodeSensor, seen: &mut Vec<Observation>) {
        while let Some(look) = self.feed.next(until) {
            let bodies = look.people.iter().filter(|p| !p.cameras.is_empty());
            let frame = BodyFrame {
                node: self.node.clone(),
                at: look.at,
                bodies: bodies.map(|p| self.body(p, look.at)).collect(),
            };
            sensor.push(&Record::Body(frame), seen);
            self.notice = look.notice;
            seen.extend(self.heed(look.at, look.trouble));
        }
    }

    /// Who stands there has their head above, and of hands nothing is known.
    fn body(&self, person: &FloorPerson, at: Timestamp) -> (TrackId, Pose) {
        let place = Point {
            x: person.x,
            y: person.y,
            z: HEAD_M,
        };
        let head = Sighting {
            place: place.quantised(),
            confidence: (person.score.clamp(0.0, 1.0) * 1e3).round() / 1e3,
        };
        let pose = Pose {
            at,
            head: Some(head),
            hands: Vec::new(),
        };
        let track = match self.run.as_str() {
            "" => format!("{}-{}", self.node, person.id),
            run => format!("{}-{run}-{}", self.node, person.id),
        };
        (track.as_str().into(), pose)
    }

    /// Notes whether all cameras see; gives a gap when some time without is over, or lasts.
    fn heed(&mut self, at: Timestamp, trouble: String) -> Option<Observation> {
        let (is_blind, before) = (!trouble.is_empty(), self.seen_to);
        self.trouble = trouble;
        if !is_blind {
            self.seen_to = at;
        }
        let since = match self.blind_since {
            Some(since) => since,
            None if is_blind => *self.blind_since.insert(before),
            None => return None,
        };
        if is_blind && at.seconds_since(since) < BLIND_PIECE_S {
            return None;
        }
        self.blind_since = is_blind.then_some(at);
        Some(Observation::Gap(GapObservation {
            start: Timestamp(since.0 + 1),
            end: at,
            cause: GapCause::Blind,
            dropped: 0,
            replaces: None,
            shelves: Vec::new(),
        }))
    }

    /// No promise may go beyond this: what was not seen since is still to be told.
    pub fn vouched(&self) -> Option<Timestamp> {
        self.blind_since
    }

    /// What is wrong with the cameras, in a sentence; empty if nothing is.
    pub fn trouble(&self) -> &str {
        &self.trouble
    }

    /// What works less well, though the node can be relied on; empty if nothing does.
    pub fn notice(&self) -> &str {
        &self.notice
    }
}

impl Feed {
    /// The next look, if it is of a moment up to `until`.
    fn next(&mut self, until: Timestamp) -> Option<Look> {
        match self {
            Feed::Live { looks, .. } => looks.try_recv().ok(),
            Feed::Recorded {
                ceiling,
                cameras,
                timing,
                next_look,
            } => {
                let at = *next_look;
                if at > until {
                    return None;
                }
                *next_look = at.plus_seconds(LOOK_EVERY_S);
                let newest =
                    |camera: &mut Recorded| camera.newest(at, timing).as_ref().and_then(picture);
                let frames = (cameras.iter_mut().enumerate())
                    .filter_map(|(index, camera)| Some((index, newest(camera)?)))
                    .collect();
                let mut look = look(ceiling, at, frames);
                // What has come to its end is no camera that has died.
                if cameras.iter().all(|camera| camera.over) {
                    look.trouble.clear();
                }
                Some(look)
            }
        }
    }
}

impl Recorded {
    /// The newest frame up to a moment that was not given before.
    fn newest(&mut self, at: Timestamp, timing: &Timing) -> Option<Frame> {
        let mut newest = None;
        loop {
            if self.next.is_none() && !self.over {
                self.next = self.source.next_frame().unwrap_or_else(|error| {
                    tracing::warn!("a ceiling camera's recording ends here: {error}");
                    None
                });
                self.over = self.next.is_none();
            }
            let Some(frame) = &self.next else { break };
            let by_rate = || (timing.from).plus_seconds(frame.number as f64 / timing.rate_hz);
            let stamped = frame.at.filter(|_| timing.as_stamped);
            if stamped.unwrap_or_else(by_rate) > at {
                break;
            }
            newest = self.next.take();
        }
        newest
    }
}

/// The latest frame of a live camera.
type Slot = Arc<Mutex<Option<Frame>>>;

/// Looks through live cameras until nobody wants to know.
fn watch(
    mut ceiling: Ceiling,
    latest: &[Slot],
    clock: &impl Fn() -> Timestamp,
    to: &SyncSender<Look>,
) {
    let every = Duration::from_secs_f64(LOOK_EVERY_S);
    let mut next = Instant::now() + every;
    loop {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        // Who is late leaves moments out.
        next = (next + every).max(Instant::now());
        let at = clock();
        let take = |slot: &Slot| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let frames = (latest.iter().enumerate())
            .filter_map(|(index, slot)| Some((index, picture(&take(slot)?)?)))
            .collect();
        if to.send(look(&mut ceiling, at, frames)).is_err() {
            return;
        }
    }
}

/// A frame that is damaged is one that never came.
fn picture(frame: &Frame) -> Option<Picture> {
    let picture = frame.picture();
    picture.inspect_err(|e| tracing::debug!("{e}")).ok()
}

fn look(ceiling: &mut Ceiling, at: Timestamp, frames: Vec<(usize, Picture)>) -> Look {
    let (people, failed) = match ceiling.step(at, &frames) {
        Ok(people) => (people, None),
        Err(error) => (Vec::new(), Some(format!("the people network: {error}"))),
    };
    let sentences = ceiling.troubles(at).map(|(name, t)| t.sentence(name));
    let troubles: Vec<String> = sentences.chain(failed).collect();
    // Without the distance, which changes all the time: it would be told again each time.
    let far = ceiling.disagreements().map(|(a, b, _)| {
        format!("cameras {a} and {b} do not hang where their calibration says: they place the same person apart")
    });
    Look {
        at,
        people,
        trouble: troubles.join("; "),
        notice: far.collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests;
