//! Crashes: whatever is killed in the middle, the receipts are those of an undisturbed run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use stroll::checkout::session::Role;
use stroll::checkout::{Decision, Receipt};
use stroll::coordinator::{Coordinator, Input};
use stroll::edge::gateway::Sandbox;
use stroll::edge::journal::{Archive, Journal};
use stroll::edge::playback;
use stroll::edge::shell::Shell;
use stroll::observation::{NodeClock, OutboxId, Stamp, Stamped, Watermark};
use stroll::recording::Recording;
use stroll::sensing::node::NodeSensor;
use stroll::simulate::{self, Options};
use stroll::store::NodeName;
use stroll::units::Timestamp;

use crate::corner;
use crate::day::Day;
use crate::mosquitto::Mosquitto;
use crate::program::{LIMIT, Program, arg, replayed, wait_for};

/// A seed for the moments of the crashes: printed, and taken from `STROLL_SEED` to see them again.
pub fn seed() -> u64 {
    let given = std::env::var("STROLL_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    println!("STROLL_SEED={seed}");
    seed
}

/// So often that most of these restarts begin with a snapshot.
const SNAPSHOT_EVERY: u64 = 60;

/// A coordinator with everything of it that outlives a crash.
struct Restartable<'a> {
    recording: &'a Recording,
    folder: tempfile::TempDir,
    sandbox: Sandbox,
}

impl Restartable<'_> {
    fn open(&self) -> Shell<Coordinator> {
        let definition = &self.recording.definition;
        let mut journal = Journal::open(&self.folder.path().join("journal.sqlite"), definition)
            .expect("the journal opens");
        journal.keep_snapshots_every(SNAPSHOT_EVERY);
        let gateway = Box::new(self.sandbox.clone());
        let (mut shell, _) = Shell::open(journal, definition, &self.recording.nodes, gateway)
            .expect("the store opens");
        let now = self.recording.records[0].at();
        shell.retry(now).expect("payments are taken up");
        shell
    }

    /// The store of a copy of the journal without its snapshot.
    fn open_from_all_entries(&self) -> Shell<Coordinator> {
        let copy = self.folder.path().join("copy.sqlite");
        Archive::open(&self.folder.path().join("journal.sqlite"))
            .and_then(|journal| journal.back_up(&copy, true))
            .expect("it is copied");
        rusqlite::Connection::open(&copy)
            .and_then(|copy| copy.execute("DELETE FROM snapshot", []))
            .expect("its snapshot goes");
        let definition = &self.recording.definition;
        let journal = Journal::open(&copy, definition).expect("the copy opens");
        let gateway = Box::new(self.sandbox.clone());
        let (shell, _) = Shell::open(journal, definition, &self.recording.nodes, gateway)
            .expect("the store opens");
        shell
    }

    fn enrol(&self, seed: u64, shoppers: u32) {
        let now = self.recording.records[0].at();
        let options = Options {
            shoppers: Some(shoppers),
            ..crowd()
        };
        let simulated = simulate::Store::new(&self.recording.definition, seed, options);
        let devices = simulated.devices().iter().cloned();
        let enrolled = devices.map(|(device, key)| Input::DeviceEnrolled {
            device,
            key,
            role: Role::Shopper,
        });
        self.open()
            .batch(enrolled, now)
            .expect("phones are enrolled");
    }
}

/// Shoppers who come soon after each other.
fn crowd() -> Options {
    Options {
        arrival_s_mean: 3.0,
        ..Options::default()
    }
}

