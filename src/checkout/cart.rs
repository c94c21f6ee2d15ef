//! The virtual cart: folded from attributions, provisional until settlement.

use std::collections::BTreeMap;

use crate::observation::Item;
use crate::store::{Catalogue, ProductId, SoldBy};
use crate::units::{Milligrams, Money};

use super::decision::ReviewId;
use super::receipt::ReceiptLine;

/// What a shopper has, as far as the store knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cart {
    /// Units and mass of each product that is charged as things stand; never zero units.
    lines: BTreeMap<ProductId, Held>,
    /// What was taken last: a hand that puts something back most likely still holds it.
    last_taken: Option<ProductId>,
    /// Changes that wait for a verdict, with what they most likely were.
    pub reviews: BTreeMap<ReviewId, Vec<Item>>,
}

/// How much of a product a cart holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        for (item, share) in shares(items, mass, catalogue) {
            let held = self.lines.entry(item.product.clone()).or_default();
            held.quantity += item.quantity;
            held.mass += share;
        }
        self.last_taken = items
            .last()
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

    /// Drops units from the cart, each with an even share of what its line weighs.
    pub fn drop_units(&mut self, items: &[Item]) {
        for item in items {
            if let Some(held) = self.lines.get_mut(&item.product) {
                let left = held.quantity.saturating_sub(item.quantity);
                held.mass =
                    Milligrams(held.mass.0 * i64::from(left) / i64::from(held.quantity.max(1)));
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
                    SoldBy::Unit => product.price.minor * i64::from(held.quantity),
                    // Minor units a kilogram times milligrams, rounded half up to the minor unit.
                    SoldBy::Weight => {
                        (product.price.minor * held.mass.0.max(0) + 500_000) / 1_000_000
                    }
                };
                let tax_rate = i64::from(product.tax_basis_points);
                Some(ReceiptLine {
                    product: id.clone(),
                    name: product.name.clone(),
                    quantity: held.quantity,
                    mass_mg: matches!(product.sold_by, SoldBy::Weight).then_some(held.mass),
                    amount: Money::new(minor, product.price.currency),
                    // Prices include tax: net = gross / (1 + rate), tax rounded half up.
                    tax: Money::new(
                        (2 * minor * tax_rate + 10_000 + tax_rate) / (2 * (10_000 + tax_rate)),
                        product.price.currency,
                    ),
                    tax_basis_points: product.tax_basis_points,
                })
            })
            .collect()
    }
}

/// Splits a measured mass over items in proportion to what they should weigh.
fn shares<'a>(
    items: &'a [Item],
    mass: Milligrams,
    catalogue: &Catalogue,
) -> impl Iterator<Item = (&'a Item, Milligrams)> {
    let nominal = |item: &Item| {
        let unit = catalogue
            .get(item.product.as_str())
            .map_or(0, |p| p.weight.0);
        unit * i64::from(item.quantity)
    };
    let all: i64 = items.iter().map(&nominal).sum();
    let nominals: Vec<i64> = items.iter().map(&nominal).collect();
    items.iter().zip(nominals).map(move |(item, part)| {
        let share = if all > 0 {
            mass.0.abs() * part / all
        } else {
            0
        };
        (item, Milligrams(share))
    })
}
