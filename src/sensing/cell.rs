//! One plate at work: which of its moves are items that come or leave, and which are a hand that leans on it.

use super::combine::{self, Kind, Pending};
use super::history::{History, Trace};
use super::load_cell::Plate;
use super::movement::{Move, Rest};

/// No item is put down or lifted as slowly as this: blocks from 10 to 90 % (3.5 s).
const MOVE_BLOCKS_MAX: f64 = 70.0;
/// What goes on after no more than so many blocks is one move with what was before (0.2 s).
const AT_ONCE: f64 = 4.0;
/// A load is gone when no more than this is left of it: grams, and share.
const LOAD_LEFT: (f64, f64) = (10.0, 0.05);
/// A plate is rid of what came if it reads what it did before, to so many grams.
const BARE_G: f64 = 6.0;
/// What is put down may be a hand or a bag from this many grams on. It sways by less than this share of its weight,
/// over at least so many blocks (0.2 s from 10 to 90 %), and a hand is no heavier than that.
const GUEST_MIN_G: f64 = 80.0;
const GUEST_SWAYS_MAX_G: f64 = 900.0;
const SWAY: f64 = 0.25;
const SWAY_BLOCKS: f64 = 4.0;

/// Blocks before an opening that its trace takes in (1.8 s), and what stands for them where the plate said nothing.
const BEFORE_BLOCKS: u64 = 36;
const KNOWN_VALUES: u32 = 12;
/// Blocks that are exactly equal on a plate that is stuck (1 s). A plate is lively if of so many blocks (5 s) more
/// than this share differ from the one before.
const STUCK_BLOCKS: u32 = 20;
/// From so many equal blocks on it may turn out to be stuck (0.25 s): it has not come to rest.
const STICKS_BLOCKS: u32 = 5;
/// Blocks by which a plate that speaks again is noticed to have changed.
const HEARD_BLOCKS: u64 = 3;
const LIVELY: (u32, f64) = (100, 0.6);

/// One plate of a shelf.
#[derive(Clone, Debug)]
pub struct Place {
    /// Index of the plate on its shelf.
    pub plate: u16,
    /// Column in the history.
    pub column: usize,
    /// What the products that stand there weigh, grams.
    pub units: Vec<f64>,
}

/// One plate at work: its state, and what is known to stand or lean on it.
#[derive(Debug)]
pub struct Cell {
    pub place: Place,
    pub state: Plate,
    /// Block at which it became active.
    pub opened: u64,
    /// Block from which on its level is its own: no trace goes back before it.
    pub quiet_since: u64,
    /// The last block in which it said something.
    pub seen: u64,
    /// When it last said nothing, until it has been quiet again.
    silence: Option<Silence>,
    liveliness: Liveliness,
    /// What leans on it and is no product, grams.
    load: f64,
    /// What was put down on it last.
    guest: Option<Guest>,
    /// What the plate read before that came, or before something leaned on it; and grams that moved since.
    bare: Option<f64>,
    moved: f64,
}

/// A while in which a plate said nothing, in blocks: when that was known, and when it spoke again.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: u64,
    over: Option<u64>,
}

/// Whether the readings of a plate change, as those of a working converter do.
#[derive(Clone, Copy, Debug, Default)]
struct Liveliness {
    last: f64,
    /// Blocks that equalled the one before, in a row.
    same: u32,
    /// Blocks that did not, and all blocks while it was not stuck.
    changed: u32,
    all: u32,
}

impl Liveliness {
    fn is_stuck(&self) -> bool {
        self.same >= STUCK_BLOCKS && self.is_lively()
    }

    fn is_lively(&self) -> bool {
        self.all > LIVELY.0 && f64::from(self.changed) > LIVELY.1 * f64::from(self.all)
    }
}

/// A thing that was put down and has not left.
#[derive(Clone, Copy, Debug)]
struct Guest {
    /// The block by which it had come.
    since: u64,
    grams: f64,
    /// How much heavier it seems since: a hand sways, a bag sags onto the next plate.
    sway: f64,
}

