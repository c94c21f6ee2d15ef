//! What hands do to the shelves, and how it goes down in the truth.

use rand::RngExt;

use super::body::Hand;
use super::random::{normal, sign};
use super::scales::Scales;
use super::shopper::{Part, Premises, Shopper};
use super::stock::{Loads, Unit};
use super::trip::Action;
use crate::recording::TrueEvent;
use crate::store::ProductId;
use crate::units::Point;

/// What is lifted or set down slowly takes so long, seconds.
const SLOW_LIFT_S: std::ops::Range<f64> = 1.0..3.0;
/// Two hands in one facing are no farther apart than this, metres.
const CLOSE_M: f64 = 0.28;

/// How something is taken or put. The default is a quick movement of the hand that comes to mind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    pub hand: Option<Hand>,
    /// It takes so long, seconds.
    pub lift_s: Option<f64>,
    /// As near as possible to another's hand.
    pub near: Option<Point>,
    /// The hand hardly stops.
    pub snatches: bool,
}

/// Where a hand was for something that changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub hand: Hand,
    pub place: Point,
    /// Index of one of the plates that changed.
    pub plate: usize,
}

impl Shopper {
    /// How this shopper takes and puts things when nothing special is asked.
    pub fn manner(&mut self, premises: &Premises) -> Manner {
        Manner {
            lift_s: (premises.slow_lift).then(|| self.random.random_range(SLOW_LIFT_S)),
            ..Manner::default()
        }
    }

    /// Does one thing at `t` with a hand.
    pub fn act(&mut self, action: &Action, t: f64, premises: &mut Premises) {
        let manner = self.manner(premises);
        match *action {
            Action::Pick { facing, quantity } => {
                self.pick(facing, quantity, t, manner, premises);
            }
            Action::PutBack { from, into } => {
                self.put_back(from, into, t, manner, premises);
            }
            Action::Touch { facing } => self.touch(facing, t, premises),
            Action::Restock { facing, quantity } => self.restock(facing, quantity, t, premises),
        }
    }

    /// Takes up to so many units; `None` if there were none, and the shelf was only touched.
    pub fn pick(
        &mut self,
        index: usize,
        quantity: usize,
        t: f64,
        manner: Manner,
        premises: &mut Premises,
    ) -> Option<Reached> {
        let near = nearest_plate(index, manner, premises);
        let facing = premises.stock.facing_mut(index);
        let (units, loads) = facing.take(&mut self.random, quantity, near);
        if loads.is_empty() {
            // Others were faster: there is nothing but the shelf to touch.
            self.touch(index, t, premises);
            return None;
        }
        Some(self.lift(index, units, loads, t, manner, premises))
    }

    /// Takes the unit that was put last into the facing of that index and belongs elsewhere, if there is one.
    pub fn pick_foreign(
        &mut self,
        index: usize,
        t: f64,
        manner: Manner,
        premises: &mut Premises,
    ) -> Option<Reached> {
        let (home, unit, loads) = premises.stock.facing_mut(index).take_foreign()?;
        Some(self.lift(home, vec![unit], loads, t, manner, premises))
    }

    /// Lifts units of the facing of index `home` off the plates under them.
    fn lift(
        &mut self,
        home: usize,
        units: Vec<Unit>,
        mut loads: Loads,
        t: f64,
        manner: Manner,
        premises: &mut Premises,
    ) -> Reached {
        let product = premises.stock.facing_mut(home).product.clone();
        let reached = self.reach(&loads, t, manner, &premises.scales);
        let random = &mut self.random;
        let (before_s, seconds) = (
            random.random_range(0.15..0.4),
            random.random_range(0.12..0.35),
        );
        let grams = random.random_range(8.0..70.0);
        (premises.scales).press(random, reached.plate, t - before_s, seconds, grams);
        loads.iter_mut().for_each(|load| load.1 = -load.1);
        self.shift(&loads, t, manner, premises);
        *self.cart.entry(product.clone()).or_default() += units.len() as u32;
        let kind = match self.part {
            Part::Shopper | Part::Tailgater => "pick",
            Part::Staff => "take_out",
        };
        self.log(kind, t, Some((product, units.len())), &loads, premises);
        self.held.push((home, units));
        reached
    }

