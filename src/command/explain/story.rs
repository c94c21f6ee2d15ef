//! The numbers behind a change: what was weighed, what it can have been, who was near, and what became of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::played::{Change, Played};
use super::traces::{self, Level, Nearness};
use crate::checkout::attribution::{self, Place};
use crate::checkout::decision::{Attributed, AttributionVerdict, Decision, Hypothesis};
use crate::checkout::receipt::Receipt;
use crate::checkout::session::SessionId;
use crate::observation::{ChangeKind, Item, TrackId};
use crate::store::{PlateId, ShelfId};
use crate::units::{Milligrams, Timestamp};

/// Shoppers that are named in an explanation, at most: those whose hands or heads were nearest.
const NEAR_MAX: usize = 8;
/// Who came no nearer than this to the plates was not near, metres.
const NEAR_M: f64 = 2.5;
/// Whose receipt is told of, besides the likeliest's: who did it with at least this probability, parts in a million.
const DOUBTED_PPM: u32 = 50_000;

/// A change in a line.
#[derive(Clone, Debug, Serialize)]
pub struct Outline {
    /// When the weight changed, seconds from the recording's start.
    pub t_s: f64,
    /// The same, microseconds since the Unix epoch.
    pub at: Timestamp,
    pub kind: ChangeKind,
    pub shelf: ShelfId,
    /// Indices on the shelf.
    pub plates: Vec<u16>,
    pub delta_mg: Milligrams,
    /// `accepted`, `review` or `nothing`.
    pub verdict: &'static str,
    /// Why, unless it was accepted.
    pub reason: Option<String>,
    /// The likeliest track (or session, where it has no track); `None`: nobody we know.
    pub who: Option<String>,
    /// What it was taken for; empty: no product of ours.
    pub items: Vec<Named>,
    /// The probability of that, parts in a million.
    pub probability_ppm: u32,
}

/// All that can be said about a change.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    #[serde(flatten)]
    pub outline: Outline,
    /// How long after the time that was asked for, seconds; negative: before it.
    pub off_s: f64,
    /// When the plates began to move and were quiet again, seconds from the recording's start.
    pub start_s: f64,
    pub end_s: f64,
    pub sigma_mg: Milligrams,
    pub plates_weighed: Vec<Weighed>,
    pub candidates: Vec<Candidate>,
    pub near: Vec<Near>,
    /// Log of the reach that an unseen taker is given, and the probability that it was one.
    pub nobody_log_reach: f64,
    pub nobody_ppm: u32,
    /// What became of it, in the order of events.
    pub later: Vec<String>,
}

/// How one plate changed.
#[derive(Clone, Debug, Serialize)]
pub struct Weighed {
    pub plate: PlateId,
    pub delta_mg: Milligrams,
    pub sigma_mg: Milligrams,
    /// Levels in the half second before and after the change; the zero of a load cell means nothing.
    pub before_mg: Option<Milligrams>,
    pub after_mg: Option<Milligrams>,
    /// Standard deviation of a 50 ms mean before the change.
    pub noise_mg: Option<Milligrams>,
}

/// Items with the product's name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Named {
    #[serde(flatten)]
    pub item: Item,
    pub name: String,
}

/// Something that the change can have been.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// Empty: no product of ours.
    pub items: Vec<Named>,
    /// Log-likelihood of the weights that the node gave, thousandths; `None`: the node did not consider it.
    pub log_likelihood_milli: Option<i64>,
    /// What the store knew besides the weights (planogram, carts, hands): posterior over likelihood, as a share of
    /// all candidates that have both.
    pub prior: Option<f64>,
    /// Over all shoppers, parts in a million; 0: less than one, or not among the explanations that are kept.
    pub posterior_ppm: u32,
}

