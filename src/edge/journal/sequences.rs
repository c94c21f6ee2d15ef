//! Which sequences of an outbox have been committed.

use std::collections::BTreeMap;

/// A set of sequences that is nearly always `1..=n`.
///
/// Its size is the number of gaps, not of sequences: one range for each run that lies beyond a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    /// All of `1..=up_to` are in.
    up_to: u64,
    /// First to last of the runs beyond the gap after `up_to`; they neither touch nor overlap.
    beyond: BTreeMap<u64, u64>,
}

impl Sequences {
    /// All of `1..=up_to`.
    pub fn up_to(up_to: u64) -> Self {
        Sequences {
            up_to,
            beyond: BTreeMap::new(),
        }
    }

    /// The last sequence before the first gap; 0 if the first is missing.
    pub fn contiguous(&self) -> u64 {
        self.up_to
    }

    /// Whether the sequence is in. 0 is no sequence: it counts as in, so that nothing is ever stored under it.
    pub fn contains(&self, sequence: u64) -> bool {
        sequence <= self.up_to
            || (self.beyond.range(..=sequence).next_back())
                .is_some_and(|(_, &last)| sequence <= last)
    }

    /// Puts a sequence in; `false` if it was in already.
    pub fn insert(&mut self, sequence: u64) -> bool {
        if self.contains(sequence) {
            return false;
        }
        // `sequence` is above 0 and below any run that follows it, so neither step can wrap.
        let before = sequence - 1;
        let last = match sequence
            .checked_add(1)
            .and_then(|next| self.beyond.remove(&next))
        {
            Some(last) => last,
            None => sequence,
        };
        if before == self.up_to {
            self.up_to = last;
        } else if let Some((_, end)) =
            (self.beyond.range_mut(..sequence).next_back()).filter(|(_, end)| **end == before)
        {
            *end = last;
        } else {
            self.beyond.insert(sequence, last);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gaps_hold_the_contiguous_part_back() {
        let mut set = Sequences::default();
        for (sequence, fresh, contiguous, runs) in [
            (0, false, 0, 0),
            (2, true, 0, 1),
            (1, true, 2, 0),
            (2, false, 2, 0),
            (5, true, 2, 1),
            (7, true, 2, 2),
            (6, true, 2, 1),
            (4, true, 2, 1),
            (u64::MAX, true, 2, 2),
            (u64::MAX - 1, true, 2, 2),
            (3, true, 7, 1),
            (u64::MAX, false, 7, 1),
        ] {
            assert_eq!(set.insert(sequence), fresh, "insert {sequence}");
            assert_eq!(set.contiguous(), contiguous, "after {sequence}");
            assert_eq!(set.beyond.len(), runs, "after {sequence}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_set(sequences in prop::collection::vec(1_u64..40, 0..80)) {
            let (mut set, mut model) = (Sequences::default(), BTreeSet::new());
            for sequence in sequences {
                prop_assert_eq!(set.insert(sequence), model.insert(sequence));
                for probe in 1..42 {
                    prop_assert_eq!(set.contains(probe), model.contains(&probe));
                }
                let contiguous = (1..).take_while(|s| model.contains(s)).last().unwrap_or(0);
                prop_assert_eq!(set.contiguous(), contiguous);
            }
        }
    }
}
