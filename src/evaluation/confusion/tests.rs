use std::collections::BTreeMap;

use super::*;
use crate::checkout::receipt::{Paid, ReceiptLine};
use crate::evaluation::changes::Moved as Part;
use crate::evaluation::score::Score;
use crate::observation::Item;
use crate::recording::{TrueProduct, TrueReceipt};
use crate::units::Money;

/// Something that happened, or that was decided: second, shelf, shopper, product, units. Units below zero are put back.
type Fact = (f64, u16, &'static str, &'static str, i32);

const SHOPPERS: [&str; 2] = ["ann", "bob"];

/// What each shopper has after some facts.
fn carts(facts: &[Fact]) -> BTreeMap<&'static str, BTreeMap<&'static str, i32>> {
    let mut carts: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (_, _, who, product, units) in facts {
        *carts.entry(*who).or_default().entry(*product).or_default() += units;
    }
    carts
}

fn truth(happened: &[Fact]) -> Truth {
    let carts = carts(happened);
    let receipt = |who: &str| TrueReceipt {
        target_id: who.into(),
        products: (carts.get(who).into_iter().flatten())
            .filter(|(_, units)| **units > 0)
            .map(|(product, units)| TrueProduct {
                barcode: (*product).into(),
                quantity: units.unsigned_abs(),
            })
            .collect(),
    };
    let event = |(t, shelf, who, product, units): &Fact| TrueEvent {
        kind: if *units > 0 { "pick" } else { "put_back" }.to_owned(),
        t: *t,
        target_id: (*who).into(),
        barcode: Some((*product).into()),
        quantity: Some(units.unsigned_abs()),
        plates: vec![[1, *shelf, 1]],
    };
    Truth {
        receipts: SHOPPERS.map(receipt).to_vec(),
        events: happened.iter().map(event).collect(),
        ..Truth::default()
    }
}

fn receipts(decided: &[Fact]) -> Vec<Receipt> {
    let euro: crate::units::Currency = "EUR".parse().unwrap();
    let none = Money::new(0, euro);
    let line = |(product, units): (&&str, &i32)| ReceiptLine {
        product: (*product).into(),
        name: String::new(),
        quantity: units.unsigned_abs(),
        mass_mg: None,
        amount: none,
        tax: none,
        tax_basis_points: 0,
    };
    (carts(decided).iter())
        .map(|(who, cart)| Receipt {
            session: (*who).into(),
            track: None,
            entered_at: Timestamp(0),
            exited_at: Timestamp(0),
            lines: cart.iter().filter(|(_, n)| **n > 0).map(line).collect(),
            total: none,
            tax: none,
            paid: Paid::Captured,
            owed: None,
        })
        .collect()
}

fn change((t, shelf, who, product, units): &Fact, outcome: Outcome) -> Change {
    Change {
        at: Timestamp::from_seconds(*t),
        shelf: ShelfId {
            gondola: 1,
            shelf: *shelf,
        },
        kind: if *units > 0 {
            ChangeKind::Take
        } else {
            ChangeKind::Put
        },
        outcome,
        moved: vec![Part {
            session: Some((*who).into()),
            items: vec![Item {
                product: (*product).into(),
                quantity: units.unsigned_abs(),
            }],
            is_take: *units > 0,
        }],
        asked: false,
    }
}

struct Row {
    name: &'static str,
    happened: &'static [Fact],
    charged: &'static [Fact],
    reviewed: &'static [Fact],
    /// What the receipts hold beside what was charged.
    held: &'static [Fact],
    ignored: &'static [Fact],
    expected: &'static [(Class, u64, u64)],
}

const NONE: Row = Row {
    name: "",
    happened: &[],
    charged: &[],
    reviewed: &[],
    held: &[],
    ignored: &[],
    expected: &[],
};

