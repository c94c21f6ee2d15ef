//! What the hands say of who made a change.
//!
//! An item leaves or comes while a hand is at its plates, about halfway between the hand's approach and its retreat.
//! So a hand is judged by how near it came around the moment, against where the hand of one who stands by may be, and
//! by how far the moment is from the middle of the time that it was near. Hands are missed and misplaced by any
//! tracker: how often and by how much is measured on the track itself.

use super::reach::{Place, log_sum};
use crate::observation::Pose;
use crate::units::{Point, Timestamp};

/// Standard deviation of a reaching hand's distance from the plates that it changes, metres, beside the track's own.
const HAND_SIGMA_M: f64 = 0.06;
/// The nearer hand of one who stands by is anywhere up to this far away, metres.
const BYSTANDER_M: f64 = 0.8;
/// A bystander's hand is about the plates around the moment so seldom, natural log: no number of sightings says more.
const BYSTANDER_LOG: f64 = -2.5;
/// What a sighting of a hand that is at work falls short of one on the plates, natural log: less says nothing against it.
const SCATTER: f64 = 0.6;
/// Sightings that are news each, though what is wrong with a hand's place stays wrong for a while.
const NEWS: f64 = 3.0;
/// A hand whose place jitters by this much is seen anew in each pose, metres.
const FRESH_M: f64 = 0.06;
/// A hand counts as near by a normal weight of its distance with this deviation, metres, beside the track's own.
const DWELL_SIGMA_M: f64 = 0.12;
/// Standard deviation of the moment of a change around the middle of the dwell, seconds: most reaches, and the rest. How
/// well the clocks agree comes on top.
const TIMING_S: (f64, f64) = (0.13, 0.5);
/// Share of the reaches whose timing is loose.
const LOOSE: f64 = 0.08;
/// A dwell up to this long is one reach, seconds. In a longer one the moment may lie anywhere.
const DWELL_S: f64 = 1.5;
/// A hand that was never seen to be near can have been so at any time of a second: the density of that, against the
/// middle of the sharp one.
const UNTIMED: f64 = 0.33;
/// Share of reaches whose hand is placed wrongly, and how far off they are, metres.
const ASTRAY: (f64, f64) = (0.004, 0.35);
/// Weight of what cannot be, natural log.
const LOG_NEVER: f64 = -60.0;
/// Bounds of the share of hands that are seen: no tracker misses all of them, and none misses none.
const VISIBLE: (f64, f64) = (0.1, 0.97);

/// The nearer hand around a change.
pub(super) struct Hands {
    /// Seconds from the change, and the distance of the nearer hand in metres: infinite where none was seen.
    distances: Vec<(f64, f64)>,
    /// Share of the hands that are seen.
    visible: f64,
    /// Standard deviation of a hand's place from one pose to the next, metres.
    jitter_m: f64,
}

/// What hands say of a change at one moment.
pub(super) struct HandsSay {
    /// Log-likelihood ratio of a hand that was seen at work, 0 for one on the plates at the right moment.
    pub log: f64,
    /// The same of a hand that was hidden all the while: then only the head can tell.
    pub hidden_log: f64,
    /// The middle of the time that a hand was near, seconds from the change.
    pub middle_s: Option<f64>,
    /// Mean distance around the moment, metres.
    pub distance_m: Option<f64>,
}

impl Hands {
    /// Of the poses `around` a change, which are the last of `poses`; `None` if not one hand was seen.
    pub fn of(poses: &[&Pose], around: &[&Pose], place: &Place, peak: Timestamp) -> Option<Hands> {
        let seen: usize = poses.iter().map(|p| p.hands.len()).sum();
        let distances = (around.iter())
            .map(|pose| {
                let hands = pose.hands.iter().map(|h| place.distance(&h.place));
                let nearest = hands.fold(f64::INFINITY, f64::min);
                (pose.at.seconds_since(peak), nearest)
            })
            .collect();
        (seen > 0).then(|| Hands {
            distances,
            visible: (seen as f64 / (2 * poses.len()) as f64).clamp(VISIBLE.0, VISIBLE.1),
            jitter_m: jitter(around),
        })
    }

    /// If the change was so many seconds later than the poses are counted from, give or take `error_s`.
    pub fn at(&self, moment_s: f64, near_s: f64, window_s: f64, error_s: f64) -> HandsSay {
        let (near, distance_m) = self.nearness(moment_s, near_s);
        let (timing, middle_s) = self.timing(moment_s, window_s, error_s);
        let astray = distance_m.map_or(LOG_NEVER, |d| ASTRAY.0.ln() - d / ASTRAY.1);
        // Where no hand is seen at all, one that was at work is hidden as well as one that was not.
        let hidden = distance_m.map_or(1.0, |_| 1.0 - self.visible);
        HandsSay {
            log: log_sum(near + timing, astray),
            hidden_log: hidden.ln() + UNTIMED.ln() + BYSTANDER_LOG,
            middle_s,
            distance_m,
        }
    }

