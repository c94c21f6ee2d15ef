//! One plate: its baseline, its noise, and whether something is going on.
//!
//! Samples are averaged to blocks of about 50 ms. While a plate is quiet its level follows the drift and its noise is
//! measured; a deviation that the noise does not explain makes it active until it has settled again. What happened in
//! between is for [`super::weight_step`] to say.

/// Blocks that must look settled before an active plate is quiet again (0.5 s).
pub const SETTLED_BLOCKS: usize = 10;
/// An active plate is looked at after this many blocks even if it never settles (8 s).
const ACTIVE_BLOCKS_MAX: usize = 160;
/// Noise below this is converter quantisation, grams.
const NOISE_MIN: f64 = 0.35;

/// What a block told about a plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    Quiet,
    /// It has just become active.
    Opened,
    Active,
    /// It has settled: the trace since it opened can be taken apart.
    Settled,
}

/// The state of one plate.
#[derive(Clone, Debug)]
pub struct Plate {
    /// Grams; meaningful as a difference only.
    level: f64,
    /// Standard deviation of a block around the level, grams.
    noise: f64,
    /// The deviations of the last two blocks.
    recent: [f64; 2],
    /// Blocks since it became active; 0 while it is quiet.
    active_blocks: usize,
    /// Blocks seen at all, up to the first level.
    warm_up: u32,
}

impl Default for Plate {
    fn default() -> Self {
        Plate {
            level: 0.0,
            noise: 2.0,
            recent: [0.0; 2],
            active_blocks: 0,
            warm_up: 0,
        }
    }
}

impl Plate {
    /// Standard deviation of one block, grams.
    pub fn noise(&self) -> f64 {
        self.noise
    }

    /// The quiet level, grams.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Whether something is going on.
    pub fn is_active(&self) -> bool {
        self.active_blocks > 0
    }

    /// Takes a block mean in grams. `last` gives the latest block means, newest last, this one included.
    #[inline]
    pub fn push(&mut self, value: f64, last: impl Fn() -> [f64; SETTLED_BLOCKS]) -> Activity {
        if self.warm_up < 4 {
            // The zero of a load cell means nothing: start wherever it stands.
            self.level = if self.warm_up == 0 {
                value
            } else {
                self.level + (value - self.level) / 3.0
            };
            self.warm_up += 1;
            return Activity::Quiet;
        }
        let deviation = value - self.level;
        if self.active_blocks > 0 {
            self.active_blocks += 1;
            return if self.has_settled(&last()) {
                Activity::Settled
            } else {
                Activity::Active
            };
        }
        let mean = (deviation + self.recent[0] + self.recent[1]) / 3.0;
        let limit = (3.2 * self.noise).max(3.5);
        self.recent = [self.recent[1], deviation];
        if deviation.abs() > 3.0 * limit || (mean.abs() > limit && deviation.abs() > limit) {
            self.active_blocks = 1;
            return Activity::Opened;
        }
        self.follow(deviation);
        Activity::Quiet
    }

    /// Takes note of a block in which the plate said nothing. [`Activity::Settled`]: it has been active and silent for
    /// so long that nothing more is to be expected.
    pub fn miss(&mut self) -> Activity {
        if self.active_blocks == 0 {
            return Activity::Quiet;
        }
        self.active_blocks += 1;
        if self.is_overdue() {
            Activity::Settled
        } else {
            Activity::Active
        }
    }

    /// Lets level (time constant 1 s) and noise (3 s) follow a quiet block; outliers pull no harder than three sigma.
    fn follow(&mut self, deviation: f64) {
        let bounded = deviation.clamp(-3.0 * self.noise, 3.0 * self.noise);
        self.level += bounded / 20.0;
        let variance = self.noise * self.noise;
        self.noise = (variance + (1.08 * bounded * bounded - variance) / 60.0)
            .sqrt()
            .max(NOISE_MIN);
    }

    /// Whether the last blocks lie as close together as the noise allows, and on no slope. The longer it takes, the
    /// more noise is allowed: a shopper who walks up makes a plate noisier for as long as they are near. Blocks
    /// without a value count for nothing.
    fn has_settled(&self, last: &[f64; SETTLED_BLOCKS]) -> bool {
        if self.active_blocks < SETTLED_BLOCKS + 1 {
            return false;
        }
        if self.is_overdue() {
            return true;
        }
        let active_s = self.active_blocks as f64 * 0.05;
        let quiet = self.noise.max(0.8);
        let allowed = quiet * (1.0 + (active_s - 1.5).clamp(0.0, 4.0) * 1.5);
        let half = SETTLED_BLOCKS / 2;
        let mean = |v: &[f64]| {
            let there = v.iter().filter(|v| !v.is_nan());
            let (sum, n) = there.fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
            (sum / f64::from(n), n)
        };
        let ((older, a), (newer, b)) = (mean(&last[..half]), mean(&last[half..]));
        if a.min(b) < 3 {
            return false;
        }
        let all = (older + newer) / 2.0;
        let squares = last
            .iter()
            .filter(|v| !v.is_nan())
            .map(|v| (v - all).powi(2));
        let spread = (squares.sum::<f64>() / f64::from(a + b)).sqrt();
        // On a slope the halves lie further apart than the blocks spread.
        spread <= 1.8 * allowed && (newer - older).abs() <= (1.6 * quiet).max(spread)
    }

    /// Whether it has been active for so long that it is looked at even if it has not settled.
    pub fn is_overdue(&self) -> bool {
        self.active_blocks >= ACTIVE_BLOCKS_MAX
    }

    /// Goes on being active, as if it had become so this many blocks ago.
    pub fn stay_active(&mut self, blocks: usize) {
        self.active_blocks = blocks.clamp(1, ACTIVE_BLOCKS_MAX - 1);
    }

    /// Makes the plate quiet at `level` with what its noise turned out to be.
    pub fn settle(&mut self, level: f64, noise: f64) {
        self.level = level;
        self.noise = noise.max(NOISE_MIN);
        self.recent = [0.0; 2];
        self.active_blocks = 0;
    }
}
