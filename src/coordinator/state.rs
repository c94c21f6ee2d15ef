//! The store's state: a fold over decisions. Applying never infers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gaps::{Gap, OpenReview};
use crate::checkout::cart::Cart;
use crate::checkout::decision::{
    Attributed, AttributionVerdict, Decision, Hypothesis, Movement, ReviewId, SureLine,
};
use crate::checkout::entry::{Bar, Barred};
use crate::checkout::payment::{PaymentEvent, PaymentState};
use crate::checkout::session::{Session, SessionId, SessionState, Sessions};
use crate::observation::{Item, Stamp, TrackId};
use crate::store::{Catalogue, Definition, NodeName};
use crate::units::{Milligrams, Timestamp};

/// A hypothesis below this share of probability does not make a cart wait for a review, parts in a million.
const INVOLVED_PPM: u32 = 50_000;

/// Closed sessions are remembered for so long after the exit, seconds of event time: nodes keep what they have sent for a
/// day, so that evidence about a visit may still come until then. The journal has them for ever.
pub const CLOSED_KEPT_S: f64 = 25.0 * 3_600.0;

/// Everything that the store knows because it has decided it.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) definition: Arc<Definition>,
    /// Every session that is not closed, and those that were closed of late: see [`CLOSED_KEPT_S`].
    pub sessions: Sessions,
    /// Of those that are closed, when they left.
    pub(super) closed: BTreeSet<(Timestamp, SessionId)>,
    /// Sessions that are not closed.
    pub active: BTreeSet<SessionId>,
    /// Of those, whoever has left and whose cart is not final yet.
    pub leaving: BTreeSet<SessionId>,
    pub by_track: BTreeMap<TrackId, SessionId>,
    /// Tracks that are, or were of late, a session's.
    pub claimed: BTreeSet<TrackId>,
    /// What shelves' changes are taken for that later evidence can still revise.
    pub changes: BTreeMap<Stamp, Attributed>,
    pub reviews: BTreeMap<ReviewId, OpenReview>,
    pub silent: BTreeMap<NodeName, Timestamp>,
    /// Since when the payment provider gives no answer, and why.
    pub provider_away: Option<(Timestamp, String)>,
    /// What nodes have lost of late: see [`CLOSED_KEPT_S`].
    pub gaps: Vec<Gap>,
    /// Why nobody is let in, if there is any reason.
    pub bars: BTreeMap<Bar, Barred>,
    /// Everything that is due at or before this has been decided.
    pub frontier: Timestamp,
    /// Changes that a cart followed from.
    pub accepted: u64,
    /// Changes that went to review.
    pub reviewed: u64,
    /// Observations that never came, or came and could not be read.
    pub losses: u64,
}

impl State {
    /// The state of a store in which nothing has happened.
    pub fn new(definition: Arc<Definition>) -> Self {
        State {
            definition,
            sessions: Sessions::new(),
            closed: BTreeSet::new(),
            active: BTreeSet::new(),
            leaving: BTreeSet::new(),
            by_track: BTreeMap::new(),
            claimed: BTreeSet::new(),
            changes: BTreeMap::new(),
            reviews: BTreeMap::new(),
            silent: BTreeMap::new(),
            provider_away: None,
            gaps: Vec::new(),
            bars: BTreeMap::new(),
            frontier: Timestamp::MIN,
            accepted: 0,
            reviewed: 0,
            losses: 0,
        }
    }