/// What a plate read at rest before and after a move, grams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels {
    pub before: Option<f64>,
    pub after: Option<f64>,
}

impl Levels {
    /// Those of a move of a trace.
    pub fn around(m: &Move, rests: &[Rest]) -> Self {
        let before = (rests.iter().rev()).find(|r| f64::from(r.to) <= m.moved.0 + 1.0);
        let after = (rests.iter()).find(|r| f64::from(r.from) >= m.moved.1 - 1.0);
        Levels {
            before: before.map(|r| r.level),
            after: after.map(|r| r.level),
        }
    }
}

/// What may be left of a load that is gone, grams.
fn left_of(load: f64) -> f64 {
    LOAD_LEFT.0.max(LOAD_LEFT.1 * load.abs())
}

impl Cell {
    /// A plate that has said nothing yet.
    pub fn new(place: Place) -> Self {
        Cell {
            place,
            state: Plate::default(),
            opened: 0,
            quiet_since: 0,
            seen: 0,
            silence: None,
            liveliness: Liveliness::default(),
            load: 0.0,
            guest: None,
            bare: None,
            moved: 0.0,
        }
    }

    /// How many of its last blocks, `value` being the latest, are no readings: the converter of a lively plate is
    /// stuck when they are exactly equal for a second. Noise alone never does that to a plate whose blocks mostly
    /// differ; a coarse or a dead one may stay the same for ever, and is believed.
    pub fn stuck(&mut self, value: f64) -> u64 {
        let l = &mut self.liveliness;
        let was_stuck = l.is_stuck();
        if value != l.last {
            l.last = value;
            l.same = 0;
            l.changed = l.changed.saturating_add(1);
            l.all = l.all.saturating_add(1);
            // The block in which it reads again is in part what it was stuck at.
            return u64::from(was_stuck);
        }
        l.same = l.same.saturating_add(1);
        if l.same < STUCK_BLOCKS {
            l.all = l.all.saturating_add(1);
        }
        match (was_stuck, l.is_stuck()) {
            (_, false) => 0,
            (false, true) => u64::from(STUCK_BLOCKS) + 1,
            (true, true) => 1,
        }
    }

    /// Whether it may turn out to be stuck: what it reads is no level yet.
    pub fn may_be_stuck(&self) -> bool {
        self.liveliness.same >= STICKS_BLOCKS && self.liveliness.is_lively()
    }

    /// Takes note of whether it said something in the latest block.
    pub fn heard(&mut self, silent: bool, now: u64) {
        if silent {
            // Of one that never spoke nothing is awaited.
            let begun = (self.seen > 0).then_some(now);
            let since = self.silence.map_or(begun, |silence| Some(silence.since));
            self.silence = since.map(|since| Silence { since, over: None });
            return;
        }
        let mut heard = 0;
        if let Some(silence) = &mut self.silence {
            heard = now - *silence.over.get_or_insert(now);
        }
        if !self.state.is_active() && (self.silence.is_none() || heard >= HEARD_BLOCKS) {
            // Where it opens is looked up from where it was seen last.
            (self.seen, self.silence) = (now, None);
        }
    }

    /// The block from which on it cannot vouch that nothing happened: it is active, or it says nothing. A plate that
    /// has been silent for longer than what is kept is taken for dead: nothing waits for it any more.
    pub fn open_since(&self, now: u64) -> Option<u64> {
        let opened = self.state.is_active().then_some(self.opened);
        opened.into_iter().chain(self.unheard_since(now)).min()
    }

    /// The block from which on it has been silent, up to now or up to when it opened.
    pub fn unheard_since(&self, now: u64) -> Option<u64> {
        let since = self.silence.map(|silence| silence.since);
        since.filter(|since| now - since < History::BLOCKS)
    }

