//! The hard situations of the simulator: each happens, as often and as hard as it says, and the truth stays honest.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;

use stroll::checkout::entry_code::EntryCode;
use stroll::checkout::session::Role;
use stroll::edge::recording::{OpenOptions, open};
use stroll::observation::{GateEvent, Pose, TrackId};
use stroll::recording::{NO_COUNT, Record, Recording, ScaleBatch, TrueEvent, Truth};
use stroll::simulate::{self, Options, Situation};
use stroll::store::definition::{NANOSTORE, NANOSTORE_FILE, parse};
use stroll::store::{Definition, PlateId, ShelfId};
use stroll::units::Point;

use crate::corner;

const SHOPPERS: u32 = 4;

fn nanostore() -> Arc<Definition> {
    let (definition, _) =
        parse(NANOSTORE, NANOSTORE_FILE).expect("the shipped definition is right");
    Arc::new(definition)
}

fn options(situations: &[Situation]) -> Options {
    Options {
        situations: situations.iter().copied().collect(),
        ..Options::default()
    }
}

/// A simulated day in the NanoStore in which something happens.
struct Played {
    recording: Recording,
    poses: BTreeMap<TrackId, Vec<Pose>>,
}

impl Played {
    fn new(situation: Situation, seed: u64) -> Self {
        let recording = simulate::record(&nanostore(), seed, SHOPPERS, options(&[situation]));
        let mut poses: BTreeMap<TrackId, Vec<Pose>> = BTreeMap::new();
        for record in &recording.records {
            if let Record::Body(frame) = record {
                for (track, pose) in &frame.bodies {
                    poses.entry(track.clone()).or_default().push(pose.clone());
                }
            }
        }
        Played { recording, poses }
    }

    fn truth(&self) -> &Truth {
        self.recording.truth.as_ref().expect("it knows the truth")
    }

    fn events(&self, kind: &str) -> Vec<&TrueEvent> {
        let events = self.truth().events.iter();
        events.filter(|event| event.kind == kind).collect()
    }

    /// Seconds since the simulation's start.
    fn t(&self, pose: &Pose) -> f64 {
        pose.at.seconds_since(Options::default().start)
    }

    /// Where the cameras saw a track's head and hands at that time, in the frames of a quarter of a second.
    fn seen(&self, track: &TrackId, t: f64) -> Vec<&Pose> {
        let poses = self.poses[track].iter();
        poses
            .filter(|pose| (self.t(pose) - t).abs() < 0.13)
            .collect()
    }

    fn head(&self, track: &TrackId, t: f64) -> Point {
        let head = self.seen(track, t).iter().find_map(|pose| pose.head);
        head.expect("a head is always seen").place
    }

    /// The hand that is nearest to a place at that time.
    fn hand(&self, track: &TrackId, t: f64, near: Point) -> Point {
        let poses = self.seen(track, t);
        let hands = poses
            .iter()
            .flat_map(|pose| &pose.hands)
            .map(|hand| hand.place);
        let flat = |hand: &Point| (hand.x - near.x).hypot(hand.y - near.y);
        hands
            .min_by(|a, b| flat(a).total_cmp(&flat(b)))
            .unwrap_or_else(|| panic!("no hand of {track} at {t}"))
    }

    /// The hand that did what an event says.
    fn hand_of(&self, event: &TrueEvent) -> Point {
        self.hand(&event.target_id, event.t, self.place(event))
    }

    fn place(&self, event: &TrueEvent) -> Point {
        let plate = plates(event)[0];
        let layout = &self.recording.definition.layout;
        layout.plate(plate).expect("the plate exists").front
    }

