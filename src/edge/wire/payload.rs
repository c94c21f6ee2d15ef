//! The JSON payloads.
//!
//! Writing uses the domain types' own `Serialize`. Reading an observation does not: serde reads a tagged enum and
//! a flattened struct by way of a tree in memory, which makes a body segment three times dearer, and the codec has
//! a share of a replay's 26 ms. The topic says which type comes, so the mirrors below are read straight off the
//! bytes. A test holds both ways of reading equal.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

use super::{Fault, Kind, Message, PAYLOAD_BYTES_MAX, Topic, bounds};
use crate::observation::{
    BodySegment, ChangeKind, Committed, GapObservation, GateEvent, GateObservation, GateOrder,
    ItemLikelihood, Loads, NodeClock, NodeStatus, Observation, PlateChange, Pose, ShelfObservation,
    Sighting, Stamp, Stamped, Stood, TrackId, VisionObservation, Watermark,
};
use crate::store::{NodeName, ShelfId};
use crate::units::{Point, Timestamp};

/// Checks and writes the payload.
pub(super) fn write(message: &Message) -> Result<Vec<u8>, Fault> {
    let payload = match message {
        Message::Observation(stamped) => {
            bounds::stamped(stamped)?;
            serde_json::to_vec(stamped)?
        }
        Message::Watermark(watermark) => {
            bounds::watermark(watermark)?;
            serde_json::to_vec(watermark)?
        }
        Message::Status(status) => {
            bounds::status(status)?;
            serde_json::to_vec(status)?
        }
        Message::Committed { committed, .. } => {
            bounds::committed(committed)?;
            serde_json::to_vec(committed)?
        }
        Message::Loads(loads) => {
            bounds::loads(loads)?;
            serde_json::to_vec(loads)?
        }
        Message::Order { order, .. } => {
            bounds::order(*order)?;
            serde_json::to_vec(order)?
        }
    };
    check_length(&payload)?;
    Ok(payload)
}

/// Reads and checks the payload of a topic.
pub(super) fn read(topic: Topic<'_>, payload: &[u8]) -> Result<Message, Fault> {
    check_length(payload)?;
    let message = match topic.kind {
        Kind::Shelf => Message::Observation(stamped::<Shelf>(payload)?),
        Kind::Vision => Message::Observation(stamped::<Vision>(payload)?),
        Kind::Body => Message::Observation(stamped::<Body>(payload)?),
        Kind::Gate => Message::Observation(stamped::<Gate>(payload)?),
        Kind::Gap => Message::Observation(stamped::<Gap>(payload)?),
        Kind::Watermark => {
            let watermark: Watermark = serde_json::from_slice(payload)?;
            bounds::watermark(&watermark)?;
            Message::Watermark(watermark)
        }
        Kind::Status => {
            let status: NodeStatus = serde_json::from_slice(payload)?;
            bounds::status(&status)?;
            Message::Status(status)
        }
        Kind::Committed => {
            let committed: Committed = serde_json::from_slice(payload)?;
            bounds::committed(&committed)?;
            Message::Committed {
                node: NodeName::from(topic.node),
                committed,
            }
        }
        Kind::Loads => {
            let loads: Loads = serde_json::from_slice(payload)?;
            bounds::loads(&loads)?;
            Message::Loads(loads)
        }
        Kind::Order => {
            let order: GateOrder = serde_json::from_slice(payload)?;
            bounds::order(order)?;
            Message::Order {
                node: NodeName::from(topic.node),
                order,
            }
        }
    };
    if message.node().as_str() != topic.node {
        let named = message.node().clone();
        return Err(Fault::Node { named });
    }
    Ok(message)
}

fn check_length(payload: &[u8]) -> Result<(), Fault> {
    let bytes = payload.len();
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(Fault::TooLong { bytes });
    }
    Ok(())
}

fn stamped<'a, O>(payload: &'a [u8]) -> Result<Stamped, Fault>
where
    O: Deserialize<'a> + Mirror,
{
    let envelope: Envelope<O> = serde_json::from_slice(payload)?;
    if envelope.observation.tag() != O::TAG {
        let named = envelope.observation.tag().name();
        return Err(Fault::Type { named });
    }
    let stamped = Stamped {
        stamp: envelope.stamp,
        clock: envelope.clock,
        observation: envelope.observation.observation(),
    };
    bounds::stamped(&stamped)?;
    Ok(stamped)
}

/// The mirror of [`Stamped`] for one type of observation.
#[derive(Deserialize)]
struct Envelope<O> {
    stamp: Stamp,
    clock: NodeClock,
    observation: O,
}

/// The `type` of an observation.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Tag {
    Shelf,
    Vision,
    Body,
    Gate,
    Gap,
}

