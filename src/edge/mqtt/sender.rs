//! What a node sends, and in which order: its birth, observations as the outbox has them, and each promise after
//! the observations that it speaks of; all of it again from the last committed one if need be.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, SystemTime};

use rumqttc::Publish;
use tokio::time::Instant;

use super::NodeOptions;
use super::line::{Out, Side};
use super::node::Shared;
use crate::edge::home_assistant::Discovery;
use crate::edge::outbox::{OutboxError, Word};
use crate::edge::wire::{self, Kind, Message};
use crate::observation::{Committed, GateOrder, NodeState, Stamped, Watermark};
use crate::units::Timestamp;

/// Observations that may be published and not committed; beyond it the outbox waits on its disk. It bounds what
/// is sent again when the coordinator's answer stays out.
const WINDOW: u64 = 1_000;
/// Observations read from the outbox at a time.
const BATCH: usize = 100;
/// Longest wait before what was not committed is sent again.
const RESEND_LONGEST: Duration = Duration::from_secs(30);
/// How often committed observations whose day is over are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// What the link's task does with its connection.
pub(super) struct Sender {
    shared: Arc<Shared>,
    store: String,
    version: String,
    /// `None` once it is said.
    farewell: Option<wire::Encoded>,
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
    /// How home automation finds the node, and whether it is to be told.
    discovery: Option<Discovery>,
    discover: bool,
    orders: Option<SyncSender<GateOrder>>,
}

impl Sender {
    pub(super) fn new(
        shared: &Arc<Shared>,
        options: &NodeOptions,
        farewell: wire::Encoded,
        committed: u64,
    ) -> Self {
        let now = Instant::now();
        Sender {
            shared: Arc::clone(shared),
            store: options.store.clone(),
            version: options.version.clone(),
            farewell: Some(farewell),
            cursor: committed,
            committed,
            queue: VecDeque::new(),
            watermark: None,
            progress_at: now,
            resend_after: options.resend_after,
            resend_next: options.resend_after,
            sent_at: now,
            prune_at: now,
            discovery: options.discovery.clone(),
            discover: false,
            orders: options.orders.clone(),
        }
    }

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
        if !self.shared.may_send.load(Ordering::Acquire) {
            return Ok(None);
        }
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
        if self.queue.is_empty() && self.cursor < self.shared.place().last {
            let after = self.cursor;
            let read = self
                .shared
                .with_outbox(move |outbox| outbox.offer(after, BATCH))
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
        if committed.outbox != self.shared.place().id {
            return Ok(());
        }
        let marked = self
            .shared
            .with_outbox(move |outbox| {
                let now = wall_time();
                if outbox.renew_after(committed.sequence, now)? {
                    return Ok((Word::OldCopy, false, outbox.committed_sequence()));
                }
                let word = outbox.committed(&committed, now)?;
                // A coordinator never takes back a word but by beginning with an older journal.
                let wanted = outbox.wanted_after(committed.sequence)?;
                Ok::<_, OutboxError>((word, wanted, outbox.committed_sequence()))
            })
            .await;
        let (word, wanted, upto) = marked.map_err(|error| error.to_string())?;
        self.shared.may_send.store(true, Ordering::Release);
        match word {
            Word::News => {
                self.committed = upto;
                self.progress_at = Instant::now();
                self.resend_next = self.resend_after;
                if self.cursor < upto {
                    self.cursor = upto;
                    self.queue.clear();
                }
            }
            Word::OldCopy => {
                self.committed = upto;
                // What was promised with the old id means nothing any more.
                self.watermark = None;
                self.shared.watermarks().clear();
                self.rewind();
                self.shared.announce.store(true, Ordering::Release);
            }
            Word::Known if wanted => {
                tracing::warn!(
                    "node `{}`: the coordinator has an older journal; sending again what came after {upto}",
                    self.shared.node
                );
                self.committed = upto;
                self.rewind();
            }
            Word::Known => return Ok(()),
        }
        self.shared.committed.send_replace(upto);
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

impl Side for Sender {
    fn filters(&self) -> Vec<String> {
        // Its own status, too: a last will of an earlier connection may come late, and must not have the last word.
        let order = self.orders.as_ref().map(|_| Kind::Order);
        let own = [Kind::Committed, Kind::Status].into_iter().chain(order);
        let births = self.discovery.iter().map(Discovery::birth_topic);
        own.map(|kind| wire::topic(&self.store, &self.shared.node, kind))
            .chain(births)
            .collect()
    }

    fn connected(&mut self) {
        self.shared.announce.store(true, Ordering::Release);
        self.discover = self.discovery.is_some();
        let knows_loads = self.shared.loads().is_some();
        self.shared.tell_loads.store(knows_loads, Ordering::Release);
        self.resend_next = self.resend_after;
        self.rewind();
    }

    async fn received(&mut self, publish: Publish) -> Result<(), String> {
        if let Some(discovery) = &self.discovery
            && publish.topic == discovery.birth_topic()
        {
            self.discover |= discovery.is_birth(&publish.payload);
            return Ok(());
        }
        match wire::decode(&publish.topic, &publish.payload) {
            Ok(Message::Order { order, .. }) => {
                if let Some(orders) = &self.orders {
                    // A gate that does not listen lets go, and the order is said again.
                    let _ = orders.try_send(order);
                }
                Ok(())
            }
            Ok(Message::Committed { committed, .. }) => self.committed(committed).await,
            Ok(Message::Status(status)) => {
                // A retained one is from before the birth that follows the subscription.
                let is_news = !publish.retain;
                if is_news && status.state == NodeState::Offline && !self.is_closing() {
                    self.shared.announce.store(true, Ordering::Release);
                }
                Ok(())
            }
            Ok(Message::Observation(_) | Message::Watermark(_) | Message::Loads(_)) => Ok(()),
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
        if !self.shared.may_send.load(Ordering::Acquire) && now - self.sent_at >= self.resend_after
        {
            // The coordinator was away when it was asked what it has.
            self.shared.announce.store(true, Ordering::Release);
        }
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
        if out.has_room() && self.shared.announce.swap(false, Ordering::AcqRel) {
            let status = self.shared.status(NodeState::Online, &self.version);
            let birth = wire::encode(&self.store, &Message::Status(status));
            out.send(birth.map_err(|error| error.to_string())?)?;
            self.sent_at = Instant::now();
        }
        if out.has_room()
            && std::mem::take(&mut self.discover)
            && let Some(discovery) = &self.discovery
        {
            out.send(discovery.config().clone())?;
        }
        if out.has_room() && self.shared.tell_loads.swap(false, Ordering::AcqRel) {
            let loads = self.shared.loads().clone();
            if let Some(loads) = loads {
                let told = wire::encode(&self.store, &Message::Loads(loads));
                out.send(told.map_err(|error| error.to_string())?)?;
            }
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
