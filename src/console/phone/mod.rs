//! The shopper's phone: joining, the entry code, the cart as it fills, receipts, and one's own data.

pub(super) mod account;
pub(super) mod cart;
pub(super) mod visits;

use axum::Form;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

use super::access::{self, Caller};
use super::operate::{Action, act};
use super::tongue::Tongue;
use super::{Asking, Console, assets, entrance, host, page};
use crate::checkout::session::Role;
use crate::edge::live::wall_now;
use crate::edge::office::{OfficeError, Part, Phone, Token};
use crate::observation::DeviceId;

/// Bytes of a phone's key.
const KEY_BYTES: usize = 32;
/// What a phone's tabs lead to, and the messages that name them.
const TABS: [(&str, &str, &str); 3] = [
    ("/me", "tab-code", "gate"),
    ("/me/visits", "tab-receipts", "receipt"),
    ("/me/account", "tab-you", "person"),
];

/// `GET /join`
pub async fn join(State(console): State<Console>, tongue: Tongue) -> Response {
    page::html(StatusCode::OK, join_page(&console, tongue, None))
}

fn join_page(console: &Console, tongue: Tongue, wrong: Option<&str>) -> Markup {
    let content = html! {
        h1 { (tongue.say("join")) }
        p { (tongue.say("join-what")) }
        @if let Some(wrong) = wrong { p .notice role="alert" { (wrong) } }
        form method="post" action="/join" {
            label { (tongue.say("join-name")) input name="name" autocomplete="username" autocapitalize="none" required maxlength="64"; small { (tongue.say("join-name-hint")) } }
            label { (tongue.say("join-password")) input name="password" type="password" autocomplete="new-password" required minlength="10" maxlength="200"; small { (tongue.say("join-password-hint")) } }
            label .check-box { input type="checkbox" name="consent" value="yes" required; span { (tongue.say("join-consent")) } }
            button .main { (tongue.say("join")) }
        }
        p .meta { (tongue.say("joined-before")) " " a href="/login?to=/me" { (tongue.say("log-in")) } }
    };
    page::entrance_in(tongue, &console.store_name(), &tongue.say("join"), &content)
}

#[derive(Deserialize)]
pub struct Joining {
    name: String,
    password: String,
    #[serde(default)]
    consent: String,
}

/// `POST /join`
pub async fn joined(
    State(console): State<Console>,
    tongue: Tongue,
    headers: HeaderMap,
    Form(said): Form<Joining>,
) -> Response {
    let now = wall_now();
    if said.consent != "yes" {
        let why = tongue.say("join-no-consent");
        let page = join_page(&console, tongue, Some(&why));
        return page::html(StatusCode::BAD_REQUEST, page);
    }
    // Counted as a try, too: whoever makes accounts by the thousand is slowed down.
    if let Err(wait_s) = console.attempts.begin(&said.name, now) {
        return access::too_often(wait_s);
    }
    match entrance::add_account(&console, said.name, Part::Shopper, said.password).await {
        Ok(account) => {
            console.note(&account.name, "join", "", now);
            access::log_in(&console, &headers, &account, "/me")
        }
        Err(error) => {
            let why = page::capital(&error.to_string());
            page::html(
                StatusCode::BAD_REQUEST,
                join_page(&console, tongue, Some(&why)),
            )
        }
    }
}

/// A page of the phone's.
fn framed(
    console: &Console,
    caller: &Caller,
    here: &str,
    title: &str,
    content: &Markup,
) -> Result<Markup, OfficeError> {
    let phones = console.office.phones(caller.id())?;
    let tongue = caller.tongue;
    let devices: Vec<&str> = phones.iter().map(|phone| phone.device.as_str()).collect();
    Ok(html! {
        (DOCTYPE)
        html lang=(tongue.code()) {
            head {
                (page::head(&format!("{title} · {}", console.store_name())))
                link rel="manifest" href="/app.webmanifest";
                meta name="theme-color" content="#0e7a5b";
                script type="module" src=(assets::address("phone.js")) {}
            }
            body .phone data-store=(console.definition.id) data-account=(caller.id().0)
                data-form=(caller.form_key) data-devices=(devices.join(" "))
                data-code-hold=(tongue.say("code-hold")) data-code-needs-https=(tongue.say("code-needs-https"))
                data-code-no-keys=(tongue.say("code-no-keys")) data-total-word=(tongue.say("total")) {
                (PreEscaped(page::ICONS))
                header .top {
                    svg .mark aria-hidden="true" { use href="#i-mark" {} }
                    div .store { p .name { (console.store_name()) } p .clock { (caller.name) } }
                    @if caller.part != Part::Shopper { a .button href="/" { (tongue.say("console")) } }
                    p .offline-mark { (tongue.say("offline")) }
                }
                main #content { (content) }
                nav .tabs aria-label=(tongue.say("tabs")) {
                    @for (path, label, icon) in TABS {
                        a href=(path) aria-current=[(path == here).then_some("page")] {
                            svg aria-hidden="true" { use href={ "#i-" (icon) } {} } (tongue.say(label))
                        }
                    }
                }
                p #say .hidden role="status" aria-live="polite" {}
            }
        }
    })
}

