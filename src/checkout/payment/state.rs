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
    /// Money was taken, with what has been given back since.
    Captured(Captured),
    /// The hold was released, or was gone when it was to be.
    Voided,
    /// The hold was gone when it was to be captured: nothing is held and nothing was taken.
    Lapsed { amount: Money, reason: String },
    /// Nothing was taken, and nothing more is asked: the amount is owed.
    Owed { amount: Money, reason: String },
}

/// What the gateway had of the shopper when it was asked for something more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Held {
    /// Nothing: it was asked for the hold itself.
    Nothing,
    /// A hold: it was asked to capture or to void.
    Hold(Authorisation),
    /// Nothing, for the hold was refused: it was asked for a charge in its place.
    Refused { reason: String },
    /// Nothing, for the hold was gone: it was asked for a charge in its place.
    Lapsed { amount: Money, reason: String },
    /// Money: it was asked to refund, or to charge what the hold did not cover.
    Captured(Captured),
}

/// Money that was taken, in one charge or two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    /// The captured hold, or the charge in its place; then the charge for what the hold did not cover, if it was made.
    pub charges: Vec<Charge>,
    /// Why that second charge was refused, if it was.
    pub second_refused: Option<String>,
    /// How many refunds were asked for: numbers their keys.
    pub refunds_asked: u32,
}

/// Money that was taken at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// Names it at the gateway.
    pub id: String,
    pub amount: Money,
    pub refunded: Money,
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
    /// One question is open at a time, an answer must name its question, one capture follows one hold, what the hold did
    /// not cover is charged once, and only captured money is refunded: anything else is [`Impossible`], and the state
    /// stays what it was.
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
            | PaymentState::Captured(_)
            | PaymentState::Voided
            | PaymentState::Lapsed { .. }
            | PaymentState::Owed { .. } => None,
        }
    }

    /// What was taken so far, minor units, whatever was given back since.
    pub fn taken_minor(&self) -> i64 {
        match self {
            PaymentState::Captured(captured)
            | PaymentState::Asked {
                before: Held::Captured(captured),
                ..
            } => captured.taken_minor(),
            PaymentState::None
            | PaymentState::Asked {
                before: Held::Nothing | Held::Hold(_) | Held::Refused { .. } | Held::Lapsed { .. },
                ..
            }
            | PaymentState::Authorised(_)
            | PaymentState::Refused { .. }
            | PaymentState::Voided
            | PaymentState::Lapsed { .. }
            | PaymentState::Owed { .. } => 0,
        }
    }

    /// The state in a word or two, for sentences.
    pub fn name(&self) -> &'static str {
        match self {
            PaymentState::None => "not begun",
            PaymentState::Asked { .. } => "waiting for the gateway",
            PaymentState::Authorised(_) => "authorised",
            PaymentState::Refused { .. } => "refused",
            PaymentState::Captured(_) => "captured",
            PaymentState::Voided => "voided",
            PaymentState::Lapsed { .. } => "lapsed",
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
                PaymentState::Refused { .. }
                | PaymentState::Lapsed { .. }
                | PaymentState::Captured(_),
                PaymentRequest::Charge { amount, .. },
            ) => self.admit_charge(*amount),
            (
                PaymentState::Captured(captured),
                PaymentRequest::Refund {
                    authorisation,
                    amount,
                    by: _,
                },
            ) => {
                let charge = captured.charge(authorisation)?;
                within(*amount, charge.left(), "captured and not yet refunded")?;
                Ok(Held::Captured(Captured {
                    refunds_asked: captured.refunds_asked.saturating_add(1),
                    ..captured.clone()
                }))
            }
            (
                PaymentState::None
                | PaymentState::Asked { .. }
                | PaymentState::Authorised(_)
                | PaymentState::Refused { .. }
                | PaymentState::Captured(_)
                | PaymentState::Voided
                | PaymentState::Lapsed { .. }
                | PaymentState::Owed { .. },
                PaymentRequest::Authorise { .. }
                | PaymentRequest::Capture { .. }
                | PaymentRequest::Void { .. }
                | PaymentRequest::Charge { .. }
                | PaymentRequest::Refund { .. },
            ) => Err(self.expects()),
        }
    }

    /// A charge in place of a hold that is not there, or for what it did not cover. It may be more than was to be captured:
    /// what the hold would not have covered is in it.
    fn admit_charge(&self, amount: Money) -> Result<Held, String> {
        some(amount)?;
        match self.clone() {
            PaymentState::Refused { reason } => Ok(Held::Refused { reason }),
            PaymentState::Lapsed { amount, reason } => Ok(Held::Lapsed { amount, reason }),
            PaymentState::Captured(captured) => {
                captured.may_be_charged_again()?;
                Ok(Held::Captured(captured))
            }
            PaymentState::None
            | PaymentState::Asked { .. }
            | PaymentState::Authorised(_)
            | PaymentState::Voided
            | PaymentState::Owed { .. } => Err(self.expects()),
        }
    }

    /// What may be asked in this state.
    fn expects(&self) -> String {
        let expected = match self {
            PaymentState::Asked { key, .. } => return format!("request {key} has no answer yet"),
            PaymentState::None => "the hold comes first",
            PaymentState::Authorised(_) => "a hold is captured or voided, once",
            PaymentState::Captured(_) => {
                "after the capture there are refunds, and one charge for the rest"
            }
            PaymentState::Refused { .. } => "after a refused hold there is nothing but a charge",
            PaymentState::Lapsed { .. } => "a hold that is gone is replaced by a charge",
            PaymentState::Voided | PaymentState::Owed { .. } => "it has ended",
        };
        expected.to_owned()
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
            | PaymentState::Captured(_)
            | PaymentState::Voided
            | PaymentState::Lapsed { .. }
            | PaymentState::Owed { .. } => return Err("nothing was asked".to_owned()),
        };
        if key != answered {
            return Err(format!("it answers {answered}, and {key} was asked"));
        }
        match outcome {
            PaymentOutcome::Done { authorisation } => done(request, before, authorisation),
            PaymentOutcome::Declined { reason } => Ok(declined(request, before, reason)),
            PaymentOutcome::Lapsed { reason } => Ok(lapsed(request, before, reason)),
        }
    }
}

