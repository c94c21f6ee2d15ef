//! Payment: hold at entry, capture at exit, void when nothing was taken, refund afterwards; and one further charge, of
//! whoever has agreed to it, for what the hold did not cover.

use serde::{Deserialize, Serialize};

use super::decision::PaymentRequest;
use crate::units::text_id;

pub mod report;
mod state;
#[cfg(test)]
mod tests;

pub use state::{Authorisation, Captured, Charge, Held, Impossible, PaymentEvent, PaymentState};

text_id! {
    /// Names one request to the gateway for ever: asking twice under one key does it once.
    IdempotencyKey
}

/// What a gateway answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum PaymentOutcome {
    /// It was done; `authorisation` names the hold at the gateway.
    Done { authorisation: String },
    /// It was refused, and asking again will not help.
    Declined { reason: String },
    /// The hold to be captured or released is not there any more: it lapsed, or was released at the provider. Nothing
    /// was taken of it.
    Lapsed { reason: String },
}

/// A gateway that could not be asked, or whose answer was lost: the outcome is unknown, ask again under the same key.
#[derive(Debug, thiserror::Error)]
#[error("the payment gateway gave no answer to request {key}: {why}")]
pub struct GatewayUnavailable {
    pub key: IdempotencyKey,
    pub why: String,
    pub retry: RetryAfter,
}

/// When it is worth asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// It may pass by itself: in moments at first, then ever more slowly.
    Moments,
    /// Not before somebody has seen to it.
    Minutes,
}

/// Takes the money. Implementations live in `edge::gateway`.
pub trait PaymentGateway: Send {
    /// Does what is asked, once for each key: the same key gives the same outcome for ever.
    fn ask(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> Result<PaymentOutcome, GatewayUnavailable>;

    /// The same for what may have been asked before, by this process or by one that crashed: a gateway that forgets its
    /// keys in time looks up first what became of it.
    fn ask_again(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> Result<PaymentOutcome, GatewayUnavailable> {
        self.ask(key, request)
    }
}

impl PaymentRequest {
    /// The request as a verb, for sentences.
    pub fn name(&self) -> &'static str {
        match self {
            PaymentRequest::Authorise { .. } => "authorise",
            PaymentRequest::Capture { .. } => "capture",
            PaymentRequest::Void { .. } => "void",
            PaymentRequest::Charge { .. } => "charge",
            PaymentRequest::Refund { .. } => "refund",
        }
    }
}

impl PaymentOutcome {
    /// The outcome in a word, for sentences.
    pub fn name(&self) -> &'static str {
        match self {
            PaymentOutcome::Done { .. } => "done",
            PaymentOutcome::Declined { .. } => "declined",
            PaymentOutcome::Lapsed { .. } => "lapsed",
        }
    }
}
