//! Whether a stated probability is what it says.

/// Shares of the exponentials of scores; they add up to 1.
pub fn softmax(scores: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let best = scores.clone().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.map(|s| (s - best).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// One row of a reliability table: answers of about the same stated probability.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Stated probabilities from here up to the next bin's.
    pub from: f64,
    pub to: f64,
    pub answers: usize,
    /// Mean of what was stated.
    pub stated: f64,
    /// Share of the answers that were right.
    pub right: f64,
}

/// A reliability table of `bins` equal bins over stated probabilities, from (probability, whether it was right); only bins
/// with answers.
pub fn table(answers: &[(f64, bool)], bins: usize) -> Vec<Bin> {
    let bins = bins.max(1);
    let mut found: Vec<(usize, f64, usize)> = vec![(0, 0.0, 0); bins];
    for &(stated, right) in answers {
        let bin = ((stated * bins as f64) as usize).min(bins - 1);
        found[bin].0 += 1;
        found[bin].1 += stated;
        found[bin].2 += usize::from(right);
    }
    let rows = found.into_iter().enumerate();
    rows.filter(|(_, (answers, _, _))| *answers > 0)
        .map(|(bin, (answers, stated, right))| Bin {
            from: bin as f64 / bins as f64,
            to: (bin + 1) as f64 / bins as f64,
            answers,
            stated: stated / answers as f64,
            right: right as f64 / answers as f64,
        })
        .collect()
}

/// Expected calibration error: the mean distance of stated from right, by answers (Guo et al., "On calibration of modern
/// neural networks", 2017). 0 for no answers.
pub fn expected_error(table: &[Bin]) -> f64 {
    let all: usize = table.iter().map(|b| b.answers).sum();
    let sum: f64 = (table.iter())
        .map(|b| b.answers as f64 * (b.stated - b.right).abs())
        .sum();
    sum / all.max(1) as f64
}

/// The temperature at which `softmax(scores / temperature)` makes the right answers most likely: (scores, index of the
/// right one). 0.05 to 20; 1 for no examples.
pub fn fit_temperature(examples: &[(Vec<f64>, usize)]) -> f64 {
    let loss = |log_temperature: f64| -> f64 {
        let temperature = log_temperature.exp();
        let of = |(scores, right): &(Vec<f64>, usize)| {
            let shares = softmax(scores.iter().map(|s| s / temperature));
            -shares.get(*right).copied().unwrap_or(1.0).max(1e-300).ln()
        };
        examples.iter().map(of).sum()
    };
    if examples.is_empty() {
        return 1.0;
    }
    // The loss is convex in 1/temperature, so it has one minimum: golden section.
    let shrink = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
    let inner = |low: f64, high: f64| (high - shrink * (high - low), low + shrink * (high - low));
    for _ in 0..60 {
        let (a, b) = inner(low, high);
        if loss(a) <= loss(b) {
            high = b;
        } else {
            low = a;
        }
    }
    f64::midpoint(low, high).exp()
}

/// The chance that a positive has a higher score than a negative (area under the ROC curve); ties count half. `None` if either
/// is missing.
pub fn auroc(positives: &[f64], negatives: &[f64]) -> Option<f64> {
    if positives.is_empty() || negatives.is_empty() {
        return None;
    }
    let mut sorted = negatives.to_vec();
    sorted.sort_by(f64::total_cmp);
    let wins: f64 = (positives.iter())
        .map(|p| {
            let below = sorted.partition_point(|n| n < p);
            let up_to = sorted.partition_point(|n| n <= p);
            (below + up_to) as f64 / 2.0
        })
        .sum();
    Some(wins / (positives.len() as f64 * negatives.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let shares = softmax([1000.0, 1000.0, -1000.0].into_iter());
        assert_eq!(shares, [0.5, 0.5, 0.0]);
        assert_eq!(softmax(std::iter::empty()), [0.0; 0]);
    }

    #[test]
    fn tables() {
        let answers = [
            (0.95, true),
            (0.95, true),
            (0.95, false),
            (0.15, false),
            (1.0, true),
        ];
        let rows = table(&answers, 10);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[1].answers, rows[1].right), (4, 0.75));
        let error = (4.0 * (0.9625 - 0.75) + 0.15) / 5.0;
        assert!((expected_error(&rows) - error).abs() < 1e-12);
        assert_eq!(expected_error(&table(&[], 10)), 0.0);
    }

    #[test]
    fn finds_the_temperature() {
        // Right in 3 of 4, whatever the scores say: softmax([t, 0]) = 0.75 at t = ln 3.
        let examples: Vec<(Vec<f64>, usize)> = (0..40)
            .map(|n| (vec![5.0, 0.0], usize::from(n % 4 == 0)))
            .collect();
        let temperature = fit_temperature(&examples);
        assert!(
            (temperature - 5.0 / 3.0_f64.ln()).abs() < 1e-3,
            "{temperature}"
        );
        assert_eq!(fit_temperature(&[]), 1.0);
    }

    #[test]
    fn areas() {
        for (positives, negatives, area) in [
            (&[0.9, 0.8][..], &[0.1, 0.2][..], Some(1.0)),
            (&[0.5], &[0.5], Some(0.5)),
            (&[0.1, 0.9], &[0.5], Some(0.5)),
            (&[], &[0.5], None),
        ] {
            assert_eq!(auroc(positives, negatives), area);
        }
    }
}
