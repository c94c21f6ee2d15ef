//! Bodies and shelves whose worlds hang together, with those worlds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::world::{Choice, World};
use crate::checkout::session::SessionId;
use crate::observation::{ShelfObservation, Stamp};

/// Worlds of a cluster: the likeliest are kept.
pub const WORLDS_MAX: usize = 96;
/// Explanations of a change that are given out.
pub const EXPLAINED_MAX: usize = 8;
/// Worlds less likely than the best by this much are given up: natural log, in thousandths.
pub const UNLIKELY_MILLI: i64 = 11_500;

/// One explanation of a change with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    pub choice: Choice,
    pub probability: f64,
}

/// A change that some worlds see differently.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Undecided {
    pub stamp: Stamp,
    pub change: Arc<ShelfObservation>,
}

/// Bodies and shelves whose worlds hang together.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Cluster {
    pub changes: Vec<Undecided>,
    /// Never empty, likeliest first. All have the same bodies and shelves.
    pub worlds: Vec<World>,
}

impl Cluster {
    pub fn bodies(&self) -> BTreeSet<SessionId> {
        self.worlds
            .iter()
            .flat_map(|w| w.holdings.keys().cloned())
            .collect()
    }

    /// Two clusters as one: every world with every other, the likeliest of them.
    pub fn and(self, other: Cluster) -> Cluster {
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
    pub fn explained(&self) -> Vec<(Stamp, Vec<Explained>)> {
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

    pub fn forget(&mut self, column: usize) {
        self.changes.remove(column);
        for world in &mut self.worlds {
            world.choices.remove(column);
        }
    }

    /// Takes the likeliest explanation of the oldest change for true if it is likely enough, and stops asking.
    pub fn give_up_oldest(&mut self) {
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
    pub fn merge_equal(&mut self) {
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
pub fn normalise(worlds: &mut Vec<World>) {
    // Stable: equals keep their order, which follows from the order of events.
    worlds.sort_by_key(|w| std::cmp::Reverse(w.log_milli));
    let best = worlds.first().map_or(0, |w| w.log_milli);
    worlds.retain(|w| best - w.log_milli < UNLIKELY_MILLI);
    worlds.truncate(WORLDS_MAX);
    for world in worlds {
        world.log_milli -= best;
    }
}
