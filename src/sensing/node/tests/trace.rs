//! Made-up traces of load cells: what happens on each plate, with noise like a real plate's.

use std::sync::{Arc, LazyLock};

use crate::observation::Observation;
use crate::recording::{NO_COUNT, Record, ScaleBatch, ScaleGroup};
use crate::sensing::node::NodeSensor;
use crate::store::{Definition, PlateId, definition};
use crate::units::Timestamp;

/// One step of the converter, grams.
const QUANTUM_G: f64 = 0.241;
/// Plates of the shelf, numbered from 1.
pub const PLATES: usize = 12;

/// What happens on one plate. Times are seconds since the beginning.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// A hand presses, or pulls where negative, for so long; the edges take a tenth of a second.
    Press { from: f64, seconds: f64, grams: f64 },
    /// Weight comes, or goes where negative, within so many seconds around `at`.
    Step { at: f64, over_s: f64, grams: f64 },
    /// A hand leans on the plate for so long: its weight comes and goes over a quarter of that time each.
    Lean { from: f64, seconds: f64, grams: f64 },
    /// The converter repeats its last value for so long.
    Stick { from: f64, seconds: f64 },
    /// The plate swings, and calms down within half a second.
    Ring { from: f64, grams: f64 },
    /// Somebody walks by: the plate shakes for so long, at every footfall.
    Steps { from: f64, seconds: f64, grams: f64 },
    /// The zero wanders, grams a minute.
    Drift { grams: f64 },
    /// The converter says nothing for so long.
    Mute { from: f64, seconds: f64 },
}

impl Effect {
    fn grams(&self, t: f64) -> f64 {
        let smooth = |k: f64| k * k * (3.0 - 2.0 * k);
        match *self {
            Effect::Press {
                from,
                seconds,
                grams,
            } => {
                let edge = |k: f64| smooth((k / 0.1).clamp(0.0, 1.0));
                grams * edge(t - from) * edge(from + seconds - t)
            }
            Effect::Step { at, over_s, grams } => {
                grams * smooth(((t - at) / over_s + 0.5).clamp(0.0, 1.0))
            }
            Effect::Lean {
                from,
                seconds,
                grams,
            } => {
                let edge = |k: f64| smooth((4.0 * k / seconds).clamp(0.0, 1.0));
                grams * edge(t - from) * edge(from + seconds - t)
            }
            Effect::Ring { from, grams } if t >= from => {
                let d = t - from;
                grams * (-d / 0.14).exp() * (std::f64::consts::TAU * 7.3 * d).sin()
            }
            Effect::Steps {
                from,
                seconds,
                grams,
            } if (from..from + seconds).contains(&t) => {
                // A footfall each 0.55 s rings the shelf at its own frequency.
                let d = (t - from) % 0.55;
                grams * (-d / 0.12).exp() * (std::f64::consts::TAU * 9.1 * d).sin()
            }
            Effect::Drift { grams } => grams * t / 60.0,
            Effect::Ring { .. }
            | Effect::Steps { .. }
            | Effect::Mute { .. }
            | Effect::Stick { .. } => 0.0,
        }
    }

    fn mutes(&self, t: f64) -> bool {
        matches!(*self, Effect::Mute { from, seconds } if (from..from + seconds).contains(&t))
    }
}

impl Effect {
    fn sticks(&self, t: f64) -> bool {
        matches!(*self, Effect::Stick { from, seconds } if (from..from + seconds).contains(&t))
    }
}

/// What happens, and how it is sampled.
#[derive(Clone, Debug)]
pub struct Trace {
    pub effects: Vec<(u16, Effect)>,
    pub seconds: f64,
    pub rate_hz: f64,
    pub seed: u64,
    /// Standard deviation of the white noise of a sample, grams.
    pub noise_g: f64,
}

impl Trace {
    /// Nothing but noise for 12 s at 60 Hz.
    pub fn quiet(seed: u64) -> Self {
        Trace {
            effects: Vec::new(),
            seconds: 12.0,
            rate_hz: 60.0,
            seed,
            noise_g: 0.6,
        }
    }

    pub fn with(mut self, effects: &[(u16, Effect)]) -> Self {
        self.effects.extend_from_slice(effects);
        self
    }

    fn samples(&self) -> usize {
        (self.seconds * self.rate_hz) as usize
    }

