//! What ties shoppers to their visits: their phones, and the receipts that they can read again.

use rusqlite::{OptionalExtension, params};

use super::{AccountId, Office, OfficeError};
use crate::checkout::receipt::Receipt;
use crate::checkout::session::SessionId;
use crate::observation::DeviceId;
use crate::units::Timestamp;

/// Phones that an account can register; a further one takes the place of the oldest.
const PHONES_MAX: usize = 4;

/// A phone that an account has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    pub device: DeviceId,
    pub made_at: Timestamp,
}

impl Phone {
    /// What the names of registered phones begin with.
    pub const PREFIX: &str = "p-";

    /// Whether its owner has registered it, and not the store.
    pub fn is_registered(&self) -> bool {
        self.device.as_str().starts_with(Phone::PREFIX)
    }
}

/// A visit that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    pub session: SessionId,
    pub receipt: Receipt,
}

impl Office {
    /// Writes a phone down as an account's. Those that it takes the place of are not the account's any more.
    ///
    /// # Errors
    /// Those of the file.
    pub fn add_phone(
        &self,
        id: AccountId,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Vec<DeviceId>, OfficeError> {
        let before = self.phones(id)?.into_iter();
        let registered = before.filter(Phone::is_registered);
        let replaced: Vec<DeviceId> = registered
            .skip(PHONES_MAX - 1)
            .map(|phone| phone.device)
            .collect();
        for old in &replaced {
            self.remove_phone(id, old)?;
        }
        self.lock()
            .execute(
                "INSERT INTO phone (device, account, made_us) VALUES (?1, ?2, ?3)
                 ON CONFLICT (device) DO UPDATE SET account = ?2",
                params![device.as_str(), id.0, now.0],
            )
            .map_err(|source| self.error("adding a phone", source))?;
        Ok(replaced)
    }

    /// The phones of an account, the newest first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn phones(&self, id: AccountId) -> Result<Vec<Phone>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading phones", source);
        let mut statement = connection
            .prepare_cached(
                "SELECT device, made_us FROM phone WHERE account = ?1 ORDER BY made_us DESC",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map([id.0], |row| {
                Ok(Phone {
                    device: DeviceId::from(row.get::<_, String>(0)?),
                    made_at: Timestamp(row.get(1)?),
                })
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Forgets a phone; false if the account has no such phone.
    ///
    /// # Errors
    /// Those of the file.
    pub fn remove_phone(&self, id: AccountId, device: &DeviceId) -> Result<bool, OfficeError> {
        self.lock()
            .execute(
                "DELETE FROM phone WHERE account = ?1 AND device = ?2",
                params![id.0, device.as_str()],
            )
            .map(|rows| rows > 0)
            .map_err(|source| self.error("removing a phone", source))
    }

    /// Keeps a receipt for whose phone opened the gate, if anybody's did.
    ///
    /// # Errors
    /// Those of the file.
    pub fn keep_receipt(&self, device: &DeviceId, receipt: &Receipt) -> Result<(), OfficeError> {
        let text = serde_json::to_string(receipt).unwrap_or_default();
        self.lock()
            .execute(
                "INSERT OR REPLACE INTO visit (session, account, exit_us, receipt)
                 SELECT ?1, account, ?2, ?3 FROM phone WHERE device = ?4",
                params![
                    receipt.session.as_str(),
                    receipt.exited_at.0,
                    text,
                    device.as_str()
                ],
            )
            .map(drop)
            .map_err(|source| self.error("keeping a receipt", source))
    }

    /// The visits of an account, the last first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn visits(&self, id: AccountId) -> Result<Vec<Visit>, OfficeError> {
        let connection = self.lock();
        let failed = |source| self.error("reading visits", source);
        let mut statement = connection
            .prepare_cached(
                "SELECT receipt FROM visit WHERE account = ?1 ORDER BY exit_us DESC LIMIT 1000",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map([id.0], |row| row.get::<_, String>(0))
            .map_err(failed)?;
        let mut visits = Vec::new();
        for text in rows {
            // Written by us; what a later version wrote otherwise is not shown.
            if let Ok(receipt) = serde_json::from_str::<Receipt>(&text.map_err(failed)?) {
                let session = receipt.session.clone();
                visits.push(Visit { session, receipt });
            }
        }
        Ok(visits)
    }

    /// A visit, if it is that account's.
    ///
    /// # Errors
    /// Those of the file.
    pub fn visit(&self, id: AccountId, session: &SessionId) -> Result<Option<Visit>, OfficeError> {
        let text: Option<String> = self
            .lock()
            .query_row(
                "SELECT receipt FROM visit WHERE account = ?1 AND session = ?2",
                params![id.0, session.as_str()],
                |row| row.get(0),
            )
            .optional()
            .map_err(|source| self.error("reading a visit", source))?;
        Ok(text
            .and_then(|text| serde_json::from_str::<Receipt>(&text).ok())
            .map(|receipt| Visit {
                session: session.clone(),
                receipt,
            }))
    }
}
