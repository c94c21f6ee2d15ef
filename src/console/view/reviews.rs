//! What waits for a person: doubtful changes with their evidence, and proposed corrections.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::{Shopper, product_name};
use crate::checkout::decision::{Attributed, Decision, Reached, ReviewId};
use crate::checkout::session::SessionId;
use crate::console::event_log::item_list;
use crate::coordinator::OpenReview;
use crate::observation::{ChangeKind, Item, Stamp};
use crate::store::{Definition, ShelfId};
use crate::units::{Milligrams, Money, Timestamp};

/// Answers that a person can choose among: one for each of the keys 1 to 9.
pub const CHOICES_MAX: usize = 9;
/// Decided reviews and proposed corrections that are remembered; beyond, the oldest is forgotten (the journal has all).
const REMEMBERED_MAX: usize = 200;

/// A change that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReviewView {
    pub review: ReviewId,
    pub change: Stamp,
    pub at: Timestamp,
    pub shelf: ShelfId,
    pub plates: Vec<u16>,
    pub kind: ChangeKind,
    pub delta_mg: Milligrams,
    /// Why nobody was charged.
    pub reason: String,
    /// It changed while its node was off.
    pub unwatched: bool,
    /// Likeliest first, at most [`CHOICES_MAX`].
    pub choices: Vec<ChoiceView>,
    /// How likely it is that it was nobody whom we know, parts in a million.
    pub nobody_ppm: u32,
    /// Who was near, the best explanation first.
    pub near: Vec<NearView>,
    /// What a camera made of the shelf: products by likelihood, the share of each in parts in a million.
    pub seen: Vec<(String, u32)>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChoiceView {
    pub shopper: Shopper,
    pub items: Vec<Item>,
    /// `took 2 × Cola`
    pub deed: String,
    pub probability_ppm: u32,
}

/// Somebody who was near a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearView {
    /// None: nobody whom we know.
    pub shopper: Option<Shopper>,
    pub staff: bool,
    /// Of the nearer hand, and of the head along the shelf, millimetres.
    pub hand_mm: Option<i64>,
    pub head_mm: Option<i64>,
    /// How well the movement explains the change: 1000 is a hand on the plates at the right moment, 0 none at all.
    pub fit_milli: u32,
}

impl ReviewView {
    /// What there is to say about an open review.
    pub fn new(review: &ReviewId, open: &OpenReview, definition: &Definition) -> Self {
        let change = &open.change;
        let (choices, nobody_ppm) = choices(change, definition);
        let mut near: Vec<NearView> = change.reached.iter().map(near).collect();
        near.sort_by_key(|near| std::cmp::Reverse(near.fit_milli));
        ReviewView {
            review: review.clone(),
            change: change.change.clone(),
            at: change.at,
            shelf: change.shelf,
            plates: change.plates.clone(),
            kind: change.kind,
            delta_mg: change.delta_mg,
            reason: open.reason.clone(),
            unwatched: open.unwatched,
            choices,
            nobody_ppm,
            near,
            seen: seen(change, definition),
        }
    }
}

/// Who can have moved what, each once, with everything that speaks for it together.
fn choices(change: &Attributed, definition: &Definition) -> (Vec<ChoiceView>, u32) {
    let mut nobody_ppm = 0_u32;
    let mut of: BTreeMap<(SessionId, Vec<Item>, bool), u32> = BTreeMap::new();
    for hypothesis in &change.hypotheses {
        let mut somebodys = false;
        for movement in change.movements(hypothesis) {
            let Some(session) = movement.session.filter(|_| !movement.items.is_empty()) else {
                continue;
            };
            somebodys = true;
            let key = (session.clone(), movement.items.to_vec(), movement.is_take);
            let ppm = of.entry(key).or_default();
            *ppm = ppm.saturating_add(hypothesis.probability_ppm);
        }
        if !somebodys {
            nobody_ppm = nobody_ppm.saturating_add(hypothesis.probability_ppm);
        }
    }
    let mut choices: Vec<ChoiceView> = of
        .into_iter()
        .map(|((session, items, is_take), probability_ppm)| {
            let verb = if is_take { "took" } else { "put back" };
            ChoiceView {
                shopper: Shopper::of(&session),
                deed: format!("{verb} {}", item_list(&items, definition)),
                items,
                probability_ppm: probability_ppm.min(1_000_000),
            }
        })
        .collect();
    choices.sort_by_key(|choice| std::cmp::Reverse(choice.probability_ppm));
    choices.truncate(CHOICES_MAX);
    (choices, nobody_ppm.min(1_000_000))
}

