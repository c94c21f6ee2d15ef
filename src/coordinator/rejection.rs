//! The store's "no" to what a person asks of it: nothing changes, and they are told why.

use super::{Coordinator, Input};
use crate::checkout::decision::ReviewId;
use crate::checkout::payment::{Captured, Charge, PaymentState};
use crate::checkout::session::{Session, SessionId};
use crate::observation::Item;
use crate::store::ProductId;
use crate::units::Money;

/// Units of one product in a verdict, at most: more is a slip of the keyboard.
const VERDICT_QUANTITY_MAX: u32 = 1_000;

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the store remembers no visit {0}: it was never here, or left more than a day ago")]
    NoVisit(SessionId),
    #[error(
        "visit {session} is {payment}; only what was captured, and has no question open, can be given back"
    )]
    NotCaptured {
        session: SessionId,
        payment: &'static str,
    },
    #[error("visit {session} has no single charge with {asked} left; the largest has {left}")]
    TooMuch {
        session: SessionId,
        asked: Money,
        left: Money,
    },
    #[error("there is no open review {0}: it was decided, or its deadline has passed")]
    NoReview(ReviewId),
    #[error("visit {0} is settled, so no verdict can change its cart; give money back instead")]
    Settled(SessionId),
    #[error("the catalogue has no product {0}")]
    NoProduct(ProductId),
    #[error("{0} units of one product are no verdict; there are 1 to {VERDICT_QUANTITY_MAX}")]
    Quantity(u32),
}

impl Coordinator {
    /// Why an input would change nothing, if it is one that a person may have got wrong.
    pub fn rejects(&self, input: &Input) -> Option<Rejection> {
        if let Input::Refund {
            session, amount, ..
        } = input
        {
            return self.refundable(session, *amount).err();
        }
        if let Input::Verdict {
            review,
            session,
            items,
            ..
        } = input
        {
            return self.admissible(review, session.as_ref(), items).err();
        }
        None
    }

    /// The charge that an amount can be given back of, and the payment that it belongs to.
    pub(super) fn refundable(
        &self,
        id: &SessionId,
        amount: Money,
    ) -> Result<(&Captured, &Charge), Rejection> {
        let session = self.state.sessions.get(id);
        let session = session.ok_or_else(|| Rejection::NoVisit(id.clone()))?;
        let PaymentState::Captured(captured) = &session.payment else {
            return Err(Rejection::NotCaptured {
                session: id.clone(),
                payment: session.payment.name(),
            });
        };
        let enough = |left: Money| {
            left.currency == amount.currency && (1..=left.minor).contains(&amount.minor)
        };
        let charge = captured.charges.iter().find(|c| enough(c.left()));
        let largest = (captured.charges.iter().map(Charge::left)).max_by_key(|left| left.minor);
        let charge = charge.ok_or_else(|| Rejection::TooMuch {
            session: id.clone(),
            asked: amount,
            left: largest.unwrap_or(Money::new(0, amount.currency)),
        })?;
        Ok((captured, charge))
    }

    /// What a verdict on a review says, as far as it can be said of it.
    pub(super) fn admissible(
        &self,
        review: &ReviewId,
        session: Option<&SessionId>,
        items: &[Item],
    ) -> Result<Vec<Item>, Rejection> {
        if !self.state.reviews.contains_key(review) {
            return Err(Rejection::NoReview(review.clone()));
        }
        if let Some(id) = session {
            let visit = self.state.sessions.get(id);
            let visit = visit.ok_or_else(|| Rejection::NoVisit(id.clone()))?;
            if !Session::is_open(visit) {
                return Err(Rejection::Settled(id.clone()));
            }
        }
        let known = |item: &Item| {
            let product = self.definition.catalogue.get(item.product.as_str());
            let product = product.ok_or_else(|| Rejection::NoProduct(item.product.clone()))?;
            match item.quantity {
                quantity @ 1..=VERDICT_QUANTITY_MAX => Ok(Item {
                    product: product.id.clone(),
                    quantity,
                }),
                quantity => Err(Rejection::Quantity(quantity)),
            }
        };
        items.iter().map(known).collect()
    }
}
