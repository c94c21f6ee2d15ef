//! One shelf: watches its plates, and says what changed when they have come to rest.

use super::cell::{Cell, Levels, Place};
use super::combine::{self, DELTA_MIN_G, Joined, Kind, Pending};
use super::history::{History, Trace};
use super::load_cell::{Activity, SETTLED_BLOCKS};
use super::movement::{self, Move, Movement, Rest};
use super::one_by_one;
use crate::observation::{ChangeKind, OpenInterval, PlateChange, Stood};
use crate::store::ShelfId;
use crate::units::{Milligrams, Timestamp};

/// A press that moved a plate by less than this is not worth a touch, grams.
const TOUCH_MIN_G: f64 = 12.0;
/// How long a step waits for an active neighbour to settle, seconds.
const NEIGHBOUR_WAIT_S: f64 = 2.7;
/// A change is noticed at most this long after its start, as it is given, seconds.
pub(super) const NOTICE_S: f64 = 0.25;
/// How long an opened plate may wait for a better measured level, seconds.
const PRECISION_WAIT_S: f64 = 2.5;

/// A change of fewer standard deviations than this, with what the plate does by itself, is none.
const SIGNIFICANT: f64 = 4.0;

/// A rest that a trace can be cut at (0.25 s).
const REST_VALUES: usize = 5;
/// A change in so long a stretch without readings is unsure, blocks (3 s).
const UNSEEN_BLOCKS_MAX: f64 = 60.0;

/// A change that the shelf has finished with.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub start: Timestamp,
    pub peak: Timestamp,
    /// Half of the time in which the weight changed, where that is longer than usual, seconds.
    pub peak_error_s: f64,
    pub end: Timestamp,
    pub kind: ChangeKind,
    pub plates: Vec<PlateChange>,
    /// What stood there in between, if that may have been a product.
    pub stood: Option<Stood>,
}

/// A step that went out: cell, position, blocks that it took, grams.
type Recent = (usize, f64, f64, f64);

/// The sensing of one shelf.
#[derive(Debug)]
pub struct ShelfSensor {
    pub id: ShelfId,
    cells: Vec<Cell>,
    pending: Vec<Pending>,
    /// Steps that went out lately: a neighbour's leak may settle later than the step that caused it.
    recent: Vec<Recent>,
}

impl ShelfSensor {
    /// A shelf of these plates, left to right.
    pub fn new(id: ShelfId, places: impl IntoIterator<Item = Place>) -> Self {
        let cells = (places.into_iter()).map(Cell::new).collect();
        ShelfSensor {
            id,
            cells,
            pending: Vec::new(),
            recent: Vec::new(),
        }
    }

    /// Looks at the latest block of the history.
    pub fn push(&mut self, history: &mut History, out: &mut Vec<Change>) {
        let now = history.count() - 1;
        for index in 0..self.cells.len() {
            let cell = &mut self.cells[index];
            let value = history.value(now, cell.place.column);
            let stuck = if value.is_nan() { 0 } else { cell.stuck(value) };
            if stuck > 0 {
                history.forget(now + 1 - stuck.min(now + 1)..now + 1, cell.place.column);
                cell.seen = cell.seen.min(now.saturating_sub(stuck));
            }
            let silent = value.is_nan() || stuck > 0;
            let activity = if silent {
                cell.state.miss()
            } else {
                cell.state.push(value, || history.latest(cell.place.column))
            };
            match activity {
                Activity::Quiet | Activity::Active => {}
                Activity::Opened => cell.opened = now,
                Activity::Settled if !silent && cell.may_be_stuck() => {}
                Activity::Settled => self.take_apart(index, history, now, silent),
            }
            self.cells[index].heard(silent, now);
        }
        if !self.pending.is_empty() {
            self.put_together(history, now, false, out);
        }
    }

    /// Ends everything that is open with what is known.
    pub fn finish(&mut self, history: &History, out: &mut Vec<Change>) {
        let Some(now) = history.count().checked_sub(1) else {
            return;
        };
        for index in 0..self.cells.len() {
            if self.cells[index].state.is_active() {
                self.take_apart(index, history, now, true);
            }
        }
        self.put_together(history, now, true, out);
    }

