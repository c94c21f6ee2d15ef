//! The node's end: publishes from the outbox, in order, until the coordinator has committed it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::line::{Line, first_connection};
use super::sender::Sender;
use super::{BrokerUrl, LinkError, LinkState};
use crate::edge::credentials::ClientTls;
use crate::edge::home_assistant::Discovery;
use crate::edge::levels::Levels;
use crate::edge::outbox::{Outbox, OutboxError};
use crate::edge::wire::{self, Message};
use crate::observation::{
    GateOrder, GateState, Loads, NodeClock, NodeState, NodeStatus, Observation, OpenInterval,
    OutboxId, PlateFault, SamplingReport, Stamped, Watermark,
};
use crate::store::NodeName;
use crate::units::Timestamp;

/// Watermarks that wait for their observations to go first. Beyond it the oldest is dropped: a later promise says more.
const WATERMARKS_MAX: usize = 64;
/// What a node says of an outbox that takes nothing more.
const FULL: &str = "its outbox is full, and what it sees now is lost";
/// How long closing waits for the broker to take the last word.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a node connects.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub broker: BrokerUrl,
    /// How to connect with TLS, where the broker wants it.
    pub tls: Option<ClientTls>,
    /// The store's id.
    pub store: String,
    /// The node's program version, for its status.
    pub version: String,
    /// How long the first connection is tried before it is an error.
    pub patience: Duration,
    /// How home automation finds the node, where it is to.
    pub discovery: Option<Discovery>,
    /// Where the coordinator's words to the node's gate go, if it has one. One that finds no room is dropped: it is said again.
    pub orders: Option<SyncSender<GateOrder>>,
    /// What was not committed so long after it was published is sent again, and then at twice the wait, up to 30 s.
    pub resend_after: Duration,
}

impl NodeOptions {
    /// The usual waits: 10 s of patience, and 2 s before anything is sent again.
    pub fn new(broker: BrokerUrl, store: impl Into<String>) -> Self {
        NodeOptions {
            broker,
            tls: None,
            store: store.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            patience: Duration::from_secs(10),
            discovery: None,
            orders: None,
            resend_after: Duration::from_secs(2),
        }
    }
}

/// A node's link to its broker. It reconnects by itself; dropping it breaks the connection off, and the broker
/// publishes the last will, as if the node had died. [`NodeLink::close`] ends it in good order.
#[derive(Debug)]
pub struct NodeLink {
    shared: Arc<Shared>,
    broker: BrokerUrl,
    client_id: String,
    state: watch::Receiver<LinkState>,
    task: JoinHandle<()>,
}

/// What the link's owner and its task share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) node: NodeName,
    outbox: Mutex<Outbox>,
    place: Mutex<Place>,
    health: Mutex<Health>,
    /// What lies on the plates, once it is known.
    loads: Mutex<Option<Loads>>,
    /// That is to be told.
    pub(super) tell_loads: AtomicBool,
    /// The outbox may be published: the coordinator has said what it has of it.
    pub(super) may_send: AtomicBool,
    /// The state is to be told again.
    pub(super) announce: AtomicBool,
    /// The last sequence that is committed.
    pub(super) committed: watch::Sender<u64>,
    pub(super) watermarks: Mutex<VecDeque<Watermark>>,
    pub(super) wake: Notify,
    pub(super) closing: AtomicBool,
}

/// What a node tells of itself with its state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// Why nobody may be let in, in a sentence; empty if nothing is wrong.
    pub trouble: String,
    /// What works less well, in sentences; empty if nothing does.
    pub notice: String,
    /// Plates that can't be relied on.
    pub faults: Vec<PlateFault>,
    pub sampling: Option<SamplingReport>,
    pub gate: Option<GateState>,
}

/// How the outbox stands, for those who can't wait for its disk.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) id: OutboxId,
    /// The last sequence in it.
    pub(super) last: u64,
    /// What could not be kept since then is not told yet.
    pub(super) lost_since: Option<Timestamp>,
}

impl Place {
    fn of(outbox: &Outbox) -> Self {
        Place {
            id: outbox.id().clone(),
            last: outbox.last_sequence(),
            lost_since: outbox.loss().map(|loss| loss.since),
        }
    }
}

