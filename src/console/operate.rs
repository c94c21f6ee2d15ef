//! What an operator can do: `POST /operate/WHAT`, answered when the store has been told.
//!
//! There is no login yet, so the console listens on loopback, and a request must carry the header `Stroll-Operator` with
//! a name. A web page from elsewhere can't send one: browsers ask first whether they may, and are never told so.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::sync::mpsc;

use super::Console;
use super::host::plain;

/// The header that names who operates.
const OPERATOR: &str = "stroll-operator";
/// Letters of a name.
const NAME_CHARS_MAX: usize = 64;

/// Something that an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens the gate and stops the store; nothing is settled.
    Emergency,
    /// The emergency is over.
    AllClear,
    /// It is closing time.
    Close,
    /// The store opens again.
    Open,
}

impl Action {
    fn of(name: &str) -> Option<Action> {
        match name {
            "emergency" => Some(Action::Emergency),
            "all-clear" => Some(Action::AllClear),
            "close" => Some(Action::Close),
            "open" => Some(Action::Open),
            _ => None,
        }
    }
}

/// What was done, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub action: Action,
    pub by: String,
}

/// Where operations go.
pub type Operations = mpsc::Sender<Operation>;

/// `POST /operate/{what}`
pub(super) async fn post(
    State(console): State<Console>,
    Path(what): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(action) = Action::of(&what) else {
        let why = "There are emergency, all-clear, close and open.\n";
        return plain(StatusCode::NOT_FOUND, why.to_owned());
    };
    let name = headers.get(OPERATOR).and_then(|name| name.to_str().ok());
    let name = name.map(str::trim).filter(|name| {
        let printable = name.chars().all(|c| !c.is_control());
        printable && (1..=NAME_CHARS_MAX).contains(&name.chars().count())
    });
    let Some(by) = name.map(str::to_owned) else {
        let why = "Say who you are in a header `Stroll-Operator: NAME`.\n";
        return plain(StatusCode::FORBIDDEN, why.to_owned());
    };
    let told = match &console.operations {
        Some(operations) => operations.send(Operation { action, by }).await.is_ok(),
        None => false,
    };
    match told {
        true => plain(StatusCode::ACCEPTED, "The store was told.\n".to_owned()),
        false => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "This store takes no operations, or has stopped.\n".to_owned(),
        ),
    }
}
