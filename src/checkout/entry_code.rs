//! Entry codes: what a shopper's phone shows at the gate.
//!
//! `STROLL1.<device id>.<time step>.<MAC>`: the phone proves that it holds the key it was enrolled with, for this
//! store and these 30 seconds, and the store checks that without its uplink. The MAC is HMAC-SHA256 (RFC 2104),
//! cut to its first 16 bytes and written in base64url without padding, so that the whole fits a small QR code.
//!
//! This module decides whether a code is *right*. Whether it was already used, and whether the device may still
//! enter, the coordinator's state knows.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::observation::DeviceId;
use crate::units::Timestamp;

/// Length of a time step, seconds.
pub const STEP_S: u64 = 30;
/// Longest device id, bytes.
pub const DEVICE_ID_BYTES_MAX: usize = 64;

const VERSION: &str = "STROLL1";
const MAC_BYTES: usize = 16;
/// Longest code that is looked at: version, device, twenty digits, MAC and three dots.
const CODE_BYTES_MAX: usize = VERSION.len() + DEVICE_ID_BYTES_MAX + 20 + 22 + 3;

/// A code as it was shown, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryCode {
    /// Whose phone it says it is.
    pub device: DeviceId,
    /// Number of the 30 s step since the Unix epoch. A code is accepted once: (device, step) names it.
    pub step: u64,
    mac: [u8; MAC_BYTES],
}

/// Why a code does not open the gate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryCodeError {
    /// It isn't one of our codes.
    #[error(
        "this is no entry code ({what}): show the code of the store's app, STROLL1.<device>.<step>.<MAC>"
    )]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// It is a code of another version of this scheme.
    #[error("this entry code is of version `{found}`, this store reads {VERSION}: update the app")]
    WrongVersion {
        /// The version that it names; at most 16 characters of it.
        found: String,
    },
    /// Its time is over.
    #[error(
        "this entry code of device {device} ended {late_s} s ago: show a fresh one, and check the phone's clock"
    )]
    Expired {
        device: DeviceId,
        /// Seconds since it was last good.
        late_s: u64,
    },
    /// Its time has not come.
    #[error(
        "this entry code of device {device} is from {early_s} s in the future: check the phone's clock"
    )]
    Future {
        device: DeviceId,
        /// Seconds until it would be good.
        early_s: u64,
    },
    /// The key, the store or the text is not what it says.
    #[error(
        "this entry code was not made with the key of device {device} for this store: enrol the phone again"
    )]
    WrongMac { device: DeviceId },
}

impl EntryCode {
    /// The code that `device` shows in `store` at `at`; a time before 1970 counts as the first step.
    ///
    /// # Errors
    /// [`EntryCodeError::Malformed`] if the device id cannot stand in a code.
    pub fn mint(
        store: &str,
        device: &DeviceId,
        key: &[u8],
        at: Timestamp,
    ) -> Result<Self, EntryCodeError> {
        check_device(device.as_str())?;
        let step = step_at(at);
        let full = authenticator(store, device, step, key)
            .finalize()
            .into_bytes();
        let mut mac = [0; MAC_BYTES];
        mac.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        Ok(EntryCode {
            device: device.clone(),
            step,
            mac,
        })
    }

