//! Cameras before shelves: the frames of the last seconds in memory, and a look at them when the weight has changed.
//!
//! A live camera is read on a thread of its own into a [`FrameRing`]: when nobody looks, old frames go; nothing queues up and
//! nothing lags. Frames of a recording carry their own times and are read as far as they are wanted. Frames never leave this
//! process; what is sent is which products they can be of.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::edge::camera::{CameraError, Frame, FrameSource};
use crate::edge::pictures;
use crate::observation::{ChangeKind, ProductLikelihood, ShelfObservation, VisionObservation};
use crate::store::{ProductId, ShelfId};
use crate::units::Timestamp;
use crate::vision::camera_health::{CameraHealth, CameraTrouble};
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
    stop: Arc<AtomicBool>,
}

impl Drop for ShelfCamera {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The cameras of a node's shelves, and the network that they share.
pub struct ShelfCameras {
    cameras: BTreeMap<ShelfId, ShelfCamera>,
    recogniser: Recogniser,
    products: Prototypes<ProductId>,
    model: String,
}

impl ShelfCameras {
    /// No cameras yet; `products` are those that were enrolled with the recogniser's network, `model` its version.
    pub fn new(recogniser: Recogniser, products: Prototypes<ProductId>, model: &str) -> Self {
        ShelfCameras {
            cameras: BTreeMap::new(),
            recogniser,
            products,
            model: model.to_owned(),
        }
    }

    /// Adds a camera whose frames carry the times of the node's events: a recording.
    pub fn add_recorded(&mut self, shelf: ShelfId, source: Box<dyn FrameSource>) {
        let camera = ShelfCamera {
            ring: Arc::new(Mutex::new(FrameRing::new(KEPT_S, RING_BYTES_MAX))),
            recorded: Some(source),
            stop: Arc::default(),
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
        let stop = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            shelf,
            ring: Arc::clone(&ring),
            stop: Arc::clone(&stop),
            health: CameraHealth::new(clock()),
            looked_at: None,
            trouble: None,
        };
        std::thread::Builder::new()
            .name(format!("camera {shelf}"))
            .spawn(move || reader.run(clock, reopen))?;
        let camera = ShelfCamera {
            ring,
            recorded: None,
            stop,
        };
        self.cameras.insert(shelf, camera);
        Ok(())
    }

    /// The picture of what moved: of a take what stood there before, of a put what stands there now.
    fn moved(&mut self, change: &ShelfObservation) -> Option<Picture> {
        let camera = self.cameras.get_mut(&change.shelf)?;
        let after_at = change.end.plus_seconds(BESIDE_S);
        camera.read_to(after_at);
        let ring = camera.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let decoded = |at| pictures::decode(&ring.nearest(at, OFF_S)?.encoded).ok();
        let before = decoded(change.start.plus_seconds(-BESIDE_S))?;
        let after = decoded(after_at)?;
        drop(ring);
        let bounds = shelf_view::changed(&before, &after)?;
        if change.is_take() { &before } else { &after }.crop(&bounds)
    }
}

impl ShelfEyes for ShelfCameras {
    fn look(&mut self, change: &ShelfObservation) -> Option<VisionObservation> {
        match change.kind {
            ChangeKind::Take | ChangeKind::Put | ChangeKind::Unsure => {}
            // Nothing moved that could be named.
            ChangeKind::Touch | ChangeKind::Foreign => return None,
        }
        let picture = self.moved(change)?;
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
            evidence: Vec::new(),
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

/// What reads a live camera.
struct Reader {
    shelf: ShelfId,
    ring: Arc<Mutex<FrameRing>>,
    stop: Arc<AtomicBool>,
    health: CameraHealth,
    looked_at: Option<Timestamp>,
    trouble: Option<CameraTrouble>,
}

/// Time between two attempts to open a camera, growing twofold.
const RETRY_S: [u64; 5] = [1, 2, 4, 8, 15];

impl Reader {
    fn run(
        mut self,
        clock: impl Fn() -> Timestamp,
        reopen: impl Fn() -> Result<Box<dyn FrameSource>, CameraError>,
    ) {
        let mut attempt = 0;
        while !self.stop.load(Ordering::Relaxed) {
            match reopen().and_then(|source| self.read(source, &clock)) {
                // It gave frames, and ended.
                Ok(frames) if frames > 0 => attempt = 0,
                Ok(_) => tracing::warn!("camera {}: it gives no frames", self.shelf),
                Err(error) => tracing::warn!("camera {}: {error}", self.shelf),
            }
            self.tell(clock());
            let wait_s = RETRY_S[attempt.min(RETRY_S.len() - 1)];
            attempt += 1;
            for _ in 0..wait_s * 10 {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }

    /// Reads until the camera ends; gives how many frames came.
    fn read(
        &mut self,
        mut source: Box<dyn FrameSource>,
        clock: &impl Fn() -> Timestamp,
    ) -> Result<u64, CameraError> {
        let mut frames = 0;
        while !self.stop.load(Ordering::Relaxed)
            && let Some(frame) = source.next_frame()?
        {
            frames += 1;
            let at = frame.at.unwrap_or_else(clock);
            let is_due = |last: Timestamp| at.seconds_since(last) >= HEALTH_EVERY_S;
            if self.looked_at.is_none_or(is_due) {
                self.looked_at = Some(at);
                if let Ok(picture) = frame.picture() {
                    self.health.see(at, &picture);
                }
                self.tell(at);
            }
            let encoded = frame.encoded;
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            ring.push(RingFrame { at, encoded });
        }
        Ok(frames)
    }

    /// Says what is wrong with the camera, and when it is well again, once each.
    fn tell(&mut self, now: Timestamp) {
        let trouble = self.health.trouble(now);
        if trouble == self.trouble {
            return;
        }
        self.trouble = trouble;
        match trouble {
            Some(trouble) => tracing::warn!("{}", trouble.sentence(&self.shelf.to_string())),
            None => tracing::info!("camera {} sees again", self.shelf),
        }
    }
}

#[cfg(test)]
mod tests;
