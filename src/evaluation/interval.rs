//! How far chance may have moved a figure: 95 % intervals over the cases.
//!
//! Units of one case stand or fall together (a lost track spoils all that a shopper took), so it is cases that are drawn
//! again, not units: the percentile bootstrap (Efron, "Bootstrap methods: another look at the jackknife", 1979).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::score::{Score, mean_f1, pooled};

/// Sets of cases that are drawn.
const RESAMPLES: usize = 2_000;
/// The draws are the same each time.
const SEED: u64 = 1979;
/// So much of the probability lies beyond each end.
const TAIL: f64 = 0.025;

/// From where to where a figure lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Of the mean F1 over cases.
pub fn of_mean_f1(scores: &[Score]) -> Interval {
    bootstrap(scores, mean_f1)
}

/// Of the pooled precision.
///
/// Where nothing was charged wrongly, no set of those cases shows an error either, and the bootstrap would claim
/// certainty. The lower end is then the exact one of a proportion (Clopper and Pearson, 1934), units taken as independent.
pub fn of_precision(scores: &[Score]) -> Interval {
    let all = pooled(scores);
    if all.wrong == 0 && all.right > 0 {
        let low = TAIL.powf(1.0 / all.right as f64);
        return Interval { low, high: 1.0 };
    }
    bootstrap(scores, |drawn| pooled(drawn).precision())
}

fn bootstrap(scores: &[Score], figure: impl Fn(&[Score]) -> f64) -> Interval {
    if scores.is_empty() {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut drawn = scores.to_vec();
    let mut figures: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            drawn.fill_with(|| scores[random.random_range(0..scores.len())]);
            figure(&drawn)
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    let beyond = (RESAMPLES as f64 * TAIL) as usize;
    Interval {
        low: figures[beyond],
        high: figures[RESAMPLES - 1 - beyond],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(right: u64, wrong: u64, missed: u64) -> Score {
        Score {
            right,
            wrong,
            missed,
            ..Score::default()
        }
    }

    #[test]
    fn equal_cases_leave_nothing_to_chance() {
        let interval = of_mean_f1(&[case(3, 1, 1); 8]);
        assert_eq!((interval.low, interval.high), (0.75, 0.75));
    }

    /// The mean of n draws of 0 or 1 has the standard deviation 0.5 / sqrt(n): the ends lie 1.96 of them away.
    #[test]
    fn the_width_is_that_of_a_mean_of_draws() {
        let scores: Vec<Score> = (0..400).map(|i| case(i % 2, 0, (i + 1) % 2)).collect();
        let interval = of_mean_f1(&scores);
        let reach = 1.96 * 0.5 / 20.0;
        assert!((interval.low - (0.5 - reach)).abs() < 0.006, "{interval:?}");
        assert!(
            (interval.high - (0.5 + reach)).abs() < 0.006,
            "{interval:?}"
        );
        assert_eq!(interval, of_mean_f1(&scores), "the draws are seeded");
    }

    #[test]
    fn more_cases_narrow_it() {
        let cases = [case(9, 1, 0), case(10, 0, 2), case(7, 3, 1), case(10, 0, 0)];
        let width = |n: usize| {
            let interval = of_precision(&cases.repeat(n));
            interval.high - interval.low
        };
        assert!(width(25) < width(1) / 3.0);
    }

    #[test]
    fn no_error_among_few_is_no_certainty() {
        let width = |units| 1.0 - of_precision(&[case(units, 0, 0)]).low;
        assert!((width(100) - 0.0362).abs() < 1e-4, "{}", width(100));
        assert!(width(1000) < width(100) / 9.0);
    }
}
