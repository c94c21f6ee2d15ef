//! From a shelf's change to a decision: who is near is measured on the tracks, the store's beliefs take it in, and what
//! is sure enough is charged. Later changes can revise it until the cart is settled.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::deciding::short_hash;
use super::looks::Looks;
use super::{Coordinator, Output};
use crate::checkout::attribution::beliefs::{KeptBeliefs, Sure};
use crate::checkout::attribution::clocks::{ClockBelief, PerOffset};
use crate::checkout::attribution::{Beliefs, Choice, Clocks, Explained, Part, Place, reach};
use crate::checkout::decision::{
    Attributed, AttributionVerdict, ClockEstimate, Decision, Hypothesis, Reached, Share,
};
use crate::checkout::session::{Session, SessionId};
use crate::observation::{ChangeKind, ShelfObservation, Stamp, TrackId};
use crate::store::{Definition, NodeName, ShelfId};
use crate::units::Milligrams;

/// A body whose reach is worse than this bears on no change: natural log, in thousandths.
const REACHED_MIN_MILLI: i64 = -20_000;
/// Bodies that are named with a change: the nearest.
const REACHED_MAX: usize = 12;
/// A moment that is known less well than this is looked at as if it were known so well, seconds.
pub(super) const PEAK_ERROR_S_MAX: f64 = 7.0;
/// Something left that no product explains: whoever reached there at least so well is asked about it, in thousandths.
const SUSPECT_MILLI: i64 = -4_000;

/// How likely it may be that a clock is further ahead than it is taken to be.
const CLOCK_DOUBT: f64 = 0.005;

/// The beliefs, and the changes that they can still revise.
#[derive(Debug)]
pub(super) struct Inferring {
    beliefs: Beliefs,
    clocks: Clocks,
    /// What the clocks were last learnt to be, as the journal has it.
    estimates: BTreeMap<NodeName, ClockEstimate>,
    pub(super) looks: Looks,
}

/// The same as it is kept over a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptInferring {
    beliefs: KeptBeliefs,
    clocks: BTreeMap<NodeName, ClockEstimate>,
    #[serde(default, skip_serializing_if = "Looks::is_empty")]
    looks: Looks,
}

impl Inferring {
    pub fn new(definition: Arc<Definition>) -> Self {
        Inferring {
            beliefs: Beliefs::new(definition),
            clocks: Clocks::default(),
            estimates: BTreeMap::new(),
            looks: Looks::default(),
        }
    }

    /// What is to be kept over a restart.
    pub fn keep(&self) -> KeptInferring {
        KeptInferring {
            beliefs: self.beliefs.keep(),
            clocks: self.estimates.clone(),
            looks: self.looks.clone(),
        }
    }

    /// What was known before a restart.
    pub fn kept(definition: Arc<Definition>, kept: KeptInferring) -> Self {
        let mut clocks = Clocks::default();
        for (node, estimate) in &kept.clocks {
            clocks.restore(node, estimate);
        }
        Inferring {
            beliefs: Beliefs::kept(definition, kept.beliefs),
            clocks,
            estimates: kept.clocks,
            looks: kept.looks,
        }
    }

    /// What somebody has with that probability.
    pub fn sure(&self, session: &SessionId, confidence: f64) -> Option<Sure> {
        self.beliefs.sure(session, confidence)
    }

    /// Whether worlds differ on a change.
    pub fn doubts(&self, stamp: &Stamp) -> bool {
        self.beliefs.doubts(stamp)
    }

