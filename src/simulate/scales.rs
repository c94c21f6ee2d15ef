//! The load cells: what lies on each plate, what hands do to it, and the converter's counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::body::{Body, Footfall};
use super::effect::{Effect, Resting, Tremor};
use super::noise::{PlateNoise, ShelfNoise, Unrest};
use super::random::{Stream, normal, open};
use crate::recording::{ScaleBatch, ScaleGroup};
use crate::store::{Layout, NodeName, PlateId};
use crate::units::{Point, Timestamp};

/// Samples a second, as in the NanoStore.
pub(super) const RATE_HZ: f64 = 60.0;
/// Samples a batch.
pub(super) const BATCH: usize = 12;
/// What a batch lasts, microseconds.
pub(super) const BATCH_US: i64 = 200_000;
/// One converter step of the real recording, grams.
const QUANTUM_G: f64 = 0.241;
/// How far a plate's calibration is off, standard deviation.
const GAIN_STD: f64 = 0.004;
/// An empty plate shows anything: standard deviation of its zero, grams.
const ZERO_STD_G: f64 = 1_500.0;
/// Probability that what is lifted slowly is tilted first.
const TILTED: f64 = 0.3;
/// Walking is felt by a gondola up to some metres away: it falls to 1/e over this.
const UNREST_REACH_M: f64 = 3.0;
/// Unrest comes and goes within this time, seconds.
const UNREST_S: f64 = 0.3;
/// A foot that comes down kicks a shelf by so many standard deviations of its ringing.
const KICK: f64 = 1.6;

/// One plate.
#[derive(Clone, Debug)]
struct PlateModel {
    id: PlateId,
    front: Point,
    /// Index of the plates to its left and right on the same shelf.
    neighbours: Vec<usize>,
    noise: PlateNoise,
    gain: f64,
    zero_counts: f64,
    /// What lies on it, grams, without the effects that still go on.
    load_g: f64,
    /// What goes on or is about to: a handful for each action of the shoppers who stand there.
    effects: Vec<Effect>,
}

/// One shelf: its plates are a range of all plates.
#[derive(Clone, Debug)]
struct ShelfModel {
    gondola: u16,
    plates: std::ops::Range<usize>,
    noise: ShelfNoise,
}

/// One node that reads scales.
#[derive(Clone, Debug)]
struct ScaleNode {
    group: Arc<ScaleGroup>,
    shelves: Vec<usize>,
    /// Its converters' first sample after the start, microseconds.
    phase_us: i64,
}

/// Where a gondola is, and how much the floor shakes there.
#[derive(Clone, Copy, Debug)]
struct Gondola {
    x_min: f64,
    x_max: f64,
    unrest: f64,
}

/// Every plate of the store.
#[derive(Clone, Debug)]
pub(super) struct Scales {
    plates: Vec<PlateModel>,
    by_id: BTreeMap<PlateId, usize>,
    shelves: Vec<ShelfModel>,
    nodes: Vec<ScaleNode>,
    gondolas: BTreeMap<u16, Gondola>,
}

impl Scales {
    /// The empty plates of a layout. Shelves whose node the layout does not name are left out.
    pub fn new(seed: u64, layout: &Layout) -> Self {
        let mut scales = Scales {
            plates: Vec::with_capacity(layout.plate_count()),
            by_id: BTreeMap::new(),
            shelves: Vec::with_capacity(layout.shelves.len()),
            nodes: Vec::new(),
            gondolas: BTreeMap::new(),
        };
        let mut by_node: BTreeMap<&NodeName, Vec<usize>> = BTreeMap::new();
        for shelf in layout.shelves.values() {
            by_node
                .entry(&shelf.node)
                .or_default()
                .push(scales.shelves.len());
            let noise = ShelfNoise::new(seed, shelf.id, RATE_HZ);
            let first = scales.plates.len();
            for plate in &shelf.plates {
                scales.add_plate(seed, plate.id, plate.front, plate.width_m, &noise);
            }
            for index in first..scales.plates.len() {
                let left = index.checked_sub(1).filter(|&left| left >= first);
                let right = Some(index + 1).filter(|&right| right < scales.plates.len());
                let here = scales.plates[index].id.plate;
                scales.plates[index].neighbours = [left, right]
                    .into_iter()
                    .flatten()
                    .filter(|&other| scales.plates[other].id.plate.abs_diff(here) == 1)
                    .collect();
            }
            scales.shelves.push(ShelfModel {
                gondola: shelf.id.gondola,
                plates: first..scales.plates.len(),
                noise,
            });
        }
        for (index, node) in layout.nodes.iter().enumerate() {
            if let Some(shelves) = by_node.remove(&node.name) {
                scales.add_node(seed, index, &node.name, shelves);
            }
        }
        scales
    }

