//! What nodes could not keep, or could not see: a gap is a decision, and the carts that it can have touched wait.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::deciding::{near, short_hash};
use super::{Coordinator, Output};
use crate::checkout::cart::Held;
use crate::checkout::decision::{Attributed, AttributionVerdict, Decision, Hypothesis};
use crate::checkout::session::{Session, SessionId};
use crate::observation::{ChangeKind, GapCause, GapObservation, Item, OutboxId, ShelfGap, Stamp};
use crate::sensing::item_match;
use crate::store::{NodeName, PlateId, ProductId, ShelfId};
use crate::units::{Milligrams, Timestamp};

/// Shoppers who are named with a change that nobody watched, at most: those whose visits are the oldest.
const NAMED_MAX: usize = 12;
/// An unwatched change is taken for items whose weight is at most so far from it: share of the weight, and grams.
const FIT: (f64, f64) = (0.05, 5.0);

/// A change that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenReview {
    pub change: Attributed,
    pub reason: String,
    /// It changed while its node was off: only a person can say whose it is.
    #[serde(default)]
    pub unwatched: bool,
}

/// A stretch of time of which a node has lost something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub node: NodeName,
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: String,
}

/// A gap that begins so soon after the last one, of the same node and for the same reason, is more of it, seconds.
const GOES_ON_S: f64 = 0.1;

impl Gap {
    /// Adds it to the others. A camera that stays blind says so piece by piece: false if this is only the next piece.
    pub(super) fn note(self, gaps: &mut Vec<Gap>) -> bool {
        let after = |last: &Gap| self.from.seconds_since(last.to);
        let goes_on = |last: &&mut Gap| {
            (&last.node, &last.reason) == (&self.node, &self.reason)
                && (0.0..GOES_ON_S).contains(&after(last))
        };
        if let Some(last) = gaps.last_mut().filter(goes_on) {
            last.to = self.to;
            return false;
        }
        gaps.push(self);
        true
    }
}

impl Coordinator {
    /// Decides a gap that a node tells of.
    pub(super) fn decide_gap(
        &mut self,
        stamp: &Stamp,
        gap: &GapObservation,
        out: &mut Vec<Output>,
    ) {
        let span = (gap.start, gap.end);
        let node = &stamp.node;
        let reason = match gap.cause {
            GapCause::Off => format!("node {node} was off"),
            GapCause::Full => format!("node {node} could not keep {} observations", gap.dropped),
            GapCause::Replaced => {
                format!("node {node} began with an old copy of its outbox")
            }
            GapCause::Blind => format!("a camera of node {node} was blind"),
        };
        let of = gap.replaces.as_ref().unwrap_or(&stamp.outbox);
        let after = match gap.replaces {
            Some(_) => self.intake.contiguous(node, of),
            None => stamp.sequence - 1,
        };
        // What a node lost without ever giving it a number is between two numbers that follow each other.
        let decision = Decision::Gap {
            node: node.clone(),
            outbox: of.clone(),
            after,
            before: after + 1,
            dropped: gap.dropped,
            from: Some(gap.start),
            to: Some(gap.end),
            weighed: gap.cause == GapCause::Off && !self.watches_people(node),
            reason,
        };
        self.decide(decision, out);
        for shelf in &gap.shelves {
            self.open_unwatched(stamp, shelf, span, out);
        }
    }

    /// A node speaks with an outbox that is new, and what it had not sent of another one is lost. `at` is event time.
    pub(super) fn meet(
        &mut self,
        node: &NodeName,
        outbox: &OutboxId,
        at: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let promised = self.intake.promised_by(node);
        let Some(mut missing) = self.intake.meet(node, outbox) else {
            return;
        };
        if missing.is_empty() && self.state.silent.contains_key(node) {
            // It may have seen more before it fell silent than it could say.
            missing.extend(self.intake.end_of_another(node, outbox));
        }
        let from = promised.unwrap_or(self.state.frontier).min(at);
        for one in missing {
            let decision = Decision::Gap {
                node: node.clone(),
                outbox: one.outbox,
                after: one.after,
                before: one.before,
                dropped: 0,
                from: Some(from),
                to: Some(at),
                weighed: false,
                reason: format!("node {node} has a new outbox, and the other had more to say"),
            };
            self.decide(decision, out);
        }
    }