    /// Puts the last batch that it took from the facing `from` into the facing `into`; `None` if it has none, and the
    /// shelf was only touched.
    pub fn put_back(
        &mut self,
        from: usize,
        into: usize,
        t: f64,
        manner: Manner,
        premises: &mut Premises,
    ) -> Option<Reached> {
        let batch = self.held.iter().rposition(|held| held.0 == from);
        let Some(batch) = batch else {
            self.touch(into, t, premises);
            return None;
        };
        let (_, units) = self.held.remove(batch);
        let near = nearest_plate(into, manner, premises);
        let product = premises.stock.facing_mut(from).product.clone();
        let facing = premises.stock.facing_mut(into);
        let loads = if facing.product == product {
            facing.put(&mut self.random, &units, near)
        } else {
            facing.misplace(&mut self.random, from, &units)
        };
        let reached = self.set_down(&loads, t, manner, premises);
        if let Some(quantity) = self.cart.get_mut(&product) {
            *quantity = quantity.saturating_sub(units.len() as u32);
        }
        self.cart.retain(|_, quantity| *quantity > 0);
        let what = Some((product, units.len()));
        self.log("put_back", t, what, &loads, premises);
        Some(reached)
    }

    /// Puts new units into a facing.
    fn restock(&mut self, index: usize, quantity: usize, t: f64, premises: &mut Premises) {
        let facing = premises.stock.facing_mut(index);
        let product = facing.product.clone();
        let random = &mut self.random;
        let units: Vec<Unit> = (0..quantity).map(|_| facing.fresh_unit(random)).collect();
        let loads = facing.put(random, &units, None);
        let manner = self.manner(premises);
        self.set_down(&loads, t, manner, premises);
        self.log("restock", t, Some((product, quantity)), &loads, premises);
    }

    /// Puts weight where the loads are, with a last press of the hand.
    pub fn set_down(
        &mut self,
        loads: &Loads,
        t: f64,
        manner: Manner,
        premises: &mut Premises,
    ) -> Reached {
        let reached = self.reach(loads, t, manner, &premises.scales);
        self.shift(loads, t, manner, premises);
        let seconds = self.random.random_range(0.1..0.3);
        let grams = self.random.random_range(5.0..50.0);
        let after_t = t + manner.lift_s.unwrap_or(0.0) + 0.05;
        (premises.scales).press(&mut self.random, reached.plate, after_t, seconds, grams);
        reached
    }

    pub fn touch(&mut self, index: usize, t: f64, premises: &mut Premises) {
        let plates = &premises.stock.facing_mut(index).plates;
        let plate = plates[self.random.random_range(0..plates.len())];
        let loads = vec![(plate, 1.0)];
        self.reach(&loads, t, Manner::default(), &premises.scales);
        let seconds = self.random.random_range(0.2..0.9);
        let grams = sign(&mut self.random, 0.5) * self.random.random_range(15.0..150.0);
        (premises.scales).press(&mut self.random, plate, t - 0.1, seconds, grams);
        self.log("touch", t, None, &loads, premises);
    }

    /// Moves the weight of what a hand lifts or sets down.
    fn shift(&mut self, loads: &Loads, t: f64, manner: Manner, premises: &mut Premises) {
        let random = &mut self.random;
        match manner.lift_s {
            Some(lift_s) => premises.scales.shift_slowly(random, loads, t, lift_s),
            None => premises.scales.shift(random, loads, t),
        }
    }

    /// Sends a hand to where the loads are. There must be one.
    fn reach(&mut self, loads: &Loads, t: f64, manner: Manner, scales: &Scales) -> Reached {
        let mut place = self.aim(loads, scales);
        if let Some(near) = manner.near {
            let apart_m = place.distance(&near);
            let keep = (CLOSE_M / apart_m).min(1.0);
            place = Point {
                x: near.x + (place.x - near.x) * keep,
                y: near.y + (place.y - near.y) * keep,
                z: near.z + (place.z - near.z) * keep,
            };
        }
        let hand = match manner.hand {
            Some(hand) => hand,
            None if self.random.random_bool(0.85) => self.better_hand,
            None => self.better_hand.other(),
        };
        if manner.snatches {
            self.body.snatch(hand, t, place);
        } else {
            let seconds = manner.lift_s.unwrap_or(0.0);
            self.body.reach(hand, t, seconds, place);
        }
        Reached {
            hand,
            place,
            plate: loads.first().map_or(0, |load| load.0),
        }
    }

    /// A place for the hand above the middle of the loads.
    pub fn aim(&mut self, loads: &Loads, scales: &Scales) -> Point {
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
        place
    }

    /// Notes what happened at the plates of the loads.
    pub fn log(
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

/// The plate of a facing that is nearest to the hand that is to be near.
fn nearest_plate(index: usize, manner: Manner, premises: &Premises) -> Option<usize> {
    let near = manner.near?;
    let off = |&plate: &usize| (premises.scales.front(plate).x - near.x).abs();
    let plates = premises.stock.facings()[index].plates.iter();
    (plates.enumerate())
        .min_by(|(_, a), (_, b)| off(a).total_cmp(&off(b)))
        .map(|(place, _)| place)
}
