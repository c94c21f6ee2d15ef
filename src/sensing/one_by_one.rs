//! Several units of a product that left one after another, faster than the plates came to rest in between.
//!
//! Two hands at one facing may take an item each within a fifth of a second. No level shows then, but the sum of the
//! plates still has to pass through every whole number of units: when it crossed the middle between two of them is
//! when a unit left. A unit that takes its time passes all of them at one speed; units that are taken together pass
//! them at once, and stay one change.

use super::cell::Cell;
use super::combine::{self, DELTA_MIN_G, Joined, Kind};
use super::history::{History, Trace};
use super::movement::median;

/// Units are taken apart that leave further apart than this, blocks (0.11 s: more than one item takes to leave).
/// What is put down comes more slowly: a bag, a hand (0.3 s).
const APART_TAKEN: f64 = 2.2;
const APART_PUT: f64 = 6.0;
/// What took longer than this was lifted slowly, as one, blocks (1.2 s).
const TOOK_MAX: f64 = 24.0;
/// Shares of a plate that differ by less than this are alike.
const ALIKE: f64 = 0.08;
/// Blocks before the change that its level is measured over.
const BASE_BLOCKS: usize = 6;

/// When the plates have come to where a change leaves them, blocks after its middle.
const ARRIVED_BLOCKS: std::ops::Range<usize> = 3..14;
const ARRIVED_VALUES: usize = 3;

/// The sum of some plates, from just before a change on.
struct Passage {
    traces: Vec<Trace>,
    base: Vec<f64>,
    net: f64,
}

impl Passage {
    /// `None` where a plate said nothing in some of the blocks: that says nothing about the sum.
    fn new(joined: &Joined, cells: &[Cell], history: &History) -> Option<Self> {
        let first = joined.opened.checked_sub(BASE_BLOCKS as u64)?;
        let blocks = first..history.count();
        let traces: Vec<Trace> = (joined.cells.iter())
            .map(|c| history.trace(blocks.clone(), cells[c.0].place.column))
            .collect();
        let whole = (traces.iter()).all(|t| t.len() as u64 == blocks.end - blocks.start);
        let before = |t: &Trace| median(t.grams.get(..BASE_BLOCKS).unwrap_or(&[]));
        whole.then(|| Passage {
            base: traces.iter().map(before).collect(),
            net: joined.cells.iter().map(|c| c.1).sum(),
            traces,
        })
    }

    /// Grams that have come or gone by a block, on each plate.
    fn passed(&self, block: usize) -> impl Iterator<Item = f64> {
        (self.traces.iter().zip(&self.base)).map(move |(t, base)| t.grams[block] - base)
    }

    fn share(&self, block: usize) -> f64 {
        self.passed(block).sum::<f64>() / self.net
    }

    /// The position at which the sum first was over a share of the whole, and stayed there: a footstep does not.
    fn crossing(&self, share: f64) -> Option<f64> {
        let blocks = self.traces.first()?.len();
        let stays = |i: usize| (i..(i + 3).min(blocks)).all(|i| self.share(i) >= 0.7 * share);
        let after = (BASE_BLOCKS - 1..blocks).find(|&i| self.share(i) >= share && stays(i))?;
        let (a, b) = (self.share(after - 1), self.share(after));
        Some((after - 1) as f64 + ((share - a) / (b - a)).clamp(0.0, 1.0))
    }

    /// Whether the plates came to where the change says soon after `at`, to a fraction of a unit. If not, a hand
    /// pressed while the level before was measured.
    fn arrives(&self, at: f64, number: u32) -> bool {
        let blocks = self.traces.first().map_or(0, Trace::len);
        let soon = (at as usize + ARRIVED_BLOCKS.start).min(blocks)
            ..(at as usize + ARRIVED_BLOCKS.end).min(blocks);
        let near = |&i: &usize| (self.share(i) - 1.0).abs() < 0.35 / f64::from(number);
        soon.filter(near).count() >= ARRIVED_VALUES
    }

