//! Payment: hold at entry, capture at exit, void when nothing was taken, refund afterwards.

use serde::{Deserialize, Serialize};

use super::decision::PaymentRequest;
use crate::units::text_id;

mod state;
#[cfg(test)]
mod tests;

pub use state::{Authorisation, Held, Impossible, PaymentEvent, PaymentState};

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
}

/// A gateway that could not be asked, or whose answer was lost: the outcome is unknown, ask again under the same key.
#[derive(Debug, thiserror::Error)]
#[error("the payment gateway gave no answer to request {key}: {why}")]
pub struct GatewayUnavailable {
    pub key: IdempotencyKey,
    pub why: String,
}

/// Takes the money. Implementations live in `edge::gateway`.
pub trait PaymentGateway: Send {
    /// Does what is asked, once for each key: the same key gives the same outcome for ever.
    fn ask(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> Result<PaymentOutcome, GatewayUnavailable>;
}

impl PaymentRequest {
    /// The request as a verb, for sentences.
    pub fn name(&self) -> &'static str {
        match self {
            PaymentRequest::Authorise { .. } => "authorise",
            PaymentRequest::Capture { .. } => "capture",
            PaymentRequest::Void { .. } => "void",
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
        }
    }
}