    /// What each plate reads, grams, if nothing moves on the shelf and nothing is still to be said of it.
    pub fn at_rest(&self) -> Option<impl Iterator<Item = (u16, f64)> + '_> {
        let moves = self.cells.iter().any(|c| c.state.is_active()) || !self.pending.is_empty();
        let levels = self.cells.iter().map(|c| (c.place.plate, c.state.level()));
        (!moves).then_some(levels)
    }

    /// The interval that is still open on this shelf, if any.
    pub fn open(&self, history: &History) -> Option<OpenInterval> {
        let now = history.count().checked_sub(1)?;
        let open = self.cells.iter().filter_map(|c| c.open_since(now));
        let opened = open.chain(self.pending.iter().map(|p| p.opened)).min()?;
        Some(OpenInterval {
            shelf: self.id,
            since: start_of(history, opened),
        })
    }

    /// Takes the trace of a settled plate apart into pending moves.
    fn take_apart(&mut self, index: usize, history: &History, now: u64, last: bool) {
        let cell = &mut self.cells[index];
        let (from, trace) = cell.trace(history, now);
        if trace.is_empty() {
            // It fell silent before it had said anything.
            let (level, noise) = (cell.state.level(), cell.state.noise());
            cell.state.settle(level, noise);
            return;
        }
        let noise = cell.state.noise();
        let settled_noise = spread(&trace.grams[trace.len().saturating_sub(SETTLED_BLOCKS)..]);
        let overdue = cell.state.is_overdue();
        // What moves is no noise.
        let sigma = if overdue {
            noise
        } else {
            noise.max(settled_noise)
        };
        let sigma = sigma.max(0.5);
        let movement = movement::read(&trace, sigma, DELTA_MIN_G);
        if !last
            && !overdue
            && unclear(
                &movement,
                &trace,
                (now - cell.opened) as f64 * history.block_s(),
                &cell.place.units,
            )
        {
            return;
        }
        let unsettled =
            overdue && !last && (movement.unfinished || settled_noise > 4.0 * noise.max(0.8));
        let until = if unsettled {
            cut_at(&movement, cell.opened, from)
        } else {
            None
        };
        let mut found = moves_of(cell, index, (&trace, &movement, sigma), until, (from, now));
        if found.is_empty()
            && until.is_none()
            && let Some(at) = press(&trace, cell.state.level(), TOUCH_MIN_G.max(6.0 * sigma))
        {
            found.push(cell.touch(index, from as f64 + f64::from(at), now));
        }
        self.pending.extend(cell.settle_loads(found));
        let level = |r: &Rest| (r.level, from + u64::from(r.from));
        match (unsettled, until) {
            (true, Some(rest)) => {
                cell.opened = from + u64::from(rest.to);
                cell.quiet_since = from + u64::from(rest.from);
                cell.state.stay_active((now - cell.opened) as usize);
            }
            (true, None) => {
                cell.opened = now;
                cell.quiet_since = now.saturating_sub(3);
                cell.state.stay_active(1);
            }
            (false, _) => {
                let latest = trace.grams.last().copied().unwrap_or(0.0);
                let (level, since) = movement.rests.last().map_or((latest, now), level);
                cell.state.settle(level, 0.5 * noise + 0.5 * settled_noise);
                cell.quiet_since = since;
            }
        }
    }

    /// Puts pending moves together to changes, once no neighbour can add to them.
    fn put_together(&mut self, history: &History, now: u64, last: bool, out: &mut Vec<Change>) {
        let mut first = 0;
        while first < self.pending.len() {
            let members = self.related_to(first);
            let ready = |m: &usize| self.is_ready(&self.pending[*m], history, now);
            if !last && !members.iter().all(ready) {
                first += 1;
                continue;
            }
            let mut moves: Vec<Pending> =
                members.iter().map(|&m| self.pending[m].clone()).collect();
            combine::lift_hands(&mut moves);
            let unexplained: Vec<Pending> = (moves.iter())
                .filter(|p| {
                    p.kind == Kind::Touch || !self.recent.iter().any(|r| combine::is_leak(p, *r))
                })
                .cloned()
                .collect();
            for joined in combine::join(&unexplained, |cell| &self.cells[cell].place.units) {
                let mut parts = one_by_one::take_apart(joined, &self.cells, history);
                for (cell, _, sigma) in parts.iter_mut().flat_map(|part| &mut part.cells) {
                    let there = moves.iter().filter(|p| p.cell == *cell);
                    *sigma = sigma.hypot(there.map(|p| p.wander).fold(0.0, f64::max));
                }
                // What a plate does by itself while a hand rests there is nobody's deed, whatever it weighs.
                for part in parts.iter_mut().filter(|part| part.kind == Kind::Item) {
                    let net: f64 = part.cells.iter().map(|c| c.1).sum();
                    let sigma = part.cells.iter().map(|c| c.2 * c.2).sum::<f64>().sqrt();
                    if net.abs() < SIGNIFICANT * sigma {
                        part.kind = Kind::Foreign;
                    }
                }
                out.extend(parts.iter().map(|part| self.change(part, history, now)));
            }
            self.recent
                .retain(|r| now as f64 - r.1 < History::BLOCKS as f64);
            self.recent
                .extend(moves.iter().map(|p| (p.cell, p.at, p.took, p.delta)));
            let mut index = 0;
            self.pending.retain(|_| {
                index += 1;
                !members.contains(&(index - 1))
            });
            first = 0;
        }
    }

    /// The pending moves that have to be looked at together with this one, itself among them.
    fn related_to(&self, first: usize) -> Vec<usize> {
        let mut members = vec![first];
        let mut looked_at = 0;
        while let Some(&member) = members.get(looked_at) {
            looked_at += 1;
            for other in 0..self.pending.len() {
                if !members.contains(&other)
                    && combine::related(&self.pending[member], &self.pending[other])
                {
                    members.push(other);
                }
            }
        }
        members.sort_unstable();
        members
    }

    /// Whether neither the plate nor one beside it can add to what is known of this moment.
    fn is_ready(&self, p: &Pending, history: &History, now: u64) -> bool {
        let waited_s = (now - p.settled) as f64 * history.block_s();
        let near = || p.cell.saturating_sub(1)..(p.cell + 2).min(self.cells.len());
        // What no product of this plate explains can be half of what stands on a plate that says nothing just now.
        let unheard = |c: usize| {
            c != p.cell
                && (self.cells[c].unheard_since(now))
                    .is_some_and(|_| (self.cells[c].seen as f64) < p.at)
        };
        if p.kind == Kind::Item
            && near().any(unheard)
            && !combine::is_explained(&self.cells[p.cell].place.units, p)
        {
            return false;
        }
        waited_s > NEIGHBOUR_WAIT_S
            || (self.cells[near()].iter()).all(|c| !c.state.is_active() || c.opened > p.settled)
    }

    /// Whether it came or left as slowly as a hand may, and is nothing that stands here: an item that belongs
    /// elsewhere, a bag, or a hand that rests. Who was there and what they had tells which.
    fn may_be_a_hand(&self, joined: &Joined, net: f64) -> bool {
        let sigma = joined.cells.iter().map(|c| c.2 * c.2).sum::<f64>().sqrt();
        let fits =
            (joined.cells.iter()).any(|c| combine::fits(&self.cells[c.0].place.units, net, sigma));
        2.0 * joined.half > combine::SLOW && !fits
    }

    fn change(&self, joined: &Joined, history: &History, now: u64) -> Change {
        let net: f64 = joined.cells.iter().map(|c| c.1).sum();
        let start = start_of(history, joined.opened);
        let at = history.moment(joined.at);
        let peak = at.max(start);
        let half_s =
            joined.half.max(joined.unseen / 2.0) * history.block_s() + peak.seconds_since(at);
        let touch = joined.kind == Kind::Touch;
        Change {
            start,
            peak,
            // A lift of a fifth of a second is nothing unusual.
            peak_error_s: if half_s > 0.1 && !touch { half_s } else { 0.0 },
            // Not when the last plate settled: neighbours were waited for, and promises were made meanwhile.
            end: history.time(now).max(peak),
            kind: match joined.kind {
                Kind::Touch => ChangeKind::Touch,
                Kind::Foreign => ChangeKind::Foreign,
                Kind::Item if joined.unseen > UNSEEN_BLOCKS_MAX => ChangeKind::Unsure,
                Kind::Item if self.may_be_a_hand(joined, net) => ChangeKind::Unsure,
                Kind::Item if net < 0.0 => ChangeKind::Take,
                Kind::Item => ChangeKind::Put,
            },
            plates: (joined.cells.iter())
                .map(|&(cell, delta, sigma)| match touch {
                    true => self.plate_change((cell, 0.0, 1.0)),
                    false => self.plate_change((cell, delta, sigma)),
                })
                .collect(),
            stood: joined.stood.as_ref().map(|stood| Stood {
                from: history.moment(stood.from).max(start),
                until: history.moment(stood.until).max(start),
                plates: (stood.cells.iter())
                    .map(|&c| self.plate_change(c))
                    .collect(),
            }),
        }
    }

    fn plate_change(&self, (cell, delta, sigma): (usize, f64, f64)) -> PlateChange {
        PlateChange {
            plate: self.cells[cell].place.plate,
            delta_mg: Milligrams::from_grams(delta),
            sigma_mg: Milligrams::from_grams(sigma.max(0.2)),
        }
    }
}

