//! Questions to the gateway that have no answer yet.

use std::collections::BTreeMap;

use crate::checkout::decision::PaymentRequest;
use crate::checkout::payment::{IdempotencyKey, RetryAfter};
use crate::checkout::session::SessionId;
use crate::units::Timestamp;

/// A question is asked again after a second at first, and then after twice as long each time, up to this, seconds.
const WAIT_MAX_S: u32 = 64;

/// Where a person must see to it first, a question is asked again after this, seconds.
const MINUTES_S: u32 = 300;

/// A question that nobody had time for is put again after this, seconds.
const BUSY_S: f64 = 0.2;

/// Questions kept. A session has one at a time, so this is more sessions than a store holds; one beyond it is in the
/// journal all the same and is taken up at the next start.
const QUESTIONS_MAX: usize = 4_096;

/// Questions asked again in one call, so that a slow gateway doesn't hold the store up for long.
const DUE_MAX: usize = 16;

/// What the gateway is asked, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub session: SessionId,
    pub key: IdempotencyKey,
    pub request: PaymentRequest,
}

/// A question and when it is asked again.
#[derive(Clone, Debug)]
struct Waiting {
    question: Question,
    at: Timestamp,
    /// How long it waits if it fails again, seconds.
    wait_s: u32,
    /// It is being asked at this moment, and is not due before that has ended.
    underway: bool,
}

/// Every question without an answer, by key; at most [`QUESTIONS_MAX`].
#[derive(Debug, Default)]
pub struct Pending {
    waiting: BTreeMap<IdempotencyKey, Waiting>,
}

impl Pending {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn contains(&self, key: &IdempotencyKey) -> bool {
        self.waiting.contains_key(key)
    }

    /// How many are being asked at this moment.
    pub fn asking(&self) -> usize {
        self.waiting.values().filter(|w| w.underway).count()
    }

    /// When the first of them is due.
    pub fn next_at(&self) -> Option<Timestamp> {
        let resting = self.waiting.values().filter(|w| !w.underway);
        resting.map(|waiting| waiting.at).min()
    }

    /// The questions that are due at `now`, the longest due first; at most [`DUE_MAX`]. They stay until answered.
    pub fn due(&self, now: Timestamp) -> Vec<Question> {
        let mut due: Vec<&Waiting> = (self.waiting.values())
            .filter(|w| !w.underway && w.at <= now)
            .collect();
        due.sort_by_key(|waiting| waiting.at);
        (due.into_iter().take(DUE_MAX))
            .map(|waiting| waiting.question.clone())
            .collect()
    }

    /// A question that has not been asked by this process: it is due at once. One that waits already waits on.
    pub fn add(&mut self, question: Question) {
        if self.contains(&question.key) {
            return;
        }
        self.put(Waiting {
            question,
            at: Timestamp::MIN,
            wait_s: 1,
            underway: false,
        });
    }

    /// A question that is being asked from now on.
    pub fn underway(&mut self, question: Question) {
        let before = self.waiting.get(&question.key);
        self.put(Waiting {
            at: before.map_or(Timestamp::MIN, |waiting| waiting.at),
            wait_s: before.map_or(1, |waiting| waiting.wait_s),
            question,
            underway: true,
        });
    }

    /// A question that nobody had time for at `now`.
    pub fn busy(&mut self, question: Question, now: Timestamp) {
        let wait_s = (self.waiting.get(&question.key)).map_or(1, |waiting| waiting.wait_s);
        self.put(Waiting {
            question,
            at: now.plus_seconds(BUSY_S),
            wait_s,
            underway: false,
        });
    }

    /// A question that was asked at `now` in vain.
    pub fn failed(&mut self, question: Question, retry: RetryAfter, now: Timestamp) {
        let wait_s = match retry {
            RetryAfter::Moments => {
                (self.waiting.get(&question.key)).map_or(1, |waiting| waiting.wait_s)
            }
            RetryAfter::Minutes => MINUTES_S,
        };
        self.put(Waiting {
            question,
            at: now.plus_seconds(f64::from(wait_s)),
            wait_s: (2 * wait_s).min(WAIT_MAX_S),
            underway: false,
        });
    }

    /// The question of that key needs no asking any more.
    pub fn answered(&mut self, key: &IdempotencyKey) {
        self.waiting.remove(key);
    }

    fn put(&mut self, waiting: Waiting) {
        let key = waiting.question.key.clone();
        if self.waiting.len() < QUESTIONS_MAX || self.waiting.contains_key(&key) {
            self.waiting.insert(key, waiting);
        } else {
            tracing::error!(%key, "{QUESTIONS_MAX} questions to the gateway wait already; this one is asked after a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(key: &str) -> Question {
        Question {
            session: "s".into(),
            key: key.into(),
            request: PaymentRequest::Void {
                authorisation: "a".into(),
            },
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn it_waits_longer_after_each_failure_up_to_a_bound() {
        let mut pending = Pending::default();
        let mut now = 0;
        for wait_s in [1, 2, 4, 8, 16, 32, 64, 64, 64] {
            pending.failed(question("k"), RetryAfter::Moments, at(now));
            assert!(pending.due(at(now + wait_s - 1)).is_empty(), "{wait_s}");
            assert_eq!(pending.next_at(), Some(at(now + wait_s)));
            now += wait_s;
            assert_eq!(pending.due(at(now)), [question("k")]);
        }
        pending.answered(&"k".into());
        assert_eq!((pending.len(), pending.next_at()), (0, None));
    }

    #[test]
    fn it_is_bounded_in_what_it_keeps_and_in_what_it_asks_at_once() {
        let mut pending = Pending::default();
        pending.failed(question("late"), RetryAfter::Moments, at(0));
        for n in 0..QUESTIONS_MAX + 10 {
            pending.add(question(&format!("k{n}")));
        }
        assert_eq!(pending.len(), QUESTIONS_MAX);
        let due = pending.due(at(1));
        assert_eq!(due.len(), DUE_MAX);
        assert!(
            !due.contains(&question("late")),
            "the longest due come first"
        );
        pending.failed(question("late"), RetryAfter::Moments, at(5));
        assert_eq!(
            pending.len(),
            QUESTIONS_MAX,
            "one that is there can wait on"
        );
    }
}
