//! Which parts of a change are units of their own.

use super::*;

/// A change of these grams on plates 0, 1, ...
fn change(grams: &[f64]) -> Joined {
    Joined {
        kind: Kind::Item,
        cells: (grams.iter().enumerate())
            .filter(|(_, g)| **g != 0.0)
            .map(|(cell, g)| (cell, *g, 0.5))
            .collect(),
        opened: 0,
        at: 10.0,
        half: 1.0,
        unseen: 0.0,
        stood: None,
    }
}

#[test]
fn only_a_bag_leaves_all_its_plates_alike() {
    // Name, the whole, a part of it, and whether that stands just as the whole does.
    type Case<'a> = (&'a str, &'a [f64], &'a [f64], bool);
    let table: &[Case<'_>] = &[
        ("half of a bag", &[-400.0, -200.0], &[-200.0, -100.0], true),
        (
            "a third of it, pressed",
            &[-400.0, -200.0],
            &[-138.0, -62.0],
            true,
        ),
        (
            "a unit of one plate",
            &[-400.0, -200.0],
            &[-300.0, 0.0],
            false,
        ),
        (
            "a unit across both",
            &[-400.0, -200.0],
            &[-150.0, -150.0],
            false,
        ),
        ("all on one plate", &[-600.0], &[-300.0], false),
        (
            "nearly all on one plate",
            &[-590.0, -30.0],
            &[-295.0, -15.0],
            false,
        ),
        (
            "a bag on three",
            &[300.0, 200.0, 100.0],
            &[150.0, 100.0, 50.0],
            true,
        ),
        (
            "units on three",
            &[300.0, 200.0, 100.0],
            &[300.0, 0.0, 0.0],
            false,
        ),
    ];
    for (name, whole, part, expected) in table {
        assert_eq!(
            stands_alike(&change(part), &change(whole)),
            *expected,
            "{name}"
        );
    }
}
