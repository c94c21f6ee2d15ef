//! Stripe's secret key: read once, shown to nobody.

use std::fmt;
use std::path::{Path, PathBuf};

use ureq::http::HeaderValue;

/// The environment variable that may hold the key.
pub const KEY_VARIABLE: &str = "STROLL_STRIPE_KEY";

/// Characters of a key, at most.
const CHARACTERS_MAX: usize = 500;

/// The secret key of a Stripe account. Nothing prints it: neither `Debug` nor any error shows more than its kind.
#[derive(Clone)]
pub struct SecretKey(String);

/// A secret key that is none. What was given is not in the message, for it may be a key after all.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the Stripe key in {from}: {why}; copy the secret key (`sk_...`) or a restricted one (`rk_...`) from Stripe's dashboard, alone on one line"
    )]
    NotAKey { from: String, why: &'static str },
    #[error("the Stripe key cannot be read from {}: {cause}", path.display())]
    Unreadable {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{} may be read by others on this machine: `chmod 600` it", path.display())]
    OpenToOthers { path: PathBuf },
}

impl SecretKey {
    /// Reads a key; `from` says where it is from.
    pub fn parse(text: &str, from: &str) -> Result<Self, KeyError> {
        let key = text.trim();
        let wrong = if key.is_empty() {
            Some("there is none")
        } else if key.starts_with("pk_") {
            Some("it is a publishable one, which moves no money")
        } else if !(key.starts_with("sk_") || key.starts_with("rk_")) {
            Some("it begins with neither `sk_` nor `rk_`")
        } else if key.len() > CHARACTERS_MAX
            || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            Some("it has characters that no key has")
        } else {
            None
        };
        match wrong {
            Some(why) => Err(KeyError::NotAKey {
                from: from.to_owned(),
                why,
            }),
            None => Ok(SecretKey(key.to_owned())),
        }
    }

    /// Reads the key from a file that only its owner may read.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        use std::os::unix::fs::PermissionsExt;
        let unreadable = |cause| KeyError::Unreadable {
            path: path.to_owned(),
            cause,
        };
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::OpenToOthers {
                path: path.to_owned(),
            });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        SecretKey::parse(&text, &path.display().to_string())
    }

    /// Whether it moves no real money.
    pub fn is_test(&self) -> bool {
        self.0.starts_with("sk_test_") || self.0.starts_with("rk_test_")
    }

    /// The value of the `Authorization` header, marked so that no `Debug` of a request shows it.
    pub(super) fn authorization(&self) -> HeaderValue {
        let bearer = format!("Bearer {}", self.0);
        // A key is letters, digits and `_`: every header takes it.
        let mut value =
            HeaderValue::from_str(&bearer).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.is_test() {
            true => "SecretKey(test)",
            false => "SecretKey(live)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let read = |text: &str, mode: u32| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            SecretKey::read(&path)
        };
        let key = read("sk_test_Secret123\n", 0o600).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(test)");
        assert_eq!(key.authorization(), "Bearer sk_test_Secret123");
        assert_eq!(format!("{:?}", key.authorization()), "Sensitive");
        assert!(!read("rk_live_Secret123", 0o400).unwrap().is_test());
        for (text, mode, said) in [
            ("sk_test_Secret123", 0o644, "may be read by others"),
            ("", 0o600, "there is none"),
            ("pk_test_Secret123", 0o600, "a publishable one"),
            ("Secret123", 0o600, "begins with neither"),
            (
                "sk_test_Secret123\nSecret123",
                0o600,
                "characters that no key has",
            ),
        ] {
            let error = read(text, mode).unwrap_err();
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains("Secret123"), "{shown}");
            }
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