/// The moves of a plate's trace, which begins at block `from`, each as what it can be, up to where the trace is cut.
/// `sigma` is the noise of one block, grams.
fn moves_of(
    cell: &mut Cell,
    index: usize,
    (trace, movement, sigma): (&Trace, &Movement, f64),
    until: Option<Rest>,
    (from, now): (u64, u64),
) -> Vec<Pending> {
    let kept = |m: &Move| until.is_none_or(|rest| m.moved.1 <= f64::from(rest.from));
    let mut found = Vec::new();
    let mut items = Vec::new();
    for (i, m) in movement.moves.iter().enumerate().filter(|(_, m)| kept(m)) {
        let m = (m, Levels::around(m, &movement.rests));
        let kind = cell.kind(m, movement.moves.get(i + 1), from);
        found.push(cell.pending(index, m, kind, from, now));
        if kind == Kind::Item {
            items.push(m.0.moved);
        }
    }
    let wander = movement::wander(trace, &items, sigma);
    for item in found.iter_mut().filter(|p| p.kind == Kind::Item) {
        item.wander = wander;
    }
    found
}

/// Whether waiting tells more: of a level that was measured too shortly, of what came and may go again, of a move that
/// is still under way, or of a slow lift that rests half-way.
fn unclear(movement: &Movement, trace: &Trace, waited_s: f64, units: &[f64]) -> bool {
    if movement.unfinished {
        return true;
    }
    let imprecise = (movement.moves.iter()).any(|m| m.sigma > (0.06 * m.delta.abs()).max(1.5));
    let end = f64::from(trace.at.last().copied().unwrap_or(0));
    let (came, leans) = movement.moves.last().map_or((false, false), |m| {
        let came = m.delta > 0.0 && end - m.at < combine::PRESS;
        let leans = m.delta > 0.0 && m.took > combine::LEANING.0 && end - m.at < combine::LEANING.1;
        (came, leans)
    });
    leans
        || rests_half_way(movement, end, units)
        || ((imprecise || came) && waited_s < PRECISION_WAIT_S)
}

