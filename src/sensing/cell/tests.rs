//! What a plate takes for a guest that leaves.

use super::*;

/// What each of some moves of one plate, as grams and the level after it, is said to weigh.
fn received(moves: &[(f64, f64)]) -> Vec<f64> {
    let mut cell = Cell::new(Place {
        plate: 1,
        column: 0,
        units: vec![300.0],
    });
    let mut level = 0.0;
    // A guest has come to stay when the next move is later than a press.
    (moves.iter().zip((0..).step_by(100)))
        .map(|(&(delta, after), since)| {
            let levels = Levels {
                before: Some(level),
                after: Some(after),
            };
            level = after;
            cell.received(delta, levels, since)
        })
        .collect()
}

#[test]
fn a_plate_that_is_back_at_its_level_is_rid_of_what_came() {
    // Name, moves as grams and level after, and what they are said to weigh.
    type Case<'a> = (&'a str, &'a [(f64, f64)], &'a [f64]);
    let table: &[Case<'_>] = &[
        (
            "comes and goes",
            &[(400.0, 400.0), (-400.0, 0.0)],
            &[400.0, -400.0],
        ),
        (
            "sags meanwhile, and the plate is bare again",
            &[(400.0, 400.0), (-340.0, 2.0)],
            &[400.0, -400.0],
        ),
        (
            "sags, and leaves something",
            &[(400.0, 400.0), (-340.0, 60.0)],
            &[400.0, -340.0],
        ),
        (
            "a unit is taken from beside it",
            &[(700.0, 700.0), (-300.0, 400.0), (-640.0, -298.0)],
            &[700.0, -300.0, -700.0],
        ),
        (
            "less than half of it leaves",
            &[(700.0, 700.0), (-300.0, 0.0)],
            &[700.0, -300.0],
        ),
        (
            "too light for a guest",
            &[(60.0, 60.0), (-50.0, 1.0)],
            &[60.0, -50.0],
        ),
    ];
    for (name, moves, expected) in table {
        let found = received(moves);
        assert_eq!(found, *expected, "{name}");
    }
}
