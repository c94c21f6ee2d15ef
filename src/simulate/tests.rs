use std::collections::BTreeSet;

use super::*;
use crate::store::definition::parse;

#[test]
fn an_endless_day_forgets_what_is_over_and_uses_its_phones_again() {
    let corner = include_str!("../../deploy/corner.toml");
    let (definition, _) = parse(corner, "deploy/corner.toml").unwrap();
    let options = Options {
        shoppers: None,
        arrival_s_mean: 5.0,
        ..Options::default()
    };
    let mut store = Store::new(&Arc::new(definition), 1, options);
    let mut codes = BTreeSet::new();
    while store.elapsed_s() < 2.0 * 3_600.0 {
        let records = store.next_chunk().expect("it has no end");
        for record in records {
            if let Record::Gate(gate) = record
                && let GateEvent::CodeShown { code } = gate.observation.event
            {
                assert!(codes.insert(code.clone()), "{code} was shown twice");
            }
        }
        let inside = store.inside();
        // One of the staff may be there besides.
        assert!(inside <= 9);
        let keys: usize = store.shoppers.iter().map(|one| one.body.keys()).sum();
        assert!(keys <= 40 * inside, "{keys} keys of {inside} bodies");
        assert!(store.premises.scales.effects() <= 60 * 8);
        assert!(store.premises.floor.bookings() <= 4 * 9);
        assert!(store.premises.gate_events.len() <= 3 * 8);
        assert!(store.truth.receipts.len() <= ENDLESS_TRUTHS);
        assert!(store.truth.events.len() <= 10 * ENDLESS_TRUTHS);
    }
    let facings = store.premises.stock.facings().len();
    let low = store.premises.stock.low();
    assert!(
        2 * low <= facings,
        "{low} of {facings} facings are all but empty"
    );
    assert!(store.staff_visits > 5, "{} visits", store.staff_visits);
    assert!(codes.len() > ENDLESS_TRUTHS, "only {} came", codes.len());
    assert_eq!(store.truth.receipts.len(), ENDLESS_TRUTHS);
}
