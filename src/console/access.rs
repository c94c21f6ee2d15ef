//! Who asks, and whether they may: every route names who it is for in [`super::routes`], and this decides.
//!
//! A person is known by a cookie that a login has set; a program by the console's key (`Authorization: Bearer`). What changes
//! something has to come from our own pages: browsers say where a request comes from (Fetch Metadata), and each form carries
//! a key that follows from the login's token, which no other site can know.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER, SET_COOKIE,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::host::{is_loopback_host, plain};
use super::tongue::Tongue;
use super::{Console, api, cookies, page};
use crate::edge::live::wall_now;
use crate::edge::office::{Account, AccountId, NAME_CHARS_MAX, Part, Scope, Token};

/// Bytes of a form.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// The header that names who operates by the console's key.
const OPERATOR: &str = "stroll-operator";
/// The header that carries a form's key where a script asks.
const FORM_KEY: &str = "stroll-form";
/// How long a login lasts, seconds: a working day, and a quarter of a year for shoppers, whose phone is their key.
const WORK_LOGIN_S: f64 = 12.0 * 3_600.0;
const SHOP_LOGIN_S: f64 = 90.0 * 86_400.0;

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever asks.
    Anyone,
    /// Whoever is logged in with one of these parts.
    Only(&'static [Part]),
    /// A program whose key is for that.
    Program(Scope),
}

/// Whoever asks, as far as is known.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// None for a program.
    pub account: Option<Account>,
    /// What is written down as the author of what they do.
    pub name: String,
    pub part: Part,
    /// What their forms carry.
    pub form_key: String,
    /// What they read.
    pub tongue: Tongue,
}

impl Caller {
    fn of(account: Account, token: &Token, headers: &HeaderMap) -> Self {
        Caller {
            name: account.name.clone(),
            part: account.part,
            account: Some(account),
            form_key: token.form_key(),
            tongue: Tongue::wanted(headers),
        }
    }

    pub fn may(&self, access: Access) -> bool {
        match access {
            Access::Anyone => true,
            Access::Only(parts) => parts.contains(&self.part),
            // By its key, not by who somebody is.
            Access::Program(_) => false,
        }
    }

    /// Whose pages they see. A program has none of its own.
    pub fn id(&self) -> AccountId {
        self.account.as_ref().map_or(AccountId(-1), |a| a.id)
    }
}

/// The one that everybody is who looks at a demo from this machine.
#[derive(Clone, Debug)]
pub struct Guest {
    pub account: Account,
    pub token: Token,
}

/// A secret by which programs ask; only its hash is kept.
#[derive(Clone)]
pub struct ConsoleKey([u8; 32]);

impl std::fmt::Debug for ConsoleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConsoleKey(..)")
    }
}

impl ConsoleKey {
    /// Letters that a key has at least.
    pub const CHARS_MIN: usize = 16;

    /// The key of that text; None if it is too short.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= Self::CHARS_MIN).then(|| ConsoleKey(Sha256::digest(text).into()))
    }

    fn is(&self, text: &str) -> bool {
        // Hashes of what was sent and what is known: how long the comparison takes tells nothing of the key.
        self.0 == <[u8; 32]>::from(Sha256::digest(text.trim()))
    }
}

/// Whether that is the key of the whole console.
pub(super) fn is_console_key(console: &Console, text: &str) -> bool {
    console.key.as_ref().is_some_and(|known| known.is(text))
}

/// What [`authorise`] works with: the console, and whom the route is for.
#[derive(Clone)]
pub(super) struct Door {
    pub console: Console,
    pub access: Access,
}

