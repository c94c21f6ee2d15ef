//! Drivers, sampler and sensing together, on simulated converters.

use std::path::Path;

use super::*;
use crate::edge::node::config;
use crate::edge::node::plate_feed::{Illness, News, Scale};
use crate::edge::node::sampler::Sampler;
use crate::observation::{ChangeKind, Observation, SamplingReport};
use crate::recording::{NO_COUNT, Record, ScaleBatch, ScaleGroup};
use crate::sensing::node::NodeSensor;
use crate::store::definition;
use crate::units::Timestamp;

/// The node that ships: 1.1.1 to 1.1.4 on HX711, 1.2.1 to 1.2.4 on NAU7802.
fn shipped() -> NodeConfig {
    let text = include_str!("../../../deploy/node.toml");
    let parsed = config::parse(text, "node.toml", Path::new("."), |_| None);
    parsed.unwrap().0
}

/// What came of a situation.
#[derive(Default)]
struct Played {
    /// The last raw count of each plate.
    last: Vec<i32>,
    news: Vec<(f64, String, News)>,
    /// Kind, start second, plate and grams of the changes that sensing saw.
    seen: Vec<(ChangeKind, f64, String, f64)>,
    reports: Vec<SamplingReport>,
}

fn play(situation: &str, seconds: f64) -> Played {
    let config = shipped();
    let situation = situation::parse(situation, "situation.toml").unwrap();
    let mut board = SimulatedBoard::new(&config, &situation);
    let scale = Scale {
        counts_per_gram: 420.0,
        zero: None,
        capacity_g: None,
    };
    let plates = config.plates();
    let mut sampler = Sampler::open(&config, &vec![scale; plates.len()], &mut board).unwrap();
    let corner = include_str!("../../../deploy/corner.toml");
    let (store, _) = definition::parse(corner, "corner.toml").unwrap();
    let mut sensor = NodeSensor::new(Arc::new(store));
    let group = Arc::new(ScaleGroup {
        node: config.name.clone(),
        plates: plates.clone(),
        counts_per_gram: vec![420.0; plates.len()],
        rate_hz: 80.0,
    });
    let mut played = Played {
        last: vec![NO_COUNT; plates.len()],
        ..Played::default()
    };
    let mut seen = Vec::new();
    while sampler.elapsed_s() < seconds {
        let Some(batch) = sampler.step().unwrap() else {
            continue;
        };
        let at_s = batch.first_us as f64 / 1e6 + 0.05;
        for (column, news) in batch.news {
            played.news.push((at_s, plates[column].to_string(), news));
        }
        for row in batch.raw.chunks(plates.len()) {
            for (last, count) in played.last.iter_mut().zip(row) {
                *last = if *count == NO_COUNT { *last } else { *count };
            }
        }
        played.reports.extend(batch.report);
        let record = Record::Scale(ScaleBatch {
            group: Arc::clone(&group),
            first_at: Timestamp::from_seconds(1.7e9 + batch.first_us as f64 / 1e6),
            counts: batch.trusted,
        });
        sensor.push(&record, &mut seen);
    }
    sensor.finish(&mut seen);
    for observation in seen {
        if let Observation::Shelf(change) = observation {
            let place = format!("{}.{}", change.shelf, change.plates[0].plate);
            let at_s = change.start.seconds() - 1.7e9;
            let grams = change.delta().grams();
            played.seen.push((change.kind, at_s, place, grams));
        }
    }
    played
}

#[test]
fn every_plate_is_weighed_by_its_own_converter_at_its_rate() {
    let load = |plate: &str, at_s: f64, grams: f64| {
        format!("[[load]]\nat_s = {at_s}\nplate = \"{plate}\"\ngrams = {grams}\n")
    };
    let plates = [
        "1.1.1", "1.1.2", "1.1.3", "1.1.4", "1.2.1", "1.2.2", "1.2.3", "1.2.4",
    ];
    let quiet = play("seed = 3\n", 4.0);
    for (column, plate) in plates.iter().enumerate() {
        let loaded = play(&format!("seed = 3\n{}", load(plate, 1.0, 1_000.0)), 4.0);
        for other in 0..plates.len() {
            let grams = f64::from(loaded.last[other] - quiet.last[other]) / 420.0;
            let expected = if other == column { 1_000.0 } else { 0.0 };
            assert!((grams - expected).abs() < 35.0, "{plate}: {other}: {grams}");
        }
    }
    let all = play("seed = 3\n", 12.0);
    let report = all.reports[1];
    // The slowest of four clocks paces a bank; 2 % off is what they may be.
    assert!(
        (77_500..=80_000).contains(&report.rate_millihertz),
        "{report:?}"
    );
    assert_eq!(
        (report.interrupted, report.not_ready, report.saturated),
        (0, 0, 0)
    );
    assert_eq!((all.news, all.seen), (vec![], vec![]));
}

