//! The store and its people: what they do, second by second, and what they have in the end.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::at;
use crate::checkout::entry_code::EntryCode;
use crate::observation::{
    BodySegment, ChangeKind, DeviceId, GateEvent, GateObservation, Observation, PlateChange, Pose,
    ShelfObservation, Sighting, TrackId,
};
use crate::sensing::item_match;
use crate::store::{Definition, PlateId, ProductId};
use crate::units::{Milligrams, Point, Timestamp};

/// Shoppers wait so long at a gate that does not open, seconds.
const PATIENCE_S: i64 = 25;
/// Nobody tries the gate so soon after somebody in vain, seconds: an admission lapses first (`admission_s`).
const NEXT_TRY_S: i64 = 45;
const TRIES_MAX: u32 = 4;
/// In the store at a time, at most.
const INSIDE_MAX: usize = 4;
/// A shelf or the door is left alone so long after somebody, seconds.
const APART_S: i64 = 4;
pub(super) const KEY: &[u8] = b"sixteen bytes or";

/// Weights that no one to three units of other products come near to, as far as they are on one shelf.
const WEIGHTS_G: [u32; 12] = [150, 340, 560, 210, 430, 690, 130, 370, 610, 180, 460, 750];

/// Four shelves, each with a node, a camera and a gate.
pub(super) fn definition_toml() -> String {
    let mut toml = String::from(
        "[store]\nid = \"torture\"\nname = \"Torture\"\ncurrency = \"EUR\"\n\
         [policy]\nhold_minor = 900\nreview_deadline_s = 60\nnode_silent_s = 10\nvisit_lost_s = 90\nadmission_s = 40\n\
         [gate]\nx_m = -4.0\ny_m = -4.0\n\
         [[node]]\nname = \"ceiling\"\ntracks_bodies = true\n\
         [[node]]\nname = \"gate\"\nwatches_gate = true\n",
    );
    for shelf in 1..=4_u32 {
        let x_m = f64::from(shelf - 1) * 4.0;
        toml.push_str(&format!(
            "[[node]]\nname = \"shelf-{shelf}\"\nshelves = [\"{shelf}.1\"]\n\
             [[shelf]]\nid = \"{shelf}.1\"\nx_m = {x_m:.1}\ny_m = 0.0\nz_m = 1.0\nplate_width_m = 0.25\nplates = 3\n"
        ));
        for plate in 1..=3_u32 {
            let index = (shelf - 1) * 3 + plate - 1;
            let weight_g = WEIGHTS_G[index as usize];
            let price_minor = 120 + 35 * index;
            toml.push_str(&format!(
                "[[product]]\nsku = \"product-{index}\"\nname = \"Product {index}\"\nweight_g = {weight_g}\n\
                 price_minor = {price_minor}\ntax_percent = 19\n\
                 [[facing]]\nproduct = \"product-{index}\"\nshelf = \"{shelf}.1\"\nplates = [{plate}]\n"
            ));
        }
    }
    toml
}

/// What happens in a second, by who can see it.
#[derive(Default)]
pub(super) struct Seen {
    pub bodies: Vec<Observation>,
    pub gate: Vec<Observation>,
    pub shelves: Vec<(PlateId, Milligrams, Observation)>,
}

/// One stop at a shelf.
#[derive(Clone, Debug)]
struct Stop {
    plate: PlateId,
    product: ProductId,
    /// Units taken; negative: put back.
    units: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Outside,
    AtGate {
        since: i64,
    },
    PassingIn {
        since: i64,
    },
    /// On the way to the next stop, or to the door.
    Walking,
    AtShelf {
        since: i64,
    },
    PassingOut {
        since: i64,
    },
    Gone,
}

/// One who comes once, with a phone of their own.
#[derive(Debug)]
pub struct Person {
    pub device: DeviceId,
    pub track: TrackId,
    /// Whether they have agreed to a second charge.
    pub consents: bool,
    /// What they left with.
    pub took: BTreeMap<ProductId, i64>,
    /// From passing in to passing out, if they were let in.
    pub inside: Option<(Timestamp, Timestamp)>,
    pub shelves: BTreeSet<u16>,
    stops: Vec<Stop>,
    next: usize,
    state: State,
    tries: u32,
}

pub(super) struct People {
    pub all: Vec<Person>,
    door_free_at: i64,
    shelf_free_at: BTreeMap<u16, i64>,
    random: ChaCha8Rng,
}

