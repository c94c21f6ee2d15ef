//! From the shapes of the file to the checked definition. Every check runs, so that one reading of the file tells
//! all that is wrong with it; a reference is held against everything that is named, even if what is named is wrong
//! itself, so that one mistake is told once.

mod layout;
mod planogram;
mod products;

use std::ops::RangeInclusive;

use super::definition::{Definition, Limits, Offline, Policy};
use super::normal_form;
use super::raw::{At, RawDefinition, RawPolicy, RawStore};
use super::remark::Remarks;
use super::{Catalogue, Layout, Planogram};
use crate::units::{Currency, Money};

/// The checked definition, or none with at least one mistake in `remarks`.
pub(super) fn resolve(raw: &RawDefinition, remarks: &mut Remarks<'_>) -> Option<Definition> {
    let shapes_are_right = !remarks.has_mistakes();
    if raw.store.is_none() && shapes_are_right {
        remarks.mistake_of_file(
            "the store is not named",
            "add [store] with id, name and currency",
        );
    }
    let store = raw
        .store
        .as_ref()
        .and_then(|s| check_store(s.get_ref(), remarks));
    let currency = store.as_ref().map(|store| store.currency);
    let no_policy = RawPolicy::default();
    let policy = raw
        .policy
        .as_ref()
        .map_or(&no_policy, |policy| policy.get_ref());
    let policy = check_policy(policy, currency, remarks);
    let products = products::check(&raw.product, currency, remarks);
    let places = layout::check_shelves(&raw.shelf, remarks);
    let nodes = layout::check_nodes(raw, &places, remarks);
    let gate = layout::check_gate(raw, shapes_are_right, remarks);
    let facings = planogram::check(&raw.facing, &products, &places, remarks);
    if remarks.has_mistakes() {
        return None;
    }

    let catalogue = match Catalogue::new(products.resolved) {
        Ok(catalogue) => catalogue,
        Err(product) => {
            remarks.mistake_of_file(
                format!("product `{}` is given twice", product.id),
                "remove one of the two",
            );
            return None;
        }
    };
    let store = store?;
    let mut definition = Definition {
        id: store.id,
        name: store.name,
        currency: store.currency,
        policy: policy?,
        planogram: Planogram::new(planogram::with_indices(facings, &catalogue)),
        catalogue,
        layout: Layout {
            shelves: layout::shelves_on_nodes(places, &nodes),
            nodes,
            gate,
        },
        hash: String::new(),
    };
    definition.hash = normal_form::hash(&definition);
    Some(definition)
}

struct Store {
    id: String,
    name: String,
    currency: Currency,
}

fn check_store(raw: &RawStore, remarks: &mut Remarks<'_>) -> Option<Store> {
    let id = topic_level(&raw.id, remarks);
    let name = name(&raw.name, remarks);
    let currency = raw.currency.get().parse().map_err(|_| {
        remarks.mistake(
            raw.currency.span(),
            format!("`{}` is no currency code", short(raw.currency.get())),
            "write three capital letters, such as EUR",
        );
    });
    Some(Store {
        id: id?,
        name: name?,
        currency: currency.ok()?,
    })
}

fn check_policy(
    raw: &RawPolicy,
    currency: Option<Currency>,
    remarks: &mut Remarks<'_>,
) -> Option<Policy> {
    const MONTH_S: f64 = 30.0 * 86_400.0;
    let hold_minor = (raw.hold_minor.as_ref())
        .and_then(|minor| whole("hold_minor", minor, 0..=MONEY_MINOR_MAX, remarks));
    let mut given = |field, value: &Option<At<f64>>, range| {
        value
            .as_ref()
            .and_then(|value| number(field, value, range, remarks))
    };
    let confidence_min = given("confidence_min", &raw.confidence_min, 0.0..=1.0);
    let review_deadline_s = given("review_deadline_s", &raw.review_deadline_s, 0.0..=MONTH_S);
    let node_silent_s = given("node_silent_s", &raw.node_silent_s, 0.5..=3_600.0);
    let track_lost_s = given("track_lost_s", &raw.track_lost_s, 0.5..=3_600.0);
    let visit_lost_s = given("visit_lost_s", &raw.visit_lost_s, 10.0..=86_400.0);
    let admission_s = given("admission_s", &raw.admission_s, 5.0..=3_600.0);
    let closing_s = given("closing_s", &raw.closing_s, 0.0..=86_400.0);
    let clock_error_max_s = given("clock_error_max_s", &raw.clock_error_max_s, 0.001..=60.0);
    let reach_m = given("reach_m", &raw.reach_m, 0.1..=10.0);
    let offline = check_offline(raw, currency, remarks);

    let currency = currency?;
    let default = Policy::default_in(currency);
    Some(Policy {
        hold: hold_minor.map_or(default.hold, |minor| Money::new(minor, currency)),
        confidence_min: confidence_min.unwrap_or(default.confidence_min),
        review_deadline_s: review_deadline_s.unwrap_or(default.review_deadline_s),
        node_silent_s: node_silent_s.unwrap_or(default.node_silent_s),
        track_lost_s: track_lost_s.unwrap_or(default.track_lost_s),
        reach_m: reach_m.unwrap_or(default.reach_m),
        offline: offline?,
        limits: Limits {
            visit_lost_s: visit_lost_s.unwrap_or(default.limits.visit_lost_s),
            admission_s: admission_s.unwrap_or(default.limits.admission_s),
            closing_s: closing_s.unwrap_or(default.limits.closing_s),
            clock_error_max_s: clock_error_max_s.unwrap_or(default.limits.clock_error_max_s),
        },
    })
}

