//! One way in which everything can have happened: who has what in their hands, and what lies where it does not belong.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::session::SessionId;
use super::reach::Place;
use crate::observation::{Item, PlateChange};
use crate::store::{ProductId, ShelfId};
use crate::units::Timestamp;

/// How much of a product somebody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    pub quantity: u32,
    /// As weighed when it left the shelf, grams.
    pub grams: f64,
}

/// What a body has taken and not put back.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Holding {
    pub items: BTreeMap<ProductId, Held>,
    /// What was taken last: a hand that puts something back most likely still holds it.
    pub last_taken: Option<ProductId>,
    /// The reaches that explain a change already: each is expected to do one thing.
    pub reaches: Vec<(Timestamp, Place)>,
}

/// Reaches that are remembered of a body.
const REACHES_MAX: usize = 4;

impl Holding {
    /// Adds items that weighed `grams` together, shared in proportion to `nominal` grams a unit.
    pub fn take(&mut self, items: &[Item], grams: f64, nominal: impl Fn(&ProductId) -> f64) {
        let weight = |item: &Item| nominal(&item.product) * f64::from(item.quantity);
        let all: f64 = items.iter().map(weight).sum::<f64>().max(1e-9);
        for item in items.iter().filter(|item| item.quantity > 0) {
            let held = self.items.entry(item.product.clone()).or_default();
            held.quantity += item.quantity;
            held.grams += grams.abs() * weight(item) / all;
            self.last_taken = Some(item.product.clone());
        }
    }

    /// Removes items. What is not there is left out.
    pub fn put_back(&mut self, items: &[Item]) {
        for item in items {
            if let Some(held) = self.items.get_mut(&item.product) {
                let left = held.quantity.saturating_sub(item.quantity);
                held.grams *= f64::from(left) / f64::from(held.quantity.max(1));
                held.quantity = left;
                if left == 0 {
                    self.items.remove(&item.product);
                }
            }
        }
        let gone = |id: &ProductId| !self.items.contains_key(id);
        if self.last_taken.as_ref().is_some_and(gone) {
            self.last_taken = None;
        }
    }

    /// Notes that a reach explains a change.
    pub fn reached(&mut self, middle: Timestamp, place: Place) {
        self.reaches.push((middle, place));
        let excess = self.reaches.len().saturating_sub(REACHES_MAX);
        self.reaches.drain(..excess);
    }
}

/// Something that lies where the planogram does not expect it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Lying {
    /// `None`: no product of ours (a bag, a hand).
    pub product: Option<ProductId>,
    /// What it weighs on each plate, as measured when it came: `delta_mg` is positive.
    pub plates: Vec<PlateChange>,
}

impl Lying {
    /// Grams over all plates.
    pub fn grams(&self) -> f64 {
        self.plates.iter().map(|p| p.delta_mg.grams()).sum()
    }

    /// Whether a change on these plates is where it lies, or right beside it.
    pub fn is_near(&self, changes: &[PlateChange]) -> bool {
        changes
            .iter()
            .any(|c| self.plates.iter().any(|p| p.plate.abs_diff(c.plate) <= 1))
    }
}

/// Somebody's share in a change.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Part {
    /// `None`: nobody we know.
    pub who: Option<SessionId>,
    /// Empty: something that is no product of ours, or nothing.
    pub items: Vec<Item>,
    /// It went the other way than the first part: see [`Share`](crate::checkout::decision::Share).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub against: bool,
}

/// What a change was, in one world.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Choice {
    /// Never empty.
    pub parts: Vec<Part>,
    /// Something foreign that was put down here is being taken away, or shifts its weight.
    pub leaves_again: bool,
}

/// One way in which everything can have happened.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct World {
    /// Natural log of its weight among the worlds of its cluster, in thousandths; the best has 0.
    pub log_milli: i64,
    /// Shared by the worlds that agree on them.
    pub holdings: BTreeMap<SessionId, Arc<Holding>>,
    pub lying: BTreeMap<ShelfId, Arc<Vec<Lying>>>,
    /// What each undecided change of the cluster was, in the cluster's order.
    pub choices: Vec<Arc<Choice>>,
}

impl World {
    /// Whether what follows from here on is the same.
    pub fn agrees(&self, other: &World) -> bool {
        same_of_each(&self.holdings, &other.holdings) && same_of_each(&self.lying, &other.lying)
    }

    /// What a body has here, to be changed in this world only.
    pub fn holding_mut(&mut self, who: Option<&SessionId>) -> Option<&mut Holding> {
        self.holdings.get_mut(who?).map(Arc::make_mut)
    }

    /// What lies on a shelf here, to be changed in this world only.
    pub fn lying_mut(&mut self, shelf: ShelfId) -> &mut Vec<Lying> {
        Arc::make_mut(self.lying.entry(shelf).or_default())
    }
}

/// What is shared is the same, without a look.
pub fn same<T: PartialEq>(a: &Arc<T>, b: &Arc<T>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

fn same_of_each<K: Eq, V: PartialEq>(a: &BTreeMap<K, Arc<V>>, b: &BTreeMap<K, Arc<V>>) -> bool {
    a.len() == b.len() && (a.iter().zip(b)).all(|(a, b)| same(a.1, b.1) && a.0 == b.0)
}
