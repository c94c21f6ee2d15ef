//! Cameras before shelves: the frames of the last seconds in memory, and a look at them when the weight has changed.
//!
//! A live camera is read on a thread of its own into a [`FrameRing`]: when nobody looks, old frames go; nothing queues up and
//! nothing lags. Frames of a recording carry their own times and are read as far as they are wanted. Frames never leave this
//! process; what is sent is which products they can be of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::edge::camera::{CameraError, Frame, FrameSource, LiveReader};
use crate::edge::evidence::Evidence;
use crate::edge::pictures;
use crate::observation::{ChangeKind, ProductLikelihood, ShelfObservation, VisionObservation};
use crate::store::{ProductId, ShelfId};
use crate::units::Timestamp;
use crate::vision::camera_health::CameraHealth;
use crate::vision::frame_ring::{FrameRing, RingFrame};
use crate::vision::picture::Picture;
use crate::vision::prototypes::Prototypes;
use crate::vision::recognition::Recogniser;
use crate::vision::shelf_eyes::ShelfEyes;
use crate::vision::shelf_view;

/// Frames are kept so long, seconds: longer than nearly every change takes.
const KEPT_S: f64 = 20.0;
/// And never more than so many bytes of one camera.
const RING_BYTES_MAX: usize = 32 << 20;
/// A frame is looked for so long before a change, and after it, seconds.
const BESIDE_S: f64 = 0.3;
/// One that is further from there than this is of no use, seconds.
const OFF_S: f64 = 1.5;
/// A live camera's frame is looked at so often for its health, seconds.
const HEALTH_EVERY_S: f64 = 1.0;
/// Products that are named at most; the wire's bound.
const LIKELIHOODS_MAX: usize = 32;

/// One camera.
struct ShelfCamera {
    ring: Arc<Mutex<FrameRing>>,
    /// A recording, which is read when it is wanted.
    recorded: Option<Box<dyn FrameSource>>,
    /// What reads a live one, and how well it sees.
    live: Option<(LiveReader, Arc<Mutex<CameraHealth>>)>,
}

/// The cameras of a node's shelves, and the network that they share.
pub struct ShelfCameras {
    cameras: BTreeMap<ShelfId, ShelfCamera>,
    recogniser: Recogniser,
    products: Prototypes<ProductId>,
    model: String,
    evidence: Option<Evidence>,
}

impl ShelfCameras {
    /// No cameras yet; `products` are those that were enrolled with the recogniser's network, `model` its version.
    pub fn new(recogniser: Recogniser, products: Prototypes<ProductId>, model: &str) -> Self {
        ShelfCameras {
            cameras: BTreeMap::new(),
            recogniser,
            products,
            model: model.to_owned(),
            evidence: None,
        }
    }

    /// Keeps the frames before and after each change that is looked at.
    pub fn keep(&mut self, evidence: Evidence) {
        self.evidence = Some(evidence);
    }

    /// Adds a camera whose frames carry the times of the node's events: a recording.
    pub fn add_recorded(&mut self, shelf: ShelfId, source: Box<dyn FrameSource>) {
        let camera = ShelfCamera {
            ring: Arc::new(Mutex::new(FrameRing::new(KEPT_S, RING_BYTES_MAX))),
            recorded: Some(source),
            live: None,
        };
        self.cameras.insert(shelf, camera);
    }

    /// Adds a live camera, read on a thread of its own; `clock` gives event time. When it ends, or fails, it is opened again by
    /// `reopen` after a while.
    pub fn add_live(
        &mut self,
        shelf: ShelfId,
        clock: impl Fn() -> Timestamp + Send + 'static,
        reopen: impl Fn() -> Result<Box<dyn FrameSource>, CameraError> + Send + 'static,
    ) -> std::io::Result<()> {
        let ring = Arc::new(Mutex::new(FrameRing::new(KEPT_S, RING_BYTES_MAX)));
        let health = Arc::new(Mutex::new(CameraHealth::new(clock())));
        let mut watch = Watch {
            ring: Arc::clone(&ring),
            health: Arc::clone(&health),
            checked_at: None,
        };
        let take = move |at, frame| watch.take(at, frame);
        let reader = LiveReader::start(&shelf.to_string(), clock, reopen, take)?;
        let camera = ShelfCamera {
            ring,
            recorded: None,
            live: Some((reader, health)),
        };
        self.cameras.insert(shelf, camera);
        Ok(())
    }

