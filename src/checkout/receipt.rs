//! Receipts.

use serde::{Deserialize, Serialize};

use super::session::SessionId;
use crate::observation::TrackId;
use crate::store::ProductId;
use crate::units::{Milligrams, Money, Timestamp};

/// What a shopper was charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub session: SessionId,
    /// The shopper's track, where one was bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackId>,
    pub entered_at: Timestamp,
    pub exited_at: Timestamp,
    /// By product code; empty if nothing was taken.
    pub lines: Vec<ReceiptLine>,
    pub total: Money,
    /// The tax that the total includes.
    pub tax: Money,
    pub paid: Paid,
    /// What of the total was not taken, where it is owed; older receipts do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Money>,
}

/// How a receipt was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paid {
    /// The total was captured.
    Captured,
    /// Nothing was taken and the hold was released.
    Voided,
    /// The total was not taken, or not all of it.
    Owed,
}

/// A line of a receipt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceiptLine {
    pub product: ProductId,
    pub name: String,
    pub quantity: u32,
    /// For products sold by weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mass_mg: Option<Milligrams>,
    /// Tax included.
    pub amount: Money,
    pub tax: Money,
    pub tax_basis_points: u32,
}
