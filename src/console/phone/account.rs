//! One's own data: phones, the card, taking everything along, and being forgotten.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderValue, SET_COOKIE,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::shown;
use crate::console::access::Caller;
use crate::console::operate::{Action, act};
use crate::console::tongue::Tongue;
use crate::console::words::{Clock, csv_field, time};
use crate::console::{Asking, Console, cookies, page, people};
use crate::edge::office::{OfficeError, Part, Phone, Visit};
use crate::observation::DeviceId;
use crate::units::Timestamp;

const HERE: &str = "/me/account";

/// `GET /me/account`
pub async fn show(State(console): State<Console>, Asking(caller): Asking) -> Response {
    answer(&console, &caller, StatusCode::OK, None)
}

fn answer(console: &Console, caller: &Caller, status: StatusCode, why: Option<&str>) -> Response {
    let phones = match console.office.phones(caller.id()) {
        Ok(phones) => phones,
        Err(error) => return page::broken(&error),
    };
    let tongue = caller.tongue;
    let mine = phones.iter().filter(|phone| phone.is_registered());
    let content = html! {
        @if let Some(why) = why { p .notice role="alert" { (why) } }
        h1 { (tongue.say("you")) }
        section .card aria-labelledby="h-card" {
            h2 #h-card { (tongue.say("payment")) }
            p { (console.payment_words) }
        }
        section .card aria-labelledby="h-phones" {
            h2 #h-phones { (tongue.say("phones")) }
            p .meta { (tongue.say("phones-what")) }
            ul .near { @for phone in mine { (phone_row(phone, caller)) } }
        }
        section .card aria-labelledby="h-data" {
            h2 #h-data { (tongue.say("your-data")) }
            p { (tongue.say("your-data-what")) }
            p .row { a .button href="/me/export.json" download { (tongue.say("as-json")) } a .button href="/me/export.csv" download { (tongue.say("receipts-as-csv")) } }
        }
        section .card aria-labelledby="h-language" {
            h2 #h-language { (tongue.say("language")) }
            form .row method="post" action="/me/language" {
                (page::form_key(caller))
                select name="language" aria-labelledby="h-language" {
                    @for of in Tongue::ALL { option value=(of.code()) lang=(of.code()) selected[of == tongue] { (of.name()) } }
                }
                button { (tongue.say("language-keep")) }
            }
        }
        section .card aria-labelledby="h-leave" {
            h2 #h-leave { (tongue.say("leave")) }
            form method="post" action="/logout" { (page::form_key(caller)) button { (tongue.say("log-out")) } }
            @if caller.part == Part::Shopper {
                details .inline {
                    summary .danger { (tongue.say("erase")) }
                    form method="post" action="/me/erase" {
                        (page::form_key(caller))
                        p .meta { (tongue.say("erase-what")) }
                        button .danger { (tongue.say("erase-now")) }
                    }
                }
            }
        }
    };
    shown(
        console,
        caller,
        status,
        (HERE, &tongue.say("you")),
        &content,
    )
}

fn phone_row(phone: &Phone, caller: &Caller) -> Markup {
    html! {
        li {
            span .grow { b { (phone.device) } span .meta { (caller.tongue.say("since")) " " (time(phone.made_at, Clock::Day)) } }
            form method="post" action={ "/me/phones/" (phone.device) "/remove" } { (page::form_key(caller)) button { (caller.tongue.say("remove")) } }
        }
    }
}

/// `POST /me/phones/{device}/remove`
pub async fn remove(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(device): Path<String>,
) -> Response {
    let device = DeviceId::from(device);
    match console.office.remove_phone(caller.id(), &device) {
        Ok(true) => {}
        Ok(false) => return page::not_found(),
        Err(error) => return page::broken(&error),
    }
    match act(&console, &caller.name, Action::Revoke { device }).await {
        Ok(()) => page::see(HERE),
        Err(undone) => {
            let why = page::capital(&undone.sentence());
            answer(&console, &caller, StatusCode::CONFLICT, Some(&why))
        }
    }
}