    /// Whether what a node sees is not known by weight afterwards: bodies, or the gate.
    fn watches_people(&self, node: &NodeName) -> bool {
        let node = self.definition.layout.node(node);
        node.is_some_and(|n| n.tracks_bodies || n.watches_gate)
    }

    /// The gaps that a visit can have been touched by.
    pub(super) fn gaps_touching(&self, session: &Session) -> impl Iterator<Item = &Gap> {
        self.state.gaps.iter().filter(|gap| {
            let Some(node) = self.definition.layout.node(&gap.node) else {
                return false;
            };
            let everybody = self.watches_people(&gap.node);
            let is_near = |of: &ShelfId| node.shelves.contains(of);
            is_there(session, (gap.from, gap.to)) && (everybody || self.was_near(session, is_near))
        })
    }

    /// What of a cart may have been put back unseen, and why: it was taken from a shelf whose node has lost something
    /// since, or somebody whom no camera saw has put such a thing down. What a silent node knows may still come, and
    /// leads to a refund then; what is lost never comes. (What is laid on a foreign shelf whose node loses that leaves no
    /// trace.)
    pub(super) fn unseen_put_backs(&self, session: &Session) -> Option<(Vec<Item>, String)> {
        let losses: Vec<&Gap> = self.gaps_touching(session).collect();
        let mut units: BTreeMap<ProductId, u32> = BTreeMap::new();
        let mut why = None;
        for change in self.state.changes.values() {
            let lost = losses.iter().find(|loss| self.hides(loss, change));
            let Some((loss, likeliest)) = lost.zip(change.hypotheses.first()) else {
                continue;
            };
            let mut moved = change.movements(likeliest);
            let gone: Vec<Item> = if self.watches_people(&loss.node) {
                let unseen = moved.any(|m| !m.is_take && m.session.is_none());
                let was_here = change.at >= session.entered_at;
                let like = self.held_that_weighs(session, change.delta_mg);
                like.filter(|_| unseen && was_here).into_iter().collect()
            } else {
                let theirs = moved.filter(|m| m.is_take && m.session == Some(&session.id));
                theirs.flat_map(|m| m.items).cloned().collect()
            };
            for item in gone {
                *units.entry(item.product).or_default() += item.quantity;
                why.get_or_insert(&loss.reason);
            }
        }
        let held = |(product, units): (ProductId, u32)| Item {
            quantity: units.min(session.cart.quantity(&product)),
            product,
        };
        let items = units.into_iter().map(held);
        let items: Vec<Item> = items.filter(|item| item.quantity > 0).collect();
        why.filter(|_| !items.is_empty())
            .map(|why| (items, format!("it may have been put back: {why}")))
    }

