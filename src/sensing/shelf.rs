//! One shelf: puts the steps of its plates together to changes.
//!
//! An item may stand across two plates, a hand may press one plate and pull at the next, and what happens on one
//! plate shakes its neighbours. Steps of neighbouring plates at the same moment are one change; a small step beside
//! a large one is leak and is explained by it.

use super::load_cell::{Activity, Plate, SETTLED_BLOCKS};
use super::weight_step::{self, Step};
use crate::observation::{ChangeKind, OpenInterval, PlateChange};
use crate::store::ShelfId;
use crate::units::{Milligrams, Timestamp};

/// Blocks before an opening that its trace takes in (1.25 s).
const BEFORE_BLOCKS: u64 = 25;
/// A change smaller than this is none, grams.
const DELTA_MIN_G: f64 = 6.0;
/// A press that moved a plate by less than this is not worth a touch, grams.
const TOUCH_MIN_G: f64 = 12.0;
/// Steps of neighbouring plates within this time are one change, seconds.
const TOGETHER_S: f64 = 0.35;
/// A neighbour's step below this share of the largest is leak.
const LEAK_SHARE: f64 = 0.13;
/// How long a step waits for an active neighbour to settle, seconds.
const NEIGHBOUR_WAIT_S: f64 = 0.7;
/// A change is noticed at most this long after its start, as it is given, seconds.
pub(super) const NOTICE_S: f64 = 0.25;
/// How long an opened plate may wait for a better measured level, seconds.
const PRECISION_WAIT_S: f64 = 2.5;

/// Block means of a scale group over the last blocks, all plates, with their times.
///
/// Holds [`History::BLOCKS`] blocks; older ones are overwritten.
#[derive(Debug)]
pub struct History {
    columns: usize,
    values: Vec<f32>,
    times: Vec<Timestamp>,
    /// Blocks ever pushed.
    count: u64,
    /// Length of a block, seconds.
    block_s: f64,
}

impl History {
    /// Blocks kept: 12.8 s of 50 ms blocks.
    pub const BLOCKS: u64 = 256;

    /// An empty history of `columns` plates.
    pub fn new(columns: usize, block_s: f64) -> Self {
        let blocks = Self::BLOCKS as usize;
        History {
            columns,
            values: vec![f32::NAN; blocks * columns],
            times: vec![Timestamp::MIN; blocks],
            count: 0,
            block_s,
        }
    }

    /// Adds a block that ended at `at`; `value(column)` is its mean in grams, or `None` where nothing was read: the last value then stands.
    pub fn push(&mut self, at: Timestamp, value: impl Fn(usize) -> Option<f64>) {
        let row = (self.count % Self::BLOCKS) as usize * self.columns;
        let previous = ((self.count + Self::BLOCKS - 1) % Self::BLOCKS) as usize * self.columns;
        for column in 0..self.columns {
            self.values[row + column] = match value(column) {
                Some(grams) => grams as f32,
                None if self.count > 0 => self.values[previous + column],
                None => f32::NAN,
            };
        }
        self.times[(self.count % Self::BLOCKS) as usize] = at;
        self.count += 1;
    }

    fn oldest(&self) -> u64 {
        self.count.saturating_sub(Self::BLOCKS)
    }

    fn time(&self, block: u64) -> Timestamp {
        let block = block.clamp(self.oldest(), self.count.saturating_sub(1));
        self.times[(block % Self::BLOCKS) as usize]
    }

    fn value(&self, block: u64, column: usize) -> f64 {
        f64::from(self.values[(block % Self::BLOCKS) as usize * self.columns + column])
    }

    fn trace(&self, blocks: std::ops::Range<u64>, column: usize) -> Vec<f64> {
        (blocks.start.max(self.oldest())..blocks.end.min(self.count))
            .map(|b| self.value(b, column))
            .collect()
    }

    fn latest(&self, column: usize) -> [f64; SETTLED_BLOCKS] {
        let first = self.count.saturating_sub(SETTLED_BLOCKS as u64);
        std::array::from_fn(|i| self.value((first + i as u64).min(self.count - 1), column))
    }

    fn median(&self, blocks: std::ops::Range<u64>, column: usize) -> f64 {
        let mut trace = self.trace(blocks, column);
        trace.sort_by(f64::total_cmp);
        weight_step::middle(&trace)
    }
}

/// A change that the shelf has finished with.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub start: Timestamp,
    pub peak: Timestamp,
    pub end: Timestamp,
    pub kind: ChangeKind,
    pub plates: Vec<PlateChange>,
}

#[derive(Debug)]
struct Cell {
    /// Index of the plate on its shelf.
    plate: u16,
    /// Column in the history.
    column: usize,
    state: Plate,
    /// Block at which it became active.
    opened: u64,
    /// Block from which on its level is its own: no trace goes back before it.
    quiet_since: u64,
}

