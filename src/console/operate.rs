//! What an operator can do: `POST /operate/WHAT`, answered when the store has done it, or with the sentence that says why
//! it has not.
//!
//! There is no login yet, so the console listens on loopback, and a request must carry the header `Stroll-Operator` with
//! a name. A web page from elsewhere can't send one: browsers ask first whether they may, and are never told so.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::Console;
use super::host::plain;
use crate::checkout::decision::ReviewId;
use crate::checkout::session::SessionId;
use crate::observation::Item;

/// The header that names who operates.
const OPERATOR: &str = "stroll-operator";
/// Letters of a name.
const NAME_CHARS_MAX: usize = 64;
/// Products of one verdict.
const ITEMS_MAX: usize = 16;

/// Something that an operator does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens the gate and stops the store; nothing is settled.
    Emergency,
    /// The emergency is over.
    AllClear,
    /// It is closing time.
    Close,
    /// The store opens again.
    Open,
    /// Gives back some of what a visit was charged, minor units.
    Refund { session: SessionId, minor: i64 },
    /// Says who moved what in a change that waits for a person; nobody if there is no session.
    Verdict {
        review: ReviewId,
        session: Option<SessionId>,
        items: Vec<Item>,
    },
}

/// What is asked for beside the path.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Particulars {
    session: Option<String>,
    minor: Option<i64>,
    review: Option<String>,
    items: Option<String>,
}

impl Action {
    fn of(name: &str, said: Particulars) -> Result<Action, (StatusCode, String)> {
        let wrong = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned());
        let session = said.session.as_deref().map(SessionId::from);
        match name {
            "emergency" => Ok(Action::Emergency),
            "all-clear" => Ok(Action::AllClear),
            "close" => Ok(Action::Close),
            "open" => Ok(Action::Open),
            "refund" => match session.zip(said.minor.filter(|minor| *minor > 0)) {
                Some((session, minor)) => Ok(Action::Refund { session, minor }),
                None => Err(wrong(
                    "Say refund?session=ID&minor=AMOUNT, the amount in cents or the like.",
                )),
            },
            "verdict" => match said.review.as_deref().map(ReviewId::from) {
                Some(review) => Ok(Action::Verdict {
                    review,
                    session,
                    items: items(said.items.as_deref().unwrap_or_default())
                        .map_err(|why| wrong(&why))?,
                }),
                None => Err(wrong(
                    "Say verdict?review=ID&session=ID&items=PRODUCT*2,PRODUCT*1; without a session it was nobody.",
                )),
            },
            _ => Err((
                StatusCode::NOT_FOUND,
                "There are emergency, all-clear, close, open, refund and verdict.".to_owned(),
            )),
        }
    }
}

/// `PRODUCT*2,PRODUCT*1`
fn items(text: &str) -> Result<Vec<Item>, String> {
    let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
    if parts.len() > ITEMS_MAX {
        return Err(format!("A verdict names {ITEMS_MAX} products at most."));
    }
    let item = |part: &&str| {
        let (product, quantity) = part.rsplit_once('*').unwrap_or((part, "1"));
        let quantity = quantity.parse();
        let quantity = quantity.map_err(|_| format!("{part:?} is no item: write PRODUCT*2."))?;
        Ok(Item {
            product: product.into(),
            quantity,
        })
    };
    parts.iter().map(item).collect()
}

/// What is to be done, by whom, and where the answer goes: why not, if not.
#[derive(Debug)]
pub struct Operation {
    pub action: Action,
    pub by: String,
    pub answer: oneshot::Sender<Result<(), String>>,
}

/// Where operations go.
pub type Operations = mpsc::Sender<Operation>;

/// `POST /operate/{what}`
pub(super) async fn post(
    State(console): State<Console>,
    Path(what): Path<String>,
    Query(said): Query<Particulars>,
    headers: HeaderMap,
) -> Response {
    let action = match Action::of(&what, said) {
        Ok(action) => action,
        Err((status, why)) => return plain(status, why + "\n"),
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
    let (answer, answered) = oneshot::channel();
    let operation = Operation { action, by, answer };
    let told = match &console.operations {
        Some(operations) => operations.send(operation).await.is_ok(),
        None => {
            drop(operation);
            false
        }
    };
    match answered.await {
        Ok(Ok(())) if told => plain(StatusCode::ACCEPTED, "It is done.\n".to_owned()),
        Ok(Err(why)) => plain(StatusCode::CONFLICT, why + "\n"),
        Ok(Ok(())) | Err(_) => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "This store takes no operations, or has stopped.\n".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_whole_or_says_what_is_missing() {
        let said = |session: &str, minor, review: &str, items: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Particulars {
                session: some(session),
                minor,
                review: some(review),
                items: some(items),
            }
        };
        let table = [
            ("open", said("", None, "", ""), "Open"),
            ("refund", said("s-1", Some(250), "", ""), "Refund"),
            ("refund", said("s-1", Some(-5), "", ""), "400"),
            ("refund", said("", Some(5), "", ""), "400"),
            ("verdict", said("s-1", None, "r-1", "a*2,b"), "Verdict"),
            ("verdict", said("", None, "r-1", ""), "Verdict"),
            ("verdict", said("s-1", None, "", "a*2"), "400"),
            ("verdict", said("s-1", None, "r-1", "a*two"), "400"),
            ("sing", said("", None, "", ""), "404"),
        ];
        for (name, said, expected) in table {
            let shown = format!("{name} {said:?}");
            let action = match Action::of(name, said) {
                Ok(action) => format!("{action:?}"),
                Err((status, _)) => status.as_u16().to_string(),
            };
            assert!(action.starts_with(expected), "{shown}: {action}");
        }
        assert_eq!(items("a*2,b"), Ok(vec![item("a", 2), item("b", 1)]));
    }

    fn item(product: &str, quantity: u32) -> Item {
        Item {
            product: product.into(),
            quantity,
        }
    }
}
