//! The stages of the way from sample to receipt, each on one thread, on a simulated minute of the NanoStore.
//!
//! `cargo bench` prints time and throughput; for sensing the throughput is in plate samples, so that
//! 400 plates at 60 Hz need 24,000 of them a second.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stroll::coordinator::Coordinator;
use stroll::edge::gateway::Sandbox;
use stroll::edge::journal::Journal;
use stroll::edge::playback::Playback;
use stroll::edge::shell::Shell;
use stroll::edge::wire::{self, Message};
use stroll::observation::{NodeClock, Observation, Stamp, Stamped};
use stroll::recording::{Record, Recording};
use stroll::sensing::history::Trace;
use stroll::sensing::item_match;
use stroll::sensing::movement;
use stroll::sensing::node::NodeSensor;
use stroll::simulate::{self, Options};
use stroll::store::definition::{self, NANOSTORE, NANOSTORE_FILE};

fn recording() -> Recording {
    let (definition, _) =
        definition::parse(NANOSTORE, NANOSTORE_FILE).expect("the shipped store is whole");
    simulate::record(&Arc::new(definition), 7, 6, Options::default())
}

fn sensed(recording: &Recording) -> Vec<Observation> {
    let mut seen = Vec::new();
    for node in &recording.nodes {
        let mut sensor = NodeSensor::new(recording.definition.clone());
        (recording.records.iter().filter(|r| r.node() == node))
            .for_each(|r| sensor.push(r, &mut seen));
        sensor.finish(&mut seen);
    }
    seen
}

fn stages(criterion: &mut Criterion) {
    let recording = recording();
    sensing(criterion, &recording);
    let seen = sensed(&recording);
    items(criterion, &recording, &seen);
    codec(criterion, &seen);
    store(criterion, &recording);
}

fn sensing(criterion: &mut Criterion, recording: &Recording) {
    let samples = (recording.records.iter())
        .map(|r| match r {
            Record::Scale(batch) => batch.counts.len() as u64,
            Record::Body(_) | Record::Gate(_) => 0,
        })
        .sum();

    let mut group = criterion.benchmark_group("sensing");
    group
        .throughput(Throughput::Elements(samples))
        .sample_size(20);
    group.bench_function("plate samples to observations", |b| {
        b.iter(|| black_box(sensed(recording)).len())
    });
    group.finish();

    let grams = (0..80)
        .map(|i| {
            if i < 40 {
                0.3 * f64::from(i % 3)
            } else {
                -400.0
            }
        })
        .collect();
    let trace = Trace::whole(grams);
    criterion.bench_function("one trace taken apart (80 blocks)", |b| {
        b.iter(|| movement::read(black_box(&trace), 0.6, 6.0))
    });
}

fn items(criterion: &mut Criterion, recording: &Recording, seen: &[Observation]) {
    let shelf = seen.iter().find_map(|o| match o {
        Observation::Shelf(change) if !change.likelihoods.is_empty() => Some(change),
        Observation::Shelf(_)
        | Observation::Vision(_)
        | Observation::Body(_)
        | Observation::Gate(_)
        | Observation::Gap(_) => None,
    });
    let change = shelf.expect("somebody takes something");
    criterion.bench_function("items of one change", |b| {
        b.iter(|| {
            item_match::likelihoods(
                &recording.definition,
                change.shelf,
                black_box(&change.plates),
            )
        })
    });
}

fn codec(criterion: &mut Criterion, seen: &[Observation]) {
    let messages: Vec<Message> = (seen.iter().zip(1..))
        .map(|(observation, sequence)| {
            let stamp = Stamp {
                node: "ceiling".into(),
                outbox: "bench".into(),
                sequence,
            };
            let wall_us = observation.end();
            let clock = NodeClock {
                boot: "bench".into(),
                monotonic_us: 0,
                wall_us,
                error_us: 0,
            };
            Message::Observation(Stamped {
                stamp,
                clock,
                observation: observation.clone(),
            })
        })
        .collect();
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Elements(messages.len() as u64));
    group.bench_function("observations written and read", |b| {
        b.iter(|| {
            for message in &messages {
                let encoded = wire::encode("bench", message).expect("sensing keeps the bounds");
                black_box(
                    wire::decode(&encoded.topic, &encoded.payload)
                        .expect("what was written can be read"),
                );
            }
        })
    });
    group.finish();
}

fn store(criterion: &mut Criterion, recording: &Recording) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut runs = 0;
    let mut group = criterion.benchmark_group("store");
    group.sample_size(20);
    group.bench_function("a recording to its receipts, fresh journal", |b| {
        b.iter_batched(
            || {
                runs += 1;
                folder.path().join(format!("{runs}.sqlite"))
            },
            |path| {
                let definition = &recording.definition;
                let journal = Journal::open(&path, definition).expect("a new journal");
                let core = Coordinator::new(definition.clone(), &recording.nodes);
                let gateway = Box::new(Sandbox::in_memory().expect("a sandbox"));
                let mut shell = Shell::new(core, journal, gateway);
                Playback::new(recording)
                    .run(&mut shell)
                    .expect("a whole recording");
            },
            BatchSize::PerIteration,
        )
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
