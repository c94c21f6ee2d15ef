//! The layout: nodes, shelves, plates and the gate, with their places in metres.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::units::{Point, text_id};

text_id! {
    /// A node's name: lower-case letters, digits and `-`; it is a level of the MQTT topic.
    NodeName
}

/// A shelf: its gondola and its index within it, both from 1. Written `1.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShelfId {
    pub gondola: u16,
    pub shelf: u16,
}

/// A plate (one load cell): its shelf and its index on it, from 1 at the left. Written `1.5.11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlateId {
    pub shelf: ShelfId,
    pub plate: u16,
}

fn numbers<const N: usize>(text: &str) -> Option<[u16; N]> {
    let mut parts = text.split('.');
    let mut out = [0; N];
    for slot in &mut out {
        *slot = parts.next()?.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

impl FromStr for ShelfId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let [gondola, shelf] = numbers(text)
            .ok_or_else(|| format!("`{text}` is no shelf: write gondola.shelf, such as 1.5"))?;
        Ok(ShelfId { gondola, shelf })
    }
}

impl FromStr for PlateId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let [gondola, shelf, plate] = numbers(text).ok_or_else(|| {
            format!("`{text}` is no plate: write gondola.shelf.plate, such as 1.5.11")
        })?;
        Ok(PlateId {
            shelf: ShelfId { gondola, shelf },
            plate,
        })
    }
}

impl fmt::Display for ShelfId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.gondola, self.shelf)
    }
}

impl fmt::Display for PlateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shelf, self.plate)
    }
}

macro_rules! string_form {
    ($name:ident, $pattern:literal) => {
        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}
string_form!(ShelfId, r"^\d+\.\d+$");
string_form!(PlateId, r"^\d+\.\d+\.\d+$");

/// One plate and where its centre is.
#[derive(Clone, Debug, PartialEq)]
pub struct Plate {
    pub id: PlateId,
    /// Centre of the plate's front edge: where a hand enters the shelf.
    pub front: Point,
    /// Width along x, metres.
    pub width_m: f64,
}

/// One shelf: a row of plates that share a board, left to right.
#[derive(Clone, Debug, PartialEq)]
pub struct Shelf {
    pub id: ShelfId,
    /// The node that reads its plates.
    pub node: NodeName,
    /// Left to right; never empty. Indices need not be contiguous (a dead converter channel has no plate).
    pub plates: Vec<Plate>,
}

/// What a node of the store does.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub name: NodeName,
    /// The shelves whose load cells it reads.
    pub shelves: Vec<ShelfId>,
    /// It publishes body tracks.
    pub tracks_bodies: bool,
    /// It watches the gate.
    pub watches_gate: bool,
}

/// The gate, where shoppers enter and leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// The middle of the threshold, on the floor.
    pub place: Point,
}

/// Every node, shelf and plate of the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    pub nodes: Vec<Node>,
    pub shelves: BTreeMap<ShelfId, Shelf>,
    pub gate: Option<Gate>,
}

impl Layout {
    /// The plate of that id.
    pub fn plate(&self, id: PlateId) -> Option<&Plate> {
        self.shelves
            .get(&id.shelf)?
            .plates
            .iter()
            .find(|p| p.id == id)
    }

    /// The node of that name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|n| &n.name == name)
    }

    /// The node that reads the plates of a shelf.
    pub fn node_of(&self, shelf: ShelfId) -> Option<&Node> {
        self.nodes.iter().find(|n| n.shelves.contains(&shelf))
    }

    /// Plates in the whole store.
    pub fn plate_count(&self) -> usize {
        self.shelves.values().map(|s| s.plates.len()).sum()
    }
}
