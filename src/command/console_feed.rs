//! Feeds the console: turns what the store decides into the snapshot that the page shows.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::checkout::decision::Decision;
use crate::checkout::entry::Bar;
use crate::checkout::receipt::{Paid, Receipt};
use crate::checkout::session::{SessionId, SessionState};
use crate::console::view::{
    self, Backlog, EventLog, Moves, NodeHealth, Rates, ReceiptLog, Refunds, ReviewView, Shopper,
    StoreView, Watch,
};
use crate::coordinator::{Coordinator, Effect, Output};
use crate::edge::journal::{Journal, JournalError};
use crate::edge::live::{self, Alarm, Watcher};
use crate::edge::shell::{Observer, Shell};
use crate::observation::{DeviceId, NodeStatus, Stamped};
use crate::store::{Definition, NodeName};
use crate::units::{Money, Timestamp};

/// A snapshot is made at most this often; sooner where somebody's visit has changed.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(100);
const CHANGED_EVERY: Duration = Duration::from_millis(25);
/// Making snapshots takes a tenth of the store's time at most, if that is not slower than [`SNAPSHOT_EVERY`].
const COST_FACTOR: u32 = 10;
/// A restarted store shows what it showed before, as far as so many decisions tell: those of some 200 visits.
const RECALLED: u64 = 5_000;
const DAY_US: i64 = 86_400_000_000;
/// Event time that is so far behind its clock is that of a recording, seconds.
const PLAYED_S: f64 = 86_400.0;

/// Visits that are over and whose last decision is still remembered, about so many at most.
const DECIDED_SPARE: usize = 1_000;
/// Receipts that wait to be filed for their shoppers, at most; beyond, one is found again at the next start.
const HANDED_MAX: usize = 1_024;

/// A receipt, and whose phone opened the gate.
pub type Handed = (DeviceId, Receipt);

/// What accumulates between snapshots.
#[derive(Default)]
struct Told {
    /// Of those whose receipt is still to come, whose phone it was.
    phones: BTreeMap<SessionId, DeviceId>,
    handing: Option<mpsc::Sender<Handed>>,
    /// Of visits that are not over, when something was decided about them, by the wall's clock.
    decided_at: BTreeMap<SessionId, Timestamp>,
    /// Since the last snapshot.
    visits_changed: bool,
    events: EventLog,
    receipts: ReceiptLog,
    observations: u64,
    backlog: Backlog,
    moves: Arc<Moves>,
    watch: Watch,
    rates: Rates,
    /// The day, counted from the epoch in UTC, on which something was sold last, and what was captured on it.
    sold: (i64, i64),
}

impl Told {
    /// What a journal tells: a store that was restarted shows what it showed before, as far as the last decisions go.
    fn recalled(
        journal: &Journal,
        core: &Coordinator,
        definition: &Definition,
        handing: mpsc::Sender<Handed>,
    ) -> Result<Self, JournalError> {
        let mut told = Told {
            observations: journal.observation_count()?,
            handing: Some(handing),
            ..Told::default()
        };
        for recorded in journal.last_decisions(RECALLED)? {
            told.decided(&recorded.decision, definition);
            if let Decision::ReceiptIssued { receipt } = &recorded.decision {
                // When it was handed out is nowhere kept; it was soon after.
                told.receipts.push(receipt, receipt.exited_at);
            }
        }
        let sold = core.state().sessions.values();
        sold.filter_map(|session| session.receipt.as_ref())
            .for_each(|receipt| told.sold(receipt));
        Ok(told)
    }

    fn decided(&mut self, decision: &Decision, definition: &Definition) {
        self.events.push(decision, definition);
        self.backlog.push(decision, definition);
        self.hand(decision);
        if Moves::heeds(decision) {
            Arc::make_mut(&mut self.moves).push(decision);
        }
        for session in view::touched(decision) {
            self.decided_at.insert(session, live::wall_now());
            self.visits_changed = true;
        }
    }

    /// Sends receipts to where their shoppers find them.
    fn hand(&mut self, decision: &Decision) {
        if let Decision::SessionOpened {
            session,
            device: Some(device),
            ..
        } = decision
        {
            self.phones.insert(session.clone(), device.clone());
        }
        if let Decision::ReceiptIssued { receipt } = decision
            && let Some(device) = self.phones.remove(&receipt.session)
            && let Some(handing) = &self.handing
            && handing.try_send((device, receipt.clone())).is_err()
        {
            tracing::warn!(
                "the receipt of {} is filed at the next start",
                receipt.session
            );
        }
    }

    fn accepted(&mut self, stamped: &Stamped) {
        self.observations += 1;
        self.watch.push(stamped);
        self.rates.push(stamped);
    }

