//! Every route of the console, and whom it is for: the one table of who may do what.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use super::access::{Access, Door, authorise};
use super::{Console, assets, entrance, operate, people};
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
const EVERYBODY: Access = Access::Only(&Part::ALL);

/// The table.
pub fn routes() -> Vec<Route> {
    table().into_iter().map(|(route, _)| route).collect()
}

/// Whom an address that is looked at is for.
pub(super) fn access_of(path: &str) -> Access {
    let routes = routes().into_iter();
    let found = routes.filter(|route| route.method == "GET").find(|route| route.path == path);
    found.map_or(OPERATOR, |route| route.access)
}

pub(super) fn router(console: &Console) -> Router<Console> {
    table().into_iter().fold(Router::new(), |router, (route, handler)| {
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

fn table() -> Vec<(Route, MethodRouter<Console>)> {
    let look = |path, access, handler: MethodRouter<Console>| {
        let method = "GET";
        (Route { method, path, access }, handler)
    };
    let change = |path, access, handler: MethodRouter<Console>| {
        let method = "POST";
        (Route { method, path, access }, handler)
    };
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
        change("/operate/{what}", OPERATOR, post(operate::post)),
        look("/people", OPERATOR, get(people::list)),
        change("/people", OPERATOR, post(people::add)),
        change("/people/{id}/password", OPERATOR, post(people::password)),
        change("/people/{id}/erase", OPERATOR, post(people::erase)),
        look("/acts", OPERATOR, get(people::acts)),
    ]
}
