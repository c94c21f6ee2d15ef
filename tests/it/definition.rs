//! The store definition: what comes out of the files that ship, what is refused and with which words.

mod command;
mod mistakes;

use proptest::prelude::*;
use stroll::store::definition::{self, NANOSTORE, NANOSTORE_FILE};
use stroll::store::normal_form::NormalForm;

use stroll::store::{Definition, PlateId, SoldBy};

use crate::expect;

/// A definition without mistakes; each case changes one place of it.
const BASE: &str = r#"[store]
id = "test"
name = "Test Store"
currency = "EUR"

[policy]
confidence_min = 0.8

[gate]
x_m = 0
y_m = -1

[[node]]
name = "left"
shelves = ["1.1"]

[[node]]
name = "right"
shelves = ["1.2"]
watches_gate = true

[[shelf]]
id = "1.1"
x_m = 0
y_m = 0
z_m = 0.5
plate_width_m = 0.1
plates = 4

[[shelf]]
id = "1.2"
x_m = 0
y_m = 0
z_m = 1
plate_width_m = 0.1
plates = [1, 2, 4]

[[product]]
gtin = "4006381333931"
name = "Pen"
weight_g = 12.5
price_minor = 199
tax_percent = 19

[[product]]
sku = "007"
name = "Martini"
weight_g = 300
price_minor = 900
tax_percent = 19
age_min_years = 18

[[facing]]
product = "4006381333931"
shelf = "1.1"
plates = [1, 2]

[[facing]]
product = "007"
shelf = "1.2"
plates = [2, 4]
"#;

fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = BASE.to_owned();
    for (from, to) in changes {
        assert_eq!(
            text.matches(from).count(),
            1,
            "{from:?} must stand once in the base"
        );
        text = text.replace(from, to);
    }
    text
}

fn parse(text: &str) -> Definition {
    let (definition, warnings) =
        definition::parse(text, "x.toml").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(warnings, [], "no warnings were expected");
    definition
}

#[test]
fn a_wrong_check_digit_is_a_warning_that_names_the_right_one() {
    let text = changed(&[
        (
            "gtin = \"4006381333931\"",
            "gtin = \"4006381333932\" # as printed",
        ),
        ("product = \"4006381333931\"", "product = \"4006381333932\""),
    ]);
    let (definition, warnings) = definition::parse(&text, "x.toml").unwrap();
    assert!(definition.catalogue.get("4006381333932").is_some());
    let [warning] = warnings.as_slice() else {
        panic!("one warning, not {warnings:?}");
    };
    assert_eq!(warning.line, Some(39));
    assert!(warning.message.ends_with("should be 1"), "{warning}");
}

#[test]
fn the_nanostore_is_whole() {
    let (store, warnings) = definition::parse(NANOSTORE, NANOSTORE_FILE).unwrap();
    assert!(!warnings.is_empty());
    for warning in &warnings {
        assert!(warning.message.contains("GTIN"), "{warning}");
    }
    assert_eq!(store.layout.plate_count(), 278);
    assert_eq!(store.layout.nodes.len(), 6);
    assert_eq!(store.catalogue.products().len(), 344);
    assert_eq!(store.planogram.facings().len(), 99);

    // What was taken on the recorded trip: plates 11 and 12 of shelf 1.5, metres from the left of gondola 1.
    let product = store.catalogue.get("071142008582").unwrap();
    assert_eq!(product.weight.0, 621_670);
    let plate: PlateId = "1.5.11".parse().unwrap();
    let facing = store.planogram.on_plate(plate).next().unwrap();
    assert_eq!(facing.product, product.id);
    assert_eq!(
        store.catalogue.products()[facing.product_index].id,
        product.id
    );
    let front = store.layout.plate(plate).unwrap().front;
    assert_eq!((front.x, front.y, front.z), (1.0918, 0.0, 1.235));
    // Scanners lose leading zeros.
    assert_eq!(store.catalogue.get("71142008582"), Some(product));
}

#[test]
fn the_corner_shop_has_one_of_each() {
    let store = parse(include_str!("../../deploy/corner.toml"));
    assert_eq!(store.layout.plate_count(), 8);
    let apples = store.catalogue.get("apple-loose").unwrap();
    assert_eq!(apples.sold_by, SoldBy::Weight);
    assert!(
        store
            .catalogue
            .products()
            .iter()
            .any(|p| p.age_min_years > 0)
    );
}

#[test]
fn what_is_left_out_takes_its_default() {
    let store = parse(&changed(&[("[policy]\nconfidence_min = 0.8\n", "")]));
    let default = stroll::store::Policy::default_in("EUR".parse().unwrap());
    assert_eq!(store.policy, default);
    assert_eq!(
        parse(BASE).policy,
        stroll::store::Policy {
            confidence_min: 0.8,
            ..default
        }
    );
}

