//! Who changed the shelf, and what it was: a posterior over shoppers (and nobody) and items.
//!
//! The weight of a hypothesis (who, what) is
//!
//! > reach(who) × prior(what | who, planogram, cart) × likelihood(weights | what)
//!
//! Reach compares the place of the changed plates with the hands around the moment of the change, and falls back to
//! the head where no hand was seen. The likelihood comes from the node; for what the node did not consider (a
//! product from another shelf that is put back here) it is computed by the same function.

use std::collections::BTreeSet;

use super::session::{Session, Sessions};
use super::tracks::Tracks;
use crate::observation::{ChangeKind, Item, PlateChange, ShelfObservation};
use crate::sensing::item_match;
use crate::store::{Definition, PlateId, ProductId, ShelfId};
use crate::units::{Milligrams, Point, Timestamp};

use super::session::SessionId;

/// Hands are looked at this long before and after the moment of the change, seconds.
pub const REACH_WINDOW_S: f64 = 0.25;
/// Standard deviation of a reaching hand's distance from the plates it changes, metres.
const HAND_SIGMA_M: f64 = 0.08;
/// Share of reaches whose hand is placed wrongly, and how far off they are, metres.
const HAND_OUTLIER: (f64, f64) = (0.03, 0.35);
/// Where the head is while reaching: so far from the plates, with such a spread, metres.
const HEAD_M: (f64, f64) = (0.55, 0.30);
/// Weight of an unseen taker, on the scale of reach (1 = a hand on the plate).
pub const NOBODY: f64 = 0.001;
/// Prior of a product whose facing is on the changed plates, beside them, elsewhere on the shelf.
const ON_PLATES: f64 = 1.0;
const BESIDE: f64 = 0.02;
const ON_SHELF: f64 = 0.002;
/// Prior of a misplaced item that lies on or beside the changed plates: one among the units that belong there.
const MISPLACED: f64 = 0.12;
/// Prior of a put-back into a facing of its own product, or into another.
const PUT_OWN: f64 = 1.0;
const PUT_ELSEWHERE: f64 = 0.08;
/// Prior of putting back something else than what was taken last.
const NOT_IN_HAND: f64 = 0.25;
/// Prior of something that is no product of ours, and the range of its mass, grams.
const FOREIGN: (f64, f64) = (0.01, 2_000.0);
/// Prior of `quantity` units in one change: geometric.
const ANOTHER_UNIT: f64 = 0.25;
/// Hypotheses that are kept.
const HYPOTHESES_MAX: usize = 8;

/// Items that lie where the planogram does not expect them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Misplaced {
    pub items: Vec<(PlateId, ProductId)>,
    /// Masses on plates that are no product of ours.
    pub foreign: Vec<(PlateId, Milligrams)>,
}

/// What a change can have been.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// These items, taken or put back.
    Items(Vec<Item>),
    /// Something that is no product of ours came or left.
    Foreign,
}

/// One explanation with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// `None`: nobody we know.
    pub who: Option<SessionId>,
    pub what: What,
    pub probability: f64,
    /// The change is something foreign that was put down here, and is being taken away.
    pub leaves_again: bool,
}

/// What attribution looks at besides the change itself.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    pub definition: &'a Definition,
    pub sessions: &'a Sessions,
    /// The sessions that can have done it: those that are not closed.
    pub active: &'a BTreeSet<SessionId>,
    pub tracks: &'a Tracks,
    pub misplaced: &'a Misplaced,
}

