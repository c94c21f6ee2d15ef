//! Who looks at a day afterwards. It shares no code with the coordinator: it reads what the journal holds, what the
//! provider's ledger says and what people really did, and knows the vocabulary of decisions, but none of their logic.

use std::collections::{BTreeMap, BTreeSet};

use super::people::Person;
use crate::checkout::decision::{AttributionVerdict, Decision, PaymentRequest};
use crate::checkout::payment::PaymentOutcome;
use crate::checkout::receipt::{Paid, Receipt};
use crate::checkout::session::SessionId;
use crate::edge::gateway::{Entry, EntryState};
use crate::observation::{DeviceId, Observation, OutboxId, Stamp, Stamped};
use crate::store::{Definition, NodeName, ProductId};
use crate::units::Timestamp;

/// Everything that is known of a day.
pub struct Evidence<'a> {
    pub definition: &'a Definition,
    pub people: &'a [Person],
    pub decisions: &'a [Decision],
    pub observations: &'a [Stamped],
    pub ledger: &'a [Entry],
    /// What nodes stamped.
    pub made: Vec<(&'a Stamp, &'a Vec<Observation>)>,
    /// Outboxes whose newest card is gone.
    pub replaced: BTreeSet<&'a OutboxId>,
    /// Up to where nodes were told that all is committed.
    pub words: BTreeMap<(&'a NodeName, &'a OutboxId), u64>,
    /// No question to the provider is open, and no node has anything left to tell.
    pub is_settled: bool,
    pub is_calm: bool,
    pub chain_error: Option<String>,
    /// The journal, read again with and without its snapshot, does not give the state that the store was in.
    pub replay_differs: bool,
}

/// A day in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub shoppers: u64,
    /// Of those, who were let in.
    pub let_in: u64,
    pub observations: u64,
    pub units_taken: u64,
    pub units_charged: u64,
    /// Shoppers whose receipt is not what they took, each with a review, a gap or a silent node that tells of it.
    pub flagged: u64,
    /// Of those, who were charged for something that they had put back unseen.
    pub flagged_overcharged: u64,
    pub receipts: u64,
}

impl Totals {
    pub fn merge(&mut self, other: &Totals) {
        self.shoppers += other.shoppers;
        self.let_in += other.let_in;
        self.observations += other.observations;
        self.units_taken += other.units_taken;
        self.units_charged += other.units_charged;
        self.flagged += other.flagged;
        self.flagged_overcharged += other.flagged_overcharged;
        self.receipts += other.receipts;
    }
}

/// What is objected to.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }
}

/// Looks at everything; the figures, and what is wrong, a sentence each.
pub fn audit(evidence: &Evidence<'_>) -> (Totals, Vec<String>) {
    let mut findings = Findings::default();
    let visits = visits(evidence, &mut findings);
    nothing_is_lost(evidence, &mut findings);
    money_is_right(evidence, &visits, &mut findings);
    if let Some(error) = &evidence.chain_error {
        findings.0.push(format!("the journal's chain: {error}"));
    }
    findings.expect(!evidence.replay_differs, || {
        "replaying the journal does not give the live state".to_owned()
    });
    findings.expect(evidence.is_settled, || {
        "a question to the provider or an observation waits for ever".to_owned()
    });
    let totals = charges_are_true(evidence, &visits, &mut findings);
    (totals, findings.0)
}

/// What the journal says of a session.
#[derive(Default)]
struct Visit<'a> {
    device: Option<&'a DeviceId>,
    exited: bool,
    settled: bool,
    receipts: Vec<&'a Receipt>,
    requests: Vec<(&'a str, &'a PaymentRequest)>,
}

fn visits<'a>(
    evidence: &Evidence<'a>,
    findings: &mut Findings,
) -> BTreeMap<&'a SessionId, Visit<'a>> {
    let mut visits: BTreeMap<&SessionId, Visit<'_>> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for decision in evidence.decisions {
        let mut late = |holds: bool, session: &SessionId| {
            findings.expect(holds, || format!("{session}: out of order: {decision:?}"));
        };
        if let Decision::SessionOpened {
            session, device, ..
        } = decision
        {
            late(!visits.contains_key(session), session);
            visits.entry(session).or_default().device = device.as_ref();
        } else if let Decision::SessionExited { session, .. } = decision {
            let visit = visits.entry(session).or_default();
            late(visit.device.is_some() && !visit.exited, session);
            visit.exited = true;
        } else if let Decision::Settled { session, .. } = decision {
            let visit = visits.entry(session).or_default();
            late(!visit.settled, session);
            visit.settled = true;
        } else if let Decision::PaymentRequested {
            session,
            key,
            request,
            ..
        } = decision
        {
            let visit = visits.entry(session).or_default();
            let is_taken = matches!(
                request,
                PaymentRequest::Capture { .. } | PaymentRequest::Charge { .. }
            );
            late(
                visit.device.is_some() && (visit.settled || !is_taken),
                session,
            );
            visit.requests.push((key.as_str(), request));
            asked.insert(key);
        } else if let Decision::PaymentDecided { session, key, .. } = decision {
            late(asked.contains(key), session);
        } else if let Decision::ReceiptIssued { receipt } = decision {
            let visit = visits.entry(&receipt.session).or_default();
            late(visit.settled, &receipt.session);
            visit.receipts.push(receipt);
        }
    }
    for (session, visit) in &visits {
        findings.expect(visit.receipts.len() <= 1, || {
            format!("{session}: two receipts")
        });
        let refused = !visit.exited && visit.receipts.is_empty();
        findings.expect(refused || visit.receipts.len() == 1, || {
            format!("{session} left and has no receipt")
        });
    }
    visits
}

