//! The noise of the load cells, fitted to the one real recording of the NanoStore.
//!
//! # What was measured
//! In `benchmark-1` (AiFi, CPS-IoT Week 2020; 247 plates that show any noise, 60 Hz) the shopper stands still for
//! 4.8 s and then walks from gondola 4 to gondola 1.
//! - *Quiet*: the standard deviation of a plate has the quantiles of [`QUIET_STD_BY_NORMAL_SCORE`]. Of the
//!   variance of its logarithm 13 % lie between gondolas, 57 % between the shelves of one and the rest between
//!   neighbours. The variance of a plate is, on average, 29 % a line near 1.5 Hz that each plate has for itself,
//!   23 % a hum at 24.4 Hz in which the plates of a shelf swing together (coherence 0.8 to 0.95), 12 % slow
//!   wander, and the rest white; from plate to plate these shares differ widely.
//! - *While somebody walks*: there is more, 1.9 times the quiet standard deviation in the median (10 to 90 %: 0.5
//!   to 4.3), 3.5 times on the worst gondola and 1.1 on the best. Half of the variance on a shelf is one motion
//!   of all its plates: the shelf rings at its own frequency (peaks at 7.4 to 20.9 Hz), kicked by each
//!   footfall, and calms within some tenths of a second.
//!
//! # The model
//! A plate is the sum of white noise, a first-order autoregressive wander, its line, its share of the shelf's hum and,
//! in proportion to the unrest at its gondola, of the shelf's ringing and of a ringing of its own. Levels are drawn
//! from the measured quantiles. The table compares them, 247 plates each (recording | model, seed 1, 278 plates):
//!
//! MODEL_TABLE

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};

use super::random::{Stream, normal, open, sign};
use crate::store::{PlateId, ShelfId};

/// Standard deviation of a quiet plate, grams, at points of the standard normal distribution (the 5, 10, 25, 50,
/// 75, 90, 95 and 99 % quantiles).
const QUIET_STD_BY_NORMAL_SCORE: [(f64, f64); 8] = [
    (-1.645, 0.35),
    (-1.282, 0.37),
    (-0.674, 0.48),
    (0.0, 0.67),
    (0.674, 1.18),
    (1.282, 2.24),
    (1.645, 2.78),
    (2.326, 4.91),
];

/// How the variance of a quiet plate is divided: shapes of gamma distributions whose draws, divided by their sum, are
/// the shares of line, hum, wander and white noise.
const SHARE_SHAPES: [f64; 4] = [0.8, 0.65, 0.35, 1.0];

const LINE_HZ: (f64, f64) = (1.52, 0.12); // mean, standard deviation
const HUM_HZ: (f64, f64) = (24.43, 0.03);
/// Own frequencies of the shelves.
const SWAY_HZ: (f64, f64) = (7.4, 20.9);
/// Times in which ringing falls to 1/e, seconds.
const SWAY_DECAY_S: (f64, f64) = (0.15, 0.3);
/// Correlation time of the wander, seconds.
const WANDER_S: (f64, f64) = (0.1, 0.6);
/// The zero drifts like this over [`DRIFT_S`] seconds.
const DRIFT_G: f64 = 0.4;
const DRIFT_S: f64 = 60.0;
/// Part of the unrest's variance in which the plates of a shelf move together.
const COMMON_SHARE: f64 = 0.5;

/// What walking adds, as a multiple of the quiet standard deviation: median, and standard deviations of its
/// logarithm between gondolas, between shelves and between plates.
const WALK_RATIO_MEDIAN: f64 = 1.9;
const WALK_RATIO_LOG_STD: [f64; 3] = [0.45, 0.45, 0.5];
const WALK_RATIO_MAX: f64 = 8.0;

/// How the shares of variance that a shelf and its gondola have in its level are weighted: standard deviations that
/// add up (in squares) to one.
const LEVEL_STD: [f64; 3] = [0.355, 0.757, 0.549];

/// The state of the floor at one gondola at one sample.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unrest {
    /// 0: nobody moves; 1: somebody walks right in front.
    pub level: f64,
    /// Strength of a foot that came down just now, else 0.
    pub kick: f64,
}

/// What a shelf gives all its plates at one sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common {
    /// The hum, amplitude 1.
    hum: f64,
    /// The shelf's ringing, standard deviation about 1 while somebody walks in front.
    sway: f64,
}

