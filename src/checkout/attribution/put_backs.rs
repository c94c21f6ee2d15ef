//! What can have come onto a shelf in one world: what somebody has, anything by staff, or something foreign.

use super::candidates::{
    ANOTHER_PRODUCT, BESIDE, Candidate, Near, Scene, Source, TOGETHER, part, quantity_log, together,
};
use super::weights::Expected;
use super::world::Holding;
use crate::observation::Item;
use crate::sensing::item_match::QUANTITY_MAX;
use crate::store::ProductId;

/// Prior of a put-back onto another facing than its own.
const PUT_ELSEWHERE: f64 = 0.08;
/// Prior of putting back something else than what was taken last.
const NOT_IN_HAND: f64 = 0.2;

/// Prior of a first weighing that was wrong, as a hand pressed just then; looked at where it was off by more than so
/// many standard deviations of the second.
const MISWEIGHED: f64 = 0.03;
const SURPRISE: f64 = 2.0;

impl Scene<'_> {
    /// Put-backs by one body: one or two of the products that it has; or anything, by staff.
    pub fn puts_by(&self, near: &Near, holding: &Holding) -> Vec<Candidate> {
        let mut out = Vec::new();
        let options = self.put_options(holding);
        for (prior, item, expected) in &options {
            out.push(Candidate {
                log: prior + self.weighed(&self.all(), *expected) + near.reach,
                parts: vec![part(near, vec![item.clone()])],
                source: Source::Facing,
            });
        }
        for (i, a) in options.iter().enumerate() {
            for b in options[i + 1..]
                .iter()
                .filter(|b| b.1.product != a.1.product)
            {
                let both = self.weighed(&self.all(), a.2.and(b.2));
                out.push(Candidate {
                    log: a.0 + b.0 + both + ANOTHER_PRODUCT.ln() + near.reach,
                    parts: vec![part(near, vec![a.1.clone(), b.1.clone()])],
                    source: Source::Facing,
                });
            }
        }
        if near.staff {
            out.extend(self.sets().into_iter().map(|set| Candidate {
                log: set.log + near.reach,
                parts: vec![part(near, set.items.into_iter().map(|s| s.0).collect())],
                source: Source::Facing,
            }));
        }
        out
    }

    /// Put-backs by two bodies, each one product of what it has.
    pub fn puts_of_two(
        &self,
        (a, mine): (&Near, &Holding),
        (b, theirs): (&Near, &Holding),
    ) -> Vec<Candidate> {
        let mut out = Vec::new();
        let theirs = self.put_options(theirs);
        for x in &self.put_options(mine) {
            for y in &theirs {
                let both = self.weighed(&self.all(), x.2.and(y.2));
                let log = x.0 + y.0 + both + TOGETHER.ln() + a.reach + b.reach;
                let (x, y) = (vec![x.1.clone()], vec![y.1.clone()]);
                out.push(together(log, part(a, x), part(b, y)));
            }
        }
        out
    }

    /// Log prior of putting back this of what somebody has.
    pub(super) fn in_hand_log(&self, holding: &Holding, id: &ProductId) -> f64 {
        match holding.last_taken.as_ref() == Some(id) {
            true => 0.0,
            false => NOT_IN_HAND.ln(),
        }
    }

    /// What somebody can put back: log prior, the items, and what they weigh.
    pub(super) fn put_options(&self, holding: &Holding) -> Vec<(f64, Item, Expected)> {
        let mut out = Vec::new();
        for (id, held) in &holding.items {
            let Some(product) = self.product(id) else {
                continue;
            };
            let place = match self.is_home(id) {
                true => 1.0_f64,
                false if self.location_log(&self.all(), id) > BESIDE.ln() - 1e-9 => 0.5,
                false => PUT_ELSEWHERE,
            };
            let in_hand = self.in_hand_log(holding, id);
            let unit = held.grams / f64::from(held.quantity.max(1));
            for quantity in 1..=held.quantity.min(QUANTITY_MAX) {
                let plate = self.only_plate(&self.all());
                let expected = (self.weights).expected_again(product, quantity, unit, plate);
                let item = Item {
                    product: id.clone(),
                    quantity,
                };
                let prior = place.ln() + in_hand + quantity_log(quantity);
                let anew = self.weights.expected(product, quantity, plate);
                if (anew.grams - expected.grams).abs() > SURPRISE * expected.variance.sqrt() {
                    out.push((prior + MISWEIGHED.ln(), item.clone(), anew));
                }
                out.push((prior, item, expected));
            }
        }
        out
    }
}
