//! Stripe by its HTTP API: holds are payment intents with manual capture, confirmed off session with a card that the
//! customer has stored.
//!
//! Each request bears the key that the journal has, as idempotency key and in the intent's metadata. Stripe forgets
//! idempotency keys after a day, so that whatever may have been asked before is looked up first: an intent or a refund
//! by that metadata, a capture or a release by the state of the intent. Only what is not there is asked for again.

mod amount;
mod api;
mod key;
mod list;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::payers::{Payer, Payers};
use crate::checkout::decision::PaymentRequest;
use crate::checkout::payment::{
    GatewayUnavailable, IdempotencyKey, PaymentGateway, PaymentOutcome, RetryAfter,
};
use crate::observation::DeviceId;
use crate::units::{Currency, Money};

pub use amount::from_stripe;
use amount::{to_stripe, units_per_minor};
use api::{Api, ApiError, Refusal};
pub use api::{Patience, STRIPE_URL};
pub use key::{KEY_VARIABLE, KeyError, SecretKey};

/// Where an intent or a refund bears our key.
const OUR_KEY: &str = "stroll_key";
/// A question that may have been asked before is looked for among a customer's intents of so many days: longer than any
/// hold lasts.
const LOOK_BACK_DAYS: u64 = 31;
/// Pages of a list, at most, of 100 objects each.
const PAGES_MAX: usize = 100;
/// What fails at once is tried once more after this.
const AGAIN: Duration = Duration::from_millis(300);

/// Stripe. A clone asks about the same account, over the same connections.
#[derive(Clone, Debug)]
pub struct Stripe {
    api: Api,
    payers: Arc<Payers>,
}

/// Stripe as it is set up cannot take this store's payments.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    #[error("{why}, so that a store in {} cannot be paid through it", currency.as_str())]
    Currency { currency: Currency, why: String },
    #[error("Stripe's list cannot be had: {why}")]
    List { why: String },
    #[error("the key would go to {url} unencrypted: write https://")]
    Unencrypted { url: String },
}

/// Why there is no outcome yet.
#[derive(Debug)]
enum Unsettled {
    /// It may have been done.
    Unknown { why: String, at_once: bool },
    /// A person must see to it first.
    Misconfigured { why: String },
}

type Settled = Result<PaymentOutcome, Unsettled>;

impl From<ApiError> for Unsettled {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unknown { why, at_once } => Unsettled::Unknown { why, at_once },
            ApiError::Spent { why } => Unsettled::Unknown { why, at_once: true },
            ApiError::Misconfigured { why } => Unsettled::Misconfigured { why },
            ApiError::Refused(refusal) => Unsettled::Misconfigured {
                why: refusal.to_string(),
            },
        }
    }
}

impl Stripe {
    /// A way to the account of `key`, for a store in `currency`.
    pub fn new(
        url: &str,
        key: SecretKey,
        patience: Patience,
        payers: Payers,
        currency: Currency,
    ) -> Result<Self, StripeError> {
        units_per_minor(currency).map_err(|why| StripeError::Currency { currency, why })?;
        if !api::is_safe(url) {
            return Err(StripeError::Unencrypted {
                url: url.to_owned(),
            });
        }
        Ok(Stripe {
            api: Api::new(url, key, patience),
            payers: Arc::new(payers),
        })
    }

    /// The payers that it knows.
    pub fn payers(&self) -> &Payers {
        &self.payers
    }

    fn settle(&self, key: &IdempotencyKey, request: &PaymentRequest, again: bool) -> Settled {
        match request {
            PaymentRequest::Authorise { amount, payer } => {
                self.take(key, *amount, payer.as_ref(), Taking::Hold, again)
            }
            PaymentRequest::Charge { amount, payer } => {
                self.take(key, *amount, payer.as_ref(), Taking::Charge, again)
            }
            PaymentRequest::Capture {
                authorisation,
                amount,
            } => {
                let amount = match to_stripe(*amount) {
                    Ok(amount) => amount,
                    Err(reason) => return Ok(PaymentOutcome::Declined { reason }),
                };
                let close = Close::Capture { amount };
                self.close(key, authorisation, &close, again)
            }
            PaymentRequest::Void { authorisation } => {
                self.close(key, authorisation, &Close::Release, again)
            }
            PaymentRequest::Refund {
                authorisation,
                amount,
                by: _,
            } => self.give_back(key, authorisation, *amount, again),
        }
    }

