//! Stripe's own list of payments, for the day-end report.

use std::collections::BTreeMap;

use serde_json::Value;

use super::api::ApiError;
use super::{OUR_KEY, PAGES_MAX, Stripe, StripeError, Unsettled, from_stripe};
use crate::checkout::payment::IdempotencyKey;
use crate::checkout::payment::report::{Entry, Stands};
use crate::units::Timestamp;

impl Stripe {
    /// Every payment intent that was made from `from` on, with what was refunded of it since.
    ///
    /// # Errors
    /// Stripe gave no list. Intents in a currency that this store can't be paid in are another program's, and left out.
    pub fn list(&self, from: Timestamp) -> Result<Vec<Entry>, StripeError> {
        let failed = |error: ApiError| StripeError::List {
            why: match Unsettled::from(error) {
                Unsettled::Unknown { why, .. } | Unsettled::Misconfigured { why } => why,
            },
        };
        let since = [("created[gte]", (from.0 / 1_000_000).to_string())];
        let all = |path| self.api.list(path, &since, PAGES_MAX).map_err(failed);
        let mut refunded: BTreeMap<String, i64> = BTreeMap::new();
        for refund in all("/v1/refunds")? {
            let failed = matches!(refund["status"].as_str(), Some("failed" | "canceled"));
            let intent = refund["payment_intent"].as_str();
            if let Some(intent) = intent.filter(|_| !failed) {
                let sum = refunded.entry(intent.to_owned()).or_default();
                *sum = sum.saturating_add(refund["amount"].as_i64().unwrap_or(0));
            }
        }
        let intents = all("/v1/payment_intents")?;
        Ok(intents
            .iter()
            .filter_map(|intent| read(intent, &refunded))
            .collect())
    }
}

fn read(intent: &Value, refunded: &BTreeMap<String, i64>) -> Option<Entry> {
    let id = intent["id"].as_str()?;
    let currency = intent["currency"].as_str()?;
    let minor = |amount: i64| from_stripe(amount, currency).map(|money| money.minor);
    let key = intent["metadata"][OUR_KEY].as_str();
    Some(Entry {
        key: key.map(IdempotencyKey::from),
        id: Some(id.to_owned()),
        at: Timestamp(intent["created"].as_i64()?.checked_mul(1_000_000)?),
        amount: from_stripe(intent["amount"].as_i64()?, currency)?,
        captured_minor: minor(intent["amount_received"].as_i64().unwrap_or(0))?,
        refunded_minor: minor(refunded.get(id).copied().unwrap_or(0))?,
        stands: match intent["status"].as_str()? {
            "requires_capture" => Stands::Held,
            "succeeded" => Stands::Captured,
            "canceled" => Stands::Released,
            "requires_payment_method" | "requires_action" => Stands::Declined,
            _ => Stands::UnderWay,
        },
    })
}