    /// Follows a decision, which `reviewed` is the change of if it closes a review. An attribution was followed when it
    /// was inferred, but for what is noted of it.
    pub fn follow(&mut self, decision: &Decision, reviewed: Option<&Stamp>) {
        match decision {
            Decision::Settled { session, .. } => self.beliefs.close(session),
            Decision::ReviewClosed { session, items, .. } => match reviewed {
                Some(stamp) if items.is_empty() => self.beliefs.stop_asking(stamp),
                Some(stamp) => {
                    let part = Part {
                        who: session.clone(),
                        items: items.clone(),
                        against: false,
                    };
                    self.beliefs.settle(stamp, &[part]);
                }
                None => {}
            },
            Decision::Attributed(attributed) => self.note_clock(attributed),
            Decision::SessionOpened { .. }
            | Decision::EntryRefused { .. }
            | Decision::TrackBound { .. }
            | Decision::Revised(_)
            | Decision::LinesDropped { .. }
            | Decision::SessionExited { .. }
            | Decision::CartDetermined { .. }
            | Decision::CartDrafted { .. }
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

    /// How far ahead of the cameras' clock a node's may be, as far as can be told, seconds.
    pub fn clock_ahead_s(&self, node: &NodeName) -> f64 {
        self.clocks.before(node).ahead_at_most_s(CLOCK_DOUBT)
    }

    /// After a restart: believes of a node's clock again what was believed since a change.
    pub fn restore_clock(&mut self, attributed: &Attributed) {
        if let Some(estimate) = &attributed.clock {
            self.clocks.restore(&attributed.change.node, estimate);
            self.note_clock(attributed);
        }
    }

    fn note_clock(&mut self, attributed: &Attributed) {
        if let Some(estimate) = &attributed.clock {
            let node = attributed.change.node.clone();
            self.estimates.insert(node, ClockEstimate::clone(estimate));
        }
    }

    /// After a restart: takes in a change again as it was weighed then.
    pub fn absorb_again(&mut self, stamp: &Stamp, change: &ShelfObservation, weighed: &Attributed) {
        let change = Arc::new(change.clone());
        let seen = weighed.seen.as_deref();
        (self.beliefs).absorb_seen(stamp, &change, &weighed.reached, seen);
    }
}

/// A change, as far as a verdict depends on it.
struct Seen<'a> {
    stamp: &'a Stamp,
    shelf: ShelfId,
    kind: ChangeKind,
    delta: Milligrams,
}

impl<'a> Seen<'a> {
    fn of(attributed: &'a Attributed) -> Self {
        Seen {
            stamp: &attributed.change,
            shelf: attributed.shelf,
            kind: attributed.kind,
            delta: attributed.delta_mg,
        }
    }
}

impl Coordinator {
    /// Gives a shelf's change to somebody, to nobody, or to review, and revises what it throws a new light on.
    pub(super) fn attribute(
        &mut self,
        stamp: &Stamp,
        change: &ShelfObservation,
        out: &mut Vec<Output>,
    ) {
        if self.proposes_correction(stamp, change, out) {
            return;
        }
        let expected = self.inferring.clocks.before(&stamp.node);
        let (reached, by_offset) = self.reached(change, &expected);
        let clock = by_offset.filter(|_| change.kind != ChangeKind::Foreign);
        let learn = |by| self.inferring.clocks.learn(&stamp.node, &expected, &by);
        let clock = clock.map(learn).map(Box::new);
        let change = Arc::new(change.clone());
        let look = self.inferring.looks.of(&change).cloned();
        let beliefs = &mut self.inferring.beliefs;
        let explained = beliefs.absorb_seen(stamp, &change, &reached, look.as_ref());
        let mut own = None;
        for (of, explained) in explained {
            if of == *stamp {
                own = Some(explained);
            } else {
                self.revise(&of, &explained, out);
            }
        }
        let explained = own.unwrap_or_default();
        let hypotheses = hypotheses(&explained, change.kind, &reached);
        let seen = Seen {
            stamp,
            shelf: change.shelf,
            kind: change.kind,
            delta: change.delta(),
        };
        let verdict = self.verdict(&seen, &explained, &hypotheses);
        let attributed = Attributed {
            change: stamp.clone(),
            at: change.peak,
            shelf: change.shelf,
            kind: change.kind,
            delta_mg: change.delta(),
            plates: change.plates.iter().map(|p| p.plate).collect(),
            verdict,
            hypotheses,
            reached,
            clock,
            seen: look.map(Box::new),
        };
        self.decide(Decision::Attributed(attributed), out);
    }

    /// How every body that was seen then bears on a change, the likeliest first; and how well they all explain it for
    /// each offset of the node's clock, if anybody was seen.
    fn reached(
        &self,
        change: &ShelfObservation,
        clock: &ClockBelief,
    ) -> (Vec<Reached>, Option<PerOffset>) {
        let Some(place) = Place::of(&self.definition, change.shelf, &change.plates) else {
            return (Vec::new(), None);
        };
        let active = (self.state.active.iter()).filter_map(|id| self.state.sessions.get(id));
        let shoppers = active
            .filter(|s| s.is_open() && s.entered_at <= change.peak)
            .filter(|s| s.exited_at.is_none_or(|at| at >= change.peak))
            .filter_map(|s| Some((s.track.as_ref()?, Some(s))));
        let strangers = (self.tracks.ids())
            .filter(|track| !self.gateless && !self.state.by_track.contains_key(*track))
            .map(|track| (track, None));
        let mut reached: Vec<(Reached, PerOffset)> = shoppers
            .chain(strangers)
            .filter_map(|(track, session)| self.reach_of(track, session, &place, change, clock))
            .collect();
        reached.sort_by(|(a, _), (b, _)| (b.log_milli, &a.session).cmp(&(a.log_milli, &b.session)));
        reached.truncate(REACHED_MAX);
        let all = |i: usize| reached.iter().map(|(_, by_offset)| by_offset[i]).sum();
        let by_offset = (!reached.is_empty()).then(|| std::array::from_fn(all));
        (reached.into_iter().map(|(r, _)| r).collect(), by_offset)
    }