    fn add_plate(
        &mut self,
        seed: u64,
        id: PlateId,
        front: Point,
        width_m: f64,
        shelf: &ShelfNoise,
    ) {
        let noise = PlateNoise::new(seed, id, shelf, RATE_HZ);
        let mut random = open(seed, Stream::Converter(id));
        let gain = 1.0 + GAIN_STD * normal(&mut random);
        let zero_counts = (ZERO_STD_G * normal(&mut random) / QUANTUM_G).round();
        let gondola = self.gondolas.entry(id.shelf.gondola).or_insert(Gondola {
            x_min: f64::INFINITY,
            x_max: f64::NEG_INFINITY,
            unrest: 0.0,
        });
        gondola.x_min = gondola.x_min.min(front.x - width_m / 2.0);
        gondola.x_max = gondola.x_max.max(front.x + width_m / 2.0);
        self.by_id.insert(id, self.plates.len());
        self.plates.push(PlateModel {
            id,
            front,
            neighbours: Vec::new(),
            noise,
            gain,
            zero_counts,
            load_g: 0.0,
            effects: Vec::new(),
        });
    }

    fn add_node(&mut self, seed: u64, index: usize, name: &NodeName, shelves: Vec<usize>) {
        let plates: Vec<PlateId> = (shelves.iter())
            .flat_map(|&shelf| self.plates[self.shelves[shelf].plates.clone()].iter())
            .map(|plate| plate.id)
            .collect();
        let group = ScaleGroup {
            node: name.clone(),
            counts_per_gram: vec![1.0 / QUANTUM_G; plates.len()],
            plates,
            rate_hz: RATE_HZ,
        };
        // Converters of different nodes do not sample together.
        let phase_us = open(seed, Stream::Node(index)).random_range(0..16_000);
        self.nodes.push(ScaleNode {
            group: Arc::new(group),
            shelves,
            phase_us,
        });
    }

    /// The index of a plate.
    pub fn index(&self, plate: PlateId) -> Option<usize> {
        self.by_id.get(&plate).copied()
    }

    /// The id of the plate of that index.
    pub fn id(&self, plate: usize) -> PlateId {
        self.plates[plate].id
    }

    /// The middle of the front edge of the plate of that index.
    pub fn front(&self, plate: usize) -> Point {
        self.plates[plate].front
    }

    /// Up to `count` plates side by side on one shelf, from the plate of that index to the right.
    pub fn side_by_side(&self, first: usize, count: usize) -> Vec<usize> {
        let mut run = vec![first];
        for plate in first + 1..self.plates.len() {
            let last = run[run.len() - 1];
            if run.len() >= count || !self.plates[last].neighbours.contains(&plate) {
                break;
            }
            run.push(plate);
        }
        run
    }

