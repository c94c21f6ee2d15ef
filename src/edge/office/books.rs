//! The owner's books: what was sold, given back and lost, kept as the journal tells of it.
//!
//! They are a fold over the journal's decisions and hold nobody's name. Together with the deliveries that follow from the same
//! decisions they are kept in one transaction with how far they have come, so that a restart repeats nothing and leaves
//! nothing out.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Event, Office, OfficeError, hooks};
use crate::checkout::decision::{
    Attributed, AttributionVerdict, Decision, Hypothesis, PaymentRequest, ReviewId,
};
use crate::checkout::payment::PaymentOutcome;
use crate::checkout::receipt::Receipt;
use crate::checkout::session::SessionId;
use crate::observation::Item;
use crate::store::ProductId;
use crate::units::Timestamp;

/// A receipt that was issued.
#[derive(Clone, Debug, PartialEq)]
pub struct Sale {
    pub exited_at: Timestamp,
    pub receipt: Receipt,
}

/// Money that was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundMade {
    pub session: SessionId,
    pub at: Timestamp,
    pub minor: i64,
    pub by: String,
}

/// Why nobody paid for goods that left a shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// Nobody whom the store knows took them.
    Nobody,
    /// It stayed doubtful who took them, and nobody was charged.
    Doubtful,
    /// The line was dropped in the shopper's favour.
    Dropped,
    /// Somebody counted fewer than should be there.
    Counted,
}

impl Lost {
    pub const ALL: [Lost; 4] = [Lost::Nobody, Lost::Doubtful, Lost::Dropped, Lost::Counted];

    fn name(self) -> &'static str {
        match self {
            Lost::Nobody => "nobody",
            Lost::Doubtful => "doubtful",
            Lost::Dropped => "dropped",
            Lost::Counted => "counted",
        }
    }

    /// As people are told.
    pub fn words(self) -> &'static str {
        match self {
            Lost::Nobody => "taken by nobody we know",
            Lost::Doubtful => "doubtful, and nobody was charged",
            Lost::Dropped => "dropped in the shopper's favour",
            Lost::Counted => "missing when it was counted",
        }
    }
}

/// Goods that nobody paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    pub product: ProductId,
    /// Negative: they came back, or more was counted.
    pub units: i64,
    pub why: Lost,
}

impl Office {
    /// The last decision of the journal that the books have heard of.
    ///
    /// # Errors
    /// Those of the file.
    pub fn booked_to(&self) -> Result<i64, OfficeError> {
        self.lock()
            .query_row("SELECT decision FROM cursor", [], |row| row.get(0))
            .map_err(|source| self.error("reading the books", source))
    }

    /// Whether anything of a decision goes into the books.
    pub fn books(decision: &Decision) -> bool {
        [
            "receipt_issued",
            "payment_requested",
            "payment_decided",
            "attributed",
            "revised",
            "unwatched",
            "review_closed",
            "lines_dropped",
        ]
        .contains(&decision.name())
    }

