//! Whole store-days from a seed, on a clock of their own and on one thread, with everything failing: `stroll torture`.
//!
//! Real are the outboxes (files), the wire codec, the shell with the coordinator and its journal (a file that each
//! restart opens again), and the payment sandbox with its ledger. Simulated are people, sensors, the network and time.
//! People are simple on purpose, at most one at a shelf and one in the door, so that what each took is beyond doubt and
//! whatever is charged otherwise is a matter of transport, storage or payment. [`auditor`] compares.
//!
//! The same seed gives the same day.

pub mod auditor;
mod faults;
mod month;
mod network;
mod node;
mod people;
mod store;
mod world;

pub use auditor::Totals;
pub use faults::{Counts, Fault};
pub use month::{DayEnd, days};
pub use people::Person;
pub use world::{Day, run};

use std::path::PathBuf;

use crate::edge::journal::JournalError;
use crate::edge::outbox::OutboxError;
use crate::edge::shell::ShellError;
use crate::edge::sqlite::DatabaseError;
use crate::edge::wire::WireError;
use crate::units::Timestamp;

/// What a day is like.
#[derive(Clone, Debug)]
pub struct Options {
    pub shoppers: usize,
    /// Where its files are made, and removed again. Processes die in a day, machines don't: memory serves as well as a
    /// disk, and is much faster.
    pub folder: PathBuf,
    /// Nothing fails: then nothing may go to review either.
    pub calm: bool,
}

/// Why a day could not be played to its end. What the auditor finds is no error.
#[derive(Debug, thiserror::Error)]
pub enum TortureError {
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Shell(#[from] ShellError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Sandbox(#[from] DatabaseError),
    #[error("files of the simulated day: {0}")]
    Files(#[from] std::io::Error),
    #[error("the simulated store's definition: {0}")]
    Definition(String),
}

/// The moment `seconds` after the beginning of second `step` of the day.
fn at(step: i64, seconds: f64) -> Timestamp {
    Timestamp(1_700_000_000_000_000 + step * 1_000_000).plus_seconds(seconds)
}
