//! The states of a payment, and which step may follow which.

use serde::{Deserialize, Serialize};

use super::{IdempotencyKey, PaymentOutcome};
use crate::checkout::decision::PaymentRequest;
use crate::units::Money;

/// How far a session's payment has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// What the gateway had of the shopper when it was asked for something more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Held {
    /// Nothing: it was asked for the hold itself.
    Nothing,
    /// A hold: it was asked to capture or to void.
    Hold(Authorisation),
    /// Captured money: it was asked to refund.
    Captured {
        authorisation: String,
        amount: Money,
        refunded: Money,
    },
}

/// An amount held at the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authorisation {
    pub id: String,
    pub amount: Money,
}

/// A step of a payment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PaymentEvent<'a> {
    /// The gateway is about to be asked.
    Requested {
        key: &'a IdempotencyKey,
        request: &'a PaymentRequest,
    },
    /// The gateway has answered.
    Decided {
        key: &'a IdempotencyKey,
        outcome: &'a PaymentOutcome,
    },
}

/// A step that cannot follow: a bug of whoever made the event, never a shopper's doing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a payment that is {state} cannot take the step `{step}`: {why}")]
pub struct Impossible {
    pub state: &'static str,
    pub step: &'static str,
    pub why: String,
}

impl PaymentState {
    /// The state after `event`.
    ///
    /// One question is open at a time, an answer must name its question, one capture follows one hold, and only
    /// captured money is refunded: anything else is [`Impossible`], and the state stays what it was.
    pub fn apply(&self, event: PaymentEvent<'_>) -> Result<PaymentState, Impossible> {
        match event {
            PaymentEvent::Requested { key, request } => Ok(PaymentState::Asked {
                key: key.clone(),
                request: request.clone(),
                before: self.admit(request).map_err(|why| Impossible {
                    state: self.name(),
                    step: request.name(),
                    why,
                })?,
            }),
            PaymentEvent::Decided { key, outcome } => {
                self.decide(key, outcome).map_err(|why| Impossible {
                    state: self.name(),
                    step: outcome.name(),
                    why,
                })
            }
        }
    }

    /// The question that has no answer yet: after a crash it is asked again, under the same key.
    pub fn unanswered(&self) -> Option<(&IdempotencyKey, &PaymentRequest)> {
        match self {
            PaymentState::Asked { key, request, .. } => Some((key, request)),
            PaymentState::None
            | PaymentState::Authorised(_)
            | PaymentState::Refused { .. }
            | PaymentState::Captured { .. }
            | PaymentState::Voided
            | PaymentState::Owed { .. } => None,
        }
    }

    /// The state in a word or two, for sentences.
    pub fn name(&self) -> &'static str {
        match self {
            PaymentState::None => "not begun",
            PaymentState::Asked { .. } => "waiting for the gateway",
            PaymentState::Authorised(_) => "authorised",
            PaymentState::Refused { .. } => "refused",
            PaymentState::Captured { .. } => "captured",
            PaymentState::Voided => "voided",
            PaymentState::Owed { .. } => "owed",
        }
    }

    /// Whether `request` may be made now, and what the gateway has as it is made.
    fn admit(&self, request: &PaymentRequest) -> Result<Held, String> {
        match (self, request) {
            (PaymentState::None, PaymentRequest::Authorise { .. }) => Ok(Held::Nothing),
            (
                PaymentState::Authorised(hold),
                PaymentRequest::Capture {
                    authorisation,
                    amount,
                },
            ) => {
                same_authorisation(&hold.id, authorisation)?;
                within(*amount, hold.amount, "held")?;
                Ok(Held::Hold(hold.clone()))
            }
            (PaymentState::Authorised(hold), PaymentRequest::Void { authorisation }) => {
                same_authorisation(&hold.id, authorisation)?;
                Ok(Held::Hold(hold.clone()))
            }
            (
                PaymentState::Captured {
                    authorisation: captured,
                    amount: of,
                    refunded,
                },
                PaymentRequest::Refund {
                    authorisation,
                    amount,
                },
            ) => {
                same_authorisation(captured, authorisation)?;
                let left = Money::new(of.minor.saturating_sub(refunded.minor), of.currency);
                within(*amount, left, "captured and not yet refunded")?;
                Ok(Held::Captured {
                    authorisation: captured.clone(),
                    amount: *of,
                    refunded: *refunded,
                })
            }
            (
                PaymentState::Asked { key, .. },
                PaymentRequest::Authorise { .. }
                | PaymentRequest::Capture { .. }
                | PaymentRequest::Void { .. }
                | PaymentRequest::Refund { .. },
            ) => Err(format!("request {key} has no answer yet")),
            (
                PaymentState::None
                | PaymentState::Authorised(_)
                | PaymentState::Refused { .. }
                | PaymentState::Captured { .. }
                | PaymentState::Voided
                | PaymentState::Owed { .. },
                PaymentRequest::Authorise { .. }
                | PaymentRequest::Capture { .. }
                | PaymentRequest::Void { .. }
                | PaymentRequest::Refund { .. },
            ) => Err(self.expects().to_owned()),
        }
    }

    /// What may be asked in this state.
    fn expects(&self) -> &'static str {
        match self {
            PaymentState::None => "the hold comes first",
            PaymentState::Asked { .. } => "the answer comes first",
            PaymentState::Authorised(_) => "a hold is captured or voided, once",
            PaymentState::Captured { .. } => "after the capture there are refunds only",
            PaymentState::Refused { .. } | PaymentState::Voided | PaymentState::Owed { .. } => {
                "it has ended"
            }
        }
    }

    /// The state after the gateway's answer.
    fn decide(&self, answered: &IdempotencyKey, outcome: &PaymentOutcome) -> Result<Self, String> {
        let (key, request, before) = match self {
            PaymentState::Asked {
                key,
                request,
                before,
            } => (key, request, before),
            PaymentState::None
            | PaymentState::Authorised(_)
            | PaymentState::Refused { .. }
            | PaymentState::Captured { .. }
            | PaymentState::Voided
            | PaymentState::Owed { .. } => return Err("nothing was asked".to_owned()),
        };
        if key != answered {
            return Err(format!("it answers {answered}, and {key} was asked"));
        }
        match outcome {
            PaymentOutcome::Done { authorisation } => done(request, before, authorisation),
            PaymentOutcome::Declined { reason } => Ok(declined(request, before, reason)),
        }
    }
}

