//! What stands on the facings: each unit with its own weight and its own place.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::random::{Stream, normal, open};
use super::scales::Scales;
use crate::store::{Definition, ProductId};

/// Items lighter than this are not taken: on plates like these (noise of a gram, footsteps of tens) nothing could
/// tell one from a touch, so that truth without them is all that a store of load cells can be held to.
const PICKABLE_G_MIN: f64 = 20.0;
/// Units of one product differ: this part of the weight, but at least [`SPREAD_G_MIN`] grams (standard deviation).
const SPREAD: f64 = 0.008;
const SPREAD_G_MIN: f64 = 0.5;
/// Probability that an item stands across two plates of its facing.
const ACROSS: f64 = 0.25;

/// One unit of a product, out of the shelf: it keeps the weight it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    pub grams: f64,
}

/// A unit where it stands.
#[derive(Clone, Copy, Debug)]
struct Standing {
    unit: Unit,
    /// Index of the (left) plate within the facing.
    plate: usize,
    /// How much of it rests on that plate; the rest is on the next one.
    share: f64,
}

impl Standing {
    /// Its place along the facing, in plates.
    fn along(&self) -> f64 {
        self.plate as f64 + 1.0 - self.share
    }
}

/// One facing and its stock.
#[derive(Clone, Debug)]
pub(super) struct Facing {
    pub product: ProductId,
    /// Indices into the scales, left to right; never empty.
    pub plates: Vec<usize>,
    stock: Vec<Standing>,
}

/// Weight per plate index.
pub(super) type Loads = Vec<(usize, f64)>;

/// Every facing that shoppers take from.
#[derive(Clone, Debug, Default)]
pub(super) struct Stock {
    facings: Vec<Facing>,
}

impl Stock {
    /// Fills the facings of a store with 2 to 8 units each and loads the plates under them. Facings on plates that no
    /// node reads, and those of products too light to weigh, stay out of the game.
    pub fn new(seed: u64, definition: &Definition, scales: &mut Scales) -> Self {
        let mut facings = Vec::new();
        for (index, facing) in definition.planogram.facings().iter().enumerate() {
            let Some(product) = definition.catalogue.get(facing.product.as_str()) else {
                continue;
            };
            let plates: Option<Vec<usize>> =
                (facing.plates.iter().map(|&id| scales.index(id))).collect();
            let Some(plates) = plates.filter(|plates| !plates.is_empty()) else {
                continue;
            };
            let grams = product.weight.grams();
            if grams < PICKABLE_G_MIN {
                continue;
            }
            let mut random = open(seed, Stream::Facing(index));
            let mut facing = Facing {
                product: facing.product.clone(),
                plates,
                stock: Vec::new(),
            };
            for _ in 0..random.random_range(2..9) {
                let spread = (SPREAD * grams).max(SPREAD_G_MIN);
                let grams = (grams + spread * normal(&mut random)).max(grams / 2.0);
                for (plate, grams) in facing.put(&mut random, &[Unit { grams }]) {
                    scales.load(plate, grams);
                }
            }
            facings.push(facing);
        }
        Stock { facings }
    }

    /// Every facing.
    pub fn facings(&self) -> &[Facing] {
        &self.facings
    }

    /// The facing of that index, to take from or put to.
    pub fn facing_mut(&mut self, index: usize) -> &mut Facing {
        &mut self.facings[index]
    }
}

impl Facing {
    /// Units that stand there.
    pub fn units(&self) -> usize {
        self.stock.len()
    }

    /// Takes up to `quantity` units that stand close together, with the weight that leaves each plate (positive).
    pub fn take(&mut self, random: &mut ChaCha8Rng, quantity: usize) -> (Vec<Unit>, Loads) {
        let mut taken = Vec::with_capacity(quantity);
        if self.stock.is_empty() {
            return (Vec::new(), Loads::new());
        }
        let first = self
            .stock
            .swap_remove(random.random_range(0..self.stock.len()));
        taken.push(first);
        while taken.len() < quantity {
            let away = |standing: &Standing| (standing.along() - first.along()).abs();
            let nearest = (self.stock.iter().enumerate())
                .min_by(|(_, a), (_, b)| away(a).total_cmp(&away(b)))
                .map(|(index, _)| index);
            let Some(index) = nearest else { break };
            taken.push(self.stock.swap_remove(index));
        }
        let loads = self.loads(&taken);
        (taken.iter().map(|standing| standing.unit).collect(), loads)
    }

    /// Stands units in one place of the facing, with the weight that arrives on each plate.
    pub fn put(&mut self, random: &mut ChaCha8Rng, units: &[Unit]) -> Loads {
        let standing = self.place(random, units);
        self.stock.extend_from_slice(&standing);
        self.loads(&standing)
    }

    /// Leaves foreign units in one place of the facing, with the weight that arrives on each plate. They are not
    /// part of its stock: nobody takes them from there.
    pub fn misplace(&self, random: &mut ChaCha8Rng, units: &[Unit]) -> Loads {
        self.loads(&self.place(random, units))
    }

    fn place(&self, random: &mut ChaCha8Rng, units: &[Unit]) -> Vec<Standing> {
        let plates = self.plates.len();
        let across = plates > 1 && random.random_bool(ACROSS);
        let (plate, share) = if across {
            (
                random.random_range(0..plates - 1),
                random.random_range(0.3..0.7),
            )
        } else {
            (random.random_range(0..plates), 1.0)
        };
        (units.iter())
            .map(|&unit| Standing { unit, plate, share })
            .collect()
    }

    fn loads(&self, standing: &[Standing]) -> Loads {
        let mut loads: BTreeMap<usize, f64> = BTreeMap::new();
        for one in standing {
            let grams = one.unit.grams;
            *loads.entry(self.plates[one.plate]).or_default() += grams * one.share;
            if one.share < 1.0 {
                *loads.entry(self.plates[one.plate + 1]).or_default() += grams * (1.0 - one.share);
            }
        }
        loads.into_iter().collect()
    }
}
