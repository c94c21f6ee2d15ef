//! The store's switches: closing and opening it, and the emergency.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::{answered, told};
use crate::console::access::Caller;
use crate::console::operate::{Action, act};
use crate::console::view::StoreView;
use crate::console::{Asking, Console, page};

const HERE: &str = "/control";

/// `GET /control`
pub async fn show(State(console): State<Console>, Asking(caller): Asking) -> Response {
    answer(&console, &caller, StatusCode::OK, None)
}

fn answer(console: &Console, caller: &Caller, status: StatusCode, why: Option<&str>) -> Response {
    let view = console.views.borrow().clone();
    let content = html! {
        (told(why))
        h1 { "Control" }
        (entry(&view))
        div .columns {
            section .card aria-labelledby="h-open" {
                h2 #h-open { "Opening" }
                @if view.is_closed {
                    p { "The store is closed: nobody but staff is let in. Whoever is inside leaves as ever." }
                    (switch(caller, "open", "Open the store", "main"))
                } @else {
                    p { "The store is open. After closing nobody but staff is let in; whoever is inside has a quarter of an hour." }
                    (switch(caller, "close", "Close the store", ""))
                }
            }
            section .card aria-labelledby="h-emergency" {
                h2 #h-emergency { "Emergency" }
                @if view.is_emergency {
                    p { "The gate stands open, nobody is let in, and nothing is settled. Whoever has not left before pays nothing." }
                    (switch(caller, "all-clear", "All clear", "main"))
                } @else {
                    p { "Opens the gate and keeps it open. Nothing is charged to whoever is inside." }
                    details .inline {
                        summary .danger { "Emergency" }
                        (switch(caller, "emergency", "Open the gate now", "danger"))
                    }
                }
            }
        }
    };
    answered(console, caller, (status, HERE, "Control"), &content)
}

fn entry(view: &StoreView) -> Markup {
    html! {
        @if view.bars.is_empty() { p .notice.good { "People are let in." } }
        @else { p .notice { span { "Nobody is let in: " (view.bars.join("; ")) "." } } }
    }
}

fn switch(caller: &Caller, what: &str, label: &str, class: &str) -> Markup {
    html! {
        form method="post" action={ "/control/" (what) } { (page::form_key(caller)) button class=(class) { (label) } }
    }
}

/// `POST /control/{what}`
pub async fn turn(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(what): Path<String>,
) -> Response {
    let action = match what.as_str() {
        "close" => Action::Close,
        "open" => Action::Open,
        "emergency" => Action::Emergency,
        "all-clear" => Action::AllClear,
        _ => return page::not_found(),
    };
    match act(&console, &caller.name, action).await {
        Ok(()) => {
            console.next_view().await;
            page::see(HERE)
        }
        Err(undone) => {
            let why = page::capital(&undone.sentence());
            answer(&console, &caller, StatusCode::CONFLICT, Some(&why))
        }
    }
}
