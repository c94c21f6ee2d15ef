//! A day's payments by the journal, and how they differ from the provider's own list.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{IdempotencyKey, PaymentOutcome};
use crate::checkout::decision::{Decision, PaymentRequest};
use crate::checkout::receipt::{Paid, Receipt};
use crate::checkout::session::SessionId;
use crate::units::{Money, Timestamp};

/// Money of one hold or one charge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Under which key it was asked for; at the provider's it may be another program's.
    pub key: Option<IdempotencyKey>,
    /// The provider's name for it; none before it has answered.
    pub id: Option<String>,
    /// When it was asked for; at the provider's, when it was made.
    pub at: Timestamp,
    pub amount: Money,
    /// Minor units.
    pub captured_minor: i64,
    /// Minor units.
    pub refunded_minor: i64,
    pub stands: Stands,
}

/// What became of a hold or a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// Neither captured nor released.
    Held,
    Captured,
    /// Released, or expired.
    Released,
    Declined,
    /// An answer is open, or the provider is at it.
    UnderWay,
}

/// Every payment of a journal, and what is owed.
#[derive(Clone, Debug, Default)]
pub struct Book {
    entries: BTreeMap<IdempotencyKey, Entry>,
    by_id: BTreeMap<String, IdempotencyKey>,
    questions: BTreeMap<IdempotencyKey, (Timestamp, PaymentRequest)>,
    refunds: Vec<(Timestamp, Money)>,
    owed: Vec<(Timestamp, SessionId, Money)>,
}

/// A number of payments and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    pub count: u64,
    pub minor: i64,
}

/// A stretch of time by the journal: what was asked for in it, and what has become of that since.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Day {
    /// Holds that were made.
    pub holds: Sum,
    /// Of holds and charges.
    pub captured: Sum,
    /// Of those, charges without a hold.
    pub charges: Sum,
    /// Holds that were released, or have expired.
    pub released: Sum,
    /// Holds that are neither captured nor released yet.
    pub held: Sum,
    /// Holds and charges that were declined.
    pub declined: Sum,
    /// Holds and charges that the provider has not answered.
    pub under_way: Sum,
    /// Refunds of this time, whenever the sale was.
    pub refunded: Sum,
    /// What receipts of this time say is owed.
    pub owed: Sum,
    /// The same, session by session.
    pub owed_by: Vec<(SessionId, Money)>,
}

impl Sum {
    fn add(&mut self, minor: i64) {
        self.count += 1;
        self.minor = self.minor.saturating_add(minor);
    }
}

impl Book {
    /// Takes the journal's next decision.
    pub fn push(&mut self, decision: &Decision) {
        match decision {
            Decision::PaymentRequested {
                at, key, request, ..
            } => self.request(*at, key, request),
            Decision::PaymentDecided { key, outcome, .. } => self.decide(key, outcome),
            Decision::ReceiptIssued { receipt } => self.owed.extend(owed(receipt)),
            // What else is decided moves no money.
            Decision::SessionOpened { .. }
            | Decision::EntryRefused { .. }
            | Decision::AdmittedUnsecured { .. }
            | Decision::TrackBound { .. }
            | Decision::Attributed(_)
            | Decision::Revised(_)
            | Decision::ReviewClosed { .. }
            | Decision::LinesDropped { .. }
            | Decision::SessionExited { .. }
            | Decision::CartDetermined { .. }
            | Decision::CartDrafted { .. }
            | Decision::Settled { .. }
            | Decision::ProviderAway { .. }
            | Decision::ProviderBack { .. }
            | Decision::NodeSilent { .. }
            | Decision::NodeBack { .. }
            | Decision::VisitGivenUp { .. }
            | Decision::CorrectionProposed { .. }
            | Decision::Unwatched(_)
            | Decision::EntryBarred { .. }
            | Decision::EntryFreed { .. }
            | Decision::Gap { .. }
            | Decision::Quarantined { .. }
            | Decision::FrontierAdvanced { .. } => {}
        }
    }

