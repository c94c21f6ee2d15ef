//! The virtual cart: folded from attributions, provisional until settlement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::observation::Item;
use crate::store::{Catalogue, ProductId, SoldBy};
use crate::units::{Milligrams, Money};

use super::decision::{ReviewId, SureLine};
use super::receipt::ReceiptLine;

/// What a shopper has, as far as the store knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cart {
    /// Units and mass of each product that is charged as things stand; never zero units.
    lines: BTreeMap<ProductId, Held>,
    /// What was taken last: a hand that puts something back most likely still holds it.
    last_taken: Option<ProductId>,
    /// Units that were taken out by a revision before the revision of their put-back has brought them in.
    ahead: BTreeMap<ProductId, Held>,
    /// What persons have added to or taken out of the cart beside what the store saw: units and mass of each product.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    amended: BTreeMap<ProductId, (i64, Milligrams)>,
    /// Changes that wait for a verdict, with what they most likely were.
    pub reviews: BTreeMap<ReviewId, Vec<Item>>,
}

/// How much of a product a cart holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub quantity: u32,
    /// As measured when it left the shelf: what a product sold by weight is charged by.
    pub mass: Milligrams,
}

impl Cart {
    /// The lines, by product.
    pub fn lines(&self) -> impl Iterator<Item = (&ProductId, &Held)> {
        self.lines.iter()
    }

    /// Units of a product in the cart.
    pub fn quantity(&self, product: &ProductId) -> u32 {
        self.lines.get(product).map_or(0, |held| held.quantity)
    }

    /// The product that was taken last, while the cart still has it.
    pub fn last_taken(&self) -> Option<&ProductId> {
        self.last_taken
            .as_ref()
            .filter(|id| self.lines.contains_key(*id))
    }

