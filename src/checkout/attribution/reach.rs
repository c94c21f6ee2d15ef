//! How well a body's movement explains a change on a shelf: where its hands were, and when.
//!
//! An item leaves or comes while a hand is at its plates, about halfway between the hand's approach and its retreat.
//! So a reach is judged by how near the hand came around the moment of the change, and by how far that moment is from
//! the middle of the time that the hand was near. Hands are missed and misplaced by any tracker: how often and by how
//! much is measured on the track itself. Where no hand is seen, the head serves: who takes something stands still
//! before it.

use super::super::tracks::Tracks;
use crate::observation::{PlateChange, Pose, TrackId};
use crate::store::{Definition, ShelfId};
use crate::units::{Point, Timestamp};

/// Poses are looked at this long before and after the moment of the change, seconds.
pub const REACH_WINDOW_S: f64 = 1.1;
/// Within so much of the moment, the hand must be near, seconds.
const NEAR_S: f64 = 0.3;
/// Standard deviation of a reaching hand's distance from the plates that it changes, metres, beside the track's own.
const HAND_SIGMA_M: f64 = 0.06;
/// A hand counts as near by a normal weight of its distance with this deviation, metres, beside the track's own.
const DWELL_SIGMA_M: f64 = 0.12;
/// Standard deviation of the moment of a change around the middle of the dwell, seconds: most reaches, and the rest.
const TIMING_S: (f64, f64) = (0.12, 0.5);
/// Share of the reaches whose timing is loose.
const LOOSE: f64 = 0.12;
/// A dwell up to this long is one reach, seconds. In a longer one the moment may lie anywhere.
const DWELL_S: f64 = 1.5;
/// Share of reaches whose hand is placed wrongly, and how far off they are, metres.
const ASTRAY: (f64, f64) = (0.02, 0.35);
/// A hand that is hidden or missed says so little about where it is.
const UNSEEN: f64 = 0.3;
/// Where the head is while reaching: along the shelf (most, and the rest), and off it beyond an arm's length, metres.
const HEAD_ALONG_M: (f64, f64) = (0.17, 0.45);
const HEAD_OFF_M: (f64, f64) = (0.85, 0.25);
/// Who takes something moves slower than this, metres a second.
const STANDS_M_S: f64 = 0.35;
/// A reach that only a head speaks for, on the scale of a hand on the plates.
const HEAD_ONLY: f64 = 0.3;
/// The least that a reach can weigh.
const LOG_MIN: f64 = -30.0;

/// Where a change happened: a box that a hand must reach into.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    low: Point,
    high: Point,
}

impl Place {
    /// Around the changed plates of a shelf; `None` if the store has no such plate.
    pub fn of(definition: &Definition, shelf: ShelfId, changes: &[PlateChange]) -> Option<Place> {
        Place::around(definition, shelf, |plate| {
            changes.iter().any(|c| c.plate == plate)
        })
    }

    /// Around the plates of a shelf that are chosen by their index.
    pub fn around(
        definition: &Definition,
        shelf: ShelfId,
        chosen: impl Fn(u16) -> bool,
    ) -> Option<Place> {
        let plates = definition.layout.shelves.get(&shelf)?.plates.iter();
        (plates.filter(|p| chosen(p.id.plate)))
            .map(|p| Place {
                low: Point {
                    x: p.front.x - p.width_m / 2.0,
                    y: p.front.y - 0.06,
                    z: p.front.z - 0.02,
                },
                high: Point {
                    x: p.front.x + p.width_m / 2.0,
                    y: p.front.y + 0.4,
                    z: p.front.z + 0.25,
                },
            })
            .reduce(|a, b| Place {
                low: Point {
                    x: a.low.x.min(b.low.x),
                    y: a.low.y.min(b.low.y),
                    z: a.low.z.min(b.low.z),
                },
                high: Point {
                    x: a.high.x.max(b.high.x),
                    y: a.high.y.max(b.high.y),
                    z: a.high.z.max(b.high.z),
                },
            })
    }

    /// Metres from the box; 0 inside.
    pub fn distance(&self, p: &Point) -> f64 {
        let (x, y, z) = (
            outside(p.x, self.low.x, self.high.x),
            outside(p.y, self.low.y, self.high.y),
            outside(p.z, self.low.z, self.high.z),
        );
        (x * x + y * y + z * z).sqrt()
    }

    /// Metres on the floor plan from the box's front: along the shelf, and off it.
    pub fn on_floor(&self, p: &Point) -> (f64, f64) {
        (
            outside(p.x, self.low.x, self.high.x),
            (p.y - self.low.y).abs(),
        )
    }

    /// Metres on the floor plan from the middle of the box's front.
    pub fn distance_on_floor(&self, p: &Point) -> f64 {
        (p.x - (self.low.x + self.high.x) / 2.0).hypot(p.y - self.low.y)
    }

