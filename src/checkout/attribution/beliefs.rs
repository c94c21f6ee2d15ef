//! What the store believes: several ways in which everything can have happened, with their weights.
//!
//! Multiple-hypothesis tracking after D. B. Reid, "An Algorithm for Tracking Multiple Targets", IEEE Transactions on
//! Automatic Control 24 (1979), with its clusters: a change multiplies the worlds of the bodies and the shelf that it
//! can concern, and of nobody else. Unlikely worlds are given up, worlds from which the same follows become one, and
//! what all worlds of a cluster agree on leaves it. Later evidence (a put-back, a second reach, a thing that is taken
//! away again) so decides what an earlier change was.
//!
//! Bounds: [`WORLDS_MAX`] worlds and [`CHANGES_MAX`] undecided changes a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::branches::branches;
use super::candidates::{Near, Scene};
use super::cluster::{Cluster, Explained, Undecided, normalise};
use super::consequences::{done, undo};
use super::reach::Place;
use super::weights::Weights;
use super::world::{Choice, Holding, Lying, Part, World, same};
use crate::checkout::decision::{Reached, SureLine};
use crate::checkout::session::SessionId;
use crate::observation::{ChangeKind, Item, ShelfObservation, Stamp, VisionObservation};
use crate::store::{Definition, PlateId, ProductId, ShelfId};
use crate::units::Milligrams;

mod keeping;
pub use keeping::KeptBeliefs;

/// Undecided changes of a cluster: beyond it the oldest is given up to its likeliest explanation.
pub const CHANGES_MAX: usize = 12;
/// Bodies that are considered for a change.
const NEAR_MAX: usize = 8;
/// A body whose reach is worse than the best by this much is not considered, in thousandths.
const FAR_MILLI: i64 = 14_000;
/// Weight of an unseen taker, on the scale of reach (1 = a hand on the plates).
pub const NOBODY: f64 = 0.001;

/// What somebody has, as far as the worlds agree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sure {
    pub lines: Vec<SureLine>,
    pub doubted: Vec<Item>,
}

/// What the store believes.
#[derive(Clone, Debug)]
pub struct Beliefs {
    definition: Arc<Definition>,
    weights: Weights,
    /// What is beyond doubt.
    holdings: BTreeMap<SessionId, Arc<Holding>>,
    lying: BTreeMap<ShelfId, Arc<Vec<Lying>>>,
    clusters: Vec<Cluster>,
}

impl Beliefs {
    /// Those of a store in which nothing has happened.
    pub fn new(definition: Arc<Definition>) -> Self {
        Beliefs {
            definition,
            weights: Weights::default(),
            holdings: BTreeMap::new(),
            lying: BTreeMap::new(),
            clusters: Vec::new(),
        }
    }

    /// Takes in a change and who can have done it. Gives what it can have been, and what the undecided changes that
    /// it bears on look like now; likeliest explanations first, at most [`EXPLAINED_MAX`] each.
    pub fn absorb(
        &mut self,
        stamp: &Stamp,
        change: &Arc<ShelfObservation>,
        reached: &[Reached],
    ) -> Vec<(Stamp, Vec<Explained>)> {
        self.absorb_seen(stamp, change, reached, None)
    }

    /// The same where a camera has something to say about the shelf then.
    pub fn absorb_seen(
        &mut self,
        stamp: &Stamp,
        change: &Arc<ShelfObservation>,
        reached: &[Reached],
        seen: Option<&VisionObservation>,
    ) -> Vec<(Stamp, Vec<Explained>)> {
        let near = considered(reached);
        let mut cluster = self.cluster_of(&near, change.shelf);
        let place = Place::of(&self.definition, change.shelf, &change.plates);
        let scene = Scene {
            definition: &self.definition,
            weights: &self.weights,
            change,
            near: &near,
            seen,
        };
        let mut worlds = branches(&scene, &mut cluster, place, reached);
        if worlds.is_empty() {
            self.give_back(cluster);
            return Vec::new();
        }
        normalise(&mut worlds);
        cluster.worlds = worlds;
        cluster.changes.push(Undecided {
            stamp: stamp.clone(),
            change: change.clone(),
        });
        let explained = cluster.explained();
        if cluster.changes.len() > CHANGES_MAX {
            cluster.give_up_oldest();
        }
        self.give_back(cluster);
        explained
    }

