//! Which shelves a place on the floor is within reach of, whatever the size of the store.

use std::collections::HashMap;

use crate::store::{Layout, Shelf, ShelfId};
use crate::units::Point;

/// The front edges of the shelves, found by squares of the floor plan.
#[derive(Debug)]
pub(super) struct Floor {
    /// How far away a shelf can be reached, and the side of a square, metres.
    reach_m: f64,
    /// The shelves that some place in a square may be within reach of.
    squares: HashMap<(i64, i64), Vec<Front>>,
}

/// The front edge of a shelf on the floor plan, metres.
#[derive(Clone, Copy, Debug)]
struct Front {
    shelf: ShelfId,
    x_low: f64,
    x_high: f64,
    y: f64,
}

impl Floor {
    /// The floor of a store whose shelves matter to whoever comes within `reach_m` metres of them.
    pub fn new(layout: &Layout, reach_m: f64) -> Self {
        let mut floor = Floor {
            reach_m,
            squares: HashMap::new(),
        };
        for front in layout.shelves.values().filter_map(Front::of) {
            let (left, near) = floor.square(front.x_low - reach_m, front.y - reach_m);
            let (right, far) = floor.square(front.x_high + reach_m, front.y + reach_m);
            for square in (left..=right).flat_map(|x| (near..=far).map(move |y| (x, y))) {
                floor.squares.entry(square).or_default().push(front);
            }
        }
        floor
    }

    /// The shelves within reach of a place, in their order.
    pub fn within_reach(&self, place: Point) -> impl Iterator<Item = ShelfId> {
        let near = self.squares.get(&self.square(place.x, place.y));
        (near.into_iter().flatten())
            .filter(move |front| front.distance(&place) <= self.reach_m)
            .map(|front| front.shelf)
    }

    fn square(&self, x: f64, y: f64) -> (i64, i64) {
        let index = |v: f64| (v / self.reach_m).floor() as i64;
        (index(x), index(y))
    }
}

impl Front {
    fn of(shelf: &Shelf) -> Option<Front> {
        let (first, last) = (shelf.plates.first()?, shelf.plates.last()?);
        Some(Front {
            shelf: shelf.id,
            x_low: first.front.x - first.width_m / 2.0,
            x_high: last.front.x + last.width_m / 2.0,
            y: first.front.y,
        })
    }

    /// Metres on the floor plan.
    fn distance(&self, place: &Point) -> f64 {
        let dx = (self.x_low - place.x).max(place.x - self.x_high).max(0.0);
        dx.hypot(place.y - self.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::definition::{self, NANOSTORE, NANOSTORE_FILE};

    #[test]
    fn the_squares_find_every_shelf_within_reach_and_no_other() {
        let (store, _) = definition::parse(NANOSTORE, NANOSTORE_FILE).unwrap();
        let shelves = store.layout.shelves.values();
        let fronts: Vec<Front> = shelves.filter_map(Front::of).collect();
        let mut found = 0;
        for reach_m in [0.1, 0.7, 1.5, 10.0] {
            let floor = Floor::new(&store.layout, reach_m);
            for (x, y) in (-30..60).flat_map(|x| (-30..30).map(move |y| (x, y))) {
                let (x, y) = (0.13 * f64::from(x), 0.13 * f64::from(y));
                let place = Point { x, y, z: 1.0 };
                let near = |f: &&Front| f.distance(&place) <= reach_m;
                let expected: Vec<ShelfId> = fronts.iter().filter(near).map(|f| f.shelf).collect();
                assert_eq!(floor.within_reach(place).collect::<Vec<_>>(), expected);
                found += expected.len();
            }
        }
        assert!(found > 1_000);
        let floor = Floor::new(&store.layout, 1.5);
        for far in [f64::NAN, f64::INFINITY, -1e300] {
            let place = Point {
                x: far,
                y: far,
                z: far,
            };
            assert_eq!(floor.within_reach(place).count(), 0);
        }
    }
}
