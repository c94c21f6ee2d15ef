//! The mathematics of a calibration: what a plate read under known weights, and whether that makes sense.

use crate::store::PlateId;

/// Above this a cell is no use, grams.
const NOISE_MAX_G: f64 = 5.0;
/// A cell that is bent, touches something or has the wrong factor, percent of the heaviest weight.
const NONLINEARITY_MAX_PERCENT: f64 = 0.5;
/// It must come back so near to its zero, percent of the heaviest weight.
const RETURN_MAX_PERCENT: f64 = 0.5;
/// Fewer counts a gram are no load cell's.
const COUNTS_PER_GRAM_MIN: f64 = 2.0;
/// Another plate that answers with this share of what the loaded one does is in its place.
const OTHER_SHARE: f64 = 0.4;
/// Samples further out than so many standard deviations are spikes.
const SPIKE_SIGMAS: f64 = 5.0;

/// Some seconds of one plate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Counts.
    pub mean: f64,
    /// Standard deviation of a sample without its spikes, counts.
    pub noise: f64,
    pub spikes_percent: f64,
}

/// Makes a reading of counts; none of fewer than ten.
pub fn read(counts: &[i32]) -> Option<Reading> {
    if counts.len() < 10 {
        return None;
    }
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let median = f64::from(sorted[sorted.len() / 2]);
    let mut off: Vec<f64> = counts
        .iter()
        .map(|c| (f64::from(*c) - median).abs())
        .collect();
    off.sort_by(f64::total_cmp);
    // The median of the deviations is 0.6745 of a normal standard deviation, whatever the spikes.
    let noise = (off[off.len() / 2] / 0.6745).max(0.5);
    let is_in = |count: &&i32| (f64::from(**count) - median).abs() <= SPIKE_SIGMAS * noise;
    let inside: Vec<f64> = counts.iter().filter(is_in).map(|c| f64::from(*c)).collect();
    let spikes = counts.len() - inside.len();
    Some(Reading {
        mean: inside.iter().sum::<f64>() / inside.len().max(1) as f64,
        noise,
        spikes_percent: 100.0 * spikes as f64 / counts.len() as f64,
    })
}

/// Why a calibration is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "plate {0} gives no counts: look at its converter and cable (`stroll node` says what ails it)"
    )]
    Silent(PlateId),
    #[error(
        "plate {loaded} was loaded, and plate {answered} answered: their cables are swapped, in the wiring or in the configuration"
    )]
    Swapped { loaded: PlateId, answered: PlateId },
    #[error(
        "plate {plate} hardly answers: {counts_per_gram:.2} counts a gram; look at the cell's wires, and whether the plate lies on it"
    )]
    NoAnswer {
        plate: PlateId,
        counts_per_gram: f64,
    },
    #[error(
        "plate {plate} is not straight: a weight lies {percent:.2} % off the line; does the plate touch something, or was a weight another one?"
    )]
    Crooked { plate: PlateId, percent: f64 },
    #[error(
        "plate {plate} does not come back to its zero: {percent:.2} % of the heaviest weight is left; is something still on it?"
    )]
    NoReturn { plate: PlateId, percent: f64 },
    #[error("plate {plate} rustles by {noise_g:.1} g; look at shield, ground and supply")]
    Noisy { plate: PlateId, noise_g: f64 },
}

/// The straight line through what was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub counts_per_gram: f64,
    pub zero: f64,
    /// The farthest point off the line, percent of the heaviest weight.
    pub nonlinearity_percent: f64,
}

/// Fits a line by least squares to grams and counts; at least two different weights.
pub fn fit(points: &[(f64, f64)]) -> Option<Line> {
    let n = points.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let sxx: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    let sxy: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    if sxx <= 0.0 {
        return None;
    }
    let counts_per_gram = sxy / sxx;
    let zero = y - counts_per_gram * x;
    let heaviest = points.iter().map(|p| p.0.abs()).fold(0.0, f64::max);
    let off = |p: &(f64, f64)| ((p.1 - zero) / counts_per_gram - p.0).abs();
    let farthest = points.iter().map(off).fold(0.0, f64::max);
    Some(Line {
        counts_per_gram,
        zero,
        nonlinearity_percent: 100.0 * farthest / heaviest,
    })
}

