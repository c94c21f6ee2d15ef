//! What a recording holds: raw converter counts, body tracks and gate events, with the store that they were made in.
//!
//! The formats (the competition's folders, `.mcap`) are read and written in [`crate::edge::recording`]; the
//! simulator makes the same records. A record is what a node's sensors give; [`crate::sensing::node`] turns it
//! into observations.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::checkout::session::Role;
use crate::observation::{DeviceId, GateObservation, Pose, TrackId};
use crate::store::{Definition, NodeName, PlateId, ProductId};
use crate::units::Timestamp;

/// A converter that gave no value (cut wire, saturated, lost sample).
pub const NO_COUNT: i32 = i32::MIN;

/// One thing that a node's sensors said.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    Scale(ScaleBatch),
    Body(BodyFrame),
    Gate(GateRecord),
}

impl Record {
    /// Event time of its last sample: records of one node come in the order of this.
    pub fn at(&self) -> Timestamp {
        match self {
            Record::Scale(b) => b.last_at(),
            Record::Body(f) => f.at,
            Record::Gate(g) => g.observation.at,
        }
    }

    /// The node whose sensors said it.
    pub fn node(&self) -> &NodeName {
        match self {
            Record::Scale(b) => &b.group.node,
            Record::Body(f) => &f.node,
            Record::Gate(g) => &g.node,
        }
    }
}

/// Plates that one node samples together, and how their counts become grams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScaleGroup {
    pub node: NodeName,
    /// In the order of the counts of each sample.
    pub plates: Vec<PlateId>,
    /// Calibration factor of each plate, counts per gram.
    pub counts_per_gram: Vec<f64>,
    /// Samples a second.
    pub rate_hz: f64,
}

/// Some consecutive samples of a [`ScaleGroup`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleBatch {
    pub group: Arc<ScaleGroup>,
    /// Event time of the first sample.
    pub first_at: Timestamp,
    /// Row-major samples × plates, raw counts; [`NO_COUNT`] where there is none.
    pub counts: Vec<i32>,
}

impl ScaleBatch {
    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.counts.len() / self.group.plates.len().max(1)
    }

    /// Event time of sample `index`.
    pub fn sample_at(&self, index: usize) -> Timestamp {
        self.first_at
            .plus_seconds(index as f64 / self.group.rate_hz)
    }

    /// Event time of the last sample.
    pub fn last_at(&self) -> Timestamp {
        self.sample_at(self.samples().saturating_sub(1))
    }
}

/// Every body that a tracking node saw at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyFrame {
    pub node: NodeName,
    pub at: Timestamp,
    /// `Pose::at` equals `at`.
    pub bodies: Vec<(TrackId, Pose)>,
}

/// Something that a gate node saw.
#[derive(Clone, Debug, PartialEq)]
pub struct GateRecord {
    pub node: NodeName,
    pub observation: GateObservation,
}

/// A whole recording in memory.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The store that it was made in.
    pub definition: Arc<Definition>,
    /// The nodes that took part, sorted.
    pub nodes: Vec<NodeName>,
    /// In the order of [`Record::at`]; of equal times, in the order of the node names.
    pub records: Vec<Record>,
    /// What really happened, if known.
    pub truth: Option<Truth>,
    /// Why the rest is missing, when only what was whole could be read.
    pub damage: Option<String>,
}

/// What really happened: the receipts that are right, and the events behind them. The competition's `truth.json` has this form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Truth {
    #[serde(default)]
    pub name: String,
    pub receipts: Vec<TrueReceipt>,
    #[serde(default)]
    pub events: Vec<TrueEvent>,
    /// The phones that showed entry codes, where they were simulated: a store that plays the recording enrols them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<TrueDevice>,
}

/// A simulated phone and its key. A real phone's key is never recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TrueDevice {
    pub device: DeviceId,
    /// The device key in base64.
    pub key_base64: String,
    #[serde(default, skip_serializing_if = "Role::is_shopper")]
    pub role: Role,
}

/// What one shopper really took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TrueReceipt {
    /// The shopper's track.
    pub target_id: TrackId,
    pub products: Vec<TrueProduct>,
}

/// A line of a true receipt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TrueProduct {
    pub barcode: ProductId,
    pub quantity: u32,
}

/// Something that a shopper really did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TrueEvent {
    /// `pick`, `put_back`, `touch`, ...
    pub kind: String,
    /// Seconds since the recording's start.
    pub t: f64,
    pub target_id: TrackId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barcode: Option<ProductId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u32>,
    /// `[gondola, shelf, plate]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plates: Vec<[u16; 3]>,
}
