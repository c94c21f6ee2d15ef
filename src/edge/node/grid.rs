//! Samples at even times. Converters run by clocks of their own, some percent off the nominal rate: each slot of the grid takes
//! the latest sample of each plate that fell into it, and a slot without one says so.

use crate::edge::converter::{Fault, Sample};

/// The grid of one node.
#[derive(Debug)]
pub struct Grid {
    period_us: f64,
    /// The slot that is being filled, counted from the start.
    slot: u64,
    began_us: u64,
    row: Vec<Option<Sample>>,
}

impl Grid {
    pub fn new(columns: usize, rate_hz: f64, began_us: u64) -> Self {
        Grid {
            period_us: 1e6 / rate_hz,
            slot: 0,
            began_us,
            row: vec![None; columns],
        }
    }

    /// Takes what a plate gave now. A count is not replaced by a fault of the same slot.
    pub fn put(&mut self, column: usize, sample: Sample) {
        if let Some(cell) = self.row.get_mut(column)
            && (sample.is_ok() || !matches!(cell, Some(Ok(_))))
        {
            *cell = Some(sample);
        }
    }

    /// Gives out the slots that are over at `now_us`: the time of the middle of each, and what each plate gave in it.
    pub fn close_until(&mut self, now_us: u64, mut slot: impl FnMut(u64, &[Option<Sample>])) {
        while now_us >= self.end_us(self.slot) {
            slot(self.middle_us(self.slot), &self.row);
            self.row.fill(None);
            self.slot += 1;
        }
    }

    /// When the slot that is being filled ends.
    pub fn next_us(&self) -> u64 {
        self.end_us(self.slot)
    }

    fn end_us(&self, slot: u64) -> u64 {
        self.began_us + ((slot + 1) as f64 * self.period_us).round() as u64
    }

    fn middle_us(&self, slot: u64) -> u64 {
        self.began_us + ((slot as f64 + 0.5) * self.period_us).round() as u64
    }
}

/// What a slot without any sample means: the converter runs a little slower than the grid, which is no fault.
pub const EMPTY: Sample = Err(Fault::Settling);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_the_latest_count_and_an_even_time() {
        let mut grid = Grid::new(2, 80.0, 1_000_000);
        let mut given = Vec::new();
        let mut at = |grid: &mut Grid, us, puts: &[(usize, Sample)]| {
            grid.close_until(us, |middle_us, row| given.push((middle_us, row.to_vec())));
            for (column, sample) in puts {
                grid.put(*column, *sample);
            }
        };
        at(
            &mut grid,
            1_001_000,
            &[(0, Ok(1)), (1, Err(Fault::NotReady))],
        );
        at(&mut grid, 1_011_000, &[(0, Ok(2))]);
        at(
            &mut grid,
            1_014_000,
            &[(0, Ok(3)), (0, Err(Fault::Bus)), (1, Ok(7))],
        );
        at(&mut grid, 1_050_000, &[]);
        let expected = [
            (1_006_250, vec![Some(Ok(2)), Some(Err(Fault::NotReady))]),
            (1_018_750, vec![Some(Ok(3)), Some(Ok(7))]),
            (1_031_250, vec![None, None]),
            (1_043_750, vec![None, None]),
        ];
        assert_eq!(given, expected);
        assert_eq!(grid.next_us(), 1_062_500);
    }
}
