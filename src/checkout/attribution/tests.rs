use std::sync::{Arc, LazyLock};

use super::clocks::ClockBelief;
use super::*;
use crate::checkout::decision::Reached;
use crate::checkout::tracks::Tracks;
use crate::observation::{
    BodySegment, ChangeKind, Item, PlateChange, Pose, ShelfObservation, Sighting, Stamp, Stood,
};
use crate::store::{Definition, PlateId, definition};
use crate::units::{Milligrams, Point, Timestamp};

fn store() -> Arc<Definition> {
    static STORE: LazyLock<Arc<Definition>> = LazyLock::new(|| {
        let text = r#"
            [store]
            id = "s"
            name = "S"
            currency = "EUR"
            [[node]]
            name = "n"
            shelves = ["1.1", "1.2"]
            [[shelf]]
            id = "1.1"
            x_m = 0.0
            y_m = 0.0
            z_m = 1.0
            plate_width_m = 0.25
            plates = 4
            [[shelf]]
            id = "1.2"
            x_m = 0.0
            y_m = 0.0
            z_m = 1.5
            plate_width_m = 0.25
            plates = 4
            [[product]]
            sku = "cola"
            name = "Cola"
            weight_g = 500
            price_minor = 150
            tax_percent = 19
            [[product]]
            sku = "tea"
            name = "Tea"
            weight_g = 100
            price_minor = 400
            tax_percent = 7
            [[product]]
            sku = "chips"
            name = "Chips"
            weight_g = 200
            price_minor = 250
            tax_percent = 7
            [[facing]]
            product = "cola"
            shelf = "1.1"
            plates = [1, 2]
            [[facing]]
            product = "tea"
            shelf = "1.1"
            plates = [3]
            [[facing]]
            product = "chips"
            shelf = "1.2"
            plates = [1, 2]
        "#;
        Arc::new(definition::parse(text, "s.toml").unwrap().0)
    });
    STORE.clone()
}

fn stamp(sequence: u64) -> Stamp {
    Stamp {
        node: "n".into(),
        outbox: "o".into(),
        sequence,
    }
}

/// A change of shelf 1.1 at `at_s` seconds: grams by plate.
fn change(at_s: f64, plates: &[(u16, f64)]) -> Arc<ShelfObservation> {
    let at = Timestamp::from_seconds(at_s);
    let grams: f64 = plates.iter().map(|p| p.1).sum();
    Arc::new(ShelfObservation {
        shelf: "1.1".parse().unwrap(),
        start: at,
        peak: at,
        peak_error_us: 0,
        stood: None,
        end: at,
        kind: if grams < 0.0 {
            ChangeKind::Take
        } else {
            ChangeKind::Put
        },
        plates: (plates.iter())
            .map(|&(plate, grams)| PlateChange {
                plate,
                delta_mg: Milligrams::from_grams(grams),
                sigma_mg: Milligrams::from_grams(0.8),
            })
            .collect(),
        likelihoods: Vec::new(),
        evidence: Vec::new(),
    })
}

fn reached(who: &str, log: f64, middle_s: f64, plates: usize) -> Reached {
    let log_milli = (log * 1e3) as i64;
    Reached {
        session: Some(who.into()),
        staff: false,
        log_milli,
        by_plate_milli: vec![log_milli; plates],
        stood_milli: None,
        middle: Some(Timestamp::from_seconds(middle_s)),
        hand_mm: None,
        head_mm: None,
    }
}

fn item(product: &str, quantity: u32) -> Item {
    Item {
        product: product.into(),
        quantity,
    }
}

fn part(who: &str, items: &[Item]) -> Part {
    Part {
        against: false,
        who: Some(who.into()),
        items: items.to_vec(),
    }
}

/// The explanation of a change among several.
fn of(explained: &[(Stamp, Vec<Explained>)], sequence: u64) -> Vec<Explained> {
    let found = explained.iter().find(|(s, _)| *s == stamp(sequence));
    found.unwrap().1.clone()
}

#[test]
fn a_hand_on_the_plate_takes_what_stands_there() {
    let mut beliefs = Beliefs::new(store());
    let near = [reached("a", 0.0, 10.0, 1), reached("b", -9.0, 10.0, 1)];
    let explained = of(
        &beliefs.absorb(&stamp(1), &change(10.0, &[(1, -501.0)]), &near),
        1,
    );
    assert_eq!(explained[0].choice.parts, [part("a", &[item("cola", 1)])]);
    assert!(explained[0].probability > 0.99, "{explained:?}");
    let sum: f64 = explained.iter().map(|e| e.probability).sum();
    assert!((0.999..=1.0 + 1e-9).contains(&sum), "{sum}");
}

