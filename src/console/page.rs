//! The page around the sections, and the small pages of refusals.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets;
use super::sections::Section;
use super::view::StoreView;
use super::words::{self, Clock};

/// The icons of all sections, drawn once and used by reference; strokes take the colour of the text.
const ICONS: &str = include_str!("assets/icons.svg");

/// The whole page, as things stand.
pub(super) fn document(view: &StoreView) -> Markup {
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
                (banner(view))
                main {
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

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
        meta name="color-scheme" content="light dark";
        title { (title) " · Stroll" }
        link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
        link rel="stylesheet" href=(assets::address("console.css"));
    }
}

fn banner(view: &StoreView) -> Markup {
    html! {
        header .top {
            svg .mark aria-hidden="true" { use href="#i-mark" {} }
            div .store {
                h1 { (view.store_name) }
                p .clock { (words::time(view.now, Clock::Full)) }
            }
            p #live data-state="off" {
                noscript { "Refreshes every 5 s" }
                span {}
            }
            nav aria-label="Parts of this page" {
                @for section in Section::ALL {
                    @if let Some(label) = section.nav_label() {
                        a href={ "#" (section.name()) } { (label) }
                    }
                }
            }
        }
    }
}

/// There is nothing at that address.
pub(super) fn not_found() -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { (head("Not found")) }
            body .small {
                main {
                    h1 { "There is nothing here" }
                    p { "The console has one page: " a href="/" { "the store" } "." }
                }
            }
        }
    };
    html(StatusCode::NOT_FOUND, page)
}

/// A page as an answer that no cache keeps.
pub(super) fn html(status: StatusCode, page: Markup) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, page.into_string()).into_response()
}
