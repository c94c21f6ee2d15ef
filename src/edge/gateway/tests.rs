use super::*;
use crate::checkout::decision::PaymentRequest;
use crate::checkout::payment::{IdempotencyKey, PaymentGateway, PaymentOutcome};
use crate::units::Money;

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

/// Reads `<key> authorise 5000 EUR`, `<key> capture <key of the hold> 1250 EUR`, `<key> void <key of the hold>`.
fn ask(sandbox: &mut Sandbox, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let authorisation = format!("auth-{}", words[2]);
    let amount = || {
        let [minor, currency] = words[words.len() - 2..] else {
            panic!("{line}")
        };
        Money::new(minor.parse().unwrap(), currency.parse().unwrap())
    };
    let request = match words[1] {
        "authorise" => PaymentRequest::Authorise {
            amount: amount(),
            payer: None,
        },
        "charge" => PaymentRequest::Charge {
            amount: amount(),
            payer: None,
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
    match sandbox.ask(&IdempotencyKey::from(words[0]), &request) {
        Ok(PaymentOutcome::Done { authorisation }) => authorisation,
        Ok(PaymentOutcome::Declined { reason }) => format!("! {reason}"),
        Ok(PaymentOutcome::Lapsed { reason }) => format!("~ {reason}"),
        Err(error) => format!("? {error}"),
    }
}

/// Each authorisation as `id state held captured refunded`, in minor units.
fn ledger(sandbox: &Sandbox) -> Vec<String> {
    (sandbox.ledger().unwrap().iter())
        .map(|e| {
            let [held, captured, refunded] = [e.held, e.captured, e.refunded].map(|m| m.minor);
            let id = &e.authorisation;
            format!("{id} {:?} {held} {captured} {refunded}", e.state)
        })
        .collect()
}

#[test]
fn it_is_exact_about_money() {
    let mut sandbox = Sandbox::in_memory().unwrap();
    for (line, answer) in [
        ("a authorise 5000 EUR", "auth-a"),
        ("a authorise 5000 EUR", "auth-a"),
        (
            "a authorise 5001 EUR",
            "! key a was used for another request before",
        ),
        ("z authorise 0 EUR", "! 0.00 EUR is no amount"),
        (
            "z authorise 100 EUR",
            "! key z was used for another request before",
        ),
        ("b capture x 1 EUR", "! there is no authorisation auth-x"),
        (
            "c capture a 5001 EUR",
            "! 50.01 EUR is more than the 50.00 EUR held",
        ),
        ("d capture a -1 EUR", "! -0.01 EUR is no amount"),
        (
            "e capture a 1 USD",
            "! 0.01 USD is another currency than the 50.00 EUR held",
        ),
        ("f refund a 1 EUR", "! auth-a is not captured"),
        ("g capture a 1250 EUR", "auth-a"),
        ("g capture a 1250 EUR", "auth-a"),
        ("h capture a 1250 EUR", "! auth-a is captured already"),
        ("i void a", "! auth-a is captured already"),
        ("j refund a 1000 EUR", "auth-a"),
        ("j refund a 1000 EUR", "auth-a"),
        (
            "k refund a 251 EUR",
            "! 2.51 EUR is more than the 2.50 EUR captured and not yet refunded",
        ),
        ("l refund a 250 EUR", "auth-a"),
        (
            "m refund a 9223372036854775807 EUR",
            "! 92233720368547758.07 EUR is more than the 0.00 EUR captured and not yet refunded",
        ),
        ("n authorise 700 EUR", "auth-n"),
        ("o void n", "auth-n"),
        ("o void n", "auth-n"),
        ("p void n", "~ auth-n is voided"),
        ("q capture n 1 EUR", "~ auth-n is voided"),
        ("r refund n 1 EUR", "! auth-n is voided"),
        ("s authorise 9223372036854775807 JPY", "auth-s"),
        ("t charge 300 EUR", "charge-t"),
        ("t charge 300 EUR", "charge-t"),
        ("u charge 0 EUR", "! 0.00 EUR is no amount"),
    ] {
        assert_eq!(ask(&mut sandbox, line), answer, "{line}");
    }
    assert_eq!(
        ledger(&sandbox),
        [
            "auth-a Captured 5000 1250 1250",
            "auth-n Voided 700 0 0",
            "auth-s Held 9223372036854775807 0 0",
            "charge-t Captured 300 300 0",
        ]
    );
}

#[test]
fn it_fails_on_demand_and_still_does_each_thing_once() {
    let mut sandbox = Sandbox::in_memory().unwrap();
    let handle = sandbox.clone();
    handle.set_faults(SandboxFaults {
        unavailable_next: 1,
        lose_answer_next: 1,
        ..SandboxFaults::default()
    });
    let unavailable =
        "? the payment gateway gave no answer to request a: the sandbox was told to be unavailable";
    assert_eq!(ask(&mut sandbox, "a authorise 5000 EUR"), unavailable);
    assert!(ledger(&handle).is_empty());
    let lost = "? the payment gateway gave no answer to request a: the sandbox was told to lose its answer";
    assert_eq!(ask(&mut sandbox, "a authorise 5000 EUR"), lost);
    assert_eq!(ledger(&handle), ["auth-a Held 5000 0 0"]);
    assert_eq!(ask(&mut sandbox, "a authorise 5000 EUR"), "auth-a");
    assert_eq!(handle.faults(), SandboxFaults::default());
    assert_eq!(ledger(&handle), ["auth-a Held 5000 0 0"]);

    handle.set_faults(SandboxFaults {
        decline_next: 1,
        decline_above: Some(eur(1000)),
        ..SandboxFaults::default()
    });
    for (line, answer) in [
        // An old question keeps its answer, and uses no fault up.
        ("a authorise 5000 EUR", "auth-a"),
        ("b authorise 100 EUR", "! the sandbox was told to decline"),
        ("b authorise 100 EUR", "! the sandbox was told to decline"),
        ("c authorise 1000 EUR", "auth-c"),
        (
            "d authorise 1001 EUR",
            "! 10.01 EUR is above the limit of 10.00 EUR",
        ),
        ("e authorise 1001 USD", "auth-e"),
        (
            "f capture a 1001 EUR",
            "! 10.01 EUR is above the limit of 10.00 EUR",
        ),
        ("g void a", "auth-a"),
    ] {
        assert_eq!(ask(&mut sandbox, line), answer, "{line}");
    }
    handle.set_faults(SandboxFaults::default());
    assert_eq!(
        ask(&mut sandbox, "d authorise 1001 EUR"),
        "! 10.01 EUR is above the limit of 10.00 EUR",
        "a decline is as lasting as any answer"
    );
}

#[test]
fn a_hold_lapses_on_demand() {
    let mut sandbox = Sandbox::in_memory().unwrap();
    sandbox.set_faults(SandboxFaults {
        lapse_next: 2,
        ..SandboxFaults::default()
    });
    for (line, answer) in [
        ("a authorise 5000 EUR", "auth-a"),
        ("b capture a 1250 EUR", "~ auth-a is voided"),
        ("b capture a 1250 EUR", "~ auth-a is voided"),
        ("c authorise 5000 EUR", "auth-c"),
        ("d void c", "~ auth-c is voided"),
        ("e authorise 5000 EUR", "auth-e"),
        ("f capture e 1250 EUR", "auth-e"),
    ] {
        assert_eq!(ask(&mut sandbox, line), answer, "{line}");
    }
}

#[test]
fn its_answers_outlive_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sandbox.sqlite");
    let mut sandbox = Sandbox::open(&path).unwrap();
    assert_eq!(ask(&mut sandbox, "a authorise 5000 EUR"), "auth-a");
    assert_eq!(ask(&mut sandbox, "b capture a 1250 EUR"), "auth-a");
    let error = Sandbox::open(&path).unwrap_err().to_string();
    assert!(error.contains("has this payment sandbox open"), "{error}");
    drop(sandbox);

    let mut sandbox = Sandbox::open(&path).unwrap();
    assert_eq!(ask(&mut sandbox, "b capture a 1250 EUR"), "auth-a");
    assert_eq!(ledger(&sandbox), ["auth-a Captured 5000 1250 0"]);
}