fn near(reached: &Reached) -> NearView {
    let fit = (reached.log_milli.min(0) as f64 / 1e3).exp() * 1e3;
    NearView {
        shopper: reached.session.as_ref().map(Shopper::of),
        staff: reached.staff,
        hand_mm: reached.hand_mm,
        head_mm: reached.head_mm,
        fit_milli: fit.round() as u32,
    }
}

/// The likeliest products of a camera's view, as if all were as likely beforehand.
fn seen(change: &Attributed, definition: &Definition) -> Vec<(String, u32)> {
    let Some(seen) = &change.seen else {
        return Vec::new();
    };
    let best = seen
        .likelihoods
        .iter()
        .map(|l| l.log_likelihood_milli)
        .max();
    let best = best.unwrap_or(0).max(seen.others_milli);
    let weight = |milli: i64| ((milli - best) as f64 / 1e3).exp();
    let all: f64 = (seen.likelihoods.iter())
        .map(|l| weight(l.log_likelihood_milli))
        .sum::<f64>()
        + weight(seen.others_milli);
    (seen.likelihoods.iter().take(4))
        .map(|l| {
            let share = weight(l.log_likelihood_milli) / all;
            (product_name(&l.product, definition), (share * 1e6) as u32)
        })
        .collect()
}

/// A review that somebody, or the deadline, has decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecidedView {
    pub review: ReviewId,
    pub at: Timestamp,
    pub by: String,
    /// `Shopper 4F2A: 2 × Cola`, or that nobody is charged.
    pub verdict: String,
}

/// Something that came to light when the receipts had been handed out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CorrectionView {
    pub change: Stamp,
    pub at: Timestamp,
    pub shelf: ShelfId,
    pub delta_mg: Milligrams,
    /// What it weighs as.
    pub goods: String,
    pub shoppers: Vec<Shopper>,
    pub refund: Option<Money>,
}

/// What was decided and proposed of late.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    decided: VecDeque<DecidedView>,
    proposed: VecDeque<CorrectionView>,
}

impl Backlog {
    /// Adds what a decision says.
    pub fn push(&mut self, decision: &Decision, definition: &Definition) {
        if let Decision::ReviewClosed {
            review,
            at,
            by,
            session,
            items,
        } = decision
        {
            let verdict = match session {
                Some(session) if !items.is_empty() => {
                    let whose = Shopper::of(session);
                    format!("{whose}: {}", item_list(items, definition))
                }
                Some(_) | None => "nobody is charged".to_owned(),
            };
            self.decided.truncate(REMEMBERED_MAX - 1);
            self.decided.push_front(DecidedView {
                review: review.clone(),
                at: *at,
                by: by.clone(),
                verdict,
            });
        }
        if let Decision::CorrectionProposed {
            change,
            at,
            shelf,
            delta_mg,
            items,
            sessions,
            refund,
        } = decision
        {
            self.proposed.truncate(REMEMBERED_MAX - 1);
            self.proposed.push_front(CorrectionView {
                change: change.clone(),
                at: *at,
                shelf: *shelf,
                delta_mg: *delta_mg,
                goods: item_list(items, definition),
                shoppers: sessions.iter().map(Shopper::of).collect(),
                refund: *refund,
            });
        }
    }

    /// Newest first.
    pub fn decided(&self) -> Vec<DecidedView> {
        self.decided.iter().cloned().collect()
    }

    /// Newest first.
    pub fn proposed(&self) -> Vec<CorrectionView> {
        self.proposed.iter().cloned().collect()
    }
}
