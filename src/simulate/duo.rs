//! The scenes of two shoppers.

use rand::RngExt;

use super::Store;
use super::hands::Manner;
use super::scene::Waiting;
use super::shopper::{Premises, Shopper};
use super::situation::{Cast, Situation};
use super::solo::{PLACES_MAX, within_reach};
use crate::units::Point;

/// Two who act together stand so far apart, metres: their heads, as shoulders allow.
const APART_M: f64 = 0.5;
/// The hands of two act within this of each other, seconds.
const TOGETHER_S: f64 = 0.9;
/// Facings that are broader than so many plates are no place where two hands meet.
const PLATES_MAX: usize = 3;
/// From an item's lift to when it changes hands, and how long both hold it, seconds.
const HANDED_AFTER_S: f64 = 1.8;
const HANDED_S: f64 = 0.5;

impl Store {
    /// Has two shoppers play their next scene, of whom the second waits.
    pub(super) fn play_together(&mut self, index: usize, waiting: usize) {
        let now = self.shoppers[index].next_t;
        let premises = &mut self.premises;
        let Ok([a, b]) = self.shoppers.get_disjoint_mut([index, waiting]) else {
            return;
        };
        let played = match a.script.together.last() {
            Some(Situation::SameFacing) => share_facing(a, b, now, premises),
            Some(Situation::Crossed) => cross_arms(a, b, now, premises),
            Some(Situation::HandOver) => hand_over(a, b, now, premises),
            Some(
                Situation::Bag
                | Situation::RestingHand
                | Situation::MisplacedTwin
                | Situation::SlowLift
                | Situation::QuickPicks
                | Situation::NoisyHands
                | Situation::HeadsOnly
                | Situation::LostSamples
                | Situation::StuckPlate
                | Situation::ClockSkew
                | Situation::Tailgater
                | Situation::Staff,
            )
            | None => None,
        };
        match played {
            Some(()) => [&mut *a, &mut *b]
                .into_iter()
                .for_each(|one| one.script.waiting = Waiting::No),
            None => a.make_room(now, premises),
        }
        let tries = a.script.tries;
        b.script.tries = tries;
        for one in [a, b] {
            one.script.tried(Cast::Together, played.is_some());
        }
    }
}

/// Brings two side by side before `x`, who stay so long after both have come to rest; the time at which their hands
/// may begin. They are then in the order in which they stand, the left one first. `None` if somebody else is there.
fn stand_together(
    [a, b]: [&mut Shopper; 2],
    now: f64,
    x: f64,
    stay_s: f64,
    premises: &mut Premises,
) -> Option<f64> {
    let y = premises.front_y - (a.lane_m + b.lane_m) / 2.0;
    let wait_s = a.random.random_range(1.2..2.0);
    let speed = a.random.random_range(0.8..1.2);
    let places = [(x - APART_M / 2.0, y), (x + APART_M / 2.0, y)];
    let ways = [
        a.way(now, places[0], speed, premises.front_y),
        b.way(now, places[1], speed, premises.front_y),
    ];
    let arrivals = ways
        .each_ref()
        .map(|way| way.last().map_or(now, |key| key.0));
    let begin_t = arrivals[0].max(arrivals[1]) + wait_s;
    let end_t = begin_t + stay_s + 0.5;
    let both = [a.number, b.number];
    let free = (places.iter().zip(arrivals))
        .all(|(&place, arrival_t)| premises.floor.is_free_for(&both, place, arrival_t, end_t));
    if !free {
        return None;
    }
    for (i, one) in [a, b].into_iter().enumerate() {
        premises.floor.release(one.number, now);
        (premises.floor).book(one.number, places[i], arrivals[i], end_t);
        one.follow(now, &ways[i]);
        one.next_t = end_t;
    }
    Some(begin_t)
}

/// The one who stands farther left first.
fn left_first<'s>(a: &'s mut Shopper, b: &'s mut Shopper, now: f64) -> [&'s mut Shopper; 2] {
    if a.body.place(now).0 <= b.body.place(now).0 {
        [a, b]
    } else {
        [b, a]
    }
}

/// A facing of a few plates with so many units.
fn choose(a: &mut Shopper, units: usize, premises: &Premises) -> Option<usize> {
    let facings = premises.stock.facings();
    if facings.is_empty() {
        return None;
    }
    let facing = a.random.random_range(0..facings.len());
    let fits = facings[facing].units() >= units && facings[facing].plates.len() <= PLATES_MAX;
    fits.then_some(facing)
}

