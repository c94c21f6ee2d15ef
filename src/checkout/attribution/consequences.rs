//! What follows in a world from what a change was: who has what, what lies where, and which reach had its purpose.

use std::collections::HashMap;
use std::sync::Arc;

use super::candidates::{Candidate, Scene, Source};
use super::reach::Place;
use super::world::{Choice, Holding, Lying, Part, World};
use crate::checkout::decision::Reached;
use crate::checkout::session::SessionId;
use crate::observation::{ChangeKind, PlateChange, ShelfObservation};
use crate::sensing::item_match::total;
use crate::store::{Definition, PlateId, ProductId};
use crate::units::{Milligrams, Timestamp};

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

/// Forgets reaches that no change can be of any more. What worlds share they share afterwards.
pub(super) fn forget_reaches(worlds: &mut [World], now: Timestamp) {
    let is_kept = |(at, _): &(Timestamp, Place)| now.seconds_since(*at).abs() < REACH_KEPT_S;
    // The old ones are kept until the end, so that no other comes to lie where one of them lay.
    let mut seen: HashMap<*const Holding, (Arc<Holding>, Arc<Holding>)> = HashMap::new();
    for holding in worlds.iter_mut().flat_map(|w| w.holdings.values_mut()) {
        if holding.reaches.iter().all(is_kept) {
            continue;
        }
        let old = holding.clone();
        let (_, new) = seen.entry(Arc::as_ptr(&old)).or_insert_with(|| {
            let mut new = Holding::clone(&old);
            new.reaches.retain(is_kept);
            (old, Arc::new(new))
        });
        *holding = new.clone();
    }
}

/// Log of how much likelier a body is to have done something because its reach had no purpose yet, or because it had.
pub(super) fn purpose(
    world: &World,
    who: &SessionId,
    place: Option<&Place>,
    reached: &[Reached],
) -> f64 {
    let Some(place) = place else {
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
            // Of a body whose hands are never seen the visit counts, whatever it reached for.
            let same_place = reach.hand_mm.is_none() || there.beside(place) < SAME_PLACE_M;
            at.seconds_since(middle).abs() < SAME_REACH_S && same_place
        })
    });
    match served {
        true => PURPOSE.1.ln(),
        false => {
            let (from, until) = reach
                .stood_milli
                .unwrap_or((reach.log_milli, reach.log_milli));
            let best = reach.log_milli.max(from).max(until);
            (PURPOSE.0 * (best as f64 / 1e3).min(0.0).exp()).ln_1p()
        }
    }
}

/// Makes a world what it is after a change.
pub(super) fn follow(
    scene: &Scene<'_>,
    world: &mut World,
    candidate: &Candidate,
    place: Option<Place>,
    reached: &[Reached],
) {
    let change = scene.change;
    let lying = world.lying_mut(change.shelf);
    let foreign = candidate.parts.iter().all(|p| p.items.is_empty());
    let (grams, _) = total(&change.plates);
    let leaves_again = match &candidate.source {
        Source::Facing => {
            if foreign && grams > 0.0 && change.kind != ChangeKind::Touch {
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
        if candidate.source == Source::Facing || change.is_take() {
            done(scene.definition, world, change, part);
        }
        let reach = reached
            .iter()
            .find(|r| r.session.is_some() && r.session == part.who);
        let holding = world.holding_mut(part.who.as_ref());
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
            Some(plate) => plate.delta_mg += change.delta_mg,
            None => thing.plates.push(*change),
        }
    }
}

/// What a body's part in a change weighs: all of it, or, if several have made it, what their items should weigh.
fn share_grams(definition: &Definition, change: &ShelfObservation, part: &Part) -> f64 {
    let (grams, _) = total(&change.plates);
    let mine: f64 = (part.items.iter())
        .map(|i| nominal(definition, &i.product) * f64::from(i.quantity))
        .sum();
    match (grams.abs() - mine).abs() < 0.15 * mine {
        true => grams.abs(),
        false => mine,
    }
}

fn nominal(definition: &Definition, product: &ProductId) -> f64 {
    let product = definition.catalogue.get(product.as_str());
    product.map_or(0.0, |p| p.weight.grams())
}

/// What follows from a body's part in a change.
pub(super) fn done(
    definition: &Definition,
    world: &mut World,
    change: &ShelfObservation,
    part: &Part,
) {
    let weight = share_grams(definition, change, part);
    let holding = world.holding_mut(part.who.as_ref());
    if change.is_take() != part.against {
        if let Some(holding) = holding {
            holding.take(&part.items, weight, |id| nominal(definition, id));
        }
        return;
    }
    if let Some(holding) = holding {
        holding.put_back(&part.items);
    }
    let units: u32 = part.items.iter().map(|i| i.quantity).sum();
    let lying = world.lying_mut(change.shelf);
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
pub(super) fn undo(
    definition: &Definition,
    world: &mut World,
    change: &ShelfObservation,
    choice: &Choice,
) {
    for part in &choice.parts {
        let weight = share_grams(definition, change, part);
        let Some(holding) = world.holding_mut(part.who.as_ref()) else {
            continue;
        };
        if change.is_take() != part.against {
            holding.put_back(&part.items);
        } else {
            holding.take(&part.items, weight, |id| nominal(definition, id));
        }
    }
}
