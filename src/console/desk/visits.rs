//! Visits: who is here, who has left, what they were charged, and giving it back.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::{answered, shown, told};
use crate::checkout::receipt::Paid;
use crate::checkout::session::SessionId;
use crate::console::access::Caller;
use crate::console::operate::{Action, act};
use crate::console::sections::{avatar, badge, lines, visit_badge};
use crate::console::view::{EventView, LineView, ReceiptView, Refunds, SessionView};
use crate::console::words::{Clock, amount, counted, money, seconds, time};
use crate::console::{Asking, Console, page, routes};
use crate::units::{Currency, Money};

const HERE: &str = "/visits";

/// `GET /visits`
pub async fn list(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let view = console.views.borrow().clone();
    let content = html! {
        h1 { "Visits" }
        div .stack data-follow="sessions receipts" {
            h2 { "Not charged yet" span .count { (view.sessions.len()) } }
            @if view.sessions.is_empty() { p .empty { "Nobody is inside." } }
            @else { ul .rows { @for visit in &view.sessions { (open_row(visit)) } } }
            h2 { "Receipts" span .count { (view.receipts.len()) } }
            @if view.receipts.is_empty() { p .empty { "No receipts yet." } }
            @else { ul .rows { @for receipt in &view.receipts { (receipt_row(receipt)) } } }
        }
    };
    shown(&console, &caller, HERE, "Visits", &content)
}

fn open_row(visit: &SessionView) -> Markup {
    let units: u64 = visit.lines.iter().map(|l| u64::from(l.quantity)).sum();
    html! {
        li .link data-key={ "v-" (visit.shopper.session) } {
            (avatar(&visit.shopper))
            div .grow {
                a href={ "/visits/" (visit.shopper.session) } { b { (visit.shopper) } }
                span .meta { "came in " (time(visit.entered_at, Clock::Minute)) " · " (counted(units, "item", "items")) }
            }
            (visit_badge(visit))
            @if visit.open_reviews > 0 { span .badge.warn { (counted(visit.open_reviews, "check", "checks")) } }
            (money(visit.total))
        }
    }
}

fn receipt_row(receipt: &ReceiptView) -> Markup {
    html! {
        li .link data-key={ "r-" (receipt.shopper.session) "-" (receipt.issued_at.0) } {
            (avatar(&receipt.shopper))
            div .grow {
                a href={ "/visits/" (receipt.shopper.session) } { b { (receipt.shopper) } }
                span .meta { (time(receipt.issued_at, Clock::Full)) " · " (counted(receipt.lines.len() as u64, "line", "lines")) }
            }
            (paid_badge(receipt))
            (money(receipt.total))
        }
    }
}

fn paid_badge(receipt: &ReceiptView) -> Markup {
    html! {
        @match receipt.paid {
            Paid::Captured => (badge("good", "Paid")),
            Paid::Voided => (badge("calm", "Took nothing")),
            Paid::Owed => (badge("bad", "Owed")),
        }
        @if let Some(Refunds { refunded, .. }) = receipt.refunds.filter(|r| r.refunded.minor > 0) {
            span .badge.warn { "refunded " (amount(refunded)) }
        }
    }
}

/// `GET /visits/{session}`
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
    id: &SessionId,
    status: StatusCode,
    why: Option<&str>,
) -> Response {
    let view = console.views.borrow().clone();
    let visit = view
        .sessions
        .iter()
        .find(|visit| visit.shopper.session == *id);
    let receipt = view.receipts.iter().find(|r| r.shopper.session == *id);
    let events: Vec<&EventView> = (view.events.iter())
        .filter(|event| event.shopper.as_ref().is_some_and(|s| s.session == *id))
        .collect();
    let refunds = caller.may(routes::access_of_change("/visits/{session}/refund"));
    let (status, title) = match (visit, receipt) {
        (None, None) => (StatusCode::NOT_FOUND, "No such visit".to_owned()),
        (Some(SessionView { shopper, .. }), _) | (None, Some(ReceiptView { shopper, .. })) => {
            (status, shopper.to_string())
        }
    };
    let content = html! {
        (told(why))
        h1 { (title) }
        p .meta { (id) }
        div .columns {
            div .stack {
                @if let Some(visit) = visit { (cart(visit)) }
                @if let Some(receipt) = receipt { (receipt_card(receipt, caller, refunds)) }
                @if visit.is_none() && receipt.is_none() {
                    p .empty { "The console remembers the last 200 receipts. The journal has them all." }
                }
            }
            section aria-labelledby="h-story" {
                h2 #h-story { "What happened" }
                @if events.is_empty() { p .empty { "The console remembers nothing of it any more." } }
                @else { ul .rows { @for event in events { (event_row(event)) } } }
            }
        }
    };
    answered(console, caller, (status, HERE, &title), &content)
}

