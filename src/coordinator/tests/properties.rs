//! What holds for any trips, in any order of arrival, and through a crash at any point.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bench::{Bench, KEY, Kept};
use super::store::{self, GATED, GATELESS};
use crate::checkout::decision::{AttributionVerdict, Decision, PaymentRequest};
use crate::checkout::entry_code::EntryCode;
use crate::checkout::receipt::Receipt;
use crate::checkout::session::SessionId;
use crate::coordinator::Input;
use crate::observation::{GateEvent, Item, Observation, OpenInterval, Stamp};
use crate::units::Timestamp;

/// Each plate that something stands on, with the weight of one unit.
pub(super) const PLATES: [(&str, f64); 4] = [
    ("1.1.1", 500.0),
    ("1.1.3", 100.0),
    ("2.1.1", 200.0),
    ("2.1.3", 180.0),
];

/// A way through the store: when it begins, and what is done at which plate. Each stop takes two seconds.
#[derive(Clone, Debug)]
struct Trip {
    start: f64,
    /// Index of the plate, units taken (positive) or put there (negative), seconds to the stop.
    stops: Vec<(usize, i32, f64)>,
}

fn trips(shoppers: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Trip>> {
    let stop = (
        0..PLATES.len(),
        prop_oneof![Just(1), Just(1), Just(-1), Just(2)],
        0.0..1.5,
    );
    let trip = (0.0..6.0, prop::collection::vec(stop, 0..4))
        .prop_map(|(start, stops)| Trip { start, stops });
    prop::collection::vec(trip, shoppers)
}

/// What the nodes of the store see of trips, by node and in the order in which each gives it out.
fn seen(trips: &[Trip], gated: bool) -> BTreeMap<&'static str, Vec<Observation>> {
    let mut all: BTreeMap<&str, Vec<Observation>> = BTreeMap::new();
    let mut see = |node: &'static str, seen| all.entry(node).or_default().push(seen);
    let mut left_at: f64 = f64::NEG_INFINITY;
    for (index, trip) in trips.iter().enumerate() {
        let track = format!("shopper-{index}");
        // At the gate one comes after the other.
        let mut t = trip.start + if gated { 8.0 * index as f64 } else { 0.0 };
        if gated {
            // Who comes in while another goes out at the very same spot can't be told apart.
            if (t + 1.0 - left_at).abs() < 3.0 {
                t = left_at + 3.0;
            }
            let device = ["phone", "tablet"][index];
            let code = EntryCode::mint("corner", &device.into(), KEY, store::at(t)).unwrap();
            let code = code.to_string();
            see("gate", store::gate(t, GateEvent::CodeShown { code }));
            see("gate", store::gate(t + 1.0, GateEvent::PassedIn));
            see("ceiling", store::body(&track, t + 0.8, "door"));
            t += 1.3;
        }
        for &(plate, units, way_s) in &trip.stops {
            for half in 0..(2.0 * way_s) as u32 {
                see(
                    "ceiling",
                    store::body(&track, t + 0.5 * f64::from(half), "aisle"),
                );
            }
            t += way_s;
            let (name, unit) = PLATES[plate];
            for half in 0..4 {
                see(
                    "ceiling",
                    store::body(&track, t + 0.5 * f64::from(half), name),
                );
            }
            let id = name.parse().unwrap();
            let change = store::change(id, t + 0.9, -unit * f64::from(units));
            see(store::node_of(id), change);
            t += 2.0;
        }
        see(
            "ceiling",
            store::body(&track, t, if gated { "door" } else { "aisle" }),
        );
        if gated {
            see("gate", store::gate(t + 0.2, GateEvent::PassedOut));
            left_at = t + 0.2;
        }
    }
    for seen in all.values_mut() {
        seen.sort_by_key(Observation::end);
    }
    all
}

/// What each node sends, in its order: its observations as they end, and its promises.
fn streams(trips: &[Trip], gated: bool) -> Vec<Vec<(Input, Timestamp)>> {
    streams_of(&seen(trips, gated), if gated { GATED } else { GATELESS })
}

