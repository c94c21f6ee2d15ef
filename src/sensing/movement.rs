//! What moved in the trace of one plate: the straight pieces of [`super::weight_step`] read as rests and moves.
//!
//! A *rest* is a stretch on one level. Between rests the weight moves: at once (an item that leaves), or along
//! slopes (an item that is lifted slowly, a hand that leans on the shelf). A sudden move upon a slope, an item taken
//! beside a resting hand, is told from it by going on with the straight lines on both sides. The moves of a trace sum
//! to the difference between its ends: what leaves a plate is accounted for.

use super::history::Trace;
use super::weight_step::{self, Piece};

/// A slope of less than this is drift, grams a block.
const DRIFT_G: f64 = 0.1;
/// A level is measured over at most so many values next to a move (1.5 s), so that drift does not count.
const LEVEL_VALUES: usize = 30;
/// A sudden move is this many times what the slopes beside it do meanwhile.
const SUDDEN: f64 = 3.0;
/// Ringing is less than this share of the move before it, and over after so many blocks (0.8 s).
const RINGING: (f64, f64) = (0.03, 16.0);
/// Values of a rest that a move comes to, and within how many blocks (0.25 s of rest within 0.8 s).
const STEADY: (usize, f64) = (5, 16.0);

/// A change of a plate's weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    /// When the trace last crossed the middle between the two levels, blocks.
    pub at: f64,
    /// Between which positions the weight moved, blocks.
    pub moved: (f64, f64),
    /// How long it took from 10 to 90 % of the way, blocks.
    pub took: f64,
    /// Blocks without a value in which it may have happened.
    pub unseen: f64,
    /// Grams; negative: weight left.
    pub delta: f64,
    /// Standard deviation of `delta` from noise alone, grams.
    pub sigma: f64,
    /// Whether the plate came to rest soon afterwards.
    pub steady_after: bool,
}

/// A stretch on one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rest {
    /// First and last position, blocks.
    pub from: u32,
    pub to: u32,
    /// Grams at its end.
    pub level: f64,
    /// Values that it was measured with.
    pub values: usize,
}

/// A trace, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Movement {
    pub moves: Vec<Move>,
    pub rests: Vec<Rest>,
    /// The trace does not end in a rest.
    pub unfinished: bool,
}

/// One or more pieces on one level, or one on a slope.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: usize,
    end: usize,
    still: bool,
    /// Its first and its last piece, equal for a slope.
    first: Piece,
    last: Piece,
}

struct Reader<'a> {
    trace: &'a Trace,
    sigma: f64,
    delta_min: f64,
}

/// Reads a trace. `sigma` is the noise of one block, grams; a move of less than `delta_min` grams, or less than four
/// times its own standard deviation, is none.
pub fn read(trace: &Trace, sigma: f64, delta_min: f64) -> Movement {
    let reader = Reader {
        trace,
        sigma,
        delta_min,
    };
    let stretches = reader.stretches();
    let mut moves = reader.moves(&stretches);
    silence_ringing(&mut moves);
    let last = trace.at.last().copied().unwrap_or(0);
    let rests: Vec<Rest> = (stretches.iter())
        .filter(|s| s.still)
        .map(|s| Rest {
            from: trace.at[s.start],
            to: trace.at[s.end - 1],
            level: reader.level(s, true).0,
            values: s.end - s.start,
        })
        .collect();
    for m in &mut moves {
        m.steady_after = rests.iter().any(|r| {
            let soon = f64::from(r.from) - m.moved.1 <= STEADY.1 && f64::from(r.to) > m.moved.1;
            soon && (r.values >= STEADY.0 || r.to == last)
        });
    }
    Movement {
        moves,
        unfinished: rests.last().is_none_or(|r| last - r.to > 3),
        rests,
    }
}

