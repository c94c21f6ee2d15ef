//! What shoppers ask for, and what came to light after a receipt: money that somebody may want to give back.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::{answered, told};
use crate::checkout::session::SessionId;
use crate::console::access::Caller;
use crate::console::operate::{Action, act};
use crate::console::view::{CorrectionView, Shopper, StoreView};
use crate::console::words::{Clock, money, time};
use crate::console::{Asking, Console, page, routes};
use crate::edge::live::wall_now;
use crate::edge::office::{Request, RequestState};
use crate::units::Money;

const HERE: &str = "/requests";
/// Answered requests on the page.
const ANSWERED_SHOWN_MAX: usize = 20;

/// `GET /requests`
pub async fn list(State(console): State<Console>, Asking(caller): Asking) -> Response {
    answer(&console, &caller, StatusCode::OK, None)
}

fn answer(console: &Console, caller: &Caller, status: StatusCode, why: Option<&str>) -> Response {
    let view = console.views.borrow().clone();
    let read = console
        .office
        .requests(None)
        .and_then(|requests| Ok((requests, console.office.corrected()?)));
    let (requests, corrected) = match read {
        Ok(read) => read,
        Err(error) => return page::broken(&error),
    };
    let (open, answered_ones): (Vec<&Request>, Vec<&Request>) =
        requests.iter().partition(|r| r.state == RequestState::Open);
    let corrections = open_corrections(&view, &corrected);
    let may = caller.may(routes::access_of_change("/requests/{id}/{answer}"));
    let content = html! {
        (told(why))
        h1 { "Requests" }
        h2 { "From shoppers" span .count { (open.len()) } }
        @if open.is_empty() { p .empty { "Nobody asks for anything." } }
        @else { ul .rows { @for request in &open { (request_row(request, console, caller, may)) } } }
        h2 { "Proposed corrections" span .count { (corrections.len()) } }
        @if corrections.is_empty() { p .empty { "No late evidence speaks against a receipt." } }
        @else { ul .rows { @for correction in &corrections { (correction_row(correction, caller, may)) } } }
        @if !answered_ones.is_empty() {
            h2 { "Answered of late" }
            ul .rows {
                @for request in answered_ones.iter().take(ANSWERED_SHOWN_MAX) {
                    li {
                        div .grow { (console.product_name(&request.product)) span .meta { "by " (request.closed_by.as_deref().unwrap_or("nobody")) } }
                        (state_badge(request.state))
                        (money(Money::new(request.minor, view.currency)))
                    }
                }
            }
        }
    };
    answered(console, caller, (status, HERE, "Requests"), &content)
}

/// Where a request stands, as people say it.
fn state_badge(state: RequestState) -> Markup {
    let (class, text) = match state {
        RequestState::Open => ("warn", "Asked"),
        RequestState::Taken => ("warn", "Being refunded"),
        RequestState::Accepted => ("good", "Refunded"),
        RequestState::Dismissed => ("calm", "Declined"),
    };
    html! { span .badge .(class) { (text) } }
}

fn open_corrections<'v>(
    view: &'v StoreView,
    seen_to: &BTreeSet<String>,
) -> Vec<&'v CorrectionView> {
    let open = |c: &&CorrectionView| !seen_to.contains(&c.change.to_string());
    view.corrections.iter().filter(open).collect()
}

fn request_row(request: &Request, console: &Console, caller: &Caller, may: bool) -> Markup {
    let amount = Money::new(request.minor, console.definition.currency);
    html! {
        li {
            div .grow {
                b { (console.product_name(&request.product)) }
                span .meta {
                    a href={ "/visits/" (request.session) } { (Shopper::of(&request.session)) }
                    " · " (time(request.made_at, Clock::Full))
                }
                @if !request.why.is_empty() { q { (request.why) } }
            }
            (money(amount))
            @if may {
                form method="post" action={ "/requests/" (request.id) "/accept" } { (page::form_key(caller)) button { "Refund" } }
                form method="post" action={ "/requests/" (request.id) "/dismiss" } { (page::form_key(caller)) button { "Decline" } }
            }
        }
    }
}

