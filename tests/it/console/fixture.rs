//! A small store on a busy day, made with the domain's own types, for the console to show.

use std::collections::BTreeMap;

use stroll::checkout::cart::Cart;
use stroll::checkout::decision::{
    Attributed, AttributionVerdict, Decision, Hypothesis, PaymentRequest,
};
use stroll::checkout::payment::{PaymentOutcome, PaymentState};
use stroll::checkout::receipt::{Paid, Receipt};
use stroll::checkout::session::{Role, Session, SessionId, SessionState, Sessions};
use stroll::console::view::{self, EventLog, NodeHealth, ReceiptLog, StoreView};
use stroll::observation::{ChangeKind, Item, Stamp};
use stroll::store::{
    Catalogue, Definition, Layout, Node, Planogram, Policy, Product, ShelfId, SoldBy,
};
use stroll::units::{Currency, Milligrams, Money, Timestamp};

/// What an attacker would call a product.
pub const HOSTILE: &str = r#"<script>alert("x")</script> & 'Sons'"#;

/// Noon of some day.
pub const NOON: Timestamp = Timestamp(1_795_435_200_000_000);

pub fn euros() -> Currency {
    "EUR".parse().expect("a currency")
}

pub fn shelf(text: &str) -> ShelfId {
    text.parse().expect("a shelf")
}

pub fn definition() -> Definition {
    let products = [
        (
            "8000500310427",
            "Nutella Biscuits",
            304.0,
            449,
            SoldBy::Unit,
        ),
        ("5449000000996", "Cola, 330 ml", 350.0, 99, SoldBy::Unit),
        ("4008400402222", "Hazelnut Bar", 43.0, 129, SoldBy::Unit),
        (
            "7622210449283",
            "Butter Cookies with Sea Salt",
            154.0,
            229,
            SoldBy::Unit,
        ),
        (
            "3017620422003",
            "Oat Drink, 1 l",
            1_040.0,
            199,
            SoldBy::Unit,
        ),
        ("sku-apples", "Apples, Elstar", 170.0, 349, SoldBy::Weight),
        ("sku-hostile", HOSTILE, 100.0, 100, SoldBy::Unit),
    ];
    let product = |(id, name, grams, minor, sold_by): (&str, &str, f64, i64, SoldBy)| Product {
        id: id.into(),
        name: name.to_owned(),
        weight: Milligrams::from_grams(grams),
        price: Money::new(minor, euros()),
        tax_basis_points: 700,
        age_min_years: 0,
        sold_by,
    };
    let node = |name: &str, shelves: &[&str], bodies: bool, gate: bool| Node {
        name: name.into(),
        shelves: shelves.iter().map(|text| shelf(text)).collect(),
        tracks_bodies: bodies,
        watches_gate: gate,
    };
    Definition {
        id: "nano".to_owned(),
        name: "Nano Store".to_owned(),
        currency: euros(),
        policy: Policy::default_in(euros()),
        catalogue: Catalogue::new(products.map(product).to_vec()).expect("distinct codes"),
        planogram: Planogram::default(),
        layout: Layout {
            nodes: vec![
                node(
                    "gondola-1",
                    &["1.1", "1.2", "1.3", "1.4", "1.5", "1.6"],
                    false,
                    false,
                ),
                node(
                    "gondola-2",
                    &["2.1", "2.2", "2.3", "2.4", "2.5"],
                    false,
                    false,
                ),
                node("fridge", &["3.1"], false, false),
                node("ceiling", &[], true, false),
                node("door", &[], false, true),
            ],
            shelves: BTreeMap::new(),
            gate: None,
        },
        hash: String::new(),
    }
}

pub fn items(items: &[(&str, u32)]) -> Vec<Item> {
    items
        .iter()
        .map(|&(product, quantity)| Item {
            product: product.into(),
            quantity,
        })
        .collect()
}