    fn request(&mut self, at: Timestamp, key: &IdempotencyKey, request: &PaymentRequest) {
        match request {
            PaymentRequest::Authorise { amount, .. } | PaymentRequest::Charge { amount, .. } => {
                let entry = Entry {
                    key: Some(key.clone()),
                    id: None,
                    at,
                    amount: *amount,
                    captured_minor: 0,
                    refunded_minor: 0,
                    stands: Stands::UnderWay,
                };
                self.entries.insert(key.clone(), entry);
            }
            PaymentRequest::Capture { authorisation, .. }
            | PaymentRequest::Void { authorisation } => {
                self.with(authorisation, |entry| entry.stands = Stands::UnderWay);
            }
            PaymentRequest::Refund { .. } => {}
        }
        self.questions.insert(key.clone(), (at, request.clone()));
    }

    fn decide(&mut self, key: &IdempotencyKey, outcome: &PaymentOutcome) {
        let Some((at, request)) = self.questions.remove(key) else {
            return;
        };
        let done = match outcome {
            PaymentOutcome::Done { authorisation } => Some(authorisation),
            PaymentOutcome::Declined { .. } | PaymentOutcome::Lapsed { .. } => None,
        };
        let lapsed = matches!(outcome, PaymentOutcome::Lapsed { .. });
        match (&request, done) {
            (PaymentRequest::Authorise { .. } | PaymentRequest::Charge { .. }, Some(id)) => {
                self.by_id.insert(id.clone(), key.clone());
                let charge = matches!(request, PaymentRequest::Charge { .. });
                self.with(id, |entry| {
                    entry.id = Some(id.clone());
                    entry.stands = Stands::Held;
                    if charge {
                        entry.stands = Stands::Captured;
                        entry.captured_minor = entry.amount.minor;
                    }
                });
            }
            (PaymentRequest::Authorise { .. } | PaymentRequest::Charge { .. }, None) => {
                if let Some(entry) = self.entries.get_mut(key) {
                    entry.stands = Stands::Declined;
                }
            }
            (PaymentRequest::Capture { amount, .. }, Some(id)) => self.with(id, |entry| {
                entry.stands = Stands::Captured;
                entry.captured_minor = amount.minor;
            }),
            (PaymentRequest::Void { .. }, Some(id)) => {
                self.with(id, |entry| entry.stands = Stands::Released);
            }
            (
                PaymentRequest::Capture { authorisation, .. }
                | PaymentRequest::Void { authorisation },
                None,
            ) => self.with(authorisation, |entry| {
                entry.stands = match lapsed {
                    true => Stands::Released,
                    false => Stands::Held,
                };
            }),
            (PaymentRequest::Refund { amount, .. }, Some(id)) => {
                self.refunds.push((at, *amount));
                self.with(id, |entry| {
                    entry.refunded_minor = entry.refunded_minor.saturating_add(amount.minor);
                });
            }
            (PaymentRequest::Refund { .. }, None) => {}
        }
    }

    fn with(&mut self, id: &str, change: impl FnOnce(&mut Entry)) {
        let entry = (self.by_id.get(id)).and_then(|key| self.entries.get_mut(key));
        if let Some(entry) = entry {
            change(entry);
        }
    }

    /// What happened from `from` up to before `until`.
    pub fn day(&self, from: Timestamp, until: Timestamp) -> Day {
        let mut day = Day::default();
        let within = |at: Timestamp| at >= from && at < until;
        for entry in self.entries.values().filter(|entry| within(entry.at)) {
            let amount = entry.amount.minor;
            let is_charge = entry
                .key
                .as_ref()
                .is_some_and(|k| k.as_str().ends_with("/charge"));
            if !is_charge && entry.id.is_some() {
                day.holds.add(amount);
            }
            match entry.stands {
                Stands::Held => day.held.add(amount),
                Stands::Captured => day.captured.add(entry.captured_minor),
                Stands::Released => day.released.add(amount),
                Stands::Declined => day.declined.add(amount),
                Stands::UnderWay => day.under_way.add(amount),
            }
            if is_charge && entry.stands == Stands::Captured {
                day.charges.add(amount);
            }
        }
        for (_, amount) in self.refunds.iter().filter(|(at, _)| within(*at)) {
            day.refunded.add(amount.minor);
        }
        for (_, session, amount) in self.owed.iter().filter(|(at, ..)| within(*at)) {
            day.owed.add(amount.minor);
            day.owed_by.push((session.clone(), *amount));
        }
        day
    }