    /// Metres between two boxes along the shelf, and whether they are about as high.
    pub fn beside(&self, other: &Place) -> f64 {
        let along = (self.low.x - other.high.x).max(other.low.x - self.high.x);
        let apart = (self.low.z - other.low.z).abs();
        along.max(0.0).hypot(apart)
    }
}

fn outside(v: f64, low: f64, high: f64) -> f64 {
    (low - v).max(v - high).max(0.0)
}

/// How a body's movement bears on a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Natural log of how well it explains the change, in thousandths: 0 for a hand on the plates at the right moment.
    pub log_milli: i64,
    /// The middle of the time that a hand was near, if one was.
    pub middle: Option<Timestamp>,
    /// Mean distance of the nearer hand around the moment, metres.
    pub hand_m: Option<f64>,
    /// Distance of the head along the shelf around the moment, metres.
    pub head_m: Option<f64>,
}

/// How a track's movement bears on a change at `place` at `peak`, give or take `peak_error_s`; `None` if the body was
/// not seen around then.
pub fn reach(
    tracks: &Tracks,
    track: &TrackId,
    place: &Place,
    peak: Timestamp,
    peak_error_s: f64,
) -> Option<Reach> {
    let half = REACH_WINDOW_S + peak_error_s;
    let poses: Vec<&Pose> =
        (tracks.window(track, peak.plus_seconds(-half), peak.plus_seconds(half))).collect();
    let near_s = NEAR_S + peak_error_s;
    let around = |p: &&&Pose| p.at.seconds_since(peak).abs() <= near_s;
    poses.iter().find(around)?;
    let head = head_log(&poses, place, peak, near_s);
    let head_m = head.map(|h| h.1);
    let no_hands = poses.iter().filter(around).all(|p| p.hands.is_empty());
    let seen = Hands::of(&poses, place, peak);
    let (log, middle, hand_m) = match (&seen, no_hands) {
        // Somebody whose hands are never seen is judged by the head.
        (None, _) => (HEAD_ONLY.ln() + head?.0, None, None),
        (Some(hands), _) => {
            let (near, hand_m) = hands.nearness(near_s);
            let (timing, middle) = hands.timing(peak, peak_error_s);
            let astray = hand_m.map_or(LOG_MIN, |d| ASTRAY.0.ln() - d / ASTRAY.1);
            let stands = head.map_or(0.0, |h| h.0.max(-6.0));
            let log = log_sum(near + timing, astray) + 0.25 * stands;
            (log, middle, hand_m)
        }
    };
    Some(Reach {
        log_milli: (log.clamp(LOG_MIN, 1.0) * 1e3).round() as i64,
        middle,
        hand_m,
        head_m,
    })
}

fn log_sum(a: f64, b: f64) -> f64 {
    let high = a.max(b);
    high + ((a - high).exp() + (b - high).exp()).ln()
}

/// The nearer hand over a window.
struct Hands {
    /// Seconds from the moment, and the distance of the nearer hand in metres: infinite where none was seen.
    distances: Vec<(f64, f64)>,
    /// Share of the hands that are seen.
    visible: f64,
    /// Standard deviation of a hand's place from one pose to the next, metres.
    jitter_m: f64,
}

impl Hands {
    /// `None` if not one hand was seen.
    fn of(poses: &[&Pose], place: &Place, peak: Timestamp) -> Option<Hands> {
        let seen: usize = poses.iter().map(|p| p.hands.len()).sum();
        let distances = (poses.iter())
            .map(|pose| {
                let hands = pose.hands.iter().map(|h| place.distance(&h.place));
                (
                    pose.at.seconds_since(peak),
                    hands.fold(f64::INFINITY, f64::min),
                )
            })
            .collect();
        (seen > 0).then(|| Hands {
            distances,
            visible: (seen as f64 / (2 * poses.len()) as f64).clamp(0.1, 0.97),
            jitter_m: jitter(poses),
        })
    }

    /// Log-likelihood of the distances around the moment if a hand was at work there, relative to what a perfect reach
    /// gives; and their mean. A missed hand costs what missing it is worth.
    fn nearness(&self, near_s: f64) -> (f64, Option<f64>) {
        let near = self.distances.iter().filter(|(t, _)| t.abs() <= near_s);
        let sigma = HAND_SIGMA_M.hypot(self.jitter_m);
        let unseen = (1.0 - self.visible) * UNSEEN;
        let (mut sum, mut frames, mut metres, mut seen) = (0.0, 0.0, 0.0, 0.0);
        for &(_, distance) in near {
            let r = distance / sigma;
            sum += (self.visible * (-0.5 * r * r).exp() + unseen).ln();
            frames += 1.0;
            if distance.is_finite() {
                metres += distance;
                seen += 1.0;
            }
        }
        if frames == 0.0 {
            return (LOG_MIN, None);
        }
        let expected =
            self.visible * (self.visible.ln() - 0.15) + (1.0 - self.visible) * unseen.ln();
        // What is wrong with a hand's place stays wrong for a while, unless it jitters or comes and goes.
        let fresh = (self.jitter_m / 0.06)
            .max(2.0 * (0.97 - self.visible))
            .clamp(0.0, 1.0);
        let news = 3.0_f64.min(frames) + (frames - 3.0_f64).max(0.0) * fresh;
        let log = (sum / frames - expected) * news;
        (log.min(0.0), (seen > 0.0).then(|| metres / seen))
    }