#[test]
fn a_put_back_tells_who_had_taken_it() {
    let mut beliefs = Beliefs::new(store());
    let both = [reached("a", -0.5, 10.0, 1), reached("b", -0.5, 10.0, 1)];
    let first = of(
        &beliefs.absorb(&stamp(1), &change(10.0, &[(1, -501.0)]), &both),
        1,
    );
    assert!(first[0].probability < 0.6, "{first:?}");
    let sure = beliefs.sure(&"a".into(), 0.8).unwrap();
    assert_eq!((sure.lines, sure.doubted), (vec![], vec![item("cola", 1)]));
    let alone = [reached("b", 0.0, 20.0, 1)];
    let later = beliefs.absorb(&stamp(2), &change(20.0, &[(2, 500.5)]), &alone);
    let first = of(&later, 1);
    assert_eq!(first[0].choice.parts, [part("b", &[item("cola", 1)])]);
    assert!(first[0].probability > 0.99, "{first:?}");
}

/// A hand pressed while the item left, so that it seemed 24 g lighter; the put-back weighs what the catalogue says.
#[test]
fn a_put_back_may_show_that_the_first_weighing_was_wrong() {
    let mut beliefs = Beliefs::new(store());
    let near = |at| [reached("a", 0.0, at, 1)];
    let taken = beliefs.absorb(&stamp(1), &change(10.0, &[(1, -476.0)]), &near(10.0));
    assert_eq!(
        of(&taken, 1)[0].choice.parts,
        [part("a", &[item("cola", 1)])]
    );
    let put = beliefs.absorb(&stamp(2), &change(20.0, &[(1, 500.0)]), &near(20.0));
    let explained = of(&put, 2);
    assert_eq!(explained[0].choice.parts, [part("a", &[item("cola", 1)])]);
    assert!(explained[0].probability > 0.9, "{explained:?}");
}

#[test]
fn two_reaches_for_two_units_are_one_each() {
    let mut beliefs = Beliefs::new(store());
    let both = [reached("a", -0.2, 10.0, 1), reached("b", -0.2, 10.05, 1)];
    let explained = of(
        &beliefs.absorb(&stamp(1), &change(10.0, &[(1, -1002.0)]), &both),
        1,
    );
    let one = [item("cola", 1)];
    assert_eq!(
        explained[0].choice.parts,
        [part("a", &one), part("b", &one)]
    );
}

#[test]
fn a_bag_that_comes_and_goes_is_nobodys_purchase() {
    let mut beliefs = Beliefs::new(store());
    let near = |at| [reached("a", 0.0, at, 2)];
    let bag = [(1, 700.0), (2, 600.0)];
    beliefs.absorb(&stamp(1), &change(10.0, &bag), &near(10.0));
    let gone = bag.map(|(plate, grams)| (plate, -grams));
    let explained = of(
        &beliefs.absorb(&stamp(2), &change(20.0, &gone), &near(20.0)),
        2,
    );
    assert!(explained[0].choice.leaves_again, "{explained:?}");
    assert!(explained[0].probability > 0.95, "{explained:?}");
}

#[test]
fn what_is_known_from_outside_rules_the_other_worlds_out() {
    let mut beliefs = Beliefs::new(store());
    let both = [reached("a", -0.5, 10.0, 1), reached("b", -0.5, 10.0, 1)];
    beliefs.absorb(&stamp(1), &change(10.0, &[(1, -501.0)]), &both);
    beliefs.settle(&stamp(1), &[part("b", &[item("cola", 1)])]);
    assert_eq!(beliefs.sure(&"a".into(), 0.8), None);
    assert_eq!(beliefs.worlds(), 1);
    beliefs.close(&"b".into());
    let near = [reached("b", 0.0, 20.0, 1)];
    let put = of(
        &beliefs.absorb(&stamp(2), &change(20.0, &[(1, 501.0)]), &near),
        2,
    );
    assert!(
        put[0].choice.parts[0].items.is_empty(),
        "it left with the shopper: {put:?}"
    );
}

#[test]
fn weights_are_learned_from_what_is_certain() {
    let store = store();
    let cola = store.catalogue.get("cola").unwrap();
    let mut weights = weights::Weights::default();
    let plate: PlateId = "1.1.1".parse().unwrap();
    let before = weights.expected(cola, 1, Some(plate));
    for _ in 0..40 {
        weights.learn(cola, 1, plate, -504.0, 0.5);
        // Far off: somebody else's weight.
        weights.learn(cola, 1, plate, -600.0, 0.5);
    }
    let after = weights.expected(cola, 1, Some(plate));
    assert!((after.grams - 504.0).abs() < 1.0, "{after:?}");
    assert!(after.variance < before.variance, "{before:?} {after:?}");
}

/// Somebody whose hand dwells at `x_m` for 0.7 s around `middle_s`, coming from and going back to the hip.
fn reaching(middle_s: f64, x_m: f64, hands_seen: bool) -> Tracks {
    let mut tracks = Tracks::default();
    let point = |x, y, z| Sighting {
        place: Point { x, y, z },
        confidence: 1.0,
    };
    let poses = (0..60).map(|i| {
        let t = f64::from(i) / 15.0;
        let k = (1.5 - (t - middle_s).abs() / 0.7).clamp(0.0, 1.0);
        let hand = point(x_m, -0.5 + 0.6 * k, 0.92 + 0.2 * k);
        Pose {
            at: Timestamp::from_seconds(t),
            head: Some(point(x_m, -0.6, 1.7)),
            hands: if hands_seen { vec![hand] } else { vec![] },
        }
    });
    let poses: Vec<Pose> = poses.collect();
    tracks.insert(&BodySegment {
        track: "t".into(),
        start: poses[0].at,
        end: poses[59].at,
        poses,
    });
    tracks
}

