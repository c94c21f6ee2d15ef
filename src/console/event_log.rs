//! Decisions as sentences: what the console's list of events is made of.

mod proposals;

use std::collections::VecDeque;

use serde::Serialize;

use super::view::{Shopper, product_name};
use crate::checkout::decision::{
    Attributed, AttributionVerdict, Decision, Hypothesis, PaymentRequest,
};
use crate::checkout::payment::PaymentOutcome;
use crate::checkout::receipt::{Paid, Receipt};
use crate::checkout::session::{Role, SessionId};
use crate::observation::{ChangeKind, Item};
use crate::store::Definition;
use crate::units::{Milligrams, Timestamp};

/// Events that an [`EventLog`] keeps; beyond, the oldest is forgotten (the journal has them all).
pub const EVENTS_MAX: usize = 200;

/// Something that happened, in one sentence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventView {
    /// Counts up from 1: tells events apart that happened at the same moment.
    pub number: u64,
    pub at: Timestamp,
    pub kind: EventKind,
    /// A person should look at this.
    pub urgent: bool,
    /// Whom it is about, where that is one shopper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shopper: Option<Shopper>,
    /// `Shopper 4F2A took 2 × Nutella Biscuits from shelf 1.5 (97 %)`.
    pub sentence: String,
    /// Why, or what else it could have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Somebody took something from a shelf.
    Take,
    /// Somebody put something back.
    Put,
    /// A shelf was touched, and nothing changed.
    Touch,
    /// Something that the store does not sell was put on a shelf.
    Foreign,
    /// A doubt, or a person's answer to one.
    Review,
    /// Somebody came, left or was refused.
    Gate,
    /// A refusal or refund of the gateway.
    Payment,
    /// A receipt was handed out.
    Receipt,
    /// A node went silent, came back, or lost something.
    Node,
}

/// The last events; at most [`EVENTS_MAX`], then the oldest is forgotten.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    events: VecDeque<EventView>,
    pushed: u64,
    /// The latest event time heard of: dates those decisions that carry none themselves.
    now: Option<Timestamp>,
}

impl EventLog {
    /// Adds what a decision says to people. Decisions that are steps on the way to another one add nothing.
    pub fn push(&mut self, decision: &Decision, definition: &Definition) {
        let at = decision.at();
        self.now = self.now.max(at);
        let Some(told) = tell(decision, definition) else {
            return;
        };
        self.pushed += 1;
        self.events.truncate(EVENTS_MAX - 1);
        self.events.push_front(EventView {
            number: self.pushed,
            at: at.or(self.now).unwrap_or_default(),
            kind: told.kind,
            urgent: told.urgent,
            shopper: told.shopper,
            sentence: told.sentence,
            detail: told.detail,
        });
    }

    /// Newest first.
    pub fn recent(&self) -> Vec<EventView> {
        self.events.iter().cloned().collect()
    }
}

/// What there is to say about a decision.
struct Told {
    kind: EventKind,
    urgent: bool,
    shopper: Option<Shopper>,
    sentence: String,
    detail: Option<String>,
}

impl Told {
    fn new(kind: EventKind, sentence: String) -> Option<Self> {
        Some(Told {
            kind,
            urgent: false,
            shopper: None,
            sentence,
            detail: None,
        })
    }

    fn of(kind: EventKind, session: &SessionId, rest: &str) -> Option<Self> {
        let shopper = Shopper::of(session);
        let mut told = Told::new(kind, format!("{shopper} {rest}"))?;
        told.shopper = Some(shopper);
        Some(told)
    }

