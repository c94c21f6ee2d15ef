//! The pure core of the store: `handle(input) -> outputs`.
//!
//! The coordinator does no IO and reads no clock. Whoever drives it (the live service, a replay, a simulation)
//! writes the journal entries of a batch of outputs before it performs the batch's effects.

use std::sync::Arc;

use crate::checkout::decision::{Decision, PaymentRequest, ReviewId};
use crate::checkout::payment::{IdempotencyKey, PaymentOutcome};
use crate::checkout::receipt::Receipt;
use crate::checkout::session::{SessionId, Sessions};
use crate::observation::{Committed, DeviceId, Item, NodeStatus, Stamp, Stamped, Watermark};
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

/// Something that the coordinator is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A stamped observation arrived.
    Observation(Arc<Stamped>),
    /// A stamped message arrived that could not be decoded.
    Undecodable {
        stamp: Stamp,
        reason: String,
    },
    Watermark(Watermark),
    Status(NodeStatus),
    /// A phone may enter: its key is known from now on.
    DeviceEnrolled {
        device: DeviceId,
        key: Vec<u8>,
    },
    /// A phone may not enter any more.
    DeviceRevoked {
        device: DeviceId,
    },
    /// The gateway answered.
    Payment {
        session: SessionId,
        key: IdempotencyKey,
        outcome: PaymentOutcome,
    },
    /// An operator decided a review.
    Verdict {
        review: ReviewId,
        by: String,
        session: Option<SessionId>,
        items: Vec<Item>,
    },
    /// Wall time went on: limits and deadlines are looked at.
    Tick,
    /// A recording without gates is over: whoever is inside has left.
    EndOfRecording,
}

/// Something that the coordinator wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Keep this observation in the journal.
    Accept(Arc<Stamped>),
    /// Keep this decision in the journal, in this order.
    Decide(Decision),
    /// Do this once everything before it is durable.
    Effect(Effect),
}

/// What happens outside once the journal has it.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Tell a node what is durable.
    Commit {
        node: NodeName,
        committed: Committed,
    },
    /// Ask the gateway; the answer comes back as [`Input::Payment`].
    Pay {
        session: SessionId,
        key: IdempotencyKey,
        request: PaymentRequest,
    },
    /// Open the gate for an admitted shopper.
    OpenGate { session: SessionId },
    /// Hand out a receipt.
    Receipt(Receipt),
}