    /// Its trace since a while before it opened, and the block that it begins at. Where it said nothing in that while,
    /// the trace goes back to when it last did.
    pub fn trace(&self, history: &History, now: u64) -> (u64, Trace) {
        let from = (self.opened.saturating_sub(BEFORE_BLOCKS))
            .max(self.quiet_since)
            .max(history.oldest());
        let column = self.place.column;
        // What opened it may be a few blocks old by then.
        let over = self.silence.and_then(|silence| silence.over);
        let heard = over.unwrap_or(self.opened).min(self.opened);
        let silent = (from..heard).all(|b| history.value(b, column).is_nan());
        if !silent || from <= self.seen || self.seen < u64::from(KNOWN_VALUES) {
            return (from, history.trace(from..now + 1, column));
        }
        let known = (self.seen, self.state.level(), KNOWN_VALUES);
        let trace = history.trace_after_silence(known, heard..now + 1, column);
        (self.seen + 1 - u64::from(KNOWN_VALUES), trace)
    }

    /// What a move of its trace, which begins at block `from`, has to be put together with others as.
    pub fn pending(
        &mut self,
        cell: usize,
        (m, levels): (&Move, Levels),
        kind: Kind,
        from: u64,
        now: u64,
    ) -> Pending {
        // Never before the plate opened or fell silent, however far back its trace goes: until then nobody was told of
        // anything.
        let begun = from + m.moved.0 as u64;
        let told = self.unheard_since(now).unwrap_or(self.opened);
        let delta = match kind {
            Kind::Item => self.received(m.delta, levels, from + m.moved.1 as u64),
            Kind::Foreign | Kind::Touch => self.borne(m.delta, levels),
        };
        Pending {
            cell,
            opened: begun.max(told.min(self.opened)),
            at: from as f64 + m.at,
            took: m.took,
            unseen: m.unseen,
            settled: now,
            kind,
            delta,
            sigma: m.sigma,
            wander: 0.0,
        }
    }

    /// Takes note of something that came or left, and says what it weighs: what was put down takes as much away with
    /// it as it brought, however it swayed in between.
    fn received(&mut self, delta: f64, levels: Levels, since: u64) -> f64 {
        let arriving = (self.guest)
            .filter(|g| since < g.since + combine::PRESS as u64 && delta > -SWAY * g.grams);
        if let Some(guest) = arriving {
            // A hand comes in steps, and presses before it rests.
            let grams = guest.grams + delta;
            self.guest = Some(Guest { grams, ..guest });
            return delta;
        }
        if delta >= GUEST_MIN_G {
            self.guest = Some(Guest {
                since,
                grams: delta,
                sway: 0.0,
            });
            (self.bare, self.moved) = (levels.before, 0.0);
            return delta;
        }
        let Some(guest) = self.guest.filter(|_| delta < 0.0) else {
            self.moved += delta;
            return delta;
        };
        if (guest.grams + guest.sway + delta).abs() <= left_of(guest.grams) {
            (self.guest, self.bare) = (None, None);
            return match guest.sway == 0.0 {
                true => delta,
                false => -guest.grams,
            };
        }
        if 2.0 * -delta > guest.grams && self.is_bare_at(levels.after) {
            // What seemed to move meanwhile was its sway, if the plate is back without counting it.
            let sway = guest.sway
                + if self.is_at(0.0, levels.after) {
                    self.moved
                } else {
                    0.0
                };
            (self.guest, self.bare) = (None, None);
            return -(guest.grams + sway);
        }
        self.moved += delta;
        delta
    }

    fn is_at(&self, moved: f64, level: Option<f64>) -> bool {
        (self.bare.zip(level)).is_some_and(|(bare, level)| (level - bare - moved).abs() < BARE_G)
    }

    /// Whether a plate that reads so is rid of what had come: whatever it seemed to weigh meanwhile, it is back where
    /// it was.
    fn is_bare_at(&self, level: Option<f64>) -> bool {
        self.is_at(0.0, level) || self.is_at(self.moved, level)
    }

