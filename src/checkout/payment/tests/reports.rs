//! Day-end reports against lists of a provider's.

use super::step;
use crate::checkout::decision::Decision;
use crate::checkout::payment::report::{Book, Entry, Stands};
use crate::checkout::payment::{IdempotencyKey, PaymentOutcome, PaymentState};
use crate::units::{Money, Timestamp};

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

/// The payments of a journal, each a line of steps as in `payments.txt`, a second apart and all within the first 100.
fn book(payments: &[&str]) -> Book {
    let mut book = Book::default();
    for (n, payment) in payments.iter().enumerate() {
        let mut state = PaymentState::None;
        for line in payment.split(", ") {
            state = step(&state, line).unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            let (session, at) = ("s".into(), at(i64::try_from(n).unwrap()));
            let key = IdempotencyKey::from(words[1]);
            book.push(&match state.unanswered() {
                Some((_, request)) => Decision::PaymentRequested {
                    session,
                    at,
                    key,
                    request: request.clone(),
                },
                None => Decision::PaymentDecided {
                    session,
                    at,
                    key,
                    outcome: match words[2] {
                        "done" => PaymentOutcome::Done {
                            authorisation: words[3].to_owned(),
                        },
                        "lapsed" => PaymentOutcome::Lapsed { reason: "x".into() },
                        _ => PaymentOutcome::Declined { reason: "x".into() },
                    },
                },
            });
        }
    }
    book
}

/// Reads `key second amount captured refunded stands`.
fn listed(line: &str) -> Entry {
    let words: Vec<&str> = line.split(' ').collect();
    let minor = |n: usize| words[n].parse::<i64>().unwrap();
    Entry {
        key: Some(words[0].into()),
        id: Some(format!("pi_{}", words[0])),
        at: at(minor(1)),
        amount: Money::new(minor(2), "EUR".parse().unwrap()),
        captured_minor: minor(3),
        refunded_minor: minor(4),
        stands: match words[5] {
            "held" => Stands::Held,
            "captured" => Stands::Captured,
            "released" => Stands::Released,
            "declined" => Stands::Declined,
            _ => Stands::UnderWay,
        },
    }
}

const SOLD: &str = "ask c/1/authorise authorise 5000 EUR, say c/1/authorise done a, ask k2 capture a 900 EUR, \
     say k2 done a, ask k3 refund a 100 EUR, say k3 done a";

#[test]
fn each_difference_is_named() {
    let held = "ask c/1/authorise authorise 5000 EUR, say c/1/authorise done a";
    let asked = "ask c/1/authorise authorise 5000 EUR";
    for (payment, list, expected) in [
        (
            SOLD,
            &["c/1/authorise 0 5000 900 100 captured"][..],
            &[][..],
        ),
        (
            SOLD,
            &[],
            &["c/1/authorise: the provider knows nothing of a"],
        ),
        (
            SOLD,
            &["c/1/authorise 0 5000 800 0 captured"],
            &[
                "c/1/authorise: captured 9.00 EUR by the journal, 8.00 EUR by the provider",
                "c/1/authorise: refunded 1.00 EUR by the journal, 0.00 EUR by the provider",
            ],
        ),
        (
            SOLD,
            &[
                "c/1/authorise 0 5000 900 100 captured",
                "c/1/authorise 1 5000 0 0 held",
            ],
            &[
                "c/1/authorise: the provider has it more than once: pi_c/1/authorise, pi_c/1/authorise",
            ],
        ),
        (
            held,
            &["c/1/authorise 0 5000 0 0 released"],
            &["c/1/authorise: the journal has it held, and at the provider the hold is gone"],
        ),
        (
            held,
            &["c/1/authorise 0 5000 5000 0 captured"],
            &[
                "c/1/authorise: the journal has it held, the provider captured",
                "c/1/authorise: captured 0.00 EUR by the journal, 50.00 EUR by the provider",
            ],
        ),
        // What has no answer may be either way, and a declined hold may be listed or not.
        (asked, &[], &[]),
        (asked, &["c/1/authorise 0 5000 0 0 held"], &[]),
        (
            "ask c/1/authorise authorise 5000 EUR, say c/1/authorise declined",
            &["c/1/authorise 0 5000 0 0 declined"],
            &[],
        ),
        (
            asked,
            &[
                "c/2/authorise 7 5000 0 0 held",
                "d/2/authorise 7 5000 0 0 held",
            ],
            &[
                "c/2/authorise: the provider has pi_c/2/authorise of 50.00 EUR, and the journal knows nothing of it",
            ],
        ),
        (asked, &["c/2/authorise 100 5000 0 0 held"], &[]),
    ] {
        let list: Vec<Entry> = list.iter().map(|line| listed(line)).collect();
        let found = book(&[payment]).differences("c", &list, at(0), at(100));
        assert_eq!(found, expected, "{payment}");
        let later = book(&[payment]).differences("c", &[], at(100), at(200));
        assert_eq!(later, [""; 0], "another day");
    }
}

#[test]
fn a_day_is_summed_up() {
    let book = book(&[
        SOLD,
        "ask k authorise 5000 EUR, say k done b, ask v void b, say v done b",
        "ask l authorise 5000 EUR, say l done c, ask m capture c 400 EUR, say m lapsed, ask c/3/charge charge 400 EUR, say c/3/charge done d",
        "ask n authorise 5000 EUR, say n declined",
        "ask o authorise 5000 EUR",
        "ask p authorise 5000 EUR, say p done e",
    ]);
    let day = book.day(at(0), at(100));
    let sums = [
        day.holds,
        day.captured,
        day.charges,
        day.released,
        day.held,
        day.declined,
        day.under_way,
        day.refunded,
        day.owed,
    ];
    let shown = sums.map(|sum| (sum.count, sum.minor));
    assert_eq!(
        shown,
        [
            (4, 20_000),
            (2, 1_300),
            (1, 400),
            (2, 10_000),
            (1, 5_000),
            (1, 5_000),
            (1, 5_000),
            (1, 100),
            (0, 0),
        ]
    );
    assert_eq!(
        book.day(at(100), at(200)),
        crate::checkout::payment::report::Day::default()
    );
}
