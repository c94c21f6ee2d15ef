//! The normal form of a definition: what it means, without its comments, spacing and order. Its hash names the
//! definition in every decision, and `stroll config show --json` prints it.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Definition, Limits, NodeName, PlateId, ProductId, ShelfId, SoldBy};
use crate::units::Currency;

/// Changes whenever the shape below does, so that hashes of two shapes never meet.
const FORMAT: &str = "stroll-definition/1";

/// A definition in its normal form: nodes by name, shelves by id, products by code, facings by plate.
#[derive(Debug, Serialize)]
pub struct NormalForm<'a> {
    format: &'static str,
    store: Store<'a>,
    policy: Policy,
    gate: Option<[f64; 2]>,
    nodes: Vec<Node<'a>>,
    shelves: Vec<Shelf>,
    products: Vec<Product<'a>>,
    facings: Vec<Facing<'a>>,
}

#[derive(Debug, Serialize)]
struct Store<'a> {
    id: &'a str,
    name: &'a str,
    currency: Currency,
}

#[derive(Debug, Serialize)]
struct Policy {
    hold_minor: i64,
    confidence_min: f64,
    review_deadline_s: f64,
    node_silent_s: f64,
    track_lost_s: f64,
    reach_m: f64,
    // Left out where they say nothing, so that a definition from before them keeps its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    offline: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offline_shoppers_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offline_amount_max_minor: Option<i64>,
    /// Those of a store that sets none are left out: definitions from before there were any keep their hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    name: &'a NodeName,
    shelves: &'a [ShelfId],
    tracks_bodies: bool,
    watches_gate: bool,
}

#[derive(Debug, Serialize)]
struct Shelf {
    id: ShelfId,
    plates: Vec<Plate>,
}

#[derive(Debug, Serialize)]
struct Plate {
    id: PlateId,
    /// Centre of its front edge: x, y, z in metres.
    front_m: [f64; 3],
    width_m: f64,
}

#[derive(Debug, Serialize)]
struct Product<'a> {
    id: &'a ProductId,
    name: &'a str,
    weight_mg: i64,
    price_minor: i64,
    tax_basis_points: u32,
    age_min_years: u8,
    sold_by: SoldBy,
}

#[derive(Debug, Serialize)]
struct Facing<'a> {
    product: &'a ProductId,
    plates: &'a [PlateId],
}

impl<'a> From<&'a Definition> for NormalForm<'a> {
    fn from(definition: &'a Definition) -> Self {
        let Definition {
            id,
            name,
            currency,
            policy,
            catalogue,
            planogram,
            layout,
            hash: _,
        } = definition;
        NormalForm {
            format: FORMAT,
            store: Store {
                id,
                name,
                currency: *currency,
            },
            policy: Policy {
                hold_minor: policy.hold.minor,
                confidence_min: policy.confidence_min,
                review_deadline_s: policy.review_deadline_s,
                node_silent_s: policy.node_silent_s,
                track_lost_s: policy.track_lost_s,
                reach_m: policy.reach_m,
                offline: (!policy.offline.is_closed()).then_some("capped"),
                offline_shoppers_max: policy.offline.shoppers_max(),
                offline_amount_max_minor: policy.offline.amount_max().map(|max| max.minor),
                limits: (policy.limits != Limits::default()).then_some(policy.limits),
            },
            gate: layout.gate.map(|gate| [gate.place.x, gate.place.y]),
            nodes: (layout.nodes.iter())
                .map(|node| Node {
                    name: &node.name,
                    shelves: &node.shelves,
                    tracks_bodies: node.tracks_bodies,
                    watches_gate: node.watches_gate,
                })
                .collect(),
            shelves: (layout.shelves.values())
                .map(|shelf| Shelf {
                    id: shelf.id,
                    plates: shelf.plates.iter().map(plate).collect(),
                })
                .collect(),
            products: (catalogue.products().iter())
                .map(|product| Product {
                    id: &product.id,
                    name: &product.name,
                    weight_mg: product.weight.0,
                    price_minor: product.price.minor,
                    tax_basis_points: product.tax_basis_points,
                    age_min_years: product.age_min_years,
                    sold_by: product.sold_by,
                })
                .collect(),
            facings: (planogram.facings().iter())
                .map(|facing| Facing {
                    product: &facing.product,
                    plates: &facing.plates,
                })
                .collect(),
        }
    }
}

fn plate(plate: &super::Plate) -> Plate {
    Plate {
        id: plate.id,
        front_m: [plate.front.x, plate.front.y, plate.front.z],
        width_m: plate.width_m,
    }
}

/// SHA-256 of the normal form's JSON, in lower-case hex.
pub fn hash(definition: &Definition) -> String {
    let mut sha = Sha256::new();
    // Writing finite numbers and strings into a hasher does not fail.
    let written = serde_json::to_writer(HashWriter(&mut sha), &NormalForm::from(definition));
    debug_assert!(written.is_ok());
    sha.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
