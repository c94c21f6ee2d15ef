//! What holds for whatever is done to a shelf.

use proptest::prelude::*;

use super::super::NodeSensor;
use super::changes;
use super::trace::{self, Effect, Trace, seconds, sense};
use crate::observation::{ChangeKind, OpenInterval, ShelfObservation, Stood};
use crate::recording::Record;
use crate::units::Timestamp;

/// What somebody may do to the shelf, anywhere in 12 s: small things that are noticed late among them.
fn doing() -> impl Strategy<Value = (u16, Effect)> {
    let plate = 1..=trace::PLATES as u16;
    let grams = prop_oneof![-40.0..-6.0, 6.0..40.0, -800.0..-40.0, 40.0..800.0];
    let effect =
        (0.5..11.0, 0.05..3.0, grams, 0..6).prop_map(|(from, seconds, grams, kind)| match kind {
            0 => Effect::Press {
                from,
                seconds,
                grams,
            },
            1 | 2 => Effect::Step {
                at: from,
                over_s: seconds / 3.0,
                grams,
            },
            3 => Effect::Ring { from, grams },
            4 => Effect::Steps {
                from,
                seconds,
                grams: grams / 10.0,
            },
            _ => Effect::Mute {
                from,
                seconds: seconds / 3.0,
            },
        });
    (plate, effect)
}

/// A trace and its batches, one of which may be lost.
fn doings() -> impl Strategy<Value = (Trace, usize, Option<usize>)> {
    let rate = prop_oneof![Just(10.0), Just(60.0), Just(60.0), Just(80.0)];
    let noise = prop_oneof![Just(0.4), Just(1.0), Just(4.0), Just(10.0)];
    let effects = prop::collection::vec(doing(), 0..8);
    let samples = prop_oneof![Just(1_usize), Just(5), Just(10), Just(12), Just(60)];
    let lost = prop::option::of(0_usize..60);
    (effects, rate, noise, 0_u64..1_000, samples, lost).prop_map(
        |(effects, rate_hz, noise_g, seed, samples, lost)| {
            let trace = Trace {
                rate_hz,
                noise_g,
                ..Trace::quiet(seed)
            };
            (trace.with(&effects), samples, lost)
        },
    )
}

/// What stood in between, whenever that was: to the microsecond its moments depend on how far from nothing time is.
fn untimed(stood: Stood) -> Stood {
    Stood {
        from: Timestamp(0),
        until: Timestamp(0),
        ..stood
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_promise_is_kept((trace, samples, lost) in doings()) {
        let mut records = trace.batches(samples);
        if let Some(lost) = lost.filter(|l| *l < records.len()) {
            records.remove(lost);
        }
        let mut sensor = NodeSensor::new(trace::store());
        let mut promised: Vec<(Timestamp, Vec<OpenInterval>)> = Vec::new();
        let mut said = 0;
        for record in records.iter().map(Some).chain([None]) {
            let mut out = Vec::new();
            match record {
                Some(record) => sensor.push(record, &mut out),
                None => sensor.finish(&mut out),
            }
            for change in changes(out) {
                said += 1;
                prop_assert!(change.start <= change.end);
                for (at, open) in &promised {
                    let shelf_open = open.iter()
                        .any(|o| o.shelf == change.shelf && o.since <= change.start);
                    prop_assert!(
                        change.start > *at || shelf_open,
                        "{change:?} begins before {at}, and open were {open:?}",
                    );
                    // What comes late is decided late: it must be due after everything that was promised before.
                    prop_assert!(change.end > *at, "{change:?} is over before {at} was promised");
                }
            }
            if let Some(record) = record {
                promised.push(sensor.promise(record.at()));
            }
        }
        prop_assert!(said < 40);
    }

    #[test]
    fn how_samples_come_in_batches_changes_nothing((trace, _, _) in doings()) {
        let told = |samples: usize| -> Vec<ShelfObservation> {
            // Times are rounded to the microsecond by each batch for itself.
            let rounded = |t: Timestamp| trace::at((seconds(t) * 1e3).round() / 1e3);
            (changes(sense(&trace.batches(samples))).into_iter())
                .map(|c| ShelfObservation {
                    start: rounded(c.start),
                    peak: rounded(c.peak),
                    end: rounded(c.end),
                    stood: c.stood.map(untimed),
                    peak_error_us: (c.peak_error_us + 500) / 1_000,
                    ..c
                })
                .collect()
        };
        let one_by_one = told(1);
        for samples in [10, 12, 60] {
            prop_assert_eq!(&told(samples), &one_by_one);
        }
    }

    #[test]
    fn a_time_shift_changes_nothing((trace, samples, _) in doings(), shift_us in 0_i64..10_000_000_000) {
        let shifted = |shift_us: i64| -> Vec<ShelfObservation> {
            let mut records = trace.batches(samples);
            for record in &mut records {
                if let Record::Scale(batch) = record {
                    batch.first_at = Timestamp(batch.first_at.0 + shift_us);
                }
            }
            let back = |t: Timestamp| Timestamp(t.0 - shift_us);
            (changes(sense(&records)).into_iter())
                .map(|c| ShelfObservation {
                    start: back(c.start),
                    peak: back(c.peak),
                    end: back(c.end),
                    stood: c.stood.map(untimed),
                    ..c
                })
                .collect()
        };
        prop_assert_eq!(shifted(shift_us), shifted(0));
    }

    #[test]
    fn a_press_without_a_change_is_no_item(
        plate in 1..=trace::PLATES as u16,
        seconds in 0.1..1.0,
        grams in 15.0..900.0,
        seed in 0_u64..1_000,
    ) {
        let press = Effect::Press { from: 5.0, seconds, grams };
        let found = changes(sense(&Trace::quiet(seed).with(&[(plate, press)]).batches(12)));
        prop_assert!(found.iter().all(|c| c.kind == ChangeKind::Touch), "{found:?}");
    }
}
