//! Amounts as Stripe counts them.

use crate::units::{Currency, Money};

/// How many of Stripe's units make one of our minor units, or why Stripe can't take the currency from us.
///
/// Both count minor units, with exceptions of Stripe's: it takes two currencies without decimals as if they had two,
/// it takes those with three decimals only in tens, and one with two decimals only in whole units.
/// Source: <https://docs.stripe.com/currencies#special-cases>.
pub fn units_per_minor(currency: Currency) -> Result<i64, String> {
    match (currency.as_str(), currency.decimals()) {
        ("ISK" | "UGX", _) => Ok(100),
        ("MGA", _) => Err("Stripe takes MGA in whole units only".to_owned()),
        (_, 3) => Err(format!(
            "Stripe takes {} in tens of its smallest unit only",
            currency.as_str()
        )),
        (_, _) => Ok(1),
    }
}

/// `money` as Stripe counts it.
pub fn to_stripe(money: Money) -> Result<i64, String> {
    let units = units_per_minor(money.currency)?;
    (money.minor.checked_mul(units)).ok_or_else(|| format!("{money} is more than Stripe can count"))
}

/// What Stripe counts as `amount`, if it is a whole number of our minor units.
pub fn from_stripe(amount: i64, currency: &str) -> Option<Money> {
    let currency: Currency = currency.to_ascii_uppercase().parse().ok()?;
    let units = units_per_minor(currency).ok()?;
    (amount % units == 0).then(|| Money::new(amount / units, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_without_decimals_are_not_multiplied_by_a_hundred_but_for_two() {
        for (minor, currency, stripe) in [
            (1_250, "EUR", Some(1_250)),
            (1_250, "JPY", Some(1_250)),
            (1_250, "ISK", Some(125_000)),
            (1_250, "UGX", Some(125_000)),
            (1_250, "KWD", None),
            (1_250, "MGA", None),
            (i64::MAX, "ISK", None),
        ] {
            let money = Money::new(minor, currency.parse().unwrap());
            assert_eq!(to_stripe(money).ok(), stripe, "{money}");
            if let Some(amount) = stripe {
                let lower = currency.to_ascii_lowercase();
                assert_eq!(from_stripe(amount, &lower), Some(money), "{money}");
            }
        }
        assert_eq!(from_stripe(125_050, "isk"), None);
        assert_eq!(from_stripe(1, "nothing"), None);
    }
}
