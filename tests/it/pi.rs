//! A node on simulated converters: calibrated, run, broken and recorded through the executable; and a real cold start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stroll::edge::node::plate_feed::{News, PlateFeed, Scale};
use stroll::edge::recording::{OpenOptions, open};
use stroll::observation::{ChangeKind, Observation};
use stroll::recording::{Record, ScaleBatch, ScaleGroup};
use stroll::sensing::node::NodeSensor;
use stroll::units::Timestamp;

use crate::corner;
use crate::program::{LIMIT, Program, arg, stroll, text, wait_for};
use crate::recording::folder::shared;

/// A Pi's folder: configuration, store and situation.
struct Pi(tempfile::TempDir);

impl Pi {
    fn new(situation: &str) -> Self {
        let pi = Pi(tempfile::tempdir().expect("a folder"));
        pi.write("store.toml", include_str!("../../deploy/corner.toml"));
        pi.write("situation.toml", situation);
        let shipped = include_str!("../../deploy/node.toml");
        pi.write("node.toml", &shipped.replace("corner.toml", "store.toml"));
        pi
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// The end of a command on this Pi's simulated converters: whether it went well, and what it said.
    fn command(&self, command: &str, more: &[&str]) -> (bool, String) {
        let (config, situation) = (self.path("node.toml"), self.path("situation.toml"));
        let wiring = [
            command,
            "--config",
            arg(&config),
            "--simulate",
            arg(&situation),
        ];
        let output = stroll(&[&wiring, more].concat());
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        (output.status.success(), said)
    }

    /// Calibrates all plates as somebody does who has the weights.
    fn calibrate(&self) {
        let (is_well, said) = self.command("calibrate", &["--by", "test", "--creep-s", "1"]);
        assert!(
            is_well && said.contains("8 of 8 plates calibrated"),
            "{said}"
        );
    }

    fn coordinator(&self) -> (Program, SocketAddr, String) {
        self.coordinator_at("127.0.0.1:0")
    }

    fn coordinator_at(&self, broker: &str) -> (Program, SocketAddr, String) {
        let (store, journal) = (self.path("store.toml"), self.path("journal.sqlite"));
        let coordinator = Program::start(&[
            "coordinator",
            "--store",
            arg(&store),
            "--journal",
            arg(&journal),
            "--listen",
            "127.0.0.1:0",
            "--mqtt-listen",
            broker,
        ]);
        let line = coordinator.line();
        let word = |start: &str| {
            let rest = &line[line.find(start).expect("an address")..];
            rest[..rest.find([',', ' ']).unwrap_or(rest.len())].to_owned()
        };
        let console = word("http://")["http://".len()..]
            .parse()
            .expect("an address");
        (coordinator, console, word("mqtt://"))
    }

    fn node(&self, broker: &str) -> Program {
        let (config, situation) = (self.path("node.toml"), self.path("situation.toml"));
        let args = [
            "node",
            "--config",
            arg(&config),
            "--simulate",
            arg(&situation),
        ];
        Program::with_env(&args, &[("STROLL_NODE_BROKER", broker)])
    }
}

/// What the console says is wrong with the shelf's node.
fn trouble(state: &serde_json::Value) -> &str {
    let nodes = state["nodes"].as_array().expect("nodes");
    let shelf = nodes.iter().find(|node| node["name"] == "shelf");
    shelf
        .and_then(|node| node["trouble"].as_str())
        .unwrap_or_default()
}

const STOCKED: &str = "seed = 7\n[[load]]\nat_s = 0\nplate = \"1.1.1\"\ngrams = 3171\n[[load]]\nat_s = 0\nplate = \"1.2.1\"\ngrams = 1065\n";

#[test]
fn a_simulated_node_is_calibrated_and_its_picks_and_faults_reach_the_console() {
    let pi = Pi::new(&format!(
        "{STOCKED}[[load]]\nat_s = 4\nplate = \"1.1.1\"\ngrams = -528.5\n\
         [[fault]]\nat_s = 8\nfor_s = 4\nplate = \"1.2.1\"\nkind = \"cell-off\"\n\
         [[load]]\nat_s = 10\nplate = \"1.2.1\"\ngrams = -213\n"
    ));
    pi.calibrate();
    let (coordinator, console, broker) = pi.coordinator();
    let began = Instant::now();
    let node = pi.node(&broker);
    assert!(node.line().starts_with("Node shelf reads 8 plates"));
    wait_for(console, "the unplugged cell is told", |state| {
        trouble(state).contains("plate 1.2.1: the converter is at its end")
    });
    // The rest of this second is the program's start on a busy machine.
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );
    let state = wait_for(
        console,
        "it is well again, and a person is asked",
        |state| trouble(state).is_empty() && state["counters"]["open_reviews"] == 1,
    );
    let said: Vec<&str> = (state["events"].as_array().expect("events").iter())
        .filter_map(|event| event["sentence"].as_str())
        .collect();
    let has = |start: &str, end: &str| {
        said.iter()
            .any(|s| s.starts_with(start) && s.ends_with(end))
    };
    assert!(has("52", "g left shelf 1.1; nobody is charged"), "{said:?}");
    assert!(
        has("21", "g left shelf 1.2 while its node was off"),
        "{said:?}"
    );
    node.terminate();
    node.ends_well();
    coordinator.terminate();
    coordinator.ends_well();
}

