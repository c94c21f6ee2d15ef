//! What becomes of the worlds of a cluster when something changes: each with every explanation that is likely enough.
//!
//! Most worlds agree on what most bodies have. What follows from that is worked out once, and shared.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use super::candidates::{Candidate, Scene, TOGETHER_MAX};
use super::cluster::{Cluster, UNLIKELY_MILLI, WORLDS_MAX};
use super::consequences::{follow, forget_reaches, purpose};
use super::reach::Place;
use super::world::{Choice, Holding, World};
use crate::checkout::decision::Reached;
use crate::checkout::session::SessionId;
use crate::observation::ChangeKind;
use crate::sensing::item_match::total;

/// A candidate with the log-likelihood of what a camera saw, if it is true.
struct Told {
    candidate: Candidate,
    seen: f64,
}

type Shared = Rc<[Rc<Told>]>;

/// What the body at that place among those near has: the very same, and not only its equal.
#[derive(Clone, Copy)]
struct Has<'w>(usize, &'w Holding);

impl PartialEq for Has<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 && std::ptr::eq(self.1, other.1)
    }
}

impl Eq for Has<'_> {}

impl Hash for Has<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        std::ptr::hash(self.1, state);
    }
}

/// The explanations of a change that follow from what bodies have, by that.
struct Followed<'w, 's> {
    scene: &'s Scene<'s>,
    puts: HashMap<Has<'w>, Shared>,
    puts_of_two: HashMap<(Has<'w>, Has<'w>), Shared>,
    swaps: HashMap<Has<'w>, Shared>,
}

impl<'w, 's> Followed<'w, 's> {
    fn of(scene: &'s Scene<'s>) -> Self {
        Followed {
            scene,
            puts: HashMap::new(),
            puts_of_two: HashMap::new(),
            swaps: HashMap::new(),
        }
    }

