//! What programs may do: their keys, and the webhooks that are told what happens.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::{answered, told};
use crate::console::access::Caller;
use crate::console::hooks::{self, KINDS};
use crate::console::sections::badge;
use crate::console::words::{Clock, time};
use crate::console::{Asking, Console, page};
use crate::edge::live::wall_now;
use crate::edge::office::{
    ApiKey, Delivery, DeliveryState, Hook, HookId, KeyId, NewHook, OfficeError, Scope,
};

const HERE: &str = "/programs";
/// Deliveries on a webhook's page.
const SHOWN: u32 = 100;

type Fields = BTreeMap<String, String>;

/// Something that is shown this once.
struct Secret<'a> {
    what: &'a str,
    text: &'a str,
}

/// `GET /programs`
pub async fn list(State(console): State<Console>, Asking(caller): Asking) -> Response {
    answer(&console, &caller, StatusCode::OK, None, None)
}

fn answer(
    console: &Console,
    caller: &Caller,
    status: StatusCode,
    why: Option<&str>,
    secret: Option<&Secret<'_>>,
) -> Response {
    let known = console
        .office
        .keys()
        .and_then(|keys| Ok((keys, console.office.hooks()?)));
    let (keys, hooks) = match known {
        Ok(known) => known,
        Err(error) => return page::broken(&error),
    };
    let content = html! {
        (told(why))
        h1 { "Programs" }
        p .meta { "What other programs may ask this store for, and what they are told. " a href="/api/openapi.json" { "The API as OpenAPI" } }
        @if let Some(secret) = secret {
            div .notice.good role="status" {
                p { (secret.what) " Copy it now: it is not shown again." }
                p { code .secret { (secret.text) } }
            }
        }
        div .columns {
            section .stack aria-labelledby="h-keys" {
                h2 #h-keys { "Keys" span .count { (keys.len()) } }
                @if keys.is_empty() { p .empty { "No program has a key." } }
                @else { ul .rows { @for key in &keys { (key_row(key, caller)) } } }
                (key_form(caller))
            }
            section .stack aria-labelledby="h-hooks" {
                h2 #h-hooks { "Webhooks" span .count { (hooks.len()) } }
                @if hooks.is_empty() { p .empty { "Nobody is told anything." } }
                @else { ul .rows { @for hook in &hooks { (hook_row(hook)) } } }
                (hook_form(caller))
            }
        }
    };
    answered(console, caller, (status, HERE, "Programs"), &content)
}

fn key_row(key: &ApiKey, caller: &Caller) -> Markup {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
    html! {
        li {
            div .grow {
                b { (key.name) }
                span .meta {
                    (scopes.join(", ")) " · made by " (key.made_by) ", " (time(key.made_at, Clock::Day))
                    @if let Some(at) = key.used_at { " · last used " (time(at, Clock::Full)) } @else { " · never used" }
                }
            }
            details .inline {
                summary { "Revoke" }
                form method="post" action={ "/programs/keys/" (key.id.0) "/revoke" } {
                    (page::form_key(caller))
                    p .meta { "Whatever asks by it is refused from now on." }
                    button .danger { "Revoke " (key.name) }
                }
            }
        }
    }
}

fn key_form(caller: &Caller) -> Markup {
    html! {
        form .card method="post" action="/programs/keys" {
            (page::form_key(caller))
            h3 { "Make a key" }
            label { "Name" input name="name" required maxlength="64" autocomplete="off" placeholder="Bookkeeping"; }
            fieldset {
                legend { "It may" }
                @for scope in Scope::ALL {
                    label .check-box {
                        input type="checkbox" name=(scope.name()) value="yes";
                        span { (scope.words()) " " small { code { (scope.name()) } } }
                    }
                }
            }
            button .main { "Make the key" }
        }
    }
}

fn hook_row(hook: &Hook) -> Markup {
    html! {
        li .link {
            div .grow {
                a href={ "/programs/hooks/" (hook.id.0) } { b .address { (hook.url) } }
                span .meta { (hook.events.join(", ")) }
            }
            (hook_badge(hook))
        }
    }
}