/// A shopper who was near.
#[derive(Clone, Debug, Serialize)]
pub struct Near {
    pub session: SessionId,
    pub track: TrackId,
    #[serde(flatten)]
    pub distance: Nearness,
    /// Log of how well hands, or else the head, explain the change; `None`: not seen there and then, or not inside.
    pub log_reach: Option<f64>,
    /// Parts in a million.
    pub probability_ppm: u32,
}

/// A change in a line.
pub fn outline(played: &Played<'_>, change: &Change) -> Outline {
    let (attributed, seen) = (&change.attributed, &change.observation);
    let first = attributed.hypotheses.first();
    let (verdict, reason) = match &attributed.verdict {
        AttributionVerdict::Accepted => ("accepted", None),
        AttributionVerdict::Review { reason, .. } => ("review", Some(reason.clone())),
        AttributionVerdict::Nothing { reason } => ("nothing", Some(reason.clone())),
    };
    Outline {
        t_s: played.since_start(seen.peak),
        at: seen.peak,
        kind: seen.kind,
        shelf: seen.shelf,
        plates: seen.plates.iter().map(|p| p.plate).collect(),
        delta_mg: seen.delta(),
        verdict,
        reason,
        who: first
            .and_then(|h| h.session.as_ref())
            .map(|id| played.name_of(id)),
        items: first.map_or_else(Vec::new, |h| named(played, &h.items)),
        probability_ppm: first.map_or(0, |h| h.probability_ppm),
    }
}

/// All that can be said about a change; `asked` is the time that it was looked for at.
pub fn tell(played: &Played<'_>, change: &Change, asked: Timestamp) -> Story {
    let seen = &change.observation;
    let by_who = shares(&change.attributed, |h| h.session.clone());
    Story {
        outline: outline(played, change),
        off_s: seen.peak.seconds_since(asked),
        start_s: played.since_start(seen.start),
        end_s: played.since_start(seen.end),
        sigma_mg: seen.sigma(),
        plates_weighed: weighed(played, change),
        candidates: candidates(played, change),
        near: near(played, change, &by_who),
        nobody_log_reach: attribution::NOBODY.ln(),
        nobody_ppm: by_who.get(&None).copied().unwrap_or(0),
        later: later(played, change),
    }
}

fn weighed(played: &Played<'_>, change: &Change) -> Vec<Weighed> {
    let seen = &change.observation;
    (seen.plates.iter())
        .map(|p| {
            let plate = PlateId {
                shelf: seen.shelf,
                plate: p.plate,
            };
            let Level {
                before,
                after,
                noise,
            } = traces::level(played, plate, seen.start, seen.end);
            let mass = |grams: Option<f64>| grams.map(Milligrams::from_grams);
            Weighed {
                plate,
                delta_mg: p.delta_mg,
                sigma_mg: p.sigma_mg,
                before_mg: mass(before),
                after_mg: mass(after),
                noise_mg: mass(noise),
            }
        })
        .collect()
}

/// Probability by some part of the hypotheses, parts in a million.
fn shares<K: Ord>(attributed: &Attributed, part: impl Fn(&Hypothesis) -> K) -> BTreeMap<K, u32> {
    let mut shares = BTreeMap::new();
    for hypothesis in &attributed.hypotheses {
        *shares.entry(part(hypothesis)).or_default() += hypothesis.probability_ppm;
    }
    shares
}

