//! A body: where it walks, what its hands do, and how a tracker sees it.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::random::{Stream, normal, open};
use crate::observation::{Pose, Sighting, TrackId};
use crate::units::{Point, Timestamp};

/// How long a hand takes from rest to the shelf, and back, seconds.
const REACH_S: f64 = 0.7;
/// How long it stays at the shelf before and after the item moves, seconds.
const HOLD_S: f64 = 0.35;
/// A tracker's triangulation wanders so far over some seconds, metres.
const WANDER_M: f64 = 0.03;
/// Probability that a hand is not seen in a frame.
const HAND_UNSEEN: f64 = 0.04;

/// The same when several things are snatched from a shelf one after the other, seconds.
const SNATCH_S: f64 = 0.25;
const SNATCH_HOLD_S: f64 = 0.08;

/// One of the two hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hand {
    Left,
    Right,
}

impl Hand {
    pub fn other(self) -> Hand {
        match self {
            Hand::Left => Hand::Right,
            Hand::Right => Hand::Left,
        }
    }
}

/// Where a hand is at a moment: at the body's side, or at a place of the store.
#[derive(Clone, Copy, Debug)]
struct HandKey {
    t: f64,
    at: Option<Point>,
}

/// A foot that came down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Footfall {
    pub t: f64,
    pub strength: f64,
}

/// One body, from its first to its last sight. Times are seconds since the simulation's start.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub track: TrackId,
    random: ChaCha8Rng,
    height_m: f64,
    step_s: f64,
    next_step_t: f64,
    /// Phase and period of the slow error of head, left and right hand in x, y and z.
    wander: [[(f64, f64); 3]; 3],
    /// Places on the floor with the times at which it is there; straight between, still before and after.
    way: VecDeque<(f64, f64, f64)>,
    hands: [VecDeque<HandKey>; 2],
    until_t: f64,
}

impl Body {
    /// The body of the shopper of that number, first seen at `t` on the floor at (`x`, `y`).
    pub fn new(seed: u64, number: u64, t: f64, (x, y): (f64, f64)) -> Self {
        let mut random = open(seed, Stream::Body(number));
        let digits: u64 = random.random_range(10_u64.pow(16)..10_u64.pow(18));
        let height_m = random.random_range(1.58..1.86);
        let step_s = random.random_range(0.46..0.56);
        let mut phase = || {
            let turn = random.random_range(0.0..std::f64::consts::TAU);
            (turn, random.random_range(3.0..9.0))
        };
        let wander = std::array::from_fn(|_| std::array::from_fn(|_| phase()));
        Body {
            track: TrackId::from(digits.to_string()),
            random,
            height_m,
            step_s,
            next_step_t: t,
            wander,
            way: VecDeque::from([(t, x, y)]),
            hands: [VecDeque::new(), VecDeque::new()],
            until_t: f64::INFINITY,
        }
    }

    /// It will be at (`x`, `y`) at `t`, after everything it was sent to before; having stood until `leave_t`.
    pub fn walk(&mut self, leave_t: f64, t: f64, (x, y): (f64, f64)) {
        if let Some(&(last_t, last_x, last_y)) = self.way.back()
            && leave_t > last_t
        {
            self.way.push_back((leave_t, last_x, last_y));
        }
        self.way.push_back((t, x, y));
    }

    /// It is seen no more after `t`.
    pub fn vanish(&mut self, t: f64) {
        self.until_t = t;
    }

    /// The hand moves an item at `place` from `t` on, for so many seconds: it comes from where it is, stays a little
    /// before and after, and goes to rest.
    pub fn reach(&mut self, hand: Hand, t: f64, seconds: f64, place: Point) {
        self.keep_at(hand, (t - HOLD_S, t + seconds + HOLD_S), REACH_S, place);
    }

    /// The hand snatches an item at `place` at `t`, with hardly a stop.
    pub fn snatch(&mut self, hand: Hand, t: f64, place: Point) {
        let stay = (t - SNATCH_HOLD_S, t + SNATCH_HOLD_S);
        self.keep_at(hand, stay, SNATCH_S, place);
    }

