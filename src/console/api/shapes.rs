//! What goes over the API, as JSON. The names and shapes here are a promise: they are added to, and never changed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::console::view::{self, LineView, NodeView, ReceiptView, ReviewView, SessionView};
use crate::observation::Item;
use crate::units::{Money, Timestamp};

/// A moment, as in RFC 3339.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(extend("format" = "date-time"))]
pub struct Moment(String);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Moment(at.to_string())
    }
}

/// A list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Items<T> {
    pub items: Vec<T>,
}

/// Where a visit stands.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Inside,
    /// Out, and the last sensor data of the visit is on its way.
    Leaving,
    /// Out, and waiting for a verdict or for a silent node.
    Draft,
    /// The cart is final and the payment provider has been asked.
    Paying,
}

/// A visit that is not over.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Visit {
    pub session: String,
    pub state: State,
    pub entered_at: Moment,
    pub exited_at: Option<Moment>,
    /// Of what is charged as things stand, tax included.
    pub total: Money,
    /// Doubtful changes that may belong to this visit.
    pub open_reviews: u64,
}

/// A line of a cart or a receipt.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Line {
    pub product: String,
    pub name: String,
    /// Units that are charged.
    pub quantity: u32,
    /// Of products sold by weight, milligrams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mass_mg: Option<i64>,
    /// Of the charged units, tax included.
    pub amount: Money,
    /// Units that wait for a verdict.
    pub being_checked: u32,
}

/// A cart as it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cart {
    pub session: String,
    pub state: State,
    /// When the store last decided something about it.
    pub decided_at: Moment,
    pub lines: Vec<Line>,
    pub total: Money,
    pub open_reviews: u64,
}

/// How a receipt was paid.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Paid {
    Captured,
    /// Nothing was taken.
    Voided,
    /// The total was not taken, or not all of it.
    Owed,
}

/// A receipt.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Receipt {
    pub session: String,
    pub entered_at: Moment,
    pub exited_at: Moment,
    pub lines: Vec<Line>,
    pub total: Money,
    /// The tax that the total includes.
    pub tax: Money,
    pub paid: Paid,
}

/// A product on a shelf.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StockItem {
    /// `1.5`
    pub shelf: String,
    pub plates: Vec<u16>,
    pub product: String,
    pub name: String,
    /// Of one unit, or of a kilogram, tax included.
    pub price: Money,
    pub counted: Option<u32>,
    pub counted_at: Option<Moment>,
    /// Units that should be there; none if nobody has counted, or long ago.
    pub left: Option<i64>,
}

/// How a node is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Online,
    Silent,
    Offline,
}

/// A node.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Node {
    pub name: String,
    pub role: String,
    pub health: Health,
    pub heard_age_ms: Option<u64>,
    pub watermark_lag_ms: Option<u64>,
    /// What is wrong in its own words; empty if nothing is.
    pub trouble: String,
    pub observations: u64,
    pub gaps: u64,
}

/// A doubtful change.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Review {
    pub review: String,
    pub at: Moment,
    pub shelf: String,
    pub plates: Vec<u16>,
    /// Milligrams that left (negative) or came.
    pub delta_mg: i64,
    pub reason: String,
    /// The likeliest first.
    pub choices: Vec<Choice>,
    /// How likely it is that it was nobody whom the store knows, parts in a million.
    pub nobody_ppm: u32,
}

/// A possible answer to a review.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Choice {
    pub session: String,
    pub items: Vec<Item>,
    pub probability_ppm: u32,
}

/// A day's business.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DayEnd {
    /// `2026-11-23`, in the store's time zone.
    pub day: String,
    pub visits: u64,
    /// Of those, with something bought.
    pub purchases: u64,
    /// What was sold, tax included.
    pub sold: Money,
    pub captured: Money,
    pub owed: Money,
    pub refunded: Money,
    /// The tax in what was sold, by its rate.
    pub taxes: Vec<TaxRate>,
    /// What the shelves lost and nobody paid, at today's prices.
    pub lost: Money,
    /// Units sold of each product.
    pub products: BTreeMap<String, u64>,
}

/// The tax at a rate.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TaxRate {
    /// 700 is 7 %.
    pub basis_points: u32,
    pub gross: Money,
    pub net: Money,
    pub tax: Money,
}

