//! The store definition: the TOML file's checked form.

use super::{Catalogue, Layout, Planogram};
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
