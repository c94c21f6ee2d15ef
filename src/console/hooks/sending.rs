//! One delivery: signed as Standard Webhooks has it (<https://www.standardwebhooks.com>), and what the receiver says.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use ureq::Agent;
use ureq::http::Uri;

use crate::edge::office::{Due, OfficeError, Sent};
use crate::units::Timestamp;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
const SECRET_BYTES: usize = 32;
const ADDRESS_CHARS_MAX: usize = 1_000;
/// Letters of an error that are kept.
const SAID_CHARS_MAX: usize = 200;

/// What asks receivers. Nobody is followed elsewhere: what is signed goes where the owner said.
pub fn agent() -> Agent {
    let config = Agent::config_builder()
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("stroll/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

/// Sends it once.
pub fn send(agent: &Agent, due: &Due, now: Timestamp) -> Sent {
    let second = now.0.div_euclid(1_000_000);
    let begun = Instant::now();
    let answer = agent
        .post(&due.url)
        .header("content-type", "application/json")
        .header("webhook-id", &due.event)
        .header("webhook-timestamp", second.to_string())
        .header(
            "webhook-signature",
            signature(&due.secret, &due.event, second, &due.body),
        )
        .send(due.body.as_bytes());
    let took_ms = begun.elapsed().as_millis();
    match answer.map(|answer| answer.status()) {
        Ok(status) if status.is_success() => Sent::Arrived(format!("{status} after {took_ms} ms")),
        Ok(status) if status.as_u16() == 410 => {
            Sent::Gone("the receiver wants no more: 410 Gone".to_owned())
        }
        Ok(status) if status.is_redirection() => Sent::Failed(format!(
            "{status}: the receiver has moved; nobody is followed elsewhere"
        )),
        Ok(status) => Sent::Failed(status.to_string()),
        Err(error) => Sent::Failed(error.to_string().chars().take(SAID_CHARS_MAX).collect()),
    }
}

/// `v1,` and the HMAC-SHA256 of id, second and body with stops between them.
fn signature(secret: &[u8], id: &str, second: i64, body: &str) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return String::new();
    };
    mac.update(format!("{id}.{second}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// A secret that nobody has had.
pub fn secret() -> Result<Vec<u8>, OfficeError> {
    let mut secret = vec![0; SECRET_BYTES];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

/// As receivers are given it.
pub fn shown_secret(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// An address that something can be sent to, or what is wrong with it.
pub fn address(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let uri: Uri = match text.parse() {
        Ok(uri) if text.len() <= ADDRESS_CHARS_MAX => uri,
        Ok(_) | Err(_) => return Err("This is no address: write https://host/path."),
    };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    match uri.scheme_str() {
        Some("https" | "http") if !authority.is_empty() && !authority.contains('@') => {
            Ok(text.to_owned())
        }
        Some(_) | None => Err(
            "An address begins with https:// (or, inside your own network, http://) and holds no password.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn addresses_are_of_the_web_and_hold_no_password() {
        for (text, good) in [
            ("https://example.org/hook?x=1", true),
            (" http://127.0.0.1:9000/ ", true),
            ("ftp://example.org/", false),
            ("https://anna:secret@example.org/", false),
            ("/hook", false),
            ("", false),
        ] {
            assert_eq!(address(text).is_ok(), good, "{text}");
        }
    }
}