    fn batches(&self) -> impl Iterator<Item = &ScaleBatch> {
        self.recording
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Scale(batch) => Some(batch),
                Record::Body(_) | Record::Gate(_) => None,
            })
    }

    /// The samples of a plate, grams, with their times in seconds.
    fn trace(&self, plate: PlateId) -> Vec<(f64, f64)> {
        let start = Options::default().start;
        let mut trace = Vec::new();
        for batch in self.batches() {
            let columns = batch.group.plates.len();
            let Some(column) = batch.group.plates.iter().position(|&one| one == plate) else {
                continue;
            };
            let counts = batch.counts.iter().skip(column).step_by(columns);
            for (sample, &count) in counts.enumerate() {
                let t = batch.sample_at(sample).seconds_since(start);
                trace.push((t, f64::from(count) / batch.group.counts_per_gram[column]));
            }
        }
        trace
    }

    /// The mean weight on the plates of an event between two times after it.
    fn grams(&self, event: &TrueEvent, from_s: f64, until_s: f64) -> f64 {
        let mean = |plate: PlateId| {
            let trace = self.trace(plate);
            let samples = trace
                .iter()
                .filter(|(t, _)| (event.t + from_s..event.t + until_s).contains(t));
            let grams: Vec<f64> = samples.map(|(_, grams)| *grams).collect();
            grams.iter().sum::<f64>() / grams.len() as f64
        };
        plates(event).into_iter().map(mean).sum()
    }

    /// Every two events of different bodies within a second.
    fn close_pairs(&self) -> Vec<(&TrueEvent, &TrueEvent)> {
        let moves: Vec<&TrueEvent> = (self.truth().events.iter())
            .filter(|event| matches!(event.kind.as_str(), "pick" | "put_back"))
            .collect();
        let mut pairs = Vec::new();
        for (i, a) in moves.iter().enumerate() {
            for b in &moves[i + 1..] {
                if a.target_id != b.target_id && (a.t - b.t).abs() <= 1.0 {
                    pairs.push((*a, *b));
                }
            }
        }
        pairs
    }

    /// What is laid down and taken away again, as the first event and for how many seconds.
    fn lying(&self, down: &str, up: &str) -> Vec<(&TrueEvent, f64)> {
        let ups = self.events(up);
        let until = |event: &TrueEvent| {
            let later = ups.iter().filter(|one| {
                one.t > event.t && one.target_id == event.target_id && one.plates == event.plates
            });
            let until = later.map(|one| one.t).next();
            until.expect("what was laid down is taken away") - event.t
        };
        let downs = self.events(down).into_iter();
        downs.map(|event| (event, until(event))).collect()
    }
}

fn plates(event: &TrueEvent) -> Vec<PlateId> {
    let plate = |&[gondola, shelf, plate]: &[u16; 3]| PlateId {
        shelf: ShelfId { gondola, shelf },
        plate,
    };
    event.plates.iter().map(plate).collect()
}

/// Twice in each visit.
const IN_ALL: usize = 2 * SHOPPERS as usize;

#[test]
fn same_facing_is_two_hands_within_0_3_m_and_a_second() {
    let mut put_backs = 0;
    for seed in 1..=3 {
        let played = Played::new(Situation::SameFacing, seed);
        let shared: Vec<_> = (played.close_pairs().into_iter())
            .filter(|(a, b)| a.barcode == b.barcode)
            // The cameras are off by some centimetres at each hand.
            .filter(|(a, b)| played.hand_of(a).distance(&played.hand_of(b)) < 0.3 + 0.12)
            .collect();
        assert!(
            shared.len() >= IN_ALL / 2,
            "seed {seed}: {} times",
            shared.len()
        );
        put_backs += (shared.iter())
            .filter(|(a, b)| a.kind == "put_back" || b.kind == "put_back")
            .count();
    }
    assert!(put_backs > 0, "nobody put back while another took");
}

#[test]
fn crossed_is_two_arms_over_each_other_with_heads_half_a_metre_apart() {
    for seed in 1..=3 {
        let played = Played::new(Situation::Crossed, seed);
        let crossed = played.close_pairs().into_iter().filter(|(a, b)| {
            let t = (a.t + b.t) / 2.0;
            let heads = [a, b].map(|one| played.head(&one.target_id, t));
            let hands = [a, b].map(|one| played.hand_of(one));
            let apart_m = (heads[0].x - heads[1].x).hypot(heads[0].y - heads[1].y);
            let arms = (heads[0].x - heads[1].x) * (hands[0].x - hands[1].x);
            (0.38..0.62).contains(&apart_m) && arms < 0.0
        });
        let times = crossed.count();
        assert!(times >= IN_ALL / 2 - 1, "seed {seed}: {times} times");
    }
}

