//! The simulator: its records obey physics, its truth and its records tell the same story, and the seed decides all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use stroll::checkout::entry_code::EntryCode;
use stroll::edge::recording::{OpenOptions, open};
use stroll::observation::{GateEvent, Pose, TrackId};
use stroll::recording::{Record, Recording, TrueEvent, Truth};
use stroll::simulate::{self, Options, Store};
use stroll::store::definition::{NANOSTORE, NANOSTORE_FILE, parse};
use stroll::store::{Definition, PlateId, ShelfId};
use stroll::units::{Point, Timestamp};

fn nanostore() -> Arc<Definition> {
    let (definition, _) =
        parse(NANOSTORE, NANOSTORE_FILE).expect("the shipped definition is right");
    Arc::new(definition)
}

fn corner_file() -> String {
    format!("{}/deploy/corner.toml", env!("CARGO_MANIFEST_DIR"))
}

/// Several shoppers who come soon after each other.
fn crowd() -> Options {
    Options {
        arrival_s_mean: 3.0,
        ..Options::default()
    }
}

fn truth(recording: &Recording) -> &Truth {
    recording
        .truth
        .as_ref()
        .expect("a simulation knows the truth")
}

fn stroll(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stroll"))
        .args(args)
        .output()
        .expect("the executable starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the test is UTF-8")
}

/// What each body looked like, by time.
fn poses(recording: &Recording) -> BTreeMap<TrackId, Vec<Pose>> {
    let mut poses: BTreeMap<TrackId, Vec<Pose>> = BTreeMap::new();
    for record in &recording.records {
        if let Record::Body(frame) = record {
            for (track, pose) in &frame.bodies {
                poses.entry(track.clone()).or_default().push(pose.clone());
            }
        }
    }
    poses
}

fn plates(event: &TrueEvent) -> impl Iterator<Item = PlateId> {
    event.plates.iter().map(|&[gondola, shelf, plate]| PlateId {
        shelf: ShelfId { gondola, shelf },
        plate,
    })
}

#[test]
fn the_same_seed_gives_the_same_records_and_another_seed_others() {
    let store = nanostore();
    let first = simulate::record(&store, 11, 3, crowd());
    let again = simulate::record(&store, 11, 3, crowd());
    let other = simulate::record(&store, 12, 3, crowd());
    assert_eq!(first.records, again.records);
    assert_eq!(first.truth, again.truth);
    assert_ne!(first.records, other.records);
    assert_ne!(first.truth, other.truth);
}

#[test]
fn records_come_in_order_without_a_hole() {
    let recording = simulate::record(&nanostore(), 5, 2, crowd());
    let names: Vec<&str> = recording.nodes.iter().map(|node| node.as_str()).collect();
    assert_eq!(
        names,
        [
            "ceiling",
            "gate",
            "gondola-1",
            "gondola-2",
            "gondola-3",
            "gondola-4"
        ]
    );
    let keys: Vec<_> = (recording.records.iter())
        .map(|record| (record.at(), record.node()))
        .collect();
    assert!(keys.is_sorted());

    let mut next_at: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut frames = Vec::new();
    for record in &recording.records {
        match record {
            Record::Scale(batch) => {
                assert_eq!((batch.samples(), batch.group.rate_hz), (12, 60.0));
                let due = next_at.insert(batch.group.node.as_str(), batch.sample_at(12));
                assert!(
                    due.is_none_or(|due| due == batch.first_at),
                    "{}",
                    batch.first_at
                );
            }
            Record::Body(frame) => frames.push(frame.at),
            Record::Gate(_) => {}
        }
    }
    assert_eq!(next_at.len(), 4);
    let seconds = frames[frames.len() - 1].seconds_since(frames[0]);
    let rate_hz = (frames.len() - 1) as f64 / seconds;
    assert!((14.5..15.5).contains(&rate_hz), "{rate_hz} frames a second");
}

