//! Payments, one line a step.

use super::*;
use crate::checkout::decision::PaymentRequest;
use crate::units::Money;

fn money(text: &str) -> Money {
    let (minor, currency) = text.split_once(' ').unwrap();
    Money::new(minor.parse().unwrap(), currency.parse().unwrap())
}

/// Reads `ask <key> <verb> ...` and `say <key> done <authorisation>` or `say <key> declined`.
fn step(state: &PaymentState, line: &str) -> Result<PaymentState, Impossible> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let key = IdempotencyKey::from(words[1]);
    let sum = || money(&words[words.len() - 2..].join(" "));
    let id = || words[3].to_owned();
    match (words[0], words[2]) {
        ("say", outcome) => {
            let outcome = match outcome {
                "done" => PaymentOutcome::Done {
                    authorisation: id(),
                },
                "declined" => PaymentOutcome::Declined {
                    reason: "no".into(),
                },
                other => panic!("{other}"),
            };
            state.apply(PaymentEvent::Decided {
                key: &key,
                outcome: &outcome,
            })
        }
        ("ask", verb) => {
            let request = match verb {
                "authorise" => PaymentRequest::Authorise { amount: sum() },
                "capture" => PaymentRequest::Capture {
                    authorisation: id(),
                    amount: sum(),
                },
                "void" => PaymentRequest::Void {
                    authorisation: id(),
                },
                "refund" => PaymentRequest::Refund {
                    authorisation: id(),
                    amount: sum(),
                },
                other => panic!("{other}"),
            };
            state.apply(PaymentEvent::Requested {
                key: &key,
                request: &request,
            })
        }
        other => panic!("{other:?}"),
    }
}

fn shown(state: &PaymentState) -> String {
    match state {
        PaymentState::None => "none".into(),
        PaymentState::Asked { key, request, .. } => format!("asked {key} {}", request.name()),
        PaymentState::Authorised(hold) => format!("authorised {} {}", hold.id, hold.amount),
        PaymentState::Refused { .. } => "refused".into(),
        PaymentState::Captured {
            amount, refunded, ..
        } => {
            format!("captured {amount}, refunded {refunded}")
        }
        PaymentState::Voided => "voided".into(),
        PaymentState::Owed { amount, .. } => format!("owed {amount}"),
    }
}

/// One payment a paragraph, a step and the state after it a line; "!" is a step that cannot follow and leaves the state as it was.
const PAYMENTS: [&[(&str, &str)]; 4] = [
    &[
        ("ask k1 capture a 5 EUR", "! the hold comes first"),
        ("say k1 done a", "! nothing was asked"),
        ("ask k1 authorise 5000 EUR", "asked k1 authorise"),
        (
            "ask k2 authorise 5000 EUR",
            "! request k1 has no answer yet",
        ),
        ("say k2 done a", "! it answers k2, and k1 was asked"),
        ("say k1 done a", "authorised a 50.00 EUR"),
        ("say k1 done a", "! nothing was asked"),
        (
            "ask k3 authorise 1 EUR",
            "! a hold is captured or voided, once",
        ),
        (
            "ask k3 refund a 1 EUR",
            "! a hold is captured or voided, once",
        ),
        (
            "ask k3 capture b 1250 EUR",
            "! it names the authorisation b, and ours is a",
        ),
        (
            "ask k3 capture a 5001 EUR",
            "! 50.01 EUR is more than the 50.00 EUR held",
        ),
        ("ask k3 capture a 0 EUR", "! 0.00 EUR is no amount"),
        (
            "ask k3 capture a 1 USD",
            "! 0.01 USD is another currency than the 50.00 EUR held",
        ),
        ("ask k3 capture a 1250 EUR", "asked k3 capture"),
        (
            "say k3 done b",
            "! it names the authorisation b, and ours is a",
        ),
        ("say k3 done a", "captured 12.50 EUR, refunded 0.00 EUR"),
        (
            "ask k4 void a",
            "! after the capture there are refunds only",
        ),
        (
            "ask k4 capture a 1 EUR",
            "! after the capture there are refunds only",
        ),
        ("ask k4 refund a 1000 EUR", "asked k4 refund"),
        ("say k4 done a", "captured 12.50 EUR, refunded 10.00 EUR"),
        (
            "ask k5 refund a 251 EUR",
            "! 2.51 EUR is more than the 2.50 EUR captured and not yet refunded",
        ),
        ("ask k5 refund a 250 EUR", "asked k5 refund"),
        ("say k5 declined", "captured 12.50 EUR, refunded 10.00 EUR"),
        ("ask k6 refund a 250 EUR", "asked k6 refund"),
        ("say k6 done a", "captured 12.50 EUR, refunded 12.50 EUR"),
    ],
    &[
        ("ask k1 authorise 5000 EUR", "asked k1 authorise"),
        ("say k1 declined", "refused"),
        ("ask k2 authorise 5000 EUR", "! it has ended"),
    ],
    &[
        ("ask k1 authorise 5000 EUR", "asked k1 authorise"),
        ("say k1 done a", "authorised a 50.00 EUR"),
        ("ask k2 void a", "asked k2 void"),
        ("say k2 declined", "authorised a 50.00 EUR"),
        ("ask k3 void a", "asked k3 void"),
        ("say k3 done a", "voided"),
        ("ask k4 capture a 1 EUR", "! it has ended"),
    ],
    &[
        ("ask k1 authorise 5000 EUR", "asked k1 authorise"),
        ("say k1 done a", "authorised a 50.00 EUR"),
        ("ask k2 capture a 900 EUR", "asked k2 capture"),
        ("say k2 declined", "owed 9.00 EUR"),
        ("ask k3 void a", "! it has ended"),
    ],
];

#[test]
fn a_payment_goes_step_by_step() {
    for payment in PAYMENTS {
        let mut state = PaymentState::None;
        for (line, expected) in payment {
            match step(&state, line) {
                Ok(next) => {
                    assert_eq!(&shown(&next), expected, "{line}");
                    state = next;
                }
                Err(impossible) => {
                    assert_eq!(&format!("! {}", impossible.why), expected, "{line}");
                }
            }
        }
    }
}

#[test]
fn only_an_open_question_is_asked_again() {
    let asked = step(&PaymentState::None, "ask k1 authorise 5000 EUR").unwrap();
    let (key, request) = asked.unanswered().unwrap();
    assert_eq!((key.as_str(), request.name()), ("k1", "authorise"));
    let answered = step(&asked, "say k1 done a").unwrap();
    assert_eq!(answered.unanswered(), None);
}

#[test]
fn an_impossible_step_is_a_sentence() {
    let error = step(&PaymentState::Voided, "ask k4 capture a 1 EUR").unwrap_err();
    assert_eq!(
        error.to_string(),
        "a payment that is voided cannot take the step `capture`: it has ended"
    );
}
