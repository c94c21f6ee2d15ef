//! How the cost of the chain grows with plates and shoppers: time for a second of store time, on one thread.
//!
//! `stroll bench` prints the same as a table with the growth beside it.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use stroll::simulate::load::{self, Load};

/// Each iteration plays so much store time, seconds.
const SECONDS: f64 = 20.0;

fn scaling(criterion: &mut Criterion) {
    for plates in [100, 400, 1_600] {
        for shoppers in [1, 10, 50] {
            let load = Load {
                plates,
                shoppers,
                seconds: SECONDS,
            };
            let recording = load.recording().expect("a store of that size");
            let inputs = load::sense(&recording);
            let size = format!("{plates} plates, {shoppers} shoppers");
            let mut group = criterion.benchmark_group("20 s of store time");
            group.sample_size(10);
            group.bench_function(BenchmarkId::new("sensing", &size), |b| {
                b.iter(|| black_box(load::sense(&recording)).len());
            });
            group.bench_function(BenchmarkId::new("coordinator", &size), |b| {
                b.iter(|| load::coordinate(&recording, black_box(&inputs)));
            });
            group.finish();
        }
    }
}

criterion_group!(benches, scaling);
criterion_main!(benches);
