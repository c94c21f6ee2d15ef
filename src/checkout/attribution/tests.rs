use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

mod properties;

use super::*;
use crate::checkout::cart::Cart;
use crate::checkout::payment::PaymentState;
use crate::checkout::session::SessionState;
use crate::observation::{BodySegment, Pose, Sighting};
use crate::store::definition;

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

const PRODUCTS: [(&str, f64); 3] = [("cola", 500.0), ("tea", 100.0), ("chips", 200.0)];
const PEAK_S: f64 = 100.0;

/// Somebody who may have done it.
#[derive(Clone, Debug)]
struct Person {
    /// Units of each product.
    has: [u32; 3],
    /// Index of a product that waits for a verdict.
    doubtful: Option<usize>,
    /// Place of the head and, if it is seen, of the hand.
    head: (f64, f64),
    hand: Option<(f64, f64, f64)>,
    seen: bool,
    entered_s: f64,
    exited_s: Option<f64>,
    state: SessionState,
}

impl Person {
    /// Somebody who stands a metre off with empty hands.
    fn at(x: f64) -> Self {
        Person {
            has: [0; 3],
            doubtful: None,
            head: (x, -0.6),
            hand: None,
            seen: true,
            entered_s: 0.0,
            exited_s: None,
            state: SessionState::Inside,
        }
    }

    fn reaching(x: f64, z: f64) -> Self {
        Person {
            hand: Some((x, 0.1, z)),
            ..Person::at(x)
        }
    }

    fn has(mut self, product: usize, units: u32) -> Self {
        self.has[product] = units;
        self
    }

    fn may_have(&self, item: &Item) -> bool {
        let index = PRODUCTS
            .iter()
            .position(|(id, _)| *id == item.product.as_str());
        index.is_some_and(|index| {
            self.has[index] >= item.quantity || self.doubtful == Some(index) && item.quantity == 1
        })
    }
}

fn time(shift_us: i64, seconds: f64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + shift_us).plus_seconds(seconds)
}

/// A change of one plate of a shelf, or of two neighbouring ones that share it evenly.
#[derive(Clone, Debug)]
struct Changed {
    shelf: u16,
    plate: u16,
    plates: u16,
    grams: f64,
    kind: ChangeKind,
}

impl Changed {
    fn observation(&self, shift_us: i64) -> ShelfObservation {
        let definition = store();
        let shelf = ShelfId {
            gondola: 1,
            shelf: self.shelf,
        };
        let plates: Vec<PlateChange> = (0..self.plates)
            .map(|i| PlateChange {
                plate: self.plate.saturating_add(i),
                delta_mg: Milligrams::from_grams(self.grams / f64::from(self.plates)),
                sigma_mg: Milligrams(600),
            })
            .collect();
        ShelfObservation {
            shelf,
            start: time(shift_us, PEAK_S - 0.2),
            peak: time(shift_us, PEAK_S),
            peak_error_us: 0,
            end: time(shift_us, PEAK_S + 0.6),
            kind: self.kind,
            likelihoods: item_match::likelihoods(&definition, shelf, &plates),
            plates,
            evidence: Vec::new(),
        }
    }
}

/// How persons explain a change, each by index. `names[i]` is the session of person `i`.
fn explained(
    persons: &[Person],
    names: &[usize],
    misplaced: &Misplaced,
    changed: &Changed,
    shift_us: i64,
) -> Vec<(Option<usize>, What, f64)> {
    let definition = store();
    let (mut sessions, mut tracks) = (Sessions::new(), Tracks::default());
    let mut who = BTreeMap::new();
    for (index, (person, name)) in persons.iter().zip(names).enumerate() {
        let id = SessionId::from(format!("s-{name}"));
        let track = crate::observation::TrackId::from(format!("t-{name}"));
        let mut cart = Cart::default();
        for ((product, grams), units) in PRODUCTS.iter().zip(person.has) {
            let (product, quantity) = ((*product).into(), units);
            let mass = Milligrams::from_grams(grams * f64::from(units));
            cart.take(&[Item { product, quantity }], mass, &definition.catalogue);
        }
        if let Some(index) = person.doubtful {
            let (product, quantity) = (PRODUCTS[index].0.into(), 1);
            cart.reviews
                .insert("r".into(), vec![Item { product, quantity }]);
        }
        if person.seen {
            tracks.insert(&poses(person, &track, shift_us));
        }
        who.insert(id.clone(), index);
        let session = Session {
            id: id.clone(),
            state: person.state,
            device: None,
            track: Some(track),
            entered_at: time(shift_us, person.entered_s),
            exited_at: person.exited_s.map(|t| time(shift_us, t)),
            cart,
            uncharged: Vec::new(),
            payment: PaymentState::None,
            receipt: None,
        };
        sessions.insert(id, session);
    }
    let active = sessions.keys().cloned().collect();
    let evidence = Evidence {
        definition: &definition,
        sessions: &sessions,
        active: &active,
        tracks: &tracks,
        misplaced,
    };
    (explain(evidence, &changed.observation(shift_us)).into_iter())
        .map(|e| (e.who.map(|id| who[&id]), e.what, e.probability))
        .collect()
}

