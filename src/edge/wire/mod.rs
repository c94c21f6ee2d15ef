//! The wire: MQTT topics and JSON payloads to messages and back. Pure: no IO, no clock.
//!
//! `deploy/asyncapi.yaml` is the contract and `tests/it/wire.rs` holds it against this code. The writer is strict,
//! the reader is not: it ignores unknown fields, so that a newer node can talk to an older coordinator. What it
//! does check is every bound that the code behind it relies on (see [`bounds`]), because whatever passes here is
//! believed from then on.

pub mod bounds;
mod payload;

use rumqttc::QoS;

use crate::observation::{
    Committed, GateOrder, Loads, NodeStatus, Observation, Stamp, Stamped, Watermark,
};
use crate::store::NodeName;

pub use bounds::{Bound, PAYLOAD_BYTES_MAX, TROUBLE_BYTES_MAX};
pub use payload::stamp_of;

/// The first two levels of every topic; the second changes when a reader could no longer understand a writer.
const PREFIX: &str = "stroll/v1";

/// Longest level of a topic, bytes.
const LEVEL_BYTES_MAX: usize = 64;

/// What a topic carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A finished change on a shelf (node to coordinator, stamped).
    Shelf,
    /// What cameras make of a shelf around a change (node to coordinator, stamped).
    Vision,
    /// A segment of a body's track (node to coordinator, stamped).
    Body,
    /// Something that happened at the gate (node to coordinator, stamped).
    Gate,
    /// A time that the node can't vouch for (node to coordinator, stamped).
    Gap,
    /// A promise about event time (node to coordinator).
    Watermark,
    /// Whether the node is there (node to coordinator, retained).
    Status,
    /// What is durable in the journal (coordinator to node).
    Committed,
    /// What lies on the plates (node to whoever shows it, retained).
    Loads,
    /// What the gate is to do (coordinator to node).
    Order,
}

impl Kind {
    /// Every kind, in the order of the contract.
    pub const ALL: [Kind; 10] = [
        Kind::Shelf,
        Kind::Vision,
        Kind::Body,
        Kind::Gate,
        Kind::Gap,
        Kind::Watermark,
        Kind::Status,
        Kind::Committed,
        Kind::Loads,
        Kind::Order,
    ];

    /// The topic's levels after the node's.
    pub fn path(self) -> &'static str {
        match self {
            Kind::Shelf => "observation/shelf",
            Kind::Vision => "observation/vision",
            Kind::Body => "observation/body",
            Kind::Gate => "observation/gate",
            Kind::Gap => "observation/gap",
            Kind::Watermark => "watermark",
            Kind::Status => "status",
            Kind::Committed => "committed",
            Kind::Loads => "loads",
            Kind::Order => "order",
        }
    }

    /// The kind that an observation travels as.
    pub fn of(observation: &Observation) -> Kind {
        match observation {
            Observation::Shelf(_) => Kind::Shelf,
            Observation::Vision(_) => Kind::Vision,
            Observation::Body(_) => Kind::Body,
            Observation::Gate(_) => Kind::Gate,
            Observation::Gap(_) => Kind::Gap,
        }
    }

    /// Whether the messages carry a stamp, hence go through the outbox.
    pub fn is_stamped(self) -> bool {
        match self {
            Kind::Shelf | Kind::Vision | Kind::Body | Kind::Gate | Kind::Gap => true,
            Kind::Watermark | Kind::Status | Kind::Committed | Kind::Loads | Kind::Order => false,
        }
    }

    /// Whether the broker keeps the last message for those who come later.
    pub fn is_retained(self) -> bool {
        match self {
            Kind::Status | Kind::Loads => true,
            Kind::Shelf
            | Kind::Vision
            | Kind::Body
            | Kind::Gate
            | Kind::Gap
            | Kind::Watermark
            | Kind::Committed
            | Kind::Order => false,
        }
    }

    /// Whether the coordinator says it, and the node hears it.
    pub fn is_for_node(self) -> bool {
        match self {
            Kind::Committed | Kind::Order => true,
            Kind::Shelf
            | Kind::Vision
            | Kind::Body
            | Kind::Gate
            | Kind::Gap
            | Kind::Watermark
            | Kind::Status
            | Kind::Loads => false,
        }
    }
}

/// Whether `text` can be a level of a topic: letters, digits, `-`, `_` and `.`, at most 64 of them. Store ids and
/// node names must be such, for a `/`, `+` or `#` would change what a topic means.
pub fn is_level(text: &str) -> bool {
    (1..=LEVEL_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The topic of that kind of message: `stroll/v1/<store>/<node>/<kind>`.
///
/// `store` and `node` must satisfy [`is_level`]; [`encode`] and the links check it.
pub fn topic(store: &str, node: &NodeName, kind: Kind) -> String {
    prefix(store, node) + kind.path()
}

/// What every topic of a node begins with.
pub fn prefix(store: &str, node: &NodeName) -> String {
    format!("{}{node}/", prefix_of_store(store))
}

/// What every topic of a store begins with.
pub fn prefix_of_store(store: &str) -> String {
    format!("{PREFIX}/{store}/")
}

/// What a node calls itself: one id for each node of each store, and the broker ends an older connection of the same.
pub fn node_client_id(store: &str, node: &NodeName) -> String {
    format!("stroll:{store}:node:{node}")
}

/// What the coordinator calls itself.
pub fn coordinator_client_id(store: &str) -> String {
    format!("stroll:{store}:coordinator")
}

/// The filter under which a coordinator hears every node of its store.
pub fn filter(store: &str) -> String {
    format!("{}+/#", prefix_of_store(store))
}

/// The parts of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    pub store: &'a str,
    pub node: &'a str,
    pub kind: Kind,
}

/// Takes a topic apart; the inverse of [`topic`].
pub fn parse_topic(topic: &str) -> Result<Topic<'_>, WireError> {
    let parts = topic.strip_prefix(PREFIX).and_then(|rest| {
        let mut levels = rest.strip_prefix('/')?.splitn(3, '/');
        let (store, node, path) = (levels.next()?, levels.next()?, levels.next()?);
        let kind = Kind::ALL.into_iter().find(|kind| kind.path() == path)?;
        (is_level(store) && is_level(node)).then_some(Topic { store, node, kind })
    });
    parts.ok_or_else(|| WireError::new(topic, Fault::Topic))
}

