//! A shopper: what it decides, one decision after the other, and what its hands then do to the shelves.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::body::{Body, Hand};
use super::floor::Floor;
use super::random::{Stream, normal, open, sign};
use super::scales::Scales;
use super::stock::{Loads, Stock, Unit};
use super::trip::{Action, Stop};
use crate::recording::{TrueEvent, TrueProduct, TrueReceipt};
use crate::store::ProductId;
use crate::units::Point;

/// Between two actions at one stop, seconds.
const ACTION_S: f64 = 1.7;
/// How long a shopper that finds its way taken stands before it looks again, seconds.
const RETRY_S: f64 = 0.3;
/// It gives a stop up after waiting this long, seconds.
const PATIENCE_S: f64 = 20.0;
/// How long somebody stands in the gate, before and after it opens, seconds.
const GATE_S: f64 = 1.2;
/// Nobody waits so near to the gate, metres.
const GATE_CLEAR_M: f64 = 0.6;
/// The way on the other side of the gate on which the body is still seen, metres.
const BEYOND_GATE_M: f64 = 0.4;
/// Walking farther than this, one steps back from the shelves first, metres.
const STEP_BACK_M: f64 = 0.9;

/// What shoppers share.
#[derive(Clone, Debug)]
pub(super) struct Premises {
    pub floor: Floor,
    pub scales: Scales,
    pub stock: Stock,
    /// Where the shoppers come in and go out, on the floor.
    pub gate: (f64, f64),
    /// Where the shelf fronts are.
    pub front_y: f64,
    /// The facing that somebody chose last: others may crowd there.
    pub crowded: Option<usize>,
    /// What the gate sees, some of it yet to come; a few for each shopper.
    pub gate_events: Vec<GateSight>,
}

/// Something that the gate sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct GateSight {
    pub t: f64,
    pub kind: GateSightKind,
}

/// What the gate sees.
#[derive(Clone, Copy, Debug)]
pub(super) enum GateSightKind {
    /// The code of the device of that index is shown.
    Code(usize),
    In,
    Out,
}

/// Where a shopper is in its visit.
#[derive(Clone, Debug)]
enum Phase {
    /// Before the gate.
    Outside,
    /// Inside, with nothing begun.
    Choosing,
    /// Waiting since a time for the place before the stop's facing.
    Waiting {
        stop: Stop,
        since_t: f64,
    },
    /// On the way out; the visit is over at its next decision.
    Leaving,
    Gone,
}

/// One shopper. Times are seconds since the simulation's start.
#[derive(Clone, Debug)]
pub(super) struct Shopper {
    pub number: u64,
    /// Index of its device.
    pub device: usize,
    /// When it decides again.
    pub next_t: f64,
    pub body: Body,
    random: ChaCha8Rng,
    phase: Phase,
    stops_left: u32,
    /// It stands so far from the shelf fronts to reach, and walks so far from them, metres.
    lane_m: f64,
    aisle_m: f64,
    better_hand: Hand,
    /// What it took and still has: batches of units of the facing of that index.
    pub held: Vec<(usize, Vec<Unit>)>,
    cart: BTreeMap<ProductId, u32>,
    events: Vec<TrueEvent>,
}

