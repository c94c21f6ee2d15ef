//! The HTTP API for programs, under `/api/v1`: JSON, asked for by a key with scopes.
//!
//! [`endpoints`] is the one table of it: routes, scopes and the OpenAPI document all follow from it.

mod answers;
pub mod openapi;
mod rates;
mod shapes;

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use self::shapes::{
    Cart, DayEnd, Done, Error, ErrorBody, Items, NewCount, NewRefund, NewVerdict, Node, Receipt,
    Review, StockItem, Visit,
};
use super::Console;
use super::access::{self, Caller};
use super::tongue::Tongue;
use crate::edge::live::wall_now;
use crate::edge::office::{OfficeError, Part, Scope};

pub(super) use self::rates::Rates;
pub(super) use self::shapes::{Cart as CartShape, Receipt as ReceiptShape};

/// An address of the API.
pub(super) struct Endpoint {
    pub method: &'static str,
    pub path: &'static str,
    pub scope: Scope,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What may stand after `?`, with what it means.
    pub query: &'static [(&'static str, &'static str)],
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    pub answer: fn(&mut SchemaGenerator) -> Schema,
    pub handler: MethodRouter<Console>,
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn look<T: JsonSchema>(
    path: &'static str,
    scope: Scope,
    summary: &'static str,
    handler: MethodRouter<Console>,
) -> Endpoint {
    Endpoint {
        method: "GET",
        path,
        scope,
        summary,
        query: &[],
        body: None,
        answer: shape::<T>,
        handler,
    }
}

fn change<B: JsonSchema>(
    path: &'static str,
    scope: Scope,
    summary: &'static str,
    handler: MethodRouter<Console>,
) -> Endpoint {
    Endpoint {
        method: "POST",
        body: Some(shape::<B>),
        ..look::<Done>(path, scope, summary, handler)
    }
}

/// The table.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut table = of_shoppers();
    table.extend(of_the_store());
    table
}

fn of_shoppers() -> Vec<Endpoint> {
    vec![
        look::<Items<Visit>>(
            "/api/v1/visits",
            Scope::VisitsRead,
            "Visits that are not over",
            get(answers::visits),
        ),
        look::<Items<Cart>>(
            "/api/v1/carts",
            Scope::VisitsRead,
            "Carts of visits that are not over",
            get(answers::carts),
        ),
        look::<Cart>(
            "/api/v1/carts/{session}",
            Scope::VisitsRead,
            "The cart of a visit that is not over",
            get(answers::cart),
        ),
        Endpoint {
            query: &[("day", "the day of the exit, YYYY-MM-DD; without it today")],
            ..look::<Items<Receipt>>(
                "/api/v1/receipts",
                Scope::ReceiptsRead,
                "Receipts of a day, by the time of the exit",
                get(answers::receipts),
            )
        },
        look::<Receipt>(
            "/api/v1/receipts/{session}",
            Scope::ReceiptsRead,
            "The receipt of a visit",
            get(answers::receipt),
        ),
        change::<NewRefund>(
            "/api/v1/receipts/{session}/refunds",
            Scope::RefundsWrite,
            "Give back some of what a visit was charged",
            post(answers::refund),
        ),
    ]
}

fn of_the_store() -> Vec<Endpoint> {
    vec![
        look::<Items<StockItem>>(
            "/api/v1/stock",
            Scope::StockRead,
            "What should stand on the shelves",
            get(answers::stock),
        ),
        change::<NewCount>(
            "/api/v1/stock",
            Scope::StockWrite,
            "Tell how many units were counted on a shelf",
            post(answers::count),
        ),
        look::<Items<Node>>(
            "/api/v1/nodes",
            Scope::NodesRead,
            "The nodes and how they are",
            get(answers::nodes),
        ),
        look::<Items<Review>>(
            "/api/v1/reviews",
            Scope::ReviewsRead,
            "Doubtful changes that wait for a verdict",
            get(answers::reviews),
        ),
        change::<NewVerdict>(
            "/api/v1/reviews/{id}/verdict",
            Scope::ReviewsWrite,
            "Say who moved what in a doubtful change",
            post(answers::verdict),
        ),
        look::<DayEnd>(
            "/api/v1/day-end/{day}",
            Scope::ReportsRead,
            "What a day, YYYY-MM-DD, has brought",
            get(answers::day_end),
        ),
    ]
}

/// Something that an endpoint did not do.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = super::page::capital(&message.into());
        Refusal {
            status,
            code,
            message,
        }
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }
}

impl From<OfficeError> for Refusal {
    fn from(error: OfficeError) -> Self {
        tracing::error!("{error}");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "failed", error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal {
            status,
            code,
            message,
        } = self;
        let code = code.to_owned();
        json(
            status,
            &Error {
                error: ErrorBody { code, message },
            },
        )
    }
}

/// An answer that no cache keeps.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    match serde_json::to_vec(body) {
        Ok(body) => (status, headers, body).into_response(),
        Err(error) => {
            tracing::error!("an answer of the API cannot be written: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, Body::empty()).into_response()
        }
    }
}

/// Whoever asks by a key that is for that; or the refusal.
pub(super) fn admit(
    console: &Console,
    headers: &HeaderMap,
    scope: Scope,
) -> Result<Caller, Box<Response>> {
    let refuse = |refusal: Refusal| Err(Box::new(refusal.into_response()));
    let sent = headers
        .get(AUTHORIZATION)
        .and_then(|sent| sent.to_str().ok());
    let Some(text) = sent.and_then(|sent| sent.strip_prefix("Bearer ")) else {
        let mut response = Refusal::new(
            StatusCode::UNAUTHORIZED,
            "no_key",
            "send a key of this store: `Authorization: Bearer stroll_...`",
        )
        .into_response();
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        return Err(Box::new(response));
    };
    if access::is_console_key(console, text) {
        return Ok(by_program("the console's key".to_owned()));
    }
    let key = match console.office.key_of(text.trim()) {
        Ok(Some(key)) => key,
        Ok(None) => {
            let why = "this is no key of this store, or it was revoked";
            return refuse(Refusal::new(StatusCode::UNAUTHORIZED, "wrong_key", why));
        }
        Err(error) => return refuse(error.into()),
    };
    if !key.scopes.contains(&scope) {
        let why = format!("this key is not for `{}`", scope.name());
        return refuse(Refusal::new(StatusCode::FORBIDDEN, "out_of_scope", why));
    }
    let now = wall_now();
    match console.api_rates.ask(key.id, now) {
        Err(wait_s) => {
            let why = format!("too many requests: wait {wait_s} s");
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut response = Refusal::new(status, "too_often", why).into_response();
            response.headers_mut().insert(RETRY_AFTER, wait_s.into());
            return Err(Box::new(response));
        }
        // Written down once a minute: a request need not wait for a disk.
        Ok(is_first_of_minute) if is_first_of_minute => {
            if let Err(error) = console.office.key_used(key.id, now) {
                tracing::error!("{error}");
            }
        }
        Ok(_) => {}
    }
    Ok(by_program(format!("key {}", key.name)))
}

fn by_program(name: String) -> Caller {
    Caller {
        account: None,
        name,
        part: Part::Operator,
        form_key: String::new(),
        tongue: Tongue::English,
    }
}

/// `GET /api/openapi.json`
pub(super) async fn document() -> Response {
    static DOCUMENT: std::sync::LazyLock<Arc<str>> =
        std::sync::LazyLock::new(|| openapi::document().to_string().into());
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, DOCUMENT.to_string()).into_response()
}
