//! What a unit weighs and what a plate makes of it, learned from changes that are beyond doubt.
//!
//! The relative error of a weighing is the sum of an error of the product's catalogue weight, an error of the plate's
//! gain, and the unit's own deviation. The first two are estimated by a Kalman filter with a diagonal covariance
//! (R. E. Kalman, "A New Approach to Linear Filtering and Prediction Problems", 1960): each certain change of one
//! product on one plate is a measurement of their sum.

use std::collections::BTreeMap;

use crate::store::{PlateId, Product, ProductId, SoldBy};

/// Standard deviation of what the catalogue says, and of a plate's gain, before anything is learned; as shares.
const CATALOGUE: f64 = 0.004;
const GAIN: f64 = 0.005;
/// Spread of unit weights, as a share of the weight and at least so many grams.
const UNIT: (f64, f64) = (0.009, 0.6);
/// The same of what is sold by weight: no two apples are alike.
const UNIT_BY_WEIGHT: f64 = 0.15;
/// An estimate never becomes surer than this: products and plates change.
const SURE: f64 = 0.001;
/// A measurement further off than this many deviations teaches nothing.
const SURPRISE: f64 = 4.0;
/// Products and plates that are learned, each; what was learned least is given up first.
const LEARNED_MAX: usize = 16_384;

/// A share, as a mean with its variance.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Share {
    mean: f64,
    variance: f64,
}

impl Share {
    fn prior(sigma: f64) -> Self {
        Share {
            mean: 0.0,
            variance: sigma * sigma,
        }
    }

    fn learn(&mut self, surprise: f64, total_variance: f64) {
        let gain = self.variance / total_variance;
        self.mean += gain * surprise;
        self.variance = (self.variance * (1.0 - gain)).max(SURE * SURE);
    }
}

/// What has been learned about products and plates.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Weights {
    products: BTreeMap<ProductId, Share>,
    plates: BTreeMap<PlateId, Share>,
}

/// What a number of units should weigh on some plate, as a normal distribution, grams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    pub grams: f64,
    pub variance: f64,
}

impl Weights {
    /// What `quantity` units of a product read as on a plate: a sum of unit weights times the gain.
    pub fn expected(&self, product: &Product, quantity: u32, plate: Option<PlateId>) -> Expected {
        let (catalogue, gain) = self.errors(&product.id, plate);
        let unit = product.weight.grams();
        let n = f64::from(quantity);
        let spread = unit_spread(product, unit);
        Expected {
            grams: unit * n * (1.0 + catalogue.mean + gain.mean),
            variance: n * spread * spread
                + (catalogue.variance + gain.variance) * (unit * n).powi(2),
        }
    }

    /// What `quantity` units that were weighed before, at `seen_unit` grams each, read as on another plate.
    pub fn expected_again(
        &self,
        product: &Product,
        quantity: u32,
        seen_unit: f64,
        plate: Option<PlateId>,
    ) -> Expected {
        let (catalogue, gain) = self.errors(&product.id, plate);
        let nominal = product.weight.grams() * (1.0 + catalogue.mean);
        let prior = unit_spread(product, nominal).powi(2) + catalogue.variance * nominal * nominal;
        let seen = (GAIN * nominal).powi(2) + 1.0;
        // The unit's weight given the catalogue and the first weighing: normal, precisions add.
        let variance = 1.0 / (1.0 / prior + 1.0 / seen);
        let unit = variance * (nominal / prior + seen_unit / seen);
        let n = f64::from(quantity);
        Expected {
            grams: unit * n * (1.0 + gain.mean),
            variance: n * n * (variance + gain.variance * nominal * nominal),
        }
    }

    /// Standard deviation of a product's units around their mean, grams.
    pub fn spread(&self, product: &Product) -> f64 {
        unit_spread(product, product.weight.grams())
    }

    fn errors(&self, product: &ProductId, plate: Option<PlateId>) -> (Share, Share) {
        let catalogue = self.products.get(product).copied();
        let gain = plate.and_then(|p| self.plates.get(&p).copied());
        (
            catalogue.unwrap_or(Share::prior(CATALOGUE)),
            gain.unwrap_or(Share::prior(GAIN)),
        )
    }

    /// Learns from a change that was beyond doubt `quantity` units of `product` on one plate.
    pub fn learn(
        &mut self,
        product: &Product,
        quantity: u32,
        plate: PlateId,
        grams: f64,
        sigma: f64,
    ) {
        let nominal = product.weight.grams() * f64::from(quantity);
        if nominal <= 0.0 {
            return;
        }
        let (mut catalogue, mut gain) = self.errors(&product.id, Some(plate));
        let spread = unit_spread(product, product.weight.grams());
        let noise = (sigma * sigma + f64::from(quantity) * spread * spread) / (nominal * nominal);
        let total = catalogue.variance + gain.variance + noise;
        let surprise = grams.abs() / nominal - 1.0 - catalogue.mean - gain.mean;
        if surprise * surprise > SURPRISE * SURPRISE * total {
            return;
        }
        catalogue.learn(surprise, total);
        gain.learn(surprise, total);
        self.products.insert(product.id.clone(), catalogue);
        self.plates.insert(plate, gain);
        give_up(&mut self.products);
        give_up(&mut self.plates);
    }
}

fn give_up<K: Ord + Clone>(shares: &mut BTreeMap<K, Share>) {
    if shares.len() <= LEARNED_MAX {
        return;
    }
    let least = shares
        .iter()
        .max_by(|a, b| a.1.variance.total_cmp(&b.1.variance))
        .map(|(key, _)| key.clone());
    if let Some(key) = least {
        shares.remove(&key);
    }
}

fn unit_spread(product: &Product, unit: f64) -> f64 {
    let share = match product.sold_by {
        SoldBy::Unit => UNIT.0,
        SoldBy::Weight => UNIT_BY_WEIGHT,
    };
    (share * unit).max(UNIT.1)
}

impl Expected {
    /// The sum of two independent ones.
    pub fn and(self, other: Expected) -> Expected {
        Expected {
            grams: self.grams + other.grams,
            variance: self.variance + other.variance,
        }
    }

    /// Log-density (per gram) of measuring `grams`, of either sign, with `sigma`.
    pub fn log_density(&self, grams: f64, sigma: f64) -> f64 {
        log_normal(grams.abs() - self.grams, self.variance + sigma * sigma)
    }
}

/// Log-density of a normal distribution around nothing.
pub fn log_normal(residual: f64, variance: f64) -> f64 {
    -0.5 * (residual * residual / variance + (std::f64::consts::TAU * variance).ln())
}
