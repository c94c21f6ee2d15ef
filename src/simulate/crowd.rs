//! A crowd with phones: everybody shows a code, walks to a facing of their own, and takes something every ten seconds.
//!
//! For measuring what a store does with many phones. It yields what the nodes would publish, not samples, and has nothing
//! that makes a case hard; for that see [`super::Store`]. All of it follows from the number of shoppers.

use std::fmt::Write;
use std::sync::Arc;

use crate::checkout::entry_code::EntryCode;
use crate::observation::{
    BodySegment, ChangeKind, DeviceId, GateEvent, GateObservation, Item, ItemLikelihood,
    Observation, PlateChange, Pose, ShelfObservation, Sighting,
};
use crate::store::{Definition, DefinitionError, NodeName, ShelfId, definition};
use crate::units::{Milligrams, Point, Timestamp};

/// Facings of a shelf, each of two plates, and shelves of a gondola: with 20 gondolas there is room for 500.
const FACINGS_PER_SHELF: usize = 5;
const SHELVES_PER_GONDOLA: usize = 5;
const PLATE_WIDTH_M: f64 = 0.2;
/// From one shelf's left end to the next one's, metres: all stand in one row.
const SHELF_M: f64 = 2.2;
const SHELF_Z_M: f64 = 1.1;
const GATE: Point = Point {
    x: -4.0,
    y: -1.0,
    z: 0.0,
};
/// From one shopper in the gate to the next, seconds.
const ENTRY_S: f64 = 0.6;
/// From one item that a shopper takes to the next, seconds.
const PICK_S: f64 = 10.0;
/// From the last entry to the first pick, seconds.
const QUIET_S: f64 = 2.0;
/// How long the plates take to come to rest after a pick, seconds.
const SETTLING_S: f64 = 0.5;
/// How long a hand is on a plate around the moment of a pick, seconds.
const HAND_S: f64 = 0.8;
/// Length of a body's segment, and from one pose to the next, seconds.
const SEGMENT_S: f64 = 1.0;
const POSE_S: f64 = 0.25;

/// A phone that is enrolled: its name and its key.
pub type Phone = (DeviceId, Vec<u8>);

/// What a node has to say of a step of time.
pub type Said = (NodeName, Vec<Observation>);

/// So many shoppers, who all come in and stay.
#[derive(Clone, Debug)]
pub struct Crowd {
    shoppers: usize,
    definition: Arc<Definition>,
}

impl Crowd {
    /// Length of a step, seconds: as often as a node promises.
    pub const STEP_S: f64 = 0.2;
    /// What a node can promise at a step's end is so much older, seconds: whatever it says later began after that.
    pub const OPEN_S: f64 = SEGMENT_S + Self::STEP_S;

    /// A crowd and a store with room for it.
    ///
    /// # Errors
    /// What a definition file of that size is refused for.
    pub fn new(shoppers: usize) -> Result<Self, DefinitionError> {
        let (definition, _) = definition::parse(&Self::file(shoppers), "crowd.toml")?;
        Ok(Crowd {
            shoppers,
            definition: Arc::new(definition),
        })
    }

    /// The definition of its store, as a file.
    pub fn file(shoppers: usize) -> String {
        let mut text = format!(
            "[store]\nid = \"crowd\"\nname = \"Crowd\"\ncurrency = \"EUR\"\n\
             [gate]\nx_m = {}\ny_m = {}\n\
             [[node]]\nname = \"ceiling\"\ntracks_bodies = true\n\
             [[node]]\nname = \"door\"\nwatches_gate = true\n",
            GATE.x, GATE.y
        );
        let shelves = shoppers.div_ceil(FACINGS_PER_SHELF);
        for gondola in 0..shelves.div_ceil(SHELVES_PER_GONDOLA) {
            let first = gondola * SHELVES_PER_GONDOLA;
            let on = first..shelves.min(first + SHELVES_PER_GONDOLA);
            let ids: Vec<String> = on.clone().map(|s| shelf(s).to_string()).collect();
            let _ = writeln!(
                text,
                "[[node]]\nname = \"{}\"\nshelves = {ids:?}",
                gondola_name(first)
            );
            for (index, id) in on.zip(&ids) {
                let x_m = index as f64 * SHELF_M;
                let plates = 2 * FACINGS_PER_SHELF;
                let _ = writeln!(
                    text,
                    "[[shelf]]\nid = \"{id}\"\nx_m = {x_m:.2}\ny_m = 0.0\nz_m = {SHELF_Z_M}\n\
                     plate_width_m = {PLATE_WIDTH_M}\nplates = {plates}",
                );
                for facing in 0..FACINGS_PER_SHELF {
                    let weight_g = weight(index, facing).grams();
                    let (left, right) = (2 * facing + 1, 2 * facing + 2);
                    let _ = writeln!(
                        text,
                        "[[product]]\nsku = \"{id}-{facing}\"\nname = \"Product {id}-{facing}\"\nweight_g = {weight_g}\n\
                         price_minor = 100\ntax_percent = 7\n\
                         [[facing]]\nproduct = \"{id}-{facing}\"\nshelf = \"{id}\"\nplates = [{left}, {right}]",
                    );
                }
            }
        }
        text
    }

