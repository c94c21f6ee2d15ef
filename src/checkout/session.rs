//! Shopper sessions: one visit of one payer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cart::Cart;
use super::payment::PaymentState;
use super::receipt::Receipt;
use crate::observation::{DeviceId, Item, TrackId};
use crate::units::{Timestamp, text_id};

text_id! {
    /// A session: pseudonymous, made from the store, the time of entry and the device or track, so that a replay gives the same.
    SessionId
}

/// What a phone's owner does in the store.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Pays for what they take.
    #[default]
    Shopper,
    /// Fills the shelves and clears them: nothing is held at entry and nothing is charged at the exit.
    Staff,
}

impl Role {
    /// Whether it is the role that nothing needs to say.
    pub fn is_shopper(&self) -> bool {
        match self {
            Role::Shopper => true,
            Role::Staff => false,
        }
    }
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// In the store (or admitted and on the way in).
    Inside,
    /// Out of the store, waiting for the watermarks of the nodes that matter.
    Leaving,
    /// Out of the store, waiting for verdicts or a silent node.
    Draft,
    /// The cart is final; payment is under way.
    Settled,
    /// Paid, voided or declined: nothing more will happen by itself.
    Closed,
}

/// One visit, as folded from decisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub state: SessionState,
    pub role: Role,
    pub device: Option<DeviceId>,
    pub track: Option<TrackId>,
    pub entered_at: Timestamp,
    pub exited_at: Option<Timestamp>,
    pub cart: Cart,
    /// What was in doubt until the end, and is not charged.
    pub uncharged: Vec<Item>,
    /// Nothing of it is charged.
    #[serde(default)]
    pub written_off: bool,
    pub payment: PaymentState,
    /// The payer has agreed to one further charge where the hold does not cover the total.
    pub second_charge: bool,
    /// The gate opened before it was known whether anything is held.
    pub unsecured: bool,
    pub receipt: Option<Receipt>,
}

impl Session {
    /// Whether the cart can still change: it is not settled.
    pub fn is_open(&self) -> bool {
        match self.state {
            SessionState::Inside | SessionState::Leaving | SessionState::Draft => true,
            SessionState::Settled | SessionState::Closed => false,
        }
    }
}

/// Every session of a day, by id.
pub type Sessions = BTreeMap<SessionId, Session>;
