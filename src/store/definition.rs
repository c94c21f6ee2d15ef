//! The store definition: the TOML file's checked form.

use serde::{Deserialize, Serialize};

use super::remark::Remarks;
use super::{Catalogue, DefinitionError, Layout, Planogram, Warning, check, raw};
use crate::units::{Currency, Money};

/// The rules that the owner sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Authorised (held) at entry.
    pub hold: Money,
    /// A line below this probability is not charged but goes to review; 0 to 1.
    pub confidence_min: f64,
    /// An open review is dropped in the shopper's favour after this, seconds after the exit.
    pub review_deadline_s: f64,
    /// A node is declared silent when its watermark has not moved for this long, seconds.
    pub node_silent_s: f64,
    /// Without a gate: a track not seen for this long has left, seconds.
    pub track_lost_s: f64,
    /// A shelf matters to a shopper whose track came within this distance of it, metres.
    pub reach_m: f64,
    /// Who may enter while the payment provider cannot be reached.
    pub offline: Offline,
    pub limits: Limits,
}

/// Who may enter while the payment provider cannot be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offline {
    /// Nobody who pays.
    #[default]
    Closed,
    /// Shoppers whose hold is made later, up to what the owner will risk; at least one of the two is set.
    Capped {
        /// So many at a time.
        shoppers_max: Option<u32>,
        /// Together so much, each counted with the hold or with the cart, whichever is more.
        amount_max: Option<Money>,
    },
}

impl Offline {
    /// How many may be inside without a hold, if that is capped.
    pub fn shoppers_max(&self) -> Option<u32> {
        match self {
            Offline::Closed => None,
            Offline::Capped { shoppers_max, .. } => *shoppers_max,
        }
    }

    /// How much may be inside without a hold, if that is capped.
    pub fn amount_max(&self) -> Option<Money> {
        match self {
            Offline::Closed => None,
            Offline::Capped { amount_max, .. } => *amount_max,
        }
    }

    /// Whether it is the policy that nothing needs to say.
    pub fn is_closed(&self) -> bool {
        match self {
            Offline::Closed => true,
            Offline::Capped { .. } => false,
        }
    }
}

/// When the store stops waiting for somebody, and when it lets nobody in. In a definition file they stand beside the
/// rest of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// With a gate: a shopper not seen for this long is taken to have left, seconds.
    pub visit_lost_s: f64,
    /// An admitted shopper who has not passed the gate by then is not coming, seconds.
    pub admission_s: f64,
    /// Who is still inside so long after closing time is taken to have left, seconds.
    pub closing_s: f64,
    /// Nobody is let in while a node's clock may be off by more than this, seconds.
    pub clock_error_max_s: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            visit_lost_s: 600.0,
            admission_s: 60.0,
            closing_s: 900.0,
            clock_error_max_s: 1.0,
        }
    }
}

impl Policy {
    /// The policy of a store whose definition sets none.
    pub fn default_in(currency: Currency) -> Self {
        Policy {
            hold: Money::new(5_000, currency),
            confidence_min: 0.9,
            review_deadline_s: 3_600.0,
            node_silent_s: 5.0,
            track_lost_s: 30.0,
            reach_m: 1.5,
            offline: Offline::Closed,
            limits: Limits::default(),
        }
    }
}

/// A store: what is sold, where it stands, and by which rules.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The store's id: a level of every topic and a part of every key.
    pub id: String,
    /// What people call it.
    pub name: String,
    pub currency: Currency,
    pub policy: Policy,
    pub catalogue: Catalogue,
    pub planogram: Planogram,
    pub layout: Layout,
    /// SHA-256 of the definition in its normal form, in hex: decisions name it.
    pub hash: String,
}

/// The definition of the NanoStore, which ships with the program: `deploy/nanostore.toml`.
pub const NANOSTORE: &str = include_str!("../../deploy/nanostore.toml");

/// The file name that remarks on [`NANOSTORE`] carry.
pub const NANOSTORE_FILE: &str = "deploy/nanostore.toml";

/// Bytes of a definition file.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads and checks a definition. `file_name` only goes into the remarks.
///
/// A GTIN whose check digit is wrong is a warning, as real codes sometimes fail it. Products, nodes, shelves and
/// facings come out in the order of their codes, names and places, whatever the order of the file: two texts with
/// the same [`Definition::hash`] give the same definition.
///
/// # Errors
/// Every independent mistake of the text, each with its line. Where the text is no TOML, only the first.
pub fn parse(text: &str, file_name: &str) -> Result<(Definition, Vec<Warning>), DefinitionError> {
    let too_large = text.len() > FILE_BYTES_MAX;
    let mut remarks = Remarks::new(if too_large { "" } else { text }, file_name);
    if too_large {
        remarks.mistake_of_file(
            format!("the file has {} bytes", text.len()),
            format!("a definition has at most {FILE_BYTES_MAX}: remove what is no part of it"),
        );
        return remarks.finish(None);
    }
    let raw = raw::read(text, &mut remarks);
    let definition = raw.and_then(|raw| check::resolve(&raw, &mut remarks));
    remarks.finish(definition)
}

/// The JSON Schema of the definition file, for editors.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(raw::RawDefinition)
}
