//! The doubtful picks: a list, and one screen for each with its evidence, decided by a key.

use std::path::PathBuf;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::{answered, shown, told};
use crate::checkout::decision::ReviewId;
use crate::checkout::session::SessionId;
use crate::console::access::Caller;
use crate::console::event_log::percent;
use crate::console::operate::{Action, Undone, act, items};
use crate::console::sections::{avatar, lines};
use crate::console::view::{DecidedView, NearView, ReviewView, StoreView};
use crate::console::words::{Clock, stay, time};
use crate::console::{Asking, Console, page, routes};
use crate::edge::journal::Archive;
use crate::observation::{Observation, ShelfObservation, Stamp};

const HERE: &str = "/reviews";
/// Decided ones on the page.
const DECIDED_SHOWN_MAX: usize = 20;

/// `GET /reviews`
pub async fn list(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let view = console.views.borrow().clone();
    let deadline_min = console.definition.policy.review_deadline_s / 60.0;
    let content = html! {
        div .head {
            h1 { "Reviews" span .count { (view.reviews.len()) " open" } }
            @if let Some(first) = view.reviews.first() {
                a .button.main href={ "/reviews/" (first.review) } { "Begin with the oldest" }
            }
        }
        p .meta { "Nobody is charged for a doubt. What is not decided within " (deadline_min as u64) " min is dropped in the shopper's favour." }
        div .stack data-follow="sessions summary" {
            @if view.reviews.is_empty() { p .empty { "Nothing is in doubt." } }
            @else { ul .rows { @for review in &view.reviews { (row(review, &view)) } } }
            @if !view.decided.is_empty() {
                h2 { "Decided of late" }
                ul .rows { @for decided in view.decided.iter().take(DECIDED_SHOWN_MAX) { (decided_row(decided)) } }
            }
        }
    };
    shown(&console, &caller, HERE, "Reviews", &content)
}

fn row(review: &ReviewView, view: &StoreView) -> Markup {
    html! {
        li .link {
            div .grow {
                a href={ "/reviews/" (review.review) } { b { (what(review)) } }
                span .meta { (review.reason) }
            }
            @if let Some(first) = review.choices.first() {
                span .badge.warn { (first.shopper) " " (percent(first.probability_ppm)) }
            }
            span .meta { (time(review.at, Clock::Minute)) " · " (stay(review.at, view.now)) }
        }
    }
}

fn decided_row(decided: &DecidedView) -> Markup {
    html! {
        li {
            div .grow { (decided.verdict) span .meta { "by " (decided.by) } }
            (time(decided.at, Clock::Minute))
        }
    }
}

/// `623.1 g left shelf 1.5`
fn what(review: &ReviewView) -> String {
    let (mass, shelf) = (review.delta_mg, review.shelf);
    match mass.0 {
        0 => format!("Something moved on shelf {shelf}"),
        ..0 => format!("{} left shelf {shelf}", mass.abs()),
        1.. => format!("{mass} came to shelf {shelf}"),
    }
}

/// `GET /reviews/{id}`
pub async fn one(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<String>,
) -> Response {
    answer(&console, &caller, &ReviewId::from(id), StatusCode::OK, None).await
}

async fn answer(
    console: &Console,
    caller: &Caller,
    id: &ReviewId,
    status: StatusCode,
    why: Option<&str>,
) -> Response {
    let view = console.views.borrow().clone();
    let open = view.reviews.iter().position(|review| review.review == *id);
    let Some(index) = open else {
        return closed(console, caller, id, &view, status);
    };
    let review = &view.reviews[index];
    let seen = observation(console.journal.clone(), review.change.clone()).await;
    let beside = |index: usize| {
        view.reviews
            .get(index)
            .map(|r| format!("/reviews/{}", r.review))
    };
    let next = beside(index + 1).or_else(|| beside(0).filter(|_| index > 0));
    let before = index.checked_sub(1).and_then(beside);
    let decides = caller.may(routes::access_of_change("/reviews/{id}"));
    let content = html! {
        (told(why))
        div .head {
            h1 { (what(review)) }
            nav .steps aria-label="Reviews" {
                span .meta { (index + 1) " of " (view.reviews.len()) }
                @if let Some(before) = &before { a .button href=(before) data-hotkey="k" { "Before" } }
                @if let Some(next) = &next { a .button href=(next) data-hotkey="j" { "Next" } }
                a .button href=(HERE) data-hotkey="Escape" { "List" }
            }
        }
        p .meta { (time(review.at, Clock::Full)) " · " (review.reason) }
        div .columns {
            section aria-labelledby="h-who" {
                h2 #h-who { "Who was it?" }
                (answers(review, caller, decides))
                @if decides { (otherwise(review, caller, console, &view)) }
            }
            div .stack {
                (near_section(review))
                (scale_section(review, seen.as_ref(), console))
                (carts_section(review, &view))
            }
        }
    };
    let title = what(review);
    answered(console, caller, (status, HERE, &title), &content)
}

