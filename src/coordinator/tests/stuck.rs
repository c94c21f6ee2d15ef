//! Visits that nobody closes, closing time and emergencies.

use super::bench::Bench;
use super::hold;
use super::store::{self, GATED};

/// Ann is inside with a cola, and was last seen at 5 s.
const INSIDE: &str = "0 mark
     1 code phone
     1.5 see ann door 1
     1.7 in
     3 see ann 1.1.1 2
     4 take 1.1.1 500
     6 mark
     = ann inside: cola*1";

fn after(start: &str, rest: &str) -> String {
    format!("{start}\n{rest}")
}

#[test]
fn who_is_not_seen_any_more_has_left() {
    let late = "604 mark
         = ann inside: cola*1
         605 mark
         = given up: not seen any more
         = ann closed: cola*1, 1.50 eur captured";
    let blind = "8 mark but ceiling
         12 mark but ceiling
         12 tick
         700 mark but ceiling
         = ann inside: cola*1
         702 see ann 1.1.1 2
         706 mark
         = ann inside: cola*1";
    let back = "8 mark but ceiling
         12 mark but ceiling
         12 tick
         700 mark but ceiling
         = ann inside: cola*1
         702 mark
         1400 mark
         = given up: not seen any more";
    let phone_died = "20 see ann door 1
         20.5 out
         25 mark
         = ann closed: cola*1, 1.50 eur captured";
    hold(
        GATED,
        &[
            ("past the gate's eyes", after(INSIDE, late)),
            (
                "again after a restart",
                after(INSIDE, &format!("crash\n{late}")),
            ),
            ("while the cameras are away nobody is", after(INSIDE, blind)),
            ("once they are back somebody is", after(INSIDE, back)),
            ("nobody needs the phone to leave", after(INSIDE, phone_died)),
        ],
    );
}

#[test]
fn who_is_let_in_and_does_not_come_gets_the_hold_back() {
    hold(
        GATED,
        &[
            (
                "never came in",
                "0 mark
                 1 code phone
                 2 mark
                 = phone inside:
                 60 mark
                 = phone inside:
                 crash
                 61.1 mark
                 = given up: did not pass the gate
                 = phone closed: 0.00 eur voided
                 62 code tablet
                 62.5 see bob door 1
                 62.7 in
                 64 mark
                 = bob inside:",
            ),
            (
                "passed, and was never seen",
                "0 mark
                 1 code phone
                 2 in
                 601 mark
                 = phone inside:
                 603 mark
                 = given up: never seen inside
                 = phone closed: 0.00 eur voided",
            ),
        ],
    );
}

#[test]
fn after_closing_time_nobody_comes_in_and_whoever_stays_has_left() {
    let closed = "7 bar closed
         = barred: closed by op
         8 code tablet
         8 code badge
         9 mark
         = refused: closed by op
         = gate opened 2 times
         10 see ann aisle 890
         905 mark
         = ann inside: cola*1
         crash
         907 mark
         = given up: still inside after closing time
         = ann closed: cola*1, 1.50 eur captured
         908 unbar closed
         910 code phone
         911 mark
         = gate opened 3 times";
    hold(GATED, &[("closed", after(INSIDE, closed))]);
}

#[test]
fn in_an_emergency_the_gate_stands_open_and_nothing_is_settled() {
    let during = "7 bar emergency
         = the gate stands open
         = barred: emergency by op
         8 code tablet
         10 see ann door 1
         10.5 out
         12 mark
         = refused: emergency by op
         = ann leaving: cola*1
         crash
         3000 mark
         = ann leaving: cola*1
         = 0 receipts";
    let over = "3000 unbar emergency
         = given up: there was an emergency
         = ann closed: 0.00 eur voided
         3001 code phone
         3002 mark
         = gate opened 2 times";
    let left_before = "7 see ann door 1
         7.5 out
         8 mark but left
         8 bar emergency
         20 mark
         = ann leaving: cola*1
         20 unbar emergency
         = ann closed: cola*1, 1.50 eur captured";
    let stays_inside = "7 bar emergency
         900 mark
         = ann inside: cola*1
         901 unbar emergency
         = ann closed: 0.00 eur voided";
    hold(
        GATED,
        &[
            ("who leaves in it", after(INSIDE, &after(during, over))),
            ("who had left before pays", after(INSIDE, left_before)),
            ("who is not seen to leave", after(INSIDE, stays_inside)),
        ],
    );
}

#[test]
fn the_limits_are_settings() {
    let store = store::with_policy("visit_lost_s = 20");
    let wrong = Bench::new(store, GATED).run(&after(
        INSIDE,
        "24 mark
         = ann inside: cola*1
         26 mark
         = ann closed: cola*1, 1.50 eur captured",
    ));
    assert!(wrong.is_empty(), "{wrong:?}");
}
