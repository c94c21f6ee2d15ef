use proptest::prelude::*;

use super::*;
use crate::store::Product;

fn product(
    id: &str,
    grams: f64,
    price_minor: i64,
    tax_basis_points: u32,
    sold_by: SoldBy,
) -> Product {
    Product {
        id: id.into(),
        name: id.to_uppercase(),
        weight: Milligrams::from_grams(grams),
        price: Money::new(price_minor, "EUR".parse().unwrap()),
        tax_basis_points,
        age_min_years: 0,
        sold_by,
    }
}

fn catalogue() -> Catalogue {
    Catalogue::new(vec![
        product("cola", 500.0, 150, 1_900, SoldBy::Unit),
        product("tea", 100.0, 399, 700, SoldBy::Unit),
        product("apple", 180.0, 349, 700, SoldBy::Weight),
        product("gift", 10.0, 0, 0, SoldBy::Unit),
    ])
    .unwrap()
}

fn item(text: &str) -> Item {
    let (product, quantity) = text.split_once('*').unwrap();
    Item {
        product: product.into(),
        quantity: quantity.parse().unwrap(),
    }
}

fn items(text: &str) -> Vec<Item> {
    text.split_whitespace().map(item).collect()
}

/// Does `take cola*1 tea*2 : 700`, `put ... : grams` and `drop ...`, one after another.
fn cart(steps: &str) -> Cart {
    let (mut cart, catalogue) = (Cart::default(), catalogue());
    for step in steps.split(';').map(str::trim).filter(|s| !s.is_empty()) {
        let (verb, rest) = step.split_once(' ').unwrap();
        let (what, grams) = rest.split_once(':').unwrap_or((rest, "0"));
        let mass = Milligrams::from_grams(grams.trim().parse().unwrap());
        match verb {
            "take" => cart.take(&items(what), mass, &catalogue),
            "put" => cart.put_back(&items(what), mass, &catalogue),
            "drop" => cart.drop_units(&items(what)),
            _ => panic!("{step}"),
        }
    }
    cart
}

fn shown(cart: &Cart) -> String {
    let lines = cart.lines();
    let shown: Vec<String> = lines
        .map(|(id, held)| format!("{id}*{} {}", held.quantity, held.mass.0))
        .collect();
    shown.join(", ")
}

#[test]
fn what_is_in_it() {
    for (steps, expected) in [
        ("", ""),
        ("take cola*1 : -498.7", "cola*1 498700"),
        ("take cola*2 : -1001", "cola*2 1001000"),
        ("take cola*1 : -500 ; take cola*1 : -502", "cola*2 1002000"),
        ("take cola*1 tea*1 : -606", "cola*1 505000, tea*1 101000"),
        ("take cola*1 tea*2 : -1", "cola*1 714, tea*2 286"),
        ("take cola*0 : -500", ""),
        ("take unknown*1 : -500", "unknown*1 0"),
        ("take cola*2 : -1000 ; put cola*1 : 499", "cola*1 501000"),
        ("take cola*1 : -500 ; put cola*1 : 499", ""),
        ("take cola*1 : -500 ; put cola*3 : 1500", ""),
        ("take cola*1 : -500 ; put tea*1 : 100", "cola*1 500000"),
        ("take cola*2 : -600 ; put cola*1 : 900", "cola*1 0"),
        ("put cola*1 : 500", ""),
        ("take apple*3 : -600 ; drop apple*1", "apple*2 400000"),
        ("take apple*3 : -600 ; drop apple*1 apple*5", ""),
        ("drop apple*1", ""),
    ] {
        assert_eq!(shown(&cart(steps)), expected, "{steps}");
    }
}

#[test]
fn what_was_taken_last() {
    for (steps, expected) in [
        ("", None),
        ("take cola*1 : -500 ; take tea*1 : -100", Some("tea")),
        ("take tea*1 cola*1 : -600", Some("cola")),
        (
            "take cola*1 : -500 ; take tea*1 : -100 ; put tea*1 : 100",
            None,
        ),
        ("take cola*1 : -500 ; take tea*0 : -100", Some("cola")),
    ] {
        let cart = cart(steps);
        assert_eq!(
            cart.last_taken().map(ProductId::as_str),
            expected,
            "{steps}"
        );
    }
}

