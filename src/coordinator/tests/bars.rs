//! When the store lets nobody in.

use std::sync::Arc;

use super::bench::Bench;
use super::hold;
use super::store::{self, GATED};
use crate::coordinator::Input;
use crate::observation::GateEvent;

#[test]
fn a_node_in_trouble_keeps_people_out_until_it_is_in_order() {
    hold(
        GATED,
        &[(
            "its outbox is full",
            "0 mark
             1 trouble left its outbox is full
             = barred: the store cannot see: node left: its outbox is full
             2 code phone
             3 mark
             = refused: the store cannot see: node left: its
             = 0 sessions
             crash
             = barred: the store cannot see: node left: its outbox is full
             35 trouble left
             35 code phone
             36 mark
             = gate opened 1 times
             = phone inside:",
        )],
    );
}

#[test]
fn a_clock_that_is_off_keeps_people_out() {
    let mut bench = Bench::new(store::definition(), GATED);
    let wrong = bench.run("0 mark");
    assert!(wrong.is_empty(), "{wrong:?}");
    for (sequence, error_us, barred) in [(1, 1_000_000, 0), (2, 1_500_000, 1), (3, 20_000, 0)] {
        let mut told = store::stamped("gate", sequence, store::gate(1.0, GateEvent::PassedOut));
        let stamped = Arc::get_mut(&mut told).unwrap();
        stamped.clock.error_us = error_us;
        bench.handle(Input::Observation(told), store::at(1.0));
        assert_eq!(bench.core.state().bars.len(), barred, "{error_us}");
    }
}
