//! The definition file as it is written, before it is checked: shapes only. The JSON Schema comes from here.
//!
//! Each entry is read by itself, so that one misspelt field does not hide the mistakes of the other entries.

use std::fmt;
use std::ops::Range;

use serde::de::{IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalogue::SoldBy;
use super::hint::{example, nearest};
use super::remark::Remarks;

/// A value and where it stands in the file. Its schema is the value's.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct At<T>(Spanned<T>);

impl<T: schemars::JsonSchema> schemars::JsonSchema for At<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

impl<T> At<T> {
    /// The value.
    pub fn get(&self) -> &T {
        self.0.get_ref()
    }

    /// Its bytes in the file.
    pub fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

/// A store definition for Stroll: what is sold, where it stands, and by which rules.
#[derive(Debug, Default, schemars::JsonSchema)]
#[schemars(deny_unknown_fields, title = "Stroll store definition")]
pub struct RawDefinition {
    /// The store itself.
    #[schemars(required, with = "RawStore")]
    pub store: Option<Spanned<RawStore>>,
    /// The owner's rules; each has a default.
    #[schemars(with = "RawPolicy", default)]
    pub policy: Option<Spanned<RawPolicy>>,
    /// The gate; leave it out where nothing tells who enters.
    #[schemars(with = "RawGate", default)]
    pub gate: Option<Spanned<RawGate>>,
    /// The nodes: the Raspberry Pis of the store.
    #[schemars(with = "Vec<RawNode>", default)]
    pub node: Entries<RawNode>,
    /// The shelves, each a row of plates.
    #[schemars(with = "Vec<RawShelf>", default)]
    pub shelf: Entries<RawShelf>,
    /// The products.
    #[schemars(with = "Vec<RawProduct>", default)]
    pub product: Entries<RawProduct>,
    /// Which product stands on which plates.
    #[schemars(with = "Vec<RawFacing>", default)]
    pub facing: Entries<RawFacing>,
}

/// The entries of one kind whose shape is right.
#[derive(Debug)]
pub struct Entries<T> {
    /// In the order of the file.
    pub list: Vec<Spanned<T>>,
    /// Whether no entry was left out for its shape: a reference to something unknown may mean one of those.
    pub complete: bool,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Entries {
            list: Vec::new(),
            complete: true,
        }
    }
}

/// The store itself.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Store")]
pub struct RawStore {
    /// A level of every MQTT topic: lower-case letters, digits and `-`.
    #[schemars(regex(pattern = "^[a-z0-9-]{1,64}$"))]
    pub id: At<String>,
    /// What people call it.
    pub name: At<String>,
    /// ISO 4217 code of every price, such as EUR.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: At<String>,
}

/// The owner's rules; each has a default.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Policy")]
pub struct RawPolicy {
    /// Held on the shopper's card at entry, in minor units.
    #[schemars(range(min = 0))]
    pub hold_minor: Option<At<i64>>,
    /// A line below this probability goes to review and is not charged; 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub confidence_min: Option<At<f64>>,
    /// An open review is dropped in the shopper's favour after this many seconds.
    pub review_deadline_s: Option<At<f64>>,
    /// A node is silent when its watermark has stood still for this many seconds.
    pub node_silent_s: Option<At<f64>>,
    /// Without a gate, a track not seen for this many seconds has left.
    pub track_lost_s: Option<At<f64>>,
    /// With a gate, a shopper not seen for this many seconds has left.
    pub visit_lost_s: Option<At<f64>>,
    /// An admitted shopper who has not passed the gate after this many seconds is not coming.
    pub admission_s: Option<At<f64>>,
    /// Who is still inside so many seconds after closing time has left.
    pub closing_s: Option<At<f64>>,
    /// Nobody is let in while a node's clock may be off by more than this many seconds.
    pub clock_error_max_s: Option<At<f64>>,
    /// A shelf matters to a shopper who came within this many metres of it.
    pub reach_m: Option<At<f64>>,
    /// While the payment provider cannot be reached: `closed` refuses entry, `capped` lets shoppers in up to
    /// `offline_shoppers_max` or `offline_amount_max_minor` and takes the money later.
    #[schemars(with = "Option<RawOffline>")]
    pub offline: Option<At<String>>,
    /// So many shoppers at a time may be inside without a hold.
    #[schemars(range(min = 1))]
    pub offline_shoppers_max: Option<At<i64>>,
    /// Shoppers inside without a hold may together owe this, in minor units; each counts with the hold, or with the
    /// cart if that is more.
    #[schemars(range(min = 1))]
    pub offline_amount_max_minor: Option<At<i64>>,
}

/// What `offline` may be.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "Offline", rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "for the schema alone: the text is checked where its line is known"
)]
enum RawOffline {
    Closed,
    Capped,
}

