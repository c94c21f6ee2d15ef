//! What an operator can do: `POST /operate/WHAT`, answered when the store has done it, or with the sentence that says why
//! it has not.
//!
//! The pages of the console ask by forms of their own; this is what programs ask by.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::host::plain;
use super::{Asking, Console};
use crate::checkout::decision::ReviewId;
use crate::checkout::session::{Role, SessionId};
use crate::edge::live::wall_now;
use crate::observation::{DeviceId, Item};

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
    /// Lets a phone enter from now on.
    Enrol {
        device: DeviceId,
        key: Vec<u8>,
        role: Role,
    },
    /// And not any more.
    Revoke { device: DeviceId },
}

impl Action {
    /// What is written down of it: the act, and what it was done to.
    pub(super) fn told(&self) -> (&'static str, String) {
        match self {
            Action::Emergency => ("emergency", String::new()),
            Action::AllClear => ("all clear", String::new()),
            Action::Close => ("close", String::new()),
            Action::Open => ("open", String::new()),
            Action::Refund { session, minor } => ("refund", format!("{minor} of {session}")),
            Action::Verdict {
                review, session, ..
            } => match session {
                Some(session) => ("verdict", format!("{review}: {session}")),
                None => ("verdict", format!("{review}: nobody")),
            },
            Action::Enrol { device, .. } => ("enrol", device.to_string()),
            Action::Revoke { device } => ("revoke", device.to_string()),
        }
    }
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
pub(super) fn items(text: &str) -> Result<Vec<Item>, String> {
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

/// Why something was not done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undone {
    /// The store says no, in a sentence.
    Refused(String),
    /// Nobody is there to do it.
    Away,
}

impl Undone {
    /// As people are told.
    pub fn sentence(self) -> String {
        match self {
            Undone::Refused(why) => why,
            Undone::Away => "this store takes no operations, or has stopped".to_owned(),
        }
    }
}

/// Has the store do something in somebody's name, and writes it down. Resolves when it is durable.
pub(super) async fn act(console: &Console, by: &str, action: Action) -> Result<(), Undone> {
    let (did, about) = action.told();
    let (answer, answered) = oneshot::channel();
    let operation = Operation {
        action,
        by: by.to_owned(),
        answer,
    };
    let Some(operations) = &console.operations else {
        return Err(Undone::Away);
    };
    if operations.send(operation).await.is_err() {
        return Err(Undone::Away);
    }
    let done = match answered.await {
        Ok(done) => done.map_err(Undone::Refused),
        Err(_) => Err(Undone::Away),
    };
    let about = match &done {
        Ok(()) => about,
        Err(Undone::Refused(why)) => format!("{about} (refused: {why})"),
        Err(Undone::Away) => format!("{about} (the store has stopped)"),
    };
    console.note(by, did, &about, wall_now());
    done
}

/// `POST /operate/{what}`
pub(super) async fn post(
    State(console): State<Console>,
    Asking(caller): Asking,
    Path(what): Path<String>,
    Query(said): Query<Particulars>,
) -> Response {
    let action = match Action::of(&what, said) {
        Ok(action) => action,
        Err((status, why)) => return plain(status, why + "\n"),
    };
    match act(&console, &caller.name, action).await {
        Ok(()) => plain(StatusCode::ACCEPTED, "It is done.\n".to_owned()),
        Err(Undone::Refused(why)) => plain(StatusCode::CONFLICT, why + "\n"),
        Err(Undone::Away) => plain(
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
