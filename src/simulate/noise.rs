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
//! A plate is the sum of white noise, a first-order autoregressive wander, its line, its share of the shelf's hum
//! and, in proportion to the unrest at its gondola, of the shelf's ringing and of a ringing of its own. Levels are
//! drawn from the measured quantiles. How well it matches, as quantiles over the plates (recording | model, seeds 1
//! to 4, the same walk; a test holds it there):
//!
//! | | 10 % | 25 % | 50 % | 75 % | 90 % | 99 % |
//! |---|---|---|---|---|---|---|
//! | quiet, std, g | 0.37 \| 0.40 | 0.48 \| 0.49 | 0.67 \| 0.68 | 1.18 \| 1.09 | 2.24 \| 2.01 | 4.91 \| 4.77 |
//! | quiet, autocorrelation, lag 1 | -0.41 \| -0.31 | -0.15 \| -0.06 | 0.15 \| 0.19 | 0.50 \| 0.45 | 0.78 \| 0.67 | 0.98 \| 0.86 |
//! | quiet, lag 5 | 0.08 \| 0.19 | 0.25 \| 0.32 | 0.45 \| 0.49 | 0.58 \| 0.63 | 0.67 \| 0.72 | 0.91 \| 0.86 |
//! | quiet, lag 20 | -0.62 \| -0.49 | -0.29 \| -0.27 | -0.03 \| -0.04 | 0.19 \| 0.12 | 0.34 \| 0.28 | 0.65 \| 0.46 |
//! | walking, std, g | 0.68 \| 0.60 | 0.97 \| 0.88 | 1.34 \| 1.44 | 2.91 \| 2.90 | 7.06 \| 5.67 | 17.9 \| 15.6 |
//! | walking, lag 1 | -0.37 \| -0.23 | -0.26 \| -0.08 | 0.02 \| 0.08 | 0.24 \| 0.27 | 0.46 \| 0.42 | 0.89 \| 0.64 |
//! | walking, lag 5 | -0.39 \| -0.30 | -0.20 \| -0.11 | 0.04 \| 0.13 | 0.28 \| 0.35 | 0.47 \| 0.54 | 0.73 \| 0.72 |
//! | walking, lag 20 | -0.31 \| -0.26 | -0.18 \| -0.14 | -0.03 \| -0.01 | 0.07 \| 0.10 | 0.19 \| 0.19 | 0.48 \| 0.35 |
//! | walking, farthest from the median, g | 2.1 \| 1.9 | 3.1 \| 2.9 | 4.3 \| 5.5 | 9.9 \| 11.6 | 23.5 \| 24.6 | 53 \| 70 |
//!
//! Left out: the few plates of the recording that wander by many grams over seconds (lag 1 above 0.95), and the 31
//! whose converter says nothing.

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

/// What walking right in front adds, as a multiple of the quiet standard deviation, before the kicks of the feet:
/// median, and standard deviations of its logarithm between gondolas, between shelves and between plates. Chosen so
/// that the walk of the recording gives its quantiles.
const WALK_RATIO_MEDIAN: f64 = 1.75;
const WALK_RATIO_LOG_STD: [f64; 3] = [0.5, 0.65, 0.5];
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

#[cfg(test)]
mod tests {
    use super::super::body::Body;
    use super::super::scales::{BATCH_US, Scales};
    use crate::store::definition::{NANOSTORE, NANOSTORE_FILE, parse};
    use crate::units::Timestamp;

    /// Grams of each plate while somebody stands for 4.8 s before gondola 4, walks to gondola 1 in 4.2 s, and stands.
    fn traces(seed: u64) -> Vec<Vec<f64>> {
        let (definition, _) = parse(NANOSTORE, NANOSTORE_FILE).unwrap();
        let mut scales = Scales::new(seed, &definition.layout);
        let mut body = Body::new(seed, 0, 0.0, (3.3, -0.6));
        body.walk(4.83, 9.0, (0.74, -0.7));
        let mut traces = Vec::new();
        for chunk in 0..(9_000_000 / BATCH_US) {
            let mut first = 0;
            for batch in scales.next(Timestamp(0), chunk, &mut [&mut body]) {
                let plates = batch.group.plates.len();
                traces.resize_with(traces.len().max(first + plates), Vec::new);
                for sample in batch.counts.chunks(plates) {
                    for (column, &count) in sample.iter().enumerate() {
                        traces[first + column]
                            .push(f64::from(count) / batch.group.counts_per_gram[column]);
                    }
                }
                first += plates;
            }
        }
        traces
    }

