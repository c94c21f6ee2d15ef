//! What holds for the inference, whatever it is made of: shoppers at shelves in, attributions and receipts out.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bench::{Bench, Kept};
use super::properties::{PLATES, in_time, streams_of};
use super::store::{self, GATELESS};
use crate::checkout::decision::{Attributed, AttributionVerdict, Decision};
use crate::checkout::session::SessionId;
use crate::coordinator::Input;
use crate::observation::{ChangeKind, Item, Observation, Stamped};
use crate::units::Timestamp;

/// What a shopper does at one stop.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    /// So many units from that plate of [`PLATES`].
    Take(usize, i32),
    /// The last unit that was taken goes back to its plate; nothing if there is none.
    PutBack,
    Touch(usize),
}

/// One shopper: when the first deed is, and the deeds with the seconds between them.
#[derive(Clone, Debug)]
struct Shopper {
    start_s: f64,
    deeds: Vec<(Deed, f64)>,
}

/// Something that happened at a shelf.
#[derive(Clone, Copy, Debug)]
struct Act {
    shopper: usize,
    t: f64,
    plate: usize,
    /// Units that left the shelf; negative: that came back; 0: a touch.
    units: i32,
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..PLATES.len(), 1..3).prop_map(|(plate, units)| Deed::Take(plate, units)),
        2 => Just(Deed::PutBack),
        1 => (0..PLATES.len()).prop_map(Deed::Touch),
    ]
}

fn crowd(shoppers_max: usize) -> impl Strategy<Value = Vec<Shopper>> {
    let shopper = (0.5..4.0, prop::collection::vec((deeds(), 2.5..5.0), 0..5))
        .prop_map(|(start_s, deeds)| Shopper { start_s, deeds });
    prop::collection::vec(shopper, 1..=shoppers_max)
}

/// The deeds of everybody by their own clocks, so that some meet at a plate.
fn together(crowd: &[Shopper]) -> Vec<Act> {
    let mut acts = Vec::new();
    for (index, shopper) in crowd.iter().enumerate() {
        let mut t = shopper.start_s;
        for (deed, (plate, units)) in shopper.deeds.iter().zip(done(shopper)) {
            acts.extend(deed.0.is_done(units).then_some(Act {
                shopper: index,
                t,
                plate,
                units,
            }));
            t += deed.1;
        }
    }
    acts.sort_by(|a, b| a.t.total_cmp(&b.t));
    acts
}

/// The same deeds one after another: nobody is near while another one acts.
fn one_by_one(crowd: &[Shopper]) -> Vec<Act> {
    let mut acts = together(crowd);
    for (slot, act) in acts.iter_mut().enumerate() {
        act.t = 1.5 + 3.0 * slot as f64;
    }
    acts
}

impl Deed {
    /// Whether there is anything to be seen of it.
    fn is_done(self, units: i32) -> bool {
        match self {
            Deed::Touch(_) => true,
            Deed::Take(..) | Deed::PutBack => units != 0,
        }
    }
}

/// Plate and units of each deed of a shopper.
fn done(shopper: &Shopper) -> Vec<(usize, i32)> {
    let mut has = Vec::new();
    (shopper.deeds.iter())
        .map(|(deed, _)| match *deed {
            Deed::Take(plate, units) => {
                has.extend((0..units).map(|_| plate));
                (plate, units)
            }
            Deed::PutBack => has.pop().map_or((0, 0), |plate| (plate, -1)),
            Deed::Touch(plate) => (plate, 0),
        })
        .collect()
}

/// What the nodes see of the acts; shopper `i` is called `names[i]`. Everybody is in the aisle between their acts, and
/// goes when the last one is done.
fn seen(acts: &[Act], names: &[&str]) -> BTreeMap<&'static str, Vec<Observation>> {
    let over = acts.last().map_or(1.0, |act| act.t) + 2.0;
    let mut all: BTreeMap<&'static str, Vec<Observation>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        for half in 0..(2.0 * over) as u32 {
            let t = 0.5 * f64::from(half);
            let here = |act: &&Act| act.shopper == index && (t - act.t).abs() < 1.0;
            let place = acts
                .iter()
                .find(here)
                .map_or("aisle", |act| PLATES[act.plate].0);
            let body = beside(store::body(name, t, place), index);
            all.entry("ceiling").or_default().push(body);
        }
    }
    for act in acts {
        let (plate, unit) = PLATES[act.plate];
        let plate = plate.parse().unwrap();
        let change = store::change(plate, act.t, -unit * f64::from(act.units));
        all.entry(store::node_of(plate)).or_default().push(change);
    }
    for seen in all.values_mut() {
        seen.sort_by_key(Observation::end);
    }
    all
}

