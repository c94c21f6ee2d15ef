//! What should stand on the shelves: what somebody counted, less what has left since.

use std::collections::{BTreeMap, BTreeSet};

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::{answered, told};
use crate::console::access::Caller;
use crate::console::view::StoreView;
use crate::console::words::{Clock, time};
use crate::console::{Asking, Console, page, routes};
use crate::edge::live::wall_now;
use crate::edge::office::{Count, OfficeError};
use crate::store::{ProductId, ShelfId};

const HERE: &str = "/stock";
/// So few units left are low.
const LOW: i64 = 2;
/// More units than this are no count.
const UNITS_MAX: u32 = 10_000;

/// A product where it stands.
pub(in crate::console) struct Facing<'a> {
    pub shelf: ShelfId,
    pub product: &'a ProductId,
    pub plates: Vec<u16>,
    pub count: Option<&'a Count>,
    /// Units that should be there; None if nobody has counted, or long ago.
    pub left: Option<i64>,
}

impl Facing<'_> {
    fn is_low(&self) -> bool {
        self.left.is_some_and(|left| left <= LOW)
    }
}

/// `GET /stock`
pub async fn list(State(console): State<Console>, Asking(caller): Asking) -> Response {
    answer(&console, &caller, StatusCode::OK, None)
}

fn answer(console: &Console, caller: &Caller, status: StatusCode, why: Option<&str>) -> Response {
    let counts = match console.office.counts() {
        Ok(counts) => counts,
        Err(error) => return page::broken(&error),
    };
    let view = console.views.borrow().clone();
    let facings = facings(console, &view, &counts);
    let low: Vec<&Facing<'_>> = facings.iter().filter(|facing| facing.is_low()).collect();
    let shelves: BTreeSet<ShelfId> = facings.iter().map(|facing| facing.shelf).collect();
    let may = caller.may(routes::access_of_change("/stock"));
    let content = html! {
        (told(why))
        h1 { "Stock" }
        p .meta { "What somebody has counted, less what the shelves have told of since. Count a facing once, and again when it was filled." }
        h2 { "Low" span .count { (low.len()) } }
        @if low.is_empty() { p .empty { "Nothing that was counted is low." } }
        @else { ul .rows { @for facing in &low { (row(facing, console, caller, may)) } } }
        @for shelf in shelves {
            details .shelf {
                summary { h2 { "Shelf " (shelf) span .count { (facings.iter().filter(|f| f.shelf == shelf).count()) } } }
                ul .rows { @for facing in facings.iter().filter(|f| f.shelf == shelf) { (row(facing, console, caller, may)) } }
            }
        }
    };
    answered(console, caller, (status, HERE, "Stock"), &content)
}

/// Every product where it stands by the planogram.
pub(in crate::console) fn facings<'a>(
    console: &'a Console,
    view: &StoreView,
    counts: &'a BTreeMap<(ShelfId, ProductId), Count>,
) -> Vec<Facing<'a>> {
    let mut plates: BTreeMap<(ShelfId, &'a ProductId), Vec<u16>> = BTreeMap::new();
    for facing in console.definition.planogram.facings() {
        for plate in &facing.plates {
            let of = plates.entry((plate.shelf, &facing.product)).or_default();
            of.push(plate.plate);
        }
    }
    plates
        .into_iter()
        .map(|((shelf, product), plates)| {
            let count = counts.get(&(shelf, product.clone()));
            let left = count.and_then(|count| {
                let since = view.moves.since(shelf, product, count.at)?;
                Some((i64::from(count.units) + since).max(0))
            });
            Facing {
                shelf,
                product,
                plates,
                count,
                left,
            }
        })
        .collect()
}

fn row(facing: &Facing<'_>, console: &Console, caller: &Caller, may: bool) -> Markup {
    let name = console.product_name(facing.product);
    let plates: Vec<String> = facing.plates.iter().map(ToString::to_string).collect();
    html! {
        li {
            div .grow {
                b { (name) }
                span .meta {
                    "shelf " (facing.shelf) ", " (if plates.len() == 1 { "plate " } else { "plates " }) (plates.join(", "))
                    @if let Some(count) = facing.count { " · " (count.units) " counted by " (count.by) ", " (time(count.at, Clock::Full)) }
                }
            }
            @match (facing.left, facing.count) {
                (Some(left), _) => { span .badge.bad[left == 0].warn[left > 0 && facing.is_low()].good[!facing.is_low()] { (left) " left" } }
                (None, Some(_)) => { span .badge { "count again" } }
                (None, None) => { span .badge { "not counted" } }
            }
            @if may {
                form .row method="post" action=(HERE) {
                    (page::form_key(caller))
                    input type="hidden" name="shelf" value=(facing.shelf);
                    input type="hidden" name="product" value=(facing.product);
                    label { span .hidden { "Units of " (name) " on shelf " (facing.shelf) } input .short name="units" type="number" min="0" max=(UNITS_MAX) required placeholder="units"; }
                    button { "Count" }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub struct Counted {
    pub shelf: String,
    pub product: String,
    pub units: u32,
}

/// Why a count was not kept.
pub(in crate::console) enum Uncounted {
    Wrong(&'static str),
    Broken(OfficeError),
}

/// `POST /stock`
pub async fn count(
    State(console): State<Console>,
    Asking(caller): Asking,
    Form(said): Form<Counted>,
) -> Response {
    match keep(&console, &caller.name, said) {
        Ok(()) => page::see(HERE),
        Err(Uncounted::Wrong(why)) => answer(&console, &caller, StatusCode::BAD_REQUEST, Some(why)),
        Err(Uncounted::Broken(error)) => page::broken(&error),
    }
}

/// Keeps what somebody has counted. What should have been there besides is lost, and the books say so.
pub(in crate::console) fn keep(
    console: &Console,
    by: &str,
    said: Counted,
) -> Result<(), Uncounted> {
    let Ok(shelf) = said.shelf.parse::<ShelfId>() else {
        return Err(Uncounted::Wrong("This is no shelf."));
    };
    let product = ProductId::from(said.product);
    let view = console.views.borrow().clone();
    let counts = console.office.counts().map_err(Uncounted::Broken)?;
    let facings = facings(console, &view, &counts);
    let stands = (facings.iter()).find(|f| f.shelf == shelf && *f.product == product);
    let Some(facing) = stands.filter(|_| said.units <= UNITS_MAX) else {
        let why = "No such product stands there, or nobody can have so many.";
        return Err(Uncounted::Wrong(why));
    };
    let missing = facing.left.map_or(0, |left| left - i64::from(said.units));
    // Event time: what the shelves told of until now is in the count.
    let at = view.now;
    let count = Count {
        units: said.units,
        by: by.to_owned(),
        at,
    };
    let place = format!("shelf {shelf}");
    (console.office.keep_count(shelf, &product, &count))
        // More than should be there was brought by somebody, and is no gain.
        .and_then(|()| match missing > 0 {
            true => (console.office).book_count(&place, &product, missing, wall_now()),
            false => Ok(()),
        })
        .map_err(Uncounted::Broken)?;
    let about = format!("{} of {product} on {place}", count.units);
    console.note(by, "count", &about, wall_now());
    Ok(())
}