    /// Nothing to charge and nothing in review.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.reviews.is_empty()
    }

    /// Adds picked items; `mass` is what left the shelf with all of them.
    pub fn take(&mut self, items: &[Item], mass: Milligrams, catalogue: &Catalogue) {
        for (item, share) in shares(items, mass, catalogue).filter(|(item, _)| item.quantity > 0) {
            let (quantity, share) = self.less_ahead(item, share);
            if quantity == 0 {
                continue;
            }
            let held = self.lines.entry(item.product.clone()).or_default();
            held.quantity = held.quantity.saturating_add(quantity);
            held.mass = Milligrams(held.mass.0.saturating_add(share.0));
        }
        self.last_taken = (items.iter().rev())
            .find(|item| item.quantity > 0)
            .map(|item| item.product.clone())
            .or(self.last_taken.take());
    }

    /// Removes put-back items. Units that the cart does not have are left out: the store never owes a shopper.
    pub fn put_back(&mut self, items: &[Item], mass: Milligrams, catalogue: &Catalogue) {
        for (item, share) in shares(items, mass, catalogue) {
            if let Some(held) = self.lines.get_mut(&item.product) {
                held.quantity = held.quantity.saturating_sub(item.quantity);
                held.mass = Milligrams((held.mass - share).0.max(0));
                if held.quantity == 0 {
                    self.lines.remove(&item.product);
                }
            }
        }
    }

    /// Undoes a take: what was said to be picked was not. Units that have been put back meanwhile are owed to the
    /// revision of that put-back.
    pub fn undo_take(&mut self, items: &[Item], mass: Milligrams, catalogue: &Catalogue) {
        for (item, share) in shares(items, mass, catalogue) {
            let there = self.quantity(&item.product);
            let missing = item.quantity.saturating_sub(there);
            if missing > 0 {
                let ahead = self.ahead.entry(item.product.clone()).or_default();
                ahead.quantity += missing;
                let owed = part_of(share, i64::from(missing), i64::from(item.quantity));
                ahead.mass = Milligrams(ahead.mass.0.saturating_add(owed.0));
            }
        }
        self.put_back(items, mass, catalogue);
    }

    /// What of taken units is not owed to an earlier revision.
    fn less_ahead(&mut self, item: &Item, share: Milligrams) -> (u32, Milligrams) {
        let Some(ahead) = self.ahead.get_mut(&item.product) else {
            return (item.quantity, share);
        };
        let owed = ahead.quantity.min(item.quantity);
        let left = item.quantity - owed;
        ahead.quantity -= owed;
        if ahead.quantity == 0 {
            self.ahead.remove(&item.product);
        }
        (
            left,
            part_of(share, i64::from(left), i64::from(item.quantity)),
        )
    }

    /// Adds (or, where `put`, takes out) what a person says somebody took (or put back) while nobody watched; `mass` is
    /// how the shelf changed. It stays whatever the store sees besides.
    pub fn amend(&mut self, items: &[Item], mass: Milligrams, put: bool, catalogue: &Catalogue) {
        let sign = if put { -1 } else { 1 };
        for (item, share) in shares(items, mass, catalogue) {
            let (units, grams) = self.amended.entry(item.product.clone()).or_default();
            *units += sign * i64::from(item.quantity);
            *grams += Milligrams(sign * share.0);
        }
        if put {
            self.put_back(items, mass, catalogue);
        } else {
            self.take(items, mass, catalogue);
        }
    }

    /// Replaces all lines, but for what persons have amended.
    pub fn determine(&mut self, lines: &[SureLine]) {
        self.ahead.clear();
        self.lines = self.amended(lines);
    }

    /// Whether [`Cart::determine`] would change how many units there are of anything.
    pub fn is_determined_as(&self, lines: &[SureLine]) -> bool {
        let there = self.lines.iter().map(|(id, held)| (id, held.quantity));
        there.eq(self
            .amended(lines)
            .iter()
            .map(|(id, held)| (id, held.quantity)))
    }

    fn amended(&self, lines: &[SureLine]) -> BTreeMap<ProductId, Held> {
        let mut all: BTreeMap<ProductId, Held> = (lines.iter())
            .map(|line| {
                let held = Held {
                    quantity: line.quantity,
                    mass: line.mass_mg,
                };
                (line.product.clone(), held)
            })
            .collect();
        for (id, (units, mass)) in &self.amended {
            let held = all.entry(id.clone()).or_default();
            let quantity = (i64::from(held.quantity) + units).max(0);
            held.quantity = u32::try_from(quantity).unwrap_or(u32::MAX);
            held.mass = Milligrams((held.mass + *mass).0.max(0));
        }
        all.retain(|_, held| held.quantity > 0);
        all
    }

    /// Drops units from the cart, each with an even share of what its line weighs.
    pub fn drop_units(&mut self, items: &[Item]) {
        for item in items {
            if let Some(held) = self.lines.get_mut(&item.product) {
                let left = held.quantity.saturating_sub(item.quantity);
                held.mass = part_of(held.mass, i64::from(left), i64::from(held.quantity));
                held.quantity = left;
                if left == 0 {
                    self.lines.remove(&item.product);
                }
            }
        }
    }

    /// The lines as a receipt prints them, by product.
    pub fn receipt_lines(&self, catalogue: &Catalogue) -> Vec<ReceiptLine> {
        (self.lines.iter())
            .filter_map(|(id, held)| {
                let product = catalogue.get(id.as_str())?;
                let minor = match product.sold_by {
                    SoldBy::Unit => {
                        clamped(i128::from(product.price.minor) * i128::from(held.quantity))
                    }
                    // Minor units a kilogram times milligrams, rounded half up to the minor unit.
                    SoldBy::Weight => {
                        let exact =
                            i128::from(product.price.minor) * i128::from(held.mass.0.max(0));
                        clamped((exact + 500_000) / 1_000_000)
                    }
                };
                let (gross, tax_rate) = (i128::from(minor), i128::from(product.tax_basis_points));
                let tax = (2 * gross * tax_rate + 10_000 + tax_rate) / (2 * (10_000 + tax_rate));
                Some(ReceiptLine {
                    product: id.clone(),
                    name: product.name.clone(),
                    quantity: held.quantity,
                    mass_mg: matches!(product.sold_by, SoldBy::Weight).then_some(held.mass),
                    amount: Money::new(minor, product.price.currency),
                    // Prices include tax: net = gross / (1 + rate), tax rounded half up.
                    tax: Money::new(clamped(tax), product.price.currency),
                    tax_basis_points: product.tax_basis_points,
                })
            })
            .collect()
    }
}

/// Splits a measured mass over items in proportion to what they should weigh. The shares sum to the mass.
fn shares<'a>(
    items: &'a [Item],
    mass: Milligrams,
    catalogue: &Catalogue,
) -> impl Iterator<Item = (&'a Item, Milligrams)> {
    let nominal = |item: &Item| {
        let unit = (catalogue.get(item.product.as_str())).map_or(0, |p| p.weight.0);
        unit.saturating_mul(i64::from(item.quantity))
    };
    let up_to: Vec<i64> = (items.iter())
        .scan(0_i64, |sum, item| {
            *sum = sum.saturating_add(nominal(item));
            Some(*sum)
        })
        .collect();
    let all = up_to.last().copied().unwrap_or(0);
    let mut given = Milligrams(0);
    items.iter().zip(up_to).map(move |(item, up_to)| {
        let share = part_of(mass.abs(), up_to, all) - given;
        given += share;
        (item, share)
    })
}

/// `part / whole` of a mass, rounded down; nothing of nothing.
fn part_of(mass: Milligrams, part: i64, whole: i64) -> Milligrams {
    if whole <= 0 {
        return Milligrams(0);
    }
    Milligrams(clamped(
        i128::from(mass.0) * i128::from(part) / i128::from(whole),
    ))
}

/// What does not fit is out of all proportion anyway; it must not wrap around to a credit.
fn clamped(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests;
