//! What the console shows: a plain snapshot of the store, and the pure functions that make it from the domain.
//!
//! The wiring code keeps an [`EventLog`] and a [`ReceiptLog`], fills a [`StoreView`] whenever something has
//! changed, and sends it through a `watch` channel to [`super::serve`]. Nothing here knows of HTML.

mod floor;
mod rates;
mod reviews;
mod stock;
mod touched;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use crate::checkout::payment::{Charge, PaymentState};
use crate::checkout::receipt::{Paid, Receipt, ReceiptLine};
use crate::checkout::session::{Session, SessionId, SessionState, Sessions};
use crate::observation::DeviceId;
use crate::store::{Definition, Node, NodeName, ProductId};
use crate::units::{Currency, Milligrams, Money, Timestamp};

pub use super::event_log::{EVENTS_MAX, EventKind, EventLog, EventView};
pub use floor::{BodyView, Watch};
pub use rates::{Rate, Rates};
pub use reviews::{
    Backlog, CHOICES_MAX, ChoiceView, CorrectionView, DecidedView, NearView, ReviewView,
};
pub use stock::Moves;
pub use touched::touched;

/// Receipts that a [`ReceiptLog`] keeps; beyond, the oldest is forgotten (the journal has them all).
pub const RECEIPTS_MAX: usize = 200;

/// Everything that the console shows, at one moment of event time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoreView {
    pub store_id: String,
    pub store_name: String,
    pub currency: Currency,
    /// Event time of this snapshot.
    pub now: Timestamp,
    /// Shoppers whose visit is not over, in the order in which they came.
    pub sessions: Vec<SessionView>,
    /// Newest first, at most [`EVENTS_MAX`].
    pub events: Vec<EventView>,
    /// Newest first, at most [`RECEIPTS_MAX`].
    pub receipts: Vec<ReceiptView>,
    /// In the order of the store definition.
    pub nodes: Vec<NodeView>,
    pub counters: Counters,
    /// Why nobody is let in, a sentence each.
    pub bars: Vec<String>,
    /// Of these, what an operator can undo.
    pub is_closed: bool,
    pub is_emergency: bool,
    /// What the store waits for and does nothing without: room on the journal's disk.
    pub waits_for: Option<String>,
    /// Changes that wait for a person, the oldest first.
    pub reviews: Vec<ReviewView>,
    /// Those that were decided, newest first.
    pub decided: Vec<DecidedView>,
    /// What came to light after the receipt, newest first.
    pub corrections: Vec<CorrectionView>,
    /// Who is where.
    pub bodies: Vec<BodyView>,
    /// What moved on the shelves.
    #[serde(skip)]
    pub moves: Arc<Moves>,
}

impl StoreView {
    /// The view of a store that has just opened: nobody inside, and no node heard of yet.
    pub fn opening(definition: &Definition, now: Timestamp) -> Self {
        StoreView {
            store_id: definition.id.clone(),
            store_name: definition.name.clone(),
            currency: definition.currency,
            now,
            sessions: Vec::new(),
            events: Vec::new(),
            receipts: Vec::new(),
            nodes: nodes(definition),
            counters: Counters {
                inside: 0,
                sold_today: Money::new(0, definition.currency),
                open_reviews: 0,
                observations: 0,
                losses: 0,
            },
            bars: Vec::new(),
            is_closed: false,
            is_emergency: false,
            waits_for: None,
            reviews: Vec::new(),
            decided: Vec::new(),
            corrections: Vec::new(),
            bodies: Vec::new(),
            moves: Arc::default(),
        }
    }
}

/// The numbers above everything else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counters {
    /// Shoppers in the store.
    pub inside: u64,
    /// Captured today, tax included.
    pub sold_today: Money,
    /// Changes that wait for a person's verdict.
    pub open_reviews: u64,
    /// Observations in the journal.
    pub observations: u64,
    /// Gaps, and messages that could not be read.
    pub losses: u64,
}

/// A shopper as people speak of one: by a few letters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shopper {
    /// The whole id.
    pub session: SessionId,
    /// Its last [`Shopper::SHORT_CHARS_MAX`] letters and digits, in capitals: enough to tell those apart who are here today.
    pub short: String,
}

impl Shopper {
    /// Letters and digits of the short form.
    pub const SHORT_CHARS_MAX: usize = 4;