/// A visit that began `ago_s` seconds before noon, with these items in its cart.
pub fn session(
    definition: &Definition,
    id: &str,
    state: SessionState,
    ago_s: f64,
    held: &[(&str, u32)],
) -> Session {
    let mut cart = Cart::default();
    for (product, quantity) in held {
        let unit = definition.catalogue.get(product).expect("sold here").weight;
        let mass = Milligrams(unit.0 * i64::from(*quantity));
        cart.take(&items(&[(product, *quantity)]), mass, &definition.catalogue);
    }
    Session {
        id: id.into(),
        state,
        role: Role::Shopper,
        device: None,
        track: None,
        entered_at: NOON.plus_seconds(-ago_s),
        exited_at: (state != SessionState::Inside).then(|| NOON.plus_seconds(-8.0)),
        cart,
        uncharged: Vec::new(),
        written_off: false,
        payment: PaymentState::None,
        second_charge: false,
        unsecured: false,
        receipt: None,
    }
}

/// Three inside, one leaving, one waiting for a verdict.
pub fn visits(definition: &Definition) -> Sessions {
    let mut doubtful = session(
        definition,
        "s-88-91bd",
        SessionState::Inside,
        96.0,
        &[("5449000000996", 2)],
    );
    doubtful.cart.reviews.insert(
        "r1".into(),
        items(&[("4008400402222", 1), ("5449000000996", 1)]),
    );
    let mut draft = session(
        definition,
        "s-71-c07e",
        SessionState::Draft,
        611.0,
        &[("3017620422003", 1)],
    );
    draft
        .cart
        .reviews
        .insert("r2".into(), items(&[("7622210449283", 1)]));
    let full = [
        ("8000500310427", 2),
        ("sku-apples", 4),
        ("7622210449283", 1),
        ("sku-hostile", 1),
    ];
    [
        session(definition, "s-87-4f2a", SessionState::Inside, 245.0, &full),
        doubtful,
        session(definition, "s-90-d31c", SessionState::Inside, 12.0, &[]),
        session(
            definition,
            "s-85-20e6",
            SessionState::Leaving,
            330.0,
            &[("5449000000996", 1)],
        ),
        draft,
        session(
            definition,
            "s-60-aaaa",
            SessionState::Closed,
            900.0,
            &[("5449000000996", 1)],
        ),
    ]
    .into_iter()
    .map(|session| (session.id.clone(), session))
    .collect()
}

/// A hypothesis in short: session, items, parts in a million.
pub type Explanation<'a> = (Option<&'a str>, &'a [(&'a str, u32)], u32);

/// A change on shelf 1.5, explained by `hypotheses`.
pub fn attributed(
    seconds: f64,
    kind: ChangeKind,
    verdict: AttributionVerdict,
    hypotheses: &[Explanation],
) -> Decision {
    Decision::Attributed(Attributed {
        change: stamp(),
        at: NOON.plus_seconds(seconds),
        shelf: shelf("1.5"),
        kind,
        delta_mg: Milligrams::from_grams(-213.0),
        plates: vec![11],
        verdict,
        hypotheses: hypotheses
            .iter()
            .map(|&(session, held, probability_ppm)| Hypothesis {
                session: session.map(SessionId::from),
                items: items(held),
                also: vec![],
                probability_ppm,
            })
            .collect(),
        reached: vec![],
        clock: None,
        seen: None,
    })
}

pub fn stamp() -> Stamp {
    Stamp {
        node: "fridge".into(),
        outbox: "o".into(),
        sequence: 7,
    }
}

pub fn receipt(definition: &Definition, id: &str, held: &[(&str, u32)], paid: Paid) -> Receipt {
    let visit = session(definition, id, SessionState::Closed, 500.0, held);
    let lines = visit.cart.receipt_lines(&definition.catalogue);
    let sum = |part: fn(&stroll::checkout::receipt::ReceiptLine) -> i64| {
        Money::new(lines.iter().map(part).sum(), definition.currency)
    };
    Receipt {
        session: visit.id,
        track: None,
        entered_at: visit.entered_at,
        exited_at: NOON.plus_seconds(-8.0),
        total: sum(|line| line.amount.minor),
        tax: sum(|line| line.tax.minor),
        lines,
        paid,
        owed: None,
    }
}

