//! MQTT clients: [`NodeLink`] for a node, [`CoordinatorLink`] for the coordinator (MQTT 3.1.1, QoS 1, `rumqttc`).
//!
//! Both sessions are clean: what rumqttc and the broker remember of an earlier connection is not relied on, for
//! either forgets at times (rumqttc drops what was not acknowledged when the broker has lost its session). A node
//! sends again, from its outbox, everything that the coordinator has not committed: after each reconnect, and
//! whenever the answer stays out for long.

mod coordinator;
mod line;
mod node;
mod sender;
mod url;

use std::time::Duration;

pub use coordinator::{CoordinatorLink, CoordinatorOptions, Delivery};
pub(crate) use node::clipped;
pub use node::{Health, NodeLink, NodeOptions};
pub use url::{BrokerUrl, UrlError};

use crate::edge::outbox::OutboxError;

/// How the connection to the broker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Not yet connected for the first time.
    Connecting,
    /// Connected and subscribed.
    Up,
    /// Lost, or not to be had; the link tries again by itself.
    Down {
        /// Why, such as "connection refused".
        reason: String,
        retry_in: Duration,
        /// The broker itself said no (login, client id): a first connection does not wait for more.
        refused: bool,
    },
    /// Ended for good: closed, or failed with a reason that trying again does not cure.
    Ended { reason: Option<String> },
}

/// Why a link is not to be had or does not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error(
        "broker {broker} cannot be reached: {reason} (tried for {} s); start it or choose another with --broker", tried.as_secs_f32()
    )]
    Unreachable {
        /// Its address, without the login.
        broker: String,
        reason: String,
        tried: Duration,
    },
    #[error("broker {broker} refuses `{client}`: {reason}")]
    Refused {
        broker: String,
        client: String,
        reason: String,
    },
    #[error(
        "`{name}` can be no level of an MQTT topic: use at most 64 letters, digits, `-`, `_` and `.`"
    )]
    Name { name: String },
    #[error("node `{node}`: {left} observations are not committed after {} s; they stay in the outbox", waited.as_secs_f32())]
    NotCommitted {
        node: String,
        left: u64,
        waited: Duration,
    },
    #[error("the link of `{client}` to broker {broker} has ended: {reason}")]
    Ended {
        broker: String,
        client: String,
        reason: String,
    },
    #[error("the link of `{client}` to broker {broker} was cut off: its last messages were not acknowledged within {} s", waited.as_secs_f32())]
    Unflushed {
        broker: String,
        client: String,
        waited: Duration,
    },
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}
