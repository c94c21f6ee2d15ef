//! The node's end: publishes from the outbox, in order, until the coordinator has committed it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rumqttc::Publish;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::line::{Line, Out, Side, first_connection};
use super::{BrokerUrl, LinkError, LinkState};
use crate::edge::outbox::{Outbox, OutboxError};
use crate::edge::wire::{self, Kind, Message};
use crate::observation::{
    Committed, NodeClock, NodeState, NodeStatus, Observation, OpenInterval, OutboxId, Stamped,
    Watermark,
};
use crate::store::NodeName;
use crate::units::Timestamp;

/// Observations that may be published and not committed; beyond it the outbox waits on its disk. It bounds what
/// is sent again when the coordinator's answer stays out.
const WINDOW: u64 = 1_000;
/// Observations read from the outbox at a time.
const BATCH: usize = 100;
/// Watermarks that wait for their observations to go first. Beyond it the oldest is dropped: a later promise says more.
const WATERMARKS_MAX: usize = 64;
/// Longest wait before what was not committed is sent again.
const RESEND_LONGEST: Duration = Duration::from_secs(30);
/// How often committed observations whose day is over are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// How long closing waits for the broker to take the last word.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a node connects.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub broker: BrokerUrl,
    /// The store's id.
    pub store: String,
    /// The node's program version, for its status.
    pub version: String,
    /// How long the first connection is tried before it is an error.
    pub patience: Duration,
    /// What was not committed so long after it was published is sent again, and then at twice the wait, up to 30 s.
    pub resend_after: Duration,
}

impl NodeOptions {
    /// The usual waits: 10 s of patience, and 2 s before anything is sent again.
    pub fn new(broker: BrokerUrl, store: impl Into<String>) -> Self {
        NodeOptions {
            broker,
            store: store.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            patience: Duration::from_secs(10),
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
struct Shared {
    node: NodeName,
    /// The outbox's id.
    id: OutboxId,
    outbox: Mutex<Outbox>,
    /// The last sequence in the outbox.
    last: AtomicU64,
    /// The last sequence that is committed.
    committed: watch::Sender<u64>,
    watermarks: Mutex<VecDeque<Watermark>>,
    wake: Notify,
    closing: AtomicBool,
}

impl Shared {
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // SQLite's transactions keep the outbox whole whatever panicked beside it.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watermarks(&self) -> MutexGuard<'_, VecDeque<Watermark>> {
        self.watermarks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the outbox on a thread that may wait for the disk.
    async fn with_outbox<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Outbox) -> T + Send + 'static,
    ) -> T {
        let shared = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&mut shared.outbox())).await {
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
        let node = outbox.node().clone();
        for name in [options.store.as_str(), node.as_str()] {
            if !wire::is_level(name) {
                let name = name.to_owned();
                return Err(LinkError::Name { name });
            }
        }
        // One id for each node of each store: the broker ends an older connection of the same node.
        let client_id = format!("stroll:{}:node:{node}", options.store);
        let status = |state| {
            Message::Status(NodeStatus {
                node: node.clone(),
                state,
                version: options.version.clone(),
                trouble: String::new(),
            })
        };
        let encode = |message: Message| {
            wire::encode(&options.store, &message).map_err(|error| LinkError::Refused {
                broker: options.broker.clone(),
                client: client_id.clone(),
                reason: error.to_string(),
            })
        };
        let birth = encode(status(NodeState::Online))?;
        let farewell = encode(status(NodeState::Offline))?;
        let line = Line::new(&options.broker, client_id.clone(), Some(farewell.clone()));
        let mut state = line.state();
        let committed = outbox.committed_sequence();
        let shared = Arc::new(Shared {
            node: node.clone(),
            id: outbox.id().clone(),
            last: AtomicU64::new(outbox.last_sequence()),
            committed: watch::Sender::new(committed),
            outbox: Mutex::new(outbox),
            watermarks: Mutex::default(),
            wake: Notify::new(),
            closing: AtomicBool::new(false),
        });
        let side = NodeSide {
            shared: Arc::clone(&shared),
            store: options.store.clone(),
            birth,
            farewell: Some(farewell),
            announce: true,
            cursor: committed,
            committed,
            queue: VecDeque::new(),
            watermark: None,
            progress_at: Instant::now(),
            resend_after: options.resend_after,
            resend_next: options.resend_after,
            sent_at: Instant::now(),
            prune_at: Instant::now(),
        };
        let link = NodeLink {
            task: tokio::spawn(line.drive(side)),
            shared,
            broker: options.broker.clone(),
            client_id: client_id.clone(),
            state: state.clone(),
        };
        first_connection(&options.broker, &client_id, &mut state, options.patience).await?;
        Ok(link)
    }

