//! A simulated store: shoppers with truth, from the seed to the raw counts of the load cells.
//!
//! [`Store`] plays a store given by its [`Definition`] and yields what its nodes' sensors would say, 0.2 s at a
//! time: converter counts, body frames and gate events, as [`Record`]s. It keeps the truth beside. A recording
//! made from it goes through the very code that a real one goes through, and nothing downstream can tell.
//!
//! The way of the data: `shopper` decides (`trip` says what for, `floor` who stands where) -> `hands` move, `stock`
//! gives up or receives units -> `scales` press, step and ring (`effect`) -> `noise` -> counts; `body` says how the shopper is
//! seen. All chance comes from `random`, a stream for each thing, so that the same seed gives the same records.
//!
//! By itself that is a well-meaning day with sound sensors. A [`Situation`] makes it harder: `scene` has hands do what is hard
//! to tell apart (`solo` those of one shopper, `duo` those of two), `extras` lets staff and people without a code come, and `sensors`
//! spoils the records on their way out. Only in a store that is open for ever do staff come without being asked for:
//! else its facings would run out.

mod body;
pub mod crowd;
mod device;
mod duo;
mod effect;
mod extras;
pub mod eyes;
mod floor;
mod hands;
pub mod load;
mod noise;
mod random;
mod scales;
mod scene;
mod sensors;
mod shopper;
mod situation;
mod solo;
mod stock;
mod trip;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use base64::Engine;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use crate::checkout::entry_code::EntryCode;
use crate::checkout::session::Role;
use crate::observation::{DeviceId, GateEvent, GateObservation};
use crate::recording::{BodyFrame, GateRecord, Record, Recording, TrueDevice, Truth};
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

pub use self::device::{device, staff_device};
pub use self::situation::{Impossible, Situation, UnknownSituation};

use self::body::Body;
use self::random::{Stream, open};
use self::scales::BATCH_US;
use self::scene::Script;
use self::sensors::Sensors;
use self::shopper::{GateSightKind, Part, Phase, Premises, Shopper};
use self::situation::Cast;

/// Phones in the hands of an endless stream of shoppers.
const ENDLESS_DEVICES: usize = 64;
/// Phones of the staff who fill the shelves meanwhile.
const ENDLESS_STAFF_DEVICES: usize = 4;
/// Shoppers who have left of whom an endless simulation remembers the truth.
const ENDLESS_TRUTHS: usize = 256;
/// The store is quiet so long before the first shopper comes, seconds: plates learn their zero.
const LEAD_S: f64 = 3.0;
/// It is quiet so long after the last has left, seconds.
const TAIL_S: f64 = 5.0;
/// Shoppers come no closer after each other, seconds.
const ARRIVAL_GAP_S: f64 = 2.0;
/// Body frames a second.
const FRAME_HZ: f64 = 14.9;
/// How far a frame comes early or late, seconds.
const FRAME_JITTER_S: f64 = 0.02;

/// What happens in a simulated store.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// So many come, and it ends; `None`: they come for ever.
    pub shoppers: Option<u32>,
    /// Mean time between two arrivals, seconds.
    pub arrival_s_mean: f64,
    /// Not more are inside at a time, at most 48; the others wait outside.
    pub inside_max: usize,
    /// Wall time at which the simulation begins.
    pub start: Timestamp,
    /// What is to happen besides; what is not [possible](Situation::possible) in the store does not.
    pub situations: BTreeSet<Situation>,
}

impl Default for Options {
    /// One shopper, on the morning of 1 June 2026.
    fn default() -> Self {
        Options {
            shoppers: Some(1),
            arrival_s_mean: 8.0,
            inside_max: 8,
            start: Timestamp(1_780_300_800_000_000),
            situations: BTreeSet::new(),
        }
    }
}

/// A simulated store.
#[derive(Clone, Debug)]
pub struct Store {
    definition: Arc<Definition>,
    seed: u64,
    options: Options,
    premises: Premises,
    /// Number of the next chunk of 0.2 s.
    chunk: i64,
    arrivals: ChaCha8Rng,
    /// When the next shopper comes, and which number it has.
    next_arrival_t: f64,
    arrived: u64,
    /// Everybody inside. New shoppers wait while these are [`Options::inside_max`].
    shoppers: Vec<Shopper>,
    /// Devices that are not in the store, the one that left first in front.
    idle_devices: VecDeque<usize>,
    /// First the shoppers' phones, so many, and then those of the staff.
    keys: Vec<(DeviceId, Vec<u8>)>,
    shopper_devices: usize,
    staff_visits: u64,
    staff_came_t: Option<f64>,
    sensors: Sensors,
    tracker: Option<Tracker>,
    gate_node: Option<NodeName>,
    /// When the last shopper left.
    quiet_since_t: f64,
    truth: Truth,
}

