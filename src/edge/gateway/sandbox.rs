//! A payment gateway inside the program: durable, exact about money, and able to fail on demand.
//!
//! It moves no money, and is strict about the rest: a key is answered the same way for ever, a hold is captured once,
//! and nothing is captured or refunded that is not there. The key, what is done under it and the answer are one
//! transaction, so that no crash comes between them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::checkout::decision::PaymentRequest;
use crate::checkout::payment::report;
use crate::checkout::payment::{
    GatewayUnavailable, IdempotencyKey, PaymentGateway, PaymentOutcome, RetryAfter,
};
use crate::edge::sqlite::{DatabaseError, Format, Readers};
use crate::units::{Currency, Money, Timestamp};

/// Version 1 of the sandbox's file; `Stpy`.
const FORMAT: Format = Format {
    what: "payment sandbox",
    application_id: 0x5374_7079,
    version: 1,
    schema: "
        -- Every question with its answer, for ever.
        CREATE TABLE question (
            key     TEXT PRIMARY KEY,
            request TEXT NOT NULL,
            outcome TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- Minor units. What a capture or a void releases is not held any more.
        CREATE TABLE authorisation (
            number   INTEGER PRIMARY KEY,
            id       TEXT NOT NULL UNIQUE,
            currency TEXT NOT NULL,
            held     INTEGER NOT NULL CHECK (held > 0),
            captured INTEGER CHECK (captured BETWEEN 1 AND held),
            refunded INTEGER NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND coalesce(captured, 0)),
            voided   INTEGER NOT NULL DEFAULT 0 CHECK (voided IN (0, 1)),
            CHECK (voided = 0 OR captured IS NULL)
        ) STRICT;
    ",
    upgrades: &[],
    readers: Readers::Nobody,
};

const SELECT_QUESTION: &str = "SELECT request, outcome FROM question WHERE key = ?1";
const INSERT_QUESTION: &str = "INSERT INTO question (key, request, outcome) VALUES (?1, ?2, ?3)";
const INSERT_AUTHORISATION: &str =
    "INSERT INTO authorisation (id, currency, held) VALUES (?1, ?2, ?3)";
const SELECT_AUTHORISATION: &str =
    "SELECT id, currency, held, captured, refunded, voided FROM authorisation WHERE id = ?1";
const SELECT_LEDGER: &str =
    "SELECT id, currency, held, captured, refunded, voided FROM authorisation ORDER BY number";
const CAPTURE: &str = "UPDATE authorisation SET captured = ?2 WHERE id = ?1";
const VOID: &str = "UPDATE authorisation SET voided = 1 WHERE id = ?1";
const LAPSE: &str = "UPDATE authorisation SET voided = 1 WHERE id = ?1 AND captured IS NULL";
const REFUND: &str = "UPDATE authorisation SET refunded = refunded + ?2 WHERE id = ?1";

/// The sandbox. A clone is a handle to the same one: the store asks through one while an auditor reads the ledger
/// or a test sets faults through another.
#[derive(Clone, Debug)]
pub struct Sandbox {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    connection: Connection,
    faults: SandboxFaults,
}

/// What the sandbox does wrong on demand. Counters count down as their fault is used up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxFaults {
    /// Holds and captures above this are declined; one in another currency is not compared.
    pub decline_above: Option<Money>,
    /// So many of the next new requests are declined, whatever they are.
    pub decline_next: u32,
    /// So many of the next requests do not arrive: nothing is done.
    pub unavailable_next: u32,
    /// So many of the next answers are lost, after it was done.
    pub lose_answer_next: u32,
    /// So many of the next captures and voids find that their hold has lapsed.
    pub lapse_next: u32,
}

/// One authorisation in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub authorisation: String,
    /// What was held at first.
    pub held: Money,
    /// What was taken of it; zero before the capture and after a void.
    pub captured: Money,
    /// What was given back of the captured amount.
    pub refunded: Money,
    pub state: EntryState,
}

/// What became of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// Neither captured nor released.
    Held,
    Captured,
    Voided,
}

