//! What a node says of made-up traces.

mod hard;
mod properties;
mod trace;

use super::NodeSensor;
use crate::observation::ChangeKind::{Put, Take, Touch};
use crate::observation::{
    ChangeKind, GateEvent, GateObservation, Observation, Pose, ShelfObservation,
};
use crate::recording::{BodyFrame, GateRecord, Record};
use crate::units::Timestamp;
use trace::{Effect, Trace, seconds, sense};

/// What must be said: the kind, when, and the grams of each plate.
type Said<'a> = (ChangeKind, f64, &'a [(u16, f64)]);

/// A pick as it happens: the plate rings afterwards, and its neighbours feel some of it.
fn pick(plate: u16, at: f64, grams: f64) -> Vec<(u16, Effect)> {
    let step = Effect::Step {
        at,
        over_s: 0.15,
        grams: -grams,
    };
    let ring = |share: f64| Effect::Ring {
        from: at + 0.07,
        grams: share * grams,
    };
    let mut effects = vec![(plate, step), (plate, ring(0.015))];
    for neighbour in [plate - 1, plate + 1] {
        effects.push((neighbour, ring(0.01)));
    }
    effects
}

fn press(plate: u16, from: f64, seconds: f64, grams: f64) -> (u16, Effect) {
    let press = Effect::Press {
        from,
        seconds,
        grams,
    };
    (plate, press)
}

fn step(plate: u16, at: f64, over_s: f64, grams: f64) -> (u16, Effect) {
    (plate, Effect::Step { at, over_s, grams })
}

fn changes(observations: Vec<Observation>) -> Vec<ShelfObservation> {
    (observations.into_iter())
        .map(|observation| match observation {
            Observation::Shelf(change) => change,
            Observation::Vision(_)
            | Observation::Body(_)
            | Observation::Gate(_)
            | Observation::Gap(_) => {
                panic!("there are only scales")
            }
        })
        .collect()
}

