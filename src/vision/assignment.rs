//! The cheapest way to give each row a column of its own.

/// The column of each row, so that the sum of the costs is smallest and as many rows as possible have one.
///
/// `costs` is rows × columns. A cost of infinity (or none that is a number) forbids the pair: a row without an allowed
/// column left over gets `None`. The method is the Hungarian one with potentials and shortest augmenting paths (Kuhn
/// 1955; Jonker and Volgenant 1987), rows² × columns steps.
pub fn assign(costs: &[Vec<f64>]) -> Vec<Option<usize>> {
    let columns = costs.iter().map(Vec::len).max().unwrap_or(0);
    // Each row may also go without, into a column of its own behind the others that costs more than any way around
    // it: that keeps the problem solvable and leaves a pair that is allowed always cheaper.
    let allowed = costs.iter().flatten().filter(|c| c.is_finite());
    let range = allowed.fold(0.0_f64, |sum, c| sum + c.abs());
    let without = 2.0 * range + 1.0;
    let cost = |row: usize, column: usize| -> f64 {
        match costs[row].get(column) {
            Some(&c) if c.is_finite() => c,
            Some(_) => 4.0 * without,
            None if column < columns => 4.0 * without,
            None => without,
        }
    };
    let owners = shortest_paths(costs.len(), columns + costs.len(), cost);
    let mut chosen = vec![None; costs.len()];
    for (column, owner) in owners.into_iter().enumerate().take(columns) {
        if let Some(row) = owner
            && costs[row].get(column).is_some_and(|c| c.is_finite())
        {
            chosen[row] = Some(column);
        }
    }
    chosen
}

/// The row of each column, every row placed; there are at least as many columns as rows.
fn shortest_paths(
    rows: usize,
    columns: usize,
    cost: impl Fn(usize, usize) -> f64,
) -> Vec<Option<usize>> {
    // Column 0 is where a new row begins its search; real rows and columns count from 1.
    let mut row_potential = vec![0.0; rows + 1];
    let mut column_potential = vec![0.0; columns + 1];
    let mut owner = vec![0_usize; columns + 1];
    for row in 1..=rows {
        owner[0] = row;
        let mut at = 0;
        let mut distance = vec![f64::INFINITY; columns + 1];
        let mut before = vec![0; columns + 1];
        let mut seen = vec![false; columns + 1];
        while owner[at] != 0 {
            seen[at] = true;
            let from = owner[at];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for column in 1..=columns {
                if seen[column] {
                    continue;
                }
                let reduced =
                    cost(from - 1, column - 1) - row_potential[from] - column_potential[column];
                if reduced < distance[column] {
                    distance[column] = reduced;
                    before[column] = at;
                }
                if distance[column] < step {
                    (step, next) = (distance[column], column);
                }
            }
            for column in 0..=columns {
                if seen[column] {
                    row_potential[owner[column]] += step;
                    column_potential[column] -= step;
                } else {
                    distance[column] -= step;
                }
            }
            at = next;
        }
        while at != 0 {
            owner[at] = owner[before[at]];
            at = before[at];
        }
    }
    owner
        .into_iter()
        .skip(1)
        .map(|row| row.checked_sub(1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NO: f64 = f64::INFINITY;

    #[test]
    fn tables() {
        for (costs, expected) in [
            (vec![], vec![]),
            (vec![vec![], vec![]], vec![None, None]),
            (vec![vec![1.0, 2.0], vec![1.0, 5.0]], vec![Some(1), Some(0)]),
            (vec![vec![NO, 1.0], vec![NO, 0.5]], vec![None, Some(1)]),
            // Two pairs are better than the one that is cheapest.
            (vec![vec![0.0, 3.0], vec![0.0, NO]], vec![Some(1), Some(0)]),
            (vec![vec![-4.0], vec![-5.0]], vec![None, Some(0)]),
            (vec![vec![f64::NAN, 2.0]], vec![Some(1)]),
        ] {
            assert_eq!(assign(&costs), expected, "{costs:?}");
        }
    }

    /// Pairs and cost of the best choice for the rows from `row` on, by trying all.
    fn best(costs: &[Vec<f64>], row: usize, taken: &mut Vec<bool>) -> (usize, f64) {
        if row == costs.len() {
            return (0, 0.0);
        }
        let mut found = best(costs, row + 1, taken);
        for column in 0..taken.len() {
            if !taken[column] && costs[row][column].is_finite() {
                taken[column] = true;
                let (pairs, cost) = best(costs, row + 1, taken);
                taken[column] = false;
                let with = (pairs + 1, cost + costs[row][column]);
                if with.0 > found.0 || with.0 == found.0 && with.1 < found.1 {
                    found = with;
                }
            }
        }
        found
    }

    proptest! {
        #[test]
        fn as_good_as_trying_all(
            costs in (0_usize..5, 0_usize..5).prop_flat_map(|(rows, columns)| {
                let cost = prop_oneof![Just(NO), (-9_i32..9).prop_map(f64::from)];
                prop::collection::vec(prop::collection::vec(cost, columns), rows)
            })
        ) {
            let chosen = assign(&costs);
            let pairs = chosen.iter().flatten().count();
            let sum: f64 = chosen.iter().enumerate().filter_map(|(r, c)| c.map(|c| costs[r][c])).sum();
            let columns = costs.first().map_or(0, Vec::len);
            prop_assert_eq!((pairs, sum), best(&costs, 0, &mut vec![false; columns]));
        }
    }
}
