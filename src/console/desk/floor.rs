//! The floor from above: shelves, gate, and whoever is there this second.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::shown;
use crate::console::sections::hue;
use crate::console::view::{BodyView, StoreView};
use crate::console::{Asking, Console, page};
use crate::store::Layout;

/// Around everything, metres.
const MARGIN_M: f64 = 0.8;
/// A gondola's depth as it is drawn: the definition knows its front only, metres.
const DEPTH_M: f64 = 0.45;
/// Room before the shelves that is always shown, metres.
const ROOM_M: f64 = 2.5;

/// `GET /floor`
pub async fn show(State(console): State<Console>, Asking(caller): Asking) -> Response {
    let view = console.views.borrow().clone();
    let content = html! {
        h1 { "Floor" }
        div .floor data-poll="/floor/map" { (map(&console, &view)) }
        p .meta { "Shelves above, the room below. Colours are those of the carts; grey is nobody whom the store knows." }
    };
    shown(&console, &caller, "/floor", "Floor", &content)
}

/// `GET /floor/map`
pub async fn fragment(State(console): State<Console>, Asking(_): Asking) -> Response {
    let view = console.views.borrow().clone();
    page::html(StatusCode::OK, map(&console, &view))
}

/// What is drawn, metres: from left to right, and from the back of the shelves to the front of the room.
struct Frame {
    left: f64,
    right: f64,
    back: f64,
    front: f64,
}

impl Frame {
    fn of(layout: &Layout, bodies: &[BodyView]) -> Self {
        let plates = layout.shelves.values().flat_map(|shelf| &shelf.plates);
        let mut frame = Frame {
            left: 0.0,
            right: 1.0,
            back: DEPTH_M,
            front: -ROOM_M,
        };
        for plate in plates {
            frame.hold(plate.front.x - plate.width_m, plate.front.y + DEPTH_M);
            frame.hold(plate.front.x + plate.width_m, plate.front.y - ROOM_M);
        }
        if let Some(gate) = layout.gate {
            frame.hold(gate.place.x, gate.place.y);
        }
        // Bodies stretch it in whole metres, so that the picture does not tremble.
        for body in bodies {
            frame.hold(body.head.0.floor(), body.head.1.floor());
            frame.hold(body.head.0.ceil(), body.head.1.ceil());
        }
        frame
    }

    fn hold(&mut self, x: f64, y: f64) {
        self.left = self.left.min(x);
        self.right = self.right.max(x);
        self.back = self.back.max(y);
        self.front = self.front.min(y);
    }

    /// Centimetres in the picture, y downwards into the room.
    fn at(&self, (x, y): (f64, f64)) -> (i64, i64) {
        let cm = |m: f64| (m * 100.0).round() as i64;
        (
            cm(x - self.left + MARGIN_M),
            cm(self.back - y + MARGIN_M / 2.0),
        )
    }

    fn size(&self) -> (i64, i64) {
        self.at((self.right + MARGIN_M, self.front - MARGIN_M / 2.0))
    }
}

fn map(console: &Console, view: &StoreView) -> Markup {
    let layout = &console.definition.layout;
    let frame = Frame::of(layout, &view.bodies);
    let (width, height) = frame.size();
    let people = view.bodies.len();
    if layout.shelves.is_empty() && people == 0 {
        return html! { p .empty { "The definition names no shelves, and no camera sees anybody." } };
    }
    html! {
        svg .map viewBox={ "0 0 " (width) " " (height) } role="img" aria-label={ "The floor with " (people) " people" } {
            @for (name, left, right, front) in gondolas(layout) {
                @let (x, y) = frame.at((left, front + DEPTH_M));
                @let (x1, y1) = frame.at((right, front));
                rect .gondola x=(x) y=(y) width=(x1 - x) height=(y1 - y) rx="4" {}
                text .label x=((x + x1) / 2) y=((y + y1) / 2 + 6) { (name) }
            }
            @if let Some(gate) = layout.gate {
                @let (x, y) = frame.at((gate.place.x, gate.place.y));
                line .gate x1=(x) x2=(x) y1=(y - 45) y2=(y + 45) {}
                text .label x=(x) y=(y + 66) { "gate" }
            }
            @for body in &view.bodies { (person(body, &frame)) }
        }
    }
}

fn person(body: &BodyView, frame: &Frame) -> Markup {
    let (x, y) = frame.at(body.head);
    let class = body.shopper.as_ref().map_or("plain", hue);
    html! {
        g .person.(class) {
            @for hand in &body.hands {
                @let (hx, hy) = frame.at(*hand);
                line x1=(x) y1=(y) x2=(hx) y2=(hy) {}
                circle .hand cx=(hx) cy=(hy) r="6" {}
            }
            circle cx=(x) cy=(y) r="19" {}
            text x=(x) y=(y + 5) { @match &body.shopper { Some(shopper) => (shopper.short), None => "?" } }
        }
    }
}

/// Each gondola with its ends and its front.
fn gondolas(layout: &Layout) -> Vec<(u16, f64, f64, f64)> {
    let mut found: Vec<(u16, f64, f64, f64)> = Vec::new();
    for shelf in layout.shelves.values() {
        for plate in &shelf.plates {
            let (left, right) = (
                plate.front.x - plate.width_m / 2.0,
                plate.front.x + plate.width_m / 2.0,
            );
            match found.last_mut().filter(|g| g.0 == shelf.id.gondola) {
                Some(gondola) => {
                    gondola.1 = gondola.1.min(left);
                    gondola.2 = gondola.2.max(right);
                    gondola.3 = gondola.3.min(plate.front.y);
                }
                None => found.push((shelf.id.gondola, left, right, plate.front.y)),
            }
        }
    }
    found
}