    /// The picture of what moved: of a take what stood there before, of a put what stands there now. With it the ids of the
    /// frames that are kept as evidence.
    fn moved(&mut self, change: &ShelfObservation) -> Option<(Picture, Vec<String>)> {
        let camera = self.cameras.get_mut(&change.shelf)?;
        let after_at = change.end.plus_seconds(BESIDE_S);
        camera.read_to(after_at);
        let ring = camera.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let nearest = |at| ring.nearest(at, OFF_S).cloned();
        let frames = [
            nearest(change.start.plus_seconds(-BESIDE_S))?,
            nearest(after_at)?,
        ];
        drop(ring);
        let before = pictures::decode(&frames[0].encoded).ok()?;
        let after = pictures::decode(&frames[1].encoded).ok()?;
        let bounds = shelf_view::changed(&before, &after)?;
        let moved = if change.is_take() { &before } else { &after }.crop(&bounds)?;
        Some((moved, self.kept(change.shelf, &frames)))
    }

    fn kept(&mut self, shelf: ShelfId, [before, after]: &[RingFrame; 2]) -> Vec<String> {
        let Some(evidence) = &mut self.evidence else {
            return Vec::new();
        };
        let mut ids = Vec::new();
        for (frame, when) in [(before, "before"), (after, "after")] {
            match evidence.keep(frame.at, &format!("{shelf}-{when}"), &frame.encoded) {
                Ok(id) => ids.push(id),
                Err(error) => tracing::warn!("shelf {shelf}: a frame could not be kept: {error}"),
            }
        }
        ids
    }
}

impl ShelfEyes for ShelfCameras {
    fn tend(&mut self, now: Timestamp) -> Vec<String> {
        if let Some(evidence) = &mut self.evidence {
            evidence.forget(now);
        }
        let live = (self.cameras.iter()).filter_map(|(shelf, c)| Some((shelf, c.live.as_ref()?)));
        let told = live.filter_map(|(shelf, (_, health))| {
            let health = health.lock().unwrap_or_else(PoisonError::into_inner);
            Some(health.trouble(now)?.sentence(&format!("of shelf {shelf}")))
        });
        told.collect()
    }

    fn look(&mut self, change: &ShelfObservation) -> Option<VisionObservation> {
        match change.kind {
            ChangeKind::Take | ChangeKind::Put | ChangeKind::Unsure => {}
            // Nothing moved that could be named.
            ChangeKind::Touch | ChangeKind::Foreign => return None,
        }
        let (picture, evidence) = self.moved(change)?;
        let look = match self.recogniser.look(&picture) {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(
                    "shelf {}: the network could not look: {error}",
                    change.shelf
                );
                return None;
            }
        };
        let form = self.recogniser.form();
        let (logs, others) = (self.products).log_likelihoods(
            &look.embedding,
            form.prototype_scale,
            form.unknown_below,
        );
        let milli = |log: f64| (log * 1e3).round() as i64;
        let likelihoods = logs.into_iter().take(LIKELIHOODS_MAX);
        Some(VisionObservation {
            shelf: change.shelf,
            start: change.start,
            end: change.end,
            likelihoods: likelihoods
                .map(|(product, log)| ProductLikelihood {
                    product,
                    log_likelihood_milli: milli(log),
                })
                .collect(),
            others_milli: milli(others),
            model: self.model.clone(),
            evidence,
        })
    }
}

impl ShelfCamera {
    /// Reads a recording up to a time.
    fn read_to(&mut self, at: Timestamp) {
        let Some(source) = &mut self.recorded else {
            return;
        };
        let ended = loop {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            if ring.nearest(at, 0.0).is_some() || ring.between(at, Timestamp::MAX).next().is_some()
            {
                break false;
            }
            match source.next_frame() {
                Ok(Some(Frame {
                    at: Some(at),
                    encoded,
                    ..
                })) => {
                    ring.push(RingFrame { at, encoded });
                }
                Ok(Some(_)) => {}
                Ok(None) => break true,
                Err(error) => {
                    tracing::warn!("a shelf camera's recording ends here: {error}");
                    break true;
                }
            }
        };
        if ended {
            self.recorded = None;
        }
    }
}

/// What a live camera's frames go to.
struct Watch {
    ring: Arc<Mutex<FrameRing>>,
    health: Arc<Mutex<CameraHealth>>,
    checked_at: Option<Timestamp>,
}

impl Watch {
    fn take(&mut self, at: Timestamp, frame: Frame) {
        let is_due = |last: Timestamp| at.seconds_since(last) >= HEALTH_EVERY_S;
        if self.checked_at.is_none_or(is_due) {
            self.checked_at = Some(at);
            if let Ok(picture) = frame.picture() {
                let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
                health.see(at, &picture);
            }
        }
        let encoded = frame.encoded;
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push(RingFrame { at, encoded });
    }
}

#[cfg(test)]
mod tests;