    fn urgent(kind: EventKind, sentence: String) -> Option<Self> {
        let mut told = Told::new(kind, sentence)?;
        told.urgent = true;
        Some(told)
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm for each decision, each short"
)]
fn tell(decision: &Decision, definition: &Definition) -> Option<Told> {
    match decision {
        Decision::SessionOpened { session, role, .. } => {
            let came = match role {
                Role::Shopper => "came in",
                Role::Staff => "came in to see to the shelves",
            };
            Told::of(EventKind::Gate, session, came)
        }
        Decision::EntryRefused { reason, .. } => {
            Told::new(EventKind::Gate, format!("Entry refused: {reason}"))
        }
        Decision::AdmittedUnsecured { session, .. } => {
            let mut told = Told::of(EventKind::Gate, session, "came in without a hold")?;
            told.detail = Some("It is made when the payment provider is back.".to_owned());
            Some(told)
        }
        Decision::Attributed(attributed) => tell_attributed(attributed, definition),
        Decision::Revised(attributed) => tell_revised(attributed, definition),
        Decision::ReviewClosed {
            by, session, items, ..
        } => tell_closed(by, session.as_ref(), items, definition),
        Decision::VisitGivenUp {
            session, reason, ..
        } => {
            let mut told = Told::of(EventKind::Gate, session, "is taken to have left")?;
            told.detail = Some(reason.clone());
            Some(told)
        }
        Decision::SessionExited { session, .. } => Told::of(EventKind::Gate, session, "left"),
        Decision::CartDetermined { .. } => None,
        Decision::CartDrafted {
            session, reason, ..
        } => {
            let mut told = Told::of(EventKind::Gate, session, "has a cart that must wait")?;
            told.detail = Some(reason.clone());
            Some(told)
        }
        Decision::LinesDropped {
            session,
            items,
            reason,
            ..
        } => {
            let what = item_list(items, definition);
            let mut told = Told::of(
                EventKind::Review,
                session,
                &format!("is not charged for {what}"),
            )?;
            told.detail = Some(reason.clone());
            Some(told)
        }
        Decision::PaymentRequested {
            session, request, ..
        } => tell_request(session, request),
        Decision::PaymentDecided {
            session, outcome, ..
        } => tell_outcome(session, outcome),
        Decision::ProviderAway { reason, .. } => {
            let sentence = "The payment provider cannot be reached".to_owned();
            let mut told = Told::urgent(EventKind::Payment, sentence)?;
            told.detail = Some(reason.clone());
            Some(told)
        }
        Decision::ProviderBack { .. } => Told::new(
            EventKind::Payment,
            "The payment provider is back".to_owned(),
        ),
        Decision::ReceiptIssued { receipt } => tell_receipt(receipt),
        Decision::NodeSilent { node, .. } => {
            let mut told = Told::urgent(EventKind::Node, format!("Node {node} has gone silent"))?;
            told.detail = Some("Carts that it could change wait until it is back.".to_owned());
            Some(told)
        }
        Decision::NodeBack { node, .. } => {
            Told::new(EventKind::Node, format!("Node {node} is back"))
        }
        Decision::Gap {
            node,
            after,
            before,
            dropped,
            reason,
            ..
        } => {
            let unsent = before.saturating_sub(*after).saturating_sub(1);
            proposals::tell_gap(node, unsent + dropped, reason)
        }
        Decision::Unwatched(attributed) => proposals::tell_unwatched(attributed, definition),
        Decision::CorrectionProposed { .. } => proposals::tell(decision, definition),
        Decision::EntryBarred { reason, .. } => {
            Told::urgent(EventKind::Gate, format!("Nobody is let in: {reason}"))
        }
        Decision::EntryFreed { bar, .. } => Told::new(EventKind::Gate, proposals::freed(bar)),
        Decision::Quarantined { stamp, reason } => {
            let node = &stamp.node;
            let sentence = format!("A message of node {node} could not be read and was set aside");
            let mut told = Told::urgent(EventKind::Node, sentence)?;
            told.detail = Some(reason.clone());
            Some(told)
        }
        // Inner steps: the track shows in what is attributed, the total on the receipt.
        Decision::TrackBound { .. }
        | Decision::Settled { .. }
        | Decision::FrontierAdvanced { .. } => None,
    }
}

fn tell_request(session: &SessionId, request: &PaymentRequest) -> Option<Told> {
    match request {
        PaymentRequest::Refund { amount, .. } => {
            let rest = format!("is refunded {amount}");
            Told::of(EventKind::Payment, session, &rest)
        }
        PaymentRequest::Charge { amount, .. } => {
            let rest = format!("is charged {amount} that the hold did not cover");
            Told::of(EventKind::Payment, session, &rest)
        }
        // Their outcomes follow: a refusal, or the receipt.
        PaymentRequest::Authorise { .. }
        | PaymentRequest::Capture { .. }
        | PaymentRequest::Void { .. } => None,
    }
}