    fn reach_of(
        &self,
        track: &TrackId,
        session: Option<&Session>,
        place: &Place,
        change: &ShelfObservation,
        clock: &ClockBelief,
    ) -> Option<(Reached, PerOffset)> {
        let error_s = (change.peak_error_us as f64 / 1e6).min(PEAK_ERROR_S_MAX);
        let at_moment = |place: &Place, moment, error_s| {
            reach::reach(&self.tracks, track, place, moment, error_s, clock)
        };
        let at = |place: &Place| at_moment(place, change.peak, error_s);
        let whole = at(place)?;
        if whole.log_milli < REACHED_MIN_MILLI {
            return None;
        }
        let by_plate = |plate: u16| {
            let place = Place::around(&self.definition, change.shelf, |p| p == plate);
            place
                .and_then(|p| at(&p))
                .map_or(whole.log_milli, |r| r.log_milli)
        };
        let by_plate_milli = match &change.plates[..] {
            [_] => vec![whole.log_milli],
            several => several.iter().map(|c| by_plate(c.plate)).collect(),
        };
        let stood_milli = change.stood.as_ref().map(|stood| {
            let then =
                |moment| at_moment(place, moment, 0.0).map_or(whole.log_milli, |r| r.log_milli);
            (then(stood.from), then(stood.until))
        });
        let millimetres = |m: f64| (m * 1e3).round() as i64;
        let reached = Reached {
            session: session.map(|s| s.id.clone()),
            staff: session.is_some_and(|s| !s.role.is_shopper()),
            log_milli: whole.log_milli,
            by_plate_milli,
            stood_milli,
            middle: whole.middle,
            hand_mm: whole.hand_m.map(millimetres),
            head_mm: whole.head_m.map(millimetres),
        };
        Some((reached, whole.by_offset))
    }

    /// Decides anew about an earlier change, if that makes a difference.
    fn revise(&mut self, stamp: &Stamp, explained: &[Explained], out: &mut Vec<Output>) {
        let Some(before) = self.state.changes.get(stamp) else {
            return;
        };
        let hypotheses = hypotheses(explained, before.kind, &before.reached);
        let seen = Seen::of(before);
        let verdict = self.verdict(&seen, explained, &hypotheses);
        let same = match (&verdict, &before.verdict) {
            (AttributionVerdict::Accepted, AttributionVerdict::Accepted) => {
                let first = hypotheses.first().zip(before.hypotheses.first());
                first.is_some_and(|(a, b)| a.is_same(b))
            }
            (AttributionVerdict::Review { .. }, AttributionVerdict::Review { .. }) => {
                let likely = |h: &[Hypothesis]| -> Vec<Hypothesis> {
                    let likely = h.iter().filter(|h| h.probability_ppm >= 50_000);
                    likely
                        .map(|h| Hypothesis {
                            probability_ppm: 0,
                            ..h.clone()
                        })
                        .collect()
                };
                likely(&hypotheses) == likely(&before.hypotheses)
            }
            (AttributionVerdict::Nothing { .. }, AttributionVerdict::Nothing { .. }) => true,
            (
                AttributionVerdict::Accepted
                | AttributionVerdict::Review { .. }
                | AttributionVerdict::Nothing { .. },
                _,
            ) => false,
        };
        // What somebody has settled is not touched: late evidence changes no receipt.
        let settled = |h: &Hypothesis| {
            h.shares().any(|(session, _)| {
                let session = session.and_then(|id| self.state.sessions.get(id));
                session.is_some_and(|s| !s.is_open())
            })
        };
        let touches = |h: Option<&Hypothesis>| h.is_some_and(settled);
        if same || touches(hypotheses.first()) || touches(before.hypotheses.first()) {
            return;
        }
        let revised = Attributed {
            verdict,
            hypotheses,
            clock: None,
            ..before.clone()
        };
        self.decide(Decision::Revised(revised), out);
    }