/// Who may enter while the payment provider is away. A cap that would not be looked at is a mistake, and so is entry
/// without any.
fn check_offline(
    raw: &RawPolicy,
    currency: Option<Currency>,
    remarks: &mut Remarks<'_>,
) -> Option<Offline> {
    const SHOPPERS_MAX: i64 = 1_000;
    let shoppers_max = (raw.offline_shoppers_max.as_ref())
        .and_then(|max| whole("offline_shoppers_max", max, 1..=SHOPPERS_MAX, remarks))
        .and_then(|max| u32::try_from(max).ok());
    let amount_max = (raw.offline_amount_max_minor.as_ref())
        .and_then(|max| {
            whole(
                "offline_amount_max_minor",
                max,
                1..=MONEY_MINOR_MAX,
                remarks,
            )
        })
        .zip(currency)
        .map(|(minor, currency)| Money::new(minor, currency));
    let caps = [
        ("offline_shoppers_max", raw.offline_shoppers_max.as_ref()),
        (
            "offline_amount_max_minor",
            raw.offline_amount_max_minor.as_ref(),
        ),
    ];
    match raw
        .offline
        .as_ref()
        .map(|offline| (offline, offline.get().as_str()))
    {
        None | Some((_, "closed")) => {
            for (field, cap) in caps {
                if let Some(cap) = cap {
                    remarks.mistake(
                        cap.span(),
                        format!("`{field}` caps nothing: without a hold nobody enters"),
                        format!("write offline = \"capped\" as well, or remove `{field}`"),
                    );
                }
            }
            Some(Offline::Closed)
        }
        Some((offline, "capped")) => {
            if caps.iter().all(|(_, cap)| cap.is_none()) {
                remarks.mistake(
                    offline.span(),
                    "`offline` is capped, and no cap is set",
                    "add offline_shoppers_max, offline_amount_max_minor, or both",
                );
            }
            Some(Offline::Capped {
                shoppers_max,
                amount_max,
            })
        }
        Some((offline, other)) => {
            remarks.mistake(
                offline.span(),
                format!("`offline` is `{}`", short(other)),
                "write \"closed\" or \"capped\"",
            );
            None
        }
    }
}

/// A price or a hold above this is a slip of the keyboard, and its sums still fit an `i64`.
const MONEY_MINOR_MAX: i64 = 1_000_000_000;

/// A number of `field` within `range`; NaN is in no range.
fn number(
    field: &str,
    value: &At<f64>,
    range: RangeInclusive<f64>,
    remarks: &mut Remarks<'_>,
) -> Option<f64> {
    if range.contains(value.get()) {
        return Some(*value.get() + 0.0); // turns -0 into 0, which is the same number and another text
    }
    remarks.mistake(
        value.span(),
        format!("`{field}` is {}", value.get()),
        format!("write a number from {} to {}", range.start(), range.end()),
    );
    None
}

/// A whole number of `field` within `range`.
fn whole(
    field: &str,
    value: &At<i64>,
    range: RangeInclusive<i64>,
    remarks: &mut Remarks<'_>,
) -> Option<i64> {
    if range.contains(value.get()) {
        return Some(*value.get());
    }
    remarks.mistake(
        value.span(),
        format!("`{field}` is {}", value.get()),
        format!(
            "write a whole number from {} to {}",
            range.start(),
            range.end()
        ),
    );
    None
}

/// A name that people read.
fn name(value: &At<String>, remarks: &mut Remarks<'_>) -> Option<String> {
    const CHARACTERS_MAX: usize = 200;
    let text = value.get().trim();
    let wrong = if text.is_empty() {
        "a name is empty"
    } else if text.chars().count() > CHARACTERS_MAX {
        "a name is too long"
    } else if text.chars().any(char::is_control) {
        "a name holds control characters"
    } else {
        return Some(text.to_owned());
    };
    remarks.mistake(
        value.span(),
        wrong,
        format!("write 1 to {CHARACTERS_MAX} characters on one line"),
    );
    None
}

/// An id that is a level of an MQTT topic.
fn topic_level(value: &At<String>, remarks: &mut Remarks<'_>) -> Option<String> {
    let text = value.get();
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        return Some(text.clone());
    }
    remarks.mistake(
        value.span(),
        format!(
            "`{}` cannot be an id: it is a level of the MQTT topics",
            short(text)
        ),
        "write 1 to 64 lower-case letters, digits and `-`",
    );
    None
}

/// The beginning of a text from the file, fit for a message.
fn short(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}
