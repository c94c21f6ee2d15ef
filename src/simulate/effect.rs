//! What hands do to the weight on a plate, over time.

/// Ringing of a plate after a lift falls to 1/e in this time, seconds.
const RING_DECAY_S: f64 = 0.14;
/// Ringing is forgotten after this, when a thousandth is left.
const RING_S: f64 = 7.0 * RING_DECAY_S;

/// A change of the weight on a plate over some time. Times are seconds since the simulation's start.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// A hand presses (or lifts, negative) for a while.
    Press {
        middle_t: f64,
        wide_s: f64,
        grams: f64,
    },
    /// Weight comes (or goes, negative) for good.
    Step { t: f64, ramp_s: f64, grams: f64 },
    /// The plate swings.
    Ring { t: f64, hz: f64, grams: f64 },
    /// A hand rests, unsteadily: it has come down `down_s` after `t`, and begins to let go at `until_t`.
    Rest {
        t: f64,
        until_t: f64,
        down_s: f64,
        up_s: f64,
        grams: f64,
        tremor: [Tremor; 3],
    },
}

/// A swing of the weight of a hand that rests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tremor {
    /// Of the hand's weight.
    pub part: f64,
    pub hz: f64,
    pub phase: f64,
}

impl Tremor {
    pub fn at(&self, t: f64) -> f64 {
        self.part * (std::f64::consts::TAU * self.hz * t + self.phase).sin()
    }
}

/// How a hand rests on a shelf. Times are seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub t: f64,
    pub until_t: f64,
    pub down_s: f64,
    pub up_s: f64,
}

/// From 0 to 1 with a soft start and stop.
fn smooth(k: f64) -> f64 {
    let k = k.clamp(0.0, 1.0);
    k * k * (3.0 - 2.0 * k)
}

impl Effect {
    pub fn at(&self, t: f64) -> f64 {
        match *self {
            Effect::Press {
                middle_t,
                wide_s,
                grams,
            } => grams * (-((t - middle_t) / wide_s).powi(4)).exp(),
            Effect::Step {
                t: t0,
                ramp_s,
                grams,
            } => {
                let k = ((t - t0) / ramp_s).clamp(0.0, 1.0);
                grams * k * k * (3.0 - 2.0 * k)
            }
            Effect::Ring { t: t0, hz, grams } if t >= t0 => {
                let d = t - t0;
                grams * (-d / RING_DECAY_S).exp() * (std::f64::consts::TAU * hz * d).sin()
            }
            Effect::Ring { .. } => 0.0,
            Effect::Rest {
                t: t0,
                until_t,
                down_s,
                up_s,
                grams,
                tremor,
            } => {
                let down = smooth((t - t0) / down_s) * (1.0 - smooth((t - until_t) / up_s));
                let swing: f64 = tremor.iter().map(|one| one.at(t - t0)).sum();
                grams * down * (1.0 + swing)
            }
        }
    }

    /// From when on it does not change any more.
    pub fn over_t(&self) -> f64 {
        match *self {
            // A gram of a hard press is left at 1.6 widths.
            Effect::Press {
                middle_t, wide_s, ..
            } => middle_t + 1.7 * wide_s,
            Effect::Step { t, ramp_s, .. } => t + ramp_s,
            Effect::Ring { t, .. } => t + RING_S,
            Effect::Rest { until_t, up_s, .. } => until_t + up_s,
        }
    }

    /// What of it stays for ever, grams.
    pub fn lasting(&self) -> f64 {
        match *self {
            Effect::Step { grams, .. } => grams,
            Effect::Press { .. } | Effect::Ring { .. } | Effect::Rest { .. } => 0.0,
        }
    }
}