/// Everything that the nodes of a recording tell the coordinator, each at its time.
fn told(recording: &Recording) -> Vec<(Timestamp, Input)> {
    let mut inputs = Vec::new();
    let outbox = OutboxId::from("o");
    let mut sensors: BTreeMap<NodeName, (NodeSensor, u64)> = (recording.nodes.iter())
        .map(|name| {
            (
                name.clone(),
                (NodeSensor::new(recording.definition.clone()), 0),
            )
        })
        .collect();
    for record in &recording.records {
        let now = record.at();
        let mut seen = Vec::new();
        let (sensor, sequence) = sensors.get_mut(record.node()).expect("a node of it");
        sensor.push(record, &mut seen);
        for observation in seen {
            *sequence += 1;
            let stamp = Stamp {
                node: record.node().clone(),
                outbox: outbox.clone(),
                sequence: *sequence,
            };
            let clock = NodeClock {
                boot: "b".into(),
                monotonic_us: 0,
                wall_us: now,
                error_us: 0,
            };
            let stamped = Stamped {
                stamp,
                clock,
                observation,
            };
            inputs.push((now, Input::Observation(Arc::new(stamped))));
        }
        for (node, (sensor, sequence)) in &sensors {
            // A record of that very moment may still come.
            let (at, open) = sensor.promise(Timestamp(now.0 - 1));
            let watermark = Watermark {
                node: node.clone(),
                outbox: outbox.clone(),
                sequence: *sequence,
                at,
                open,
            };
            inputs.push((now, Input::Watermark(watermark)));
        }
    }
    inputs
}

/// What a store has decided. A snapshot knows of time that went by without a decision.
fn state(shell: &Shell<Coordinator>) -> String {
    let mut state = shell.core().state().clone();
    state.frontier = Timestamp::MIN;
    format!("{state:?}")
}

/// Plays a crowd through a store, each input a commit of its own; it restarts after those inputs.
fn receipts(toml: &str, seed: u64, restarts: &dyn Fn(usize) -> BTreeSet<usize>) -> Vec<Receipt> {
    let recording = simulate::record(&corner::definition(toml), seed, 6, crowd());
    let store = Restartable {
        recording: &recording,
        folder: tempfile::tempdir().expect("a folder"),
        sandbox: Sandbox::in_memory().expect("a sandbox"),
    };
    store.enrol(seed, 6);
    let inputs = told(&recording);
    let restarts = restarts(inputs.len());
    let mut shell = store.open();
    let mut end = Timestamp(0);
    for (index, (now, input)) in inputs.into_iter().enumerate() {
        shell.batch([input], now).expect("it goes on");
        end = now;
        if restarts.contains(&index) {
            drop(shell);
            shell = store.open();
            assert_eq!(
                state(&shell),
                state(&store.open_from_all_entries()),
                "{index}"
            );
        }
    }
    shell.batch([Input::EndOfRecording], end).expect("it ends");
    let (core, mut journal) = shell.into_parts();
    let kept = journal.snapshot().expect("it can be read");
    assert!(kept.is_some(), "no restart began with a snapshot");
    playback::receipts(&core)
}

#[test]
fn a_restart_between_any_two_commits_changes_no_receipt() {
    let mut random = ChaCha8Rng::seed_from_u64(seed());
    for (name, toml) in [("gated", corner::gated()), ("gateless", corner::gateless())] {
        for _ in 0..2 {
            let seed = random.random_range(1..100_000);
            let expected = receipts(&toml, seed, &|_| BTreeSet::new());
            assert_eq!(expected.len(), 6, "{name}, seed {seed}");
            let moments: Vec<f64> = (0..30).map(|_| random.random()).collect();
            let restarts = |inputs: usize| -> BTreeSet<usize> {
                let at = |moment: &f64| (moment * inputs as f64) as usize;
                moments.iter().map(at).collect()
            };
            let restarted = receipts(&toml, seed, &restarts);
            assert_eq!(restarted, expected, "{name}, simulation {seed}");
        }
    }
}

pub fn receipts_shown(state: &Value) -> usize {
    state["receipts"].as_array().map_or(0, Vec::len)
}