    /// Makes an intent that holds or charges an amount at once.
    fn take(
        &self,
        key: &IdempotencyKey,
        amount: Money,
        device: Option<&DeviceId>,
        taking: Taking,
        again: bool,
    ) -> Settled {
        let declined = |reason| Ok(PaymentOutcome::Declined { reason });
        let Some(device) = device else {
            return declined("nobody knows whose card to charge: no phone was shown".to_owned());
        };
        let Some(payer) = self.payers.of(device) else {
            return declined(format!("no card is on file for phone {device}"));
        };
        let stripe_amount = match to_stripe(amount) {
            Ok(units) => units,
            Err(reason) => return declined(reason),
        };
        if again && let Some(intent) = self.find_intent(key, payer)? {
            return self.read_taken(&intent, taking);
        }
        let form = intent_form(key, payer, amount.currency, stripe_amount, taking);
        match self.api.post("/v1/payment_intents", key.as_str(), &form) {
            Ok(intent) => self.read_taken(&intent, taking),
            // Whatever it is, nothing was held, and one shopper's card must not close the store to all.
            Err(ApiError::Refused(refusal)) => {
                if !is_about_the_payer(&refusal) {
                    tracing::error!(%key, %device, "Stripe takes no payment of this phone, see to its entry among the payers and to the account: {refusal}");
                }
                declined(refusal.to_string())
            }
            // It was looked for just now, and is not there.
            Err(ApiError::Spent { why }) if again => declined(why),
            Err(error) => Err(error.into()),
        }
    }

    /// The intent of an earlier request under `key`, if there is one.
    fn find_intent(&self, key: &IdempotencyKey, payer: &Payer) -> Result<Option<Value>, ApiError> {
        let since = now_s().saturating_sub(LOOK_BACK_DAYS * 86_400);
        let query = [
            ("customer", payer.customer.clone()),
            ("created[gte]", since.to_string()),
        ];
        let intents = self.api.list("/v1/payment_intents", &query, PAGES_MAX)?;
        Ok(find_ours(intents, key))
    }

    /// What became of an intent that was to hold or charge.
    fn read_taken(&self, intent: &Value, taking: Taking) -> Settled {
        let id = id_of(intent)?;
        let status = intent["status"].as_str().unwrap_or_default();
        let error = intent["last_payment_error"]["message"].as_str();
        let declined = |reason: &str| {
            Ok(PaymentOutcome::Declined {
                reason: reason.to_owned(),
            })
        };
        match (status, taking) {
            // A hold that was captured meanwhile was made, whoever captured it: the capture finds that out.
            ("requires_capture", Taking::Hold) | ("succeeded", Taking::Hold | Taking::Charge) => {
                Ok(PaymentOutcome::Done { authorisation: id })
            }
            ("requires_payment_method", _) => declined(error.unwrap_or("the card was declined")),
            ("canceled", _) => declined("it was cancelled at Stripe"),
            ("requires_action", _) => {
                // Nobody is at a screen. What stays behind holds nothing, and is cleared away as far as that goes.
                let key = format!("{id}/cancel");
                let _ = self.api.post(&path_of(&id, "/cancel"), &key, &[]);
                declined("the bank wants the shopper to confirm each payment")
            }
            (other, _) => Err(unsettled(format!("payment intent {id} is {other}"))),
        }
    }