impl Shared {
    /// How the outbox stands.
    pub(super) fn place(&self) -> Place {
        let place = self.place.lock();
        place.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how the outbox stands now; whether it is full is told.
    fn note_place(&self, outbox: &Outbox) {
        let now = Place::of(outbox);
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.lost_since.is_some() != now.lost_since.is_some() {
            self.announce.store(true, Ordering::Release);
        }
        *place = now;
    }

    /// The node's state as it is told.
    pub(super) fn status(&self, state: NodeState, version: &str) -> NodeStatus {
        let place = self.place();
        let mut health = self.health().clone();
        if place.lost_since.is_some() {
            health.trouble = match health.trouble.as_str() {
                "" => FULL.to_owned(),
                also => clipped(&format!("{FULL}; {also}")),
            };
        }
        NodeStatus {
            node: self.node.clone(),
            state,
            version: version.to_owned(),
            trouble: health.trouble,
            notice: health.notice,
            outbox: Some(place.id),
            faults: health.faults,
            sampling: health.sampling,
            gate: health.gate,
        }
    }

    /// What lies on the plates, if that is known.
    pub(super) fn loads(&self) -> MutexGuard<'_, Option<Loads>> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // SQLite's transactions keep the outbox whole whatever panicked beside it.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watermarks(&self) -> MutexGuard<'_, VecDeque<Watermark>> {
        self.watermarks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the outbox on a thread that may wait for the disk.
    pub(super) async fn with_outbox<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Outbox) -> T + Send + 'static,
    ) -> T {
        let shared = Arc::clone(self);
        let work = move || {
            let mut outbox = shared.outbox();
            let done = work(&mut outbox);
            shared.note_place(&outbox);
            done
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Cancelled: the runtime is going down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl NodeLink {
    /// Connects the node of that outbox, and publishes what the coordinator does not have yet.
    ///
    /// Waits for the first connection, at most [`NodeOptions::patience`]; later losses are only reported
    /// ([`NodeLink::state`]).
    pub async fn connect(options: NodeOptions, outbox: Outbox) -> Result<Self, LinkError> {
        let patience = options.patience;
        let link = NodeLink::begin(options, outbox)?;
        let mut state = link.state.clone();
        first_connection(&link.broker, &link.client_id, &mut state, patience).await?;
        Ok(link)
    }

    /// The same without waiting: it is tried for ever, and the outbox keeps what is seen meanwhile.
    pub fn begin(options: NodeOptions, outbox: Outbox) -> Result<Self, LinkError> {
        let node = outbox.node().clone();
        for name in [options.store.as_str(), node.as_str()] {
            if !wire::is_level(name) {
                let name = name.to_owned();
                return Err(LinkError::Name { name });
            }
        }
        let client_id = wire::node_client_id(&options.store, &node);
        let encode = |message: Message| {
            wire::encode(&options.store, &message).map_err(|error| LinkError::Refused {
                broker: options.broker.to_string(),
                client: client_id.clone(),
                reason: error.to_string(),
            })
        };
        let committed = outbox.committed_sequence();
        let shared = Arc::new(Shared {
            node: node.clone(),
            place: Mutex::new(Place::of(&outbox)),
            health: Mutex::default(),
            loads: Mutex::default(),
            tell_loads: AtomicBool::new(false),
            may_send: AtomicBool::new(outbox.is_fresh()),
            announce: AtomicBool::new(true),
            committed: watch::Sender::new(committed),
            outbox: Mutex::new(outbox),
            watermarks: Mutex::default(),
            wake: Notify::new(),
            closing: AtomicBool::new(false),
        });
        // What the broker says when the connection breaks off must not be wrong by then: it names no outbox.
        let mut farewell = shared.status(NodeState::Offline, &options.version);
        farewell.outbox = None;
        farewell.sampling = None;
        farewell.gate = None;
        let farewell = encode(Message::Status(farewell))?;
        let tls = options.tls.as_ref();
        let line = Line::new(
            &options.broker,
            tls,
            client_id.clone(),
            Some(farewell.clone()),
        );
        let state = line.state();
        let side = Sender::new(&shared, &options, farewell, committed);
        Ok(NodeLink {
            task: tokio::spawn(line.drive(side)),
            shared,
            broker: options.broker,
            client_id,
            state,
        })
    }

    /// Stamps a group of observations and publishes them once they are durable in the outbox. At its limits it keeps
    /// none, and the node's state says so: see [`Outbox::append`].
    pub async fn append(
        &self,
        clock: NodeClock,
        observations: Vec<Observation>,
    ) -> Result<Vec<Stamped>, OutboxError> {
        let up = *self.state.borrow() == LinkState::Up;
        let is_online = up && self.shared.may_send.load(Ordering::Acquire);
        let stamped = self
            .shared
            .with_outbox(move |outbox| {
                outbox.set_online(is_online);
                outbox.append(&clock, observations)
            })
            .await?;
        self.shared.wake.notify_one();
        Ok(stamped)
    }

    /// Promises that no later observation begins at or before `at`, but for those on the open shelves. It is
    /// published after everything that was appended before. At most 64 promises wait for that; then the oldest goes.
    pub fn watermark(&self, at: Timestamp, open: Vec<OpenInterval>) {
        // Not asked from the outbox itself, which may be waiting for the disk.
        let place = self.shared.place();
        // Of what is lost nothing can be promised before that is told.
        let before_loss = place.lost_since.map_or(at, |since| Timestamp(since.0 - 1));
        let promise = Watermark {
            node: self.shared.node.clone(),
            outbox: place.id,
            sequence: place.last,
            at: at.min(before_loss),
            open,
        };
        let mut waiting = self.shared.watermarks();
        if waiting.len() >= WATERMARKS_MAX {
            waiting.pop_front();
        }
        waiting.push_back(promise);
        drop(waiting);
        self.shared.wake.notify_one();
    }

    /// Tells how the node is, if that is news.
    pub fn tell_health(&self, health: Health) {
        let mut told = self.shared.health();
        if *told != health {
            for (word, before) in [
                (&health.trouble, &told.trouble),
                (&health.notice, &told.notice),
            ] {
                if word != before && !word.is_empty() {
                    tracing::warn!("node `{}`: {word}", self.shared.node);
                }
            }
            *told = health;
            self.shared.announce.store(true, Ordering::Release);
            self.shared.wake.notify_one();
        }
    }

    /// Tells what lies on the plates.
    pub fn tell_loads(&self, loads: Loads) {
        *self.shared.loads() = Some(loads);
        self.shared.tell_loads.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// See [`Outbox::keep_levels`].
    pub async fn keep_levels(&self, levels: Levels) -> Result<(), OutboxError> {
        let keep = move |outbox: &mut Outbox| outbox.keep_levels(&levels);
        self.shared.with_outbox(keep).await
    }

    /// See [`Outbox::levels`].
    pub async fn levels(&self) -> Result<Levels, OutboxError> {
        self.shared.with_outbox(|outbox| outbox.levels()).await
    }

    /// Whether something could not be kept, and is not told yet.
    pub fn has_lost(&self) -> bool {
        self.shared.place().lost_since.is_some()
    }

    /// Says what is wrong with the node (nobody is let into the store meanwhile) and what works less well; empty if nothing.
    pub fn tell(&self, trouble: &str, notice: &str) {
        let mut health = self.shared.health().clone();
        (health.trouble, health.notice) = (clipped(trouble), clipped(notice));
        self.tell_health(health);
    }

    /// Follows the state of the connection.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Waits until everything appended so far is committed, at most `limit`.
    pub async fn drained(&self, limit: Duration) -> Result<(), LinkError> {
        let Place { id, last, .. } = self.shared.place();
        // An outbox that turns out to be an old copy goes on from a new beginning.
        let goal = || {
            let now = self.shared.place();
            if now.id == id { last } else { now.last }
        };
        let mut committed = self.shared.committed.subscribe();
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| matches!(state, LinkState::Ended { .. }));
        tokio::select! {
            // The sender lives as long as this link, so this ends only with the sequence.
            _ = committed.wait_for(|committed| *committed >= goal()) => Ok(()),
            ended = ended => {
                let reason = match ended.as_deref() {
                    Ok(LinkState::Ended { reason: Some(reason) }) => reason.clone(),
                    Ok(_) | Err(_) => "it was closed".into(),
                };
                Err(LinkError::Ended {
                    broker: self.broker.to_string(),
                    client: self.client_id.clone(),
                    reason,
                })
            }
            () = tokio::time::sleep(limit) => Err(LinkError::NotCommitted {
                node: self.shared.node.to_string(),
                left: goal().saturating_sub(*self.shared.committed.borrow()),
                waited: limit,
            }),
        }
    }

    /// Waits until everything is committed, at most `limit`, then says `offline` and closes. What was not
    /// committed is an error, and stays in the outbox for the next start.
    pub async fn close(mut self, limit: Duration) -> Result<(), LinkError> {
        let drained = self.drained(limit).await;
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        if tokio::time::timeout(FAREWELL, &mut self.task)
            .await
            .is_err()
        {
            return drained.and(Err(LinkError::Unflushed {
                broker: self.broker.to_string(),
                client: self.client_id.clone(),
                waited: FAREWELL,
            }));
        }
        drained
    }
}

/// As much of a sentence as may be told.
pub fn clipped(text: &str) -> String {
    let end = (0..=text.len().min(wire::TROUBLE_BYTES_MAX)).rev();
    let end = end.into_iter().find(|at| text.is_char_boundary(*at));
    text[..end.unwrap_or(0)].to_owned()
}

impl Drop for NodeLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}
