//! The numbers behind a change: what was weighed, what it can have been, who was near, and what became of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::later;
use super::played::{Change, Played};
use super::traces::{self, Level, Nearness};
use crate::checkout::attribution::Place;
use crate::checkout::decision::{Attributed, AttributionVerdict, Hypothesis};
use crate::checkout::session::{Session, SessionId};
use crate::observation::{ChangeKind, Item, TrackId};
use crate::store::{PlateId, ProductId, ShelfId};
use crate::units::{Milligrams, Timestamp};

/// Shoppers that are named in an explanation, at most: those whose hands or heads were nearest.
const NEAR_MAX: usize = 8;
/// Who came no nearer than this to the plates was not near, metres.
const NEAR_M: f64 = 2.5;

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
    /// The likeliest explanation: who did what of it.
    pub parts: Vec<Taken>,
    /// The probability of that, parts in a million.
    pub probability_ppm: u32,
    /// Whether later evidence changed what was decided first.
    pub revised: bool,
}

/// Somebody's share in a change.
#[derive(Clone, Debug, Serialize)]
pub struct Taken {
    /// The track, or the phone of who has none; `None`: nobody we know.
    pub who: Option<String>,
    /// Empty: no product of ours.
    pub items: Vec<Named>,
    /// `took` or `put back`, where others did the opposite in the same change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<&'static str>,
}

/// All that can be said about a change.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// As it stood in the end.
    #[serde(flatten)]
    pub outline: Outline,
    /// As it was decided first: what `candidates` and `near` are the reasons of.
    pub at_first: Outline,
    /// How long after the time that was asked for, seconds; negative: before it.
    pub off_s: f64,
    /// When the plates began to move and were quiet again, seconds from the recording's start.
    pub start_s: f64,
    pub end_s: f64,
    pub sigma_mg: Milligrams,
    pub plates_weighed: Vec<Weighed>,
    pub candidates: Vec<Candidate>,
    pub near: Vec<Near>,
    /// The probability that nobody we know did it, parts in a million.
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

/// A body that was near.
#[derive(Clone, Debug, Serialize)]
pub struct Near {
    /// `None`: a body without a session.
    pub session: Option<SessionId>,
    pub track: Option<TrackId>,
    pub staff: bool,
    #[serde(flatten)]
    pub distance: Nearness,
    /// How well its movement explains the change, as it was weighed then: natural log, in thousandths. `None`: too
    /// badly to be weighed.
    pub log_reach_milli: Option<i64>,
    /// The middle of the time for which a hand was near, seconds after the moment of the change.
    pub dwell_after_s: Option<f64>,
    /// That it took part, parts in a million; 0 for a body without a session.
    pub probability_ppm: u32,
}

/// A change in a line, as it stood in the end.
pub fn outline(played: &Played<'_>, change: &Change) -> Outline {
    outline_of(played, change, played.finally(change))
}

fn outline_of(played: &Played<'_>, change: &Change, attributed: &Attributed) -> Outline {
    let seen = &change.observation;
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
        parts: first.map_or_else(Vec::new, |h| parts(played, attributed, h)),
        probability_ppm: first.map_or(0, |h| h.probability_ppm),
        revised: !std::ptr::eq(played.finally(change), &change.attributed),
    }
}

/// Everybody's share in an explanation.
pub fn parts(played: &Played<'_>, change: &Attributed, hypothesis: &Hypothesis) -> Vec<Taken> {
    let both_ways = hypothesis.also.iter().any(|share| share.against);
    let way = |is_take| if is_take { "took" } else { "put back" };
    (change.movements(hypothesis))
        .map(|moved| Taken {
            who: moved.session.map(|id| played.name_of(id)),
            items: named(played, moved.items),
            way: both_ways.then(|| way(moved.is_take)),
        })
        .collect()
}

