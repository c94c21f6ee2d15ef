//! Weights and distances around a change.

use serde::Serialize;

use super::played::Played;
use crate::checkout::attribution::Place;
use crate::checkout::tracks::Tracks;
use crate::observation::{Pose, TrackId};
use crate::store::PlateId;
use crate::units::Timestamp;

/// So long before and after a change is looked at and drawn, seconds.
pub const WINDOW_S: f64 = 3.0;
/// Levels are taken over this long before and after a change, seconds.
const LEVEL_S: f64 = 0.5;
/// Noise is taken over this long before a change, seconds, as that of means over a block of it.
const NOISE_S: f64 = 2.0;
const BLOCK_S: f64 = 0.05;
/// A pose tells where a hand was at a moment if it is no farther from it, seconds.
const POSE_S: f64 = 0.1;

/// A plate's levels around a change, and its noise, grams. `None` where nothing was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    pub before: Option<f64>,
    pub after: Option<f64>,
    pub noise: Option<f64>,
}

/// The levels of a plate before `start` and after `end`.
pub fn level(played: &Played<'_>, plate: PlateId, start: Timestamp, end: Timestamp) -> Level {
    let weights = |from: Timestamp, to: Timestamp| played.weights(plate, from, to);
    let grams = |from, to| weights(from, to).into_iter().map(|w| w.1).collect();
    Level {
        before: median(grams(start.plus_seconds(-LEVEL_S), start)),
        after: median(grams(end, end.plus_seconds(LEVEL_S))),
        noise: noise(&weights(start.plus_seconds(-NOISE_S), start)),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Robust standard deviation of block means: 1.48 times the median absolute deviation.
fn noise(weights: &[(Timestamp, f64)]) -> Option<f64> {
    let (first, _) = weights.first()?;
    let block = |w: &(Timestamp, f64)| (w.0.seconds_since(*first) / BLOCK_S) as i64;
    let means: Vec<f64> = (weights.chunk_by(|a, b| block(a) == block(b)))
        .map(|samples| samples.iter().map(|w| w.1).sum::<f64>() / samples.len() as f64)
        .collect();
    let middle = median(means.clone())?;
    let off = median(means.iter().map(|m| (m - middle).abs()).collect())?;
    Some(1.48 * off)
}

/// How near a shopper was to the changed plates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Nearness {
    /// Metres from the nearer hand to the plates at the moment of the change; `None`: no hand was seen.
    pub hand_m: Option<f64>,
    /// The least that it ever was in the window, metres, and when, seconds after the moment of the change.
    pub hand_m_min: Option<f64>,
    pub hand_min_after_s: Option<f64>,
    /// Metres from the head to the plates on the floor plan, at the moment of the change.
    pub head_m: Option<f64>,
}

impl Nearness {
    /// The nearest that anything of the shopper is known to have been, metres.
    pub fn nearest_m(&self) -> Option<f64> {
        (self.hand_m_min.into_iter().chain(self.head_m)).min_by(f64::total_cmp)
    }

    /// Whether the shopper came as near as this.
    pub fn is_within(&self, metres: f64) -> bool {
        self.nearest_m().is_some_and(|m| m <= metres)
    }
}

/// How near a track was to a place at and around `peak`.
pub fn nearness(tracks: &Tracks, track: &TrackId, place: &Place, peak: Timestamp) -> Nearness {
    let (hands, heads) = distances(tracks, track, place, peak);
    let at_peak = |series: &[(f64, f64)]| {
        (series.iter())
            .filter(|(t, _)| t.abs() <= POSE_S)
            .min_by(|a, b| a.0.abs().total_cmp(&b.0.abs()))
            .map(|(_, metres)| *metres)
    };
    let nearest = hands.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    Nearness {
        hand_m: at_peak(&hands).map(millimetres),
        hand_m_min: nearest.map(|(_, metres)| millimetres(*metres)),
        hand_min_after_s: nearest.map(|(t, _)| millimetres(*t)),
        head_m: at_peak(&heads).map(millimetres),
    }
}

/// Three digits are more than a tracker can know.
fn millimetres(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Seconds after a moment, and metres.
pub type Series = Vec<(f64, f64)>;

/// The distances of a track's nearer hand and of its head to a place, over the window around `peak`. Poses without a
/// hand, or a head, are left out.
pub fn distances(
    tracks: &Tracks,
    track: &TrackId,
    place: &Place,
    peak: Timestamp,
) -> (Series, Series) {
    let (from, to) = (peak.plus_seconds(-WINDOW_S), peak.plus_seconds(WINDOW_S));
    let poses = || tracks.window(track, from, to);
    let hand = |pose: &Pose| {
        (pose.hands.iter())
            .map(|hand| place.distance(&hand.place))
            .min_by(f64::total_cmp)
    };
    let head = |pose: &Pose| {
        pose.head.map(|head| {
            let (along, off) = place.on_floor(&head.place);
            along.hypot(off)
        })
    };
    let series = |metres: &dyn Fn(&Pose) -> Option<f64>| {
        poses()
            .filter_map(|pose| Some((pose.at.seconds_since(peak), metres(pose)?)))
            .collect()
    };
    (series(&hand), series(&head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_that_of_block_means_and_a_footstep_does_not_count() {
        let flat = |grams: fn(i32) -> f64| -> Vec<(Timestamp, f64)> {
            (0..120)
                .map(|i| (Timestamp(i64::from(i) * 16_667), grams(i)))
                .collect()
        };
        for (name, weights, expected) in [
            ("nothing was read", Vec::new(), None),
            ("still", flat(|_| 7.0), Some(0.0)),
            (
                "a footstep",
                flat(|i| if i / 3 == 9 { 90.0 } else { 7.0 }),
                Some(0.0),
            ),
            (
                "blocks up and down",
                flat(|i| f64::from(i / 3 % 2)),
                Some(1.48),
            ),
        ] {
            assert_eq!(noise(&weights), expected, "{name}");
        }
    }
}
