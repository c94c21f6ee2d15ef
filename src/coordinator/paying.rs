//! Money: the hold at the gate, what the gateway answers, and the way from the final cart to the receipt.
//!
//! A hold is captured once, and never above what it holds. What it does not cover, and what is due where it is gone, is
//! charged once more if the payer has agreed to that; otherwise it is owed, and the receipt says so.

use super::{Coordinator, Effect, Output};
use crate::checkout::decision::{Decision, PaymentRequest};
use crate::checkout::payment::{IdempotencyKey, PaymentOutcome, PaymentState};
use crate::checkout::receipt::{Paid, Receipt, ReceiptLine};
use crate::checkout::session::{Session, SessionId, SessionState};
use crate::store::Offline;
use crate::units::{Money, Timestamp};

/// What follows for the payment of a settled cart.
enum Step {
    /// Ask this, under a key that ends in this word.
    Ask(&'static str, PaymentRequest),
    /// The gateway owes an answer.
    Wait,
    /// It is over.
    End(Paid),
}

impl Coordinator {
    /// Asks for the hold of somebody who has come.
    pub(super) fn authorise(&mut self, session: SessionId, at: Timestamp, out: &mut Vec<Output>) {
        let amount = self.definition.policy.hold;
        let payer = self.payer(&session);
        let request = PaymentRequest::Authorise { amount, payer };
        self.ask(session, "authorise", at, request, out);
    }

    fn payer(&self, session: &SessionId) -> Option<crate::observation::DeviceId> {
        (self.state.sessions.get(session)).and_then(|session| session.device.clone())
    }

    /// Opens the gate for a shopper whose hold is made later.
    pub(super) fn admit_unsecured(
        &mut self,
        session: SessionId,
        at: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let admitted = Decision::AdmittedUnsecured {
            session: session.clone(),
            at,
        };
        self.decide(admitted, out);
        out.push(Output::Effect(Effect::OpenGate { session }));
    }

    /// Whether the owner's policy lets one more shopper in while the provider is away; or why it does not.
    pub(super) fn room_unsecured(&self, why: &str) -> Result<(), String> {
        let (shoppers_max, amount_max) = match &self.definition.policy.offline {
            Offline::Closed => {
                return Err(format!(
                    "the payment provider cannot be reached, and the store stays closed meanwhile: {why}"
                ));
            }
            Offline::Capped {
                shoppers_max,
                amount_max,
            } => (shoppers_max, amount_max),
        };
        let hold = self.definition.policy.hold;
        let mut shoppers: u32 = 0;
        let mut minor = hold.minor;
        for session in self.unsecured() {
            shoppers += 1;
            // Whoever is inside may still take goods up to the hold; who has more in the cart counts with that.
            minor = minor.saturating_add(self.total(session).minor.max(hold.minor));
        }
        if let Some(max) = shoppers_max.filter(|max| shoppers >= *max) {
            return Err(format!(
                "the payment provider cannot be reached, and {shoppers} shoppers without a hold are all that `offline_shoppers_max = {max}` allows: {why}"
            ));
        }
        if let Some(max) = amount_max.filter(|max| minor > max.minor) {
            let all = Money::new(minor, hold.currency);
            return Err(format!(
                "the payment provider cannot be reached, and with one shopper more {all} would not be secured, where `offline_amount_max_minor` allows {max}: {why}"
            ));
        }
        Ok(())
    }

    /// Shoppers who were let in without a hold and of whom it isn't known yet what they pay.
    fn unsecured(&self) -> impl Iterator<Item = &Session> {
        let active = self.state.active.iter();
        active
            .filter_map(|id| self.state.sessions.get(id))
            .filter(|s| {
                s.unsecured
                    && matches!(
                        s.payment,
                        PaymentState::Asked { .. } | PaymentState::Refused { .. }
                    )
            })
    }

