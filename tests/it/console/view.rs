//! What the console makes of sessions and decisions.

use stroll::checkout::decision::{AttributionVerdict, Decision, PaymentRequest};
use stroll::checkout::payment::PaymentOutcome;
use stroll::checkout::receipt::Paid;
use stroll::console::view::{EventKind, EventLog, Shopper, VisitState, sessions};
use stroll::observation::ChangeKind;
use stroll::units::Money;

use super::fixture::{self, NOON, attributed, definition, receipt, visits};

#[test]
fn visits_are_listed_with_what_is_charged_and_what_is_checked() {
    let definition = definition();
    let seen = sessions(&visits(&definition), &definition);
    let told: Vec<(&str, VisitState, i64, u64)> = seen
        .iter()
        .map(|s| {
            (
                s.shopper.short.as_str(),
                s.state,
                s.total.minor,
                s.open_reviews,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("C07E", VisitState::Draft, 199, 1),
            ("20E6", VisitState::Leaving, 99, 0),
            ("4F2A", VisitState::Inside, 1464, 0),
            ("91BD", VisitState::Inside, 198, 1),
            ("D31C", VisitState::Inside, 0, 0),
        ]
    );
    let lines: Vec<(&str, u32, u32)> = seen[3]
        .lines
        .iter()
        .map(|line| (line.name.as_str(), line.quantity, line.being_checked))
        .collect();
    assert_eq!(lines, [("Hazelnut Bar", 0, 1), ("Cola, 330 ml", 2, 1)]);
}

#[test]
fn shoppers_are_called_by_the_end_of_their_id() {
    for (id, short) in [
        ("s-88-91bd", "91BD"),
        ("3325379692103139202", "9202"),
        ("a-1", "A1"),
        ("é-", "?"),
        ("", "?"),
    ] {
        assert_eq!(Shopper::of(&id.into()).short, short);
    }
}

#[test]
fn decisions_are_told_in_sentences() {
    let definition = definition();
    let told = |decision: Decision| {
        let mut log = EventLog::default();
        log.push(&decision, &definition);
        let event = log.recent().into_iter().next();
        event.map(|event| (event.kind, event.urgent, event.sentence))
    };
    let ok = AttributionVerdict::Accepted;
    let no = AttributionVerdict::Nothing {
        reason: "pressed".to_owned(),
    };
    let who = Some("s-1-4f2a");
    let two: &[(&str, u32)] = &[("5449000000996", 2), ("gone", 1)];
    let cola: &[(&str, u32)] = &[("5449000000996", 1)];
    let refund = Decision::PaymentRequested {
        session: "s-1-4f2a".into(),
        at: NOON,
        key: "k".into(),
        request: PaymentRequest::Refund {
            authorisation: "a".to_owned(),
            amount: Money::new(99, fixture::euros()),
            by: None,
        },
    };
    let declined = Decision::PaymentDecided {
        session: "s-1-4f2a".into(),
        at: NOON,
        key: "k".into(),
        outcome: PaymentOutcome::Declined {
            reason: "card expired".to_owned(),
        },
    };
    let closed = |session: Option<&str>| Decision::ReviewClosed {
        review: "r".into(),
        at: NOON,
        by: "anna".to_owned(),
        session: session.map(Into::into),
        items: fixture::items(cola),
    };
    let gap = |before| Decision::Gap {
        node: "door".into(),
        outbox: "o".into(),
        after: 7,
        before,
        dropped: 0,
        from: None,
        to: None,
        weighed: false,
        reason: String::new(),
    };
    use EventKind::*;
    for (decision, kind, urgent, sentence) in [
        (
            attributed(0.0, ChangeKind::Take, ok.clone(), &[(who, two, 999_999)]),
            Take,
            false,
            "Shopper 4F2A took 2 × Cola, 330 ml and 1 × gone from shelf 1.5 (> 99 %)",
        ),
        (
            attributed(0.0, ChangeKind::Put, ok.clone(), &[(who, cola, 4_000)]),
            Put,
            false,
            "Shopper 4F2A put 1 × Cola, 330 ml back on shelf 1.5 (< 1 %)",
        ),
        (
            attributed(0.0, ChangeKind::Unsure, ok, &[(None, cola, 1_000_000)]),
            Take,
            false,
            "Somebody we do not know took 1 × Cola, 330 ml from shelf 1.5 (100 %)",
        ),
        (
            attributed(0.0, ChangeKind::Touch, no.clone(), &[]),
            Touch,
            false,
            "Shelf 1.5 was touched; nothing changed",
        ),
        (
            attributed(0.0, ChangeKind::Foreign, no.clone(), &[]),
            Foreign,
            false,
            "Something foreign lies on shelf 1.5 (213.0 g)",
        ),
        (
            attributed(0.0, ChangeKind::Take, no, &[]),
            Take,
            false,
            "213.0 g left shelf 1.5; nobody is charged",
        ),
        (refund, Payment, false, "Shopper 4F2A is refunded 0.99 EUR"),
        (
            declined,
            Payment,
            true,
            "Shopper 4F2A had a payment declined: card expired",
        ),
        (
            closed(who),
            Review,
            false,
            "Shopper 4F2A was checked: 1 × Cola, 330 ml",
        ),
        (
            closed(None),
            Review,
            false,
            "A doubt was settled: nobody is charged",
        ),
        (gap(9), Node, true, "1 observation of node door is missing"),
        (
            gap(11),
            Node,
            true,
            "3 observations of node door are missing",
        ),
        (gap(0), Node, true, "What node door saw may be missing"),
        (
            Decision::Quarantined {
                stamp: fixture::stamp(),
                reason: "cut off".to_owned(),
            },
            Node,
            true,
            "A message of node fridge could not be read and was set aside",
        ),
        (
            Decision::NodeBack {
                node: "door".into(),
                at: NOON,
            },
            Node,
            false,
            "Node door is back",
        ),
        (
            Decision::EntryRefused {
                at: NOON,
                reason: "the code is old".to_owned(),
            },
            Gate,
            false,
            "Entry refused: the code is old",
        ),
    ] {
        assert_eq!(told(decision), Some((kind, urgent, sentence.to_owned())));
    }
    assert_eq!(told(Decision::FrontierAdvanced { to: NOON }), None);
}

#[test]
fn a_decision_without_a_time_takes_the_latest() {
    let definition = definition();
    let mut log = EventLog::default();
    log.push(&Decision::FrontierAdvanced { to: NOON }, &definition);
    let paid = receipt(&definition, "s-1-4f2a", &[], Paid::Voided);
    log.push(&Decision::ReceiptIssued { receipt: paid }, &definition);
    let events = log.recent();
    assert_eq!((events.len(), events[0].at), (1, NOON));
    assert_eq!(
        events[0].sentence,
        "Shopper 4F2A took nothing and paid nothing"
    );
}