fn tell_outcome(session: &SessionId, outcome: &PaymentOutcome) -> Option<Told> {
    match outcome {
        PaymentOutcome::Done { .. } => None,
        PaymentOutcome::Declined { reason } => {
            let rest = format!("had a payment declined: {reason}");
            let mut told = Told::of(EventKind::Payment, session, &rest)?;
            told.urgent = true;
            Some(told)
        }
        PaymentOutcome::Lapsed { reason } => {
            let rest = format!("had a hold that is not there any more: {reason}");
            Told::of(EventKind::Payment, session, &rest)
        }
    }
}

fn tell_receipt(receipt: &Receipt) -> Option<Told> {
    let total = receipt.total;
    let rest = match receipt.paid {
        Paid::Captured => format!("paid {total}"),
        Paid::Voided => "took nothing and paid nothing".to_owned(),
        Paid::Owed => match receipt.owed {
            Some(owed) if owed != total => format!("owes {owed} of {total}"),
            Some(_) | None => format!("owes {total}: the payment was refused"),
        },
    };
    let mut told = Told::of(EventKind::Receipt, &receipt.session, &rest)?;
    told.urgent = matches!(receipt.paid, Paid::Owed);
    Some(told)
}

fn tell_closed(
    by: &str,
    session: Option<&SessionId>,
    items: &[Item],
    definition: &Definition,
) -> Option<Told> {
    let things = item_list(items, definition);
    let mut told = match session {
        Some(session) if !items.is_empty() => Told::of(
            EventKind::Review,
            session,
            &format!("was checked: {things}"),
        ),
        Some(_) | None => Told::new(
            EventKind::Review,
            "A doubt was settled: nobody is charged".to_owned(),
        ),
    }?;
    told.detail = Some(format!("By {by}."));
    Some(told)
}

/// Which way goods went, as people say it.
#[derive(Clone, Copy)]
enum Way {
    Took,
    PutBack,
}

/// A change that later evidence has decided otherwise.
fn tell_revised(attributed: &Attributed, definition: &Definition) -> Option<Told> {
    let mut told = tell_attributed(attributed, definition)?;
    let earlier = "decided anew: later evidence bears on it".to_owned();
    told.detail = Some(match told.detail {
        Some(detail) => format!("{detail}; {earlier}"),
        None => earlier,
    });
    Some(told)
}

fn tell_attributed(attributed: &Attributed, definition: &Definition) -> Option<Told> {
    let shelf = attributed.shelf;
    let way = match attributed.kind {
        ChangeKind::Take => Way::Took,
        ChangeKind::Put | ChangeKind::Foreign => Way::PutBack,
        ChangeKind::Touch | ChangeKind::Unsure => {
            if attributed.delta_mg > Milligrams(0) {
                Way::PutBack
            } else {
                Way::Took
            }
        }
    };
    match &attributed.verdict {
        AttributionVerdict::Accepted => {
            let best = attributed.hypotheses.first()?;
            let things = item_list(&best.items, definition);
            let sure = percent(best.probability_ppm);
            let (kind, rest) = match way {
                Way::Took => (
                    EventKind::Take,
                    format!("took {things} from shelf {shelf} ({sure})"),
                ),
                Way::PutBack => (
                    EventKind::Put,
                    format!("put {things} back on shelf {shelf} ({sure})"),
                ),
            };
            let mut told = match &best.session {
                Some(session) => Told::of(kind, session, &rest),
                None => Told::new(kind, format!("Somebody we do not know {rest}")),
            }?;
            told.detail = the_others(attributed, best, definition);
            Some(told)
        }
        AttributionVerdict::Review { reason, .. } => {
            tell_doubt(attributed, way, reason, definition)
        }
        AttributionVerdict::Nothing { reason } => tell_nothing(attributed, reason),
    }
}

