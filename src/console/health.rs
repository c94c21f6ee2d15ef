//! For machines: whether the store runs, whether it lets people in, and its figures in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4).

use std::fmt::Write;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::host::plain;
use super::view::{NodeHealth, StoreView};

/// Whether the store is at work: 503 once it has stopped by itself. One that waits for room on its disk goes on by
/// itself, so that nobody need start it again.
pub(super) fn healthz(views: &watch::Receiver<Arc<StoreView>>) -> Response {
    match views.has_changed() {
        Ok(_) => match &views.borrow().waits_for {
            None => plain(StatusCode::OK, "ok\n".to_owned()),
            Some(what) => plain(StatusCode::OK, format!("The store waits: {what}\n")),
        },
        Err(_) => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "The store has stopped.\n".to_owned(),
        ),
    }
}

/// Whether people are let in; if not, every reason on a line.
pub(super) fn readyz(view: &StoreView) -> Response {
    let why_not = why_not_ready(view);
    if why_not.is_empty() {
        return plain(StatusCode::OK, "ready\n".to_owned());
    }
    plain(StatusCode::SERVICE_UNAVAILABLE, why_not.join("\n") + "\n")
}

fn why_not_ready(view: &StoreView) -> Vec<String> {
    let away = view.nodes.iter().filter_map(|node| match node.health {
        NodeHealth::Online => None,
        NodeHealth::Silent => Some(format!("node {} is silent", node.name)),
        NodeHealth::Offline => Some(format!("node {} has not been heard yet", node.name)),
    });
    let waits = view.waits_for.iter().cloned();
    waits.chain(away).chain(view.bars.iter().cloned()).collect()
}

/// Every figure.
pub(super) fn metrics(view: &StoreView) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")];
    (headers, exposition(view)).into_response()
}

/// The figures of a view. Units are the base units: seconds, bytes; amounts of money are minor units.
fn exposition(view: &StoreView) -> String {
    let mut page = Page::default();
    let ready = f64::from(u8::from(why_not_ready(view).is_empty()));
    let counters = &view.counters;
    page.one("stroll_ready", "gauge", "1 while people are let in.", ready);
    page.one(
        "stroll_shoppers_inside",
        "gauge",
        "Shoppers in the store.",
        counters.inside as f64,
    );
    page.one(
        "stroll_visits_unsettled",
        "gauge",
        "Visits that are not over, with those that wait for verdicts or payment.",
        view.sessions.len() as f64,
    );
    page.one(
        "stroll_reviews_open",
        "gauge",
        "Changes that wait for a person.",
        counters.open_reviews as f64,
    );
    page.one(
        "stroll_observations_total",
        "counter",
        "Observations in the journal.",
        counters.observations as f64,
    );
    page.one(
        "stroll_losses_total",
        "counter",
        "Gaps and unreadable messages since the journal began.",
        counters.losses as f64,
    );
    page.one(
        "stroll_sold_today_minor_units",
        "gauge",
        "Captured today, in the currency's minor unit.",
        counters.sold_today.minor as f64,
    );
    page.by_node(
        "stroll_node_up",
        "1 while the node's promises move on.",
        view,
        |n| Some(f64::from(u8::from(n.health == NodeHealth::Online))),
    );
    page.by_node(
        "stroll_node_heard_age_seconds",
        "Since the node was heard of last.",
        view,
        |n| n.heard_age_ms.map(|ms| ms as f64 / 1e3),
    );
    page.by_node(
        "stroll_node_watermark_lag_seconds",
        "How far the node's promise is behind event time.",
        view,
        |n| n.watermark_lag_ms.map(|ms| ms as f64 / 1e3),
    );
    page.0
}

/// A page of figures.
#[derive(Default)]
struct Page(String);

impl Page {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.begin(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// A figure of each node that has it. Names of nodes need no escaping: they are levels of a topic.
    fn by_node(
        &mut self,
        name: &str,
        help: &str,
        view: &StoreView,
        of: impl Fn(&super::view::NodeView) -> Option<f64>,
    ) {
        self.begin(name, "gauge", help);
        for node in &view.nodes {
            if let Some(value) = of(node) {
                let _ = writeln!(self.0, "{name}{{node=\"{}\"}} {value}", node.name);
            }
        }
    }
}