    /// What follows from the explanations: charge only what is sure enough.
    fn verdict(
        &self,
        seen: &Seen<'_>,
        explained: &[Explained],
        hypotheses: &[Hypothesis],
    ) -> AttributionVerdict {
        let (kind, delta) = (seen.kind, seen.delta);
        let nothing = |reason: &str| AttributionVerdict::Nothing {
            reason: reason.to_owned(),
        };
        let Some((first, likeliest)) = explained.first().zip(hypotheses.first()) else {
            return nothing("touched, and nothing changed");
        };
        let choice = &first.choice;
        let sure = first.probability >= self.definition.policy.confidence_min;
        let review = |reason: String| {
            let id = short_hash(&[self.definition.id.as_str(), &seen.stamp.to_string()]);
            AttributionVerdict::Review {
                review: format!("r-{id}").into(),
                reason,
            }
        };
        let foreign = choice.parts.iter().all(|p| p.items.is_empty());
        let nobody = likeliest.shares().all(|(session, _)| session.is_none());
        // Whether the likeliest is alone among several explanations that come to the same for everybody.
        let harmless: f64 = (explained.iter())
            .filter(|e| {
                e.choice
                    .parts
                    .iter()
                    .all(|p| p.items.is_empty() || p.who.is_none())
            })
            .map(|e| e.probability)
            .sum();
        let doubt = 1.0 - self.definition.policy.confidence_min;
        match () {
            () if foreign && kind == ChangeKind::Touch && 1.0 - harmless <= doubt.max(0.1) => {
                nothing("touched, and nothing changed")
            }
            () if foreign && kind == ChangeKind::Touch => {
                review("touched by several: one may have put back what another took".to_owned())
            }
            () if foreign && delta.0 > 0 && 1.0 - harmless <= doubt.max(0.1) => {
                nothing("something that is no product was put down")
            }
            () if foreign && choice.leaves_again && 1.0 - harmless <= doubt.max(0.1) => {
                nothing("something that is no product was taken away again")
            }
            () if foreign && kind == ChangeKind::Foreign => {
                nothing("a weight that no hand lifts so slowly")
            }
            () if foreign && delta.0 < 0 && self.too_light(seen) => {
                nothing("too light for anything that is sold here")
            }
            () if foreign && delta.0 < 0 && !choice.leaves_again => {
                review(format!("{} left, and no product explains it", delta.abs()))
            }
            () if nobody && !foreign && sure => nothing("nobody whom we know was near"),
            () if !foreign && sure => AttributionVerdict::Accepted,
            () => review(format!("only {:.0} % sure", 100.0 * first.probability)),
        }
    }

    /// Less than half of the lightest product on that shelf.
    fn too_light(&self, seen: &Seen<'_>) -> bool {
        let shelf = self.definition.layout.shelves.get(&seen.shelf);
        let plates = shelf.into_iter().flat_map(|s| &s.plates);
        (plates.flat_map(|p| self.definition.planogram.on_plate(p.id)))
            .filter_map(|f| self.definition.catalogue.products().get(f.product_index))
            .all(|product| 2 * seen.delta.0.abs() < product.weight.0)
    }
}

/// The explanations as they are journalled.
fn hypotheses(explained: &[Explained], kind: ChangeKind, reached: &[Reached]) -> Vec<Hypothesis> {
    let suspect = (reached.iter())
        .find(|r| r.session.is_some() && r.log_milli >= SUSPECT_MILLI)
        .and_then(|r| r.session.clone());
    (explained.iter())
        .filter_map(|e| {
            let Choice {
                parts,
                leaves_again,
            } = &e.choice;
            let (first, rest) = parts.split_first()?;
            let unexplained = first.items.is_empty() && kind == ChangeKind::Take && !leaves_again;
            let session = match unexplained {
                true => suspect.clone(),
                false => first.who.clone(),
            };
            let share = |p: &Part| Share {
                session: p.who.clone(),
                items: p.items.clone(),
                against: p.against,
            };
            Some(Hypothesis {
                session,
                items: first.items.clone(),
                also: rest.iter().map(share).collect(),
                probability_ppm: (e.probability * 1e6).round() as u32,
            })
        })
        .collect()
}
