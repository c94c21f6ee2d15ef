//! What stands on the facings: each unit with its own weight and its own place.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::random::{Stream, normal, open};
use super::scales::Scales;
use super::situation::are_twins;
use crate::store::{Definition, ProductId};

/// Items lighter than this are not taken: on plates like these (noise of a gram, footsteps of tens) nothing could
/// tell one from a touch, so that truth without them is all that a store of load cells can be held to.
pub(super) const PICKABLE_G_MIN: f64 = 20.0;
/// Units of one product differ: this part of the weight, but at least [`SPREAD_G_MIN`] grams (standard deviation).
const SPREAD: f64 = 0.008;
const SPREAD_G_MIN: f64 = 0.5;
/// Probability that an item stands across two plates of its facing.
const ACROSS: f64 = 0.25;
/// Foreign units that are remembered to lie on a facing; of more, the oldest lie there for ever.
const FOREIGN_MAX: usize = 8;
/// A facing holds no more units than this, as staff fill it.
const UNITS_MAX: usize = 10;
/// A facing with no more units than this wants filling.
const UNITS_LOW: usize = 1;

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
    /// What a unit weighs on average.
    unit_g: f64,
    stock: Vec<Standing>,
    /// Units of other products that were put here, each with the index of its own facing; the oldest first.
    foreign: Vec<(usize, Standing)>,
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
                unit_g: grams,
                stock: Vec::new(),
                foreign: Vec::new(),
            };
            for _ in 0..random.random_range(2..9) {
                let unit = facing.fresh_unit(&mut random);
                for (plate, grams) in facing.put(&mut random, &[unit], None) {
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

    /// Facings that want filling.
    pub fn low(&self) -> usize {
        let facings = self.facings.iter();
        facings.filter(|facing| facing.is_low()).count()
    }

    /// Pairs of facings on one shelf whose products weigh nearly the same, each pair both ways.
    pub fn twins(&self, scales: &Scales) -> Vec<(usize, usize)> {
        let shelf = |facing: &Facing| scales.id(facing.plates[0]).shelf;
        let mut pairs = Vec::new();
        for (i, a) in self.facings.iter().enumerate() {
            for (j, b) in self.facings.iter().enumerate() {
                let twins = a.product != b.product && are_twins(a.unit_g, b.unit_g);
                if twins && shelf(a) == shelf(b) {
                    pairs.push((i, j));
                }
            }
        }
        pairs
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

    /// Whether it wants filling.
    pub fn is_low(&self) -> bool {
        self.units() <= UNITS_LOW
    }

    /// How many more units staff would put there.
    pub fn room(&self) -> usize {
        UNITS_MAX.saturating_sub(self.units())
    }

    /// Where along a shelf its middle is, metres.
    pub fn x(&self, scales: &Scales) -> f64 {
        let sum: f64 = self.plates.iter().map(|&plate| scales.front(plate).x).sum();
        sum / self.plates.len() as f64
    }

    /// A unit as it comes from the factory.
    pub fn fresh_unit(&self, random: &mut ChaCha8Rng) -> Unit {
        let grams = self.unit_g;
        let spread = (SPREAD * grams).max(SPREAD_G_MIN);
        Unit {
            grams: (grams + spread * normal(random)).max(grams / 2.0),
        }
    }

    /// Takes up to `quantity` units that stand close together, with the weight that leaves each plate (positive):
    /// those at a plate of the facing, if it is given, or any.
    pub fn take(
        &mut self,
        random: &mut ChaCha8Rng,
        quantity: usize,
        near: Option<usize>,
    ) -> (Vec<Unit>, Loads) {
        let mut taken = Vec::with_capacity(quantity);
        if self.stock.is_empty() {
            return (Vec::new(), Loads::new());
        }
        let off = |standing: &Standing| (standing.along() - near.unwrap_or(0) as f64).abs();
        let nearest = (near.is_some())
            .then(|| {
                (self.stock.iter().enumerate()).min_by(|(_, a), (_, b)| off(a).total_cmp(&off(b)))
            })
            .flatten()
            .map(|(index, _)| index);
        let first = match nearest {
            Some(index) => index,
            None => random.random_range(0..self.stock.len()),
        };
        let first = self.stock.swap_remove(first);
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

    /// Stands units in one place of the facing, with the weight that arrives on each plate: at a plate of the facing,
    /// if it is given, or anywhere.
    pub fn put(&mut self, random: &mut ChaCha8Rng, units: &[Unit], near: Option<usize>) -> Loads {
        let standing = self.place(random, units, near);
        self.stock.extend_from_slice(&standing);
        self.loads(&standing)
    }

    /// Leaves units of the facing of index `home` in one place of this one, with the weight that arrives on each
    /// plate. They are not part of its stock.
    pub fn misplace(&mut self, random: &mut ChaCha8Rng, home: usize, units: &[Unit]) -> Loads {
        let standing = self.place(random, units, None);
        (self.foreign).extend(standing.iter().map(|&standing| (home, standing)));
        let excess = self.foreign.len().saturating_sub(FOREIGN_MAX);
        self.foreign.drain(..excess);
        self.loads(&standing)
    }

    /// Takes the foreign unit that was put there last, if there is one: the index of its own facing, and the weight
    /// that leaves each plate (positive).
    pub fn take_foreign(&mut self) -> Option<(usize, Unit, Loads)> {
        let (home, standing) = self.foreign.pop()?;
        Some((home, standing.unit, self.loads(&[standing])))
    }

    fn place(&self, random: &mut ChaCha8Rng, units: &[Unit], near: Option<usize>) -> Vec<Standing> {
        let plates = self.plates.len();
        if let Some(near) = near {
            let plate = near.min(plates - 1);
            let stand = |&unit| Standing {
                unit,
                plate,
                share: 1.0,
            };
            return units.iter().map(stand).collect();
        }
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
