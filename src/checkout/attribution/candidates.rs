//! What a change can have been in one world, with the log of prior times likelihood of each.
//!
//! What can have left does not depend on the world, but for what lies around; what can have come is what somebody has.

use std::collections::BTreeMap;

use super::weights::{Expected, Weights, log_normal};
use super::world::{Lying, Part};
use crate::checkout::session::SessionId;
use crate::observation::{Item, PlateChange, ShelfObservation, VisionObservation};
use crate::sensing::item_match::{QUANTITY_MAX, log_share, total};
use crate::store::{Definition, PlateId, Product, ProductId};

/// Prior of a product whose facing is on the changed plates, beside them, elsewhere on the shelf.
const ON_PLATES: f64 = 1.0;
pub(super) const BESIDE: f64 = 0.02;
const ON_SHELF: f64 = 0.002;
/// Odds of taking a misplaced product where it lies: it stands in front, where its neighbour's next unit stands.
const MISPLACED: f64 = 1.0;
/// Prior of its having been nudged along the plates meanwhile, so that its weight is shared anew; of its having been
/// moved off all of them; of a first weighing that was wrong.
const NUDGED: f64 = 0.3;
const MOVED: f64 = 0.02;
const MISWEIGHED: f64 = 0.02;
/// Prior of something that is no product of ours, and the range of its mass, grams.
const FOREIGN: (f64, f64) = (0.01, 2_000.0);
/// Prior of a foreign thing leaving from where it lies, and of shifting its weight meanwhile.
const FOREIGN_LEAVES: f64 = 0.5;
const FOREIGN_SHIFTS: f64 = 0.05;
/// Prior of each further unit in one change: geometric.
const ANOTHER_UNIT: f64 = 0.25;
/// Prior of each further product in one change.
pub(super) const ANOTHER_PRODUCT: f64 = 0.05;
/// Prior of a second body at work in the same change, given that it reaches there.
pub(super) const TOGETHER: f64 = 1.0;
/// Bodies that are considered for taking part in a change together.
pub(super) const TOGETHER_MAX: usize = 3;
/// Products that one change can be of at most.
const PRODUCTS_MAX: usize = 3;
/// Less likely than the best by this much is left out, before it is known who: natural log.
const WORSE_MAX: f64 = 16.0;

/// Somebody who can have done it.
#[derive(Clone, Debug)]
pub struct Near {
    /// `None`: nobody we know.
    pub who: Option<SessionId>,
    /// Puts goods onto the shelves and takes them off; never pays.
    pub staff: bool,
    /// Log of how well they explain the change as a whole.
    pub reach: f64,
    /// The same for each changed plate by itself.
    pub by_plate: Vec<f64>,
    /// The same of the moments at which weight came to what stood there in between, and left it.
    pub stood: (f64, f64),
}

/// A change, and everybody who can have done it.
pub struct Scene<'a> {
    pub definition: &'a Definition,
    pub weights: &'a Weights,
    pub change: &'a ShelfObservation,
    /// The likeliest first.
    pub near: &'a [Near],
    /// What a camera made of the shelf then.
    pub seen: Option<&'a VisionObservation>,
}

/// One explanation of a change in one world.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub log: f64,
    pub parts: Vec<Part>,
    pub source: Source,
}

/// Where what was taken lay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In its facing; or it was put.
    Facing,
    /// It is what lies there, by index among the shelf's.
    Lying(usize),
    /// These foreign things leave.
    Leaving(Vec<usize>),
    /// A foreign thing becomes lighter, by so much.
    Shifting(usize),
}

/// A set of items that can be all or a part of a change, and the changed plates that it accounts for, by index.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub log: f64,
    pub items: Vec<(Item, Vec<usize>)>,
}

impl<'a> Scene<'a> {
    fn plate(&self, index: usize) -> PlateId {
        PlateId {
            shelf: self.change.shelf,
            plate: self.change.plates[index].plate,
        }
    }

    /// The plate, if the change is on one only: then its gain is known.
    pub(super) fn only_plate(&self, indices: &[usize]) -> Option<PlateId> {
        match indices {
            [index] => Some(self.plate(*index)),
            [] | [_, _, ..] => None,
        }
    }