/// Coordinator and nodes as processes on a Mosquitto; the coordinator is killed again and again, and once a node.
fn killed_in_the_middle(toml: String) {
    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    let broker = mosquitto.url().to_string();
    let mut random = ChaCha8Rng::seed_from_u64(seed());
    let (shoppers, kills) = (4, 4);
    let day = Day::new(toml, random.random_range(1..1_000), shoppers);
    let expected = day.charged();

    let (mut coordinator, mut console) = day.coordinator(&broker);
    let speed = ["--speed", "8"];
    let nodes = day.nodes();
    let mut running: Vec<Program> = (nodes.iter())
        .map(|name| day.node(name, &broker, &speed))
        .collect();
    let victim = random.random_range(0..nodes.len());
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(random.random_range(200..1_500)));
        coordinator.kill();
        if kill == 1 {
            // Its outbox tells where it was.
            running.remove(victim).kill();
            running.insert(victim, day.node(&nodes[victim], &broker, &speed));
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
        (coordinator, console) = day.coordinator(&broker);
    }
    let state = wait_for(console, "everybody gets a receipt", |state| {
        receipts_shown(state) == expected.as_array().map_or(0, Vec::len)
    });
    assert_eq!(state["sessions"], serde_json::json!([]));
    for receipt in state["receipts"].as_array().into_iter().flatten() {
        let delay_ms = receipt["delay_ms"].as_u64();
        assert!(
            delay_ms < Some(86_400_000),
            "by the recording's time: {receipt}"
        );
    }

    // What was told before a restart is shown after it, too.
    coordinator.terminate();
    coordinator.ends_well();
    let (coordinator, console) = day.coordinator(&broker);
    let again = wait_for(console, "the console recalls", |state| {
        receipts_shown(state) > 0
    });
    assert_eq!(
        again["receipts"].as_array().map(Vec::len),
        Some(shoppers as usize)
    );
    assert_eq!(
        again["counters"]["observations"],
        state["counters"]["observations"]
    );
    coordinator.terminate();
    coordinator.ends_well();

    for mut node in running {
        assert!(
            node.is_running(),
            "a node stays on the line: {}",
            node.said()
        );
        node.terminate();
        node.ends_well();
    }
    assert_eq!(day.journalled(), expected);
}

#[test]
fn a_coordinator_killed_in_the_middle_charges_what_an_undisturbed_replay_does() {
    killed_in_the_middle(corner::gated());
}

#[test]
fn a_coordinator_killed_in_a_store_without_a_gate_charges_the_same() {
    killed_in_the_middle(corner::gateless());
}

/// Bytes of what a journal has written so far.
fn written(journal: &Path) -> u64 {
    let beside = journal.with_extension("sqlite-wal");
    std::fs::metadata(beside).map_or(0, |file| file.len())
}

#[test]
fn a_replay_killed_in_the_middle_and_run_again_prints_the_same() {
    let mut random = ChaCha8Rng::seed_from_u64(seed());
    let day = Day::new(corner::gated(), random.random_range(1..1_000), 60);
    let recording = day.path("day.mcap");
    let journal = day.path("journal.sqlite");
    let replay = [arg(&recording), "--journal", arg(&journal)];
    let undisturbed = day.path("undisturbed.sqlite");
    let expected = replayed(&[arg(&recording), "--journal", arg(&undisturbed)]);
    let size = written(&undisturbed);
    let mut hits = 0;
    for attempt in 0..10 {
        // The log of a killed run stays, and the next one adds to it.
        let killed_at = written(&journal) + random.random_range(size / 20..size / 2);
        let mut program = Program::start(&[&["replay"], &replay[..]].concat());
        let start = Instant::now();
        while written(&journal) < killed_at && program.is_running() {
            assert!(start.elapsed() < LIMIT);
            std::thread::sleep(Duration::from_millis(1));
        }
        program.kill();
        let (observations, receipts) = held(&journal, &day.toml);
        println!(
            "attempt {attempt}: killed with {observations} observations and {receipts} receipts"
        );
        if observations > 0 && receipts < 60 {
            hits += 1;
        }
        if hits == 3 || receipts == 60 {
            break;
        }
    }
    assert!(hits > 0, "no kill hit the middle");
    assert_eq!(replayed(&replay), expected);
    assert_eq!(replayed(&replay), expected, "and once more adds nothing");
}

/// Observations and receipts in a journal.
fn held(journal: &Path, toml: &str) -> (u64, usize) {
    if !journal.exists() {
        return (0, 0);
    }
    let journal =
        Journal::open(journal, &corner::definition(toml)).expect("a journal after a crash");
    let decisions = journal.decisions().expect("it can be read");
    let issued =
        |d: &&stroll::edge::journal::Recorded| matches!(d.decision, Decision::ReceiptIssued { .. });
    let observations = journal.observation_count().expect("it can be read");
    (observations, decisions.iter().filter(issued).count())
}
