//! What is lost is a decision, and touches nobody's purse.

use super::hold;
use super::store::{GATED, GATELESS};

#[test]
fn what_a_node_could_not_keep_makes_carts_near_it_wait_for_the_deadline() {
    hold(
        GATELESS,
        &[
            (
                "its shelf was in reach",
                "1 see ann 1.1.1 4
                 1 see bob 2.1.1 4
                 1.5 take 1.1.1 500
                 3 mark
                 8 gap left 2 6 full 3
                 30 mark
                 = left lost 3
                 = ann draft: cola*1
                 = bob closed: 0.00 eur voided
                 70 mark
                 = ann closed: 0.00 eur voided",
            ),
            (
                "what she took after the gap she can't have put back in it",
                "1 see ann 1.1.1 12
                 3 mark
                 6 gap left 2 5 full 3
                 10 take 1.1.1 500
                 40 mark
                 = ann draft: cola*1
                 80 mark
                 = ann closed: cola*1, 1.50 eur captured",
            ),
            (
                "what somebody has put down whom no camera saw may be hers",
                "1 see ann 1.1.1 4
                 1.5 take 1.1.1 500
                 3 mark
                 8 put 1.1.1 500
                 12 gap ceiling 5.5 11 full 3
                 13 see ann aisle
                 30 mark
                 = ann draft: cola*1
                 90 mark
                 = ann closed: 0.00 eur voided",
            ),
            (
                "who came later is not touched",
                "0 mark
                 8 gap left 2 6 full 3
                 9 see ann 1.1.1
                 40 mark
                 = left lost 3
                 = ann closed: 0.00 eur voided",
            ),
            (
                "a camera's gap is everybody's",
                "1 see ann 1.1.1 4
                 1 see bob aisle 4
                 3 mark
                 8 gap ceiling 2 6 full 1
                 crash
                 30 mark
                 = ceiling lost 1
                 = ann draft:
                 = bob draft:",
            ),
        ],
    );
}

#[test]
fn a_new_outbox_shows_what_the_old_one_never_sent() {
    hold(
        GATELESS,
        &[
            (
                "it had promised two more than ever came",
                "0 mark
                 1 see ann 1.1.1 4
                 1.5 take 1.1.1 500
                 lost left
                 lost left
                 3 mark
                 renew left
                 40 mark
                 = left lost 2
                 = ann draft: cola*1
                 90 mark
                 = ann closed: 0.00 eur voided",
            ),
            (
                "one in the middle",
                "0 mark
                 1 see ann 1.1.1 8
                 1.5 take 1.1.1 500
                 lost left
                 4.5 take 1.1.1 500
                 5 mark
                 renew left
                 40 mark
                 = left lost 1
                 = ann draft: cola*2",
            ),
            (
                "it was silent, and may have seen more",
                "0 mark
                 1 see ann 1.1.1 4
                 1.5 take 1.1.1 500
                 2 mark
                 8 mark but left
                 8 tick
                 = left is silent
                 renew left
                 40 mark
                 = left lost 0
                 = ann draft: cola*1",
            ),
            (
                "nothing was missing",
                "0 mark
                 1 see ann 1.1.1
                 1.5 take 1.1.1 500
                 2 mark
                 renew left
                 5 take 1.1.3 100
                 30 mark
                 = ann closed: cola*1, 1.50 eur captured",
            ),
        ],
    );
}

#[test]
fn what_changed_while_a_node_was_off_is_asked_about_in_grams() {
    let off = "0 mark
         1 see ann 1.1.1 2
         1 see bob 2.1.1 2
         2 mark
         8 mark but left
         8 tick
         20 gap left 2 20 off 1.1.1 -500";
    let table = [
        (
            "nobody answers",
            format!(
                "{off}
                 21 mark
                 = asked: 500.0 g left shelf 1.1 while its node was off
                 = ann draft: 1 in review
                 = bob closed: 0.00 eur voided
                 crash
                 62 mark
                 = ann draft: 1 in review
                 70 mark
                 = ann closed: 0.00 eur voided"
            ),
        ),
        (
            "a person has seen it",
            format!(
                "{off}
                 21 mark
                 22 verdict ann cola*1
                 = ann closed: cola*1, 1.50 eur captured"
            ),
        ),
        (
            "what a person has said stays, whatever else is weighed",
            "0 mark
             1 see ann 1.1.3 9
             1.5 take 1.1.3 100
             2 mark
             6 gap left 2 5.5 off 1.1.1 -500
             6 mark
             = ann inside: tea*1, 1 in review
             6 verdict ann cola*1
             7.5 take 1.1.3 100
             crash
             30 mark
             = ann closed: cola*1, tea*2, 9.50 eur captured"
                .to_owned(),
        ),
        (
            "what came back may have been anybody's who had it",
            "0 mark
             1 see ann 1.1.1 4
             1.5 take 1.1.1 500
             3 see bob 1.1.1 2
             3 mark
             8 gap left 4 7 off 1.1.1 500
             30 mark
             = asked: 500.0 g came onto shelf 1.1 while its node was off
             = ann draft: cola*1, 1 in review
             = bob closed: 0.00 eur voided
             70 mark
             = ann closed: 0.00 eur voided"
                .to_owned(),
        ),
    ];
    hold(GATELESS, &table);
}

#[test]
fn an_empty_store_asks_the_operator_only() {
    hold(
        GATED,
        &[(
            "overnight",
            "0 mark
             20 gap left 2 20 off 1.1.1 -500
             21 mark
             = asked: 500.0 g left shelf 1.1 while its node was off
             = 0 sessions
             21 verdict nobody
             = 0 reviews",
        )],
    );
}