/// The node that sees bodies.
#[derive(Clone, Debug)]
struct Tracker {
    node: NodeName,
    random: ChaCha8Rng,
    frames: u64,
    next_t: f64,
}

impl Tracker {
    fn advance(&mut self) {
        self.frames += 1;
        let jitter_s = self.random.random_range(-FRAME_JITTER_S..FRAME_JITTER_S);
        self.next_t = self.frames as f64 / FRAME_HZ + jitter_s;
    }
}

impl Store {
    /// Opens a store with its shelves filled and nobody inside.
    pub fn new(definition: &Arc<Definition>, seed: u64, mut options: Options) -> Self {
        let shoppers = options.shoppers;
        (options.situations).retain(|one| one.possible(definition, shoppers).is_ok());
        let layout = &definition.layout;
        let gate_node = (layout.nodes.iter().find(|node| node.watches_gate))
            .filter(|_| layout.gate.is_some())
            .map(|node| node.name.clone());
        let situations = &options.situations;
        let premises = Premises::new(seed, definition, situations);
        let plates = premises.scales.plates_by_node();
        let sensors = Sensors::new(seed, situations, options.start, &plates);
        let (devices, staff_devices) = phones(&options, gate_node.is_some());
        let keys: Vec<(DeviceId, Vec<u8>)> = (0..devices)
            .map(|index| device(seed, index))
            .chain((0..staff_devices).map(|index| staff_device(seed, index)))
            .collect();
        let roles =
            std::iter::repeat_n(Role::Shopper, devices).chain(std::iter::repeat(Role::Staff));
        let true_devices = keys.iter().zip(roles).map(true_device).collect();
        let tracker = (layout.nodes.iter().find(|node| node.tracks_bodies)).map(|node| Tracker {
            node: node.name.clone(),
            random: open(seed, Stream::Tracker),
            frames: 0,
            next_t: 0.0,
        });
        let in_pairs = situations.iter().any(|one| one.cast() == Cast::Together);
        let options = Options {
            // Whoever waits inside for a partner must not keep it out.
            inside_max: (options.inside_max).clamp(if in_pairs { 2 } else { 1 }, 48),
            ..options
        };
        Store {
            definition: definition.clone(),
            seed,
            premises,
            chunk: 0,
            arrivals: open(seed, Stream::Arrivals),
            next_arrival_t: LEAD_S,
            arrived: 0,
            shoppers: Vec::new(),
            idle_devices: (0..devices).collect(),
            keys,
            shopper_devices: devices,
            staff_visits: 0,
            staff_came_t: None,
            sensors,
            tracker,
            gate_node,
            quiet_since_t: 0.0,
            truth: Truth {
                name: format!("simulated-{seed}"),
                devices: true_devices,
                ..Truth::default()
            },
            options,
        }
    }

    /// The nodes that take part, sorted: those with plates, the one that tracks bodies and the one at the gate.
    pub fn nodes(&self) -> Vec<NodeName> {
        let mut nodes: Vec<NodeName> = self.premises.scales.nodes().cloned().collect();
        nodes.extend(self.tracker.iter().map(|tracker| tracker.node.clone()));
        nodes.extend(self.gate_node.clone());
        nodes.sort();
        nodes.dedup();
        nodes
    }

    /// The phones of the shoppers with their keys: to be enrolled before they come. One for each shopper; 64 that
    /// are used over and over if they come for ever.
    pub fn devices(&self) -> &[(DeviceId, Vec<u8>)] {
        &self.keys[..self.shopper_devices]
    }

    /// The phones of the staff with their keys, if any come.
    pub fn staff_devices(&self) -> &[(DeviceId, Vec<u8>)] {
        &self.keys[self.shopper_devices..]
    }

    /// What really happened: the receipts and events of everybody who has left, events by time. An endless
    /// simulation remembers the last 256 shoppers.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Shoppers, staff and others inside or in the gate now.
    pub fn inside(&self) -> usize {
        self.shoppers.len()
    }

    /// Seconds simulated so far.
    pub fn elapsed_s(&self) -> f64 {
        (self.chunk * BATCH_US) as f64 / 1e6
    }