    /// Units of one product in a cart that weigh as much as what came onto a shelf.
    fn held_that_weighs(&self, session: &Session, delta: Milligrams) -> Option<Item> {
        let off = |item: &Item| {
            let unit = self.definition.catalogue.get(item.product.as_str())?.weight;
            let nominal = unit.grams() * f64::from(item.quantity);
            let off = (nominal - delta.grams()).abs();
            (off <= (FIT.0 * nominal).max(FIT.1)).then_some(off)
        };
        let some_of = |(product, held): (&ProductId, &Held)| {
            let product = product.clone();
            (1..=held.quantity).map(move |quantity| Item {
                product: product.clone(),
                quantity,
            })
        };
        let fitting = (session.cart.lines().flat_map(some_of))
            .filter_map(|item| off(&item).map(|off| (off, item)));
        fitting
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, item)| item)
    }

    /// Whether a loss leaves in doubt what followed a change, or who made it.
    fn hides(&self, loss: &Gap, change: &Attributed) -> bool {
        let is_shelf = |node: &crate::store::Node| node.shelves.contains(&change.shelf);
        if self.watches_people(&loss.node) {
            (loss.from..=loss.to).contains(&change.at)
        } else {
            let node = self.definition.layout.node(&loss.node);
            change.at <= loss.to && node.is_some_and(is_shelf)
        }
    }

    /// Whether a shopper came within reach of such a shelf. Of whom no track was seen, nobody knows.
    fn was_near(&self, session: &Session, which: impl Fn(&ShelfId) -> bool) -> bool {
        (session.track.as_ref()).is_none_or(|track| near(self, track).any(which))
    }

    /// Asks a person about what changed on a shelf while its node was off.
    pub(super) fn open_unwatched(
        &mut self,
        stamp: &Stamp,
        gap: &ShelfGap,
        span: (Timestamp, Timestamp),
        out: &mut Vec<Output>,
    ) {
        let delta = gap.delta();
        let kind = if delta.0 < 0 {
            ChangeKind::Take
        } else {
            ChangeKind::Put
        };
        let items = self.likeliest(gap);
        let had = |s: &Session| items.iter().all(|item| s.cart.quantity(&item.product) > 0);
        let visits = self.state.active.iter();
        let mut sessions: Vec<SessionId> = (visits.filter_map(|id| self.state.sessions.get(id)))
            .filter(|s| s.is_open() && is_there(s, span))
            .filter(|s| self.was_near(s, |shelf| *shelf == gap.shelf))
            .map(|s| s.id.clone())
            .collect();
        // Only who had it can have put it back.
        if kind == ChangeKind::Put {
            let sessions_of = &self.state.sessions;
            sessions.retain(|id| !items.is_empty() && sessions_of.get(id).is_some_and(had));
        }
        sessions.truncate(NAMED_MAX);
        let probability_ppm = 1_000_000 / (sessions.len() as u32 + 1);
        let by = |session: Option<SessionId>| Hypothesis {
            session,
            items: items.clone(),
            also: Vec::new(),
            probability_ppm,
        };
        let hypotheses = sessions.into_iter().map(Some).chain([None]).map(by);
        let shelf = gap.shelf;
        let went = if delta.0 < 0 { "left" } else { "came onto" };
        let hash = short_hash(&[&self.definition.id, &stamp.to_string(), &shelf.to_string()]);
        let unwatched = Attributed {
            change: stamp.clone(),
            at: span.1,
            shelf,
            kind,
            delta_mg: delta,
            plates: gap.plates.iter().map(|p| p.plate).collect(),
            verdict: AttributionVerdict::Review {
                review: format!("r-{hash}").into(),
                reason: format!(
                    "{} {went} shelf {shelf} while its node was off",
                    delta.abs()
                ),
            },
            hypotheses: hypotheses.collect(),
            reached: Vec::new(),
            clock: None,
            seen: None,
        };
        self.decide(Decision::Unwatched(unwatched), out);
    }

    /// The items that weigh what came or left, if any do: rather what stands there, and rather one thing than several.
    pub(super) fn likeliest(&self, gap: &ShelfGap) -> Vec<Item> {
        let likelihoods = item_match::likelihoods(&self.definition, gap.shelf, &gap.plates);
        let product = |item: &Item| self.definition.catalogue.get(item.product.as_str());
        let weight = |item: &Item| {
            product(item).map_or(0.0, |p| p.weight.grams() * f64::from(item.quantity))
        };
        let grams = Milligrams(gap.delta().0.abs()).grams();
        let fits = |items: &[Item]| {
            let nominal: f64 = items.iter().map(weight).sum();
            (nominal - grams).abs() <= (FIT.0 * nominal).max(FIT.1)
        };
        let plates = gap.plates.iter().map(|p| PlateId {
            shelf: gap.shelf,
            plate: p.plate,
        });
        let products = self.definition.catalogue.products();
        let standing: BTreeSet<&ProductId> = plates
            .flat_map(|plate| self.definition.planogram.on_plate(plate))
            .filter_map(|facing| Some(&products.get(facing.product_index)?.id))
            .collect();
        let unlike = |items: &Vec<Item>| {
            let elsewhere = items.iter().any(|i| !standing.contains(&i.product));
            (elsewhere, items.iter().map(|i| i.quantity).sum::<u32>())
        };
        let fitting = likelihoods.into_iter().map(|l| l.items).filter(|i| fits(i));
        fitting.min_by_key(unlike).unwrap_or_default()
    }
}

/// Whether it is the visit of somebody who pays, and who was inside at that time.
fn is_there(session: &Session, (from, to): (Timestamp, Timestamp)) -> bool {
    let exit = session.exited_at;
    session.role.is_shopper() && session.entered_at <= to && exit.is_none_or(|exit| exit >= from)
}
