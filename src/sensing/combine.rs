//! Puts the moves of neighbouring plates together to changes.
//!
//! An item may stand across two plates, a hand may press one plate and pull at the next, and what happens on one
//! plate shakes its neighbours. Moves of neighbouring plates at one moment are one change; a small move beside a
//! large one is leak and is explained by it. Moves that follow each other within a second are several items, or one
//! item that was pressed, tilted, or put down hard: of all ways to cut the sequence into runs the most likely one is
//! taken, given what the products of these plates weigh.

mod parting;

use super::item_match;

/// Neighbouring plates that move within this time may be one item that stands across them, blocks (0.35 s).
pub const TOGETHER: f64 = 7.0;
/// Plates that move within this time move as one, blocks (0.06 s).
const AS_ONE: f64 = 1.2;
/// What is out and back within this time may be a press, blocks (1.05 s).
pub const PRESS: f64 = 21.0;
/// A leaning hand comes and goes slowly (blocks from 10 to 90 %), and may stay for so long (2.8 s).
pub const LEANING: (f64, f64) = (5.0, 56.0);
/// Blocks in a second.
const BLOCKS_A_SECOND: f64 = 20.0;
/// Leak of a step into the plates beside it, as a share of it.
const LEAK: f64 = 0.03;
/// Leak of a pressing hand, or of anything that pushes the neighbour the other way.
const LEAK_OF_PRESS: f64 = 0.13;
/// Changes smaller than this are none, grams.
pub const DELTA_MIN_G: f64 = 6.0;
/// Masses that no product explains: this much dearer than any product, natural log.
const UNEXPLAINED: f64 = 10.6;
/// Natural log of how rare it is that within a second another item leaves the same place, or comes back to it.
const ANOTHER: f64 = 3.0;
const BACK_AGAIN: f64 = 6.0;
/// Hands press far more often than somebody puts an item down that another takes at once.
const AWAY_AGAIN: f64 = 10.0;
/// A hand is lifted off two plates within so many blocks (0.08 s), each of which bore a good share of it.
const LIFTED_AT_ONCE: f64 = 1.6;
const LIFTED_SHARES: (f64, f64) = (0.2, 5.0);
/// A level on which plates stand for less than this is none, blocks (0.08 s).
const STOOD_BLOCKS_MIN: f64 = 1.5;
/// How far such a level may be from what stands there, as a share of it, if it is seen for one block.
const STOOD_SIGMA: f64 = 0.3;
/// What undoes a move leaves less than this share of it.
const UNDONE: f64 = 0.3;
/// And how rare that they do so at the same time.
const AT_ONCE: f64 = 3.5;
/// A plate rings by less than this share of a step.
const RINGING: f64 = 0.03;
/// A press before a pick does not come as slowly as this, blocks from 10 to 90 % (0.6 s).
pub const SLOW: f64 = 12.0;
/// Hands that take weight off a plate are rarer than those that press, natural log.
const LIFTED: f64 = 3.0;
/// Natural log of how rare it is that something is shoved from one plate to the next.
const SHOVED: f64 = 3.0;
/// A typical press, grams.
const PRESS_G: f64 = 60.0;

/// A move of one plate, in the time of the history.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Index of the plate among the shelf's cells.
    pub cell: usize,
    /// First block that it can be said to have begun in.
    pub opened: u64,
    /// When it was half over, blocks.
    pub at: f64,
    /// How long it took from 10 to 90 % of the way, blocks.
    pub took: f64,
    /// Blocks without a value in which it may have happened.
    pub unseen: f64,
    /// The block at which it was known.
    pub settled: u64,
    pub kind: Kind,
    /// Grams; negative: weight left.
    pub delta: f64,
    /// Standard deviation of `delta` from noise alone, grams.
    pub sigma: f64,
    /// How far the plate goes by itself meanwhile, grams: somebody rests a hand on it.
    pub wander: f64,
}

/// What a move of one plate can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something came or left.
    Item,
    /// A hand that leans on the plate, or weight that creeps.
    Foreign,
    /// Nothing lasting.
    Touch,
}

/// Moves that are one change: the net grams of each cell.
#[derive(Clone, Debug)]
pub struct Joined {
    pub kind: Kind,
    /// Cell, grams, sigma; in the order of the cells. For a touch the grams are 0.
    pub cells: Vec<(usize, f64, f64)>,
    pub opened: u64,
    pub at: f64,
    /// Half of the time in which it happened, blocks.
    pub half: f64,
    pub unseen: f64,
    /// What stood there in between, if that may have been a product.
    pub stood: Option<Standing>,
}