/// A plate's step that waits to be put together with its neighbours'.
#[derive(Clone, Debug)]
struct Pending {
    cell: usize,
    opened: u64,
    peak: u64,
    settled: u64,
    /// `None`: a press without a step.
    step: Option<Step>,
}

/// The sensing of one shelf.
#[derive(Debug)]
pub struct ShelfSensor {
    pub id: ShelfId,
    cells: Vec<Cell>,
    pending: Vec<Pending>,
    /// Steps that went out lately: a neighbour's leak may settle later than the step that caused it.
    recent: Vec<(usize, u64, f64)>,
}

impl ShelfSensor {
    /// A shelf of plates given as (index on the shelf, column in the history), left to right.
    pub fn new(id: ShelfId, plates: impl IntoIterator<Item = (u16, usize)>) -> Self {
        let cells = (plates.into_iter())
            .map(|(plate, column)| Cell {
                plate,
                column,
                state: Plate::default(),
                opened: 0,
                quiet_since: 0,
            })
            .collect();
        ShelfSensor {
            id,
            cells,
            pending: Vec::new(),
            recent: Vec::new(),
        }
    }

    /// Looks at the latest block of the history.
    pub fn push(&mut self, history: &History, out: &mut Vec<Change>) {
        let now = history.count - 1;
        for index in 0..self.cells.len() {
            let cell = &mut self.cells[index];
            let value = history.value(now, cell.column);
            if value.is_nan() {
                // Its converter has said nothing yet: no trace goes back before its first word.
                cell.quiet_since = now + 1;
                continue;
            }
            match cell.state.push(value, || history.latest(cell.column)) {
                Activity::Quiet | Activity::Active => {}
                Activity::Opened => cell.opened = now,
                Activity::Settled => self.take_apart(index, history, now, false),
            }
        }
        if !self.pending.is_empty() {
            self.put_together(history, now, false, out);
        }
    }

    /// Ends everything that is open with what is known.
    pub fn finish(&mut self, history: &History, out: &mut Vec<Change>) {
        let Some(now) = history.count.checked_sub(1) else {
            return;
        };
        for index in 0..self.cells.len() {
            if self.cells[index].state.is_active() {
                self.take_apart(index, history, now, true);
            }
        }
        self.put_together(history, now, true, out);
    }

    /// The interval that is still open on this shelf, if any.
    pub fn open(&self, history: &History) -> Option<OpenInterval> {
        let active = self
            .cells
            .iter()
            .filter(|c| c.state.is_active())
            .map(|c| c.opened);
        let opened = active.chain(self.pending.iter().map(|p| p.opened)).min()?;
        Some(OpenInterval {
            shelf: self.id,
            since: start_of(history, opened),
        })
    }

    /// Takes the trace of a settled plate apart into pending steps.
    fn take_apart(&mut self, index: usize, history: &History, now: u64, last: bool) {
        let cell = &mut self.cells[index];
        let from = cell
            .opened
            .saturating_sub(BEFORE_BLOCKS)
            .max(cell.quiet_since)
            .max(history.oldest());
        let trace = history.trace(from..now + 1, cell.column);
        let (noise, settled_noise) = (
            cell.state.noise(),
            spread(&trace[trace.len().saturating_sub(SETTLED_BLOCKS)..]),
        );
        let sigma = noise.max(settled_noise).max(0.5);
        let steps = weight_step::steps(&trace, sigma, history.block_s, DELTA_MIN_G);
        let waited_s = (now - cell.opened) as f64 * history.block_s;
        let imprecise = steps
            .iter()
            .any(|s| s.sigma > (0.06 * s.delta.abs()).max(1.5));
        // What came may be a hand that rests and goes again.
        let pressed = (steps.last()).is_some_and(|s| {
            let since_s = (trace.len() - s.block) as f64 * history.block_s;
            s.delta > 0.0 && since_s < weight_step::PRESS_S_MAX
        });
        if (imprecise || pressed) && waited_s < PRECISION_WAIT_S && !last {
            cell.state.keep_active();
            return;
        }
        let mut tail = settled_tail(&trace, steps.last().map_or(0, |s| s.moved.1), sigma).to_vec();
        tail.sort_by(f64::total_cmp);
        let before = cell.state.level();
        cell.state.settle(
            weight_step::middle(&tail),
            0.5 * noise + 0.5 * settled_noise,
        );
        cell.quiet_since = now + 1 - tail.len() as u64;
        let pressed = || press(&trace, before, TOUCH_MIN_G.max(6.0 * sigma));
        if steps.is_empty()
            && let Some(block) = pressed()
        {
            self.pending.push(Pending {
                cell: index,
                opened: cell.opened,
                peak: from + block as u64,
                settled: now,
                step: None,
            });
        }
        for step in steps {
            let peak = from + step.block as u64;
            let moved = from + step.moved.0 as u64;
            // Never before the plate opened, however far back its trace goes: until then nobody was told of anything.
            let opened = cell.opened.max(moved.min(peak));
            self.pending.push(Pending {
                cell: index,
                opened,
                peak,
                settled: now,
                step: Some(step),
            });
        }
    }

