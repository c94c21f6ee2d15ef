//! The scenes of one shopper.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::effect::Resting;
use super::hands::Manner;
use super::sensors::{Fault, FaultKind};
use super::shopper::{Premises, Shopper};
use super::situation::{Cast, Situation};
use super::stock::Loads;

/// Places that are tried for a scene at a time.
pub(super) const PLACES_MAX: usize = 48;
/// How far to the side of where one stands a hand reaches, metres.
const ASIDE_M: f64 = 0.45;
/// How long a bag stands and a hand rests, seconds: most for some seconds, some for a minute.
const LYING_S: (f64, f64) = (2.0, 60.0);
/// What a bag weighs, grams.
const BAG_G: (f64, f64) = (500.0, 5_000.0);
/// Something is taken every so often while a bag stands or a hand rests, seconds.
const MEANWHILE_S: f64 = 2.5;

impl Shopper {
    /// Plays the next scene of its own.
    pub fn play_alone(&mut self, premises: &mut Premises) {
        let now = self.next_t;
        let played = match self.script.alone.last() {
            Some(Situation::Bag) => self.set_bag_down(now, premises),
            Some(Situation::RestingHand) => self.rest_hand(now, premises),
            Some(Situation::MisplacedTwin) => self.mix_twins(now, premises),
            Some(Situation::QuickPicks) => self.pick_quickly(now, premises),
            Some(Situation::StuckPlate) => self.pick_from_stuck_plate(now, premises),
            Some(
                Situation::SameFacing
                | Situation::Crossed
                | Situation::HandOver
                | Situation::SlowLift
                | Situation::NoisyHands
                | Situation::HeadsOnly
                | Situation::LostSamples
                | Situation::ClockSkew
                | Situation::Tailgater
                | Situation::Staff,
            )
            | None => None,
        };
        if played.is_none() {
            self.make_room(now, premises);
        }
        self.script.tried(Cast::Alone, played.is_some());
    }

    /// Goes before `x` and stays so long after it has come to rest; the time at which its hands may begin. `None` if
    /// somebody else is there.
    fn stand_before(
        &mut self,
        now: f64,
        x: f64,
        stay_s: f64,
        premises: &mut Premises,
    ) -> Option<f64> {
        let wait_s = self.random.random_range(1.1..2.0);
        let speed = self.random.random_range(0.8..1.2);
        let place = (x, premises.front_y - self.lane_m);
        let way = self.way(now, place, speed, premises.front_y);
        let arrival_t = way.last().map_or(now, |key| key.0);
        let end_t = arrival_t + wait_s + stay_s + 0.5;
        if !(premises.floor).is_free(self.number, place, arrival_t, end_t) {
            return None;
        }
        premises.floor.release(self.number, now);
        (premises.floor).book(self.number, place, arrival_t, end_t);
        self.follow(now, &way);
        self.next_t = end_t;
        Some(arrival_t + wait_s)
    }

    /// A bag is set down and taken away again; while it stands, things are taken beside it.
    fn set_bag_down(&mut self, now: f64, premises: &mut Premises) -> Option<()> {
        let lying_s = log_uniform(&mut self.random, LYING_S);
        for _ in 0..PLACES_MAX {
            let plates = some_plates(&mut self.random, 3, premises)?;
            let x = middle_x(&plates, premises);
            let Some(t) = self.stand_before(now, x, lying_s + 1.5, premises) else {
                continue;
            };
            let grams = log_uniform(&mut self.random, BAG_G);
            let mut loads = shared_out(&mut self.random, &plates, grams);
            let hand = Some(self.better_hand);
            let (down_s, up_s) = (
                self.random.random_range(0.15..0.6),
                self.random.random_range(0.15..0.6),
            );
            let manner = |lift_s| Manner {
                hand,
                lift_s: Some(lift_s),
                ..Manner::default()
            };
            self.set_down(&loads, t, manner(down_s), premises);
            self.log("bag_down", t, None, &loads, premises);
            self.pick_meanwhile(t + 1.5, t + lying_s - 1.5, &plates, premises);
            loads.iter_mut().for_each(|load| load.1 = -load.1);
            self.set_down(&loads, t + lying_s, manner(up_s), premises);
            self.log("bag_up", t + lying_s, None, &loads, premises);
            return Some(());
        }
        None
    }

