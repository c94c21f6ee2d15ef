//! Payment: hold at entry, capture at exit, void when nothing was taken, refund afterwards.

use serde::{Deserialize, Serialize};

use super::decision::PaymentRequest;
use crate::units::{Money, text_id};

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

/// Takes the money. Implementations live in [`crate::edge::gateway`].
pub trait PaymentGateway: Send {
    /// Does what is asked, once for each key: the same key gives the same outcome for ever.
    fn ask(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> Result<PaymentOutcome, GatewayUnavailable>;
}

/// How far a session's payment has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PaymentState {
    /// Nothing was asked yet.
    #[default]
    None,
    /// The gateway was asked under `key`, and has not answered.
    Asked {
        key: IdempotencyKey,
        request: PaymentRequest,
        before: Held,
    },
    /// An amount is held.
    Authorised(Authorisation),
    /// The hold was refused.
    Refused { reason: String },
    /// Captured, with what has been refunded since.
    Captured {
        authorisation: String,
        amount: Money,
        refunded: Money,
    },
    /// The hold was released.
    Voided,
    /// The capture was refused: the amount is owed.
    Owed { amount: Money, reason: String },
}

/// What was held when the gateway was asked for something more.
pub type Held = Option<Authorisation>;

/// An amount held at the gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorisation {
    pub id: String,
    pub amount: Money,
}
