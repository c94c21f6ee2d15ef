//! What a camera before the shelf says of an explanation.

use super::candidates::{Candidate, Scene};
use crate::observation::ChangeKind;
use crate::store::ProductId;

impl Scene<'_> {
    /// Log-likelihood of what a camera saw, if this happened: the mean over the products that moved, since each
    /// fills a part of the pictures. Nothing is said of a touch, after which the shelf looks as before.
    pub(super) fn seen_log(&self, candidate: &Candidate) -> f64 {
        let Some(seen) = self.seen.filter(|_| self.change.kind != ChangeKind::Touch) else {
            return 0.0;
        };
        let mut products: Vec<&ProductId> = (candidate.parts.iter())
            .flat_map(|part| part.items.iter().map(|item| &item.product))
            .collect();
        products.sort_unstable();
        products.dedup();
        match products.len() {
            0 => seen.log(None),
            several => products.iter().map(|p| seen.log(Some(p))).sum::<f64>() / several as f64,
        }
    }
}