/// Every observation that a node made durable is in the journal, once and unchanged, but for what lay unsent on a card
/// that was replaced; and what a node was told to be committed is there in any case.
fn nothing_is_lost(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut kept: BTreeMap<&Stamp, &Observation> = BTreeMap::new();
    for stamped in evidence.observations {
        let before = kept.insert(&stamped.stamp, &stamped.observation);
        findings.expect(before.is_none(), || {
            format!("{} is kept twice", stamped.stamp)
        });
    }
    for (stamp, made) in &evidence.made {
        let is_lost = evidence.replaced.contains(&stamp.outbox);
        match kept.get(stamp) {
            Some(kept) => findings.expect(made.contains(kept), || {
                format!("{stamp} is not what the node saw")
            }),
            None => findings.expect(is_lost, || format!("{stamp} is lost")),
        }
    }
    for ((node, outbox), upto) in &evidence.words {
        let sequences = kept
            .keys()
            .filter(|s| s.node == **node && s.outbox == **outbox);
        let has: BTreeSet<u64> = sequences.map(|s| s.sequence).collect();
        findings.expect((1..=*upto).all(|s| has.contains(&s)), || {
            format!("{node} was told that {upto} are committed, and some are not in the journal")
        });
    }
}

/// Holds that the provider has declined to capture or to release, by the journal.
fn refused<'a>(evidence: &Evidence<'a>) -> BTreeSet<&'a str> {
    let mut about = BTreeMap::new();
    let mut refused = BTreeSet::new();
    for decision in evidence.decisions {
        if let Decision::PaymentRequested { key, request, .. } = decision
            && let PaymentRequest::Capture { authorisation, .. }
            | PaymentRequest::Void { authorisation } = request
        {
            about.insert(key, authorisation.as_str());
        } else if let Decision::PaymentDecided { key, outcome, .. } = decision
            && matches!(outcome, PaymentOutcome::Declined { .. })
        {
            refused.extend(about.get(key));
        }
    }
    refused
}

/// Journal and ledger say the same, nothing is taken twice or beyond what was agreed, and nothing stays held.
fn money_is_right(
    evidence: &Evidence<'_>,
    visits: &BTreeMap<&SessionId, Visit<'_>>,
    findings: &mut Findings,
) {
    let mut by_key = BTreeMap::new();
    let refused = refused(evidence);
    for entry in evidence.ledger {
        let id = entry.authorisation.as_str();
        let key = id.strip_prefix("auth-").or(id.strip_prefix("charge-"));
        by_key.insert(key.unwrap_or(id), entry);
        findings.expect(entry.captured.minor <= entry.held.minor, || {
            format!("{id}: more captured than held")
        });
        // What the provider refuses to capture or to release stays held until it lapses there.
        let held = entry.state == EntryState::Held && !refused.contains(id);
        findings.expect(!held, || format!("{id} is held for ever"));
    }
    for (session, visit) in visits {
        let (mut holds, mut charges, mut taken) = (0, 0, 0);
        for (key, request) in &visit.requests {
            let is_hold = matches!(request, PaymentRequest::Authorise { .. });
            let is_charge = matches!(request, PaymentRequest::Charge { .. });
            if (is_hold || is_charge)
                && let Some(entry) = by_key.remove(key)
            {
                let counts = entry.captured.minor > 0;
                holds += u32::from(counts && is_hold);
                charges += u32::from(counts && is_charge);
                taken += entry.captured.minor - entry.refunded.minor;
            }
        }
        let person = evidence
            .people
            .iter()
            .find(|p| Some(&p.device) == visit.device);
        findings.expect(holds <= 1 && charges <= 1, || {
            format!("{session}: captured twice")
        });
        findings.expect(charges == 0 || person.is_some_and(|p| p.consents), || {
            format!("{session}: a second charge without consent")
        });
        if let Some(receipt) = visit.receipts.first() {
            let (total, owed) = (receipt.total.minor, receipt.owed.map(|owed| owed.minor));
            let due = match receipt.paid {
                Paid::Captured => total,
                Paid::Voided => 0,
                Paid::Owed => total - owed.unwrap_or(0),
            };
            findings.expect(taken == due, || {
                format!("{session}: {taken} taken, and the receipt says {due}")
            });
        } else {
            findings.expect(taken == 0, || {
                format!("{session}: {taken} taken and no receipt")
            });
        }
    }
    for (key, _) in by_key {
        findings.0.push(format!(
            "{key}: the provider knows of money that the journal does not"
        ));
    }
}