    /// A hand rests on a shelf; the other one may take things beside it.
    fn rest_hand(&mut self, now: f64, premises: &mut Premises) -> Option<()> {
        let lying_s = log_uniform(&mut self.random, LYING_S);
        for _ in 0..PLACES_MAX {
            let plates = some_plates(&mut self.random, 2, premises)?;
            let x = middle_x(&plates, premises);
            let Some(t) = self.stand_before(now, x, lying_s + 2.0, premises) else {
                continue;
            };
            let random = &mut self.random;
            let grams = random.random_range(100.0..600.0);
            let loads = shared_out(random, &plates, grams);
            let mut edge_s = || {
                if random.random_bool(0.5) {
                    random.random_range(0.08..0.3)
                } else {
                    random.random_range(0.5..1.5)
                }
            };
            let hand = Resting {
                t,
                until_t: t + lying_s,
                down_s: edge_s(),
                up_s: edge_s(),
            };
            premises.scales.rest(random, &loads, hand);
            let place = self.aim(&loads, &premises.scales);
            let resting = self.better_hand.other();
            let seconds = lying_s + hand.up_s;
            self.body.reach(resting, t, seconds, place);
            self.log("hand_down", t, None, &loads, premises);
            self.pick_meanwhile(t + 1.5, t + lying_s - 1.0, &plates, premises);
            self.log("hand_up", t + lying_s, None, &loads, premises);
            return Some(());
        }
        None
    }

    /// Takes a thing now and then beside some plates, with the better hand.
    fn pick_meanwhile(
        &mut self,
        from_t: f64,
        until_t: f64,
        beside: &[usize],
        premises: &mut Premises,
    ) {
        let x = middle_x(beside, premises);
        let mut t = from_t;
        while t < until_t && self.random.random_bool(0.4) {
            let near = within_reach(x, premises);
            let near: Vec<usize> = (near.into_iter())
                .filter(|&facing| {
                    let plates = &premises.stock.facings()[facing].plates;
                    plates.iter().all(|plate| !beside.contains(plate))
                })
                .collect();
            if near.is_empty() {
                return;
            }
            let facing = near[self.random.random_range(0..near.len())];
            let manner = Manner {
                hand: Some(self.better_hand),
                ..self.manner(premises)
            };
            self.pick(facing, 1, t, manner, premises);
            t += MEANWHILE_S + manner.lift_s.unwrap_or(0.0);
        }
    }

    /// Takes an item and puts it among another product of its weight on the same shelf.
    fn mix_twins(&mut self, now: f64, premises: &mut Premises) -> Option<()> {
        for _ in 0..PLACES_MAX {
            let pairs = premises.twins.len();
            if pairs == 0 {
                return None;
            }
            let (from, into) = premises.twins[self.random.random_range(0..pairs)];
            let facings = premises.stock.facings();
            let (from_x, into_x) = (
                facings[from].x(&premises.scales),
                facings[into].x(&premises.scales),
            );
            let far = (from_x - into_x).abs() > 2.0 * ASIDE_M;
            if facings[from].units() == 0 || far {
                continue;
            }
            let pause_s = premises.action_s() + self.random.random_range(0.0..6.0);
            let x = (from_x + into_x) / 2.0;
            let stay_s = pause_s + premises.action_s();
            let Some(t) = self.stand_before(now, x, stay_s, premises) else {
                continue;
            };
            let manner = self.manner(premises);
            self.pick(from, 1, t, manner, premises);
            let manner = self.manner(premises);
            self.put_back(from, into, t + pause_s, manner, premises);
            premises.mixed.push(into);
            return Some(());
        }
        None
    }

    /// Takes the item that lies among its twins, or one of those that belong there.
    pub fn take_mixed(&mut self, premises: &mut Premises) {
        let now = self.next_t;
        let chosen = self.random.random_range(0..premises.mixed.len());
        let facing = premises.mixed[chosen];
        let x = premises.stock.facings()[facing].x(&premises.scales);
        let stay_s = premises.action_s();
        let Some(t) = self.stand_before(now, x, stay_s, premises) else {
            self.make_room(now, premises);
            return;
        };
        premises.mixed.swap_remove(chosen);
        let manner = self.manner(premises);
        let foreign = self.random.random_bool(0.5) || premises.stock.facings()[facing].units() == 0;
        if !foreign || self.pick_foreign(facing, t, manner, premises).is_none() {
            self.pick(facing, 1, t, manner, premises);
        }
    }

