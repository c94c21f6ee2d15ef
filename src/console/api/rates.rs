//! How often a key may ask.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::edge::office::KeyId;
use crate::units::Timestamp;

/// Requests that a key may make at once, and how many it gets back in a second.
const AT_ONCE: f64 = 60.0;
const A_SECOND: f64 = 10.0;

/// The requests that each key has left: a bucket that fills again.
#[derive(Debug, Default)]
pub(in crate::console) struct Rates(Mutex<BTreeMap<KeyId, Bucket>>);

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Rates {
    /// Counts a request, and says whether it is the key's first of this minute; or how long to wait, seconds.
    pub fn ask(&self, key: KeyId, now: Timestamp) -> Result<bool, u64> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A bucket for each key that there is: they are few.
        let bucket = buckets.entry(key).or_insert(Bucket {
            left: AT_ONCE,
            at: Timestamp::MIN,
        });
        let since_s = now.seconds_since(bucket.at).max(0.0);
        let is_first = now.0.div_euclid(60_000_000) != bucket.at.0.div_euclid(60_000_000);
        bucket.left = (bucket.left + since_s * A_SECOND).min(AT_ONCE);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(((1.0 - bucket.left) / A_SECOND).ceil() as u64);
        }
        bucket.left -= 1.0;
        Ok(is_first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_asks_in_bursts_and_ten_times_a_second_on_the_whole() {
        let rates = Rates::default();
        let now = Timestamp(1_000_000_000_000);
        assert_eq!(rates.ask(KeyId(1), now), Ok(true));
        for _ in 1..60 {
            assert_eq!(rates.ask(KeyId(1), now), Ok(false));
        }
        assert_eq!(rates.ask(KeyId(1), now), Err(1));
        assert_eq!(rates.ask(KeyId(2), now), Ok(true), "another key");
        let later = now.plus_seconds(0.25);
        assert_eq!(rates.ask(KeyId(1), later), Ok(false));
        assert_eq!(rates.ask(KeyId(1), later), Ok(false));
        assert_eq!(rates.ask(KeyId(1), later), Err(1));
    }
}
