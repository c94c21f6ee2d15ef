//! How well a body's movement explains a change on a shelf: where its hands and its head were, and when.
//!
//! The weight is a likelihood ratio, of a body that made the change to one that stood by: [`hands`](super::hands) and
//! [`heads`](super::heads) say what is expected of either. A hand that is hidden from the cameras leaves its body to
//! be judged by the head. How far the shelf's clock is off is not assumed: the weight is the mean over the offsets that
//! are believed ([`clocks`](super::clocks)).

use super::super::tracks::Tracks;
use super::clocks::{ClockBelief, OFFSET_MAX_S, OFFSETS, PerOffset, offset_s};
use super::hands::Hands;
use super::heads::Heads;
use crate::observation::{PlateChange, Pose, TrackId};
use crate::store::{Definition, ShelfId};
use crate::units::{Point, Timestamp};

/// Poses are looked at this long before and after the moment of the change, seconds.
pub const REACH_WINDOW_S: f64 = 1.1;
/// How often a body's hands are seen is told by its poses since so long before, seconds.
const LOOKED_BACK_S: f64 = 10.0;
/// Within so much of the moment, the hand must be near, seconds.
const NEAR_S: f64 = 0.3;
/// Weight of a body by its head where no hand is ever seen, on the scale of a hand on the plates.
const HEAD_ONLY: f64 = 0.3;
/// No lift lasts longer than twice this: a change known less well than that was quick, and nobody saw when, seconds.
const LIFT_S: f64 = 1.8;
/// Moments of such a change are tried so far apart, seconds.
const TRIED_S: f64 = 0.2;
/// Who came longer ago than this may have come for more than one thing, seconds.
const VISIT_S: f64 = 4.5;
/// Weight of a body whose head is not seen either, natural log.
const ELSEWHERE: f64 = -3.0;
/// The least that a reach can weigh.
const LOG_MIN: f64 = -30.0;
/// Bodies that came no nearer than this had no hand in a change, metres.
const NEAR_M: f64 = 2.5;

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
    /// The middle of the time that a hand was near, if one was; if the body's hands are never seen, when it came.
    pub middle: Option<Timestamp>,
    /// Mean distance of the nearer hand around the moment, metres.
    pub hand_m: Option<f64>,
    /// Distance of the head along the shelf around the moment, metres.
    pub head_m: Option<f64>,
    /// How well it explains the change for each offset of the node's clock, not logarithmic.
    pub by_offset: PerOffset,
}

/// How a track's movement bears on a change at `place` at `peak`, give or take `peak_error_s`, by a clock of which this
/// is believed; `None` if the body was not seen around then. Nothing later than the peak, the error and
/// [`REACH_WINDOW_S`] is looked at.
pub fn reach(
    tracks: &Tracks,
    track: &TrackId,
    place: &Place,
    peak: Timestamp,
    peak_error_s: f64,
    clock: &ClockBelief,
) -> Option<Reach> {
    let half_s = REACH_WINDOW_S + peak_error_s;
    let from = peak.plus_seconds(-half_s - OFFSET_MAX_S);
    let first = from.min(peak.plus_seconds(-LOOKED_BACK_S));
    let poses: Vec<&Pose> = tracks
        .window(track, first, peak.plus_seconds(half_s))
        .collect();
    let around = &poses[poses.partition_point(|p| p.at < from)..];
    if !around.iter().any(|pose| is_near(pose, place)) {
        return None;
    }
    let movement = Movement {
        hands: Hands::of(&poses, around, place, peak),
        heads: Heads::of(&poses, place, peak),
        at_s: around.iter().map(|p| p.at.seconds_since(peak)).collect(),
        error_s: peak_error_s,
    };
    let mut by_offset = [0.0; OFFSETS];
    let mut likeliest: Option<(f64, Moment)> = None;
    for (index, value) in by_offset.iter_mut().enumerate() {
        let Some(moment) = movement.within(-offset_s(index)) else {
            continue;
        };
        *value = moment.log.clamp(LOG_MIN, 0.0).exp();
        let weight = clock.weight(index) * *value;
        if likeliest.as_ref().is_none_or(|(best, _)| weight > *best) {
            likeliest = Some((weight, moment));
        }
    }
    let (_, moment) = likeliest?;
    let log = clock.mean(&by_offset).ln().max(LOG_MIN);
    Some(Reach {
        log_milli: (log * 1e3).round() as i64,
        middle: moment.middle_s.map(|s| peak.plus_seconds(s)),
        hand_m: moment.hand_m,
        head_m: moment.head_m,
        by_offset,
    })
}

/// Whether any part of a body is where an arm's length and two steps could bring a hand to the place. Nobody else
/// needs to be looked at: a crowd elsewhere in the store costs next to nothing.
fn is_near(pose: &Pose, place: &Place) -> bool {
    let mut parts = pose.head.iter().chain(&pose.hands);
    parts.any(|part| {
        let (along, off) = place.on_floor(&part.place);
        along.hypot(off) < NEAR_M
    })
}

/// A body around a change.
struct Movement {
    hands: Option<Hands>,
    heads: Heads,
    /// When it was seen, seconds from the change by the node's clock.
    at_s: Vec<f64>,
    error_s: f64,
}

/// How a movement bears on a change at one moment.
struct Moment {
    log: f64,
    /// Seconds from the change by the node's clock.
    middle_s: Option<f64>,
    hand_m: Option<f64>,
    head_m: Option<f64>,
}

