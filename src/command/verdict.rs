//! Compares what a store charged with what really happened.

use std::collections::BTreeMap;
use std::fmt;

use crate::coordinator::Coordinator;
use crate::edge::playback;
use crate::observation::TrackId;
use crate::recording::Truth;
use crate::store::ProductId;

/// Of all lines, so many may wait for a verdict.
const REVIEW_SHARE_MAX: f64 = 0.05;

/// How one shopper's receipt compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Right,
    /// Less was charged than was taken, and all of the rest had been in doubt.
    Doubted,
    Wrong,
}

/// How all receipts compare.
pub struct Verdict {
    shoppers: Vec<(TrackId, Outcome, String)>,
    /// Changes that a cart followed from, and changes that went to review.
    accepted: u64,
    reviewed: u64,
}

type Units = BTreeMap<ProductId, i64>;

impl Verdict {
    /// Compares the truth with the receipts of a store that everybody has left.
    pub fn of(truth: &Truth, core: &Coordinator) -> Self {
        let receipts = playback::receipts(core);
        let mut shoppers = Vec::new();
        for expected in &truth.receipts {
            let taken = units(expected.products.iter().map(|p| (&p.barcode, p.quantity)));
            let receipt = receipts
                .iter()
                .find(|r| r.track.as_ref() == Some(&expected.target_id));
            let charged = units(
                receipt
                    .iter()
                    .flat_map(|r| &r.lines)
                    .map(|l| (&l.product, l.quantity)),
            );
            let session = receipt.and_then(|r| core.state().sessions.get(&r.session));
            let doubted = units(
                session
                    .iter()
                    .flat_map(|s| &s.uncharged)
                    .map(|i| (&i.product, i.quantity)),
            );
            let outcome = match () {
                () if charged == taken => Outcome::Right,
                () if explained(&taken, &charged, &doubted) => Outcome::Doubted,
                () => Outcome::Wrong,
            };
            shoppers.push((expected.target_id.clone(), outcome, shown(&taken, &charged)));
        }
        for receipt in receipts.iter().filter(|r| !r.lines.is_empty()) {
            let track = receipt.track.clone().unwrap_or_else(|| "nobody".into());
            if !truth.receipts.iter().any(|t| t.target_id == track) {
                let charged = units(receipt.lines.iter().map(|l| (&l.product, l.quantity)));
                shoppers.push((track, Outcome::Wrong, shown(&Units::new(), &charged)));
            }
        }
        Verdict {
            shoppers,
            accepted: core.state().accepted,
            reviewed: core.state().reviewed,
        }
    }

    fn review_share(&self) -> f64 {
        self.reviewed as f64 / (self.accepted + self.reviewed).max(1) as f64
    }

    /// Nobody was charged wrongly, what is missing had been in doubt, and little enough was.
    pub fn is_right(&self) -> bool {
        self.review_share() <= REVIEW_SHARE_MAX
            && self.shoppers.iter().all(|s| s.1 != Outcome::Wrong)
    }
}

fn units<'a>(lines: impl Iterator<Item = (&'a ProductId, u32)>) -> Units {
    let mut units = Units::new();
    for (product, quantity) in lines {
        *units.entry(product.clone()).or_default() += i64::from(quantity);
    }
    units
}

/// Nothing is charged that was not taken, and what is missing was in doubt.
fn explained(taken: &Units, charged: &Units, doubted: &Units) -> bool {
    let of = |units: &Units, product| units.get(product).copied().unwrap_or(0);
    let products = taken.keys().chain(charged.keys());
    products.into_iter().all(|p| {
        let missing = of(taken, p) - of(charged, p);
        (0..=of(doubted, p)).contains(&missing)
    })
}

fn shown(taken: &Units, charged: &Units) -> String {
    let list = |units: &Units| {
        let lines: Vec<String> = units
            .iter()
            .map(|(product, n)| format!("{n} x {product}"))
            .collect();
        if lines.is_empty() {
            "nothing".to_owned()
        } else {
            lines.join(", ")
        }
    };
    if taken == charged {
        list(taken)
    } else {
        format!("took {}; charged {}", list(taken), list(charged))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (track, outcome, what) in &self.shoppers {
            let word = match outcome {
                Outcome::Right => "right   ",
                Outcome::Doubted => "in doubt",
                Outcome::Wrong => "WRONG   ",
            };
            writeln!(f, "{word}  shopper {track}: {what}")?;
        }
        let count = |outcome| self.shoppers.iter().filter(|s| s.1 == outcome).count();
        writeln!(
            f,
            "{} receipts: {} right, {} with lines left out that were in doubt, {} wrong; {} of {} changes went to review ({:.1} %)",
            self.shoppers.len(),
            count(Outcome::Right),
            count(Outcome::Doubted),
            count(Outcome::Wrong),
            self.reviewed,
            self.accepted + self.reviewed,
            100.0 * self.review_share(),
        )
    }
}