/// A vector that turns by a fixed angle and shrinks by a fixed factor a sample.
#[derive(Clone, Copy, Debug)]
struct Oscillator {
    re: f64,
    im: f64,
    turn_re: f64,
    turn_im: f64,
}

impl Oscillator {
    fn new(hz: f64, keep: f64, phase: f64, amplitude: f64, rate_hz: f64) -> Self {
        let (sin, cos) = (std::f64::consts::TAU * hz / rate_hz).sin_cos();
        Oscillator {
            re: amplitude * phase.cos(),
            im: amplitude * phase.sin(),
            turn_re: keep * cos,
            turn_im: keep * sin,
        }
    }

    /// Goes on by one sample, pushed by `drive`, and gives the new deflection.
    fn step(&mut self, drive: f64) -> f64 {
        let re = self.re * self.turn_re - self.im * self.turn_im + drive;
        self.im = self.re * self.turn_im + self.im * self.turn_re;
        self.re = re;
        re
    }

    /// Undoes what rounding did to the amplitude of an undamped oscillator.
    fn renew(&mut self) {
        let amplitude = self.re.hypot(self.im);
        if amplitude > 0.0 {
            self.re /= amplitude;
            self.im /= amplitude;
        }
    }
}

/// An oscillator at rest that unrest sets ringing: standard deviation about 1 at level 1.
#[derive(Clone, Debug)]
struct Ringing {
    oscillator: Oscillator,
    drive: f64,
}

impl Ringing {
    fn draw(random: &mut ChaCha8Rng, rate_hz: f64) -> Self {
        let hz = random.random_range(SWAY_HZ.0..SWAY_HZ.1);
        let decay_s = random.random_range(SWAY_DECAY_S.0..SWAY_DECAY_S.1);
        let keep = (-1.0 / (rate_hz * decay_s)).exp();
        Ringing {
            oscillator: Oscillator::new(hz, keep, 0.0, 0.0, rate_hz),
            // A real push of variance v settles at v / (2 (1 - keep²)); the kicks give the other half.
            drive: (1.0 - keep * keep).sqrt(),
        }
    }

    fn step(&mut self, random: &mut ChaCha8Rng, unrest: Unrest) -> f64 {
        let push = normal(random);
        // A foot pushes either way, and more or less, as the shelf happens to take it.
        let kick = unrest.kick * (0.5 + 0.5 * push.abs()) * push.signum();
        self.oscillator
            .step(self.drive * unrest.level * push + kick)
    }
}

/// What the plates of one shelf have in common.
#[derive(Clone, Debug)]
pub(super) struct ShelfNoise {
    random: ChaCha8Rng,
    hum: Oscillator,
    sway: Ringing,
    /// Normal score of its quiet level, and logarithm of its answer to walking: what gondola and shelf contribute.
    level_score: f64,
    walk_log: f64,
}

impl ShelfNoise {
    pub fn new(seed: u64, shelf: ShelfId, rate_hz: f64) -> Self {
        let mut gondola = open(seed, Stream::Gondola(shelf.gondola));
        let mut random = open(seed, Stream::Shelf(shelf));
        let level_score = LEVEL_STD[0] * normal(&mut gondola) + LEVEL_STD[1] * normal(&mut random);
        let walk_log = WALK_RATIO_LOG_STD[0] * normal(&mut gondola)
            + WALK_RATIO_LOG_STD[1] * normal(&mut random);
        let hum_hz = HUM_HZ.0 + HUM_HZ.1 * normal(&mut random);
        let phase = random.random_range(0.0..std::f64::consts::TAU);
        let sway = Ringing::draw(&mut random, rate_hz);
        ShelfNoise {
            hum: Oscillator::new(hum_hz, 1.0, phase, 1.0, rate_hz),
            random,
            sway,
            level_score,
            walk_log,
        }
    }

    /// The next samples, one for each of `unrest`.
    pub fn next(&mut self, unrest: &[Unrest]) -> Vec<Common> {
        self.hum.renew();
        (unrest.iter())
            .map(|&unrest| Common {
                hum: self.hum.step(0.0),
                sway: self.sway.step(&mut self.random, unrest),
            })
            .collect()
    }
}