/// A body that stands and reaches a little beside the plate, each shopper's by as much: nobody reaches just as well as another,
/// so that nothing is left to their names.
fn beside(mut body: Observation, shopper: usize) -> Observation {
    if let Observation::Body(segment) = &mut body {
        for pose in &mut segment.poses {
            for seen in pose.hands.iter_mut().chain(&mut pose.head) {
                seen.place.x += 0.13 + 0.012 * shopper as f64;
            }
        }
    }
    body
}

const NAMES: [&str; 4] = ["ann", "bob", "cyd", "dan"];

/// A store after everybody has left; every time is `later_us` later than it would be.
fn store_after(acts: &[Act], names: &[&str], later_us: i64) -> Bench {
    let mut bench = Bench::new(store::definition(), GATELESS);
    for (input, now) in in_time(&streams_of(&seen(acts, names), GATELESS)) {
        bench.handle(later(input, later_us), Timestamp(now.0 + later_us));
    }
    bench
}

fn later(input: Input, by_us: i64) -> Input {
    let shift = |at: &mut Timestamp| at.0 += by_us;
    match input {
        Input::Observation(stamped) => {
            let mut stamped = Stamped::clone(&stamped);
            shift(&mut stamped.clock.wall_us);
            match &mut stamped.observation {
                Observation::Shelf(o) => {
                    shift(&mut o.start);
                    shift(&mut o.peak);
                    shift(&mut o.end);
                }
                Observation::Vision(o) => {
                    shift(&mut o.start);
                    shift(&mut o.end);
                }
                Observation::Body(o) => {
                    shift(&mut o.start);
                    shift(&mut o.end);
                    o.poses.iter_mut().for_each(|pose| shift(&mut pose.at));
                }
                Observation::Gate(o) => shift(&mut o.at),
                Observation::Gap(o) => {
                    shift(&mut o.start);
                    shift(&mut o.end);
                }
            }
            Input::Observation(stamped.into())
        }
        Input::Watermark(mut watermark) => {
            shift(&mut watermark.at);
            (watermark.open.iter_mut()).for_each(|open| shift(&mut open.since));
            Input::Watermark(watermark)
        }
        other @ (Input::Undecodable { .. }
        | Input::Status(_)
        | Input::Bar { .. }
        | Input::Unbar { .. }
        | Input::DeviceEnrolled { .. }
        | Input::DeviceRevoked { .. }
        | Input::Payment { .. }
        | Input::PaymentUnanswered { .. }
        | Input::Payer { .. }
        | Input::Refund { .. }
        | Input::Verdict { .. }
        | Input::Tick
        | Input::EndOfRecording) => other,
    }
}

/// Lines by product.
type Lines = BTreeMap<String, u32>;

/// What each receipt charges, by the name of the shopper.
fn charged(bench: &Bench) -> BTreeMap<String, Lines> {
    (bench.receipts.iter())
        .map(|receipt| {
            let name = receipt
                .track
                .as_ref()
                .expect("no gate, no session without a track");
            let lines = receipt
                .lines
                .iter()
                .map(|l| (l.product.to_string(), l.quantity));
            (name.to_string(), lines.collect())
        })
        .collect()
}

/// How each change was attributed: at first, and in the end.
fn attributions(bench: &Bench) -> Vec<(&Attributed, &Attributed)> {
    let mut found: Vec<(&Attributed, &Attributed)> = Vec::new();
    for kept in &bench.journal {
        match kept {
            Kept::Decided(Decision::Attributed(first)) => found.push((first, first)),
            Kept::Decided(Decision::Revised(revised)) => {
                let same = found
                    .iter_mut()
                    .find(|(first, _)| first.change == revised.change);
                same.expect("what is revised was attributed").1 = revised;
            }
            Kept::Decided(_) | Kept::Accepted(_) => {}
        }
    }
    found
}