/// What others moved in the same change.
fn the_others(
    attributed: &Attributed,
    best: &Hypothesis,
    definition: &Definition,
) -> Option<String> {
    let others: Vec<String> = (attributed.movements(best).skip(1))
        .map(|moved| {
            let who = moved.session.map_or_else(
                || "somebody we do not know".to_owned(),
                |session| Shopper::of(session).to_string(),
            );
            let things = item_list(moved.items, definition);
            match moved.is_take {
                true => format!("{who} took {things}"),
                false => format!("{who} put {things} back"),
            }
        })
        .collect();
    (!others.is_empty()).then(|| format!("at the same moment {}", others.join(" and ")))
}

fn tell_doubt(
    attributed: &Attributed,
    way: Way,
    reason: &str,
    definition: &Definition,
) -> Option<Told> {
    let shelf = attributed.shelf;
    let Some(best) = attributed.hypotheses.first() else {
        let sentence = format!("Shelf {shelf} changed, and the store is not sure how");
        let mut told = Told::new(EventKind::Review, sentence)?;
        told.detail = Some(reason.to_owned());
        return Some(told);
    };
    let things = item_list(&best.items, definition);
    let sure = percent(best.probability_ppm);
    let rest = match way {
        Way::Took => format!("may have taken {things} from shelf {shelf} ({sure})"),
        Way::PutBack => format!("may have put {things} back on shelf {shelf} ({sure})"),
    };
    let mut told = match &best.session {
        Some(session) => Told::of(EventKind::Review, session, &rest),
        None => Told::new(EventKind::Review, format!("Somebody we do not know {rest}")),
    }?;
    let second = attributed.hypotheses.get(1);
    told.detail = Some(match second {
        Some(second) => format!("{reason}; or {}", runner_up(best, second, definition)),
        None => reason.to_owned(),
    });
    Some(told)
}

/// The second-best explanation, in the words in which it differs from the best.
fn runner_up(best: &Hypothesis, second: &Hypothesis, definition: &Definition) -> String {
    let who = second.session.as_ref().map_or_else(
        || "nobody we know".to_owned(),
        |session| Shopper::of(session).to_string(),
    );
    let sure = percent(second.probability_ppm);
    if second.items == best.items {
        format!("{who} ({sure})")
    } else {
        format!("{who}, {} ({sure})", item_list(&second.items, definition))
    }
}

fn tell_nothing(attributed: &Attributed, reason: &str) -> Option<Told> {
    let shelf = attributed.shelf;
    let mass = attributed.delta_mg.abs();
    let (kind, sentence) = match attributed.kind {
        ChangeKind::Touch => (
            EventKind::Touch,
            format!("Shelf {shelf} was touched; nothing changed"),
        ),
        ChangeKind::Foreign => (
            EventKind::Foreign,
            format!("Something foreign lies on shelf {shelf} ({mass})"),
        ),
        ChangeKind::Take => (
            EventKind::Take,
            format!("{mass} left shelf {shelf}; nobody is charged"),
        ),
        ChangeKind::Put => (
            EventKind::Put,
            format!("{mass} came onto shelf {shelf}; nobody is credited"),
        ),
        ChangeKind::Unsure => (
            EventKind::Touch,
            format!("Shelf {shelf} changed by {mass}; nobody is charged"),
        ),
    };
    let mut told = Told::new(kind, sentence)?;
    told.detail = Some(reason.to_owned());
    Some(told)
}

/// `2 × Nutella Biscuits and 1 × Milk`.
pub(super) fn item_list(items: &[Item], definition: &Definition) -> String {
    let names: Vec<String> = items
        .iter()
        .map(|item| {
            let name = product_name(&item.product, definition);
            format!("{} × {name}", item.quantity)
        })
        .collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Whole per cent; never claims certainty, or none at all, by rounding.
pub(super) fn percent(probability_ppm: u32) -> String {
    match probability_ppm {
        0 => "0 %".to_owned(),
        1..5_000 => "< 1 %".to_owned(),
        995_000..1_000_000 => "> 99 %".to_owned(),
        ppm => format!("{} %", (ppm.min(1_000_000) + 5_000) / 10_000),
    }
}
