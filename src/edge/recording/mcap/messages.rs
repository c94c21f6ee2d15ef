//! The messages of a recording: records as JSON and back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::edge::recording::clock;
use crate::observation::{GateObservation, NodeClock, Pose, Sighting, TrackId};
use crate::recording::{BodyFrame, GateRecord, NO_COUNT, Record, ScaleBatch, ScaleGroup};
use crate::store::NodeName;
use crate::units::Timestamp;

/// Samples of the load cells that one node reads together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScaleMessage {
    /// Event time of the first sample, microseconds since 1970; the others follow at the rate of the channel's group.
    pub first_at: Timestamp,
    /// The node's clocks when it sent the samples, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<NodeClock>,
    /// One row a sample, one raw converter count a plate in the order of the channel's group; null where the converter gave none.
    pub counts: Vec<Vec<Option<i32>>>,
}

/// Every body that a node saw at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BodiesMessage {
    /// When the frames were taken, microseconds since 1970.
    pub at: Timestamp,
    /// The node's clocks when it sent the message, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<NodeClock>,
    pub bodies: Vec<BodyMessage>,
}

/// One body: places in store coordinates, metres.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BodyMessage {
    pub track: TrackId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Sighting>,
    /// The hands that were seen, at most two.
    #[serde(default)]
    pub hands: Vec<Sighting>,
}

/// Something that happened at a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GateMessage {
    #[serde(flatten)]
    pub observation: GateObservation,
    /// The node's clocks when it sent the message, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<NodeClock>,
}

impl From<&ScaleBatch> for ScaleMessage {
    fn from(batch: &ScaleBatch) -> Self {
        ScaleMessage {
            first_at: batch.first_at,
            clock: None,
            counts: batch
                .counts
                .chunks(batch.group.plates.len().max(1))
                .map(|row| {
                    row.iter()
                        .map(|&count| (count != NO_COUNT).then_some(count))
                        .collect()
                })
                .collect(),
        }
    }
}

impl ScaleMessage {
    /// The record of a message on a channel of that group, or what is wrong with it.
    pub(super) fn record(self, group: &Arc<ScaleGroup>) -> Result<Record, String> {
        let width = group.plates.len();
        if self.counts.is_empty() || self.counts.iter().any(|row| row.len() != width) {
            return Err(format!(
                "each sample of {} takes {width} counts",
                group.node
            ));
        }
        let counts = self.counts.into_iter().flatten();
        let batch = ScaleBatch {
            group: Arc::clone(group),
            first_at: possible(self.first_at)?,
            counts: counts.map(|count| count.unwrap_or(NO_COUNT)).collect(),
        };
        possible(batch.last_at())?;
        Ok(Record::Scale(batch))
    }
}

impl From<&BodyFrame> for BodiesMessage {
    fn from(frame: &BodyFrame) -> Self {
        BodiesMessage {
            at: frame.at,
            clock: None,
            bodies: frame
                .bodies
                .iter()
                .map(|(track, pose)| BodyMessage {
                    track: track.clone(),
                    head: pose.head,
                    hands: pose.hands.clone(),
                })
                .collect(),
        }
    }
}

impl BodiesMessage {
    pub(super) fn record(self, node: &NodeName) -> Result<Record, String> {
        let at = possible(self.at)?;
        let pose = |body: BodyMessage| {
            let BodyMessage { track, head, hands } = body;
            (track, Pose { at, head, hands })
        };
        Ok(Record::Body(BodyFrame {
            node: node.clone(),
            at,
            bodies: self.bodies.into_iter().map(pose).collect(),
        }))
    }
}

impl GateMessage {
    pub(super) fn record(self, node: &NodeName) -> Result<Record, String> {
        possible(self.observation.at)?;
        Ok(Record::Gate(GateRecord {
            node: node.clone(),
            observation: self.observation,
        }))
    }
}

/// The time itself, if a store can see it; else what is wrong with it.
pub(super) fn possible(at: Timestamp) -> Result<Timestamp, String> {
    match clock::possible(at.seconds()) {
        Some(_) => Ok(at),
        None => Err(format!("{} µs is an impossible time", at.0)),
    }
}

/// What is wrong with a group that somebody else described; nothing if it can be used.
pub(super) fn flaw_of_group(group: &ScaleGroup) -> Option<String> {
    let ScaleGroup {
        node,
        plates,
        counts_per_gram,
        rate_hz,
    } = group;
    if plates.is_empty() || plates.len() != counts_per_gram.len() {
        return Some(format!(
            "{node} has {} plates and {} calibration factors",
            plates.len(),
            counts_per_gram.len()
        ));
    }
    if !counts_per_gram.iter().all(|c| c.is_finite() && *c != 0.0) {
        return Some(format!("{node} has a calibration factor of zero"));
    }
    // A rate below one sample in 100 s, or above what any converter does, is a mistake.
    (!(0.01..=1e6).contains(rate_hz)).then(|| format!("{node} samples at {rate_hz} Hz"))
}