    /// The shopper of a session.
    pub fn of(session: &SessionId) -> Self {
        let letters: Vec<char> = session
            .as_str()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let from = letters.len().saturating_sub(Self::SHORT_CHARS_MAX);
        let short: String = letters.iter().skip(from).collect();
        Shopper {
            session: session.clone(),
            short: if short.is_empty() {
                "?".to_owned()
            } else {
                short.to_ascii_uppercase()
            },
        }
    }
}

impl std::fmt::Display for Shopper {
    /// `Shopper 4F2A`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shopper {}", self.short)
    }
}

/// One visit that is not over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionView {
    pub shopper: Shopper,
    pub state: VisitState,
    pub entered_at: Timestamp,
    pub exited_at: Option<Timestamp>,
    /// What is in the cart and what is being checked, by product code.
    pub lines: Vec<LineView>,
    /// Changes in review that may belong to this cart.
    pub open_reviews: u64,
    /// Of the lines that are charged as things stand, tax included.
    pub total: Money,
    /// When the store last decided something about it, by the wall's clock.
    pub decided_at: Timestamp,
    /// Whose phone opened the gate: for that phone's owner alone.
    #[serde(skip)]
    pub device: Option<DeviceId>,
}

/// Where a visit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VisitState {
    /// In the store.
    Inside,
    /// Out, and the last sensor data of the visit is on its way.
    Leaving,
    /// Out, and waiting for a verdict or for a silent node.
    Draft,
    /// The cart is final and the gateway has been asked.
    Paying,
}

/// A line of a cart or of a receipt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineView {
    pub product: ProductId,
    pub name: String,
    /// Units that are charged; 0 if all of it is being checked.
    pub quantity: u32,
    /// For products sold by weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mass_mg: Option<Milligrams>,
    /// For the charged units, tax included.
    pub amount: Money,
    /// Units that wait for a verdict, and are not charged so far.
    pub being_checked: u32,
}

/// A receipt as the console lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReceiptView {
    pub shopper: Shopper,
    pub issued_at: Timestamp,
    /// From the exit to the receipt, milliseconds; 0 where the clocks disagree.
    pub delay_ms: u64,
    pub lines: Vec<LineView>,
    pub total: Money,
    /// The tax that the total includes.
    pub tax: Money,
    pub paid: Paid,
    /// What was given back so far, and what still can be in one refund; None where nothing was taken, or it was long ago.
    pub refunds: Option<Refunds>,
}

/// What was given back of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Refunds {
    pub refunded: Money,
    pub left: Money,
}

impl ReceiptView {
    /// A receipt that was handed out at `issued_at`.
    pub fn new(receipt: &Receipt, issued_at: Timestamp) -> Self {
        let delay_us = issued_at.0.saturating_sub(receipt.exited_at.0);
        ReceiptView {
            shopper: Shopper::of(&receipt.session),
            issued_at,
            delay_ms: u64::try_from(delay_us / 1_000).unwrap_or(0),
            lines: receipt.lines.iter().map(LineView::charged).collect(),
            total: receipt.total,
            tax: receipt.tax,
            paid: receipt.paid,
            refunds: None,
        }
    }
}

impl Refunds {
    /// Of a visit.
    pub fn of(session: &Session) -> Option<Self> {
        let PaymentState::Captured(captured) = &session.payment else {
            return None;
        };
        let currency = captured.charges.first()?.amount.currency;
        let refunded = captured.charges.iter().map(|c| c.refunded.minor).sum();
        let left = captured.charges.iter().map(Charge::left);
        Some(Refunds {
            refunded: Money::new(refunded, currency),
            left: left.max_by_key(|left| left.minor)?,
        })
    }
}

/// The last receipts, newest first; at most [`RECEIPTS_MAX`], then the oldest is forgotten.
#[derive(Clone, Debug, Default)]
pub struct ReceiptLog(VecDeque<ReceiptView>);

impl ReceiptLog {
    /// Adds a receipt that was handed out at `issued_at`.
    pub fn push(&mut self, receipt: &Receipt, issued_at: Timestamp) {
        self.0.truncate(RECEIPTS_MAX - 1);
        self.0.push_front(ReceiptView::new(receipt, issued_at));
    }

    /// Newest first.
    pub fn recent(&self) -> Vec<ReceiptView> {
        self.0.iter().cloned().collect()
    }
}