/// The most probable explanations of a change, best first; their probabilities sum to at most 1, and to 1 if none was left out.
pub fn explain(evidence: Evidence<'_>, change: &ShelfObservation) -> Vec<Explained> {
    let mut weighed: Vec<(f64, Option<SessionId>, What)> = Vec::new();
    let place = Place::of(evidence.definition, change.shelf, &change.plates);
    let takes = match change.kind {
        ChangeKind::Take => take_candidates(evidence, change),
        ChangeKind::Put | ChangeKind::Foreign | ChangeKind::Unsure | ChangeKind::Touch => {
            Vec::new()
        }
    };
    for session in evidence
        .active
        .iter()
        .filter_map(|id| evidence.sessions.get(id))
    {
        let Some(reach) = place
            .as_ref()
            .and_then(|p| reach(evidence.tracks, session, p, change.peak))
        else {
            continue;
        };
        let candidates = match change.kind {
            ChangeKind::Take => takes.clone(),
            ChangeKind::Put | ChangeKind::Foreign | ChangeKind::Unsure => {
                put_candidates(evidence, session, change)
            }
            ChangeKind::Touch => Vec::new(),
        };
        weighed.extend(
            candidates
                .into_iter()
                .map(|(log, what)| (log + reach, Some(session.id.clone()), what)),
        );
    }
    let nobody = match change.kind {
        ChangeKind::Take => takes,
        ChangeKind::Put | ChangeKind::Foreign | ChangeKind::Unsure => {
            vec![(foreign_log(evidence, change), What::Foreign)]
        }
        ChangeKind::Touch => Vec::new(),
    };
    weighed.extend(
        nobody
            .into_iter()
            .map(|(log, what)| (log + NOBODY.ln(), None, what)),
    );
    let leaves_again =
        change.kind == ChangeKind::Take && left_here(evidence, change) > anything_log();
    normalised(weighed, leaves_again)
}

/// Turns log weights into probabilities; equal explanations are one.
fn normalised(
    mut weighed: Vec<(f64, Option<SessionId>, What)>,
    leaves_again: bool,
) -> Vec<Explained> {
    let best = weighed
        .iter()
        .map(|w| w.0)
        .fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = weighed.iter().map(|w| (w.0 - best).exp()).sum();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut out: Vec<Explained> = Vec::new();
    for (log, who, what) in weighed {
        let probability = (log - best).exp() / sum;
        match out.iter_mut().find(|e| e.who == who && e.what == what) {
            Some(same) => same.probability += probability,
            None => {
                let leaves_again = leaves_again && what == What::Foreign;
                out.push(Explained {
                    who,
                    what,
                    probability,
                    leaves_again,
                });
            }
        }
    }
    out.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    out.truncate(HYPOTHESES_MAX);
    out
}

/// Where a change happened: a box that a hand must reach into.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    low: Point,
    high: Point,
}

impl Place {
    /// Around the changed plates of a shelf; `None` if the store has no such plate.
    pub fn of(definition: &Definition, shelf: ShelfId, changes: &[PlateChange]) -> Option<Place> {
        let plates = definition.layout.shelves.get(&shelf)?.plates.iter();
        let changed = plates.filter(|p| changes.iter().any(|c| c.plate == p.id.plate));
        changed
            .map(|p| Place {
                low: Point {
                    x: p.front.x - p.width_m / 2.0,
                    y: p.front.y - 0.06,
                    z: p.front.z - 0.02,
                },
                high: Point {
                    x: p.front.x + p.width_m / 2.0,
                    y: p.front.y + 0.4,
                    z: p.front.z + 0.25,
                },
            })
            .reduce(|a, b| Place {
                low: Point {
                    x: a.low.x.min(b.low.x),
                    y: a.low.y.min(b.low.y),
                    z: a.low.z.min(b.low.z),
                },
                high: Point {
                    x: a.high.x.max(b.high.x),
                    y: a.high.y.max(b.high.y),
                    z: a.high.z.max(b.high.z),
                },
            })
    }

    /// Metres from the box; 0 inside.
    pub fn distance(&self, p: &Point) -> f64 {
        let off = |v: f64, low: f64, high: f64| (low - v).max(v - high).max(0.0);
        let (x, y, z) = (
            off(p.x, self.low.x, self.high.x),
            off(p.y, self.low.y, self.high.y),
            off(p.z, self.low.z, self.high.z),
        );
        (x * x + y * y + z * z).sqrt()
    }