/// All that can be said about a change; `asked` is the time that it was looked for at.
pub fn tell(played: &Played<'_>, change: &Change, asked: Timestamp) -> Story {
    let seen = &change.observation;
    let near = near(played, change);
    let nobody = (change.attributed.hypotheses.iter())
        .filter(|h| h.shares().all(|(session, _)| session.is_none()))
        .map(|h| h.probability_ppm);
    Story {
        outline: outline(played, change),
        at_first: outline_of(played, change, &change.attributed),
        off_s: seen.peak.seconds_since(asked),
        start_s: played.since_start(seen.start),
        end_s: played.since_start(seen.end),
        sigma_mg: seen.sigma(),
        plates_weighed: weighed(played, change),
        candidates: candidates(played, change),
        near,
        nobody_ppm: nobody.sum(),
        later: later::tell(played, change),
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

/// What it can have been: what the node said, and what the store thought of besides. Most probable first.
fn candidates(played: &Played<'_>, change: &Change) -> Vec<Candidate> {
    let mut posterior: BTreeMap<Vec<Item>, u32> = BTreeMap::new();
    for hypothesis in &change.attributed.hypotheses {
        *posterior.entry(all_items(hypothesis)).or_default() += hypothesis.probability_ppm;
    }
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

/// The items of an explanation, whoever has them, by product.
fn all_items(hypothesis: &Hypothesis) -> Vec<Item> {
    let mut sum: BTreeMap<&ProductId, u32> = BTreeMap::new();
    for item in hypothesis.shares().flat_map(|(_, items)| items) {
        *sum.entry(&item.product).or_default() += item.quantity;
    }
    (sum.into_iter())
        .map(|(product, quantity)| Item {
            product: product.clone(),
            quantity,
        })
        .collect()
}

/// The bodies that bore on the change, and the shoppers who came near within [`traces::WINDOW_S`]; the most probable
/// first.
fn near(played: &Played<'_>, change: &Change) -> Vec<Near> {
    let seen = &change.observation;
    let Some(place) = Place::of(&played.definition, seen.shelf, &seen.plates) else {
        return Vec::new();
    };
    let state = played.state_before(change);
    let (weighed, hypotheses) = (&change.attributed.reached, &change.attributed.hypotheses);
    let shopper = |session: &Session| {
        let track = session.track.clone()?;
        let distance = traces::nearness(&played.tracks, &track, &place, seen.peak);
        let who = Some(&session.id);
        let reached = weighed.iter().find(|r| r.session.as_ref() == who);
        let took_part = |h: &&Hypothesis| h.shares().any(|(session, _)| session == who);
        let probability_ppm = hypotheses
            .iter()
            .filter(took_part)
            .map(|h| h.probability_ppm)
            .sum();
        (reached.is_some() || distance.is_within(NEAR_M)).then(|| Near {
            session: who.cloned(),
            track: Some(track),
            staff: reached.is_some_and(|r| r.staff),
            distance,
            log_reach_milli: reached.map(|r| r.log_milli),
            dwell_after_s: reached.and_then(|r| Some(r.middle?.seconds_since(seen.peak))),
            probability_ppm,
        })
    };
    let metres = |mm: Option<i64>| mm.map(|mm| mm as f64 / 1e3);
    let strangers = weighed
        .iter()
        .filter(|r| r.session.is_none())
        .map(|r| Near {
            session: None,
            track: None,
            staff: r.staff,
            distance: Nearness {
                hand_m: metres(r.hand_mm),
                head_m: metres(r.head_mm),
                ..Nearness::default()
            },
            log_reach_milli: Some(r.log_milli),
            dwell_after_s: r.middle.map(|at| at.seconds_since(seen.peak)),
            probability_ppm: 0,
        });
    let shoppers = state.sessions.values().filter_map(shopper);
    let mut near: Vec<Near> = shoppers.chain(strangers).collect();
    near.sort_by(|a, b| {
        let nearest = |n: &Near| n.distance.nearest_m().unwrap_or(f64::INFINITY);
        (b.probability_ppm, b.log_reach_milli)
            .cmp(&(a.probability_ppm, a.log_reach_milli))
            .then(nearest(a).total_cmp(&nearest(b)))
            .then_with(|| a.track.cmp(&b.track))
    });
    near.truncate(NEAR_MAX);
    near
}

pub fn named(played: &Played<'_>, items: &[Item]) -> Vec<Named> {
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

/// Who did what: `ann: 2 x 071142008582 ARRWHD SPRNG WTR`.
pub fn parts_text(parts: &[Taken]) -> String {
    let parts: Vec<String> = (parts.iter())
        .map(|part| {
            let who = part.who.as_deref().unwrap_or("nobody we know");
            let way = part.way.map(|way| format!(" {way}")).unwrap_or_default();
            format!("{who}{way}: {}", items_text(&part.items))
        })
        .collect();
    parts.join("; ")
}