#[derive(Deserialize)]
pub struct Chosen {
    language: String,
}

/// `POST /me/language`: this browser keeps it.
pub async fn language(headers: HeaderMap, Form(said): Form<Chosen>) -> Response {
    let Some(tongue) = Tongue::of(&said.language) else {
        return page::not_found();
    };
    let mut response = page::see(HERE);
    let cookie = cookies::of_language(&headers, tongue);
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

/// `POST /me/erase`
pub async fn erase(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let tongue = caller.tongue;
    let by = format!("account {}", caller.id().0);
    match people::erase_account(&console, &by, caller.id()).await {
        Ok(()) => {
            let (title, text) = (tongue.say("forgotten"), tongue.say("forgotten-what"));
            let page = page::sentence(&title, &text);
            let mut response = page::html(StatusCode::OK, page);
            let clear = HeaderName::from_static("clear-site-data");
            let all = HeaderValue::from_static("\"cache\", \"cookies\", \"storage\"");
            response.headers_mut().insert(clear, all);
            response
        }
        Err(error) => {
            let why = page::capital(&error.to_string());
            answer(&console, &caller, StatusCode::CONFLICT, Some(&why))
        }
    }
}

/// `GET /me/export.json`
pub async fn json(State(console): State<Console>, Asking(caller): Asking) -> Response {
    match everything(&console, &caller) {
        Ok(all) => {
            let text = serde_json::to_string_pretty(&all).unwrap_or_default();
            file("application/json", "stroll.json", text)
        }
        Err(error) => page::broken(&error),
    }
}

fn everything(console: &Console, caller: &Caller) -> Result<serde_json::Value, OfficeError> {
    let office = &console.office;
    let phones = office.phones(caller.id())?;
    let phones: Vec<_> = (phones.iter())
        .map(|p| serde_json::json!({ "device": p.device.as_str(), "since": moment(p.made_at) }))
        .collect();
    let visits: Vec<_> = (office.visits(caller.id())?.into_iter())
        .map(|visit| visit.receipt)
        .collect();
    let requests = office.requests(Some(caller.id()))?;
    let requests: Vec<_> = (requests.iter())
        .map(|r| {
            serde_json::json!({
                "session": r.session.as_str(), "product": r.product.as_str(), "minor": r.minor,
                "why": r.why, "asked": moment(r.made_at), "state": r.state.name(),
            })
        })
        .collect();
    Ok(serde_json::json!({
        "store": console.definition.id,
        "name": caller.name,
        "since": caller.account.as_ref().map(|a| moment(a.made_at)),
        "phones": phones,
        "receipts": visits,
        "requests": requests,
    }))
}

fn moment(at: Timestamp) -> String {
    at.to_string()
}

/// `GET /me/export.csv`: a line for each line of each receipt.
pub async fn csv(State(console): State<Console>, Asking(caller): Asking) -> Response {
    match console.office.visits(caller.id()) {
        Ok(visits) => file("text/csv; charset=utf-8", "stroll.csv", table(&visits)),
        Err(error) => page::broken(&error),
    }
}

fn table(visits: &[Visit]) -> String {
    let mut text =
        "visit,left,product,name,quantity,amount_minor,tax_minor,currency\r\n".to_owned();
    for Visit { session, receipt } in visits {
        for line in &receipt.lines {
            let fields = [
                session.to_string(),
                moment(receipt.exited_at),
                line.product.to_string(),
                line.name.clone(),
                line.quantity.to_string(),
                line.amount.minor.to_string(),
                line.tax.minor.to_string(),
                line.amount.currency.as_str().to_owned(),
            ];
            text += &fields.map(|field| csv_field(&field)).join(",");
            text += "\r\n";
        }
    }
    text
}

fn file(kind: &'static str, name: &str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_DISPOSITION, disposition),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, text).into_response()
}