    /// Reads a code as it was shown.
    ///
    /// # Errors
    /// [`EntryCodeError::Malformed`] or [`EntryCodeError::WrongVersion`]. There is one spelling of each code: a
    /// step with a sign or leading zeros, or a MAC with padding, is refused.
    pub fn parse(text: &str) -> Result<Self, EntryCodeError> {
        let malformed = |what| EntryCodeError::Malformed { what };
        if text.len() > CODE_BYTES_MAX {
            return Err(malformed("it is too long"));
        }
        let mut parts = text.split('.');
        let version = parts.next().unwrap_or_default();
        if version != VERSION {
            return Err(match version.strip_prefix("STROLL") {
                Some(number)
                    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
                {
                    EntryCodeError::WrongVersion {
                        found: version.chars().take(16).collect(),
                    }
                }
                Some(_) | None => malformed("it does not begin with STROLL1"),
            });
        }
        let (Some(device), Some(step), Some(mac), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("it does not have four parts"));
        };
        check_device(device)?;
        let number: u64 = (step.parse()).map_err(|_| malformed("its step is no number"))?;
        if number.to_string() != step {
            return Err(malformed("its step is not in its normal form"));
        }
        // The engine refuses stray bits in the last character, so one MAC has one spelling.
        let mac = (URL_SAFE_NO_PAD.decode(mac).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| malformed("its MAC is not 16 bytes of base64url"))?;
        Ok(EntryCode {
            device: DeviceId::from(device),
            step: number,
            mac,
        })
    }

    /// Checks the code against the device's key for `store` at `now`: the current step, the one before and the
    /// one after are good. The MAC is compared in constant time, and first, so that only the holder of the key
    /// learns how wrong the clocks are.
    ///
    /// # Errors
    /// [`EntryCodeError::WrongMac`], [`EntryCodeError::Expired`] or [`EntryCodeError::Future`].
    pub fn verify(&self, store: &str, key: &[u8], now: Timestamp) -> Result<(), EntryCodeError> {
        authenticator(store, &self.device, self.step, key)
            .verify_truncated_left(&self.mac)
            .map_err(|_| EntryCodeError::WrongMac {
                device: self.device.clone(),
            })?;
        let current = step_at(now);
        let now_s = now.0.max(0).unsigned_abs() / 1_000_000;
        if self.step.saturating_add(1) < current {
            // Good until the end of the step after its own.
            let end_s = self.step.saturating_add(2).saturating_mul(STEP_S);
            return Err(EntryCodeError::Expired {
                device: self.device.clone(),
                late_s: now_s.saturating_sub(end_s),
            });
        }
        if self.step > current + 1 {
            // Good from the beginning of the step before its own.
            let begin_s = (self.step - 1).saturating_mul(STEP_S);
            return Err(EntryCodeError::Future {
                device: self.device.clone(),
                early_s: begin_s.saturating_sub(now_s),
            });
        }
        Ok(())
    }
}

impl fmt::Display for EntryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mac = URL_SAFE_NO_PAD.encode(self.mac);
        write!(f, "{VERSION}.{}.{}.{mac}", self.device, self.step)
    }
}

impl FromStr for EntryCode {
    type Err = EntryCodeError;
    fn from_str(text: &str) -> Result<Self, EntryCodeError> {
        EntryCode::parse(text)
    }
}

/// The 30 s step that a moment lies in.
fn step_at(at: Timestamp) -> u64 {
    at.0.max(0).unsigned_abs() / (STEP_S * 1_000_000)
}

fn check_device(device: &str) -> Result<(), EntryCodeError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if (1..=DEVICE_ID_BYTES_MAX).contains(&device.len()) && device.bytes().all(allowed) {
        Ok(())
    } else {
        Err(EntryCodeError::Malformed {
            what: "a device id is 1 to 64 letters, digits, - and _",
        })
    }
}

