//! Everything that happened of late, with a filter.

use axum::extract::{Query, State};
use axum::response::Response;
use maud::html;
use serde::Deserialize;

use super::shown;
use crate::console::sections::{event_name, event_row};
use crate::console::view::EventView;
use crate::console::{Asking, Console};

/// Kinds that can be asked for, and what people call them.
const KINDS: [(&str, &str); 10] = [
    ("", "Everything"),
    ("take", "Picks"),
    ("put", "Put-backs"),
    ("touch", "Touches"),
    ("foreign", "Foreign things"),
    ("review", "Reviews"),
    ("gate", "Gate"),
    ("payment", "Payments"),
    ("receipt", "Receipts"),
    ("node", "Nodes"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    kind: String,
    /// Words of the sentence.
    words: String,
}

impl Filter {
    fn wants(&self, event: &EventView) -> bool {
        let text = || {
            let detail = event.detail.as_deref().unwrap_or_default();
            format!("{} {detail}", event.sentence).to_lowercase()
        };
        (self.kind.is_empty() || event_name(event.kind) == self.kind)
            && (self.words.trim().is_empty() || text().contains(&self.words.trim().to_lowercase()))
    }
}

/// `GET /happened`
pub async fn list(
    State(console): State<Console>,
    Asking(caller): Asking,
    Query(filter): Query<Filter>,
) -> Response {
    let view = console.views.borrow().clone();
    let wanted: Vec<&EventView> = view.events.iter().filter(|e| filter.wants(e)).collect();
    let content = html! {
        h1 { "What happened" span .count { (wanted.len()) " of the last " (view.events.len()) } }
        form .row method="get" action="/happened" {
            label { span .hidden { "Kind" }
                select name="kind" {
                    @for (kind, label) in KINDS { option value=(kind) selected[kind == filter.kind] { (label) } }
                }
            }
            label .grow { span .hidden { "Words" } input name="words" type="search" value=(filter.words) placeholder="Words: 4F2A, shelf 1.5, biscuits"; }
            button { "Filter" }
        }
        div data-follow="events" {
            @if wanted.is_empty() { p .empty { "Nothing of that kind. Older events are in the journal." } }
            @else { ol .events.all { @for event in wanted { (event_row(event)) } } }
        }
    };
    shown(&console, &caller, "/happened", "What happened", &content)
}
