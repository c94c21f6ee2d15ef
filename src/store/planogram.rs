//! The planogram: which product has its facing on which plates.

use std::collections::HashMap;

use super::{PlateId, ProductId};

/// A product's place: one or more neighbouring plates of one shelf.
#[derive(Clone, Debug, PartialEq)]
pub struct Facing {
    /// The product that belongs there.
    pub product: ProductId,
    /// Where it stands in the catalogue's order.
    pub product_index: usize,
    /// Neighbouring plates of one shelf, left to right; never empty.
    pub plates: Vec<PlateId>,
}

/// Every facing, found by plate.
#[derive(Clone, Debug, Default)]
pub struct Planogram {
    facings: Vec<Facing>,
    by_plate: HashMap<PlateId, Vec<usize>>,
}

impl Planogram {
    /// A planogram of `facings`. Several facings may share a plate.
    pub fn new(facings: Vec<Facing>) -> Self {
        let mut by_plate: HashMap<PlateId, Vec<usize>> = HashMap::new();
        for (index, facing) in facings.iter().enumerate() {
            for plate in &facing.plates {
                by_plate.entry(*plate).or_default().push(index);
            }
        }
        Planogram { facings, by_plate }
    }

    /// Every facing in the order of the definition.
    pub fn facings(&self) -> &[Facing] {
        &self.facings
    }

    /// The facings that touch a plate.
    pub fn on_plate(&self, plate: PlateId) -> impl Iterator<Item = &Facing> {
        self.by_plate
            .get(&plate)
            .into_iter()
            .flatten()
            .map(|&index| &self.facings[index])
    }
}
