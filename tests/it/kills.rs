//! Real kills: coordinator and nodes are processes on a real Mosquitto, and at random moments one of them gets SIGKILL.
//! At the end the auditor of `stroll torture` looks at journal, ledger and outboxes: nothing is lost, nobody is charged
//! twice or otherwise than they took, and nothing has gone to review.
//!
//! 200 kills a run; more by `STROLL_KILLS=1000`. The moments follow from `STROLL_SEED`, which is printed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::audited::Audited;
use crate::corner;
use crate::crash::{receipts_shown, seed};
use crate::mosquitto::Mosquitto;
use crate::program::{Program, wait_for};

/// Kills in a run of the tests.
const KILLS: u32 = 200;
/// On one store at most; then the next one opens.
const KILLS_A_STORE: u32 = 50;
/// Stores at a time, each with a broker of its own.
const SIDE_BY_SIDE: u32 = 2;
const SHOPPERS: u32 = 12;
const SPEED: [&str; 2] = ["--speed", "15"];

/// What has been killed, and what it was doing.
#[derive(Default)]
struct Tally {
    coordinators: u32,
    /// Of those, before they had said that they are open.
    opening: u32,
    /// Coordinators that had committed something in their life.
    working: u32,
    nodes: u32,
}

/// A store whose processes are killed.
struct Victims<'a> {
    audited: &'a Audited,
    journal: PathBuf,
    broker: String,
    coordinator: Program,
    born: SystemTime,
    nodes: Vec<(String, Program)>,
}

impl<'a> Victims<'a> {
    fn start(audited: &'a Audited, broker: &str) -> Self {
        let journal = audited.day.path("journal.sqlite");
        let (coordinator, _) = audited.day.coordinator(broker);
        let nodes = audited.day.nodes().into_iter();
        let nodes = nodes.map(|name| {
            let node = audited.day.node(&name, broker, &SPEED);
            (name, node)
        });
        Victims {
            audited,
            journal,
            broker: broker.to_owned(),
            coordinator,
            born: SystemTime::now(),
            nodes: nodes.collect(),
        }
    }

    fn kill_one(&mut self, random: &mut ChaCha8Rng, tally: &mut Tally) {
        // One life in four is so short that it ends while the store opens.
        let life_ms = if random.random_bool(0.25) {
            random.random_range(5..150)
        } else {
            random.random_range(150..600)
        };
        std::thread::sleep(Duration::from_millis(life_ms));
        let dead_ms = random.random_range(0..80);
        let day = &self.audited.day;
        if random.random_bool(0.85) {
            tally.coordinators += 1;
            tally.opening += u32::from(self.coordinator.is_silent());
            tally.working += u32::from(has_written_since(&self.journal, self.born));
            self.coordinator.kill_now();
            std::thread::sleep(Duration::from_millis(dead_ms));
            self.born = SystemTime::now();
            self.coordinator = day.coordinator_with(&self.broker, &self.journal, &[]);
        } else {
            tally.nodes += 1;
            let index = random.random_range(0..self.nodes.len());
            let (name, node) = &mut self.nodes[index];
            node.kill_now();
            std::thread::sleep(Duration::from_millis(dead_ms));
            *node = day.node(name, &self.broker, &SPEED);
        }
    }

    /// Lets the day go on to its end, and has it audited.
    fn finish(self, again: &str) {
        let console: SocketAddr = self.coordinator.console();
        let expected = &self.audited.expected;
        wait_for(console, again, |state| {
            let all = expected.as_array().map_or(0, Vec::len);
            receipts_shown(state) == all && state["sessions"] == serde_json::json!([])
        });
        let outboxes = self.nodes.into_iter().map(|(name, mut node)| {
            assert!(node.is_running(), "{again}: {name}: {}", node.said());
            node.terminate();
            node.ends_well();
            let outbox = self.audited.day.outbox(&name);
            (name, outbox)
        });
        let outboxes: Vec<_> = outboxes.collect();
        self.coordinator.terminate();
        self.coordinator.ends_well();
        let totals = self.audited.audit(&self.journal, &outboxes, again);
        assert!(totals.observations > 100, "{again}: {totals:?}");
        assert_eq!(self.audited.day.journalled(), *expected, "{again}");
    }
}

/// Whether anything was committed after that moment.
fn has_written_since(journal: &Path, born: SystemTime) -> bool {
    let log = std::fs::metadata(journal.with_extension("sqlite-wal"));
    log.and_then(|log| log.modified()).is_ok_and(|at| at > born)
}

/// Kills so many, on one store after the other.
fn killed(broker: &str, first_seed: u64, seed: u64, kills: u32) -> Tally {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let audited = Audited::from(&corner::gated(), first_seed, SHOPPERS);
    let mut tally = Tally::default();
    let mut left = kills;
    while left > 0 {
        let on_this_store = left.min(KILLS_A_STORE);
        let again = format!("seed {seed}, after {} kills", kills - left);
        let mut victims = Victims::start(&audited, broker);
        for _ in 0..on_this_store {
            victims.kill_one(&mut random, &mut tally);
        }
        victims.finish(&again);
        audited.day.clear();
        left -= on_this_store;
    }
    tally
}

#[test]
fn whatever_is_killed_nothing_is_lost_and_nobody_is_charged_twice() {
    let brokers: Vec<Mosquitto> = (0..SIDE_BY_SIDE)
        .filter_map(|_| Mosquitto::start())
        .collect();
    if brokers.is_empty() {
        return;
    }
    let given = std::env::var("STROLL_KILLS").ok();
    let kills: u32 = given.map_or(KILLS, |n| n.parse().expect("STROLL_KILLS is a number"));
    let seed = seed();
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let stores: Vec<_> = (0..SIDE_BY_SIDE)
            .zip(&brokers)
            .map(|(index, broker)| {
                let share = (kills + index) / SIDE_BY_SIDE;
                let (url, day) = (broker.url().to_string(), 1 + 100 * u64::from(index));
                scope.spawn(move || killed(&url, day, seed + u64::from(index), share))
            })
            .collect();
        for store in stores {
            let tally = store.join().expect("what is wrong is said above");
            all.coordinators += tally.coordinators;
            all.opening += tally.opening;
            all.working += tally.working;
            all.nodes += tally.nodes;
        }
    });
    println!(
        "{} coordinators killed ({} had committed something, {} were opening), {} nodes killed",
        all.coordinators, all.working, all.opening, all.nodes
    );
    assert_eq!(all.coordinators + all.nodes, kills);
    assert!(
        all.working > all.coordinators / 4,
        "too few kills hit the middle"
    );
}