/// Lets a request through to its route, with a [`Caller`] (or none) among its extensions.
pub(super) async fn authorise(State(door): State<Door>, request: Request, next: Next) -> Response {
    let Door { console, access } = door;
    if let Access::Program(scope) = access {
        return match api::admit(&console, request.headers(), scope) {
            Ok(caller) => pass(Some(caller), request, next).await,
            Err(refusal) => *refusal,
        };
    }
    let known = match identify(&console, request.headers()) {
        Ok(known) => known,
        Err(refusal) => return *refusal,
    };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && let Err(why) = came_from_here(request.headers()) {
        return plain(StatusCode::FORBIDDEN, why);
    }
    let Some(known) = known else {
        return match access {
            Access::Anyone => pass(None, request, next).await,
            Access::Only(_) | Access::Program(_) => to_login(&request),
        };
    };
    if !known.caller.may(access) {
        return not_yours(&known.caller);
    }
    let wants_key = changes && access != Access::Anyone && known.caller.account.is_some();
    let request = match wants_key {
        false => request,
        true => match with_form_key(request, &known.caller.form_key).await {
            Ok(request) => request,
            Err(refusal) => return *refusal,
        },
    };
    let mut response = pass(Some(known.caller), request, next).await;
    if let Some(cookie) = known.cookie
        && !response.headers().contains_key(SET_COOKIE)
    {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

async fn pass(caller: Option<Caller>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(caller.map(Arc::new));
    next.run(request).await
}

/// Who asks, and the cookie that their browser is to keep from now on.
struct Known {
    caller: Caller,
    cookie: Option<HeaderValue>,
}

fn identify(console: &Console, headers: &HeaderMap) -> Result<Option<Known>, Box<Response>> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(sent) = text(AUTHORIZATION) {
        let key = sent.strip_prefix("Bearer ").unwrap_or_default();
        if !console.key.as_ref().is_some_and(|known| known.is(key)) {
            let why = "This is not the console's key.\n".to_owned();
            return Err(Box::new(plain(StatusCode::UNAUTHORIZED, why)));
        }
        let Some(name) = operator_named(headers) else {
            let why = "Say who you are in a header `Stroll-Operator: NAME`.\n".to_owned();
            return Err(Box::new(plain(StatusCode::FORBIDDEN, why)));
        };
        let caller = Caller {
            account: None,
            name,
            part: Part::Operator,
            form_key: String::new(),
            tongue: Tongue::English,
        };
        return Ok(Some(Known {
            caller,
            cookie: None,
        }));
    }
    if let Some(token) = cookies::sent(headers).next() {
        match console.office.identify(&token, wall_now()) {
            Ok(Some(account)) => {
                return Ok(Some(Known {
                    caller: Caller::of(account, &token, headers),
                    cookie: None,
                }));
            }
            Ok(None) => {}
            Err(error) => return Err(Box::new(page::broken(&error))),
        }
    }
    match &console.guest {
        Some(guest) if is_local(headers) => {
            let caller = Caller::of(guest.account.clone(), &guest.token, headers);
            let cookie = cookies::kept(headers, &guest.token, WORK_LOGIN_S);
            Ok(Some(Known {
                caller,
                cookie: Some(cookie),
            }))
        }
        Some(_) | None => Ok(None),
    }
}

/// Who a program says it acts for; one that only looks need not say.
fn operator_named(headers: &HeaderMap) -> Option<String> {
    let Some(name) = headers.get(OPERATOR) else {
        return Some("a program".to_owned());
    };
    let name = name.to_str().ok()?.trim();
    let printable = name.chars().all(|c| !c.is_control());
    (printable && (1..=NAME_CHARS_MAX).contains(&name.chars().count())).then(|| name.to_owned())
}

/// Whether a request says that it comes from a program on this machine, by no proxy.
fn is_local(headers: &HeaderMap) -> bool {
    let proxied = [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
    ];
    is_loopback_host(headers) && !proxied.iter().any(|name| headers.contains_key(*name))
}

/// Logs an account in, and sends its browser on.
pub(super) fn log_in(
    console: &Console,
    headers: &HeaderMap,
    account: &Account,
    to: &str,
) -> Response {
    let for_s = match account.part {
        Part::Shopper => SHOP_LOGIN_S,
        Part::Operator | Part::Staff | Part::Tester => WORK_LOGIN_S,
    };
    match console.office.log_in(account.id, wall_now(), for_s) {
        Ok(token) => {
            let mut response = page::see(to);
            let cookie = cookies::kept(headers, &token, for_s);
            response.headers_mut().insert(SET_COOKIE, cookie);
            response
        }
        Err(error) => page::broken(&error),
    }
}

/// Ends the login of whoever asks, and sends the browser on.
pub(super) fn log_out(console: &Console, headers: &HeaderMap) -> Response {
    for token in cookies::sent(headers) {
        if let Err(error) = console.office.log_out(&token) {
            return page::broken(&error);
        }
    }
    let mut response = page::see("/login");
    (response.headers_mut()).insert(SET_COOKIE, cookies::gone(headers));
    // A phone that is handed on keeps neither key nor receipt.
    let storage = HeaderValue::from_static("\"storage\"");
    let clear = HeaderName::from_static("clear-site-data");
    response.headers_mut().insert(clear, storage);
    response
}

/// Whether what changes something comes from a page of ours, or from no browser.
fn came_from_here(headers: &HeaderMap) -> Result<(), String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let refused = || {
        Err(
            "This was sent by a page of another site, and is not done: open the console itself.\n"
                .to_owned(),
        )
    };
    match text("sec-fetch-site") {
        Some("same-origin" | "none") => return Ok(()),
        Some(_) => return refused(),
        None => {}
    }
    match (text(ORIGIN.as_str()), text(HOST.as_str())) {
        (Some(origin), Some(host)) => {
            let from = origin.split_once("://").map(|(_, host)| host);
            if from == Some(host) {
                Ok(())
            } else {
                refused()
            }
        }
        (Some(_) | None, _) => Ok(()),
    }
}

