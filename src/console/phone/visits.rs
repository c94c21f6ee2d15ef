//! Receipts, and saying that a line is wrong.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::shown;
use crate::checkout::receipt::{Paid, Receipt, ReceiptLine};
use crate::checkout::session::SessionId;
use crate::console::access::Caller;
use crate::console::sections::badge;
use crate::console::tongue::Tongue;
use crate::console::words::{Clock, amount, money, time};
use crate::console::{Asking, Console, page};
use crate::edge::live::wall_now;
use crate::edge::office::{Request, RequestState, Visit};
use crate::store::ProductId;
use crate::units::Money;

const HERE: &str = "/me/visits";

/// `GET /me/visits`
pub async fn list(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let visits = match console.office.visits(caller.id()) {
        Ok(visits) => visits,
        Err(error) => return page::broken(&error),
    };
    let tongue = caller.tongue;
    let content = html! {
        h1 { (tongue.say("receipts")) }
        @if visits.is_empty() { p .empty { (tongue.say("receipts-later")) } }
        @else { ul .rows { @for visit in &visits { (row(visit, tongue)) } } }
    };
    shown(
        &console,
        &caller,
        StatusCode::OK,
        (HERE, &tongue.say("receipts")),
        &content,
    )
}

fn row(Visit { session, receipt }: &Visit, tongue: Tongue) -> Markup {
    let units: u64 = receipt.lines.iter().map(|l| u64::from(l.quantity)).sum();
    html! {
        li .link {
            div .grow {
                a href={ "/me/visits/" (session) } { b { (time(receipt.exited_at, Clock::Full)) } }
                span .meta { (tongue.say_with("items", &[("count", units.into())])) }
            }
            @if receipt.paid == Paid::Owed { (badge("bad", &tongue.say("owed"))) }
            (money(receipt.total))
        }
    }
}

/// `GET /me/visits/{session}`
pub async fn one(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Response {
    answer(
        &console,
        &caller,
        &SessionId::from(id),
        StatusCode::OK,
        None,
    )
}

fn answer(
    console: &Console,
    caller: &Caller,
    session: &SessionId,
    status: StatusCode,
    why: Option<&str>,
) -> Response {
    let read = console
        .office
        .visit(caller.id(), session)
        .and_then(|visit| {
            let requests = console.office.requests(Some(caller.id()))?;
            Ok((visit, requests))
        });
    let (visit, requests) = match read {
        Ok((Some(visit), requests)) => (visit, requests),
        Ok((None, _)) => return page::not_found(),
        Err(error) => return page::broken(&error),
    };
    let (receipt, tongue) = (&visit.receipt, caller.tongue);
    let content = html! {
        @if let Some(why) = why { p .notice role="alert" { (why) } }
        h1 { (tongue.say("receipt")) }
        p .meta { (console.store_name()) " · " (time(receipt.exited_at, Clock::Full)) }
        section .card.paper aria-label=(tongue.say("receipt-lines")) {
            @if receipt.lines.is_empty() { p .none { (tongue.say("receipt-nothing")) } }
            @for line in &receipt.lines {
                @let asked = requests.iter().find(|r| r.session == *session && r.product == line.product);
                (receipt_line(session, line, asked, caller))
            }
            p .total { span { (tongue.say("total")) } strong { (money(receipt.total)) } }
            @for (rate, tax) in taxes(receipt) {
                p .tax-line { span { (tongue.say_with("includes-tax", &[("rate", rate.into())])) } span { (money(tax)) } }
            }
            @match receipt.paid {
                Paid::Captured => (badge("good", &tongue.say("paid"))),
                Paid::Voided => (badge("calm", &tongue.say("nothing-to-pay"))),
                Paid::Owed => (badge("bad", &tongue.say("not-paid"))),
            }
        }
        p .meta { (tongue.say_with("visit", &[("session", session.to_string().into())])) }
    };
    shown(
        console,
        caller,
        status,
        (HERE, &tongue.say("receipt")),
        &content,
    )
}

fn receipt_line(
    session: &SessionId,
    line: &ReceiptLine,
    asked: Option<&Request>,
    caller: &Caller,
) -> Markup {
    let tongue = caller.tongue;
    html! {
        div .paper-line {
            span .q { (line.quantity) " ×" }
            span .grow { (line.name) @if let Some(mass) = line.mass_mg { " " small { (mass) } } }
            span .a { (amount(line.amount)) }
            @match asked {
                Some(request) => (request_badge(request.state, tongue)),
                None if line.amount.minor > 0 => {
                    details .inline {
                        summary { (tongue.say("something-wrong")) }
                        form .fields method="post" action={ "/me/visits/" (session) "/dispute" } {
                            (page::form_key(caller))
                            input type="hidden" name="product" value=(line.product);
                            label { (tongue.say_with("what-is-wrong", &[("product", line.name.as_str().into())]))
                                input name="why" maxlength="500" required placeholder=(tongue.say("wrong-example"));
                            }
                            button .main { (tongue.say("ask-back")) }
                        }
                    }
                }
                None => {}
            }
        }
    }
}

/// Where a request stands.
fn request_badge(state: RequestState, tongue: Tongue) -> Markup {
    match state {
        // What the provider has not done yet is still asked for.
        RequestState::Open | RequestState::Taken => badge("warn", &tongue.say("request-open")),
        RequestState::Accepted => badge("good", &tongue.say("request-accepted")),
        RequestState::Dismissed => badge("calm", &tongue.say("request-dismissed")),
    }
}

/// The tax of each rate, the lowest first.
fn taxes(receipt: &Receipt) -> Vec<(String, Money)> {
    let mut by_rate: BTreeMap<u32, i64> = BTreeMap::new();
    for line in &receipt.lines {
        *by_rate.entry(line.tax_basis_points).or_default() += line.tax.minor;
    }
    let rate = |points: u32| format!("{}.{:02} %", points / 100, points % 100);
    by_rate
        .into_iter()
        .map(|(points, minor)| (rate(points), Money::new(minor, receipt.total.currency)))
        .collect()
}

#[derive(Deserialize)]
pub struct Dispute {
    product: String,
    why: String,
}

/// `POST /me/visits/{session}/dispute`
pub async fn dispute(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    Form(said): Form<Dispute>,
) -> Response {
    let (session, product) = (SessionId::from(id), ProductId::from(said.product));
    let asked = console
        .office
        .ask(caller.id(), &session, &product, &said.why, wall_now());
    match asked {
        Ok(()) => {
            console.note(
                &caller.name,
                "ask",
                &format!("{product} of {session}"),
                wall_now(),
            );
            page::see(&format!("{HERE}/{session}"))
        }
        Err(error) => {
            let why = page::capital(&error.to_string());
            answer(
                &console,
                &caller,
                &session,
                StatusCode::CONFLICT,
                Some(&why),
            )
        }
    }
}
