//! What the endpoints do.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::shapes::{
    Cart, DayEnd, Done, Items, NewCount, NewRefund, NewVerdict, Node, Receipt, Review, StockItem,
    TaxRate, Visit,
};
use super::{Refusal, json};
use crate::checkout::decision::ReviewId;
use crate::checkout::session::SessionId;
use crate::console::desk::stock;
use crate::console::operate::{Action, Undone, act};
use crate::console::{Asking, Console, books};
use crate::edge::live::wall_now;
use crate::units::Money;

type Answer = Result<Response, Refusal>;

fn told<T: serde::Serialize>(body: &T) -> Answer {
    Ok(json(StatusCode::OK, body))
}

fn list<'a, V: 'a, T: From<&'a V> + serde::Serialize>(
    views: impl Iterator<Item = &'a V>,
) -> Answer {
    let items: Vec<T> = views.map(T::from).collect();
    told(&Items { items })
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("the body is not what is expected: {error}")))
}

fn date(text: &str) -> Result<Date, Refusal> {
    text.parse()
        .map_err(|_| Refusal::invalid(format!("{text:?} is no day: write 2026-11-23")))
}

async fn done(console: &Console, by: &str, action: Action) -> Answer {
    match act(console, by, action).await {
        Ok(()) => told(&Done { done: true }),
        Err(Undone::Refused(why)) => Err(Refusal::new(StatusCode::CONFLICT, "refused", why)),
        Err(away @ Undone::Away) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Refusal::new(status, "away", away.sentence()))
        }
    }
}

pub async fn visits(State(console): State<Console>) -> Answer {
    list::<_, Visit>(console.views.borrow().sessions.iter())
}

pub async fn carts(State(console): State<Console>) -> Answer {
    list::<_, Cart>(console.views.borrow().sessions.iter())
}

pub async fn cart(State(console): State<Console>, Path(id): Path<String>) -> Answer {
    let view = console.views.borrow().clone();
    let visit = view
        .sessions
        .iter()
        .find(|v| v.shopper.session.as_str() == id);
    match visit {
        Some(visit) => told(&Cart::from(visit)),
        None => Err(Refusal::not_found("there is no such visit, or it is over")),
    }
}

#[derive(Deserialize)]
pub struct Of {
    day: Option<String>,
}

pub async fn receipts(State(console): State<Console>, Query(of): Query<Of>) -> Answer {
    let day = match of.day {
        Some(text) => date(&text)?,
        None => books::day_of(wall_now()),
    };
    let until = books::start_of(day.tomorrow().unwrap_or(day));
    let sales = console.office.sales(books::start_of(day), until)?;
    list::<_, Receipt>(sales.iter().map(|sale| &sale.receipt))
}

pub async fn receipt(State(console): State<Console>, Path(id): Path<String>) -> Answer {
    match console.office.sale(&SessionId::from(id))? {
        Some(sale) => told(&Receipt::from(&sale.receipt)),
        None => Err(Refusal::not_found("there is no receipt of such a visit")),
    }
}

pub async fn refund(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let NewRefund { minor } = read(&body)?;
    if minor < 1 {
        return Err(Refusal::invalid("an amount to give back is 1 or more"));
    }
    let session = SessionId::from(id);
    done(&console, &caller.name, Action::Refund { session, minor }).await
}

pub async fn stock(State(console): State<Console>) -> Answer {
    let counts = console.office.counts()?;
    let view = console.views.borrow().clone();
    let facings = stock::facings(&console, &view, &counts);
    let items: Vec<StockItem> = (facings.into_iter())
        .filter_map(|facing| {
            let product = console.definition.catalogue.get(facing.product.as_str())?;
            Some(StockItem {
                shelf: facing.shelf.to_string(),
                plates: facing.plates,
                product: facing.product.to_string(),
                name: product.name.clone(),
                price: product.price,
                counted: facing.count.map(|count| count.units),
                counted_at: facing.count.map(|count| count.at.into()),
                left: facing.left,
            })
        })
        .collect();
    told(&Items { items })
}

pub async fn count(State(console): State<Console>, Asking(caller): Asking, body: Bytes) -> Answer {
    let NewCount {
        shelf,
        product,
        units,
    } = read(&body)?;
    let counted = stock::Counted {
        shelf,
        product,
        units,
    };
    match stock::keep(&console, &caller.name, counted) {
        Ok(()) => told(&Done { done: true }),
        Err(stock::Uncounted::Wrong(why)) => Err(Refusal::invalid(why)),
        Err(stock::Uncounted::Broken(error)) => Err(error.into()),
    }
}

pub async fn nodes(State(console): State<Console>) -> Answer {
    list::<_, Node>(console.views.borrow().nodes.iter())
}

pub async fn reviews(State(console): State<Console>) -> Answer {
    list::<_, Review>(console.views.borrow().reviews.iter())
}

pub async fn verdict(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let NewVerdict { session, items } = read(&body)?;
    let action = Action::Verdict {
        review: ReviewId::from(id),
        session: session.map(SessionId::from),
        items,
    };
    done(&console, &caller.name, action).await
}

pub async fn day_end(State(console): State<Console>, Path(day): Path<String>) -> Answer {
    let day = date(&day)?;
    let report = books::report(&console, day, day)?;
    let currency = console.definition.currency;
    let money = |minor| Money::new(minor, currency);
    let taxes = report.taxes.iter().map(|(points, taxed)| TaxRate {
        basis_points: *points,
        gross: money(taxed.gross_minor),
        net: money(taxed.gross_minor - taxed.tax_minor),
        tax: money(taxed.tax_minor),
    });
    let products = report.products.iter();
    told(&DayEnd {
        day: day.to_string(),
        visits: report.visits,
        purchases: report.purchases,
        sold: money(report.sold_minor),
        captured: money(report.captured_minor),
        owed: money(report.owed_minor),
        refunded: money(report.refunded_minor),
        taxes: taxes.collect(),
        lost: money(report.lost_minor),
        products: products
            .map(|(id, sold)| (id.to_string(), sold.units))
            .collect(),
    })
}