impl Tag {
    fn name(self) -> &'static str {
        match self {
            Tag::Shelf => "shelf",
            Tag::Vision => "vision",
            Tag::Body => "body",
            Tag::Gate => "gate",
            Tag::Gap => "gap",
        }
    }
}

/// What an observation is read as before it becomes the domain's.
trait Mirror {
    const TAG: Tag;
    fn tag(&self) -> Tag;
    fn observation(self) -> Observation;
}

#[derive(Deserialize)]
struct Shelf {
    #[serde(rename = "type")]
    tag: Tag,
    shelf: ShelfId,
    start: Timestamp,
    peak: Timestamp,
    #[serde(default)]
    peak_error_us: u64,
    end: Timestamp,
    kind: ChangeKind,
    plates: Vec<PlateChange>,
    #[serde(default)]
    stood: Option<Stood>,
    likelihoods: Vec<ItemLikelihood>,
    #[serde(default)]
    evidence: Vec<String>,
}

impl Mirror for Shelf {
    const TAG: Tag = Tag::Shelf;
    fn tag(&self) -> Tag {
        self.tag
    }
    fn observation(self) -> Observation {
        Observation::Shelf(ShelfObservation {
            shelf: self.shelf,
            start: self.start,
            peak: self.peak,
            peak_error_us: self.peak_error_us,
            end: self.end,
            kind: self.kind,
            plates: self.plates,
            stood: self.stood,
            likelihoods: self.likelihoods,
            evidence: self.evidence,
        })
    }
}

/// Looks are few: one a change.
#[derive(Deserialize)]
struct Vision {
    #[serde(rename = "type")]
    tag: Tag,
    #[serde(flatten)]
    look: VisionObservation,
}

impl Mirror for Vision {
    const TAG: Tag = Tag::Vision;
    fn tag(&self) -> Tag {
        self.tag
    }
    fn observation(self) -> Observation {
        Observation::Vision(self.look)
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "type")]
    tag: Tag,
    track: TrackId,
    start: Timestamp,
    end: Timestamp,
    poses: Vec<BodyPose>,
}

#[derive(Deserialize)]
struct BodyPose {
    at: Timestamp,
    #[serde(default)]
    head: Option<Place>,
    #[serde(default)]
    hands: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    x: f64,
    y: f64,
    z: f64,
    confidence: f64,
}

impl From<Place> for Sighting {
    fn from(place: Place) -> Sighting {
        let Place {
            x,
            y,
            z,
            confidence,
        } = place;
        Sighting {
            place: Point { x, y, z },
            confidence,
        }
    }
}

impl Mirror for Body {
    const TAG: Tag = Tag::Body;
    fn tag(&self) -> Tag {
        self.tag
    }
    fn observation(self) -> Observation {
        let pose = |pose: BodyPose| Pose {
            at: pose.at,
            head: pose.head.map(Sighting::from),
            hands: pose.hands.into_iter().map(Sighting::from).collect(),
        };
        Observation::Body(BodySegment {
            track: self.track,
            start: self.start,
            end: self.end,
            poses: self.poses.into_iter().map(pose).collect(),
        })
    }
}

/// Gate events are few: their flattened form is read the slow way.
#[derive(Deserialize)]
struct Gate {
    #[serde(rename = "type")]
    tag: Tag,
    at: Timestamp,
    #[serde(flatten)]
    event: GateEvent,
}

impl Mirror for Gate {
    const TAG: Tag = Tag::Gate;
    fn tag(&self) -> Tag {
        self.tag
    }
    fn observation(self) -> Observation {
        Observation::Gate(GateObservation {
            at: self.at,
            event: self.event,
        })
    }
}

#[derive(Deserialize)]
struct Gap {
    #[serde(rename = "type")]
    tag: Tag,
    #[serde(flatten)]
    gap: GapObservation,
}

impl Mirror for Gap {
    const TAG: Tag = Tag::Gap;
    fn tag(&self) -> Tag {
        self.tag
    }
    fn observation(self) -> Observation {
        Observation::Gap(self.gap)
    }
}

/// The stamp of a payload, if that much of it can be read: whatever follows the stamp may be damaged, cut off or
/// of a type that this version does not know.
pub fn stamp_of(payload: &[u8]) -> Option<Stamp> {
    let mut stamp = None;
    let mut reader = serde_json::Deserializer::from_slice(payload);
    // The outcome does not matter: the stamp is set aside as soon as it was read.
    let _ = StampSeed(&mut stamp).deserialize(&mut reader);
    stamp.filter(|stamp| bounds::stamp(stamp).is_ok())
}

struct StampSeed<'s>(&'s mut Option<Stamp>);

impl<'de> DeserializeSeed<'de> for StampSeed<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for StampSeed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a stamp")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "stamp" {
                *self.0 = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}