const TABLE: &[Row] = &[
    Row {
        name: "all right, in spite of zeros before the code and a slow lift",
        happened: &[(5.0, 1, "ann", "007", 2), (9.0, 1, "ann", "007", -1)],
        charged: &[(6.5, 1, "ann", "7", 2), (9.2, 1, "ann", "7", -1)],
        ..NONE
    },
    Row {
        name: "the neighbour is charged",
        happened: &[(5.0, 1, "ann", "7", 1)],
        charged: &[(5.2, 1, "bob", "7", 1)],
        expected: &[(Class::WrongShopper, 1, 1)],
        ..NONE
    },
    Row {
        name: "a twin is charged",
        happened: &[(5.0, 1, "ann", "7", 1)],
        charged: &[(5.2, 1, "ann", "8", 1)],
        expected: &[(Class::WrongProduct, 1, 1)],
        ..NONE
    },
    Row {
        name: "one of two is charged, and two of one",
        happened: &[(5.0, 1, "ann", "7", 2), (5.0, 2, "bob", "8", 1)],
        charged: &[(5.2, 1, "ann", "7", 1), (5.2, 2, "bob", "8", 2)],
        expected: &[(Class::WrongQuantity, 1, 0), (Class::WrongQuantity, 0, 1)],
        ..NONE
    },
    Row {
        name: "doubt, nothing, and not even a change",
        happened: &[
            (5.0, 1, "ann", "7", 1),
            (15.0, 1, "ann", "8", 1),
            (25.0, 1, "ann", "9", 1),
        ],
        reviewed: &[(5.2, 1, "bob", "7", 1), (25.0, 2, "ann", "9", 1)],
        ignored: &[(15.2, 1, "ann", "8", 1)],
        expected: &[
            (Class::InReview, 0, 1),
            (Class::TakenForNothing, 0, 1),
            (Class::NotSeen, 0, 1),
        ],
        ..NONE
    },
    Row {
        name: "a put-back in doubt, and one that never was",
        happened: &[
            (5.0, 1, "ann", "7", 1),
            (9.0, 1, "ann", "7", -1),
            (5.0, 2, "bob", "8", 1),
        ],
        charged: &[
            (5.2, 1, "ann", "7", 1),
            (5.2, 2, "bob", "8", 1),
            (20.0, 2, "bob", "8", -1),
        ],
        reviewed: &[(9.1, 1, "ann", "7", -1)],
        expected: &[(Class::PutBackMissed, 1, 0), (Class::PhantomPutBack, 0, 1)],
        ..NONE
    },
    Row {
        name: "the cart holds what is likeliest of a doubt, and that is wrong",
        happened: &[(5.0, 1, "ann", "7", 1)],
        reviewed: &[(5.2, 1, "bob", "7", 1)],
        held: &[(5.2, 1, "bob", "7", 1)],
        expected: &[(Class::WrongShopper, 1, 1)],
        ..NONE
    },
    Row {
        name: "what leaves with a bag is charged; long after, another pick of it is missed",
        happened: &[(60.0, 1, "ann", "7", 1)],
        charged: &[(5.2, 1, "bob", "7", 1)],
        expected: &[(Class::Phantom, 1, 0), (Class::NotSeen, 0, 1)],
        ..NONE
    },
];

#[test]
fn each_mistake_is_traced_to_how_it_came_about() {
    for row in TABLE {
        let truth = truth(row.happened);
        let receipts = receipts(&[row.charged, row.held].concat());
        let outcomes = [
            (row.charged, Outcome::Charged),
            (row.reviewed, Outcome::Review(String::new())),
            (row.ignored, Outcome::Nothing(String::new())),
        ];
        let changes = Changes {
            changes: (outcomes.iter())
                .flat_map(|(facts, o)| facts.iter().map(|fact| change(fact, o.clone())))
                .collect(),
            doubted: Vec::new(),
        };
        let sessions = Sessions::new();
        let found = mistakes(&truth, &receipts, &changes, &sessions, Timestamp(0));
        let classes: Vec<_> = found.iter().map(|m| (m.class, m.wrong, m.missed)).collect();
        assert_eq!(classes, row.expected, "{}: {found:#?}", row.name);

        let score = Score::of(&truth, &receipts);
        let sums = found
            .iter()
            .fold((0, 0), |(w, m), x| (w + x.wrong, m + x.missed));
        assert_eq!(sums, (score.wrong, score.missed), "{}", row.name);
    }
}

#[test]
fn a_truth_without_events_is_untraced_and_not_lost() {
    let mut truth = truth(&[(5.0, 1, "ann", "7", 1)]);
    truth.events.clear();
    let found = mistakes(
        &truth,
        &[],
        &Changes::default(),
        &Sessions::new(),
        Timestamp(0),
    );
    let classes: Vec<_> = found.iter().map(|m| (m.class, m.wrong, m.missed)).collect();
    assert_eq!(classes, [(Class::Untraced, 0, 1)]);
}
