//! What is waited for before a trace is read.

use super::*;

/// A move that was half over at `at` and took so long, blocks.
fn moved(at: f64, took: f64, delta: f64) -> Move {
    Move {
        at,
        moved: (at - took, at + took),
        took,
        unseen: 0.0,
        delta,
        sigma: 0.5,
        steady_after: true,
    }
}

#[test]
fn a_slow_lift_that_rests_half_way_is_waited_for() {
    const UNITS: [f64; 2] = [300.0, 80.0];
    // Name, moves as time, length and grams, blocks since, and whether it goes on.
    type Case<'a> = (&'a str, &'a [(f64, f64, f64)], f64, bool);
    let table: &[Case<'_>] = &[
        ("nothing", &[], 5.0, false),
        ("half of one", &[(20.0, 10.0, -140.0)], 5.0, true),
        (
            "half of one, long ago",
            &[(20.0, 10.0, -140.0)],
            80.0,
            false,
        ),
        ("one", &[(20.0, 10.0, -300.0)], 5.0, false),
        ("two", &[(20.0, 10.0, -600.0)], 5.0, false),
        ("another product", &[(20.0, 10.0, -80.5)], 5.0, false),
        (
            "the second half of one",
            &[(20.0, 10.0, -140.0), (40.0, 10.0, -160.0)],
            5.0,
            false,
        ),
        (
            "the second third of one",
            &[(20.0, 10.0, -140.0), (40.0, 10.0, -60.0)],
            5.0,
            true,
        ),
        ("at once", &[(20.0, 2.0, -140.0)], 5.0, false),
        ("put down", &[(20.0, 10.0, 140.0)], 5.0, false),
        (
            "half of one after a pick",
            &[(10.0, 2.0, -300.0), (30.0, 10.0, -140.0)],
            5.0,
            true,
        ),
    ];
    for (name, moves, since, expected) in table {
        let moves: Vec<Move> = moves
            .iter()
            .map(|&(at, took, g)| moved(at, took, g))
            .collect();
        let end = moves.last().map_or(0.0, |m| m.at) + since;
        let movement = Movement {
            moves,
            ..Movement::default()
        };
        assert_eq!(rests_half_way(&movement, end, &UNITS), *expected, "{name}");
    }
}
