//! What became of each change of a shelf: a fold over the decisions of a journal.

use std::collections::BTreeMap;

use crate::checkout::decision::{Attributed, AttributionVerdict, Decision, Hypothesis, ReviewId};
use crate::checkout::session::SessionId;
use crate::observation::{ChangeKind, Item, Stamp};
use crate::store::ShelfId;
use crate::units::Timestamp;

/// A change of a shelf, as the store took it in the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub at: Timestamp,
    pub shelf: ShelfId,
    pub kind: ChangeKind,
    pub outcome: Outcome,
    /// Who moved what: what is charged, or what is likeliest while it is not.
    pub moved: Vec<Moved>,
    /// It waited for a person until there was an answer, or until the deadline. A doubt that later evidence removes,
    /// or that no cart depends on at the exit, asks nobody.
    pub asked: bool,
}

/// One session's part in a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// `None`: nobody we know.
    pub session: Option<SessionId>,
    pub items: Vec<Item>,
    /// Off the shelf; otherwise onto it.
    pub is_take: bool,
}

/// What followed from a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Carts changed.
    Charged,
    /// Too doubtful to charge; why.
    Review(String),
    /// Nothing; why.
    Nothing(String),
}

/// Everything that a journal says of the shelves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// In the order in which they were first decided.
    pub changes: Vec<Change>,
    /// Units that may have been a shopper's, and were not charged.
    pub doubted: Vec<Moved>,
}

impl Changes {
    /// Folds the decisions of a journal, in their order.
    pub fn of<'a>(decisions: impl IntoIterator<Item = &'a Decision>) -> Self {
        let mut fold = Fold::default();
        for decision in decisions {
            fold.apply(decision);
        }
        fold.changes
    }

    /// Changes that waited for a person, and all that carts could follow from. Counts once everybody has left.
    pub fn reviewed_of(&self) -> (u64, u64) {
        let matters = |change: &&Change| match change.outcome {
            Outcome::Charged | Outcome::Review(_) => true,
            Outcome::Nothing(_) => change.asked,
        };
        let all = self.changes.iter().filter(matters);
        let asked = all.clone().filter(|change| change.asked);
        (asked.count() as u64, all.count() as u64)
    }
}

#[derive(Default)]
struct Fold {
    changes: Changes,
    by_stamp: BTreeMap<Stamp, usize>,
    by_review: BTreeMap<ReviewId, usize>,
}

impl Fold {
    fn apply(&mut self, decision: &Decision) {
        match decision {
            Decision::Attributed(attributed) | Decision::Revised(attributed) => {
                self.attributed(attributed);
            }
            Decision::ReviewClosed {
                review,
                session,
                items,
                ..
            } => {
                let change = self.by_review.get(review);
                let Some(change) = change.and_then(|&i| self.changes.changes.get_mut(i)) else {
                    return;
                };
                change.asked = true;
                if session.is_some() {
                    change.outcome = Outcome::Charged;
                    let was_take = change.moved.first().map(|moved| moved.is_take);
                    change.moved = vec![Moved {
                        session: session.clone(),
                        items: items.clone(),
                        is_take: was_take.unwrap_or(change.kind == ChangeKind::Take),
                    }];
                }
            }
            Decision::LinesDropped { session, items, .. }
            | Decision::CartDetermined {
                session,
                doubted: items,
                ..
            } => self.changes.doubted.push(Moved {
                session: Some(session.clone()),
                items: items.clone(),
                is_take: true,
            }),
            Decision::SessionOpened { .. }
            | Decision::EntryRefused { .. }
            | Decision::TrackBound { .. }
            | Decision::SessionExited { .. }
            | Decision::CartDrafted { .. }
            | Decision::Settled { .. }
            | Decision::PaymentRequested { .. }
            | Decision::PaymentDecided { .. }
            | Decision::AdmittedUnsecured { .. }
            | Decision::ProviderAway { .. }
            | Decision::ProviderBack { .. }
            | Decision::ReceiptIssued { .. }
            | Decision::NodeSilent { .. }
            | Decision::NodeBack { .. }
            | Decision::Unwatched(_)
            | Decision::EntryBarred { .. }
            | Decision::EntryFreed { .. }
            | Decision::VisitGivenUp { .. }
            | Decision::CorrectionProposed { .. }
            | Decision::Gap { .. }
            | Decision::Quarantined { .. }
            | Decision::FrontierAdvanced { .. } => {}
        }
    }

