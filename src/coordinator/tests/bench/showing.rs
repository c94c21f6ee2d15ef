//! What is so in a bench, in words.

use super::Bench;
use super::Kept;
use crate::checkout::decision::{Decision, PaymentRequest};
use crate::checkout::entry::Barred;
use crate::checkout::session::{Session, SessionState};

impl Bench {
    /// Everything that is so, a line each.
    pub fn shown(&self) -> Vec<String> {
        let state = self.core.state();
        let mut lines: Vec<String> = state.sessions.values().map(show_session).collect();
        for kept in &self.journal {
            if let Kept::Decided(Decision::EntryRefused { reason, .. }) = kept {
                let words: Vec<&str> = reason.split(' ').take(7).collect();
                lines.push(format!("refused: {}", words.join(" ")));
            }
        }
        for session in state.sessions.values() {
            let asked: Vec<String> = (self.asked.iter())
                .filter(|(id, ..)| *id == session.id)
                .map(|(_, _, request)| show_request(request))
                .collect();
            lines.push(format!("{} asked: {}", name_of(session), asked.join(", ")));
        }
        if state.provider_away.is_some() {
            lines.push("the provider is away".to_owned());
        }
        for kept in &self.journal {
            if let Kept::Decided(Decision::Gap {
                node,
                after,
                before,
                dropped,
                ..
            }) = kept
            {
                let lost = before - after - 1 + dropped;
                lines.push(format!("{node} lost {lost}"));
            }
        }
        for kept in &self.journal {
            if let Kept::Decided(Decision::CorrectionProposed {
                sessions, refund, ..
            }) = kept
            {
                let refund = refund.map_or("no refund".to_owned(), |money| money.to_string());
                let (many, refund) = (sessions.len(), refund.to_lowercase());
                lines.push(format!("proposed: {many} of them, {refund}"));
            }
        }
        if self.gate_released {
            lines.push("the gate stands open".to_owned());
        }
        for kept in &self.journal {
            if let Kept::Decided(Decision::VisitGivenUp { reason, .. }) = kept {
                lines.push(format!("given up: {reason}"));
            }
        }
        for Barred { reason, .. } in state.bars.values() {
            lines.push(format!("barred: {reason}"));
        }
        for open in state.reviews.values() {
            lines.push(format!("asked: {}", open.reason));
        }
        for node in state.silent.keys() {
            lines.push(format!("{node} is silent"));
        }
        lines.push(format!("{} reviews", state.reviews.len()));
        lines.push(format!("{} sessions", state.sessions.len()));
        lines.push(format!("{} receipts", self.receipts.len()));
        lines.push(format!("gate opened {} times", self.gates_opened));
        lines
    }
}

pub fn name_of(session: &Session) -> &str {
    match (&session.track, &session.device) {
        (Some(track), _) => track.as_str(),
        (None, Some(device)) => device.as_str(),
        (None, None) => "",
    }
}

fn show_request(request: &PaymentRequest) -> String {
    let name = request.name();
    match request {
        PaymentRequest::Authorise { amount, .. }
        | PaymentRequest::Capture { amount, .. }
        | PaymentRequest::Charge { amount, .. }
        | PaymentRequest::Refund { amount, .. } => format!("{name} {}", amount.minor),
        PaymentRequest::Void { .. } => name.to_owned(),
    }
}

/// `ann inside: cola*1, 1 in review`, or, once it has its receipt, `ann closed: cola*1, 1.50 EUR captured`.
fn show_session(session: &Session) -> String {
    let mut parts: Vec<String> = (session.cart.lines())
        .map(|(product, held)| format!("{product}*{}", held.quantity))
        .collect();
    if !session.cart.reviews.is_empty() {
        parts.push(format!("{} in review", session.cart.reviews.len()));
    }
    if let Some(receipt) = &session.receipt {
        parts.clear();
        parts.extend((receipt.lines.iter()).map(|l| format!("{}*{}", l.product, l.quantity)));
        parts.push(format!("{} {:?}", receipt.total, receipt.paid).to_lowercase());
        parts.extend((receipt.owed.iter()).map(|owed| format!("{owed} left").to_lowercase()));
    }
    let state = match session.state {
        SessionState::Inside => "inside",
        SessionState::Leaving => "leaving",
        SessionState::Draft => "draft",
        SessionState::Settled => "settled",
        SessionState::Closed => "closed",
    };
    format!("{} {state}: {}", name_of(session), parts.join(", "))
        .trim_end()
        .to_owned()
}