#[test]
fn receipts_are_what_the_events_leave() {
    let mut put_backs = 0;
    for seed in 1..=8 {
        let recording = simulate::record(&nanostore(), seed, 4, crowd());
        let truth = truth(&recording);
        assert_eq!(truth.receipts.len(), 4);
        assert!(truth.events.is_sorted_by_key(|event| event.t));
        for receipt in &truth.receipts {
            let id = receipt.target_id.as_str();
            assert!(
                matches!(id.len(), 17 | 18) && id.bytes().all(|b| b.is_ascii_digit()),
                "{id}"
            );
            let mut held: BTreeMap<_, i64> = BTreeMap::new();
            for event in truth
                .events
                .iter()
                .filter(|e| e.target_id == receipt.target_id)
            {
                let sign = match event.kind.as_str() {
                    "pick" => 1,
                    "put_back" => -1,
                    "touch" => continue,
                    other => panic!("unknown kind {other}"),
                };
                put_backs += usize::from(sign < 0);
                let quantity = i64::from(event.quantity.unwrap());
                assert!((1..=3).contains(&quantity));
                let held = held.entry(event.barcode.clone().unwrap()).or_default();
                *held += sign * quantity;
                assert!(*held >= 0, "put back what was never taken: {event:?}");
            }
            held.retain(|_, quantity| *quantity > 0);
            let lines: BTreeMap<_, i64> = (receipt.products.iter())
                .map(|line| (line.barcode.clone(), i64::from(line.quantity)))
                .collect();
            assert_eq!(lines, held, "seed {seed}");
        }
    }
    assert!(put_backs > 0, "eight trips without a put-back test nothing");
}

#[test]
fn what_the_truth_says_left_has_left_the_plates() {
    let store = nanostore();
    for seed in 1..=4 {
        let recording = simulate::record(&store, seed, 3, crowd());
        let truth = truth(&recording);
        let mut touched = BTreeSet::new();
        let (mut expected_g, mut moved_g) = (0.0, 0.0);
        for event in &truth.events {
            let Some(code) = &event.barcode else { continue };
            let unit_g = store.catalogue.get(code.as_str()).unwrap().weight.grams();
            let grams = unit_g * f64::from(event.quantity.unwrap());
            moved_g += grams;
            expected_g += if event.kind == "pick" { -grams } else { grams };
            touched.extend(plates(event));
        }
        let weigh = |from: usize, batches: usize| -> f64 {
            let mut sums: BTreeMap<PlateId, f64> = BTreeMap::new();
            let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
            for record in &recording.records {
                let Record::Scale(batch) = record else {
                    continue;
                };
                let index = seen.entry(batch.group.node.as_str()).or_default();
                if (from..from + batches).contains(index) {
                    for (column, plate) in batch.group.plates.iter().enumerate() {
                        let counts = batch
                            .counts
                            .iter()
                            .skip(column)
                            .step_by(batch.group.plates.len());
                        let sum: f64 = counts.map(|&count| f64::from(count)).sum();
                        *sums.entry(*plate).or_default() +=
                            sum / batch.group.counts_per_gram[column] / (12 * batches) as f64;
                    }
                }
                *index += 1;
            }
            touched.iter().map(|plate| sums[plate]).sum()
        };
        let batches = (recording.records.iter())
            .filter(|record| matches!(record, Record::Scale(_)))
            .count()
            / 4;
        let change_g = weigh(batches - 10, 10) - weigh(0, 10);
        let tolerance_g = 10.0 + 0.03 * moved_g;
        assert!(
            (change_g - expected_g).abs() < tolerance_g,
            "seed {seed}: {change_g:.1} g on the plates, {expected_g:.1} g by the truth, {moved_g:.0} g moved"
        );
    }
}

#[test]
fn a_hand_is_at_the_plate_when_something_happens_there() {
    let store = nanostore();
    let recording = simulate::record(&store, 3, 5, crowd());
    let poses = poses(&recording);
    let start = Options::default().start;
    for event in &truth(&recording).events {
        let at = start.plus_seconds(event.t);
        let near = |pose: &&Pose| pose.at.seconds_since(at).abs() < 0.3;
        let reach_m = (poses[&event.target_id].iter().filter(near))
            .flat_map(|pose| &pose.hands)
            .flat_map(|hand| plates(event).map(move |plate| (hand.place, plate)))
            .map(|(hand, plate)| {
                let front = store.layout.plate(plate).unwrap().front;
                (hand.x - front.x).hypot(hand.y - front.y)
            })
            .fold(f64::INFINITY, f64::min);
        assert!(reach_m < 0.3, "{reach_m:.2} m from the hand: {event:?}");
    }
}

#[test]
fn two_bodies_never_stand_in_the_same_place() {
    for seed in 1..=4 {
        let recording = simulate::record(&nanostore(), seed, 8, crowd());
        let poses = poses(&recording);
        // Where a body stands: its head stayed within a hand's breadth for the half second around.
        let mut standing: BTreeMap<Timestamp, Vec<Point>> = BTreeMap::new();
        for track in poses.values() {
            for window in track.windows(9) {
                let heads: Vec<Point> = window
                    .iter()
                    .filter_map(|p| p.head)
                    .map(|s| s.place)
                    .collect();
                if heads.iter().all(|head| head.distance(&heads[4]) < 0.06) {
                    standing.entry(window[4].at).or_default().push(heads[4]);
                }
            }
        }
        for (at, heads) in standing {
            for (i, a) in heads.iter().enumerate() {
                for b in &heads[i + 1..] {
                    // 0.35 m apart, less what the tracker is off.
                    let apart_m = (a.x - b.x).hypot(a.y - b.y);
                    assert!(apart_m > 0.22, "seed {seed}, {at}: {apart_m:.2} m apart");
                }
            }
        }
    }
}