/// Why what was said is not what must be said, if so.
fn wrong(found: &[ShelfObservation], expected: &[Said<'_>]) -> Option<String> {
    const GRAMS: f64 = 3.0;
    const SECONDS: f64 = 0.15;
    let mut found: Vec<&ShelfObservation> = found.iter().collect();
    found.sort_by_key(|change| change.peak);
    let shown = || -> Vec<String> {
        (found.iter())
            .map(|c| {
                let plates: Vec<String> = (c.plates.iter())
                    .map(|p| format!("{}: {}", p.plate, p.delta_mg))
                    .collect();
                format!("{:?} at {:.2} of {plates:?}", c.kind, seconds(c.peak))
            })
            .collect()
    };
    if found.len() != expected.len() {
        return Some(format!("{:?}", shown()));
    }
    // What happens at one moment may be said in any order.
    let mut left = found.clone();
    for (kind, peak, plates) in expected {
        let is_it = |change: &&ShelfObservation| {
            let in_time = (seconds(change.peak) - peak).abs() <= SECONDS;
            let in_order = change.start <= change.peak && change.peak <= change.end;
            let grams = (change.plates.iter().zip(*plates)).all(|(found, (plate, grams))| {
                found.plate == *plate && (found.delta_mg.grams() - grams).abs() <= GRAMS
            });
            let same = change.plates.len() == plates.len() && grams;
            change.kind == *kind && in_time && in_order && same
        };
        let Some(index) = left.iter().position(is_it) else {
            return Some(format!("{:?}", shown()));
        };
        left.remove(index);
    }
    None
}

/// Holds each case of a table against several seeds.
fn hold(
    traces: &[(&str, Vec<(u16, Effect)>, &[Said<'_>])],
    make: impl Fn(u64) -> Trace,
    samples: usize,
) {
    let mut all_wrong = Vec::new();
    for (name, effects, expected) in traces {
        for seed in 1..=6 {
            let records = make(seed).with(effects).batches(samples);
            let found = changes(sense(&records));
            all_wrong.extend(wrong(&found, expected).map(|w| format!("{name}, seed {seed}: {w}")));
        }
    }
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n"));
}

fn cases() -> Vec<(&'static str, Vec<(u16, Effect)>, &'static [Said<'static>])> {
    let with = |mut all: Vec<(u16, Effect)>, more: &[(u16, Effect)]| {
        all.extend_from_slice(more);
        all
    };
    vec![
        ("nothing", vec![], &[]),
        (
            "a pick",
            pick(5, 5.0, 300.0),
            &[(Take, 5.0, &[(5, -300.0)])],
        ),
        (
            "a light pick",
            pick(5, 5.0, 20.0),
            &[(Take, 5.0, &[(5, -20.0)])],
        ),
        (
            "a heavy pick",
            pick(5, 5.0, 2_000.0),
            &[(Take, 5.0, &[(5, -2_000.0)])],
        ),
        (
            "a put",
            vec![step(5, 5.0, 0.15, 300.0)],
            &[(Put, 5.0, &[(5, 300.0)])],
        ),
        (
            "a pick after a press",
            with(pick(5, 5.0, 300.0), &[press(5, 4.5, 0.45, 150.0)]),
            &[(Take, 5.0, &[(5, -300.0)])],
        ),
        (
            "a put with a press after it",
            vec![step(5, 5.0, 0.15, 300.0), press(5, 5.1, 0.4, 200.0)],
            &[(Put, 5.0, &[(5, 300.0)])],
        ),
        (
            "an item across two plates",
            vec![step(5, 5.0, 0.15, -180.0), step(6, 5.02, 0.15, -120.0)],
            &[(Take, 5.0, &[(5, -180.0), (6, -120.0)])],
        ),
        (
            "leak to neighbours",
            with(
                pick(5, 5.0, 600.0),
                &[step(4, 5.0, 0.15, -15.0), step(6, 5.0, 0.15, -7.0)],
            ),
            &[(Take, 5.0, &[(5, -600.0)])],
        ),
        (
            "two picks 2 s apart",
            with(pick(5, 5.0, 300.0), &pick(5, 7.0, 300.0)),
            &[(Take, 5.0, &[(5, -300.0)]), (Take, 7.0, &[(5, -300.0)])],
        ),
        (
            "a pick and its put-back",
            with(pick(5, 5.0, 300.0), &[step(5, 8.0, 0.15, 300.0)]),
            &[(Take, 5.0, &[(5, -300.0)]), (Put, 8.0, &[(5, 300.0)])],
        ),
        (
            "two picks at once, far apart",
            with(pick(2, 5.0, 300.0), &pick(10, 5.0, 500.0)),
            &[(Take, 5.0, &[(2, -300.0)]), (Take, 5.0, &[(10, -500.0)])],
        ),
        (
            "a slow lift",
            vec![step(5, 5.0, 1.0, -300.0)],
            &[(Take, 5.0, &[(5, -300.0)])],
        ),
        (
            "ringing",
            vec![(
                5,
                Effect::Ring {
                    from: 5.0,
                    grams: 20.0,
                },
            )],
            &[],
        ),
        (
            "somebody walks by",
            (1..=12)
                .map(|p| {
                    (
                        p,
                        Effect::Steps {
                            from: 4.0,
                            seconds: 4.0,
                            grams: 10.0,
                        },
                    )
                })
                .collect(),
            &[],
        ),
        (
            "a pick while somebody walks by",
            with(
                pick(5, 5.0, 300.0),
                &(1..=12)
                    .map(|p| {
                        (
                            p,
                            Effect::Steps {
                                from: 3.0,
                                seconds: 5.0,
                                grams: 4.0,
                            },
                        )
                    })
                    .collect::<Vec<_>>(),
            ),
            &[(Take, 5.0, &[(5, -300.0)])],
        ),
        (
            "drift",
            (1..=12)
                .map(|p| (p, Effect::Drift { grams: 30.0 }))
                .collect(),
            &[],
        ),
        (
            "a pick on a plate that drifts",
            with(pick(5, 5.0, 300.0), &[(5, Effect::Drift { grams: 30.0 })]),
            &[(Take, 5.0, &[(5, -300.0)])],
        ),
        (
            "a plate that says nothing at all",
            with(
                pick(5, 5.0, 300.0),
                &[(
                    6,
                    Effect::Mute {
                        from: 0.0,
                        seconds: 99.0,
                    },
                )],
            ),
            &[(Take, 5.0, &[(5, -300.0)])],
        ),
        (
            "a plate that begins to speak just before a pick",
            with(
                pick(5, 5.0, 300.0),
                &[(
                    5,
                    Effect::Mute {
                        from: 0.0,
                        seconds: 4.0,
                    },
                )],
            ),
            &[(Take, 5.0, &[(5, -300.0)])],
        ),
    ]
}

#[test]
fn changes_at_60_hz() {
    hold(&cases(), Trace::quiet, 12);
}

#[test]
fn touches_are_touches() {
    let mut cases = Vec::new();
    for tenths in 2..=9 {
        let length_s = 0.1 * f64::from(tenths);
        cases.extend([60.0, 300.0, 1_500.0].map(|grams| (length_s, grams)));
        // What is lifted for longer is picked up and put back: that is said, and comes to nothing.
        if tenths <= 6 {
            cases.push((length_s, -120.0));
        }
    }
    let mut all_wrong = Vec::new();
    for (length_s, grams) in cases {
        for seed in 1..=3 {
            let from = 5.0;
            let trace = Trace::quiet(seed).with(&[press(5, from, length_s, grams)]);
            let found = changes(sense(&trace.batches(12)));
            // So short a press may pass for a footstep.
            let needed = usize::from(length_s > 0.25);
            let touched = |c: &ShelfObservation| {
                c.kind == Touch && (from..=from + length_s).contains(&seconds(c.peak))
            };
            let ok = (needed..=1).contains(&found.len()) && found.iter().all(touched);
            if !ok {
                let expected: [Said<'_>; 0] = [];
                all_wrong.push(format!(
                    "{length_s:.1} s of {grams} g: {:?}",
                    wrong(&found, &expected)
                ));
            }
        }
    }
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n"));
}

#[test]
fn what_is_lifted_for_most_of_a_second_comes_back() {
    for tenths in 7..=9 {
        let length_s = 0.1 * f64::from(tenths);
        let until = 5.0 + length_s - 0.1;
        let lift = ("a lift", vec![press(5, 5.0, length_s, -120.0)]);
        let said = [
            (Take, 5.05, &[(5, -120.0)][..]),
            (Put, until, &[(5, 120.0)]),
        ];
        hold(&[(lift.0, lift.1, &said)], Trace::quiet, 12);
    }
}

#[test]
fn gaps_are_no_changes() {
    let mut cases: Vec<(String, Vec<(u16, Effect)>, &[Said<'_>])> = Vec::new();
    for seconds in [0.05, 0.1, 0.2, 0.5, 1.0] {
        let mute = |from| (5, Effect::Mute { from, seconds });
        let took: &[Said<'_>] = &[(Take, 5.0, &[(5, -300.0)])];
        cases.push((format!("{seconds} s of nothing"), vec![mute(5.0)], &[]));
        for from in [3.8, 5.2, 5.6, 6.2] {
            let mut effects = pick(5, 5.0, 300.0);
            effects.push(mute(from));
            cases.push((
                format!("a pick, mute from {from} s for {seconds} s"),
                effects,
                took,
            ));
        }
    }
    let cases: Vec<(&str, Vec<(u16, Effect)>, &[Said<'_>])> = (cases.iter())
        .map(|(name, effects, said)| (name.as_str(), effects.clone(), *said))
        .collect();
    hold(&cases, Trace::quiet, 12);
}

#[test]
fn other_rates() {
    for rate_hz in [10.0, 80.0] {
        let make = |seed| Trace {
            rate_hz,
            ..Trace::quiet(seed)
        };
        hold(&cases(), make, (rate_hz / 5.0) as usize);
    }
}

#[test]
fn a_lost_batch_is_no_change_and_hides_none() {
    let mut all_wrong = Vec::new();
    for lost in 20..32 {
        for seed in 1..=3 {
            let mut records = Trace::quiet(seed).with(&pick(5, 5.0, 300.0)).batches(12);
            let Record::Scale(batch) = records.remove(lost) else {
                unreachable!()
            };
            let hidden = batch.first_at <= trace::at(5.0) && trace::at(4.8) <= batch.last_at();
            let found = changes(sense(&records));
            // Within the lost batch nobody knows when it was.
            let peak = found
                .first()
                .map_or(0.0, |c| if hidden { 5.0 } else { seconds(c.peak) });
            let found: Vec<ShelfObservation> = (found.into_iter())
                .map(|c| ShelfObservation {
                    peak: trace::at(peak),
                    start: trace::at(peak),
                    ..c
                })
                .collect();
            let expected: &[Said<'_>] = &[(Take, 5.0, &[(5, -300.0)])];
            all_wrong
                .extend(wrong(&found, expected).map(|w| format!("batch {lost}, seed {seed}: {w}")));
        }
    }
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n"));
}

#[test]
fn a_gate_and_a_camera_promise_nothing_about_this_very_moment() {
    let mut sensor = NodeSensor::new(trace::store());
    let mut out = Vec::new();
    let gate = |event| {
        let observation = GateObservation {
            at: trace::at(1.0),
            event,
        };
        let node = "door".into();
        Record::Gate(GateRecord { node, observation })
    };
    sensor.push(&gate(GateEvent::PassedOut), &mut out);
    let (promised, _) = sensor.promise(trace::at(1.0));
    sensor.push(&gate(GateEvent::PassedIn), &mut out);
    assert!(out.iter().all(|o| o.start() > promised), "{out:?}");
    assert_eq!(
        sensor.promise(trace::at(9.0)).0,
        Timestamp(trace::at(9.0).0 - 1)
    );

    let frame = |t: f64| {
        let pose = Pose {
            at: trace::at(t),
            head: None,
            hands: vec![],
        };
        Record::Body(BodyFrame {
            node: "door".into(),
            at: trace::at(t),
            bodies: vec![("ann".into(), pose)],
        })
    };
    sensor.push(&frame(10.0), &mut out);
    sensor.push(&frame(10.1), &mut out);
    let begun = trace::at(10.0);
    assert_eq!(sensor.promise(trace::at(10.1)).0, Timestamp(begun.0 - 1));
}
