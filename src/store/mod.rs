//! What is sold and where it stands: the store definition, one commented TOML file.
//!
//! [`Definition`] is the checked form that everything else works with; [`definition::parse`] makes it from text
//! and answers a mistake with the offending line.

pub mod catalogue;
pub mod definition;
pub mod gtin;
pub mod layout;
pub mod planogram;

pub use catalogue::{Catalogue, Product, ProductId, SoldBy};
pub use definition::{Definition, Policy};
pub use layout::{Gate, Layout, Node, NodeName, Plate, PlateId, Shelf, ShelfId};
pub use planogram::{Facing, Planogram};