fn correction_row(correction: &CorrectionView, caller: &Caller, may: bool) -> Markup {
    let action = |answer: &str| {
        let change = &correction.change;
        format!(
            "/corrections/{}/{}/{}/{answer}",
            change.node, change.outbox, change.sequence
        )
    };
    let way = if correction.delta_mg.0 > 0 {
        "came back to"
    } else {
        "left"
    };
    html! {
        li {
            div .grow {
                b { (correction.delta_mg.abs()) " " (way) " shelf " (correction.shelf) }
                span .meta { "weighs as " (correction.goods) " · " (time(correction.at, Clock::Full)) }
                span .meta {
                    @for shopper in &correction.shoppers { a href={ "/visits/" (shopper.session) } { (shopper) } " " }
                }
            }
            @if let Some(refund) = correction.refund { (money(refund)) }
            @if may {
                @if correction.refund.is_some() {
                    form method="post" action=(action("accept")) { (page::form_key(caller)) button { "Refund" } }
                }
                form method="post" action=(action("dismiss")) { (page::form_key(caller)) button { "Dismiss" } }
            }
        }
    }
}

/// `POST /requests/{id}/{answer}`
pub async fn decide(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path((id, answer_name)): Path<(i64, String)>,
) -> Response {
    use RequestState::{Accepted, Dismissed, Open, Taken};
    let by = &caller.name;
    let office = &console.office;
    let accepts = match answer_name.as_str() {
        "accept" => true,
        "dismiss" => false,
        _ => return page::not_found(),
    };
    let to = if accepts { Taken } else { Dismissed };
    let request = match office.move_request(id, Open, to, by) {
        Ok(Some(request)) => request,
        Ok(None) => {
            let why = "Somebody else has answered this request.";
            return answer(&console, &caller, StatusCode::CONFLICT, Some(why));
        }
        Err(error) => return page::broken(&error),
    };
    if !accepts {
        let about = format!("request {id} about {}", request.session);
        console.note(by, "decline", &about, wall_now());
        return page::see(HERE);
    }
    let action = Action::Refund {
        session: request.session.clone(),
        minor: request.minor,
    };
    let done = act(&console, by, action).await;
    let state = if done.is_ok() { Accepted } else { Open };
    if let Err(error) = office.move_request(id, Taken, state, by) {
        return page::broken(&error);
    }
    match done {
        Ok(()) => page::see(HERE),
        Err(undone) => {
            let why = page::capital(&undone.sentence());
            answer(&console, &caller, StatusCode::CONFLICT, Some(&why))
        }
    }
}

/// `POST /corrections/{node}/{outbox}/{sequence}/{answer}`
pub async fn correct(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path((node, outbox, sequence, answer_name)): Path<(String, String, u64, String)>,
) -> Response {
    let change = format!("{node}/{outbox}/{sequence}");
    let accepts = match answer_name.as_str() {
        "accept" => true,
        "dismiss" => false,
        _ => return page::not_found(),
    };
    let view = console.views.borrow().clone();
    let found = (view.corrections.iter()).find(|c| c.change.to_string() == change);
    let Some(correction) = found else {
        return page::not_found();
    };
    let refund: Option<(SessionId, i64)> =
        correction.refund.filter(|_| accepts).and_then(|refund| {
            let whose = correction.shoppers.first()?;
            Some((whose.session.clone(), refund.minor))
        });
    if accepts && refund.is_none() {
        let why = "It says of no single shopper what to give back: look at their visits.";
        return answer(&console, &caller, StatusCode::CONFLICT, Some(why));
    }
    let (by, now) = (&caller.name, wall_now());
    match console.office.see_to_correction(&change, accepts, by, now) {
        Ok(true) => {}
        Ok(false) => {
            let why = "Somebody else has seen to this.";
            return answer(&console, &caller, StatusCode::CONFLICT, Some(why));
        }
        Err(error) => return page::broken(&error),
    }
    let Some((session, minor)) = refund else {
        console.note(by, "dismiss correction", &change, now);
        return page::see(HERE);
    };
    match act(&console, by, Action::Refund { session, minor }).await {
        Ok(()) => page::see(HERE),
        Err(undone) => {
            if let Err(error) = console.office.reopen_correction(&change) {
                return page::broken(&error);
            }
            let why = page::capital(&undone.sentence());
            answer(&console, &caller, StatusCode::CONFLICT, Some(&why))
        }
    }
}