impl Sandbox {
    /// Opens the sandbox kept in the file at `path`, made first if there is none.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let connection = FORMAT.open(path, |_| Ok(()))?;
        Ok(Self::with(path, connection))
    }

    /// A sandbox that is forgotten with its last handle.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        Ok(Self::with(Path::new(":memory:"), FORMAT.open_in_memory()?))
    }

    fn with(path: &Path, connection: Connection) -> Self {
        Sandbox {
            inner: Arc::new(Mutex::new(Inner {
                path: path.to_owned(),
                connection,
                faults: SandboxFaults::default(),
            })),
        }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: SandboxFaults) {
        self.lock().faults = faults;
    }

    /// The ledger as a day-end report reads it. The sandbox keeps no times: everything is of no day.
    pub fn list(&self) -> Result<Vec<report::Entry>, DatabaseError> {
        let entry = |entry: Entry| {
            let id = &entry.authorisation;
            let key = (id.strip_prefix("auth-")).or_else(|| id.strip_prefix("charge-"));
            report::Entry {
                key: key.map(IdempotencyKey::from),
                at: Timestamp::MIN,
                amount: entry.held,
                captured_minor: entry.captured.minor,
                refunded_minor: entry.refunded.minor,
                stands: match entry.state {
                    EntryState::Held => report::Stands::Held,
                    EntryState::Captured => report::Stands::Captured,
                    EntryState::Voided => report::Stands::Released,
                },
                id: Some(entry.authorisation),
            }
        };
        Ok(self.ledger()?.into_iter().map(entry).collect())
    }

    /// The faults that are left.
    pub fn faults(&self) -> SandboxFaults {
        self.lock().faults.clone()
    }

    /// Every authorisation, in the order in which they were made.
    pub fn ledger(&self) -> Result<Vec<Entry>, DatabaseError> {
        let inner = self.lock();
        let read = || -> rusqlite::Result<Vec<Entry>> {
            let mut statement = inner.connection.prepare_cached(SELECT_LEDGER)?;
            statement.query_map([], Entry::read)?.collect()
        };
        read().map_err(|source| FORMAT.error(&inner.path, "reading table authorisation", source))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves no half-done change: changes are transactions.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PaymentGateway for Sandbox {
    fn ask(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> Result<PaymentOutcome, GatewayUnavailable> {
        let mut inner = self.lock();
        let unavailable = |why: String| GatewayUnavailable {
            key: key.clone(),
            why,
            retry: RetryAfter::Moments,
        };
        if count_down(&mut inner.faults.unavailable_next) {
            return Err(unavailable("the sandbox was told to be unavailable".into()));
        }
        // A failing disk rolls the transaction back, or leaves it uncertain: either way the answer is to ask again.
        let outcome = inner.answer(key, request).map_err(|source| {
            unavailable((FORMAT.error(&inner.path, "answering", source)).to_string())
        })?;
        if count_down(&mut inner.faults.lose_answer_next) {
            return Err(unavailable(
                "the sandbox was told to lose its answer".into(),
            ));
        }
        Ok(outcome)
    }
}

impl Inner {
    fn answer(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> rusqlite::Result<PaymentOutcome> {
        let asked = to_json(request)?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let stored: Option<(String, String)> = transaction
            .prepare_cached(SELECT_QUESTION)?
            .query_row([key.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((first, outcome)) = stored {
            return if first == asked {
                from_json(&outcome)
            } else {
                // Not stored: what the key was first used for keeps its answer.
                Ok(declined(format!(
                    "key {key} was used for another request before"
                )))
            };
        }
        let mut faults = self.faults.clone();
        faults.let_lapse(&transaction, request)?;
        let outcome = match faults.decline(request) {
            Some(reason) => declined(reason),
            None => act(&transaction, key, request)?,
        };
        transaction.prepare_cached(INSERT_QUESTION)?.execute([
            key.as_str(),
            &asked,
            &to_json(&outcome)?,
        ])?;
        transaction.commit()?;
        self.faults = faults;
        Ok(outcome)
    }
}

impl SandboxFaults {
    /// Why this new request is declined on demand, if it is.
    fn decline(&mut self, request: &PaymentRequest) -> Option<String> {
        if count_down(&mut self.decline_next) {
            return Some("the sandbox was told to decline".into());
        }
        let limit = self.decline_above?;
        let amount = match request {
            PaymentRequest::Authorise { amount, .. }
            | PaymentRequest::Capture { amount, .. }
            | PaymentRequest::Charge { amount, .. } => amount,
            PaymentRequest::Void { .. } | PaymentRequest::Refund { .. } => return None,
        };
        (amount.currency == limit.currency && amount.minor > limit.minor)
            .then(|| format!("{amount} is above the limit of {limit}"))
    }

    /// Releases the hold that a new request is about, on demand: what a provider does with one that is too old.
    fn let_lapse(
        &mut self,
        transaction: &Transaction<'_>,
        request: &PaymentRequest,
    ) -> rusqlite::Result<()> {
        match request {
            PaymentRequest::Capture { authorisation, .. }
            | PaymentRequest::Void { authorisation }
                if count_down(&mut self.lapse_next) =>
            {
                transaction
                    .prepare_cached(LAPSE)?
                    .execute([authorisation])?;
            }
            PaymentRequest::Authorise { .. }
            | PaymentRequest::Capture { .. }
            | PaymentRequest::Void { .. }
            | PaymentRequest::Charge { .. }
            | PaymentRequest::Refund { .. } => {}
        }
        Ok(())
    }
}

impl Entry {
    fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
        let currency: Currency = row.get::<_, String>(1)?.parse().map_err(|why: String| {
            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, why.into())
        })?;
        let captured: Option<i64> = row.get(3)?;
        Ok(Entry {
            authorisation: row.get(0)?,
            held: Money::new(row.get(2)?, currency),
            captured: Money::new(captured.unwrap_or(0), currency),
            refunded: Money::new(row.get(4)?, currency),
            state: match (captured, row.get(5)?) {
                (Some(_), false) => EntryState::Captured,
                (None, false) => EntryState::Held,
                (None | Some(_), true) => EntryState::Voided,
            },
        })
    }

    /// The hold can be captured or released; or how that is refused.
    fn still_held(&self) -> Result<(), PaymentOutcome> {
        let refusal = match self.state {
            EntryState::Voided => |reason| PaymentOutcome::Lapsed { reason },
            EntryState::Held | EntryState::Captured => declined,
        };
        self.must_be(EntryState::Held).map_err(refusal)
    }

    /// Why what needs the entry in that state can't be done, if it can't.
    fn must_be(&self, needed: EntryState) -> Result<(), String> {
        let id = &self.authorisation;
        match (self.state, needed) {
            (EntryState::Held, EntryState::Held) | (EntryState::Captured, EntryState::Captured) => {
                Ok(())
            }
            (EntryState::Voided, EntryState::Held | EntryState::Captured | EntryState::Voided) => {
                Err(format!("{id} is voided"))
            }
            (EntryState::Captured, EntryState::Held | EntryState::Voided) => {
                Err(format!("{id} is captured already"))
            }
            (EntryState::Held, EntryState::Captured | EntryState::Voided) => {
                Err(format!("{id} is not captured"))
            }
        }
    }
}

/// Does what a new request asks, or says why not.
fn act(
    transaction: &Transaction<'_>,
    key: &IdempotencyKey,
    request: &PaymentRequest,
) -> rusqlite::Result<PaymentOutcome> {
    match request {
        PaymentRequest::Authorise { amount, .. } => {
            if let Err(reason) = more_than_nothing(*amount) {
                return Ok(declined(reason));
            }
            // Named after its key, so that a replay gives the same names.
            let id = format!("auth-{key}");
            hold(transaction, &id, *amount)?;
            Ok(PaymentOutcome::Done { authorisation: id })
        }
        PaymentRequest::Charge { amount, .. } => {
            if let Err(reason) = more_than_nothing(*amount) {
                return Ok(declined(reason));
            }
            // Held and captured at once.
            let id = format!("charge-{key}");
            hold(transaction, &id, *amount)?;
            transaction
                .prepare_cached(CAPTURE)?
                .execute(params![id, amount.minor])?;
            Ok(PaymentOutcome::Done { authorisation: id })
        }
        PaymentRequest::Capture {
            authorisation,
            amount,
        } => on_entry(transaction, authorisation, |entry| {
            entry.still_held()?;
            within(*amount, entry.held, "held").map_err(declined)?;
            Ok((CAPTURE, Some(amount.minor)))
        }),
        PaymentRequest::Void { authorisation } => on_entry(transaction, authorisation, |entry| {
            entry.still_held()?;
            Ok((VOID, None))
        }),
        PaymentRequest::Refund {
            authorisation,
            amount,
            by: _,
        } => on_entry(transaction, authorisation, |entry| {
            entry.must_be(EntryState::Captured).map_err(declined)?;
            // Both are at least 0 and the first is the larger, as the table's checks say.
            let left = entry.captured.minor - entry.refunded.minor;
            let left = Money::new(left, entry.held.currency);
            within(*amount, left, "captured and not yet refunded").map_err(declined)?;
            Ok((REFUND, Some(amount.minor)))
        }),
    }
}

fn hold(transaction: &Transaction<'_>, id: &str, amount: Money) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(INSERT_AUTHORISATION)?
        .execute(params![id, amount.currency.as_str(), amount.minor])?;
    Ok(())
}

/// Changes one authorisation by the statement and amount that `change` answers, or refuses as it says.
fn on_entry(
    transaction: &Transaction<'_>,
    id: &str,
    change: impl FnOnce(&Entry) -> Result<(&'static str, Option<i64>), PaymentOutcome>,
) -> rusqlite::Result<PaymentOutcome> {
    let entry = transaction
        .prepare_cached(SELECT_AUTHORISATION)?
        .query_row([id], Entry::read)
        .optional()?;
    let Some(entry) = entry else {
        return Ok(declined(format!("there is no authorisation {id}")));
    };
    match change(&entry) {
        Ok((sql, amount)) => {
            let mut statement = transaction.prepare_cached(sql)?;
            match amount {
                Some(minor) => statement.execute(params![id, minor])?,
                None => statement.execute([id])?,
            };
            Ok(PaymentOutcome::Done {
                authorisation: id.to_owned(),
            })
        }
        Err(refusal) => Ok(refusal),
    }
}

fn more_than_nothing(amount: Money) -> Result<(), String> {
    if amount.minor > 0 {
        Ok(())
    } else {
        Err(format!("{amount} is no amount"))
    }
}

fn within(amount: Money, limit: Money, what: &str) -> Result<(), String> {
    more_than_nothing(amount)?;
    if amount.currency != limit.currency {
        Err(format!(
            "{amount} is another currency than the {limit} {what}"
        ))
    } else if amount.minor > limit.minor {
        Err(format!("{amount} is more than the {limit} {what}"))
    } else {
        Ok(())
    }
}

fn declined(reason: String) -> PaymentOutcome {
    PaymentOutcome::Declined { reason }
}

/// Takes one off; `false` if there was none left.
fn count_down(counter: &mut u32) -> bool {
    let any = *counter > 0;
    *counter = counter.saturating_sub(1);
    any
}

fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e))
    })
}
