//! What cameras made of shelves of late, until the change that it is about is decided.

use serde::{Deserialize, Serialize};

use crate::observation::{ShelfObservation, VisionObservation};

/// The latest looks are kept, of all shelves together; each is due right before its change, so few are wanted at a time.
const LOOKS_MAX: usize = 256;

/// The looks of late, by their end: in one order, whatever that of their arrival.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Looks(Vec<VisionObservation>);

impl Looks {
    /// Takes one in; beyond the bound the oldest goes.
    pub fn note(&mut self, look: &VisionObservation) {
        let key = |l: &VisionObservation| (l.end, l.start, l.shelf);
        let place = self.0.partition_point(|known| key(known) <= key(look));
        self.0.insert(place, look.clone());
        let old = self.0.len().saturating_sub(LOOKS_MAX);
        self.0.drain(..old);
    }

    /// The look that is about a change: of its shelf, at its moment, and of all such the one that fits its time best.
    pub fn of(&self, change: &ShelfObservation) -> Option<&VisionObservation> {
        let about = self.0.iter().filter(|look| {
            look.shelf == change.shelf && (look.start..=look.end).contains(&change.peak)
        });
        about.min_by_key(|look| {
            look.start
                .0
                .abs_diff(change.start.0)
                .saturating_add(look.end.0.abs_diff(change.end.0))
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::ChangeKind;
    use crate::store::ShelfId;
    use crate::units::Timestamp;

    fn look(shelf: u16, start: i64, end: i64) -> VisionObservation {
        VisionObservation {
            shelf: ShelfId { gondola: 1, shelf },
            start: Timestamp(start),
            end: Timestamp(end),
            likelihoods: Vec::new(),
            others_milli: 0,
            model: "m".to_owned(),
            evidence: Vec::new(),
        }
    }

    fn change(shelf: u16, start: i64, peak: i64, end: i64) -> ShelfObservation {
        ShelfObservation {
            shelf: ShelfId { gondola: 1, shelf },
            start: Timestamp(start),
            peak: Timestamp(peak),
            peak_error_us: 0,
            end: Timestamp(end),
            kind: ChangeKind::Take,
            plates: Vec::new(),
            stood: None,
            likelihoods: Vec::new(),
            evidence: Vec::new(),
        }
    }

    #[test]
    fn finds_the_look_that_is_about_a_change() {
        let mut looks = Looks::default();
        for one in [
            look(1, 10, 30),
            look(2, 10, 30),
            look(1, 15, 22),
            look(1, 40, 50),
        ] {
            looks.note(&one);
        }
        for (change, found) in [
            (change(1, 15, 20, 22), Some((15, 22))),
            (change(1, 10, 20, 29), Some((10, 30))),
            (change(2, 15, 20, 22), Some((10, 30))),
            (change(3, 15, 20, 22), None),
            (change(1, 30, 35, 39), None),
        ] {
            let about = looks.of(&change).map(|l| (l.start.0, l.end.0));
            assert_eq!(about, found, "{change:?}");
        }
    }

    #[test]
    fn the_latest_are_kept_in_whatever_order_they_come() {
        let all: Vec<VisionObservation> = (0..300).map(|n| look(1, n, n + 5)).collect();
        let (mut one_way, mut other) = (Looks::default(), Looks::default());
        all.iter().for_each(|l| one_way.note(l));
        all.iter().rev().for_each(|l| other.note(l));
        assert_eq!(one_way, other);
        assert_eq!(one_way.0.len(), LOOKS_MAX);
        assert_eq!(one_way.0.last(), all.last());
    }
}