/// Whether something is being lifted slowly, and no product of this plate weighs what has left it so far.
fn rests_half_way(movement: &Movement, end: f64, units: &[f64]) -> bool {
    let slow = |m: &&Move| m.delta < 0.0 && m.took > combine::LEANING.0;
    let lifted: Vec<&Move> = movement.moves.iter().rev().take_while(slow).collect();
    let Some(last) = lifted.first() else {
        return false;
    };
    let grams: f64 = lifted.iter().map(|m| m.delta).sum();
    end - last.at < combine::LEANING.1 && !combine::fits(units, grams, last.sigma)
}

/// The last rest of a trace that it can be cut at: what follows is still under way.
fn cut_at(movement: &Movement, opened: u64, from: u64) -> Option<Rest> {
    (movement.rests.iter().rev().copied())
        .find(|r| r.values >= REST_VALUES && from + u64::from(r.to) > opened)
}

/// The position at which a trace was furthest from its level, if a hand pressed there: further than `grams_min`, and
/// more than half as far in the same direction for some blocks. A footstep shakes a plate both ways, and for less long.
fn press(trace: &Trace, level: f64, grams_min: f64) -> Option<u32> {
    const PRESSED_BLOCKS_MIN: usize = 3;
    let off = |i: usize| trace.grams[i] - level;
    let furthest = (0..trace.len()).max_by(|&a, &b| off(a).abs().total_cmp(&off(b).abs()))?;
    let peak = off(furthest);
    let pressed = |&i: &usize| off(i) * peak.signum() > peak.abs() / 2.0;
    let after = (furthest..trace.len()).take_while(pressed).count();
    let before = (0..furthest).rev().take_while(pressed).count();
    (peak.abs() > grams_min && before + after >= PRESSED_BLOCKS_MIN).then(|| trace.at[furthest])
}

/// A change begins a little before it can be noticed, and at most [`NOTICE_S`] before: that much a node's promises
/// leave for it. Of the time in which all samples were missing nothing was promised.
fn start_of(history: &History, opened: u64) -> Timestamp {
    let missing = history.missing_before(opened);
    if missing > 0 {
        return history.time(opened.saturating_sub(missing + 1));
    }
    let earliest = history.time(opened).plus_seconds(-NOTICE_S);
    history.time(opened.saturating_sub(3)).max(earliest)
}

/// Robust standard deviation of a stretch that should be constant: 1.48 times the median absolute deviation.
fn spread(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = movement::middle(&sorted);
    let off: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    1.48 * movement::median(&off)
}

#[cfg(test)]
mod tests;
