//! Every mistake of a definition and exactly what is said about it.

use std::fmt::Write as _;

use stroll::store::definition::{self, FILE_BYTES_MAX};
use stroll::store::remark::MISTAKES_MAX;

use super::changed;
use crate::expect;

/// What is changed in the base, each replacement once: (what is wrong, [(from, to)]).
const CASES: &[(&str, &[(&str, &str)])] = &[
    // Syntax: only the first.
    (
        "a quote is missing",
        &[
            ("name = \"Pen\"", "name = \"Pen"),
            ("sku = \"007\"", "sku = 007\""),
        ],
    ),
    (
        "a key is given twice",
        &[("name = \"Pen\"", "name = \"Pen\"\nname = \"Pencil\"")],
    ),
    ("a table is given twice", &[("[gate]", "[policy]")]),
    ("no TOML at all", &[(super::BASE, "<store id='test'/>\n")]),
    // Shapes: one for each entry.
    ("unknown field", &[("price_minor = 199", "pricee = 199")]),
    (
        "unknown field without a neighbour",
        &[("price_minor = 199", "price_minor = 199\ncolour = \"blue\"")],
    ),
    ("unknown table", &[("[policy]", "[polciy]")]),
    (
        "unknown table without a neighbour",
        &[("[policy]", "[weather]")],
    ),
    ("missing field", &[("weight_g = 12.5\n", "")]),
    (
        "text for a number",
        &[("weight_g = 12.5", "weight_g = \"12.5 g\"")],
    ),
    (
        "fraction of a cent",
        &[("price_minor = 199", "price_minor = 1.99")],
    ),
    (
        "number for a text",
        &[("gtin = \"4006381333931\"", "gtin = 4006381333931")],
    ),
    (
        "plates of a wrong shape",
        &[("plates = 4", "plates = \"four\"")],
    ),
    (
        "unknown way of selling",
        &[(
            "tax_percent = 19\nage",
            "tax_percent = 19\nsold_by = \"litre\"\nage",
        )],
    ),
    (
        "single brackets",
        &[(
            "[[node]]\nname = \"left\"\nshelves = [\"1.1\"]\n\n[[node]]\nname = \"right\"\nshelves = [\"1.2\"]",
            "[node]\nname = \"left\"\nshelves = [\"1.1\", \"1.2\"]",
        )],
    ),
    ("double brackets", &[("[store]", "[[store]]")]),
    (
        "a shape, and mistakes elsewhere",
        &[
            ("name = \"Pen\"", "nmae = \"Pen\""),
            ("weight_g = 300", "weight_g = -300"),
            ("z_m = 1\n", "zm = 1\n"),
        ],
    ),
    // The store and its policy.
    (
        "no store",
        &[(
            "[store]\nid = \"test\"\nname = \"Test Store\"\ncurrency = \"EUR\"\n",
            "",
        )],
    ),
    ("empty file", &[(super::BASE, "")]),
    (
        "store id with capitals",
        &[("id = \"test\"", "id = \"Test/Store\"")],
    ),
    ("empty id", &[("id = \"test\"", "id = \"\"")]),
    ("empty name", &[("name = \"Test Store\"", "name = \" \"")]),
    ("currency", &[("\"EUR\"", "\"Euro\"")]),
    (
        "a way to be offline that there is not",
        &[("confidence_min = 0.8", "offline = \"open\"")],
    ),
    (
        "offline without a cap",
        &[("confidence_min = 0.8", "offline = \"capped\"")],
    ),
    (
        "offline with a cap of nobody and one in fractions",
        &[(
            "confidence_min = 0.8",
            "offline = \"capped\"\noffline_shoppers_max = 0\noffline_amount_max_minor = 10.5",
        )],
    ),
    (
        "a cap for a store that closes",
        &[("confidence_min = 0.8", "offline_shoppers_max = 3")],
    ),
    (
        "confidence above 1",
        &[("confidence_min = 0.8", "confidence_min = 80")],
    ),
    (
        "policy all wrong",
        &[(
            "confidence_min = 0.8",
            "hold_minor = -1\nreview_deadline_s = nan\nnode_silent_s = 0\ntrack_lost_s = inf\nreach_m = -2",
        )],
    ),
    // Nodes, shelves, gate.
    (
        "node name",
        &[("name = \"left\"", "name = \"the left one\"")],
    ),
    ("node twice", &[("name = \"left\"", "name = \"right\"")]),
    (
        "shelf on no node",
        &[("shelves = [\"1.1\"]", "shelves = []")],
    ),
    (
        "shelf on two nodes",
        &[("shelves = [\"1.2\"]", "shelves = [\"1.1\", \"1.2\"]")],
    ),
    (
        "node with an unknown shelf",
        &[("shelves = [\"1.1\"]", "shelves = [\"1.1\", \"7.1\"]")],
    ),
    (
        "shelf twice",
        &[
            ("id = \"1.2\"", "id = \"1.1\""),
            ("shelves = [\"1.2\"]", "shelves = []"),
        ],
    ),
    ("shelf id", &[("id = \"1.2\"", "id = \"1.02\"")]),
    (
        "coordinates that are none",
        &[("x_m = 0\ny_m = -1", "x_m = nan\ny_m = -inf")],
    ),
    (
        "plates of no width",
        &[(
            "plate_width_m = 0.1\nplates = 4",
            "plate_width_m = 0\nplates = 4",
        )],
    ),
    ("no plates", &[("plates = 4", "plates = 0")]),
    (
        "plates by the million",
        &[("plates = 4", "plates = 1000000")],
    ),
    (
        "plate twice on a shelf",
        &[("plates = [1, 2, 4]", "plates = [1, 2, 2, 4]")],
    ),
    (
        "more plates than a store has",
        &[("plates = 4", "plates = 4095")],
    ),
    ("nobody watches the gate", &[("watches_gate = true\n", "")]),
    ("no gate to watch", &[("[gate]\nx_m = 0\ny_m = -1\n", "")]),
    // Products.
    (
        "neither gtin nor sku",
        &[("gtin = \"4006381333931\"\n", "")],
    ),
    (
        "both gtin and sku",
        &[("sku = \"007\"", "gtin = \"96385074\"\nsku = \"007\"")],
    ),
    (
        "gtin that lost a zero",
        &[("gtin = \"4006381333931\"", "gtin = \"71142008582\"")],
    ),
    (
        "gtin of another length",
        &[("gtin = \"4006381333931\"", "gtin = \"12345\"")],
    ),
    ("sku with a space", &[("sku = \"007\"", "sku = \"0 7\"")]),
    ("sku of zeros only", &[("sku = \"007\"", "sku = \"000\"")]),
    (
        "product twice",
        &[("gtin = \"4006381333931\"", "sku = \"007\"")],
    ),
    (
        "product twice but for zeros",
        &[("gtin = \"4006381333931\"", "sku = \"07\"")],
    ),
    (
        "weight below zero",
        &[("weight_g = 12.5", "weight_g = -12.5")],
    ),
    (
        "weight that rounds to nothing",
        &[("weight_g = 12.5", "weight_g = 0.0001")],
    ),
    (
        "weight that is no number",
        &[("weight_g = 12.5", "weight_g = inf")],
    ),
    (
        "price below zero",
        &[("price_minor = 199", "price_minor = -1")],
    ),
    (
        "tax above 100",
        &[("tax_percent = 19\nage", "tax_percent = 119\nage")],
    ),
    (
        "tax finer than the books",
        &[("tax_percent = 19\nage", "tax_percent = 8.875\nage")],
    ),
    ("age", &[("age_min_years = 18", "age_min_years = 1800")]),
    // Facings.
    (
        "facing of an unknown product",
        &[("product = \"007\"", "product = \"008\"")],
    ),
    (
        "facing on an unknown shelf",
        &[(
            "product = \"007\"\nshelf = \"1.2\"",
            "product = \"007\"\nshelf = \"1.3\"",
        )],
    ),
    (
        "facing on an unknown plate",
        &[("plates = [2, 4]", "plates = [2, 3]")],
    ),
    (
        "facing beyond the shelf",
        &[(
            "shelf = \"1.1\"\nplates = [1, 2]",
            "shelf = \"1.1\"\nplates = [4, 5]",
        )],
    ),
    ("facing on no plate", &[("plates = [2, 4]", "plates = []")]),
    ("facing on plate 0", &[("plates = [2, 4]", "plates = [0]")]),
    (
        "facing on plates apart",
        &[("plates = [2, 4]", "plates = [4, 1]")],
    ),
    (
        "facing twice on a plate",
        &[(
            "product = \"007\"\nshelf = \"1.2\"\nplates = [2, 4]",
            "product = \"4006381333931\"\nshelf = \"1.1\"\nplates = [2, 3]",
        )],
    ),
    // What a terminal must not be told.
    (
        "a control character",
        &[
            ("\"Test Store\"", "\"Test\\u001b[31m Store\""),
            ("sku = \"007\"", "\"\\u001b]0;\" = 1"),
        ],
    ),
    (
        "several at once",
        &[
            ("currency = \"EUR\"", "currency = \"eur\""),
            ("shelves = [\"1.1\"]", "shelves = []"),
            ("weight_g = 12.5", "weight_g = 0"),
            ("product = \"007\"", "product = \"700\""),
        ],
    ),
];

#[test]
fn every_mistake_is_told_with_its_line_and_what_to_do() {
    let mut all = String::new();
    for (name, changes) in CASES {
        let Err(error) = definition::parse(&changed(changes), "x.toml") else {
            panic!("{name}: was accepted");
        };
        assert!(!error.mistakes.is_empty(), "{name}");
        assert!(!error.to_string().contains('\u{1b}'), "{name}");
        writeln!(all, "== {name}\n\n{error}\n").unwrap();
    }
    expect::file("definition/mistakes.txt", &all);
}

#[test]
fn a_file_without_end_is_refused_before_it_is_read() {
    let error = definition::parse(&"#".repeat(FILE_BYTES_MAX + 1), "x.toml").unwrap_err();
    assert_eq!(error.mistakes[0].line, None);
    assert!(error.to_string().contains("16777217 bytes"), "{error}");
}

#[test]
fn a_file_of_nothing_but_mistakes_is_cut_short() {
    let error = definition::parse(&"[[product]]\nx = 1\n".repeat(5_000), "x.toml").unwrap_err();
    assert_eq!(error.mistakes.len(), MISTAKES_MAX);
    assert!(
        error
            .to_string()
            .ends_with(&format!("and {} more", error.left_off)),
        "{error}"
    );
}
