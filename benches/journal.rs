//! What a commit costs by the size of its group, next to a bare SQLite loop with the same pragmas in the same run.
//!
//! The bare loop writes the same observations, as the same text, into one table with one key; the journal also writes
//! them as JSON, chains their hashes and keeps what has come of each outbox. Rounds of the two follow each other, so
//! that a machine with other work slows both. Lines are medians over rounds; latencies are those of one commit.

#![allow(clippy::print_stdout, reason = "a table is what this is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, params};
use stroll::coordinator::{Input, Output};
use stroll::edge::journal::Journal;
use stroll::observation::Stamped;
use stroll::simulate::load::{self, Load};
use stroll::store::Definition;

const GROUPS: [usize; 4] = [1, 10, 50, 200];
const ROUNDS: usize = 7;
/// Observations of a round, at most; and commits, at most.
const OBSERVATIONS: usize = 4_000;
const COMMITS: usize = 400;

/// Seconds that each commit of a round took.
type Round = Vec<f64>;

fn timed(
    groups: impl Iterator<Item = Vec<Stamped>>,
    mut commit: impl FnMut(Vec<Stamped>),
) -> Round {
    groups
        .map(|group| {
            let begun = Instant::now();
            commit(group);
            begun.elapsed().as_secs_f64()
        })
        .collect()
}

fn journal(path: &Path, definition: &Definition, groups: Vec<Vec<Stamped>>) -> Round {
    let mut journal = Journal::open(path, definition).expect("a journal");
    timed(groups.into_iter(), |group| {
        let outputs = group.into_iter().map(|s| Output::Accept(Arc::new(s)));
        let outputs: Vec<Output> = outputs.collect();
        journal.commit(&outputs).expect("committed");
    })
}

fn bare(path: &Path, groups: Vec<Vec<Stamped>>) -> Round {
    let mut connection = Connection::open(path).expect("a database");
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
        .and_then(|()| {
            connection.execute_batch(
                "CREATE TABLE observation (accepted INTEGER PRIMARY KEY, node TEXT, outbox TEXT, sequence INTEGER, payload TEXT)",
            )
        })
        .expect("a table");
    timed(groups.into_iter(), |group| {
        let transaction = connection.transaction().expect("begun");
        {
            let insert =
                "INSERT INTO observation (node, outbox, sequence, payload) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = transaction.prepare_cached(insert).expect("prepared");
            for s in &group {
                let payload = serde_json::to_string(s).expect("JSON");
                let sequence = s.stamp.sequence.cast_signed();
                let row = params![
                    s.stamp.node.as_str(),
                    s.stamp.outbox.as_str(),
                    sequence,
                    payload
                ];
                insert.execute(row).expect("inserted");
            }
        }
        transaction.commit().expect("committed");
    })
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// Observations a second of each round; median and 99th percentile of a commit over all of them, milliseconds.
fn shown(rounds: &[Round], size: usize) -> (f64, f64, f64) {
    let per_s = |r: &Round| (r.len() * size) as f64 / r.iter().sum::<f64>();
    let mut all: Vec<f64> = rounds.iter().flatten().map(|s| s * 1e3).collect();
    all.sort_by(f64::total_cmp);
    let speed = median(rounds.iter().map(per_s).collect());
    (speed, quantile(&all, 0.5), quantile(&all, 0.99))
}

fn main() {
    let load = Load {
        plates: 100,
        shoppers: 10,
        seconds: 120.0,
    };
    let recording = load.recording().expect("a store of that size");
    let observations: Vec<Stamped> = (load::sense(&recording).into_iter())
        .filter_map(|(input, _)| {
            let Input::Observation(stamped) = input else {
                return None;
            };
            Some(Stamped::clone(&stamped))
        })
        .take(OBSERVATIONS)
        .collect();
    let bytes: usize = (observations.iter())
        .map(|s| serde_json::to_vec(s).expect("JSON").len())
        .sum();
    println!(
        "{} observations of {} bytes on average, {ROUNDS} rounds",
        observations.len(),
        bytes / observations.len().max(1)
    );
    println!("group   journal: obs/s  p50 ms  p99 ms   bare loop: obs/s  p50 ms  p99 ms   share");
    for size in GROUPS {
        let groups = || -> Vec<Vec<Stamped>> {
            let whole = observations.chunks_exact(size).take(COMMITS);
            whole.map(<[Stamped]>::to_vec).collect()
        };
        let (mut ours, mut bares, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let folder = tempfile::tempdir().expect("a folder");
            let a = journal(&folder.path().join("a"), &recording.definition, groups());
            let b = bare(&folder.path().join("b"), groups());
            shares.push(b.iter().sum::<f64>() / a.iter().sum::<f64>());
            ours.push(a);
            bares.push(b);
        }
        let (ours, bares) = (shown(&ours, size), shown(&bares, size));
        println!(
            "{size:>5}   {:>14.0} {:>7.2} {:>7.2}   {:>16.0} {:>7.2} {:>7.2}   {:>4.0} %",
            ours.0,
            ours.1,
            ours.2,
            bares.0,
            bares.1,
            bares.2,
            100.0 * median(shares)
        );
    }
}
