//! A small store for the coordinator's tests, and what its nodes say.

use std::sync::{Arc, LazyLock};

use crate::observation::{
    BodySegment, ChangeKind, GateEvent, GateObservation, NodeClock, Observation, OpenInterval,
    PlateChange, Pose, ShelfGap, ShelfObservation, Sighting, Stamp, Stamped, Watermark,
};
use crate::sensing::item_match;
use crate::store::{Definition, NodeName, PlateId, definition};
use crate::units::{Milligrams, Point, Timestamp};

/// Two shelves on two nodes, two metres apart, and a gate. Prices make sums easy to follow.
const STORE: &str = r#"
[store]
id = "corner"
name = "Corner"
currency = "EUR"

[policy]
hold_minor = 1000
review_deadline_s = 60
node_silent_s = 5
track_lost_s = 10

[gate]
x_m = -2.0
y_m = -1.5

[[node]]
name = "left"
shelves = ["1.1"]

[[node]]
name = "right"
shelves = ["2.1"]

[[node]]
name = "ceiling"
tracks_bodies = true

[[node]]
name = "gate"
watches_gate = true

[[shelf]]
id = "1.1"
x_m = 0.0
y_m = 0.0
z_m = 1.0
plate_width_m = 0.25
plates = 3

[[shelf]]
id = "2.1"
x_m = 4.0
y_m = 0.0
z_m = 1.0
plate_width_m = 0.25
plates = 3

[[product]]
sku = "cola"
name = "Cola"
weight_g = 500
price_minor = 150
tax_percent = 19

[[product]]
sku = "tea"
name = "Tea"
weight_g = 100
price_minor = 400
tax_percent = 7

[[product]]
sku = "chips"
name = "Chips"
weight_g = 200
price_minor = 250
tax_percent = 7

[[product]]
sku = "apple"
name = "Apple"
weight_g = 180
price_minor = 300
tax_percent = 7
sold_by = "weight"

[[facing]]
product = "cola"
shelf = "1.1"
plates = [1]

[[facing]]
product = "tea"
shelf = "1.1"
plates = [3]

[[facing]]
product = "chips"
shelf = "2.1"
plates = [1]

[[facing]]
product = "apple"
shelf = "2.1"
plates = [3]
"#;

/// The nodes of the store without its gate.
pub const GATELESS: &[&str] = &["left", "right", "ceiling"];
/// All nodes of the store.
pub const GATED: &[&str] = &["left", "right", "ceiling", "gate"];

/// The store.
pub fn definition() -> Arc<Definition> {
    static PARSED: LazyLock<Arc<Definition>> = LazyLock::new(|| with_policy(""));
    PARSED.clone()
}

/// The store with one more line in its `[policy]`, in place of the line of the same field.
pub fn with_policy(line: &str) -> Arc<Definition> {
    let field = line.split('=').next().unwrap_or("").trim();
    let text: String = (STORE.lines())
        .filter(|l| field.is_empty() || !l.starts_with(field))
        .map(|l| {
            if l == "[policy]" {
                format!("{l}\n{line}\n")
            } else {
                format!("{l}\n")
            }
        })
        .collect();
    Arc::new(definition::parse(&text, "corner.toml").unwrap().0)
}

/// `seconds` after the beginning of the test's day.
pub fn at(seconds: f64) -> Timestamp {
    Timestamp(1_700_000_000_000_000).plus_seconds(seconds)
}

/// Seconds after the beginning of the test's day.
pub fn seconds(at_: Timestamp) -> f64 {
    at_.seconds_since(at(0.0))
}

/// An observation with its stamp.
pub fn stamped(node: &str, sequence: u64, observation: Observation) -> Arc<Stamped> {
    let clock = NodeClock {
        boot: "b".into(),
        monotonic_us: 0,
        wall_us: observation.end(),
        error_us: 0,
    };
    let stamp = Stamp {
        node: node.into(),
        outbox: format!("outbox-{node}").as_str().into(),
        sequence,
    };
    Arc::new(Stamped {
        stamp,
        clock,
        observation,
    })
}

/// The node that reads a plate.
pub fn node_of(plate: PlateId) -> &'static str {
    if plate.shelf.gondola == 1 {
        "left"
    } else {
        "right"
    }
}

/// A finished change of one plate: it began 0.2 s before its peak and was quiet 0.6 s after it.
pub fn change(plate: PlateId, peak: f64, grams: f64) -> Observation {
    let plates = vec![PlateChange {
        plate: plate.plate,
        delta_mg: Milligrams::from_grams(grams),
        sigma_mg: Milligrams(400),
    }];
    let kind = match grams {
        g if g < 0.0 => ChangeKind::Take,
        g if g > 0.0 => ChangeKind::Put,
        _ => ChangeKind::Touch,
    };
    let likelihoods = match kind {
        ChangeKind::Touch => Vec::new(),
        ChangeKind::Take | ChangeKind::Put | ChangeKind::Foreign | ChangeKind::Unsure => {
            item_match::likelihoods(&definition(), plate.shelf, &plates)
        }
    };
    Observation::Shelf(ShelfObservation {
        shelf: plate.shelf,
        start: at(peak - 0.2),
        peak: at(peak),
        peak_error_us: 0,
        stood: None,
        end: at(peak + 0.6),
        kind,
        plates,
        likelihoods,
        evidence: Vec::new(),
    })
}

/// What a plate reads differently after a gap.
pub fn shelf_gap(plate: PlateId, grams: f64) -> ShelfGap {
    let change = PlateChange {
        plate: plate.plate,
        delta_mg: Milligrams::from_grams(grams),
        sigma_mg: Milligrams(400),
    };
    ShelfGap {
        shelf: plate.shelf,
        plates: vec![change],
    }
}

/// A body for half a second: at a plate with a hand on it, at the `door`, or in the `aisle`, out of everybody's way.
pub fn body(track: &str, start: f64, place: &str) -> Observation {
    let sighting = |x, y, z| Sighting {
        place: Point { x, y, z },
        confidence: 1.0,
    };
    let (head, hands) = match place {
        "door" => (sighting(-2.0, -1.4, 1.7), vec![]),
        "aisle" => (sighting(2.4, -3.0, 1.7), vec![]),
        plate => {
            let plate: PlateId = plate.parse().unwrap();
            let front = definition().layout.plate(plate).unwrap().front;
            let hand = sighting(front.x, front.y + 0.1, front.z + 0.1);
            (sighting(front.x, front.y - 0.5, 1.7), vec![hand])
        }
    };
    let poses: Vec<Pose> = (0..5)
        .map(|i| Pose {
            at: at(start + 0.1 * f64::from(i)),
            head: Some(head),
            hands: hands.clone(),
        })
        .collect();
    Observation::Body(BodySegment {
        track: track.into(),
        start: at(start),
        end: at(start + 0.4),
        poses,
    })
}

/// Something at the gate.
pub fn gate(t: f64, event: GateEvent) -> Observation {
    Observation::Gate(GateObservation { at: at(t), event })
}

/// A promise.
pub fn watermark(
    node: &NodeName,
    sequence: u64,
    t: Timestamp,
    open: Vec<OpenInterval>,
) -> Watermark {
    Watermark {
        node: node.clone(),
        outbox: format!("outbox-{node}").as_str().into(),
        sequence,
        at: t,
        open,
    }
}