    /// Snatches two to four items from one shelf within a second, with both hands.
    fn pick_quickly(&mut self, now: f64, premises: &mut Premises) -> Option<()> {
        for _ in 0..PLACES_MAX {
            let facings = premises.stock.facings();
            if facings.is_empty() {
                return None;
            }
            let first = &facings[self.random.random_range(0..facings.len())];
            let shelf = premises.scales.id(first.plates[0]).shelf;
            let x = first.x(&premises.scales);
            let on_shelf = |premises: &Premises| -> Vec<usize> {
                (within_reach(x, premises).into_iter())
                    .filter(|&facing| {
                        let plates = &premises.stock.facings()[facing].plates;
                        premises.scales.id(plates[0]).shelf == shelf
                    })
                    .collect()
            };
            let near = on_shelf(premises);
            let units: usize = near.iter().map(|&facing| facings[facing].units()).sum();
            if units < 2 {
                continue;
            }
            let count = self.random.random_range(2..5).min(units);
            let Some(mut t) = self.stand_before(now, x, 2.0, premises) else {
                continue;
            };
            let mut hand = self.better_hand;
            for _ in 0..count {
                let near = on_shelf(premises);
                let facing = near[self.random.random_range(0..near.len())];
                let manner = Manner {
                    hand: Some(hand),
                    snatches: true,
                    ..Manner::default()
                };
                self.pick(facing, 1, t, manner, premises);
                t += self.random.random_range(0.2..0.33);
                hand = hand.other();
            }
            return Some(());
        }
        None
    }

    /// Takes something from a plate that says the wrong thing meanwhile.
    fn pick_from_stuck_plate(&mut self, now: f64, premises: &mut Premises) -> Option<()> {
        for _ in 0..PLACES_MAX {
            let facings = premises.stock.facings();
            if facings.is_empty() {
                return None;
            }
            let facing = self.random.random_range(0..facings.len());
            let x = facings[facing].x(&premises.scales);
            if facings[facing].units() == 0 {
                continue;
            }
            let stay_s = premises.action_s();
            let Some(t) = self.stand_before(now, x, stay_s, premises) else {
                continue;
            };
            let manner = self.manner(premises);
            let reached = self.pick(facing, 1, t, manner, premises)?;
            let from_t = t - self.random.random_range(0.3..1.0);
            let fault = Fault {
                plate: premises.scales.id(reached.plate),
                from_t,
                until_t: t + manner.lift_s.unwrap_or(0.0) + self.random.random_range(0.5..8.0),
                kind: FaultKind::draw(&mut self.random),
            };
            premises.faults.push(fault);
            return Some(());
        }
        None
    }
}

/// The facings with stock that somebody who stands before `x` reaches.
pub(super) fn within_reach(x: f64, premises: &Premises) -> Vec<usize> {
    let facings = premises.stock.facings().iter().enumerate();
    facings
        .filter(|(_, facing)| facing.units() > 0)
        .filter(|(_, facing)| (facing.x(&premises.scales) - x).abs() <= ASIDE_M)
        .map(|(index, _)| index)
        .collect()
}

/// One to `most` plates side by side, the first of them under a facing. `None` if there are no facings.
fn some_plates(random: &mut ChaCha8Rng, most: usize, premises: &Premises) -> Option<Vec<usize>> {
    let facings = premises.stock.facings();
    if facings.is_empty() {
        return None;
    }
    let plates = &facings[random.random_range(0..facings.len())].plates;
    let first = plates[random.random_range(0..plates.len())];
    let count = random.random_range(1..=most);
    Some(premises.scales.side_by_side(first, count))
}

fn middle_x(plates: &[usize], premises: &Premises) -> f64 {
    let sum: f64 = plates
        .iter()
        .map(|&plate| premises.scales.front(plate).x)
        .sum();
    sum / plates.len().max(1) as f64
}

/// Weight on some plates, on none of them very little.
fn shared_out(random: &mut ChaCha8Rng, plates: &[usize], grams: f64) -> Loads {
    let parts: Vec<f64> = plates
        .iter()
        .map(|_| random.random_range(0.3..1.0))
        .collect();
    let all: f64 = parts.iter().sum();
    let loads = plates.iter().zip(parts);
    loads
        .map(|(&plate, part)| (plate, grams * part / all))
        .collect()
}

/// A draw whose logarithm is uniform between two bounds.
fn log_uniform(random: &mut ChaCha8Rng, (low, high): (f64, f64)) -> f64 {
    (random.random_range(low.ln()..high.ln())).exp()
}
