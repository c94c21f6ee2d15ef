//! Receipts against the truth: a unit is right when both the product and the shopper are.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::checkout::receipt::Receipt;
use crate::recording::Truth;
use crate::store::catalogue::canonical;

/// So many units of each product (its code without leading zeros) at each shopper (the track).
pub type Units = BTreeMap<(String, String), u64>;

/// The units that ought to be on the receipts.
pub fn expected(truth: &Truth) -> Units {
    let mut units = Units::new();
    for receipt in &truth.receipts {
        for product in &receipt.products {
            let code = canonical(product.barcode.as_str()).to_owned();
            *units
                .entry((receipt.target_id.to_string(), code))
                .or_default() += u64::from(product.quantity);
        }
    }
    units
}

/// The units that are on the receipts. A session without a track stands under its own id.
pub fn charged(receipts: &[Receipt]) -> Units {
    let mut units = Units::new();
    for receipt in receipts {
        for line in &receipt.lines {
            let code = canonical(line.product.as_str()).to_owned();
            *units
                .entry((shopper(receipt).to_owned(), code))
                .or_default() += u64::from(line.quantity);
        }
    }
    units
}

/// Whom the truth knows by the same name.
fn shopper(receipt: &Receipt) -> &str {
    receipt
        .track
        .as_ref()
        .map_or(receipt.session.as_str(), |track| track.as_str())
}

/// `of` less what is also in `other`.
pub fn surplus(of: &Units, other: &Units) -> Units {
    of.iter()
        .map(|(unit, n)| {
            (
                unit.clone(),
                n.saturating_sub(*other.get(unit).unwrap_or(&0)),
            )
        })
        .filter(|(_, n)| *n > 0)
        .collect()
}

/// Units that are right, wrongly charged and missed; and whole receipts that are right, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub right: u64,
    pub wrong: u64,
    pub missed: u64,
    pub whole: u64,
    pub shoppers: u64,
}

impl Score {
    /// Scores the receipts of one case.
    pub fn of(truth: &Truth, receipts: &[Receipt]) -> Self {
        let (expected, charged) = (expected(truth), charged(receipts));
        let total = |units: &Units| units.values().sum::<u64>();
        let (wrong, missed) = (surplus(&charged, &expected), surplus(&expected, &charged));
        let spoilt = |who: &str| wrong.keys().chain(missed.keys()).any(|(w, _)| w == who);
        let shoppers = truth.receipts.iter().map(|r| r.target_id.as_str());
        Score {
            right: total(&charged) - total(&wrong),
            wrong: total(&wrong),
            missed: total(&missed),
            whole: shoppers.filter(|who| !spoilt(who)).count() as u64,
            shoppers: truth.receipts.len() as u64,
        }
    }

    /// Units on the true receipts.
    pub fn units(&self) -> u64 {
        self.right + self.missed
    }

    /// Units that were charged.
    pub fn charged(&self) -> u64 {
        self.right + self.wrong
    }

    /// The harmonic mean of precision and recall; 1 where there was nothing to charge and nothing was.
    pub fn f1(&self) -> f64 {
        let units = 2 * self.right + self.wrong + self.missed;
        if units == 0 {
            1.0
        } else {
            (2 * self.right) as f64 / units as f64
        }
    }

    /// The share of the charged units that are right; 0 of none, as the competition has it.
    pub fn precision(&self) -> f64 {
        share(self.right, self.charged())
    }

    /// The share of the taken units that were charged to who took them.
    pub fn recall(&self) -> f64 {
        share(self.right, self.units())
    }

    /// The share of the shoppers whose whole receipt is right.
    pub fn whole_share(&self) -> f64 {
        share(self.whole, self.shoppers)
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
        self.whole += other.whole;
        self.shoppers += other.shoppers;
    }
}

/// The scores of several cases as one.
pub fn pooled<'a>(scores: impl IntoIterator<Item = &'a Score>) -> Score {
    let mut sum = Score::default();
    for score in scores {
        sum += *score;
    }
    sum
}

/// The competition's figure: each case counts the same, however much was taken in it.
pub fn mean_f1(scores: &[Score]) -> f64 {
    scores.iter().map(Score::f1).sum::<f64>() / scores.len().max(1) as f64
}

/// `part` of `all`; 0 of nothing.
pub fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}