fn hook_badge(hook: &Hook) -> Markup {
    html! {
        @if hook.off.is_some() { (badge("bad", "Off")) }
        @else if hook.waiting > 0 { span .badge.warn { (hook.waiting) " waiting" } }
        @else { (badge("good", "Told all")) }
    }
}

fn hook_form(caller: &Caller) -> Markup {
    html! {
        form .card method="post" action="/programs/hooks" {
            (page::form_key(caller))
            h3 { "Add a webhook" }
            label { "Address" input name="url" type="url" required maxlength="1000" autocomplete="off" placeholder="https://example.org/stroll"; }
            fieldset {
                legend { "It is told" }
                @for (kind, words) in KINDS {
                    label .check-box {
                        input type="checkbox" name=(kind) value="yes" checked;
                        span { (words) " " small { code { (kind) } } }
                    }
                }
            }
            button .main { "Add it" }
        }
    }
}

fn refused(console: &Console, caller: &Caller, error: &OfficeError) -> Response {
    let why = page::capital(&error.to_string());
    answer(console, caller, StatusCode::BAD_REQUEST, Some(&why), None)
}

/// `POST /programs/keys`
pub async fn make_key(
    State(console): State<Console>,
    Asking(caller): Asking,
    Form(said): Form<Fields>,
) -> Response {
    let scopes: Vec<Scope> = (Scope::ALL.into_iter())
        .filter(|scope| said.contains_key(scope.name()))
        .collect();
    let name = said.get("name").map_or("", |name| name.trim());
    match console
        .office
        .make_key(name, &scopes, &caller.name, wall_now())
    {
        Ok(text) => {
            console.note(&caller.name, "make key", name, wall_now());
            let what = format!("The key {name} is made.");
            let secret = Secret {
                what: &what,
                text: &text,
            };
            answer(&console, &caller, StatusCode::OK, None, Some(&secret))
        }
        Err(error) => refused(&console, &caller, &error),
    }
}

/// `POST /programs/keys/{id}/revoke`
pub async fn revoke_key(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<i64>,
) -> Response {
    match console.office.revoke_key(KeyId(id)) {
        Ok(true) => {
            console.note(&caller.name, "revoke key", &format!("key {id}"), wall_now());
            page::see(HERE)
        }
        Ok(false) => page::not_found(),
        Err(error) => page::broken(&error),
    }
}

/// `POST /programs/hooks`
pub async fn add_hook(
    State(console): State<Console>,
    Asking(caller): Asking,
    Form(said): Form<Fields>,
) -> Response {
    let wrong = |why: &str| answer(&console, &caller, StatusCode::BAD_REQUEST, Some(why), None);
    let url = match hooks::address(said.get("url").map_or("", String::as_str)) {
        Ok(url) => url,
        Err(why) => return wrong(why),
    };
    let kinds = KINDS.iter().map(|(kind, _)| *kind);
    let events: Vec<&str> = kinds.filter(|kind| said.contains_key(*kind)).collect();
    let after = match hooks::journal_end(&console) {
        Ok(after) => after,
        Err(error) => return wrong(&page::capital(&error.to_string())),
    };
    let added = hooks::secret().and_then(|secret| {
        let new = NewHook {
            url: &url,
            secret: &secret,
            events: &events,
            by: &caller.name,
            after,
        };
        console.office.add_hook(&new, wall_now())?;
        Ok(hooks::shown_secret(&secret))
    });
    match added {
        Ok(text) => {
            console.note(&caller.name, "add webhook", &url, wall_now());
            let what = format!(
                "{url} is told from now on. By this secret it knows that it is told by you."
            );
            let secret = Secret {
                what: &what,
                text: &text,
            };
            answer(&console, &caller, StatusCode::OK, None, Some(&secret))
        }
        Err(error) => refused(&console, &caller, &error),
    }
}