#[test]
fn a_bag_of_half_a_kilo_to_five_stands_for_2_to_60_s() {
    let mut longest_s: f64 = 0.0;
    for seed in 1..=2 {
        let played = Played::new(Situation::Bag, seed);
        let bags = played.lying("bag_down", "bag_up");
        assert_eq!(bags.len(), IN_ALL, "seed {seed}");
        for (event, seconds) in bags {
            assert!((1.99..60.01).contains(&seconds), "{seconds} s: {event:?}");
            assert!((1..=3).contains(&event.plates.len()), "{event:?}");
            let grams = played.grams(event, 0.9, 1.3) - played.grams(event, -0.8, -0.1);
            assert!((450.0..5_100.0).contains(&grams), "{grams:.0} g: {event:?}");
            longest_s = longest_s.max(seconds);
        }
    }
    assert!(longest_s > 15.0, "the longest stood for {longest_s} s");
}

#[test]
fn a_hand_rests_with_100_to_600_g_for_2_to_60_s_and_is_seen_there() {
    for seed in 1..=2 {
        let played = Played::new(Situation::RestingHand, seed);
        let hands = played.lying("hand_down", "hand_up");
        assert_eq!(hands.len(), IN_ALL, "seed {seed}");
        for (event, seconds) in hands {
            assert!((1.99..60.01).contains(&seconds), "{seconds} s: {event:?}");
            let grams = played.grams(event, 1.5, 1.9) - played.grams(event, -1.0, -0.1);
            // It sways by up to a fifth.
            assert!((70.0..740.0).contains(&grams), "{grams:.0} g: {event:?}");
            let middle_t = event.t + seconds / 2.0;
            let place = played.place(event);
            let hand = played.hand(&event.target_id, middle_t, place);
            let off_m = (hand.x - place.x).hypot(hand.y - place.y);
            assert!(off_m < 0.35, "{off_m:.2} m away: {event:?}");
        }
    }
}

#[test]
fn a_twin_is_put_among_its_like_and_something_is_taken_from_there() {
    let store = nanostore();
    let grams = |code: &str| store.catalogue.get(code).unwrap().weight.grams();
    for seed in 1..=3 {
        let played = Played::new(Situation::MisplacedTwin, seed);
        let mut followed = 0;
        for put in played.events("put_back") {
            let code = put.barcode.as_ref().unwrap();
            let here: Vec<_> = (store.planogram.on_plate(plates(put)[0]))
                .map(|facing| facing.product.clone())
                .collect();
            let like = here.iter().find(|&other| {
                let (a, b) = (grams(code.as_str()), grams(other.as_str()));
                other != code && (a - b).abs() <= 0.015 * a.min(b)
            });
            let Some(other) = like else { continue };
            assert!(!here.contains(code));
            followed += usize::from(played.events("pick").iter().any(|pick| {
                let taken = pick.barcode.as_ref().unwrap();
                let mut at = store.planogram.on_plate(plates(pick)[0]);
                pick.t > put.t
                    && (taken == code || taken == other)
                    && at.any(|f| f.product == *other)
            }));
        }
        assert!(followed >= IN_ALL / 2, "seed {seed}: {followed} times");
    }
}

#[test]
fn a_slow_lift_takes_one_to_three_seconds() {
    let store = nanostore();
    let mut lifts_s = Vec::new();
    for seed in 1..=6 {
        let played = Played::new(Situation::SlowLift, seed);
        for pick in played.events("pick") {
            let product = store.catalogue.get(pick.barcode.as_ref().unwrap().as_str());
            let alone = (played.truth().events.iter())
                .all(|other| other == pick || (other.t - pick.t).abs() > 5.0);
            if pick.plates.len() > 1 || product.unwrap().weight.grams() < 200.0 || !alone {
                continue;
            }
            let before_g = played.grams(pick, -1.0, -0.5);
            let after_g = played.grams(pick, 3.2, 3.6);
            let part = |grams: f64| (grams - before_g) / (after_g - before_g);
            let trace = played.trace(plates(pick)[0]);
            let rising = trace
                .iter()
                .filter(|(t, _)| (0.0..3.2).contains(&(t - pick.t)));
            let rising = rising.filter(|(_, grams)| (0.05..0.95).contains(&part(*grams)));
            let times: Vec<f64> = rising.map(|(t, _)| *t).collect();
            lifts_s.push(times[times.len() - 1] - times[0]);
        }
    }
    assert!(lifts_s.len() >= 3, "{lifts_s:?}");
    // From 5 to 95 % of the weight it is less than the whole lift.
    assert!(
        lifts_s.iter().all(|s| (0.6..3.0).contains(s)),
        "{lifts_s:?}"
    );
}