    /// Log-likelihood of the moment given the middle of the dwell, relative to the very middle; and that middle.
    fn timing(&self, peak: Timestamp, peak_error_s: f64) -> (f64, Option<Timestamp>) {
        let sigma = DWELL_SIGMA_M.hypot(self.jitter_m);
        let (mut weight, mut first, mut second) = (0.0, 0.0, 0.0);
        for &(t, distance) in &self.distances {
            let r = distance / sigma;
            let w = (-0.5 * r * r).exp();
            weight += w;
            first += w * t;
            second += w * t * t;
        }
        if weight < 0.5 {
            return (LOOSE.ln(), None);
        }
        let middle = first / weight;
        let spread = (second / weight - middle * middle).max(0.0);
        let frame_s = 2.0 * REACH_WINDOW_S / self.distances.len().max(1) as f64;
        let dwell_s = weight * frame_s / self.visible;
        let free_s = ((dwell_s - DWELL_S) / 2.0).max(0.0) + peak_error_s;
        let off_s = (middle.abs() - free_s).max(0.0);
        // How well the middle is known: by as many sightings as there are while it is near.
        let known = spread / weight * (1.0 - self.visible).max(0.1);
        let sharp = (TIMING_S.0 * TIMING_S.0 + known).sqrt();
        let normal = |sigma: f64| (-0.5 * (off_s / sigma).powi(2)).exp();
        let log = ((1.0 - LOOSE) * normal(sharp) + LOOSE * normal(TIMING_S.1.max(sharp))).ln();
        // The moment lies anywhere in a long dwell: less likely at each of its moments.
        let thin = (1.0 + free_s / 0.6).ln();
        (log - thin, Some(peak.plus_seconds(middle)))
    }
}

/// Standard deviation of a hand's place from pose to pose, metres a coordinate: second differences of hands that are
/// nearest to each other in three poses in a row, which a steady movement leaves at nothing.
fn jitter(poses: &[&Pose]) -> f64 {
    let nearest = |pose: &Pose, to: &Point| {
        let hands = pose.hands.iter().map(|h| h.place);
        hands
            .map(|p| (square(&p, to), p))
            .filter(|(d, _)| *d < 0.25)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, p)| p)
    };
    let mut squares: Vec<f64> = Vec::new();
    for three in poses.windows(3) {
        for hand in &three[1].hands {
            let (Some(a), Some(b)) = (
                nearest(three[0], &hand.place),
                nearest(three[2], &hand.place),
            ) else {
                continue;
            };
            let middle = Point {
                x: (a.x + b.x) / 2.0,
                y: (a.y + b.y) / 2.0,
                z: (a.z + b.z) / 2.0,
            };
            squares.push(square(&hand.place, &middle));
        }
    }
    if squares.len() < 4 {
        return 0.0;
    }
    squares.sort_by(f64::total_cmp);
    // Three coordinates, each with variance 1.5 s²; the median of a chi-square of three is 2.37.
    (squares[squares.len() / 2] / 1.5 / 2.37).sqrt()
}

fn square(a: &Point, b: &Point) -> f64 {
    (a.x - b.x).powi(2) + (a.y - b.y).powi(2) + (a.z - b.z).powi(2)
}

/// Log of how well the head's place and speed agree with a reach, and its mean distance along the shelf in metres.
fn head_log(poses: &[&Pose], place: &Place, peak: Timestamp, near_s: f64) -> Option<(f64, f64)> {
    let heads: Vec<(f64, Point)> = (poses.iter())
        .filter_map(|p| Some((p.at.seconds_since(peak), p.head?.place)))
        .filter(|(t, _)| t.abs() <= near_s)
        .collect();
    let (first, last) = (heads.first()?, heads.last()?);
    let count = heads.len() as f64;
    let along = heads.iter().map(|(_, p)| place.on_floor(p).0).sum::<f64>() / count;
    let off = heads.iter().map(|(_, p)| place.on_floor(p).1).sum::<f64>() / count;
    let normal = |v: f64, sigma: f64| (-0.5 * (v / sigma).powi(2)).exp();
    let beside = 0.75 * normal(along, HEAD_ALONG_M.0) + 0.25 * normal(along, HEAD_ALONG_M.1);
    let beyond = -0.5 * ((off - HEAD_OFF_M.0).max(0.0) / HEAD_OFF_M.1).powi(2);
    let span_s = last.0 - first.0;
    let speed = if span_s > 0.15 {
        (last.1.x - first.1.x).hypot(last.1.y - first.1.y) / span_s
    } else {
        0.0
    };
    let walks = -0.5 * (speed / STANDS_M_S).powi(2);
    Some((beside.max(1e-12).ln() + beyond + walks.max(-4.0), along))
}