fn charges_are_true(
    evidence: &Evidence<'_>,
    visits: &BTreeMap<&SessionId, Visit<'_>>,
    findings: &mut Findings,
) -> Totals {
    let mut totals = Totals {
        observations: evidence.observations.len() as u64,
        ..Totals::default()
    };
    for person in evidence.people {
        let mut charged: BTreeMap<&ProductId, i64> = BTreeMap::new();
        let mut sessions = BTreeSet::new();
        for (session, visit) in visits
            .iter()
            .filter(|(_, v)| v.device == Some(&person.device))
        {
            sessions.insert(*session);
            totals.receipts += visit.receipts.len() as u64;
            for line in visit.receipts.iter().flat_map(|r| &r.lines) {
                *charged.entry(&line.product).or_default() += i64::from(line.quantity);
            }
        }
        let took: BTreeMap<&ProductId, i64> = (person.took.iter())
            .filter(|(_, units)| **units != 0)
            .map(|(product, units)| (product, *units))
            .collect();
        totals.shoppers += 1;
        totals.let_in += u64::from(person.inside.is_some());
        totals.units_taken += took.values().sum::<i64>().unsigned_abs();
        totals.units_charged += charged.values().sum::<i64>().unsigned_abs();
        if charged == took {
            continue;
        }
        totals.flagged += 1;
        let above = |(product, units): (&&ProductId, &i64)| {
            *units > took.get(*product).copied().unwrap_or(0)
        };
        totals.flagged_overcharged += u64::from(charged.iter().any(above));
        let flagged = evidence
            .decisions
            .iter()
            .any(|d| tells_of(d, person, &sessions, evidence.definition));
        findings.expect(flagged && !evidence.is_calm, || {
            format!(
                "{}: charged {charged:?}, took {took:?}, and nothing tells of it",
                person.device
            )
        });
    }
    if evidence.is_calm {
        let opened = evidence
            .decisions
            .iter()
            .filter(|d| asks_a_person(d))
            .count();
        findings.expect(opened == 0, || {
            format!("{opened} reviews or gaps without a fault")
        });
        findings.expect(totals.let_in == totals.shoppers, || {
            "somebody was not let in".to_owned()
        });
    }
    totals
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the auditor asks for a few decisions, and new ones tell it nothing"
)]
fn asks_a_person(decision: &Decision) -> bool {
    match decision {
        Decision::Attributed(a) | Decision::Revised(a) => {
            matches!(a.verdict, AttributionVerdict::Review { .. })
        }
        Decision::Unwatched(_) | Decision::Gap { .. } | Decision::CorrectionProposed { .. } => true,
        other => matches!(
            other,
            Decision::NodeSilent { .. } | Decision::LinesDropped { .. }
        ),
    }
}

/// Whether a decision tells an operator that this shopper's receipt may not be right.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the auditor asks for a few decisions, and new ones tell it nothing"
)]
fn tells_of(
    decision: &Decision,
    person: &Person,
    sessions: &BTreeSet<&SessionId>,
    definition: &Definition,
) -> bool {
    let Some((entered, left)) = person.inside else {
        return false;
    };
    let concerns = |node: &NodeName| {
        definition.layout.node(node).is_some_and(|n| {
            n.tracks_bodies
                || n.watches_gate
                || n.shelves
                    .iter()
                    .any(|s| person.shelves.contains(&s.gondola))
        })
    };
    let meets = |from: Timestamp, to: Timestamp| from <= left && to >= entered;
    match decision {
        Decision::Attributed(a) | Decision::Revised(a) | Decision::Unwatched(a) => {
            let mut shares = a.hypotheses.iter().flat_map(|h| h.shares());
            matches!(a.verdict, AttributionVerdict::Review { .. })
                && shares.any(|(session, _)| session.is_some_and(|s| sessions.contains(s)))
        }
        Decision::CorrectionProposed {
            at,
            shelf,
            sessions: named,
            ..
        } => {
            named.iter().any(|s| sessions.contains(s))
                || (meets(*at, *at) && person.shelves.contains(&shelf.gondola))
        }
        Decision::LinesDropped { session, .. } => sessions.contains(session),
        Decision::CartDetermined {
            session, doubted, ..
        } => sessions.contains(session) && !doubted.is_empty(),
        Decision::Gap { node, from, to, .. } => {
            concerns(node) && from.zip(*to).is_some_and(|(from, to)| meets(from, to))
        }
        // It may have been silent until long after; what it told then came too late for the receipt.
        Decision::NodeSilent { node, since } => {
            concerns(node) && *since <= left && left.seconds_since(*since) < 600.0
        }
        _ => false,
    }
}
