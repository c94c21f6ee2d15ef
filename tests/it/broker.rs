//! Nodes and a coordinator over real brokers: the embedded one and Mosquitto.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use stroll::edge::broker::{BrokerOptions, EmbeddedBroker};
use stroll::edge::mqtt::{
    BrokerUrl, CoordinatorLink, CoordinatorOptions, Delivery, LinkError, LinkState, NodeLink,
    NodeOptions,
};
use stroll::edge::outbox::Outbox;
use stroll::edge::wire::{self, Kind, Message};
use stroll::observation::{
    Committed, GateEvent, GateObservation, NodeClock, NodeState, Observation, OutboxId,
};
use stroll::store::NodeName;
use stroll::units::Timestamp;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::mosquitto::Mosquitto;
use crate::port;

const STORE: &str = "corner-shop";
const LIMIT: Duration = Duration::from_secs(20);
const OBSERVATIONS: u64 = 300;

fn embedded_at(listen: SocketAddr) -> EmbeddedBroker {
    EmbeddedBroker::start(BrokerOptions::at(listen)).expect("the embedded broker starts")
}

fn embedded() -> EmbeddedBroker {
    embedded_at(port::free())
}

fn local(broker: &EmbeddedBroker) -> BrokerUrl {
    BrokerUrl::local(broker.addr())
}

/// A node with an outbox of its own.
struct Node {
    folder: tempfile::TempDir,
    name: NodeName,
    link: NodeLink,
}

impl Node {
    async fn start(broker: &BrokerUrl, store: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the outbox");
        let name = NodeName::from("gate-1");
        let link = Self::link(broker, store, &folder.path().join("outbox.db")).await;
        Node { folder, name, link }
    }

    async fn link(broker: &BrokerUrl, store: &str, path: &PathBuf) -> NodeLink {
        let outbox = Outbox::open(path, &NodeName::from("gate-1")).expect("the outbox opens");
        let options = NodeOptions {
            resend_after: Duration::from_millis(500),
            ..NodeOptions::new(broker.clone(), store)
        };
        NodeLink::connect(options, outbox)
            .await
            .expect("the node connects")
    }

    /// Sees somebody pass at each of these microseconds, in groups of ten, and promises after each group.
    async fn see(&self, times: std::ops::Range<u64>) {
        let times: Vec<u64> = times.collect();
        for group in times.chunks(10) {
            let observations = group.iter().map(|at| passed_in(*at)).collect();
            let clock = NodeClock {
                boot: "b".into(),
                monotonic_us: group[0],
                wall_us: Timestamp(0),
                error_us: 0,
            };
            self.link
                .append(clock, observations)
                .await
                .expect("appended");
            let last = *group.last().expect("a group is never empty");
            self.link.watermark(Timestamp(last as i64), vec![]);
        }
    }

    /// Closes the link and opens the outbox that it leaves.
    async fn finish(self) -> Outbox {
        self.link.close(LIMIT).await.expect("closes in good order");
        Outbox::open(self.folder.path().join("outbox.db"), &self.name).expect("opens again")
    }
}

fn passed_in(at: u64) -> Observation {
    Observation::Gate(GateObservation {
        at: Timestamp(at as i64),
        event: GateEvent::PassedIn,
    })
}

/// A coordinator that commits whatever it has without a gap.
struct Listener {
    link: CoordinatorLink,
    deliveries: Receiver<Delivery>,
    /// In the order of their arrival, again and again if they came so.
    arrived: Vec<u64>,
    have: BTreeSet<u64>,
    committed: u64,
    promised: u64,
    outbox: Option<OutboxId>,
}

impl Listener {
    async fn start(broker: &BrokerUrl, store: &str) -> Self {
        let options = CoordinatorOptions {
            // So few that the link has to hold back.
            deliveries_max: 4,
            ..CoordinatorOptions::new(broker.clone(), store)
        };
        let (link, deliveries) = CoordinatorLink::connect(options)
            .await
            .expect("the coordinator connects");
        Listener {
            link,
            deliveries,
            arrived: Vec::new(),
            have: BTreeSet::new(),
            committed: 0,
            promised: 0,
            outbox: None,
        }
    }

    async fn next(&mut self) -> Delivery {
        timeout(LIMIT, self.deliveries.recv())
            .await
            .expect("something arrives in time")
            .expect("the link is alive")
    }

    async fn next_status(&mut self) -> NodeState {
        loop {
            if let Delivery::Message(Message::Status(status)) = self.next().await {
                return status.state;
            }
        }
    }

    /// Listens and commits until the node has promised something about `last`, with everything before it received.
    async fn hear(&mut self, last: u64) {
        while self.promised < last || self.committed < last {
            let delivery = self.next().await;
            self.take(delivery);
        }
    }

