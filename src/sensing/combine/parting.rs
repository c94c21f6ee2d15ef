//! Which of some moves are one change: of all ways to part them, the most likely one.
//!
//! A way to part moves costs what its changes cost, minus their log-likelihood, and what it costs that so many happen
//! so close together. The search goes through the set partitions, the earliest move first, and leaves out what is dearer
//! than the best so far (branch and bound); what a set of moves costs as one change is worked out once.

use super::{
    AS_ONE, AT_ONCE, AWAY_AGAIN, BACK_AGAIN, BLOCKS_A_SECOND, DELTA_MIN_G, Pending, another, apart,
    by_cell, is_leak, leak_cost, net, related, run_cost, shoved, together,
};

/// Moves that are parted at once, at most: of more, those before their longest pause are parted by themselves.
const MOVES_MAX: usize = 9;

/// Some moves, as bits of their indices.
type Set = u32;

/// Parts moves, which are in the order of time, into changes. What a plate only felt of a change beside it is left out.
pub(super) fn part<'a, 'u>(
    moves: &[&'a Pending],
    units: &impl Fn(usize) -> &'u [f64],
) -> Vec<Vec<&'a Pending>> {
    if moves.len() > MOVES_MAX {
        let pause = |&i: &usize| moves[i].at - moves[i - 1].at;
        let longest = (1..moves.len()).max_by(|a, b| pause(a).total_cmp(&pause(b)));
        let (before, after) = moves.split_at(longest.unwrap_or(MOVES_MAX));
        return [part(before, units), part(after, units)].concat();
    }
    let all = (1 << moves.len()) - 1;
    let mut search = Search {
        moves,
        units,
        costs: vec![f64::NAN; 1 << moves.len()],
        best: (f64::INFINITY, Vec::new()),
    };
    search.extend(all, &mut Vec::new(), 0.0);
    let changes = std::mem::take(&mut search.best.1);
    (changes.into_iter())
        .filter(|&(_, leaks)| !leaks)
        .map(|(set, _)| search.members(set).collect())
        .collect()
}

struct Search<'s, 'a, U> {
    moves: &'s [&'a Pending],
    units: &'s U,
    /// What each set costs as one change, once it is known.
    costs: Vec<f64>,
    /// The best way so far: what it costs, and its sets; whether each is what a plate felt of its neighbour.
    best: (f64, Vec<(Set, bool)>),
}

