//! What is sold and where it stands: the store definition, one commented TOML file.
//!
//! [`Definition`] is the checked form that everything else works with; [`definition::parse`] makes it from text
//! and answers a mistake with the offending line.

pub mod catalogue;
mod check;
pub mod definition;
pub mod gtin;
pub(crate) mod hint;
pub mod layout;
pub mod normal_form;
pub mod planogram;
pub(crate) mod raw;
pub mod remark;

pub use catalogue::{Catalogue, Product, ProductId, SoldBy};
pub use definition::{Definition, Limits, Offline, Policy};
pub use layout::{Gate, Layout, Node, NodeName, Plate, PlateId, Shelf, ShelfId};
pub use planogram::{Facing, Planogram};
pub use remark::{DefinitionError, Warning};
