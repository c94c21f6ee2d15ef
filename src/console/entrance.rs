//! Logging in and out, and the first account.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::host::is_loopback_host;
use super::{Console, MaybeAsking, access, page};
use crate::edge::live::wall_now;
use crate::edge::office::{Account, OfficeError, Part};

/// Where a login leads.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Aim {
    to: Option<String>,
}

/// `GET /login`
pub(super) async fn login(
    State(console): State<Console>,
    MaybeAsking(caller): MaybeAsking,
    Query(aim): Query<Aim>,
    headers: HeaderMap,
) -> Response {
    let known = caller.as_ref().map(|caller| caller.name.as_str());
    let page = login_page(&console, &headers, known, aim.to.as_deref(), None);
    page::html(StatusCode::OK, page)
}

fn login_page(
    console: &Console,
    headers: &HeaderMap,
    known: Option<&str>,
    to: Option<&str>,
    wrong: Option<&str>,
) -> Markup {
    let content = html! {
        h1 { "Log in" }
        @if let Some(name) = known {
            p .meta { "You are logged in as " b { (name) } ". " a href="/" { "Go on" } }
        }
        @if !console.is_https && !is_protected(headers) {
            p .notice { "This page came without HTTPS, so no browser will keep your login. Open it as https://… instead." }
        }
        @if let Some(wrong) = wrong { p .notice role="alert" { (wrong) } }
        form method="post" action="/login" {
            @if let Some(to) = to { input type="hidden" name="to" value=(to); }
            label { "Name" input name="name" autocomplete="username" autocapitalize="none" required autofocus; }
            label { "Password" input name="password" type="password" autocomplete="current-password" required; }
            button .main { "Log in" }
        }
        p .meta { "New here? " a href="/join" { "Join as a shopper" } }
    };
    page::entrance(&console.store_name(), "Log in", &content)
}

/// Whether a browser keeps our cookie.
fn is_protected(headers: &HeaderMap) -> bool {
    let forwarded = headers.get("x-forwarded-proto");
    is_loopback_host(headers) || forwarded.is_some_and(|scheme| scheme == "https")
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    name: String,
    password: String,
    to: Option<String>,
}

/// `POST /login`
pub(super) async fn log_in(
    State(console): State<Console>,
    headers: HeaderMap,
    Form(said): Form<Credentials>,
) -> Response {
    let now = wall_now();
    if let Err(wait_s) = console.attempts.begin(&said.name, now) {
        return access::too_often(wait_s);
    }
    let Credentials { name, password, to } = said;
    let tried = name.clone();
    let found = console
        .with_office(move |office| office.check_password(&name, &password))
        .await;
    let name = tried;
    match found {
        Ok(Some(account)) => {
            console.attempts.succeeded(&name);
            console.note(&account.name, "log in", "", now);
            let to = to.filter(|to| is_own_address(to));
            access::log_in(&console, &headers, &account, to.as_deref().unwrap_or("/"))
        }
        Ok(None) => {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            console.note(&shown, "log in", "refused", now);
            let wrong = "There is no such name with that password.";
            let page = login_page(&console, &headers, None, to.as_deref(), Some(wrong));
            page::html(StatusCode::FORBIDDEN, page)
        }
        Err(error) => page::broken(&error),
    }
}

/// A path of this console, and nothing that a browser takes for another site.
fn is_own_address(to: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    to.starts_with('/') && !to.starts_with("//") && to.chars().all(plain)
}

/// `POST /logout`
pub(super) async fn log_out(State(console): State<Console>, headers: HeaderMap) -> Response {
    access::log_out(&console, &headers)
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Opening {
    key: Option<String>,
}

/// `GET /setup`
pub(super) async fn setup(
    State(console): State<Console>,
    Query(opening): Query<Opening>,
) -> Response {
    let key = opening.key.unwrap_or_default();
    match console.is_opening(&key) {
        Ok(true) => page::html(StatusCode::OK, setup_page(&console, &key, None)),
        Ok(false) => gone(),
        Err(error) => page::broken(&error),
    }
}

fn gone() -> Response {
    let text = "This link has been used, or is of an earlier start. The coordinator prints one when it starts and there is no operator yet.";
    page::html(
        StatusCode::GONE,
        page::sentence("This link works no more", text),
    )
}

fn setup_page(console: &Console, key: &str, wrong: Option<&str>) -> Markup {
    let content = html! {
        h1 { "Welcome" }
        p { "Make the account of the first operator of " b { (console.store_name()) } ". More people are added later, under People." }
        @if let Some(wrong) = wrong { p .notice role="alert" { (wrong) } }
        form method="post" action="/setup" {
            input type="hidden" name="key" value=(key);
            label { "Your name" input name="name" autocomplete="username" required autofocus maxlength="64"; }
            label { "A password" input name="password" type="password" autocomplete="new-password" required minlength="10" maxlength="200"; small { "At least 10 characters; a few words are easy to remember." } }
            button .main { "Open the store" }
        }
    };
    page::entrance(&console.store_name(), "Set up", &content)
}

#[derive(Deserialize)]
pub(super) struct First {
    key: String,
    name: String,
    password: String,
}

/// `POST /setup`
pub(super) async fn set_up(
    State(console): State<Console>,
    headers: HeaderMap,
    Form(said): Form<First>,
) -> Response {
    match console.is_opening(&said.key) {
        Ok(true) => {}
        Ok(false) => return gone(),
        Err(error) => return page::broken(&error),
    }
    match add_account(&console, said.name, Part::Operator, said.password).await {
        Ok(account) => {
            console.note(&account.name, "set up", "the first operator", wall_now());
            access::log_in(&console, &headers, &account, "/")
        }
        Err(error) => {
            let page = setup_page(
                &console,
                &said.key,
                Some(&page::capital(&error.to_string())),
            );
            page::html(StatusCode::BAD_REQUEST, page)
        }
    }
}

/// Makes an account on a thread that may take its time.
pub(super) async fn add_account(
    console: &Console,
    name: String,
    part: Part,
    password: String,
) -> Result<Account, OfficeError> {
    let make = move |office: &crate::edge::office::Office| {
        office.add_account(&name, part, &password, wall_now())
    };
    console.with_office(make).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_this_console_only() {
        for (to, own) in [
            ("/", true),
            ("/reviews/r-1", true),
            ("//evil.example", false),
            ("https://evil.example", false),
            ("/\\evil.example", false),
            ("reviews", false),
            ("/a?b=\r\n", false),
        ] {
            assert_eq!(is_own_address(to), own, "{to}");
        }
    }
}
