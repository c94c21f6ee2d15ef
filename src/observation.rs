//! What nodes vouch for: the observations, watermarks and states that go over the wire.
//!
//! These are the domain's own types; [`crate::edge::wire`] turns them into MQTT messages and back. Everything here
//! is quantised (integer milligrams, millimetres, thousandths of a log-likelihood), so that what a replay
//! computes with is exactly what went over the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::{NodeName, PlateId, ProductId, ShelfId};
use crate::units::{Milligrams, Point, Timestamp, text_id};

text_id! {
    /// A body track: one body from first to last sight, for one visit.
    TrackId
}
text_id! {
    /// An outbox: random, made together with the outbox file.
    OutboxId
}
text_id! {
    /// A shopper's enrolled phone.
    DeviceId
}

/// Says which observation this is, for ever: an outbox never gives the same sequence twice.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Stamp {
    pub node: NodeName,
    pub outbox: OutboxId,
    /// From 1, without gaps.
    pub sequence: u64,
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.node, self.outbox, self.sequence)
    }
}

/// The node's clocks when it made the observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NodeClock {
    /// Which boot the monotonic clock counts from.
    pub boot: String,
    /// Microseconds since that boot.
    pub monotonic_us: u64,
    /// Wall time, microseconds since the Unix epoch.
    pub wall_us: Timestamp,
    /// Bound on the error of the wall time, microseconds.
    pub error_us: u64,
}

/// An observation with its stamp, as the outbox keeps it and the journal receives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Stamped {
    pub stamp: Stamp,
    pub clock: NodeClock,
    pub observation: Observation,
}

/// What a node saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Observation {
    Shelf(ShelfObservation),
    Vision(VisionObservation),
    Body(BodySegment),
    Gate(GateObservation),
    Gap(GapObservation),
}

impl Observation {
    /// Event time at which it began.
    pub fn start(&self) -> Timestamp {
        match self {
            Observation::Shelf(o) => o.start,
            Observation::Vision(o) => o.start,
            Observation::Body(o) => o.start,
            Observation::Gate(o) => o.at,
            Observation::Gap(o) => o.start,
        }
    }

    /// Event time at which it was finished.
    pub fn end(&self) -> Timestamp {
        match self {
            Observation::Shelf(o) => o.end,
            Observation::Vision(o) => o.end,
            Observation::Body(o) => o.end,
            Observation::Gate(o) => o.at,
            Observation::Gap(o) => o.end,
        }
    }
}

/// The kind of a shelf's change, as far as the load cells can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Weight left.
    Take,
    /// Weight came.
    Put,
    /// Pressed or brushed, and nothing changed.
    Touch,
    /// Weight came or left, by its sign, that is no product: a hand that leans on the shelf, or weight that creeps.
    Foreign,
    /// Changed, and the sensors can't say how: unseen, or as slowly as a hand that rests, and nothing that stands there.
    Unsure,
}

/// A finished change on one shelf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShelfObservation {
    pub shelf: ShelfId,
    /// When the plates began to move.
    pub start: Timestamp,
    /// When the weight changed (the middle of the weight step).
    pub peak: Timestamp,
    /// Half of the time in which the weight changed, where that took longer than usual (a slow lift, missing
    /// samples), microseconds; 0: it was at `peak`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub peak_error_us: u64,
    /// When the plates were quiet again and nothing beside them could add to the change: after every promise that
    /// the node made before it gave this out.
    pub end: Timestamp,
    pub kind: ChangeKind,
    /// The plates that changed, left to right.
    pub plates: Vec<PlateChange>,
    /// What stood there in between, where that may have been a product: put down by one and taken by another, or the
    /// other way round. Or a hand pressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stood: Option<Stood>,
    /// Log-likelihoods of item sets given the weights, best first, without prior; at most 32.
    pub likelihoods: Vec<ItemLikelihood>,
    /// Ids of the evidence that the node keeps (weight trace, frames).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

fn is_zero(error_us: &u64) -> bool {
    *error_us == 0
}