/// How likely everything was that was thought of for each change when it was attributed, parts in a million. (Later a
/// change is attributed anew only if something follows from it.) The shoppers are called by `rename` of their names.
fn thoughts(bench: &Bench, rename: impl Fn(&str) -> String) -> Vec<BTreeMap<String, u32>> {
    let sessions = &bench.core.state().sessions;
    let name = |id: &SessionId| {
        sessions[id]
            .track
            .clone()
            .map_or(String::new(), |t| rename(t.as_str()))
    };
    let thought = |attributed: &Attributed| {
        let mut sums = BTreeMap::new();
        for hypothesis in &attributed.hypotheses {
            // Who is asked about something foreign is anybody of those who were equally near.
            let mut shares: Vec<String> = (hypothesis.shares())
                .map(|(who, items)| match who.filter(|_| !items.is_empty()) {
                    Some(who) => format!("{} {items:?}", name(who)),
                    None => format!("nobody {items:?}"),
                })
                .collect();
            shares.sort();
            *sums.entry(shares.join(" and ")).or_default() += hypothesis.probability_ppm;
        }
        sums
    };
    (attributions(bench).into_iter())
        .map(|(first, _)| thought(first))
        .collect()
}

/// The same but for rounding, and for what is left out: the faintest explanations need not be in both.
fn assert_alike(a: &[BTreeMap<String, u32>], b: &[BTreeMap<String, u32>]) {
    const FAINT_PPM: u32 = 1_000;
    const OFF_PPM: u32 = 100;
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        for key in a.keys().chain(b.keys()) {
            let (p, q) = (
                a.get(key).copied().unwrap_or(0),
                b.get(key).copied().unwrap_or(0),
            );
            assert!(
                p.max(q) < FAINT_PPM || p.abs_diff(q) <= OFF_PPM,
                "{key}: {p} and {q} in {a:?} and {b:?}"
            );
        }
    }
}

/// Units of each product that are gone from the shelves.
fn gone(acts: &[Act]) -> Vec<i32> {
    let mut gone = vec![0; PLATES.len()];
    acts.iter().for_each(|act| gone[act.plate] += act.units);
    gone
}

/// Units of the product of a plate.
fn units(items: &[Item], plate: usize) -> i32 {
    const PRODUCTS: [&str; 4] = ["cola", "tea", "chips", "apple"];
    (items.iter())
        .filter(|item| item.product.as_str() == PRODUCTS[plate])
        .map(|item| item.quantity as i32)
        .sum()
}

