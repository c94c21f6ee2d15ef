//! Where bodies were: the poses of the last minute, by track.
//!
//! Bounded: poses older than [`KEPT_S`] before the decided time are dropped, and a track with none left is forgotten.

use std::collections::{BTreeMap, VecDeque};

use crate::observation::{BodySegment, Pose, TrackId};
use crate::units::{Point, Timestamp};

/// Poses are kept for this long, seconds: longer than any change on a shelf lasts.
pub const KEPT_S: f64 = 60.0;

/// The poses of every track, in event time.
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    poses: BTreeMap<TrackId, VecDeque<Pose>>,
}

impl Tracks {
    /// Adds a segment, whatever the order of arrival. A pose that is there already is not added again.
    pub fn insert(&mut self, segment: &BodySegment) {
        let poses = self.poses.entry(segment.track.clone()).or_default();
        for pose in &segment.poses {
            if poses.back().is_none_or(|last| last.at < pose.at) {
                poses.push_back(pose.clone());
                continue;
            }
            let place = poses.partition_point(|p| p.at < pose.at);
            if poses.get(place).is_none_or(|p| p.at != pose.at) {
                poses.insert(place, pose.clone());
            }
        }
    }

    /// The poses of a track between two times, both included.
    pub fn window(
        &self,
        track: &TrackId,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = &Pose> {
        let poses = self.poses.get(track);
        let start = poses.map_or(0, |p| p.partition_point(|pose| pose.at < from));
        poses
            .into_iter()
            .flat_map(move |p| p.range(start..))
            .take_while(move |pose| pose.at <= to)
    }

    /// Where a track's head (or, unseen, a hand) was at the time nearest to `at`, at most `before_s` seconds before and
    /// `after_s` after it.
    pub fn place(
        &self,
        track: &TrackId,
        at: Timestamp,
        before_s: f64,
        after_s: f64,
    ) -> Option<Point> {
        self.window(track, at.plus_seconds(-before_s), at.plus_seconds(after_s))
            .filter_map(|pose| {
                let seen = pose.head.or_else(|| pose.hands.first().copied())?;
                Some(((pose.at.0 - at.0).abs(), seen.place))
            })
            .min_by_key(|(off, _)| *off)
            .map(|(_, place)| place)
    }

    /// Every track that has poses, in the order of the ids.
    pub fn ids(&self) -> impl Iterator<Item = &TrackId> {
        self.poses.keys()
    }

    /// Forgets poses from before `decided_to` less [`KEPT_S`].
    pub fn prune(&mut self, decided_to: Timestamp) {
        let oldest = decided_to.plus_seconds(-KEPT_S);
        self.poses.retain(|_, poses| {
            while poses.front().is_some_and(|pose| pose.at < oldest) {
                poses.pop_front();
            }
            !poses.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrival_order_and_repeats_change_nothing() {
        let segment = |from: i64| BodySegment {
            track: "t".into(),
            start: Timestamp(from),
            end: Timestamp(from + 2),
            poses: (from..from + 3)
                .map(|t| Pose {
                    at: Timestamp(t),
                    head: None,
                    hands: vec![],
                })
                .collect(),
        };
        let times = |order: &[i64]| {
            let mut tracks = Tracks::default();
            order.iter().for_each(|&from| tracks.insert(&segment(from)));
            tracks
                .window(&"t".into(), Timestamp(1), Timestamp(7))
                .map(|p| p.at.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(times(&[0, 3, 6]), times(&[6, 0, 3, 0, 6]));
        assert_eq!(times(&[0, 3, 6]), [1, 2, 3, 4, 5, 6, 7]);
    }
}