    /// What all nodes say in the next 0.2 s, in the order of [`Record::at`] and node name. `None` once everybody
    /// has left and five quiet seconds have passed.
    pub fn next_chunk(&mut self) -> Option<Vec<Record>> {
        let begin_t = self.elapsed_s();
        let all_came = (self.options.shoppers).is_some_and(|n| self.arrived >= u64::from(n));
        if all_came && self.shoppers.is_empty() && begin_t >= self.quiet_since_t + TAIL_S {
            let rest = self.sensors.rest();
            return (!rest.is_empty()).then_some(rest);
        }
        let end_t = ((self.chunk + 1) * BATCH_US) as f64 / 1e6;
        self.play_until(end_t);
        let mut records = self.body_frames(end_t);
        let mut bodies: Vec<&mut Body> = (self.shoppers.iter_mut())
            .map(|shopper| &mut shopper.body)
            .collect();
        let batches = (self.premises.scales).next(self.options.start, self.chunk, &mut bodies);
        records.extend(batches.into_iter().map(Record::Scale));
        records.extend(self.gate_records(end_t).into_iter().map(Record::Gate));
        records.sort_by(|a, b| (a.at(), a.node()).cmp(&(b.at(), b.node())));
        let records = (self.sensors).pass(records, &mut self.premises.faults, end_t);
        self.chunk += 1;
        self.forget_before(end_t);
        Some(records)
    }

    /// Lets shoppers come and decide, in the order of time, until `end_t`.
    fn play_until(&mut self, end_t: f64) {
        loop {
            let first = (self.shoppers.iter().enumerate())
                .filter(|(_, shopper)| !shopper.is_gone())
                .min_by(|(_, a), (_, b)| a.next_t.total_cmp(&b.next_t))
                .map(|(index, shopper)| (index, shopper.next_t));
            let arrival_t = Some(self.next_arrival_t).filter(|_| self.may_arrive());
            match (first, arrival_t) {
                (Some((index, t)), arrival_t) if t < end_t && arrival_t.is_none_or(|a| t <= a) => {
                    self.decide(index);
                }
                (_, Some(t)) if t < end_t => self.arrive(t),
                (Some(_) | None, Some(_) | None) => break,
            }
        }
    }

    fn decide(&mut self, index: usize) {
        if self.direct(index) {
            return;
        }
        let is_outside = |one: &Shopper| matches!(one.phase, Phase::Outside);
        let shopper = &mut self.shoppers[index];
        let was_outside = is_outside(shopper);
        shopper.decide(self.seed, &mut self.premises);
        let comes_in = was_outside && !is_outside(shopper) && shopper.part == Part::Shopper;
        if comes_in && self.options.situations.contains(&Situation::Tailgater) {
            self.follow_in(index);
        }
    }

    fn may_arrive(&self) -> bool {
        self.shoppers.len() < self.options.inside_max
            && !self.idle_devices.is_empty()
            && (self.options.shoppers).is_none_or(|n| self.arrived < u64::from(n))
    }

    fn arrive(&mut self, t: f64) {
        let Some(device) = self.idle_devices.pop_front() else {
            return;
        };
        // Whoever had to wait because the store was full comes as soon as it isn't.
        let t = t.max(self.elapsed_s());
        let number = self.arrived;
        let mut shopper = Shopper::new(self.seed, number, Some(device), t, &self.premises);
        let Options {
            situations,
            shoppers,
            ..
        } = &self.options;
        shopper.script = Script::of(self.seed, number, situations, *shoppers);
        self.shoppers.push(shopper);
        self.send_staff(number, t);
        self.arrived += 1;
        let gap_s: f64 = Exp1.sample(&mut self.arrivals);
        self.next_arrival_t = t + ARRIVAL_GAP_S.max(gap_s * self.options.arrival_s_mean);
    }

    fn wall(&self, t: f64) -> Timestamp {
        self.options.start.plus_seconds(t)
    }

    fn body_frames(&mut self, end_t: f64) -> Vec<Record> {
        let start = self.options.start;
        let Some(tracker) = &mut self.tracker else {
            return Vec::new();
        };
        let mut frames = Vec::new();
        while tracker.next_t < end_t {
            let t = tracker.next_t;
            let at = start.plus_seconds(t);
            let bodies = (self.shoppers.iter_mut())
                .filter(|shopper| shopper.body.is_seen(t))
                .map(|shopper| (shopper.body.track.clone(), shopper.body.pose(t, at)))
                .collect();
            frames.push(Record::Body(BodyFrame {
                node: tracker.node.clone(),
                at,
                bodies,
            }));
            tracker.advance();
        }
        frames
    }

