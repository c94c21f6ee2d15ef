//! A recording that was played through the store, with all that the store saw and decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checkout::decision::{Attributed, Decision};
use crate::checkout::session::SessionId;
use crate::checkout::tracks::Tracks;
use crate::command::store_at::{self, JournalAt};
use crate::coordinator::State;
use crate::edge::playback::Playback;
use crate::observation::{Observation, ShelfObservation, Stamp};
use crate::recording::{NO_COUNT, Record, Recording};
use crate::store::{Definition, PlateId};
use crate::units::Timestamp;

/// What a playback leaves in the journal, with the recording.
pub struct Played<'a> {
    recording: &'a Recording,
    pub definition: Arc<Definition>,
    /// When the first sample of the recording was taken.
    pub start: Timestamp,
    pub decisions: Vec<Decision>,
    /// Every pose of every body.
    pub tracks: Tracks,
    /// What a session is called: its track or, without one, its phone.
    names: BTreeMap<SessionId, String>,
    changes: Vec<Change>,
}

/// A change on a shelf, and how it was attributed.
pub struct Change {
    pub observation: ShelfObservation,
    pub attributed: Attributed,
    /// Where the attribution stands among [`Played::decisions`].
    decided: usize,
}

impl<'a> Played<'a> {
    /// Plays a recording into a journal that is thrown away.
    pub fn of(recording: &'a Recording) -> anyhow::Result<Self> {
        let journal = JournalAt::Memory;
        let mut shell = store_at::open(&journal, recording)?;
        Playback::new(recording).run(&mut shell)?;
        let mut tracks = Tracks::default();
        let mut seen: BTreeMap<Stamp, ShelfObservation> = BTreeMap::new();
        for stamped in shell.log().observations() {
            let stamped = stamped?;
            match stamped.observation {
                Observation::Shelf(change) => {
                    seen.insert(stamped.stamp, change);
                }
                Observation::Body(segment) => tracks.insert(&segment),
                Observation::Vision(_) | Observation::Gate(_) | Observation::Gap(_) => {}
            }
        }
        let recorded = shell.log().decisions()?;
        let decisions: Vec<Decision> = recorded.into_iter().map(|r| r.decision).collect();
        let mut changes: Vec<Change> = (decisions.iter().enumerate())
            .filter_map(|(decided, decision)| {
                let attributed = attributed(decision)?.clone();
                let observation = seen.remove(&attributed.change)?;
                Some(Change {
                    observation,
                    attributed,
                    decided,
                })
            })
            .collect();
        changes.sort_by_key(|c| c.observation.peak);
        Ok(Played {
            recording,
            names: decisions.iter().filter_map(name).collect(),
            definition: recording.definition.clone(),
            start: (recording.records.iter().map(begin).min()).unwrap_or(Timestamp(0)),
            decisions,
            tracks,
            changes,
        })
    }

    /// The changes by the time at which they happened.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter()
    }

    /// Seconds from the recording's start.
    pub fn since_start(&self, at: Timestamp) -> f64 {
        at.seconds_since(self.start)
    }

    /// What people know a session by: its track, or else its phone.
    pub fn name_of(&self, session: &SessionId) -> String {
        (self
            .names
            .get(session)
            .map_or(session.as_str(), String::as_str))
        .to_owned()
    }

    /// What one plate weighed between two times: when, and grams. The zero of a load cell means nothing.
    pub fn weights(&self, plate: PlateId, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, f64)> {
        let mut weights = Vec::new();
        for record in &self.recording.records {
            let Record::Scale(batch) = record else {
                continue;
            };
            if batch.last_at() < from || batch.first_at > to {
                continue;
            }
            let plates = &batch.group.plates;
            let Some(column) = plates.iter().position(|p| *p == plate) else {
                continue;
            };
            let factor = 1.0 / batch.group.counts_per_gram[column];
            let samples = batch.counts.chunks_exact(plates.len()).enumerate();
            weights.extend(samples.filter_map(|(index, sample)| {
                let (at, count) = (batch.sample_at(index), sample[column]);
                let there = count != NO_COUNT && from <= at && at <= to;
                there.then(|| (at, f64::from(count) * factor))
            }));
        }
        weights
    }

    /// A change as it stood in the end.
    pub fn finally<'c>(&'c self, change: &'c Change) -> &'c Attributed {
        let revised = |decision: &'c Decision| revision_of(decision, &change.attributed.change);
        (self.after(change).iter().rev())
            .find_map(revised)
            .unwrap_or(&change.attributed)
    }

    /// The store as it was when it attributed that change.
    pub fn state_before(&self, change: &Change) -> State {
        let mut state = State::new(self.definition.clone());
        self.decisions[..change.decided]
            .iter()
            .for_each(|decision| state.apply(decision));
        state
    }

    /// What was decided after that change.
    pub fn after(&self, change: &Change) -> &[Decision] {
        &self.decisions[change.decided + 1..]
    }
}

fn attributed(decision: &Decision) -> Option<&Attributed> {
    if let Decision::Attributed(attributed) = decision {
        return Some(attributed);
    }
    None
}

fn revision_of<'d>(decision: &'d Decision, change: &Stamp) -> Option<&'d Attributed> {
    if let Decision::Revised(revised) = decision {
        return (revised.change == *change).then_some(revised);
    }
    None
}

/// What a decision says of a session's name; the last word counts.
fn name(decision: &Decision) -> Option<(SessionId, String)> {
    if let Decision::TrackBound { session, track, .. } = decision {
        return Some((session.clone(), track.to_string()));
    }
    let Decision::SessionOpened {
        session,
        device,
        track,
        ..
    } = decision
    else {
        return None;
    };
    let track = track.as_ref().map(ToString::to_string);
    let name = track.or(device.as_ref().map(ToString::to_string))?;
    Some((session.clone(), name))
}

/// When the first sample of a record was taken.
fn begin(record: &Record) -> Timestamp {
    match record {
        Record::Scale(batch) => batch.first_at,
        Record::Body(_) | Record::Gate(_) => record.at(),
    }
}