    /// Everything in which the provider's list differs, a sentence each. The list has at least what was made from
    /// `from` on up to before `until`, and what it has besides is looked at where the journal speaks of it.
    pub fn differences(
        &self,
        store: &str,
        provider: &[Entry],
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<String> {
        let mut theirs: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in provider {
            if let Some(key) = &entry.key {
                theirs.entry(key.as_str()).or_default().push(entry);
            }
        }
        let mut found = Vec::new();
        let within = |at: Timestamp| at >= from && at < until;
        for (key, ours) in self.entries.iter().filter(|(_, entry)| within(entry.at)) {
            let same = theirs.get(key.as_str()).map_or(&[][..], |entries| entries);
            found.extend(compare(key, ours, same));
        }
        let ours = format!("{store}/");
        for (key, entries) in theirs {
            let first = entries.iter().find(|entry| within(entry.at));
            if let Some(entry) = first
                && key.starts_with(&ours)
                && !self.entries.contains_key(&IdempotencyKey::from(key))
            {
                let amount = entry.amount;
                let named = named(entry);
                found.push(format!(
                    "{key}: the provider has {named} of {amount}, and the journal knows nothing of it"
                ));
            }
        }
        found
    }
}

/// What a receipt leaves unpaid.
fn owed(receipt: &Receipt) -> Option<(Timestamp, SessionId, Money)> {
    match receipt.paid {
        Paid::Captured | Paid::Voided => None,
        Paid::Owed => {
            let amount = receipt.owed.unwrap_or(receipt.total);
            Some((receipt.exited_at, receipt.session.clone(), amount))
        }
    }
}

fn named(entry: &Entry) -> &str {
    entry.id.as_deref().unwrap_or("a payment")
}

/// How what the journal has of a key differs from what the provider has.
fn compare(key: &IdempotencyKey, ours: &Entry, theirs: &[&Entry]) -> Vec<String> {
    let live = |entry: &&&Entry| match entry.stands {
        Stands::Held | Stands::Captured | Stands::UnderWay => true,
        Stands::Released | Stands::Declined => false,
    };
    if theirs.iter().filter(live).count() > 1 {
        let ids: Vec<&str> = theirs.iter().map(|entry| named(entry)).collect();
        return vec![format!(
            "{key}: the provider has it more than once: {}",
            ids.join(", ")
        )];
    }
    let Some(entry) = theirs.iter().find(live).or(theirs.first()) else {
        return match ours.stands {
            Stands::Declined | Stands::UnderWay => Vec::new(),
            Stands::Held | Stands::Captured | Stands::Released => {
                vec![format!(
                    "{key}: the provider knows nothing of {}",
                    named(ours)
                )]
            }
        };
    };
    let money = |minor| Money::new(minor, ours.amount.currency);
    let mut found = Vec::new();
    let stands = (ours.stands, entry.stands);
    match stands {
        // The store will hear of it: it asks until it has an answer.
        (Stands::UnderWay, _) => return found,
        // A hold that expires by itself is gone at the provider before the store asks for it.
        (Stands::Held, Stands::Released) => found.push(format!(
            "{key}: the journal has it held, and at the provider the hold is gone"
        )),
        (ours, theirs) if ours != theirs => found.push(format!(
            "{key}: the journal has it {}, the provider {}",
            ours.name(),
            theirs.name()
        )),
        _ => {}
    }
    for (what, ours, theirs) in [
        ("of", ours.amount.minor, entry.amount.minor),
        ("captured", ours.captured_minor, entry.captured_minor),
        ("refunded", ours.refunded_minor, entry.refunded_minor),
    ] {
        if ours != theirs {
            let (ours, theirs) = (money(ours), money(theirs));
            found.push(format!(
                "{key}: {what} {ours} by the journal, {theirs} by the provider"
            ));
        }
    }
    found
}

impl Stands {
    /// In a word, for sentences.
    pub fn name(self) -> &'static str {
        match self {
            Stands::Held => "held",
            Stands::Captured => "captured",
            Stands::Released => "released",
            Stands::Declined => "declined",
            Stands::UnderWay => "under way",
        }
    }
}
