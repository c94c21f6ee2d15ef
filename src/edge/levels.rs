//! What stood on a shelf before its node was off, and what stands there now.

use std::collections::BTreeMap;

use crate::observation::{GapCause, GapObservation, Observation, PlateChange, ShelfGap};
use crate::store::{Definition, PlateId, ShelfId};
use crate::units::{Milligrams, Timestamp};

/// A plate that differs by less than this is not asked about, whatever stands on it, milligrams.
const LEAST: i64 = 5_000;
/// The same for a plate that no product stands on.
const LEAST_ELSEWHERE: i64 = 30_000;
/// Error of a difference: the drift of a load cell while nobody looked, milligrams.
const SIGMA: Milligrams = Milligrams(2_000);
/// Shelves that one observation tells of, as the wire has it.
const SHELVES_MAX: usize = crate::edge::wire::bounds::SHELVES_MAX;

/// What plates read when nothing moved, and when that was last known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    pub at: Timestamp,
    pub plates: BTreeMap<PlateId, Milligrams>,
}

impl Levels {
    /// What changed on the shelves until `now`: nothing, or gaps that tell it in grams. A difference below half of the
    /// lightest product of its plate is drift.
    pub fn gaps(&self, now: &Levels, definition: &Definition) -> Vec<Observation> {
        let mut by_shelf: BTreeMap<ShelfId, Vec<PlateChange>> = BTreeMap::new();
        for (plate, after) in &now.plates {
            let Some(before) = self.plates.get(plate) else {
                continue;
            };
            let delta_mg = *after - *before;
            if delta_mg.0.abs() >= least(*plate, definition) {
                by_shelf.entry(plate.shelf).or_default().push(PlateChange {
                    plate: plate.plate,
                    delta_mg,
                    sigma_mg: SIGMA,
                });
            }
        }
        let shelves: Vec<ShelfGap> = (by_shelf.into_iter())
            .map(|(shelf, plates)| ShelfGap { shelf, plates })
            .collect();
        (shelves.chunks(SHELVES_MAX))
            .map(|shelves| {
                Observation::Gap(GapObservation {
                    start: self.at.min(now.at),
                    end: now.at,
                    cause: GapCause::Off,
                    dropped: 0,
                    replaces: None,
                    shelves: shelves.to_vec(),
                })
            })
            .collect()
    }
}

fn least(plate: PlateId, definition: &Definition) -> i64 {
    let products = definition.catalogue.products();
    let lightest = (definition.planogram.on_plate(plate))
        .filter_map(|facing| products.get(facing.product_index))
        .map(|product| product.weight.0)
        .min();
    lightest.map_or(LEAST_ELSEWHERE, |weight| (weight / 2).max(LEAST))
}
