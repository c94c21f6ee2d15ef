//! Requests to Stripe's HTTP API, and what their answers mean for a retry.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::key::SecretKey;

/// Where Stripe is.
pub const STRIPE_URL: &str = "https://api.stripe.com";
/// The version of the API that this is written for; an account's default may be another.
const API_VERSION: &str = "2024-06-20";
/// Bytes of an answer, at most.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long Stripe may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub connect: Duration,
    /// For a whole request with its answer.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(4),
            answer: Duration::from_secs(12),
        }
    }
}

/// A way to Stripe. A clone shares its connections.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    url: String,
    key: SecretKey,
}

/// Why there is no object in the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiError {
    /// Stripe did not do it and will not: the card was declined, or the request names what is not there.
    Refused(Refusal),
    /// Stripe does not take our word: the key, the account or the request itself is wrong. A person must see to it.
    Misconfigured { why: String },
    /// Stripe failed on the first request under this key, and says so again for as long as it remembers the key: asking
    /// again under it leads nowhere.
    Spent { why: String },
    /// Nobody knows whether it was done.
    Unknown {
        why: String,
        /// It was said at once, so that asking again in a moment is worth it; otherwise time has run out.
        at_once: bool,
    },
}

/// What Stripe says of a request that it refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub status: u16,
    /// `card_declined`, `payment_intent_unexpected_state` ...; may be empty.
    pub code: String,
    /// For people.
    pub message: String,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (f.debug_struct("Api").field("url", &self.url)).finish_non_exhaustive()
    }
}

/// Whether a key may be sent there: encrypted, or within this machine.
pub fn is_safe(url: &str) -> bool {
    url.starts_with("https://") || is_loopback(url)
}

fn is_loopback(url: &str) -> bool {
    let host = url.strip_prefix("http://").unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .filter_map(|loopback| host.strip_prefix(loopback))
        .any(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}

impl Api {
    pub fn new(url: &str, key: SecretKey, patience: Patience) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(!is_loopback(url))
            // The key goes where it was meant to go.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(patience.connect))
            .timeout_global(Some(patience.answer))
            .user_agent(concat!("stroll/", env!("CARGO_PKG_VERSION")));
        if is_loopback(url) {
            config = config.proxy(None);
        }
        Api {
            agent: config.build().new_agent(),
            url: url.trim_end_matches('/').to_owned(),
            key,
        }
    }

    /// Has something done, once for each idempotency key as long as Stripe remembers it (24 h at least).
    pub fn post(
        &self,
        path: &str,
        idempotency_key: &str,
        form: &[(&str, String)],
    ) -> Result<Value, ApiError> {
        let request = (self.agent.post(format!("{}{path}", self.url)))
            .header("Authorization", self.key.authorization())
            .header("Stripe-Version", API_VERSION)
            .header("Idempotency-Key", idempotency_key);
        let form = form.iter().map(|(name, value)| (*name, value.as_str()));
        read(request.send_form(form))
    }

    /// Looks something up.
    pub fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, ApiError> {
        let request = (self.agent.get(format!("{}{path}", self.url)))
            .header("Authorization", self.key.authorization())
            .header("Stripe-Version", API_VERSION);
        let query = query.iter().map(|(name, value)| (*name, value.as_str()));
        read(request.query_pairs(query).call())
    }

    /// Every object of a list, the newest first; `pages_max` bounds what is read of it.
    pub fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        pages_max: usize,
    ) -> Result<Vec<Value>, ApiError> {
        let mut all: Vec<Value> = Vec::new();
        for _ in 0..pages_max {
            let mut query = query.to_vec();
            query.push(("limit", "100".to_owned()));
            let last = all.last().and_then(|object| object["id"].as_str());
            query.extend(last.map(|id| ("starting_after", id.to_owned())));
            let mut page = self.get(path, &query)?;
            let more = page["has_more"].as_bool().unwrap_or(false);
            // By `get_mut`: to index what is no object panics.
            let Some(Value::Array(objects)) = page.get_mut("data").map(Value::take) else {
                return Err(unknown("the answer holds no list".to_owned()));
            };
            all.extend(objects);
            if !more {
                return Ok(all);
            }
        }
        Err(ApiError::Misconfigured {
            why: format!("{path} lists more than {} objects", all.len()),
        })
    }
}

fn unknown(why: String) -> ApiError {
    ApiError::Unknown { why, at_once: true }
}

