//! How long a store takes to open again with a million entries in its journal, with its snapshot and without.
//!
//! The journal is that of a real coordinator: a minute with ten shoppers, played again and again at later times by other
//! shoppers, until it has as many entries as asked for (`STROLL_BENCH_ENTRIES`). Making it takes some minutes; it is made
//! once where a file for it is named (`STROLL_BENCH_JOURNAL`).

#![allow(
    clippy::print_stdout,
    reason = "what was made is told beside what was measured"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use stroll::coordinator::{Coordinator, Input};
use stroll::edge::gateway::Sandbox;
use stroll::edge::journal::Journal;
use stroll::edge::shell::Shell;
use stroll::observation::{Observation, Stamped};
use stroll::recording::Recording;
use stroll::simulate::load::{self, Load};
use stroll::units::Timestamp;

const ENTRIES: u64 = 1_000_000;
/// A round: everybody comes, takes something every ten seconds, and is gone before the next one, microseconds.
const ROUND_US: i64 = 150_000_000;
const LOAD: Load = Load {
    plates: 100,
    shoppers: 10,
    seconds: 60.0,
};
/// Inputs that are committed together.
const GROUP: usize = 50;

fn open(path: &Path, recording: &Recording) -> Shell<Coordinator> {
    let journal = Journal::open(path, &recording.definition).expect("the journal opens");
    let gateway = Box::new(Sandbox::in_memory().expect("a sandbox"));
    let (shell, _) = Shell::open(journal, &recording.definition, &recording.nodes, gateway)
        .expect("the store opens");
    shell
}

/// What was said in the first round, said by others in a later one.
fn later(input: &Input, round: i64, sequences: &dyn Fn(&str) -> u64) -> Input {
    let by = |at: Timestamp| Timestamp(at.0 + round * ROUND_US);
    match input {
        Input::Observation(stamped) => {
            let mut stamped = Stamped::clone(stamped);
            stamped.stamp.sequence += round as u64 * sequences(stamped.stamp.node.as_str());
            match &mut stamped.observation {
                Observation::Shelf(o) => {
                    (o.start, o.peak, o.end) = (by(o.start), by(o.peak), by(o.end));
                }
                Observation::Body(o) => {
                    o.track = format!("{}-{round}", o.track).into();
                    (o.start, o.end) = (by(o.start), by(o.end));
                    o.poses.iter_mut().for_each(|pose| pose.at = by(pose.at));
                }
                Observation::Gate(o) => o.at = by(o.at),
                Observation::Vision(o) => (o.start, o.end) = (by(o.start), by(o.end)),
                Observation::Gap(o) => (o.start, o.end) = (by(o.start), by(o.end)),
            }
            Input::Observation(Arc::new(stamped))
        }
        Input::Watermark(watermark) => {
            let mut watermark = watermark.clone();
            watermark.sequence += round as u64 * sequences(watermark.node.as_str());
            watermark.at = by(watermark.at);
            let open = watermark.open.iter_mut();
            open.for_each(|open| open.since = by(open.since));
            Input::Watermark(watermark)
        }
        Input::Undecodable { .. }
        | Input::Status(_)
        | Input::DeviceEnrolled { .. }
        | Input::DeviceRevoked { .. }
        | Input::Payment { .. }
        | Input::PaymentUnanswered { .. }
        | Input::Payer { .. }
        | Input::Refund { .. }
        | Input::Verdict { .. }
        | Input::Bar { .. }
        | Input::Unbar { .. }
        | Input::Tick
        | Input::EndOfRecording => input.clone(),
    }
}

/// A journal with at least so many entries.
fn write(path: &Path, recording: &Recording, entries: u64) -> u64 {
    let mut inputs = load::sense(recording);
    // Between two rounds nothing happens, and every node says so.
    let end = inputs.iter().map(|(_, now)| *now).max().expect("inputs");
    let last: Vec<Input> = (recording.nodes.iter())
        .filter_map(|node| {
            let of_node = |(input, _): &&(Input, Timestamp)| {
                matches!(input, Input::Watermark(w) if w.node == *node)
            };
            let (last, _) = inputs.iter().rev().find(of_node)?;
            let Input::Watermark(mut last) = last.clone() else {
                return None;
            };
            last.at = Timestamp(end.0 + ROUND_US / 3);
            last.open.clear();
            Some(Input::Watermark(last))
        })
        .collect();
    inputs.extend(last.into_iter().map(|input| (input, end)));
    let sequences = |node: &str| {
        let of_node = inputs.iter().filter_map(|(input, _)| {
            if let Input::Observation(o) = input
                && o.stamp.node.as_str() == node
            {
                return Some(o.stamp.sequence);
            }
            None
        });
        of_node.max().unwrap_or(0)
    };
    let known: Vec<(String, u64)> = (recording.nodes.iter())
        .map(|node| (node.to_string(), sequences(node.as_str())))
        .collect();
    let sequences = |node: &str| {
        let found = known.iter().find(|(name, _)| name == node);
        found.map_or(0, |(_, last)| *last)
    };
    let mut shell = open(path, recording);
    // A journal that is there already is long enough.
    let rounds = if shell.log().head().entries > 0 {
        0..0
    } else {
        0..i64::MAX
    };
    for round in rounds {
        for group in inputs.chunks(GROUP) {
            let now = Timestamp(group[0].1.0 + round * ROUND_US);
            let group = group
                .iter()
                .map(|(input, _)| later(input, round, &sequences));
            shell.batch(group, now).expect("it goes on");
        }
        if shell.log().head().entries >= entries {
            break;
        }
    }
    let written = shell.log().head().entries;
    let (core, journal) = shell.into_parts();
    let kept = serde_json::to_vec(&core.snapshot()).expect("it can be kept");
    let sessions = core.state().sessions.len();
    journal.close().expect("it closes");
    println!(
        "{written} entries, {sessions} sessions remembered, a snapshot of {} kB, a journal of {} MB",
        kept.len() / 1_000,
        std::fs::metadata(path).expect("it is there").len() / 1_000_000
    );
    written
}

fn restart(criterion: &mut Criterion) {
    let asked = std::env::var("STROLL_BENCH_ENTRIES").ok();
    let entries = asked.map_or(ENTRIES, |text| text.parse().expect("a number of entries"));
    let recording = LOAD.recording().expect("a store of that size");
    let folder = tempfile::tempdir().expect("a folder");
    let path = std::env::var_os("STROLL_BENCH_JOURNAL")
        .map_or_else(|| folder.path().join("journal.sqlite"), PathBuf::from);
    let begun = Instant::now();
    let written = write(&path, &recording, entries);
    println!("written in {:.1} s", begun.elapsed().as_secs_f64());

    let mut group = criterion.benchmark_group("restart");
    group.sample_size(10);
    group.bench_function(format!("{written} entries"), |b| {
        b.iter(|| open(&path, &recording));
    });
    group.finish();

    let copy = folder.path().join("copy.sqlite");
    std::fs::copy(&path, &copy).expect("it is copied");
    rusqlite::Connection::open(&copy)
        .and_then(|journal| journal.execute("DELETE FROM snapshot", []))
        .expect("its snapshot goes");
    let begun = Instant::now();
    open(&copy, &recording);
    println!(
        "without its snapshot, once: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}

criterion_group!(benches, restart);
criterion_main!(benches);