    /// Log-likelihood ratio of the distances around the moment, 0 for a perfect reach; and their mean. Where no hand is
    /// seen, both are as likely to be at work. Where one is seen elsewhere, it can be the other hand.
    fn nearness(&self, moment_s: f64, near_s: f64) -> (f64, Option<f64>) {
        let sigma = HAND_SIGMA_M.hypot(self.jitter_m);
        let density = (2.0 / std::f64::consts::PI).sqrt() / sigma * BYSTANDER_M;
        let other = 1.0 - self.visible;
        let (mut far, mut about, mut metres, mut seen) = (0.0, 0.0, 0.0, 0.0);
        let sightings = (self.distances.iter())
            .filter(|(t, d)| (t - moment_s).abs() <= near_s && d.is_finite());
        for &(_, distance) in sightings {
            let r = distance / sigma;
            let at_work = self.visible * (-0.5 * r * r).exp();
            far += (density * at_work + other).ln();
            about += (at_work + other).ln() + SCATTER * self.visible;
            metres += distance;
            seen += 1.0;
        }
        if seen == 0.0 {
            return (LOG_NEVER, None);
        }
        // A place that jitters, or comes and goes, is wrong anew each time.
        let fresh = (self.jitter_m / FRESH_M)
            .max(2.0 * (VISIBLE.1 - self.visible))
            .clamp(0.0, 1.0);
        let news = NEWS.min(seen) + (seen - NEWS).max(0.0) * fresh;
        // Of two bystanders, whose hand is anywhere or about the plates, the one who explains the sightings better.
        let log = (far / seen * news + BYSTANDER_LOG).min(about / seen * news);
        (log.min(0.0), Some(metres / seen))
    }

    /// Log-likelihood of the moment given the middle of the dwell, relative to the very middle; and that middle.
    fn timing(&self, moment_s: f64, window_s: f64, error_s: f64) -> (f64, Option<f64>) {
        let sigma = DWELL_SIGMA_M.hypot(self.jitter_m);
        let (mut weight, mut first, mut second) = (0.0, 0.0, 0.0);
        let within = (self.distances.iter()).filter(|(t, _)| (t - moment_s).abs() <= window_s);
        let (mut earliest, mut latest, mut frames) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        for &(t, distance) in within {
            let r = distance / sigma;
            let w = (-0.5 * r * r).exp();
            weight += w;
            first += w * t;
            second += w * t * t;
            (earliest, latest, frames) = (earliest.min(t), latest.max(t), frames + 1.0);
        }
        if weight < 0.5 {
            return (UNTIMED.ln(), None);
        }
        let middle = first / weight;
        let spread = (second / weight - middle * middle).max(0.0);
        let dwell_s = weight * (latest - earliest) / frames / self.visible;
        let free_s = ((dwell_s - DWELL_S) / 2.0).max(0.0) + error_s;
        let off_s = ((middle - moment_s).abs() - free_s).max(0.0);
        // How well the middle is known: by as many sightings as there are while it is near.
        let known = spread / weight * (1.0 - self.visible).max(0.1);
        let sharp = TIMING_S.0.hypot(known.sqrt());
        let loose = TIMING_S.1.max(sharp);
        let normal = |sigma: f64| (-0.5 * (off_s / sigma).powi(2)).exp();
        // Two densities, of which the wide one is the lower.
        let log = ((1.0 - LOOSE) * normal(sharp) + LOOSE * sharp / loose * normal(loose)).ln();
        // The moment lies anywhere in a long dwell: less likely at each of its moments.
        let thin = (1.0 + free_s / 0.6).ln();
        (log - thin, Some(middle))
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

#[cfg(test)]
mod tests {
    use super::super::reach::tests::{body, place};
    use super::*;

    /// What hands at these distances along the shelf at each frame around 3 s say of a change then.
    fn says(hand_m: &[f64]) -> (f64, f64) {
        let poses = body(&[0.1; 6], hand_m);
        let poses: Vec<&Pose> = poses.iter().collect();
        let hands = Hands::of(&poses, &poses, &place(), Timestamp::from_seconds(3.0)).unwrap();
        let says = hands.at(0.0, 0.3, 1.1, 0.0);
        (says.log, says.hidden_log)
    }

    #[test]
    fn a_hand_is_weighed_against_one_that_stands_by() {
        let around = |near: f64, from: usize, to: usize| -> Vec<f64> {
            let hand = |i: usize| if (from..to).contains(&i) { near } else { 0.9 };
            (0..90).map(hand).collect()
        };
        let (perfect, hidden) = says(&around(0.1, 40, 50));
        assert!((-0.2..=0.0).contains(&perfect), "{perfect}");
        assert!(
            hidden < -3.0,
            "hands that are well seen are seldom hidden: {hidden}"
        );
        // Where and when the hand was, and how much less that explains.
        let cases: &[(&str, f64, usize, usize, std::ops::Range<f64>)] = &[
            ("beside the plates", 0.35, 40, 50, 0.5..3.0),
            ("at the next facing", 0.5, 40, 50, 3.0..7.0),
            ("a third of a second late", 0.1, 45, 55, 2.0..5.0),
            ("never there", 0.9, 40, 50, 4.0..9.0),
        ];
        for (name, near, from, to, less) in cases {
            let (log, _) = says(&around(*near, *from, *to));
            assert!(less.contains(&(perfect - log)), "{name}: {}", perfect - log);
        }
    }

    #[test]
    fn a_hand_that_is_missed_now_and_then_is_still_there() {
        let seen = |each: usize| -> Vec<f64> {
            let hand = |i: usize| match (i.is_multiple_of(each), (40..50).contains(&i)) {
                (false, _) => f64::NAN,
                (true, true) => 0.1,
                (true, false) => 0.9,
            };
            (0..90).map(hand).collect()
        };
        for each in [2, 3] {
            let (log, hidden) = says(&seen(each));
            assert!(log > -1.5, "every {each}th: {log}");
            assert!(hidden > -4.0, "every {each}th: {hidden}");
        }
    }
}
