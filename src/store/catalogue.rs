//! The catalogue: every product that the store sells.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::units::{Milligrams, Money, text_id};

text_id! {
    /// A product's code as the catalogue spells it: a GTIN or the store's own SKU.
    ProductId
}

/// How a product is sold.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SoldBy {
    /// By the piece: `price` is for one.
    #[default]
    Unit,
    /// By weight: `price` is for one kilogram, `weight` is what a typical piece weighs.
    Weight,
}

/// One product of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// GTIN or SKU.
    pub id: ProductId,
    /// What the receipt calls it.
    pub name: String,
    /// Mass of one unit.
    pub weight: Milligrams,
    /// Price of one unit, or of one kilogram where [`SoldBy::Weight`].
    pub price: Money,
    /// Tax included in the price, in basis points (700 = 7 %).
    pub tax_basis_points: u32,
    /// Youngest age that may buy it, years; 0 for anybody.
    pub age_min_years: u8,
    /// By unit or by weight.
    pub sold_by: SoldBy,
}

impl Product {
    /// The price of one unit: of what is sold by weight, that of a typical piece.
    pub fn unit_price(&self) -> Money {
        match self.sold_by {
            SoldBy::Unit => self.price,
            SoldBy::Weight => {
                let minor = i128::from(self.price.minor) * i128::from(self.weight.0);
                let minor = (minor + 500_000).div_euclid(1_000_000);
                let minor = i64::try_from(minor).unwrap_or(self.price.minor);
                Money::new(minor, self.price.currency)
            }
        }
    }
}

/// Every product, in the order of the definition, found by code.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    products: Vec<Product>,
    by_code: HashMap<String, usize>,
}

impl Catalogue {
    /// A catalogue of `products`. Codes that differ only in leading zeros are one product; the later of two equal
    /// codes is returned as the error.
    pub fn new(products: Vec<Product>) -> Result<Self, Box<Product>> {
        let mut by_code = HashMap::with_capacity(products.len());
        for (index, product) in products.iter().enumerate() {
            if by_code
                .insert(canonical(product.id.as_str()).to_owned(), index)
                .is_some()
            {
                return Err(Box::new(product.clone()));
            }
        }
        Ok(Catalogue { products, by_code })
    }

    /// The product of that code, whatever leading zeros either lost or gained.
    pub fn get(&self, code: &str) -> Option<&Product> {
        self.index(code).map(|index| &self.products[index])
    }

    /// Where the product stands in [`Catalogue::products`].
    pub fn index(&self, code: &str) -> Option<usize> {
        self.by_code.get(canonical(code)).copied()
    }

    /// Every product in the order of the definition.
    pub fn products(&self) -> &[Product] {
        &self.products
    }
}

/// A code without leading zeros: scanners and spreadsheets add and drop them.
pub fn canonical(code: &str) -> &str {
    code.trim_start_matches('0')
}
