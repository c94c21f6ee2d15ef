//! Who may ask, and how: the guard before every route.
//!
//! A web page in the same browser must not reach the console by pointing a name of its own at 127.0.0.1 (DNS rebinding): the
//! `Host` header gives such a request away.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Nothing inline, nothing from elsewhere, never in a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// The names of this machine itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Whether a `Host` names this machine itself, whatever the port.
fn is_loopback(authority: &str) -> bool {
    let name = without_port(authority).to_ascii_lowercase();
    LOOPBACK.contains(&name.as_str())
}

/// The same of a request.
pub(super) fn is_loopback_host(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(is_loopback)
}

/// The names under which the console may be asked for; a port does not matter.
#[derive(Clone, Debug)]
pub(super) struct Hosts(Arc<[String]>);

impl Hosts {
    /// Loopback's own names and `also`.
    pub fn new(also: &[String]) -> Self {
        let also = also.iter().map(|name| name.to_ascii_lowercase());
        Hosts(
            LOOPBACK
                .into_iter()
                .map(str::to_owned)
                .chain(also)
                .collect(),
        )
    }

    fn allow(&self, authority: &str) -> bool {
        let name = without_port(authority).to_ascii_lowercase();
        self.0.contains(&name)
    }

    /// Judges a request by its `Host` header and, where it has one, the authority of its target.
    fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
        let mut given = headers.get_all(HOST).iter();
        // HTTP wants 400 for a request whose Host is missing or given twice (RFC 9112, 3.2).
        let (Some(host), None) = (given.next(), given.next()) else {
            let why = "A request to the console takes exactly one Host header.\n";
            return Err((StatusCode::BAD_REQUEST, why.to_owned()));
        };
        let host = String::from_utf8_lossy(host.as_bytes());
        let target = uri
            .authority()
            .map_or(host.as_ref(), |target| target.as_str());
        if self.allow(&host) && self.allow(target) {
            return Ok(());
        }
        let refused = if self.allow(&host) {
            target
        } else {
            host.as_ref()
        };
        let refused: String = refused.chars().take(100).collect();
        Err((
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "This console does not answer to `{refused}`: ask for `localhost`, or start it with that name among its allowed hosts.\n"
            ),
        ))
    }
}

/// `[::1]:8080` and `localhost:8080` without what follows the last colon, if that is a port.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !is_open(name) => name,
        Some(_) | None => authority,
    }
}

/// Whether a bracket is open at the end: then the colon belonged to the address.
fn is_open(name: &str) -> bool {
    name.starts_with('[') && !name.ends_with(']')
}

/// Lets requests for a known host through, and puts the security headers on every answer. What each route is asked for by,
/// and by whom, is in [`super::routes`].
pub(super) async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut response = match hosts.judge(request.uri(), request.headers()) {
        Err((status, why)) => plain(status, why),
        Ok(()) => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An answer of one sentence.
pub(super) fn plain(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_named_hosts_are_allowed_with_any_port() {
        let hosts = Hosts::new(&["Shop.example".to_owned(), "192.168.7.2".to_owned()]);
        for (authority, allowed) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1:1", true),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("shop.example:8080", true),
            ("192.168.7.2", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("evil.example:localhost", false),
            ("127.0.0.1.evil.example:80", false),
            ("127.0.0.2", false),
            ("[::2]:80", false),
            ("::1", false),
            ("localhost:80:80", false),
            ("", false),
            (":80", false),
        ] {
            assert_eq!(hosts.allow(authority), allowed, "{authority}");
        }
    }
}