#[test]
fn quick_picks_are_within_a_second_on_one_shelf() {
    for seed in 1..=3 {
        let played = Played::new(Situation::QuickPicks, seed);
        let picks = played.events("pick");
        let quick = |first: &&&TrueEvent| {
            let more = picks.iter().filter(|other| {
                other.target_id == first.target_id
                    && (0.0..=1.0).contains(&(other.t - first.t))
                    && plates(other)[0].shelf == plates(first)[0].shelf
            });
            more.count() >= 2
        };
        let bursts: BTreeSet<_> = (picks.iter().filter(quick))
            .map(|pick| (&pick.target_id, (pick.t / 2.0) as i64))
            .collect();
        assert!(bursts.len() >= IN_ALL - 1, "seed {seed}: {bursts:?}");
    }
}

#[test]
fn noisy_hands_are_9_cm_off_and_half_of_them_unseen_and_heads_only_is_without() {
    let played = Played::new(Situation::NoisyHands, 1);
    let poses: Vec<&Pose> = played.poses.values().flatten().collect();
    let hands: usize = poses.iter().map(|pose| pose.hands.len()).sum();
    let seen = hands as f64 / (2 * poses.len()) as f64;
    assert!(
        (0.45..0.5).contains(&seen),
        "{seen:.2} of the hands are seen"
    );
    // Two looks at a hand 67 ms apart: heads are steady, so what differs in height is mostly noise.
    let mut squares = Vec::new();
    for track in played.poses.values() {
        for pair in track.windows(2) {
            if let ([a], [b]) = (&pair[0].hands[..], &pair[1].hands[..])
                && (a.place.z - 0.92).abs() < 0.4
                && (b.place.z - 0.92).abs() < 0.4
            {
                squares.push((a.place.z - b.place.z).powi(2) / 2.0);
            }
        }
    }
    let sigma_m = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    assert!((0.08..0.12).contains(&sigma_m), "{sigma_m:.3} m");

    let played = Played::new(Situation::HeadsOnly, 1);
    for pose in played.poses.values().flatten() {
        assert!(pose.hands.is_empty() && pose.head.is_some());
    }
}

#[test]
fn one_message_in_twenty_is_lost_and_gondolas_fall_silent() {
    let sound = simulate::record(&nanostore(), 2, SHOPPERS, options(&[]));
    let played = Played::new(Situation::LostSamples, 2);
    let lost = 1.0 - played.recording.records.len() as f64 / sound.records.len() as f64;
    assert!((0.04..0.15).contains(&lost), "{lost:.3} are lost");
    let mut until = BTreeMap::new();
    let mut silences = 0;
    for batch in played.batches() {
        let last = until.insert(batch.group.node.clone(), batch.sample_at(batch.samples()));
        let gap_s = last.map_or(0.0, |last| batch.first_at.seconds_since(last));
        silences += usize::from(gap_s >= 1.5);
    }
    assert!(silences >= 2, "{silences} silences");
    assert_eq!(played.truth().receipts, sound.truth.unwrap().receipts);
}

#[test]
fn stuck_plates_say_the_same_or_nothing_while_something_is_taken() {
    let played = Played::new(Situation::StuckPlate, 1);
    let (mut same, mut nothing) = (0, 0);
    for pick in played.events("pick") {
        let hit = plates(pick).into_iter().any(|plate| {
            let trace = played.trace(plate);
            let around = trace
                .iter()
                .filter(|(t, _)| (-0.3..0.5).contains(&(t - pick.t)));
            let said: BTreeSet<i64> = around.map(|(_, grams)| (grams * 1e3) as i64).collect();
            let silent = |grams: &i64| *grams < i64::from(NO_COUNT) / 10;
            nothing += usize::from(said.len() == 1 && said.iter().all(silent));
            said.len() == 1 && !said.iter().any(silent)
        });
        same += usize::from(hit);
    }
    assert!(same + nothing >= IN_ALL, "{same} stuck, {nothing} silent");
    assert!(same > 0 && nothing > 0, "{same} stuck, {nothing} silent");
}