/// The node of a topic of a kind of observation that this version does not know.
fn unknown_observation(topic: &str) -> Option<&str> {
    let rest = topic.strip_prefix(PREFIX)?.strip_prefix('/')?;
    let mut levels = rest.splitn(3, '/');
    let (store, node, path) = (levels.next()?, levels.next()?, levels.next()?);
    let kind = path.strip_prefix("observation/")?;
    (is_level(store) && is_level(node) && is_level(kind)).then_some(node)
}

/// One message of the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Observation(Stamped),
    Watermark(Watermark),
    Status(NodeStatus),
    /// The coordinator's answer to `node`.
    Committed {
        node: NodeName,
        committed: Committed,
    },
    Loads(Loads),
    /// The coordinator's word to the gate of `node`.
    Order {
        node: NodeName,
        order: GateOrder,
    },
}

impl Message {
    /// The kind of topic that it travels on.
    pub fn kind(&self) -> Kind {
        match self {
            Message::Observation(stamped) => Kind::of(&stamped.observation),
            Message::Watermark(_) => Kind::Watermark,
            Message::Status(_) => Kind::Status,
            Message::Committed { .. } => Kind::Committed,
            Message::Loads(_) => Kind::Loads,
            Message::Order { .. } => Kind::Order,
        }
    }

    /// The node whose topic it travels on.
    pub fn node(&self) -> &NodeName {
        match self {
            Message::Observation(stamped) => &stamped.stamp.node,
            Message::Watermark(watermark) => &watermark.node,
            Message::Status(status) => &status.node,
            Message::Loads(loads) => &loads.node,
            Message::Committed { node, .. } | Message::Order { node, .. } => node,
        }
    }
}

/// A message as a broker takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub topic: String,
    /// JSON, at most [`PAYLOAD_BYTES_MAX`].
    pub payload: Vec<u8>,
    pub retain: bool,
    /// At least once, for every kind: the stamps make "once" of it.
    pub qos: QoS,
}

/// Writes a message. Fails where [`decode`] would refuse it: then it is a fault of ours and must not reach the wire.
pub fn encode(store: &str, message: &Message) -> Result<Encoded, WireError> {
    let kind = message.kind();
    let topic = topic(store, message.node(), kind);
    let written = if is_level(store) && is_level(message.node().as_str()) {
        payload::write(message)
    } else {
        Err(Fault::Topic)
    };
    match written {
        Ok(payload) => Ok(Encoded {
            topic,
            payload,
            retain: kind.is_retained(),
            qos: QoS::AtLeastOnce,
        }),
        Err(fault) => Err(WireError::new(&topic, fault)),
    }
}

/// Reads a message. Unknown fields are ignored; whatever breaks a bound is refused.
pub fn decode(topic: &str, payload: &[u8]) -> Result<Message, WireError> {
    let parts = parse_topic(topic).map_err(|mut error| {
        // What a newer node observes is set aside with its stamp, or it would block that node's outbox.
        error.stamp = unknown_observation(topic)
            .and_then(|node| Some((node, stamp_of(payload)?)))
            .filter(|(node, stamp)| stamp.node.as_str() == *node)
            .map(|(_, stamp)| Box::new(stamp));
        error
    })?;
    payload::read(parts, payload).map_err(|fault| {
        let mut error = WireError::new(topic, fault);
        if parts.kind.is_stamped() {
            // A stamp that names another node is not believed: it would commit what that node still has to say.
            error.stamp = stamp_of(payload)
                .filter(|stamp| stamp.node.as_str() == parts.node)
                .map(Box::new);
        }
        error
    })
}

/// A message that cannot be read or must not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}", readable(&format!("message on `{topic}`: {fault}")))]
pub struct WireError {
    /// Where it came from or was bound for, cut at 200 bytes.
    pub topic: String,
    /// What is wrong with it.
    pub fault: Fault,
    /// Its stamp, if that much could be read: the coordinator keeps the message as quarantined and commits the
    /// stamp, so that a message that nobody understands does not block its outbox for ever.
    pub stamp: Option<Box<Stamp>>,
}

impl WireError {
    fn new(topic: &str, fault: Fault) -> Self {
        WireError {
            topic: topic.chars().take(200).collect(),
            fault,
            stamp: None,
        }
    }
}

/// The text in at most a thousand characters that can be printed: parts of a message are in it, and it is kept in the
/// journal.
fn readable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(1_000).map(shown).collect()
}

/// What is wrong with a message.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(
        "it is no topic of ours: expected stroll/v1/<store>/<node>/ and one of observation/shelf, observation/body, observation/gate, observation/gap, watermark, status, committed, loads, order"
    )]
    Topic,
    #[error("the payload has {bytes} bytes, at most {PAYLOAD_BYTES_MAX} are allowed")]
    TooLong { bytes: usize },
    #[error("the payload is not what the topic carries: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Bound(#[from] Bound),
    #[error("the payload speaks for node `{named}`, which is not the topic's")]
    Node { named: NodeName },
    #[error("the payload's type is `{named}`, which is not the topic's")]
    Type { named: &'static str },
}

#[cfg(test)]
mod tests;