/// The MAC over version, store, device and step. Each text comes after its length, so that no two different
/// triples give the same bytes.
fn authenticator(store: &str, device: &DeviceId, step: u64, key: &[u8]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key)
        .expect("HMAC is defined for a key of any length");
    for text in [VERSION, store, device.as_str()] {
        mac.update(&(text.len() as u64).to_be_bytes());
        mac.update(text.as_bytes());
    }
    mac.update(&step.to_be_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn mint(device: &str, seconds: i64) -> EntryCode {
        EntryCode::mint("nanostore", &device.into(), KEY, at(seconds)).unwrap()
    }

    #[test]
    fn the_format_is_fixed() {
        // Computed independently: HMAC-SHA256 of the length-prefixed fields, in Python.
        assert_eq!(
            mint("phone-1", 1_587_532_000).to_string(),
            "STROLL1.phone-1.52917733.u9VLC_ZKoRlBQHGec0PNQA"
        );
    }

    #[test]
    fn good_for_its_own_step_and_one_on_each_side() {
        let code = mint("phone-1", 3_000); // step 100: 3000 s to 3030 s
        let device = DeviceId::from("phone-1");
        for (now, expected) in [
            (2_970, Ok(())),
            (3_059, Ok(())),
            (
                2_969,
                Err(EntryCodeError::Future {
                    device: device.clone(),
                    early_s: 1,
                }),
            ),
            (
                3_060,
                Err(EntryCodeError::Expired {
                    device: device.clone(),
                    late_s: 0,
                }),
            ),
            (3_100, Err(EntryCodeError::Expired { device, late_s: 40 })),
        ] {
            assert_eq!(code.verify("nanostore", KEY, at(now)), expected, "{now} s");
        }
    }

    #[test]
    fn what_is_no_code_is_refused_with_its_reason() {
        let good = mint("phone-1", 3_000).to_string();
        let mac = good.rsplit('.').next().unwrap();
        for (text, reason) in [
            (String::new(), "does not begin with STROLL1"),
            ("https://example.org".into(), "does not begin with STROLL1"),
            (
                "STROLL9.a.b.c".into(),
                "version `STROLL9`, this store reads STROLL1",
            ),
            ("STROLL1.phone-1.100".into(), "four parts"),
            (format!("{good}.more"), "four parts"),
            (format!("STROLL1..100.{mac}"), "a device id is"),
            (format!("STROLL1.téléphone.100.{mac}"), "a device id is"),
            (format!("STROLL1.phone-1.+100.{mac}"), "normal form"),
            (format!("STROLL1.phone-1.0100.{mac}"), "normal form"),
            (
                format!("STROLL1.phone-1.99999999999999999999999.{mac}"),
                "no number",
            ),
            (format!("STROLL1.phone-1.100.{mac}="), "base64url"),
            ("STROLL1.phone-1.100.AAAA".into(), "base64url"),
            (format!("STROLL1.{}.100.{mac}", "a".repeat(200)), "too long"),
        ] {
            let error = EntryCode::parse(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_fields_cannot_be_shifted_into_each_other() {
        let code = EntryCode::mint("store-a", &"b".into(), KEY, at(0)).unwrap();
        let shifted = EntryCode {
            device: "a-b".into(),
            ..code.clone()
        };
        assert!(code.verify("store-a", KEY, at(0)).is_ok());
        assert!(shifted.verify("store-", KEY, at(0)).is_err());
    }

    proptest! {
        #[test]
        fn a_minted_code_reads_back_and_opens(
            device in "[A-Za-z0-9_-]{1,64}", store in ".{0,20}", key in prop::collection::vec(any::<u8>(), 0..80),
            seconds in 0_i64..4_000_000_000, drift in -29_i64..=29,
        ) {
            let code = EntryCode::mint(&store, &device.as_str().into(), &key, at(seconds)).unwrap();
            let read = EntryCode::parse(&code.to_string()).unwrap();
            prop_assert_eq!(&read, &code);
            prop_assert_eq!(read.verify(&store, &key, at((seconds + drift).max(0))), Ok(()));
        }

        #[test]
        fn a_changed_character_does_not_open(position in 0_usize..100, to in "[A-Za-z0-9_.-]") {
            let good = mint("phone-1", 1_587_532_000).to_string();
            let position = position % good.len();
            let mut text = good.clone();
            text.replace_range(position..=position, &to);
            prop_assume!(text != good);
            let opens = EntryCode::parse(&text)
                .is_ok_and(|code| code.verify("nanostore", KEY, at(1_587_532_000)).is_ok());
            prop_assert!(!opens, "{}", text);
        }

        #[test]
        fn any_text_is_answered(text in ".{0,160}", now in any::<i64>(), step in any::<u64>()) {
            let _ = EntryCode::parse(&text);
            let code = EntryCode { device: "d".into(), step, mac: [0; MAC_BYTES] };
            prop_assert!(code.verify("s", KEY, Timestamp(now)).is_err());
        }
    }
}
