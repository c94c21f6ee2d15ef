//! What the head says of who made a change: who takes something stands before it.

use super::reach::Place;
use crate::observation::Pose;
use crate::units::{Point, Timestamp};

/// Where the head is while reaching, along the shelf, metres: standard deviations of most, and of those who reach
/// aside; and the share of these.
const ALONG_M: (f64, f64) = (0.17, 0.4);
const ASIDE: f64 = 0.12;
/// Where the head is off the shelf, beyond an arm's length, metres.
const OFF_M: (f64, f64) = (0.85, 0.25);
/// Who takes something moves slower than this, metres a second.
const STANDS_M_S: f64 = 0.35;

/// A head that has moved no further than this along or off the shelf has stood, metres.
const STOOD_M: f64 = 0.2;
/// Who comes to a shelf takes about so long to lift a hand to it, give or take, seconds; and the least that coming too
/// late weighs, natural log.
const LIFTS_S: (f64, f64) = (0.5, 0.1);
const TOO_LATE: f64 = -3.0;

/// The head around a change.
pub(super) struct Heads {
    /// Seconds from the change, metres along the shelf from the plates and off it, and the place.
    seen: Vec<(f64, (f64, f64), Point)>,
}

/// What a head says of a change at one moment.
#[derive(Clone, Copy)]
pub(super) struct HeadSays {
    /// Log-likelihood of where it was, 0 before the plates.
    pub log: f64,
    /// Mean distance from the plates along the shelf, metres.
    pub along_m: f64,
    /// When it came to stand there, seconds from the change; `None` if it has stood there all the while.
    pub came_s: Option<f64>,
}

impl HeadSays {
    /// The same of a body whose hands are never seen: then it counts, too, whether there was time to lift one.
    pub fn alone_log(&self, moment_s: f64) -> f64 {
        let stood_s = self.came_s.map_or(f64::INFINITY, |came| moment_s - came);
        let late = -((LIFTS_S.0 - stood_s) / LIFTS_S.1).exp().ln_1p();
        self.log + late.max(TOO_LATE)
    }
}

impl Heads {
    pub fn of(poses: &[&Pose], place: &Place, peak: Timestamp) -> Heads {
        let seen = (poses.iter())
            .filter_map(|p| Some((p.at.seconds_since(peak), p.head?.place)))
            .map(|(t, at)| (t, place.on_floor(&at), at));
        Heads {
            seen: seen.collect(),
        }
    }

    /// If the change was so many seconds later than the poses are counted from; `None` if the head was not seen then.
    pub fn at(&self, moment_s: f64, near_s: f64) -> Option<HeadSays> {
        let near = (self.seen.iter()).filter(|(t, _, _)| (t - moment_s).abs() <= near_s);
        let (first, last) = (near.clone().next()?, near.clone().next_back()?);
        let count = near.clone().count() as f64;
        let along_m = near.clone().map(|(_, (along, _), _)| along).sum::<f64>() / count;
        let off_m = near.map(|(_, (_, off), _)| off).sum::<f64>() / count;
        let density = |sigma: f64| (-0.5 * (along_m / sigma).powi(2)).exp() / sigma;
        let mixed = |most: f64, aside: f64| (1.0 - ASIDE) * most + ASIDE * aside;
        let beside =
            mixed(density(ALONG_M.0), density(ALONG_M.1)) / mixed(1.0 / ALONG_M.0, 1.0 / ALONG_M.1);
        let beyond = -0.5 * ((off_m - OFF_M.0).max(0.0) / OFF_M.1).powi(2);
        let span_s = last.0 - first.0;
        let speed = if span_s > 0.15 {
            (last.2.x - first.2.x).hypot(last.2.y - first.2.y) / span_s
        } else {
            0.0
        };
        let walks = -0.5 * (speed / STANDS_M_S).powi(2);
        Some(HeadSays {
            log: beside.max(1e-12).ln() + beyond + walks.max(-4.0),
            along_m,
            came_s: self.came(moment_s, near_s),
        })
    }

    /// When the head came to where it stood at a moment.
    fn came(&self, moment_s: f64, near_s: f64) -> Option<f64> {
        let until = self.seen.partition_point(|(t, _, _)| *t <= moment_s);
        let from = self
            .seen
            .partition_point(|(t, _, _)| *t < moment_s - near_s);
        let (_, _, stands) = self.seen.get((from + until) / 2)?;
        let elsewhere = |(_, _, at): &(f64, (f64, f64), Point)| {
            (at.x - stands.x).hypot(at.y - stands.y) > STOOD_M
        };
        let last = self.seen[..until].iter().rposition(elsewhere)?;
        Some(self.seen[last].0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reach::tests::{body, place};
    use super::*;

    #[test]
    fn who_stands_before_the_plates_has_taken() {
        // Where the head is along the shelf at each second, and what it says of a change at 6 s.
        let cases: &[(&str, &[f64], std::ops::Range<f64>, Option<f64>)] = &[
            (
                "has stood there",
                &[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
                -0.5..0.1,
                None,
            ),
            (
                "came in time",
                &[2.0, 2.0, 1.0, 0.1, 0.1, 0.1, 0.1, 0.1],
                -0.5..0.1,
                Some(-3.2),
            ),
            (
                "came too late",
                &[2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 0.1, 0.1],
                -9.0..-4.0,
                Some(0.0),
            ),
            (
                "reaches aside",
                &[0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8],
                -4.5..-2.0,
                None,
            ),
            (
                "passes by",
                &[-4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.2, 0.9],
                -9.0..-2.5,
                Some(-0.45),
            ),
        ];
        for (name, along, log, came) in cases {
            let poses = body(along, &[]);
            let poses: Vec<&Pose> = poses.iter().collect();
            let heads = Heads::of(&poses, &place(), Timestamp::from_seconds(6.0));
            let says = heads.at(0.0, 0.3).unwrap();
            assert!(
                log.contains(&says.alone_log(0.0)),
                "{name}: {}",
                says.alone_log(0.0)
            );
            match (says.came_s, came) {
                (Some(a), Some(b)) => assert!((a - b).abs() < 0.15, "{name}: {a}"),
                (a, b) => assert_eq!(a, *b, "{name}"),
            }
        }
    }
}