/// An amount to give back.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewRefund {
    /// Minor units of the store's currency.
    #[schemars(range(min = 1))]
    pub minor: i64,
}

/// A count.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewCount {
    pub shelf: String,
    pub product: String,
    pub units: u32,
}

/// A verdict.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewVerdict {
    /// Whose visit it was; without it, nobody's.
    pub session: Option<String>,
    #[serde(default)]
    pub items: Vec<Item>,
}

/// It is done, and durable.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Done {
    pub done: bool,
}

/// Why something was not done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Error {
    pub error: ErrorBody,
}

/// Why, for programs and for people.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// `no_key`, `wrong_key`, `out_of_scope`, `too_often`, `invalid`, `not_found`, `refused`, `away`, `failed`
    pub code: String,
    /// A sentence.
    pub message: String,
}

impl From<view::VisitState> for State {
    fn from(state: view::VisitState) -> Self {
        match state {
            view::VisitState::Inside => State::Inside,
            view::VisitState::Leaving => State::Leaving,
            view::VisitState::Draft => State::Draft,
            view::VisitState::Paying => State::Paying,
        }
    }
}

impl From<&LineView> for Line {
    fn from(line: &LineView) -> Self {
        Line {
            product: line.product.to_string(),
            name: line.name.clone(),
            quantity: line.quantity,
            mass_mg: line.mass_mg.map(|mass| mass.0),
            amount: line.amount,
            being_checked: line.being_checked,
        }
    }
}

impl From<&SessionView> for Visit {
    fn from(visit: &SessionView) -> Self {
        Visit {
            session: visit.shopper.session.to_string(),
            state: visit.state.into(),
            entered_at: visit.entered_at.into(),
            exited_at: visit.exited_at.map(Moment::from),
            total: visit.total,
            open_reviews: visit.open_reviews,
        }
    }
}

impl From<&SessionView> for Cart {
    fn from(visit: &SessionView) -> Self {
        Cart {
            session: visit.shopper.session.to_string(),
            state: visit.state.into(),
            decided_at: visit.decided_at.into(),
            lines: visit.lines.iter().map(Line::from).collect(),
            total: visit.total,
            open_reviews: visit.open_reviews,
        }
    }
}

impl From<&crate::checkout::receipt::Receipt> for Receipt {
    fn from(receipt: &crate::checkout::receipt::Receipt) -> Self {
        let issued = ReceiptView::new(receipt, receipt.exited_at);
        Receipt {
            session: receipt.session.to_string(),
            entered_at: receipt.entered_at.into(),
            exited_at: receipt.exited_at.into(),
            lines: issued.lines.iter().map(Line::from).collect(),
            total: receipt.total,
            tax: receipt.tax,
            paid: match receipt.paid {
                crate::checkout::receipt::Paid::Captured => Paid::Captured,
                crate::checkout::receipt::Paid::Voided => Paid::Voided,
                crate::checkout::receipt::Paid::Owed => Paid::Owed,
            },
        }
    }
}

impl From<&NodeView> for Node {
    fn from(node: &NodeView) -> Self {
        Node {
            name: node.name.to_string(),
            role: node.role.clone(),
            health: match node.health {
                view::NodeHealth::Online => Health::Online,
                view::NodeHealth::Silent => Health::Silent,
                view::NodeHealth::Offline => Health::Offline,
            },
            heard_age_ms: node.heard_age_ms,
            watermark_lag_ms: node.watermark_lag_ms,
            trouble: node.trouble.clone(),
            observations: node.observations,
            gaps: node.gaps,
        }
    }
}

impl From<&ReviewView> for Review {
    fn from(review: &ReviewView) -> Self {
        let choices = review.choices.iter().map(|choice| Choice {
            session: choice.shopper.session.to_string(),
            items: choice.items.clone(),
            probability_ppm: choice.probability_ppm,
        });
        Review {
            review: review.review.to_string(),
            at: review.at.into(),
            shelf: review.shelf.to_string(),
            plates: review.plates.clone(),
            delta_mg: review.delta_mg.0,
            reason: review.reason.clone(),
            choices: choices.collect(),
            nobody_ppm: review.nobody_ppm,
        }
    }
}