fn found(console: &Console, id: i64) -> Result<Hook, Box<Response>> {
    match console.office.hooks() {
        Ok(hooks) => (hooks.into_iter().find(|hook| hook.id == HookId(id)))
            .ok_or_else(|| Box::new(page::not_found())),
        Err(error) => Err(Box::new(page::broken(&error))),
    }
}

/// `GET /programs/hooks/{id}`
pub async fn hook(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<i64>,
) -> Response {
    let hook = match found(&console, id) {
        Ok(hook) => hook,
        Err(answer) => return *answer,
    };
    let deliveries = match console.office.deliveries(hook.id, SHOWN) {
        Ok(deliveries) => deliveries,
        Err(error) => return page::broken(&error),
    };
    let act = |what: &str, label: &str, class: &str| {
        html! {
            form method="post" action={ "/programs/hooks/" (id) "/" (what) } { (page::form_key(&caller)) button class=(class) { (label) } }
        }
    };
    let content = html! {
        p .more { a href=(HERE) { "All programs" } }
        div .head {
            h1 { "Webhook" (hook_badge(&hook)) }
            (act("test", "Send a test", ""))
        }
        p .address { (hook.url) }
        @if let Some(why) = &hook.off { p .notice { (page::capital(why)) } }
        p .meta { "Told of " (hook.events.join(", ")) ". Added by " (hook.made_by) ", " (time(hook.made_at, Clock::Full)) "." }
        h2 { "Deliveries" span .count { (deliveries.len()) } }
        @if deliveries.is_empty() { p .empty { "Nothing was sent yet." } }
        @else { ul .rows { @for delivery in &deliveries { (delivery_row(id, delivery, &caller)) } } }
        details .inline { summary { "Remove" } (act("remove", "Remove this webhook", "danger")) }
    };
    answered(
        &console,
        &caller,
        (StatusCode::OK, HERE, "Webhook"),
        &content,
    )
}

fn delivery_row(hook: i64, delivery: &Delivery, caller: &Caller) -> Markup {
    html! {
        li {
            div .grow {
                b { (delivery.kind) }
                span .meta {
                    (delivery.event) " · " (time(delivery.made_at, Clock::Full))
                    @if delivery.tries > 0 { " · tried " (delivery.tries) " ×: " (delivery.said) } @else if !delivery.said.is_empty() { " · " (delivery.said) }
                }
            }
            @match delivery.state {
                DeliveryState::Arrived { .. } => (badge("good", "Arrived")),
                DeliveryState::Waiting { next_at } => { span .badge.warn { "next try " (time(next_at, Clock::Full)) } }
                DeliveryState::GivenUp => {
                    (badge("bad", "Given up"))
                    form method="post" action={ "/programs/hooks/" (hook) "/again/" (delivery.id) } { (page::form_key(caller)) button { "Send again" } }
                }
            }
        }
    }
}

/// `POST /programs/hooks/{id}/{what}`
pub async fn turn_hook(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path((id, what)): Path<(i64, String)>,
) -> Response {
    let hook = match found(&console, id) {
        Ok(hook) => hook,
        Err(answer) => return *answer,
    };
    let now = wall_now();
    let (done, to) = match what.as_str() {
        "test" => {
            let event = hooks::test(&console.views.borrow(), &caller.name, now);
            let told = console.office.tell_hook(hook.id, &event, now);
            (told, format!("/programs/hooks/{id}"))
        }
        "remove" => (
            console.office.remove_hook(hook.id).map(drop),
            HERE.to_owned(),
        ),
        _ => return page::not_found(),
    };
    match done {
        Ok(()) => {
            let did = format!("{what} webhook");
            console.note(&caller.name, &did, &hook.url, now);
            page::see(&to)
        }
        Err(error) => page::broken(&error),
    }
}

/// `POST /programs/hooks/{id}/again/{delivery}`
pub async fn send_again(
    State(console): State<Console>,
    Path((id, delivery)): Path<(i64, i64)>,
) -> Response {
    match console.office.send_again(delivery, wall_now()) {
        Ok(true) => page::see(&format!("/programs/hooks/{id}")),
        Ok(false) => page::not_found(),
        Err(error) => page::broken(&error),
    }
}
