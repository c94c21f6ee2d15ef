//! Days on end in one store in which nothing fails: whether its memory stays the same.

use std::sync::Arc;

use super::people::{self, People};
use super::world::World;
use super::{Options, TortureError, at};
use crate::store::definition;

/// Seconds of a day, and how far time is moved at once while nobody is there: often enough that no node seems silent.
const DAY_S: i64 = 86_400;
const NIGHT_STEP_S: i64 = 4;

/// A store at the end of a day.
#[derive(Clone, Copy, Debug)]
pub struct DayEnd {
    /// Counted from 1.
    pub day: u32,
    pub receipts: u64,
    /// Sessions that the coordinator still remembers.
    pub sessions: u64,
    /// Bytes of the journal's file.
    pub journal_bytes: u64,
    /// Bytes of this process that are in memory; 0 where the system does not tell.
    pub resident_bytes: u64,
}

/// Plays `days` days of one store, with the same shoppers each day, and tells of each as it ends.
pub fn days(
    seed: u64,
    days: u32,
    options: &Options,
    mut ended: impl FnMut(DayEnd),
) -> Result<(), TortureError> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let (definition, _) = definition::parse(&people::definition_toml(), "torture.toml")
        .map_err(|error| TortureError::Definition(error.to_string()))?;
    let definition = Arc::new(definition);
    let people = People::new(seed, options.shoppers, &definition);
    let mut world = World::open(folder.path(), &definition, people, seed)?;
    world.enrol()?;
    let mut receipts = 0;
    for day in 1..=days {
        let mut step = i64::from(day - 1) * DAY_S + 1;
        world.begin_day(day, seed, options.shoppers);
        while !world.is_over() {
            world.step(step)?;
            receipts += world.receipts_of_step();
            step += 1;
        }
        while step < i64::from(day) * DAY_S {
            world.step(step)?;
            receipts += world.receipts_of_step();
            step += NIGHT_STEP_S;
        }
        world.forget_evidence();
        world.prune(at(step, 0.0))?;
        ended(DayEnd {
            day,
            receipts,
            sessions: world.sessions(),
            journal_bytes: world.journal_bytes(),
            resident_bytes: resident_bytes(),
        });
    }
    Ok(())
}

/// By `/proc`, whose pages are those of Linux on every machine that we run on.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}