    /// The counts of every sample, plate by plate in each.
    fn counts(&self) -> Vec<i32> {
        let mut noise: Vec<Noise> = (0..PLATES as u64)
            .map(|plate| Noise::new(self.seed * 100 + plate, self.noise_g))
            .collect();
        let mut counts: Vec<i32> = Vec::with_capacity(self.samples() * PLATES);
        for sample in 0..self.samples() {
            let t = sample as f64 / self.rate_hz;
            for (index, noise) in noise.iter_mut().enumerate() {
                let here = || {
                    (self.effects.iter())
                        .filter(move |(plate, _)| usize::from(*plate) == index + 1)
                        .map(|(_, effect)| effect)
                };
                let grams: f64 = here().map(|effect| effect.grams(t)).sum();
                let zero = 3_000.0 - 700.0 * index as f64;
                let counted = ((zero + grams + noise.next(t)) / QUANTUM_G).round() as i32;
                let mute = here().any(|effect| effect.mutes(t));
                let before = counts.len().checked_sub(PLATES).map(|i| counts[i]);
                let stuck = before.filter(|_| here().any(|effect| effect.sticks(t)));
                counts.push(if mute {
                    NO_COUNT
                } else {
                    stuck.unwrap_or(counted)
                });
            }
        }
        counts
    }

    /// The batches that a node gets, with so many samples each.
    pub fn batches(&self, samples: usize) -> Vec<Record> {
        let group = Arc::new(ScaleGroup {
            node: "shelf".into(),
            plates: (1..=PLATES as u16).map(plate).collect(),
            counts_per_gram: vec![1.0 / QUANTUM_G; PLATES],
            rate_hz: self.rate_hz,
        });
        self.counts()
            .chunks(samples * PLATES)
            .enumerate()
            .map(|(index, counts)| {
                let first = (index * samples) as f64 / self.rate_hz;
                Record::Scale(ScaleBatch {
                    group: group.clone(),
                    first_at: at(first),
                    counts: counts.to_vec(),
                })
            })
            .collect()
    }
}

/// The plate of that number.
pub fn plate(number: u16) -> PlateId {
    format!("1.1.{number}").parse().unwrap()
}

/// `seconds` after the beginning.
pub fn at(seconds: f64) -> Timestamp {
    Timestamp(1_700_000_000_000_000).plus_seconds(seconds)
}

/// Seconds since the beginning.
pub fn seconds(time: Timestamp) -> f64 {
    time.seconds_since(at(0.0))
}

/// A store with one shelf of twelve plates and a product for it.
pub fn store() -> Arc<Definition> {
    static STORE: LazyLock<Arc<Definition>> = LazyLock::new(|| {
        let text = r#"
            [store]
            id = "bench"
            name = "Bench"
            currency = "EUR"
            [[node]]
            name = "shelf"
            shelves = ["1.1"]
            tracks_bodies = true
            [[shelf]]
            id = "1.1"
            x_m = 0.0
            y_m = 0.0
            z_m = 1.0
            plate_width_m = 0.1
            plates = 12
            [[product]]
            sku = "box"
            name = "Box"
            weight_g = 300
            price_minor = 100
            tax_percent = 7
            [[facing]]
            product = "box"
            shelf = "1.1"
            plates = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
        "#;
        Arc::new(definition::parse(text, "bench.toml").unwrap().0)
    });
    STORE.clone()
}

/// Everything that a node makes of records, to the end.
pub fn sense(records: &[Record]) -> Vec<Observation> {
    let mut sensor = NodeSensor::new(store());
    let mut out = Vec::new();
    for record in records {
        sensor.push(record, &mut out);
    }
    sensor.finish(&mut out);
    out
}

/// A quiet plate: white noise, a slow wander and a line near 1.5 Hz, in the shares of a real one.
struct Noise {
    state: u64,
    white_g: f64,
    wander_g: f64,
    phase: f64,
}

impl Noise {
    fn new(seed: u64, white_g: f64) -> Self {
        let mut noise = Noise {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66,
            white_g,
            wander_g: 0.0,
            phase: 0.0,
        };
        noise.phase = noise.uniform() * std::f64::consts::TAU;
        noise
    }

    /// Evenly between 0 and 1 (the generator of Steele, Lea and Flood, OOPSLA 2014).
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal, with a standard deviation of 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    fn next(&mut self, t: f64) -> f64 {
        self.wander_g = 0.96 * self.wander_g + 0.1 * self.white_g * self.normal();
        let line = 0.4 * self.white_g * (std::f64::consts::TAU * 1.52 * t + self.phase).sin();
        self.white_g * self.normal() + self.wander_g + line
    }
}