impl Reader<'_> {
    fn stretches(&self) -> Vec<Stretch> {
        let mut out: Vec<Stretch> = Vec::new();
        for piece in weight_step::pieces(self.trace, self.sigma) {
            let blocks = self.trace.at[piece.end - 1] - self.trace.at[piece.start];
            let moved = piece.slope * f64::from(blocks);
            let still = moved.abs() < 0.8 * self.delta_min.max(4.0 * self.sigma)
                || piece.slope.abs() < DRIFT_G;
            let new = Stretch {
                start: piece.start,
                end: piece.end,
                still,
                first: piece,
                last: piece,
            };
            match out.last_mut() {
                Some(before) if before.still && still && !self.differ(before, &new) => {
                    before.end = new.end;
                    before.last = piece;
                }
                Some(_) | None => out.push(new),
            }
        }
        out
    }

    fn differ(&self, before: &Stretch, after: &Stretch) -> bool {
        let ((from, a), (to, b)) = (self.level(before, true), self.level(after, false));
        self.means_something(to - from, a.hypot(b))
    }

    fn means_something(&self, delta: f64, sigma: f64) -> bool {
        delta.abs() >= self.delta_min.max(4.0 * sigma)
    }

    /// Grams at one end of a stretch, with their standard deviation. Of a level: the median of its nearest values,
    /// which the blocks at the very edge and a short press do not move.
    fn level(&self, stretch: &Stretch, at_end: bool) -> (f64, f64) {
        // Blocks are correlated while somebody walks: about one in three is news.
        let sigma = |values: usize| self.sigma * (3.0 / values.max(1) as f64).sqrt().min(1.0);
        if !stretch.still {
            let (piece, index) = if at_end {
                (stretch.last, stretch.end - 1)
            } else {
                (stretch.first, stretch.start)
            };
            let grams = piece.value(f64::from(self.trace.at[index]));
            return (grams, 2.0 * sigma(piece.values()));
        }
        let values = (stretch.end - stretch.start).min(LEVEL_VALUES);
        let range = if at_end {
            stretch.end - values..stretch.end
        } else {
            stretch.start..stretch.start + values
        };
        let mut sorted = self.trace.grams[range].to_vec();
        sorted.sort_by(f64::total_cmp);
        (middle(&sorted), sigma(values))
    }

    fn moves(&self, stretches: &[Stretch]) -> Vec<Move> {
        let mut out = Vec::new();
        let Some(first) = stretches.first() else {
            return out;
        };
        // Where the move under way began: index in the trace, grams and their sigma.
        let (mut since, mut from) = (first.start, self.level(first, false));
        for pair in stretches.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            if a.still {
                (since, from) = (a.end - 1, self.level(a, true));
            }
            match self.sudden(a, b) {
                Some((before, after)) => {
                    self.add(&mut out, since, a.end - 1, from, before);
                    self.add(&mut out, a.end - 1, b.start, before, after);
                    (since, from) = (b.start, after);
                }
                None if b.still => {
                    self.add(&mut out, since, b.start, from, self.level(b, false));
                }
                None => {}
            }
        }
        if let Some(last) = stretches.last().filter(|last| !last.still) {
            self.add(&mut out, since, last.end - 1, from, self.level(last, true));
        }
        out
    }

    /// The levels just before and just after a sudden move between two stretches, if there is one.
    fn sudden(&self, a: &Stretch, b: &Stretch) -> Option<((f64, f64), (f64, f64))> {
        let (end, start) = (
            f64::from(self.trace.at[a.end - 1]),
            f64::from(self.trace.at[b.start]),
        );
        let middle = (end + start) / 2.0;
        let along = |stretch: &Stretch, at_end: bool, piece: &Piece| {
            let (level, sigma) = self.level(stretch, at_end);
            if stretch.still {
                (level, sigma)
            } else {
                (piece.value(middle), sigma)
            }
        };
        let (before, after) = (along(a, true, &a.last), along(b, false, &b.first));
        let jump = after.0 - before.0;
        let gentle = |stretch: &Stretch, piece: &Piece| {
            stretch.still || SUDDEN * piece.slope.abs() * (start - end + 2.0) < jump.abs()
        };
        (self.means_something(jump, before.1.hypot(after.1))
            && gentle(a, &a.last)
            && gentle(b, &b.first))
        .then_some((before, after))
    }

    fn add(&self, out: &mut Vec<Move>, start: usize, end: usize, from: (f64, f64), to: (f64, f64)) {
        let (delta, sigma) = (to.0 - from.0, to.1.hypot(from.1));
        if !self.means_something(delta, sigma) || start >= end {
            return;
        }
        let (at, unseen) = self.crossing(start, end, from.0 + 0.5 * delta, delta);
        let (early, _) = self.crossing(start, end, from.0 + 0.1 * delta, delta);
        let (late, _) = self.crossing(start, end, from.0 + 0.9 * delta, delta);
        out.push(Move {
            at,
            moved: (
                f64::from(self.trace.at[start]),
                f64::from(self.trace.at[end]),
            ),
            took: (late - early - self.missing(start, end, (early, late))).max(0.0),
            unseen,
            delta,
            sigma,
            steady_after: true,
        });
    }

    /// Blocks without a value between two positions.
    fn missing(&self, start: usize, end: usize, (from, to): (f64, f64)) -> f64 {
        (self.trace.at[start..=end].windows(2))
            .filter(|pair| pair[1] - pair[0] > 1)
            .map(|pair| (f64::from(pair[0]).max(from), f64::from(pair[1]).min(to)))
            .map(|(a, b)| (b - a - 1.0).max(0.0))
            .sum()
    }

    /// The position at which the trace last came over to the far side of `grams` between two of its values, and the
    /// blocks without a value there.
    fn crossing(&self, start: usize, end: usize, grams: f64, delta: f64) -> (f64, f64) {
        let (at, values) = (&self.trace.at, &self.trace.grams);
        let near = |&i: &usize| (values[i] - grams) * delta < 0.0;
        let i = (start..end).rev().find(near).unwrap_or(start);
        let (a, b) = (f64::from(at[i]), f64::from(at[i + 1]));
        let unseen = b - a - 1.0;
        if unseen > 0.0 {
            return ((a + b) / 2.0, unseen);
        }
        let share = (grams - values[i]) / (values[i + 1] - values[i]);
        let share = if share.is_finite() {
            share.clamp(0.0, 1.0)
        } else {
            0.5
        };
        (a + share * (b - a), 0.0)
    }
}

