//! Whose visit a decision changes.

use crate::checkout::decision::{Attributed, AttributionVerdict, Decision};
use crate::checkout::session::SessionId;

/// The visits that look different after a decision: whose cart, state or payment it is about.
pub fn touched(decision: &Decision) -> Vec<SessionId> {
    match decision {
        Decision::Attributed(change) | Decision::Revised(change) | Decision::Unwatched(change) => {
            movers(change)
        }
        Decision::SessionOpened { session, .. }
        | Decision::AdmittedUnsecured { session, .. }
        | Decision::TrackBound { session, .. }
        | Decision::LinesDropped { session, .. }
        | Decision::VisitGivenUp { session, .. }
        | Decision::SessionExited { session, .. }
        | Decision::CartDetermined { session, .. }
        | Decision::CartDrafted { session, .. }
        | Decision::Settled { session, .. }
        | Decision::PaymentRequested { session, .. }
        | Decision::PaymentDecided { session, .. } => vec![session.clone()],
        Decision::ReviewClosed { session, .. } => session.iter().cloned().collect(),
        Decision::ReceiptIssued { receipt } => vec![receipt.session.clone()],
        Decision::CorrectionProposed { sessions, .. } => sessions.clone(),
        Decision::EntryRefused { .. }
        | Decision::ProviderAway { .. }
        | Decision::ProviderBack { .. }
        | Decision::NodeSilent { .. }
        | Decision::NodeBack { .. }
        | Decision::EntryBarred { .. }
        | Decision::EntryFreed { .. }
        | Decision::Gap { .. }
        | Decision::Quarantined { .. }
        | Decision::FrontierAdvanced { .. } => Vec::new(),
    }
}

/// Who moved something by the likeliest explanation, whether it is charged or checked.
fn movers(change: &Attributed) -> Vec<SessionId> {
    match change.verdict {
        AttributionVerdict::Accepted | AttributionVerdict::Review { .. } => {
            let first = change.hypotheses.first();
            let shares = first.into_iter().flat_map(|first| first.shares());
            shares.filter_map(|(session, _)| session.cloned()).collect()
        }
        AttributionVerdict::Nothing { .. } => Vec::new(),
    }
}