/// A level on which plates stood between two moves of a change.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The moves to it and from it, blocks.
    pub from: f64,
    pub until: f64,
    /// Cell, grams from the level before the change, sigma.
    pub cells: Vec<(usize, f64, f64)>,
}

/// Whether two moves have to be looked at together.
pub fn related(a: &Pending, b: &Pending) -> bool {
    match a.cell.abs_diff(b.cell) {
        0 => {
            between(a, b)
                <= if a.took.min(b.took) > LEANING.0 {
                    LEANING.1
                } else {
                    PRESS
                }
        }
        1 => apart(a, b) <= together(a, b),
        _ => false,
    }
}

/// Blocks between the moments of two moves, at least: one that nobody saw happened at any time of its silence.
fn apart(a: &Pending, b: &Pending) -> f64 {
    ((a.at - b.at).abs() - (a.unseen + b.unseen) / 2.0).max(0.0)
}

/// Minus log of the chance that another item leaves beside one that did, given how long nobody saw.
fn another(a: &Pending, b: &Pending) -> f64 {
    let unseen_s = a.unseen.max(b.unseen) / BLOCKS_A_SECOND;
    (ANOTHER - unseen_s.max(1.0).ln()).max(0.0)
}

/// Blocks between two moves of one plate in which neither was under way.
fn between(a: &Pending, b: &Pending) -> f64 {
    ((a.at - b.at).abs() - 0.6 * (a.took + b.took)).max(0.0)
}

fn together(a: &Pending, b: &Pending) -> f64 {
    TOGETHER + 0.5 * a.took.max(b.took)
}

/// Whether `small` is what a neighbouring plate feels of `big`.
pub fn is_leak(small: &Pending, big: (usize, f64, f64, f64)) -> bool {
    let (cell, at, took, delta) = big;
    let apart = (small.at - at).abs();
    if small.cell.abs_diff(cell) != 1 || apart > TOGETHER + 0.5 * took.max(small.took) {
        return false;
    }
    let share = small.delta.abs() / delta.abs();
    let pressed = took > LEANING.0 || (small.delta * delta < 0.0 && apart <= 3.0);
    share < LEAK || (share < LEAK_OF_PRESS && pressed)
}

/// Minus log-density of what a plate feels of its neighbour: anything up to the most that it can.
fn leak_cost(small: &Pending, big: &Pending) -> f64 {
    let share = small.delta.abs() / big.delta.abs();
    let most = if share < LEAK { LEAK } else { LEAK_OF_PRESS };
    (2.0 * most * big.delta.abs()).max(1.0).ln()
}

/// A hand that rests across two plates leaves both at once: what one of them knows to be a hand, the other need not
/// take for a product.
pub fn lift_hands(moves: &mut [Pending]) {
    let hands: Vec<Pending> = (moves.iter())
        .filter(|p| p.kind == Kind::Foreign && p.delta < 0.0)
        .cloned()
        .collect();
    for p in moves.iter_mut() {
        let lifted = |hand: &Pending| {
            hand.cell.abs_diff(p.cell) == 1
                && (hand.at - p.at).abs() <= LIFTED_AT_ONCE
                && (LIFTED_SHARES.0..LIFTED_SHARES.1).contains(&(hand.delta / p.delta))
        };
        if p.kind == Kind::Item && p.delta < 0.0 && hands.iter().any(lifted) {
            p.kind = Kind::Foreign;
        }
    }
}

/// Joins related moves to changes. `units` gives the weights of the products that stand on a cell, grams.
pub fn join<'u>(moves: &[Pending], units: impl Fn(usize) -> &'u [f64]) -> Vec<Joined> {
    let felt = |p: &Pending, of: &dyn Fn(&Pending) -> bool| {
        let big = |big: &&Pending| is_leak(p, (big.cell, big.at, big.took, big.delta));
        moves.iter().filter(|q| of(q)).any(|q| big(&q))
    };
    let is_item = |p: &Pending| p.kind == Kind::Item;
    let mut out: Vec<Joined> = (moves.iter())
        .filter(|p| !is_item(p) && !felt(p, &|_| true))
        .map(alone)
        .collect();
    let mut items: Vec<&Pending> = (moves.iter())
        .filter(|p| is_item(p) && !felt(p, &|q| !is_item(q)))
        .collect();
    items.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.cell.cmp(&b.cell)));
    for run in parting::part(&items, &units) {
        let stood = stood(&run, &units);
        out.push(joined(run, stood));
    }
    out
}

