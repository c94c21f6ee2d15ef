//! What shoppers ask for, and which proposed corrections were seen to.

use std::collections::BTreeSet;

use rusqlite::{ErrorCode, OptionalExtension, Row, params};

use super::{AccountId, Office, OfficeError};
use crate::checkout::session::SessionId;
use crate::store::ProductId;
use crate::units::Timestamp;

/// Letters of a reason; the rest is cut off.
const WHY_CHARS_MAX: usize = 500;

/// A line of a receipt that a shopper does not want to have paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub id: i64,
    pub account: AccountId,
    pub session: SessionId,
    pub product: ProductId,
    /// What the line cost, minor units.
    pub minor: i64,
    /// In the shopper's words.
    pub why: String,
    pub made_at: Timestamp,
    pub state: RequestState,
    pub closed_by: Option<String>,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    Open,
    /// Somebody is giving the money back this moment; or was, when the program ended.
    Taken,
    Accepted,
    Dismissed,
}

impl RequestState {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            RequestState::Open => "open",
            RequestState::Taken => "taken",
            RequestState::Accepted => "accepted",
            RequestState::Dismissed => "dismissed",
        }
    }

    fn of(name: &str) -> Self {
        let all = [Self::Taken, Self::Accepted, Self::Dismissed];
        all.into_iter()
            .find(|state| state.name() == name)
            .unwrap_or(Self::Open)
    }
}

const COLUMNS: &str = "id, account, session, product, minor, why, made_us, state, closed_by";

fn request(row: &Row<'_>) -> rusqlite::Result<Request> {
    Ok(Request {
        id: row.get(0)?,
        account: AccountId(row.get(1)?),
        session: SessionId::from(row.get::<_, String>(2)?),
        product: ProductId::from(row.get::<_, String>(3)?),
        minor: row.get(4)?,
        why: row.get(5)?,
        made_at: Timestamp(row.get(6)?),
        state: RequestState::of(&row.get::<_, String>(7)?),
        closed_by: row.get(8)?,
    })
}

impl Office {
    /// Takes down what a shopper says of a line of one of their own receipts.
    ///
    /// # Errors
    /// The receipt is another's, has no such line, cost nothing, or the line was asked about before.
    pub fn ask(
        &self,
        id: AccountId,
        session: &SessionId,
        product: &ProductId,
        why: &str,
        now: Timestamp,
    ) -> Result<(), OfficeError> {
        let visit = self.visit(id, session)?;
        let visit = visit.ok_or(OfficeError::NothingToAsk)?;
        let line = visit.receipt.lines.iter().find(|l| &l.product == product);
        let line = line.filter(|line| line.amount.minor > 0);
        let line = line.ok_or(OfficeError::NothingToAsk)?;
        let why: String = why.trim().chars().take(WHY_CHARS_MAX).collect();
        let asked = self.lock().execute(
            "INSERT INTO request (account, session, product, minor, why, made_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id.0, session.as_str(), product.as_str(), line.amount.minor, why, now.0],
        );
        match asked {
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(OfficeError::NothingToAsk)
            }
            Err(source) => Err(self.error("taking a request down", source)),
        }
    }

    /// Requests, the newest first: all of them, or one account's.
    ///
    /// # Errors
    /// Those of the file.
    pub fn requests(&self, of: Option<AccountId>) -> Result<Vec<Request>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading requests", source);
        let mut statement = connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM request WHERE ?1 IS NULL OR account = ?1 ORDER BY id DESC LIMIT 500"
            ))
            .map_err(failed)?;
        let rows = statement
            .query_map([of.map(|id| id.0)], request)
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Moves a request on, if it still stands as it should; what it is about then.
    ///
    /// # Errors
    /// Those of the file.
    pub fn move_request(
        &self,
        id: i64,
        from: RequestState,
        to: RequestState,
        by: &str,
    ) -> Result<Option<Request>, OfficeError> {
        let sql = format!(
            "UPDATE request SET state = ?3, closed_by = ?4 WHERE id = ?1 AND state = ?2 RETURNING {COLUMNS}"
        );
        self.lock()
            .query_row(&sql, params![id, from.name(), to.name(), by], request)
            .optional()
            .map_err(|source| self.error("answering a request", source))
    }

    /// Takes a proposed correction as seen to; false if it was before.
    ///
    /// # Errors
    /// Those of the file.
    pub fn see_to_correction(
        &self,
        change: &str,
        accepted: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, OfficeError> {
        self.lock()
            .execute(
                "INSERT OR IGNORE INTO corrected (change, accepted, by_name, at_us) VALUES (?1, ?2, ?3, ?4)",
                params![change, accepted, by, now.0],
            )
            .map(|rows| rows > 0)
            .map_err(|source| self.error("closing a correction", source))
    }

    /// Takes that back: what should have followed did not.
    ///
    /// # Errors
    /// Those of the file.
    pub fn reopen_correction(&self, change: &str) -> Result<(), OfficeError> {
        self.lock()
            .execute("DELETE FROM corrected WHERE change = ?1", [change])
            .map(drop)
            .map_err(|source| self.error("opening a correction again", source))
    }

    /// The corrections that were seen to.
    ///
    /// # Errors
    /// Those of the file.
    pub fn corrected(&self) -> Result<BTreeSet<String>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading corrections", source);
        let mut statement = connection
            .prepare_cached("SELECT change FROM corrected ORDER BY at_us DESC LIMIT 10000")
            .map_err(failed)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }
}
