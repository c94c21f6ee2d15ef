//! Where plates are, from where the planogram says that facings are.

use std::collections::BTreeMap;

use crate::store::{PlateId, ShelfId};
use crate::units::Point;

/// Plates of the NanoStore stand this far apart, metres.
const PITCH_M: f64 = 0.101_6;
/// Shelves stand this far apart where a gondola's planogram shows only one of them, metres.
const SHELF_PITCH_M: f64 = 0.25;

/// Where a facing is.
#[derive(Clone, Debug, Default)]
pub(super) struct FacingPlace {
    /// Left end of its front edge, metres.
    pub(super) left: Point,
    /// Turn about the vertical: 0 along x, as on the wall gondolas.
    pub(super) turn_rad: f64,
    /// Over all its plates, metres.
    pub(super) width_m: f64,
}

/// Where a plate is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PlatePlace {
    /// Centre of the front edge.
    pub(super) front: Point,
    pub(super) width_m: f64,
    /// From one plate to the next on the right, per metre: (x, y).
    right: (f64, f64),
}

/// The plates that facings place, and by the even pitch all others near them.
#[derive(Debug, Default)]
pub(super) struct Places {
    known: BTreeMap<PlateId, PlatePlace>,
}

impl Places {
    /// Places the plates of a facing, given left to right. A plate that is known already stays.
    pub(super) fn add(&mut self, plates: &[PlateId], facing: &FacingPlace) {
        let width_m = facing.width_m / plates.len() as f64;
        let width_m = if width_m > 0.0 && width_m.is_finite() {
            width_m
        } else {
            PITCH_M
        };
        let right = (facing.turn_rad.cos(), facing.turn_rad.sin());
        for (index, &plate) in plates.iter().enumerate() {
            let along_m = (index as f64 + 0.5) * width_m;
            self.known.entry(plate).or_insert(PlatePlace {
                front: Point {
                    x: facing.left.x + along_m * right.0,
                    y: facing.left.y + along_m * right.1,
                    z: facing.left.z,
                },
                width_m,
                right,
            });
        }
    }

    /// Whether any plate of the gondola is known.
    pub(super) fn knows(&self, gondola: u16) -> bool {
        self.gondola(gondola).next().is_some()
    }

    /// Where a plate is: by its own facing, else by the pitch from its nearest neighbour on the shelf, else as on
    /// the nearest shelf of the gondola. None if no plate of the gondola is known.
    pub(super) fn place(&self, plate: PlateId) -> Option<PlatePlace> {
        let place = self.on_shelf(plate).or_else(|| self.near_shelf(plate))?;
        let width_m = tenth_mm(place.width_m);
        let front = Point {
            x: tenth_mm(place.front.x),
            y: tenth_mm(place.front.y),
            z: tenth_mm(place.front.z),
        };
        Some(PlatePlace {
            front,
            width_m,
            ..place
        })
    }

    fn on_shelf(&self, plate: PlateId) -> Option<PlatePlace> {
        let (near, place) = self
            .gondola(plate.shelf.gondola)
            .filter(|(id, _)| id.shelf == plate.shelf)
            .min_by_key(|(id, _)| id.plate.abs_diff(plate.plate))?;
        let along_m = (f64::from(plate.plate) - f64::from(near.plate)) * PITCH_M;
        let mut place = *place;
        place.front.x += along_m * place.right.0;
        place.front.y += along_m * place.right.1;
        Some(place)
    }

    fn near_shelf(&self, plate: PlateId) -> Option<PlatePlace> {
        let gondola = plate.shelf.gondola;
        let (near, _) = self
            .gondola(gondola)
            .min_by_key(|(id, _)| id.shelf.shelf.abs_diff(plate.shelf.shelf))?;
        let shelf = ShelfId {
            gondola,
            shelf: near.shelf.shelf,
        };
        let mut place = self.on_shelf(PlateId { shelf, ..plate })?;
        let up = f64::from(plate.shelf.shelf) - f64::from(shelf.shelf);
        place.front.z += up * self.shelf_pitch_m(gondola);
        Some(place)
    }

    /// The mean distance of a gondola's shelves.
    fn shelf_pitch_m(&self, gondola: u16) -> f64 {
        let (Some((low, a)), Some((high, b))) = (
            self.gondola(gondola).next(),
            self.gondola(gondola).next_back(),
        ) else {
            return SHELF_PITCH_M;
        };
        let shelves = f64::from(high.shelf.shelf) - f64::from(low.shelf.shelf);
        if shelves > 0.0 {
            (b.front.z - a.front.z) / shelves
        } else {
            SHELF_PITCH_M
        }
    }

    fn gondola(
        &self,
        gondola: u16,
    ) -> impl DoubleEndedIterator<Item = (&PlateId, &PlatePlace)> + use<'_> {
        let end = |shelf, plate| PlateId {
            shelf: ShelfId { gondola, shelf },
            plate,
        };
        self.known.range(end(0, 0)..=end(u16::MAX, u16::MAX))
    }
}

/// On a grid of 0.1 mm: the files hold lengths as float32, and nobody builds shelves finer than that.
fn tenth_mm(metres: f64) -> f64 {
    (metres * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plate(text: &str) -> PlateId {
        text.parse().unwrap()
    }

    fn facing(x: f64, y: f64, z: f64, turn_rad: f64, width_m: f64) -> FacingPlace {
        FacingPlace {
            left: Point { x, y, z },
            turn_rad,
            width_m,
        }
    }

    #[test]
    fn plates_without_a_facing_are_placed_by_the_pitch() {
        let mut places = Places::default();
        // Two shelves of a wall gondola, and a gondola that is turned by 90° to the right.
        let two = [plate("1.1.2"), plate("1.1.3")];
        places.add(&two, &facing(0.126_600_007, 0.0, 0.3, 0.0, 0.203_200_004));
        places.add(&[plate("1.3.1")], &facing(0.025, 0.0, 0.8, 0.0, 0.101_6));
        places.add(
            &[plate("5.2.1")],
            &facing(4.0, -0.3, 0.6, -std::f64::consts::FRAC_PI_2, 0.101_6),
        );
        for (id, x, y, z) in [
            ("1.1.2", 0.177_4, 0.0, 0.3),
            ("1.1.3", 0.279, 0.0, 0.3),
            ("1.1.1", 0.075_8, 0.0, 0.3),
            ("1.1.5", 0.482_2, 0.0, 0.3),
            ("1.2.2", 0.177_4, 0.0, 0.55),
            ("1.3.2", 0.177_4, 0.0, 0.8),
            ("1.4.2", 0.177_4, 0.0, 1.05),
            ("5.2.1", 4.0, -0.350_8, 0.6),
            ("5.2.3", 4.0, -0.554, 0.6),
            ("5.3.1", 4.0, -0.350_8, 0.85),
        ] {
            let place = places.place(plate(id)).expect("its gondola is known");
            assert_eq!(place.front, Point { x, y, z }, "{id}");
            assert_eq!(place.width_m, 0.1016, "{id}");
        }
        assert!(!places.knows(2));
        assert_eq!(places.place(plate("2.1.1")), None);
    }
}
