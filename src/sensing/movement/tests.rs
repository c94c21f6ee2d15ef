//! What is read out of made-up traces.

use super::*;

/// Grams of 50 ms blocks from stretches `(from, to, blocks)`, with a little deterministic noise.
fn trace(stretches: &[(f64, f64, usize)]) -> Trace {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24) - 0.5
    };
    let along = |&(from, to, blocks): &(f64, f64, usize)| {
        (0..blocks).map(move |i| from + (to - from) * (i as f64 + 0.5) / blocks as f64)
    };
    let grams: Vec<f64> = stretches.iter().flat_map(along).collect();
    Trace::whole(grams.into_iter().map(|v| v + noise()).collect())
}

fn deltas(movement: &Movement) -> Vec<f64> {
    movement.moves.iter().map(|m| m.delta).collect()
}

#[test]
fn moves_of_made_up_traces() {
    // Name, stretches, and the grams of each move.
    type Case<'a> = (&'a str, &'a [(f64, f64, usize)], &'a [f64]);
    let table: &[Case<'_>] = &[
        ("nothing", &[(0.0, 0.0, 40)], &[]),
        ("a pick", &[(0.0, 0.0, 20), (-400.0, -400.0, 20)], &[-400.0]),
        ("a small step", &[(0.0, 0.0, 20), (2.0, 2.0, 20)], &[]),
        ("drift", &[(0.0, 8.0, 120)], &[]),
        (
            "two picks 0.15 s apart",
            &[(0.0, 0.0, 20), (-80.0, -80.0, 3), (-160.0, -160.0, 20)],
            &[-80.0, -80.0],
        ),
        (
            "a pick and its put-back",
            &[(0.0, 0.0, 20), (-200.0, -200.0, 30), (0.0, 0.0, 20)],
            &[-200.0, 200.0],
        ),
        (
            "a footstep",
            &[(0.0, 0.0, 20), (80.0, 80.0, 1), (0.0, 0.0, 20)],
            &[],
        ),
        (
            "a slow lift is one move",
            &[(0.0, 0.0, 20), (0.0, -300.0, 40), (-300.0, -300.0, 20)],
            &[-300.0],
        ),
        (
            "a pick beside a leaning hand",
            &[
                (0.0, 0.0, 20),
                (0.0, 100.0, 30),
                (-100.0, 0.0, 30),
                (0.0, 0.0, 20),
            ],
            &[100.0, -200.0, 100.0],
        ),
    ];
    for (name, stretches, expected) in table {
        let found = deltas(&read(&trace(stretches), 0.5, 6.0));
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        for (f, e) in found.iter().zip(*expected) {
            assert!((f - e).abs() < 5.0, "{name}: {found:?}");
        }
    }
}

#[test]
fn a_move_is_timed_where_it_was_half_over() {
    let sudden = read(
        &trace(&[(0.0, 0.0, 20), (0.0, -300.0, 3), (-300.0, -300.0, 20)]),
        0.5,
        6.0,
    );
    assert!((sudden.moves[0].at - 21.0).abs() < 0.1, "{sudden:?}");
    assert!(sudden.moves[0].took < 3.0, "{sudden:?}");
    let slow = read(
        &trace(&[(0.0, 0.0, 20), (0.0, -300.0, 40), (-300.0, -300.0, 20)]),
        0.5,
        6.0,
    );
    assert!((slow.moves[0].at - 39.5).abs() < 0.3, "{slow:?}");
    assert!((slow.moves[0].took - 32.0).abs() < 1.0, "{slow:?}");
}

#[test]
fn what_happened_without_readings_was_some_time_in_between() {
    let mut gap = trace(&[(0.0, 0.0, 20), (-300.0, -300.0, 20)]);
    for at in &mut gap.at[20..] {
        *at += 30;
    }
    let found = read(&gap, 0.5, 6.0);
    assert_eq!(found.moves.len(), 1, "{found:?}");
    assert!((found.moves[0].at - 34.5).abs() < 0.1, "{found:?}");
    assert!((found.moves[0].unseen - 30.0).abs() < 0.1, "{found:?}");
}

#[test]
fn ringing_belongs_to_the_step_before_it() {
    let ring = [
        (0.0, 0.0, 20),
        (-2_040.0, -2_040.0, 2),
        (-1_990.0, -1_990.0, 2),
        (-2_000.0, -2_000.0, 30),
    ];
    let found = read(&trace(&ring), 0.5, 6.0);
    assert_eq!(found.moves.len(), 1, "{found:?}");
    assert!((found.moves[0].delta + 2_000.0).abs() < 2.0, "{found:?}");
}

#[test]
fn only_what_goes_on_and_on_wanders() {
    let still = |blocks: usize| (0.0, 0.0, blocks);
    // Name, stretches, where items moved, and whether it wanders.
    type Case<'a> = (&'a str, Vec<(f64, f64, usize)>, &'a [(f64, f64)], bool);
    let swaying = [(0.0, 25.0, 12), (25.0, -10.0, 16), (-10.0, 30.0, 15)].repeat(3);
    let table: &[Case<'_>] = &[
        ("nothing", vec![still(60)], &[], false),
        ("too little to say", swaying[..1].to_vec(), &[], false),
        (
            "a pick",
            vec![still(30), (-400.0, -400.0, 40)],
            &[(29.0, 30.0)],
            false,
        ),
        (
            "a press",
            vec![still(40), (60.0, 60.0, 5), still(20)],
            &[],
            false,
        ),
        (
            "somebody walks by",
            [(20.0, 20.0, 1), still(10)].repeat(5),
            &[],
            false,
        ),
        ("a hand that sways", swaying, &[], true),
    ];
    for (name, stretches, items, wanders) in table {
        let grams = wander(&trace(stretches), items, 0.5);
        assert_eq!(grams > 5.0, *wanders, "{name}: {grams}");
        assert!(*wanders || grams < 1.0, "{name}: {grams}");
    }
}
