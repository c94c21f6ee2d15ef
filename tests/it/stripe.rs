//! Stripe's HTTP client against a real HTTP server, and a whole store that is paid through it.

mod fake;
mod store;

use std::time::Duration;

use stroll::checkout::decision::PaymentRequest;
use stroll::checkout::payment::{IdempotencyKey, PaymentGateway, PaymentOutcome};
use stroll::edge::gateway::Payers;
use stroll::edge::gateway::stripe::{Patience, SecretKey, Stripe};
use stroll::units::Money;

use fake::{Call, FakeStripe, Fault, KEY, PATIENCE};

/// A card that works, one that is declined, and one of a customer who does not exist, as phones `ann`, `bob` and `eve`.
fn payers(fake: &FakeStripe) -> String {
    let entry = |phone: &str, (customer, method): &(String, String)| {
        format!("[payer.{phone}]\ncustomer = '{customer}'\npayment_method = '{method}'\n")
    };
    let nobody = ("cus_nobody".to_owned(), "pm_nothing".to_owned());
    entry("ann", &fake.customer("4242424242424242"))
        + &entry("bob", &fake.customer("4000000000000341"))
        + &entry("eve", &nobody)
}

fn stripe(fake: &FakeStripe, payers: &str) -> Stripe {
    let key = SecretKey::parse(KEY, "the test").unwrap();
    let patience = Patience {
        connect: Duration::from_secs(4),
        answer: PATIENCE,
    };
    let payers = Payers::parse(payers).unwrap();
    Stripe::new(&fake.url(), key, patience, payers, "EUR".parse().unwrap()).unwrap()
}

/// Reads `<key> authorise ann 5000`, `<key> charge ann 800`, `<key> capture <id> 1250`, `<key> void <id>`,
/// `<key> refund <id> 100`.
fn question(line: &str, ids: &dyn Fn(&str) -> String) -> (IdempotencyKey, PaymentRequest) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let amount = || Money::new(words[3].parse().unwrap(), "EUR".parse().unwrap());
    let authorisation = ids(words[2]);
    let payer = Some(words[2].into());
    let request = match words[1] {
        "authorise" => PaymentRequest::Authorise {
            amount: amount(),
            payer,
        },
        "charge" => PaymentRequest::Charge {
            amount: amount(),
            payer,
        },
        "capture" => PaymentRequest::Capture {
            authorisation,
            amount: amount(),
        },
        "void" => PaymentRequest::Void { authorisation },
        "refund" => PaymentRequest::Refund {
            authorisation,
            amount: amount(),
            by: None,
        },
        other => panic!("{other}"),
    };
    (IdempotencyKey::from(words[0]), request)
}

/// Asks line by line; `done`, `! reason`, `~ reason` or `? why` is the answer. A hold or charge goes by its key.
struct Asking {
    stripe: Stripe,
    ids: std::collections::BTreeMap<String, String>,
}

impl Asking {
    fn new(stripe: Stripe) -> Self {
        Asking {
            stripe,
            ids: std::collections::BTreeMap::new(),
        }
    }

    fn ask(&mut self, line: &str, again: bool) -> String {
        let ids = self.ids.clone();
        let named = |name: &str| ids.get(name).cloned().unwrap_or_else(|| name.to_owned());
        let (key, request) = question(line, &named);
        let answer = match again {
            true => self.stripe.ask_again(&key, &request),
            false => self.stripe.ask(&key, &request),
        };
        match answer {
            Ok(PaymentOutcome::Done { authorisation }) => {
                self.ids.entry(key.to_string()).or_insert(authorisation);
                "done".to_owned()
            }
            Ok(PaymentOutcome::Declined { reason }) => format!("! {reason}"),
            Ok(PaymentOutcome::Lapsed { reason }) => format!("~ {reason}"),
            Err(error) => format!("? {}", error.why),
        }
    }

    /// Asks again until there is an answer, as the store does.
    fn ask_until_answered(&mut self, line: &str) -> String {
        for _ in 0..10 {
            let answer = self.ask(line, true);
            if !answer.starts_with('?') {
                return answer;
            }
        }
        panic!("no answer: {line}");
    }
}

