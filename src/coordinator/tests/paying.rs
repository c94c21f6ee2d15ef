//! Money, as scripts: what the hold does not cover, holds that are gone, a provider that is away, refunds.

use std::sync::Arc;

use super::store::{self, GATED, GATELESS};
use super::{hold, hold_in};
use crate::store::{Definition, Offline};
use crate::units::Money;

/// Ann comes in with her phone, takes three teas for 12.00 and leaves; the hold is 10.00.
const TEAS: &str = "1 code phone
    1 mark
    2 see ann door 1
    2.2 in
    3 mark
    4 see ann 1.1.3 6
    5 take 1.1.3 100
    7 take 1.1.3 100
    9 take 1.1.3 100
    20 see ann door 1
    20.5 out";
/// The same with one tea for 4.00.
const TEA: &str = "1 code phone
    1 mark
    2 see ann door 1
    2.2 in
    3 mark
    4 see ann 1.1.3 2
    5 take 1.1.3 100
    20 see ann door 1
    20.5 out";

#[test]
fn what_the_hold_does_not_cover() {
    let script = |before: &str, visit: &str, after: &str| format!("{before}\n{visit}\n{after}");
    hold(
        GATED,
        &[
            (
                "without consent it is owed",
                script(
                    "",
                    TEAS,
                    "21 mark
             = ann asked: authorise 1000, capture 1000
             = ann closed: tea*3, 12.00 eur owed, 2.00 eur left",
                ),
            ),
            (
                "with consent it is charged",
                script(
                    "agreed phone",
                    TEAS,
                    "21 mark
             = ann asked: authorise 1000, capture 1000, charge 200
             = ann closed: tea*3, 12.00 eur captured",
                ),
            ),
            (
                "consent changes nothing where the hold suffices",
                script(
                    "agreed phone",
                    TEA,
                    "21 mark
             = ann asked: authorise 1000, capture 400
             = ann closed: tea*1, 4.00 eur captured",
                ),
            ),
            (
                "a second charge that is declined is owed",
                script(
                    "agreed phone",
                    TEAS,
                    "gateway declines charge
             21 mark
             = ann asked: authorise 1000, capture 1000, charge 200
             = ann closed: tea*3, 12.00 eur owed, 2.00 eur left",
                ),
            ),
            (
                "a crash before each answer asks the same again and charges once",
                script(
                    "agreed phone",
                    TEAS,
                    "gateway slow
             21 mark
             crash
             = ann settled: tea*3
             gateway answers
             gateway slow
             crash
             gateway answers
             = ann closed: tea*3, 12.00 eur captured
             = 1 receipts",
                ),
            ),
            (
                "a hold that is gone is replaced by a charge of all of it",
                script(
                    "agreed phone",
                    TEAS,
                    "gateway lapses capture
             21 mark
             = ann asked: authorise 1000, capture 1000, charge 1200
             = ann closed: tea*3, 12.00 eur captured",
                ),
            ),
            (
                "without consent it is owed as well",
                script(
                    "",
                    TEA,
                    "gateway lapses capture
             21 mark
             = ann asked: authorise 1000, capture 400
             = ann closed: tea*1, 4.00 eur owed, 4.00 eur left",
                ),
            ),
            (
                "a declined capture is owed, for the hold is still there",
                script(
                    "agreed phone",
                    TEA,
                    "gateway declines capture
             21 mark
             = ann asked: authorise 1000, capture 400
             = ann closed: tea*1, 4.00 eur owed, 4.00 eur left",
                ),
            ),
            (
                "a hold that is gone when nothing was taken",
                script(
                    "",
                    "1 code phone
             1 mark
             2 see ann door 1
             2.2 in
             3 mark
             20 see ann door 1
             20.5 out",
                    "gateway lapses void
             21 mark
             = ann asked: authorise 1000, void
             = ann closed: 0.00 eur voided",
                ),
            ),
        ],
    );
}

#[test]
fn without_a_gate() {
    hold(
        GATELESS,
        &[
            (
                "what costs more than the hold is owed",
                "1 see ann 1.1.3 8
             2 take 1.1.3 100
             4 take 1.1.3 100
             6 take 1.1.3 100
             30 mark
             = ann closed: tea*3, 12.00 eur owed, 2.00 eur left",
            ),
            (
                "a capture that is refused is owed",
                "gateway declines capture
             1 see ann 1.1.1
             1.5 take 1.1.1 500
             30 mark
             = ann closed: cola*1, 1.50 eur owed, 1.50 eur left",
            ),
        ],
    );
}

#[test]
fn refunds() {
    hold(
        GATED,
        &[
            (
                "part by part, up to what was taken, each once",
                format!(
                    "{TEA}
             21 mark
             refund ann 100
             refund ann 100
             refund ann 201
             refund ann 0
             refund ann 200
             refund ann 1
             = ann asked: authorise 1000, capture 400, refund 100, refund 100, refund 200
             = ann closed: tea*1, 4.00 eur captured"
                ),
            ),
            (
                "of two charges, of the one that has as much left",
                format!(
                    "agreed phone
             {TEAS}
             21 mark
             refund ann 900
             refund ann 200
             refund ann 200
             = ann asked: authorise 1000, capture 1000, charge 200, refund 900, refund 200"
                ),
            ),
            (
                "one that is declined may be asked for again, under another key",
                format!(
                    "{TEA}
             21 mark
             gateway declines refund
             refund ann 400
             gateway answers
             refund ann 400
             refund ann 400
             = ann asked: authorise 1000, capture 400, refund 400, refund 400"
                ),
            ),
            (
                "one that is under way at a crash is asked again",
                format!(
                    "{TEA}
             21 mark
             gateway slow
             refund ann 400
             crash
             gateway answers
             refund ann 1
             = ann asked: authorise 1000, capture 400, refund 400, refund 400"
                ),
            ),
            (
                "nobody is refunded before the capture",
                "1 code phone
             1 mark
             refund phone 100
             = phone asked: authorise 1000"
                    .to_owned(),
            ),
        ],
    );
}

