//! A store of any size under an even load, for measuring how the cost grows: as many plates and shoppers as wanted,
//! each shopper taking something every ten seconds somewhere in the store.
//!
//! It has nothing that makes a case hard; for that see [`super::Store`]. All of it follows from the numbers.

use std::fmt::Write;
use std::sync::Arc;

use crate::checkout::payment::PaymentOutcome;
use crate::coordinator::{Coordinator, Effect, Input, Output};
use crate::observation::{NodeClock, OutboxId, Pose, Sighting, Stamp, Stamped, TrackId, Watermark};
use crate::recording::{BodyFrame, Record, Recording, ScaleBatch, ScaleGroup};
use crate::sensing::node::NodeSensor;
use crate::store::{Definition, DefinitionError, NodeName, Plate, definition};
use crate::units::{Point, Timestamp};

const SHELVES_PER_GONDOLA: usize = 5;
const PLATES_PER_SHELF: usize = 10;
const PLATE_WIDTH_M: f64 = 0.1;
/// From one gondola's left end to the next one's, metres.
const GONDOLA_M: f64 = 1.2;
const SCALE_HZ: f64 = 60.0;
const FRAME_HZ: f64 = 15.0;
/// Length of a batch of samples, seconds.
const BATCH_S: f64 = 0.2;
const COUNTS_PER_GRAM: f64 = 40.0;
/// What stands on a plate at first, grams.
const STOCK_G: f64 = 10_000.0;
/// From one item that a shopper takes to the next, seconds.
const PICK_S: f64 = 10.0;
/// The scales are still for this long at first, seconds.
const QUIET_S: f64 = 2.0;
/// How long a hand is on a plate around the moment of a pick, seconds.
const HAND_S: f64 = 0.8;
/// How long somebody stands there around it, seconds.
const STAND_S: f64 = 3.0;

/// How large a store is, and for how long it is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// A multiple of ten is reached exactly; other numbers are rounded up to one.
    pub plates: usize,
    pub shoppers: usize,
    /// Store time, seconds.
    pub seconds: f64,
}

/// Somebody takes one unit from a plate.
struct Pick {
    t: f64,
    plate: usize,
}

impl Load {
    /// A definition with that many plates, two for each product.
    ///
    /// # Errors
    /// What a definition file of that size is refused for.
    pub fn definition(&self) -> Result<Definition, DefinitionError> {
        let mut text = String::from(
            "[store]\nid = \"load\"\nname = \"Load\"\ncurrency = \"EUR\"\n\
             [[node]]\nname = \"ceiling\"\ntracks_bodies = true\n",
        );
        let shelves = self.plates.div_ceil(PLATES_PER_SHELF);
        for gondola in 0..shelves.div_ceil(SHELVES_PER_GONDOLA) {
            let on =
                (0..SHELVES_PER_GONDOLA).filter(|s| gondola * SHELVES_PER_GONDOLA + s < shelves);
            let ids: Vec<String> = on.map(|s| format!("{}.{}", gondola + 1, s + 1)).collect();
            let _ = writeln!(
                text,
                "[[node]]\nname = \"gondola-{}\"\nshelves = {ids:?}",
                gondola + 1
            );
            for (level, id) in ids.iter().enumerate() {
                let (x_m, z_m) = (gondola as f64 * GONDOLA_M, 0.3 + 0.35 * level as f64);
                let _ = writeln!(
                    text,
                    "[[shelf]]\nid = \"{id}\"\nx_m = {x_m:.2}\ny_m = 0.0\nz_m = {z_m:.2}\n\
                     plate_width_m = {PLATE_WIDTH_M}\nplates = {PLATES_PER_SHELF}",
                );
                for plate in (1..=PLATES_PER_SHELF).step_by(2) {
                    // Weights from 60 g to 540 g, which neighbours do not share.
                    let product = format!("{id}.{plate}");
                    let weight_g = 60 + (37 * (level + plate) + 61 * gondola) % 480;
                    let next = plate + 1;
                    let _ = writeln!(
                        text,
                        "[[product]]\nsku = \"{product}\"\nname = \"{product}\"\nweight_g = {weight_g}\n\
                         price_minor = 100\ntax_percent = 7\n\
                         [[facing]]\nproduct = \"{product}\"\nshelf = \"{id}\"\nplates = [{plate}, {next}]",
                    );
                }
            }
        }
        definition::parse(&text, "load.toml").map(|(definition, _)| definition)
    }

    /// What the sensors of the store say.
    ///
    /// # Errors
    /// As [`Load::definition`].
    pub fn recording(&self) -> Result<Recording, DefinitionError> {
        let definition = Arc::new(self.definition()?);
        let plates: Vec<Plate> = (definition.layout.shelves.values())
            .flat_map(|s| s.plates.clone())
            .collect();
        let picks: Vec<Vec<Pick>> = (0..self.shoppers)
            .map(|shopper| self.picks(shopper, plates.len()))
            .collect();
        let mut records = self.weights(&definition, &plates, &picks);
        records.extend(self.bodies(&plates, &picks));
        records.sort_by_cached_key(|record| (record.at(), record.node().clone()));
        let mut nodes: Vec<NodeName> = (definition.layout.nodes.iter())
            .map(|n| n.name.clone())
            .collect();
        nodes.sort();
        Ok(Recording {
            definition,
            nodes,
            records,
            truth: None,
            damage: None,
        })
    }