    /// Listens and commits on while something else comes to its end.
    async fn hear_while<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                done = &mut other => return done,
                Some(delivery) = self.deliveries.recv() => self.take(delivery),
            }
        }
    }

    fn take(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Message(Message::Observation(stamped)) => {
                assert_eq!(stamped.observation, passed_in(stamped.stamp.sequence));
                self.arrived.push(stamped.stamp.sequence);
                self.have.insert(stamped.stamp.sequence);
                self.outbox = Some(stamped.stamp.outbox.clone());
                self.commit(&stamped.stamp.node);
            }
            Delivery::Message(Message::Watermark(watermark)) => {
                self.promised = watermark.sequence;
            }
            Delivery::Message(Message::Status(_)) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn commit(&mut self, node: &NodeName) {
        while self.have.contains(&(self.committed + 1)) {
            self.committed += 1;
        }
        let outbox = self.outbox.clone().expect("an observation came first");
        let sequence = self.committed;
        self.link.commit(node, Committed { outbox, sequence });
    }
}

fn everything() -> Vec<u64> {
    (1..=OBSERVATIONS).collect()
}

/// The way of the data without trouble: in order, once each, and the outbox is empty afterwards.
async fn all_arrive_in_order(broker: &BrokerUrl) {
    let mut listener = Listener::start(broker, STORE).await;
    let node = Node::start(broker, STORE).await;
    let (_, ()) = tokio::join!(listener.hear(OBSERVATIONS), node.see(1..OBSERVATIONS + 1));
    let outbox = listener.hear_while(node.finish()).await;
    assert_eq!(listener.arrived, everything());
    assert_eq!(outbox.committed_sequence(), OBSERVATIONS);
    let pending = outbox
        .pending(outbox.committed_sequence(), 1)
        .expect("read");
    assert!(pending.is_empty());
    listener
        .link
        .close(LIMIT)
        .await
        .expect("closes in good order");
}