/// Units of the product of a plate: on receipts; given to nobody; and in doubt, when they left or later.
fn accounts(bench: &Bench, plate: usize) -> (i32, i32, i32) {
    let lines = bench.receipts.iter().flat_map(|r| &r.lines);
    let items: Vec<Item> = (lines)
        .map(|l| Item {
            product: l.product.clone(),
            quantity: l.quantity,
        })
        .collect();
    let (mut nobodys, mut doubted) = (0, 0);
    let takes = attributions(bench).into_iter().map(|(_, last)| last);
    for attributed in takes.filter(|a| a.kind == ChangeKind::Take) {
        let best = attributed
            .hypotheses
            .iter()
            .take(1)
            .flat_map(|h| h.shares());
        let best: Vec<Item> = best.flat_map(|(_, items)| items.iter().cloned()).collect();
        match attributed.verdict {
            AttributionVerdict::Accepted => {}
            AttributionVerdict::Review { .. } => doubted += units(&best, plate),
            AttributionVerdict::Nothing { .. } => nobodys += units(&best, plate),
        }
    }
    // What may be somebody's, or may have been put back, is in doubt with everybody whom it may concern.
    for kept in &bench.journal {
        if let Kept::Decided(
            Decision::LinesDropped { items, .. } | Decision::CartDetermined { doubted: items, .. },
        ) = kept
        {
            doubted += units(items, plate);
        }
    }
    (units(&items, plate), nobodys, doubted)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn probabilities_sum_to_one(crowd in crowd(4)) {
        let bench = store_after(&together(&crowd), &NAMES[..crowd.len()], 0);
        for attributed in attributions(&bench).into_iter().flat_map(|(a, b)| [a, b]) {
            let (thought_of, kept_max) = (attributed.hypotheses.len(), 8);
            let sum: u32 = attributed.hypotheses.iter().map(|h| h.probability_ppm).sum();
            // Each is rounded to parts in a million, and beyond eight the faintest are left out.
            prop_assert!(thought_of <= kept_max);
            prop_assert!(sum <= 1_000_000 + kept_max as u32, "{sum}");
            prop_assert!(thought_of == kept_max || thought_of == 0 || sum >= 1_000_000 - kept_max as u32, "{sum}");
            prop_assert!(attributed.hypotheses.is_sorted_by(|a, b| a.probability_ppm >= b.probability_ppm));
            prop_assert!(thought_of > 0 || attributed.kind == ChangeKind::Touch);
        }
    }

    // Three: of more who reach just as well, those who may have acted together are chosen by their names.
    #[test]
    fn permuting_the_shoppers_permutes_the_result(crowd in crowd(3), order in Just(NAMES).prop_shuffle()) {
        let (acts, shoppers) = (together(&crowd), crowd.len());
        let (plain, permuted) = (store_after(&acts, &NAMES[..shoppers], 0), store_after(&acts, &order[..shoppers], 0));
        let new_name = |old: &str| order[NAMES.iter().position(|n| *n == old).unwrap()].to_owned();
        let renamed: BTreeMap<String, Lines> = (charged(&plain).into_iter()).map(|(name, lines)| (new_name(&name), lines)).collect();
        prop_assert_eq!(charged(&permuted), renamed);
        assert_alike(&thoughts(&permuted, str::to_owned), &thoughts(&plain, new_name));
    }

    #[test]
    fn a_shift_of_all_times_changes_nothing(crowd in crowd(3), later_us in 1..4_000_000_000_000_i64) {
        let (acts, names) = (together(&crowd), &NAMES[..crowd.len()]);
        let (now, later) = (store_after(&acts, names, 0), store_after(&acts, names, later_us));
        prop_assert_eq!(charged(&later), charged(&now));
        assert_alike(&thoughts(&later, str::to_owned), &thoughts(&now, str::to_owned));
        let times = |bench: &Bench, less: i64| -> BTreeMap<String, (i64, i64)> {
            (bench.receipts.iter())
                .map(|r| (r.track.clone().unwrap().to_string(), (r.entered_at.0 - less, r.exited_at.0 - less)))
                .collect()
        };
        prop_assert_eq!(times(&later, later_us), times(&now, 0));
    }

    #[test]
    fn a_touch_never_charges(crowd in crowd(4)) {
        let acts = together(&crowd);
        let names = &NAMES[..crowd.len()];
        let touched: Vec<Act> = acts.iter().map(|act| Act { units: 0, ..*act }).collect();
        let bench = store_after(&touched, names, 0);
        prop_assert!(charged(&bench).values().all(BTreeMap::is_empty), "{:?}", charged(&bench));
        prop_assert!(bench.core.state().sessions.values().all(|s| s.uncharged.is_empty()));
        prop_assert_eq!(attributions(&bench).len(), touched.len());
    }

    #[test]
    fn what_left_the_shelves_is_on_the_receipts_when_one_acts_at_a_time(crowd in crowd(4)) {
        let acts = one_by_one(&crowd);
        let bench = store_after(&acts, &NAMES[..crowd.len()], 0);
        for (plate, gone) in gone(&acts).into_iter().enumerate() {
            prop_assert_eq!(accounts(&bench, plate), (gone, 0, 0), "{}", PLATES[plate].0);
        }
    }

    #[test]
    fn what_left_the_shelves_is_on_receipts_in_doubt_or_nobodys(crowd in crowd(4)) {
        let acts = together(&crowd);
        let bench = store_after(&acts, &NAMES[..crowd.len()], 0);
        for (plate, gone) in gone(&acts).into_iter().enumerate() {
            let (charged, nobodys, doubted) = accounts(&bench, plate);
            prop_assert!(charged <= gone, "{}: {charged} charged, {gone} gone", PLATES[plate].0);
            prop_assert!(gone <= charged + nobodys + doubted, "{}: {charged} charged, {nobodys} nobody's, {doubted} in doubt, {gone} gone", PLATES[plate].0);
        }
    }
}
