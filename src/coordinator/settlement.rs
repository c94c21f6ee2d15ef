//! From the exit to the final cart; [`super::paying`] goes on from there.
//!
//! An exit settles as soon as every node that matters has passed the exit time: gates and cameras always matter, a
//! shelf matters if the shopper's track came within reach of it. A cart with open reviews, or one that a silent node
//! could have touched, waits as a draft until the deadline; what is unresolved then is dropped in the shopper's
//! favour.

use std::collections::BTreeMap;

use super::deciding::near;
use super::{Coordinator, Output};
use crate::checkout::attribution::clocks::OFFSET_MAX_S;
use crate::checkout::attribution::reach::REACH_WINDOW_S;
use crate::checkout::decision::{Decision, Movement, ReviewId};
use crate::checkout::receipt::ReceiptLine;
use crate::checkout::session::{Role, Session, SessionId, SessionState};
use crate::observation::{ChangeKind, Item, Observation, ShelfObservation};
use crate::units::{Money, Timestamp};

/// Whether a change can be the deed of somebody who left then: its moment was before that, and it takes or gives something.
fn concerns(change: &ShelfObservation, exit: Timestamp) -> bool {
    let moves = match change.kind {
        ChangeKind::Touch => change.stood.is_some(),
        ChangeKind::Take | ChangeKind::Put | ChangeKind::Foreign | ChangeKind::Unsure => true,
    };
    moves && change.peak <= exit
}

impl Coordinator {
    /// The next moment at which something happens to a session because time has passed, if it is not after `limit`.
    pub(super) fn next_deadline(&mut self, limit: Timestamp) -> Option<(Timestamp, SessionId)> {
        let lost = self.next_lost(limit);
        let leaving = self.earliest(self.state.leaving.iter());
        (lost.into_iter().chain(leaving))
            .filter(|(due, _)| *due <= limit)
            .min()
    }

    /// The same for whoever is inside. Their deadlines only move away, so that nobody needs to be looked at before the
    /// earliest one that there was when they were looked at last.
    fn next_lost(&mut self, limit: Timestamp) -> Option<(Timestamp, SessionId)> {
        if limit < self.lost_from {
            return None;
        }
        let inside = (self.state.active.iter()).filter(|id| !self.state.leaving.contains(*id));
        let first = self.earliest(inside);
        self.lost_from = first.as_ref().map_or(Timestamp::MAX, |(due, _)| *due);
        first
    }