#[test]
fn a_bottle_that_is_taken_is_seen_as_that() {
    let played = play(include_str!("../../../deploy/situation.toml"), 9.0);
    let [(ChangeKind::Take, at_s, plate, grams)] = &played.seen[..] else {
        panic!("{:?}", played.seen);
    };
    assert_eq!(plate, "1.1.1");
    assert!(
        (at_s - 6.0).abs() < 0.3 && (grams + 528.5).abs() < 18.0,
        "{at_s} {grams}"
    );
}

/// Every fault at 10 s for 6 s on a plate that carries 2 kg, of which a bottle may go meanwhile.
fn faulty(kind: &str, plate: &str, taken_g: f64) -> Played {
    let fault =
        format!("[[fault]]\nat_s = 10\nfor_s = 6\nplate = \"{plate}\"\nkind = \"{kind}\"\n");
    let load = format!("[[load]]\nat_s = 0\nplate = \"{plate}\"\ngrams = 2000\n");
    let taken = format!(
        "[[load]]\nat_s = 12\nplate = \"{plate}\"\ngrams = {}\n",
        -taken_g
    );
    play(&format!("seed = 5\n{load}{taken}{fault}"), 26.0)
}

#[test]
fn each_fault_is_told_within_a_second_and_invents_nothing() {
    for (kind, illness) in [
        ("cable-off", Illness::Silent),
        ("cell-off", Illness::Saturated),
        ("saturated", Illness::Saturated),
        ("stuck", Illness::Stuck),
        ("brown-out", Illness::Silent),
    ] {
        for plate in ["1.1.2", "1.2.3"] {
            for taken_g in [0.0, 500.0] {
                let played = faulty(kind, plate, taken_g);
                let case = format!("{kind} on {plate}, {taken_g} g taken");
                // What ails it may be told in other words on its way back.
                let [
                    (ill_s, of, News::Ill(told)),
                    between @ ..,
                    (well_s, _, News::Well { moved_g }),
                ] = &played.news[..]
                else {
                    panic!("{case}: {:?}", played.news);
                };
                let is_same = |(_, of, news): &(f64, String, News)| {
                    of == plate && matches!(news, News::Ill(_))
                };
                assert!(between.iter().all(is_same), "{case}: {:?}", played.news);
                assert!((10.0..11.0).contains(ill_s), "{case}: told at {ill_s} s");
                assert!((16.0..19.0).contains(well_s), "{case}: well at {well_s} s");
                // An HX711 without a supply holds its wire low, which is a read that ends wrongly.
                let is_dead_hx711 = kind == "brown-out" && plate == "1.1.2";
                let expected = if is_dead_hx711 {
                    Illness::Interrupted
                } else {
                    illness
                };
                assert_eq!((of.as_str(), *told), (plate, expected), "{case}");
                assert!((moved_g + taken_g).abs() < 20.0, "{case}: {moved_g} g");
                let charged = played
                    .seen
                    .iter()
                    .filter(|seen| seen.0 != ChangeKind::Touch);
                assert_eq!(charged.count(), 0, "{case}: {:?}", played.seen);
            }
        }
    }
}

#[test]
fn a_clock_that_is_stretched_costs_samples_and_nothing_else() {
    let fault = "[[fault]]\nat_s = 5\nfor_s = 10\nkind = \"clock-stretched\"\n";
    let load = "[[load]]\nat_s = 0\nplate = \"1.1.2\"\ngrams = 2000\n[[load]]\nat_s = 9\nplate = \"1.1.2\"\ngrams = -500\n";
    let played = play(&format!("seed = 5\n{load}{fault}"), 25.0);
    assert!(played.reports.iter().any(|report| report.interrupted > 50));
    let told: Vec<&News> = played.news.iter().map(|(_, _, news)| news).collect();
    assert!(told.contains(&&News::Ill(Illness::Interrupted)), "{told:?}");
    assert!(
        played.seen.iter().all(|seen| seen.2 == "1.1.2"),
        "{:?}",
        played.seen
    );
}

#[test]
fn it_comes_out_the_same_each_time() {
    let runs = [0, 1].map(|_| play(include_str!("../../../deploy/situation.toml"), 8.0));
    assert_eq!(runs[0].last, runs[1].last);
    assert_eq!(runs[0].seen, runs[1].seen);
}
