//! How often somebody may try a password.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::units::Timestamp;

/// Wrong passwords of one name that cost nothing.
const FREE: u32 = 5;
/// After that each costs twice the wait of the one before, up to this, seconds.
const WAIT_MAX_S: u64 = 300;
/// A name that nobody has tried for so long starts anew, seconds.
const FORGOTTEN_S: f64 = 3_600.0;
/// Names that are remembered; beyond, the one that was tried longest ago is forgotten.
const NAMES_MAX: usize = 1_000;
/// Tries of all names together in a minute: who guesses many names is slowed down, too.
const TRIES_A_MINUTE_MAX: u32 = 60;

/// The tries of late.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<Tried>);

#[derive(Debug, Default)]
struct Tried {
    names: BTreeMap<String, (u32, Timestamp)>,
    minute: (i64, u32),
}

impl Attempts {
    /// Counts a try of that name, or says how long to wait before the next, seconds.
    pub fn begin(&self, name: &str, now: Timestamp) -> Result<(), u64> {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.0.div_euclid(60_000_000);
        if tried.minute.0 != minute {
            tried.minute = (minute, 0);
        }
        if tried.minute.1 >= TRIES_A_MINUTE_MAX {
            return Err(60 - now.0.rem_euclid(60_000_000).unsigned_abs() / 1_000_000);
        }
        let key = key(name);
        let (wrong, last) = tried.names.get(&key).copied().unwrap_or_default();
        let idle_s = now.seconds_since(last);
        let wait_s = match wrong.checked_sub(FREE) {
            Some(over) if idle_s < FORGOTTEN_S => (1_u64 << over.min(20)).min(WAIT_MAX_S),
            Some(_) | None => 0,
        };
        if idle_s < wait_s as f64 {
            return Err((wait_s as f64 - idle_s).ceil().max(1.0) as u64);
        }
        let wrong = if idle_s < FORGOTTEN_S { wrong } else { 0 };
        if tried.names.len() >= NAMES_MAX && !tried.names.contains_key(&key) {
            let oldest = tried.names.iter().min_by_key(|(_, (_, at))| *at);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                tried.names.remove(&oldest);
            }
        }
        tried.minute.1 += 1;
        // Taken for wrong until it turns out right, so that many at once count as many.
        tried.names.insert(key, (wrong.saturating_add(1), now));
        Ok(())
    }

    /// The password was right.
    pub fn succeeded(&self, name: &str) {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tried.names.remove(&key(name));
    }
}

fn key(name: &str) -> String {
    name.trim().to_lowercase().chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_tries_are_free_and_then_waits_double() {
        let attempts = Attempts::default();
        let at = |s: f64| Timestamp(0).plus_seconds(s + 7_200.0);
        for (second, name, outcome) in [
            (0.0, "anna", Ok(())),
            (0.0, "Anna ", Ok(())),
            (0.0, "anna", Ok(())),
            (0.0, "anna", Ok(())),
            (0.0, "anna", Ok(())),
            (0.5, "anna", Err(1)),
            (0.5, "ben", Ok(())),
            (1.0, "anna", Ok(())),
            (2.0, "anna", Err(1)),
            (3.0, "anna", Ok(())),
            (3.0, "anna", Err(4)),
            (3_700.0, "anna", Ok(())),
            (3_700.0, "anna", Ok(())),
        ] {
            assert_eq!(attempts.begin(name, at(second)), outcome, "{second} {name}");
        }
        attempts.succeeded("ANNA");
        assert_eq!(attempts.begin("anna", at(3_700.0)), Ok(()));
    }

    #[test]
    fn many_names_are_slowed_down_together_and_forgotten_in_the_end() {
        let attempts = Attempts::default();
        let mut now = Timestamp(600_000_000);
        for number in 0..TRIES_A_MINUTE_MAX {
            assert_eq!(attempts.begin(&number.to_string(), now), Ok(()));
        }
        assert_eq!(attempts.begin("anna", now), Err(60));
        now = now.plus_seconds(60.0);
        assert_eq!(attempts.begin("anna", now), Ok(()));
        for number in 0..3_000 {
            let at = now.plus_seconds(f64::from(number) * 2.0);
            let _ = attempts.begin(&format!("n{number}"), at);
        }
        assert!(attempts.0.lock().unwrap().names.len() <= NAMES_MAX);
    }
}
