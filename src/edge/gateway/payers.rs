//! Whose card a phone stands for: a file of the owner's, one entry a phone.
//!
//! It lies outside the journal, which knows people only as sessions and phones: a shopper who wants to be forgotten is
//! struck from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::observation::DeviceId;

/// Bytes of the file, at most.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Every phone whose owner can pay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payers {
    payers: BTreeMap<DeviceId, Payer>,
}

/// A customer of the store's at Stripe, with a card that may be charged while they are not at the screen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payer {
    /// `cus_...`
    pub customer: String,
    /// `pm_...`: a payment method of the customer's, set up for off-session use.
    pub payment_method: String,
    /// The shopper has agreed to one further charge where the hold does not cover what they took.
    #[serde(default)]
    pub second_charge: bool,
}

/// A file of payers that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PayersError {
    #[error("the payers cannot be read from {}: {cause}", path.display())]
    Unreadable {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{} has more than {FILE_BYTES_MAX} bytes: is it the right file?", path.display())]
    TooLarge { path: PathBuf },
    #[error("{}: {why}", path.display())]
    Malformed { path: PathBuf, why: String },
}

impl Payers {
    /// Reads `[payer.<phone>]` tables.
    pub fn read(path: &Path) -> Result<Self, PayersError> {
        let unreadable = |cause| PayersError::Unreadable {
            path: path.to_owned(),
            cause,
        };
        if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(PayersError::TooLarge {
                path: path.to_owned(),
            });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Payers::parse(&text).map_err(|why| PayersError::Malformed {
            path: path.to_owned(),
            why,
        })
    }

    /// The same of a text; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default)]
            payer: BTreeMap<String, Payer>,
        }
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut payers = BTreeMap::new();
        for (device, payer) in file.payer {
            for (field, id, prefixes) in [
                ("customer", &payer.customer, &["cus_"][..]),
                (
                    "payment_method",
                    &payer.payment_method,
                    &["pm_", "card_", "src_"],
                ),
            ] {
                let rest = prefixes.iter().find_map(|prefix| id.strip_prefix(prefix));
                let is_id = |rest: &str| {
                    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                };
                if !rest.is_some_and(is_id) {
                    let begins = prefixes.join("` or `");
                    return Err(format!(
                        "`{field}` of phone {device} is `{id}`, and Stripe's begin with `{begins}`"
                    ));
                }
            }
            payers.insert(DeviceId::from(device), payer);
        }
        Ok(Payers { payers })
    }

    /// Who pays for whoever came in with this phone.
    pub fn of(&self, device: &DeviceId) -> Option<&Payer> {
        self.payers.get(device)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&DeviceId, &Payer)> {
        self.payers.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_or_says_what_is_wrong() {
        let good = "[payer.phone-1]\ncustomer = 'cus_1'\npayment_method = 'pm_1'\nsecond_charge = true\n\
                    [payer.phone-2]\ncustomer = 'cus_2'\npayment_method = 'card_2'\n";
        let payers = Payers::parse(good).unwrap();
        let agreed: Vec<bool> = payers
            .iter()
            .map(|(_, payer)| payer.second_charge)
            .collect();
        assert_eq!(agreed, [true, false]);
        assert_eq!(payers.of(&"phone-1".into()).unwrap().customer, "cus_1");
        assert_eq!(payers.of(&"phone-3".into()), None);
        assert_eq!(Payers::parse("").unwrap(), Payers::default());
        for (text, said) in [
            (
                "[payer.p]\ncustomer = 'cus_1'\n",
                "missing field `payment_method`",
            ),
            (
                "[payer.p]\ncustomer = 'c'\npayment_method = 'pm_1'",
                "`customer` of phone p is `c`, and Stripe's begin with `cus_`",
            ),
            (
                "[payer.p]\ncustomer = 'cus_1'\npayment_method = 'pm_'",
                "`pm_` or `card_` or `src_`",
            ),
            (
                "[payer.p]\ncustomer = 'cus_1'\npayment_method = 'pm_1'\ncard = '4242'",
                "unknown field `card`",
            ),
        ] {
            let why = Payers::parse(text).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }
}
