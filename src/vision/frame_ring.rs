//! The frames of the last seconds, so that those before a change can still be looked at after it.

use std::collections::VecDeque;

use crate::units::Timestamp;

/// A frame as the camera gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct RingFrame {
    pub at: Timestamp,
    /// JPEG or PNG: a tenth of what the pixels take.
    pub encoded: Vec<u8>,
}

/// The latest frames of one camera. At either bound the oldest goes.
#[derive(Clone, Debug)]
pub struct FrameRing {
    frames: VecDeque<RingFrame>,
    bytes: usize,
    bytes_max: usize,
    kept_s: f64,
}

impl FrameRing {
    /// Keeps frames for so many seconds, and never more than so many bytes of them.
    pub fn new(kept_s: f64, bytes_max: usize) -> Self {
        FrameRing {
            frames: VecDeque::new(),
            bytes: 0,
            bytes_max,
            kept_s,
        }
    }

    /// Adds a frame. One that is older than the last, or larger than all that may be kept, is dropped.
    pub fn push(&mut self, frame: RingFrame) {
        let late = self.frames.back().is_some_and(|last| frame.at < last.at);
        if late || frame.encoded.len() > self.bytes_max {
            return;
        }
        self.bytes += frame.encoded.len();
        let oldest = frame.at.plus_seconds(-self.kept_s);
        self.frames.push_back(frame);
        while self.bytes > self.bytes_max || self.frames.front().is_some_and(|f| f.at < oldest) {
            let gone = self.frames.pop_front();
            self.bytes -= gone.map_or(0, |f| f.encoded.len());
        }
    }

    /// The frame nearest to a time, if one is within `off_s` seconds of it.
    pub fn nearest(&self, at: Timestamp, off_s: f64) -> Option<&RingFrame> {
        let off = |f: &&RingFrame| f.at.seconds_since(at).abs();
        let nearest = self.frames.iter().min_by(|a, b| off(a).total_cmp(&off(b)));
        nearest.filter(|f| off(f) <= off_s)
    }

    /// The frames of a stretch of time, oldest first.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &RingFrame> {
        self.frames
            .iter()
            .filter(move |f| (from..=to).contains(&f.at))
    }

    /// Bytes of all frames.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ms: i64, bytes: usize) -> RingFrame {
        RingFrame {
            at: Timestamp(ms * 1_000),
            encoded: vec![1; bytes],
        }
    }

    #[test]
    fn a_day_of_frames_stays_within_the_bound() {
        let mut ring = FrameRing::new(4.0, 3_000_000);
        for n in 0..864_000_i64 {
            // Now and then a camera gives a frame of unusual size, or out of order.
            let bytes = if n % 1_000 == 0 {
                2_900_000
            } else {
                60 + (n % 37) as usize
            };
            ring.push(frame(n * 100, bytes));
            ring.push(frame(n * 100 - 5_000, 10));
            assert!(ring.bytes() <= 3_000_000);
        }
        let kept: Vec<i64> = ring
            .between(Timestamp::MIN, Timestamp::MAX)
            .map(|f| f.at.0)
            .collect();
        assert_eq!(kept.len(), 41);
        assert!(kept.is_sorted());
    }

    #[test]
    fn finds_frames_by_time() {
        let mut ring = FrameRing::new(4.0, 1_000);
        for n in 0..20 {
            ring.push(frame(n * 100, 10));
        }
        ring.push(frame(2_000, 1_001));
        assert_eq!(
            ring.nearest(Timestamp(1_140_000), 0.1).unwrap().at,
            Timestamp(1_100_000)
        );
        assert_eq!(ring.nearest(Timestamp(9_000_000), 0.1), None);
        assert_eq!(
            ring.between(Timestamp(100_000), Timestamp(400_000)).count(),
            4
        );
        assert_eq!(ring.bytes(), 200);
    }
}