    fn part_of_change(&self, indices: &[usize]) -> Vec<PlateChange> {
        indices.iter().map(|&i| self.change.plates[i]).collect()
    }

    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.change.plates.len()).collect()
    }

    pub(super) fn product(&self, id: &ProductId) -> Option<&'a Product> {
        self.definition.catalogue.get(id.as_str())
    }

    /// Log of the density of weights that `expected` gives on these plates, shared in any way.
    pub(super) fn weighed(&self, indices: &[usize], expected: Expected) -> f64 {
        let (grams, sigma) = total(&self.part_of_change(indices));
        expected.log_density(grams, sigma) + log_share(grams, indices.len())
    }

    /// Log prior of a product by where its facings are and how much of the change was there.
    pub(super) fn location_log(&self, indices: &[usize], product: &ProductId) -> f64 {
        let changes = self.part_of_change(indices);
        let all: f64 = changes.iter().map(|c| c.delta_mg.grams().abs()).sum();
        let weight: f64 = (changes.iter())
            .map(|c| {
                let prior = if self.stands_near(c.plate, 0, product) {
                    ON_PLATES
                } else if self.stands_near(c.plate, 1, product) {
                    BESIDE
                } else {
                    ON_SHELF
                };
                prior * c.delta_mg.grams().abs() / all.max(1e-9)
            })
            .sum();
        weight.max(ON_SHELF).ln()
    }

    fn stands_near(&self, plate: u16, reach: u16, product: &ProductId) -> bool {
        (plate.saturating_sub(reach)..=plate.saturating_add(reach)).any(|plate| {
            let id = PlateId {
                shelf: self.change.shelf,
                plate,
            };
            let mut facings = self.definition.planogram.on_plate(id);
            facings.any(|f| f.product == *product)
        })
    }

    /// Whether a product belongs on one of the changed plates.
    pub fn is_home(&self, product: &ProductId) -> bool {
        self.change
            .plates
            .iter()
            .any(|c| self.stands_near(c.plate, 0, product))
    }

    /// What can have left the facings, whoever took it: the likeliest sets.
    pub(super) fn sets(&self) -> Vec<Set> {
        let mut sets = Vec::new();
        for product in self.products_of_shelf() {
            sets.extend((1..=QUANTITY_MAX).map(|n| self.set(&[(product, n, self.all())])));
        }
        sets.extend(self.sets_of_several());
        let best = (sets.iter().map(|s| s.log)).fold(f64::NEG_INFINITY, f64::max);
        sets.retain(|s| s.log > best - WORSE_MAX);
        sets
    }

    fn products_of_shelf(&self) -> Vec<&'a Product> {
        let shelf = self.definition.layout.shelves.get(&self.change.shelf);
        let plates = shelf.into_iter().flat_map(|s| &s.plates);
        let mut indices: Vec<usize> = plates
            .flat_map(|p| self.definition.planogram.on_plate(p.id))
            .map(|f| f.product_index)
            .collect();
        indices.sort_unstable();
        indices.dedup();
        let products = self.definition.catalogue.products();
        indices.into_iter().map(|i| &products[i]).collect()
    }

    pub(super) fn products_on(&self, index: usize) -> Vec<&'a Product> {
        let facings = self.definition.planogram.on_plate(self.plate(index));
        let products = self.definition.catalogue.products();
        facings.map(|f| &products[f.product_index]).collect()
    }

    /// The log of several products, each on plates of its own or all on the same plate.
    fn set(&self, parts: &[(&Product, u32, Vec<usize>)]) -> Set {
        let alone = parts.iter().all(|p| p.2 == parts[0].2);
        let mut log = (parts.len() as f64 - 1.0) * ANOTHER_PRODUCT.ln();
        let mut sum = Expected {
            grams: 0.0,
            variance: 0.0,
        };
        for (product, quantity, plates) in parts {
            let expected = (self.weights).expected(product, *quantity, self.only_plate(plates));
            log += self.location_log(plates, &product.id) + quantity_log(*quantity);
            sum = sum.and(expected);
            if !alone {
                log += self.weighed(plates, expected);
            }
        }
        if alone {
            log += self.weighed(&parts[0].2, sum);
        }
        let items = parts.iter().map(|(product, quantity, plates)| {
            let item = Item {
                product: product.id.clone(),
                quantity: *quantity,
            };
            (item, plates.clone())
        });
        Set {
            log,
            items: items.collect(),
        }
    }

    /// Two or three products: each changed plate belongs to one of those that stand there; or two share a plate.
    fn sets_of_several(&self) -> Vec<Set> {
        let mut sets = Vec::new();
        let on: Vec<Vec<&Product>> = (0..self.change.plates.len())
            .map(|i| self.products_on(i))
            .collect();
        for (index, products) in on.iter().enumerate().filter(|_| on.len() == 1) {
            for (i, a) in products.iter().enumerate() {
                for b in &products[i + 1..] {
                    for (n, m) in [(1, 1), (1, 2), (2, 1)] {
                        sets.push(self.set(&[(a, n, vec![index]), (b, m, vec![index])]));
                    }
                }
            }
        }
        if on.len() < 2 || on.iter().any(Vec::is_empty) {
            return sets;
        }
        // Every way to give each plate to one of its products; a shelf's facings are few, and so are changed plates.
        let mut owners: Vec<Vec<&Product>> = vec![Vec::new()];
        for products in on.iter().take(6) {
            owners = (owners.iter())
                .flat_map(|way| products.iter().map(|p| [&way[..], &[*p]].concat()))
                .take(128)
                .collect();
        }
        for way in owners.iter().filter(|way| way.len() == on.len()) {
            let mut plates: BTreeMap<&ProductId, (&Product, Vec<usize>)> = BTreeMap::new();
            for (index, product) in way.iter().enumerate() {
                let entry = plates.entry(&product.id).or_insert((product, Vec::new()));
                entry.1.push(index);
            }
            if (2..=PRODUCTS_MAX).contains(&plates.len()) {
                let parts: Vec<_> = (plates.into_values())
                    .map(|(product, at)| (product, self.likeliest_quantity(product, &at), at))
                    .collect();
                sets.push(self.set(&parts));
            }
        }
        sets
    }

    fn likeliest_quantity(&self, product: &Product, plates: &[usize]) -> u32 {
        let log = |n: u32| {
            self.weighed(
                plates,
                self.weights.expected(product, n, self.only_plate(plates)),
            ) + quantity_log(n)
        };
        (1..=QUANTITY_MAX)
            .max_by(|&a, &b| log(a).total_cmp(&log(b)))
            .unwrap_or(1)
    }

    /// Takes from the facings, whatever the world: every set, by one body, or shared among several.
    pub fn takes(&self) -> Vec<Candidate> {
        let mut out = Vec::new();
        for set in self.sets() {
            let items: Vec<Item> = set.items.iter().map(|(item, _)| item.clone()).collect();
            for near in self.near {
                out.push(Candidate {
                    log: set.log + near.reach,
                    parts: vec![part(near, items.clone())],
                    source: Source::Facing,
                });
            }
            self.shared(&set, &mut out);
        }
        out
    }

    /// The ways in which two bodies have taken a set: each some of the products, or some of the units.
    fn shared(&self, set: &Set, out: &mut Vec<Candidate>) {
        let known: Vec<&Near> = (self.near.iter().filter(|n| n.who.is_some()))
            .take(TOGETHER_MAX)
            .collect();
        let pairs = (known.iter())
            .flat_map(|a| known.iter().map(move |b| (*a, *b)))
            .filter(|(a, b)| a.who != b.who);
        for (a, b) in pairs {
            match &set.items[..] {
                [(item, _)] => {
                    // As many orders as there are ways to share: each pair comes once in each order.
                    for mine in 1..item.quantity {
                        let theirs = item.quantity - mine;
                        let log = set.log - quantity_log(item.quantity)
                            + quantity_log(mine)
                            + quantity_log(theirs)
                            + TOGETHER.ln()
                            + a.reach
                            + b.reach;
                        if a.who < b.who {
                            let of = |quantity| {
                                vec![Item {
                                    product: item.product.clone(),
                                    quantity,
                                }]
                            };
                            out.push(together(log, part(a, of(mine)), part(b, of(theirs))));
                        }
                    }
                }
                [first, rest @ ..] => {
                    let reach = |near: &Near, plates: &[usize]| {
                        let sum: f64 = plates.iter().map(|&p| near.by_plate[p]).sum();
                        sum / plates.len().max(1) as f64
                    };
                    let others: f64 = rest.iter().map(|(_, at)| reach(b, at)).sum();
                    // Two products at one moment are likelier two bodies' than one's.
                    let log = set.log - ANOTHER_PRODUCT.ln() + TOGETHER.ln();
                    let log = log + reach(a, &first.1) + others / rest.len().max(1) as f64;
                    let theirs = rest.iter().map(|(item, _)| item.clone()).collect();
                    out.push(together(
                        log,
                        part(a, vec![first.0.clone()]),
                        part(b, theirs),
                    ));
                }
                [] => {}
            }
        }
    }

    /// Log of the chance that a take is one from the facings, where the others are of what lies among them.
    pub fn facings_log(&self, lying: &[Lying]) -> f64 {
        let overlap = |l: &&Lying| {
            let at = |plate| self.change.plates.iter().any(|c| c.plate == plate);
            l.plates.iter().any(|p| at(p.plate))
        };
        let mut products: Vec<&ProductId> = lying
            .iter()
            .filter(overlap)
            .filter_map(|l| l.product.as_ref())
            .collect();
        products.sort_unstable();
        products.dedup();
        -(MISPLACED * products.len() as f64).ln_1p()
    }

    /// Takes of what lies around in a world: a misplaced unit, or something foreign.
    pub fn takes_of(&self, lying: &[Lying]) -> Vec<Candidate> {
        let mut out = Vec::new();
        let here = || (lying.iter().enumerate()).filter(|(_, l)| l.is_near(&self.change.plates));
        for (index, thing) in here() {
            let Some(id) = &thing.product else { continue };
            let alike = here().filter(|(_, l)| l.product == thing.product).count();
            let log = MISPLACED.ln() - (alike as f64).ln() + self.same_again(thing);
            let item = Item {
                product: id.clone(),
                quantity: 1,
            };
            out.extend(self.near.iter().map(|near| Candidate {
                log: log + near.reach,
                parts: vec![part(near, vec![item.clone()])],
                source: Source::Lying(index),
            }));
        }
        let foreign: Vec<(usize, &Lying)> = here().filter(|(_, l)| l.product.is_none()).collect();
        let mut leaving = |things: &[(usize, &Lying)]| {
            let plates = things.iter().flat_map(|(_, l)| l.plates.clone()).collect();
            let all = Lying {
                product: None,
                plates,
            };
            out.push(Candidate {
                log: FOREIGN_LEAVES.ln() + self.same_again(&all),
                parts: vec![nobody()],
                source: Source::Leaving(things.iter().map(|(i, _)| *i).collect()),
            });
        };
        foreign.iter().for_each(|one| leaving(&[*one]));
        if foreign.len() > 1 {
            leaving(&foreign);
        }
        let (grams, _) = total(&self.change.plates);
        let heaviest = (foreign.iter())
            .max_by(|a, b| a.1.grams().total_cmp(&b.1.grams()))
            .filter(|(_, l)| l.grams() > grams.abs());
        if let Some((index, thing)) = heaviest {
            out.push(Candidate {
                log: FOREIGN_SHIFTS.ln() - thing.grams().ln()
                    + log_share(grams, self.change.plates.len()),
                parts: vec![nobody()],
                source: Source::Shifting(*index),
            });
        }
        out.push(self.foreign());
        out
    }

    /// Log-density of the change if it is exactly this thing that goes: plate by plate, since then even the gains are
    /// the same; or its sum, as hands that reach past it may have moved it.
    fn same_again(&self, thing: &Lying) -> f64 {
        let mut was: BTreeMap<u16, (f64, f64)> = BTreeMap::new();
        for p in &thing.plates {
            let entry = was.entry(p.plate).or_default();
            entry.0 += p.delta_mg.grams();
            entry.1 += p.sigma_mg.grams().powi(2);
        }
        let (grams, sigma) = total(&self.change.plates);
        let all = thing.grams();
        let loose = (0.01 * all).max(1.0);
        let variance: f64 = was.values().map(|v| v.1).sum::<f64>() + sigma * sigma;
        let sum = log_normal(grams.abs() - all, variance + loose * loose)
            + log_share(grams, self.change.plates.len());
        let was_on = was.len();
        let overlaps = (self.change.plates.iter()).any(|c| was.contains_key(&c.plate));
        let leak = 0.02 * was.values().map(|v| v.0.abs()).fold(0.0, f64::max);
        let mut by_plate = 0.0;
        for c in &self.change.plates {
            let (before, variance) = was.remove(&c.plate).unwrap_or((0.0, 0.0));
            let variance = variance + c.sigma_mg.grams().powi(2) + (0.5 + leak / 16.0).powi(2);
            by_plate += log_normal(c.delta_mg.grams().abs() - before, variance);
        }
        for (before, variance) in was.into_values() {
            by_plate += log_normal(before, variance + leak * leak + 4.0);
        }
        let moved = match (overlaps, was_on, self.change.plates.len()) {
            (false, _, _) => MOVED,
            (true, 1, 1) => MISWEIGHED,
            (true, _, _) => NUDGED,
        };
        (sum + moved.ln()).max(by_plate)
    }

    /// Something that is no product, of any mass.
    pub fn foreign(&self) -> Candidate {
        let (grams, _) = total(&self.change.plates);
        Candidate {
            log: (FOREIGN.0 / FOREIGN.1).ln() + log_share(grams, self.change.plates.len()),
            parts: vec![nobody()],
            source: Source::Facing,
        }
    }
}

pub(super) fn quantity_log(quantity: u32) -> f64 {
    (1.0 - ANOTHER_UNIT).ln() + f64::from(quantity.saturating_sub(1)) * ANOTHER_UNIT.ln()
}

pub(super) fn part(near: &Near, items: Vec<Item>) -> Part {
    Part {
        who: near.who.clone(),
        items,
        against: false,
    }
}

pub(super) fn nobody() -> Part {
    Part {
        who: None,
        items: Vec::new(),
        against: false,
    }
}

pub(super) fn together(log: f64, a: Part, b: Part) -> Candidate {
    Candidate {
        log,
        parts: vec![a, b],
        source: Source::Facing,
    }
}
