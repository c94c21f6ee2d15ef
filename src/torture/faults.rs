//! What goes wrong, how often, and the count of it.

use std::fmt;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    MessageDropped,
    MessageDuplicated,
    MessageDelayed,
    Partition,
    NodeCrash,
    CardRestored,
    KillBeforeCommit,
    KillAfterCommit,
    ProviderAway,
    AnswerLost,
    Declined,
    HoldLapsed,
}

impl Fault {
    pub const ALL: [Fault; 12] = [
        Fault::MessageDropped,
        Fault::MessageDuplicated,
        Fault::MessageDelayed,
        Fault::Partition,
        Fault::NodeCrash,
        Fault::CardRestored,
        Fault::KillBeforeCommit,
        Fault::KillAfterCommit,
        Fault::ProviderAway,
        Fault::AnswerLost,
        Fault::Declined,
        Fault::HoldLapsed,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::MessageDropped => "message dropped",
            Fault::MessageDuplicated => "message duplicated",
            Fault::MessageDelayed => "message delayed, and so overtaken",
            Fault::Partition => "node cut off from the coordinator",
            Fault::NodeCrash => "node crashed and started again",
            Fault::CardRestored => "node started with an old copy of its outbox",
            Fault::KillBeforeCommit => "coordinator killed with what it had received",
            Fault::KillAfterCommit => "coordinator killed between commit and effects",
            Fault::ProviderAway => "payment request that did not arrive",
            Fault::AnswerLost => "payment done and its answer lost",
            Fault::Declined => "payment declined",
            Fault::HoldLapsed => "hold lapsed before its capture",
        })
    }
}

/// How often each kind has fired, in the order of [`Fault::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; 12]);

impl Counts {
    pub fn get(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    pub fn add(&mut self, fault: Fault, times: u64) {
        self.0[fault as usize] += times;
    }

    pub fn merge(&mut self, other: &Counts) {
        for fault in Fault::ALL {
            self.add(fault, other.get(fault));
        }
    }
}

/// Draws faults, and counts them.
pub(super) struct Chance {
    random: ChaCha8Rng,
    pub on: bool,
    pub counts: Counts,
}

impl Chance {
    pub fn new(seed: u64, on: bool) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // People draw from stream 0, so that they do the same with faults and without.
        random.set_stream(1);
        Chance {
            random,
            on,
            counts: Counts::default(),
        }
    }

    /// Whether a fault fires that does so with that probability; it is counted.
    pub fn strikes(&mut self, fault: Fault, probability: f64) -> bool {
        let fires = self.on && self.random.random_bool(probability);
        self.counts.add(fault, u64::from(fires));
        fires
    }

    /// The same for what only leads to faults.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.on && self.random.random_bool(probability)
    }

    /// A duration or an index, both ends included.
    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        self.random.random_range(least..=most)
    }
}
