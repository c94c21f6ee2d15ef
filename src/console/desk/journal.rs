//! The journal, page by page, and whether it is what was written.

use std::path::Path;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::{answered, shown};
use crate::console::words::{Clock, grouped, time};
use crate::console::{Asking, Console, page};
use crate::edge::journal::archive::{Filed, What};
use crate::edge::journal::{Archive, JournalError};
use crate::edge::live::wall_now;
use crate::observation::Observation;
use crate::units::Timestamp;

const HERE: &str = "/journal";
/// Entries of a page.
const SHOWN: u64 = 50;
/// Letters of an entry that stand on the page; the export has the rest.
const TEXT_CHARS_MAX: usize = 4_000;

#[derive(Debug, Default, Deserialize)]
pub struct Where {
    /// The last entry of the page.
    to: Option<u64>,
}

/// `GET /journal`
pub async fn list(
    State(console): State<Console>,
    Asking(caller): Asking,
    Query(place): Query<Where>,
) -> Response {
    let Some(path) = console.journal.clone() else {
        let content =
            html! { h1 { "Journal" } p .empty { "This console has no journal to look into." } };
        return shown(&console, &caller, HERE, "Journal", &content);
    };
    let read = tokio::task::spawn_blocking(move || read(&path, place.to)).await;
    let content = match read {
        Ok(Ok((entries, to, page))) => html! {
            div .head {
                h1 { "Journal" span .count { (grouped(entries)) " entries" } }
                form method="post" action="/journal/verify" { (page::form_key(&caller)) button { "Verify all of it" } }
            }
            ol .rows.journal { @for filed in page.iter().rev() { (row(filed)) } }
            nav .steps aria-label="Pages of the journal" {
                @if to < entries { a .button href={ "/journal?to=" ((to + SHOWN).min(entries)) } data-hotkey="k" { "Newer" } }
                @if to > SHOWN { a .button href={ "/journal?to=" (to - SHOWN) } data-hotkey="j" { "Older" } }
            }
        },
        Ok(Err(error)) => {
            html! { h1 { "Journal" } p .notice role="alert" { (page::capital(&error.to_string())) } }
        }
        Err(_) => html! { h1 { "Journal" } p .notice role="alert" { "It could not be read." } },
    };
    shown(&console, &caller, HERE, "Journal", &content)
}

fn read(path: &Path, to: Option<u64>) -> Result<(u64, u64, Vec<Filed>), JournalError> {
    let archive = Archive::open(path)?;
    let entries = archive.head()?.entries;
    let to = to.unwrap_or(entries).clamp(SHOWN.min(entries), entries);
    let page = archive.page(to.saturating_sub(SHOWN), SHOWN as usize)?;
    Ok((entries, to, page))
}

fn row(filed: &Filed) -> Markup {
    let (kind, at) = match &filed.what {
        What::Observation(stamped) => {
            let kind = match stamped.observation {
                Observation::Shelf(_) => "shelf",
                Observation::Vision(_) => "vision",
                Observation::Body(_) => "body",
                Observation::Gate(_) => "gate",
                Observation::Gap(_) => "gap",
            };
            (kind, Some(stamped.observation.end()))
        }
        What::Decision { decision, .. } => (decision.name(), decision.at()),
    };
    let is_decision = matches!(filed.what, What::Decision { .. });
    let text: String = filed.text.chars().take(TEXT_CHARS_MAX).collect();
    html! {
        li {
            details {
                summary {
                    span .meta { (filed.entry) }
                    span .badge.good[is_decision] { (kind.replace('_', " ")) }
                    code .grow { (text.chars().take(120).collect::<String>()) }
                    @if let Some(at) = at.filter(|at| *at < Timestamp::MAX) { (time(at, Clock::Full)) }
                }
                pre { (text) }
                p .meta { "hash " code { (filed.hash) } }
            }
        }
    }
}

/// `POST /journal/verify`
pub async fn verify(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let Some(path) = console.journal.clone() else {
        return page::not_found();
    };
    // One at a time: it reads every entry.
    let Ok(permit) = console.verifying.clone().try_acquire_owned() else {
        let content = html! { h1 { "Journal" } p .notice role="alert" { "It is being verified at this moment: try again when that has ended." } };
        let head = (StatusCode::CONFLICT, HERE, "Journal");
        return answered(&console, &caller, head, &content);
    };
    let checked = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        Archive::open(&path).and_then(|archive| archive.verify(None))
    });
    let (said, content) = match checked.await {
        Ok(Ok(checked)) => (
            "sound".to_owned(),
            html! {
                h1 { "The journal is what was written" }
                p .notice.good { (grouped(checked.head.entries)) " entries, of them " (grouped(checked.decisions)) " decisions, each follows from the one before." }
                p .meta { "The last one's hash is " code { (checked.head.hash) } ". Keep it elsewhere: " code { "stroll journal verify --entries " (checked.head.entries) " --head HASH" } " then finds also what is cut off or written anew." }
                p { a .button href=(HERE) { "Back" } }
            },
        ),
        Ok(Err(error)) => (
            error.to_string(),
            html! { h1 { "The journal is not what was written" } p .notice role="alert" { (page::capital(&error.to_string())) } p { a .button href=(HERE) { "Back" } } },
        ),
        Err(_) => (
            "it ended in a panic".to_owned(),
            html! { h1 { "Journal" } p .notice role="alert" { "It could not be verified: see the log." } },
        ),
    };
    console.note(&caller.name, "verify journal", &said, wall_now());
    shown(&console, &caller, HERE, "Journal", &content)
}