/// What each of the nodes sends of what it saw.
pub(super) fn streams_of(
    all: &BTreeMap<&str, Vec<Observation>>,
    nodes: &[&str],
) -> Vec<Vec<(Input, Timestamp)>> {
    let last = all.values().flatten().map(Observation::end).max();
    let over = last.map_or(0.0, store::seconds) + 1.0;
    // Long after the last deadline there is a promise now and then.
    let marks: Vec<f64> = (0..)
        .map(|i| 0.5 * f64::from(i))
        .take_while(|t| *t < over)
        .chain((0..12).map(|i| over + 10.0 * f64::from(i)))
        .collect();
    nodes
        .iter()
        .map(|node| stream(node, all.get(node).map_or(&[], Vec::as_slice), &marks))
        .collect()
}

fn stream(node: &str, seen: &[Observation], marks: &[f64]) -> Vec<(Input, Timestamp)> {
    let mut out = Vec::new();
    let mut sent = 0;
    for mark in marks.iter().map(|t| store::at(*t)) {
        while let Some(observation) = seen.get(sent).filter(|o| o.end() <= mark) {
            sent += 1;
            let stamped = store::stamped(node, sent as u64, observation.clone());
            out.push((Input::Observation(stamped), observation.end()));
        }
        let under_way = seen[sent..].iter().filter(|o| o.start() <= mark);
        let (mut at, mut open) = (Timestamp(mark.0 - 1), Vec::new());
        for observation in under_way {
            match observation {
                Observation::Shelf(change) => open.push(OpenInterval {
                    shelf: change.shelf,
                    since: change.start,
                }),
                Observation::Body(_) => at = at.min(Timestamp(observation.start().0 - 1)),
                Observation::Vision(_) | Observation::Gate(_) | Observation::Gap(_) => {
                    unreachable!("a moment is never under way")
                }
            }
        }
        let watermark = store::watermark(&node.into(), sent as u64, at, open);
        out.push((Input::Watermark(watermark), mark));
    }
    out
}

/// A stream of random numbers for an order of arrival.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's MMIX generator: the high bits are good enough to shuffle with.
        self.0 = (self.0.wrapping_mul(6_364_136_223_846_793_005))
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

/// The streams in one of the orders in which they can arrive: each node's own order is kept, in bursts, with repeats.
fn shuffled(streams: &[Vec<(Input, Timestamp)>], seed: u64) -> Vec<(Input, Timestamp)> {
    let mut chance = Chance(seed);
    let mut next = vec![0; streams.len()];
    let mut out = Vec::new();
    loop {
        let left: Vec<usize> = (0..streams.len())
            .filter(|&n| next[n] < streams[n].len())
            .collect();
        if left.is_empty() {
            return out;
        }
        let node = left[chance.below(left.len())];
        let burst = (1 + chance.below(60)).min(streams[node].len() - next[node]);
        for _ in 0..burst {
            if chance.below(5) == 0 && next[node] > 0 {
                out.push(streams[node][chance.below(next[node])].clone());
            }
            out.push(streams[node][next[node]].clone());
            next[node] += 1;
        }
    }
}

/// The streams as they come when nothing is late.
pub(super) fn in_time(streams: &[Vec<(Input, Timestamp)>]) -> Vec<(Input, Timestamp)> {
    let mut all: Vec<(Input, Timestamp)> = streams.concat();
    all.sort_by_key(|(_, at)| *at);
    all
}

fn bench(gated: bool) -> Bench {
    Bench::new(store::definition(), if gated { GATED } else { GATELESS })
}

fn deliver(bench: &mut Bench, inputs: &[(Input, Timestamp)]) {
    for (input, now) in inputs {
        bench.handle(input.clone(), *now);
    }
}

/// The receipts of every session; none is missing.
fn receipts(bench: &Bench) -> Vec<Receipt> {
    let sessions = bench.core.state().sessions.values();
    sessions
        .map(|s| {
            s.receipt
                .clone()
                .unwrap_or_else(|| panic!("no receipt: {s:?}"))
        })
        .collect()
}

