//! Evidence that comes when the cart is settled: a receipt never changes by itself. What a node had seen and could not say
//! in time becomes a proposal, for a person to refund or to look into.

use super::intake::due_at;
use super::{Coordinator, Output};
use crate::checkout::decision::Decision;
use crate::checkout::receipt::ReceiptLine;
use crate::checkout::session::{Session, SessionId};
use crate::observation::{ChangeKind, Item, Observation, ShelfGap, ShelfObservation, Stamp};
use crate::units::{Money, Timestamp};

impl Coordinator {
    /// Proposes a correction if a change comes so late that somebody who can have made it has settled. True if it did:
    /// then nobody is charged or credited for the change by itself, not even who is still inside.
    pub(super) fn proposes_correction(
        &mut self,
        stamp: &Stamp,
        change: &ShelfObservation,
        out: &mut Vec<Output>,
    ) -> bool {
        let is_late = due_at(&Observation::Shelf(change.clone())) <= self.state.frontier;
        let moved = match change.kind {
            ChangeKind::Take | ChangeKind::Put | ChangeKind::Unsure => change.delta().0 != 0,
            ChangeKind::Touch | ChangeKind::Foreign => false,
        };
        if !is_late || !moved {
            return false;
        }
        let gap = ShelfGap {
            shelf: change.shelf,
            plates: change.plates.clone(),
        };
        let items = self.likeliest(&gap);
        let came_back = change.delta().0 > 0;
        let settled = self.state.sessions.values().filter(|s| !s.is_open());
        let sessions: Vec<SessionId> = (settled)
            .filter(|s| s.role.is_shopper() && was_inside(s, change.peak))
            .filter(|s| !came_back || self.paid_for(s, &items).is_some())
            .map(|s| s.id.clone())
            .collect();
        let [first, rest @ ..] = &sessions[..] else {
            return false;
        };
        let refund = match rest {
            [] if came_back => {
                let session = self.state.sessions.get(first);
                session.and_then(|s| self.paid_for(s, &items))
            }
            _ => None,
        };
        let proposed = Decision::CorrectionProposed {
            change: stamp.clone(),
            at: change.peak,
            shelf: change.shelf,
            delta_mg: change.delta(),
            items,
            sessions,
            refund,
        };
        self.decide(proposed, out);
        let open = |s: &Session| s.is_open() && s.role.is_shopper() && was_inside(s, change.peak);
        if self.state.sessions.values().any(open) {
            self.open_unwatched(stamp, &gap, (change.start, change.end), out);
        }
        true
    }

    /// What somebody has paid for these items, if all of them are on the receipt.
    fn paid_for(&self, session: &Session, items: &[Item]) -> Option<Money> {
        let receipt = session.receipt.as_ref()?;
        let paid = |item: &Item| -> Option<i64> {
            let of = |line: &&ReceiptLine| line.product == item.product;
            let line = receipt.lines.iter().find(of)?;
            let units = i64::from(line.quantity.max(1));
            (line.quantity >= item.quantity)
                .then(|| line.amount.minor * i64::from(item.quantity) / units)
        };
        let minor: i64 = items.iter().map(paid).sum::<Option<i64>>()?;
        (!items.is_empty()).then(|| Money::new(minor, self.definition.currency))
    }
}

fn was_inside(session: &Session, at: Timestamp) -> bool {
    session.entered_at <= at && session.exited_at.is_none_or(|exit| at <= exit)
}