    /// Where and when a shopper takes something: spread evenly over time and store.
    fn picks(&self, shopper: usize, plates: usize) -> Vec<Pick> {
        let first = QUIET_S + PICK_S * (shopper as f64 + 0.5) / self.shoppers as f64;
        (0..)
            .map(|n| Pick {
                t: first + PICK_S * n as f64,
                // Knuth's multiplicative hash: scattered, and the same each time.
                plate: (shopper * 7_919 + n * 104_729 + 1).wrapping_mul(2_654_435_761) % plates,
            })
            .take_while(|pick| pick.t + STAND_S < self.seconds)
            .collect()
    }

    fn weights(
        &self,
        definition: &Definition,
        plates: &[Plate],
        picks: &[Vec<Pick>],
    ) -> Vec<Record> {
        let unit_g = |plate: &Plate| {
            let facing = definition.planogram.on_plate(plate.id).next();
            let product = facing.map(|f| &definition.catalogue.products()[f.product_index]);
            product.map_or(0.0, |p| p.weight.grams())
        };
        let mut leaves: Vec<Vec<f64>> = vec![Vec::new(); plates.len()];
        for pick in picks.iter().flatten() {
            leaves[pick.plate].push(pick.t);
        }
        let samples = (SCALE_HZ * BATCH_S).round() as usize;
        let mut records = Vec::new();
        for (node, on) in plates
            .chunks(SHELVES_PER_GONDOLA * PLATES_PER_SHELF)
            .enumerate()
        {
            let group = Arc::new(ScaleGroup {
                node: format!("gondola-{}", node + 1).into(),
                plates: on.iter().map(|p| p.id).collect(),
                counts_per_gram: vec![COUNTS_PER_GRAM; on.len()],
                rate_hz: SCALE_HZ,
            });
            let first = node * SHELVES_PER_GONDOLA * PLATES_PER_SHELF;
            for batch in 0..(self.seconds / BATCH_S) as usize {
                let mut counts = Vec::with_capacity(samples * on.len());
                for sample in batch * samples..(batch + 1) * samples {
                    let t = sample as f64 / SCALE_HZ;
                    for (index, plate) in on.iter().enumerate() {
                        let gone = leaves[first + index].iter().filter(|at| **at <= t).count();
                        let grams = STOCK_G - unit_g(plate) * gone as f64;
                        counts
                            .push((grams * COUNTS_PER_GRAM) as i32 + noise(sample, first + index));
                    }
                }
                records.push(Record::Scale(ScaleBatch {
                    group: group.clone(),
                    first_at: at(batch as f64 * BATCH_S),
                    counts,
                }));
            }
        }
        records
    }

    fn bodies(&self, plates: &[Plate], picks: &[Vec<Pick>]) -> Vec<Record> {
        (0..(self.seconds * FRAME_HZ) as usize)
            .map(|frame| {
                let t = frame as f64 / FRAME_HZ;
                let bodies = (picks.iter().enumerate())
                    .map(|(shopper, picks)| {
                        let track = TrackId::from(format!("shopper-{shopper}"));
                        (track, pose(plates, picks, t))
                    })
                    .collect();
                Record::Body(BodyFrame {
                    node: "ceiling".into(),
                    at: at(t),
                    bodies,
                })
            })
            .collect()
    }
}

/// Up to half a gram either way, different for each sample and plate.
fn noise(sample: usize, plate: usize) -> i32 {
    let hash = (sample * 131 + plate * 7_919 + 17).wrapping_mul(2_654_435_761);
    ((hash >> 16) % 41) as i32 - 20
}

/// On 1 June 2026, `t` seconds after eight in the morning.
fn at(t: f64) -> Timestamp {
    Timestamp(1_780_300_800_000_000).plus_seconds(t)
}

/// Where a shopper is: before the plate of the nearest pick, on the way between two.
fn pose(plates: &[Plate], picks: &[Pick], t: f64) -> Pose {
    let sighting = |x, y, z| Sighting {
        place: Point { x, y, z }.quantised(),
        confidence: 1.0,
    };
    let front = |pick: &Pick| plates[pick.plate].front;
    let next = picks.partition_point(|pick| pick.t + STAND_S / 2.0 < t);
    let (before, after) = (picks[..next].last(), picks.get(next));
    let x = match (before, after) {
        (Some(a), Some(b)) => {
            let way_s = b.t - a.t - STAND_S;
            let share = ((t - a.t - STAND_S / 2.0) / way_s).clamp(0.0, 1.0);
            front(a).x + share * (front(b).x - front(a).x)
        }
        (Some(a), None) | (None, Some(a)) => front(a).x,
        (None, None) => 0.0,
    };
    let reaching = after
        .filter(|pick| (pick.t - t).abs() <= HAND_S / 2.0)
        .map(front);
    let hand = reaching.map_or(sighting(x, -0.45, 1.1), |p| {
        sighting(p.x, p.y + 0.1, p.z + 0.1)
    });
    Pose {
        at: at(t),
        head: Some(sighting(x, -0.6, 1.7)),
        hands: vec![hand],
    }
}

