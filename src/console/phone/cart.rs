//! The cart in the hand: rendered for its owner alone, and sent whenever it has changed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::console::sections::lines_in;
use crate::console::tongue::Tongue;
use crate::console::view::{SessionView, StoreView, VisitState};
use crate::console::words::{Clock, money, time};
use crate::console::{Asking, Console, host, live, page};
use crate::edge::office::{AccountId, OfficeError, Phone};

/// Carts on their way to one phone; beyond, that phone is waited for, and skips what was overtaken.
const IN_FLIGHT_MAX: usize = 2;
/// A comment this often keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The cart of an account as it stands.
pub fn fragment(console: &Console, id: AccountId, tongue: Tongue) -> Result<Markup, OfficeError> {
    let phones = console.office.phones(id)?;
    let view = console.views.borrow().clone();
    Ok(render(visit(&view, &phones), tongue))
}

/// The visit that a phone of these opened: the one that came last, whoever is inside before who has left.
fn visit<'v>(view: &'v StoreView, phones: &[Phone]) -> Option<&'v SessionView> {
    let is_mine = |visit: &&SessionView| {
        let device = visit.device.as_ref();
        device.is_some_and(|device| phones.iter().any(|phone| phone.device == *device))
    };
    let mine = view.sessions.iter().filter(is_mine);
    mine.max_by_key(|visit| (visit.state == VisitState::Inside, visit.entered_at))
}

fn render(visit: Option<&SessionView>, tongue: Tongue) -> Markup {
    html! {
        @match visit {
            None => {
                h2 { (tongue.say("your-cart")) }
                p .empty { (tongue.say("cart-later")) }
            }
            Some(visit) => {
                h2 { (tongue.say("your-cart")) (state(visit, tongue)) }
                p .meta { (tongue.say("came-in-at")) " " (time(visit.entered_at, Clock::Minute)) }
                div .cart {
                    @if visit.lines.is_empty() {
                        p .none { @if visit.open_reviews > 0 { (tongue.say("nothing-certain")) } @else { (tongue.say("nothing-taken")) } }
                    } @else { (lines_in(&visit.lines, true, &tongue.say("being-checked"))) }
                    p .total { span { (tongue.say("total-so-far")) } strong data-key="total" data-v=(visit.total.minor) data-total { (money(visit.total)) } }
                }
                @if visit.lines.iter().any(|line| line.being_checked > 0) {
                    p .meta { (tongue.say("check-not-charged")) }
                }
            }
        }
    }
}

fn state(visit: &SessionView, tongue: Tongue) -> Markup {
    let text = match visit.state {
        VisitState::Inside => return html! {},
        VisitState::Leaving => tongue.say("visit-leaving"),
        VisitState::Draft => tongue.say("visit-draft"),
        VisitState::Paying => tongue.say("visit-paying"),
    };
    html! { span .badge.warn { (text) } }
}

/// `GET /me/events`
pub async fn events(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let Ok(permit) = console.phones.clone().try_acquire_owned() else {
        let why = "The store feeds as many phones as it can: try again soon.\n".to_owned();
        return host::plain(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let phones = match console.office.phones(caller.id()) {
        Ok(phones) => phones,
        Err(error) => return page::broken(&error),
    };
    let (events, stream) = mpsc::channel::<Result<Event, Infallible>>(IN_FLIGHT_MAX);
    let closing = console.closing.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = feed(&console, &phones, caller.tongue, &events) => {}
            () = live::closed(closing) => {}
            () = events.closed() => {}
        }
        drop(permit);
    });
    Sse::new(ReceiverStream::new(stream))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

async fn feed(
    console: &Console,
    phones: &[Phone],
    tongue: Tongue,
    events: &mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut views = console.views.clone();
    let mut shown: Option<Option<SessionView>> = None;
    loop {
        let view: Arc<StoreView> = views.borrow_and_update().clone();
        let now = visit(&view, phones);
        if shown.as_ref().is_none_or(|shown| shown.as_ref() != now) {
            let event = Event::default()
                .event("cart")
                .id(now.map_or(0, |visit| visit.decided_at.0).to_string())
                .data(render(now, tongue).into_string());
            shown = Some(now.cloned());
            if events.send(Ok(event)).await.is_err() {
                return;
            }
        }
        if views.changed().await.is_err() {
            // The store has stopped; the stream stays open, or the phone would ask again and again.
            std::future::pending::<()>().await;
        }
    }
}
