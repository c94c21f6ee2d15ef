//! The decisions that the journal keeps beside the observations. The store's state is a fold over them.

use serde::{Deserialize, Serialize};

use super::entry::Bar;
use super::payment::{IdempotencyKey, PaymentOutcome};
use super::receipt::Receipt;
use super::session::{Role, SessionId};
use crate::observation::{ChangeKind, DeviceId, Item, OutboxId, Stamp, TrackId, VisionObservation};
use crate::store::{NodeName, ShelfId};
use crate::units::{Milligrams, Money, Timestamp, text_id};

text_id! {
    /// A review: a change that the store was not sure of.
    ReviewId
}

/// Something that the store decided. Folding applies decisions and never infers again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// An entry code was accepted, or (in a recording without gates) a track was seen for the first time.
    SessionOpened {
        session: SessionId,
        at: Timestamp,
        /// That of the phone that showed the code.
        #[serde(default, skip_serializing_if = "Role::is_shopper")]
        role: Role,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<DeviceId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        track: Option<TrackId>,
        /// The payer has agreed to one further charge where the hold does not cover the total.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        second_charge: bool,
    },
    /// An entry code was refused.
    EntryRefused { at: Timestamp, reason: String },
    /// The gate opened for a shopper although nobody knows whether anything is held: the provider cannot be reached,
    /// and the owner's policy allows it. The hold is made when the provider is back.
    AdmittedUnsecured { session: SessionId, at: Timestamp },
    /// The session's body is this track.
    TrackBound {
        session: SessionId,
        track: TrackId,
        at: Timestamp,
    },
    /// A shelf's change was given to a session, to nobody, or to review.
    Attributed(Attributed),
    /// Later evidence gives a change another verdict or another likeliest explanation: this takes the place of what
    /// was decided about the same change before.
    Revised(Attributed),
    /// A person's answer to a review; or, by the deadline, `None` for "in the shopper's favour".
    ReviewClosed {
        review: ReviewId,
        at: Timestamp,
        by: String,
        /// Who took the items (`None`: nobody whom we charge).
        session: Option<SessionId>,
        items: Vec<Item>,
    },
    /// Lines that nobody could be sure of are not charged.
    LinesDropped {
        session: SessionId,
        at: Timestamp,
        items: Vec<Item>,
        reason: String,
    },
    /// Nobody closed the visit, and it is taken for over: the exit follows.
    VisitGivenUp {
        session: SessionId,
        at: Timestamp,
        reason: String,
        /// Nothing of it is charged.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        written_off: bool,
    },
    /// The shopper has left; what counts are changes before this.
    SessionExited { session: SessionId, at: Timestamp },
    /// The shopper has left: these are the units that are theirs whichever way the doubtful changes went. The cart
    /// holds them from now on, whatever the single changes were taken for.
    CartDetermined {
        session: SessionId,
        at: Timestamp,
        lines: Vec<SureLine>,
        /// Units that may be theirs as well; while there are any, the cart waits for verdicts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        doubted: Vec<Item>,
    },
    /// The shopper has left, and the cart can't be final yet.
    CartDrafted {
        session: SessionId,
        at: Timestamp,
        reason: String,
    },
    /// The cart is final: every node that matters has passed the exit time.
    Settled {
        session: SessionId,
        at: Timestamp,
        total: Money,
    },
    /// The gateway will be asked, under this key; asked again after a crash until an outcome is known.
    PaymentRequested {
        session: SessionId,
        at: Timestamp,
        key: IdempotencyKey,
        request: PaymentRequest,
    },
    /// What the gateway answered.
    PaymentDecided {
        session: SessionId,
        at: Timestamp,
        key: IdempotencyKey,
        outcome: PaymentOutcome,
    },
    /// The payment provider gave no answer, and had not been known to be away: entry goes by the owner's policy for that.
    ProviderAway { at: Timestamp, reason: String },
    /// The provider has answered again.
    ProviderBack { at: Timestamp },
    /// The receipt as the shopper gets it.
    ReceiptIssued { receipt: Receipt },
    /// A node has not been heard of past its limit.
    NodeSilent { node: NodeName, since: Timestamp },
    /// A node that was silent is back.
    NodeBack { node: NodeName, at: Timestamp },
    /// What a node saw in a stretch of time is lost, or it saw nothing. The carts that this can have touched wait for
    /// the deadline of reviews.
    Gap {
        node: NodeName,
        outbox: OutboxId,
        /// The sequences between these two of that outbox will never come.
        after: u64,
        before: u64,
        /// Observations that had no sequence yet when they were given up.
        #[serde(default, skip_serializing_if = "is_zero")]
        dropped: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Timestamp>,
        /// What changed meanwhile is known by weight: see [`Decision::Unwatched`]. No cart waits for anything else.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        weighed: bool,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// What changed on a shelf while its node was off, in grams: it waits for a person, and nobody is charged by
    /// itself.
    Unwatched(Attributed),
    /// A change came to light when whoever can have made it had settled: a person may refund, or look into it. Nothing
    /// follows by itself.
    CorrectionProposed {
        change: Stamp,
        at: Timestamp,
        shelf: ShelfId,
        delta_mg: Milligrams,
        /// What it weighs as.
        items: Vec<Item>,
        /// Who was inside; of goods that came back, who has paid for such.
        sessions: Vec<SessionId>,
        /// What to give back, where it can be only one shopper's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund: Option<Money>,
    },
    /// Nobody is let in from now on, whatever code they show.
    EntryBarred {
        bar: Bar,
        at: Timestamp,
        reason: String,
    },
    /// That is over.
    EntryFreed { bar: Bar, at: Timestamp },
    /// A stamped message could not be decoded; it is kept as it came.
    Quarantined { stamp: Stamp, reason: String },
    /// Everything that ended at or before `to` has been decided.
    FrontierAdvanced { to: Timestamp },
}

