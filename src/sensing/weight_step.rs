//! Takes the weight trace of one plate apart into levels and the steps between them.
//!
//! A trace is cut into pieces of constant weight by exact dynamic programming over a bounded (biweight) loss, as in
//! P. Fearnhead and G. Rigaill, "Changepoint Detection in the Presence of Outliers", JASA 114 (2019): a press or a
//! footstep that lasts a few blocks costs no more than a fixed amount, so that it does not pass for a step.
//! What stays of a press is a short piece that goes out and comes back; [`steps`] leaves such pieces out.

use std::ops::Range;

/// A residual beyond this many sigma counts as this many.
const RESIDUAL_MAX: f64 = 4.0;
/// What another piece has to gain, in squared sigmas. Above the independent-noise value of about 3 ln n, because a
/// walking shopper makes the noise of a plate correlated.
const PIECE_PENALTY: f64 = 28.0;
/// A piece has at least this many blocks.
const PIECE_BLOCKS_MIN: usize = 4;
/// A piece that goes on in the direction of the step is a hesitation if it is shorter than this, seconds.
const HESITATION_S_MAX: f64 = 0.35;
/// A piece that goes out and comes back is a press if it is shorter than this, seconds.
pub(crate) const PRESS_S_MAX: f64 = 1.05;

/// A stretch of constant weight in a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// First block.
    pub start: usize,
    /// One past the last block.
    pub end: usize,
    /// Median over the piece, grams.
    pub level: f64,
}

impl Piece {
    fn blocks(&self) -> usize {
        self.end - self.start
    }
}

/// A change of weight between two pieces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Block at which the trace last crossed the middle between the two levels.
    pub block: usize,
    /// Blocks between which the weight moved.
    pub moved: (usize, usize),
    /// Grams; negative: weight left.
    pub delta: f64,
    /// Standard deviation of `delta` from noise alone, grams.
    pub sigma: f64,
}

/// Cuts a trace of block means (grams) into pieces of constant weight. `sigma` is the noise of one block, grams.
///
/// Cubic in the length of the trace at worst; a trace has at most a few hundred blocks.
pub fn pieces(trace: &[f64], sigma: f64) -> Vec<Piece> {
    let n = trace.len();
    if n < 2 * PIECE_BLOCKS_MIN {
        return if n == 0 {
            Vec::new()
        } else {
            vec![piece(trace, 0, n)]
        };
    }
    // best[j]: lowest cost of trace[..j]; from[j]: where its last piece starts.
    let mut best = vec![f64::INFINITY; n + 1];
    let mut from = vec![0; n + 1];
    best[0] = -PIECE_PENALTY;
    let mut sorted: Vec<f64> = Vec::with_capacity(n);
    for start in 0..=(n - PIECE_BLOCKS_MIN) {
        if !best[start].is_finite() && start > 0 {
            continue;
        }
        sorted.clear();
        for end in start + 1..=n {
            let value = trace[end - 1];
            let place = sorted.partition_point(|&v| v < value);
            sorted.insert(place, value);
            if end - start < PIECE_BLOCKS_MIN {
                continue;
            }
            let cost = best[start] + PIECE_PENALTY + loss(&sorted, sigma);
            if cost < best[end] {
                best[end] = cost;
                from[end] = start;
            }
        }
    }
    let mut out = Vec::new();
    let mut end = n;
    while end > 0 {
        out.push(piece(trace, from[end], end));
        end = from[end];
    }
    out.reverse();
    out
}

fn piece(trace: &[f64], start: usize, end: usize) -> Piece {
    let mut sorted = trace[start..end].to_vec();
    sorted.sort_by(f64::total_cmp);
    Piece {
        start,
        end,
        level: middle(&sorted),
    }
}

/// The bounded squared loss of a sorted piece around its median.
fn loss(sorted: &[f64], sigma: f64) -> f64 {
    let median = middle(sorted);
    let scale = 1.0 / sigma;
    (sorted.iter())
        .map(|v| {
            let r = (v - median) * scale;
            (r * r).min(RESIDUAL_MAX * RESIDUAL_MAX)
        })
        .sum()
}