    fn issued(&mut self, receipt: &Receipt, at: Timestamp) {
        self.receipts.push(receipt, at);
        self.sold(receipt);
    }

    fn sold(&mut self, receipt: &Receipt) {
        if receipt.paid != Paid::Captured {
            return;
        }
        let day = receipt.exited_at.0.div_euclid(DAY_US);
        let (sold_on, sold_minor) = self.sold;
        match day.cmp(&sold_on) {
            Ordering::Less => {}
            Ordering::Equal => self.sold = (day, sold_minor + receipt.total.minor),
            Ordering::Greater => self.sold = (day, receipt.total.minor),
        }
    }
}

/// Event time as it runs for the nodes: the wall's when they are real.
pub type EventClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Event time by a clock, or, where the nodes play a recording of another day, by what they have promised.
#[derive(Clone)]
struct EventTime {
    clock: EventClock,
    /// What every node has promised; `i64::MAX` before the first promise.
    promised: Arc<AtomicI64>,
}

impl EventTime {
    fn now(&self) -> Timestamp {
        let (now, promised) = ((self.clock)(), Timestamp(self.promised.load(Relaxed)));
        if now.seconds_since(promised) > PLAYED_S {
            promised
        } else {
            now
        }
    }

    /// When a receipt for that exit is handed out. Before the first promise after a restart nothing tells whether the
    /// nodes play a recording; who left so long ago is taken for its shopper, and the receipt for one in time.
    fn handed_out(&self, exited_at: Timestamp) -> Timestamp {
        let now = self.now();
        let unknown = self.promised.load(Relaxed) == i64::MAX;
        if unknown && now.seconds_since(exited_at) > PLAYED_S {
            exited_at
        } else {
            now
        }
    }

    fn follow(&self, core: &Coordinator) {
        let silent = &core.state().silent;
        let heard = core
            .nodes()
            .filter(|(node, ..)| !silent.contains_key(*node));
        if let Some(by_all) = heard.filter_map(|(_, _, promised)| promised).min() {
            self.promised.store(by_all.0, Relaxed);
        }
    }
}

/// The two ends that a store is to be given, and what the console reads.
pub struct Feed {
    /// For [`crate::edge::shell::Shell::observe`].
    pub observer: Observer,
    /// For [`crate::edge::live::StoreParts`].
    pub watcher: Watcher,
    pub alarm: Alarm,
    pub views: watch::Receiver<Arc<StoreView>>,
    /// Receipts as they are issued, to be filed for their shoppers.
    pub handed: mpsc::Receiver<Handed>,
}

/// A feed for the store of `shell`, with what its journal tells of earlier; `clock` tells event time.
pub fn feed(
    definition: &Arc<Definition>,
    shell: &Shell<Coordinator>,
    clock: EventClock,
) -> Result<Feed, JournalError> {
    let (handing, handed) = mpsc::channel(HANDED_MAX);
    let told = Told::recalled(shell.log(), shell.core(), definition, handing)?;
    let time = EventTime {
        clock,
        promised: Arc::new(AtomicI64::new(i64::MAX)),
    };
    time.follow(shell.core());
    let first = snapshot(
        definition,
        shell.core(),
        &told,
        time.now(),
        live::wall_now(),
    );
    let (send, views) = watch::channel(Arc::new(first));
    let told = Arc::new(Mutex::new(told));
    let (observed, for_observer) = (told.clone(), definition.clone());
    let receipt_time = time.clone();
    let observer: Observer = Box::new(move |output| {
        let mut told = observed.lock().unwrap_or_else(PoisonError::into_inner);
        match output {
            Output::Accept(stamped) => told.accepted(stamped),
            Output::Decide(decision) => told.decided(decision, &for_observer),
            Output::Effect(Effect::Receipt(receipt)) => {
                told.issued(receipt, receipt_time.handed_out(receipt.exited_at));
            }
            Output::Effect(
                Effect::Commit { .. }
                | Effect::Pay { .. }
                | Effect::OpenGate { .. }
                | Effect::ReleaseGate,
            ) => {}
        }
    });
    let send = Arc::new(send);
    let alarmed = send.clone();
    let alarm: Alarm = Box::new(move |waits_for| {
        alarmed.send_modify(|view| {
            Arc::make_mut(view).waits_for = waits_for.map(str::to_owned);
        });
    });
    let watcher = watcher(definition.clone(), told, time, send);
    Ok(Feed {
        observer,
        watcher,
        alarm,
        views,
        handed,
    })
}