    /// Metres on the floor plan from the middle of the box's front.
    pub fn distance_on_floor(&self, p: &Point) -> f64 {
        ((p.x - (self.low.x + self.high.x) / 2.0).powi(2) + (p.y - self.low.y).powi(2)).sqrt()
    }
}

/// Log of how well a shopper's hands (or head) explain a change there and then; `None` if they were not seen at all
/// or were not inside.
pub fn reach(tracks: &Tracks, session: &Session, place: &Place, peak: Timestamp) -> Option<f64> {
    if session.entered_at > peak || session.exited_at.is_some_and(|at| at < peak) {
        return None;
    }
    if !session.is_open() {
        return None;
    }
    let track = session.track.as_ref()?;
    let (from, to) = (
        peak.plus_seconds(-REACH_WINDOW_S),
        peak.plus_seconds(REACH_WINDOW_S),
    );
    let (mut hands, mut heads) = (Vec::new(), Vec::new());
    for pose in tracks.window(track, from, to) {
        hands.extend(
            pose.hands
                .iter()
                .map(|h| place.distance(&h.place))
                .reduce(f64::min),
        );
        heads.extend(pose.head.iter().map(|h| place.distance_on_floor(&h.place)));
    }
    let mean = |v: &[f64]| (!v.is_empty()).then(|| v.iter().sum::<f64>() / v.len() as f64);
    if let Some(distance) = mean(&hands) {
        let near = (-0.5 * (distance / HAND_SIGMA_M).powi(2)).exp();
        let astray = (-distance / HAND_OUTLIER.1).exp();
        return Some(
            ((1.0 - HAND_OUTLIER.0) * near + HAND_OUTLIER.0 * astray)
                .max(1e-30)
                .ln(),
        );
    }
    let distance = mean(&heads)?;
    let off = ((distance - HEAD_M.0) / HEAD_M.1).max(0.0);
    Some((0.3 * (-0.5 * off * off).exp()).max(1e-30).ln())
}

fn quantity_log(quantity: u32) -> f64 {
    (1.0 - ANOTHER_UNIT).ln() + f64::from(quantity.saturating_sub(1)) * ANOTHER_UNIT.ln()
}

/// What can have left, with log prior and likelihood: whatever stands on or near the changed plates, a misplaced item, or a foreign object.
fn take_candidates(evidence: Evidence<'_>, change: &ShelfObservation) -> Vec<(f64, What)> {
    let mut out: Vec<(f64, What)> = Vec::new();
    for likelihood in &change.likelihoods {
        let prior: f64 = (likelihood.items.iter())
            .map(|item| {
                location_log(evidence.definition, change, &item.product)
                    + quantity_log(item.quantity)
            })
            .sum();
        out.push((
            likelihood.log_likelihood_milli as f64 / 1e3 + prior,
            What::Items(likelihood.items.clone()),
        ));
    }
    let (grams, sigma) = item_match::total(&change.plates);
    let share = item_match::log_share(grams, change.plates.len());
    for (plate, id) in &evidence.misplaced.items {
        let here = plate.shelf == change.shelf
            && change
                .plates
                .iter()
                .any(|c| c.plate.abs_diff(plate.plate) <= 1);
        let Some(product) = evidence
            .definition
            .catalogue
            .get(id.as_str())
            .filter(|_| here)
        else {
            continue;
        };
        let item = Item {
            product: id.clone(),
            quantity: 1,
        };
        let log = item_match::log_likelihood(grams, sigma, product, 1) + share + MISPLACED.ln();
        out.push((log, What::Items(vec![item])));
    }
    out.push((foreign_log(evidence, change), What::Foreign));
    out
}

