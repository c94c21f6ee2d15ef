//! What is lost, and what the store leaves to people: changes that nobody watched, and corrections of receipts.

use super::{EventKind, Told, item_list};
use crate::checkout::decision::{Attributed, AttributionVerdict, Decision};
use crate::checkout::entry::Bar;
use crate::console::view::Shopper;
use crate::store::{Definition, NodeName};

/// The end of a reason to let nobody in.
pub(super) fn freed(bar: &Bar) -> String {
    match bar {
        Bar::Emergency => "The emergency is over".to_owned(),
        Bar::Closed => "The store is open again".to_owned(),
        Bar::Disk => "There is room on the disk again".to_owned(),
        Bar::Node { node } => format!("Node {node} is in order again"),
        Bar::Clock { node } => format!("The clock of node {node} is right again"),
    }
}

/// What changed while nobody watched, and what it may have been.
pub(super) fn tell_unwatched(attributed: &Attributed, definition: &Definition) -> Option<Told> {
    let AttributionVerdict::Review { reason, .. } = &attributed.verdict else {
        return None;
    };
    let mut told = Told::urgent(EventKind::Review, reason.clone())?;
    let items = attributed.hypotheses.first().map(|h| &h.items);
    let items = items.filter(|items| !items.is_empty());
    told.detail = items.map(|items| format!("It weighs as {}.", item_list(items, definition)));
    Some(told)
}

/// What a node has lost.
pub(super) fn tell_gap(node: &NodeName, lost: u64, reason: &str) -> Option<Told> {
    let sentence = match lost {
        0 => format!("What node {node} saw may be missing"),
        1 => format!("1 observation of node {node} is missing"),
        _ => format!("{lost} observations of node {node} are missing"),
    };
    let mut told = Told::urgent(EventKind::Node, sentence)?;
    told.detail = (!reason.is_empty()).then(|| reason.to_owned());
    Some(told)
}

/// A correction that a person may make.
pub(super) fn tell(decision: &Decision, definition: &Definition) -> Option<Told> {
    let Decision::CorrectionProposed {
        shelf,
        delta_mg,
        items,
        sessions,
        refund,
        ..
    } = decision
    else {
        return None;
    };
    let went = if delta_mg.0 < 0 {
        "left"
    } else {
        "came back to"
    };
    let grams = delta_mg.abs();
    let mut told = match (refund, &sessions[..]) {
        (Some(amount), [session]) => {
            let rest = format!("may be owed {amount}: {grams} {went} shelf {shelf}");
            Told::of(EventKind::Review, session, &rest)
        }
        _ => {
            let sentence = format!("{grams} {went} shelf {shelf}, which came to light too late");
            Told::new(EventKind::Review, sentence)
        }
    }?;
    told.urgent = true;
    let who: Vec<String> = sessions
        .iter()
        .map(|s| Shopper::of(s).to_string())
        .collect();
    let what = match &items[..] {
        [] => String::new(),
        items => format!("It weighs as {}. ", item_list(items, definition)),
    };
    told.detail = Some(format!(
        "{what}Inside then, and settled since: {}.",
        who.join(", ")
    ));
    Some(told)
}