#[test]
fn a_node_whose_broker_is_away_waits_for_it_and_loses_nothing() {
    let pi = Pi::new(&format!(
        "{STOCKED}[[load]]\nat_s = 4\nplate = \"1.1.1\"\ngrams = -528.5\n"
    ));
    pi.calibrate();
    let address = crate::port::free().to_string();
    let node = pi.node(&format!("mqtt://{address}"));
    let began = Instant::now();
    while !node
        .said()
        .contains("does not answer; the node keeps what it sees")
    {
        assert!(began.elapsed() < LIMIT, "{}", node.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(6));
    let (coordinator, console, _) = pi.coordinator_at(&address);
    assert!(node.line().starts_with("Node shelf reads 8 plates"));
    wait_for(console, "what was taken meanwhile is told", |state| {
        let events = state["events"].to_string();
        events.contains("g left shelf 1.1; nobody is charged")
    });
    node.terminate();
    node.ends_well();
    coordinator.terminate();
    coordinator.ends_well();
}

#[test]
fn a_broken_configuration_is_safe_mode_until_it_is_mended() {
    let pi = Pi::new(STOCKED);
    pi.calibrate();
    let (coordinator, console, broker) = pi.coordinator();
    let node = pi.node(&broker);
    node.line();
    node.terminate();
    node.ends_well();
    let good = std::fs::read_to_string(pi.path("node.toml")).expect("it is there");
    pi.write("node.toml", &good.replace("gain = 128", "gain = 12"));
    let node = pi.node(&broker);
    assert!(node.line().starts_with("Node shelf is in safe mode"));
    assert!(node.said().contains("`gain` is 12"), "{}", node.said());
    wait_for(console, "the error is shown", |state| {
        let told = trouble(state);
        told.contains("safe mode") && told.contains("`gain` is 12")
    });
    std::thread::sleep(Duration::from_secs(3));
    pi.write("node.toml", &good);
    assert_eq!(node.line(), "The configuration is mended");
    assert!(node.line().starts_with("Node shelf reads 8 plates"));
    wait_for(console, "it is well", |state| trouble(state).is_empty());
    node.terminate();
    node.ends_well();
    let kept = std::fs::read_dir(pi.path("recordings")).expect("it recorded");
    assert!(kept.count() > 0, "raw samples were kept meanwhile");
    coordinator.terminate();
    coordinator.ends_well();
}

#[test]
fn a_calibration_that_makes_no_sense_is_refused_and_not_kept() {
    for (fault, said) in [
        (
            "plate = \"1.1.1\"\nkind = \"swapped\"\nswap_with = \"1.1.2\"",
            "plate 1.1.1 was loaded, and plate 1.1.2 answered: their cables are swapped",
        ),
        (
            "plate = \"1.1.1\"\nkind = \"cable-off\"",
            "plate 1.1.1 gives no counts",
        ),
        (
            "plate = \"1.1.1\"\nkind = \"stuck\"",
            "plate 1.1.1 hardly answers",
        ),
        (
            "plate = \"1.1.1\"\nkind = \"saturated\"",
            "plate 1.1.1 gives no counts",
        ),
    ] {
        let pi = Pi::new(&format!("seed = 7\n[[fault]]\nat_s = 0\n{fault}\n"));
        let one = ["--by", "test", "--creep-s", "0", "--plate", "1.1.1"];
        let (is_well, told) = pi.command("calibrate", &one);
        assert!(!is_well && told.contains(said), "{told}");
        assert!(
            !pi.path("shelf.calibration.json").exists(),
            "nothing is kept"
        );
    }
}

#[test]
fn what_is_recorded_replays() {
    let pi = Pi::new(&format!(
        "{STOCKED}[[load]]\nat_s = 2\nplate = \"1.1.1\"\ngrams = -528.5\n"
    ));
    pi.calibrate();
    let folder = pi.path("kept");
    let (is_well, said) = pi.command("record", &["-o", arg(&folder), "--for-s", "6"]);
    assert!(is_well, "{said}");
    let files: Vec<PathBuf> = (std::fs::read_dir(&folder).expect("it recorded"))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let [file] = &files[..] else {
        panic!("{files:?}");
    };
    let recording = open(file, &OpenOptions::default()).expect("it can be read");
    let mut sensor = NodeSensor::new(recording.definition.clone());
    let mut seen = Vec::new();
    recording
        .records
        .iter()
        .for_each(|record| sensor.push(record, &mut seen));
    sensor.finish(&mut seen);
    let [Observation::Shelf(change)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(change.kind, ChangeKind::Take);
    assert!(
        (change.delta().grams() + 528.5).abs() < 2.0,
        "{}",
        change.delta()
    );
}

/// A kitchen scale's HX711 that warms up for ten minutes: about 1,540 counts a gram, 11.6 samples a second.
#[test]
fn a_cold_start_is_no_pick() {
    const COUNTS_PER_GRAM: f64 = 1_540.0;
    const RATE_HZ: f64 = 11.64;
    let Some(shared) = shared() else { return };
    let csv = std::fs::read_to_string(shared.join("hx711/coldstart.csv")).expect("the file");
    let counts: Vec<i32> = (csv.lines().skip(1))
        .filter_map(|line| line.split(',').nth(1)?.parse::<f64>().ok())
        .map(|count| count as i32)
        .collect();
    assert!(counts.len() > 7_000, "603 s");
    let mut feed = PlateFeed::new(
        Scale {
            counts_per_gram: COUNTS_PER_GRAM,
            zero: None,
            capacity_g: None,
        },
        RATE_HZ,
    );
    let group = Arc::new(ScaleGroup {
        node: "shelf".into(),
        plates: vec!["1.1.1".parse().expect("a plate")],
        counts_per_gram: vec![COUNTS_PER_GRAM],
        rate_hz: RATE_HZ,
    });
    let mut sensor = NodeSensor::new(corner::definition(&corner::gated()));
    let mut seen = Vec::new();
    let mut news: Vec<News> = Vec::new();
    for (index, count) in counts.iter().enumerate() {
        let (trusted, new) = feed.push(Some(Ok(*count)));
        news.extend(new);
        let at = Timestamp::from_seconds(1.7e9 + index as f64 / RATE_HZ);
        let group = Arc::clone(&group);
        let batch = ScaleBatch {
            group,
            first_at: at,
            counts: vec![trusted],
        };
        sensor.push(&Record::Scale(batch), &mut seen);
    }
    sensor.finish(&mut seen);
    let (low, high) = (counts.iter().min(), counts.iter().max());
    let drift_g = f64::from(high.expect("counts") - low.expect("counts")) / COUNTS_PER_GRAM;
    assert!(drift_g > 0.4, "it does drift: {drift_g} g");
    assert_eq!((seen, news), (vec![], vec![]));
}

#[test]
fn a_node_without_a_pi_says_what_to_do() {
    let pi = Pi::new(STOCKED);
    let config = pi.path("node.toml");
    let checked = stroll(&["config", "check-node", arg(&config)]);
    assert_eq!(
        text(&checked.stdout),
        "ok: node shelf of corner, 8 plates at 80 samples a second, 0 of them calibrated\n"
    );
    pi.write("node.toml", "[node]\nname = \"shelf\"\nbrokr = \"x\"\n");
    let checked = stroll(&["config", "check-node", arg(&config)]);
    let said = text(&checked.stderr);
    assert!(
        !checked.status.success() && said.contains("node.toml:3: unknown field `brokr`"),
        "{said}"
    );
    if cfg!(not(feature = "rpi")) {
        let pi = Pi::new(STOCKED);
        let config = pi.path("node.toml");
        let output = stroll(&["calibrate", "--config", arg(&config), "--by", "test"]);
        assert!(
            text(&output.stderr).contains("--features rpi"),
            "{}",
            text(&output.stderr)
        );
    }
    // Whoever plays a recording has to say as which node.
    let output = stroll(&["node", "--deliver-only"]);
    assert!(
        text(&output.stderr).contains("--store"),
        "{}",
        text(&output.stderr)
    );
}