impl ChangeKind {
    /// Whether products that moved in a change of this kind and sum left the shelf: a touch is a put-back, if somebody
    /// else took as much at the same moment.
    pub fn is_take(self, delta: Milligrams) -> bool {
        match self {
            ChangeKind::Take => true,
            ChangeKind::Put | ChangeKind::Touch => false,
            ChangeKind::Foreign | ChangeKind::Unsure => delta.0 < 0,
        }
    }
}

impl ShelfObservation {
    /// Whether what moved left the shelf, all in all.
    pub fn is_take(&self) -> bool {
        self.kind.is_take(self.delta())
    }

    /// What came (positive) or left (negative), over all plates.
    pub fn delta(&self) -> Milligrams {
        self.plates.iter().map(|p| p.delta_mg).sum()
    }

    /// Standard deviation of [`ShelfObservation::delta`], plates taken as independent.
    pub fn sigma(&self) -> Milligrams {
        let sum: f64 = self.plates.iter().map(|p| p.sigma_mg.grams().powi(2)).sum();
        Milligrams::from_grams(sum.sqrt())
    }
}

/// A level on which plates stood for a moment while they changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Stood {
    /// When the weight had half come to it, and had half left it.
    pub from: Timestamp,
    pub until: Timestamp,
    /// From the level before the change, on plates of the same shelf, left to right.
    pub plates: Vec<PlateChange>,
}

/// How one plate changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlateChange {
    /// Index of the plate on its shelf.
    pub plate: u16,
    /// Positive: weight came; negative: it left.
    pub delta_mg: Milligrams,
    /// Standard deviation of the change.
    pub sigma_mg: Milligrams,
}

/// How well a set of items explains the weights of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemLikelihood {
    /// One to three different products with their quantities.
    pub items: Vec<Item>,
    /// Natural log of the likelihood density, in thousandths.
    pub log_likelihood_milli: i64,
}

/// What a camera makes of a shelf around a change: which products its pictures can be of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VisionObservation {
    pub shelf: ShelfId,
    /// The time that the pictures are of: that of the change, if the camera's node also reads the plates.
    pub start: Timestamp,
    pub end: Timestamp,
    /// Log-likelihoods of products given the pictures, best first, without prior; at most 32.
    pub likelihoods: Vec<ProductLikelihood>,
    /// The same of any other product, and of what is none.
    pub others_milli: i64,
    /// The model that says so, with its version.
    pub model: String,
    /// Ids of the evidence that the node keeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl VisionObservation {
    /// The log-likelihood of a product, or of what is none.
    pub fn log(&self, product: Option<&ProductId>) -> f64 {
        let named = self
            .likelihoods
            .iter()
            .find(|l| Some(&l.product) == product);
        named.map_or(self.others_milli, |l| l.log_likelihood_milli) as f64 / 1e3
    }
}

/// How well a product explains what a camera saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProductLikelihood {
    pub product: ProductId,
    /// Natural log of the likelihood, in thousandths.
    pub log_likelihood_milli: i64,
}

/// So many units of a product.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Item {
    pub product: ProductId,
    pub quantity: u32,
}

/// One body's track over at most a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BodySegment {
    pub track: TrackId,
    /// Time of the first pose.
    pub start: Timestamp,
    /// Time of the last pose.
    pub end: Timestamp,
    /// In time order; never empty; at most 64.
    pub poses: Vec<Pose>,
}

/// Where a body's head and hands were at one instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pose {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Sighting>,
    /// The hands that were seen, at most two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hands: Vec<Sighting>,
}

/// A place with the tracker's confidence in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sighting {
    #[serde(flatten)]
    pub place: Point,
    /// 0 to 1.
    pub confidence: f64,
}

/// What happened at the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GateObservation {
    pub at: Timestamp,
    #[serde(flatten)]
    pub event: GateEvent,
}

/// A gate event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum GateEvent {
    /// An entry code was shown: `STROLL1.<device id>.<time step>.<MAC>`.
    CodeShown { code: String },
    /// Somebody passed into the store.
    PassedIn,
    /// Somebody passed out of the store.
    PassedOut,
}