impl People {
    pub fn new(seed: u64, count: usize, definition: &Definition) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let all = (0..count)
            .map(|index| Person::new(index, definition, &mut random))
            .collect();
        People {
            all,
            door_free_at: 10,
            shelf_free_at: BTreeMap::new(),
            random,
        }
    }

    pub fn are_gone(&self) -> bool {
        self.all.iter().all(|p| p.state == State::Gone)
    }

    /// Everybody does what they do in this second. The gate has opened for `let_in`, and shows nothing unless it `works`.
    pub fn step(
        &mut self,
        step: i64,
        definition: &Definition,
        let_in: &BTreeSet<DeviceId>,
        works: bool,
    ) -> Seen {
        let mut seen = Seen::default();
        for index in 0..self.all.len() {
            self.act(index, step, definition, let_in, works, &mut seen);
        }
        seen
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each state, each short")]
    fn act(
        &mut self,
        index: usize,
        step: i64,
        definition: &Definition,
        let_in: &BTreeSet<DeviceId>,
        works: bool,
        seen: &mut Seen,
    ) {
        let inside = (self.all.iter())
            .filter(|p| p.state != State::Outside && p.state != State::Gone)
            .count();
        let door_free = step >= self.door_free_at;
        let person = &mut self.all[index];
        match person.state {
            State::Outside => {
                if door_free && works && inside < INSIDE_MAX {
                    self.door_free_at = step + NEXT_TRY_S;
                    person.state = State::AtGate { since: step };
                    person.tries += 1;
                    person.be(Place::Door, step, seen);
                    let code = EntryCode::mint(&definition.id, &person.device, KEY, at(step, 0.1));
                    if let Ok(code) = code {
                        let code = code.to_string();
                        seen.gate(at(step, 0.1), GateEvent::CodeShown { code });
                    }
                }
            }
            State::AtGate { since } => {
                person.be(Place::Door, step, seen);
                if let_in.contains(&person.device) {
                    seen.gate(at(step, 0.4), GateEvent::PassedIn);
                    person.inside = Some((at(step, 0.4), at(step, 0.4)));
                    person.state = State::PassingIn { since: step };
                } else if step - since >= PATIENCE_S {
                    let gives_up = person.tries >= TRIES_MAX;
                    person.state = if gives_up {
                        State::Gone
                    } else {
                        State::Outside
                    };
                }
            }
            State::PassingIn { since } => {
                person.be(Place::Door, step, seen);
                if step > since {
                    person.state = State::Walking;
                    self.door_free_at = step + APART_S;
                }
            }
            State::Walking => {
                let stop = person.stops.get(person.next);
                let gondola = stop.map(|stop| stop.plate.shelf.gondola);
                let free = gondola.map_or(door_free, |gondola| {
                    step >= self.shelf_free_at.get(&gondola).copied().unwrap_or(0)
                });
                match gondola {
                    _ if !free => person.be(Place::Aisle, step, seen),
                    Some(gondola) => {
                        self.shelf_free_at.insert(gondola, i64::MAX);
                        person.be(Place::Aisle, step, seen);
                        person.state = State::AtShelf { since: step };
                    }
                    None => {
                        self.door_free_at = i64::MAX;
                        person.be(Place::Aisle, step, seen);
                        person.state = State::PassingOut { since: step };
                    }
                }
            }
            State::AtShelf { since } => self.shop(index, step - since, step, definition, seen),
            State::PassingOut { since } => {
                person.be(Place::Door, step, seen);
                if step == since + 2 {
                    seen.gate(at(step, 0.4), GateEvent::PassedOut);
                    let entered = person.inside.map_or(at(step, 0.4), |inside| inside.0);
                    person.inside = Some((entered, at(step, 0.4)));
                } else if step > since + 2 {
                    person.state = State::Gone;
                    self.door_free_at = step + APART_S;
                }
            }
            State::Gone => {}
        }
    }

    /// A second at a shelf: the third of them is when something moves.
    fn shop(
        &mut self,
        index: usize,
        second: i64,
        step: i64,
        definition: &Definition,
        seen: &mut Seen,
    ) {
        let person = &mut self.all[index];
        let Some(stop) = person.stops.get(person.next).cloned() else {
            return;
        };
        person.be(Place::Plate(stop.plate, definition), step, seen);
        if second == 3 {
            let noise = Milligrams(self.random.random_range(-200..=200));
            if let Some((delta, observation)) = change(&stop, step, noise, definition) {
                seen.shelves.push((stop.plate, delta, observation));
                *person.took.entry(stop.product.clone()).or_default() += i64::from(stop.units);
                person.shelves.insert(stop.plate.shelf.gondola);
            }
        } else if second >= 5 {
            person.next += 1;
            person.state = State::Walking;
            let gondola = stop.plate.shelf.gondola;
            self.shelf_free_at.insert(gondola, step + APART_S);
        }
    }
}