#[test]
fn clocks_at_the_shelves_are_up_to_a_second_off_and_records_stay_in_order() {
    for seed in 1..=4 {
        let played = Played::new(Situation::ClockSkew, seed);
        let sound = simulate::record(&nanostore(), seed, SHOPPERS, options(&[]));
        assert_eq!(played.recording.records.len(), sound.records.len());
        let keys = played.recording.records.iter().map(|r| (r.at(), r.node()));
        assert!(keys.is_sorted(), "seed {seed}");
        let mut off_s = BTreeMap::new();
        for batch in played.batches() {
            let t = batch.first_at.seconds_since(Options::default().start);
            off_s.entry(batch.group.node.clone()).or_insert(t.abs());
        }
        assert_eq!(off_s.len(), 4);
        let off = off_s.values().filter(|off_s| **off_s > 0.02);
        assert!(off.clone().count() >= 1, "seed {seed}: {off_s:?}");
        assert!(
            off.clone().all(|s| (0.28..1.02).contains(s)),
            "seed {seed}: {off_s:?}"
        );
    }
}

fn gate_events(recording: &Recording) -> Vec<&GateEvent> {
    let gate = recording.records.iter().filter_map(|record| match record {
        Record::Gate(gate) => Some(&gate.observation.event),
        Record::Scale(_) | Record::Body(_) => None,
    });
    gate.collect()
}

#[test]
fn a_tailgater_shows_no_code_takes_things_and_has_no_receipt() {
    for seed in 1..=3 {
        let played = Played::new(Situation::Tailgater, seed);
        let payers: BTreeSet<_> = (played.truth().receipts.iter())
            .map(|receipt| &receipt.target_id)
            .collect();
        assert_eq!(payers.len(), SHOPPERS as usize);
        let others: BTreeSet<_> = (played.poses.keys())
            .filter(|track| !payers.contains(track))
            .collect();
        assert_eq!(others.len(), 2, "seed {seed}");
        let picks = played.events("pick").into_iter();
        let taken = picks
            .filter(|pick| others.contains(&pick.target_id))
            .count();
        assert!(taken >= 2, "seed {seed}: {taken} times");
        let events = gate_events(&played.recording);
        let count = |kind: fn(&GateEvent) -> bool| events.iter().filter(|one| kind(one)).count();
        let passes = (
            count(|one| matches!(one, GateEvent::CodeShown { .. })),
            count(|one| matches!(one, GateEvent::PassedIn)),
            count(|one| matches!(one, GateEvent::PassedOut)),
        );
        assert_eq!(passes, (4, 6, 6), "seed {seed}");
    }
}

#[test]
fn staff_show_their_own_codes_and_stock_goes_up() {
    let store = nanostore();
    for seed in 1..=3 {
        let played = Played::new(Situation::Staff, seed);
        let staff: BTreeMap<_, _> = (played.truth().devices.iter())
            .filter(|device| device.role == Role::Staff)
            .map(|device| (device.device.clone(), simulate::staff_device(seed, 0).1))
            .collect();
        assert_eq!(staff.len(), 1);
        let shown = gate_events(&played.recording)
            .into_iter()
            .filter(|event| match event {
                GateEvent::CodeShown { code } => {
                    staff.contains_key(&EntryCode::parse(code).unwrap().device)
                }
                GateEvent::PassedIn | GateEvent::PassedOut => false,
            });
        assert_eq!(shown.count(), 1);
        let payers = played
            .truth()
            .receipts
            .iter()
            .map(|receipt| &receipt.target_id);
        let payers: BTreeSet<_> = payers.collect();
        assert_eq!(payers.len(), SHOPPERS as usize);

        let restocked = played.events("restock");
        assert!(
            restocked.len() >= 2,
            "seed {seed}: {} times",
            restocked.len()
        );
        for event in restocked.into_iter().chain(played.events("take_out")) {
            assert!(!payers.contains(&event.target_id), "{event:?}");
            let unit = store
                .catalogue
                .get(event.barcode.as_ref().unwrap().as_str());
            let grams = unit.unwrap().weight.grams() * f64::from(event.quantity.unwrap());
            let alone = (played.truth().events.iter())
                .all(|other| other == event || (other.t - event.t).abs() > 1.2);
            if grams > 150.0 && alone {
                let change_g = played.grams(event, 0.6, 1.0) - played.grams(event, -0.9, -0.5);
                let sign = if event.kind == "restock" { 1.0 } else { -1.0 };
                assert!(sign * change_g > 0.5 * grams, "{change_g:.0} g: {event:?}");
            }
        }
    }
}