#[test]
fn everybody_shows_a_good_code_and_passes_in_and_out_once() {
    let store = nanostore();
    let (seed, shoppers) = (9, 6);
    let recording = simulate::record(&store, seed, shoppers, crowd());
    let simulated = Store::new(
        &store,
        seed,
        Options {
            shoppers: Some(shoppers),
            ..crowd()
        },
    );
    let keys: BTreeMap<_, _> = simulated.devices().iter().cloned().collect();
    assert_eq!(keys.len(), shoppers as usize);
    assert_eq!(simulate::device(seed, 4), simulated.devices()[4]);

    let (mut devices, mut ins, mut outs) = (Vec::new(), 0, 0);
    for record in &recording.records {
        let Record::Gate(gate) = record else { continue };
        match &gate.observation.event {
            GateEvent::CodeShown { code } => {
                let code = EntryCode::parse(code).unwrap();
                let verdict = code.verify(&store.id, &keys[&code.device], gate.observation.at);
                assert_eq!(verdict, Ok(()));
                devices.push(code.device);
            }
            GateEvent::PassedIn => ins += 1,
            GateEvent::PassedOut => outs += 1,
        }
        assert!(ins <= devices.len() && outs <= ins);
    }
    devices.sort();
    devices.dedup();
    assert_eq!((devices.len(), ins, outs), (6, 6, 6));
}

#[test]
fn one_shopper_more_changes_nothing_before_he_comes() {
    let store = nanostore();
    let options = Options {
        arrival_s_mean: 30.0,
        ..Options::default()
    };
    let alone = simulate::record(&store, 2, 1, options.clone());
    let both = simulate::record(&store, 2, 2, options);
    let second_at = (both.records.iter())
        .filter_map(|record| match record {
            Record::Gate(gate) => match gate.observation.event {
                GateEvent::CodeShown { .. } => Some(gate.observation.at),
                GateEvent::PassedIn | GateEvent::PassedOut => None,
            },
            Record::Scale(_) | Record::Body(_) => None,
        })
        .nth(1)
        .expect("two show a code");
    let before = |recording: &Recording| -> Vec<Record> {
        let records = recording
            .records
            .iter()
            .filter(|record| record.at() < second_at);
        records.cloned().collect()
    };
    let (alone, both) = (before(&alone), before(&both));
    assert!(alone.len() > 100);
    assert_eq!(alone, both[..alone.len()]);
}

#[test]
fn the_command_writes_what_the_library_plays() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    let args = |file| ["simulate", "--seed", "7", "--shoppers", "2", "-o", file];
    let output = stroll(&args(text(&a)));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.starts_with("Simulated 2 shoppers in "), "{said}");
    assert!(stroll(&args(text(&b))).status.success());
    assert!(
        std::fs::read(&a).unwrap() == std::fs::read(&b).unwrap(),
        "not the same bytes"
    );

    let read = open(&a, &OpenOptions::default()).unwrap();
    let played = simulate::record(&nanostore(), 7, 2, Options::default());
    assert_eq!(read.nodes, played.nodes);
    assert_eq!(read.truth, played.truth);
    assert_eq!(read.records, played.records);
}

#[test]
fn the_command_plays_any_store_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("corner.mcap");
    let corner = corner_file();
    let good = ["simulate", "--store", &corner, "-o", text(&file)];
    assert!(stroll(&good).status.success());
    for (args, code, why) in [
        (
            good.to_vec(),
            1,
            "corner.mcap exists already; `--force` overwrites it",
        ),
        (
            vec!["simulate", "-o", "/nowhere/x.mcap"],
            1,
            "/nowhere/x.mcap cannot be written",
        ),
        (
            vec!["simulate", "--store", "none.toml", "-o", text(&file)],
            1,
            "none.toml",
        ),
        (
            vec!["simulate", "--shoppers", "0", "-o", text(&file)],
            2,
            "--shoppers",
        ),
        (vec!["simulate"], 2, "--output"),
    ] {
        let output = stroll(&args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(why), "{args:?}: {said}");
    }
    let forced: Vec<&str> = good.iter().copied().chain(["--force"]).collect();
    assert!(stroll(&forced).status.success());
}
