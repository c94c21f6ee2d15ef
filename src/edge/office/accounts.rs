//! Accounts: a name, what its owner does here, and a password that only its owner knows.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use rusqlite::{ErrorCode, OptionalExtension, Row, params};

use super::{Office, OfficeError};
use crate::units::Timestamp;

/// Letters of a name.
pub const NAME_CHARS_MAX: usize = 64;
/// Shorter passwords are guessed.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// Longer ones only cost time.
pub const PASSWORD_CHARS_MAX: usize = 200;

/// Which account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountId(pub i64);

/// What an account's owner does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Runs the store: verdicts, refunds, accounts, the emergency button.
    Operator,
    /// Sees to the shelves, and settles doubtful picks.
    Staff,
    /// Looks at everything and changes nothing.
    Tester,
    /// Buys here.
    Shopper,
}

impl Part {
    pub const ALL: [Part; 4] = [Part::Operator, Part::Staff, Part::Tester, Part::Shopper];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Part::Operator => "operator",
            Part::Staff => "staff",
            Part::Tester => "tester",
            Part::Shopper => "shopper",
        }
    }

    /// The part that a word stands for.
    pub fn of(name: &str) -> Option<Self> {
        Part::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// Somebody with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub part: Part,
    pub made_at: Timestamp,
}

pub(super) const COLUMNS: &str = "account.id, account.name, account.part, account.made_us";

pub(super) fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let part: String = row.get(2)?;
    Ok(Account {
        id: AccountId(row.get(0)?),
        name: row.get(1)?,
        // The table holds no other words than these; were it otherwise, the least is allowed.
        part: Part::of(&part).unwrap_or(Part::Shopper),
        made_at: Timestamp(row.get(3)?),
    })
}

impl Office {
    /// Makes an account. Hashing the password takes some tenths of a second of a Pi.
    ///
    /// # Errors
    /// The name or the password will not do, or the name is taken.
    pub fn add_account(
        &self,
        name: &str,
        part: Part,
        password: &str,
        now: Timestamp,
    ) -> Result<Account, OfficeError> {
        let name = name.trim();
        let sayable = |c: char| c.is_alphanumeric() || " ._-@+".contains(c);
        if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || !name.chars().all(sayable) {
            return Err(OfficeError::Name);
        }
        let hash = hash(password)?;
        let connection = self.lock();
        let made = connection.execute(
            "INSERT INTO account (name, part, password, made_us) VALUES (?1, ?2, ?3, ?4)",
            params![name, part.name(), hash, now.0],
        );
        match made {
            Ok(_) => Ok(Account {
                id: AccountId(connection.last_insert_rowid()),
                name: name.to_owned(),
                part,
                made_at: now,
            }),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(OfficeError::NameTaken(name.to_owned()))
            }
            Err(source) => Err(self.error("adding an account", source)),
        }
    }

    /// The account of that name, if that is its password. One that is not there takes as long to refuse.
    ///
    /// # Errors
    /// Those of the file.
    pub fn check_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Option<Account>, OfficeError> {
        // Hashed without the lock: others need not wait.
        let found = self
            .lock()
            .query_row(
                &format!("SELECT {COLUMNS}, account.password FROM account WHERE name = ?1"),
                [name.trim()],
                |row| Ok((account(row)?, row.get::<_, String>(4)?)),
            )
            .optional()
            .map_err(|source| self.error("looking for an account", source))?;
        static NOBODYS: LazyLock<String> =
            LazyLock::new(|| hash("nobody's password").unwrap_or_default());
        let kept = found.as_ref().map_or(NOBODYS.as_str(), |(_, kept)| kept);
        let right = password.chars().count() <= PASSWORD_CHARS_MAX
            && PasswordHash::new(kept).is_ok_and(|kept| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &kept)
                    .is_ok()
            });
        Ok(found.map(|(account, _)| account).filter(|_| right))
    }

    /// Gives an account another password, and logs it out everywhere.
    ///
    /// # Errors
    /// The password will not do.
    pub fn set_password(&self, id: AccountId, password: &str) -> Result<(), OfficeError> {
        let hash = hash(password)?;
        let connection = self.lock();
        connection
            .execute(
                "UPDATE account SET password = ?2 WHERE id = ?1",
                params![id.0, hash],
            )
            .and_then(|_| connection.execute("DELETE FROM login WHERE account = ?1", [id.0]))
            .map(drop)
            .map_err(|source| self.error("changing a password", source))
    }

    /// Deletes an account with everything that ties it to its visits.
    ///
    /// # Errors
    /// It is the last operator's.
    pub fn erase(&self, id: AccountId) -> Result<(), OfficeError> {
        let mut connection = self.lock();
        let failed = |source| self.error("erasing an account", source);
        let transaction = connection.transaction().map_err(failed)?;
        let others: i64 = transaction
            .query_row(
                "SELECT count(*) FROM account WHERE part = 'operator' AND id <> ?1",
                [id.0],
                |row| row.get(0),
            )
            .map_err(failed)?;
        let part: Option<String> = transaction
            .query_row("SELECT part FROM account WHERE id = ?1", [id.0], |row| {
                row.get(0)
            })
            .optional()
            .map_err(failed)?;
        if part.as_deref() == Some(Part::Operator.name()) && others == 0 {
            return Err(OfficeError::LastOperator);
        }
        // What was done stays; who did it is a number from now on.
        transaction
            .execute(
                "UPDATE note SET who = 'account ' || ?1
                 WHERE who = (SELECT name FROM account WHERE id = ?1) COLLATE NOCASE",
                [id.0],
            )
            .and_then(|_| transaction.execute("DELETE FROM account WHERE id = ?1", [id.0]))
            .and_then(|_| transaction.commit())
            .map_err(failed)
    }

    /// Everybody, by part and name.
    ///
    /// # Errors
    /// Those of the file.
    pub fn accounts(&self) -> Result<Vec<Account>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading the accounts", source);
        let mut statement = connection
            .prepare(&format!(
                "SELECT {COLUMNS} FROM account ORDER BY part, name"
            ))
            .map_err(failed)?;
        let rows = statement.query_map([], account).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Whether anybody can run the store.
    ///
    /// # Errors
    /// Those of the file.
    pub fn has_operator(&self) -> Result<bool, OfficeError> {
        self.lock()
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM account WHERE part = 'operator')",
                [],
                |row| row.get(0),
            )
            .map_err(|source| self.error("looking for an operator", source))
    }
}

/// Argon2id with 19 MiB, two passes and one lane, as OWASP's password storage cheat sheet has it.
fn hash(password: &str) -> Result<String, OfficeError> {
    if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&password.chars().count()) {
        return Err(OfficeError::Password);
    }
    let hashed = Argon2::default().hash_password(password.as_bytes());
    hashed
        .map(|hash| hash.to_string())
        .map_err(|error| OfficeError::Hash(error.to_string()))
}