    fn earliest<'a>(
        &self,
        sessions: impl Iterator<Item = &'a SessionId>,
    ) -> Option<(Timestamp, SessionId)> {
        sessions
            .filter_map(|id| Some((self.deadline(self.state.sessions.get(id)?)?, id.clone())))
            .min()
    }

    fn deadline(&self, session: &Session) -> Option<Timestamp> {
        let policy = &self.definition.policy;
        match session.state {
            SessionState::Inside => self.given_up_at(session),
            // Whether it is a draft already depends on how far the watermarks came at a time; its deadline does not.
            SessionState::Leaving | SessionState::Draft => {
                let exit = session.exited_at?;
                let due = exit.plus_seconds(policy.review_deadline_s);
                let waits =
                    session.state == SessionState::Leaving && self.may_still_change(session, exit);
                (!waits).then_some(due)
            }
            SessionState::Settled | SessionState::Closed => None,
        }
    }

    pub(super) fn pass_deadline(&mut self, id: &SessionId, due: Timestamp, out: &mut Vec<Output>) {
        let Some(session) = self.state.sessions.get(id) else {
            return;
        };
        match session.state {
            SessionState::Inside => self.give_up(id, due, out),
            SessionState::Leaving | SessionState::Draft => {
                self.determine(id, session.exited_at.unwrap_or(due), out);
                let Some(session) = self.state.sessions.get(id) else {
                    return;
                };
                let reviews: Vec<_> = session.cart.reviews.keys().cloned().collect();
                reviews
                    .into_iter()
                    .for_each(|review| self.expire(review, due, out));
                self.drop_unseen_put_backs(id, due, out);
                self.settle(id, out);
            }
            SessionState::Settled | SessionState::Closed => {}
        }
    }

    fn price_minor(&self, items: &[Item]) -> i64 {
        let price = |item: &Item| {
            self.definition
                .catalogue
                .get(item.product.as_str())
                .map_or(0, |p| p.price.minor)
        };
        items
            .iter()
            .map(|item| price(item) * i64::from(item.quantity))
            .sum()
    }

    /// Closes a review in the shoppers' favour: what may have been taken is not charged, and of what may have been put
    /// back the dearest isn't charged either.
    fn expire(&mut self, review: ReviewId, at: Timestamp, out: &mut Vec<Output>) {
        let Some(open) = self.state.reviews.get(&review) else {
            return;
        };
        let stamp = open.change.change.clone();
        let doubt = 1.0 - self.definition.policy.confidence_min;
        // Of what each shopper may have put back, the dearest; of equal prices, the likeliest, which comes first.
        let mut dropped: BTreeMap<SessionId, (i64, Vec<Item>)> = BTreeMap::new();
        // A cart that was determined holds only what is sure already.
        if !self.inferring.doubts(&stamp) {
            for (rank, hypothesis) in open.change.hypotheses.iter().enumerate() {
                let plausible = rank == 0 || f64::from(hypothesis.probability_ppm) >= doubt * 1e6;
                let put = |m: &Movement<'_>| plausible && !m.is_take;
                for Movement { session, items, .. } in open.change.movements(hypothesis).filter(put)
                {
                    // What is settled is final: its hypothesis was too faint to keep the cart waiting.
                    let open = |id: &&SessionId| {
                        self.state.sessions.get(*id).is_some_and(Session::is_open)
                    };
                    let Some(session) = session.filter(open) else {
                        continue;
                    };
                    let price = self.price_minor(items);
                    let dearest = dropped.entry(session.clone()).or_default();
                    if dearest.1.is_empty() || price > dearest.0 {
                        *dearest = (price, items.to_vec());
                    }
                }
            }
        }
        let by = "the deadline".to_owned();
        let closed = Decision::ReviewClosed {
            review,
            at,
            by,
            session: None,
            items: vec![],
        };
        self.decide(closed, out);
        for (session, (_, items)) in dropped {
            let reason = "it may have been put back".to_owned();
            self.decide(
                Decision::LinesDropped {
                    session,
                    at,
                    items,
                    reason,
                },
                out,
            );
        }
    }

    /// What may have gone back while nobody could see it is not charged, now that nobody has said so in time.
    fn drop_unseen_put_backs(&mut self, id: &SessionId, at: Timestamp, out: &mut Vec<Output>) {
        let session = self.state.sessions.get(id);
        let Some((items, reason)) = session.and_then(|s| self.unseen_put_backs(s)) else {
            return;
        };
        let dropped = Decision::LinesDropped {
            session: id.clone(),
            at,
            items,
            reason,
        };
        self.decide(dropped, out);
    }

    /// Settles every cart that nothing can change any more, everything up to `limit` being decided.
    pub(super) fn settle_ready(&mut self, limit: Timestamp, out: &mut Vec<Output>) {
        let leaving: Vec<SessionId> = self.state.leaving.iter().cloned().collect();
        for id in leaving {
            let Some(session) = self.state.sessions.get(&id) else {
                continue;
            };
            let Some(exit) = session.exited_at else {
                continue;
            };
            if limit < exit || self.may_still_change(session, exit) {
                continue;
            }
            self.determine(&id, exit, out);
            let Some(session) = self.state.sessions.get(&id) else {
                continue;
            };
            match (self.waits_for(session), session.state) {
                (None, _) => self.settle(&id, out),
                (Some(reason), SessionState::Leaving) => {
                    self.decide(
                        Decision::CartDrafted {
                            session: id,
                            at: exit,
                            reason,
                        },
                        out,
                    );
                }
                (Some(_), _) => {}
            }
        }
    }

    /// Something that began before the exit is still going on where the shopper was.
    fn may_still_change(&self, session: &Session, exit: Timestamp) -> bool {
        let Some(visit) = session.track.as_ref().and_then(|t| self.visits.get(t)) else {
            return false;
        };
        // What began after the shopper had gone from that shelf was somebody else: longer after it than attribution
        // looks for hands, and than the shelf's clock may be ahead.
        let mine = |shelf, began: Timestamp| {
            let Some(last) = visit.near.get(&shelf).filter(|_| began <= exit) else {
                return false;
            };
            let ahead_s = (self.definition.layout.node_of(shelf)).map_or(OFFSET_MAX_S, |node| {
                self.inferring.clock_ahead_s(&node.name)
            });
            began <= last.plus_seconds(REACH_WINDOW_S + ahead_s)
        };
        // What a silent node left open makes the cart a draft instead: nobody knows when it ends.
        let silent = |node: &_| self.state.silent.contains_key(node);
        let mut open = self.intake.open(silent);
        open.any(|o| mine(o.shelf, o.since))
            || self
                .intake
                .waiting()
                .any(|stamped| match &stamped.observation {
                    Observation::Shelf(change) => {
                        concerns(change, exit) && mine(change.shelf, change.start.min(change.peak))
                    }
                    Observation::Gap(gap) => gap.start <= exit,
                    Observation::Vision(_) | Observation::Body(_) | Observation::Gate(_) => false,
                })
    }

    /// Gives a shopper who has left what is theirs in all likely worlds, if the cart does not say so yet.
    fn determine(&mut self, id: &SessionId, at: Timestamp, out: &mut Vec<Output>) {
        let confidence = self.definition.policy.confidence_min;
        let Some((sure, session)) =
            (self.inferring.sure(id, confidence)).zip(self.state.sessions.get(id))
        else {
            return;
        };
        let same = session.cart.is_determined_as(&sure.lines);
        let mut reviews = session.cart.reviews.keys();
        let answered = sure.doubted.is_empty() && reviews.any(|r| !self.state.is_unwatched(r));
        if !same || answered {
            let determined = Decision::CartDetermined {
                session: id.clone(),
                at,
                lines: sure.lines,
                doubted: sure.doubted,
            };
            self.decide(determined, out);
        }
    }

    /// Why the cart must wait as a draft.
    fn waits_for(&self, session: &Session) -> Option<String> {
        if session.written_off {
            return None;
        }
        let reviews = session.cart.reviews.len();
        // No verdict changes what staff pay.
        if reviews > 0 && session.role.is_shopper() {
            return Some(format!("{reviews} of its lines wait for a verdict"));
        }
        if let Some(gap) = self.gaps_touching(session).next() {
            return Some(gap.reason.clone());
        }
        let shelves: Vec<_> = session.track.iter().flat_map(|t| near(self, t)).collect();
        let matters = |name: &crate::store::NodeName| {
            self.definition.layout.node(name).is_some_and(|node| {
                node.tracks_bodies
                    || node.watches_gate
                    || node.shelves.iter().any(|s| shelves.contains(&s))
            })
        };
        let silent = self.state.silent.keys().find(|node| matters(node))?;
        Some(format!(
            "node {silent} is silent and could have seen something"
        ))
    }

    /// What the visit costs, line by line: nothing for staff, whose receipt says no more than that they were here.
    pub(super) fn lines_to_pay(&self, session: &Session) -> Vec<ReceiptLine> {
        match session.role {
            Role::Shopper if !session.written_off => {
                session.cart.receipt_lines(&self.definition.catalogue)
            }
            Role::Shopper | Role::Staff => Vec::new(),
        }
    }

    fn settle(&mut self, id: &SessionId, out: &mut Vec<Output>) {
        let Some(session) = self.state.sessions.get(id) else {
            return;
        };
        let lines = self.lines_to_pay(session);
        let total = Money::new(
            lines.iter().map(|l| l.amount.minor).sum(),
            self.definition.currency,
        );
        let at = session.exited_at.unwrap_or(session.entered_at);
        self.decide(
            Decision::Settled {
                session: id.clone(),
                at,
                total,
            },
            out,
        );
        self.pay(id, out);
    }

    /// Everybody who is still inside has left: nothing more will be seen.
    pub(super) fn end_recording(&mut self, out: &mut Vec<Output>) {
        self.intake.close();
        self.advance_to(Timestamp::MAX, out);
        let inside: Vec<_> = (self.state.active.iter())
            .filter_map(|id| self.state.sessions.get(id))
            .filter(|s| s.state == SessionState::Inside)
            .map(|s| {
                let last_seen = s
                    .track
                    .as_ref()
                    .and_then(|t| self.visits.get(t))
                    .map(|v| v.last_seen);
                (s.id.clone(), last_seen.unwrap_or(s.entered_at))
            })
            .collect();
        for (session, at) in inside {
            self.decide(Decision::SessionExited { session, at }, out);
        }
        self.advance_to(Timestamp::MAX, out);
    }
}