/// What somebody else has decided meanwhile.
fn closed(
    console: &Console,
    caller: &Caller,
    id: &ReviewId,
    view: &StoreView,
    status: StatusCode,
) -> Response {
    let decided = view.decided.iter().find(|decided| decided.review == *id);
    let status = match decided {
        Some(_) => status,
        None => StatusCode::NOT_FOUND,
    };
    let content = html! {
        @match decided {
            Some(decided) => {
                h1 { "This is decided" }
                p { b { (decided.by) } " decided it at " (time(decided.at, Clock::Full)) ": " (decided.verdict) "." }
            }
            None => {
                h1 { "There is no such review" }
                p { "It was decided long ago, or later evidence has answered it." }
            }
        }
        p {
            @if let Some(first) = view.reviews.first() {
                a .button.main href={ "/reviews/" (first.review) } data-hotkey="j" { "Next review" } " "
            }
            a .button href=(HERE) data-hotkey="Escape" { "List" }
        }
    };
    answered(console, caller, (status, HERE, "Decided"), &content)
}

fn answers(review: &ReviewView, caller: &Caller, decides: bool) -> Markup {
    let action = format!("/reviews/{}", review.review);
    html! {
        ol .choices {
            @for (index, choice) in review.choices.iter().enumerate() {
                @let key = (index + 1).to_string();
                li {
                    form method="post" action=(action) {
                        (page::form_key(caller))
                        input type="hidden" name="session" value=(choice.shopper.session);
                        input type="hidden" name="items" value=(written(&choice.items));
                        button data-hotkey=(key) disabled[!decides] {
                            kbd { (key) }
                            (avatar(&choice.shopper))
                            span .grow { b { (choice.shopper) } span .meta { (choice.deed) } }
                            (chance(choice.probability_ppm))
                        }
                    }
                }
            }
            li {
                form method="post" action=(action) {
                    (page::form_key(caller))
                    button data-hotkey="n" disabled[!decides] {
                        kbd { "n" }
                        span .grow { b { "Nobody" } span .meta { "nobody is charged" } }
                        (chance(review.nobody_ppm))
                    }
                }
            }
        }
        @if decides { p .meta { "Press the key before an answer; " kbd { "j" } " goes on without one." } }
    }
}

fn chance(ppm: u32) -> Markup {
    html! {
        span .chance {
            b { (percent(ppm)) }
            meter min="0" max="1000000" value=(ppm) { (percent(ppm)) }
        }
    }
}

/// `CODE*2,CODE*1`, as [`items`] reads it.
fn written(all: &[crate::observation::Item]) -> String {
    let each: Vec<String> = (all.iter())
        .map(|i| format!("{}*{}", i.product, i.quantity))
        .collect();
    each.join(",")
}

/// An answer that is not on the list.
fn otherwise(review: &ReviewView, caller: &Caller, console: &Console, view: &StoreView) -> Markup {
    let goods = console.stands_on(review.shelf);
    html! {
        details .otherwise {
            summary { "Something else" }
            form .fields method="post" action={ "/reviews/" (review.review) } {
                (page::form_key(caller))
                label { "Shopper"
                    select name="session" {
                        @for visit in &view.sessions { option value=(visit.shopper.session) { (visit.shopper) } }
                    }
                }
                label { "Product"
                    select name="product" { @for code in &goods { option value=(code) { (console.product_name(code)) } } }
                }
                label { "Units" input name="quantity" type="number" min="1" max="20" value="1" required; }
                button { "Decide so" }
            }
        }
    }
}

fn near_section(review: &ReviewView) -> Markup {
    html! {
        section .card aria-labelledby="h-near" {
            h2 #h-near { "Who was near" }
            @if review.near.is_empty() { p .none { "No camera saw anybody move there." } }
            @else { ul .near { @for near in &review.near { (near_row(near)) } } }
            @if !review.seen.is_empty() {
                h3 { "What the camera saw" }
                ul .near { @for (name, ppm) in &review.seen { li { span .grow { (name) } (chance(*ppm)) } } }
            }
        }
    }
}

fn near_row(near: &NearView) -> Markup {
    let far = |mm: i64| match mm {
        ..1_000 => format!("{} cm", mm / 10),
        _ => format!("{}.{} m", mm / 1_000, mm % 1_000 / 100),
    };
    html! {
        li {
            span .grow {
                @match &near.shopper {
                    Some(shopper) => { b { (shopper) } @if near.staff { " " span .badge { "staff" } } }
                    None => b { "Somebody unknown" },
                }
                span .meta {
                    @match (near.hand_mm, near.head_mm) {
                        (Some(hand), _) => { "a hand " (far(hand)) " away" }
                        (None, Some(head)) => { "head " (far(head)) " along the shelf, no hand seen" }
                        (None, None) => { "not seen at that moment" }
                    }
                }
            }
            span .chance title="How well the movement explains the change" { meter min="0" max="1000" value=(near.fit_milli) {} }
        }
    }
}