impl<'a, 'u, U: Fn(usize) -> &'u [f64]> Search<'_, 'a, U> {
    fn members(&self, set: Set) -> impl Iterator<Item = &'a Pending> {
        (self.moves.iter().enumerate())
            .filter(move |(i, _)| set & (1 << i) != 0)
            .map(|(_, p)| *p)
    }

    /// Tries every way to part the moves that are `left`, after those in `sets`, which cost so much.
    fn extend(&mut self, left: Set, sets: &mut Vec<(Set, bool)>, cost: f64) {
        if cost >= self.best.0 {
            return;
        }
        if left == 0 {
            self.best = (cost, sets.clone());
            return;
        }
        let first: Set = 1 << left.trailing_zeros();
        let others = left & !first;
        if let Some(leak) = self.leak(first) {
            sets.push((first, true));
            self.extend(others, sets, cost + leak);
            sets.pop();
        }
        let mut with = others;
        loop {
            let set = first | with;
            let own = self.cost(set);
            if own.is_finite() {
                let after = self.after(sets, set);
                sets.push((set, false));
                self.extend(left & !set, sets, cost + own + after);
                sets.pop();
            }
            if with == 0 {
                break;
            }
            with = (with - 1) & others;
        }
    }

    /// What it costs that a move is only felt of one beside it, if it can be.
    fn leak(&self, set: Set) -> Option<f64> {
        let small = self.members(set).next()?;
        let felt = |big: &&Pending| is_leak(small, (big.cell, big.at, big.took, big.delta));
        let bigs = self.members(Set::MAX & !set).filter(felt);
        bigs.map(|big| leak_cost(small, big)).min_by(f64::total_cmp)
    }

    /// What a set costs as one change: infinite if it cannot be one.
    fn cost(&mut self, set: Set) -> f64 {
        if self.costs[set as usize].is_nan() {
            let cost = if self.is_whole(set) {
                self.moments(set)
                    .map_or(f64::INFINITY, |run| self.cost_of_run(&run))
            } else {
                f64::INFINITY
            };
            self.costs[set as usize] = cost;
        }
        self.costs[set as usize]
    }

    /// Whether nothing else happened on a plate between the set's moves there.
    fn is_whole(&self, set: Set) -> bool {
        let is_in = |i: usize| set & (1 << i) != 0;
        (0..self.moves.len()).filter(|&i| !is_in(i)).all(|i| {
            let here = |j: &usize| is_in(*j) && self.moves[*j].cell == self.moves[i].cell;
            !((0..i).any(|j| here(&j)) && (i + 1..self.moves.len()).any(|j| here(&j)))
        })
    }

    /// The moves of a set by the moments at which plates moved together, if they hang together.
    fn moments(&self, set: Set) -> Option<Vec<Vec<&'a Pending>>> {
        let mut run: Vec<Vec<&Pending>> = Vec::new();
        for p in self.members(set) {
            let beside = |q: &&Pending| {
                q.cell.abs_diff(p.cell) == 1
                    && q.delta * p.delta > 0.0
                    && apart(q, p) <= together(q, p)
            };
            // It may be what two others have in common.
            let mut moment = vec![p];
            while let Some(index) = run.iter().rposition(|m: &Vec<&Pending>| {
                m.iter().any(&beside) && m.iter().all(|q| moment.iter().all(|r| q.cell != r.cell))
            }) {
                moment = [run.remove(index), moment].concat();
            }
            run.push(moment);
        }
        run.sort_by(|a, b| a[0].at.total_cmp(&b[0].at));
        let follows = |pair: &[Vec<&Pending>]| {
            (pair[1].iter()).any(|p| pair[0].iter().any(|q| q.cell == p.cell && related(p, q)))
        };
        run.windows(2).all(follows).then_some(run)
    }

    /// What moments cost as one change: how its weight is shared between plates is unknown, uniform over all of it.
    fn cost_of_run(&self, run: &[Vec<&Pending>]) -> f64 {
        let cells = by_cell(run.iter().flatten().copied());
        let grams: f64 = cells.iter().map(|c| c.1).sum();
        let changed = cells.iter().filter(|c| c.1.abs() >= DELTA_MIN_G).count();
        let share = changed.saturating_sub(1) as f64 * grams.abs().max(1.0).ln();
        let late: f64 = run
            .iter()
            .flat_map(|moment| moment.windows(2))
            .map(|w| late(w[0], w[1]))
            .sum();
        run_cost(run, self.units) + share + late
    }

    /// What it costs that a change comes so soon after those before it.
    fn after(&self, sets: &[(Set, bool)], set: Set) -> f64 {
        let earlier = || sets.iter().rev().filter(|s| !s.1).map(|s| s.0);
        let any = |other: Set, holds: &dyn Fn(&Pending, &Pending) -> bool| {
            self.members(other)
                .any(|q| self.members(set).any(|p| holds(q, p)))
        };
        let same = earlier().find(|&other| any(other, &|q, p| q.cell == p.cell && related(q, p)));
        if let Some(other) = same {
            return self.again(other, set);
        }
        let pairs = earlier()
            .flat_map(|other| self.members(other))
            .flat_map(|q| {
                (self.members(set))
                    .filter(move |p| q.cell.abs_diff(p.cell) == 1 && q.delta * p.delta > 0.0)
                    .filter(move |p| apart(q, p) <= together(q, p))
                    .map(move |p| another(q, p) + at_once(q, p))
            });
        pairs.fold(0.0, f64::max)
    }

    /// What it costs that a change follows another on the same plate.
    fn again(&self, earlier: Set, later: Set) -> f64 {
        let both: [Vec<&Pending>; 2] = [
            self.members(earlier).collect(),
            self.members(later).collect(),
        ];
        let (before, after) = (net(&both[0]), net(&both[1]));
        let pair = || another(both[0][0], both[1][0]);
        if before * after >= 0.0 {
            return pair();
        }
        let undone =
            (before + after).abs() < super::UNDONE * before.abs() && shoved(&both, 0.0) == 0.0;
        if after > 0.0 || !undone {
            BACK_AGAIN
        } else {
            AWAY_AGAIN
        }
    }
}

/// Blocks by which one of two plates moved later than plates that move as one.
fn late(a: &Pending, b: &Pending) -> f64 {
    (apart(a, b) - 0.05 * a.took.max(b.took) - AS_ONE).max(0.0)
}

/// What it costs that two changes on neighbouring plates were seen at the very same time.
fn at_once(a: &Pending, b: &Pending) -> f64 {
    if late(a, b) == 0.0 && a.unseen.max(b.unseen) < BLOCKS_A_SECOND {
        AT_ONCE
    } else {
        0.0
    }
}
