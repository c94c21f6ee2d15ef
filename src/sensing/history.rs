//! What a scale group said lately: block means by time.

use super::load_cell::SETTLED_BLOCKS;
use crate::units::Timestamp;

/// Block means of a scale group over the last blocks, all plates, with their times.
///
/// Blocks follow one another evenly: where samples are missing there are blocks without a value, so that a number of
/// blocks is always a length of time. Holds [`History::BLOCKS`] blocks; older ones are overwritten.
#[derive(Debug)]
pub struct History {
    columns: usize,
    /// Not a number where nothing was read.
    values: Vec<f32>,
    times: Vec<Timestamp>,
    /// Blocks ever pushed.
    count: u64,
    /// Length of a block, seconds.
    block_s: f64,
    /// From the middle of a block to its last sample, seconds.
    middle_s: f64,
    /// The first block after samples were missing, and how many blocks were.
    resumed: (u64, u64),
}

/// The values that one plate gave over a stretch of blocks; blocks without a value are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Position of each value, blocks since the beginning of the stretch.
    pub at: Vec<u32>,
    /// Grams.
    pub grams: Vec<f64>,
}

impl Trace {
    /// A trace without gaps.
    pub fn whole(grams: Vec<f64>) -> Self {
        Trace {
            at: (0..grams.len() as u32).collect(),
            grams,
        }
    }

    pub fn len(&self) -> usize {
        self.grams.len()
    }

    pub fn is_empty(&self) -> bool {
        self.grams.is_empty()
    }
}

impl History {
    /// Blocks kept: 12.8 s of 50 ms blocks.
    pub const BLOCKS: u64 = 256;

    /// An empty history of `columns` plates. A block is the mean of `samples` samples at `rate_hz`.
    pub fn new(columns: usize, samples: u32, rate_hz: f64) -> Self {
        let blocks = Self::BLOCKS as usize;
        History {
            columns,
            values: vec![f32::NAN; blocks * columns],
            times: vec![Timestamp::MIN; blocks],
            count: 0,
            block_s: f64::from(samples) / rate_hz,
            middle_s: f64::from(samples.saturating_sub(1)) / (2.0 * rate_hz),
            resumed: (u64::MAX, 0),
        }
    }

    /// Adds a block that ended at `at`; `value(column)` is its mean in grams, or `None` where nothing was read.
    pub fn push(&mut self, at: Timestamp, value: impl Fn(usize) -> Option<f64>) {
        let row = (self.count % Self::BLOCKS) as usize * self.columns;
        for column in 0..self.columns {
            self.values[row + column] = value(column).map_or(f32::NAN, |grams| grams as f32);
        }
        self.times[(self.count % Self::BLOCKS) as usize] = at;
        self.count += 1;
    }

    /// Adds blocks without a value up to `until`, the time at which the samples went on.
    pub fn skip_to(&mut self, until: Timestamp) {
        let Some(last) = self.count.checked_sub(1).map(|b| self.time(b)) else {
            return;
        };
        // More than everything that is kept would say no more.
        let missing = (until.seconds_since(last) / self.block_s).round() as i64;
        let missing = missing.clamp(0, Self::BLOCKS as i64);
        for block in 1..=missing {
            let share = block as f64 / missing as f64;
            self.push(last.plus_seconds(share * until.seconds_since(last)), |_| {
                None
            });
        }
        self.resumed = (self.count, missing as u64);
    }

    /// The blocks that are missing just before this one in the whole group.
    pub fn missing_before(&self, block: u64) -> u64 {
        if block == self.resumed.0 {
            self.resumed.1
        } else {
            0
        }
    }

    /// Takes back what a plate said in these blocks: it was no reading.
    pub fn forget(&mut self, blocks: std::ops::Range<u64>, column: usize) {
        for block in blocks.start.max(self.oldest())..blocks.end.min(self.count) {
            self.values[(block % Self::BLOCKS) as usize * self.columns + column] = f32::NAN;
        }
    }

    /// Blocks ever pushed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Length of a block, seconds.
    pub fn block_s(&self) -> f64 {
        self.block_s
    }

    /// The oldest block that is still there.
    pub fn oldest(&self) -> u64 {
        self.count.saturating_sub(Self::BLOCKS)
    }

    /// The end of a block.
    pub fn time(&self, block: u64) -> Timestamp {
        let block = block.clamp(self.oldest(), self.count.saturating_sub(1));
        self.times[(block % Self::BLOCKS) as usize]
    }

    /// The time at a position between blocks: whole numbers are the middles of blocks.
    pub fn moment(&self, position: f64) -> Timestamp {
        let whole = position.floor().max(0.0);
        let from_end_s = (position - whole) * self.block_s - self.middle_s;
        self.time(whole as u64).plus_seconds(from_end_s)
    }

    /// What a plate said in a block; not a number where nothing was read.
    pub fn value(&self, block: u64, column: usize) -> f64 {
        f64::from(self.values[(block % Self::BLOCKS) as usize * self.columns + column])
    }

    /// What a plate said in those of the blocks that are still there.
    pub fn trace(&self, blocks: std::ops::Range<u64>, column: usize) -> Trace {
        let mut trace = Trace::default();
        for block in blocks.start.max(self.oldest())..blocks.end.min(self.count) {
            let grams = self.value(block, column);
            if !grams.is_nan() {
                trace.at.push((block - blocks.start) as u32);
                trace.grams.push(grams);
            }
        }
        trace
    }

    /// The trace of a plate that said nothing for longer than its trace would go back: what it said until block
    /// `seen`, which was `level`, and what it says in `blocks`. Its first value is at block `seen` less `values`.
    pub fn trace_after_silence(
        &self,
        (seen, level, values): (u64, f64, u32),
        blocks: std::ops::Range<u64>,
        column: usize,
    ) -> Trace {
        let mut trace = Trace {
            at: (0..values).collect(),
            grams: vec![level; values as usize],
        };
        let shift = blocks.start - seen.min(blocks.start);
        let after = self.trace(blocks, column);
        (trace.at).extend(after.at.iter().map(|at| at + shift as u32 + values - 1));
        trace.grams.extend(after.grams);
        trace
    }

    /// The last blocks of a plate, newest last.
    pub fn latest(&self, column: usize) -> [f64; SETTLED_BLOCKS] {
        let first = self.count.saturating_sub(SETTLED_BLOCKS as u64);
        std::array::from_fn(|i| self.value((first + i as u64).min(self.count - 1), column))
    }
}