fn shown(
    console: &Console,
    caller: &Caller,
    status: StatusCode,
    (here, title): (&str, &str),
    content: &Markup,
) -> Response {
    match framed(console, caller, here, title, content) {
        Ok(page) => page::html(status, page),
        Err(error) => page::broken(&error),
    }
}

/// `GET /me`: the code, and the cart.
pub async fn home(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let tongue = caller.tongue;
    let cart = match cart::fragment(&console, caller.id(), tongue) {
        Ok(cart) => cart,
        Err(error) => return page::broken(&error),
    };
    let content = html! {
        h1 .hidden { (tongue.say("code-and-cart")) }
        section #code data-state="making" aria-label=(tongue.say("entry-code")) {
            svg viewBox="-3 -3 39 39" role="img" aria-label=(tongue.say("entry-code-picture")) { path d="" {} }
            progress max="30" value="30" { (tongue.say("half-a-minute")) }
            p .hint role="status" { (tongue.say("code-making")) }
            noscript { p .notice { (tongue.say("code-needs-script")) } }
        }
        section #cart aria-label=(tongue.say("your-cart")) { (cart) }
    };
    shown(
        &console,
        &caller,
        StatusCode::OK,
        ("/me", &tongue.say("your-code")),
        &content,
    )
}

/// `POST /me/phone`: a phone shows the key that it has made; the answer is its name.
pub async fn register(
    State(console): State<Console>,
    Asking(caller): Asking,
    key: String,
) -> Response {
    let key = URL_SAFE_NO_PAD.decode(key.trim()).unwrap_or_default();
    if key.len() != KEY_BYTES {
        let why = format!("A phone's key is {KEY_BYTES} bytes in base64url.\n");
        return host::plain(StatusCode::BAD_REQUEST, why);
    }
    match add_phone(&console, &caller, key).await {
        Ok(device) => (
            StatusCode::CREATED,
            [(CONTENT_TYPE, "text/plain"), (CACHE_CONTROL, "no-store")],
            device.to_string(),
        )
            .into_response(),
        Err(why) => host::plain(StatusCode::CONFLICT, page::capital(&why) + "\n"),
    }
}

async fn add_phone(console: &Console, caller: &Caller, key: Vec<u8>) -> Result<DeviceId, String> {
    let told = |error: OfficeError| error.to_string();
    let random: String = (Token::random().map_err(told)?.reveal().chars())
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    let device = DeviceId::from(format!("{}{random}", Phone::PREFIX));
    let role = match caller.part {
        Part::Staff => Role::Staff,
        Part::Operator | Part::Tester | Part::Shopper => Role::Shopper,
    };
    // The store first: a phone that nobody owns opens a gate at worst once, and is nobody's visit.
    let enrol = Action::Enrol {
        device: device.clone(),
        key,
        role,
    };
    act(console, &caller.name, enrol)
        .await
        .map_err(|undone| undone.sentence())?;
    let added = console.office.add_phone(caller.id(), &device, wall_now());
    let replaced = match added {
        Ok(replaced) => replaced,
        Err(error) => {
            let revoke = Action::Revoke { device };
            let _ = act(console, &caller.name, revoke).await;
            return Err(told(error));
        }
    };
    for device in replaced {
        let revoke = Action::Revoke { device };
        act(console, &caller.name, revoke)
            .await
            .map_err(|undone| undone.sentence())?;
    }
    Ok(device)
}

/// `GET /app.webmanifest`: what makes it an app on the phone's first page.
pub async fn manifest(State(console): State<Console>) -> Response {
    let manifest = serde_json::json!({
        "name": console.store_name(),
        "short_name": console.store_name(),
        "start_url": "/me",
        "scope": "/",
        "display": "standalone",
        "background_color": "#0f1312",
        "theme_color": "#0e7a5b",
        "icons": [{ "src": "/assets/icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any" }],
    });
    let headers = [
        (CONTENT_TYPE, "application/manifest+json"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, manifest.to_string()).into_response()
}

/// `GET /sw.js`: the worker that keeps the page for when there is no network.
pub async fn worker() -> Response {
    let script = include_str!("../assets/sw.js").replace("BUILD", assets::build());
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, script).into_response()
}