    /// The bodies near, with what they have in a world.
    fn bodies(&self, world: &'w World) -> Vec<Has<'w>> {
        let near = self.scene.near.iter().enumerate();
        near.filter_map(|(index, near)| {
            let holding = world.holdings.get(near.who.as_ref()?)?;
            Some(Has(index, holding))
        })
        .collect()
    }

    fn swaps(&mut self, bodies: &[Has<'w>]) -> Vec<Shared> {
        let scene = self.scene;
        let mut of = |has: &Has<'w>| {
            let made = || told(scene, scene.swaps_by(&scene.near[has.0], has.1));
            self.swaps.entry(*has).or_insert_with(made).clone()
        };
        bodies.iter().map(&mut of).collect()
    }

    /// Put-backs by one body each, then by two.
    fn puts(&mut self, bodies: &[Has<'w>]) -> Vec<Shared> {
        let scene = self.scene;
        let mut out: Vec<Shared> = Vec::new();
        for has in bodies {
            let made = || told(scene, scene.puts_by(&scene.near[has.0], has.1));
            out.push(self.puts.entry(*has).or_insert_with(made).clone());
        }
        let shoppers: Vec<Has<'w>> = (bodies.iter().copied())
            .filter(|has| !scene.near[has.0].staff)
            .take(TOGETHER_MAX)
            .collect();
        for (i, a) in shoppers.iter().enumerate() {
            for b in &shoppers[i + 1..] {
                let [mine, theirs] = [a, b].map(|has| (&scene.near[has.0], has.1));
                let made = || told(scene, scene.puts_of_two(mine, theirs));
                let both = self.puts_of_two.entry((*a, *b)).or_insert_with(made);
                out.push(both.clone());
            }
        }
        out
    }
}

fn told(scene: &Scene<'_>, candidates: Vec<Candidate>) -> Shared {
    let with_seen = |candidate: Candidate| {
        let seen = scene.seen_log(&candidate);
        Rc::new(Told { candidate, seen })
    };
    candidates.into_iter().map(with_seen).collect()
}

/// One way in which a world can go on.
struct Branch {
    log_milli: i64,
    world: usize,
    told: Rc<Told>,
}

/// Every world with every explanation of a change that is likely enough. None if there is nothing to explain.
pub(super) fn branches(
    scene: &Scene<'_>,
    cluster: &mut Cluster,
    place: Option<Place>,
    reached: &[Reached],
) -> Vec<World> {
    forget_reaches(&mut cluster.worlds, scene.change.peak);
    let worlds = &cluster.worlds;
    let Some(mut branches) = explained(scene, worlds, place, reached) else {
        return Vec::new();
    };
    branches.sort_by_key(|b| (std::cmp::Reverse(b.log_milli), b.world));
    let best = branches.first().map_or(0, |b| b.log_milli);
    let mut choices: HashSet<Arc<Choice>> = HashSet::new();
    (branches.into_iter().take(WORLDS_MAX))
        .take_while(|b| best - b.log_milli < UNLIKELY_MILLI)
        .map(|branch| {
            let mut world = worlds[branch.world].clone();
            world.log_milli = branch.log_milli;
            follow(scene, &mut world, &branch.told.candidate, place, reached);
            share_last(&mut world.choices, &mut choices);
            world
        })
        .collect()
}

/// The same choice of several worlds becomes one in memory.
fn share_last(of_world: &mut [Arc<Choice>], known: &mut HashSet<Arc<Choice>>) {
    let Some(last) = of_world.last_mut() else {
        return;
    };
    match known.get(&**last) {
        Some(same) => *last = same.clone(),
        None => {
            known.insert(last.clone());
        }
    }
}

/// `None` for a touch that nobody's put-back and nobody's take can have made.
fn explained(
    scene: &Scene<'_>,
    worlds: &[World],
    place: Option<Place>,
    reached: &[Reached],
) -> Option<Vec<Branch>> {
    let change = scene.change;
    let mut followed = Followed::of(scene);
    let bodies: Vec<Vec<Has<'_>>> = worlds.iter().map(|w| followed.bodies(w)).collect();
    let swaps: Vec<Vec<Shared>> = bodies.iter().map(|b| followed.swaps(b)).collect();
    if change.kind == ChangeKind::Touch && swaps.iter().flatten().all(|s| s.is_empty()) {
        return None;
    }
    let (grams, _) = total(&change.plates);
    let takes = match change.kind {
        ChangeKind::Take => scene.takes(),
        ChangeKind::Unsure if grams < 0.0 => scene.takes(),
        ChangeKind::Put | ChangeKind::Touch | ChangeKind::Foreign | ChangeKind::Unsure => {
            Vec::new()
        }
    };
    let takes = told(scene, takes);
    let foreign = told(scene, vec![scene.foreign()]);
    let nothing = told(scene, vec![scene.nothing()]);
    let not_stood = scene.not_stood_log();
    let mut branches = Vec::new();
    for (index, world) in worlds.iter().enumerate() {
        let lying = (world.lying.get(&change.shelf)).map_or(&[][..], |lying| lying.as_slice());
        let mut here = match change.kind {
            ChangeKind::Touch => vec![nothing.clone()],
            ChangeKind::Take | ChangeKind::Unsure | ChangeKind::Foreign if grams < 0.0 => {
                let mut of_lying = scene.takes_of(lying);
                if change.kind == ChangeKind::Foreign {
                    of_lying.retain(|c| c.parts.iter().all(|p| p.items.is_empty()));
                }
                vec![told(scene, of_lying)]
            }
            ChangeKind::Foreign => vec![foreign.clone()],
            ChangeKind::Take | ChangeKind::Put | ChangeKind::Unsure => {
                let mut puts = followed.puts(&bodies[index]);
                puts.push(foreign.clone());
                puts
            }
        };
        here.push(takes.clone());
        let here_log = not_stood
            + if change.is_take() {
                scene.facings_log(lying)
            } else {
                0.0
            };
        let purposes = Purposes::of(scene, world, place, reached);
        let mut weigh = |shared: &Shared, extra: f64| {
            branches.extend(shared.iter().map(|told| {
                let log = told.candidate.log + extra + purposes.of_all(&told.candidate) + told.seen;
                Branch {
                    log_milli: world.log_milli + (log * 1e3).round() as i64,
                    world: index,
                    told: told.clone(),
                }
            }));
        };
        here.iter().for_each(|shared| weigh(shared, here_log));
        swaps[index].iter().for_each(|shared| weigh(shared, 0.0));
    }
    Some(branches)
}

/// Of each body near, in one world: log of how much likelier it is to have done something, as its reach had no purpose
/// yet, or had one.
struct Purposes<'s>(BTreeMap<&'s SessionId, f64>);

impl<'s> Purposes<'s> {
    fn of(scene: &Scene<'s>, world: &World, place: Option<Place>, reached: &[Reached]) -> Self {
        let known = scene.near.iter().filter_map(|near| near.who.as_ref());
        Purposes(
            known
                .map(|who| (who, purpose(world, who, place.as_ref(), reached)))
                .collect(),
        )
    }

    fn of_all(&self, candidate: &Candidate) -> f64 {
        let parts = candidate.parts.iter().filter_map(|p| p.who.as_ref());
        parts.filter_map(|who| self.0.get(who)).sum()
    }
}
