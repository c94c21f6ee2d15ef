//! The page around the sections, and the small pages of refusals.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::access::Caller;
use super::sections::Section;
use super::tongue::Tongue;
use super::view::StoreView;
use super::words::{self, Clock};
use super::{Console, assets, routes};
use crate::edge::office::OfficeError;

/// The pages that the head of each leads to, for whom they are.
const SITE: [(&str, &str); 17] = [
    ("/", "Store"),
    ("/reviews", "Reviews"),
    ("/visits", "Visits"),
    ("/requests", "Requests"),
    ("/stock", "Stock"),
    ("/planogram", "Planogram"),
    ("/floor", "Floor"),
    ("/happened", "Events"),
    ("/nodes", "Nodes"),
    ("/quality", "How well"),
    ("/owner", "Day end"),
    ("/journal", "Journal"),
    ("/control", "Control"),
    ("/settings", "Settings"),
    ("/people", "People"),
    ("/programs", "Programs"),
    ("/me", "My phone"),
];

/// The icons of all sections, drawn once and used by reference; strokes take the colour of the text.
pub(super) const ICONS: &str = include_str!("assets/icons.svg");

/// The whole page, as things stand.
pub(super) fn document(view: &StoreView, caller: &Caller) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-build=(assets::build()) {
            head {
                (head(&view.store_name))
                // Without a script the page still follows the store, more slowly.
                noscript { meta http-equiv="refresh" content="5"; }
                script type="module" src=(assets::address("console.js")) {}
            }
            body {
                (PreEscaped(ICONS))
                (banner(view, caller, "/"))
                main #content .live {
                    @for section in Section::ALL {
                        section id=(section.name()) aria-labelledby={ "h-" (section.name()) } {
                            (section.render(view))
                        }
                    }
                }
                footer {
                    p {
                        "Stroll " (env!("CARGO_PKG_VERSION")) " · no face recognition · "
                        a href="/state.json" { "this page as JSON" }
                    }
                }
                p #say .hidden role="status" aria-live="polite" {}
            }
        }
    }
}

pub(super) fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
        meta name="color-scheme" content="light dark";
        title { (title) " · Stroll" }
        link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
        link rel="stylesheet" href=(assets::address("console.css"));
    }
}

fn banner(view: &StoreView, caller: &Caller, here: &str) -> Markup {
    let is_live = here == "/";
    html! {
        a .skip href="#content" { "To the content" }
        header .top {
            svg .mark aria-hidden="true" { use href="#i-mark" {} }
            div .store {
                @if is_live { h1 { (view.store_name) } } @else { p .name { (view.store_name) } }
                p .clock { (words::time(view.now, Clock::Full)) }
            }
            @if is_live {
                p #live data-state="off" {
                    noscript { "Refreshes every 5 s" }
                    span {}
                }
            }
            @if let Some(account) = &caller.account {
                form .who-am-i method="post" action="/logout" {
                    (form_key(caller))
                    span .meta { (account.name) " · " (account.part.name()) }
                    button { "Log out" }
                }
            }
            nav .site aria-label="Pages" {
                @for (path, label) in SITE.iter().filter(|(path, _)| caller.may(routes::access_of(path))) {
                    a href=(path) aria-current=[(*path == here).then_some("page")] {
                        (label)
                        @if *path == "/reviews" && !view.reviews.is_empty() { span .count { (view.reviews.len()) } }
                    }
                }
            }
        }
    }
}

/// A page of the console: its head, and what it is about.
pub(super) fn frame(
    console: &Console,
    caller: &Caller,
    here: &str,
    title: &str,
    content: &Markup,
) -> Markup {
    let view = console.views.borrow().clone();
    html! {
        (DOCTYPE)
        html lang="en" data-build=(assets::build()) {
            head {
                (head(&format!("{title} · {}", view.store_name)))
                script type="module" src=(assets::address("pages.js")) {}
            }
            body .page {
                (PreEscaped(ICONS))
                (banner(&view, caller, here))
                main #content { (content) }
                p #say .hidden role="status" aria-live="polite" {}
            }
        }
    }
}

/// A page for whoever is not known yet.
pub(super) fn entrance(store: &str, title: &str, content: &Markup) -> Markup {
    entrance_in(Tongue::English, store, title, content)
}

/// The same in another language.
pub(super) fn entrance_in(tongue: Tongue, store: &str, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(tongue.code()) {
            head { (head(&format!("{title} · {store}"))) }
            body .entrance {
                (PreEscaped(ICONS))
                main .card {
                    p .brand { svg .mark aria-hidden="true" { use href="#i-mark" {} } (store) }
                    (content)
                }
            }
        }
    }
}

/// What each form carries.
pub(super) fn form_key(caller: &Caller) -> Markup {
    html! { input type="hidden" name="form" value=(caller.form_key); }
}

/// A sentence with a capital at its beginning and a stop at its end.
pub(super) fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|c| c.to_uppercase().collect::<String>());
    let stop = if sentence.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{}{}{stop}", first.unwrap_or_default(), letters.as_str())
}

/// A small page of one thing to say.
pub(super) fn sentence(title: &str, text: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(title)) }
            body .small {
                main {
                    h1 { (title) }
                    p { (text) }
                    p { a href="/" { "To the store" } " · " a href="/login" { "Log in" } }
                }
            }
        }
    }
}

/// There is nothing at that address.
pub(super) fn not_found() -> Response {
    let text = "Perhaps it was there before, or the address has a slip in it.";
    html(
        StatusCode::NOT_FOUND,
        sentence("There is nothing here", text),
    )
}

/// The office's file failed.
pub(super) fn broken(error: &OfficeError) -> Response {
    tracing::error!("{error}");
    let text = capital(&error.to_string());
    html(
        StatusCode::INTERNAL_SERVER_ERROR,
        sentence("That did not work", &text),
    )
}

/// An answer that sends a browser on; the address is one of this console.
pub(super) fn see(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// A page as an answer that no cache keeps.
pub(super) fn html(status: StatusCode, page: Markup) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, page.into_string()).into_response()
}