impl Decision {
    /// The event time that it is about, if it carries one.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Decision::SessionOpened { at, .. }
            | Decision::EntryRefused { at, .. }
            | Decision::AdmittedUnsecured { at, .. }
            | Decision::TrackBound { at, .. }
            | Decision::ReviewClosed { at, .. }
            | Decision::VisitGivenUp { at, .. }
            | Decision::SessionExited { at, .. }
            | Decision::CartDetermined { at, .. }
            | Decision::CartDrafted { at, .. }
            | Decision::LinesDropped { at, .. }
            | Decision::Settled { at, .. }
            | Decision::PaymentRequested { at, .. }
            | Decision::PaymentDecided { at, .. }
            | Decision::ProviderAway { at, .. }
            | Decision::ProviderBack { at }
            | Decision::NodeBack { at, .. }
            | Decision::CorrectionProposed { at, .. }
            | Decision::EntryBarred { at, .. }
            | Decision::EntryFreed { at, .. } => Some(*at),
            Decision::Attributed(attributed)
            | Decision::Revised(attributed)
            | Decision::Unwatched(attributed) => Some(attributed.at),
            Decision::Gap { to, .. } => *to,
            Decision::NodeSilent { since, .. } => Some(*since),
            Decision::FrontierAdvanced { to } => Some(*to),
            Decision::ReceiptIssued { .. } | Decision::Quarantined { .. } => None,
        }
    }

    /// Every [`Decision::name`].
    pub const NAMES: [&'static str; 27] = [
        "session_opened",
        "entry_refused",
        "admitted_unsecured",
        "track_bound",
        "attributed",
        "revised",
        "review_closed",
        "lines_dropped",
        "visit_given_up",
        "session_exited",
        "cart_determined",
        "cart_drafted",
        "settled",
        "payment_requested",
        "payment_decided",
        "provider_away",
        "provider_back",
        "receipt_issued",
        "node_silent",
        "node_back",
        "gap",
        "unwatched",
        "correction_proposed",
        "entry_barred",
        "entry_freed",
        "quarantined",
        "frontier_advanced",
    ];

    /// The word that the journal names it by: `payment_requested`.
    pub fn name(&self) -> &'static str {
        match self {
            Decision::SessionOpened { .. } => "session_opened",
            Decision::EntryRefused { .. } => "entry_refused",
            Decision::AdmittedUnsecured { .. } => "admitted_unsecured",
            Decision::TrackBound { .. } => "track_bound",
            Decision::Attributed(_) => "attributed",
            Decision::Revised(_) => "revised",
            Decision::ReviewClosed { .. } => "review_closed",
            Decision::LinesDropped { .. } => "lines_dropped",
            Decision::VisitGivenUp { .. } => "visit_given_up",
            Decision::SessionExited { .. } => "session_exited",
            Decision::CartDetermined { .. } => "cart_determined",
            Decision::CartDrafted { .. } => "cart_drafted",
            Decision::Settled { .. } => "settled",
            Decision::PaymentRequested { .. } => "payment_requested",
            Decision::PaymentDecided { .. } => "payment_decided",
            Decision::ProviderAway { .. } => "provider_away",
            Decision::ProviderBack { .. } => "provider_back",
            Decision::ReceiptIssued { .. } => "receipt_issued",
            Decision::NodeSilent { .. } => "node_silent",
            Decision::NodeBack { .. } => "node_back",
            Decision::Gap { .. } => "gap",
            Decision::Unwatched(_) => "unwatched",
            Decision::CorrectionProposed { .. } => "correction_proposed",
            Decision::EntryBarred { .. } => "entry_barred",
            Decision::EntryFreed { .. } => "entry_freed",
            Decision::Quarantined { .. } => "quarantined",
            Decision::FrontierAdvanced { .. } => "frontier_advanced",
        }
    }

    /// Whether it is about that session, or names it among others.
    pub fn concerns(&self, whom: &SessionId) -> bool {
        match self {
            Decision::SessionOpened { session, .. }
            | Decision::AdmittedUnsecured { session, .. }
            | Decision::TrackBound { session, .. }
            | Decision::LinesDropped { session, .. }
            | Decision::VisitGivenUp { session, .. }
            | Decision::SessionExited { session, .. }
            | Decision::CartDetermined { session, .. }
            | Decision::CartDrafted { session, .. }
            | Decision::Settled { session, .. }
            | Decision::PaymentRequested { session, .. }
            | Decision::PaymentDecided { session, .. } => session == whom,
            Decision::ReviewClosed { session, .. } => session.as_ref() == Some(whom),
            Decision::CorrectionProposed { sessions, .. } => sessions.contains(whom),
            Decision::Attributed(attributed)
            | Decision::Revised(attributed)
            | Decision::Unwatched(attributed) => {
                let mut shares = attributed.hypotheses.iter().flat_map(Hypothesis::shares);
                shares.any(|(session, _)| session == Some(whom))
            }
            Decision::ReceiptIssued { receipt } => receipt.session == *whom,
            Decision::EntryRefused { .. }
            | Decision::ProviderAway { .. }
            | Decision::ProviderBack { .. }
            | Decision::NodeSilent { .. }
            | Decision::NodeBack { .. }
            | Decision::EntryBarred { .. }
            | Decision::EntryFreed { .. }
            | Decision::Gap { .. }
            | Decision::Quarantined { .. }
            | Decision::FrontierAdvanced { .. } => false,
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What the gateway is asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum PaymentRequest {
    /// Hold an amount.
    Authorise {
        amount: Money,
        /// Whose phone opened the gate; none where there is no gate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payer: Option<DeviceId>,
    },
    /// Take an amount of the hold and release the rest.
    Capture {
        authorisation: String,
        amount: Money,
    },
    /// Release the whole hold.
    Void { authorisation: String },
    /// Take an amount at once, without a hold: what the hold did not cover, or what is due where it is gone. Only of
    /// whoever has agreed to it.
    Charge {
        amount: Money,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payer: Option<DeviceId>,
    },
    /// Give back an amount that was captured.
    Refund {
        authorisation: String,
        amount: Money,
        /// Who wanted it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
}

/// Units that are somebody's beyond doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SureLine {
    pub product: crate::store::ProductId,
    pub quantity: u32,
    /// As weighed.
    pub mass_mg: Milligrams,
}

/// How a shelf's change was attributed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attributed {
    /// The observation that says so.
    pub change: Stamp,
    pub at: Timestamp,
    pub shelf: ShelfId,
    pub kind: ChangeKind,
    pub delta_mg: Milligrams,
    /// Indices of the changed plates on the shelf.
    pub plates: Vec<u16>,
    pub verdict: AttributionVerdict,
    /// Hypotheses, most probable first, at most 8; their probabilities sum to at most 1.
    pub hypotheses: Vec<Hypothesis>,
    /// Whose movements bear on the change, as they were weighed: what the hypotheses rest on beside the weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Reached>,
    /// What is believed of the node's clock since, if the change said something of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Box<ClockEstimate>>,
    /// What a camera made of the shelf then, as it was weighed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Box<VisionObservation>>,
}

/// How far ahead of the cameras' clock a node's is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockEstimate {
    /// The mean, milliseconds.
    pub offset_ms: i64,
    /// Probabilities of offsets each 50 ms, in parts in a million: the first offset, and as many as are not nil.
    pub from_ms: i64,
    pub ppm: Vec<u32>,
}