    /// The hand is at `place` between two times; it takes `way_s` to come there from rest, and to go back.
    fn keep_at(&mut self, hand: Hand, (from_t, until_t): (f64, f64), way_s: f64, place: Point) {
        let keys = &mut self.hands[hand as usize];
        while keys.back().is_some_and(|key| key.t > from_t - 0.1) {
            keys.pop_back();
        }
        let begin_t = from_t - way_s;
        if keys.back().is_none_or(|key| key.t < begin_t) {
            keys.push_back(HandKey {
                t: begin_t,
                at: None,
            });
        }
        for (t, at) in [
            (from_t, Some(place)),
            (until_t, Some(place)),
            (until_t + way_s, None),
        ] {
            keys.push_back(HandKey { t, at });
        }
    }

    /// Where it stands at `t`.
    pub fn place(&self, t: f64) -> (f64, f64) {
        let after = self.way.partition_point(|key| key.0 <= t);
        let before = after.checked_sub(1).and_then(|i| self.way.get(i));
        match (before, self.way.get(after)) {
            (Some(&(t0, x0, y0)), Some(&(t1, x1, y1))) => {
                let k = (t - t0) / (t1 - t0);
                (x0 + (x1 - x0) * k, y0 + (y1 - y0) * k)
            }
            (Some(&(_, x, y)), None) | (None, Some(&(_, x, y))) => (x, y),
            (None, None) => (0.0, 0.0),
        }
    }

    /// How much it shakes the floor at `t`: 1 walking, less while reaching or shifting its weight.
    pub fn stir(&self, t: f64) -> f64 {
        if !self.is_seen(t) {
            return 0.0;
        }
        let (x0, y0) = self.place(t - 0.05);
        let (x1, y1) = self.place(t + 0.05);
        let reaching = self.hands.iter().any(|keys| is_reaching(keys, t));
        if (x1 - x0).hypot(y1 - y0) > 0.01 {
            1.0
        } else if reaching {
            0.35
        } else {
            0.1
        }
    }

    /// The next footfall before `until_t`, if the body walks by then.
    pub fn next_footfall(&mut self, until_t: f64) -> Option<Footfall> {
        while self.next_step_t < until_t {
            let t = self.next_step_t;
            self.next_step_t += self.step_s * (1.0 + 0.06 * normal(&mut self.random));
            let strength = (0.45 * normal(&mut self.random)).exp();
            if self.stir(t) >= 1.0 {
                return Some(Footfall { t, strength });
            }
        }
        None
    }

    /// Whether a tracker sees it at `t`.
    pub fn is_seen(&self, t: f64) -> bool {
        t <= self.until_t && self.way.front().is_some_and(|first| first.0 <= t)
    }

    /// How the tracker sees it at `t`, which is `at` on the wall clock.
    pub fn pose(&mut self, t: f64, at: Timestamp) -> Pose {
        let (x, y) = self.place(t);
        let head = Point {
            x: x + self.slow(0, 0, t) + 0.004 * normal(&mut self.random),
            y: y + self.slow(0, 1, t) + 0.004 * normal(&mut self.random),
            z: self.height_m + self.slow(0, 2, t) / 3.0 + 0.002 * normal(&mut self.random),
        };
        let head = self.sighting(head);
        let mut hands = Vec::with_capacity(2);
        for (hand, side) in [(Hand::Left, -0.18), (Hand::Right, 0.18)] {
            let rest = Point {
                x: x + side,
                y: y + 0.12,
                z: 0.92,
            };
            let place = self.hand_place(hand, t, rest);
            let i = hand as usize + 1;
            let seen = Point {
                x: place.x + self.slow(i, 0, t) + 0.007 * normal(&mut self.random),
                y: place.y + self.slow(i, 1, t) + 0.007 * normal(&mut self.random),
                z: place.z + self.slow(i, 2, t) + 0.007 * normal(&mut self.random),
            };
            let sighting = self.sighting(seen);
            if !self.random.random_bool(HAND_UNSEEN) {
                hands.push(sighting);
            }
        }
        Pose {
            at,
            head: Some(head),
            hands,
        }
    }

    fn slow(&self, point: usize, axis: usize, t: f64) -> f64 {
        let (phase, period_s) = self.wander[point][axis];
        WANDER_M * (std::f64::consts::TAU * t / period_s + phase).sin()
    }

