//! The store's state: a fold over decisions. Applying never infers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::checkout::attribution::Misplaced;
use crate::checkout::cart::Cart;
use crate::checkout::decision::{Attributed, AttributionVerdict, Decision, Hypothesis, ReviewId};
use crate::checkout::payment::{PaymentEvent, PaymentState};
use crate::checkout::session::{Session, SessionId, SessionState, Sessions};
use crate::observation::{ChangeKind, TrackId};
use crate::store::{Definition, NodeName, PlateId};
use crate::units::{Milligrams, Timestamp};

/// A hypothesis below this share of probability does not make a cart wait for a review, parts in a million.
const INVOLVED_PPM: u32 = 50_000;

/// A change that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenReview {
    pub change: Attributed,
    pub reason: String,
}

/// Everything that the store knows because it has decided it.
#[derive(Clone, Debug)]
pub struct State {
    definition: Arc<Definition>,
    pub sessions: Sessions,
    /// Sessions that are not closed.
    pub active: BTreeSet<SessionId>,
    pub by_track: BTreeMap<TrackId, SessionId>,
    pub misplaced: Misplaced,
    pub reviews: BTreeMap<ReviewId, OpenReview>,
    pub silent: BTreeMap<NodeName, Timestamp>,
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
            active: BTreeSet::new(),
            by_track: BTreeMap::new(),
            misplaced: Misplaced::default(),
            reviews: BTreeMap::new(),
            silent: BTreeMap::new(),
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
            } => {
                self.active.insert(session.clone());
                if let Some(track) = track {
                    self.by_track.insert(track.clone(), session.clone());
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
                    payment: PaymentState::None,
                    receipt: None,
                };
                self.sessions.insert(session.clone(), opened);
            }
            Decision::EntryRefused { .. } => {}
            Decision::TrackBound { session, track, .. } => {
                self.by_track.insert(track.clone(), session.clone());
                self.with(session, |s| s.track = Some(track.clone()));
            }
            Decision::Attributed(attributed) => self.attribute(attributed),
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
            Decision::SessionExited { session, at } => self.with(session, |s| {
                s.exited_at = Some(*at);
                s.state = SessionState::Leaving;
            }),
            Decision::CartDrafted { session, .. } => {
                self.with(session, |s| s.state = SessionState::Draft)
            }
            Decision::Settled { session, .. } => {
                self.with(session, |s| s.state = SessionState::Settled)
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
            Decision::ReceiptIssued { receipt } => {
                self.active.remove(&receipt.session);
                if let Some(track) = &receipt.track {
                    self.by_track.remove(track);
                }
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
            Decision::Gap { .. } | Decision::Quarantined { .. } => self.losses += 1,
            Decision::FrontierAdvanced { to } => self.frontier = self.frontier.max(*to),
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
                self.move_items(attributed, first.session.as_ref(), first);
                self.move_misplaced(attributed, first);
            }
            AttributionVerdict::Review { review, reason } => {
                self.reviewed += 1;
                let open = OpenReview {
                    change: attributed.clone(),
                    reason: reason.clone(),
                };
                self.reviews.insert(review.clone(), open);
                for hypothesis in involved(attributed) {
                    let Some(session) = &hypothesis.session else {
                        continue;
                    };
                    self.with(session, |s| {
                        s.cart
                            .reviews
                            .entry(review.clone())
                            .or_insert_with(|| hypothesis.items.clone());
                    });
                }
            }
            AttributionVerdict::Nothing { .. } => self.move_misplaced(attributed, first),
        }
    }

    /// Moves items between the shelf and a session's cart.
    fn move_items(&mut self, change: &Attributed, session: Option<&SessionId>, what: &Hypothesis) {
        let Some(session) = session.and_then(|id| self.sessions.get_mut(id)) else {
            return;
        };
        match change.kind {
            ChangeKind::Take => {
                session
                    .cart
                    .take(&what.items, change.delta_mg, &self.definition.catalogue)
            }
            ChangeKind::Put => {
                session
                    .cart
                    .put_back(&what.items, change.delta_mg, &self.definition.catalogue)
            }
            ChangeKind::Touch | ChangeKind::Foreign | ChangeKind::Unsure => {}
        }
    }

    /// Remembers what was put where it does not belong, and forgets it when it leaves.
    fn move_misplaced(&mut self, change: &Attributed, what: &Hypothesis) {
        let Some(plate) = change.plates.first().map(|&plate| PlateId {
            shelf: change.shelf,
            plate,
        }) else {
            return;
        };
        let near =
            |other: &PlateId| other.shelf == plate.shelf && other.plate.abs_diff(plate.plate) <= 1;
        match (change.kind, what.items.is_empty()) {
            (ChangeKind::Put, true) | (ChangeKind::Foreign, _) => {
                self.misplaced.foreign.push((plate, change.delta_mg));
                // Bound: what lies around unexplained; beyond it the oldest is forgotten.
                if self.misplaced.foreign.len() > 256 {
                    self.misplaced.foreign.remove(0);
                }
            }
            (ChangeKind::Take, true) => {
                let mass = |m: Milligrams| (m.abs() - change.delta_mg.abs()).abs();
                let gone = (self.misplaced.foreign.iter().enumerate())
                    .filter(|(_, (other, _))| near(other))
                    .min_by_key(|(_, (_, m))| mass(*m))
                    .map(|(index, _)| index);
                if let Some(index) = gone {
                    self.misplaced.foreign.remove(index);
                }
            }
            (ChangeKind::Put, false) => {
                for item in &what.items {
                    let at_home = change.plates.iter().any(|&p| {
                        let id = PlateId {
                            shelf: change.shelf,
                            plate: p,
                        };
                        self.definition
                            .planogram
                            .on_plate(id)
                            .any(|f| f.product == item.product)
                    });
                    if !at_home {
                        let units = item.quantity.min(64) as usize;
                        self.misplaced
                            .items
                            .extend(std::iter::repeat_n((plate, item.product.clone()), units));
                    }
                }
                let excess = self.misplaced.items.len().saturating_sub(1024);
                self.misplaced.items.drain(..excess);
            }
            (ChangeKind::Take, false) => {
                for item in &what.items {
                    for _ in 0..item.quantity {
                        let found = self
                            .misplaced
                            .items
                            .iter()
                            .position(|(p, id)| near(p) && *id == item.product);
                        let Some(index) = found else { break };
                        self.misplaced.items.remove(index);
                    }
                }
            }
            (ChangeKind::Touch | ChangeKind::Unsure, _) => {}
        }
    }

    fn close_review(
        &mut self,
        review: &ReviewId,
        session: Option<&SessionId>,
        items: &[crate::observation::Item],
    ) {
        let Some(open) = self.reviews.remove(review) else {
            return;
        };
        for hypothesis in involved(&open.change) {
            let Some(doubted) = &hypothesis.session else {
                continue;
            };
            let uncharged = open.change.kind == ChangeKind::Take && session != Some(doubted);
            self.with(doubted, |s| {
                s.cart.reviews.remove(review);
                if uncharged {
                    s.uncharged.extend(hypothesis.items.iter().cloned());
                }
            });
        }
        let decided = Hypothesis {
            session: session.cloned(),
            items: items.to_vec(),
            probability_ppm: 1_000_000,
        };
        if !items.is_empty() {
            self.move_items(&open.change, session, &decided);
            self.move_misplaced(&open.change, &decided);
        }
    }

    /// The sessions that a review keeps waiting.
    pub fn reviewed_sessions<'a>(
        &self,
        change: &'a Attributed,
    ) -> impl Iterator<Item = &'a SessionId> + use<'a> {
        involved(change).filter_map(|h| h.session.as_ref())
    }
}

fn involved(change: &Attributed) -> impl Iterator<Item = &Hypothesis> {
    let mut seen = BTreeSet::new();
    (change.hypotheses.iter().enumerate())
        .filter(|(index, h)| *index == 0 || h.probability_ppm >= INVOLVED_PPM)
        .filter(move |(_, h)| seen.insert(h.session.as_ref()))
        .map(|(_, h)| h)
}