/// A node as the console lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeView {
    pub name: NodeName,
    /// What it does, in a few words: `Shelves 1.1 to 1.6 · gate`.
    pub role: String,
    pub health: NodeHealth,
    /// Since it was last heard, milliseconds; `None` if it has not been heard yet.
    pub heard_age_ms: Option<u64>,
    /// How far its watermark is behind event time, milliseconds; `None` before the first watermark.
    pub watermark_lag_ms: Option<u64>,
    /// What is wrong in the node's own words; empty if nothing is.
    pub trouble: String,
    /// What it has told since the program started, how much of that in the last whole minute, and how many gaps.
    pub observations: u64,
    pub a_minute: u64,
    pub gaps: u64,
}

/// Whether a node can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeHealth {
    /// Its watermark moves.
    Online,
    /// Not heard of past the limit: carts that it could touch wait.
    Silent,
    /// It said goodbye, its connection broke, or it has never been there.
    Offline,
}

/// The store's nodes before any of them was heard.
pub fn nodes(definition: &Definition) -> Vec<NodeView> {
    let unheard = |node: &Node| NodeView {
        name: node.name.clone(),
        role: role(node),
        health: NodeHealth::Offline,
        heard_age_ms: None,
        watermark_lag_ms: None,
        trouble: String::new(),
        observations: 0,
        a_minute: 0,
        gaps: 0,
    };
    definition.layout.nodes.iter().map(unheard).collect()
}

fn role(node: &Node) -> String {
    let shelves = match node.shelves.as_slice() {
        [] => None,
        [only] => Some(format!("shelf {only}")),
        [first, .., last] => Some(format!("shelves {first} to {last}")),
    };
    let parts = [
        shelves,
        node.tracks_bodies.then(|| "cameras".to_owned()),
        node.watches_gate.then(|| "gate".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(" · ")
}

/// The visits that are not over, in the order in which the shoppers came.
pub fn sessions(sessions: &Sessions, definition: &Definition) -> Vec<SessionView> {
    let mut views: Vec<SessionView> = sessions
        .values()
        .filter_map(|session| session_view(session, definition))
        .collect();
    // Sessions come by id, and the sort is stable: who came at the same moment stays in the order of ids.
    views.sort_by_key(|view| view.entered_at);
    views
}

fn session_view(session: &Session, definition: &Definition) -> Option<SessionView> {
    let state = match session.state {
        SessionState::Inside => VisitState::Inside,
        SessionState::Leaving => VisitState::Leaving,
        SessionState::Draft => VisitState::Draft,
        SessionState::Settled => VisitState::Paying,
        SessionState::Closed => return None,
    };
    let lines = cart_lines(session, definition);
    let minor = lines
        .iter()
        .fold(0_i64, |sum, line| sum.saturating_add(line.amount.minor));
    Some(SessionView {
        shopper: Shopper::of(&session.id),
        state,
        entered_at: session.entered_at,
        exited_at: session.exited_at,
        lines,
        open_reviews: session.cart.reviews.len() as u64,
        total: Money::new(minor, definition.currency),
        // What only the store's program knows better.
        decided_at: session.entered_at,
        device: session.device.clone(),
    })
}

/// The charged lines and, by product too, what is being checked.
fn cart_lines(session: &Session, definition: &Definition) -> Vec<LineView> {
    let charged = session.cart.receipt_lines(&definition.catalogue);
    let mut lines: BTreeMap<ProductId, LineView> = charged
        .iter()
        .map(|line| (line.product.clone(), LineView::charged(line)))
        .collect();
    for item in session.cart.reviews.values().flatten() {
        let line = lines
            .entry(item.product.clone())
            .or_insert_with(|| LineView {
                product: item.product.clone(),
                name: product_name(&item.product, definition),
                quantity: 0,
                mass_mg: None,
                amount: Money::new(0, definition.currency),
                being_checked: 0,
            });
        line.being_checked = line.being_checked.saturating_add(item.quantity);
    }
    lines.into_values().collect()
}

impl LineView {
    fn charged(line: &ReceiptLine) -> Self {
        LineView {
            product: line.product.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
            mass_mg: line.mass_mg,
            amount: line.amount,
            being_checked: 0,
        }
    }
}

/// What the catalogue calls a product, or its code where the catalogue no longer has it.
pub(in crate::console) fn product_name(product: &ProductId, definition: &Definition) -> String {
    definition
        .catalogue
        .get(product.as_str())
        .map_or_else(|| product.to_string(), |known| known.name.clone())
}
