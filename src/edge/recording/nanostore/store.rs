//! `products.json` and `planogram.json`: the store that a competition folder was recorded in.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::lines::{self, LineFlaw, Lines, Located};
use super::places::{FacingPlace, Places};
use super::plates::GondolaShape;
use super::{CEILING, gondola_node};
use crate::edge::recording::{Damage, Flaw, RecordingError};
use crate::store::catalogue::canonical;
use crate::store::normal_form;
use crate::store::{
    Catalogue, Definition, Facing, Layout, Node, Planogram, Plate, PlateId, Policy, Product,
    ProductId, Shelf, ShelfId, SoldBy,
};
use crate::units::{Currency, Milligrams, Money, Point};

/// Minor units of a placeholder price of 1.
const MINOR_PER_PRICE: f64 = 100.0;
const PRICE_MAX: f64 = 1e9;
const WEIGHT_G_MAX: f64 = 1e6;
/// No store reaches further from its origin, metres.
const COORDINATE_MAX_M: f64 = 10_000.0;

/// The two files, read but not yet put together: that takes the shapes of the gondolas.
#[derive(Debug)]
pub(super) struct StoreFiles {
    products: Vec<Product>,
    /// Codes without a weight, in canonical form: load cells can't tell them, so that they can't be sold.
    weightless: HashSet<String>,
    planogram_file: PathBuf,
    entries: Vec<Located<Entry>>,
}

/// A line of the planogram.
#[derive(Debug)]
struct Entry {
    /// Left to right.
    plates: Vec<PlateId>,
    /// None for an empty facing.
    code: Option<String>,
    place: FacingPlace,
}

impl StoreFiles {
    /// Reads both files, given as path and content. They are whole or of no use.
    pub(super) fn read(
        products: (&Path, &[u8]),
        planogram: (&Path, &[u8]),
    ) -> Result<Self, RecordingError> {
        let product_lines = whole(lines::scan(products.0, products.1, parse_product))?;
        let entries = whole(lines::scan(planogram.0, planogram.1, parse_entry))?;
        // Codes that differ in leading zeros only are one product, and the first that has a weight wins.
        let mut known = HashSet::new();
        let mut weightless = HashSet::new();
        let mut products = Vec::new();
        for Located { value, .. } in product_lines {
            let code = canonical(&value.code).to_owned();
            match value.product() {
                Some(product) => {
                    if known.insert(code) {
                        products.push(product);
                    }
                }
                None => {
                    weightless.insert(code);
                }
            }
        }
        weightless.retain(|code| !known.contains(code));
        Ok(StoreFiles {
            products,
            weightless,
            planogram_file: planogram.0.to_owned(),
            entries,
        })
    }

    /// The store of the gondolas that were recorded.
    pub(super) fn definition(
        self,
        shapes: &BTreeMap<u16, GondolaShape>,
    ) -> Result<Definition, RecordingError> {
        let catalogue =
            Catalogue::new(self.products).expect("the codes were made unique when they were read");
        let layout = layout(&self.entries, shapes);
        let mut facings = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let Some(code) = &entry.value.code else {
                continue;
            };
            let Some(product_index) = catalogue.index(code) else {
                if self.weightless.contains(canonical(code)) {
                    tracing::warn!(code, "the product has no weight: its facing is left empty");
                    continue;
                }
                return Err(RecordingError::UnknownProduct {
                    file: self.planogram_file,
                    line: entry.line,
                    code: code.clone(),
                });
            };
            let plates = &entry.value.plates;
            // A facing stays on one shelf; the recorded part of it may be empty.
            for plates in plates.chunk_by(|a, b| a.shelf == b.shelf) {
                let recorded = |plate: &PlateId| layout.plate(*plate).is_some();
                let plates: Vec<PlateId> = plates.iter().copied().filter(recorded).collect();
                if plates.is_empty() {
                    continue;
                }
                facings.push(Facing {
                    product: catalogue.products()[product_index].id.clone(),
                    product_index,
                    plates,
                });
            }
        }
        let currency = dollars();
        let mut definition = Definition {
            id: "nanostore".to_owned(),
            name: "NanoStore".to_owned(),
            currency,
            policy: Policy::default_in(currency),
            catalogue,
            planogram: Planogram::new(facings),
            layout,
            hash: String::new(),
        };
        definition.hash = normal_form::hash(&definition);
        Ok(definition)
    }
}

fn dollars() -> Currency {
    "USD".parse().expect("USD is a currency code")
}

/// Every gondola's shelves and plates, where the planogram lets them be placed.
fn layout(entries: &[Located<Entry>], shapes: &BTreeMap<u16, GondolaShape>) -> Layout {
    let mut places = Places::default();
    for entry in entries {
        places.add(&entry.value.plates, &entry.value.place);
    }
    let mut layout = Layout::default();
    let mut nodes = Vec::new();
    for (&gondola, shape) in shapes {
        if !places.knows(gondola) {
            tracing::warn!(gondola, "no facing says where the gondola stands: left out");
            continue;
        }
        let name = gondola_node(gondola);
        let mut ids = Vec::new();
        for shelf in 1..=shape.shelves {
            let id = ShelfId { gondola, shelf };
            let plates = (1..=shape.plates)
                .map(|plate| PlateId { shelf: id, plate })
                .filter_map(|id| {
                    let place = places.place(id)?;
                    Some(Plate {
                        id,
                        front: place.front,
                        width_m: place.width_m,
                    })
                })
                .collect();
            let node = name.clone();
            layout.shelves.insert(id, Shelf { id, node, plates });
            ids.push(id);
        }
        nodes.push(Node {
            name,
            shelves: ids,
            tracks_bodies: false,
            watches_gate: false,
        });
    }
    nodes.push(Node {
        name: CEILING.into(),
        shelves: Vec::new(),
        tracks_bodies: true,
        watches_gate: false,
    });
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    layout.nodes = nodes;
    layout
}