    /// The store that it is in.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// When everybody is inside and the first item is taken, seconds from the beginning.
    pub fn inside_after_s(&self) -> f64 {
        self.shoppers as f64 * ENTRY_S + QUIET_S
    }

    /// What the nodes say in that step, from `start` on; `phones` are the shoppers', in the order in which they come.
    pub fn step(&self, step: usize, start: Timestamp, phones: &[Phone]) -> Vec<Said> {
        let bodies = (0..self.shoppers).filter_map(|s| self.body(s, step, start));
        let mut said = vec![
            ("ceiling".into(), bodies.collect()),
            ("door".into(), self.gate(step, start, phones)),
        ];
        for first in (0..self.shoppers).step_by(FACINGS_PER_SHELF * SHELVES_PER_GONDOLA) {
            let last = self
                .shoppers
                .min(first + FACINGS_PER_SHELF * SHELVES_PER_GONDOLA);
            let changes = (first..last).filter_map(|s| self.change(s, step, start));
            let name = gondola_name(first / FACINGS_PER_SHELF);
            said.push((name.into(), changes.collect()));
        }
        said
    }

    fn gate(&self, step: usize, start: Timestamp, phones: &[Phone]) -> Vec<Observation> {
        let mut events = Vec::new();
        for (shopper, (device, key)) in phones.iter().enumerate().take(self.shoppers) {
            let code_s = entry_s(shopper);
            let at = start.plus_seconds(code_s);
            // A device whose name can stand in no code shows none.
            if step_of(code_s) == step
                && let Ok(code) = EntryCode::mint(&self.definition.id, device, key, at)
            {
                let event = GateEvent::CodeShown {
                    code: code.to_string(),
                };
                events.push(Observation::Gate(GateObservation { at, event }));
            }
            if step_of(code_s + ENTRY_S / 2.0) == step {
                let at = start.plus_seconds(code_s + ENTRY_S / 2.0);
                let event = GateEvent::PassedIn;
                events.push(Observation::Gate(GateObservation { at, event }));
            }
        }
        events
    }

    /// The segment of a shopper's track that ends in the step, if one does.
    fn body(&self, shopper: usize, step: usize, start: Timestamp) -> Option<Observation> {
        in_step(entry_s(shopper) + SEGMENT_S, SEGMENT_S, step).map(|number| {
            let begun_s = entry_s(shopper) + number * SEGMENT_S;
            let count = (SEGMENT_S / POSE_S).round() as usize;
            let poses: Vec<Pose> = (0..count)
                .map(|n| self.pose(shopper, begun_s + n as f64 * POSE_S, start))
                .collect();
            Observation::Body(BodySegment {
                track: format!("body-{shopper}").as_str().into(),
                start: start.plus_seconds(begun_s),
                end: poses.last().map_or(start, |pose| pose.at),
                poses,
            })
        })
    }

    fn pose(&self, shopper: usize, at_s: f64, start: Timestamp) -> Pose {
        let place = facing_place(shopper);
        let sighting = |x, y, z| Sighting {
            place: Point { x, y, z }.quantised(),
            confidence: 1.0,
        };
        let at = start.plus_seconds(at_s);
        if at_s < entry_s(shopper) + ENTRY_S {
            let head = Some(sighting(GATE.x, GATE.y, 1.7));
            return Pose {
                at,
                head,
                hands: Vec::new(),
            };
        }
        let since_s = at_s - self.first_pick_s(shopper);
        let nearest_s = (since_s / PICK_S).round().max(0.0) * PICK_S;
        let hand = match (since_s - nearest_s).abs() <= HAND_S / 2.0 {
            true => sighting(place.x, place.y + 0.1, place.z + 0.1),
            false => sighting(place.x, -0.45, 1.1),
        };
        Pose {
            at,
            head: Some(sighting(place.x, -0.5, 1.7)),
            hands: vec![hand],
        }
    }

