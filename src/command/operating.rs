//! What is told to a store from outside its nodes: the operator's buttons, and how full its disk is.

use std::path::{Path, PathBuf};

use super::live_store::OpenStore;
use crate::checkout::entry::Bar;
use crate::console::{Action, Operation};
use crate::coordinator::Input;
use crate::units::{Currency, Money};

/// What operators do and the store has not been told yet, at most.
pub const WAITING_MAX: usize = 16;

/// Does what an operator asks for, and answers.
pub async fn perform(operation: Operation, store: &OpenStore, currency: Currency) {
    let Operation { action, by, answer } = operation;
    let done = store.ask(input(action, by, currency)).await;
    // Who asked may have gone meanwhile.
    let _ = answer.send(done);
}

/// What the store is told of something that an operator does. Amounts are in the store's currency.
fn input(action: Action, by: String, currency: Currency) -> Input {
    match action {
        Action::Emergency => Input::Bar {
            bar: Bar::Emergency,
            reason: format!("there is an emergency, says {by}"),
        },
        Action::AllClear => Input::Unbar {
            bar: Bar::Emergency,
        },
        Action::Close => Input::Bar {
            bar: Bar::Closed,
            reason: format!("the store was closed by {by}"),
        },
        Action::Open => Input::Unbar { bar: Bar::Closed },
        Action::Refund { session, minor } => Input::Refund {
            session,
            by,
            amount: Money::new(minor, currency),
        },
        Action::Enrol { device, key, role } => Input::DeviceEnrolled { device, key, role },
        Action::Revoke { device } => Input::DeviceRevoked { device },
        Action::Verdict {
            review,
            session,
            items,
        } => Input::Verdict {
            review,
            by,
            session,
            items,
        },
    }
}

/// The disk that a journal lies on.
pub struct Disk {
    folder: PathBuf,
    free_min_mb: u64,
}

impl Disk {
    /// That of a journal, which is to have so much room, megabytes.
    pub fn of(journal: &Path, free_min_mb: u64) -> Self {
        let folder = journal.parent().filter(|p| *p != Path::new(""));
        Disk {
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            free_min_mb,
        }
    }

    /// What the store is to be told of it now. A tenth more than the least is needed before people are let in again.
    pub fn look(&self) -> Option<Input> {
        let free = rustix::fs::statvfs(&self.folder);
        let free = free.map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize) / 1_000_000);
        match free {
            Ok(free_mb) => self.told(free_mb),
            Err(error) => {
                tracing::warn!(
                    "{}: its room cannot be looked at: {error}",
                    self.folder.display()
                );
                None
            }
        }
    }

    fn told(&self, free_mb: u64) -> Option<Input> {
        let least = self.free_min_mb;
        if free_mb < least {
            return Some(Input::Bar {
                bar: Bar::Disk,
                reason: format!(
                    "the disk of the journal has {free_mb} MB left, and {least} are needed"
                ),
            });
        }
        (free_mb >= least + least / 10).then_some(Input::Unbar { bar: Bar::Disk })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_low_below_its_least_and_in_order_a_tenth_above() {
        let disk = Disk::of(Path::new("journal.sqlite"), 100);
        for (free_mb, told) in [(99, "Bar"), (100, ""), (109, ""), (110, "Unbar")] {
            let shown = disk
                .told(free_mb)
                .map_or(String::new(), |i| format!("{i:?}"));
            let first = shown.split(' ').next().unwrap_or_default();
            assert_eq!(first, told, "{free_mb}");
        }
        assert!(disk.look().is_some(), "the folder of the tests has a disk");
    }
}
