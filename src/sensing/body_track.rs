//! Cuts body tracks into segments of bounded length, which go through the outbox.

use std::collections::BTreeMap;

use crate::observation::{BodySegment, Pose, TrackId};
use crate::units::Timestamp;

/// A segment is closed when it is this long, seconds.
const SEGMENT_S: f64 = 0.3;
/// A segment is closed when its body has not been seen for this long, seconds.
const UNSEEN_S: f64 = 0.25;
/// Poses in a segment at most.
const POSES_MAX: usize = 64;

/// The open segments of a node's tracks.
#[derive(Debug, Default)]
pub struct Segmenter {
    open: BTreeMap<TrackId, BodySegment>,
    last_frame: Option<Timestamp>,
}

impl Segmenter {
    /// Takes the bodies of one frame; finished segments go to `out` in the order of their tracks.
    pub fn push(&mut self, at: Timestamp, bodies: &[(TrackId, Pose)], out: &mut Vec<BodySegment>) {
        self.last_frame = Some(self.last_frame.map_or(at, |last| last.max(at)));
        for (track, pose) in bodies {
            match self.open.get_mut(track) {
                // A pose from before the last one would break the order that readers rely on.
                Some(segment) if pose.at <= segment.end => {}
                Some(segment) => {
                    segment.end = pose.at;
                    segment.poses.push(pose.clone());
                }
                None => {
                    let segment = BodySegment {
                        track: track.clone(),
                        start: pose.at,
                        end: pose.at,
                        poses: vec![pose.clone()],
                    };
                    self.open.insert(track.clone(), segment);
                }
            }
        }
        let finished = |s: &BodySegment| {
            s.end.seconds_since(s.start) >= SEGMENT_S
                || at.seconds_since(s.end) >= UNSEEN_S
                || s.poses.len() >= POSES_MAX
        };
        self.open.retain(|_, segment| {
            let keep = !finished(segment);
            if !keep {
                out.push(segment.clone());
            }
            keep
        });
    }

    /// Nothing is promised of what begins after this before a frame has come: bodies are watched from then on.
    pub fn begin(&mut self, at: Timestamp) {
        self.last_frame.get_or_insert(at);
    }

    /// Closes every segment.
    pub fn finish(&mut self, out: &mut Vec<BodySegment>) {
        out.extend(std::mem::take(&mut self.open).into_values());
    }

    /// No later segment starts at or before this; `None` before the first frame.
    pub fn promise(&self) -> Option<Timestamp> {
        let oldest = self.open.values().map(|s| Timestamp(s.start.0 - 1)).min();
        oldest.or(self.last_frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pose(ms: i64) -> Pose {
        Pose {
            at: Timestamp(ms * 1000),
            head: None,
            hands: Vec::new(),
        }
    }

    #[test]
    fn segments_are_short_and_promised() {
        let mut segmenter = Segmenter::default();
        let mut out = Vec::new();
        assert_eq!(segmenter.promise(), None);
        for ms in (0..1000).step_by(66) {
            segmenter.push(Timestamp(ms * 1000), &[("a".into(), pose(ms))], &mut out);
            let oldest_to_come = segmenter.promise().unwrap();
            assert!(
                out.iter()
                    .all(|s| s.start <= oldest_to_come || segmenter.open.is_empty())
            );
        }
        assert_eq!(out.len(), 2);
        segmenter.push(Timestamp(1_500_000), &[], &mut out);
        assert_eq!(
            out.len(),
            3,
            "a body that is not seen any more ends its segment"
        );
        let poses: usize = out.iter().map(|s| s.poses.len()).sum();
        assert_eq!(poses, 16);
        assert_eq!(segmenter.promise(), Some(Timestamp(1_500_000)));
    }
}