/// Log prior of a product by where its facings are and how much of the change was there.
fn location_log(definition: &Definition, change: &ShelfObservation, product: &ProductId) -> f64 {
    let all: f64 = change.plates.iter().map(|c| c.delta_mg.grams().abs()).sum();
    let near = |plate: u16, reach: u16| {
        (plate.saturating_sub(reach)..=plate.saturating_add(reach)).any(|plate| {
            let id = PlateId {
                shelf: change.shelf,
                plate,
            };
            definition
                .planogram
                .on_plate(id)
                .any(|f| f.product == *product)
        })
    };
    let weight: f64 = (change.plates.iter())
        .map(|c| {
            let prior = if near(c.plate, 0) {
                ON_PLATES
            } else if near(c.plate, 1) {
                BESIDE
            } else {
                ON_SHELF
            };
            prior * c.delta_mg.grams().abs() / all.max(1e-9)
        })
        .sum();
    weight.max(ON_SHELF).ln()
}

/// What a shopper can have put back: items that they have, or something foreign.
fn put_candidates(
    evidence: Evidence<'_>,
    session: &Session,
    change: &ShelfObservation,
) -> Vec<(f64, What)> {
    let (grams, sigma) = item_match::total(&change.plates);
    let share = item_match::log_share(grams, change.plates.len());
    let mut out = Vec::new();
    for (id, held) in session.cart.lines() {
        let Some(product) = evidence.definition.catalogue.get(id.as_str()) else {
            continue;
        };
        let own = location_log(evidence.definition, change, id) > BESIDE.ln() - 1e-9;
        let place = if own { PUT_OWN } else { PUT_ELSEWHERE };
        let in_hand = if session.cart.last_taken() == Some(id) {
            1.0
        } else {
            NOT_IN_HAND
        };
        let unit = held.mass.grams() / f64::from(held.quantity);
        for quantity in 1..=held.quantity.min(item_match::QUANTITY_MAX) {
            let weighed = item_match::log_likelihood_again(grams, sigma, product, quantity, unit);
            let log = weighed + share + place.ln() + in_hand.ln() + quantity_log(quantity);
            let items = vec![Item {
                product: id.clone(),
                quantity,
            }];
            out.push((log, What::Items(items)));
        }
    }
    // What waits for a verdict may be in the shopper's hands too.
    for item in session.cart.reviews.values().flatten() {
        let Some(product) = evidence.definition.catalogue.get(item.product.as_str()) else {
            continue;
        };
        if session.cart.quantity(&item.product) > 0 {
            continue;
        }
        let own = location_log(evidence.definition, change, &item.product) > BESIDE.ln() - 1e-9;
        let place = if own { PUT_OWN } else { PUT_ELSEWHERE };
        let weighed = item_match::log_likelihood(grams, sigma, product, item.quantity);
        out.push((
            weighed + share + place.ln() + NOT_IN_HAND.ln(),
            What::Items(vec![item.clone()]),
        ));
    }
    out.push((foreign_log(evidence, change), What::Foreign));
    out
}

/// Something that is no product: more likely where such a thing of that mass was left.
fn foreign_log(evidence: Evidence<'_>, change: &ShelfObservation) -> f64 {
    let (grams, _) = item_match::total(&change.plates);
    item_match::log_share(grams, change.plates.len())
        + anything_log().max(left_here(evidence, change))
}

/// Any mass is as good as any other.
fn anything_log() -> f64 {
    (FOREIGN.0 / FOREIGN.1).ln()
}

/// Log-likelihood that a foreign thing which was put down here is what leaves.
fn left_here(evidence: Evidence<'_>, change: &ShelfObservation) -> f64 {
    let (grams, sigma) = item_match::total(&change.plates);
    (evidence.misplaced.foreign.iter())
        .filter(|(plate, _)| {
            change.kind == ChangeKind::Take
                && plate.shelf == change.shelf
                && change
                    .plates
                    .iter()
                    .any(|c| c.plate.abs_diff(plate.plate) <= 1)
        })
        .map(|(_, mass)| {
            let spread = (2.0 * sigma).max(0.02 * mass.grams()).max(3.0);
            let residual = (grams.abs() - mass.grams()) / spread;
            -0.5 * residual * residual - (spread * std::f64::consts::TAU.sqrt()).ln()
        })
        .fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests;