    /// What a change was is settled from outside (by a verdict, or because it is charged): worlds that say otherwise
    /// are given up.
    pub fn settle(&mut self, stamp: &Stamp, parts: &[Part]) {
        let found =
            (self.clusters.iter()).position(|c| c.changes.iter().any(|u| u.stamp == *stamp));
        let Some(index) = found else {
            return;
        };
        let mut cluster = self.clusters.remove(index);
        let column = cluster.changes.iter().position(|u| u.stamp == *stamp);
        let column = column.unwrap_or_default();
        let change = cluster.changes[column].change.clone();
        let says = |w: &World| w.choices[column].parts.starts_with(parts);
        if cluster.worlds.iter().any(says) {
            cluster.worlds.retain(says);
        } else {
            let bodies = cluster.bodies();
            for world in &mut cluster.worlds {
                let old = world.choices[column].clone();
                undo(&self.definition, world, &change, &old);
                let known = parts
                    .iter()
                    .filter(|p| p.who.as_ref().is_none_or(|w| bodies.contains(w)));
                known.for_each(|p| done(&self.definition, world, &change, p));
            }
        }
        cluster.forget(column);
        normalise(&mut cluster.worlds);
        self.give_back(cluster);
    }

    /// Nobody asks any more what a change was: the worlds go on without it.
    pub fn stop_asking(&mut self, stamp: &Stamp) {
        let found =
            (self.clusters.iter()).position(|c| c.changes.iter().any(|u| u.stamp == *stamp));
        if let Some(index) = found {
            let mut cluster = self.clusters.remove(index);
            let column = cluster.changes.iter().position(|u| u.stamp == *stamp);
            cluster.forget(column.unwrap_or_default());
            self.give_back(cluster);
        }
    }

    /// A visit is over: what the body has goes with it.
    pub fn close(&mut self, session: &SessionId) {
        self.holdings.remove(session);
        let found = (self.clusters.iter())
            .position(|c| c.worlds.iter().any(|w| w.holdings.contains_key(session)));
        if let Some(index) = found {
            let mut cluster = self.clusters.remove(index);
            for world in &mut cluster.worlds {
                world.holdings.remove(session);
            }
            self.give_back(cluster);
        }
    }

    /// What somebody has with at least the probability `confidence`, over all worlds: the units of each product, and
    /// those that they have with a probability above `1 - confidence` only. `None` if worlds don't differ on them.
    pub fn sure(&self, session: &SessionId, confidence: f64) -> Option<Sure> {
        let has = |w: &World| w.holdings.contains_key(session);
        let cluster = (self.clusters.iter()).find(|c| c.worlds.first().is_some_and(has))?;
        let weight = |w: &World| (w.log_milli as f64 / 1e3).exp();
        let all: f64 = cluster.worlds.iter().map(weight).sum();
        let held = |w: &World, id: &ProductId| {
            w.holdings
                .get(session)
                .and_then(|h| h.items.get(id))
                .copied()
                .unwrap_or_default()
        };
        let products: BTreeSet<&ProductId> = (cluster.worlds.iter())
            .filter_map(|w| w.holdings.get(session))
            .flat_map(|h| h.items.keys())
            .collect();
        let mut sure = Sure::default();
        for id in products {
            let at_least = |n: u32| -> f64 {
                let worlds = cluster.worlds.iter().filter(|w| held(w, id).quantity >= n);
                worlds.map(weight).sum::<f64>() / all
            };
            let most = cluster
                .worlds
                .iter()
                .map(|w| held(w, id).quantity)
                .max()
                .unwrap_or(0);
            let quantity = (1..=most)
                .take_while(|&n| at_least(n) >= confidence)
                .count() as u32;
            let plausible = (1..=most)
                .take_while(|&n| at_least(n) > 1.0 - confidence)
                .count() as u32;
            if quantity > 0 {
                let likeliest = cluster
                    .worlds
                    .iter()
                    .map(|w| held(w, id))
                    .find(|h| h.quantity >= quantity);
                let unit = likeliest.map_or(0.0, |h| h.grams / f64::from(h.quantity));
                sure.lines.push(SureLine {
                    product: id.clone(),
                    quantity,
                    mass_mg: Milligrams::from_grams(unit * f64::from(quantity)),
                });
            }
            if plausible > quantity {
                sure.doubted.push(Item {
                    product: id.clone(),
                    quantity: plausible - quantity,
                });
            }
        }
        Some(sure)
    }

    /// Whether worlds differ on a change.
    pub fn doubts(&self, stamp: &Stamp) -> bool {
        (self.clusters.iter()).any(|c| c.changes.iter().any(|u| u.stamp == *stamp))
    }

    /// Worlds of the largest cluster.
    pub fn worlds(&self) -> usize {
        let sizes = self.clusters.iter().map(|c| c.worlds.len());
        sizes.max().unwrap_or(1)
    }