impl Person {
    /// One whose visit is over, who was inside from when to when: for the audit of a store that is no simulation.
    pub fn who_took(
        device: DeviceId,
        track: TrackId,
        took: BTreeMap<ProductId, i64>,
        inside: (Timestamp, Timestamp),
    ) -> Self {
        Person {
            device,
            track,
            consents: false,
            took,
            inside: Some(inside),
            shelves: BTreeSet::new(),
            stops: Vec::new(),
            next: 0,
            state: State::Gone,
            tries: 0,
        }
    }

    fn new(index: usize, definition: &Definition, random: &mut ChaCha8Rng) -> Self {
        let mut stops: Vec<Stop> = Vec::new();
        for _ in 0..random.random_range(0..=4) {
            let (gondola, plate) = (
                random.random_range(1..=4_u16),
                random.random_range(1..=3_u16),
            );
            let product = (gondola - 1) * 3 + plate - 1;
            let shelf = crate::store::ShelfId { gondola, shelf: 1 };
            let stop = Stop {
                plate: PlateId { shelf, plate },
                product: format!("product-{product}").as_str().into(),
                units: random.random_range(1..=2),
            };
            debug_assert!(definition.layout.plate(stop.plate).is_some());
            stops.push(stop);
        }
        if let Some(first) = stops.first().cloned()
            && random.random_bool(0.25)
        {
            stops.push(Stop { units: -1, ..first });
        }
        Person {
            device: format!("phone-{index}").as_str().into(),
            track: format!("body-{index}").as_str().into(),
            consents: random.random_bool(0.5),
            took: BTreeMap::new(),
            inside: None,
            shelves: BTreeSet::new(),
            stops,
            next: 0,
            state: State::Outside,
            tries: 0,
        }
    }

    /// They are seen somewhere for this second.
    fn be(&self, place: Place<'_>, step: i64, seen: &mut Seen) {
        let sighting = |x, y, z| Sighting {
            place: Point { x, y, z },
            confidence: 1.0,
        };
        let (head, hands) = match place {
            Place::Door => (sighting(-4.0, -3.9, 1.7), Vec::new()),
            Place::Aisle => (sighting(2.0, -6.0, 1.7), Vec::new()),
            Place::Plate(plate, definition) => {
                let Some(front) = definition.layout.plate(plate).map(|p| p.front) else {
                    return;
                };
                let hand = sighting(front.x, front.y + 0.1, front.z + 0.1);
                (sighting(front.x, front.y - 0.5, 1.7), vec![hand])
            }
        };
        let poses: Vec<Pose> = (0..5)
            .map(|i| Pose {
                at: at(step, 0.2 * f64::from(i)),
                head: Some(head),
                hands: hands.clone(),
            })
            .collect();
        seen.bodies.push(Observation::Body(BodySegment {
            track: self.track.clone(),
            start: at(step, 0.0),
            end: at(step, 0.8),
            poses,
        }));
    }
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Door,
    Aisle,
    Plate(PlateId, &'a Definition),
}

impl Seen {
    fn gate(&mut self, at: Timestamp, event: GateEvent) {
        self.gate
            .push(Observation::Gate(GateObservation { at, event }));
    }
}

/// What the plates of a stop tell, and the weight that came.
fn change(
    stop: &Stop,
    step: i64,
    noise: Milligrams,
    definition: &Definition,
) -> Option<(Milligrams, Observation)> {
    let weight = definition.catalogue.get(stop.product.as_str())?.weight;
    let delta_mg = Milligrams(-weight.0 * i64::from(stop.units) + noise.0);
    let plates = vec![PlateChange {
        plate: stop.plate.plate,
        delta_mg,
        sigma_mg: Milligrams(400),
    }];
    let kind = if stop.units > 0 {
        ChangeKind::Take
    } else {
        ChangeKind::Put
    };
    let observation = Observation::Shelf(ShelfObservation {
        shelf: stop.plate.shelf,
        start: at(step, 0.2),
        peak: at(step, 0.4),
        peak_error_us: 0,
        stood: None,
        end: at(step, 0.9),
        kind,
        likelihoods: item_match::likelihoods(definition, stop.plate.shelf, &plates),
        plates,
        evidence: Vec::new(),
    });
    Some((delta_mg, observation))
}