fn with(offline: Offline) -> Arc<Definition> {
    let mut definition = (*store::definition()).clone();
    definition.policy.offline = offline;
    Arc::new(definition)
}

#[test]
fn a_provider_that_is_away_closes_the_store() {
    hold_in(
        &with(Offline::Closed),
        GATED,
        &[
            (
                "whoever stands at the gate is refused, and whoever comes next; afterwards nothing is held",
                "gateway away
             1 code phone
             1 mark
             = refused: the payment provider cannot be reached, and
             = gate opened 0 times
             = the provider is away
             = phone settled:
             2 code tablet
             2 mark
             = 1 sessions
             gateway answers
             = phone asked: authorise 1000, void
             = phone closed: 0.00 eur voided
             3 code tablet
             3 mark
             = gate opened 1 times
             = tablet asked: authorise 1000
             = tablet inside:",
            ),
            (
                "the same over a crash",
                "gateway away
             1 code phone
             1 mark
             crash
             = the provider is away
             = gate opened 0 times
             2 code tablet
             2 mark
             = 1 sessions
             gateway answers
             = phone closed: 0.00 eur voided",
            ),
            (
                "staff come in",
                "gateway away
             1 code phone
             1 mark
             2 code badge
             2 mark
             = gate opened 1 times",
            ),
            (
                "whoever is inside is charged when it is back",
                "1 code phone
             1 mark
             2 see ann door 1
             2.2 in
             3 mark
             4 see ann 1.1.3 2
             5 take 1.1.3 100
             20 see ann door 1
             20.5 out
             gateway away
             21 mark
             = ann settled: tea*1
             = the provider is away
             crash
             gateway answers
             = ann closed: tea*1, 4.00 eur captured
             = 1 receipts",
            ),
            (
                "a slow one is not away",
                "gateway slow
             1 code phone
             1 mark
             = phone inside:
             2 code tablet
             2 mark
             = 2 sessions
             = gate opened 0 times
             gateway answers
             = gate opened 2 times",
            ),
        ],
    );
}

#[test]
fn a_provider_that_is_away_lets_some_in() {
    let capped = |shoppers_max, minor: Option<i64>| {
        let amount_max = minor.map(|minor| Money::new(minor, "EUR".parse().unwrap()));
        with(Offline::Capped {
            shoppers_max,
            amount_max,
        })
    };
    hold_in(
        &capped(Some(1), None),
        GATED,
        &[
            (
                "up to the cap, and the hold and the capture are made later",
                format!(
                    "gateway away
             {TEA}
             = gate opened 1 times
             20.6 code tablet
             21 mark
             = refused: the payment provider cannot be reached, and
             = 1 sessions
             = ann settled: tea*1
             gateway answers
             = ann asked: authorise 1000, capture 400
             = ann closed: tea*1, 4.00 eur captured
             22 code tablet
             22 mark
             = gate opened 2 times"
                ),
            ),
            (
                "the gate opens once, also when the hold is made while they are inside",
                "gateway away
             1 code phone
             1 mark
             = gate opened 1 times
             gateway answers
             = gate opened 1 times
             = phone inside:
             2 code tablet
             2 mark
             = gate opened 2 times"
                    .to_owned(),
            ),
            (
                "a hold that is declined later leaves the shopper inside, and what they take is owed",
                format!(
                    "gateway away
             {TEA}
             gateway declines authorise
             21 mark
             = ann asked: authorise 1000
             = ann closed: tea*1, 4.00 eur owed, 4.00 eur left"
                ),
            ),
            (
                "or charged, with consent",
                format!(
                    "agreed phone
             gateway away
             {TEA}
             gateway declines authorise
             21 mark
             = ann asked: authorise 1000, charge 400
             = ann closed: tea*1, 4.00 eur captured"
                ),
            ),
            (
                "the same over crashes; before the passing, the gate opens again",
                "gateway away
             1 code phone
             1 mark
             crash
             2 see ann door 1
             2.2 in
             3 mark
             = ann inside:
             2.4 code tablet
             3.1 mark
             = 1 sessions
             4 see ann 1.1.3 2
             5 take 1.1.3 100
             20 see ann door 1
             20.5 out
             21 mark
             crash
             gateway answers
             = ann closed: tea*1, 4.00 eur captured
             = gate opened 2 times"
                    .to_owned(),
            ),
        ],
    );
    hold_in(
        &capped(None, Some(2_500)),
        GATED,
        &[(
            "each counts with the hold",
            "gateway away
             1 code phone
             1 mark
             2 code tablet
             2 mark
             = gate opened 2 times
             40 code phone
             40 mark
             = 2 sessions
             = refused: the payment provider cannot be reached, and",
        )],
    );
    hold_in(
        &capped(None, Some(2_000)),
        GATED,
        &[(
            "and with the cart where that is more",
            format!(
                "gateway away
             {TEAS}
             20.9 mark
             = ann settled: tea*3
             21 code tablet
             21 mark
             = 1 sessions
             = gate opened 1 times"
            ),
        )],
    );
}