    /// Puts pending steps together to changes, once no neighbour can add to them.
    fn put_together(&mut self, history: &History, now: u64, last: bool, out: &mut Vec<Change>) {
        self.pending.sort_by_key(|p| (p.peak, p.cell));
        let ready = |p: &Pending, cells: &[Cell]| {
            let near = p.cell.saturating_sub(1)..(p.cell + 2).min(cells.len());
            let waited_s = (now - p.settled) as f64 * history.block_s;
            last || waited_s > NEIGHBOUR_WAIT_S
                || cells[near]
                    .iter()
                    .all(|c| !c.state.is_active() || c.opened > p.settled)
        };
        let mut first = 0;
        while first < self.pending.len() {
            let members = self.together(first, history);
            if !members
                .iter()
                .all(|&m| ready(&self.pending[m], &self.cells))
            {
                first += 1;
                continue;
            }
            let change = self.change(&members, history, now);
            let explained = self.explained_by_recent(&members, history);
            self.remember(&members, now);
            if !explained {
                out.push(change);
            }
            let mut index = 0;
            self.pending.retain(|_| {
                index += 1;
                !members.contains(&(index - 1))
            });
        }
    }

    /// The pending steps that belong to the same change as `first`, `first` among them, in order of time.
    fn together(&self, first: usize, history: &History) -> Vec<usize> {
        let mut members = vec![first];
        let mut grown = true;
        while grown {
            grown = false;
            for candidate in 0..self.pending.len() {
                let p = &self.pending[candidate];
                let joins = !members.contains(&candidate)
                    && members.iter().any(|&m| {
                        let q = &self.pending[m];
                        p.cell.abs_diff(q.cell) == 1
                            && p.peak.abs_diff(q.peak) as f64 * history.block_s <= TOGETHER_S
                            && match (&p.step, &q.step) {
                                (Some(a), Some(b)) => a.delta * b.delta > 0.0 || leaks(a.delta, b.delta),
                                (None, _) | (_, None) => true,
                            }
                    })
                    // A plate takes part in a change once.
                    && members.iter().all(|&m| self.pending[m].cell != p.cell);
                if joins {
                    members.push(candidate);
                    grown = true;
                }
            }
        }
        members.sort_unstable();
        members
    }

    /// Whether these steps are leak of a larger one beside them that went out already.
    fn explained_by_recent(&self, members: &[usize], history: &History) -> bool {
        members
            .iter()
            .filter_map(|&m| Some((&self.pending[m], self.pending[m].step?)))
            .all(|(p, step)| {
                self.recent.iter().any(|&(cell, peak, delta)| {
                    cell.abs_diff(p.cell) == 1
                        && peak.abs_diff(p.peak) as f64 * history.block_s <= TOGETHER_S
                        && step.delta.abs() < delta.abs()
                        && leaks(step.delta, delta)
                })
            })
            && members.iter().any(|&m| self.pending[m].step.is_some())
    }

    fn remember(&mut self, members: &[usize], now: u64) {
        self.recent
            .retain(|(_, peak, _)| now.saturating_sub(*peak) < History::BLOCKS);
        let steps = members.iter().map(|&m| &self.pending[m]);
        self.recent
            .extend(steps.filter_map(|p| Some((p.cell, p.peak, p.step?.delta))));
    }

    fn change(&self, members: &[usize], history: &History, now: u64) -> Change {
        let pending = || members.iter().map(|&m| &self.pending[m]);
        let largest = (pending().filter_map(|p| Some((p, p.step?))))
            .max_by(|a, b| a.1.delta.abs().total_cmp(&b.1.delta.abs()));
        let opened = pending().map(|p| p.opened).min().unwrap_or(now);
        let mut plates: Vec<PlateChange> = match largest {
            None => pending()
                .map(|p| self.plate_change(p.cell, 0.0, 1.0))
                .collect(),
            Some((_, main)) => pending()
                .filter_map(|p| Some((p.cell, p.step?)))
                .filter(|(_, s)| !leaks(s.delta, main.delta))
                .map(|(cell, s)| self.plate_change(cell, s.delta, s.sigma))
                .collect(),
        };
        if let Some((p, main)) = largest {
            self.add_unnoticed(p, main, history, now, &mut plates);
        }
        plates.sort_by_key(|p| p.plate);
        Change {
            start: start_of(history, opened),
            peak: history.time(largest.map_or(self.pending[members[0]].peak, |(p, _)| p.peak)),
            // Not when the last plate settled: neighbours were waited for, and promises were made meanwhile.
            end: history.time(now),
            kind: match largest {
                None => ChangeKind::Touch,
                Some((_, main)) if main.delta < 0.0 => ChangeKind::Take,
                Some(_) => ChangeKind::Put,
            },
            plates,
        }
    }