#[test]
fn what_is_handed_over_is_on_the_receipt_of_who_took_it() {
    for seed in 1..=3 {
        let played = Played::new(Situation::HandOver, seed);
        let handed = played.events("hand_over");
        assert!(
            handed.len() >= IN_ALL / 2 - 1,
            "seed {seed}: {} times",
            handed.len()
        );
        for event in handed {
            let receipts = &played.truth().receipts;
            let paid = receipts
                .iter()
                .find(|receipt| receipt.target_id == event.target_id);
            let code = event.barcode.as_ref().unwrap();
            assert!(
                paid.unwrap()
                    .products
                    .iter()
                    .any(|line| line.barcode == *code),
                "{event:?}"
            );
            let t = event.t + 0.25;
            let giver = played.head(&event.target_id, t);
            let meet_m = |track: &TrackId| {
                let there = played.seen(track, t);
                let hands = there.iter().flat_map(|pose| &pose.hands);
                let near = Point {
                    x: giver.x,
                    y: giver.y + 0.2,
                    z: 1.1,
                };
                hands
                    .map(|hand| hand.place.distance(&near))
                    .fold(f64::INFINITY, f64::min)
            };
            let others = played
                .poses
                .keys()
                .filter(|track| **track != event.target_id);
            let nearest_m = others
                .filter(|track| !played.seen(track, t).is_empty())
                .map(meet_m);
            assert!(nearest_m.fold(f64::INFINITY, f64::min) < 0.5, "{event:?}");
        }
    }
}

#[test]
fn the_seed_decides_all_situations_at_once() {
    let store = nanostore();
    let all: Vec<Situation> = (Situation::ALL.into_iter())
        .filter(|one| *one != Situation::HeadsOnly)
        .collect();
    let play = |seed| simulate::record(&store, seed, 2, options(&all));
    let (first, again, other) = (play(5), play(5), play(6));
    assert_eq!(first.records, again.records);
    assert_eq!(first.truth, again.truth);
    assert_ne!(first.truth, other.truth);
}

#[test]
fn every_situation_is_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("corner.toml");
    std::fs::write(&toml, corner::gated()).unwrap();
    let (definition, shoppers) = (corner::definition(&corner::gated()), "2");
    for situation in Situation::ALL {
        let file = folder.path().join(format!("{situation}.mcap"));
        let mut stroll = Command::new(env!("CARGO_BIN_EXE_stroll"));
        stroll.args(["simulate", "--seed", "3", "--shoppers", shoppers]);
        stroll
            .args(["--situation", situation.name(), "-o"])
            .arg(&file);
        if situation != Situation::MisplacedTwin {
            stroll.arg("--store").arg(&toml);
        }
        let output = stroll.output().expect("the executable starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{situation}: {said}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("(seed 3)"), "{said}");
        let read = open(&file, &OpenOptions::default()).unwrap();
        if situation != Situation::MisplacedTwin {
            let played = simulate::record(&definition, 3, 2, options(&[situation]));
            assert_eq!(read.records, played.records, "{situation}");
            assert_eq!(read.truth, played.truth, "{situation}");
        }
    }
}

#[test]
fn what_cannot_happen_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("gateless.toml");
    std::fs::write(&toml, corner::gateless()).unwrap();
    let out = folder.path().join("x.mcap");
    let (toml, out) = (toml.to_str().unwrap(), out.to_str().unwrap());
    for (args, code, why) in [
        (
            vec!["--situation", "bag,croosed"],
            2,
            "there is no situation `croosed`; did you mean `crossed`?",
        ),
        (
            vec!["--situation", "crossed", "--shoppers", "1"],
            1,
            "crossed takes two: let at least 2 shoppers come",
        ),
        (
            vec![
                "--situation",
                "bag",
                "--situation",
                "tailgater",
                "--store",
                toml,
            ],
            1,
            "tailgater takes a gate with a node that watches it, and this store has none",
        ),
        (
            vec!["--situation", "misplaced-twin", "--store", toml],
            1,
            "misplaced-twin takes two products on one shelf whose weights differ by less than 1.5 %, and this store has none",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_stroll"))
            .args(["simulate", "-o", out])
            .args(&args)
            .output()
            .expect("the executable starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(why), "{args:?}: {said}");
    }
    let listed = Command::new(env!("CARGO_BIN_EXE_stroll"))
        .args(["simulate", "--situation", "list"])
        .output()
        .expect("the executable starts");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(listed.lines().count(), Situation::ALL.len(), "{listed}");
}