    /// The nodes that read plates.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.nodes.iter().map(|node| &node.group.node)
    }

    /// The plates that each node reads.
    pub fn plates_by_node(&self) -> BTreeMap<NodeName, Vec<PlateId>> {
        let groups = self.nodes.iter().map(|node| &node.group);
        groups
            .map(|group| (group.node.clone(), group.plates.clone()))
            .collect()
    }

    /// Puts weight there before the store opens.
    pub fn load(&mut self, plate: usize, grams: f64) {
        self.plates[plate].load_g += grams;
    }

    /// A hand presses a plate from `t` on, and its neighbours feel a little of it.
    pub fn press(
        &mut self,
        random: &mut ChaCha8Rng,
        plate: usize,
        t: f64,
        seconds: f64,
        grams: f64,
    ) {
        let press = |grams| Effect::Press {
            middle_t: t + seconds / 2.0,
            wide_s: seconds / 2.5,
            grams,
        };
        self.plates[plate].effects.push(press(grams));
        for neighbour in self.plates[plate].neighbours.clone() {
            let leak = random.random_range(-0.05..0.1);
            self.plates[neighbour].effects.push(press(grams * leak));
        }
    }

    /// A hand lies on some plates with so many grams each, and their neighbours feel a little of it.
    pub fn rest(&mut self, random: &mut ChaCha8Rng, loads: &[(usize, f64)], hand: Resting) {
        let turn = 0.0..std::f64::consts::TAU;
        let mut tremor = |part: f64, hz: std::ops::Range<f64>| Tremor {
            part: random.random_range(0.3 * part..part),
            hz: random.random_range(hz),
            phase: random.random_range(turn.clone()),
        };
        // The body sways, the arm shifts, the muscles tremble.
        let tremor = [
            tremor(0.12, 0.1..0.4),
            tremor(0.06, 0.5..2.0),
            tremor(0.02, 6.0..10.0),
        ];
        let Resting {
            t,
            until_t,
            down_s,
            up_s,
        } = hand;
        let rest = |grams| Effect::Rest {
            t,
            until_t,
            down_s,
            up_s,
            grams,
            tremor,
        };
        for &(plate, grams) in loads {
            self.plates[plate].effects.push(rest(grams));
            for neighbour in self.plates[plate].neighbours.clone() {
                let leak = random.random_range(-0.02..0.05);
                self.plates[neighbour].effects.push(rest(grams * leak));
            }
        }
    }

    /// Weight arrives (or leaves, negative) on some plates in one quick movement that begins at `t`.
    pub fn shift(&mut self, random: &mut ChaCha8Rng, loads: &[(usize, f64)], t: f64) {
        let ramp_s = random.random_range(0.07..0.2);
        self.shift_over(random, loads, t, ramp_s);
    }

    /// The same in a movement that lasts so long, seconds: all in one, or one edge after the other.
    pub fn shift_slowly(
        &mut self,
        random: &mut ChaCha8Rng,
        loads: &[(usize, f64)],
        t: f64,
        lift_s: f64,
    ) {
        if random.random_bool(TILTED) {
            let first = random.random_range(0.3..0.7);
            let part = |part: f64| -> Vec<_> {
                (loads.iter())
                    .map(|&(plate, grams)| (plate, grams * part))
                    .collect()
            };
            self.shift_over(random, &part(first), t, 0.4 * lift_s);
            let second_t = t + 0.6 * lift_s;
            self.shift_over(random, &part(1.0 - first), second_t, 0.4 * lift_s);
        } else {
            self.shift_over(random, loads, t, lift_s);
        }
    }

    /// The plates ring after a movement, and neighbours ring along and keep a little of it.
    fn shift_over(&mut self, random: &mut ChaCha8Rng, loads: &[(usize, f64)], t: f64, ramp_s: f64) {
        let ring = |random: &mut ChaCha8Rng, grams: f64| Effect::Ring {
            t: t + ramp_s,
            hz: random.random_range(6.0..9.0),
            grams,
        };
        for &(plate, grams) in loads {
            let size = grams * random.random_range(0.004..0.02);
            let effects = [Effect::Step { t, ramp_s, grams }, ring(random, size)];
            self.plates[plate].effects.extend(effects);
            for neighbour in self.plates[plate].neighbours.clone() {
                let size = grams * random.random_range(0.0..0.02);
                let effect = ring(random, size);
                self.plates[neighbour].effects.push(effect);
                let leak = grams * random.random_range(-0.004..0.012);
                if random.random_bool(0.25) {
                    let grams = leak;
                    (self.plates[neighbour].effects).push(Effect::Step { t, ramp_s, grams });
                }
            }
        }
    }

    /// The next batch of every node: samples in [`from_t`, `from_t` + 0.2 s), `start` being time 0.
    pub fn next(
        &mut self,
        start: Timestamp,
        chunk: i64,
        bodies: &mut [&mut Body],
    ) -> Vec<ScaleBatch> {
        let begin_us = chunk * BATCH_US;
        let begin_t = begin_us as f64 / 1e6;
        let end_t = (begin_us + BATCH_US) as f64 / 1e6;
        let unrest = self.unrest(begin_t, end_t, bodies);
        let mut batches = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let columns = node.group.plates.len();
            let mut counts = vec![0; BATCH * columns];
            let first_t = (begin_us + node.phase_us) as f64 / 1e6;
            let mut column = 0;
            for &shelf in &node.shelves {
                let shelf = &mut self.shelves[shelf];
                let unrest = &unrest[&shelf.gondola];
                let common = shelf.noise.next(unrest);
                for plate in &mut self.plates[shelf.plates.clone()] {
                    plate.noise.drift(BATCH_US as f64 / 1e6);
                    for (sample, (&common, &unrest)) in common.iter().zip(unrest).enumerate() {
                        let t = first_t + sample as f64 / RATE_HZ;
                        let moving: f64 = plate.effects.iter().map(|effect| effect.at(t)).sum();
                        let grams =
                            plate.gain * (plate.load_g + moving) + plate.noise.next(common, unrest);
                        counts[sample * columns + column] =
                            (plate.zero_counts + grams / QUANTUM_G).round() as i32;
                    }
                    column += 1;
                }
            }
            batches.push(ScaleBatch {
                group: node.group.clone(),
                first_at: Timestamp(start.0 + begin_us + node.phase_us),
                counts,
            });
        }
        self.forget_before(end_t);
        batches
    }

    /// How each gondola shakes at each sample of a chunk.
    fn unrest(
        &mut self,
        begin_t: f64,
        end_t: f64,
        bodies: &mut [&mut Body],
    ) -> BTreeMap<u16, [Unrest; BATCH]> {
        let mut steps: Vec<(Footfall, f64)> = Vec::new();
        for body in bodies.iter_mut() {
            while let Some(step) = body.next_footfall(end_t) {
                steps.push((step, body.place(step.t).0));
            }
        }
        let keep = (-1.0 / (RATE_HZ * UNREST_S)).exp();
        let mut all = BTreeMap::new();
        for (&number, gondola) in &mut self.gondolas {
            let Gondola { x_min, x_max, .. } = *gondola;
            let near = |x: f64| {
                let away_m = (x_min - x).max(x - x_max).max(0.0);
                (-away_m / UNREST_REACH_M).exp()
            };
            let goal = (bodies.iter())
                .map(|body| body.stir(begin_t) * near(body.place(begin_t).0))
                .fold(0.0, f64::max);
            let mut chunk = [Unrest::default(); BATCH];
            for slot in &mut chunk {
                gondola.unrest = goal + (gondola.unrest - goal) * keep;
                slot.level = gondola.unrest;
            }
            for (step, x) in &steps {
                let sample = ((step.t - begin_t) * RATE_HZ).max(0.0) as usize;
                chunk[sample.min(BATCH - 1)].kick += KICK * step.strength * near(*x);
            }
            all.insert(number, chunk);
        }
        all
    }

    /// Effects that go on or are about to.
    #[cfg(test)]
    pub fn effects(&self) -> usize {
        self.plates.iter().map(|plate| plate.effects.len()).sum()
    }

    /// Turns what is over into plain load.
    fn forget_before(&mut self, t: f64) {
        for plate in &mut self.plates {
            let load_g = &mut plate.load_g;
            plate.effects.retain(|effect| {
                let goes_on = effect.over_t() > t;
                if !goes_on {
                    *load_g += effect.lasting();
                }
                goes_on
            });
        }
    }
}
