//! Event times of sample batches whose senders' clocks jitter.

use crate::units::Timestamp;

/// Seconds that a batch may be off the end of the last one and still count as its continuation.
const CONTIGUOUS_S: f64 = 0.050;
/// Batches over which the phase is averaged: long against the jitter of some milliseconds, short against the drift of a converter's clock.
const PHASE_BATCHES: f64 = 16.0;
/// Latest possible time: MCAP keeps nanoseconds in 64 bits, which end in 2554.
const LATEST_S: f64 = 16_725_225_600.0;

/// The time of these seconds since 1970, if it is one that a store can see.
pub(super) fn possible(seconds: f64) -> Option<Timestamp> {
    (seconds.is_finite() && (0.0..LATEST_S).contains(&seconds))
        .then(|| Timestamp::from_seconds(seconds))
}

/// Locks onto the phase of evenly spaced samples that arrive in batches with jittering times.
///
/// The converter samples by its own even clock, but a batch is stamped when it is sent. A batch that begins within
/// 50 ms of where the last one ended continues it, and its time is the predicted one, corrected by a fraction of
/// the error (a first-order phase-locked loop, whose gain falls from 1/2 to 1/16 as it settles). Anything further
/// off is a real gap, and the phase starts afresh. Samples never overlap: a batch begins at least half a period
/// after the last sample before it.
#[derive(Debug)]
pub(super) struct BatchClock {
    period_us: f64,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    /// Where the sample after the last one is due, microseconds.
    next_us: f64,
    /// Batches since the last gap.
    run: f64,
}

impl BatchClock {
    /// A clock for samples at `rate_hz`, which must be positive.
    pub(super) fn new(rate_hz: f64) -> Self {
        BatchClock {
            period_us: 1e6 / rate_hz,
            last: None,
        }
    }

    /// The time of the first sample of a batch of `samples` that was sent at `sent_at`. Batches come in the order of `sent_at`.
    pub(super) fn first_at(&mut self, sent_at: Timestamp, samples: usize) -> Timestamp {
        let length_us = samples as f64 * self.period_us;
        let measured_us = sent_at.0 as f64 - length_us;
        let (first_us, run) = match &self.last {
            None => (measured_us, 1.0),
            Some(last) => {
                let error_us = measured_us - last.next_us;
                let earliest_us = last.next_us - self.period_us / 2.0;
                if error_us.abs() <= CONTIGUOUS_S * 1e6 {
                    let gain = 1.0 / (last.run + 1.0).min(PHASE_BATCHES);
                    let smoothed_us = last.next_us + gain * error_us;
                    (smoothed_us.max(earliest_us), last.run + 1.0)
                } else {
                    (measured_us.max(earliest_us), 1.0)
                }
            }
        };
        self.last = Some(Last {
            next_us: first_us + length_us,
            run,
        });
        Timestamp(first_us.round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// First-sample times of batches of 12 at 60 Hz, sent at these microseconds.
    fn firsts(sent_us: &[i64]) -> Vec<i64> {
        let mut clock = BatchClock::new(60.0);
        sent_us
            .iter()
            .map(|&t| clock.first_at(Timestamp(t), 12).0)
            .collect()
    }

    #[test]
    fn a_steady_sender_gives_its_own_times() {
        let sent: Vec<i64> = (1..50).map(|i| i * SECOND / 5).collect();
        let expected: Vec<i64> = sent.iter().map(|t| t - SECOND / 5).collect();
        assert_eq!(firsts(&sent), expected);
    }

    #[test]
    fn jitter_is_smoothed() {
        // ±20 ms in a fixed pattern whose mean is zero.
        let jitter = [20_000, -20_000, 5_000, -5_000, 12_000, -12_000];
        let sent: Vec<i64> = (1..200)
            .map(|i| i * SECOND / 5 + jitter[i as usize % jitter.len()])
            .collect();
        for (index, pair) in firsts(&sent).windows(2).enumerate().skip(30) {
            let step = pair[1] - pair[0];
            assert!(
                (step - SECOND / 5).abs() < 2_500,
                "batch {index}: {step} µs"
            );
        }
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let sent = [200_000, 400_000, 3_400_000, 3_600_000];
        assert_eq!(firsts(&sent), [0, 200_000, 3_200_000, 3_400_000]);
    }

    #[test]
    fn batches_never_overlap() {
        let sent = [200_000, 200_000, 205_000, 230_000, 1_000_000];
        for pair in firsts(&sent).windows(2) {
            let last_sample = pair[0] + SECOND * 11 / 60;
            assert!(pair[1] >= last_sample + SECOND / 120 - 1, "{pair:?}");
        }
    }

    #[test]
    fn impossible_times() {
        for seconds in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(possible(seconds), None, "{seconds}");
        }
        assert_eq!(possible(1.5), Some(Timestamp(1_500_000)));
    }
}