/// How much a plate goes up and down by itself within the time of a pick, grams: the robust standard deviation of
/// the difference of blocks 0.3 s apart that no item moved between, beyond what noise of `sigma` a block explains. A
/// hand that rests on a plate, or beside it, never keeps quite still, while a footstep or a press is soon over.
/// `items` says between which positions items moved.
pub fn wander(trace: &Trace, items: &[(f64, f64)], sigma: f64) -> f64 {
    const APART: u32 = 6;
    const PAIRS_MIN: usize = 12;
    let moved = |a: f64, b: f64| {
        (items.iter()).any(|(from, to)| a < to + RINGING.1 && b > from - f64::from(APART))
    };
    let differences: Vec<f64> = (trace.at.iter().enumerate())
        .filter_map(|(i, &at)| {
            let j = i + trace.at[i..].iter().position(|&b| b == at + APART)?;
            let quiet = !moved(f64::from(at), f64::from(at + APART));
            quiet.then(|| (trace.grams[j] - trace.grams[i]).abs())
        })
        .collect();
    if differences.len() < PAIRS_MIN {
        return 0.0;
    }
    let spread = 1.48 * median(&differences);
    // Blocks are correlated while somebody walks.
    (spread * spread - 4.0 * sigma * sigma).max(0.0).sqrt()
}

/// After a large step a plate rings: what is small against it soon afterwards is part of it.
fn silence_ringing(moves: &mut Vec<Move>) {
    let mut kept: Vec<Move> = Vec::with_capacity(moves.len());
    for m in moves.drain(..) {
        match kept.last_mut() {
            Some(big)
                if m.at - big.at < RINGING.1 && m.delta.abs() < RINGING.0 * big.delta.abs() =>
            {
                big.delta += m.delta;
                big.moved.1 = m.moved.1;
            }
            Some(_) | None => kept.push(m),
        }
    }
    *moves = kept;
}

/// The median of values in any order.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    middle(&sorted)
}

/// The median of sorted values.
pub(crate) fn middle(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests;
