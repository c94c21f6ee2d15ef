//! The store definition as JSON: what a recording carries.
//!
//! These structs mirror those of [`crate::store`] field by field, so that a change there does not silently change
//! what old recordings mean: the conversions below name every field and stop compiling instead.

use serde::{Deserialize, Serialize};

use crate::store::{
    Catalogue, Definition, Facing, Gate, Layout, Limits, Node, NodeName, Offline, Planogram, Plate,
    PlateId, Policy, Product, ProductId, Shelf, ShelfId, SoldBy,
};
use crate::units::{Currency, Milligrams, Money, Point};

/// A [`Definition`] in the form that recordings embed. It reads back to an equal one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefinitionFile {
    pub id: String,
    pub name: String,
    pub currency: Currency,
    pub policy: PolicyFile,
    pub products: Vec<ProductFile>,
    pub facings: Vec<FacingFile>,
    pub nodes: Vec<NodeFile>,
    pub shelves: Vec<ShelfFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Point>,
    /// [`Definition::hash`]
    pub hash: String,
}

/// [`Policy`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyFile {
    pub hold: Money,
    pub confidence_min: f64,
    pub review_deadline_s: f64,
    pub node_silent_s: f64,
    pub track_lost_s: f64,
    pub reach_m: f64,
    #[serde(default, skip_serializing_if = "Offline::is_closed")]
    pub offline: Offline,
    #[serde(default)]
    pub limits: Limits,
}

/// [`Product`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductFile {
    pub id: ProductId,
    pub name: String,
    pub weight_mg: Milligrams,
    pub price: Money,
    pub tax_basis_points: u32,
    pub age_min_years: u8,
    pub sold_by: SoldBy,
}

/// [`Facing`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FacingFile {
    pub product: ProductId,
    pub plates: Vec<PlateId>,
}

/// [`Node`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeFile {
    pub name: NodeName,
    pub shelves: Vec<ShelfId>,
    pub tracks_bodies: bool,
    pub watches_gate: bool,
}

/// [`Shelf`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShelfFile {
    pub id: ShelfId,
    pub node: NodeName,
    pub plates: Vec<PlateFile>,
}

/// [`Plate`]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateFile {
    pub id: PlateId,
    pub front: Point,
    pub width_m: f64,
}

/// An embedded definition contradicts itself.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InconsistentDefinition {
    #[error("the store definition has product {0} twice")]
    ProductTwice(ProductId),
    #[error("the store definition has a facing of product {0}, which is not in its catalogue")]
    UnknownProduct(ProductId),
}

impl From<&Definition> for DefinitionFile {
    fn from(definition: &Definition) -> Self {
        let Definition {
            id,
            name,
            currency,
            policy,
            catalogue,
            planogram,
            layout,
            hash,
        } = definition;
        let Layout {
            nodes,
            shelves,
            gate,
        } = layout;
        DefinitionFile {
            id: id.clone(),
            name: name.clone(),
            currency: *currency,
            policy: PolicyFile::from(policy),
            products: catalogue.products().iter().map(ProductFile::from).collect(),
            facings: planogram.facings().iter().map(FacingFile::from).collect(),
            nodes: nodes.iter().map(NodeFile::from).collect(),
            shelves: shelves.values().map(ShelfFile::from).collect(),
            gate: gate.map(|Gate { place }| place),
            hash: hash.clone(),
        }
    }
}

impl TryFrom<DefinitionFile> for Definition {
    type Error = InconsistentDefinition;

    fn try_from(file: DefinitionFile) -> Result<Self, InconsistentDefinition> {
        let products = file.products.into_iter().map(Product::from).collect();
        let catalogue = Catalogue::new(products)
            .map_err(|product| InconsistentDefinition::ProductTwice(product.id))?;
        let facings = file
            .facings
            .into_iter()
            .map(|FacingFile { product, plates }| {
                let Some(product_index) = catalogue.index(product.as_str()) else {
                    return Err(InconsistentDefinition::UnknownProduct(product));
                };
                Ok(Facing {
                    product,
                    product_index,
                    plates,
                })
            })
            .collect::<Result<_, _>>()?;
        let layout = Layout {
            nodes: file.nodes.into_iter().map(Node::from).collect(),
            shelves: file
                .shelves
                .into_iter()
                .map(|shelf| (shelf.id, Shelf::from(shelf)))
                .collect(),
            gate: file.gate.map(|place| Gate { place }),
        };
        Ok(Definition {
            id: file.id,
            name: file.name,
            currency: file.currency,
            policy: Policy::from(file.policy),
            catalogue,
            planogram: Planogram::new(facings),
            layout,
            hash: file.hash,
        })
    }
}

/// Conversions both ways between two structs with the same fields; a field that is missing on either side does not compile.
macro_rules! mirror {
    ($domain:ident <=> $file:ident { $($field:ident),* $(,)? }) => {
        impl From<&$domain> for $file {
            fn from(value: &$domain) -> Self {
                let $domain { $($field),* } = value.clone();
                $file { $($field),* }
            }
        }
        impl From<$file> for $domain {
            fn from(value: $file) -> Self {
                let $file { $($field),* } = value;
                $domain { $($field),* }
            }
        }
    };
}

mirror!(Policy <=> PolicyFile { hold, confidence_min, review_deadline_s, node_silent_s, track_lost_s, reach_m, offline, limits });
mirror!(Node <=> NodeFile { name, shelves, tracks_bodies, watches_gate });
mirror!(Plate <=> PlateFile { id, front, width_m });

impl From<&Product> for ProductFile {
    fn from(product: &Product) -> Self {
        let Product {
            id,
            name,
            weight,
            price,
            tax_basis_points,
            age_min_years,
            sold_by,
        } = product.clone();
        ProductFile {
            id,
            name,
            weight_mg: weight,
            price,
            tax_basis_points,
            age_min_years,
            sold_by,
        }
    }
}

impl From<ProductFile> for Product {
    fn from(file: ProductFile) -> Self {
        Product {
            id: file.id,
            name: file.name,
            weight: file.weight_mg,
            price: file.price,
            tax_basis_points: file.tax_basis_points,
            age_min_years: file.age_min_years,
            sold_by: file.sold_by,
        }
    }
}

impl From<&Facing> for FacingFile {
    fn from(facing: &Facing) -> Self {
        // The index follows from the catalogue.
        let Facing {
            product,
            product_index: _,
            plates,
        } = facing.clone();
        FacingFile { product, plates }
    }
}

impl From<&Shelf> for ShelfFile {
    fn from(shelf: &Shelf) -> Self {
        let Shelf { id, node, plates } = shelf;
        ShelfFile {
            id: *id,
            node: node.clone(),
            plates: plates.iter().map(PlateFile::from).collect(),
        }
    }
}

impl From<ShelfFile> for Shelf {
    fn from(file: ShelfFile) -> Self {
        Shelf {
            id: file.id,
            node: file.node,
            plates: file.plates.into_iter().map(Plate::from).collect(),
        }
    }
}