/// What it can have been: what the node said, and what the store thought of besides. Most probable first.
fn candidates(played: &Played<'_>, change: &Change) -> Vec<Candidate> {
    let mut posterior = shares(&change.attributed, |h| h.items.clone());
    let mut found: Vec<(Vec<Item>, Option<i64>, u32)> = (change.observation.likelihoods.iter())
        .map(|l| {
            let ppm = posterior.remove(&l.items).unwrap_or(0);
            (l.items.clone(), Some(l.log_likelihood_milli), ppm)
        })
        .collect();
    found.extend(posterior.into_iter().map(|(items, ppm)| (items, None, ppm)));
    found.sort_by_key(|(_, log, ppm)| std::cmp::Reverse((*ppm, *log)));
    // Bayes' rule read backwards. Relative to the best, as a likelihood density can be of any size.
    let best = found.iter().filter_map(|f| f.1).max().unwrap_or(0);
    let odds = |log: Option<i64>, ppm: u32| {
        let worse = (log? - best) as f64 / 1e3;
        (ppm > 0).then(|| f64::from(ppm) / 1e6 / worse.exp())
    };
    let all: f64 = found.iter().filter_map(|f| odds(f.1, f.2)).sum();
    (found.into_iter())
        .map(|(items, log, ppm)| Candidate {
            items: named(played, &items),
            log_likelihood_milli: log,
            prior: odds(log, ppm).map(|o| o / all),
            posterior_ppm: ppm,
        })
        .collect()
}

/// The shoppers inside who came near the plates within [`traces::WINDOW_S`], the most probable first.
fn near(
    played: &Played<'_>,
    change: &Change,
    by_who: &BTreeMap<Option<SessionId>, u32>,
) -> Vec<Near> {
    let seen = &change.observation;
    let Some(place) = Place::of(&played.definition, seen.shelf, &seen.plates) else {
        return Vec::new();
    };
    let state = played.state_before(change);
    let mut near: Vec<Near> = (state.sessions.values())
        .filter_map(|session| {
            let track = session.track.clone()?;
            let distance = traces::nearness(&played.tracks, &track, &place, seen.peak);
            let ppm = by_who.get(&Some(session.id.clone())).copied().unwrap_or(0);
            (distance.is_within(NEAR_M) || ppm > 0).then(|| Near {
                session: session.id.clone(),
                track,
                distance,
                log_reach: (change.attributed.reached.iter())
                    .find(|r| r.session.as_ref() == Some(&session.id))
                    .map(|r| r.log_milli as f64 / 1e3),
                probability_ppm: ppm,
            })
        })
        .collect();
    near.sort_by(|a, b| {
        let nearest = |n: &Near| n.distance.nearest_m().unwrap_or(f64::INFINITY);
        (b.probability_ppm.cmp(&a.probability_ppm))
            .then(nearest(a).total_cmp(&nearest(b)))
            .then_with(|| a.track.cmp(&b.track))
    });
    near.truncate(NEAR_MAX);
    near
}