    /// Applies one decision.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each decision, each short"
    )]
    pub fn apply(&mut self, decision: &Decision) {
        match decision {
            Decision::SessionOpened {
                session,
                at,
                role,
                device,
                track,
                second_charge,
            } => {
                self.active.insert(session.clone());
                if let Some(track) = track {
                    self.by_track.insert(track.clone(), session.clone());
                    self.claimed.insert(track.clone());
                }
                let opened = Session {
                    id: session.clone(),
                    state: SessionState::Inside,
                    role: *role,
                    device: device.clone(),
                    track: track.clone(),
                    entered_at: *at,
                    exited_at: None,
                    cart: Cart::default(),
                    uncharged: Vec::new(),
                    written_off: false,
                    payment: PaymentState::None,
                    second_charge: *second_charge,
                    unsecured: false,
                    receipt: None,
                };
                self.sessions.insert(session.clone(), opened);
            }
            Decision::EntryRefused { .. } | Decision::CorrectionProposed { .. } => {}
            Decision::AdmittedUnsecured { session, .. } => {
                self.with(session, |s| s.unsecured = true);
            }
            Decision::TrackBound { session, track, .. } => {
                self.by_track.insert(track.clone(), session.clone());
                self.claimed.insert(track.clone());
                self.with(session, |s| s.track = Some(track.clone()));
            }
            Decision::Attributed(attributed) => self.attribute(attributed),
            Decision::Revised(attributed) => {
                self.withdraw(&attributed.change);
                self.attribute(attributed);
            }
            Decision::ReviewClosed {
                review,
                session,
                items,
                ..
            } => self.close_review(review, session.as_ref(), items),
            Decision::LinesDropped { session, items, .. } => {
                self.with(session, |s| {
                    s.cart.drop_units(items);
                    s.uncharged.extend(items.iter().cloned());
                });
            }
            Decision::VisitGivenUp {
                session,
                written_off,
                ..
            } => self.with(session, |s| s.written_off |= written_off),
            Decision::SessionExited { session, at } => {
                self.leaving.insert(session.clone());
                self.with(session, |s| {
                    s.exited_at = Some(*at);
                    s.state = SessionState::Leaving;
                });
            }
            Decision::CartDetermined {
                session,
                lines,
                doubted,
                ..
            } => self.determine(session, lines, doubted),
            Decision::CartDrafted { session, .. } => {
                self.with(session, |s| s.state = SessionState::Draft)
            }
            Decision::Settled { session, .. } => {
                self.leaving.remove(session);
                self.with(session, |s| s.state = SessionState::Settled);
                self.forget_changes();
            }
            Decision::PaymentRequested {
                session,
                key,
                request,
                ..
            } => {
                self.pay(session, PaymentEvent::Requested { key, request });
            }
            Decision::PaymentDecided {
                session,
                key,
                outcome,
                ..
            } => {
                self.pay(session, PaymentEvent::Decided { key, outcome });
            }
            Decision::ProviderAway { at, reason } => {
                self.provider_away = Some((*at, reason.clone()));
            }
            Decision::ProviderBack { .. } => self.provider_away = None,
            Decision::ReceiptIssued { receipt } => {
                self.active.remove(&receipt.session);
                self.leaving.remove(&receipt.session);
                if let Some(track) = &receipt.track {
                    self.by_track.remove(track);
                }
                (self.closed).insert((receipt.exited_at, receipt.session.clone()));
                self.with(&receipt.session, |s| {
                    s.receipt = Some(receipt.clone());
                    s.state = SessionState::Closed;
                });
            }
            Decision::NodeSilent { node, since } => {
                self.silent.insert(node.clone(), *since);
            }
            Decision::NodeBack { node, .. } => {
                self.silent.remove(node);
            }
            Decision::Gap {
                node,
                from,
                to,
                weighed,
                reason,
                ..
            } => {
                let span = from.zip(*to).filter(|_| !weighed);
                let gap = span.map(|(from, to)| Gap {
                    node: node.clone(),
                    from,
                    to,
                    reason: reason.clone(),
                });
                let is_new = gap.is_none_or(|gap| gap.note(&mut self.gaps));
                self.losses += u64::from(is_new);
            }
            Decision::Unwatched(attributed) => self.open_review(attributed, true),
            Decision::EntryBarred { bar, at, reason } => {
                let (since, reason) = (*at, reason.clone());
                self.bars.insert(bar.clone(), Barred { since, reason });
            }
            Decision::EntryFreed { bar, .. } => {
                self.bars.remove(bar);
            }
            Decision::Quarantined { .. } => self.losses += 1,
            Decision::FrontierAdvanced { to } => {
                self.frontier = self.frontier.max(*to);
                self.forget_closed(*to);
            }
        }
    }

    fn with(&mut self, session: &SessionId, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.sessions.get_mut(session) {
            change(session);
        }
    }

    /// A step of a payment. The core only makes steps that are possible; anything else is our bug, and changes nothing.
    fn pay(&mut self, session: &SessionId, event: PaymentEvent<'_>) {
        self.with(session, |s| match s.payment.apply(event) {
            Ok(next) => s.payment = next,
            Err(impossible) => debug_assert!(false, "session {}: {impossible}", s.id),
        });
    }

    fn attribute(&mut self, attributed: &Attributed) {
        let Some(first) = attributed.hypotheses.first() else {
            return;
        };
        match &attributed.verdict {
            AttributionVerdict::Accepted => {
                self.accepted += 1;
                self.move_items(attributed, first, false);
            }
            AttributionVerdict::Review { .. } => {
                self.reviewed += 1;
                self.open_review(attributed, false);
            }
            AttributionVerdict::Nothing { .. } => {}
        }
        (self.changes).insert(attributed.change.clone(), attributed.clone());
    }

    fn open_review(&mut self, attributed: &Attributed, unwatched: bool) {
        let AttributionVerdict::Review { review, reason } = &attributed.verdict else {
            return;
        };
        let open = OpenReview {
            change: attributed.clone(),
            reason: reason.clone(),
            unwatched,
        };
        self.reviews.insert(review.clone(), open);
        for (session, may_be) in involved(attributed) {
            self.with(session, |s| {
                s.cart.reviews.insert(review.clone(), may_be.items.to_vec());
            });
        }
    }

    /// Whether a review is about what changed while nobody watched: no evidence about other changes answers it.
    pub(super) fn is_unwatched(&self, review: &ReviewId) -> bool {
        self.reviews.get(review).is_some_and(|open| open.unwatched)
    }

    /// Gives a session the units that are theirs for sure. Where nothing is in doubt, no review keeps them waiting.
    fn determine(&mut self, session: &SessionId, lines: &[SureLine], doubted: &[Item]) {
        let answers = |id: &ReviewId| doubted.is_empty() && !self.is_unwatched(id);
        let answered: Vec<ReviewId> = (self.sessions.get(session).into_iter())
            .flat_map(|s| s.cart.reviews.keys())
            .filter(|id| answers(id))
            .cloned()
            .collect();
        self.with(session, |s| {
            s.cart.determine(lines);
            s.uncharged = doubted.to_vec();
            s.cart.reviews.retain(|id, _| !answered.contains(id));
        });
        for review in answered {
            let mut waiting = self.active.iter().filter_map(|id| self.sessions.get(id));
            if !waiting.any(|s| s.cart.reviews.contains_key(&review)) {
                self.reviews.remove(&review);
            }
        }
    }

    /// The change that a review is about which a decision closes.
    pub(super) fn change_of_review(&self, decision: &Decision) -> Option<Stamp> {
        if let Decision::ReviewClosed { review, .. } = decision {
            return self
                .reviews
                .get(review)
                .map(|open| open.change.change.clone());
        }
        None
    }

    /// Undoes what followed from a change, so that something else can.
    fn withdraw(&mut self, change: &Stamp) {
        let Some(before) = self.changes.remove(change) else {
            return;
        };
        match &before.verdict {
            AttributionVerdict::Accepted => {
                self.accepted -= 1;
                if let Some(first) = before.hypotheses.first() {
                    self.move_items(&before, first, true);
                }
            }
            AttributionVerdict::Review { review, .. } => {
                self.reviewed -= 1;
                if self.reviews.remove(review).is_some() {
                    for (session, _) in involved(&before) {
                        self.with(session, |s| {
                            s.cart.reviews.remove(review);
                        });
                    }
                }
            }
            AttributionVerdict::Nothing { .. } => {}
        }
    }

    /// Forgets the changes that can't be revised any more: everybody whom they may concern has settled. What nobody known
    /// has put down is remembered while somebody is there who was inside then.
    fn forget_changes(&mut self) {
        let (sessions, reviews) = (&self.sessions, &self.reviews);
        let is_open = |id: &SessionId| sessions.get(id).is_some_and(Session::is_open);
        let open = self.active.iter().filter_map(|id| sessions.get(id));
        let first_in = open.filter(|s| s.is_open()).map(|s| s.entered_at).min();
        self.changes.retain(|_, change| {
            let waits = match &change.verdict {
                AttributionVerdict::Review { review, .. } => reviews.contains_key(review),
                AttributionVerdict::Accepted | AttributionVerdict::Nothing { .. } => false,
            };
            let nobodys = change.hypotheses.first().is_some_and(|first| {
                let mut moved = change.movements(first);
                moved.any(|m| !m.is_take && m.session.is_none())
            });
            let mut shares = change.hypotheses.iter().flat_map(Hypothesis::shares);
            waits
                || (nobodys && first_in.is_some_and(|first| first <= change.at))
                || shares.any(|(session, _)| session.is_some_and(is_open))
        });
    }

    /// Forgets the sessions that closed long ago, and their tracks; but for those that a change names which can still be
    /// revised, for what they have paid for is nobody else's. The end of a recording is no time.
    fn forget_closed(&mut self, now: Timestamp) {
        let oldest = now.plus_seconds(-CLOSED_KEPT_S);
        self.gaps
            .retain(|gap| now == Timestamp::MAX || gap.to >= oldest);
        let is_old = |(exit, _): &&(Timestamp, SessionId)| *exit < oldest;
        if now == Timestamp::MAX || self.closed.first().filter(is_old).is_none() {
            return;
        }
        let named: BTreeSet<&SessionId> = (self.changes.values())
            .flat_map(|change| &change.hypotheses)
            .flat_map(Hypothesis::shares)
            .filter_map(|(session, _)| session)
            .collect();
        let old: Vec<_> = (self.closed.iter())
            .take_while(is_old)
            .filter(|(_, id)| !named.contains(id) && !self.has_open_question(id))
            .cloned()
            .collect();
        for closed in old {
            self.closed.remove(&closed);
            let (_, id) = closed;
            let track = self.sessions.remove(&id).and_then(|s| s.track);
            if let Some(track) = track.filter(|track| !self.by_track.contains_key(track)) {
                self.claimed.remove(&track);
            }
        }
    }

    /// A refund may be under way long after the exit.
    fn has_open_question(&self, id: &SessionId) -> bool {
        let session = self.sessions.get(id);
        session.is_some_and(|s| s.payment.unanswered().is_some())
    }

    /// Moves items between the shelf and carts, or back. What is settled is final.
    fn move_items(&mut self, change: &Attributed, what: &Hypothesis, undo: bool) {
        let several = !what.also.is_empty();
        let catalogue = &self.definition.catalogue;
        for Movement {
            session,
            items,
            is_take,
        } in change.movements(what)
        {
            let open = session.and_then(|id| self.sessions.get_mut(id));
            let Some(session) = open.filter(|s| s.is_open()) else {
                continue;
            };
            // Of a change that several have made, each has what their items should weigh.
            let mass = match several {
                true => nominal_mass(items, catalogue),
                false => change.delta_mg,
            };
            let cart = &mut session.cart;
            match (is_take, undo) {
                (true, false) | (false, true) => cart.take(items, mass, catalogue),
                (true, true) => cart.undo_take(items, mass, catalogue),
                (false, false) => cart.put_back(items, mass, catalogue),
            }
        }
    }

    fn close_review(&mut self, review: &ReviewId, session: Option<&SessionId>, items: &[Item]) {
        let Some(open) = self.reviews.remove(review) else {
            return;
        };
        for (doubted, may_be) in involved(&open.change) {
            let uncharged = may_be.is_take && session != Some(doubted);
            self.with(doubted, |s| {
                s.cart.reviews.remove(review);
                if uncharged {
                    s.uncharged.extend(may_be.items.iter().cloned());
                }
            });
        }
        let decided = Hypothesis {
            session: session.cloned(),
            items: items.to_vec(),
            also: Vec::new(),
            probability_ppm: 1_000_000,
        };
        if open.unwatched {
            let (put, mass) = (
                !open.change.kind.is_take(open.change.delta_mg),
                open.change.delta_mg,
            );
            let catalogue = &self.definition.catalogue;
            let session = session.and_then(|id| self.sessions.get_mut(id));
            if let Some(session) = session.filter(|s| s.is_open()) {
                session.cart.amend(items, mass, put, catalogue);
            }
        } else if !items.is_empty() {
            self.move_items(&open.change, &decided, false);
        }
        self.changes.remove(&open.change.change);
    }
}

/// Whom a change keeps waiting, and what they may have moved: of each session the likeliest.
fn involved(change: &Attributed) -> impl Iterator<Item = (&SessionId, Movement<'_>)> {
    let mut seen = BTreeSet::new();
    (change.hypotheses.iter().enumerate())
        .filter(|(index, h)| *index == 0 || h.probability_ppm >= INVOLVED_PPM)
        .flat_map(|(_, h)| change.movements(h))
        .filter_map(|movement| Some((movement.session?, movement)))
        .filter(move |(session, _)| seen.insert(*session))
}

fn nominal_mass(items: &[Item], catalogue: &Catalogue) -> Milligrams {
    let weight = |item: &Item| {
        let unit = catalogue
            .get(item.product.as_str())
            .map_or(0, |p| p.weight.0);
        unit.saturating_mul(i64::from(item.quantity))
    };
    Milligrams(items.iter().map(weight).sum())
}