    /// Grams of each plate that had passed before unit `k` of those that crossed at these positions: as the plates
    /// stood in between, scaled to whole units; shared as in the end if a hand pressed just then.
    fn before(&self, k: usize, crossings: &[f64], cells: &[(usize, f64, f64)]) -> Vec<f64> {
        let wanted = self.net * k as f64 / crossings.len() as f64;
        let evenly = || cells.iter().map(|c| c.1 * wanted / self.net).collect();
        if k == 0 || k == crossings.len() {
            return evenly();
        }
        let between = ((crossings[k - 1] + crossings[k]) / 2.0).round() as usize;
        let scale = wanted / self.passed(between).sum::<f64>();
        if (0.5..2.0).contains(&scale) {
            self.passed(between).map(|grams| scale * grams).collect()
        } else {
            evenly()
        }
    }
}

/// Takes a change apart into the units, or groups of units, that left or came at different times.
pub fn take_apart(joined: Joined, cells: &[Cell], history: &History) -> Vec<Joined> {
    let net: f64 = joined.cells.iter().map(|c| c.1).sum();
    let sigma = (joined.cells.iter().map(|c| c.2 * c.2).sum::<f64>()).sqrt();
    let units: Vec<f64> = (joined.cells.iter())
        .flat_map(|c| cells[c.0].place.units.iter().copied())
        .collect();
    if joined.kind != Kind::Item || 2.0 * joined.half > TOOK_MAX {
        return vec![joined];
    }
    let number = combine::quantity(&units, net, sigma);
    let passage = Passage::new(&joined, cells, history).filter(|_| number > 1);
    let Some(passage) = passage else {
        return vec![joined];
    };
    let crossings: Option<Vec<f64>> = (0..number)
        .map(|k| passage.crossing((f64::from(k) + 0.5) / f64::from(number)))
        .collect();
    let arrived = |c: &Vec<f64>| c.last().is_some_and(|&last| passage.arrives(last, number));
    let Some(crossings) = crossings.filter(arrived) else {
        return vec![joined];
    };
    let apart = if net < 0.0 { APART_TAKEN } else { APART_PUT };
    let mut cuts: Vec<usize> = vec![0];
    cuts.extend((1..crossings.len()).filter(|&k| crossings[k] - crossings[k - 1] > apart));
    cuts.push(crossings.len());
    if cuts.len() < 3 {
        return vec![joined];
    }
    let begin = joined.opened as f64 - BASE_BLOCKS as f64;
    let part = |from: usize, to: usize| {
        let (old, new) = (
            passage.before(from, &crossings, &joined.cells),
            passage.before(to, &crossings, &joined.cells),
        );
        let (first, last) = (crossings[from], crossings[to - 1]);
        Joined {
            cells: (joined.cells.iter().zip(old.iter().zip(&new)))
                .map(|(c, (old, new))| (c.0, new - old, c.2.max(0.01 * net.abs())))
                .filter(|c| c.1 * net > 0.0 && c.1.abs() >= DELTA_MIN_G)
                .collect(),
            at: begin + (first + last) / 2.0,
            half: (last - first) / 2.0,
            stood: None,
            ..joined.clone()
        }
    };
    let parts: Vec<Joined> = cuts.windows(2).map(|cut| part(cut[0], cut[1])).collect();
    if parts.iter().all(|part| stands_alike(part, &joined)) {
        return vec![joined];
    }
    parts
}

/// Whether a part of a change lies on several plates in the very shares of the whole: no unit stands on another's
/// plates just so, but a bag that is lifted off them does.
fn stands_alike(part: &Joined, whole: &Joined) -> bool {
    let sum = |joined: &Joined| joined.cells.iter().map(|c| c.1).sum::<f64>();
    let share = |joined: &Joined, cell: usize| {
        let grams = joined.cells.iter().filter(|c| c.0 == cell).map(|c| c.1);
        grams.sum::<f64>() / sum(joined)
    };
    let largest = (whole.cells.iter()).map(|c| share(whole, c.0));
    largest.fold(0.0, f64::max) < 1.0 - ALIKE
        && (whole.cells.iter()).all(|c| (share(part, c.0) - share(whole, c.0)).abs() < ALIKE)
}

#[cfg(test)]
mod tests;
