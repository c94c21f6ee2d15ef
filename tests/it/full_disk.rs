//! Disks that are really full: a small file system of the test's own, filled to the last byte while a store is at work.
//!
//! Mounting one takes a right that not every account has. Where it is missing a line says so; that SQLite's own limit leads to
//! the same is tested beside the journal and the outbox.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use stroll::checkout::Decision;
use stroll::edge::journal::Archive;
use stroll::observation::Observation;

use crate::audited::{Audited, decisions};
use crate::corner;
use crate::crash::receipts_shown;
use crate::day::Day;
use crate::mosquitto::Mosquitto;
use crate::program::{LIMIT, Program, get, state, wait_for};

/// A small disk, unmounted when it goes out of scope.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn mount(path: PathBuf) -> Option<Self> {
        std::fs::create_dir(&path).expect("a folder to mount on");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(&path)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Disk { path }),
            other => {
                println!(
                    "NOT TESTED on a really full disk, for no file system can be mounted: {other:?}"
                );
                None
            }
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut ballast = File::create(self.file("ballast")).expect("a file");
        for length in [65_536, 4_096, 1] {
            let block = vec![7; length];
            while ballast.write_all(&block).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.file("ballast")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// The day goes by five times as fast as it was.
const FAST: [&str; 2] = ["--speed", "5"];

/// All nodes of a day, once the store has heard of what they see.
fn at_work(
    day: &Day,
    console: SocketAddr,
    node: impl Fn(&str) -> Program,
) -> Vec<(String, Program)> {
    let start = |name: String| {
        let node = node(&name);
        (name, node)
    };
    let nodes = day.nodes().into_iter().map(start).collect();
    wait_for(console, "the day has begun", |state| {
        state["counters"]["observations"].as_u64() > Some(10)
    });
    nodes
}

/// Waits until everybody has a receipt, ends everything, and lets the auditor look.
fn ends_well(
    audited: &Audited,
    (coordinator, console): (Program, SocketAddr),
    nodes: Vec<(String, Program)>,
    journal: &Path,
    after: &str,
) {
    let all = audited.expected.as_array().map_or(0, Vec::len);
    wait_for(console, "everybody gets a receipt", |state| {
        receipts_shown(state) == all && state["sessions"] == serde_json::json!([])
    });
    let outboxes = end(nodes, |name| audited.day.outbox(name));
    coordinator.terminate();
    coordinator.ends_well();
    audited.audit(journal, &outboxes, after);
}

/// Waits until a page of the console says that.
#[track_caller]
fn says(console: SocketAddr, path: &str, what: &str) -> String {
    let begun = Instant::now();
    loop {
        let (_, page) = get(console, path).expect("the console answers");
        if page.contains(what) {
            return page;
        }
        assert!(
            begun.elapsed() < LIMIT,
            "{path} does not say {what:?}: {page}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn entries(journal: &Path) -> u64 {
    let archive = Archive::open(journal).expect("the journal can be read");
    archive.verify(None).expect("it is whole").head.entries
}

fn end(nodes: Vec<(String, Program)>, outbox: impl Fn(&str) -> PathBuf) -> Vec<(String, PathBuf)> {
    let ended = nodes.into_iter().map(|(name, mut node)| {
        assert!(node.is_running(), "{name}: {}", node.said());
        node.terminate();
        node.ends_well();
        let outbox = outbox(&name);
        (name, outbox)
    });
    ended.collect()
}

#[test]
fn a_store_whose_disk_is_full_waits_and_goes_on_by_itself() {
    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    let audited = Audited::from(&corner::gated(), 1, 6);
    let day = &audited.day;
    let Some(disk) = Disk::mount(day.path("disk")) else {
        return;
    };
    let (broker, journal) = (mosquitto.url().to_string(), disk.file("journal.sqlite"));
    let coordinator = day.coordinator_with(&broker, &journal, &["--disk-free-min-mb", "0"]);
    let console = coordinator.console();
    let nodes = at_work(day, console, |name| day.node(name, &broker, &FAST));
    for _ in 0..2 {
        disk.fill();
        let ready = says(console, "/readyz", "the disk of the journal is full");
        assert_eq!(
            ready.lines().filter(|line| line.contains("full")).count(),
            1,
            "{ready}"
        );
        says(console, "/healthz", "The store waits: ");
        assert_eq!(
            get(console, "/healthz").expect("it answers").0,
            "HTTP/1.1 200 OK"
        );
        let before = (entries(&journal), receipts_shown(&state(console)));
        std::thread::sleep(Duration::from_millis(1_500));
        let after = (entries(&journal), receipts_shown(&state(console)));
        assert_eq!(before, after, "nothing happens meanwhile");
        disk.empty();
        says(console, "/healthz", "ok\n");
        std::thread::sleep(Duration::from_millis(1_000));
    }
    assert!(
        coordinator
            .said()
            .contains("the disk of the journal is full"),
        "{}",
        coordinator.said()
    );
    ends_well(
        &audited,
        (coordinator, console),
        nodes,
        &journal,
        "a full disk of the journal",
    );
}

#[test]
fn a_store_on_a_full_disk_can_be_stopped_and_started_again() {
    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    let audited = Audited::from(&corner::gated(), 1, 2);
    let day = &audited.day;
    let Some(disk) = Disk::mount(day.path("disk")) else {
        return;
    };
    let (broker, journal) = (mosquitto.url().to_string(), disk.file("journal.sqlite"));
    let open = || day.coordinator_with(&broker, &journal, &["--disk-free-min-mb", "0"]);
    let coordinator = open();
    let console = coordinator.console();
    let nodes = at_work(day, console, |name| day.node(name, &broker, &FAST));
    disk.fill();
    says(console, "/healthz", "The store waits: ");
    coordinator.terminate();
    let (code, said) = coordinator.wait();
    assert_eq!(code, Some(1), "{said}");

    // Started again it is open, and waits.
    let waiting = open();
    says(waiting.console(), "/healthz", "The store waits: ");
    waiting.kill();
    disk.empty();
    let coordinator = open();
    let console = coordinator.console();
    ends_well(
        &audited,
        (coordinator, console),
        nodes,
        &journal,
        "stopped while the disk was full",
    );
}

#[test]
fn a_node_whose_disk_is_full_says_so_and_tells_what_it_lost() {
    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    let audited = Audited::from(&corner::gated(), 1, 6);
    let day = &audited.day;
    let Some(disk) = Disk::mount(day.path("disk")) else {
        return;
    };
    let broker = mosquitto.url().to_string();
    let (coordinator, console) = day.coordinator(&broker);
    let outbox = |name: &str| match name {
        "ceiling" => disk.file("ceiling.sqlite"),
        _ => day.outbox(name),
    };
    let nodes = at_work(day, console, |name| {
        day.node_with(name, &broker, &outbox(name), &FAST)
    });
    disk.fill();
    let why = "node ceiling: its outbox is full, and what it sees now is lost";
    says(console, "/readyz", why);
    disk.empty();
    says(console, "/readyz", "ready\n");
    wait_for(console, "all visits end", |state| {
        let is_over = state["sessions"] == serde_json::json!([]);
        is_over && state["counters"]["losses"].as_u64() > Some(0)
    });
    end(nodes, outbox);
    coordinator.terminate();
    coordinator.ends_well();
    let journal = day.path("journal.sqlite");
    Archive::open(&journal)
        .and_then(|archive| archive.verify(None))
        .expect("it is whole");
    let definition = corner::definition(&day.toml);
    let opened = stroll::edge::journal::Journal::open(&journal, &definition).expect("a journal");
    let dropped: u64 = (opened.observations())
        .filter_map(|stamped| match stamped.expect("read").observation {
            Observation::Gap(gap) => Some(gap.dropped),
            _ => None,
        })
        .sum();
    assert!(dropped > 0, "what was lost is counted");
    drop(opened);
    let is_gap = |decision: &Decision| matches!(decision, Decision::Gap { node, .. } if node.as_str() == "ceiling");
    assert!(decisions(&journal, day).iter().any(is_gap));
}