    /// The cluster of these bodies and this shelf: those that they are in, made one, and what is beyond doubt of them.
    fn cluster_of(&mut self, near: &[Near], shelf: ShelfId) -> Cluster {
        let bodies: BTreeSet<&SessionId> = near.iter().filter_map(|n| n.who.as_ref()).collect();
        let concerned = |c: &Cluster| {
            c.worlds.first().is_some_and(|w| {
                w.lying.contains_key(&shelf) || bodies.iter().any(|b| w.holdings.contains_key(*b))
            })
        };
        let (mine, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.clusters)
            .into_iter()
            .partition(concerned);
        self.clusters = rest;
        let mut cluster = mine
            .into_iter()
            .reduce(Cluster::and)
            .unwrap_or_else(|| Cluster {
                changes: Vec::new(),
                worlds: vec![World {
                    log_milli: 0,
                    holdings: BTreeMap::new(),
                    lying: BTreeMap::new(),
                    choices: Vec::new(),
                }],
            });
        for body in bodies {
            if !cluster.worlds[0].holdings.contains_key(body) {
                let holding = self.holdings.remove(body).unwrap_or_default();
                for world in &mut cluster.worlds {
                    world.holdings.insert(body.clone(), holding.clone());
                }
            }
        }
        if !cluster.worlds[0].lying.contains_key(&shelf) {
            let lying = self.lying.remove(&shelf).unwrap_or_default();
            for world in &mut cluster.worlds {
                world.lying.insert(shelf, lying.clone());
            }
        }
        cluster
    }

    /// Takes back a cluster, less what its worlds agree on.
    fn give_back(&mut self, mut cluster: Cluster) {
        cluster.merge_equal();
        loop {
            let agreed = (0..cluster.changes.len()).find(|&i| {
                let first = &cluster.worlds[0].choices[i];
                cluster.worlds.iter().all(|w| w.choices[i] == *first)
            });
            let Some(column) = agreed else { break };
            self.learn(
                &cluster.changes[column].change,
                &cluster.worlds[0].choices[column],
            );
            cluster.forget(column);
        }
        cluster.merge_equal();
        let doubted: BTreeSet<SessionId> = (cluster.worlds.iter())
            .flat_map(|w| &w.choices)
            .flat_map(|c| &c.parts)
            .filter_map(|p| p.who.clone())
            .collect();
        let Some(first) = cluster.worlds.first().cloned() else {
            return;
        };
        for (body, holding) in first.holdings {
            let agreed = (cluster.worlds.iter())
                .all(|w| (w.holdings.get(&body)).is_some_and(|other| same(other, &holding)));
            if agreed && !doubted.contains(&body) {
                for world in &mut cluster.worlds {
                    world.holdings.remove(&body);
                }
                if *holding != Holding::default() {
                    self.holdings.insert(body, holding);
                }
            }
        }
        for (shelf, lying) in first.lying {
            let agreed = (cluster.worlds.iter())
                .all(|w| (w.lying.get(&shelf)).is_some_and(|other| same(other, &lying)));
            if agreed {
                for world in &mut cluster.worlds {
                    world.lying.remove(&shelf);
                }
                if !lying.is_empty() {
                    self.lying.insert(shelf, lying);
                }
            }
        }
        let idle = cluster.worlds[0].holdings.is_empty() && cluster.worlds[0].lying.is_empty();
        if !idle {
            self.clusters.push(cluster);
        }
    }

    /// Learns weights from what is beyond doubt: one body, one product, one plate.
    fn learn(&mut self, change: &ShelfObservation, choice: &Choice) {
        let ([part], [plate], ChangeKind::Take) =
            (&choice.parts[..], &change.plates[..], change.kind)
        else {
            return;
        };
        let [item] = &part.items[..] else { return };
        let Some(product) = self.definition.catalogue.get(item.product.as_str()) else {
            return;
        };
        let at = PlateId {
            shelf: change.shelf,
            plate: plate.plate,
        };
        let (grams, sigma) = (plate.delta_mg.grams(), plate.sigma_mg.grams());
        self.weights.learn(product, item.quantity, at, grams, sigma);
    }
}

/// The bodies that can have done it, likeliest first, and whoever was not seen.
fn considered(reached: &[Reached]) -> Vec<Near> {
    let known = reached.iter().filter(|r| r.session.is_some());
    let best = known.clone().map(|r| r.log_milli).max().unwrap_or(0);
    let mut near: Vec<Near> = (known.filter(|r| r.log_milli > best - FAR_MILLI))
        .map(|r| Near {
            who: r.session.clone(),
            staff: r.staff,
            reach: r.log_milli as f64 / 1e3,
            by_plate: (r.by_plate_milli.iter())
                .map(|&milli| milli as f64 / 1e3)
                .collect(),
            stood: r.stood_milli.map_or((0.0, 0.0), |(from, until)| {
                (from as f64 / 1e3, until as f64 / 1e3)
            }),
        })
        .collect();
    near.sort_by(|a, b| b.reach.total_cmp(&a.reach).then_with(|| a.who.cmp(&b.who)));
    near.truncate(NEAR_MAX);
    let plates = reached.first().map_or(0, |r| r.by_plate_milli.len());
    let strangers = reached.iter().filter(|r| r.session.is_none());
    let unseen = NOBODY
        + strangers
            .map(|r| (r.log_milli as f64 / 1e3).exp())
            .sum::<f64>();
    near.push(Near {
        who: None,
        staff: false,
        reach: unseen.ln(),
        by_plate: vec![unseen.ln(); plates],
        stood: (unseen.ln(), unseen.ln()),
    });
    near
}
