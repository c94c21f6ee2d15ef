//! Payments, one line a step.

mod reports;

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
            let reason = "no".to_owned();
            let outcome = match outcome {
                "lapsed" => PaymentOutcome::Lapsed { reason },
                "done" => PaymentOutcome::Done {
                    authorisation: id(),
                },
                "declined" => PaymentOutcome::Declined { reason },
                other => panic!("{other}"),
            };
            state.apply(PaymentEvent::Decided {
                key: &key,
                outcome: &outcome,
            })
        }
        ("ask", verb) => {
            let request = match verb {
                "authorise" => PaymentRequest::Authorise {
                    amount: sum(),
                    payer: None,
                },
                "charge" => PaymentRequest::Charge {
                    amount: sum(),
                    payer: None,
                },
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
                    by: None,
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
        PaymentState::Captured(captured) => {
            let each = |what: fn(&Charge) -> Money| {
                let sums: Vec<String> = (captured.charges.iter())
                    .map(|charge| what(charge).to_string())
                    .collect();
                sums.join(" + ")
            };
            let (taken, refunded) = (each(|c| c.amount), each(|c| c.refunded));
            format!("captured {taken}, refunded {refunded}")
        }
        PaymentState::Lapsed { amount, .. } => format!("lapsed, {amount} unpaid"),
        PaymentState::Voided => "voided".into(),
        PaymentState::Owed { amount, .. } => format!("owed {amount}"),
    }
}

/// One payment a paragraph, a step and the state after it a line; "!" is a step that cannot follow and leaves the state as it was.
#[test]
fn a_payment_goes_step_by_step() {
    let mut payments = 0;
    for payment in include_str!("tests/payments.txt").split("\n\n").skip(1) {
        payments += 1;
        let mut state = PaymentState::None;
        let steps = payment.lines().filter(|line| !line.starts_with('#'));
        for line in steps {
            let (line, expected) = line.split_once("=> ").unwrap();
            match step(&state, line) {
                Ok(next) => {
                    assert_eq!(shown(&next), expected, "{payment}\n{line}");
                    state = next;
                }
                Err(impossible) => {
                    let why = format!("! {}", impossible.why);
                    assert_eq!(why, expected, "{payment}\n{line}");
                }
            }
        }
    }
    assert!(payments >= 10, "{payments}");
}

/// Every state, reached by a line of steps, and what may be asked in it.
#[test]
fn every_state_says_what_may_be_asked() {
    let hold = "ask k1 authorise 5000 EUR, say k1 done a";
    let full = format!("{hold}, ask k2 capture a 5000 EUR, say k2 done a");
    let states = [
        ("none", String::new()),
        ("asked", "ask k1 authorise 5000 EUR".to_owned()),
        ("authorised", hold.to_owned()),
        (
            "refused",
            "ask k1 authorise 5000 EUR, say k1 declined".to_owned(),
        ),
        ("captured", full.clone()),
        (
            "twice",
            format!("{full}, ask k3 charge 1 EUR, say k3 done c"),
        ),
        ("voided", format!("{hold}, ask k2 void a, say k2 done a")),
        (
            "lapsed",
            format!("{hold}, ask k2 capture a 1 EUR, say k2 lapsed"),
        ),
        (
            "owed",
            format!("{hold}, ask k2 capture a 1 EUR, say k2 declined"),
        ),
    ];
    let requests = [
        "authorise 1 EUR",
        "capture a 1 EUR",
        "void a",
        "charge 1 EUR",
        "refund a 1 EUR",
    ];
    let mut table = "state      auth capt void char refu\n".to_owned();
    for (name, steps) in states {
        let steps = steps.split(", ").filter(|line| !line.is_empty());
        let state = steps.fold(PaymentState::None, |state, line| {
            step(&state, line).unwrap()
        });
        let admitted = requests.map(|request| {
            let admitted = step(&state, &format!("ask k9 {request}")).is_ok();
            if admitted { "yes " } else { "-   " }
        });
        table += format!("{name:<10} {}", admitted.join(" ")).trim_end();
        table += "\n";
    }
    let expected = "\
state      auth capt void char refu
none       yes  -    -    -    -
asked      -    -    -    -    -
authorised -    yes  yes  -    -
refused    -    -    -    yes  -
captured   -    -    -    yes  yes
twice      -    -    -    -    yes
voided     -    -    -    -    -
lapsed     -    -    -    yes  -
owed       -    -    -    -    -
";
    assert_eq!(table, expected);
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