/// How a body's movement bears on a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// `None`: a body that is no shopper's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Staff move goods and never pay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub staff: bool,
    /// Natural log of how well it explains the change, in thousandths: 0 for a hand on the plates at the right moment.
    pub log_milli: i64,
    /// The same for each changed plate by itself, in their order.
    pub by_plate_milli: Vec<i64>,
    /// The same of the moments at which weight came to what stood there in between, and left it, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stood_milli: Option<(i64, i64)>,
    /// The middle of the time that a hand was near; or, of a body whose hands are never seen, when it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub middle: Option<Timestamp>,
    /// Mean distance of the nearer hand around the moment, millimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_mm: Option<i64>,
    /// Distance of the head along the shelf around the moment, millimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_mm: Option<i64>,
}

/// What follows from an attribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum AttributionVerdict {
    /// The first hypothesis is taken: its session's cart changes.
    Accepted,
    /// Too doubtful to charge: the first hypothesis waits for a verdict.
    Review { review: ReviewId, reason: String },
    /// Nothing was taken or put back (touch, foreign object, nobody we know).
    Nothing { reason: String },
}

/// One explanation of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// `None`: nobody we know.
    pub session: Option<SessionId>,
    /// Taken by the session, or put back, as [`ChangeKind::is_take`] says; empty: something that is no product of ours,
    /// or nothing.
    pub items: Vec<Item>,
    /// What others took or put back in the same change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Share>,
    /// Parts in a million.
    pub probability_ppm: u32,
}