#[test]
fn each_way_that_a_payment_goes() {
    let Some(fake) = FakeStripe::start() else {
        return;
    };
    let mut asking = Asking::new(stripe(&fake, &payers(&fake)));
    for (line, answer) in [
        ("a authorise ann 5000", "done"),
        ("a authorise ann 5000", "done"),
        ("b capture a 1250", "done"),
        ("b capture a 1250", "done"),
        ("c refund a 1000", "done"),
        ("c refund a 1000", "done"),
        ("d void a", "! it was captured at Stripe"),
        ("e authorise ann 5000", "done"),
        ("f void e", "done"),
        ("f void e", "done"),
        (
            "g capture e 1",
            "~ the hold has expired or was cancelled at Stripe",
        ),
        ("h charge ann 800", "done"),
        ("i authorise bob 5000", "! Your card was declined."),
        ("j charge bob 5000", "! Your card was declined."),
        ("k authorise eve 5000", "! Not Found"),
        ("l authorise zoe 5000", "! no card is on file for phone zoe"),
        ("m capture auth-1 100", "! auth-1 is no hold at Stripe"),
        (
            "n capture pi_x/../y 100",
            "! pi_x/../y is no hold at Stripe",
        ),
    ] {
        assert_eq!(asking.ask(line, false), answer, "{line}");
    }
    fake.fail([
        (Call::Capture, Fault::Expire),
        (Call::Cancel, Fault::Expire),
    ]);
    for (line, answer) in [
        ("o authorise ann 5000", "done"),
        (
            "p capture o 900",
            "~ the hold has expired or was cancelled at Stripe",
        ),
        ("q authorise ann 5000", "done"),
        ("r void q", "done"),
        ("s authorise ann 700", "done"),
    ] {
        assert_eq!(asking.ask(line, false), answer, "{line}");
    }
    fake.fail([
        (Call::Create, Fault::Decline),
        (Call::Create, Fault::Decline),
    ]);
    for (line, answer) in [
        ("u authorise ann 5000", "! card_declined"),
        ("v charge ann 5000", "! card_declined"),
    ] {
        assert_eq!(asking.ask(line, false), answer, "{line}");
    }
    // A day later, with every key forgotten: what was done is found, and nothing is done again.
    fake.forget_keys();
    for (line, answer) in [
        ("a authorise ann 5000", "done"),
        ("b capture a 1250", "done"),
        ("c refund a 1000", "done"),
        ("f void e", "done"),
        ("h charge ann 800", "done"),
        ("i authorise bob 5000", "! Your card was declined."),
        ("s authorise ann 700", "done"),
        (
            "t capture a 1249",
            "! Stripe has it captured with another amount (1250) than 1249",
        ),
    ] {
        assert_eq!(asking.ask(line, true), answer, "{line}");
    }
    assert_eq!(
        fake.ledger(),
        [
            "a succeeded 5000 1250 1000",
            "e canceled 5000 0 0",
            "h succeeded 800 800 0",
            "i requires_payment_method 5000 0 0",
            "j requires_payment_method 5000 0 0",
            "o canceled 5000 0 0",
            "q canceled 5000 0 0",
            "s requires_capture 700 0 0",
        ]
    );
    assert_eq!(fake.wrong(), Vec::<String>::new());
}

#[test]
fn whatever_is_lost_each_thing_is_done_once() {
    let Some(fake) = FakeStripe::start() else {
        return;
    };
    let payers = payers(&fake);
    let mut expected = Vec::new();
    let calls = [
        (Call::Create, &["authorise ann 5000"][..]),
        (Call::Create, &["charge ann 800"]),
        (Call::Capture, &["authorise ann 5000", "capture @0 1250"]),
        (Call::Cancel, &["authorise ann 5000", "void @0"]),
        (Call::Refund, &["charge ann 800", "refund @0 300"]),
    ];
    // Each fault at each call; alone, and followed by one while it is looked up.
    for (n, (call, steps)) in calls.into_iter().enumerate() {
        for fault in Fault::UNKNOWN {
            for forgets in [false, true] {
                let name = format!("{n}-{fault:?}-{forgets}");
                let mut asking = Asking::new(stripe(&fake, &payers));
                let (last, before) = steps.split_last().unwrap();
                let line = |at: usize, step: &str| {
                    let of = format!("{name}-0");
                    format!("{name}-{at} {}", step.replace("@0", &of))
                };
                for (at, step) in before.iter().enumerate() {
                    assert_eq!(asking.ask(&line(at, step), false), "done", "{name}");
                }
                fake.fail([(call, fault)]);
                if forgets {
                    fake.fail([(Call::LookUp, Fault::FailBefore)]);
                }
                let last = line(before.len(), last);
                let first = asking.ask(&last, false);
                if forgets {
                    fake.forget_keys();
                }
                let answer = match first.strip_prefix('?') {
                    Some(_) => asking.ask_until_answered(&last),
                    None => first,
                };
                // A key that Stripe has failed on for good is not used for new money again: that is a no.
                let refused = fault == Fault::FailForGood
                    && !forgets
                    && matches!(call, Call::Create | Call::Refund);
                assert_eq!(answer == "done", !refused, "{name}: {answer}");
                if forgets {
                    fake.forget_keys();
                }
                let again = asking.ask(&last, true);
                assert_eq!(again == "done", !refused, "{name}: {again}");
                expected.extend(match (call, refused) {
                    (Call::Create, true) => None,
                    (Call::Create, false) if n == 0 => {
                        Some(format!("{name}-0 requires_capture 5000 0 0"))
                    }
                    (Call::Create, false) => Some(format!("{name}-0 succeeded 800 800 0")),
                    (Call::Capture, _) => Some(format!("{name}-0 succeeded 5000 1250 0")),
                    (Call::Cancel, _) => Some(format!("{name}-0 canceled 5000 0 0")),
                    (Call::Refund, true) => Some(format!("{name}-0 succeeded 800 800 0")),
                    (Call::Refund, false) => Some(format!("{name}-0 succeeded 800 800 300")),
                    (Call::LookUp, _) => unreachable!(),
                });
            }
        }
    }
    assert_eq!(fake.ledger(), expected);
    assert_eq!(fake.wrong(), Vec::<String>::new());
    let fired = fake.fired();
    println!("{fired:?}");
    for (call, _) in calls {
        for fault in Fault::UNKNOWN {
            assert!(fired.contains_key(&(call, fault)), "{call:?} {fault:?}");
        }
    }
}