    /// The change on a shopper's facing that the plates have come to rest after in the step, if there is one.
    fn change(&self, shopper: usize, step: usize, start: Timestamp) -> Option<Observation> {
        let settled_s = self.first_pick_s(shopper) + SETTLING_S;
        in_step(settled_s, PICK_S, step).map(|number| {
            let pick_s = self.first_pick_s(shopper) + number * PICK_S;
            let (index, facing) = (shopper / FACINGS_PER_SHELF, shopper % FACINGS_PER_SHELF);
            let id = shelf(index);
            // One plate after the other, as goods go.
            let plate = 2 * facing + 1 + number as usize % 2;
            let item = Item {
                product: format!("{id}-{facing}").as_str().into(),
                quantity: 1,
            };
            Observation::Shelf(ShelfObservation {
                shelf: id,
                start: start.plus_seconds(pick_s - HAND_S / 4.0),
                peak: start.plus_seconds(pick_s),
                peak_error_us: 0,
                end: start.plus_seconds(pick_s + SETTLING_S),
                kind: ChangeKind::Take,
                plates: vec![PlateChange {
                    plate: u16::try_from(plate).unwrap_or(u16::MAX),
                    delta_mg: Milligrams(-weight(index, facing).0),
                    sigma_mg: Milligrams::from_grams(1.0),
                }],
                stood: None,
                likelihoods: vec![ItemLikelihood {
                    items: vec![item],
                    log_likelihood_milli: -900,
                }],
                evidence: Vec::new(),
            })
        })
    }

    fn first_pick_s(&self, shopper: usize) -> f64 {
        self.inside_after_s() + PICK_S * shopper as f64 / self.shoppers as f64
    }
}

fn entry_s(shopper: usize) -> f64 {
    shopper as f64 * ENTRY_S
}

/// The step that a moment falls into. Moments are sums of tenths, which no binary fraction is: a hair more is meant.
fn step_of(at_s: f64) -> usize {
    (at_s / Crowd::STEP_S + 1e-6) as usize
}

/// Which of the moments `first_s`, `first_s + every_s`, ... falls into the step, from 0, if one does.
fn in_step(first_s: f64, every_s: f64, step: usize) -> Option<f64> {
    let since_s = (step as f64 * Crowd::STEP_S - first_s).max(0.0);
    let near = (since_s / every_s).floor();
    [near, near + 1.0]
        .into_iter()
        .find(|number| step_of(first_s + number * every_s) == step)
}

/// The shelf of that index; five make a gondola.
fn shelf(index: usize) -> ShelfId {
    let number = |n: usize| u16::try_from(n + 1).unwrap_or(u16::MAX);
    ShelfId {
        gondola: number(index / SHELVES_PER_GONDOLA),
        shelf: number(index % SHELVES_PER_GONDOLA),
    }
}

fn gondola_name(shelf: usize) -> String {
    format!("gondola-{}", shelf / SHELVES_PER_GONDOLA + 1)
}

/// Weights from 60 g to 540 g, which neighbours do not share.
fn weight(shelf: usize, facing: usize) -> Milligrams {
    Milligrams::from_grams((60 + (97 * facing + 61 * shelf) % 480) as f64)
}

/// The middle of a shopper's facing.
fn facing_place(shopper: usize) -> Point {
    let (index, facing) = (shopper / FACINGS_PER_SHELF, shopper % FACINGS_PER_SHELF);
    Point {
        x: index as f64 * SHELF_M + (2.0 * facing as f64 + 1.0) * PLATE_WIDTH_M,
        y: 0.0,
        z: SHELF_Z_M,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_comes_in_once_and_takes_something_every_ten_seconds() {
        let crowd = Crowd::new(7).unwrap();
        let phones: Vec<Phone> = (0..7).map(|n| super::super::device(1, n)).collect();
        let (mut codes, mut passed, mut takes, mut segments) = (0, 0, [0; 7], 0);
        let steps = ((crowd.inside_after_s() + 20.0) / Crowd::STEP_S) as usize;
        for step in 0..steps {
            let said = crowd.step(step, Timestamp(0), &phones);
            for observation in said.into_iter().flat_map(|(_, seen)| seen) {
                // Nothing is told of a time that was promised to be over before.
                let promised = step as f64 * Crowd::STEP_S - Crowd::OPEN_S;
                let promised = Timestamp(0).plus_seconds(promised);
                assert!(observation.start() > promised, "{step}: {observation:?}");
                match observation {
                    Observation::Gate(gate) => match gate.event {
                        GateEvent::CodeShown { .. } => codes += 1,
                        GateEvent::PassedIn => passed += 1,
                        GateEvent::PassedOut => unreachable!("nobody leaves"),
                    },
                    Observation::Shelf(change) => {
                        let facing = (change.plates[0].plate - 1) / 2;
                        takes[usize::from(change.shelf.shelf - 1) * 5 + usize::from(facing)] += 1;
                    }
                    Observation::Body(_) => segments += 1,
                    Observation::Vision(_) | Observation::Gap(_) => unreachable!("there is none"),
                }
            }
        }
        assert_eq!((codes, passed), (7, 7));
        assert_eq!(takes, [2; 7]);
        // One a second, from the entry on.
        assert!((7 * 23..=7 * 26).contains(&segments), "{segments}");
    }
}