/// The state after the gateway did `request`.
fn done(request: &PaymentRequest, before: &Held, id: &str) -> Result<PaymentState, String> {
    match (request, before) {
        (PaymentRequest::Authorise { amount }, Held::Nothing) => {
            Ok(PaymentState::Authorised(Authorisation {
                id: id.to_owned(),
                amount: *amount,
            }))
        }
        (PaymentRequest::Capture { amount, .. }, Held::Hold(hold)) => {
            same_authorisation(&hold.id, id)?;
            Ok(PaymentState::Captured {
                authorisation: hold.id.clone(),
                amount: *amount,
                refunded: Money::new(0, amount.currency),
            })
        }
        (PaymentRequest::Void { .. }, Held::Hold(hold)) => {
            same_authorisation(&hold.id, id)?;
            Ok(PaymentState::Voided)
        }
        (
            PaymentRequest::Refund { amount: back, .. },
            Held::Captured {
                authorisation,
                amount,
                refunded,
            },
        ) => {
            same_authorisation(authorisation, id)?;
            Ok(PaymentState::Captured {
                authorisation: authorisation.clone(),
                amount: *amount,
                // Bounded by the captured amount: `admit` has seen to it.
                refunded: Money::new(refunded.minor.saturating_add(back.minor), back.currency),
            })
        }
        (
            PaymentRequest::Authorise { .. }
            | PaymentRequest::Capture { .. }
            | PaymentRequest::Void { .. }
            | PaymentRequest::Refund { .. },
            Held::Nothing | Held::Hold(_) | Held::Captured { .. },
        ) => Err(format!(
            "it was asked to {} in another state",
            request.name()
        )),
    }
}

/// The state after the gateway refused `request`: a refused hold or capture ends the payment, a refused void or
/// refund leaves what was there.
fn declined(request: &PaymentRequest, before: &Held, reason: &str) -> PaymentState {
    match request {
        PaymentRequest::Authorise { .. } => PaymentState::Refused {
            reason: reason.to_owned(),
        },
        PaymentRequest::Capture { amount, .. } => PaymentState::Owed {
            amount: *amount,
            reason: reason.to_owned(),
        },
        PaymentRequest::Void { .. } | PaymentRequest::Refund { .. } => before.state(),
    }
}

impl Held {
    /// The state that the gateway was asked in.
    fn state(&self) -> PaymentState {
        match self.clone() {
            Held::Nothing => PaymentState::None,
            Held::Hold(hold) => PaymentState::Authorised(hold),
            Held::Captured {
                authorisation,
                amount,
                refunded,
            } => PaymentState::Captured {
                authorisation,
                amount,
                refunded,
            },
        }
    }
}

fn same_authorisation(ours: &str, theirs: &str) -> Result<(), String> {
    if ours == theirs {
        Ok(())
    } else {
        Err(format!(
            "it names the authorisation {theirs}, and ours is {ours}"
        ))
    }
}

/// `amount` is more than nothing and at most `limit`, in the same currency.
fn within(amount: Money, limit: Money, what: &str) -> Result<(), String> {
    if amount.currency != limit.currency {
        Err(format!(
            "{amount} is another currency than the {limit} {what}"
        ))
    } else if amount.minor <= 0 {
        Err(format!("{amount} is no amount"))
    } else if amount.minor > limit.minor {
        Err(format!("{amount} is more than the {limit} {what}"))
    } else {
        Ok(())
    }
}