fn poses(person: &Person, track: &crate::observation::TrackId, shift_us: i64) -> BodySegment {
    let sighting = |x, y, z| Sighting {
        place: Point { x, y, z },
        confidence: 1.0,
    };
    let poses: Vec<Pose> = (-5..=5)
        .map(|i| Pose {
            at: time(shift_us, PEAK_S + 0.1 * f64::from(i)),
            head: Some(sighting(person.head.0, person.head.1, 1.7)),
            hands: (person.hand.iter())
                .map(|&(x, y, z)| sighting(x, y, z))
                .collect(),
        })
        .collect();
    BodySegment {
        track: track.clone(),
        start: poses[0].at,
        end: poses[10].at,
        poses,
    }
}

#[test]
fn the_best_explanation() {
    let change = |shelf, plate, grams: f64| Changed {
        shelf,
        plate,
        plates: 1,
        grams,
        kind: if grams < 0.0 {
            ChangeKind::Take
        } else {
            ChangeKind::Put
        },
    };
    let items = |product: &str, quantity| {
        let product = product.into();
        What::Items(vec![Item { product, quantity }])
    };
    let (far, hand) = (Person::at(3.0), Person::reaching(0.1, 1.1));
    let gone = Person {
        exited_s: Some(90.0),
        ..hand.clone()
    };
    let table: Vec<(&str, Vec<Person>, Changed, Option<usize>, What)> = vec![
        (
            "a hand there",
            vec![far.clone(), hand.clone()],
            change(1, 1, -500.0),
            Some(1),
            items("cola", 1),
        ),
        (
            "two at once",
            vec![hand.clone()],
            change(1, 1, -1_000.0),
            Some(0),
            items("cola", 2),
        ),
        (
            "nobody near",
            vec![Person::at(9.0)],
            change(1, 1, -500.0),
            None,
            items("cola", 1),
        ),
        (
            "left before",
            vec![gone.clone()],
            change(1, 1, -500.0),
            None,
            items("cola", 1),
        ),
        (
            "no product weighs that",
            vec![hand.clone()],
            change(1, 1, -333.0),
            Some(0),
            What::Foreign,
        ),
        (
            "a hand at the shelf above",
            vec![Person::reaching(0.1, 1.6), hand.clone()],
            change(1, 1, -500.0),
            Some(1),
            items("cola", 1),
        ),
        (
            "a put-back",
            vec![hand.clone().has(0, 1)],
            change(1, 1, 500.0),
            Some(0),
            items("cola", 1),
        ),
        (
            "a put-back elsewhere",
            vec![Person::reaching(0.1, 1.6).has(1, 1)],
            change(2, 1, 100.0),
            Some(0),
            items("tea", 1),
        ),
        (
            "who has it",
            vec![hand.clone(), hand.clone().has(0, 2)],
            change(1, 1, 500.0),
            Some(1),
            items("cola", 1),
        ),
        (
            "something of his own",
            vec![hand.clone().has(0, 1)],
            change(1, 1, 230.0),
            Some(0),
            What::Foreign,
        ),
    ];
    for (name, persons, changed, who, what) in table {
        let names: Vec<usize> = (0..persons.len()).collect();
        let found = explained(&persons, &names, &Misplaced::default(), &changed, 0);
        let best = found.first().map(|(who, what, _)| (*who, what.clone()));
        assert_eq!(best, Some((who, what)), "{name}: {found:?}");
    }
}

#[test]
fn what_was_left_there_is_taken_away_again() {
    let plate: PlateId = "1.1.1".parse().unwrap();
    let hand = [Person::reaching(0.1, 1.1)];
    let taken = |grams| Changed {
        shelf: 1,
        plate: 1,
        plates: 1,
        grams,
        kind: ChangeKind::Take,
    };
    let foreign = Misplaced {
        items: vec![],
        foreign: vec![(plate, Milligrams(333_000))],
    };
    let found = explained(&hand, &[0], &foreign, &taken(-333.4), 0);
    assert!(
        found[0].1 == What::Foreign && found[0].2 > 0.99,
        "{found:?}"
    );
    let misplaced = Misplaced {
        items: vec![(plate, "chips".into())],
        foreign: vec![],
    };
    let found = explained(&hand, &[0], &misplaced, &taken(-200.0), 0);
    let chips =
        |what: &What| matches!(what, What::Items(items) if items[0].product.as_str() == "chips");
    assert!(chips(&found[0].1) && found[0].2 > 0.95, "{found:?}");
}