impl Hypothesis {
    /// Everybody's share in the change.
    pub fn shares(&self) -> impl Iterator<Item = (Option<&SessionId>, &[Item])> {
        let first = (self.session.as_ref(), &self.items[..]);
        let others = self.also.iter();
        std::iter::once(first).chain(others.map(|s| (s.session.as_ref(), &s.items[..])))
    }

    /// The same explanation, whatever its probability.
    pub fn is_same(&self, other: &Hypothesis) -> bool {
        self.session == other.session && self.items == other.items && self.also == other.also
    }
}

/// A further body's share in a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub session: Option<SessionId>,
    pub items: Vec<Item>,
    /// It went the other way than the first share: put back while the other took, or taken while the other put back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub against: bool,
}

/// What somebody moved in a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement<'a> {
    pub session: Option<&'a SessionId>,
    pub items: &'a [Item],
    /// Off the shelf; otherwise onto it.
    pub is_take: bool,
}

impl Attributed {
    /// Who moved what, and which way, if it was so.
    pub fn movements<'a>(&self, what: &'a Hypothesis) -> impl Iterator<Item = Movement<'a>> {
        let is_take = self.kind.is_take(self.delta_mg);
        let first = Movement {
            session: what.session.as_ref(),
            items: &what.items,
            is_take,
        };
        let others = what.also.iter().map(move |share| Movement {
            session: share.session.as_ref(),
            items: &share.items,
            is_take: is_take != share.against,
        });
        std::iter::once(first).chain(others)
    }
}
