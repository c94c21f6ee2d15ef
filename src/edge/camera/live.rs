//! A live camera, read on a thread of its own and opened again when it ends or fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{CameraError, Ender, Frame, FrameSource};
use crate::units::Timestamp;

/// Time between two attempts to open a camera, growing.
const RETRY_S: [u64; 5] = [1, 2, 4, 8, 15];

/// Ends its thread and the camera when it is dropped: a program that reads a camera must not outlive this one, or nobody else
/// gets at the camera.
pub struct LiveReader {
    stop: Arc<AtomicBool>,
    ender: Arc<Mutex<Option<Ender>>>,
}

impl LiveReader {
    /// Reads the camera that `open` gives; each frame goes to `take` with its time, which is `clock`'s where the frame says none.
    pub fn start(
        name: &str,
        clock: impl Fn() -> Timestamp + Send + 'static,
        open: impl Fn() -> Result<Box<dyn FrameSource>, CameraError> + Send + 'static,
        take: impl FnMut(Timestamp, Frame) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let ender = Arc::default();
        let reading = Reading {
            name: name.to_owned(),
            clock,
            take,
            stop: Arc::clone(&stop),
            ender: Arc::clone(&ender),
        };
        std::thread::Builder::new()
            .name(format!("camera {name}"))
            .spawn(move || reading.run(open))?;
        Ok(LiveReader { stop, ender })
    }
}

impl Drop for LiveReader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ender = self.ender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = ender.as_ref() {
            end();
        }
    }
}

struct Reading<C, T> {
    name: String,
    clock: C,
    take: T,
    stop: Arc<AtomicBool>,
    ender: Arc<Mutex<Option<Ender>>>,
}

impl<C: Fn() -> Timestamp, T: FnMut(Timestamp, Frame)> Reading<C, T> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn run(mut self, open: impl Fn() -> Result<Box<dyn FrameSource>, CameraError>) {
        let mut attempt = 0;
        while !self.is_stopped() {
            match open().and_then(|source| self.read(source)) {
                // It gave frames, and ended.
                Ok(frames) if frames > 0 => attempt = 0,
                Ok(_) => tracing::warn!("camera {}: it gives no frames", self.name),
                Err(error) => tracing::warn!("camera {}: {error}", self.name),
            }
            let wait_s = RETRY_S[attempt.min(RETRY_S.len() - 1)];
            attempt += 1;
            for _ in 0..wait_s * 10 {
                if self.is_stopped() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// Reads until the camera ends; gives how many frames came.
    fn read(&mut self, mut source: Box<dyn FrameSource>) -> Result<u64, CameraError> {
        let mut frames = 0;
        // Known before it is seen whether to stop: who stops later finds it.
        *self.ender.lock().unwrap_or_else(PoisonError::into_inner) = source.ender();
        while !self.is_stopped()
            && let Some(frame) = source.next_frame()?
        {
            frames += 1;
            (self.take)(frame.at.unwrap_or_else(|| (self.clock)()), frame);
        }
        Ok(frames)
    }
}
