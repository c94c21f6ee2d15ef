//! One puts back what another takes, at one place and about one moment: the scales see the difference only, and where
//! that is nothing, a touch; or they stood for a moment with a product more, or less, as they do when a hand presses.

use super::candidates::{
    Candidate, Near, Scene, Source, TOGETHER, TOGETHER_MAX, nobody, part, quantity_log, together,
};
use super::weights::{Expected, log_normal};
use super::world::{Holding, Part};
use crate::observation::{ChangeKind, Item, Stood};
use crate::sensing::item_match::{log_share, total};
use crate::store::Product;

/// Prior of a put-back where another takes, given that both reach there and that it is what the one took last.
const PUTS_BACK: f64 = 0.3;
/// Prior of reaches that move nothing: where nothing was seen to stand in between, hands alone never make a touch a
/// purchase.
const NOTHING: f64 = 1.0;
/// Who reaches a place worse than this swapped nothing there, natural log.
const REACH_MIN: f64 = -6.0;
/// Units that each of the two moves, at most.
const UNITS_MAX: u32 = 3;
/// A typical press, grams: half of them are lighter.
const PRESS_G: f64 = 60.0;
/// Prior of a product that somebody lifts and puts down again themselves.
const LIFTED: f64 = 0.5;

/// Differences of less than this are none to the scales, grams.
const NOTICED_G: f64 = 6.0;

/// Something that a body moves, with the log of its prior and what it should weigh.
struct Move<'a> {
    by: &'a Near,
    item: Item,
    log: f64,
    expected: Expected,
}

impl<'a> Scene<'a> {
    /// The ways in which a body can have put down what it has while another took something, so that what was weighed
    /// comes of both.
    pub fn swaps_by(&self, puts: &Near, holding: &Holding) -> Vec<Candidate> {
        if self.change.kind == ChangeKind::Foreign {
            return Vec::new();
        }
        match &self.change.stood {
            Some(stood) => self.swaps_one_after_another(stood, puts, holding),
            None => self.swaps_at_once(puts, holding),
        }
    }

    /// Nothing moved.
    pub fn nothing(&self) -> Candidate {
        Candidate {
            log: NOTHING.ln(),
            parts: vec![nobody()],
            source: Source::Facing,
        }
    }

    /// Log-density of what stood there in between, if that was nobody's put-back and no other's take: a hand that
    /// presses adds any weight (half of a Cauchy distribution: a few press very hard), and what is lifted for a moment is
    /// a product.
    pub fn not_stood_log(&self) -> f64 {
        let Some(stood) = &self.change.stood else {
            return 0.0;
        };
        let (grams, sigma) = total(&stood.plates);
        let press =
            -(std::f64::consts::PI / 2.0 * PRESS_G * (1.0 + (grams / PRESS_G).powi(2))).ln();
        if grams > 0.0 {
            return press;
        }
        let lifted = self.home().flat_map(|product| {
            let weights = (1..=UNITS_MAX).map(|n| self.weights.expected(product, n, None));
            weights.map(|w| LIFTED.ln() + w.log_density(grams, sigma))
        });
        lifted.fold(press, f64::max)
    }

    /// As many units of one product put back as taken, or some more or fewer, at the very same moment.
    fn swaps_at_once(&self, puts: &Near, holding: &Holding) -> Vec<Candidate> {
        let mut out = Vec::new();
        if !self.is_at_work(puts, |near| near.reach) {
            return out;
        }
        for put in self.put_backs(puts, holding) {
            let Some(product) = self.product(&put.item.product) else {
                continue;
            };
            if !self.is_home(&product.id) {
                continue;
            }
            for takes in self.others_at_work(puts, |near| near.reach) {
                let ways = (1..=UNITS_MAX)
                    .filter_map(|taken| self.swap_at_once(product, &put, takes, taken));
                out.extend(ways);
            }
        }
        out
    }

    /// `None` if the sum would go the other way.
    fn swap_at_once(
        &self,
        product: &Product,
        put: &Move<'_>,
        takes: &Near,
        taken: u32,
    ) -> Option<Candidate> {
        let units = put.item.quantity;
        let is_possible = match (self.change.kind, self.change.is_take()) {
            (ChangeKind::Touch, _) => taken == units,
            (ChangeKind::Take | ChangeKind::Put | ChangeKind::Unsure, true) => taken > units,
            (ChangeKind::Take | ChangeKind::Put | ChangeKind::Unsure, false) => units > taken,
            (ChangeKind::Foreign, _) => false,
        };
        if !is_possible {
            return None;
        }
        let (grams, sigma) = total(&self.change.plates);
        let rest = taken.abs_diff(units);
        let expected = (self.weights).expected(product, rest, self.only_plate(&self.all()));
        // What is weighed against each other shares the errors of the catalogue and the plate.
        let swapped = 2.0 * f64::from(taken.min(units)) * self.weights.spread(product).powi(2);
        let variance = expected.variance + swapped + sigma * sigma;
        let weighed = self.told_log(log_normal(grams.abs() - expected.grams, variance));
        let log = weighed + put.log + quantity_log(taken) + put.by.reach + takes.reach;
        let taken = Item {
            product: product.id.clone(),
            quantity: taken,
        };
        Some(self.swap(log, put, takes, taken))
    }

