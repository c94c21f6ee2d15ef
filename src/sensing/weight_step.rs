//! Cuts the weight trace of one plate into straight pieces.
//!
//! A piece is a stretch of constant or evenly changing weight. The cut is the exact minimum of the squared residuals
//! plus a price for each piece, found by dynamic programming (optimal partitioning: B. Jackson et al., "An algorithm
//! for optimal partitioning of data on an interval", IEEE Signal Processing Letters 12, 2005; with slopes as in
//! R. Maidstone, P. Fearnhead and A. Letchford, "Detecting changes in slope with an L0 penalty", JCGS 28, 2019).
//! A block that fits no piece is left out at a fixed price, which is the bounded loss of P. Fearnhead and
//! G. Rigaill, "Changepoint Detection in the Presence of Outliers", JASA 114 (2019): a footstep, and the blocks in
//! which an item is on its way, belong to no piece.

use super::history::Trace;

/// What a block costs that belongs to no piece: a residual of four sigma, squared.
const LEFT_OUT: f64 = 16.0;
/// What another piece costs, in squared sigmas. Above the independent-noise value of about 3 ln n, because a walking
/// shopper makes the noise of a plate correlated. Two blocks on one level are worth a piece, one is not.
const PIECE: f64 = 28.0;
/// What a slope costs besides.
const SLOPE: f64 = 12.0;
/// Blocks of a level, and of a slope, at least.
const LEVEL_BLOCKS_MIN: usize = 2;
const SLOPE_BLOCKS_MIN: usize = 4;

/// No slope goes on over more blocks without a value than this (1 s): what went meanwhile would pass for drift.
const SLOPE_UNSEEN_MAX: u32 = 20;

/// A straight stretch of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// Index of its first value in the trace.
    pub start: usize,
    /// One past the index of its last value.
    pub end: usize,
    /// Grams at its middle.
    pub level: f64,
    /// Grams a block.
    pub slope: f64,
    /// Position of its middle, blocks.
    pub middle: f64,
}

impl Piece {
    /// Grams at a position, along the straight line.
    pub fn value(&self, at: f64) -> f64 {
        self.level + self.slope * (at - self.middle)
    }

    /// Values in it.
    pub fn values(&self) -> usize {
        self.end - self.start
    }
}

/// Sums over the values up to each index, from which the straight line through any stretch follows at once.
struct Sums {
    /// One, position, square, grams, grams times position, grams squared.
    upto: Vec<[f64; 6]>,
    /// Grams are summed as differences from this, which keeps them small.
    zero: f64,
}

impl Sums {
    fn new(trace: &Trace) -> Self {
        let zero = trace.grams.first().copied().unwrap_or(0.0);
        let mut sum = [0.0; 6];
        let mut upto = vec![sum];
        for (&at, &grams) in trace.at.iter().zip(&trace.grams) {
            let (x, y) = (f64::from(at), grams - zero);
            for (total, term) in sum.iter_mut().zip([1.0, x, x * x, y, x * y, y * y]) {
                *total += term;
            }
            upto.push(sum);
        }
        Sums { upto, zero }
    }

    /// Means of position and grams, and the centred sums of squares xx, xy, yy.
    fn of(&self, start: usize, end: usize) -> (f64, f64, [f64; 3]) {
        let (a, b) = (&self.upto[start], &self.upto[end]);
        let [n, x, xx, y, xy, yy] = std::array::from_fn(|i| b[i] - a[i]);
        let (mx, my) = (x / n, y / n);
        (mx, my, [xx - x * mx, xy - x * my, (yy - y * my).max(0.0)])
    }

    /// Squared residuals of the best level, and of the best straight line.
    fn residuals(&self, start: usize, end: usize) -> (f64, f64) {
        let (_, _, [xx, xy, yy]) = self.of(start, end);
        (yy, (yy - xy * xy / xx).max(0.0))
    }

    fn piece(&self, start: usize, end: usize, sloped: bool) -> Piece {
        let (middle, level, [xx, xy, _]) = self.of(start, end);
        let slope = if sloped { xy / xx } else { 0.0 };
        Piece {
            start,
            end,
            level: level + self.zero,
            slope,
            middle,
        }
    }
}

/// Where the best cut of a beginning of the trace came from.
#[derive(Clone, Copy)]
enum From {
    LeftOut,
    Level(usize),
    Slope(usize),
}

/// Cuts a trace of block means into straight pieces, in their order. `sigma` is the noise of one block, grams.
///
/// Quadratic in the length of the trace, which has at most a few hundred blocks.
pub fn pieces(trace: &Trace, sigma: f64) -> Vec<Piece> {
    let n = trace.len();
    let sums = Sums::new(trace);
    let scale = 1.0 / (sigma * sigma);
    // best[j]: lowest cost of the first j values; from[j]: how their end came about.
    let mut best = vec![0.0; n + 1];
    let mut from = vec![From::LeftOut; n + 1];
    // The first value after the last long silence.
    let mut spoke = 0;
    for end in 1..=n {
        if end > 1 && trace.at[end - 1] - trace.at[end - 2] > SLOPE_UNSEEN_MAX {
            spoke = end - 1;
        }
        let mut lowest = (best[end - 1] + LEFT_OUT, From::LeftOut);
        let starts = &best[..(end + 1).saturating_sub(LEVEL_BLOCKS_MIN)];
        for (start, before) in starts.iter().map(|cost| cost + PIECE).enumerate() {
            if before >= lowest.0 {
                continue;
            }
            let (level, slope) = sums.residuals(start, end);
            let cost = before + level * scale;
            if cost < lowest.0 {
                lowest = (cost, From::Level(start));
            }
            let cost = before + SLOPE + slope * scale;
            if start >= spoke && end - start >= SLOPE_BLOCKS_MIN && cost < lowest.0 {
                lowest = (cost, From::Slope(start));
            }
        }
        (best[end], from[end]) = lowest;
    }
    let mut out = Vec::new();
    let mut end = n;
    while end > 0 {
        end = match from[end] {
            From::LeftOut => end - 1,
            From::Level(start) => {
                out.push(sums.piece(start, end, false));
                start
            }
            From::Slope(start) => {
                out.push(sums.piece(start, end, true));
                start
            }
        };
    }
    out.reverse();
    out
}