/// What the load cells say: each plate with its change, and the moments.
fn scale_section(
    review: &ReviewView,
    seen: Option<&ShelfObservation>,
    console: &Console,
) -> Markup {
    html! {
        section .card aria-labelledby="h-scale" {
            h2 #h-scale { "What the scale says" }
            @match seen {
                None => p .none { "The change of " (review.delta_mg) " on plates " (review.plates.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) "." },
                Some(seen) => {
                    (plates(seen))
                    p .meta {
                        "Began " (lead(seen.start.0, seen.peak.0)) " before the change, at rest " (lead(seen.peak.0, seen.end.0)) " after it"
                    }
                    @if !seen.likelihoods.is_empty() {
                        h3 { "What weighs so" }
                        ul .near {
                            @for likely in seen.likelihoods.iter().take(4) {
                                li { (console.item_list(&likely.items)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn lead(from: i64, to: i64) -> String {
    format!("{:.1} s", (to - from) as f64 / 1e6)
}

/// How much came to each plate or left it.
fn plates(seen: &ShelfObservation) -> Markup {
    let most = seen.plates.iter().map(|plate| plate.delta_mg.0.abs()).max();
    let most = most.unwrap_or(0).max(1);
    html! {
        ul .near.plate-bars {
            @for plate in &seen.plates {
                li {
                    span .grow { "Plate " (plate.plate) }
                    meter min="0" max=(most) value=(plate.delta_mg.0.abs()) {}
                    span { @if plate.delta_mg.0 < 0 { "−" } @else { "+" } (plate.delta_mg.abs()) small { " ± " (plate.sigma_mg) } }
                }
            }
        }
    }
}

fn carts_section(review: &ReviewView, view: &StoreView) -> Markup {
    let whose: Vec<&SessionId> = review.choices.iter().map(|c| &c.shopper.session).collect();
    let carts: Vec<_> = (view.sessions.iter())
        .filter(|s| whose.contains(&&s.shopper.session))
        .collect();
    html! {
        section .card aria-labelledby="h-carts" {
            h2 #h-carts { "Their carts" }
            @if carts.is_empty() { p .none { "Whoever it may have been has settled." } }
            @for visit in carts {
                h3 { a href={ "/visits/" (visit.shopper.session) } { (visit.shopper) } }
                @if visit.lines.is_empty() { p .none { "Nothing certain" } } @else { (lines(&visit.lines, false)) }
            }
        }
    }
}

/// The change as its node told it, where there is a journal to look in.
async fn observation(journal: Option<PathBuf>, change: Stamp) -> Option<ShelfObservation> {
    let journal = journal?;
    let read = tokio::task::spawn_blocking(move || {
        Archive::open(&journal).and_then(|archive| archive.observation(&change))
    });
    match read.await {
        Ok(Ok(found)) => match found?.observation {
            Observation::Shelf(seen) => Some(seen),
            Observation::Vision(_)
            | Observation::Body(_)
            | Observation::Gate(_)
            | Observation::Gap(_) => None,
        },
        Ok(Err(error)) => {
            tracing::warn!("the evidence of a review cannot be read: {error}");
            None
        }
        Err(_) => None,
    }
}

#[derive(Deserialize)]
pub struct Verdict {
    session: Option<String>,
    items: Option<String>,
    product: Option<String>,
    quantity: Option<u32>,
}

/// `POST /reviews/{id}`
pub async fn decide(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(id): Path<String>,
    Form(said): Form<Verdict>,
) -> Response {
    let review = ReviewId::from(id);
    let session = said.session.filter(|s| !s.is_empty()).map(SessionId::from);
    let single = said
        .product
        .map(|product| format!("{product}*{}", said.quantity.unwrap_or(1)));
    let items = match items(&said.items.or(single).unwrap_or_default()) {
        Ok(items) => items,
        Err(why) => {
            return answer(
                &console,
                &caller,
                &review,
                StatusCode::BAD_REQUEST,
                Some(&why),
            )
            .await;
        }
    };
    let view = console.views.borrow().clone();
    let after = next_after(&view, &review);
    let verdict = Action::Verdict {
        review: review.clone(),
        session,
        items,
    };
    match act(&console, &caller.name, verdict).await {
        Ok(()) => page::see(&after.map_or(HERE.to_owned(), |next| format!("/reviews/{next}"))),
        Err(undone) => {
            let status = match &undone {
                Undone::Refused(_) => StatusCode::CONFLICT,
                Undone::Away => StatusCode::SERVICE_UNAVAILABLE,
            };
            let why = page::capital(&undone.sentence());
            answer(&console, &caller, &review, status, Some(&why)).await
        }
    }
}

/// The open review after one, or else the first that is another.
fn next_after(view: &StoreView, review: &ReviewId) -> Option<ReviewId> {
    let at = view.reviews.iter().position(|r| r.review == *review);
    let after = at.and_then(|at| view.reviews.get(at + 1));
    let other = || view.reviews.iter().find(|r| r.review != *review);
    after.or_else(other).map(|r| r.review.clone())
}