/// What became of a change, a sentence each.
fn later(played: &Played<'_>, change: &Change) -> Vec<String> {
    let attributed = &change.attributed;
    let (session, items) = attributed.hypotheses.first().map_or((None, &[][..]), |h| {
        (h.session.as_ref(), h.items.as_slice())
    });
    let involved = |id: &SessionId| {
        let doubted =
            |h: &Hypothesis| h.session.as_ref() == Some(id) && h.probability_ppm >= DOUBTED_PPM;
        session == Some(id) || attributed.hypotheses.iter().any(doubted)
    };
    let same =
        |others: &[Item]| (others.iter()).any(|o| items.iter().any(|i| i.product == o.product));
    let is_ours = |review| matches!(&attributed.verdict, AttributionVerdict::Review { review: ours, .. } if ours == review);
    let accepted = attributed.verdict == AttributionVerdict::Accepted;
    let mut later = Vec::new();
    for decision in played.after(change) {
        let said = match decision {
            Decision::Attributed(put)
                if accepted
                    && attributed.kind == ChangeKind::Take
                    && put.kind == ChangeKind::Put
                    && put.verdict == AttributionVerdict::Accepted =>
            {
                (put.hypotheses.first())
                    .filter(|h| h.session.as_ref() == session && same(&h.items))
                    .map(|h| {
                        let (what, t_s) = (
                            items_text(&named(played, &h.items)),
                            played.since_start(put.at),
                        );
                        format!("at {t_s:.2} s the same shopper put back {what}")
                    })
            }
            Decision::Revised(anew) if anew.change == attributed.change => {
                let best = anew.hypotheses.first();
                best.map(|h| {
                    let who = h
                        .session
                        .as_ref()
                        .map_or("nobody".to_owned(), |id| played.name_of(id));
                    let what = items_text(&named(played, &h.items));
                    let percent = f64::from(h.probability_ppm) / 1e4;
                    let verdict = match &anew.verdict {
                        AttributionVerdict::Accepted => "accepted",
                        AttributionVerdict::Review { .. } => "in review",
                        AttributionVerdict::Nothing { .. } => "nothing to charge",
                    };
                    format!("later evidence made it {what}, {who}, {percent:.1} %: {verdict}")
                })
            }
            Decision::ReviewClosed {
                review,
                at,
                by,
                session,
                items,
            } if is_ours(review) => {
                let who = session
                    .as_ref()
                    .map_or("nobody".to_owned(), |id| played.name_of(id));
                let what = if items.is_empty() {
                    "nothing is charged".to_owned()
                } else {
                    format!("{who} has {}", items_text(&named(played, items)))
                };
                let t_s = played.since_start(*at);
                Some(format!("at {t_s:.2} s {by} closed the review: {what}"))
            }
            Decision::LinesDropped {
                session: from,
                at,
                items: dropped,
                reason,
            } if session == Some(from) && same(dropped) => {
                let (what, t_s) = (items_text(&named(played, dropped)), played.since_start(*at));
                Some(format!(
                    "at {t_s:.2} s {what} was dropped from the cart: {reason}"
                ))
            }
            Decision::ReceiptIssued { receipt }
                if involved(&receipt.session) && !items.is_empty() =>
            {
                Some(on_receipt(played, receipt, items))
            }
            Decision::Attributed(_)
            | Decision::Revised(_)
            | Decision::CartDetermined { .. }
            | Decision::ReviewClosed { .. }
            | Decision::LinesDropped { .. }
            | Decision::ReceiptIssued { .. }
            | Decision::SessionOpened { .. }
            | Decision::EntryRefused { .. }
            | Decision::TrackBound { .. }
            | Decision::SessionExited { .. }
            | Decision::CartDrafted { .. }
            | Decision::Settled { .. }
            | Decision::PaymentRequested { .. }
            | Decision::PaymentDecided { .. }
            | Decision::NodeSilent { .. }
            | Decision::NodeBack { .. }
            | Decision::Gap { .. }
            | Decision::Quarantined { .. }
            | Decision::FrontierAdvanced { .. } => None,
        };
        later.extend(said);
    }
    later
}

fn on_receipt(played: &Played<'_>, receipt: &Receipt, items: &[Item]) -> String {
    let lines: Vec<Named> = (receipt.lines.iter())
        .filter(|line| items.iter().any(|i| i.product == line.product))
        .map(|line| Named {
            item: Item {
                product: line.product.clone(),
                quantity: line.quantity,
            },
            name: line.name.clone(),
        })
        .collect();
    let what = if lines.is_empty() {
        "does not have it".to_owned()
    } else {
        format!("has {}", items_text(&lines))
    };
    format!("the receipt of {} {what}", played.name_of(&receipt.session))
}

fn named(played: &Played<'_>, items: &[Item]) -> Vec<Named> {
    (items.iter())
        .map(|item| Named {
            item: item.clone(),
            name: (played.definition.catalogue.get(item.product.as_str()))
                .map_or_else(String::new, |p| p.name.clone()),
        })
        .collect()
}

/// `2 x 071142008582 ARRWHD SPRNG WTR`.
pub fn items_text(items: &[Named]) -> String {
    if items.is_empty() {
        return "no product of ours".to_owned();
    }
    let items: Vec<String> = (items.iter())
        .map(|n| {
            let Item { product, quantity } = &n.item;
            format!("{quantity} x {product} {}", n.name)
                .trim_end()
                .to_owned()
        })
        .collect();
    items.join(" and ")
}