/// How every change was attributed, by the change: the verdict with the best explanation. (Of those without hope,
/// sessions that are settled already are left out, and how early that is depends on the order of arrival.)
fn attributions(
    bench: &Bench,
) -> BTreeMap<Stamp, (AttributionVerdict, Option<SessionId>, Vec<Item>)> {
    (bench.journal.iter())
        .filter_map(|kept| match kept {
            Kept::Decided(Decision::Attributed(attributed)) => Some(attributed.clone()),
            Kept::Decided(_) | Kept::Accepted(_) => None,
        })
        .map(|attributed| {
            let best = attributed.hypotheses[0].clone();
            let how = (attributed.verdict, best.session, best.items);
            (attributed.change, how)
        })
        .collect()
}

/// One question for each key; one capture or one void for each session, and nothing before its hold.
fn assert_paid_once(bench: &Bench) {
    let mut by_key = BTreeMap::new();
    let mut closing = BTreeMap::new();
    for (session, key, request) in &bench.asked {
        let first = by_key.entry(key).or_insert(request);
        assert_eq!(first, &request, "{key} asks something else");
        match request {
            PaymentRequest::Authorise { .. } => assert!(!closing.contains_key(session)),
            PaymentRequest::Capture { .. } | PaymentRequest::Void { .. } => {
                let first = closing.entry(session).or_insert(key);
                assert_eq!(first, &key, "{session} is closed twice");
            }
            PaymentRequest::Charge { .. } => panic!("nobody has agreed to a second charge"),
            PaymentRequest::Refund { .. } => panic!("nobody asked for a refund"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_arrival_and_repeats_change_nothing(
        trips in trips(1..=4), seeds in prop::collection::vec(any::<u64>(), 3),
    ) {
        order_changes_nothing(&trips, false, &seeds);
    }

    #[test]
    fn the_order_of_arrival_and_repeats_change_nothing_behind_a_gate(
        trips in trips(1..=2), seeds in prop::collection::vec(any::<u64>(), 3),
    ) {
        order_changes_nothing(&trips, true, &seeds);
    }

    #[test]
    fn a_crash_at_any_point_changes_nothing(
        trips in trips(1..=3), gated in any::<bool>(), late in any::<bool>(),
        seed in any::<u64>(), at in 0.0..1.0_f64, slow in prop::option::of(0.0..1.0_f64),
    ) {
        let trips = &trips[..trips.len().min(if gated { 2 } else { 3 })];
        crash_changes_nothing(trips, gated, late.then_some(seed), at, slow);
    }
}

fn order_changes_nothing(trips: &[Trip], gated: bool, seeds: &[u64]) {
    let streams = streams(trips, gated);
    let mut straight = bench(gated);
    deliver(&mut straight, &in_time(&streams));
    assert_eq!(receipts(&straight).len(), trips.len());
    for seed in seeds {
        let mut shaken = bench(gated);
        deliver(&mut shaken, &shuffled(&streams, *seed));
        assert_eq!(receipts(&shaken), receipts(&straight));
        assert_eq!(attributions(&shaken), attributions(&straight));
        assert_paid_once(&shaken);
    }
}

/// Crashes after the share `at` of the inputs; the gateway gives no answer from the share `slow` on until then.
fn crash_changes_nothing(
    trips: &[Trip],
    gated: bool,
    seed: Option<u64>,
    at: f64,
    slow: Option<f64>,
) {
    let streams = streams(trips, gated);
    let mut straight = bench(gated);
    deliver(&mut straight, &in_time(&streams));
    let inputs = seed.map_or_else(|| in_time(&streams), |seed| shuffled(&streams, seed));
    let crash_at = (at * inputs.len() as f64) as usize;
    let slow_at = slow.map_or(crash_at, |share| (share * crash_at as f64) as usize);
    let mut crashed = bench(gated);
    deliver(&mut crashed, &inputs[..slow_at]);
    crashed.run("gateway slow");
    deliver(&mut crashed, &inputs[slow_at..crash_at]);
    crashed.crash();
    crashed.run("gateway answers");
    deliver(&mut crashed, &inputs);
    assert_eq!(receipts(&crashed), receipts(&straight));
    assert_paid_once(&crashed);
}
