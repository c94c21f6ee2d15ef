//! Keys by which programs ask: each for some things only, kept as a hash, shown once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::{NAME_CHARS_MAX, Office, OfficeError};
use crate::units::Timestamp;

/// What a key's text begins with, so that it is known for one wherever it turns up.
const PREFIX: &str = "stroll_";
/// Keys that a store takes.
const KEYS_MAX: usize = 100;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    VisitsRead,
    ReceiptsRead,
    RefundsWrite,
    StockRead,
    StockWrite,
    NodesRead,
    ReviewsRead,
    ReviewsWrite,
    ReportsRead,
}

impl Scope {
    pub const ALL: [Scope; 9] = [
        Scope::VisitsRead,
        Scope::ReceiptsRead,
        Scope::RefundsWrite,
        Scope::StockRead,
        Scope::StockWrite,
        Scope::NodesRead,
        Scope::ReviewsRead,
        Scope::ReviewsWrite,
        Scope::ReportsRead,
    ];

    /// `visits:read`
    pub fn name(self) -> &'static str {
        match self {
            Scope::VisitsRead => "visits:read",
            Scope::ReceiptsRead => "receipts:read",
            Scope::RefundsWrite => "refunds:write",
            Scope::StockRead => "stock:read",
            Scope::StockWrite => "stock:write",
            Scope::NodesRead => "nodes:read",
            Scope::ReviewsRead => "reviews:read",
            Scope::ReviewsWrite => "reviews:write",
            Scope::ReportsRead => "reports:read",
        }
    }

    /// As people are told.
    pub fn words(self) -> &'static str {
        match self {
            Scope::VisitsRead => "see visits and carts",
            Scope::ReceiptsRead => "see receipts",
            Scope::RefundsWrite => "give money back",
            Scope::StockRead => "see stock",
            Scope::StockWrite => "count stock",
            Scope::NodesRead => "see nodes",
            Scope::ReviewsRead => "see what is doubtful",
            Scope::ReviewsWrite => "decide what is doubtful",
            Scope::ReportsRead => "see day-end reports",
        }
    }

    fn all_of(text: &str) -> Vec<Scope> {
        let of = |word: &str| Scope::ALL.into_iter().find(|scope| scope.name() == word);
        text.split(' ').filter_map(of).collect()
    }
}

/// Number of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub i64);

/// A key, without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub made_by: String,
    pub made_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, name, scopes, made_by, made_us, used_us";

fn api_key(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: KeyId(row.get(0)?),
        name: row.get(1)?,
        scopes: Scope::all_of(&row.get::<_, String>(2)?),
        made_by: row.get(3)?,
        made_at: Timestamp(row.get(4)?),
        used_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
    })
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

impl Office {
    /// Makes a key, and gives its text: nobody can ask for it again.
    ///
    /// # Errors
    /// It has no name or is for nothing; there are too many.
    pub fn make_key(
        &self,
        name: &str,
        scopes: &[Scope],
        by: &str,
        now: Timestamp,
    ) -> Result<String, OfficeError> {
        let name = name.trim();
        let chars = name.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&chars) || scopes.is_empty() {
            return Err(OfficeError::Key);
        }
        if self.keys()?.len() >= KEYS_MAX {
            return Err(OfficeError::TooMany);
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let words: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        self.lock()
            .execute(
                "INSERT INTO api_key (hash, name, scopes, made_by, made_us) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![hash(&text), name, words.join(" "), by, now.0],
            )
            .map_err(|source| self.error("making a key", source))?;
        Ok(text)
    }

    /// Every key, the newest first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn keys(&self) -> Result<Vec<ApiKey>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading keys", source);
        let mut statement = connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM api_key ORDER BY id DESC"))
            .map_err(failed)?;
        let rows = statement.query_map([], api_key).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// The key of that text, if it is one. Found by its hash: how long that takes tells nothing of another key.
    ///
    /// # Errors
    /// Those of the file.
    pub fn key_of(&self, text: &str) -> Result<Option<ApiKey>, OfficeError> {
        if !text.starts_with(PREFIX) {
            return Ok(None);
        }
        self.lock()
            .query_row(
                &format!("SELECT {COLUMNS} FROM api_key WHERE hash = ?1"),
                params![hash(text)],
                api_key,
            )
            .optional()
            .map_err(|source| self.error("looking for a key", source))
    }

    /// Notes that a key was used.
    ///
    /// # Errors
    /// Those of the file.
    pub fn key_used(&self, id: KeyId, now: Timestamp) -> Result<(), OfficeError> {
        self.lock()
            .execute(
                "UPDATE api_key SET used_us = ?2 WHERE id = ?1",
                params![id.0, now.0],
            )
            .map(drop)
            .map_err(|source| self.error("noting that a key was used", source))
    }

    /// Takes a key back; false if there is none of that number.
    ///
    /// # Errors
    /// Those of the file.
    pub fn revoke_key(&self, id: KeyId) -> Result<bool, OfficeError> {
        self.lock()
            .execute("DELETE FROM api_key WHERE id = ?1", [id.0])
            .map(|rows| rows > 0)
            .map_err(|source| self.error("revoking a key", source))
    }
}
