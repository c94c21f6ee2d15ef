//! The facings: known products on known, neighbouring plates.

use std::collections::HashMap;

use super::layout::{Places, plate_indices, shelf_id};
use super::products::Products;
use super::short;
use crate::store::layout::{Plate, PlateId, ShelfId};
use crate::store::raw::{Entries, RawFacing};
use crate::store::remark::Remarks;
use crate::store::{Catalogue, Facing, ProductId};

/// Facings of one store.
const FACINGS_MAX: usize = 20_000;

/// Checks every facing; ordered by plate and product, as the order of the file means nothing.
pub fn check(
    raw: &Entries<RawFacing>,
    products: &Products,
    places: &Places,
    remarks: &mut Remarks<'_>,
) -> Vec<(ProductId, Vec<PlateId>)> {
    let mut facings = Vec::new();
    let mut taken: HashMap<(PlateId, ProductId), usize> = HashMap::new();
    for (index, entry) in raw.list.iter().enumerate() {
        if index == FACINGS_MAX {
            remarks.mistake(
                entry.span(),
                format!("there are {} facings", raw.list.len()),
                format!("a store has at most {FACINGS_MAX}: remove some"),
            );
            break;
        }
        let facing = entry.get_ref();
        let product = check_product(facing, products, remarks);
        let plates = check_plates(facing, places, remarks);
        let (Some(product), Some(plates)) = (product, plates) else {
            continue;
        };
        let line = remarks.line(entry.span().start);
        let earlier = (plates.iter()).find_map(|plate| {
            taken
                .insert((*plate, product.clone()), line)
                .map(|first| (plate, first))
        });
        if let Some((plate, first)) = earlier {
            remarks.mistake(
                facing.plates.span(),
                format!("product `{product}` already stands on plate {plate}, in the facing of line {first}"),
                "remove one of the two",
            );
            continue;
        }
        facings.push((product, plates));
    }
    facings.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    facings
}

fn check_product(
    facing: &RawFacing,
    products: &Products,
    remarks: &mut Remarks<'_>,
) -> Option<ProductId> {
    let code = facing.product.get();
    let known = products.id(code).cloned();
    if known.is_none() && products.complete {
        remarks.mistake(
            facing.product.span(),
            format!("there is no product `{}`", short(code)),
            "add a [[product]] with this code, or correct it",
        );
    }
    known
}

fn check_plates(
    facing: &RawFacing,
    places: &Places,
    remarks: &mut Remarks<'_>,
) -> Option<Vec<PlateId>> {
    let shelf = shelf_id(&facing.shelf, remarks);
    let indices = plate_indices(&facing.plates.span(), facing.plates.get(), remarks);
    let shelf = shelf?;
    let Some(place) = places.by_id.get(&shelf) else {
        if places.complete {
            remarks.mistake(
                facing.shelf.span(),
                format!("there is no shelf {shelf}"),
                format!("add [[shelf]] with id = \"{shelf}\", or correct it"),
            );
        }
        return None;
    };
    neighbours(shelf, place.plates.as_ref()?, &indices?, facing, remarks)
}

/// The plates of those indices, ascending, if they exist and no other plate stands between them.
fn neighbours(
    shelf: ShelfId,
    row: &[Plate],
    indices: &[u16],
    facing: &RawFacing,
    remarks: &mut Remarks<'_>,
) -> Option<Vec<PlateId>> {
    let mut positions = Vec::with_capacity(indices.len());
    for index in indices {
        match row.binary_search_by_key(index, |plate| plate.id.plate) {
            Ok(position) => positions.push(position),
            Err(_) => {
                let written =
                    (facing.plates.get().iter()).find(|at| *at.get() == i64::from(*index));
                remarks.mistake(
                    written.map_or(facing.plates.span(), |at| at.span()),
                    format!("shelf {shelf} has no plate {index}"),
                    format!("its plates are {}", row_in_words(row)),
                );
                return None;
            }
        }
    }
    let gap = positions.windows(2).find_map(|pair| match pair {
        [left, right] if right - left > 1 => row.get(left + 1),
        _ => None,
    });
    if let Some(between) = gap {
        remarks.mistake(
            facing.plates.span(),
            format!(
                "these plates are no neighbours: plate {} stands between them",
                between.id
            ),
            "write one facing for each group of neighbours",
        );
        return None;
    }
    let id = |index: &u16| PlateId {
        shelf,
        plate: *index,
    };
    Some(indices.iter().map(id).collect())
}

/// `1 to 12`, or `1, 2, 4` where some are missing.
fn row_in_words(row: &[Plate]) -> String {
    match (row.first(), row.last()) {
        (Some(first), Some(last))
            if usize::from(last.id.plate - first.id.plate) == row.len() - 1 =>
        {
            format!("{} to {}", first.id.plate, last.id.plate)
        }
        _ => {
            let indices: Vec<String> = row
                .iter()
                .take(32)
                .map(|p| p.id.plate.to_string())
                .collect();
            indices.join(", ")
        }
    }
}

/// The facings with their products' places in the catalogue.
pub fn with_indices(facings: Vec<(ProductId, Vec<PlateId>)>, catalogue: &Catalogue) -> Vec<Facing> {
    (facings.into_iter())
        .filter_map(|(product, plates)| {
            let product_index = catalogue.index(product.as_str())?; // each was found before
            Some(Facing {
                product,
                product_index,
                plates,
            })
        })
        .collect()
}