    /// Books decisions of the journal, in their order, and keeps the events that follow from them for the webhooks.
    ///
    /// # Errors
    /// Those of the file; then nothing of it is kept.
    pub fn book(
        &self,
        decisions: &[(i64, Decision)],
        events: &[Event],
        now: Timestamp,
    ) -> Result<(), OfficeError> {
        let mut connection = self.lock();
        let failed = |source| self.error("keeping the books", source);
        let transaction = connection.transaction().map_err(failed)?;
        for (_, decision) in decisions {
            enter(&transaction, decision).map_err(failed)?;
        }
        if let Some((last, _)) = decisions.last() {
            transaction
                .execute("UPDATE cursor SET decision = ?1", [last])
                .map_err(failed)?;
        }
        hooks::queue(&transaction, events, now).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    /// Books that fewer units of a product were counted than should be there (negative: more).
    ///
    /// # Errors
    /// Those of the file.
    pub fn book_count(
        &self,
        place: &str,
        product: &ProductId,
        missing: i64,
        at: Timestamp,
    ) -> Result<(), OfficeError> {
        let item = (product.clone(), missing);
        let source = format!("count of {place} at {}", at.0);
        lose(&self.lock(), &source, &[item], at, Lost::Counted, None)
            .map_err(|source| self.error("keeping the books", source))
    }

    /// The receipt of a visit.
    ///
    /// # Errors
    /// Those of the file.
    pub fn sale(&self, session: &SessionId) -> Result<Option<Sale>, OfficeError> {
        let found: Option<(i64, String)> = self
            .lock()
            .query_row(
                "SELECT exit_us, receipt FROM sale WHERE session = ?1",
                [session.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(|source| self.error("reading the books", source))?;
        Ok(found.and_then(|(at, text)| {
            let receipt = serde_json::from_str(&text).ok()?;
            Some(Sale {
                exited_at: Timestamp(at),
                receipt,
            })
        }))
    }

    /// The receipts of visits that ended from `from` up to before `until`, the earliest first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn sales(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Sale>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading the books", source);
        let mut statement = connection
            .prepare_cached(
                "SELECT exit_us, receipt FROM sale WHERE exit_us >= ?1 AND exit_us < ?2 ORDER BY exit_us, session",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map([from.0, until.0], |row| {
                Ok((Timestamp(row.get(0)?), row.get::<_, String>(1)?))
            })
            .map_err(failed)?;
        let mut sales = Vec::new();
        for row in rows {
            let (exited_at, text) = row.map_err(failed)?;
            // Written by us; what a later version wrote otherwise cannot be summed up here.
            if let Ok(receipt) = serde_json::from_str(&text) {
                sales.push(Sale { exited_at, receipt });
            }
        }
        Ok(sales)
    }

    /// What was given back in that time, whenever the sale was.
    ///
    /// # Errors
    /// Those of the file.
    pub fn refunds(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<RefundMade>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading the books", source);
        let mut statement = connection
            .prepare_cached(
                "SELECT session, at_us, minor, by_name FROM refund WHERE done AND at_us >= ?1 AND at_us < ?2 ORDER BY at_us",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map([from.0, until.0], |row| {
                Ok(RefundMade {
                    session: SessionId::from(row.get::<_, String>(0)?),
                    at: Timestamp(row.get(1)?),
                    minor: row.get(2)?,
                    by: row.get(3)?,
                })
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// What the shelves lost in that time and nobody paid, by product and cause; what still waits for a review is left out.
    ///
    /// # Errors
    /// Those of the file.
    pub fn losses(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Loss>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading the books", source);
        let mut statement = connection
            .prepare_cached(
                "SELECT product, why, sum(units) FROM loss WHERE review IS NULL AND at_us >= ?1 AND at_us < ?2
                 GROUP BY product, why HAVING sum(units) <> 0 ORDER BY product, why",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map([from.0, until.0], |row| {
                let why: String = row.get(1)?;
                let why = Lost::ALL.into_iter().find(|lost| lost.name() == why);
                Ok(Loss {
                    product: ProductId::from(row.get::<_, String>(0)?),
                    units: row.get(2)?,
                    why: why.unwrap_or(Lost::Nobody),
                })
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }
}

fn enter(connection: &Connection, decision: &Decision) -> rusqlite::Result<()> {
    match decision {
        Decision::ReceiptIssued { receipt } => {
            let text = serde_json::to_string(receipt).unwrap_or_default();
            connection.execute(
                "INSERT OR REPLACE INTO sale (session, exit_us, receipt) VALUES (?1, ?2, ?3)",
                params![receipt.session.as_str(), receipt.exited_at.0, text],
            )?;
        }
        Decision::PaymentRequested {
            session,
            at,
            key,
            request: PaymentRequest::Refund { amount, by, .. },
        } => {
            connection.execute(
                "INSERT OR IGNORE INTO refund (key, session, at_us, minor, by_name) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    key.as_str(),
                    session.as_str(),
                    at.0,
                    amount.minor,
                    by.as_deref().unwrap_or("the store")
                ],
            )?;
        }
        Decision::PaymentDecided {
            key,
            outcome: PaymentOutcome::Done { .. },
            ..
        } => {
            connection.execute("UPDATE refund SET done = 1 WHERE key = ?1", [key.as_str()])?;
        }
        Decision::Attributed(change) | Decision::Revised(change) | Decision::Unwatched(change) => {
            attribute(connection, change)?
        }
        Decision::ReviewClosed {
            review, session, ..
        } => close(connection, review, session.is_some())?,
        Decision::LinesDropped {
            session, at, items, ..
        } => {
            let source = format!("dropped of {session} at {}", at.0);
            let units = units(items, true);
            lose(connection, &source, &units, *at, Lost::Dropped, None)?;
        }
        Decision::SessionOpened { .. }
        | Decision::EntryRefused { .. }
        | Decision::AdmittedUnsecured { .. }
        | Decision::TrackBound { .. }
        | Decision::VisitGivenUp { .. }
        | Decision::SessionExited { .. }
        | Decision::CartDetermined { .. }
        | Decision::CartDrafted { .. }
        | Decision::Settled { .. }
        | Decision::PaymentRequested { .. }
        | Decision::PaymentDecided { .. }
        | Decision::ProviderAway { .. }
        | Decision::ProviderBack { .. }
        | Decision::NodeSilent { .. }
        | Decision::NodeBack { .. }
        | Decision::Gap { .. }
        | Decision::CorrectionProposed { .. }
        | Decision::EntryBarred { .. }
        | Decision::EntryFreed { .. }
        | Decision::Quarantined { .. }
        | Decision::FrontierAdvanced { .. } => {}
    }
    Ok(())
}

/// What of a change nobody whom we know moved; all of it, while it waits for a verdict.
fn attribute(connection: &Connection, change: &Attributed) -> rusqlite::Result<()> {
    let source = change.change.to_string();
    connection.execute("DELETE FROM loss WHERE source = ?1", [&source])?;
    let Some(first) = change.hypotheses.first() else {
        return Ok(());
    };
    match &change.verdict {
        AttributionVerdict::Accepted | AttributionVerdict::Nothing { .. } => {
            let units = moved(change, first, |session| session.is_none());
            lose(connection, &source, &units, change.at, Lost::Nobody, None)
        }
        AttributionVerdict::Review { review, .. } => {
            let units = moved(change, first, |_| true);
            let review = Some(review);
            lose(
                connection,
                &source,
                &units,
                change.at,
                Lost::Doubtful,
                review,
            )
        }
    }
}

fn moved(
    change: &Attributed,
    what: &Hypothesis,
    whose: impl Fn(Option<&SessionId>) -> bool,
) -> Vec<(ProductId, i64)> {
    let theirs = change.movements(what).filter(|m| whose(m.session));
    theirs.flat_map(|m| units(m.items, m.is_take)).collect()
}

fn units(items: &[Item], is_take: bool) -> Vec<(ProductId, i64)> {
    let sign = if is_take { 1 } else { -1 };
    let units = |item: &Item| (item.product.clone(), sign * i64::from(item.quantity));
    items.iter().map(units).collect()
}

/// A verdict that names a shopper leaves nothing lost.
fn close(connection: &Connection, review: &ReviewId, is_paid: bool) -> rusqlite::Result<()> {
    let sql = match is_paid {
        true => "DELETE FROM loss WHERE review = ?1",
        false => "UPDATE loss SET review = NULL WHERE review = ?1",
    };
    connection.execute(sql, [review.as_str()]).map(drop)
}

fn lose(
    connection: &Connection,
    source: &str,
    units: &[(ProductId, i64)],
    at: Timestamp,
    why: Lost,
    review: Option<&ReviewId>,
) -> rusqlite::Result<()> {
    for (product, units) in units {
        connection
            .prepare_cached(
                "INSERT INTO loss (source, product, at_us, units, why, review) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (source, product) DO UPDATE SET units = units + ?4",
            )?
            .execute(params![
                source,
                product.as_str(),
                at.0,
                units,
                why.name(),
                review.map(ReviewId::as_str)
            ])?;
    }
    Ok(())
}