    /// A neighbour that carried a part of the item may have changed by less than its own detection asks for.
    fn add_unnoticed(
        &self,
        p: &Pending,
        main: Step,
        history: &History,
        now: u64,
        plates: &mut Vec<PlateChange>,
    ) {
        for cell in [p.cell.wrapping_sub(1), p.cell + 1] {
            let Some(neighbour) = self.cells.get(cell) else {
                continue;
            };
            if neighbour.state.is_active()
                || plates.iter().any(|c| c.plate == neighbour.plate)
                || neighbour.plate.abs_diff(self.cells[p.cell].plate) != 1
                || self.pending.iter().any(|q| q.cell == cell)
                || neighbour.quiet_since > p.peak
            {
                continue;
            }
            let start = p.opened.min(p.peak);
            let before = history.median(
                start.saturating_sub(14)..start.saturating_sub(2),
                neighbour.column,
            );
            let after = history.median((p.peak + 6).min(now)..now + 1, neighbour.column);
            let (delta, sigma) = (after - before, neighbour.state.noise() * 0.8 + 0.3);
            if delta * main.delta > 0.0 && delta.abs() > 4.0 * sigma && !leaks(delta, main.delta) {
                plates.push(self.plate_change(cell, delta, sigma));
            }
        }
    }

    fn plate_change(&self, cell: usize, delta: f64, sigma: f64) -> PlateChange {
        PlateChange {
            plate: self.cells[cell].plate,
            delta_mg: Milligrams::from_grams(delta),
            sigma_mg: Milligrams::from_grams(sigma.max(0.2)),
        }
    }
}

/// Whether the smaller of two simultaneous steps on neighbouring plates is leak of the larger.
fn leaks(a: f64, b: f64) -> bool {
    let (small, large) = if a.abs() < b.abs() { (a, b) } else { (b, a) };
    small.abs() < LEAK_SHARE * large.abs()
}

/// The last blocks of a trace, which have settled, with up to as many before them that lie on the same level. A press
/// just before them is left out: it would pull the level off, and the plate would open again at once.
fn settled_tail(trace: &[f64], from: usize, sigma: f64) -> &[f64] {
    let last = from.max(trace.len().saturating_sub(SETTLED_BLOCKS));
    let last = last.min(trace.len().saturating_sub(1));
    let mut settled = trace[last..].to_vec();
    settled.sort_by(f64::total_cmp);
    let level = weight_step::middle(&settled);
    let alike = (trace[from.min(last)..last].iter().rev())
        .take(SETTLED_BLOCKS)
        .take_while(|v| (*v - level).abs() <= 4.0 * sigma)
        .count();
    &trace[last - alike..]
}

/// The block at which a trace was furthest from its level, if a hand pressed there: further than `grams_min`, and more
/// than half as far in the same direction for some blocks. A footstep shakes a plate both ways, and for less long.
fn press(trace: &[f64], level: f64, grams_min: f64) -> Option<usize> {
    const PRESSED_BLOCKS_MIN: usize = 3;
    let off = |i: usize| trace[i] - level;
    let furthest = (0..trace.len()).max_by(|&a, &b| off(a).abs().total_cmp(&off(b).abs()))?;
    let peak = off(furthest);
    let pressed = |&i: &usize| off(i) * peak.signum() > peak.abs() / 2.0;
    let after = (furthest..trace.len()).take_while(pressed).count();
    let before = (0..furthest).rev().take_while(pressed).count();
    (peak.abs() > grams_min && before + after >= PRESSED_BLOCKS_MIN).then_some(furthest)
}

/// A change begins a little before it can be noticed, and at most [`NOTICE_S`] before: that much a node's promises
/// leave for it.
fn start_of(history: &History, opened: u64) -> Timestamp {
    let earliest = history.time(opened).plus_seconds(-NOTICE_S);
    history.time(opened.saturating_sub(3)).max(earliest)
}

/// Robust standard deviation of a stretch that should be constant: 1.48 times the median absolute deviation.
fn spread(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = weight_step::middle(&sorted);
    let mut off: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
    off.sort_by(f64::total_cmp);
    1.48 * weight_step::middle(&off)
}