    /// Stamps a group of observations and publishes them once they are durable in the outbox.
    pub async fn append(
        &self,
        clock: NodeClock,
        observations: Vec<Observation>,
    ) -> Result<Vec<Stamped>, OutboxError> {
        let shared = Arc::clone(&self.shared);
        let stamped = self
            .shared
            .with_outbox(move |outbox| {
                let stamped = outbox.append(&clock, observations);
                shared.last.store(outbox.last_sequence(), Ordering::Release);
                stamped
            })
            .await?;
        self.shared.wake.notify_one();
        Ok(stamped)
    }

    /// Promises that no later observation begins at or before `at`, but for those on the open shelves. It is
    /// published after everything that was appended before. At most 64 promises wait for that; then the oldest goes.
    pub fn watermark(&self, at: Timestamp, open: Vec<OpenInterval>) {
        // Not asked from the outbox itself, which may be waiting for the disk.
        let promise = Watermark {
            node: self.shared.node.clone(),
            outbox: self.shared.id.clone(),
            sequence: self.shared.last.load(Ordering::Acquire),
            at,
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

    /// Follows the state of the connection.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Waits until everything appended so far is committed, at most `limit`.
    pub async fn drained(&self, limit: Duration) -> Result<(), LinkError> {
        let last = self.shared.last.load(Ordering::Acquire);
        let mut committed = self.shared.committed.subscribe();
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| matches!(state, LinkState::Ended { .. }));
        tokio::select! {
            // The sender lives as long as this link, so this ends only with the sequence.
            _ = committed.wait_for(|committed| *committed >= last) => Ok(()),
            ended = ended => {
                let reason = match ended.as_deref() {
                    Ok(LinkState::Ended { reason: Some(reason) }) => reason.clone(),
                    Ok(_) | Err(_) => "it was closed".into(),
                };
                Err(LinkError::Ended {
                    broker: self.broker.clone(),
                    client: self.client_id.clone(),
                    reason,
                })
            }
            () = tokio::time::sleep(limit) => Err(LinkError::NotCommitted {
                node: self.shared.node.to_string(),
                left: last.saturating_sub(*self.shared.committed.borrow()),
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
                broker: self.broker.clone(),
                client: self.client_id.clone(),
                waited: FAREWELL,
            }));
        }
        drained
    }
}

impl Drop for NodeLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task's side.
struct NodeSide {
    shared: Arc<Shared>,
    store: String,
    birth: wire::Encoded,
    /// `None` once it is said.
    farewell: Option<wire::Encoded>,
    /// The birth is still to be published.
    announce: bool,
    /// The last sequence published on this connection.
    cursor: u64,
    committed: u64,
    /// Read from the outbox, to be published next; at most [`BATCH`].
    queue: VecDeque<Stamped>,
    /// The last promise published.
    watermark: Option<Watermark>,
    /// When the coordinator's word last moved, or there was nothing to wait for.
    progress_at: Instant,
    resend_after: Duration,
    resend_next: Duration,
    /// When anything was last published.
    sent_at: Instant,
    prune_at: Instant,
}

impl NodeSide {
    /// Goes back to what is not committed.
    fn rewind(&mut self) {
        self.cursor = self.committed;
        self.queue.clear();
        self.repeat_watermark();
        self.progress_at = Instant::now();
    }

    fn repeat_watermark(&mut self) {
        if let Some(watermark) = self.watermark.take() {
            self.shared.watermarks().push_front(watermark);
        }
    }

