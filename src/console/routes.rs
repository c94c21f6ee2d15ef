//! Every route of the console, and whom it is for: the one table of who may do what.

use std::sync::LazyLock;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use super::access::{Access, Door, authorise};
use super::desk::{
    control, editing, floor, happened, journal, nodes, owner, planogram, programs, quality,
    requests, reviews, settings, stock, visits,
};
use super::{Console, api, assets, entrance, operate, people, phone};
use crate::edge::office::Part;

/// A route: how it is asked for, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub method: &'static str,
    /// As axum writes it: `/assets/{name}`.
    pub path: &'static str,
    pub access: Access,
}

const ANYONE: Access = Access::Anyone;
/// Whoever works here, or looks after how well it works.
const WORK: Access = Access::Only(&[Part::Operator, Part::Staff, Part::Tester]);
const OPERATOR: Access = Access::Only(&[Part::Operator]);
const OPERATOR_AND_TESTER: Access = Access::Only(&[Part::Operator, Part::Tester]);
const OPERATOR_AND_STAFF: Access = Access::Only(&[Part::Operator, Part::Staff]);
const SHOPPER: Access = Access::Only(&[Part::Shopper]);
const EVERYBODY: Access = Access::Only(&Part::ALL);

/// The table.
pub fn routes() -> Vec<Route> {
    table().into_iter().map(|(route, _)| route).collect()
}

/// Whom an address that is looked at is for.
pub(super) fn access_of(path: &str) -> Access {
    access("GET", path)
}

/// Whom something that is done is for.
pub(super) fn access_of_change(path: &str) -> Access {
    access("POST", path)
}

fn access(method: &str, path: &str) -> Access {
    static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(routes);
    let found = (ROUTES.iter()).find(|route| (route.method, route.path) == (method, path));
    found.map_or(OPERATOR, |route| route.access)
}

pub(super) fn router(console: &Console) -> Router<Console> {
    table()
        .into_iter()
        .fold(Router::new(), |router, (route, handler)| {
            let door = Door {
                console: console.clone(),
                access: route.access,
            };
            router.route(
                route.path,
                handler.route_layer(from_fn_with_state(door, authorise)),
            )
        })
}

type Entry = (Route, MethodRouter<Console>);

fn look(path: &'static str, access: Access, handler: MethodRouter<Console>) -> Entry {
    let method = "GET";
    let route = Route {
        method,
        path,
        access,
    };
    (route, handler)
}

fn change(path: &'static str, access: Access, handler: MethodRouter<Console>) -> Entry {
    let (route, handler) = look(path, access, handler);
    let method = "POST";
    (Route { method, ..route }, handler)
}

fn table() -> Vec<Entry> {
    let mut table = open_and_own();
    table.extend(work());
    table.extend(programs());
    table
}

/// What anybody may ask for, and what is about whoever asks.
fn open_and_own() -> Vec<Entry> {
    vec![
        look("/", EVERYBODY, get(super::index)),
        look("/events", WORK, get(super::events)),
        look("/state.json", WORK, get(super::state)),
        look("/assets/{name}", ANYONE, get(assets::get)),
        // Machines ask these, and learn of no person and no cart.
        look("/healthz", ANYONE, get(super::healthz)),
        look("/readyz", ANYONE, get(super::readyz)),
        look("/metrics", ANYONE, get(super::metrics)),
        look("/login", ANYONE, get(entrance::login)),
        change("/login", ANYONE, post(entrance::log_in)),
        change("/logout", ANYONE, post(entrance::log_out)),
        look("/setup", ANYONE, get(entrance::setup)),
        change("/setup", ANYONE, post(entrance::set_up)),
        look("/join", ANYONE, get(phone::join)),
        change("/join", ANYONE, post(phone::joined)),
        look("/app.webmanifest", ANYONE, get(phone::manifest)),
        look("/sw.js", ANYONE, get(phone::worker)),
        // Each of these is about whoever asks, and about nobody else.
        look("/me", EVERYBODY, get(phone::home)),
        look("/me/events", EVERYBODY, get(phone::cart::events)),
        change("/me/phone", EVERYBODY, post(phone::register)),
        look("/me/visits", EVERYBODY, get(phone::visits::list)),
        look("/me/visits/{session}", EVERYBODY, get(phone::visits::one)),
        change(
            "/me/visits/{session}/dispute",
            EVERYBODY,
            post(phone::visits::dispute),
        ),
        look("/me/account", EVERYBODY, get(phone::account::show)),
        change("/me/language", EVERYBODY, post(phone::account::language)),
        look("/me/export.json", EVERYBODY, get(phone::account::json)),
        look("/me/export.csv", EVERYBODY, get(phone::account::csv)),
        change(
            "/me/phones/{device}/remove",
            EVERYBODY,
            post(phone::account::remove),
        ),
        change("/me/erase", SHOPPER, post(phone::account::erase)),
        change("/operate/{what}", OPERATOR, post(operate::post)),
    ]
}