/// A time of which a node can't vouch for everything: it was off, or could not keep what it saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GapObservation {
    /// The last moment that is vouched for.
    pub start: Timestamp,
    /// The first moment that is vouched for again.
    pub end: Timestamp,
    pub cause: GapCause,
    /// Observations that were made and could not be kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// The outbox that was given up for the one that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<OutboxId>,
    /// What stands differently on the shelves since, as far as that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shelves: Vec<ShelfGap>,
}

/// Why there is a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The node was off.
    Off,
    /// Its outbox, or its disk, was full.
    Full,
    /// Its outbox was an old copy: what the newer one had not sent is lost.
    Replaced,
    /// A camera that follows people could not see.
    Blind,
}

/// What changed on a shelf while nobody watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShelfGap {
    pub shelf: ShelfId,
    /// The plates that read differently afterwards, left to right.
    pub plates: Vec<PlateChange>,
}

impl ShelfGap {
    /// What came (positive) or left (negative), over all plates.
    pub fn delta(&self) -> Milligrams {
        self.plates.iter().map(|p| p.delta_mg).sum()
    }
}

/// A node's promise: no later message of it has its start at or before `at`, but for the shelves whose
/// interval is still open; and what comes later ends after `at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Watermark {
    pub node: NodeName,
    /// The outbox whose observations it speaks of.
    pub outbox: OutboxId,
    /// The last sequence given out before this promise: it holds once all up to it have been received.
    pub sequence: u64,
    pub at: Timestamp,
    /// Shelves on which something is still going on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenInterval>,
}

/// A shelf on which a change has begun that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OpenInterval {
    pub shelf: ShelfId,
    pub since: Timestamp,
}

/// A node's state, retained; the broker publishes `offline` as its last will.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NodeStatus {
    pub node: NodeName,
    pub state: NodeState,
    /// Version of the node's program.
    #[serde(default)]
    pub version: String,
    /// What is wrong, in a sentence; empty if nothing is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
    /// What works less well, in a sentence, though what the node says can be relied on; empty if nothing does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notice: String,
    /// The outbox that it speaks with: `online` asks what is committed of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<OutboxId>,
    /// Plates that can't be relied on, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<PlateFault>,
    /// How the reading of the plates goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingReport>,
    /// How the gate stands, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateState>,
}

/// How a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// Shut, because the coordinator says so again and again.
    Held,
    /// Nobody holds it: there is no coordinator, or it said so.
    Open,
    /// The emergency input is on: nothing holds it.
    Alarm,
}

/// What the coordinator wants of a gate. It counts from when it is heard, so that no clock has to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum GateOrder {
    /// Stay shut for so long, unless this is said again.
    Hold { for_ms: u64 },
    /// Let one through, for at most so long.
    Open { for_ms: u64 },
    /// Stand open until it is to be held again.
    Release,
}

/// What lies on a node's plates, retained: for displays and home automation; the coordinator goes by observations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Loads {
    pub node: NodeName,
    /// By plate.
    pub load_mg: BTreeMap<PlateId, Milligrams>,
}

/// A plate that a node can't rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlateFault {
    pub plate: PlateId,
    /// What is wrong, in a sentence.
    pub what: String,
    pub since: Timestamp,
}

/// How the reading of a node's plates went over the last seconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct SamplingReport {
    /// Counts that a plate gave, a thousand seconds.
    pub rate_millihertz: u64,
    /// How much later than wanted the reading woke: 99 of 100 times at most so, and the worst.
    pub late_us_p99: u64,
    pub late_us_max: u64,
    /// Samples that were lost, all plates together, by why.
    pub interrupted: u64,
    pub not_ready: u64,
    pub saturated: u64,
    /// Those that the rest of the program was too slow for, since the start.
    pub dropped: u64,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    Online,
    Offline,
}

/// The coordinator's answer: everything of that outbox up to `sequence` is durable in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Committed {
    pub outbox: OutboxId,
    pub sequence: u64,
}
