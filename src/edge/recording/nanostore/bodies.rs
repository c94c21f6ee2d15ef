//! `full_targets.json`: every tracked body at one instant, in inches.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;

use super::lines::{self, LineFlaw, Lines};
use crate::edge::recording::Flaw;
use crate::edge::recording::clock;
use crate::observation::{Pose, Sighting, TrackId};
use crate::units::{Point, Timestamp};

const METRES_PER_INCH: f64 = 0.0254;
/// Nothing in a store is further from its origin.
const DISTANCE_M_MAX: f64 = 10_000.0;
const HANDS_MAX: usize = 2;

/// Every body at one instant.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) at: Timestamp,
    pub(super) bodies: Vec<(TrackId, Pose)>,
}

/// Reads the whole file. An empty one means that nobody came.
pub(super) fn read(file: &Path, bytes: &[u8]) -> Lines<Frame> {
    lines::scan(file, bytes, parse)
}

#[derive(Deserialize)]
struct Line<'a> {
    // When the frames were taken. `date_time` is when the result was stored, about 2.3 s later.
    timestamp: f64,
    #[serde(borrow)]
    document: Document<'a>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    targets: Targets<'a>,
}

#[derive(Default, Deserialize)]
struct Targets<'a> {
    #[serde(borrow, default)]
    targets: Vec<Target<'a>>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow)]
    target_id: Id<'a>,
    head: Option<Joint>,
    #[serde(default)]
    hands: Vec<Joint>,
}

#[derive(Deserialize)]
struct Id<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct Joint {
    #[serde(default)]
    point: Inches,
    #[serde(default)]
    score: f64,
}

/// The exporter leaves out zeros, so that a missing coordinate is 0; but a point without any was not seen.
#[derive(Default, Deserialize)]
struct Inches {
    x: Option<f64>,
    y: Option<f64>,
    z: Option<f64>,
}

fn parse(line: &str) -> Result<Frame, LineFlaw> {
    let Line {
        timestamp,
        document,
    } = lines::json(line)?;
    let at = clock::possible(timestamp).ok_or(Flaw::NoTime(timestamp))?;
    let bodies = document
        .targets
        .targets
        .iter()
        .map(|target| {
            let head = match &target.head {
                Some(head) => head.sighting()?,
                None => None,
            };
            let mut hands = Vec::with_capacity(HANDS_MAX);
            for hand in target.hands.iter().take(HANDS_MAX) {
                hands.extend(hand.sighting()?);
            }
            Ok((
                TrackId::from(target.target_id.id.as_ref()),
                Pose { at, head, hands },
            ))
        })
        .collect::<Result<_, Flaw>>()?;
    Ok(Frame { at, bodies })
}

impl Joint {
    /// Where it was, in metres; nothing if it was not seen.
    fn sighting(&self) -> Result<Option<Sighting>, Flaw> {
        let Inches { x, y, z } = self.point;
        if (x, y, z) == (None, None, None) {
            return Ok(None);
        }
        let metres = |inches: Option<f64>| inches.unwrap_or(0.0) * METRES_PER_INCH;
        let place = Point {
            x: metres(x),
            y: metres(y),
            z: metres(z),
        };
        let distance_m = place.distance(&Point::default());
        if !(distance_m <= DISTANCE_M_MAX && self.score.is_finite()) {
            return Err(Flaw::NoPlace(distance_m));
        }
        Ok(Some(Sighting {
            place: place.quantised(),
            confidence: (self.score.clamp(0.0, 1.0) * 1e3).round() / 1e3,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(body: &str) -> String {
        format!(
            r#"{{"timestamp":1600000000.5,"document":{{"targets":{{"targets":[{{"target_id":{{"id":"77"}}{body}}}]}}}}}}"#
        )
    }

    fn sighting(x: f64, y: f64, z: f64, confidence: f64) -> Sighting {
        let place = Point { x, y, z };
        Sighting { place, confidence }
    }

    #[test]
    fn inches_become_metres_and_missing_points_are_not_seen() {
        for (body, head, hands) in [
            (
                r#","head":{"point":{"x":100,"y":-10,"z":60.5},"score":0.99871}"#,
                Some(sighting(2.54, -0.254, 1.537, 0.999)),
                vec![],
            ),
            (
                r#","head":{"point":{}},"hands":[{"point":{}}]"#,
                None,
                vec![],
            ),
            (r#","head":{}"#, None, vec![]),
            (r#","hands":[]"#, None, vec![]),
            (
                r#","detection_metadata":[{"a":[1,{}]}],"hands":[{"point":{"x":10,"z":20},"score":0.5},{"point":{"y":1}},{"point":{"y":1}}]"#,
                None,
                vec![
                    sighting(0.254, 0.0, 0.508, 0.5),
                    sighting(0.0, 0.025, 0.0, 0.0),
                ],
            ),
        ] {
            let frame = parse(&target(body)).unwrap();
            let [(track, pose)] = &frame.bodies[..] else {
                panic!("one body")
            };
            assert_eq!(track.as_str(), "77");
            assert_eq!((pose.at, pose.head), (frame.at, head), "{body}");
            assert_eq!(pose.hands, hands, "{body}");
        }
    }

    #[test]
    fn nobody_is_a_frame_too() {
        for document in ["{}", r#"{"targets":{}}"#, r#"{"targets":{"targets":[]}}"#] {
            let frame = parse(&format!(r#"{{"timestamp":1.5,"document":{document}}}"#)).unwrap();
            assert!(frame.bodies.is_empty());
        }
    }

    #[test]
    fn flaws_are_named() {
        for (text, expected) in [
            (
                target(r#","head":{"point":{"x":1e9}}"#),
                "a body 25400000 m away is impossible",
            ),
            (
                target("").replace("1600000000.5", "-1"),
                "impossible timestamp",
            ),
            (
                target("").replace("\"77\"", "77"),
                "invalid type: integer `77`",
            ),
        ] {
            let damage = read(Path::new("full_targets.json"), text.as_bytes()).damage;
            let damage = damage.expect("there is a flaw").to_string();
            assert!(damage.contains(expected), "{damage}");
        }
    }
}
