//! What webhooks are told: events that follow from decisions, and from how the store is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::checkout::decision::{Attributed, AttributionVerdict, Decision, ReviewId};
use crate::checkout::receipt::{Paid, Receipt};
use crate::checkout::session::SessionId;
use crate::console::api::{CartShape, ReceiptShape};
use crate::console::view::{self, LineView, StoreView};
use crate::edge::office::Event;
use crate::store::NodeName;
use crate::units::Timestamp;

/// Every kind of event, with what it says.
pub const KINDS: [(&str, &str); 8] = [
    ("session.entered", "Somebody has come in"),
    ("cart.updated", "What is in a cart has changed"),
    (
        "checkout.draft",
        "Somebody has left, and something is still being checked",
    ),
    ("checkout.captured", "A visit is paid"),
    ("checkout.voided", "A visit is over, and nothing was taken"),
    (
        "checkout.owed",
        "A visit is over, and could not be charged, or not all of it",
    ),
    ("review.opened", "A doubtful change waits for a verdict"),
    ("node.unhealthy", "A node is silent, or tells of trouble"),
];

/// What a webhook is told when somebody tries it.
const TEST: &str = "webhook.test";

/// What was told before, where that decides what is told next.
#[derive(Default)]
pub struct Teller {
    carts: BTreeMap<SessionId, Vec<LineView>>,
    reviews: BTreeSet<ReviewId>,
    /// None before the first look: what ailed then was told before the program started.
    troubles: Option<BTreeMap<NodeName, String>>,
}

impl Teller {
    /// What follows from decisions, as the store is after them.
    pub fn events(
        &mut self,
        decisions: &[(i64, Decision)],
        view: &StoreView,
        now: Timestamp,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        let mut touched: BTreeMap<SessionId, i64> = BTreeMap::new();
        for (sequence, decision) in decisions {
            if let Some((kind, data)) = self.told(decision, view) {
                let id = format!("evt-{sequence}");
                events.push(event(id, kind, Some(*sequence), view, now, data));
            }
            for session in view::touched(decision) {
                touched.insert(session, *sequence);
            }
        }
        for visit in &view.sessions {
            let session = &visit.shopper.session;
            let Some(sequence) = touched.get(session) else {
                continue;
            };
            let before = self.carts.get(session).map_or(&[][..], Vec::as_slice);
            if before != visit.lines.as_slice() {
                self.carts.insert(session.clone(), visit.lines.clone());
                let id = format!("evt-{sequence}-{session}");
                let data = json!(CartShape::from(visit));
                events.push(event(id, "cart.updated", Some(*sequence), view, now, data));
            }
        }
        let is_here = |id: &SessionId| view.sessions.iter().any(|v| v.shopper.session == *id);
        self.carts.retain(|session, _| is_here(session));
        events.extend(self.troubles(view, now));
        events
    }

    fn told(&mut self, decision: &Decision, view: &StoreView) -> Option<(&'static str, Value)> {
        match decision {
            // Where there is a gate, whoever shows a code comes in a moment later.
            Decision::TrackBound { session, at, .. }
            | Decision::SessionOpened {
                session,
                at,
                track: Some(_),
                ..
            } => {
                let data = json!({ "session": session, "entered_at": at.to_string() });
                Some(("session.entered", data))
            }
            Decision::CartDrafted {
                session, reason, ..
            } => {
                let cart = view.sessions.iter().find(|v| v.shopper.session == *session);
                let cart = cart.map(CartShape::from);
                let data = json!({ "session": session, "reason": reason, "cart": cart });
                Some(("checkout.draft", data))
            }
            Decision::ReceiptIssued { receipt } => Some(paid(receipt)),
            Decision::Attributed(change)
            | Decision::Revised(change)
            | Decision::Unwatched(change) => self.review(change),
            Decision::NodeSilent { node, since } => {
                let why = "it has not been heard of past its limit";
                let data = json!({ "node": node, "since": since.to_string(), "trouble": why });
                Some(("node.unhealthy", data))
            }
            Decision::ReviewClosed { review, .. } => {
                self.reviews.remove(review);
                None
            }
            Decision::SessionOpened { track: None, .. }
            | Decision::EntryRefused { .. }
            | Decision::AdmittedUnsecured { .. }
            | Decision::LinesDropped { .. }
            | Decision::VisitGivenUp { .. }
            | Decision::SessionExited { .. }
            | Decision::CartDetermined { .. }
            | Decision::Settled { .. }
            | Decision::PaymentRequested { .. }
            | Decision::PaymentDecided { .. }
            | Decision::ProviderAway { .. }
            | Decision::ProviderBack { .. }
            | Decision::NodeBack { .. }
            | Decision::Gap { .. }
            | Decision::CorrectionProposed { .. }
            | Decision::EntryBarred { .. }
            | Decision::EntryFreed { .. }
            | Decision::Quarantined { .. }
            | Decision::FrontierAdvanced { .. } => None,
        }
    }

    fn review(&mut self, change: &Attributed) -> Option<(&'static str, Value)> {
        let AttributionVerdict::Review { review, reason } = &change.verdict else {
            return None;
        };
        // A change that is revised stays in review under the same name.
        self.reviews.insert(review.clone()).then(|| {
            let data = json!({
                "review": review, "at": change.at.to_string(), "shelf": change.shelf.to_string(),
                "plates": change.plates, "delta_mg": change.delta_mg.0, "reason": reason,
            });
            ("review.opened", data)
        })
    }

    fn troubles(&mut self, view: &StoreView, now: Timestamp) -> Vec<Event> {
        let troubles: BTreeMap<NodeName, String> = (view.nodes.iter())
            .filter(|node| !node.trouble.is_empty())
            .map(|node| (node.name.clone(), node.trouble.clone()))
            .collect();
        let before = self.troubles.replace(troubles.clone());
        let Some(before) = before else {
            return Vec::new();
        };
        let new = troubles
            .iter()
            .filter(|(node, _)| !before.contains_key(*node));
        new.map(|(node, trouble)| {
            let data = json!({ "node": node, "since": now.to_string(), "trouble": trouble });
            event(
                format!("evt-{node}-{}", now.0),
                "node.unhealthy",
                None,
                view,
                now,
                data,
            )
        })
        .collect()
    }
}

fn paid(receipt: &Receipt) -> (&'static str, Value) {
    let kind = match receipt.paid {
        Paid::Captured => "checkout.captured",
        Paid::Voided => "checkout.voided",
        Paid::Owed => "checkout.owed",
    };
    (kind, json!(ReceiptShape::from(receipt)))
}

fn event(
    id: String,
    kind: &'static str,
    decision: Option<i64>,
    view: &StoreView,
    now: Timestamp,
    data: Value,
) -> Event {
    let body = json!({
        "id": id, "type": kind, "created_at": now.to_string(), "store": view.store_id, "data": data,
    });
    Event {
        id,
        kind,
        decision,
        body: body.to_string(),
    }
}

/// One that says nothing.
pub fn test(view: &StoreView, by: &str, now: Timestamp) -> Event {
    let data = json!({ "by": by });
    event(format!("evt-test-{}", now.0), TEST, None, view, now, data)
}
