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

use super::candidates::{Candidate, Near, Scene, Source};
use super::reach::Place;
use super::weights::Weights;
use super::world::{Choice, Holding, Lying, Part, World};
use crate::checkout::decision::{Reached, SureLine};
use crate::checkout::session::SessionId;
use crate::observation::{ChangeKind, Item, PlateChange, ShelfObservation, Stamp};
use crate::sensing::item_match::total;
use crate::store::{Definition, PlateId, ProductId, ShelfId};
use crate::units::{Milligrams, Timestamp};

/// Worlds of a cluster: the likeliest are kept.
pub const WORLDS_MAX: usize = 96;
/// Undecided changes of a cluster: beyond it the oldest is given up to its likeliest explanation.
pub const CHANGES_MAX: usize = 12;
/// Explanations of a change that are given out.
pub const EXPLAINED_MAX: usize = 8;
/// Bodies that are considered for a change.
const NEAR_MAX: usize = 8;
/// Worlds less likely than the best by this much are given up: natural log, in thousandths.
const UNLIKELY_MILLI: i64 = 11_500;
/// A body whose reach is worse than the best by this much is not considered, in thousandths.
const FAR_MILLI: i64 = 14_000;
/// Weight of an unseen taker, on the scale of reach (1 = a hand on the plates).
pub const NOBODY: f64 = 0.001;
/// How much likelier a change is somebody's whose reach has no other purpose yet; and whose reach has.
const PURPOSE: (f64, f64) = (4.0, 0.4);
/// Middles of reaches to about the same place within this time are the same reach, seconds.
const SAME_REACH_S: f64 = 0.25;
const SAME_PLACE_M: f64 = 0.25;
/// A reach is remembered for this long, seconds.
const REACH_KEPT_S: f64 = 5.0;
/// Foreign things that are remembered on a shelf, and misplaced items; the oldest are forgotten first.
const LYING_MAX: usize = 64;
/// A foreign thing of less than this is none any more, grams.
const FOREIGN_MIN_G: f64 = 4.0;

/// One explanation of a change with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    pub choice: Choice,
    pub probability: f64,
}

/// What somebody has, as far as the worlds agree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sure {
    pub lines: Vec<SureLine>,
    pub doubted: Vec<Item>,
}

/// A change that some worlds see differently.
#[derive(Clone, Debug)]
struct Undecided {
    stamp: Stamp,
    change: Arc<ShelfObservation>,
}

/// Bodies and shelves whose worlds hang together.
#[derive(Clone, Debug, Default)]
struct Cluster {
    changes: Vec<Undecided>,
    /// Never empty, likeliest first. All have the same bodies and shelves.
    worlds: Vec<World>,
}