impl Movement {
    /// If the change was so many seconds after what the node's clock says, or as long before or after that as it is
    /// uncertain: a slow one lasts all that time, a quick one that nobody saw is at any moment of it.
    fn within(&self, moment_s: f64) -> Option<Moment> {
        if self.error_s <= LIFT_S {
            return self.at(moment_s, self.error_s);
        }
        let tried = (2.0 * self.error_s / TRIED_S).ceil();
        let moments = (0..=tried as u32)
            .map(|k| moment_s + self.error_s * (2.0 * f64::from(k) / tried - 1.0))
            .filter_map(|t| self.at(t, 0.0));
        let (mut sum, mut likeliest) = (0.0, None);
        for moment in moments {
            sum += moment.log.exp() / (tried + 1.0);
            if (likeliest.as_ref()).is_none_or(|best: &Moment| moment.log > best.log) {
                likeliest = Some(moment);
            }
        }
        likeliest.map(|best| Moment {
            log: sum.ln(),
            ..best
        })
    }

    /// If the change was at that moment, give or take `error_s`; `None` if the body was not seen around then.
    fn at(&self, moment_s: f64, error_s: f64) -> Option<Moment> {
        let near_s = NEAR_S + error_s;
        (self.at_s.iter()).find(|t| (*t - moment_s).abs() <= near_s)?;
        let head = self.heads.at(moment_s, near_s);
        let head_m = head.map(|h| h.along_m);
        let stood = head.map(|h| h.log);
        let Some(hands) = &self.hands else {
            let head = head?;
            // Who came to stand there came for something: that visit is their reach.
            let came_s = head.came_s.filter(|came| moment_s - came < VISIT_S);
            return Some(Moment {
                log: HEAD_ONLY.ln() + head.alone_log(moment_s),
                middle_s: came_s,
                hand_m: None,
                head_m,
            });
        };
        let window_s = REACH_WINDOW_S + error_s;
        let seen = hands.at(moment_s, near_s, window_s, error_s);
        let hidden = seen.hidden_log + stood.unwrap_or(ELSEWHERE);
        Some(Moment {
            log: log_sum(seen.log, hidden),
            middle_s: seen.middle_s,
            hand_m: seen.distance_m,
            head_m,
        })
    }
}

pub(super) fn log_sum(a: f64, b: f64) -> f64 {
    let high = a.max(b);
    high + ((a - high).exp() + (b - high).exp()).ln()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::observation::{BodySegment, Sighting};

    /// A plate 0.3 m wide whose front is at nothing.
    pub fn place() -> Place {
        Place {
            low: Point {
                x: -0.05,
                y: -0.06,
                z: 1.0,
            },
            high: Point {
                x: 0.25,
                y: 0.4,
                z: 1.25,
            },
        }
    }

    /// A body with its head at these places along the shelf at each second, and between them; and a hand of it at these
    /// places along the shelf in each frame, at 15 Hz. No number: not seen.
    pub fn body(head_m: &[f64], hand_m: &[f64]) -> Vec<Pose> {
        let sighting = |x: f64, y: f64, z: f64| Sighting {
            place: Point { x, y, z },
            confidence: 1.0,
        };
        let frames = 15 * (head_m.len() - 1);
        let pose = |i: usize| {
            let (second, part) = (i / 15, (i % 15) as f64 / 15.0);
            let head = head_m[second] * (1.0 - part) + head_m[second + 1] * part;
            let hand = hand_m.get(i).copied().filter(|x| !x.is_nan());
            Pose {
                at: Timestamp::from_seconds(i as f64 / 15.0),
                head: Some(sighting(head, -0.6, 1.7)),
                hands: hand.into_iter().map(|x| sighting(x, 0.05, 1.1)).collect(),
            }
        };
        (0..frames).map(pose).collect()
    }

    #[test]
    fn a_clock_that_is_off_is_reckoned_with() {
        let hand = |i: usize| if (40..50).contains(&i) { 0.1 } else { 0.9 };
        let hands: Vec<f64> = (0..90).map(hand).collect();
        let poses = body(&[0.1; 7], &hands);
        let mut tracks = Tracks::default();
        tracks.insert(&BodySegment {
            track: "t".into(),
            start: poses[0].at,
            end: poses[poses.len() - 1].at,
            poses,
        });
        let late = ClockBelief::from(&crate::checkout::decision::ClockEstimate {
            offset_ms: 700,
            from_ms: 650,
            ppm: vec![250_000, 500_000, 250_000],
        });
        // When the node says that it was, what is believed of its clock, and how well the reach at 3 s explains it.
        let cases = [
            (3.0, ClockBelief::exact(), -0.3..0.0),
            (3.7, ClockBelief::exact(), -9.0..-2.5),
            (3.7, late.clone(), -0.7..0.0),
            (3.0, late, -9.0..-2.5),
            (3.0, ClockBelief::default(), -1.0..0.0),
            (3.7, ClockBelief::default(), -5.0..-2.0),
        ];
        for (peak_s, clock, log) in cases {
            let peak = Timestamp::from_seconds(peak_s);
            let found = reach(&tracks, &"t".into(), &place(), peak, 0.0, &clock).unwrap();
            let weight = found.log_milli as f64 / 1e3;
            assert!(log.contains(&weight), "{peak_s} {clock:?}: {weight}");
            if weight > -1.0 {
                let middle_s = found.middle.unwrap().seconds_since(Timestamp(0));
                assert!((middle_s - 3.0).abs() < 0.1, "{middle_s}");
            }
        }
    }
}