    /// The gateway was asked in vain: until it answers, entry goes by the owner's policy, also for whoever stands at
    /// the gate.
    pub(super) fn unanswered(
        &mut self,
        session: &SessionId,
        key: &IdempotencyKey,
        why: String,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if !self.is_open_question(session, key) {
            return;
        }
        if self.state.provider_away.is_none() {
            let (at, reason) = (now, why.clone());
            self.decide(Decision::ProviderAway { at, reason }, out);
        }
        let mut at_the_gate: Vec<(Timestamp, SessionId)> = (self.state.active.iter())
            .filter_map(|id| self.state.sessions.get(id))
            .filter(|s| {
                s.state == SessionState::Inside
                    && s.device.is_some()
                    && !s.unsecured
                    && matches!(
                        s.payment.unanswered(),
                        Some((_, PaymentRequest::Authorise { .. }))
                    )
            })
            .map(|s| (s.entered_at, s.id.clone()))
            .collect();
        at_the_gate.sort();
        for (at, session) in at_the_gate {
            match self.room_unsecured(&why) {
                Ok(()) => self.admit_unsecured(session, at, out),
                Err(reason) => self.refuse(session, at, reason, out),
            }
        }
    }

    /// Sends somebody away who was admitted but for the hold.
    fn refuse(&mut self, session: SessionId, at: Timestamp, reason: String, out: &mut Vec<Output>) {
        self.unbound.remove(&session);
        self.decide(Decision::EntryRefused { at, reason }, out);
        self.decide(Decision::SessionExited { session, at }, out);
        self.advance(out);
    }

    fn is_open_question(&self, session: &SessionId, key: &IdempotencyKey) -> bool {
        let session = self.state.sessions.get(session);
        let open = session.and_then(|session| session.payment.unanswered());
        open.is_some_and(|(asked, _)| asked == key)
    }

    /// The gateway answered: the gate opens, or the visit ends with its receipt.
    pub(super) fn paid(
        &mut self,
        session: &SessionId,
        key: IdempotencyKey,
        outcome: PaymentOutcome,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        // An answer that comes twice, or to a question of before a crash, changes nothing.
        if !self.is_open_question(session, &key) {
            return;
        }
        if self.state.provider_away.is_some() {
            self.decide(Decision::ProviderBack { at: now }, out);
        }
        let Some(current) = self.state.sessions.get(session) else {
            return;
        };
        let at = current.exited_at.unwrap_or(current.entered_at);
        let decided = Decision::PaymentDecided {
            session: session.clone(),
            at,
            key,
            outcome,
        };
        self.decide(decided, out);
        let Some(current) = self.state.sessions.get(session) else {
            return;
        };
        let at_the_gate = current.device.is_some() && !current.unsecured;
        match (&current.payment, current.state) {
            (_, SessionState::Settled) => self.pay(session, out),
            (PaymentState::Authorised(_), SessionState::Inside) if at_the_gate => {
                out.push(Output::Effect(Effect::OpenGate {
                    session: session.clone(),
                }));
            }
            (PaymentState::Refused { reason }, SessionState::Inside) if at_the_gate => {
                let reason = format!("the hold was refused: {reason}");
                self.refuse(session.clone(), current.entered_at, reason, out);
            }
            (
                _,
                SessionState::Inside
                | SessionState::Leaving
                | SessionState::Draft
                | SessionState::Closed,
            ) => {}
        }
    }

    /// What a session's cart costs as it is.
    fn total(&self, session: &Session) -> Money {
        let lines = self.lines_to_pay(session);
        let minor = lines.iter().map(|line| line.amount.minor).sum();
        Money::new(minor, self.definition.currency)
    }

    /// Takes the next step of the payment of a settled session: capture, void, a charge for the rest, or the receipt.
    pub(super) fn pay(&mut self, id: &SessionId, out: &mut Vec<Output>) {
        let Some(session) = self.state.sessions.get(id) else {
            return;
        };
        let at = session.exited_at.unwrap_or(session.entered_at);
        match self.next_step(session) {
            Step::Wait => {}
            Step::Ask(what, request) => {
                if let PaymentRequest::Void { .. } = &request {
                    self.asked_to_void.insert(id.clone());
                }
                self.ask(id.clone(), what, at, request, out);
            }
            Step::End(paid) => {
                let lines = self.lines_to_pay(session);
                let receipt = self.receipt(session, lines, paid);
                self.hand_out(receipt, out);
            }
        }
    }