    /// Anything that somebody has put down, and one product taken from its facing, before or after that.
    fn swaps_one_after_another(
        &self,
        stood: &Stood,
        puts: &Near,
        holding: &Holding,
    ) -> Vec<Candidate> {
        let (first, first_sigma) = total(&stood.plates);
        let (sum, sigma) = total(&self.change.plates);
        let (last, last_sigma) = (sum - first, sigma.hypot(first_sigma));
        if first * last >= 0.0 {
            return Vec::new();
        }
        let put_first = first > 0.0;
        let in_order = |(first, last)| match put_first {
            true => (first, last),
            false => (last, first),
        };
        let (put_g, taken_g) = in_order((first, last));
        let (put_sigma, taken_sigma) = in_order((first_sigma, last_sigma));
        let puts_log = |near: &Near| in_order(near.stood).0;
        let takes_log = |near: &Near| in_order(near.stood).1;
        let mut out = Vec::new();
        if !self.is_at_work(puts, puts_log) {
            return out;
        }
        for put in self.put_backs(puts, holding) {
            let put_density = put.expected.log_density(put_g, put_sigma);
            for takes in self.others_at_work(puts, takes_log) {
                for (taken, expected) in self.single_takes() {
                    let taken_density = expected.log_density(taken_g, taken_sigma);
                    let weighed = match put_first {
                        true => put_density + self.told_log(taken_density),
                        false => taken_density + self.told_log(put_density),
                    };
                    let prior = put.log + quantity_log(taken.quantity);
                    let log = weighed + prior + puts_log(puts) + takes_log(takes);
                    out.push(self.swap(log, &put, takes, taken));
                }
            }
        }
        out
    }

    /// Log of what the scales tell of the sum, which has that log-density: its grams, and how the plates share them; of
    /// a touch only that they noticed none.
    fn told_log(&self, density: f64) -> f64 {
        let (grams, _) = total(&self.change.plates);
        match self.change.kind {
            ChangeKind::Touch => (density + (2.0 * NOTICED_G).ln()).min(0.0),
            ChangeKind::Take | ChangeKind::Put | ChangeKind::Foreign | ChangeKind::Unsure => {
                density + log_share(grams, self.change.plates.len())
            }
        }
    }

    fn swap(&self, log: f64, put: &Move<'_>, takes: &Near, taken: Item) -> Candidate {
        let log = log + (TOGETHER * PUTS_BACK).ln();
        let (put, taken) = (
            part(put.by, vec![put.item.clone()]),
            part(takes, vec![taken]),
        );
        let against = |part| Part {
            against: true,
            ..part
        };
        match self.change.is_take() {
            true => together(log, taken, against(put)),
            false => together(log, put, against(taken)),
        }
    }

    /// The bodies that we know and that reached there, by that measure of it.
    fn hands(&self, reach: impl Fn(&Near) -> f64) -> impl Iterator<Item = &'a Near> {
        let known = self.near.iter().filter(|n| n.who.is_some());
        known
            .take(TOGETHER_MAX)
            .filter(move |n| reach(n) > REACH_MIN)
    }

    fn is_at_work(&self, near: &Near, reach: impl Fn(&Near) -> f64) -> bool {
        self.hands(reach).any(|n| n.who == near.who)
    }

    fn others_at_work(
        &self,
        than: &Near,
        reach: impl Fn(&Near) -> f64,
    ) -> impl Iterator<Item = &'a Near> {
        self.hands(reach).filter(|n| n.who != than.who)
    }

    /// What a body can put down of what it has.
    fn put_backs<'b>(&self, by: &'b Near, holding: &Holding) -> Vec<Move<'b>> {
        let options = self.put_options(holding);
        (options.into_iter())
            .filter(|(_, item, _)| item.quantity <= UNITS_MAX)
            .map(|(log, item, expected)| Move {
                by,
                item,
                log,
                expected,
            })
            .collect()
    }

    /// The products that stand on the changed plates.
    fn home(&self) -> impl Iterator<Item = &'a Product> {
        let mut seen = std::collections::BTreeSet::new();
        (0..self.change.plates.len())
            .flat_map(|index| self.products_on(index))
            .filter(move |product| seen.insert(&product.id))
    }

    /// One product from its facing on the changed plates, a few units at most, and what they weigh.
    fn single_takes(&self) -> impl Iterator<Item = (Item, Expected)> {
        let plate = self.only_plate(&self.all());
        self.home().flat_map(move |product| {
            (1..=UNITS_MAX).map(move |quantity| {
                let item = Item {
                    product: product.id.clone(),
                    quantity,
                };
                (item, self.weights.expected(product, quantity, plate))
            })
        })
    }
}
