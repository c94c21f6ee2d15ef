//! The nodes: whether they can be relied on, and how much they say.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::shown;
use crate::console::sections::badge;
use crate::console::view::{NodeHealth, NodeView};
use crate::console::words::{grouped, heard, lag};
use crate::console::{Asking, Console};

/// `GET /nodes`
pub async fn list(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let view = console.views.borrow().clone();
    let content = html! {
        h1 { "Nodes" }
        @if view.nodes.is_empty() { p .empty { "This store has no nodes. Add them to its definition, then start them." } }
        @else { ul .carts data-follow="nodes summary" { @for node in &view.nodes { (card(node)) } } }
        p .meta { "Numbers count from the start of the program. Calibration and noise are the nodes' own business so far." }
    };
    shown(&console, &caller, "/nodes", "Nodes", &content)
}

fn card(node: &NodeView) -> Markup {
    let (class, state) = match node.health {
        NodeHealth::Online => ("good", "Online"),
        NodeHealth::Silent => ("bad", "Silent"),
        NodeHealth::Offline => ("bad", "Offline"),
    };
    html! {
        li .cart data-key={ "n-" (node.name) } {
            div .who {
                div { h2 { (node.name) } p .meta { (node.role) } }
                (badge(class, state))
            }
            dl .facts {
                div .wide { dt { "Last word" } dd { (heard(node.heard_age_ms)) @if let Some(ms) = node.watermark_lag_ms { (lag(ms)) } } }
                div { dt { "A minute" } dd { (grouped(node.a_minute)) } }
                div { dt { "In all" } dd { (grouped(node.observations)) } }
                div .warn[node.gaps > 0] { dt { "Gaps" } dd { (node.gaps) } }
            }
            @if !node.trouble.is_empty() { p .trouble { (node.trouble) } }
        }
    }
}
