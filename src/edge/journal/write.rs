//! Writing a batch: one transaction with everything that it holds, and the chain over it.

use std::collections::BTreeMap;

use rusqlite::{Transaction, TransactionBehavior, params};

use super::chain::{DecisionRow, Hash, Head, ObservationRow, RowOf};
use super::sequences::Sequences;
use super::{Journal, JournalError, Versions, sql};
use crate::checkout::Decision;
use crate::coordinator::Output;
use crate::observation::{OutboxId, Stamp, Stamped};
use crate::store::NodeName;

impl Journal {
    /// Writes a batch as one transaction.
    pub(super) fn write(
        &mut self,
        entries: &[Entry<'_>],
        staged: &Staged<'_>,
    ) -> Result<Written, JournalError> {
        let (mut versions_id, mut head) = (self.versions_id, self.head);
        let path = &self.path;
        let failed = |doing: &str, source| sql::FORMAT.error(path, doing, source);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|source| failed("beginning a commit", source))?;
        for entry in entries {
            let (row, content) = match entry {
                Entry::Observation(stamped) => {
                    write_observation(&transaction, stamped).map_err(|source| {
                        failed(&format!("writing observation {}", stamped.stamp), source)
                    })?
                }
                Entry::Decision(decision) => {
                    write_decision(&transaction, decision, &self.versions, &mut versions_id)
                        .map_err(|source| failed("writing a decision", source))?
                }
            };
            head.append(&transaction, row, content)
                .map_err(|source| failed("writing table chain", source))?;
        }
        for ((node, outbox), sequences) in staged {
            write_outbox(&transaction, node, outbox, sequences)
                .map_err(|source| failed("writing table outbox", source))?;
        }
        transaction
            .commit()
            .map_err(|source| failed("committing", source))?;
        Ok(Written { versions_id, head })
    }
}

/// What a batch has left behind.
pub(super) struct Written {
    /// The row of `versions` that its decisions name.
    pub versions_id: Option<i64>,
    pub head: Head,
}

/// The outboxes that a batch touches, with the sequences that will be committed.
pub(super) type Staged<'e> = BTreeMap<(&'e NodeName, &'e OutboxId), Sequences>;

/// What of an output goes into the journal.
pub(super) enum Entry<'a> {
    Observation(&'a Stamped),
    Decision(&'a Decision),
}

impl<'a> Entry<'a> {
    pub fn of(output: &'a Output) -> Option<Self> {
        match output {
            Output::Accept(stamped) => Some(Entry::Observation(stamped)),
            Output::Decide(decision) => Some(Entry::Decision(decision)),
            Output::Effect(_) => None,
        }
    }

    pub fn decision(&self) -> Option<&'a Decision> {
        match self {
            Entry::Observation(_) => None,
            Entry::Decision(decision) => Some(decision),
        }
    }

    /// The stamp that is known once this is committed.
    pub fn stamp(&self) -> Option<&'a Stamp> {
        match self {
            Entry::Observation(stamped) => Some(&stamped.stamp),
            Entry::Decision(decision) => quarantined(decision),
        }
    }
}

/// The stamp of the undecodable message that a decision puts away.
pub(super) fn quarantined(decision: &Decision) -> Option<&Stamp> {
    match decision {
        Decision::Quarantined { stamp, .. } => Some(stamp),
        Decision::SessionOpened { .. }
        | Decision::EntryRefused { .. }
        | Decision::TrackBound { .. }
        | Decision::Attributed(_)
        | Decision::Revised(_)
        | Decision::ReviewClosed { .. }
        | Decision::SessionExited { .. }
        | Decision::CartDrafted { .. }
        | Decision::CartDetermined { .. }
        | Decision::LinesDropped { .. }
        | Decision::Settled { .. }
        | Decision::PaymentRequested { .. }
        | Decision::PaymentDecided { .. }
        | Decision::AdmittedUnsecured { .. }
        | Decision::ProviderAway { .. }
        | Decision::ProviderBack { .. }
        | Decision::ReceiptIssued { .. }
        | Decision::NodeSilent { .. }
        | Decision::NodeBack { .. }
        | Decision::Unwatched(_)
        | Decision::EntryBarred { .. }
        | Decision::EntryFreed { .. }
        | Decision::VisitGivenUp { .. }
        | Decision::CorrectionProposed { .. }
        | Decision::Gap { .. }
        | Decision::FrontierAdvanced { .. } => None,
    }
}

fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn write_observation(
    transaction: &Transaction<'_>,
    stamped: &Stamped,
) -> rusqlite::Result<(RowOf, Hash)> {
    let Stamped {
        stamp, observation, ..
    } = stamped;
    let row = ObservationRow {
        node: stamp.node.as_str(),
        outbox: stamp.outbox.as_str(),
        sequence: stamp.sequence.cast_signed(),
        start_us: observation.start().0,
        end_us: observation.end().0,
        payload: &json(stamped)?,
    };
    transaction
        .prepare_cached(sql::INSERT_OBSERVATION)?
        .execute(params![
            row.node,
            row.outbox,
            row.sequence,
            row.start_us,
            row.end_us,
            row.payload
        ])?;
    let accepted = transaction.last_insert_rowid();
    Ok((RowOf::Observation(accepted), row.content()))
}

fn write_decision(
    transaction: &Transaction<'_>,
    decision: &Decision,
    versions: &Versions,
    versions_id: &mut Option<i64>,
) -> rusqlite::Result<(RowOf, Hash)> {
    let versions_id = match *versions_id {
        Some(id) => id,
        None => *versions_id.insert(write_versions(transaction, versions)?),
    };
    let event = json(decision)?;
    transaction
        .prepare_cached(sql::INSERT_DECISION)?
        .execute(params![versions_id, event])?;
    let sequence = transaction.last_insert_rowid();
    if let Some(stamp) = quarantined(decision) {
        transaction
            .prepare_cached(sql::INSERT_QUARANTINED)?
            .execute(params![
                stamp.node.as_str(),
                stamp.outbox.as_str(),
                stamp.sequence.cast_signed(),
                sequence
            ])?;
    }
    let row = DecisionRow {
        code: &versions.code,
        definition: &versions.definition,
        model: &versions.model,
        event: &event,
    };
    Ok((RowOf::Decision(sequence), row.content()))
}

pub(super) fn write_versions(
    transaction: &Transaction<'_>,
    versions: &Versions,
) -> rusqlite::Result<i64> {
    let Versions {
        code,
        definition,
        model,
    } = versions;
    transaction.execute(sql::INSERT_VERSIONS, [code, definition, model])?;
    Ok(transaction.last_insert_rowid())
}

fn write_outbox(
    transaction: &Transaction<'_>,
    node: &NodeName,
    outbox: &OutboxId,
    sequences: &Sequences,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(sql::UPSERT_OUTBOX)?
        .execute(params![
            node.as_str(),
            outbox.as_str(),
            sequences.contiguous().cast_signed()
        ])
        .map(drop)
}