    /// The next message: a promise as soon as everything before it went out, else the next observation.
    async fn next(&mut self) -> Result<Option<Message>, String> {
        let promise = {
            let mut waiting = self.shared.watermarks();
            match waiting.front() {
                Some(promise) if promise.sequence <= self.cursor => waiting.pop_front(),
                Some(_) | None => None,
            }
        };
        if let Some(promise) = promise {
            self.watermark = Some(promise.clone());
            return Ok(Some(Message::Watermark(promise)));
        }
        if self.cursor - self.committed >= WINDOW {
            return Ok(None);
        }
        if self.queue.is_empty() && self.cursor < self.shared.last.load(Ordering::Acquire) {
            let after = self.cursor;
            let read = self
                .shared
                .with_outbox(move |outbox| outbox.pending(after, BATCH))
                .await;
            self.queue = read.map_err(|error| error.to_string())?.into();
        }
        let next = self.queue.pop_front();
        if let Some(stamped) = &next {
            if self.cursor == self.committed {
                self.progress_at = Instant::now();
            }
            self.cursor = stamped.stamp.sequence;
        }
        Ok(next.map(Message::Observation))
    }

    async fn committed(&mut self, committed: Committed) -> Result<(), String> {
        let upto = committed.sequence;
        let marked = self
            .shared
            .with_outbox(move |outbox| outbox.committed(&committed, wall_time()))
            .await;
        if marked.map_err(|error| error.to_string())? {
            self.committed = upto;
            self.progress_at = Instant::now();
            self.resend_next = self.resend_after;
            if self.cursor < upto {
                self.cursor = upto;
                self.queue.clear();
            }
            self.shared.committed.send_replace(upto);
        }
        Ok(())
    }

    async fn prune(&mut self) -> Result<(), String> {
        self.prune_at = Instant::now() + PRUNE_EVERY;
        let pruned = self
            .shared
            .with_outbox(|outbox| outbox.prune(wall_time()))
            .await;
        pruned.map(drop).map_err(|error| error.to_string())
    }
}

impl Side for NodeSide {
    fn filters(&self) -> Vec<String> {
        // Its own status, too: a last will of an earlier connection may come late, and must not have the last word.
        [Kind::Committed, Kind::Status]
            .map(|kind| wire::topic(&self.store, &self.shared.node, kind))
            .into()
    }

    fn connected(&mut self) {
        self.announce = true;
        self.resend_next = self.resend_after;
        self.rewind();
    }

    async fn received(&mut self, publish: Publish) -> Result<(), String> {
        match wire::decode(&publish.topic, &publish.payload) {
            Ok(Message::Committed { committed, .. }) => self.committed(committed).await,
            Ok(Message::Status(status)) => {
                // A retained one is from before the birth that follows the subscription.
                let is_news = !publish.retain;
                if is_news && status.state == NodeState::Offline && !self.is_closing() {
                    self.announce = true;
                }
                Ok(())
            }
            Ok(Message::Observation(_) | Message::Watermark(_)) => Ok(()),
            Err(error) => {
                tracing::warn!("node `{}` ignores a {error}", self.shared.node);
                Ok(())
            }
        }
    }

    async fn wait(&mut self) {
        self.shared.wake.notified().await;
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.cursor > self.committed && now - self.progress_at >= self.resend_next {
            tracing::warn!(
                "node `{}`: the coordinator has not committed {} observations for {:.1} s; sending them again",
                self.shared.node,
                self.cursor - self.committed,
                self.resend_next.as_secs_f32()
            );
            self.rewind();
            self.resend_next = (self.resend_next * 2).min(RESEND_LONGEST);
        } else if now - self.sent_at >= self.resend_after && self.shared.watermarks().is_empty() {
            // A coordinator that was away when the last promise came would wait for it for ever.
            self.repeat_watermark();
            self.sent_at = now;
        }
    }

    async fn pump(&mut self, out: &mut Out) -> Result<(), String> {
        if Instant::now() >= self.prune_at {
            self.prune().await?;
        }
        if self.announce && out.has_room() {
            self.announce = false;
            out.send(self.birth.clone())?;
        }
        while out.has_room() {
            let Some(message) = self.next().await? else {
                break;
            };
            let encoded = wire::encode(&self.store, &message).map_err(|error| error.to_string())?;
            out.send(encoded)?;
            self.sent_at = Instant::now();
        }
        if self.is_closing()
            && out.has_room()
            && let Some(farewell) = self.farewell.take()
        {
            out.send(farewell)?;
        }
        Ok(())
    }

    fn takes_more(&self) -> bool {
        true
    }

    fn is_closing(&self) -> bool {
        self.shared.closing.load(Ordering::Acquire)
    }

    fn has_said_all(&self) -> bool {
        self.farewell.is_none()
    }
}

/// Wall time of this machine.
fn wall_time() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