    /// Where the hand really is, between the keys before and after `t` with a soft start and stop.
    fn hand_place(&self, hand: Hand, t: f64, rest: Point) -> Point {
        let keys = &self.hands[hand as usize];
        let after = keys.partition_point(|key| key.t <= t);
        let (Some(k0), Some(k1)) = (
            after.checked_sub(1).and_then(|i| keys.get(i)),
            keys.get(after),
        ) else {
            return rest;
        };
        let k = ((t - k0.t) / (k1.t - k0.t)).clamp(0.0, 1.0);
        let k = k * k * (3.0 - 2.0 * k);
        let (from, to) = (k0.at.unwrap_or(rest), k1.at.unwrap_or(rest));
        Point {
            x: from.x + (to.x - from.x) * k,
            y: from.y + (to.y - from.y) * k,
            z: from.z + (to.z - from.z) * k,
        }
    }

    fn sighting(&mut self, place: Point) -> Sighting {
        let confidence: f64 = if self.random.random_bool(0.9) {
            self.random.random_range(0.85..1.0)
        } else {
            self.random.random_range(0.5..0.85)
        };
        Sighting {
            place: place.quantised(),
            confidence: (confidence * 1e3).round() / 1e3,
        }
    }

    /// Places and times that it remembers.
    #[cfg(test)]
    pub fn keys(&self) -> usize {
        self.way.len() + self.hands.iter().map(VecDeque::len).sum::<usize>()
    }

    /// Drops what lies before `t`, but for what is needed to know where it is then.
    pub fn forget_before(&mut self, t: f64) {
        while self.way.get(1).is_some_and(|key| key.0 < t) {
            self.way.pop_front();
        }
        for keys in &mut self.hands {
            while keys.get(1).is_some_and(|key| key.t < t) {
                keys.pop_front();
            }
        }
    }
}

/// Whether the hand is at a shelf, on the way to one or on the way back.
fn is_reaching(keys: &VecDeque<HandKey>, t: f64) -> bool {
    let after = keys.partition_point(|key| key.t <= t);
    let at = |i: usize| keys.get(i).is_some_and(|key| key.at.is_some());
    at(after) || after.checked_sub(1).is_some_and(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_walks_straight_and_stands_still() {
        let mut body = Body::new(1, 0, 0.0, (0.0, 0.0));
        body.walk(2.0, 4.0, (2.0, -1.0));
        for (t, place, stir) in [
            (1.0, (0.0, 0.0), 0.1),
            (3.0, (1.0, -0.5), 1.0),
            (9.0, (2.0, -1.0), 0.1),
        ] {
            assert_eq!(body.place(t), place, "{t} s");
            assert_eq!(body.stir(t), stir, "{t} s");
        }
        body.vanish(9.5);
        assert!(body.is_seen(9.5) && !body.is_seen(9.6) && !body.is_seen(-0.1));
        assert_eq!(body.stir(10.0), 0.0);
    }

    #[test]
    fn a_hand_is_at_the_shelf_when_the_item_moves_and_forgetting_does_not_move_it() {
        let shelf = Point {
            x: 0.3,
            y: 0.02,
            z: 1.2,
        };
        let mut body = Body::new(1, 0, 0.0, (0.0, -0.5));
        body.reach(Hand::Right, 3.0, 0.0, shelf);
        body.reach(Hand::Right, 4.7, 0.0, shelf);
        let rest = Point::default();
        assert_eq!(body.hand_place(Hand::Right, 1.0, rest), rest);
        for t in [2.65, 3.0, 3.35, 4.35, 5.05] {
            let off = body.hand_place(Hand::Right, t, rest).distance(&shelf);
            assert!(off < 1e-9, "{t} s: {off} m away");
        }
        let between = body.hand_place(Hand::Right, 3.9, rest);
        body.forget_before(3.8);
        assert_eq!(body.hand_place(Hand::Right, 3.9, rest), between);
        assert_eq!(body.hand_place(Hand::Right, 6.0, rest), rest);
        assert_eq!(body.hand_place(Hand::Left, 3.0, rest), rest);
    }

    #[test]
    fn feet_come_down_twice_a_second_and_only_while_walking() {
        let mut body = Body::new(1, 0, 0.0, (0.0, 0.0));
        body.walk(10.0, 20.0, (10.0, 0.0));
        let mut steps = Vec::new();
        while let Some(step) = body.next_footfall(60.0) {
            steps.push(step.t);
        }
        assert!((16..=24).contains(&steps.len()), "{} steps", steps.len());
        assert!(steps.iter().all(|t| (9.9..=20.1).contains(t)), "{steps:?}");
    }
}