/// What people who work here do.
fn work() -> Vec<Entry> {
    vec![
        look("/reviews", WORK, get(reviews::list)),
        look("/reviews/{id}", WORK, get(reviews::one)),
        change("/reviews/{id}", OPERATOR_AND_STAFF, post(reviews::decide)),
        look("/visits", WORK, get(visits::list)),
        look("/visits/{session}", WORK, get(visits::one)),
        change("/visits/{session}/refund", OPERATOR, post(visits::refund)),
        look("/requests", OPERATOR_AND_STAFF, get(requests::list)),
        change("/requests/{id}/{answer}", OPERATOR, post(requests::decide)),
        change(
            "/corrections/{node}/{outbox}/{sequence}/{answer}",
            OPERATOR,
            post(requests::correct),
        ),
        look("/stock", WORK, get(stock::list)),
        change("/stock", OPERATOR_AND_STAFF, post(stock::count)),
        look("/nodes", WORK, get(nodes::list)),
        look("/quality", WORK, get(quality::show)),
        look("/happened", WORK, get(happened::list)),
        look("/floor", WORK, get(floor::show)),
        look("/floor/map", WORK, get(floor::fragment)),
        look("/owner", OPERATOR, get(owner::show)),
        look("/owner/books.csv", OPERATOR, get(owner::csv)),
        change("/owner/hours", OPERATOR, post(owner::set_hours)),
        look("/planogram", OPERATOR, get(planogram::show)),
        change("/planogram", OPERATOR, post(planogram::edit)),
        look("/settings", OPERATOR, get(settings::show)),
        change("/settings", OPERATOR, post(settings::keep)),
        change("/settings/undo", OPERATOR, post(editing::undo)),
        look("/control", OPERATOR, get(control::show)),
        change("/control/{what}", OPERATOR, post(control::turn)),
        look("/journal", OPERATOR_AND_TESTER, get(journal::list)),
        change(
            "/journal/verify",
            OPERATOR_AND_TESTER,
            post(journal::verify),
        ),
        look("/people", OPERATOR, get(people::list)),
        change("/people", OPERATOR, post(people::add)),
        change("/people/{id}/password", OPERATOR, post(people::password)),
        change("/people/{id}/erase", OPERATOR, post(people::erase)),
        look("/acts", OPERATOR, get(people::acts)),
    ]
}

/// What programs ask for, and where they get their keys.
fn programs() -> Vec<Entry> {
    let mut table = vec![
        look("/api/openapi.json", ANYONE, get(api::document)),
        look("/programs", OPERATOR, get(programs::list)),
        change("/programs/keys", OPERATOR, post(programs::make_key)),
        change(
            "/programs/keys/{id}/revoke",
            OPERATOR,
            post(programs::revoke_key),
        ),
        change("/programs/hooks", OPERATOR, post(programs::add_hook)),
        look("/programs/hooks/{id}", OPERATOR, get(programs::hook)),
        change(
            "/programs/hooks/{id}/{what}",
            OPERATOR,
            post(programs::turn_hook),
        ),
        change(
            "/programs/hooks/{id}/again/{sequence}",
            OPERATOR,
            post(programs::send_again),
        ),
    ];
    table.extend(api::endpoints().into_iter().map(|endpoint| {
        let route = Route {
            method: endpoint.method,
            path: endpoint.path,
            access: Access::Program(endpoint.scope),
        };
        (route, endpoint.handler)
    }));
    table
}