    fn std(values: &[f64]) -> f64 {
        autocovariance(values, 0).sqrt()
    }

    fn autocovariance(values: &[f64], lag: usize) -> f64 {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let products = values.iter().zip(&values[lag..]);
        products.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n
    }

    /// The 10, 25, 50, 75, 90 and 99 % quantiles.
    fn quantiles(mut values: Vec<f64>) -> [f64; 6] {
        values.sort_by(f64::total_cmp);
        [0.1, 0.25, 0.5, 0.75, 0.9, 0.99]
            .map(|q| values[((values.len() - 1) as f64 * q).round() as usize])
    }

    #[test]
    fn the_model_matches_the_recording() {
        let seeds = [1, 2, 3, 4];
        let traces: Vec<Vec<f64>> = seeds.into_iter().flat_map(traces).collect();
        let of = |what: &dyn Fn(&[f64]) -> f64, from: usize, to: usize| {
            quantiles(traces.iter().map(|trace| what(&trace[from..to])).collect())
        };
        let lag =
            |lag: usize| move |v: &[f64]| autocovariance(v, lag) / autocovariance(v, 0).max(1e-9);
        let peak = |v: &[f64]| {
            let middle = quantiles(v.to_vec())[2];
            v.iter().map(|x| (x - middle).abs()).fold(0.0, f64::max)
        };
        // Recorded quantiles, and how far the model's may be from them: a factor for grams, a difference else.
        let grams = |got: f64, real: f64| (got / real).ln().abs() < 1.4_f64.ln();
        let correlation = |got: f64, real: f64| (got - real).abs() < 0.2;
        for (what, got, real, near) in [
            (
                "quiet std",
                of(&std, 0, 290),
                [0.37, 0.48, 0.67, 1.18, 2.24, 4.91],
                &grams as &dyn Fn(f64, f64) -> bool,
            ),
            (
                "quiet lag 1",
                of(&lag(1), 0, 290),
                [-0.41, -0.15, 0.15, 0.50, 0.78, 0.98],
                &correlation,
            ),
            (
                "quiet lag 5",
                of(&lag(5), 0, 290),
                [0.08, 0.25, 0.45, 0.58, 0.67, 0.91],
                &correlation,
            ),
            (
                "quiet lag 20",
                of(&lag(20), 0, 290),
                [-0.62, -0.29, -0.03, 0.19, 0.34, 0.65],
                &correlation,
            ),
            (
                "walk std",
                of(&std, 290, 520),
                [0.68, 0.97, 1.34, 2.91, 7.06, 17.88],
                &grams,
            ),
            (
                "walk lag 1",
                of(&lag(1), 290, 520),
                [-0.37, -0.26, 0.02, 0.24, 0.46, 0.89],
                &correlation,
            ),
            (
                "walk lag 5",
                of(&lag(5), 290, 520),
                [-0.39, -0.20, 0.04, 0.28, 0.47, 0.73],
                &correlation,
            ),
            (
                "walk lag 20",
                of(&lag(20), 290, 520),
                [-0.31, -0.18, -0.03, 0.07, 0.19, 0.48],
                &correlation,
            ),
            (
                "walk peak",
                of(&peak, 290, 520),
                [2.07, 3.13, 4.34, 9.88, 23.47, 53.00],
                &grams,
            ),
        ] {
            println!("{what:12} {}", got.map(|x| format!("{x:6.2}")).join(" "));
            // Beyond 90 % a handful of plates decide, in the recording as in the model.
            let all_near = got
                .iter()
                .zip(&real)
                .take(5)
                .all(|(&got, &real)| near(got, real));
            assert!(all_near, "{what}: {got:.2?}, recorded {real:.2?}");
        }
    }
}