/// The noise of one plate.
#[derive(Clone, Debug)]
pub(super) struct PlateNoise {
    random: ChaCha8Rng,
    white_g: f64,
    line: Oscillator,
    line_g: f64,
    hum_g: f64,
    wander: f64,
    wander_keep: f64,
    wander_push_g: f64,
    drift_g: f64,
    common_g: f64,
    own_g: f64,
    own: Ringing,
}

impl PlateNoise {
    pub fn new(seed: u64, plate: PlateId, shelf: &ShelfNoise, rate_hz: f64) -> Self {
        let mut random = open(seed, Stream::Plate(plate));
        let quiet_g = quiet_std_g(shelf.level_score + LEVEL_STD[2] * normal(&mut random));
        let walk_log = shelf.walk_log + WALK_RATIO_LOG_STD[2] * normal(&mut random);
        let walk_g = quiet_g * (WALK_RATIO_MEDIAN * walk_log.exp()).min(WALK_RATIO_MAX);
        let [line, hum, wander, white] = shares(&mut random).map(f64::sqrt);
        let line_hz = LINE_HZ.0 + LINE_HZ.1 * normal(&mut random);
        let phase = random.random_range(0.0..std::f64::consts::TAU);
        let wander_s = random.random_range(WANDER_S.0..WANDER_S.1);
        let wander_keep = (-1.0 / (rate_hz * wander_s)).exp();
        let common_sign = sign(&mut random, 0.15);
        PlateNoise {
            white_g: quiet_g * white,
            line: Oscillator::new(line_hz, 1.0, phase, 1.0, rate_hz),
            // The variance of a sine is half the square of its amplitude.
            line_g: quiet_g * line * std::f64::consts::SQRT_2,
            hum_g: quiet_g * hum * std::f64::consts::SQRT_2,
            wander: quiet_g * wander * normal(&mut random),
            wander_keep,
            wander_push_g: quiet_g * wander * (1.0 - wander_keep * wander_keep).sqrt(),
            drift_g: DRIFT_G * normal(&mut random),
            common_g: walk_g * COMMON_SHARE.sqrt() * common_sign,
            own_g: walk_g * (1.0 - COMMON_SHARE).sqrt(),
            own: Ringing::draw(&mut random, rate_hz),
            random,
        }
    }

    /// Lets the zero drift on by `seconds`; once a chunk is enough for what takes a minute.
    pub fn drift(&mut self, seconds: f64) {
        self.line.renew();
        let keep = (-seconds / DRIFT_S).exp();
        self.drift_g =
            keep * self.drift_g + DRIFT_G * (1.0 - keep * keep).sqrt() * normal(&mut self.random);
    }

    /// The next sample, grams.
    pub fn next(&mut self, common: Common, unrest: Unrest) -> f64 {
        let random = &mut self.random;
        self.wander = self.wander_keep * self.wander + self.wander_push_g * normal(random);
        let own = self.own.step(random, unrest);
        self.drift_g
            + self.wander
            + self.white_g * normal(random)
            + self.line_g * self.line.step(0.0)
            + self.hum_g * common.hum
            + self.common_g * common.sway
            + self.own_g * own
    }
}

/// The measured quantile at a normal score; straight between the measured points, flat beyond them.
fn quiet_std_g(score: f64) -> f64 {
    let table = &QUIET_STD_BY_NORMAL_SCORE;
    let [(first, lowest), .., (last, highest)] = *table;
    if score <= first {
        return lowest;
    }
    (table.windows(2))
        .find_map(|pair| match *pair {
            [(x0, y0), (x1, y1)] if score <= x1 => Some(y0 + (y1 - y0) * (score - x0) / (x1 - x0)),
            _ => None,
        })
        .unwrap_or(if score > last { highest } else { lowest })
}

/// Shares of line, hum, wander and white noise; they add up to one.
fn shares(random: &mut ChaCha8Rng) -> [f64; 4] {
    let draws = SHARE_SHAPES.map(|shape| {
        let gamma = Gamma::new(shape, 1.0).expect("the shapes are positive constants");
        gamma.sample(random)
    });
    let sum: f64 = draws.iter().sum();
    if sum > 0.0 {
        draws.map(|draw| draw / sum)
    } else {
        [0.25; 4]
    }
}