    /// Takes note of what is no product.
    fn borne(&mut self, delta: f64, levels: Levels) -> f64 {
        if self.guest.is_none() && self.load == 0.0 {
            (self.bare, self.moved) = (levels.before, 0.0);
        }
        match &mut self.guest {
            Some(guest) if delta.abs() < SWAY * guest.grams => guest.sway += delta,
            Some(_) | None => self.load += delta,
        }
        if self.load.abs() < LOAD_LEFT.0 {
            self.load = 0.0;
        }
        delta
    }

    /// Whether a move can be an item. A hand that leans on a plate comes slowly or does not keep still; it has left
    /// when the weight is back where it was but for what was taken meanwhile.
    pub fn kind(&self, (m, levels): (&Move, Levels), next: Option<&Move>, from: u64) -> Kind {
        let left = (self.load + m.delta).abs();
        let small = left_of(self.load);
        let lifted = self.load * m.delta < 0.0;
        let slow = m.took > combine::SLOW;
        let bare = 2.0 * m.delta.abs() > self.load.abs() && self.is_bare_at(levels.after);
        let leaves = lifted && (bare || left <= small || (slow && m.delta.abs() < self.load.abs()));
        // A press before a slow lift is over when the lift begins, and one with a slow put-back goes on with it.
        let soon = |n: &&Move| n.moved.0 - m.moved.1 < combine::PRESS;
        let press = next
            .filter(soon)
            .is_some_and(|n| n.delta < -0.7 * m.delta && !slow);
        let goes_on = next.is_some_and(|n| {
            n.delta * m.delta > 0.0 && n.steady_after && n.moved.0 - m.moved.1 < AT_ONCE
        });
        let restless = !m.steady_after && !goes_on;
        let comes = m.delta > 0.0 && restless && !press;
        let sways = self.guest.is_some_and(|guest| {
            let begun = from + m.moved.0 as u64;
            let stays = begun > guest.since + combine::PRESS as u64;
            let unknown = || !combine::fits(&self.place.units, guest.grams, m.sigma);
            (stays || (slow && unknown()))
                && m.delta.abs() < SWAY * guest.grams
                && guest.grams < GUEST_SWAYS_MAX_G
                && (m.took >= SWAY_BLOCKS || !m.steady_after)
                && !combine::fits(&self.place.units, m.delta, m.sigma)
        });
        if sways || leaves || comes || m.took > MOVE_BLOCKS_MAX || (slow && restless) {
            Kind::Foreign
        } else {
            Kind::Item
        }
    }

    /// A press without a move.
    pub fn touch(&self, cell: usize, at: f64, now: u64) -> Pending {
        Pending {
            cell,
            opened: self.opened,
            at,
            took: 0.0,
            unseen: 0.0,
            settled: now,
            kind: Kind::Touch,
            delta: 0.0,
            sigma: 1.0,
            wander: 0.0,
        }
    }

    /// What leaned on the plate within one trace is one change, and a touch if nothing is left of it.
    pub fn settle_loads(&self, found: Vec<Pending>) -> Vec<Pending> {
        let (loads, mut out): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|p| p.kind == Kind::Foreign);
        let sum: f64 = loads.iter().map(|p| p.delta).sum();
        let most = |a: &&Pending, b: &&Pending| a.delta.abs().total_cmp(&b.delta.abs());
        if let Some(largest) = loads.iter().max_by(most) {
            let small = left_of(largest.delta);
            let opened = loads
                .iter()
                .map(|p| p.opened)
                .min()
                .unwrap_or(largest.opened);
            let touch = sum.abs() < small;
            out.push(Pending {
                opened,
                kind: if touch { Kind::Touch } else { Kind::Foreign },
                delta: if touch { 0.0 } else { sum },
                sigma: loads.iter().map(|p| p.sigma).fold(0.0, f64::max),
                ..largest.clone()
            });
        }
        out
    }
}

#[cfg(test)]
mod tests;