impl Shopper {
    /// The shopper of that number, who comes to the gate at `t` with the device of that index.
    pub fn new(seed: u64, number: u64, device: usize, t: f64, premises: &Premises) -> Self {
        let mut random = open(seed, Stream::Shopper(number));
        let outside = (premises.gate.0, premises.gate.1 - BEYOND_GATE_M);
        Shopper {
            number,
            device,
            next_t: t,
            body: Body::new(seed, number, f64::INFINITY, outside),
            phase: Phase::Outside,
            stops_left: random.random_range(1..6),
            lane_m: random.random_range(0.42..0.7),
            aisle_m: random.random_range(0.95..1.35),
            better_hand: if random.random_bool(0.9) {
                Hand::Right
            } else {
                Hand::Left
            },
            random,
            held: Vec::new(),
            cart: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// The visit is over.
    pub fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    /// What it really took and did.
    pub fn truth(self) -> (TrueReceipt, Vec<TrueEvent>) {
        let products = (self.cart.into_iter())
            .map(|(barcode, quantity)| TrueProduct { barcode, quantity })
            .collect();
        let receipt = TrueReceipt {
            target_id: self.body.track,
            products,
        };
        (receipt, self.events)
    }

    /// Decides what to do now, and sets when it decides again.
    pub fn decide(&mut self, seed: u64, premises: &mut Premises) {
        let now = self.next_t;
        match std::mem::replace(&mut self.phase, Phase::Choosing) {
            Phase::Outside => self.enter(seed, now, premises),
            Phase::Choosing if self.stops_left == 0 => self.leave(now, premises),
            Phase::Choosing => {
                match Stop::choose(&mut self.random, &self.held, premises) {
                    Some(stop) => self.approach(stop, now, now, premises),
                    // Nothing in this store can be taken or touched.
                    None => self.stops_left = 0,
                }
            }
            Phase::Waiting { since_t, .. } if now - since_t > PATIENCE_S => {}
            Phase::Waiting { stop, since_t } => self.approach(stop, since_t, now, premises),
            Phase::Leaving | Phase::Gone => self.phase = Phase::Gone,
        }
    }

    /// Shows the code and comes in, when nobody else stands in the gate.
    fn enter(&mut self, seed: u64, now: f64, premises: &mut Premises) {
        let pass_t = now + self.random.random_range(0.8..1.4);
        let gate = premises.gate;
        if !(premises.floor).is_free(self.number, gate, now - GATE_S, pass_t + GATE_S) {
            self.phase = Phase::Outside;
            self.next_t = now + RETRY_S;
            return;
        }
        premises
            .floor
            .book(self.number, gate, now, pass_t + 0.5 * GATE_S);
        premises.gate_events.extend([
            GateSight {
                t: now,
                kind: GateSightKind::Code(self.device),
            },
            GateSight {
                t: pass_t,
                kind: GateSightKind::In,
            },
        ]);
        let outside = (gate.0, gate.1 - BEYOND_GATE_M);
        self.body = Body::new(seed, self.number, pass_t - 0.5, outside);
        self.body.walk(pass_t - 0.5, pass_t, gate);
        self.next_t = pass_t;
    }

    /// Goes to a stop and acts there, or waits for the place before it.
    fn approach(&mut self, stop: Stop, since_t: f64, now: f64, premises: &mut Premises) {
        let x = stop.x(premises);
        let y = premises.front_y - self.lane_m;
        let wait_s = self.random.random_range(0.7..2.5);
        let stay_s = wait_s + ACTION_S * stop.actions.len() as f64 + 0.3;
        let speed = self.random.random_range(0.8..1.2);
        let way = |to| self.way(now, to, speed, premises.front_y);
        let free = [0.0, 0.4, -0.4].into_iter().find_map(|aside| {
            let place = (x + aside, y);
            let way = way(place);
            let arrival_t = way.last().map_or(now, |key| key.0);
            (premises.floor)
                .is_free(self.number, place, arrival_t, arrival_t + stay_s)
                .then_some((place, way, arrival_t))
        });
        let Some((place, way, arrival_t)) = free else {
            self.wait(stop, since_t, now, speed, premises);
            return;
        };
        premises.floor.release(self.number, now);
        premises
            .floor
            .book(self.number, place, arrival_t, arrival_t + stay_s);
        self.follow(now, &way);
        for (index, action) in stop.actions.iter().enumerate() {
            let t = arrival_t + wait_s + ACTION_S * index as f64;
            self.act(action, t, premises);
        }
        self.stops_left -= 1;
        self.next_t = arrival_t + stay_s;
        self.phase = Phase::Choosing;
    }

    /// Stands back from the shelves, where it is in nobody's way, and looks again soon.
    fn wait(&mut self, stop: Stop, since_t: f64, now: f64, speed: f64, premises: &mut Premises) {
        self.next_t = now + RETRY_S;
        if now <= since_t {
            let (x, _) = self.body.place(now);
            let x = x + 0.5 * (stop.x(premises) - x);
            self.stand_back(now, x, speed, premises);
        }
        self.phase = Phase::Waiting { stop, since_t };
    }

    /// Goes to a free place in the aisle near `x` and stays there until it is released.
    fn stand_back(&mut self, now: f64, x: f64, speed: f64, premises: &mut Premises) {
        let y = premises.front_y - self.aisle_m;
        // With the bound on shoppers inside, one of these places is free.
        for aside in 0..200 {
            let side = if aside % 2 == 0 { 0.2 } else { -0.2 };
            let place = (x + side * f64::from(aside), y);
            // Whoever waits in the gate could keep everybody in for ever.
            if (place.0 - premises.gate.0).hypot(place.1 - premises.gate.1) < GATE_CLEAR_M {
                continue;
            }
            let way = self.way(now, place, speed, premises.front_y);
            let arrival_t = way.last().map_or(now, |key| key.0);
            if (premises.floor).is_free(self.number, place, arrival_t, f64::INFINITY) {
                premises.floor.release(self.number, now);
                premises
                    .floor
                    .book(self.number, place, arrival_t, f64::INFINITY);
                self.follow(now, &way);
                self.next_t = arrival_t + RETRY_S;
                return;
            }
        }
    }

    /// Goes out, when nobody else will stand in the gate by then.
    fn leave(&mut self, now: f64, premises: &mut Premises) {
        let speed = self.random.random_range(0.8..1.2);
        let gate = premises.gate;
        let way = self.way(now, gate, speed, premises.front_y);
        let out_t = way.last().map_or(now, |key| key.0);
        if !(premises.floor).is_free(self.number, gate, out_t - GATE_S, out_t + GATE_S) {
            self.next_t = now + RETRY_S;
            let (x, y) = self.body.place(now);
            if premises.front_y - y < self.aisle_m - 0.01 {
                self.stand_back(now, x, speed, premises);
            }
            return;
        }
        premises.floor.release(self.number, now);
        (premises.floor).book(self.number, gate, out_t - 0.5 * GATE_S, out_t + GATE_S);
        self.follow(now, &way);
        premises.gate_events.push(GateSight {
            t: out_t,
            kind: GateSightKind::Out,
        });
        let end_t = out_t + 0.5;
        self.body
            .walk(out_t, end_t, (gate.0, gate.1 - BEYOND_GATE_M));
        self.body.vanish(end_t);
        self.next_t = end_t;
        self.phase = Phase::Leaving;
    }

    /// The way from where it stands: short ones straight, long ones back to the aisle, along it, and to the shelf
    /// again.
    fn way(&self, now: f64, to: (f64, f64), speed: f64, front_y: f64) -> Vec<(f64, f64, f64)> {
        let (x, y) = self.body.place(now);
        let aisle_y = front_y - self.aisle_m;
        let along = to.0 - x;
        let corners = if along.abs() > STEP_BACK_M {
            let turn = 0.3 * along.signum();
            vec![(x + turn, aisle_y), (to.0 - turn, aisle_y), to]
        } else {
            vec![to]
        };
        let mut at = (now, x, y);
        (corners.into_iter())
            .map(|(x, y)| {
                let seconds = (x - at.1).hypot(y - at.2) / speed;
                at = (at.0 + seconds.max(0.1), x, y);
                at
            })
            .collect()
    }

    fn follow(&mut self, now: f64, way: &[(f64, f64, f64)]) {
        for &(t, x, y) in way {
            self.body.walk(now, t, (x, y));
        }
    }

    /// Does one thing at `t` with a hand.
    fn act(&mut self, action: &Action, t: f64, premises: &mut Premises) {
        match *action {
            Action::Pick { facing, quantity } => self.pick(facing, quantity, t, premises),
            Action::PutBack { from, into } => self.put_back(from, into, t, premises),
            Action::Touch { facing } => self.touch(facing, t, premises),
        }
    }

    fn pick(&mut self, index: usize, quantity: usize, t: f64, premises: &mut Premises) {
        let facing = premises.stock.facing_mut(index);
        let product = facing.product.clone();
        let (units, mut loads) = facing.take(&mut self.random, quantity);
        let Some(&(plate, _)) = loads.first() else {
            // Others were faster: there is nothing but the shelf to touch.
            return self.touch(index, t, premises);
        };
        self.reach(&loads, t, &premises.scales);
        let random = &mut self.random;
        let (before_s, seconds) = (
            random.random_range(0.15..0.4),
            random.random_range(0.12..0.35),
        );
        let grams = random.random_range(8.0..70.0);
        (premises.scales).press(random, plate, t - before_s, seconds, grams);
        loads.iter_mut().for_each(|load| load.1 = -load.1);
        premises.scales.shift(random, &loads, t);
        *self.cart.entry(product.clone()).or_default() += units.len() as u32;
        self.log("pick", t, Some((product, units.len())), &loads, premises);
        self.held.push((index, units));
    }

    /// Puts the last batch that it took from the facing `from` into the facing `into`.
    fn put_back(&mut self, from: usize, into: usize, t: f64, premises: &mut Premises) {
        let batch = self.held.iter().rposition(|held| held.0 == from);
        let Some(batch) = batch else {
            return self.touch(into, t, premises);
        };
        let (_, units) = self.held.remove(batch);
        let product = premises.stock.facing_mut(from).product.clone();
        let facing = premises.stock.facing_mut(into);
        let loads = if facing.product == product {
            facing.put(&mut self.random, &units)
        } else {
            facing.misplace(&mut self.random, &units)
        };
        self.reach(&loads, t, &premises.scales);
        premises.scales.shift(&mut self.random, &loads, t);
        let seconds = self.random.random_range(0.1..0.3);
        let grams = self.random.random_range(5.0..50.0);
        if let Some(&(plate, _)) = loads.first() {
            (premises.scales).press(&mut self.random, plate, t + 0.05, seconds, grams);
        }
        if let Some(quantity) = self.cart.get_mut(&product) {
            *quantity = quantity.saturating_sub(units.len() as u32);
        }
        self.cart.retain(|_, quantity| *quantity > 0);
        let what = Some((product, units.len()));
        self.log("put_back", t, what, &loads, premises);
    }

    fn touch(&mut self, index: usize, t: f64, premises: &mut Premises) {
        let plates = &premises.stock.facing_mut(index).plates;
        let plate = plates[self.random.random_range(0..plates.len())];
        let loads = vec![(plate, 1.0)];
        self.reach(&loads, t, &premises.scales);
        let seconds = self.random.random_range(0.2..0.9);
        let grams = sign(&mut self.random, 0.5) * self.random.random_range(15.0..150.0);
        (premises.scales).press(&mut self.random, plate, t - 0.1, seconds, grams);
        self.log("touch", t, None, &loads, premises);
    }

    /// Sends a hand to where the loads are.
    fn reach(&mut self, loads: &Loads, t: f64, scales: &Scales) {
        let all: f64 = loads.iter().map(|load| load.1.abs()).sum();
        let mut place = Point::default();
        for &(plate, grams) in loads {
            let (front, part) = (scales.front(plate), grams.abs() / all);
            place.x += front.x * part;
            place.y += front.y * part;
            place.z += front.z * part;
        }
        place.x += 0.04 * normal(&mut self.random);
        place.y += 0.02 + 0.06 * normal(&mut self.random);
        place.z += self.random.random_range(0.05..0.18);
        let other = match self.better_hand {
            Hand::Left => Hand::Right,
            Hand::Right => Hand::Left,
        };
        let hand = if self.random.random_bool(0.85) {
            self.better_hand
        } else {
            other
        };
        self.body.reach(hand, t, place);
    }

    fn log(
        &mut self,
        kind: &str,
        t: f64,
        what: Option<(ProductId, usize)>,
        loads: &Loads,
        premises: &Premises,
    ) {
        let plates = loads.iter().map(|&(plate, _)| {
            let id = premises.scales.id(plate);
            [id.shelf.gondola, id.shelf.shelf, id.plate]
        });
        let (barcode, quantity) = what.unzip();
        self.events.push(TrueEvent {
            kind: kind.to_owned(),
            t: (t * 1e3).round() / 1e3,
            target_id: self.body.track.clone(),
            barcode,
            quantity: quantity.map(|quantity| quantity as u32),
            plates: plates.collect(),
        });
    }
}
