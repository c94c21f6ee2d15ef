//! The coordinator's end: hears every node of its store and tells each what is committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::Publish;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::line::{Line, Out, Side, first_connection};
use super::{BrokerUrl, LinkError, LinkState};
use crate::edge::credentials::ClientTls;
use crate::edge::wire::{self, Kind, Message};
use crate::observation::{Committed, GateOrder, OutboxId, Stamp};
use crate::store::NodeName;

/// Words to gates that wait to be sent, at most; then the oldest is dropped.
const ORDERS_MAX: usize = 64;

/// How the coordinator connects.
#[derive(Clone, Debug)]
pub struct CoordinatorOptions {
    pub broker: BrokerUrl,
    /// How to connect with TLS, where the broker wants it.
    pub tls: Option<ClientTls>,
    /// The store's id.
    pub store: String,
    /// How long the first connection is tried before it is an error.
    pub patience: Duration,
    /// Deliveries that wait for the receiver. At this bound the link rests until there is room, commits included:
    /// the broker holds back or drops, after 7.5 s it takes the coordinator for dead, and nodes send again what
    /// was not committed. So the receiver must be read for as long as anything is to be committed.
    pub deliveries_max: usize,
}

impl CoordinatorOptions {
    /// The usual: 10 s of patience, 1,024 deliveries.
    pub fn new(broker: BrokerUrl, store: impl Into<String>) -> Self {
        CoordinatorOptions {
            broker,
            tls: None,
            store: store.into(),
            patience: Duration::from_secs(10),
            deliveries_max: 1_024,
        }
    }
}

/// What the link hands over, in the order of arrival. Duplicates are to be expected.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    Message(Message),
    /// A stamped message that cannot be decoded: to be kept as quarantined, and its stamp to be committed.
    Undecodable {
        stamp: Stamp,
        reason: String,
    },
}

/// The coordinator's link to its broker. It reconnects by itself. Dropping it breaks the connection off.
#[derive(Debug)]
pub struct CoordinatorLink {
    shared: Arc<Shared>,
    broker: BrokerUrl,
    client_id: String,
    state: watch::Receiver<LinkState>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What is still to be told; one entry an outbox, for the last word includes those before it.
    commits: Mutex<BTreeMap<(NodeName, OutboxId), u64>>,
    /// What gates are still to be told; one that is not told in time is worth nothing.
    orders: Mutex<VecDeque<(NodeName, GateOrder)>>,
    wake: Notify,
    closing: AtomicBool,
}

