//! What of a plate's samples can be relied on: the rest goes to sensing as missing, and is told as a fault.
//!
//! A plate that was ill for longer than [`ILL_AFTER_S`] may come back at another level: goods went meanwhile, or the
//! converter was reset, or another cell is in its place. Nobody can tell these apart, so the new level becomes the old one, and
//! the difference is told in grams as something that nobody watched: a person decides, and nobody is charged.

use std::collections::VecDeque;

use crate::edge::converter::{Fault, Sample};
use crate::recording::NO_COUNT;

/// Without a count for so long a plate is ill, seconds.
pub const ILL_AFTER_S: f64 = 0.3;
/// A converter that is just being set up may take this long, seconds.
const FIRST_AFTER_S: f64 = 0.9;
/// So many seconds of identical counts are a converter that is stuck: its last bits always move.
const STUCK_AFTER_S: f64 = 0.7;
/// After an illness a plate has to give counts for so long before it is believed, seconds.
const WELL_AFTER_S: f64 = 1.0;
/// It has to keep within this while it does, grams.
const WELL_WITHIN_G: f64 = 4.0;
/// The level before an illness is that of so long before it, seconds: a plug that is pulled bounces.
const LEVEL_BEFORE_S: f64 = 0.5;
const LEVEL_OVER_S: f64 = 0.5;
/// A difference below this is drift, grams.
const DRIFT_G: f64 = 3.0;
/// Beyond this much below zero or above its capacity no load cell is whole, grams and share.
const BELOW_ZERO_SHARE: f64 = 0.5;
const ABOVE_SHARE: f64 = 1.5;
/// A second in which this share of the reads was interrupted is told.
const INTERRUPTED_SHARE: f64 = 0.1;

/// What ails a plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Illness {
    /// The converter gives nothing.
    Silent,
    /// The converter is at its end, or beyond what the cell can weigh.
    Saturated,
    /// The same count again and again.
    Stuck,
    /// Reads are broken off: the supply breaks down, or the processor is too busy.
    Interrupted,
}

impl Illness {
    /// What the owner reads.
    pub fn sentence(self) -> &'static str {
        match self {
            Illness::Silent => {
                "the converter gives nothing: look at its supply and at the cable to the Pi"
            }
            Illness::Saturated => {
                "the converter is at its end: a wire of the load cell is off, or far too much lies on it"
            }
            Illness::Stuck => {
                "the same count again and again: the converter hangs, switch it off and on"
            }
            Illness::Interrupted => {
                "reads are broken off: the supply is too weak, or the processor too busy"
            }
        }
    }
}

/// What became of a plate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum News {
    Ill(Illness),
    /// It is well again, and stands so many grams higher than before.
    Well {
        moved_g: f64,
    },
}

/// How a plate's counts become grams.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub counts_per_gram: f64,
    /// The count of the empty plate, if it is known.
    pub zero: Option<i32>,
    /// What the load cell can weigh, grams.
    pub capacity_g: Option<f64>,
}

#[derive(Clone, Debug)]
enum State {
    Well,
    Ill(Illness),
    /// It gives counts again: those of late.
    Recovering(Illness, Vec<i32>),
}

/// One plate.
#[derive(Clone, Debug)]
pub struct PlateFeed {
    scale: Scale,
    rate_hz: f64,
    state: State,
    /// Taken from each count, so that the level after an illness is that before it.
    offset: i32,
    /// Counts of late, the offset taken off; those before an illness.
    recent: VecDeque<i32>,
    /// Slots since the last count that was good, and why.
    without: u32,
    why: Fault,
    last: i32,
    same: u32,
    /// Of the last second: reads, and how many were interrupted.
    reads: (u32, u32),
}

impl PlateFeed {
    pub fn new(scale: Scale, rate_hz: f64) -> Self {
        PlateFeed {
            scale,
            rate_hz,
            state: State::Well,
            offset: 0,
            recent: VecDeque::new(),
            without: 0,
            why: Fault::NotReady,
            last: NO_COUNT,
            same: 0,
            reads: (0, 0),
        }
    }

    /// What ails it now.
    pub fn illness(&self) -> Option<Illness> {
        match &self.state {
            State::Well => None,
            State::Ill(illness) | State::Recovering(illness, _) => Some(*illness),
        }
    }

    fn slots(&self, seconds: f64) -> u32 {
        (seconds * self.rate_hz).round().max(2.0) as u32
    }

    /// Takes one slot of the grid: what goes to sensing, and what is new about the plate.
    pub fn push(&mut self, sample: Option<Sample>) -> (i32, Option<News>) {
        let interrupted = self.count_interruptions(sample);
        let sample = sample.map(|sample| sample.and_then(|count| self.possible(count)));
        let (count, news) = match sample {
            Some(Ok(count)) => self.good(count),
            // A converter runs slower than the grid: an empty slot now and then means nothing.
            None => (NO_COUNT, self.missing(None)),
            Some(Err(fault)) => (NO_COUNT, self.missing(Some(fault))),
        };
        (count, news.or(interrupted))
    }