/// The state after the gateway did `request`.
fn done(request: &PaymentRequest, before: &Held, id: &str) -> Result<PaymentState, String> {
    match (request, before) {
        (PaymentRequest::Authorise { amount, .. }, Held::Nothing) => {
            Ok(PaymentState::Authorised(Authorisation {
                id: id.to_owned(),
                amount: *amount,
            }))
        }
        (PaymentRequest::Capture { amount, .. }, Held::Hold(hold)) => {
            same_authorisation(&hold.id, id)?;
            Ok(PaymentState::Captured(Captured::of(id, *amount)))
        }
        (PaymentRequest::Void { .. }, Held::Hold(hold)) => {
            same_authorisation(&hold.id, id)?;
            Ok(PaymentState::Voided)
        }
        (PaymentRequest::Charge { amount, .. }, Held::Refused { .. } | Held::Lapsed { .. }) => {
            Ok(PaymentState::Captured(Captured::of(id, *amount)))
        }
        (PaymentRequest::Charge { amount, .. }, Held::Captured(captured)) => {
            let mut captured = captured.clone();
            captured.charges.push(Charge::of(id, *amount));
            Ok(PaymentState::Captured(captured))
        }
        (PaymentRequest::Refund { amount, .. }, Held::Captured(captured)) => {
            let mut captured = captured.clone();
            let charge = (captured.charges.iter_mut())
                .find(|charge| charge.id == id)
                .ok_or_else(|| format!("it names {id}, which is no charge of ours"))?;
            // Bounded by the captured amount: `admit` has seen to it.
            charge.refunded.minor = charge.refunded.minor.saturating_add(amount.minor);
            Ok(PaymentState::Captured(captured))
        }
        (
            PaymentRequest::Authorise { .. }
            | PaymentRequest::Capture { .. }
            | PaymentRequest::Void { .. }
            | PaymentRequest::Charge { .. }
            | PaymentRequest::Refund { .. },
            Held::Nothing
            | Held::Hold(_)
            | Held::Refused { .. }
            | Held::Lapsed { .. }
            | Held::Captured(_),
        ) => Err(format!(
            "it was asked to {} in another state",
            request.name()
        )),
    }
}