/// Both take from one facing, or one takes while the other puts back.
fn share_facing(a: &mut Shopper, b: &mut Shopper, now: f64, premises: &mut Premises) -> Option<()> {
    for _ in 0..PLACES_MAX {
        let Some(facing) = choose(a, 2, premises) else {
            continue;
        };
        let x = premises.stock.facings()[facing].x(&premises.scales);
        let before_s = premises.action_s() + 0.8;
        let stay_s = before_s + premises.action_s();
        let pair = left_first(a, b, now);
        let Some(t) = stand_together(pair, now, x, stay_s, premises) else {
            continue;
        };
        let puts_back = a.random.random_bool(0.5);
        let off_s = a.random.random_range(-TOGETHER_S..TOGETHER_S);
        let at = if puts_back {
            let manner = b.manner(premises);
            b.pick(facing, 1, t, manner, premises);
            t + before_s
        } else {
            t
        };
        // Times are as planned, so whoever is first in time need not be the first here.
        let (a_t, b_t) = (at + off_s.max(0.0), at + (-off_s).max(0.0));
        let manner = a.manner(premises);
        let near = a.pick(facing, 1, a_t, manner, premises).map(|r| r.place);
        let manner = Manner {
            near,
            ..b.manner(premises)
        };
        if puts_back {
            b.put_back(facing, facing, b_t, manner, premises);
        } else {
            b.pick(facing, 1, b_t, manner, premises);
        }
        return Some(());
    }
    None
}

/// The left one takes from the right and the right one from the left, over each other's arms.
fn cross_arms(a: &mut Shopper, b: &mut Shopper, now: f64, premises: &mut Premises) -> Option<()> {
    for _ in 0..PLACES_MAX {
        let Some(on_left) = choose(a, 1, premises) else {
            continue;
        };
        let left_x = premises.stock.facings()[on_left].x(&premises.scales);
        let off_m = a.random.random_range(0.35..0.6);
        let facings = premises.stock.facings();
        let on_right: Vec<usize> = (within_reach(left_x + off_m, premises).into_iter())
            .filter(|&facing| {
                let apart_m = facings[facing].x(&premises.scales) - left_x;
                (0.3..0.8).contains(&apart_m) && facings[facing].plates.len() <= PLATES_MAX
            })
            .collect();
        if on_right.is_empty() {
            continue;
        }
        let on_right = on_right[a.random.random_range(0..on_right.len())];
        let x = (left_x + facings[on_right].x(&premises.scales)) / 2.0;
        let stay_s = TOGETHER_S + premises.action_s();
        let [left, right] = left_first(a, b, now);
        let pair = [&mut *left, &mut *right];
        let Some(t) = stand_together(pair, now, x, stay_s, premises) else {
            continue;
        };
        let off_s = left.random.random_range(-TOGETHER_S..TOGETHER_S);
        let manner = left.manner(premises);
        left.pick(on_right, 1, t + off_s.max(0.0), manner, premises);
        let manner = right.manner(premises);
        right.pick(on_left, 1, t + (-off_s).max(0.0), manner, premises);
        return Some(());
    }
    None
}

/// One takes something and gives it to the other, who carries it out; it is paid for by the one who took it.
fn hand_over(a: &mut Shopper, b: &mut Shopper, now: f64, premises: &mut Premises) -> Option<()> {
    for _ in 0..PLACES_MAX {
        let Some(facing) = choose(a, 1, premises) else {
            continue;
        };
        let x = premises.stock.facings()[facing].x(&premises.scales);
        let stay_s = premises.action_s() + HANDED_AFTER_S + HANDED_S;
        let pair = left_first(a, b, now);
        let Some(t) = stand_together(pair, now, x, stay_s, premises) else {
            continue;
        };
        let manner = a.manner(premises);
        let Some(reached) = a.pick(facing, 1, t, manner, premises) else {
            return Some(());
        };
        let handed_t = t + manner.lift_s.unwrap_or(0.0) + HANDED_AFTER_S;
        let (ax, y) = a.body.place(handed_t);
        let (bx, _) = b.body.place(handed_t);
        let between = Point {
            x: (ax + bx) / 2.0,
            y: y + 0.2,
            z: 1.1,
        };
        a.body.reach(reached.hand, handed_t, HANDED_S, between);
        b.body.reach(b.better_hand, handed_t, HANDED_S, between);
        // It is not the taker's to put back any more.
        a.held.pop();
        let product = premises.stock.facings()[facing].product.clone();
        a.log(
            "hand_over",
            handed_t,
            Some((product, 1)),
            &Vec::new(),
            premises,
        );
        return Some(());
    }
    None
}
