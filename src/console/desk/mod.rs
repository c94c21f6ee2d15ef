//! The pages at which people who work in the store get something done.

pub(super) mod control;
pub(super) mod editing;
pub(super) mod floor;
pub(super) mod happened;
pub(super) mod journal;
pub(super) mod nodes;
pub(super) mod owner;
pub(super) mod planogram;
pub(super) mod programs;
pub(super) mod quality;
pub(super) mod requests;
pub(super) mod reviews;
pub(super) mod settings;
pub(super) mod stock;
pub(super) mod visits;

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::access::Caller;
use super::{Console, page};

/// A page that is asked for.
fn shown(
    console: &Console,
    caller: &Caller,
    here: &str,
    title: &str,
    content: &Markup,
) -> Response {
    answered(console, caller, (StatusCode::OK, here, title), content)
}

/// The same as an answer to something that was done, or was not.
fn answered(
    console: &Console,
    caller: &Caller,
    (status, here, title): (StatusCode, &str, &str),
    content: &Markup,
) -> Response {
    page::html(status, page::frame(console, caller, here, title, content))
}

/// Why something was not done, above what can be done instead.
fn told(why: Option<&str>) -> Markup {
    html! { @if let Some(why) = why { p .notice role="alert" { (why) } } }
}
