//! Shelf cameras that never were: they know the truth, and see it through noise.
//!
//! What a network says of a picture is modelled as one number a product, normal around 0, and around `d` for what is really
//! there: then `d · x - d² / 2` is exactly the log-likelihood, so what these eyes state is calibrated, and `d` decides how
//! often their first answer is right.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::observation::{ProductLikelihood, ShelfObservation, VisionObservation};
use crate::recording::{Recording, TrueEvent};
use crate::store::{Definition, ProductId};
use crate::units::Timestamp;
use crate::vision::shelf_eyes::ShelfEyes;

/// Accuracies are stated for a choice among so many products.
pub const CHOICE: u32 = 20;
/// What happened so long before or after a change may be in its pictures, seconds.
const AROUND_S: f64 = 0.5;
const LIKELIHOODS_MAX: usize = 32;

/// Simulated cameras before every shelf of a recording with truth.
pub struct SimulatedEyes {
    definition: Arc<Definition>,
    start: Timestamp,
    events: Vec<TrueEvent>,
    separation: f64,
    random: ChaCha8Rng,
}

impl SimulatedEyes {
    /// Eyes whose first answer among [`CHOICE`] products is right with probability `accuracy` (0.1 to 0.9999); `None` if the
    /// recording has no truth.
    pub fn new(recording: &Recording, accuracy: f64, seed: u64) -> Option<Self> {
        Some(SimulatedEyes {
            definition: recording.definition.clone(),
            start: recording.records.first()?.at(),
            events: recording.truth.as_ref()?.events.clone(),
            separation: separation(accuracy),
            random: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    /// What really moved on the shelf around that time.
    fn moved(&self, change: &ShelfObservation) -> Vec<ProductId> {
        let (from, to) = (
            change.start.seconds_since(self.start) - AROUND_S,
            change.end.seconds_since(self.start) + AROUND_S,
        );
        let shelf = [change.shelf.gondola, change.shelf.shelf];
        let on_changed = |event: &&TrueEvent| {
            event.plates.iter().any(|[gondola, of, plate]| {
                [*gondola, *of] == shelf
                    && change.plates.iter().any(|c| c.plate.abs_diff(*plate) <= 1)
            })
        };
        let then = self.events.iter().filter(|e| (from..=to).contains(&e.t));
        let mut moved: Vec<ProductId> = then
            .filter(on_changed)
            .filter_map(|e| e.barcode.clone())
            .collect();
        moved.sort_unstable();
        moved.dedup();
        moved
    }

    fn number(&mut self, there: bool) -> f64 {
        let noise: f64 = StandardNormal.sample(&mut self.random);
        let d = self.separation;
        let x = noise + if there { d } else { 0.0 };
        d * x - d * d / 2.0
    }
}

impl ShelfEyes for SimulatedEyes {
    fn look(&mut self, change: &ShelfObservation) -> Option<VisionObservation> {
        let moved = self.moved(change);
        let shelf = self.definition.layout.shelves.get(&change.shelf)?;
        let plates = shelf.plates.iter();
        let facings = plates.flat_map(|p| self.definition.planogram.on_plate(p.id));
        let mut products: Vec<ProductId> = facings.map(|f| f.product.clone()).collect();
        products.extend(moved.iter().cloned());
        products.sort_unstable();
        products.dedup();
        let milli = |log: f64| (log * 1e3).round() as i64;
        let mut likelihoods: Vec<ProductLikelihood> = Vec::new();
        for product in products {
            let log = self.number(moved.contains(&product));
            let log_likelihood_milli = milli(log);
            likelihoods.push(ProductLikelihood {
                product,
                log_likelihood_milli,
            });
        }
        let others_milli = milli(self.number(moved.is_empty()));
        likelihoods.sort_by_key(|l| std::cmp::Reverse(l.log_likelihood_milli));
        likelihoods.truncate(LIKELIHOODS_MAX);
        Some(VisionObservation {
            shelf: change.shelf,
            start: change.start,
            end: change.end,
            likelihoods,
            others_milli,
            model: "simulated".to_owned(),
            evidence: Vec::new(),
        })
    }
}

/// The separation at which the first answer among [`CHOICE`] is right with that probability, by bisection.
fn separation(accuracy: f64) -> f64 {
    let wanted = accuracy.clamp(0.1, 0.9999);
    let (mut low, mut high) = (0.0, 12.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if right_among(middle) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The chance that a normal number around `d` is larger than all others around 0.
fn right_among(d: f64) -> f64 {
    const STEP: f64 = 0.01;
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let (mut below, mut sum) = (0.0, 0.0);
    let mut x = -8.0;
    while x < 20.0 {
        below += density(x) * STEP;
        sum += density(x - d) * f64::min(below, 1.0).powi(CHOICE as i32 - 1) * STEP;
        x += STEP;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separations_give_their_accuracy() {
        assert!((right_among(0.0) - 1.0 / f64::from(CHOICE)).abs() < 0.01);
        for accuracy in [0.5, 0.9, 0.99] {
            let found = right_among(separation(accuracy));
            assert!((found - accuracy).abs() < 0.005, "{accuracy}: {found}");
        }
    }
}