/// Refuses if another plate answered in the place of the one that was loaded. Both in counts, before and after.
pub fn answered(
    loaded: PlateId,
    moved: f64,
    others: impl IntoIterator<Item = (PlateId, f64)>,
) -> Result<(), Refusal> {
    let strongest = others
        .into_iter()
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    match strongest {
        Some((answered, other))
            if other.abs() > 2_000.0 && other.abs() * OTHER_SHARE > moved.abs() =>
        {
            Err(Refusal::Swapped { loaded, answered })
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the line can be believed. `after`: the empty plate after all, counts.
pub fn judge(
    plate: PlateId,
    line: Line,
    empty: Reading,
    after: f64,
    heaviest_g: f64,
) -> Result<(), Refusal> {
    let counts_per_gram = line.counts_per_gram;
    if !counts_per_gram.is_finite() || counts_per_gram.abs() < COUNTS_PER_GRAM_MIN {
        return Err(Refusal::NoAnswer {
            plate,
            counts_per_gram,
        });
    }
    let noise_g = empty.noise / counts_per_gram.abs();
    if noise_g > NOISE_MAX_G {
        return Err(Refusal::Noisy { plate, noise_g });
    }
    let percent = line.nonlinearity_percent;
    if percent > NONLINEARITY_MAX_PERCENT {
        return Err(Refusal::Crooked { plate, percent });
    }
    let percent = 100.0 * ((after - empty.mean) / counts_per_gram).abs() / heaviest_g;
    if percent > RETURN_MAX_PERCENT {
        return Err(Refusal::NoReturn { plate, percent });
    }
    Ok(())
}

/// The school grade of a plate's noise.
pub fn grade(noise_g: f64, spikes_percent: f64) -> char {
    match (noise_g, spikes_percent) {
        (g, s) if g <= 0.5 && s <= 0.1 => 'A',
        (g, s) if g <= 1.5 && s <= 1.0 => 'B',
        (g, s) if g <= 3.0 && s <= 3.0 => 'C',
        _ => 'D',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plate(text: &str) -> PlateId {
        text.parse().unwrap()
    }

    #[test]
    fn a_reading_is_not_moved_by_spikes() {
        let counts: Vec<i32> = (0..200)
            .map(|i| {
                if i % 40 == 7 {
                    900_000
                } else {
                    1_000 + [-30, 10, 25, -5][i % 4]
                }
            })
            .collect();
        let reading = read(&counts).unwrap();
        assert!((reading.mean - 1_000.0).abs() < 5.0, "{reading:?}");
        assert!((reading.noise - 25.0).abs() < 15.0, "{reading:?}");
        assert_eq!(reading.spikes_percent, 2.5);
        assert_eq!(read(&counts[..9]), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let empty = Reading {
            mean: -5_000.0,
            noise: 40.0,
            spikes_percent: 0.0,
        };
        let points = |factor: f64, bend: f64| {
            vec![
                (0.0, -5_000.0),
                (1_000.0, -5_000.0 + 1_000.0 * factor + bend),
                (2_000.0, -5_000.0 + 2_000.0 * factor),
            ]
        };
        for (factor, bend, noise, after, said) in [
            (420.0, 0.0, 40.0, -5_000.0, ""),
            (-420.0, 0.0, 40.0, -5_000.0, ""),
            (420.0, 15_000.0, 40.0, -5_000.0, "is not straight"),
            (0.3, 0.0, 40.0, -5_000.0, "hardly answers: 0.30 counts"),
            (420.0, 0.0, 4_000.0, -5_000.0, "rustles by 9.5 g"),
            (
                420.0,
                0.0,
                40.0,
                20_000.0,
                "does not come back to its zero: 2.98 %",
            ),
        ] {
            let line = fit(&points(factor, bend)).unwrap();
            let judged = judge(
                plate("1.1.1"),
                line,
                Reading { noise, ..empty },
                after,
                2_000.0,
            );
            match judged {
                Ok(()) => assert_eq!(said, ""),
                Err(refusal) => {
                    let text = refusal.to_string();
                    assert!(!said.is_empty() && text.contains(said), "{text}");
                }
            }
        }
        assert_eq!(fit(&[(500.0, 1.0), (500.0, 2.0)]), None);
    }

    #[test]
    fn swapped_cables_are_found_by_who_answers() {
        let others = |counts: f64| [(plate("1.1.2"), 300.0), (plate("1.1.3"), counts)];
        assert_eq!(answered(plate("1.1.1"), 420_000.0, others(900.0)), Ok(()));
        let refusal = answered(plate("1.1.1"), 500.0, others(-420_000.0)).unwrap_err();
        let text = refusal.to_string();
        assert!(
            text.contains("1.1.1 was loaded, and plate 1.1.3 answered"),
            "{text}"
        );
    }
}
