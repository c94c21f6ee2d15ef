//! The products: codes, weights, prices.

use std::collections::HashMap;

use super::{MONEY_MINOR_MAX, name, number, short, whole};
use crate::store::catalogue::{Product, ProductId, canonical};
use crate::store::gtin::{self, Code};
use crate::store::raw::{At, Entries, RawProduct};
use crate::store::remark::Remarks;
use crate::units::{Currency, Milligrams, Money};

/// Products of one store.
const PRODUCTS_MAX: usize = 10_000;

/// The products, and every code that the file names.
pub struct Products {
    /// Those without a mistake, ordered by code: the order of the file means nothing.
    pub resolved: Vec<Product>,
    /// From the code without its leading zeros to the code as the product spells it, and its line.
    codes: HashMap<String, (ProductId, usize)>,
    /// Whether each product's code is among them: what refers to an unknown one may mean one that is not.
    pub complete: bool,
}

impl Products {
    /// The product that is meant by `code`, as the product itself spells it.
    pub fn id(&self, code: &str) -> Option<&ProductId> {
        self.codes.get(canonical(code)).map(|(id, _)| id)
    }
}

/// Checks every product.
pub fn check(
    raw: &Entries<RawProduct>,
    currency: Option<Currency>,
    remarks: &mut Remarks<'_>,
) -> Products {
    let mut products = Products {
        resolved: Vec::new(),
        codes: HashMap::new(),
        complete: raw.complete,
    };
    for (index, entry) in raw.list.iter().enumerate() {
        if index == PRODUCTS_MAX {
            remarks.mistake(
                entry.span(),
                format!("there are {} products", raw.list.len()),
                format!("a store sells at most {PRODUCTS_MAX}: remove some"),
            );
            products.complete = false;
            break;
        }
        let product = entry.get_ref();
        let code = match (&product.gtin, &product.sku) {
            (Some(gtin), None) => check_gtin(gtin, remarks).map(|()| gtin),
            (None, Some(sku)) => check_sku(sku, remarks).map(|()| sku),
            (Some(_), Some(sku)) => {
                remarks.mistake(
                    sku.span(),
                    "a product has both a `gtin` and a `sku`",
                    "remove one of the two",
                );
                None
            }
            (None, None) => {
                remarks.mistake(
                    entry.span(),
                    "a product has neither a `gtin` nor a `sku`",
                    "add a line such as `gtin = \"4006381333931\"` or `sku = \"apple-loose\"`",
                );
                None
            }
        };
        match code {
            Some(code) => note_code(code, &mut products.codes, remarks),
            None => products.complete = false,
        }
        products
            .resolved
            .extend(resolve(product, code, currency, remarks));
    }
    (products.resolved).sort_by(|a, b| canonical(a.id.as_str()).cmp(canonical(b.id.as_str())));
    products
}

fn resolve(
    raw: &RawProduct,
    code: Option<&At<String>>,
    currency: Option<Currency>,
    remarks: &mut Remarks<'_>,
) -> Option<Product> {
    const GRAMS_MAX: f64 = 1e6;
    let name = name(&raw.name, remarks);
    let weight = number("weight_g", &raw.weight_g, 0.001..=GRAMS_MAX, remarks);
    let price = whole(
        "price_minor",
        &raw.price_minor,
        0..=MONEY_MINOR_MAX,
        remarks,
    );
    let tax = check_tax(&raw.tax_percent, remarks);
    let age = match &raw.age_min_years {
        Some(age) => whole("age_min_years", age, 0..=120, remarks),
        None => Some(0),
    };
    Some(Product {
        id: code?.get().as_str().into(),
        name: name?,
        weight: Milligrams::from_grams(weight?),
        price: Money::new(price?, currency?),
        tax_basis_points: tax?,
        age_min_years: u8::try_from(age?).ok()?, // checked above
        sold_by: raw.sold_by,
    })
}

fn note_code(
    code: &At<String>,
    codes: &mut HashMap<String, (ProductId, usize)>,
    remarks: &mut Remarks<'_>,
) {
    let line = remarks.line(code.span().start);
    let key = canonical(code.get()).to_owned();
    if let Some((first, first_line)) = codes.get(&key) {
        let message = if first.as_str() == code.get() {
            format!("product `{first}` is given twice, first on line {first_line}")
        } else {
            format!(
                "`{}` is product `{first}` of line {first_line}: leading zeros do not count",
                code.get()
            )
        };
        remarks.mistake(code.span(), message, "remove one of the two");
        return;
    }
    codes.insert(key, (code.get().as_str().into(), line));
}

fn check_gtin(code: &At<String>, remarks: &mut Remarks<'_>) -> Option<()> {
    let text = code.get();
    match gtin::classify(text) {
        Code::Gtin => Some(()),
        Code::WrongCheckDigit { expected } => {
            remarks.warning(
                code.span(),
                format!("the last digit of GTIN `{text}` should be {expected}"),
                "compare it with the bar code; it is used as it is spelled",
            );
            Some(())
        }
        Code::Sku => {
            let padded = format!("0{text}");
            let help = if gtin::classify(&padded) == Code::Gtin {
                format!("write `{padded}` if it lost its leading zero, or make it a `sku`")
            } else {
                "write 8, 12, 13 or 14 digits, or make it a `sku`".to_owned()
            };
            remarks.mistake(code.span(), format!("`{}` is no GTIN", short(text)), help);
            None
        }
    }
}

fn check_sku(code: &At<String>, remarks: &mut Remarks<'_>) -> Option<()> {
    let text = code.get();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !canonical(text).is_empty() {
        return Some(());
    }
    remarks.mistake(
        code.span(),
        format!("`{}` cannot be a SKU", short(text)),
        "write 1 to 64 letters, digits, `.`, `_` and `-`, and not only zeros",
    );
    None
}

/// Tax in basis points.
fn check_tax(value: &At<f64>, remarks: &mut Remarks<'_>) -> Option<u32> {
    let percent = number("tax_percent", value, 0.0..=100.0, remarks)?;
    let basis_points = (percent * 100.0).round();
    if (percent * 100.0 - basis_points).abs() > 1e-6 {
        remarks.mistake(
            value.span(),
            format!("`tax_percent` is {percent}"),
            "write at most two digits after the point",
        );
        return None;
    }
    Some(basis_points as u32)
}