/// What the store believes.
#[derive(Clone, Debug)]
pub struct Beliefs {
    definition: Arc<Definition>,
    weights: Weights,
    /// What is beyond doubt.
    holdings: BTreeMap<SessionId, Holding>,
    lying: BTreeMap<ShelfId, Vec<Lying>>,
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
        let near = considered(reached);
        let mut cluster = self.cluster_of(&near, change.shelf);
        let place = Place::of(&self.definition, change.shelf, &change.plates);
        let scene = Scene {
            definition: &self.definition,
            weights: &self.weights,
            change,
            near: &near,
        };
        let mut children = children(&scene, &mut cluster, place, reached);
        if children.is_empty() {
            self.give_back(cluster);
            return Vec::new();
        }
        normalise(&mut children);
        cluster.worlds = children;
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
        let says = |w: &World| w.choices[column].parts == parts;
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
            let same = (cluster.worlds.iter()).all(|w| w.holdings.get(&body) == Some(&holding));
            if same && !doubted.contains(&body) {
                for world in &mut cluster.worlds {
                    world.holdings.remove(&body);
                }
                if holding != Holding::default() {
                    self.holdings.insert(body, holding);
                }
            }
        }
        for (shelf, lying) in first.lying {
            let same = (cluster.worlds.iter()).all(|w| w.lying.get(&shelf) == Some(&lying));
            if same {
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

impl Cluster {
    fn bodies(&self) -> BTreeSet<SessionId> {
        self.worlds
            .iter()
            .flat_map(|w| w.holdings.keys().cloned())
            .collect()
    }

    /// Two clusters as one: every world with every other, the likeliest of them.
    fn and(self, other: Cluster) -> Cluster {
        let mut worlds = Vec::new();
        for a in &self.worlds {
            for b in &other.worlds {
                let mut both = a.clone();
                both.log_milli += b.log_milli;
                both.holdings.extend(b.holdings.clone());
                both.lying.extend(b.lying.clone());
                both.choices.extend(b.choices.iter().cloned());
                worlds.push(both);
            }
        }
        normalise(&mut worlds);
        Cluster {
            changes: [self.changes, other.changes].concat(),
            worlds,
        }
    }

    /// What each undecided change can have been.
    fn explained(&self) -> Vec<(Stamp, Vec<Explained>)> {
        let weight = |w: &World| (w.log_milli as f64 / 1e3).exp();
        let all: f64 = self.worlds.iter().map(weight).sum();
        (self.changes.iter().enumerate())
            .map(|(column, undecided)| {
                let mut by_choice: BTreeMap<&Choice, f64> = BTreeMap::new();
                for world in &self.worlds {
                    *by_choice.entry(&world.choices[column]).or_default() += weight(world) / all;
                }
                let mut explained: Vec<Explained> = (by_choice.into_iter())
                    .map(|(choice, probability)| Explained {
                        choice: choice.clone(),
                        probability,
                    })
                    .collect();
                explained.sort_by(|a, b| b.probability.total_cmp(&a.probability));
                explained.truncate(EXPLAINED_MAX);
                (undecided.stamp.clone(), explained)
            })
            .collect()
    }

    fn forget(&mut self, column: usize) {
        self.changes.remove(column);
        for world in &mut self.worlds {
            world.choices.remove(column);
        }
    }

    /// Takes the likeliest explanation of the oldest change for true if it is likely enough, and stops asking.
    fn give_up_oldest(&mut self) {
        let Some((_, explained)) = self.explained().into_iter().next() else {
            return;
        };
        if let Some(first) = explained.first().filter(|e| e.probability > 0.9) {
            self.worlds.retain(|w| *w.choices[0] == first.choice);
        }
        self.forget(0);
        normalise(&mut self.worlds);
    }

    /// Worlds from which the same follows become one.
    fn merge_equal(&mut self) {
        let mut kept: Vec<World> = Vec::with_capacity(self.worlds.len());
        for world in self.worlds.drain(..) {
            let same = (kept.iter_mut()).find(|k| k.choices == world.choices && k.agrees(&world));
            match same {
                Some(same) => {
                    let sum =
                        (same.log_milli as f64 / 1e3).exp() + (world.log_milli as f64 / 1e3).exp();
                    same.log_milli = (sum.ln() * 1e3).round() as i64;
                }
                None => kept.push(world),
            }
        }
        normalise(&mut kept);
        self.worlds = kept;
    }
}

/// Sorts worlds by weight, gives up the unlikely ones, and gives the best the log 0.
fn normalise(worlds: &mut Vec<World>) {
    // Stable: equals keep their order, which follows from the order of events.
    worlds.sort_by_key(|w| std::cmp::Reverse(w.log_milli));
    let best = worlds.first().map_or(0, |w| w.log_milli);
    worlds.retain(|w| best - w.log_milli < UNLIKELY_MILLI);
    worlds.truncate(WORLDS_MAX);
    for world in worlds {
        world.log_milli -= best;
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
    });
    near
}

/// Every world with every explanation of a change that is likely enough.
fn children(
    scene: &Scene<'_>,
    cluster: &mut Cluster,
    place: Option<Place>,
    reached: &[Reached],
) -> Vec<World> {
    let change = scene.change;
    let (grams, _) = total(&change.plates);
    let takes = match change.kind {
        ChangeKind::Take => scene.takes(),
        ChangeKind::Unsure if grams < 0.0 => scene.takes(),
        ChangeKind::Put | ChangeKind::Touch | ChangeKind::Foreign | ChangeKind::Unsure => {
            Vec::new()
        }
    };
    let mut weighed: Vec<(i64, usize, Candidate)> = Vec::new();
    for (index, world) in cluster.worlds.iter_mut().enumerate() {
        forget_reaches(world, change.peak);
        let lying = world
            .lying
            .get(&change.shelf)
            .map_or(&[][..], Vec::as_slice);
        let mut candidates = match change.kind {
            ChangeKind::Touch => Vec::new(),
            ChangeKind::Take | ChangeKind::Unsure | ChangeKind::Foreign if grams < 0.0 => {
                scene.takes_of(lying)
            }
            ChangeKind::Foreign => vec![scene.foreign()],
            ChangeKind::Take | ChangeKind::Put | ChangeKind::Unsure => scene.puts(&world.holdings),
        };
        if change.kind == ChangeKind::Foreign {
            candidates.retain(|c| c.parts.iter().all(|p| p.items.is_empty()));
        }
        candidates.extend(takes.iter().cloned());
        for candidate in candidates {
            let purposes: f64 = (candidate.parts.iter())
                .map(|p| purpose(world, p, place.as_ref(), reached))
                .sum();
            let log_milli = ((candidate.log + purposes) * 1e3).round() as i64;
            weighed.push((world.log_milli + log_milli, index, candidate));
        }
    }
    weighed.sort_by_key(|(log_milli, index, _)| (std::cmp::Reverse(*log_milli), *index));
    let best = weighed.first().map_or(0, |w| w.0);
    (weighed.into_iter().take(WORLDS_MAX))
        .take_while(|w| best - w.0 < UNLIKELY_MILLI)
        .map(|(log_milli, index, candidate)| {
            let mut world = cluster.worlds[index].clone();
            world.log_milli = log_milli;
            follow(scene, &mut world, &candidate, place, reached);
            world
        })
        .collect()
}

fn forget_reaches(world: &mut World, now: Timestamp) {
    for holding in world.holdings.values_mut() {
        holding
            .reaches
            .retain(|(at, _)| now.seconds_since(*at).abs() < REACH_KEPT_S);
    }
}

/// Log of how much likelier a part is because its body's reach had no purpose yet, or because it had.
fn purpose(world: &World, part: &Part, place: Option<&Place>, reached: &[Reached]) -> f64 {
    let Some((who, place)) = part.who.as_ref().zip(place) else {
        return 0.0;
    };
    let Some(reach) = reached.iter().find(|r| r.session.as_ref() == Some(who)) else {
        return 0.0;
    };
    let Some(middle) = reach.middle else {
        return 0.0;
    };
    let served = world.holdings.get(who).is_some_and(|h| {
        (h.reaches.iter()).any(|(at, there)| {
            at.seconds_since(middle).abs() < SAME_REACH_S && there.beside(place) < SAME_PLACE_M
        })
    });
    match served {
        true => PURPOSE.1.ln(),
        false => (PURPOSE.0 * (reach.log_milli as f64 / 1e3).min(0.0).exp()).ln_1p(),
    }
}

/// Makes a world what it is after a change.
fn follow(
    scene: &Scene<'_>,
    world: &mut World,
    candidate: &Candidate,
    place: Option<Place>,
    reached: &[Reached],
) {
    let change = scene.change;
    let lying = world.lying.entry(change.shelf).or_default();
    let foreign = candidate.parts.iter().all(|p| p.items.is_empty());
    let (grams, _) = total(&change.plates);
    let leaves_again = match &candidate.source {
        Source::Facing => {
            if foreign && grams > 0.0 {
                lying.push(came(change, None, 1.0));
            }
            false
        }
        Source::Lying(index) => {
            lying.remove(*index);
            false
        }
        Source::Leaving(indices) => {
            let mut index = 0;
            lying.retain(|_| {
                index += 1;
                !indices.contains(&(index - 1))
            });
            true
        }
        Source::Shifting(index) => {
            lighten(&mut lying[*index], &change.plates);
            if lying[*index].grams() < FOREIGN_MIN_G {
                lying.remove(*index);
            }
            true
        }
    };
    let excess = lying.len().saturating_sub(LYING_MAX);
    lying.drain(..excess);
    for part in &candidate.parts {
        if candidate.source == Source::Facing || grams < 0.0 {
            done(scene.definition, world, change, part);
        }
        let reach = reached
            .iter()
            .find(|r| r.session.is_some() && r.session == part.who);
        let holding = part
            .who
            .as_ref()
            .and_then(|who| world.holdings.get_mut(who));
        if let (Some(holding), Some(middle), Some(place)) =
            (holding, reach.and_then(|r| r.middle), place)
        {
            holding.reached(middle, place);
        }
    }
    world.choices.push(Arc::new(Choice {
        parts: candidate.parts.clone(),
        leaves_again,
    }));
}

/// What came, or a share of it, as it lies there.
fn came(change: &ShelfObservation, product: Option<ProductId>, share: f64) -> Lying {
    let plates = change.plates.iter().map(|p| PlateChange {
        delta_mg: Milligrams((p.delta_mg.0 as f64 * share).round() as i64),
        ..*p
    });
    Lying {
        product,
        plates: plates.collect(),
    }
}

fn lighten(thing: &mut Lying, changes: &[PlateChange]) {
    for change in changes {
        match thing.plates.iter_mut().find(|p| p.plate == change.plate) {
            Some(plate) => plate.delta_mg = plate.delta_mg + change.delta_mg,
            None => thing.plates.push(*change),
        }
    }
}

/// What follows from a body's part in a change.
fn done(definition: &Definition, world: &mut World, change: &ShelfObservation, part: &Part) {
    let nominal = |id: &ProductId| {
        let product = definition.catalogue.get(id.as_str());
        product.map_or(0.0, |p| p.weight.grams())
    };
    let (grams, _) = total(&change.plates);
    let holding = part
        .who
        .as_ref()
        .and_then(|who| world.holdings.get_mut(who));
    if grams < 0.0 {
        // Of a change that several have made, each has what their items should weigh.
        let mine: f64 = part
            .items
            .iter()
            .map(|i| nominal(&i.product) * f64::from(i.quantity))
            .sum();
        let near_all = (grams.abs() - mine).abs() < 0.15 * mine;
        if let Some(holding) = holding {
            holding.take(
                &part.items,
                if near_all { grams.abs() } else { mine },
                nominal,
            );
        }
        return;
    }
    if let Some(holding) = holding {
        holding.put_back(&part.items);
    }
    let units: u32 = part.items.iter().map(|i| i.quantity).sum();
    let lying = world.lying.entry(change.shelf).or_default();
    for item in &part.items {
        let home = change.plates.iter().any(|c| {
            let id = PlateId {
                shelf: change.shelf,
                plate: c.plate,
            };
            (definition.planogram.on_plate(id)).any(|f| f.product == item.product)
        });
        if !home {
            let one = came(
                change,
                Some(item.product.clone()),
                1.0 / f64::from(units.max(1)),
            );
            lying.extend(std::iter::repeat_n(one, item.quantity.min(16) as usize));
        }
    }
}

/// Takes back what had followed from a choice.
fn undo(definition: &Definition, world: &mut World, change: &ShelfObservation, choice: &Choice) {
    let (grams, _) = total(&change.plates);
    for part in &choice.parts {
        let Some(holding) = part
            .who
            .as_ref()
            .and_then(|who| world.holdings.get_mut(who))
        else {
            continue;
        };
        if grams < 0.0 {
            holding.put_back(&part.items);
        } else {
            holding.take(&part.items, grams, |id| {
                let product = definition.catalogue.get(id.as_str());
                product.map_or(0.0, |p| p.weight.grams())
            });
        }
    }
}
