//! How many units have left and come to the shelves since somebody counted.

use std::collections::{BTreeMap, VecDeque};

use crate::checkout::decision::{Attributed, AttributionVerdict, Decision, ReviewId};
use crate::observation::{Item, Stamp};
use crate::store::{ProductId, ShelfId};
use crate::units::Timestamp;

/// Changes that are remembered; beyond, the oldest is forgotten, and counts from before it are said to be old.
const CHANGES_MAX: usize = 5_000;

/// What moved on a shelf at one moment.
#[derive(Clone, Debug, PartialEq)]
struct Moved {
    at: Timestamp,
    shelf: ShelfId,
    /// Units that came; negative: that left.
    units: Vec<(ProductId, i64)>,
}

/// What moved on the shelves, as far as is remembered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moves {
    changes: BTreeMap<Stamp, Moved>,
    order: VecDeque<Stamp>,
    waiting: BTreeMap<ReviewId, (Stamp, Timestamp, ShelfId, bool)>,
    /// Changes before this are forgotten.
    since: Option<Timestamp>,
}

impl Moves {
    /// Whether a decision says anything of the shelves.
    pub fn heeds(decision: &Decision) -> bool {
        ["attributed", "revised", "unwatched", "review_closed"].contains(&decision.name())
    }

    /// Adds what a decision says.
    pub fn push(&mut self, decision: &Decision) {
        if let Decision::Attributed(change)
        | Decision::Revised(change)
        | Decision::Unwatched(change) = decision
        {
            self.since.get_or_insert(change.at);
            self.attribute(change);
        }
        if let Decision::ReviewClosed { review, items, .. } = decision
            && let Some((stamp, at, shelf, is_take)) = self.waiting.remove(review)
        {
            let units = units(items, is_take).collect();
            self.keep(stamp, Moved { at, shelf, units });
        }
    }

    fn attribute(&mut self, change: &Attributed) {
        self.changes.remove(&change.change);
        let is_take = change.kind.is_take(change.delta_mg);
        match &change.verdict {
            AttributionVerdict::Accepted => {
                let Some(first) = change.hypotheses.first() else {
                    return;
                };
                let units = change
                    .movements(first)
                    .flat_map(|m| units(m.items, m.is_take))
                    .collect();
                let (at, shelf) = (change.at, change.shelf);
                self.keep(change.change.clone(), Moved { at, shelf, units });
            }
            AttributionVerdict::Review { review, .. } => {
                let waiting = (change.change.clone(), change.at, change.shelf, is_take);
                self.waiting.insert(review.clone(), waiting);
                // One for each open review; those that nobody ever answered go with the deadline.
                while self.waiting.len() > CHANGES_MAX {
                    self.waiting.pop_first();
                }
            }
            AttributionVerdict::Nothing { .. } => {}
        }
    }

    fn keep(&mut self, stamp: Stamp, moved: Moved) {
        self.changes.insert(stamp.clone(), moved);
        self.order.push_back(stamp);
        while self.order.len() > CHANGES_MAX {
            let gone = self.order.pop_front().and_then(|s| self.changes.remove(&s));
            self.since = self.since.max(gone.map(|moved| moved.at));
        }
    }

    /// Units of a product that have come to a shelf (or, negative, left it) since a time; None if that is not known so
    /// far back.
    pub fn since(&self, shelf: ShelfId, product: &ProductId, time: Timestamp) -> Option<i64> {
        if self
            .since
            .is_some_and(|since| time < since && self.order.len() >= CHANGES_MAX)
        {
            return None;
        }
        let later = self
            .changes
            .values()
            .filter(|m| m.shelf == shelf && m.at > time);
        let units = later.flat_map(|m| &m.units).filter(|(of, _)| of == product);
        Some(units.map(|(_, units)| units).sum())
    }
}

fn units(items: &[Item], is_take: bool) -> impl Iterator<Item = (ProductId, i64)> {
    let sign = if is_take { -1 } else { 1 };
    items
        .iter()
        .map(move |item| (item.product.clone(), sign * i64::from(item.quantity)))
}