    fn possible(&self, count: i32) -> Sample {
        let Scale {
            counts_per_gram,
            zero: Some(zero),
            capacity_g: Some(capacity_g),
        } = self.scale
        else {
            return Ok(count);
        };
        let grams = f64::from(count.saturating_sub(zero)) / counts_per_gram;
        if (-BELOW_ZERO_SHARE * capacity_g..=ABOVE_SHARE * capacity_g).contains(&grams) {
            Ok(count)
        } else {
            Err(Fault::Saturated)
        }
    }

    fn good(&mut self, raw: i32) -> (i32, Option<News>) {
        self.without = 0;
        self.same = if raw == self.last { self.same + 1 } else { 0 };
        self.last = raw;
        if self.same >= self.slots(STUCK_AFTER_S) {
            return (NO_COUNT, self.falls_ill(Illness::Stuck));
        }
        let wait = self.slots(WELL_AFTER_S) as usize;
        match &mut self.state {
            State::Well => {
                let count = raw.saturating_sub(self.offset);
                self.remember(count);
                (count, None)
            }
            State::Ill(Illness::Stuck) if self.same > 0 => (NO_COUNT, None),
            State::Ill(illness) => {
                self.state = State::Recovering(*illness, vec![raw]);
                (NO_COUNT, None)
            }
            State::Recovering(_, counts) => {
                counts.push(raw);
                if counts.len() < wait {
                    return (NO_COUNT, None);
                }
                let (low, high) = (counts.iter().min(), counts.iter().max());
                let spread = low.zip(high).map_or(0, |(low, high)| high - low);
                if f64::from(spread) > WELL_WITHIN_G * self.scale.counts_per_gram.abs() {
                    counts.remove(0);
                    return (NO_COUNT, None);
                }
                let now = median(counts.iter().copied());
                (NO_COUNT, Some(self.recovers(now)))
            }
        }
    }

    /// Goes on at the level of before.
    fn recovers(&mut self, now: i32) -> News {
        self.state = State::Well;
        self.reads = (0, 0);
        let over = self.slots(LEVEL_OVER_S) as usize;
        if self.recent.is_empty() {
            return News::Well { moved_g: 0.0 };
        }
        let before = median(self.recent.iter().take(over).copied());
        let moved = now.saturating_sub(self.offset).saturating_sub(before);
        let moved_g = f64::from(moved) / self.scale.counts_per_gram;
        if moved_g.abs() < DRIFT_G {
            return News::Well { moved_g: 0.0 };
        }
        self.offset = self.offset.saturating_add(moved);
        News::Well { moved_g }
    }

    fn missing(&mut self, fault: Option<Fault>) -> Option<News> {
        self.without += 1;
        if let Some(fault) = fault.filter(|fault| *fault != Fault::Settling) {
            self.why = fault;
        }
        if let State::Recovering(illness, _) = &self.state
            && fault.is_some()
        {
            self.state = State::Ill(*illness);
        }
        let has_begun = self.last != NO_COUNT || self.illness().is_some();
        let patience_s = if has_begun {
            ILL_AFTER_S
        } else {
            FIRST_AFTER_S
        };
        if self.without < self.slots(patience_s) {
            return None;
        }
        let illness = match self.why {
            Fault::NotReady | Fault::Bus | Fault::Settling => Illness::Silent,
            Fault::Saturated => Illness::Saturated,
            Fault::Interrupted => Illness::Interrupted,
        };
        self.falls_ill(illness)
    }

    fn falls_ill(&mut self, illness: Illness) -> Option<News> {
        let was = self.illness();
        self.state = State::Ill(illness);
        (was != Some(illness)).then_some(News::Ill(illness))
    }

    /// Keeps the counts of the last second, oldest first.
    fn remember(&mut self, count: i32) {
        let kept = self.slots(LEVEL_BEFORE_S + LEVEL_OVER_S) as usize;
        if self.recent.len() >= kept {
            self.recent.pop_front();
        }
        self.recent.push_back(count);
    }

    /// A plate that is read half of the time still weighs; the owner should know all the same.
    fn count_interruptions(&mut self, sample: Option<Sample>) -> Option<News> {
        let is_interrupted = sample == Some(Err(Fault::Interrupted));
        self.reads = (self.reads.0 + 1, self.reads.1 + u32::from(is_interrupted));
        if self.reads.0 < self.slots(1.0) {
            return None;
        }
        let (reads, interrupted) = std::mem::take(&mut self.reads);
        let is_bad = f64::from(interrupted) > INTERRUPTED_SHARE * f64::from(reads);
        match self.state {
            State::Well if is_bad => self.falls_ill(Illness::Interrupted),
            State::Well | State::Ill(_) | State::Recovering(..) => None,
        }
    }
}

/// The middle of some counts; 0 of none.
fn median(counts: impl Iterator<Item = i32>) -> i32 {
    let mut counts: Vec<i32> = counts.collect();
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