impl Shared {
    fn commits(&self) -> MutexGuard<'_, BTreeMap<(NodeName, OutboxId), u64>> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn orders(&self) -> MutexGuard<'_, VecDeque<(NodeName, GateOrder)>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CoordinatorLink {
    /// Connects and subscribes; from its return on no message that the broker passes is missed.
    pub async fn connect(
        options: CoordinatorOptions,
    ) -> Result<(Self, mpsc::Receiver<Delivery>), LinkError> {
        if !wire::is_level(&options.store) {
            let name = options.store;
            return Err(LinkError::Name { name });
        }
        let client_id = wire::coordinator_client_id(&options.store);
        let line = Line::new(
            &options.broker,
            options.tls.as_ref(),
            client_id.clone(),
            None,
        );
        let mut state = line.state();
        let shared = Arc::<Shared>::default();
        let (deliveries, receiver) = mpsc::channel(options.deliveries_max.max(1));
        let side = CoordinatorSide {
            shared: Arc::clone(&shared),
            store: options.store,
            deliveries,
            held: None,
        };
        let link = CoordinatorLink {
            task: tokio::spawn(line.drive(side)),
            shared,
            broker: options.broker.clone(),
            client_id: client_id.clone(),
            state: state.clone(),
        };
        first_connection(&options.broker, &client_id, &mut state, options.patience).await?;
        Ok((link, receiver))
    }

    /// Tells a node what is durable. Never waits; while the broker is away the last word for each outbox is kept.
    pub fn commit(&self, node: &NodeName, committed: Committed) {
        let mut commits = self.shared.commits();
        let last = commits.entry((node.clone(), committed.outbox)).or_default();
        *last = (*last).max(committed.sequence);
        drop(commits);
        self.shared.wake.notify_one();
    }

    /// Tells a node's gate what to do. Never waits; while the broker is away, nothing is told.
    pub fn order(&self, node: &NodeName, order: GateOrder) {
        if *self.state.borrow() != LinkState::Up {
            return;
        }
        let mut orders = self.shared.orders();
        if orders.len() >= ORDERS_MAX {
            orders.pop_front();
        }
        orders.push_back((node.clone(), order));
        drop(orders);
        self.shared.wake.notify_one();
    }

    /// Follows the state of the connection.
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Sends what is still to be told, waits until the broker has it, at most `limit`, and closes.
    pub async fn close(mut self, limit: Duration) -> Result<(), LinkError> {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        let ended = tokio::time::timeout(limit, &mut self.task).await;
        if ended.is_err() || !self.shared.commits().is_empty() {
            return Err(LinkError::Unflushed {
                broker: self.broker.to_string(),
                client: self.client_id.clone(),
                waited: limit,
            });
        }
        Ok(())
    }
}

impl Drop for CoordinatorLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct CoordinatorSide {
    shared: Arc<Shared>,
    store: String,
    deliveries: mpsc::Sender<Delivery>,
    /// The one delivery that the receiver has no room for yet.
    held: Option<Delivery>,
}

impl CoordinatorSide {
    fn read(&self, publish: &Publish) -> Option<Delivery> {
        match wire::parse_topic(&publish.topic) {
            // The link hears its own words, because one subscription keeps the order of everything else. What lies on
            // plates is for displays.
            Ok(topic) if topic.kind.is_for_node() || topic.kind == Kind::Loads => return None,
            Ok(_) | Err(_) => {}
        }
        match wire::decode(&publish.topic, &publish.payload) {
            Ok(message) => Some(Delivery::Message(message)),
            Err(mut error) => {
                tracing::warn!("the coordinator cannot read a {error}");
                let stamp = *error.stamp.take()?;
                let reason = error.to_string();
                Some(Delivery::Undecodable { stamp, reason })
            }
        }
    }
}

impl Side for CoordinatorSide {
    fn filters(&self) -> Vec<String> {
        vec![wire::filter(&self.store)]
    }

    fn connected(&mut self) {
        // Who was let in a while ago is not standing there any more.
        self.shared.orders().clear();
    }

    async fn received(&mut self, publish: Publish) -> Result<(), String> {
        if self.is_closing() {
            return Ok(());
        }
        let Some(delivery) = self.read(&publish) else {
            return Ok(());
        };
        match self.deliveries.try_send(delivery) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(delivery)) => {
                self.held = Some(delivery);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err("nobody takes its deliveries any more".into()),
        }
    }

    async fn wait(&mut self) {
        if self.held.is_none() {
            return self.shared.wake.notified().await;
        }
        tokio::select! {
            () = self.shared.wake.notified() => {}
            permit = self.deliveries.reserve() => {
                // Without a receiver the next message ends the link.
                if let (Some(held), Ok(permit)) = (self.held.take(), permit) {
                    permit.send(held);
                }
            }
        }
    }

    fn tick(&mut self) {}

    async fn pump(&mut self, out: &mut Out) -> Result<(), String> {
        while out.has_room() {
            let Some((node, order)) = self.shared.orders().pop_front() else {
                break;
            };
            match wire::encode(&self.store, &Message::Order { node, order }) {
                Ok(encoded) => out.send(encoded)?,
                Err(error) => tracing::error!("the coordinator cannot write a {error}"),
            }
        }
        while out.has_room() {
            let Some(((node, outbox), sequence)) = self.shared.commits().pop_first() else {
                break;
            };
            let message = Message::Committed {
                node,
                committed: Committed { outbox, sequence },
            };
            match wire::encode(&self.store, &message) {
                Ok(encoded) => out.send(encoded)?,
                Err(error) => tracing::error!("the coordinator cannot write a {error}"),
            }
        }
        Ok(())
    }

    fn takes_more(&self) -> bool {
        self.held.is_none() || self.is_closing()
    }

    fn is_closing(&self) -> bool {
        self.shared.closing.load(Ordering::Acquire)
    }

    fn has_said_all(&self) -> bool {
        self.shared.commits().is_empty()
    }
}