    /// Captures a hold, or releases it.
    fn close(&self, key: &IdempotencyKey, id: &str, close: &Close, again: bool) -> Settled {
        if !is_intent(id) {
            return Ok(PaymentOutcome::Declined {
                reason: format!("{id} is no hold at Stripe"),
            });
        }
        if again && let Some(settled) = self.look_up(id, close)? {
            return Ok(settled);
        }
        let (action, form) = match close {
            Close::Capture { amount } => {
                ("/capture", vec![("amount_to_capture", amount.to_string())])
            }
            Close::Release => ("/cancel", Vec::new()),
        };
        let post = |key: &str| self.api.post(&path_of(id, action), key, &form);
        let answer = match post(key.as_str()) {
            // An intent is captured or cancelled once under whichever key, and this one is still there.
            Err(ApiError::Spent { .. }) if again => post(&format!("{key}/2")),
            answer => answer,
        };
        match answer {
            Ok(intent) => match read_closed(&intent, id, close) {
                Some(settled) => Ok(settled),
                None => Err(unsettled(format!("payment intent {id} is as it was"))),
            },
            // Too late, or done before under a key that Stripe has forgotten: the intent tells.
            Err(ApiError::Refused(refusal)) => match self.look_up(id, close)? {
                Some(settled) => Ok(settled),
                None => Err(ApiError::Refused(refusal).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a hold is captured or gone already.
    fn look_up(&self, id: &str, close: &Close) -> Result<Option<PaymentOutcome>, ApiError> {
        let intent = self.api.get(&path_of(id, ""), &[])?;
        Ok(read_closed(&intent, id, close))
    }

    fn give_back(&self, key: &IdempotencyKey, id: &str, amount: Money, again: bool) -> Settled {
        let declined = |reason| Ok(PaymentOutcome::Declined { reason });
        if !is_intent(id) {
            return declined(format!("{id} is no charge at Stripe"));
        }
        let units = match to_stripe(amount) {
            Ok(units) => units,
            Err(reason) => return declined(reason),
        };
        if again {
            let query = [("payment_intent", id.to_owned())];
            let refunds = self.api.list("/v1/refunds", &query, PAGES_MAX)?;
            if let Some(refund) = find_ours(refunds, key) {
                return read_refund(&refund, id);
            }
        }
        let form = [
            ("payment_intent", id.to_owned()),
            ("amount", units.to_string()),
            (METADATA, key.to_string()),
        ];
        match self.api.post("/v1/refunds", key.as_str(), &form) {
            Ok(refund) => read_refund(&refund, id),
            // It was looked for just now, and is not there.
            Err(ApiError::Spent { why }) if again => declined(why),
            Err(ApiError::Refused(refusal)) => declined(refusal.to_string()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The form field of [`OUR_KEY`].
const METADATA: &str = "metadata[stroll_key]";

/// What an intent is made for.
#[derive(Clone, Copy)]
enum Taking {
    Hold,
    Charge,
}

/// How a hold ends.
enum Close {
    /// In Stripe's units.
    Capture {
        amount: i64,
    },
    Release,
}

fn intent_form(
    key: &IdempotencyKey,
    payer: &Payer,
    currency: Currency,
    amount: i64,
    taking: Taking,
) -> Vec<(&'static str, String)> {
    let capture = match taking {
        Taking::Hold => "manual",
        Taking::Charge => "automatic",
    };
    vec![
        ("amount", amount.to_string()),
        ("currency", currency.as_str().to_ascii_lowercase()),
        ("customer", payer.customer.clone()),
        ("payment_method", payer.payment_method.clone()),
        ("capture_method", capture.to_owned()),
        ("confirm", "true".to_owned()),
        ("off_session", "true".to_owned()),
        (METADATA, key.to_string()),
    ]
}

/// Whether a refused intent is a no to this shopper, and nothing that is wrong with the store's account.
fn is_about_the_payer(refusal: &Refusal) -> bool {
    refusal.status == 402
        || matches!(
            refusal.code.as_str(),
            "amount_too_small"
                | "amount_too_large"
                | "resource_missing"
                | "payment_method_unexpected_state"
                | "payment_method_unactivated"
        )
}

/// What became of a hold that was to be captured or released; none if it is still there.
fn read_closed(intent: &Value, id: &str, close: &Close) -> Option<PaymentOutcome> {
    if intent["id"].as_str() != Some(id) {
        return None;
    }
    let done = || PaymentOutcome::Done {
        authorisation: id.to_owned(),
    };
    match (intent["status"].as_str()?, close) {
        ("succeeded", Close::Capture { amount }) => {
            let received = intent["amount_received"].as_i64();
            Some(match received == Some(*amount) {
                true => done(),
                false => PaymentOutcome::Declined {
                    reason: format!(
                        "Stripe has it captured with another amount ({}) than {amount}",
                        received.map_or_else(|| "unknown".to_owned(), |units| units.to_string())
                    ),
                },
            })
        }
        ("succeeded", Close::Release) => Some(PaymentOutcome::Declined {
            reason: "it was captured at Stripe".to_owned(),
        }),
        ("canceled", Close::Capture { .. }) => Some(PaymentOutcome::Lapsed {
            reason: "the hold has expired or was cancelled at Stripe".to_owned(),
        }),
        ("canceled", Close::Release) => Some(done()),
        _ => None,
    }
}

fn read_refund(refund: &Value, id: &str) -> Settled {
    if refund["object"].as_str() != Some("refund") {
        return Err(unsettled("the answer is no refund".to_owned()));
    }
    Ok(match refund["status"].as_str() {
        Some("failed" | "canceled") => PaymentOutcome::Declined {
            reason: refund["failure_reason"]
                .as_str()
                .unwrap_or("the bank did not take it")
                .to_owned(),
        },
        _ => PaymentOutcome::Done {
            authorisation: id.to_owned(),
        },
    })
}

fn find_ours(objects: Vec<Value>, key: &IdempotencyKey) -> Option<Value> {
    let mut ours = objects
        .into_iter()
        .filter(|object| object["metadata"][OUR_KEY].as_str() == Some(key.as_str()));
    ours.next()
}

fn id_of(intent: &Value) -> Result<String, Unsettled> {
    match intent["id"].as_str().filter(|id| is_intent(id)) {
        Some(id) => Ok(id.to_owned()),
        None => Err(unsettled("the answer is no payment intent".to_owned())),
    }
}

/// Ids go into paths: only what can be one does.
fn is_intent(id: &str) -> bool {
    let rest = id.strip_prefix("pi_").unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn path_of(id: &str, action: &str) -> String {
    format!("/v1/payment_intents/{id}{action}")
}

fn unsettled(why: String) -> Unsettled {
    Unsettled::Unknown {
        why,
        at_once: false,
    }
}

fn now_s() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_secs()
}

impl PaymentGateway for Stripe {
    fn ask(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> Result<PaymentOutcome, GatewayUnavailable> {
        match self.settle(key, request, false) {
            // The shopper waits at the gate: what may pass in a moment is tried once more.
            Err(Unsettled::Unknown { at_once: true, .. }) => {
                thread::sleep(AGAIN);
                self.ask_again(key, request)
            }
            settled => settled.map_err(|unsettled| unavailable(key, unsettled)),
        }
    }

    fn ask_again(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> Result<PaymentOutcome, GatewayUnavailable> {
        let settled = self.settle(key, request, true);
        settled.map_err(|unsettled| unavailable(key, unsettled))
    }
}

fn unavailable(key: &IdempotencyKey, unsettled: Unsettled) -> GatewayUnavailable {
    let key = key.clone();
    match unsettled {
        Unsettled::Unknown { why, .. } => GatewayUnavailable {
            key,
            why,
            retry: RetryAfter::Moments,
        },
        Unsettled::Misconfigured { why } => {
            tracing::error!(%key, "Stripe does not serve this store, see to the key, the payers and the account: {why}");
            GatewayUnavailable {
                key,
                why,
                retry: RetryAfter::Minutes,
            }
        }
    }
}