/// How many units of one product these grams most likely are; 1 if no number explains them.
pub fn quantity(units: &[f64], delta: f64, sigma: f64) -> u32 {
    let mut best = (UNEXPLAINED, 1);
    for &unit in units {
        for n in 1..=item_match::QUANTITY_MAX.min(4) {
            let cost = units_cost(unit, n, delta, sigma);
            if cost < best.0 {
                best = (cost, n);
            }
        }
    }
    best.1
}

/// Minus log-density of grams if so many units left or came.
fn units_cost(unit: f64, quantity: u32, delta: f64, sigma: f64) -> f64 {
    let n = f64::from(quantity);
    let spread = item_match::spread(unit, n).hypot(sigma);
    let z = (delta.abs() - n * unit) / spread;
    0.5 * z * z + spread.ln() + 0.9 + 0.3 + 1.4 * (n - 1.0)
}

/// Whether what moved there is as likely as not an item of its own.
pub fn is_explained(units: &[f64], p: &Pending) -> bool {
    explained(units, p.delta, p.sigma) < UNEXPLAINED
}

/// Whether one or two units weigh that much.
pub fn fits(units: &[f64], delta: f64, sigma: f64) -> bool {
    units.iter().any(|&unit| {
        [1.0, 2.0].iter().any(|n| {
            let spread = item_match::spread(unit, *n).hypot(sigma);
            (delta.abs() - n * unit).abs() < 2.5 * spread
        })
    })
}

fn alone(p: &Pending) -> Joined {
    Joined {
        kind: p.kind,
        cells: vec![(p.cell, p.delta, p.sigma)],
        opened: p.opened,
        at: p.at,
        half: p.took / 2.0,
        unseen: p.unseen,
        stood: None,
    }
}

/// Minus log-likelihood that consecutive moments are one change, or one touch if they sum to nothing.
fn run_cost<'u>(run: &[Vec<&Pending>], units: &impl Fn(usize) -> &'u [f64]) -> f64 {
    let moves = || run.iter().flatten();
    let delta: f64 = moves().map(|p| p.delta).sum();
    let sigma = moves().map(|p| p.sigma).fold(0.0, f64::max) * 1.3;
    let mut weights: Vec<f64> = Vec::new();
    for p in moves() {
        weights.extend(units(p.cell));
    }
    let touch = run.len() > 1 && delta.abs() < DELTA_MIN_G.max(4.0 * sigma);
    let mut cost = if touch {
        let spread = sigma.max(1.5);
        1.0 + 0.5 * (delta / spread).powi(2) + spread.ln() + 0.9 + shoved(run, 0.0)
    } else {
        explained(&weights, delta, sigma) + shoved(run, delta)
    };
    let after = if !touch && delta > 0.0 && fits(&weights, delta, sigma) {
        delta
    } else {
        0.0
    };
    // What stood in between was no item: a press, or an item on its way.
    let mut passed = 0.0;
    for pair in run.windows(2) {
        let (earlier, later) = (&pair[0], &pair[1]);
        passed += net(earlier);
        let blocks = between(earlier[0], later[0]);
        let took = earlier[0].took.min(later[0].took);
        let (free, most) = if took > LEANING.0 {
            (30.0, LEANING.1)
        } else {
            (5.0, PRESS)
        };
        if blocks > most {
            return f64::INFINITY;
        }
        let hesitation = if passed * delta > 0.0 && passed.abs() < delta.abs() {
            delta.abs().ln()
        } else {
            f64::INFINITY
        };
        // The hand pressed before a product came or left, or when it had put it down, which may be slow.
        let slow = !touch && net(earlier) > 0.0 && earlier[0].took > SLOW;
        let before = if slow {
            f64::INFINITY
        } else {
            press_cost(passed, delta)
        };
        let when_down = if after > 0.0 {
            press_cost(passed - after, delta)
        } else {
            f64::INFINITY
        };
        cost += before.min(when_down).min(hesitation) + 1.0 + 0.3 * (blocks - free).max(0.0);
    }
    cost
}

/// Grams of moves together.
fn net(moves: &[&Pending]) -> f64 {
    moves.iter().map(|p| p.delta).sum()
}

/// Minus log-density of the grams of a press around a change of `delta` grams. A hand adds weight; what takes some off,
/// and more than ringing does, has lifted something.
fn press_cost(grams: f64, delta: f64) -> f64 {
    let press = (PRESS_G * (1.0 + (grams / PRESS_G).powi(2))).ln() + 0.45;
    let lifted = grams < -DELTA_MIN_G - RINGING * delta.abs();
    press + if lifted { LIFTED } else { 0.0 }
}