/// The median of sorted values.
pub(crate) fn middle(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The steps of a trace: pieces that are presses or hesitations are left out, and what is smaller than
/// `delta_min` grams or four sigma is no step.
///
/// `block_s` is the length of a block in seconds; `sigma` the noise of one block in grams.
pub fn steps(trace: &[f64], sigma: f64, block_s: f64, delta_min: f64) -> Vec<Step> {
    let mut kept = pieces(trace, sigma);
    merge_insignificant(&mut kept, trace, sigma, delta_min);
    drop_transients(&mut kept, block_s);
    merge_insignificant(&mut kept, trace, sigma, delta_min);
    kept.windows(2)
        .filter_map(|pair| {
            let step = between(trace, &pair[0], &pair[1], sigma, delta_min);
            significant(&step, delta_min).then_some(step)
        })
        .collect()
}

fn significant(step: &Step, delta_min: f64) -> bool {
    step.delta.abs() >= delta_min.max(4.0 * step.sigma)
}

/// Joins neighbouring pieces, the most alike first, until every step between them means something.
fn merge_insignificant(kept: &mut Vec<Piece>, trace: &[f64], sigma: f64, delta_min: f64) {
    loop {
        let weakest = (kept.windows(2).enumerate())
            .map(|(i, pair)| (i, between(trace, &pair[0], &pair[1], sigma, delta_min)))
            .filter(|(_, step)| !significant(step, delta_min))
            .min_by(|a, b| a.1.delta.abs().total_cmp(&b.1.delta.abs()));
        let Some((i, _)) = weakest else { return };
        let joined = piece(trace, kept[i].start, kept[i + 1].end);
        kept.splice(i..=i + 1, [joined]);
    }
}

/// Leaves out inner pieces that are presses (out and back) or hesitations (on the way).
fn drop_transients(kept: &mut Vec<Piece>, block_s: f64) {
    loop {
        let transient = (1..kept.len().saturating_sub(1)).find(|&i| {
            let length_s = kept[i].blocks() as f64 * block_s;
            let into = kept[i].level - kept[i - 1].level;
            let out = kept[i + 1].level - kept[i].level;
            length_s
                < if into * out < 0.0 {
                    PRESS_S_MAX
                } else {
                    HESITATION_S_MAX
                }
        });
        let Some(i) = transient else { return };
        kept.remove(i);
    }
}

/// The step from one piece to the next. Levels are taken over at most 1.5 s next to the step, so that drift over a
/// long piece does not count. The blocks at the edge, where the weight is still moving, are left out: as many as lie
/// farther from the piece's own level than what makes a step, and at least one.
fn between(trace: &[f64], before: &Piece, after: &Piece, sigma: f64, delta_min: f64) -> Step {
    const LEVEL_BLOCKS: usize = 30;
    let far = delta_min.max(RESIDUAL_MAX * sigma);
    let moving = |piece: &Piece, i: usize| (trace[i] - piece.level).abs() > far;
    let trim = |r: Range<usize>, at_end: bool| match r.len() {
        0..=4 => r,
        _ if at_end => r.start..r.end - 1,
        _ => r.start + 1..r.end,
    };
    let old_end = (before.start..before.end)
        .rev()
        .find(|&i| !moving(before, i));
    let old_end = old_end.map_or(before.end, |i| (i + 2).min(before.end));
    let old = before.start.max(old_end.saturating_sub(LEVEL_BLOCKS))..old_end;
    let new_start = (after.start..after.end).find(|&i| !moving(after, i));
    let new_start = new_start.map_or(after.start, |i| i.saturating_sub(1).max(after.start));
    let new = new_start..after.end.min(new_start + LEVEL_BLOCKS);
    let (old, new) = (trim(old, true), trim(new, false));
    let level = |r: &Range<usize>| piece(trace, r.start, r.end).level;
    let (from, to) = (level(&old), level(&new));
    let block = crossing(trace, before.start..after.end, after.start, from, to);
    // Blocks are correlated while somebody walks: about one in three is news.
    let level_sigma = |blocks: usize| sigma * (3.0 / blocks.max(1) as f64).sqrt().min(1.0);
    Step {
        block,
        moved: (
            before.end.min(block).saturating_sub(1),
            after.start.max(block),
        ),
        delta: to - from,
        sigma: level_sigma(old.len()).hypot(level_sigma(new.len())),
    }
}

/// The block at which the trace last came over to the side of the new level, `near` where the two pieces meet. Where
/// exactly they meet says little: a block that lies far from both levels costs either piece the same.
fn crossing(trace: &[f64], within: Range<usize>, near: usize, from: f64, to: f64) -> usize {
    let half = (from + to) / 2.0;
    let over = |&i: &usize| (trace[i] - half) * (to - from) >= 0.0;
    let Some(there) = (near..within.end).find(over) else {
        return near;
    };
    let stays = (within.start..there).rev().take_while(over).count();
    there - stays
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Block means from `(level, blocks)` runs, with a little deterministic noise.
    fn trace(runs: &[(f64, usize)]) -> Vec<f64> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        runs.iter()
            .flat_map(|&(level, n)| vec![level; n])
            .map(|v| v + noise())
            .collect()
    }

    #[test]
    fn steps_of_made_up_traces() {
        let table: &[(&str, &[(f64, usize)], &[f64])] = &[
            ("nothing", &[(0.0, 40)], &[]),
            ("a pick", &[(0.0, 20), (-400.0, 20)], &[-400.0]),
            (
                "a pick after a press",
                &[(0.0, 20), (55.0, 5), (-400.0, 20)],
                &[-400.0],
            ),
            ("a touch", &[(0.0, 20), (120.0, 14), (0.0, 20)], &[]),
            (
                "two picks",
                &[(0.0, 20), (-40.0, 12), (-80.0, 20)],
                &[-40.0, -40.0],
            ),
            (
                "a pick and its put-back",
                &[(0.0, 20), (-200.0, 30), (0.0, 20)],
                &[-200.0, 200.0],
            ),
            (
                "a hesitation",
                &[(0.0, 20), (-100.0, 5), (-300.0, 20)],
                &[-300.0],
            ),
            ("a footstep", &[(0.0, 20), (80.0, 2), (0.0, 20)], &[]),
            ("a small step", &[(0.0, 20), (2.0, 20)], &[]),
        ];
        for (name, runs, expected) in table {
            let found: Vec<f64> = steps(&trace(runs), 0.5, 0.05, 6.0)
                .iter()
                .map(|s| s.delta)
                .collect();
            assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
            for (f, e) in found.iter().zip(*expected) {
                assert!((f - e).abs() < 1.0, "{name}: {found:?}");
            }
        }
    }

    /// A lift that takes 18 blocks, and a ringing pick: the pieces meet somewhere in the movement, or after it.
    #[test]
    fn blocks_that_are_still_moving_count_for_no_level_and_do_not_shift_the_time() {
        let ramp = (1..18).map(|i| (-300.0 * f64::from(i) / 18.0, 1));
        let slow: Vec<(f64, usize)> = [(0.0, 24)]
            .into_iter()
            .chain(ramp)
            .chain([(-300.0, 12)])
            .collect();
        let ringing = [
            (0.0, 25),
            (-120.0, 1),
            (-396.0, 1),
            (-582.0, 1),
            (-595.0, 1),
            (-604.0, 1),
            (-600.0, 10),
        ];
        for (name, runs, block, delta) in [
            ("slow", &slow[..], 32..=33, -300.0),
            ("ringing", &ringing, 26..=26, -600.0),
        ] {
            let found = steps(&trace(runs), 1.1, 0.05, 6.0);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!((found[0].delta - delta).abs() < 2.0, "{name}: {found:?}");
            assert!(block.contains(&found[0].block), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_step_is_timed_where_the_weight_changed() {
        let found = steps(
            &trace(&[(0.0, 20), (50.0, 6), (-400.0, 20)]),
            0.5,
            0.05,
            6.0,
        );
        assert_eq!(found[0].block, 26);
    }
}