/// The gate, where shoppers enter and leave.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Gate")]
pub struct RawGate {
    /// The middle of the threshold along the shelf fronts, metres.
    pub x_m: At<f64>,
    /// The middle of the threshold in depth, metres; the room is at y < 0 before a wall gondola.
    pub y_m: At<f64>,
}

/// A node: one Raspberry Pi.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Node")]
pub struct RawNode {
    /// A level of every MQTT topic: lower-case letters, digits and `-`.
    #[schemars(regex(pattern = "^[a-z0-9-]{1,64}$"))]
    pub name: At<String>,
    /// The shelves whose plates it reads.
    #[serde(default)]
    pub shelves: Vec<At<String>>,
    /// It follows bodies through the store.
    #[serde(default)]
    pub tracks_bodies: bool,
    /// It watches the gate.
    pub watches_gate: Option<At<bool>>,
}

/// A shelf: a row of plates, left to right.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Shelf")]
pub struct RawShelf {
    /// Gondola and shelf, such as "1.5".
    #[schemars(regex(pattern = r"^[1-9]\d*\.[1-9]\d*$"))]
    pub id: At<String>,
    /// The left front corner along the shelf fronts, metres.
    pub x_m: At<f64>,
    /// The left front corner in depth, metres.
    pub y_m: At<f64>,
    /// The height of the board above the floor, metres.
    pub z_m: At<f64>,
    /// The width of one plate, metres.
    pub plate_width_m: At<f64>,
    /// How many plates it has, or the indices of those that work.
    pub plates: At<RawPlates>,
}

/// The plates of a shelf.
#[derive(Debug)]
pub enum RawPlates {
    /// The plates 1 to this.
    Count(i64),
    /// Those of these indices.
    Indices(Vec<At<i64>>),
}

impl<'de> Deserialize<'de> for RawPlates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plates;
        impl<'de> Visitor<'de> for Plates {
            type Value = RawPlates;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of plates or a list of their indices")
            }
            fn visit_i64<E>(self, count: i64) -> Result<RawPlates, E> {
                Ok(RawPlates::Count(count))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawPlates, A::Error> {
                let mut indices = Vec::new();
                while let Some(index) = seq.next_element()? {
                    indices.push(index);
                }
                Ok(RawPlates::Indices(indices))
            }
        }
        deserializer.deserialize_any(Plates)
    }
}

impl schemars::JsonSchema for RawPlates {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Plates".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "oneOf": [
            { "type": "integer", "minimum": 1, "description": "how many plates the shelf has" },
            { "type": "array", "items": { "type": "integer", "minimum": 1 }, "minItems": 1,
              "description": "the indices of the plates that work" },
        ] })
    }
}

/// A product. It has either a `gtin` or a `sku`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Product")]
pub struct RawProduct {
    /// The number under the bar code: 8, 12, 13 or 14 digits.
    #[schemars(regex(pattern = r"^(\d{8}|\d{12,14})$"))]
    pub gtin: Option<At<String>>,
    /// The store's own code, for what has no GTIN.
    #[schemars(regex(pattern = "^[A-Za-z0-9._-]{1,64}$"))]
    pub sku: Option<At<String>>,
    /// What the receipt calls it.
    pub name: At<String>,
    /// Mass of one unit, grams; of a typical piece where it is sold by weight.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub weight_g: At<f64>,
    /// Price of one unit in minor units; of one kilogram where it is sold by weight.
    #[schemars(range(min = 0))]
    pub price_minor: At<i64>,
    /// Tax included in the price, percent.
    #[schemars(range(min = 0, max = 100))]
    pub tax_percent: At<f64>,
    /// Youngest age that may buy it, years; nobody is asked where it is left out.
    #[schemars(range(min = 0, max = 120))]
    pub age_min_years: Option<At<i64>>,
    /// By unit or by weight.
    #[serde(default)]
    pub sold_by: SoldBy,
}

/// A facing: a product and the plates that it stands on.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Facing")]
pub struct RawFacing {
    /// The product's GTIN or SKU.
    pub product: At<String>,
    /// The shelf, such as "1.5".
    pub shelf: At<String>,
    /// Indices of neighbouring plates of the shelf, from 1 at the left.
    pub plates: At<Vec<At<i64>>>,
}