fn event_row(event: &EventView) -> Markup {
    html! {
        li {
            div .grow { (event.sentence) @if let Some(detail) = &event.detail { span .meta { (detail) } } }
            (time(event.at, Clock::Minute))
        }
    }
}

fn cart(visit: &SessionView) -> Markup {
    html! {
        section .card aria-labelledby="h-cart" {
            h2 #h-cart { "Cart" (visit_badge(visit)) }
            @if visit.lines.is_empty() { p .none { "Nothing taken yet" } } @else { (lines(&visit.lines, false)) }
            p .total { span { "As things stand" } strong { (money(visit.total)) } }
        }
    }
}

fn receipt_card(receipt: &ReceiptView, caller: &Caller, refunds: bool) -> Markup {
    let left = receipt
        .refunds
        .map(|r| r.left)
        .filter(|left| left.minor > 0);
    html! {
        section .card aria-labelledby="h-receipt" {
            h2 #h-receipt { "Receipt" (paid_badge(receipt)) }
            p .meta { (time(receipt.issued_at, Clock::Full)) " · " (seconds(receipt.delay_ms)) " after the exit" }
            @if receipt.lines.is_empty() { p .none { "Nothing was taken, and the hold was released." } }
            @else {
                (lines(&receipt.lines, false))
                p .total { span { "tax included " (money(receipt.tax)) } strong { (money(receipt.total)) } }
            }
        }
        @if let (Some(left), true) = (left, refunds) {
            section .card aria-labelledby="h-refund" {
                h2 #h-refund { "Give money back" }
                p .meta { "Up to " (money(left)) " in one refund." }
                @for line in receipt.lines.iter().filter(|l| (1..=left.minor).contains(&l.amount.minor)) {
                    (refund_line(receipt, line, caller))
                }
                form .fields method="post" action={ "/visits/" (receipt.shopper.session) "/refund" } {
                    (page::form_key(caller))
                    label { "Another amount, " (left.currency.as_str()) input name="amount" inputmode="decimal" required placeholder=(amount(left)); }
                    button { "Refund" }
                }
            }
        }
    }
}

fn refund_line(receipt: &ReceiptView, line: &LineView, caller: &Caller) -> Markup {
    html! {
        form .row method="post" action={ "/visits/" (receipt.shopper.session) "/refund" } {
            (page::form_key(caller))
            input type="hidden" name="amount" value=(amount(line.amount));
            span .grow { (line.quantity) " × " (line.name) }
            button { "Refund " (amount(line.amount)) }
        }
    }
}

#[derive(Deserialize)]
pub struct Amount {
    amount: String,
}

/// `POST /visits/{session}/refund`
pub async fn refund(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    Form(said): Form<Amount>,
) -> Response {
    let session = SessionId::from(id);
    let Some(minor) = minor(&said.amount, console.definition.currency) else {
        let example = Money::new(250, console.definition.currency);
        let why = format!("Write an amount like {}.", amount(example));
        return answer(
            &console,
            &caller,
            &session,
            StatusCode::BAD_REQUEST,
            Some(&why),
        );
    };
    let action = Action::Refund {
        session: session.clone(),
        minor,
    };
    match act(&console, &caller.name, action).await {
        Ok(()) => page::see(&format!("/visits/{session}")),
        Err(undone) => {
            let why = page::capital(&undone.sentence());
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

/// An amount as people write it, in minor units: `2.50`, `2,5`, `250` of a currency without decimals.
fn minor(text: &str, currency: Currency) -> Option<i64> {
    let text = text.trim();
    let (whole, rest) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let decimals = currency.decimals();
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(rest) || rest.len() > decimals {
        return None;
    }
    let minor: i64 = format!("{whole}{rest:0<decimals$}").parse().ok()?;
    (minor > 0).then_some(minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, currency, expected) in [
            ("2.50", "EUR", Some(250)),
            (" 2,5 ", "EUR", Some(250)),
            ("2", "EUR", Some(200)),
            ("0.01", "EUR", Some(1)),
            ("2.505", "EUR", None),
            ("-2", "EUR", None),
            ("0", "EUR", None),
            ("", "EUR", None),
            (".5", "EUR", None),
            ("1e3", "EUR", None),
            ("99999999999999999999", "EUR", None),
            ("250", "JPY", Some(250)),
            ("2.5", "JPY", None),
            ("1.250", "KWD", Some(1250)),
        ] {
            assert_eq!(
                minor(text, currency.parse().unwrap()),
                expected,
                "{text} {currency}"
            );
        }
    }
}
