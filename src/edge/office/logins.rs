//! Logins: a random token in the browser, its hash here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::accounts::{self, COLUMNS};
use super::{Account, AccountId, Office, OfficeError};
use crate::units::Timestamp;

/// Logins of one account; beyond, the one that ends first is forgotten.
const LOGINS_MAX: i64 = 20;

/// What a browser proves with who it is: 32 random bytes in base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    /// It is a secret, and debug texts end in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// One that nobody has had.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn random() -> Result<Self, OfficeError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Token(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What a browser sent.
    pub fn sent(text: &str) -> Option<Self> {
        let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        (decoded.len() == 32).then(|| Token(text.to_owned()))
    }

    /// As the browser sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What a form of this login carries, so that no page from elsewhere can send it: it follows from the token and does
    /// not tell it.
    pub fn form_key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"stroll form ");
        hash.update(self.0.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        URL_SAFE_NO_PAD.encode(&digest[..18])
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl Office {
    /// Logs an account in for so long, seconds.
    ///
    /// # Errors
    /// Those of the file.
    pub fn log_in(&self, id: AccountId, now: Timestamp, for_s: f64) -> Result<Token, OfficeError> {
        let token = Token::random()?;
        let connection = self.lock();
        let failed = |source| self.error("logging in", source);
        connection
            .execute("DELETE FROM login WHERE until_us <= ?1", [now.0])
            .map_err(failed)?;
        connection
            .execute(
                "INSERT INTO login (token, account, until_us) VALUES (?1, ?2, ?3)",
                params![token.hash(), id.0, now.plus_seconds(for_s).0],
            )
            .map_err(failed)?;
        connection
            .execute(
                "DELETE FROM login WHERE account = ?1 AND token NOT IN
                    (SELECT token FROM login WHERE account = ?1 ORDER BY until_us DESC LIMIT ?2)",
                params![id.0, LOGINS_MAX],
            )
            .map_err(failed)?;
        Ok(token)
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// Those of the file.
    pub fn identify(&self, token: &Token, now: Timestamp) -> Result<Option<Account>, OfficeError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM login JOIN account ON account.id = login.account
                 WHERE token = ?1 AND until_us > ?2"
            ))
            .map_err(|source| self.error("reading a login", source))?;
        statement
            .query_row(params![token.hash(), now.0], accounts::account)
            .optional()
            .map_err(|source| self.error("reading a login", source))
    }

    /// Ends a login.
    ///
    /// # Errors
    /// Those of the file.
    pub fn log_out(&self, token: &Token) -> Result<(), OfficeError> {
        self.lock()
            .execute("DELETE FROM login WHERE token = ?1", params![token.hash()])
            .map(drop)
            .map_err(|source| self.error("logging out", source))
    }
}
