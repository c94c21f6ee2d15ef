//! What became of a change after it was decided.

use super::played::{Change, Played};
use super::story::{Named, Taken, items_text, named, parts_text};
use super::text::{kind, percent};
use crate::checkout::decision::{Attributed, AttributionVerdict, Decision, Hypothesis, ReviewId};
use crate::checkout::receipt::Receipt;
use crate::checkout::session::SessionId;
use crate::observation::{ChangeKind, Item, Stamp};
use crate::units::Timestamp;

/// Who did it with at least this probability is told of, parts in a million.
const DOUBTED_PPM: u32 = 50_000;

/// Follows one change through the decisions after it.
struct Follower<'a> {
    played: &'a Played<'a>,
    stamp: &'a Stamp,
    kind: ChangeKind,
    /// The change as it stands.
    stands: &'a Attributed,
    /// A revision waits for the change that brought it about: that is decided next.
    revised: bool,
}

/// What became of a change, a sentence each, in the order of the decisions.
pub fn tell(played: &Played<'_>, change: &Change) -> Vec<String> {
    let mut follower = Follower {
        played,
        stamp: &change.attributed.change,
        kind: change.attributed.kind,
        stands: &change.attributed,
        revised: false,
    };
    (played.after(change).iter())
        .filter_map(|decision| follower.follow(decision))
        .collect()
}

impl<'a> Follower<'a> {
    fn follow(&mut self, decision: &'a Decision) -> Option<String> {
        match decision {
            Decision::Revised(revised) if revised.change == *self.stamp => {
                self.stands = revised;
                self.revised = true;
                None
            }
            Decision::Attributed(other) if self.revised => {
                self.revised = false;
                Some(self.revision(other))
            }
            Decision::Attributed(other) => self.put_back(other),
            Decision::ReviewClosed {
                review,
                at,
                by,
                session,
                items,
            } if self.is_ours(review) => Some(self.answer(*at, by, session.as_ref(), items)),
            Decision::LinesDropped {
                session,
                at,
                items,
                reason,
            } if self.concerns(session) && self.is_same(items) => {
                let (what, t) = (self.items(items), self.time(*at));
                Some(format!("{t} {what} was dropped from the cart: {reason}"))
            }
            Decision::CartDetermined {
                session, doubted, ..
            } if self.concerns(session) && self.is_same(doubted) => {
                let (who, what) = (self.played.name_of(session), self.items(doubted));
                Some(format!("when {who} left, {what} stayed in doubt"))
            }
            Decision::ReceiptIssued { receipt } if self.concerns(&receipt.session) => {
                self.on_receipt(receipt)
            }
            Decision::Revised(_)
            | Decision::ReviewClosed { .. }
            | Decision::LinesDropped { .. }
            | Decision::CartDetermined { .. }
            | Decision::ReceiptIssued { .. }
            | Decision::SessionOpened { .. }
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
            | Decision::NodeSilent { .. }
            | Decision::NodeBack { .. }
            | Decision::Unwatched(_)
            | Decision::EntryBarred { .. }
            | Decision::EntryFreed { .. }
            | Decision::VisitGivenUp { .. }
            | Decision::CorrectionProposed { .. }
            | Decision::Gap { .. }
            | Decision::Quarantined { .. }
            | Decision::FrontierAdvanced { .. } => None,
        }
    }

    fn revision(&self, by: &Attributed) -> String {
        let verdict = match &self.stands.verdict {
            AttributionVerdict::Accepted => "accepted".to_owned(),
            AttributionVerdict::Review { reason, .. } => format!("review ({reason})"),
            AttributionVerdict::Nothing { reason } => format!("nothing ({reason})"),
        };
        let (what, t, shelf) = (kind(by.kind), self.time(by.at), by.shelf);
        let best = self.stands.hypotheses.first().map_or(String::new(), |h| {
            let parts: Vec<Taken> = super::story::parts(self.played, self.stands, h);
            format!(", {}, {}", parts_text(&parts), percent(h.probability_ppm))
        });
        format!("{t} the {what} on shelf {shelf} changed it to {verdict}{best}")
    }

    /// The same shopper puts something of it back.
    fn put_back(&self, put: &Attributed) -> Option<String> {
        let both = self.kind == ChangeKind::Take
            && self.stands.verdict == AttributionVerdict::Accepted
            && put.verdict == AttributionVerdict::Accepted;
        let back = (put.movements(put.hypotheses.first()?))
            .filter(|moved| !moved.is_take)
            .find(|moved| {
                moved.session.is_some_and(|s| self.concerns(s)) && self.is_same(moved.items)
            })
            .filter(|_| both)?;
        let (who, what) = (self.played.name_of(back.session?), self.items(back.items));
        Some(format!("{} {who} put back {what}", self.time(put.at)))
    }

    fn answer(&self, at: Timestamp, by: &str, who: Option<&SessionId>, items: &[Item]) -> String {
        let who = who.map_or("nobody".to_owned(), |id| self.played.name_of(id));
        let what = if items.is_empty() {
            "nothing is charged".to_owned()
        } else {
            format!("{who} has {}", self.items(items))
        };
        format!("{} {by} closed the review: {what}", self.time(at))
    }

    fn on_receipt(&self, receipt: &Receipt) -> Option<String> {
        let who = self.played.name_of(&receipt.session);
        if !self
            .explanations()
            .any(|h| h.shares().any(|(_, items)| !items.is_empty()))
        {
            return None;
        }
        let lines: Vec<Named> = (receipt.lines.iter())
            .map(|line| Named {
                item: Item {
                    product: line.product.clone(),
                    quantity: line.quantity,
                },
                name: line.name.clone(),
            })
            .filter(|line| self.is_same(std::slice::from_ref(&line.item)))
            .collect();
        Some(match &lines[..] {
            [] => format!("the receipt of {who} does not have it"),
            lines => format!("the receipt of {who} has {}", items_text(lines)),
        })
    }

    /// The likeliest explanation, and those that are not out of the question.
    fn explanations(&self) -> impl Iterator<Item = &'a Hypothesis> {
        let all = self.stands.hypotheses.iter().enumerate();
        all.filter(|(rank, h)| *rank == 0 || h.probability_ppm >= DOUBTED_PPM)
            .map(|(_, h)| h)
    }

    fn concerns(&self, session: &SessionId) -> bool {
        let mut shares = self.explanations().flat_map(Hypothesis::shares);
        shares.any(|(who, _)| who == Some(session))
    }

    /// Whether a product of the change is among these.
    fn is_same(&self, others: &[Item]) -> bool {
        let mut items = self
            .explanations()
            .flat_map(Hypothesis::shares)
            .flat_map(|s| s.1);
        items.any(|item| others.iter().any(|o| o.product == item.product))
    }

    fn is_ours(&self, closed: &ReviewId) -> bool {
        matches!(&self.stands.verdict, AttributionVerdict::Review { review, .. } if review == closed)
    }

    fn items(&self, items: &[Item]) -> String {
        items_text(&named(self.played, items))
    }

    fn time(&self, at: Timestamp) -> String {
        format!("at {:.2} s", self.played.since_start(at))
    }
}
