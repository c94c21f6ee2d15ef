//! The cookie by which a browser is known: a login's token, and nothing else.

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue};

use super::host::is_loopback_host;
use super::tongue::{TONGUE_COOKIE, Tongue};
use crate::edge::office::Token;

/// `__Host-` has a browser send a cookie back to nobody but this host, over HTTPS. Plain HTTP on loopback, where not every
/// browser keeps such a cookie, has one without.
fn name_and_rule(headers: &HeaderMap) -> (&'static str, &'static str) {
    match is_loopback_host(headers) {
        true => ("stroll", ""),
        false => ("__Host-stroll", " Secure;"),
    }
}

/// The tokens that a request carries.
pub(super) fn sent(headers: &HeaderMap) -> impl Iterator<Item = Token> {
    let (name, _) = name_and_rule(headers);
    (headers.get_all(COOKIE).iter())
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(key, _)| *key == name)
        .filter_map(|(_, value)| Token::sent(value))
}

/// Has a browser keep a token for so many seconds.
pub(super) fn kept(headers: &HeaderMap, token: &Token, for_s: f64) -> HeaderValue {
    cookie(headers, token.reveal(), for_s as u64)
}

/// Has a browser forget it.
pub(super) fn gone(headers: &HeaderMap) -> HeaderValue {
    cookie(headers, "", 0)
}

/// Has a browser keep a language, for a year.
pub(super) fn of_language(headers: &HeaderMap, tongue: Tongue) -> HeaderValue {
    let (_, secure) = name_and_rule(headers);
    let (name, code) = (TONGUE_COOKIE, tongue.code());
    let text = format!("{name}={code}; Path=/; HttpOnly;{secure} SameSite=Lax; Max-Age=31536000");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("stroll-language=en"))
}

fn cookie(headers: &HeaderMap, value: &str, age_s: u64) -> HeaderValue {
    let (name, secure) = name_and_rule(headers);
    let text = format!("{name}={value}; Path=/; HttpOnly;{secure} SameSite=Lax; Max-Age={age_s}");
    // Base64url and digits: there is nothing that a header could not hold.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("stroll="))
}

#[cfg(test)]
mod tests {
    use axum::http::header::HOST;

    use super::*;

    #[test]
    fn a_cookie_is_the_hosts_own_but_on_loopback() {
        let token = Token::random().unwrap();
        for (host, begins, secure) in [
            ("shop.example", "__Host-stroll=", true),
            ("shop.example:8080", "__Host-stroll=", true),
            ("localhost:8080", "stroll=", false),
            ("127.0.0.1", "stroll=", false),
            ("[::1]:1", "stroll=", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            let cookie = kept(&headers, &token, 60.0);
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.starts_with(begins), "{cookie}");
            assert_eq!(cookie.contains("; Secure;"), secure, "{cookie}");
            assert!(cookie.contains("; HttpOnly;") && cookie.ends_with("Max-Age=60"));
            assert!(cookie.contains("; Path=/;") && cookie.contains("SameSite=Lax"));
            let gone = gone(&headers);
            let gone = gone.to_str().unwrap();
            assert!(gone.starts_with(&format!("{begins};")), "{gone}");
            assert!(gone.ends_with("Max-Age=0") && gone.contains("; Secure;") == secure);
            headers.insert(COOKIE, format!("a=b; {cookie}").parse().unwrap());
            let sent: Vec<Token> = sent(&headers).collect();
            assert_eq!(sent.len(), 1, "{host}");
            assert_eq!(sent[0].reveal(), token.reveal());
        }
    }
}
