//! Feeds the console: turns what the store decides into the snapshot that the page shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::checkout::receipt::Paid;
use crate::console::view::{self, EventLog, NodeHealth, ReceiptLog, StoreView};
use crate::coordinator::{Coordinator, Effect, Output};
use crate::edge::live::Watcher;
use crate::edge::shell::Observer;
use crate::store::{Definition, NodeName};
use crate::units::{Money, Timestamp};

/// A snapshot is made at most this often.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(100);

/// What accumulates between snapshots.
#[derive(Default)]
struct Told {
    events: EventLog,
    receipts: ReceiptLog,
    observations: u64,
    sold_minor: i64,
}

/// Event time as it runs for the nodes: the wall's when they are real.
pub type EventClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The two ends that a store is to be given, and what the console reads.
pub struct Feed {
    /// For [`crate::edge::shell::Shell::observe`].
    pub observer: Observer,
    /// For [`crate::edge::live::StoreParts`].
    pub watcher: Watcher,
    pub views: watch::Receiver<Arc<StoreView>>,
}

/// A feed for a store; `clock` tells event time.
pub fn feed(definition: &Arc<Definition>, clock: EventClock) -> Feed {
    let told = Arc::new(Mutex::new(Told::default()));
    let (send, views) = watch::channel(Arc::new(StoreView::opening(definition, clock())));
    let (observed, for_observer) = (told.clone(), definition.clone());
    let receipt_clock = clock.clone();
    let observer: Observer = Box::new(move |output| {
        let mut told = observed.lock().unwrap_or_else(PoisonError::into_inner);
        match output {
            Output::Accept(_) => told.observations += 1,
            Output::Decide(decision) => told.events.push(decision, &for_observer),
            Output::Effect(Effect::Receipt(receipt)) => {
                told.receipts.push(receipt, receipt_clock());
                if receipt.paid == Paid::Captured {
                    told.sold_minor += receipt.total.minor;
                }
            }
            Output::Effect(
                Effect::Commit { .. } | Effect::Pay { .. } | Effect::OpenGate { .. },
            ) => {}
        }
    });
    let definition = definition.clone();
    let mut shown: Option<Instant> = None;
    let watcher: Watcher = Box::new(move |core, _, wall| {
        if shown.is_some_and(|at| at.elapsed() < SNAPSHOT_EVERY) {
            return;
        }
        shown = Some(Instant::now());
        let told = told.lock().unwrap_or_else(PoisonError::into_inner);
        send.send_replace(Arc::new(snapshot(&definition, core, &told, clock(), wall)));
    });
    Feed {
        observer,
        watcher,
        views,
    }
}

fn snapshot(
    definition: &Definition,
    core: &Coordinator,
    told: &Told,
    now: Timestamp,
    wall: Timestamp,
) -> StoreView {
    let mut view = StoreView::opening(definition, now);
    view.sessions = view::sessions(&core.state().sessions, definition);
    view.events = told.events.recent();
    view.receipts = told.receipts.recent();
    let heard: BTreeMap<&NodeName, _> = core
        .nodes()
        .map(|(name, at, to)| (name, (at, to)))
        .collect();
    for node in &mut view.nodes {
        let Some((heard_at, promised)) = heard.get(&node.name) else {
            continue;
        };
        node.heard_age_ms = heard_at.map(|at| milliseconds(at, wall));
        node.watermark_lag_ms = promised.map(|to| milliseconds(to, now));
        node.health = if core.state().silent.contains_key(&node.name) {
            NodeHealth::Silent
        } else if heard_at.is_some() {
            NodeHealth::Online
        } else {
            NodeHealth::Offline
        };
    }
    view.counters.inside = view
        .sessions
        .iter()
        .filter(|s| s.exited_at.is_none())
        .count() as u64;
    view.counters.sold_today = Money::new(told.sold_minor, definition.currency);
    view.counters.open_reviews = core.state().reviews.len() as u64;
    view.counters.observations = told.observations;
    view
}

fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from((to.0 - from.0) / 1_000).unwrap_or(0)
}
