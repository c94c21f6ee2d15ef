//! From a change in grams to log-likelihoods of items and quantities, without prior.
//!
//! A unit weighs what the catalogue says with a spread of its own, and a plate has a gain error, so the sum over the
//! changed plates is normal around `quantity × weight`. How an item's weight is shared between the plates it stood
//! on is unknown: uniform over what changed. Two products that stood on different plates explain each plate's change
//! of their own.

use crate::observation::{Item, ItemLikelihood, PlateChange};
use crate::store::{Definition, Planogram, PlateId, Product, ShelfId};

/// Units of one product that a single change is taken for at most.
pub const QUANTITY_MAX: u32 = 6;
/// Likelihoods kept for a change.
pub const LIKELIHOODS_MAX: usize = 32;
/// Spread of unit weights, as a share of the weight and at least so many grams.
const UNIT_SPREAD: (f64, f64) = (0.012, 0.7);
/// Spread of plate gains, as a share of the change.
const GAIN_SPREAD: f64 = 0.006;
/// Standard deviation of an earlier weighing of a unit, grams.
const SEEN_SIGMA_G: f64 = 1.5;
/// Worse than the best by this much is not worth sending.
const WORSE_MAX: f64 = 30.0;

/// Standard deviation of what `units` units of a product weigh on a plate, grams each `unit`, without noise.
pub(super) fn spread(unit: f64, units: f64) -> f64 {
    let each = (UNIT_SPREAD.0 * unit).max(UNIT_SPREAD.1);
    (each * units.sqrt()).hypot(GAIN_SPREAD * unit * units)
}

/// Log-density (per gram) of `grams` leaving or coming, measured with `sigma`, if `quantity` units of `product` did.
pub fn log_likelihood(grams: f64, sigma: f64, product: &Product, quantity: u32) -> f64 {
    let unit = product.weight.grams();
    let expected = unit * f64::from(quantity);
    let spread = (UNIT_SPREAD.0 * unit).max(UNIT_SPREAD.1);
    let variance =
        sigma * sigma + f64::from(quantity) * spread * spread + (GAIN_SPREAD * expected).powi(2);
    let residual = grams.abs() - expected;
    -0.5 * (residual * residual / variance + (std::f64::consts::TAU * variance).ln())
}

/// The same for units that were weighed before, at `seen_unit` grams each: what a unit weighed when it was taken is
/// what it weighs when it comes back, up to the errors of the two plates.
pub fn log_likelihood_again(
    grams: f64,
    sigma: f64,
    product: &Product,
    quantity: u32,
    seen_unit: f64,
) -> f64 {
    let nominal = product.weight.grams();
    let prior = (UNIT_SPREAD.0 * nominal).max(UNIT_SPREAD.1).powi(2);
    let gain = (GAIN_SPREAD * nominal).powi(2);
    let seen = gain + SEEN_SIGMA_G * SEEN_SIGMA_G;
    // The unit's weight given the catalogue and the first weighing: normal, precisions add.
    let variance = 1.0 / (1.0 / prior + 1.0 / seen);
    let unit = variance * (nominal / prior + seen_unit / seen);
    let units = f64::from(quantity);
    let all = sigma * sigma + units * units * (variance + gain);
    let residual = grams.abs() - unit * units;
    -0.5 * (residual * residual / all + (std::f64::consts::TAU * all).ln())
}

/// Log-density of how one product's weight is shared over `plates` plates: uniform.
pub fn log_share(grams: f64, plates: usize) -> f64 {
    -(plates.saturating_sub(1) as f64) * grams.abs().max(1.0).ln()
}

/// Log-likelihoods of what a change on `shelf` can have been, best first, at most [`LIKELIHOODS_MAX`]: each product
/// with a facing on that shelf, and pairs of products that stand on different ones of the changed plates.
pub fn likelihoods(
    definition: &Definition,
    shelf: ShelfId,
    changes: &[PlateChange],
) -> Vec<ItemLikelihood> {
    let mut found: Vec<(f64, Vec<Item>)> = Vec::new();
    let mut products: Vec<usize> =
        definition
            .layout
            .shelves
            .get(&shelf)
            .map_or_else(Vec::new, |s| {
                s.plates
                    .iter()
                    .flat_map(|p| definition.planogram.on_plate(p.id))
                    .map(|f| f.product_index)
                    .collect()
            });
    products.sort_unstable();
    products.dedup();
    let share = log_share(total(changes).0, changes.len());
    for &index in &products {
        let product = &definition.catalogue.products()[index];
        for (quantity, log) in by_quantity(changes, product) {
            found.push((
                log + share,
                vec![Item {
                    product: product.id.clone(),
                    quantity,
                }],
            ));
        }
    }
    found.extend(pair(definition, shelf, changes));
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let best = found.first().map_or(0.0, |f| f.0);
    (found.into_iter().take(LIKELIHOODS_MAX))
        .take_while(|f| f.0 > best - WORSE_MAX)
        .map(|(log, items)| ItemLikelihood {
            items,
            log_likelihood_milli: (log * 1e3).round() as i64,
        })
        .collect()
}

/// Grams and sigma over several plates.
pub fn total(changes: &[PlateChange]) -> (f64, f64) {
    let grams: f64 = changes.iter().map(|c| c.delta_mg.grams()).sum();
    let variance: f64 = changes.iter().map(|c| c.sigma_mg.grams().powi(2)).sum();
    (grams, variance.sqrt())
}

fn by_quantity(changes: &[PlateChange], product: &Product) -> impl Iterator<Item = (u32, f64)> {
    let (grams, sigma) = total(changes);
    (1..=QUANTITY_MAX)
        .map(move |quantity| (quantity, log_likelihood(grams, sigma, product, quantity)))
}

/// The best pair of products, where the changed plates belong to exactly two products.
fn pair(
    definition: &Definition,
    shelf: ShelfId,
    changes: &[PlateChange],
) -> Option<(f64, Vec<Item>)> {
    let owner = |c: &PlateChange| {
        only_product(
            &definition.planogram,
            PlateId {
                shelf,
                plate: c.plate,
            },
        )
    };
    let first = owner(changes.first()?)?;
    let split = changes
        .iter()
        .position(|c| owner(c).is_some_and(|p| p != first))?;
    let second = owner(&changes[split])?;
    let (left, right) = changes.split_at(split);
    if left.iter().any(|c| owner(c) != Some(first))
        || right.iter().any(|c| owner(c) != Some(second))
    {
        return None;
    }
    let best = |part: &[PlateChange], index: usize| {
        let product = &definition.catalogue.products()[index];
        let (quantity, log) = by_quantity(part, product).max_by(|a, b| a.1.total_cmp(&b.1))?;
        let share = log_share(total(part).0, part.len());
        Some((
            log + share,
            Item {
                product: product.id.clone(),
                quantity,
            },
        ))
    };
    let (a, b) = (best(left, first)?, best(right, second)?);
    Some((a.0 + b.0, vec![a.1, b.1]))
}

fn only_product(planogram: &Planogram, plate: PlateId) -> Option<usize> {
    let mut facings = planogram.on_plate(plate).map(|f| f.product_index);
    let first = facings.next()?;
    facings.all(|other| other == first).then_some(first)
}
