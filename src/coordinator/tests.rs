//! What a store decides, as scripts of what it is told. See [`bench`] for the language.

mod bars;
mod bench;
mod gaps;
mod inference;
mod late;
mod paying;
mod properties;
mod regressions;
mod store;
mod stuck;

use std::sync::Arc;

use bench::Bench;
use store::{GATED, GATELESS};

use crate::store::Definition;

/// Runs every script of a table in a store of its own.
fn hold<S: AsRef<str>>(nodes: &[&str], table: &[(&str, S)]) {
    hold_in(&store::definition(), nodes, table);
}

/// The same, for stores of that definition.
fn hold_in<S: AsRef<str>>(definition: &Arc<Definition>, nodes: &[&str], table: &[(&str, S)]) {
    let wrong: Vec<String> = (table.iter())
        .flat_map(|(name, script)| {
            let wrong = Bench::new(definition.clone(), nodes).run(script.as_ref());
            wrong.into_iter().map(move |line| format!("{name}: {line}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn carts() {
    hold(
        GATELESS,
        &[
            (
                "a session is opened at first sight, and a pick is charged",
                "1 see ann 1.1.1
             1.3 mark
             = ann inside:
             1.5 take 1.1.1 500
             3 mark
             = ann inside: cola*1
             = 1 sessions
             30 mark
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "what is put back is not charged",
                "1 see ann 1.1.1 4
             1.5 take 1.1.1 500
             3.5 put 1.1.1 501
             30 mark
             = ann closed: 0.00 eur voided",
            ),
            (
                "a put-back on another shelf is known by its weight",
                "1 see ann 1.1.1 1
             1.5 take 1.1.1 500
             4 see ann 2.1.1 1
             4.5 put 2.1.1 500
             30 mark
             = ann closed: 0.00 eur voided",
            ),
            (
                "what a shopper leaves of his own is nothing, and taking it away again is nothing",
                "1 see ann 1.1.1 5
             1.5 put 1.1.2 340
             4.5 take 1.1.2 341
             30 mark
             = ann closed: 0.00 eur voided",
            ),
            (
                "a touch is nothing",
                "1 see ann 1.1.1 1
             1.5 touch 1.1.1
             30 mark
             = ann closed: 0.00 eur voided",
            ),
            (
                "nobody pays for what left when nobody was near",
                "1 see ann aisle
             1.5 take 1.1.1 500
             30 mark
             = ann closed: 0.00 eur voided
             = 0 reviews",
            ),
            (
                "an apple is charged by what it weighed",
                "1 see ann 2.1.3
             1.5 take 2.1.3 182
             30 mark
             = ann closed: apple*1, 0.55 eur captured",
            ),
            (
                "whose hand was there pays",
                "1 see ann 1.1.1 2
             1 see bob 1.1.3 2
             2 take 1.1.3 100
             30 mark
             = ann closed: 0.00 eur voided
             = bob closed: tea*1, 4.00 eur captured",
            ),
            (
                "everything comes twice",
                "1 see ann 1.1.1
             1.5 take 1.1.1 500
             3 mark
             again
             30 mark
             again
             = ann closed: cola*1, 1.50 eur captured
             = 1 sessions
             = 1 receipts",
            ),
            (
                "the end of a recording is an exit",
                "1 see ann 1.1.1
             1.5 take 1.1.1 500
             2 mark
             2 end
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "a hold that the gateway does not release lapses",
                "gateway declines void
             1 see ann 1.1.1
             30 mark
             = ann closed: 0.00 eur voided",
            ),
            (
                "the gateway answers late",
                "gateway slow
             1 see ann 1.1.1
             1.5 take 1.1.1 500
             30 mark
             = ann settled: cola*1
             gateway answers
             = ann closed: cola*1, 1.50 eur captured",
            ),
        ],
    );
}

/// Two hands on the same plate: only one of them took it.
const DOUBTFUL: &str = "1 see ann 1.1.1 2
     1 see bob 1.1.1 2
     2 take 1.1.1 500
     4 mark";

/// Ann has the cola, and somebody puts one back.
const DOUBTFUL_PUT: &str = "1 see ann 1.1.1 1
     1.5 take 1.1.1 500
     3 see bob 1.1.1 1
     3.5 take 1.1.1 500
     5 see ann 1.1.1 2
     5 see bob 1.1.1 2
     6 put 1.1.1 500
     8 mark";

#[test]
fn reviews() {
    let after = |start: &str, rest: &str| format!("{start}\n{rest}");
    let table = [
        (
            "a doubt is charged to nobody until the verdict",
            after(
                DOUBTFUL,
                "= ann inside: 1 in review
                 = bob inside: 1 in review
                 20 mark
                 = ann draft: 1 in review
                 20 verdict bob cola*1
                 = ann closed: 0.00 eur voided
                 = bob closed: cola*1, 1.50 eur captured
                 = 0 reviews",
            ),
        ),
        (
            "a verdict before the exit",
            after(
                DOUBTFUL,
                "4 verdict ann cola*2
                 = ann inside: cola*2
                 = bob inside:
                 20 mark
                 = ann closed: cola*2, 3.00 eur captured",
            ),
        ),
        (
            "the verdict is that nobody took it",
            after(
                DOUBTFUL,
                "20 mark
                 20 verdict nobody
                 = ann closed: 0.00 eur voided
                 = bob closed: 0.00 eur voided",
            ),
        ),
        (
            "without a verdict nobody pays",
            after(
                DOUBTFUL,
                "20 mark
                 62 mark
                 = ann draft: 1 in review
                 63 mark
                 = ann closed: 0.00 eur voided
                 = bob closed: 0.00 eur voided
                 = 0 reviews",
            ),
        ),
        (
            "putting it back is the answer",
            after(
                DOUBTFUL,
                "5 see ann 1.1.1 1
                 5 see bob aisle 1
                 5.5 put 1.1.1 500
                 7 mark
                 = ann inside:
                 = bob inside:
                 = 0 reviews",
            ),
        ),
        (
            "without a verdict a doubtful put-back counts for whoever it may have been",
            after(
                DOUBTFUL_PUT,
                "= ann inside: cola*1, 1 in review
                 = bob inside: cola*1, 1 in review
                 20 mark
                 90 mark
                 = ann closed: 0.00 eur voided
                 = bob closed: 0.00 eur voided",
            ),
        ),
        (
            "the verdict of a put-back",
            after(
                DOUBTFUL_PUT,
                "20 mark
                 20 verdict ann cola*1
                 = ann closed: 0.00 eur voided
                 = bob closed: cola*1, 1.50 eur captured",
            ),
        ),
        (
            "the end of a recording ends reviews",
            after(
                DOUBTFUL,
                "4 end
                 = ann closed: 0.00 eur voided
                 = bob closed: 0.00 eur voided
                 = 0 reviews",
            ),
        ),
    ];
    hold(GATELESS, &table);
}

#[test]
fn settlement_waits_for_whoever_matters() {
    hold(
        GATELESS,
        &[
            (
                "every watermark must have passed",
                "1 see ann 1.1.1
             1.5 take 1.1.1 500
             30 mark but left
             = 0 sessions
             30 mark left
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "a hand that rests on the shelf keeps its interval open",
                "1 see ann 1.1.1
             1.5 take 1.1.1 500
             30 mark but left
             30 open left 1.1 1.8
             = ann leaving: cola*1
             31 take 1.1.3 100
             32 mark
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "an interval that was opened after the exit is not theirs",
                "1 see ann 1.1.1
             1.5 take 1.1.1 500
             30 mark but left
             30 open left 1.1 3
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "an open interval where they never were does not matter",
                "1 see ann 1.1.1
             1.5 take 1.1.1 500
             30 mark but right
             30 open right 2.1 1
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "a silent node makes a draft until it is back",
                "0 mark
             0 tick
             1 see ann 1.1.1
             1.5 take 1.1.1 500
             2 mark
             4 mark but left
             8 mark but left
             8 tick
             = left is silent
             30 mark but left
             = ann draft: cola*1
             30 mark left
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "what a silent node says when it is back counts",
                "0 mark
             1 see ann 1.1.1
             1.2 mark
             8 mark but left
             8 tick
             20 mark but left
             = ann draft:
             1.5 take 1.1.1 500
             = ann draft:
             20 mark left
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "a node that was not near does not matter by being silent",
                "0 mark
             1 see ann 1.1.1
             1.5 take 1.1.1 500
             2 mark
             8 mark but right
             8 tick
             = right is silent
             30 mark but right
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "a node that stays silent is not waited for longer than the deadline",
                "0 mark
             1 see ann 1.1.1
             1.5 take 1.1.1 500
             2 mark
             8 mark but left
             8 tick
             61 mark but left
             = ann draft: cola*1
             62 mark but left
             = ann closed: cola*1, 1.50 eur captured",
            ),
        ],
    );
}

#[test]
fn the_gate() {
    hold(
        GATED,
        &[
            (
                "in, a pick, out",
                "1 code phone
             = gate opened 0 times
             1 mark
             = gate opened 1 times
             = phone inside:
             2 see ann door 1
             2.2 in
             3 mark
             = ann inside:
             4 see ann 1.1.1
             4.5 take 1.1.1 500
             9 see ann door 1
             9.5 out
             9.9 mark
             = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "a track that begins just after the passing is theirs",
                "1 code phone
             2 in
             3 mark
             3.2 see ann door 1
             5 mark
             = ann inside:",
            ),
            (
                "who enters without a code has no session",
                "1 see eve door 1
             1.2 in
             4 see eve 1.1.1 1
             4.5 take 1.1.1 500
             20 mark
             = 0 sessions
             = 0 reviews",
            ),
            (
                "a code is accepted once",
                "1 code phone
             2 same-code
             3 mark
             = 1 sessions
             = refused: this code of device phone was used
             = gate opened 1 times",
            ),
            (
                "a forged code",
                "1 code phone forged
             3 mark
             = 0 sessions
             = refused: this entry code was not made with",
            ),
            (
                "an unknown phone",
                "1 code ghost
             3 mark
             = 0 sessions
             = refused: device ghost is not enrolled here or",
            ),
            (
                "an old code",
                "1 code phone
             1 mark
             90 same-code
             90 mark
             = refused: this entry code of device phone ended",
            ),
            (
                "the hold is refused",
                "gateway declines authorise
             1 code phone
             1 mark
             = refused: the hold was refused: no funds
             = gate opened 0 times
             = phone closed: 0.00 eur voided",
            ),
            (
                "staff come in without a hold and pay for nothing",
                "gateway declines authorise
             1 code badge
             1.5 see ann door 1
             1.7 in
             3 see ann 1.1.1
             4 mark
             = gate opened 1 times
             = ann inside:
             12 see ann door 1
             12.5 out
             13 mark
             = ann closed: 0.00 eur voided",
            ),
            (
                "a blind store lets nobody in",
                "0 mark
             6 mark but left
             6 tick
             6 code phone
             7 mark but left
             = refused: the store cannot see: node left is
             = gate opened 0 times",
            ),
            (
                "a blind store lets everybody out",
                "0 mark
             1 code phone
             1.5 see ann door 1
             1.7 in
             3 see ann 1.1.1
             4 mark
             8 mark but left
             10 tick
             12 see ann door 1
             12.5 out
             13 mark but left
             = ann draft:
             13 mark left
             = ann closed: 0.00 eur voided",
            ),
        ],
    );
}
