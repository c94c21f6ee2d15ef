//! Why a store lets nobody in.

use serde::{Deserialize, Serialize};

use crate::store::NodeName;
use crate::units::Timestamp;

/// Something that keeps people out for as long as it lasts. Nothing keeps anybody from leaving.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "bar", rename_all = "snake_case")]
pub enum Bar {
    /// Somebody pressed the emergency button: the gate stands open, and nothing is settled.
    Emergency,
    /// The store is closed for the day; staff still come in.
    Closed,
    /// The coordinator's disk is nearly full.
    Disk,
    /// A node says that something is wrong with it.
    Node { node: NodeName },
    /// A node does not know what time it is.
    Clock { node: NodeName },
}

/// Since when, and what people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barred {
    pub since: Timestamp,
    pub reason: String,
}

impl Bar {
    /// Whether it keeps out those, too, who come to see to the store.
    pub fn concerns_staff(&self) -> bool {
        match self {
            Bar::Closed => false,
            Bar::Emergency | Bar::Disk | Bar::Node { .. } | Bar::Clock { .. } => true,
        }
    }
}