/// What the nodes of a store give out of a recording, in the order of time.
pub fn sense(recording: &Recording) -> Vec<(Input, Timestamp)> {
    let mut nodes: Vec<SensingNode> = (recording.nodes.iter())
        .map(|name| SensingNode::new(name, &recording.definition))
        .collect();
    let mut inputs = Vec::new();
    for record in &recording.records {
        if let Ok(index) = recording.nodes.binary_search(record.node()) {
            nodes[index].push(record, &mut inputs);
        }
    }
    inputs
}

/// One node's sensing, with its stamps and promises.
struct SensingNode {
    name: NodeName,
    outbox: OutboxId,
    sensor: NodeSensor,
    sequence: u64,
    promised_at: Option<Timestamp>,
}

impl SensingNode {
    fn new(name: &NodeName, definition: &Arc<Definition>) -> Self {
        SensingNode {
            name: name.clone(),
            outbox: format!("outbox-{name}").into(),
            sensor: NodeSensor::new(definition.clone()),
            sequence: 0,
            promised_at: None,
        }
    }

    fn push(&mut self, record: &Record, inputs: &mut Vec<(Input, Timestamp)>) {
        let now = record.at();
        let mut seen = Vec::new();
        self.sensor.push(record, &mut seen);
        for observation in seen {
            self.sequence += 1;
            let stamp = Stamp {
                node: self.name.clone(),
                outbox: self.outbox.clone(),
                sequence: self.sequence,
            };
            let clock = NodeClock {
                boot: "load".to_owned(),
                monotonic_us: 0,
                wall_us: now,
                error_us: 0,
            };
            let stamped = Stamped {
                stamp,
                clock,
                observation,
            };
            inputs.push((Input::Observation(Arc::new(stamped)), now));
        }
        let due = |at: Timestamp| now.seconds_since(at) >= NodeSensor::PROMISE_S;
        if self.promised_at.is_none_or(due) {
            self.promised_at = Some(now);
            let (at, open) = self.sensor.promise(now);
            let watermark = Watermark {
                node: self.name.clone(),
                outbox: self.outbox.clone(),
                sequence: self.sequence,
                at,
                open,
            };
            inputs.push((Input::Watermark(watermark), now));
        }
    }
}

/// Tells a fresh coordinator all of it; every payment is granted at once. Gives the decisions that were made.
pub fn coordinate(recording: &Recording, inputs: &[(Input, Timestamp)]) -> usize {
    let mut core = Coordinator::new(recording.definition.clone(), &recording.nodes);
    let (mut decisions, mut out) = (0, Vec::new());
    for (input, now) in inputs {
        core.handle(input.clone(), *now, &mut out);
        while !out.is_empty() {
            let mut answers = Vec::new();
            for output in out.drain(..) {
                match output {
                    Output::Decide(_) => decisions += 1,
                    Output::Effect(Effect::Pay { session, key, .. }) => {
                        let authorisation = format!("hold of {session}");
                        let outcome = PaymentOutcome::Done { authorisation };
                        answers.push(Input::Payment {
                            session,
                            key,
                            outcome,
                        });
                    }
                    Output::Accept(_)
                    | Output::Effect(
                        Effect::Commit { .. }
                        | Effect::OpenGate { .. }
                        | Effect::ReleaseGate
                        | Effect::Receipt(_),
                    ) => {}
                }
            }
            for answer in answers {
                core.handle(answer, *now, &mut out);
            }
        }
    }
    decisions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{ChangeKind, Observation};

    #[test]
    fn every_pick_of_the_load_is_seen_where_and_when_it_is_made() {
        let load = Load {
            plates: 100,
            shoppers: 3,
            seconds: 30.0,
        };
        let recording = load.recording().unwrap();
        assert_eq!(recording.definition.layout.plate_count(), 100);
        let made: usize = (0..3).map(|s| load.picks(s, 100).len()).sum();
        let inputs = sense(&recording);
        let takes = (inputs.iter())
            .filter(|(input, _)| {
                let Input::Observation(stamped) = input else {
                    return false;
                };
                match &stamped.observation {
                    Observation::Shelf(change) => change.kind == ChangeKind::Take,
                    Observation::Vision(_)
                    | Observation::Body(_)
                    | Observation::Gate(_)
                    | Observation::Gap(_) => false,
                }
            })
            .count();
        assert!(made >= 6);
        assert_eq!(takes, made);
        // A session and a hold for each shopper, and an attribution for each pick, at the least.
        assert!(coordinate(&recording, &inputs) >= made + 2 * 3);
    }
}