    /// What the gate sees before `end_t`; a store without a gate node sees nothing of it.
    fn gate_records(&mut self, end_t: f64) -> Vec<GateRecord> {
        let (mut due, later): (Vec<_>, Vec<_>) =
            (self.premises.gate_events.drain(..)).partition(|sight| sight.t < end_t);
        self.premises.gate_events = later;
        due.sort_by(|a, b| a.t.total_cmp(&b.t));
        let Some(node) = &self.gate_node else {
            return Vec::new();
        };
        (due.into_iter())
            .filter_map(|sight| {
                let at = self.wall(sight.t);
                let event = match sight.kind {
                    GateSightKind::Code(device) => GateEvent::CodeShown {
                        code: self.code(device, at)?,
                    },
                    GateSightKind::In => GateEvent::PassedIn,
                    GateSightKind::Out => GateEvent::PassedOut,
                };
                Some(GateRecord {
                    node: node.clone(),
                    observation: GateObservation { at, event },
                })
            })
            .collect()
    }

    fn code(&self, device: usize, at: Timestamp) -> Option<String> {
        let (device, key) = self.keys.get(device)?;
        let code = EntryCode::mint(&self.definition.id, device, key, at).ok()?;
        Some(code.to_string())
    }

    /// Lets go of everybody who left before `t`, and of what is over.
    fn forget_before(&mut self, t: f64) {
        let (gone, inside): (Vec<_>, Vec<_>) =
            (self.shoppers.drain(..)).partition(|shopper| shopper.is_gone());
        self.shoppers = inside;
        for shopper in gone {
            self.quiet_since_t = t;
            let (part, device) = (shopper.part, shopper.device);
            let (receipt, events) = shopper.truth();
            match part {
                Part::Shopper => {
                    self.idle_devices.extend(device);
                    self.truth.receipts.push(receipt);
                }
                // They have no receipt by which to forget what they did.
                Part::Tailgater | Part::Staff if self.options.shoppers.is_none() => continue,
                Part::Tailgater | Part::Staff => {}
            }
            self.truth.events.extend(events);
            self.truth.events.sort_by(|a, b| a.t.total_cmp(&b.t));
        }
        if self.options.shoppers.is_none() && self.truth.receipts.len() > ENDLESS_TRUTHS {
            let surplus = self.truth.receipts.len() - ENDLESS_TRUTHS;
            let forgotten: Vec<_> = self.truth.receipts.drain(..surplus).collect();
            self.truth.events.retain(|event| {
                forgotten
                    .iter()
                    .all(|receipt| receipt.target_id != event.target_id)
            });
        }
        for shopper in &mut self.shoppers {
            // A footfall or a frame of the next chunk looks back less than a second.
            shopper.body.forget_before(t - 1.0);
        }
        self.premises.floor.forget_before(t - 2.0);
    }
}

impl Iterator for Store {
    type Item = Vec<Record>;
    fn next(&mut self) -> Option<Vec<Record>> {
        self.next_chunk()
    }
}

/// Plays `shoppers` visits to their end, whatever `options` say of their number, and keeps every record: some 4 MB
/// a minute in the NanoStore.
pub fn record(
    definition: &Arc<Definition>,
    seed: u64,
    shoppers: u32,
    options: Options,
) -> Recording {
    let options = Options {
        shoppers: Some(shoppers),
        ..options
    };
    let mut store = Store::new(definition, seed, options);
    let records = store.by_ref().flatten().collect();
    Recording {
        definition: definition.clone(),
        nodes: store.nodes(),
        records,
        truth: Some(store.truth),
        damage: None,
    }
}

/// How many phones the shoppers have, and the staff.
fn phones(options: &Options, gated: bool) -> (usize, usize) {
    match options.shoppers {
        Some(shoppers) => {
            let with_staff = options.situations.contains(&Situation::Staff);
            let visits = u64::from(shoppers).div_ceil(extras::STAFF_EVERY);
            (
                shoppers as usize,
                if with_staff { visits as usize } else { 0 },
            )
        }
        None if gated => (ENDLESS_DEVICES, ENDLESS_STAFF_DEVICES),
        None => (ENDLESS_DEVICES, 0),
    }
}

/// A simulated phone as the truth names it.
fn true_device(((device, key), role): (&(DeviceId, Vec<u8>), Role)) -> TrueDevice {
    TrueDevice {
        device: device.clone(),
        key_base64: base64::engine::general_purpose::STANDARD.encode(key),
        role,
    }
}

#[cfg(test)]
mod tests;