/// The grams that a run leaves on each plate, with the largest sigma of its moves there.
fn by_cell<'a>(run: impl IntoIterator<Item = &'a Pending>) -> Vec<(usize, f64, f64)> {
    let mut cells: Vec<(usize, f64, f64)> = Vec::new();
    for p in run {
        match cells.iter_mut().find(|c| c.0 == p.cell) {
            Some(cell) => *cell = (p.cell, cell.1 + p.delta, cell.2.max(p.sigma)),
            None => cells.push((p.cell, p.delta, p.sigma)),
        }
    }
    cells.sort_by_key(|c| c.0);
    cells
}

/// What a touch costs that does not leave each plate as it was, or a change that leaves one the other way: something was
/// shoved from one to the next.
fn shoved(run: &[Vec<&Pending>], delta: f64) -> f64 {
    let cells = by_cell(run.iter().flatten().copied());
    let felt = LEAK_OF_PRESS * cells.iter().map(|c| c.1.abs()).fold(0.0, f64::max);
    let most = (cells.iter())
        .filter(|c| c.1.abs() >= DELTA_MIN_G.max(4.0 * c.2))
        .filter(|c| delta == 0.0 || (c.1 * delta < 0.0 && c.1.abs() > felt))
        .map(|c| c.1.abs())
        .fold(0.0, f64::max);
    if most > 0.0 { SHOVED + most.ln() } else { 0.0 }
}

/// Minus log-density of grams that left or came, given the unit weights of the products around.
fn explained(units: &[f64], delta: f64, sigma: f64) -> f64 {
    let numbers = 1..=item_match::QUANTITY_MAX.min(4);
    (units.iter())
        .flat_map(|&unit| {
            numbers
                .clone()
                .map(move |n| units_cost(unit, n, delta, sigma))
        })
        .fold(UNEXPLAINED, f64::min)
}

/// The level of a run of moments on which its plates came nearest to standing with a product more, or less, than
/// before: the one that what came and what left explain best.
fn stood<'u>(run: &[&Pending], units: &impl Fn(usize) -> &'u [f64]) -> Option<Standing> {
    let weights: Vec<f64> = (run.iter())
        .flat_map(|p| units(p.cell).iter().copied())
        .collect();
    let level = |i: usize| {
        let (earlier, later) = run.split_at(i);
        let (came, went) = (net(earlier), net(later));
        let (last, next) = (earlier.last()?, later.first()?);
        let blocks = between(last, next);
        if came * went >= 0.0 || blocks < STOOD_BLOCKS_MIN {
            return None;
        }
        // A hand that has just put something down still presses on it: a short look tells less than its noise.
        let brief = STOOD_SIGMA / blocks;
        let sigma = (run.iter().map(|p| p.sigma)).fold(brief * came.abs(), f64::max);
        let cost = explained(&weights, came, sigma) + explained(&weights, went, sigma);
        let cells = (by_cell(earlier.iter().copied()).into_iter())
            .filter(|c| c.1.abs() >= DELTA_MIN_G)
            .map(|(cell, delta, sigma)| (cell, delta, sigma.hypot(brief * delta)));
        let standing = Standing {
            from: last.at,
            until: next.at,
            cells: cells.collect(),
        };
        (cost < 2.0 * UNEXPLAINED && !standing.cells.is_empty()).then_some((cost, standing))
    };
    let levels = (1..run.len()).filter_map(level);
    levels
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, standing)| standing)
}

fn joined(run: Vec<&Pending>, stood: Option<Standing>) -> Joined {
    let net: f64 = run.iter().map(|p| p.delta).sum();
    let mut cells = by_cell(run.iter().copied());
    let sigma = cells.iter().map(|c| c.2 * c.2).sum::<f64>().sqrt();
    let touch = net.abs() < DELTA_MIN_G.max(4.0 * sigma);
    // When it happened: the largest move in the direction of the whole, or the largest at all of a touch; one that was
    // seen rather than one that was not.
    let along = |p: &Pending| {
        let counts = touch || p.delta * net > 0.0;
        p.delta.abs() / (1.0 + p.unseen) * if counts { 1.0 } else { 0.0 }
    };
    let main = (run.iter().copied()).max_by(|a, b| along(a).total_cmp(&along(b)));
    if !touch {
        cells.retain(|c| c.1 * net > 0.0 && c.1.abs() >= DELTA_MIN_G.min(0.5 * net.abs()));
    }
    let opened = run.iter().map(|p| p.opened).min().unwrap_or(0);
    Joined {
        kind: if touch { Kind::Touch } else { Kind::Item },
        cells,
        opened,
        at: main.map_or(0.0, |p| p.at),
        half: main.map_or(0.0, |p| p.took / 2.0),
        unseen: main.map_or(0.0, |p| p.unseen),
        stood,
    }
}

#[cfg(test)]
mod tests;