#[test]
fn a_reach_is_judged_by_place_and_moment() {
    let store = store();
    let place = Place::of(
        &store,
        "1.1".parse().unwrap(),
        &change(2.0, &[(1, -1.0)]).plates,
    );
    let log = |middle_s: f64, x_m: f64, seen: bool| {
        let tracks = reaching(middle_s, x_m, seen);
        let at = Timestamp::from_seconds(2.0);
        let clock = ClockBelief::exact();
        reach::reach(&tracks, &"t".into(), &place.unwrap(), at, 0.0, &clock)
            .unwrap()
            .log_milli
    };
    let right = log(2.0, 0.125, true);
    assert!(right > -1_000, "{right}");
    assert!(log(3.2, 0.125, true) < right - 1_000, "not there yet");
    assert!(log(2.0, 0.7, true) < right - 3_000, "half a metre beside");
    let head = log(2.0, 0.125, false);
    assert!(
        (-3_000..-500).contains(&head),
        "a head says less than a hand: {head}"
    );
    assert!(log(2.0, 1.2, false) < head - 2_000, "but not nothing");
}

/// A change of one plate on which weight stood in between, from 0.5 s before it on.
fn stood(kind: ChangeKind, grams: f64, stood_g: f64) -> Arc<ShelfObservation> {
    let plate = |grams| PlateChange {
        plate: 1,
        delta_mg: Milligrams::from_grams(grams),
        sigma_mg: Milligrams::from_grams(1.0),
    };
    let whole = change(20.0, &[(1, grams)]);
    Arc::new(ShelfObservation {
        kind,
        stood: (stood_g != 0.0).then(|| Stood {
            from: Timestamp::from_seconds(19.5),
            until: Timestamp::from_seconds(20.0),
            plates: vec![plate(stood_g)],
        }),
        ..ShelfObservation::clone(&whole)
    })
}

/// Two hands at one facing, and who has what of it afterwards. The first has taken two before.
#[test]
fn one_puts_back_what_another_takes() {
    // What is weighed, what stood in between, how well the hands explain its coming and its going, and units of either.
    let (first, other, both) = ((0.0, -9.0), (-9.0, 0.0), (0.0, 0.0));
    type Case = (
        &'static str,
        ChangeKind,
        (f64, f64),
        [(f64, f64); 2],
        [u32; 2],
    );
    let table: &[Case] = &[
        (
            "at the very same moment",
            ChangeKind::Touch,
            (0.0, 0.0),
            [both, both],
            [1, 1],
        ),
        (
            "one after the other",
            ChangeKind::Touch,
            (0.0, 500.5),
            [first, other],
            [1, 1],
        ),
        (
            "the first goes, then one comes",
            ChangeKind::Touch,
            (0.0, -501.0),
            [other, first],
            [1, 1],
        ),
        (
            "nobody else was there",
            ChangeKind::Touch,
            (0.0, 500.5),
            [both, (-9.0, -9.0)],
            [2, 0],
        ),
        (
            "a hand pressed",
            ChangeKind::Touch,
            (0.0, 430.0),
            [first, other],
            [2, 0],
        ),
        (
            "another takes two",
            ChangeKind::Take,
            (-500.0, 500.0),
            [first, other],
            [1, 2],
        ),
        (
            "a press before a take",
            ChangeKind::Take,
            (-500.0, 70.0),
            [(-9.0, -9.0), both],
            [2, 1],
        ),
    ];
    for (name, kind, (grams, stood_g), reaches, expected) in table {
        let mut beliefs = Beliefs::new(store());
        let takes = [reached("a", 0.0, 10.0, 1)];
        beliefs.absorb(&stamp(1), &change(10.0, &[(1, -1001.0)]), &takes);
        let near = ["a", "b"].iter().zip(reaches).map(|(who, (from, until))| {
            let milli = |log: f64| (log * 1e3) as i64;
            Reached {
                stood_milli: (*stood_g != 0.0).then(|| (milli(*from), milli(*until))),
                ..reached(who, *until, 20.0, 1)
            }
        });
        let near: Vec<Reached> = near.collect();
        let explained = beliefs.absorb(&stamp(2), &stood(*kind, *grams, *stood_g), &near);
        let mut has = [2, 0];
        for part in explained
            .last()
            .into_iter()
            .flat_map(|e| &e.1[0].choice.parts)
        {
            let units = part.items.iter().map(|i| i.quantity).sum::<u32>();
            let index = usize::from(part.who.as_ref().is_some_and(|w| w.as_str() == "b"));
            match kind.is_take(Milligrams::from_grams(*grams)) != part.against {
                true => has[index] += units,
                false => has[index] -= units,
            }
        }
        assert_eq!(has, *expected, "{name}: {explained:?}");
    }
}