/// Lets a form through that carries its key: as the field `form`, or in a header where a script asks.
async fn with_form_key(request: Request, key: &str) -> Result<Request, Box<Response>> {
    let refused = || {
        let why = "This form is from another login: load the page again and repeat it.\n";
        Box::new(plain(StatusCode::FORBIDDEN, why.to_owned()))
    };
    if let Some(sent) = request.headers().get(FORM_KEY) {
        return match sent.as_bytes() == key.as_bytes() {
            true => Ok(request),
            false => Err(refused()),
        };
    }
    let is_form = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if !is_form {
        return Err(refused());
    }
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, FORM_BYTES_MAX).await.map_err(|_| {
        let why = "A form of this console is smaller than that.\n".to_owned();
        Box::new(plain(StatusCode::PAYLOAD_TOO_LARGE, why))
    })?;
    // The key is base64url: nothing in it is written otherwise in a form.
    let mut fields = body.split(|byte| *byte == b'&');
    let carries = fields.any(|field| field.strip_prefix(b"form=") == Some(key.as_bytes()));
    match carries {
        true => Ok(Request::from_parts(parts, Body::from(body))),
        false => Err(refused()),
    }
}

/// A browser is shown where to log in, and a program told.
fn to_login(request: &Request) -> Response {
    let wants_page = *request.method() == Method::GET
        && request
            .headers()
            .get("accept")
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        let path = request.uri().path();
        let address = match path {
            "/" => "/login".to_owned(),
            path => format!("/login?to={path}"),
        };
        return page::see(&address);
    }
    let why = "Log in first, or send the console's key: `Authorization: Bearer KEY`.\n";
    plain(StatusCode::UNAUTHORIZED, why.to_owned())
}

fn not_yours(caller: &Caller) -> Response {
    page::html(
        StatusCode::FORBIDDEN,
        page::sentence(
            "This is not for you",
            &format!(
                "You are logged in as {}, {}. Ask an operator, or log in as somebody else.",
                caller.name,
                caller.part.name()
            ),
        ),
    )
}

/// The answer to whoever tries too often.
pub(super) fn too_often(wait_s: u64) -> Response {
    let why = format!("Too many tries: wait {wait_s} s.\n");
    let mut response = plain(StatusCode::TOO_MANY_REQUESTS, why);
    response.headers_mut().insert(RETRY_AFTER, wait_s.into());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_pages_of_ours_change_anything() {
        for (sent, done) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "null")],
                true,
            ),
            (
                &[("host", "shop.example"), ("origin", "https://shop.example")],
                true,
            ),
            (
                &[("host", "shop.example"), ("origin", "https://evil.example")],
                false,
            ),
            (&[("host", "shop.example"), ("origin", "null")], false),
            (&[("host", "shop.example")], true),
        ] {
            assert_eq!(came_from_here(&headers(sent)).is_ok(), done, "{sent:?}");
        }
    }

    #[test]
    fn a_request_by_a_proxy_is_not_local() {
        assert!(is_local(&headers(&[("host", "localhost:1")])));
        assert!(!is_local(&headers(&[("host", "shop.example")])));
        let proxied = [("host", "localhost"), ("x-forwarded-for", "10.0.0.7")];
        assert!(!is_local(&headers(&proxied)));
    }

    #[test]
    fn a_key_is_long_and_exact() {
        assert!(ConsoleKey::new("too short").is_none());
        let key = ConsoleKey::new("0123456789abcdef\n").unwrap();
        assert!(key.is("0123456789abcdef"));
        assert!(!key.is("0123456789abcdeF") && !key.is(""));
    }
}