/// The state after the gateway refused `request`: a refused hold, capture or charge ends the payment; a refused void,
/// refund or second charge leaves what was there.
fn declined(request: &PaymentRequest, before: &Held, reason: &str) -> PaymentState {
    let reason = reason.to_owned();
    match request {
        PaymentRequest::Authorise { .. } => PaymentState::Refused { reason },
        PaymentRequest::Capture { amount, .. } => PaymentState::Owed {
            amount: *amount,
            reason,
        },
        PaymentRequest::Charge { amount, .. } => match before {
            Held::Captured(captured) => PaymentState::Captured(Captured {
                second_refused: Some(reason),
                ..captured.clone()
            }),
            Held::Nothing | Held::Hold(_) | Held::Refused { .. } | Held::Lapsed { .. } => {
                PaymentState::Owed {
                    amount: *amount,
                    reason,
                }
            }
        },
        PaymentRequest::Void { .. } | PaymentRequest::Refund { .. } => before.state(),
    }
}

/// The state after the gateway said that the hold is not there any more. Of a void that is all that was wanted.
fn lapsed(request: &PaymentRequest, before: &Held, reason: &str) -> PaymentState {
    match request {
        PaymentRequest::Capture { amount, .. } => PaymentState::Lapsed {
            amount: *amount,
            reason: reason.to_owned(),
        },
        PaymentRequest::Void { .. } => PaymentState::Voided,
        // These are about no hold that was there before.
        PaymentRequest::Authorise { .. }
        | PaymentRequest::Charge { .. }
        | PaymentRequest::Refund { .. } => declined(request, before, reason),
    }
}

impl Held {
    /// The state that the gateway was asked in.
    fn state(&self) -> PaymentState {
        match self.clone() {
            Held::Nothing => PaymentState::None,
            Held::Hold(hold) => PaymentState::Authorised(hold),
            Held::Refused { reason } => PaymentState::Refused { reason },
            Held::Lapsed { amount, reason } => PaymentState::Lapsed { amount, reason },
            Held::Captured(captured) => PaymentState::Captured(captured),
        }
    }
}

impl Captured {
    fn of(id: &str, amount: Money) -> Self {
        Captured {
            charges: vec![Charge::of(id, amount)],
            second_refused: None,
            refunds_asked: 0,
        }
    }

    /// Minor units, whatever was given back since.
    pub fn taken_minor(&self) -> i64 {
        self.charges.iter().map(|charge| charge.amount.minor).sum()
    }

    /// One charge for the rest may follow, once.
    pub fn may_be_charged_again(&self) -> Result<(), String> {
        match (&self.charges[..], &self.second_refused) {
            ([_], None) => Ok(()),
            (_, Some(reason)) => Err(format!("a second charge was refused: {reason}")),
            (_, None) => Err("there were two charges already".to_owned()),
        }
    }

    fn charge(&self, id: &str) -> Result<&Charge, String> {
        let ids = || -> Vec<&str> { self.charges.iter().map(|charge| &charge.id[..]).collect() };
        (self.charges.iter().find(|charge| charge.id == id))
            .ok_or_else(|| format!("it names {id}, and ours is {}", ids().join(" or ")))
    }
}

impl Charge {
    fn of(id: &str, amount: Money) -> Self {
        Charge {
            id: id.to_owned(),
            amount,
            refunded: Money::new(0, amount.currency),
        }
    }

    /// What can still be given back.
    pub fn left(&self) -> Money {
        let left = self.amount.minor.saturating_sub(self.refunded.minor);
        Money::new(left, self.amount.currency)
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

fn some(amount: Money) -> Result<(), String> {
    match amount.minor {
        1.. => Ok(()),
        i64::MIN..=0 => Err(format!("{amount} is no amount")),
    }
}

/// `amount` is more than nothing and at most `limit`, in the same currency.
fn within(amount: Money, limit: Money, what: &str) -> Result<(), String> {
    if amount.currency != limit.currency {
        Err(format!(
            "{amount} is another currency than the {limit} {what}"
        ))
    } else if amount.minor > limit.minor {
        Err(format!("{amount} is more than the {limit} {what}"))
    } else {
        some(amount)
    }
}