#[tokio::test(flavor = "multi_thread")]
async fn observations_arrive_in_order_through_the_embedded_broker() {
    all_arrive_in_order(&local(&embedded())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observations_arrive_in_order_through_mosquitto() {
    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    all_arrive_in_order(&mosquitto.url()).await;
}

/// The broker goes away in the middle and comes back without a memory.
async fn nothing_is_lost(broker: &BrokerUrl, kill: impl FnOnce(), restart: impl FnOnce()) {
    let mut listener = Listener::start(broker, STORE).await;
    let node = Node::start(broker, STORE).await;
    let mut state = node.link.state();
    let half = OBSERVATIONS / 2;
    let (_, ()) = tokio::join!(listener.hear(half - 50), node.see(1..half + 1));
    tokio::task::block_in_place(kill);
    timeout(
        LIMIT,
        state.wait_for(|state| matches!(state, LinkState::Down { .. })),
    )
    .await
    .expect("the loss is reported")
    .expect("the link is alive");
    node.see(half + 1..OBSERVATIONS + 1).await;
    tokio::task::block_in_place(restart);
    listener.hear(OBSERVATIONS).await;
    let outbox = listener.hear_while(node.finish()).await;
    assert!(listener.have.iter().copied().eq(everything()));
    assert_eq!(outbox.committed_sequence(), OBSERVATIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_mosquitto_is_killed_and_restarted() {
    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    let url = mosquitto.url();
    let mosquitto = std::cell::RefCell::new(mosquitto);
    nothing_is_lost(
        &url,
        || mosquitto.borrow_mut().kill(),
        || mosquitto.borrow_mut().run(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_embedded_broker_is_restarted() {
    let broker = embedded();
    let url = local(&broker);
    let addr = broker.addr();
    let mut second = None;
    nothing_is_lost(
        &url,
        move || drop(broker),
        || second = Some(embedded_at(addr)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_coordinator_gets_what_the_old_one_had_not_committed() {
    let broker = embedded();
    let url = local(&broker);
    let first = Listener::start(&url, STORE).await;
    let node = Node::start(&url, STORE).await;
    // The broker passes these on and acknowledges them, and then nobody commits them.
    node.see(1..101).await;
    drop(first);
    let mut second = Listener::start(&url, STORE).await;
    let (_, ()) = tokio::join!(second.hear(OBSERVATIONS), node.see(101..OBSERVATIONS + 1));
    let outbox = second.hear_while(node.finish()).await;
    assert_eq!(outbox.committed_sequence(), OBSERVATIONS);
}

/// What a node says of itself, and what is said of it when it cannot.
async fn a_node_is_born_dies_and_comes_back(broker: &BrokerUrl) {
    let mut listener = Listener::start(broker, STORE).await;
    let Node { folder, link, .. } = Node::start(broker, STORE).await;
    assert_eq!(listener.next_status().await, NodeState::Online);
    drop(link);
    assert_eq!(
        listener.next_status().await,
        NodeState::Offline,
        "the last will"
    );

    let path = folder.path().join("outbox.db");
    // The dropped link's task lets go of the outbox a moment later.
    let mut tries = 0;
    while let Err(error) = Outbox::open(&path, &NodeName::from("gate-1")) {
        tries += 1;
        assert!(tries < 100, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let link = Node::link(broker, STORE, &path).await;
    assert_eq!(listener.next_status().await, NodeState::Online);

    drop(listener);
    let mut late = Listener::start(broker, STORE).await;
    assert_eq!(
        late.next_status().await,
        NodeState::Online,
        "the retained status"
    );
    link.close(LIMIT).await.expect("closes in good order");
    assert_eq!(late.next_status().await, NodeState::Offline);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_last_will_through_the_embedded_broker() {
    a_node_is_born_dies_and_comes_back(&local(&embedded())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_last_will_through_mosquitto() {
    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    a_node_is_born_dies_and_comes_back(&mosquitto.url()).await;
}

/// Publishes as some other program would.
async fn publish(broker: &BrokerUrl, topic: String, retain: bool, payload: &[u8]) {
    let options = MqttOptions::new("somebody-else", &broker.host, broker.port);
    let (client, mut eventloop) = AsyncClient::new(options, 4);
    client
        .publish(topic, QoS::AtLeastOnce, retain, payload)
        .await
        .expect("queued");
    let acknowledged = async {
        while !matches!(
            eventloop.poll().await.expect("connected"),
            Event::Incoming(Packet::PubAck(_))
        ) {}
    };
    timeout(LIMIT, acknowledged)
        .await
        .expect("acknowledged in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_will_that_comes_late_does_not_have_the_last_word() {
    let broker = embedded();
    let url = local(&broker);
    let mut listener = Listener::start(&url, STORE).await;
    let node = Node::start(&url, STORE).await;
    assert_eq!(listener.next_status().await, NodeState::Online);
    let topic = wire::topic(STORE, &node.name, Kind::Status);
    publish(&url, topic, true, br#"{"node":"gate-1","state":"offline"}"#).await;
    assert_eq!(listener.next_status().await, NodeState::Offline);
    assert_eq!(listener.next_status().await, NodeState::Online);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_is_delivered_with_its_stamp() {
    let broker = embedded();
    let url = local(&broker);
    let mut listener = Listener::start(&url, STORE).await;
    let topic = wire::topic(STORE, &"gate-1".into(), Kind::Gate);
    let without_stamp = br#"{"observation":{"type":"gate"}}"#;
    publish(&url, topic.clone(), false, without_stamp).await;
    let unknown = br#"{"stamp":{"node":"gate-1","outbox":"o","sequence":5},"observation":{"type":"gate","event":"sang"}}"#;
    publish(&url, topic, false, unknown).await;
    // The first one has nothing that could be committed and is dropped with a line in the log.
    let Delivery::Undecodable { stamp, reason } = listener.next().await else {
        panic!("it should not have been understood");
    };
    assert_eq!(stamp.to_string(), "gate-1/o/5");
    assert!(
        reason.contains("stroll/v1/corner-shop/gate-1/observation/gate"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_share_a_broker_without_hearing_each_other() {
    let broker = embedded();
    let url = local(&broker);
    let mut stores = Vec::new();
    for store in ["north", "south"] {
        stores.push((
            Listener::start(&url, store).await,
            Node::start(&url, store).await,
        ));
    }
    for (count, (listener, node)) in [20, 40].into_iter().zip(&mut stores) {
        let (_, ()) = tokio::join!(listener.hear(count), node.see(1..count + 1));
        assert_eq!(listener.arrived.len() as u64, count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_named() {
    let url = BrokerUrl::local(port::free());
    let options = CoordinatorOptions {
        patience: Duration::from_millis(300),
        ..CoordinatorOptions::new(url.clone(), STORE)
    };
    let error = CoordinatorLink::connect(options)
        .await
        .expect_err("nobody listens there");
    assert_eq!(
        error.to_string(),
        format!(
            "broker {url} cannot be reached: connection refused (tried for 0.3 s); start it or choose another with --broker"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_wants_a_login_is_named_at_once() {
    let Some(mosquitto) = Mosquitto::with_config("allow_anonymous false") else {
        return;
    };
    let url = mosquitto.url();
    let refused = CoordinatorLink::connect(CoordinatorOptions::new(url, STORE));
    let error = timeout(Duration::from_secs(5), refused)
        .await
        .expect("it does not try for ten seconds")
        .expect_err("nobody may come in");
    assert!(matches!(error, LinkError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("not authorised"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_nobody_hears_keeps_its_observations() {
    let broker = embedded();
    let node = Node::start(&local(&broker), STORE).await;
    node.see(1..31).await;
    let error = node
        .link
        .close(Duration::from_millis(300))
        .await
        .expect_err("nobody commits");
    assert!(
        error
            .to_string()
            .starts_with("node `gate-1`: 30 observations are not committed"),
        "{error}"
    );
    let outbox = Outbox::open(node.folder.path().join("outbox.db"), &node.name).expect("opens");
    assert_eq!(outbox.pending(0, 100).expect("read").len(), 30);
}