#[test]
fn a_plate_that_is_left_out_leaves_its_gap() {
    let store = parse(BASE);
    let x = |plate: &str| {
        store
            .layout
            .plate(plate.parse().unwrap())
            .map(|p| p.front.x)
    };
    assert_eq!(
        [x("1.2.1"), x("1.2.2"), x("1.2.3"), x("1.2.4")],
        [Some(0.05), Some(0.15), None, Some(0.35)]
    );
}

#[test]
fn the_hash_is_of_the_meaning() {
    let base = parse(BASE);
    assert_eq!(base.hash.len(), 64);
    let pen = &BASE[BASE.find("[[product]]").unwrap()..BASE.find("[[product]]\nsku").unwrap()];
    for (what, text) in [
        ("a comment", format!("# mine\n{BASE}# end")),
        ("line ends", BASE.replace('\n', "\r\n")),
        ("spaces", BASE.replace(" = ", "=")),
        (
            "the order of products",
            format!("{}\n{pen}", BASE.replace(pen, "")),
        ),
        (
            "the order of plates",
            changed(&[("plates = [2, 4]", "plates = [4, 2]")]),
        ),
        (
            "a default that is written",
            changed(&[("[policy]", "[policy]\nreach_m = 1.5")]),
        ),
        (
            "a code's zeros in a facing",
            changed(&[("product = \"007\"", "product = \"7\"")]),
        ),
        (
            "another spelling of a number",
            changed(&[("x_m = 0\ny_m = -1", "x_m = -0.0\ny_m = -1e0")]),
        ),
    ] {
        let same = parse(&text);
        assert_eq!(same.hash, base.hash, "{what} means nothing");
        assert_eq!(
            same.catalogue.products(),
            base.catalogue.products(),
            "{what}"
        );
        assert_eq!(same.planogram.facings(), base.planogram.facings(), "{what}");
        assert_eq!(same.layout, base.layout, "{what}");
    }
    for (what, changes) in [
        ("a price", ("price_minor = 199", "price_minor = 198")),
        ("a weight", ("weight_g = 300", "weight_g = 300.001")),
        ("a rule", ("confidence_min = 0.8", "confidence_min = 0.81")),
        ("a facing", ("plates = [2, 4]", "plates = [2]")),
        (
            "a role",
            (
                "shelves = [\"1.1\"]",
                "shelves = [\"1.1\"]\ntracks_bodies = true",
            ),
        ),
        ("a place", ("z_m = 0.5", "z_m = 0.51")),
        (
            "entry while the payment provider is away",
            (
                "confidence_min = 0.8",
                "confidence_min = 0.8\noffline = \"capped\"\noffline_shoppers_max = 2",
            ),
        ),
    ] {
        assert_ne!(
            parse(&changed(&[changes])).hash,
            base.hash,
            "{what} means something"
        );
    }
}

#[test]
fn the_hash_stays_what_it_was() {
    // Journals name definitions by it: a change here needs a new format tag in the normal form.
    let normal = serde_json::to_string_pretty(&NormalForm::from(&parse(BASE))).unwrap();
    expect::file(
        "definition/normal_form.txt",
        &format!("{}\n{normal}\n", parse(BASE).hash),
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever is done to a definition, it loads or says why: it never panics, and never refuses in silence.
    #[test]
    fn no_text_breaks_the_parser(
        edits in prop::collection::vec((0..BASE.len(), 0..12_usize, "[\\[\\]\"=.,#{}\n\r\t \\\\0-9a-z_\u{0}\u{7f}é🐔-]{0,8}"), 1..6),
    ) {
        let mut text = BASE.to_owned();
        for (at, remove, insert) in edits {
            let boundary = |at: usize| (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
            let (start, end) = (boundary(at), boundary(at + remove));
            text.replace_range(start..end, &insert);
        }
        if let Err(error) = definition::parse(&text, "x.toml") {
            prop_assert!(!error.mistakes.is_empty());
            for mistake in &error.mistakes {
                prop_assert!(mistake.line.is_none_or(|line| line <= 1 + text.lines().count()), "{mistake}");
            }
        }
    }

    #[test]
    fn no_value_breaks_the_parser(
        line in 0..BASE.lines().count(),
        value in prop::sample::select(vec![
            "inf", "-inf", "nan", "-1", "0", "1e308", "-9223372036854775808", "9223372036854775808", "99999999999999999999999",
            "0x7fffffffffffffff", "true", "\"\"", "\"0\"", "\"65536.1\"", "\"1.1.1\"", "[]", "[0]", "[-1]", "[65537]", "[[1]]", "{}",
            "1979-05-27", "'''\nx'''", "[1, 1.5]", "[9223372036854775807]",
        ]),
    ) {
        let text: Vec<String> = (BASE.lines().enumerate())
            .map(|(i, text)| match text.split_once(" = ") {
                Some((key, _)) if i == line => format!("{key} = {value}"),
                _ => text.to_owned(),
            })
            .collect();
        if let Err(error) = definition::parse(&text.join("\n"), "x.toml") {
            prop_assert!(!error.mistakes.is_empty());
        }
    }
}
