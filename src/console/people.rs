//! Accounts, and who did what.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::access::Caller;
use super::words::{self, Clock};
use super::{Asking, Console, entrance, operate, page};
use crate::edge::live::wall_now;
use crate::edge::office::{Account, AccountId, OfficeError, Part};

/// Acts on the page.
const ACTS_SHOWN_MAX: u32 = 200;

/// `GET /people`
pub(super) async fn list(State(console): State<Console>, Asking(caller): Asking) -> Response {
    answer(&console, &caller, StatusCode::OK, None)
}

fn answer(console: &Console, caller: &Caller, status: StatusCode, told: Option<&str>) -> Response {
    let accounts = match console.office.accounts() {
        Ok(accounts) => accounts,
        Err(error) => return page::broken(&error),
    };
    let content = html! {
        h1 { "People" }
        @if let Some(told) = told { p .notice role="alert" { (told) } }
        div .columns {
            section aria-labelledby="h-all" {
                h2 #h-all { "Accounts" span .count { (accounts.len()) } }
                ul .rows { @for account in &accounts { (row(account, caller)) } }
            }
            section aria-labelledby="h-new" {
                h2 #h-new { "Add somebody" }
                form .card method="post" action="/people" {
                    (page::form_key(caller))
                    label { "Name" input name="name" required maxlength="64" autocomplete="off"; }
                    label { "Part"
                        select name="part" {
                            option value="operator" { "Operator: runs the store" }
                            option value="staff" selected { "Staff: shelves and reviews" }
                            option value="tester" { "Tester: looks, changes nothing" }
                            option value="shopper" { "Shopper" }
                        }
                    }
                    label { "First password" input name="password" type="password" required minlength="10" maxlength="200" autocomplete="new-password"; small { "At least 10 characters." } }
                    button .main { "Add" }
                }
                p .more { a href="/acts" { "Who did what" } }
            }
        }
    };
    page::html(
        status,
        page::frame(console, caller, "/people", "People", &content),
    )
}

fn row(account: &Account, caller: &Caller) -> Markup {
    let is_self = caller.id() == account.id;
    html! {
        li {
            div .grow {
                b { (account.name) } @if is_self { " " small { "(you)" } }
                span .meta { (account.part.name()) " · since " (words::time(account.made_at, Clock::Day)) }
            }
            details .inline {
                summary { "Password" }
                form method="post" action={ "/people/" (account.id.0) "/password" } {
                    (page::form_key(caller))
                    label { span .hidden { "New password of " (account.name) } input name="password" type="password" required minlength="10" maxlength="200" autocomplete="new-password"; }
                    button { "Change" }
                }
            }
            details .inline {
                summary { "Erase" }
                form method="post" action={ "/people/" (account.id.0) "/erase" } {
                    (page::form_key(caller))
                    p .meta { "Login, phones, receipts and requests are deleted for good." }
                    button .danger { "Erase " (account.name) }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct New {
    name: String,
    part: String,
    password: String,
}

/// `POST /people`
pub(super) async fn add(
    State(console): State<Console>,
    Asking(caller): Asking,
    Form(said): Form<New>,
) -> Response {
    let Some(part) = Part::of(&said.part) else {
        let why = "There are operator, staff, tester and shopper.";
        return answer(&console, &caller, StatusCode::BAD_REQUEST, Some(why));
    };
    match entrance::add_account(&console, said.name, part, said.password).await {
        Ok(account) => {
            let about = format!("account {}, {}", account.id.0, part.name());
            console.note(&caller.name, "add account", &about, wall_now());
            page::see("/people")
        }
        Err(error) => refused(&console, &caller, &error),
    }
}

fn refused(console: &Console, caller: &Caller, error: &OfficeError) -> Response {
    let why = page::capital(&error.to_string());
    answer(console, caller, StatusCode::BAD_REQUEST, Some(&why))
}

#[derive(Deserialize)]
pub(super) struct NewPassword {
    password: String,
}

/// `POST /people/{id}/password`
pub(super) async fn password(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<i64>,
    Form(said): Form<NewPassword>,
) -> Response {
    let set = console
        .with_office(move |office| office.set_password(AccountId(id), &said.password))
        .await;
    match set {
        Ok(()) => {
            let about = format!("account {id}");
            console.note(&caller.name, "change password", &about, wall_now());
            page::see("/people")
        }
        Err(error) => refused(&console, &caller, &error),
    }
}

/// `POST /people/{id}/erase`
pub(super) async fn erase(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<i64>,
) -> Response {
    match erase_account(&console, &caller.name, AccountId(id)).await {
        Ok(()) => page::see("/people"),
        Err(error) => refused(&console, &caller, &error),
    }
}

/// Erases an account; its phones open no gate any more.
pub(super) async fn erase_account(
    console: &Console,
    by: &str,
    id: AccountId,
) -> Result<(), OfficeError> {
    let phones = console.office.phones(id)?;
    console.office.erase(id)?;
    for phone in phones {
        let device = phone.device;
        let revoked = operate::act(console, by, operate::Action::Revoke { device }).await;
        if let Err(undone) = revoked {
            tracing::error!(
                "a phone of an erased account still opens the gate: {}",
                undone.sentence()
            );
        }
    }
    // By number: its name is what was to be forgotten.
    console.note(
        by,
        "erase account",
        &format!("account {}", id.0),
        wall_now(),
    );
    Ok(())
}

/// `GET /acts`
pub(super) async fn acts(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let notes = match console.office.notes(ACTS_SHOWN_MAX) {
        Ok(notes) => notes,
        Err(error) => return page::broken(&error),
    };
    let content = html! {
        h1 { "Who did what" }
        p .meta { "Logins, and everything that somebody did in the console; the last " (ACTS_SHOWN_MAX) ". What became of it is in the journal." }
        @if notes.is_empty() { p .empty { "Nobody has done anything yet." } }
        @else {
            ul .rows {
                @for note in &notes {
                    li {
                        div .grow { b { (note.did) } " " (note.about) span .meta { (note.who) } }
                        (words::time(note.at, Clock::Full))
                    }
                }
            }
        }
    };
    page::html(
        StatusCode::OK,
        page::frame(&console, &caller, "/people", "Who did what", &content),
    )
}