/// The morning's decisions, oldest first.
pub fn decisions(definition: &Definition) -> Vec<Decision> {
    let review = |reason: &str| AttributionVerdict::Review {
        review: "r1".into(),
        reason: reason.to_owned(),
    };
    let nothing = |reason: &str| AttributionVerdict::Nothing {
        reason: reason.to_owned(),
    };
    let opened = |id: &str, seconds: f64| Decision::SessionOpened {
        session: id.into(),
        at: NOON.plus_seconds(seconds),
        role: Role::Shopper,
        device: None,
        track: None,
        second_charge: false,
    };
    let accepted = AttributionVerdict::Accepted;
    vec![
        opened("s-71-c07e", -611.0),
        opened("s-87-4f2a", -245.0),
        attributed(
            -201.0,
            ChangeKind::Take,
            accepted.clone(),
            &[(Some("s-87-4f2a"), &[("8000500310427", 3)], 971_000)],
        ),
        attributed(
            -180.0,
            ChangeKind::Put,
            accepted.clone(),
            &[(Some("s-87-4f2a"), &[("8000500310427", 1)], 942_000)],
        ),
        attributed(-160.0, ChangeKind::Touch, nothing("pressed for 0.4 s"), &[]),
        opened("s-88-91bd", -96.0),
        attributed(
            -70.0,
            ChangeKind::Take,
            accepted,
            &[(Some("s-88-91bd"), &[("5449000000996", 2)], 998_000)],
        ),
        attributed(
            -41.0,
            ChangeKind::Take,
            review("Two shoppers reached at once"),
            &[
                (Some("s-88-91bd"), &[("4008400402222", 1)], 612_000),
                (Some("s-87-4f2a"), &[("4008400402222", 1)], 344_000),
            ],
        ),
        attributed(
            -35.0,
            ChangeKind::Foreign,
            nothing("no product weighs so much"),
            &[],
        ),
        Decision::NodeSilent {
            node: "fridge".into(),
            since: NOON.plus_seconds(-23.0),
        },
        opened("s-90-d31c", -12.0),
        Decision::PaymentRequested {
            session: "s-90-d31c".into(),
            at: NOON.plus_seconds(-12.0),
            key: "k".into(),
            request: PaymentRequest::Authorise {
                amount: Money::new(5_000, definition.currency),
                payer: None,
            },
        },
        Decision::PaymentDecided {
            session: "s-90-d31c".into(),
            at: NOON.plus_seconds(-12.0),
            key: "k".into(),
            outcome: PaymentOutcome::Done {
                authorisation: "a".to_owned(),
            },
        },
        Decision::SessionExited {
            session: "s-60-aaaa".into(),
            at: NOON.plus_seconds(-8.0),
        },
        Decision::ReceiptIssued {
            receipt: receipt(
                definition,
                "s-60-aaaa",
                &[("5449000000996", 1), ("sku-apples", 2)],
                Paid::Captured,
            ),
        },
    ]
}

/// The store at noon.
pub fn busy() -> StoreView {
    let definition = definition();
    let visits = visits(&definition);
    let mut events = EventLog::default();
    for decision in decisions(&definition) {
        events.push(&decision, &definition);
    }
    let mut receipts = ReceiptLog::default();
    for (id, held, paid, seconds) in [
        ("s-41-7d10", &[("8000500310427", 1)][..], Paid::Owed, 4.0),
        ("s-52-e9b3", &[], Paid::Voided, 0.4),
        (
            "s-60-aaaa",
            &[("5449000000996", 1), ("sku-apples", 2)],
            Paid::Captured,
            -6.8,
        ),
    ] {
        let issued_at = NOON.plus_seconds(seconds);
        receipts.push(&receipt(&definition, id, held, paid), issued_at);
    }
    let mut view = StoreView::opening(&definition, NOON);
    view.sessions = view::sessions(&visits, &definition);
    view.events = events.recent();
    view.receipts = receipts.recent();
    for node in &mut view.nodes {
        node.health = NodeHealth::Online;
        node.heard_age_ms = Some(140);
        node.watermark_lag_ms = Some(220);
    }
    if let Some(fridge) = view.nodes.iter_mut().find(|n| n.name.as_str() == "fridge") {
        fridge.health = NodeHealth::Silent;
        fridge.heard_age_ms = Some(23_400);
        fridge.watermark_lag_ms = Some(23_600);
        fridge.trouble = "Plate 3.1.4 gives no samples; check its cable.".to_owned();
    }
    view.counters.inside = 3;
    view.counters.sold_today.minor = 12_840;
    view.counters.open_reviews = 2;
    view.counters.observations = 48_213;
    view
}
