//! A shopper: what it decides, one decision after the other, and where it goes.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::body::{Body, Hand};
use super::floor::Floor;
use super::random::{Stream, open};
use super::scales::Scales;
use super::scene::Script;
use super::sensors::Fault;
use super::situation::Situation;
use super::stock::{Stock, Unit};
use super::trip::Stop;
use crate::recording::{TrueEvent, TrueProduct, TrueReceipt};
use crate::store::{Definition, ProductId};

/// Between two actions at one stop, seconds; and if everything is lifted slowly.
const ACTION_S: f64 = 1.7;
const SLOW_ACTION_S: f64 = 4.7;
/// How long a shopper that finds its way taken stands before it looks again, seconds.
pub(super) const RETRY_S: f64 = 0.3;
/// It gives a stop up after waiting this long, seconds.
const PATIENCE_S: f64 = 20.0;
/// How long somebody stands in the gate, before and after it opens, seconds.
pub(super) const GATE_S: f64 = 1.2;
/// Nobody waits so near to the gate, metres.
const GATE_CLEAR_M: f64 = 0.6;
/// The way on the other side of the gate on which the body is still seen, metres.
pub(super) const BEYOND_GATE_M: f64 = 0.4;
/// Walking farther than this, one steps back from the shelves first, metres.
const STEP_BACK_M: f64 = 0.9;

/// Where shoppers come in if the store defines no gate: so far before the left end of the shelves, metres.
const DEFAULT_GATE_M: f64 = 1.4;

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
    /// Whether everything is lifted and set down slowly.
    pub slow_lift: bool,
    /// Pairs of facings on one shelf whose products weigh nearly the same, and those into whose second one an item of
    /// the first was put, which is to be followed by a take: at most two for each visit.
    pub twins: Vec<(usize, usize)>,
    pub mixed: Vec<usize>,
    /// Plates that are about to say the wrong thing, or do; a few for each shopper.
    pub faults: Vec<Fault>,
}

impl Premises {
    /// A store with its shelves filled and nobody inside.
    pub fn new(seed: u64, definition: &Definition, situations: &BTreeSet<Situation>) -> Self {
        let layout = &definition.layout;
        let mut scales = Scales::new(seed, layout);
        let stock = Stock::new(seed, definition, &mut scales);
        let fronts = || (layout.shelves.values()).flat_map(|shelf| &shelf.plates);
        // Walking room is before the foremost shelf.
        let front_y = fronts().map(|plate| plate.front.y).fold(0.0, f64::min);
        let left_x = fronts().map(|plate| plate.front.x).reduce(f64::min);
        let gate = match layout.gate {
            Some(gate) => (gate.place.x, gate.place.y),
            None => (left_x.unwrap_or(0.0), front_y - DEFAULT_GATE_M),
        };
        let twins = if situations.contains(&Situation::MisplacedTwin) {
            stock.twins(&scales)
        } else {
            Vec::new()
        };
        Premises {
            floor: Floor::default(),
            scales,
            stock,
            gate,
            front_y,
            crowded: None,
            gate_events: Vec::new(),
            slow_lift: situations.contains(&Situation::SlowLift),
            twins,
            mixed: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Between two actions of one body, seconds.
    pub fn action_s(&self) -> f64 {
        if self.slow_lift {
            SLOW_ACTION_S
        } else {
            ACTION_S
        }
    }
}

/// What somebody is in the store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Takes, and pays.
    Shopper,
    /// Takes, and has no session.
    Tailgater,
    /// Fills facings and clears them.
    Staff,
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
pub(super) enum Phase {
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
    pub part: Part,
    /// Index of its device, if it has one.
    pub device: Option<usize>,
    /// When it decides again.
    pub next_t: f64,
    pub body: Body,
    pub random: ChaCha8Rng,
    pub phase: Phase,
    pub stops_left: u32,
    /// It stands so far from the shelf fronts to reach, and walks so far from them, metres.
    pub lane_m: f64,
    pub aisle_m: f64,
    pub better_hand: Hand,
    /// What it took and still has: batches of units of the facing of that index.
    pub held: Vec<(usize, Vec<Unit>)>,
    pub cart: BTreeMap<ProductId, u32>,
    pub events: Vec<TrueEvent>,
    /// What the situations ask of it.
    pub script: Script,
}

impl Shopper {
    /// The shopper of that number, who comes to the gate at `t` with the device of that index.
    pub fn new(seed: u64, number: u64, device: Option<usize>, t: f64, premises: &Premises) -> Self {
        let mut random = open(seed, Stream::Shopper(number));
        let outside = (premises.gate.0, premises.gate.1 - BEYOND_GATE_M);
        Shopper {
            number,
            part: Part::Shopper,
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
            script: Script::default(),
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
                match Stop::choose(
                    self.part,
                    self.stops_left,
                    &mut self.random,
                    &self.held,
                    premises,
                ) {
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
        if let Some(device) = self.device {
            let kind = GateSightKind::Code(device);
            premises.gate_events.push(GateSight { t: now, kind });
        }
        self.pass_in(seed, pass_t, premises);
    }

    /// Comes in through the gate at `t`.
    pub fn pass_in(&mut self, seed: u64, pass_t: f64, premises: &mut Premises) {
        let gate = premises.gate;
        premises.gate_events.push(GateSight {
            t: pass_t,
            kind: GateSightKind::In,
        });
        let outside = (gate.0, gate.1 - BEYOND_GATE_M);
        self.body = Body::new(seed, self.number, pass_t - 0.5, outside);
        self.body.walk(pass_t - 0.5, pass_t, gate);
        self.next_t = pass_t;
        self.phase = Phase::Choosing;
    }

    /// Goes to a stop and acts there, or waits for the place before it.
    fn approach(&mut self, stop: Stop, since_t: f64, now: f64, premises: &mut Premises) {
        let x = stop.x(premises);
        let y = premises.front_y - self.lane_m;
        let wait_s = self.random.random_range(0.7..2.5);
        let action_s = premises.action_s();
        let stay_s = wait_s + action_s * stop.actions.len() as f64 + 0.3;
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
            let t = arrival_t + wait_s + action_s * index as f64;
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
    pub fn stand_back(&mut self, now: f64, x: f64, speed: f64, premises: &mut Premises) {
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
    pub fn way(&self, now: f64, to: (f64, f64), speed: f64, front_y: f64) -> Vec<(f64, f64, f64)> {
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

    pub fn follow(&mut self, now: f64, way: &[(f64, f64, f64)]) {
        for &(t, x, y) in way {
            self.body.walk(now, t, (x, y));
        }
    }
}