    /// The last word about a change counts.
    fn attributed(&mut self, attributed: &Attributed) {
        let outcome = match &attributed.verdict {
            AttributionVerdict::Accepted => Outcome::Charged,
            AttributionVerdict::Review { reason, .. } => Outcome::Review(reason.clone()),
            AttributionVerdict::Nothing { reason } => Outcome::Nothing(reason.clone()),
        };
        let first = attributed.hypotheses.first();
        let change = Change {
            at: attributed.at,
            shelf: attributed.shelf,
            kind: attributed.kind,
            outcome,
            moved: first
                .map(|first| moved(attributed, first))
                .unwrap_or_default(),
            asked: false,
        };
        let changes = &mut self.changes.changes;
        let index = *(self.by_stamp.entry(attributed.change.clone())).or_insert(changes.len());
        match changes.get_mut(index) {
            Some(before) => *before = change,
            None => changes.push(change),
        }
        if let AttributionVerdict::Review { review, .. } = &attributed.verdict {
            self.by_review.insert(review.clone(), index);
        }
    }
}

/// Everybody's part in what a hypothesis says.
fn moved(attributed: &Attributed, hypothesis: &Hypothesis) -> Vec<Moved> {
    let movements = attributed.movements(hypothesis).map(|m| Moved {
        session: m.session.cloned(),
        items: m.items.to_vec(),
        is_take: m.is_take,
    });
    movements.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Milligrams;

    fn review(name: &str) -> AttributionVerdict {
        AttributionVerdict::Review {
            review: name.into(),
            reason: "doubt".to_owned(),
        }
    }

    fn change(sequence: u64, verdict: AttributionVerdict) -> Attributed {
        Attributed {
            change: Stamp {
                node: "n".into(),
                outbox: "o".into(),
                sequence,
            },
            at: Timestamp(0),
            shelf: ShelfId {
                gondola: 1,
                shelf: 1,
            },
            kind: ChangeKind::Take,
            delta_mg: Milligrams(-1),
            plates: vec![1],
            verdict,
            hypotheses: Vec::new(),
            reached: Vec::new(),
            clock: None,
            seen: None,
        }
    }

    fn attributed(sequence: u64, verdict: AttributionVerdict) -> Decision {
        Decision::Attributed(change(sequence, verdict))
    }

    fn revised(sequence: u64, verdict: AttributionVerdict) -> Decision {
        Decision::Revised(change(sequence, verdict))
    }

    fn closed(review: &str, session: Option<&str>) -> Decision {
        Decision::ReviewClosed {
            review: review.into(),
            at: Timestamp(0),
            by: "somebody".to_owned(),
            session: session.map(SessionId::from),
            items: Vec::new(),
        }
    }

    #[test]
    fn the_last_word_about_a_change_counts() {
        let nothing = || AttributionVerdict::Nothing {
            reason: String::new(),
        };
        type Row = (&'static str, Vec<Decision>, (u64, u64));
        let table: Vec<Row> = vec![
            ("no decision", vec![], (0, 0)),
            (
                "each verdict once",
                vec![
                    attributed(1, AttributionVerdict::Accepted),
                    attributed(2, review("r")),
                    attributed(3, nothing()),
                    closed("r", None),
                ],
                (1, 2),
            ),
            (
                "a review that a person gives to a shopper",
                vec![attributed(1, review("r")), closed("r", Some("s"))],
                (1, 1),
            ),
            (
                "a review that ends in the shopper's favour",
                vec![attributed(1, review("r")), closed("r", None)],
                (1, 1),
            ),
            (
                "a doubt that later evidence removes",
                vec![
                    attributed(1, review("r")),
                    revised(1, AttributionVerdict::Accepted),
                ],
                (0, 1),
            ),
            (
                "something that later turns out to be nothing",
                vec![
                    attributed(1, AttributionVerdict::Accepted),
                    revised(1, nothing()),
                ],
                (0, 0),
            ),
            (
                "a doubt that no cart depends on",
                vec![attributed(1, review("r"))],
                (0, 1),
            ),
        ];
        for (name, decisions, expected) in table {
            assert_eq!(Changes::of(&decisions).reviewed_of(), expected, "{name}");
        }
    }
}