fn read(answer: Result<Response<Body>, ureq::Error>) -> Result<Value, ApiError> {
    let mut response = answer.map_err(|error| lost(&error))?;
    let status = response.status();
    let replayed = response.headers().contains_key("idempotent-replayed");
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
    let text = body.read_to_string().map_err(|error| lost(&error))?;
    let json: Option<Value> = serde_json::from_str(&text).ok();
    match (status.is_success(), json) {
        (true, Some(object)) => Ok(object),
        (true, None) => Err(unknown("the answer is no JSON".to_owned())),
        (false, json) => match classify(status, &json.unwrap_or_default()["error"]) {
            ApiError::Unknown { why, .. } if replayed => Err(ApiError::Spent { why }),
            error @ (ApiError::Refused(_)
            | ApiError::Misconfigured { .. }
            | ApiError::Spent { .. }
            | ApiError::Unknown { .. }) => Err(error),
        },
    }
}

/// Stripe could not be asked, or was not heard. Errors of the transport name addresses and never what was sent.
fn lost(error: &ureq::Error) -> ApiError {
    ApiError::Unknown {
        why: error.to_string(),
        at_once: !matches!(error, ureq::Error::Timeout(_)),
    }
}

/// What an answer that is no success means. Source: <https://docs.stripe.com/error-low-level>.
fn classify(status: StatusCode, error: &Value) -> ApiError {
    let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    let refusal = Refusal {
        status: status.as_u16(),
        code: text("code"),
        message: text("message"),
    };
    let is_about_the_key = text("type") == "idempotency_error";
    match status.as_u16() {
        402 => ApiError::Refused(refusal),
        // Among these are requests that come too late, which whoever asked must tell from wrong ones.
        400 | 404 if !is_about_the_key => ApiError::Refused(refusal),
        400..=408 | 410..=428 | 431..=499 | 300..=399 => ApiError::Misconfigured {
            why: format!("Stripe answers {}", told(&refusal)),
        },
        _ => unknown(format!("Stripe answers {}", told(&refusal))),
    }
}

/// An error's status, code and message, as far as there are any.
fn told(refusal: &Refusal) -> String {
    let Refusal {
        status,
        code,
        message,
    } = refusal;
    let parts = [status.to_string(), code.clone(), message.clone()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(": ")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.is_empty() {
            true => write!(f, "Stripe answers {}", told(self)),
            false => f.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sent_encrypted_or_stays_on_the_machine() {
        for (url, safe) in [
            ("https://api.stripe.com", true),
            ("http://127.0.0.1:8420", true),
            ("http://localhost/x", true),
            ("http://[::1]:1", true),
            ("http://api.stripe.com", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://localhost@evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_safe(url), safe, "{url}");
        }
    }

    #[test]
    fn answers_are_told_apart_by_what_may_follow() {
        let read = |line: &str| {
            let (status, kind) = line.split_once(' ').unwrap();
            let error = serde_json::json!({"type": kind, "code": "c", "message": "m"});
            let status = StatusCode::from_bytes(status.as_bytes()).unwrap();
            match classify(status, &error) {
                ApiError::Refused(refusal) => format!("refused: {refusal}"),
                ApiError::Misconfigured { why } => format!("misconfigured: {why}"),
                ApiError::Spent { why } => format!("spent: {why}"),
                ApiError::Unknown { why, at_once } => format!("unknown, {at_once}: {why}"),
            }
        };
        for (answer, meaning) in [
            ("402 card_error", "refused: m"),
            ("400 invalid_request_error", "refused: m"),
            ("404 invalid_request_error", "refused: m"),
            (
                "400 idempotency_error",
                "misconfigured: Stripe answers 400: c: m",
            ),
            (
                "401 invalid_request_error",
                "misconfigured: Stripe answers 401: c: m",
            ),
            (
                "403 invalid_request_error",
                "misconfigured: Stripe answers 403: c: m",
            ),
            ("302 x", "misconfigured: Stripe answers 302: c: m"),
            ("409 x", "unknown, true: Stripe answers 409: c: m"),
            (
                "429 rate_limit_error",
                "unknown, true: Stripe answers 429: c: m",
            ),
            ("500 api_error", "unknown, true: Stripe answers 500: c: m"),
            ("503 api_error", "unknown, true: Stripe answers 503: c: m"),
        ] {
            assert_eq!(read(answer), meaning, "{answer}");
        }
    }
}