fn whole<T>(lines: Lines<T>) -> Result<Vec<Located<T>>, RecordingError> {
    match lines.damage {
        None => Ok(lines.values),
        Some(damage @ Damage { .. }) => Err(RecordingError::DamagedDefinition(damage)),
    }
}

#[derive(Deserialize)]
struct ProductLine<'a> {
    #[serde(borrow)]
    product_id: ProductCode<'a>,
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
}

#[derive(Default, Deserialize)]
struct ProductCode<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    price: Option<f64>,
    /// Grams.
    weight: Option<f64>,
}

/// A line of products.json.
#[derive(Debug)]
struct ListedProduct {
    code: String,
    name: String,
    price: f64,
    weight_g: Option<f64>,
}

fn parse_product(line: &str) -> Result<ListedProduct, LineFlaw> {
    let ProductLine {
        product_id,
        metadata,
    } = lines::json(line)?;
    let code = product_id.id.unwrap_or_default().into_owned();
    Ok(ListedProduct {
        name: metadata.name.map_or_else(|| code.clone(), Cow::into_owned),
        code,
        price: metadata.price.unwrap_or(1.0),
        weight_g: metadata.weight,
    })
}

impl ListedProduct {
    /// The product, if it has a code and a weight.
    fn product(self) -> Option<Product> {
        let weight_g = self
            .weight_g
            .filter(|&g| g > 0.0 && g <= WEIGHT_G_MAX && !self.code.is_empty())?;
        let price = Some(self.price).filter(|p| (0.0..=PRICE_MAX).contains(p));
        let minor = (price.unwrap_or(1.0) * MINOR_PER_PRICE).round() as i64;
        Some(Product {
            id: ProductId::from(self.code),
            name: self.name,
            weight: Milligrams::from_grams(weight_g),
            price: Money::new(minor, dollars()),
            tax_basis_points: 0,
            age_min_years: 0,
            sold_by: SoldBy::Unit,
        })
    }
}

#[derive(Deserialize)]
struct EntryLine<'a> {
    plate_ids: Vec<PlateJson>,
    #[serde(borrow, default)]
    planogram_product_id: ProductCode<'a>,
    global_coordinates: Option<Coordinates>,
}

#[derive(Deserialize)]
struct PlateJson {
    shelf_id: ShelfJson,
    #[serde(default)]
    plate_index: u16,
}

#[derive(Deserialize)]
struct ShelfJson {
    #[serde(default)]
    gondola_id: GondolaJson,
    #[serde(default)]
    shelf_index: u16,
}

#[derive(Default, Deserialize)]
struct GondolaJson {
    #[serde(default)]
    id: u16,
}

#[derive(Deserialize)]
struct Coordinates {
    #[serde(default)]
    transform: Transform,
    /// Metres, over all plates of the facing.
    #[serde(default)]
    dim_x: f64,
}

#[derive(Default, Deserialize)]
struct Transform {
    #[serde(default)]
    translation: Axes,
    #[serde(default)]
    rotation: Axes,
}

/// Metres or radians; the exporter leaves out zeros.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Axes {
    x: f64,
    y: f64,
    z: f64,
}

fn parse_entry(line: &str) -> Result<Entry, LineFlaw> {
    let EntryLine {
        plate_ids,
        planogram_product_id,
        global_coordinates,
    } = lines::json(line)?;
    let mut plates: Vec<PlateId> = plate_ids
        .iter()
        .map(|plate| PlateId {
            shelf: ShelfId {
                gondola: plate.shelf_id.gondola_id.id,
                shelf: plate.shelf_id.shelf_index,
            },
            plate: plate.plate_index,
        })
        .collect();
    plates.sort_unstable();
    plates.dedup();
    let code = planogram_product_id.id.filter(|code| !code.is_empty());
    let place = global_coordinates.map_or_else(FacingPlace::default, |c| FacingPlace {
        left: Point {
            x: c.transform.translation.x,
            y: c.transform.translation.y,
            z: c.transform.translation.z,
        },
        turn_rad: c.transform.rotation.z,
        width_m: c.dim_x,
    });
    let Point { x, y, z } = place.left;
    let far = [x, y, z, place.width_m]
        .into_iter()
        .find(|m| !(-COORDINATE_MAX_M..=COORDINATE_MAX_M).contains(m));
    if let Some(metres) = far {
        return Err(Flaw::TooFar(metres).into());
    }
    Ok(Entry {
        plates,
        code: code.map(Cow::into_owned),
        place,
    })
}