#[test]
fn what_it_costs() {
    // Tax is a part of the price: 19 % of 150 is 150 · 19 / 119 = 23.95.
    for (steps, expected) in [
        ("take cola*1 : -500", "COLA 1 150 24"),
        ("take cola*3 : -500", "COLA 3 450 72"),
        // 399 · 7 / 107 = 26.10
        ("take tea*1 : -100", "TEA 1 399 26"),
        // 3.49 EUR a kilogram: 0.2 kg are 69.8 cents, 0.2 kg less 0.2 g are 69.73
        ("take apple*1 : -200", "APPLE 1 70 5"),
        ("take apple*2 : -199.8", "APPLE 2 70 5"),
        // 500 mg are 0.1745 cents, 1.433 g are 0.500, and half a cent is one
        ("take apple*1 : -0.5", "APPLE 1 0 0"),
        ("take apple*1 : -1.433", "APPLE 1 1 0"),
        ("take apple*1 : -1.432", "APPLE 1 0 0"),
        ("take gift*1 : -10", "GIFT 1 0 0"),
        ("take unknown*1 : -10", ""),
        ("take tea*1 cola*1 : -600", "COLA 1 150 24, TEA 1 399 26"),
    ] {
        let lines = cart(steps).receipt_lines(&catalogue());
        let shown: Vec<String> = (lines.iter())
            .map(|l| {
                format!(
                    "{} {} {} {}",
                    l.name, l.quantity, l.amount.minor, l.tax.minor
                )
            })
            .collect();
        assert_eq!(shown.join(", "), expected, "{steps}");
    }
}

#[test]
fn only_what_is_sold_by_weight_shows_its_mass() {
    let lines = cart("take apple*1 tea*1 : -280").receipt_lines(&catalogue());
    let masses: Vec<_> = lines.iter().map(|l| l.mass_mg).collect();
    assert_eq!(masses, [Some(Milligrams(180_000)), None]);
}

#[test]
fn numbers_out_of_all_proportion_do_not_wrap_around() {
    let (mut cart, catalogue) = (Cart::default(), catalogue());
    let huge = Milligrams(i64::MAX / 2);
    for _ in 0..4 {
        cart.take(&items("cola*4294967295 apple*4294967295"), huge, &catalogue);
    }
    let lines = cart.receipt_lines(&catalogue);
    assert!(
        lines.iter().all(|l| l.amount.minor > 0 && l.tax.minor > 0),
        "{lines:?}"
    );
}

/// A step at a cart: which verb, what, and how heavy.
fn steps() -> impl Strategy<Value = Vec<(u8, Vec<Item>, i64)>> {
    let product = prop_oneof![Just("cola"), Just("tea"), Just("apple"), Just("gift")];
    let item = (product, 0_u32..5).prop_map(|(product, quantity)| Item {
        product: product.into(),
        quantity,
    });
    let items = prop::collection::vec(item, 0..4);
    prop::collection::vec((0..3_u8, items, -2_000_000..2_000_000_i64), 0..20)
}

proptest! {
    #[test]
    fn units_are_conserved_and_nothing_is_negative(steps in steps()) {
        let (mut cart, catalogue) = (Cart::default(), catalogue());
        let mut units: BTreeMap<ProductId, u32> = BTreeMap::new();
        for (verb, items, mass) in &steps {
            match verb {
                0 => cart.take(items, Milligrams(*mass), &catalogue),
                1 => cart.put_back(items, Milligrams(*mass), &catalogue),
                _ => cart.drop_units(items),
            }
            for item in items {
                let had = units.entry(item.product.clone()).or_default();
                *had = if *verb == 0 { *had + item.quantity } else { had.saturating_sub(item.quantity) };
            }
            units.retain(|_, quantity| *quantity > 0);
            let held: BTreeMap<ProductId, u32> = cart.lines()
                .map(|(id, held)| (id.clone(), held.quantity))
                .collect();
            prop_assert_eq!(&held, &units);
            prop_assert!(cart.lines().all(|(_, held)| held.mass.0 >= 0));
        }
        for line in cart.receipt_lines(&catalogue) {
            prop_assert!(line.amount.minor >= 0 && line.tax.minor >= 0);
            prop_assert!(line.tax.minor <= line.amount.minor);
        }
    }

    #[test]
    fn what_left_the_shelf_is_in_the_cart(steps in steps()) {
        let (mut cart, catalogue) = (Cart::default(), catalogue());
        let mut left = 0;
        for (_, items, mass) in &steps {
            cart.take(items, Milligrams(*mass), &catalogue);
            left += if items.iter().any(|i| i.quantity > 0) { mass.abs() } else { 0 };
        }
        let held: i64 = cart.lines().map(|(_, held)| held.mass.0).sum();
        prop_assert_eq!(held, left);
    }
}