/// Reads the shapes of `text`; what is wrong goes to `remarks`. None if the text is no TOML.
pub(super) fn read(text: &str, remarks: &mut Remarks<'_>) -> Option<RawDefinition> {
    let mut raw = RawDefinition::default();
    for (key, value) in top_level(text, remarks)? {
        match key.get_ref().as_ref() {
            "store" => raw.store = table_of("store", value, remarks),
            "policy" => raw.policy = table_of("policy", value, remarks),
            "gate" => raw.gate = table_of("gate", value, remarks),
            "node" => raw.node = entries_of("node", value, remarks),
            "shelf" => raw.shelf = entries_of("shelf", value, remarks),
            "product" => raw.product = entries_of("product", value, remarks),
            "facing" => raw.facing = entries_of("facing", value, remarks),
            other => remarks.mistake(
                key.span(),
                format!("a definition has no `{other}`"),
                match nearest(other, ["store", "policy", "gate", "node", "shelf", "product", "facing"]) {
                    Some(near) => format!("write `{near}`, or remove it"),
                    None => "remove it: there are `store`, `policy`, `gate`, `node`, `shelf`, `product` and `facing`"
                        .to_owned(),
                },
            ),
        }
    }
    Some(raw)
}

/// The keys and values at the top of a TOML text. None, with a mistake, if it is none.
pub(crate) fn top_level<'t>(text: &'t str, remarks: &mut Remarks<'_>) -> Option<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    // What follows the first error of syntax is often only its echo.
    if let Some(error) = errors.first() {
        syntax_mistake(error, text, remarks);
        return None;
    }
    Some(table.into_inner())
}

pub(crate) fn table_of<'de, T: Deserialize<'de>>(
    key: &str,
    value: Spanned<DeValue<'de>>,
    remarks: &mut Remarks<'_>,
) -> Option<Spanned<T>> {
    if !value.get_ref().is_table() {
        let found = value.get_ref().type_str();
        remarks.mistake(
            value.span(),
            format!("`{key}` must be one table, and this is of type {found}"),
            format!("write [{key}] in single brackets, once"),
        );
        return None;
    }
    let span = value.span();
    entry(value, remarks).map(|table| Spanned::new(span, table))
}

pub(crate) fn entries_of<'de, T: Deserialize<'de>>(
    key: &str,
    value: Spanned<DeValue<'de>>,
    remarks: &mut Remarks<'_>,
) -> Entries<T> {
    let span = value.span();
    let DeValue::Array(array) = value.into_inner() else {
        remarks.mistake(
            span,
            format!("there may be many of `{key}`, and this is only one table"),
            format!("write [[{key}]] in double brackets"),
        );
        return Entries {
            list: Vec::new(),
            complete: false,
        };
    };
    let mut entries = Entries::default();
    for item in array {
        let span = item.span();
        match entry(item, remarks) {
            Some(item) => entries.list.push(Spanned::new(span, item)),
            None => entries.complete = false,
        }
    }
    entries
}

fn entry<'de, T: Deserialize<'de>>(
    value: Spanned<DeValue<'de>>,
    remarks: &mut Remarks<'_>,
) -> Option<T> {
    let span = value.span();
    T::deserialize(value.into_deserializer())
        .map_err(|error| shape_mistake(&error, span, remarks))
        .ok()
}

fn syntax_mistake(error: &toml::de::Error, text: &str, remarks: &mut Remarks<'_>) {
    let span = error.span().unwrap_or(text.len()..text.len());
    let message = error.message();
    let help = if message.contains("duplicate key") {
        "keep one of the two and remove the other"
    } else {
        "write it as TOML: [table] or [[entry]], then lines of `key = value`, texts in double quotes"
    };
    remarks.mistake(span, message, help);
}

/// A field that is unknown, missing or of the wrong type.
fn shape_mistake(error: &toml::de::Error, entry: Range<usize>, remarks: &mut Remarks<'_>) {
    let span = error.span().unwrap_or(entry);
    let message = (error.message())
        .replace("expected i64", "expected a whole number")
        .replace("expected f64", "expected a number")
        .replace("expected a string", "expected a text in double quotes");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let help = if message.starts_with("unknown field") {
        let field = quoted.next().unwrap_or("");
        match nearest(field, quoted) {
            Some(near) => format!("write `{near}`, or remove the line"),
            None => "remove the line".to_owned(),
        }
    } else if message.starts_with("missing field") {
        match example(quoted.next().unwrap_or("")) {
            Some(line) => format!("add a line such as `{line}`"),
            None => "add it".to_owned(),
        }
    } else {
        let key = remarks.line_text(span.start).split('=').next();
        match example(key.unwrap_or("").trim()) {
            Some(line) => format!("write it like `{line}`"),
            None => "write it as `stroll config schema` says".to_owned(),
        }
    };
    remarks.mistake(span, message, help);
}
