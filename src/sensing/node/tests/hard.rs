//! What makes it hard: hands that rest, bags, slow lifts, quick picks, and converters that fail.

use super::trace::{Effect, Trace, seconds, sense};
use super::{Said, changes, hold, pick, press, step};
use crate::observation::ChangeKind::{Foreign, Put, Take, Touch, Unsure};
use crate::observation::ShelfObservation;
use crate::recording::Record;

fn lean(plate: u16, from: f64, seconds: f64, grams: f64) -> (u16, Effect) {
    let lean = Effect::Lean {
        from,
        seconds,
        grams,
    };
    (plate, lean)
}

fn both(a: Vec<(u16, Effect)>, b: &[(u16, Effect)]) -> Vec<(u16, Effect)> {
    [&a, b].concat()
}

fn long(seed: u64) -> Trace {
    Trace {
        seconds: 40.0,
        ..Trace::quiet(seed)
    }
}

/// The bench's product weighs 300 g.
#[test]
fn quick_picks_are_told_apart() {
    let twice =
        |plate: u16, apart: f64| both(pick(5, 5.0, 300.0), &pick(plate, 5.0 + apart, 300.0));
    let cases: Vec<(&str, Vec<(u16, Effect)>, &[Said<'_>])> = vec![
        (
            "the same plate, 0.3 s apart",
            twice(5, 0.3),
            &[(Take, 5.0, &[(5, -300.0)]), (Take, 5.3, &[(5, -300.0)])],
        ),
        (
            "the same plate, 0.6 s apart",
            twice(5, 0.6),
            &[(Take, 5.0, &[(5, -300.0)]), (Take, 5.6, &[(5, -300.0)])],
        ),
        (
            "neighbouring plates, 0.3 s apart",
            twice(6, 0.3),
            &[(Take, 5.0, &[(5, -300.0)]), (Take, 5.3, &[(6, -300.0)])],
        ),
        (
            "a pick, and a put-back 0.6 s later",
            both(pick(5, 5.0, 300.0), &[step(5, 5.6, 0.15, 300.0)]),
            &[(Take, 5.0, &[(5, -300.0)]), (Put, 5.6, &[(5, 300.0)])],
        ),
        (
            "four of them in a second",
            both(
                twice(5, 0.35),
                &both(pick(9, 5.2, 300.0), &pick(9, 5.7, 300.0)),
            ),
            &[
                (Take, 5.0, &[(5, -300.0)]),
                (Take, 5.2, &[(9, -300.0)]),
                (Take, 5.35, &[(5, -300.0)]),
                (Take, 5.7, &[(9, -300.0)]),
            ],
        ),
    ];
    hold(&cases, Trace::quiet, 12);
}

#[test]
fn a_slow_lift_is_one_change_whose_moment_is_uncertain() {
    for over_s in [1.0, 2.0, 3.0] {
        for seed in 1..=4 {
            let effects = [
                press(5, 5.0 - over_s / 2.0 - 0.4, 0.3, 40.0),
                step(5, 5.0, over_s, -300.0),
            ];
            let mut found = changes(sense(&Trace::quiet(seed).with(&effects).batches(12)));
            found.retain(|c| c.kind != Touch);
            assert_eq!(found.len(), 1, "{over_s} s, seed {seed}: {found:?}");
            let change = &found[0];
            assert_eq!(change.kind, Take);
            assert!((change.delta().grams() + 300.0).abs() < 3.0, "{change:?}");
            assert!((seconds(change.peak) - 5.0).abs() < 0.1, "{change:?}");
            // From 10 to 90 % a smooth step takes 0.61 of its length.
            let error_s = change.peak_error_us as f64 * 1e-6;
            assert!((error_s - 0.305 * over_s).abs() < 0.06, "{change:?}");
        }
    }
}

#[test]
fn a_slow_put_back_is_one_change_whose_moment_is_uncertain() {
    let slow = |plate: u16, over_s: f64, grams: f64| step(plate, 5.0, over_s, grams);
    for over_s in [1.0, 2.0, 3.0] {
        let begin = 5.0 - over_s / 2.0;
        let cases: Vec<(&str, Vec<(u16, Effect)>, &[Said<'_>])> = vec![
            (
                "what stands there",
                vec![slow(5, over_s, 300.0)],
                &[(Put, 5.0, &[(5, 300.0)])],
            ),
            (
                "across two plates",
                vec![slow(5, over_s, 180.0), slow(6, over_s, 120.0)],
                &[(Put, 5.0, &[(5, 180.0), (6, 120.0)])],
            ),
            (
                "with a press as it begins",
                vec![slow(5, over_s, 300.0), press(5, begin + 0.05, 0.25, 40.0)],
                &[(Put, 5.0, &[(5, 300.0)])],
            ),
            (
                "what belongs elsewhere, or a hand that comes to stay",
                vec![slow(5, over_s, 430.0)],
                &[(Unsure, 5.0, &[(5, 430.0)])],
            ),
        ];
        let cases: Vec<_> = (cases.iter())
            .map(|(name, effects, said)| (*name, effects.clone(), *said))
            .collect();
        hold(&cases, Trace::quiet, 12);
    }
}

#[test]
fn a_hand_that_sways_leaves_what_is_taken_there_uncertain() {
    let sways = |from: f64| {
        let sway = |from: f64, grams: f64| step(5, from, 1.0, grams);
        vec![
            step(5, from, 0.3, 350.0),
            sway(from + 1.6, 35.0),
            sway(from + 3.0, -50.0),
            sway(from + 4.4, 30.0),
        ]
    };
    for seed in 1..=3 {
        let sigma_g = |hand: Vec<(u16, Effect)>| {
            let effects = both(hand, &pick(5, 6.9, 300.0));
            let found = changes(sense(&long(seed).with(&effects).batches(12)));
            let takes = found.iter().filter(|c| c.kind == Take);
            let of: Vec<f64> = takes.map(|c| c.plates[0].sigma_mg.grams()).collect();
            assert_eq!(of.len(), 1, "seed {seed}: {found:?}");
            of[0]
        };
        let (alone, beside) = (sigma_g(vec![]), sigma_g(sways(3.0)));
        assert!(alone < 3.0 && beside > alone, "{alone} and {beside}");
    }
}

#[test]
fn two_hands_at_one_facing_are_no_touch() {
    let cases: Vec<(&str, Vec<(u16, Effect)>, &[Said<'_>])> = vec![
        (
            "put across two plates, and taken from one of them 0.4 s later",
            both(
                vec![step(5, 5.0, 0.15, 140.0), step(6, 5.0, 0.15, 160.0)],
                &pick(6, 5.4, 300.0),
            ),
            &[
                (Put, 5.0, &[(5, 140.0), (6, 160.0)]),
                (Take, 5.4, &[(6, -300.0)]),
            ],
        ),
        (
            "taken from one plate, and another put on the next 0.3 s later",
            both(pick(5, 5.0, 300.0), &[step(6, 5.3, 0.15, 300.0)]),
            &[(Take, 5.0, &[(5, -300.0)]), (Put, 5.3, &[(6, 300.0)])],
        ),
        (
            "taken, and another put there with a press 0.35 s later",
            both(
                pick(5, 5.0, 300.0),
                &[step(5, 5.35, 0.15, 300.0), press(5, 5.42, 0.25, 60.0)],
            ),
            &[(Take, 5.0, &[(5, -300.0)]), (Put, 5.35, &[(5, 300.0)])],
        ),
    ];
    hold(&cases, Trace::quiet, 12);
}

/// Grams of items by what was said, over all plates.
fn items(found: &[ShelfObservation]) -> f64 {
    (found.iter())
        .filter(|c| matches!(c.kind, Take | Put))
        .map(|c| c.delta().grams())
        .sum()
}

#[test]
fn a_leaning_hand_is_no_item() {
    for length_s in [2.5, 5.0, 10.0, 20.0, 30.0] {
        for grams in [120.0, 430.0] {
            for seed in 1..=2 {
                let hand = lean(5, 5.0, length_s, grams);
                let alone = changes(sense(&long(seed).with(&[hand]).batches(12)));
                let what = format!("{length_s} s of {grams} g, seed {seed}");
                assert!(
                    alone
                        .iter()
                        .all(|c| matches!(c.kind, Touch | Foreign | Unsure)),
                    "{what}: {alone:?}"
                );
                // Whatever leaned on the shelf has gone in the end.
                let left: f64 = alone.iter().map(|c| c.delta().grams()).sum();
                assert!(left.abs() < 10.0, "{what}: {alone:?}");
            }
        }
    }
}

#[test]
fn an_item_is_seen_to_leave_from_beside_a_leaning_hand() {
    for length_s in [10.0, 20.0] {
        for seed in 1..=3 {
            let effects = both(
                pick(5, 5.0 + length_s / 2.0, 300.0),
                &[lean(5, 5.0, length_s, 430.0)],
            );
            let found = changes(sense(&long(seed).with(&effects).batches(12)));
            let what = format!("{length_s} s, seed {seed}: {found:?}");
            assert_eq!(found.iter().filter(|c| c.kind == Take).count(), 1, "{what}");
            assert!((items(&found) + 300.0).abs() < 6.0, "{what}");
        }
    }
}

#[test]
fn a_bag_comes_and_goes_and_its_neighbours_stay() {
    let bag = |over_s: f64| {
        let mut effects = vec![];
        for (at, sign) in [(5.0, 1.0), (20.0, -1.0)] {
            let grams = sign * 4_000.0;
            effects.extend([
                step(5, at, over_s, grams),
                step(4, at, over_s, 0.012 * grams),
            ]);
            effects.push(step(6, at, over_s, -0.004 * grams));
            for (plate, share) in [(4, 0.01), (5, 0.02), (6, 0.01)] {
                let ring = Effect::Ring {
                    from: at + over_s / 2.0,
                    grams: share * grams,
                };
                effects.push((plate, ring));
            }
        }
        effects
    };
    let alone: &[Said<'_>] = &[(Put, 5.0, &[(5, 4_000.0)]), (Take, 20.0, &[(5, -4_000.0)])];
    let beside: &[Said<'_>] = &[
        (Put, 5.0, &[(5, 4_000.0)]),
        (Take, 12.0, &[(6, -300.0)]),
        (Take, 20.0, &[(5, -4_000.0)]),
    ];
    let cases = [
        ("a bag", bag(0.2), alone),
        ("a bag that is put down gently", bag(0.6), alone),
        (
            "a pick beside a bag",
            both(bag(0.2), &pick(6, 12.0, 300.0)),
            beside,
        ),
    ];
    hold(&cases, long, 12);
}

#[test]
fn a_converter_that_sticks_invents_nothing_and_hides_nothing() {
    let stick = |from: f64, seconds: f64| (5, Effect::Stick { from, seconds });
    let took: &[Said<'_>] = &[(Take, 15.0, &[(5, -300.0)])];
    let cases: Vec<(&str, Vec<(u16, Effect)>, &[Said<'_>])> = vec![
        ("stuck for a while", vec![stick(12.0, 4.0)], &[]),
        ("stuck for long", vec![stick(12.0, 20.0)], &[]),
        (
            "a pick after it",
            both(pick(5, 15.0, 300.0), &[stick(10.0, 3.0)]),
            took,
        ),
    ];
    hold(&cases, long, 12);
    // What went while it was stuck is known when it reads again, and nobody knows when it was.
    for seconds in [2.4, 6.0, 18.0] {
        let effects = both(pick(5, 14.0, 300.0), &[stick(13.0, seconds)]);
        let found = changes(sense(&long(1).with(&effects).batches(12)));
        assert_eq!(found.len(), 1, "{seconds} s: {found:?}");
        let kind = if seconds > 3.0 { Unsure } else { Take };
        assert_eq!(found[0].kind, kind, "{seconds} s: {found:?}");
        assert!((found[0].delta().grams() + 300.0).abs() < 3.0, "{found:?}");
        assert!(covers(&found[0], 14.0), "{seconds} s: {found:?}");
    }
}

#[test]
fn little_that_went_while_a_plate_was_silent_is_noticed() {
    for grams in [10.0, 14.0, 20.0] {
        for seed in 1..=4 {
            let fault = Effect::Mute {
                from: 13.5,
                seconds: 5.0,
            };
            let effects = both(pick(5, 14.0, grams), &[(5, fault)]);
            let found = changes(sense(&long(seed).with(&effects).batches(12)));
            assert_eq!(found.len(), 1, "{grams} g, seed {seed}: {found:?}");
            assert!((found[0].delta().grams() + grams).abs() < 3.0, "{found:?}");
        }
    }
}

#[test]
fn a_plate_that_sticks_on_its_way_has_not_come_to_rest() {
    let stick = Effect::Stick {
        from: 14.06,
        seconds: 3.0,
    };
    let effects = both(vec![step(5, 14.1, 0.3, -300.0)], &[(5, stick)]);
    for seed in 1..=4 {
        let found = changes(sense(&long(seed).with(&effects).batches(12)));
        assert_eq!(found.len(), 1, "seed {seed}: {found:?}");
        assert!((found[0].delta().grams() + 300.0).abs() < 3.0, "{found:?}");
    }
}

/// Whether a change says that it may have been then.
fn covers(change: &ShelfObservation, at: f64) -> bool {
    let error_s = change.peak_error_us as f64 * 1e-6;
    (seconds(change.peak) - at).abs() <= error_s + 0.1
}

#[test]
fn a_plate_that_says_nothing_hides_nothing() {
    let across = [step(5, 14.0, 0.15, -180.0), step(6, 14.0, 0.15, -120.0)];
    for seconds in [2.4, 6.0, 9.0] {
        let mute = (
            5,
            Effect::Mute {
                from: 13.5,
                seconds,
            },
        );
        let stick = (
            5,
            Effect::Stick {
                from: 13.5,
                seconds,
            },
        );
        for fault in [mute, stick] {
            let what = format!("{fault:?}");
            let found = changes(sense(
                &long(1)
                    .with(&both(pick(5, 14.0, 300.0), &[fault]))
                    .batches(12),
            ));
            assert_eq!(found.len(), 1, "{what}: {found:?}");
            assert!((found[0].delta().grams() + 300.0).abs() < 3.0, "{what}");
            assert!(covers(&found[0], 14.0), "{what}: {found:?}");

            // The plate beside it says when.
            let found = changes(sense(
                &long(1).with(&both(across.to_vec(), &[fault])).batches(12),
            ));
            assert_eq!(found.len(), 1, "{what}: {found:?}");
            assert_eq!(found[0].plates.len(), 2, "{what}: {found:?}");
            assert!((found[0].delta().grams() + 300.0).abs() < 3.0, "{what}");
            assert_eq!(found[0].kind, Take, "{what}: {found:?}");
            assert!((found[0].peak_error_us as f64) < 0.2e6, "{what}: {found:?}");
            assert!(covers(&found[0], 14.0), "{what}: {found:?}");
        }
    }
}

#[test]
fn a_silent_gondola_has_an_uncertain_moment() {
    for missing in [2, 5, 8] {
        let mut records: Vec<Record> = Trace::quiet(2).with(&pick(5, 5.0, 300.0)).batches(12);
        records.drain(24..24 + missing);
        let found = changes(sense(&records));
        assert_eq!(found.len(), 1, "{found:?}");
        let change = &found[0];
        assert!((change.delta().grams() + 300.0).abs() < 3.0, "{change:?}");
        let error_s = change.peak_error_us as f64 * 1e-6;
        assert!(error_s >= 0.08 * missing as f64, "{change:?}");
        assert!(
            (seconds(change.peak) - 5.0).abs() <= error_s + 0.1,
            "{change:?}"
        );
        assert!(change.start <= change.peak && change.peak <= change.end);
    }
}