/// Makes a snapshot after a batch, if it is time for one.
fn watcher(
    definition: Arc<Definition>,
    told: Arc<Mutex<Told>>,
    time: EventTime,
    send: Arc<watch::Sender<Arc<StoreView>>>,
) -> Watcher {
    let mut shown: Option<Instant> = None;
    let mut cost = Duration::ZERO;
    Box::new(move |core, _, wall| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = match told.visits_changed {
            true => (cost * COST_FACTOR).clamp(CHANGED_EVERY, SNAPSHOT_EVERY),
            false => SNAPSHOT_EVERY,
        };
        if shown.is_some_and(|at| at.elapsed() < wait) {
            return;
        }
        let begun = Instant::now();
        shown = Some(begun);
        told.visits_changed = false;
        time.follow(core);
        let view = snapshot(&definition, core, &told, time.now(), wall);
        if told.decided_at.len() > 2 * view.sessions.len() + DECIDED_SPARE {
            let sessions = &core.state().sessions;
            told.decided_at.retain(|id, _| {
                let visit = sessions.get(id);
                visit.is_some_and(|visit| visit.state != SessionState::Closed)
            });
        }
        send.send_replace(Arc::new(view));
        cost = begun.elapsed();
    })
}

fn snapshot(
    definition: &Definition,
    core: &Coordinator,
    told: &Told,
    now: Timestamp,
    wall: Timestamp,
) -> StoreView {
    let mut view = StoreView::opening(definition, now);
    let state = core.state();
    view.sessions = view::sessions(&state.sessions, definition);
    for visit in &mut view.sessions {
        let decided_at = told.decided_at.get(&visit.shopper.session);
        visit.decided_at = decided_at.copied().unwrap_or(visit.decided_at);
    }
    view.events = told.events.recent();
    view.receipts = told.receipts.recent();
    for receipt in &mut view.receipts {
        let session = state.sessions.get(&receipt.shopper.session);
        receipt.refunds = session.and_then(Refunds::of);
    }
    view.reviews = (state.reviews.iter())
        .map(|(review, open)| ReviewView::new(review, open, definition))
        .collect();
    view.reviews.sort_by_key(|review| review.at);
    view.decided = told.backlog.decided();
    view.corrections = told.backlog.proposed();
    view.bodies = (told.watch).bodies(now, |track| state.by_track.get(track).map(Shopper::of));
    view.moves = told.moves.clone();
    let heard: BTreeMap<&NodeName, _> = core
        .nodes()
        .map(|(name, at, to)| (name, (at, to)))
        .collect();
    for node in &mut view.nodes {
        let rate = told.rates.of(&node.name, now);
        node.observations = rate.observations;
        node.a_minute = rate.a_minute;
        node.gaps = rate.gaps;
        let Some((heard_at, promised)) = heard.get(&node.name) else {
            continue;
        };
        node.heard_age_ms = heard_at.map(|at| milliseconds(at, wall));
        node.trouble = core.status(&node.name).map(ailments).unwrap_or_default();
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
    view.counters.sold_today = Money::new(told.sold.1, definition.currency);
    view.counters.open_reviews = core.state().reviews.len() as u64;
    view.counters.observations = told.observations;
    view.counters.losses = core.state().losses;
    let bars = core.state().bars.values();
    view.bars = bars.map(|barred| barred.reason.clone()).collect();
    view.is_closed = state.bars.contains_key(&Bar::Closed);
    view.is_emergency = state.bars.contains_key(&Bar::Emergency);
    view
}

/// What is wrong with a node and its plates, in a line; empty if nothing is.
fn ailments(status: &NodeStatus) -> String {
    let faults = status.faults.iter();
    let plates = faults.map(|fault| format!("plate {}: {}", fault.plate, fault.what));
    let own = [&status.trouble, &status.notice].into_iter();
    let own = own.filter(|words| !words.is_empty()).cloned();
    own.chain(plates).collect::<Vec<_>>().join("; ")
}

fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from((to.0 - from.0) / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Timestamp = Timestamp(DAY_US);

    fn time(now: i64, promised: i64) -> EventTime {
        EventTime {
            clock: Arc::new(move || Timestamp(now)),
            promised: Arc::new(AtomicI64::new(promised)),
        }
    }

    #[test]
    fn receipts_are_handed_out_by_the_time_that_the_nodes_live_in() {
        let unknown = i64::MAX;
        for (what, now, promised, exited_at, expected) in [
            ("a real store", DAY_US + 5, DAY_US + 4, DAY, DAY_US + 5),
            (
                "a real one, restarted",
                DAY_US + 5,
                unknown,
                DAY,
                DAY_US + 5,
            ),
            ("a recording", 90 * DAY_US, DAY_US + 4, DAY, DAY_US + 4),
            ("one, restarted", 90 * DAY_US, unknown, DAY, DAY_US),
        ] {
            let at = time(now, promised).handed_out(exited_at);
            assert_eq!(at, Timestamp(expected), "{what}");
        }
    }
}
