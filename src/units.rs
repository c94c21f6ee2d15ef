//! Units: event time, mass, money. Integers everywhere that a value is stored, sent or compared.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in event time: microseconds since the Unix epoch, UTC.
///
/// It says when something happened in the store, not when anybody heard of it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before everything that a recording can hold.
    pub const MIN: Timestamp = Timestamp(i64::MIN / 4);
    /// After everything that a recording can hold.
    pub const MAX: Timestamp = Timestamp(i64::MAX / 4);

    /// Seconds since the epoch, rounded to the microsecond.
    pub fn from_seconds(seconds: f64) -> Self {
        Timestamp((seconds * 1e6).round() as i64)
    }

    /// Seconds since the epoch; exact to a microsecond for any date in this century.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// `self - earlier` in seconds; negative if `earlier` is later.
    pub fn seconds_since(self, earlier: Timestamp) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e6
    }

    /// This moment moved by `seconds`, which may be negative.
    pub fn plus_seconds(self, seconds: f64) -> Self {
        Timestamp(self.0.saturating_add((seconds * 1e6).round() as i64))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2020-04-22T05:06:37.040Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

/// A mass, or a change of one, in integer milligrams.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct Milligrams(pub i64);

impl Milligrams {
    /// Grams, rounded to the milligram.
    pub fn from_grams(grams: f64) -> Self {
        Milligrams((grams * 1e3).round() as i64)
    }

    /// Grams.
    pub fn grams(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// The mass without its sign.
    pub fn abs(self) -> Self {
        Milligrams(self.0.abs())
    }
}

impl Add for Milligrams {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Milligrams(self.0 + other.0)
    }
}

impl AddAssign for Milligrams {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Milligrams {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Milligrams(self.0 - other.0)
    }
}

impl Neg for Milligrams {
    type Output = Self;
    fn neg(self) -> Self {
        Milligrams(-self.0)
    }
}

impl std::iter::Sum for Milligrams {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Milligrams(0), Add::add)
    }
}

impl fmt::Display for Milligrams {
    /// Grams with one decimal: `-623.1 g`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} g", self.grams())
    }
}

/// An ISO 4217 currency code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The three letters.
    pub fn as_str(&self) -> &str {
        // The only constructor admits upper-case ASCII letters.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Digits after the decimal point (ISO 4217, the exceptions that shops meet).
    pub fn decimals(&self) -> usize {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl FromStr for Currency {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Currency([a, b, c])),
            _ => Err(format!(
                "`{text}` is no currency code: it takes three capital letters, such as EUR"
            )),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.as_str().to_owned()
    }
}

impl schemars::JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 currency code" })
    }
}

/// An amount of money: integer minor units (cents) and their currency.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub struct Money {
    /// Minor units; negative for a credit.
    pub minor: i64,
    /// The currency of the minor units.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Money { minor, currency }
    }
}

impl fmt::Display for Money {
    /// `12.50 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.currency.decimals();
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        if decimals == 0 {
            return write!(f, "{sign}{minor} {}", self.currency.as_str());
        }
        let unit = 10_u64.pow(decimals as u32);
        write!(
            f,
            "{sign}{}.{:0decimals$} {}",
            minor / unit,
            minor % unit,
            self.currency.as_str()
        )
    }
}

/// A place in the store, metres: `x` along the shelf fronts, `y` into the shelf (the room is at `y < 0` before
/// a wall gondola), `z` up from the floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

impl Point {
    /// Metres between two places.
    pub fn distance(&self, other: &Point) -> f64 {
        ((self.x - other.x).powi(2) + (self.y - other.y).powi(2) + (self.z - other.z).powi(2))
            .sqrt()
    }

    /// This place on the millimetre grid: what goes over the wire is quantised, so that a replay computes with the very same numbers.
    pub fn quantised(&self) -> Point {
        let q = |v: f64| (v * 1e3).round() / 1e3;
        Point {
            x: q(self.x),
            y: q(self.y),
            z: q(self.z),
        }
    }
}

/// A text id: serialised as a string, compared as bytes.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub std::sync::Arc<str>);

        impl $name {
            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(text.into())
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_id;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_with_the_digits_of_its_currency() {
        for (minor, currency, shown) in [
            (1250, "EUR", "12.50 EUR"),
            (-5, "USD", "-0.05 USD"),
            (300, "JPY", "300 JPY"),
            (1005, "KWD", "1.005 KWD"),
        ] {
            assert_eq!(
                Money::new(minor, currency.parse().unwrap()).to_string(),
                shown
            );
        }
        assert!("eur".parse::<Currency>().is_err());
    }

    #[test]
    fn event_time_keeps_microseconds() {
        let t = Timestamp::from_seconds(1_587_531_994.630_447);
        assert_eq!(t.0, 1_587_531_994_630_447);
        assert_eq!(t.to_string(), "2020-04-22T05:06:34.630Z");
        assert_eq!(t.plus_seconds(-0.5).seconds_since(t), -0.5);
    }
}
