//! Products known by a few pictures each, and what is none of them.
//!
//! A product is its prototypes: the embedding of each picture that it was enrolled with, and their mean (Snell, Swersky and
//! Zemel, "Prototypical networks for few-shot learning", 2017). Nothing is trained, so a product is known the moment it was
//! shown; a picture that is close to no prototype is unknown.

use std::collections::BTreeMap;

use super::embedding::Embedding;

/// The prototypes of every product that is known, by its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Prototypes<L: Ord> {
    rows: BTreeMap<L, Vec<Embedding>>,
}

impl<L: Ord> Default for Prototypes<L> {
    fn default() -> Self {
        Prototypes {
            rows: BTreeMap::new(),
        }
    }
}

/// A product of a fixed set that was recognised, or that it is none of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Recognised<L> {
    Known {
        label: L,
        /// Among the products that are known, 0 to 1.
        probability: f64,
        cosine: f64,
    },
    /// The closest product is further than the threshold.
    Unknown { cosine: f64 },
}

impl<L: Ord + Clone> Prototypes<L> {
    /// Adds a row as it is.
    pub fn add(&mut self, label: L, row: Embedding) {
        self.rows.entry(label).or_default().push(row);
    }

    /// Enrols a product by pictures of it: each is a prototype, and so is their mean. What was there before is replaced.
    pub fn enrol(&mut self, label: L, shots: Vec<Embedding>) {
        let mean = Embedding::mean(&shots).filter(|_| shots.len() > 1);
        let rows: Vec<Embedding> = shots.into_iter().chain(mean).collect();
        if rows.is_empty() {
            self.rows.remove(&label);
        } else {
            self.rows.insert(label, rows);
        }
    }

    /// Each product's label and rows.
    pub fn iter(&self) -> impl Iterator<Item = (&L, &[Embedding])> {
        self.rows
            .iter()
            .map(|(label, rows)| (label, rows.as_slice()))
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Products that are known.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Cosine of a product's closest row; `None` if it was never enrolled.
    pub fn cosine(&self, label: &L, seen: &Embedding) -> Option<f64> {
        let rows = self.rows.get(label)?.iter();
        rows.map(|row| row.cosine(seen)).max_by(f64::total_cmp)
    }

    /// Each product's probability given that it is one of them, best first: `softmax(scale · cosine)`.
    pub fn probabilities(&self, seen: &Embedding, scale: f64) -> Vec<(L, f64)> {
        let labels: Vec<&L> = self.rows.keys().collect();
        let cosines: Vec<f64> = (labels.iter())
            .filter_map(|label| self.cosine(label, seen))
            .collect();
        let shares = super::reliability::softmax(cosines.iter().map(|c| c * scale));
        let mut found: Vec<(L, f64)> = labels.into_iter().cloned().zip(shares).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found
    }

    /// The most likely product, or that it is none; `None` if none is known at all.
    pub fn recognise(
        &self,
        seen: &Embedding,
        scale: f64,
        unknown_below: f64,
    ) -> Option<Recognised<L>> {
        let (label, probability) = self.probabilities(seen, scale).into_iter().next()?;
        let cosine = self.cosine(&label, seen)?;
        Some(if cosine < unknown_below {
            Recognised::Unknown { cosine }
        } else {
            Recognised::Known {
                label,
                probability,
                cosine,
            }
        })
    }

    /// Log-likelihoods of a picture for every product that is known, best first, and that of any other thing; without prior,
    /// the best of all is 0.
    ///
    /// What was never enrolled may look like anything: it is as likely as a product at the threshold of the unknown. With a
    /// floor, so that no picture alone rules a product out.
    pub fn log_likelihoods(
        &self,
        seen: &Embedding,
        scale: f64,
        unknown_below: f64,
    ) -> (Vec<(L, f64)>, f64) {
        let known = self.rows.keys();
        let logs =
            known.filter_map(|label| Some((label.clone(), scale * self.cosine(label, seen)?)));
        let mut logs: Vec<(L, f64)> = logs.collect();
        let other = scale * unknown_below;
        let best = logs.iter().map(|(_, log)| *log).fold(other, f64::max);
        let floored = |log: f64| (log - best).max(LOG_LIKELIHOOD_MIN);
        logs.iter_mut().for_each(|(_, log)| *log = floored(*log));
        logs.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        (logs, floored(other))
    }
}

/// The network errs now and then whatever it says: about once in 400 pictures at its surest.
const LOG_LIKELIHOOD_MIN: f64 = -6.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn e(x: f32, y: f32) -> Embedding {
        Embedding::new(vec![x, y]).unwrap()
    }

    #[test]
    fn recognises_what_was_enrolled() {
        let mut known = Prototypes::default();
        assert_eq!(known.recognise(&e(1.0, 0.0), 10.0, 0.5), None);
        known.enrol("beans", vec![e(1.0, 0.0), e(1.0, 0.2)]);
        known.enrol("soup", vec![e(0.0, 1.0)]);
        assert_eq!(known.len(), 2);
        let Some(Recognised::Known {
            label, probability, ..
        }) = known.recognise(&e(1.0, 0.1), 10.0, 0.5)
        else {
            panic!("it is known");
        };
        assert_eq!(label, "beans");
        assert!(probability > 0.99);
        let far = known.recognise(&e(-1.0, -1.0), 10.0, 0.5);
        assert!(matches!(far, Some(Recognised::Unknown { cosine }) if cosine < 0.0));
        known.enrol("beans", vec![]);
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn likelihoods_of_a_shelf() {
        let mut known = Prototypes::default();
        known.enrol("beans", vec![e(1.0, 0.0)]);
        known.enrol("soup", vec![e(0.0, 1.0)]);
        let of = |scale| known.log_likelihoods(&e(1.0, 0.0), scale, 0.5);
        assert_eq!(of(4.0), (vec![("beans", 0.0), ("soup", -4.0)], -2.0));
        let floor = LOG_LIKELIHOOD_MIN;
        assert_eq!(of(400.0), (vec![("beans", 0.0), ("soup", floor)], floor));
        // Like nothing that is known: any other thing is likeliest.
        let (logs, others) = known.log_likelihoods(&e(-1.0, -1.0), 4.0, 0.5);
        assert!(
            others == 0.0 && logs.iter().all(|(_, log)| *log < -4.0),
            "{logs:?}"
        );
        let nobody: Prototypes<&str> = Prototypes::default();
        assert_eq!(
            nobody.log_likelihoods(&e(1.0, 0.0), 4.0, 0.5),
            (vec![], 0.0)
        );
    }
}