    fn next_step(&self, session: &Session) -> Step {
        let total = self.total(session);
        // Where the store holds nothing at entry, there was nothing to capture.
        let nothing_taken = match total.minor {
            0 => Paid::Voided,
            _ => Paid::Owed,
        };
        let left = Money::new(
            total.minor.saturating_sub(session.payment.taken_minor()),
            total.currency,
        );
        let charge = || {
            let payer = session.device.clone();
            Step::Ask(
                "charge",
                PaymentRequest::Charge {
                    amount: left,
                    payer,
                },
            )
        };
        let agreed = session.second_charge && left.minor > 0;
        match &session.payment {
            PaymentState::Asked { .. } => Step::Wait,
            // The gateway would not release the hold: it lapses by itself.
            PaymentState::Authorised(_) if self.asked_to_void.contains(&session.id) => {
                Step::End(nothing_taken)
            }
            PaymentState::Authorised(hold) => {
                let authorisation = hold.id.clone();
                let amount = Money::new(total.minor.min(hold.amount.minor), total.currency);
                match amount.minor {
                    1.. => Step::Ask(
                        "capture",
                        PaymentRequest::Capture {
                            authorisation,
                            amount,
                        },
                    ),
                    i64::MIN..=0 => Step::Ask("void", PaymentRequest::Void { authorisation }),
                }
            }
            PaymentState::Captured(_) if left.minor <= 0 => Step::End(Paid::Captured),
            PaymentState::Captured(captured)
                if agreed && captured.may_be_charged_again().is_ok() =>
            {
                charge()
            }
            PaymentState::Lapsed { .. } | PaymentState::Refused { .. } if agreed => charge(),
            PaymentState::Voided | PaymentState::None | PaymentState::Refused { .. } => {
                Step::End(nothing_taken)
            }
            PaymentState::Captured(_) | PaymentState::Lapsed { .. } | PaymentState::Owed { .. } => {
                Step::End(Paid::Owed)
            }
        }
    }

    fn receipt(&self, session: &Session, lines: Vec<ReceiptLine>, paid: Paid) -> Receipt {
        let total = self.total(session);
        let tax = Money::new(lines.iter().map(|l| l.tax.minor).sum(), total.currency);
        let taken_minor = session.payment.taken_minor();
        let owed = match paid {
            Paid::Captured | Paid::Voided => None,
            Paid::Owed => Some(Money::new(total.minor - taken_minor, total.currency)),
        };
        Receipt {
            session: session.id.clone(),
            track: session.track.clone(),
            entered_at: session.entered_at,
            exited_at: session.exited_at.unwrap_or(session.entered_at),
            lines,
            total,
            tax,
            paid,
            owed,
        }
    }

    fn hand_out(&mut self, receipt: Receipt, out: &mut Vec<Output>) {
        self.asked_to_void.remove(&receipt.session);
        if let Some(track) = &receipt.track {
            self.visits.remove(track);
        }
        let issued = Decision::ReceiptIssued {
            receipt: receipt.clone(),
        };
        self.decide(issued, out);
        out.push(Output::Effect(Effect::Receipt(receipt)));
    }

    /// Gives an amount back, of the first charge that has as much left.
    pub(super) fn refund(
        &mut self,
        id: &SessionId,
        by: String,
        amount: Money,
        out: &mut Vec<Output>,
    ) {
        let Ok((captured, charge)) = self.refundable(id, amount) else {
            return;
        };
        let request = PaymentRequest::Refund {
            authorisation: charge.id.clone(),
            amount,
            by: Some(by),
        };
        // Each refund is one of its own, however equal to another.
        let what = format!("refund-{}", captured.refunds_asked + 1);
        self.ask(id.clone(), &what, self.state.frontier, request, out);
    }

    /// Asks the gateway, under a key that names the session and what is asked.
    pub(super) fn ask(
        &mut self,
        session: SessionId,
        what: &str,
        at: Timestamp,
        request: PaymentRequest,
        out: &mut Vec<Output>,
    ) {
        let key = IdempotencyKey::from(format!("{}/{session}/{what}", self.definition.id));
        let asked = Decision::PaymentRequested {
            session: session.clone(),
            at,
            key: key.clone(),
            request: request.clone(),
        };
        self.decide(asked, out);
        out.push(Output::Effect(Effect::Pay {
            session,
            key,
            request,
        }));
    }
}
