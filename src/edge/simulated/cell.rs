//! A load cell under a plate: what lies on it, how it swings, creeps, drifts and rustles, in counts of a converter.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What all cells of a situation share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellKind {
    /// At gain 128. 420 is a 5 kg cell of 1 mV/V on a HX711 board.
    pub counts_per_gram: f64,
    /// Standard deviation of a conversion, grams.
    pub noise_g: f64,
    /// The zero wanders by this much over some minutes, grams.
    pub drift_g: f64,
    /// What is added to a load within ten minutes, percent of it.
    pub creep_percent: f64,
}

impl Default for CellKind {
    fn default() -> Self {
        CellKind {
            counts_per_gram: 420.0,
            noise_g: 0.3,
            drift_g: 0.5,
            creep_percent: 0.03,
        }
    }
}

/// A hand puts something down, or takes it, within this, seconds.
const HAND_S: f64 = 0.12;
/// The board rings after it, hertz, and is quiet after this, seconds.
const RING_HZ: f64 = 11.0;
const RING_S: f64 = 0.12;
const RING_SHARE: f64 = 0.08;
const CREEP_S: f64 = 240.0;
const DRIFT_S: f64 = 420.0;
/// Zeros of real cells lie so far apart, counts.
const ZERO_MAX: f64 = 120_000.0;
/// Factors differ from cell to cell by this share.
const FACTOR_SHARE: f64 = 0.03;

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    kind: CellKind,
    factor: f64,
    zero: f64,
    /// Phase of its drift.
    phase: f64,
    /// When what was put on it, seconds and grams, in the order of time.
    loads: Vec<(f64, f64)>,
    random: ChaCha8Rng,
}

impl Cell {
    pub fn new(kind: CellKind, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut share = || random.random_range(-1.0..1.0);
        let (factor, zero, phase): (f64, f64, f64) = (share(), share(), share());
        Cell {
            kind,
            factor: kind.counts_per_gram * (1.0 + FACTOR_SHARE * factor),
            zero: zero * ZERO_MAX,
            phase: phase * std::f64::consts::PI,
            loads: Vec::new(),
            random,
        }
    }

    /// Something is put on it, or taken away, at a time.
    pub fn put(&mut self, at_s: f64, grams: f64) {
        let place = self.loads.partition_point(|(at, _)| *at <= at_s);
        self.loads.insert(place, (at_s, grams));
    }

    /// Grams that lie on it, with all that the plate does.
    fn grams(&self, now_s: f64) -> f64 {
        let drift = self.kind.drift_g
            * ((now_s / DRIFT_S * std::f64::consts::TAU + self.phase).sin() - self.phase.sin());
        let due = self.loads.iter().take_while(|(at_s, _)| *at_s <= now_s);
        due.fold(drift, |sum, (at_s, grams)| {
            let since_s = now_s - at_s;
            let share = (since_s / HAND_S).min(1.0);
            // A smooth step, then the board rings.
            let lies = share * share * (3.0 - 2.0 * share);
            let after_s = (since_s - HAND_S).max(0.0);
            let swing =
                (std::f64::consts::TAU * RING_HZ * after_s).sin() * (-after_s / RING_S).exp();
            let crept = self.kind.creep_percent / 100.0 * (1.0 - (-since_s / CREEP_S).exp());
            sum + grams * (lies + RING_SHARE * swing + crept)
        })
    }

    /// What a converter of that gain makes of it, before it is cut to 24 bits. `noisier`: a factor on its noise.
    pub fn counts(&mut self, now_s: f64, gain: f64, noisier: f64) -> f64 {
        // Twelve uniform numbers less six are normal enough, and quick.
        let noise: f64 = (0..12)
            .map(|_| self.random.random_range(0.0..1.0))
            .sum::<f64>()
            - 6.0;
        let grams = self.grams(now_s) + noise * self.kind.noise_g * noisier;
        (self.zero + grams * self.factor) * gain / 128.0
    }
}
