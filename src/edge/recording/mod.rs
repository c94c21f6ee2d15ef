//! Recordings in and out: the competition's folders ([`nanostore`]) and our own `.mcap` files ([`mcap`]).
//!
//! Whatever the format, a recording opens as one [`Recording`], and the folder and its import as `.mcap` hold
//! the very same records. A damaged file is an error that names file and place; with [`OpenOptions::partial`] what was
//! whole before that place is returned and [`Recording::damage`] says the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::recording::{Record, Recording};
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

mod clock;
mod definition_file;
mod error;
pub mod mcap;
pub mod nanostore;

pub use definition_file::{DefinitionFile, InconsistentDefinition};
pub use error::{Damage, Flaw, RecordingError};

/// How to open a recording.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Return what is whole before the first damage instead of failing.
    pub partial: bool,
    /// Use this store in place of the recording's own.
    pub definition: Option<Arc<Definition>>,
}

/// Opens a competition folder (a directory) or an `.mcap` recording (a file).
pub fn open(path: &Path, options: &OpenOptions) -> Result<Recording, RecordingError> {
    let kind = std::fs::metadata(path).map_err(|source| cannot_read(path, source))?;
    if kind.is_dir() {
        nanostore::read(path, options)
    } else {
        mcap::read(path, options)
    }
}

/// Opens the recordings of several nodes of one store and merges them by time.
///
/// Differing stores, or a node that two recordings hold at the same time, are errors that name both files.
pub fn open_many(paths: &[PathBuf], options: &OpenOptions) -> Result<Recording, RecordingError> {
    let (first_path, others) = paths.split_first().ok_or(RecordingError::Nothing)?;
    let mut merged = open(first_path, options)?;
    if others.is_empty() {
        return Ok(merged);
    }
    let mut spans = vec![(first_path, spans(&merged.records))];
    for path in others {
        let next = open(path, options)?;
        if next.definition.hash != merged.definition.hash {
            return Err(RecordingError::DifferentStores {
                first: first_path.clone(),
                first_hash: merged.definition.hash.clone(),
                second: path.clone(),
                second_hash: next.definition.hash.clone(),
            });
        }
        let next_spans = self::spans(&next.records);
        if let Some((first, node)) = overlap(&spans, &next_spans) {
            return Err(RecordingError::SameNode {
                node: node.clone(),
                first: first.clone(),
                second: path.clone(),
            });
        }
        spans.push((path, next_spans));
        merged.nodes.extend(next.nodes);
        merged.records.extend(next.records);
        merged.truth = merged.truth.or(next.truth);
        merged.damage = join_sentences(merged.damage, next.damage);
    }
    merged.nodes.sort();
    merged.nodes.dedup();
    sort_records(&mut merged.records);
    Ok(merged)
}

/// From when to when each node said something.
type Spans = BTreeMap<NodeName, (Timestamp, Timestamp)>;

fn spans(records: &[Record]) -> Spans {
    let mut spans = Spans::new();
    for record in records {
        let at = record.at();
        spans
            .entry(record.node().clone())
            .and_modify(|(first, last)| {
                *first = (*first).min(at);
                *last = (*last).max(at);
            })
            .or_insert((at, at));
    }
    spans
}

/// A node of `next` that one of `earlier` holds at the same time, and in which file.
fn overlap<'a>(
    earlier: &[(&'a PathBuf, Spans)],
    next: &'a Spans,
) -> Option<(&'a PathBuf, &'a NodeName)> {
    earlier.iter().find_map(|(path, spans)| {
        next.iter()
            .find(|(node, (first, last))| {
                spans
                    .get(*node)
                    .is_some_and(|(from, to)| first <= to && from <= last)
            })
            .map(|(node, _)| (*path, node))
    })
}

/// Sorts records as [`Recording::records`] promises; records of equal time and node keep their order.
fn sort_records(records: &mut [Record]) {
    records.sort_by_cached_key(|record| (record.at(), record.node().clone()));
}

fn join_sentences(a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) => Some(format!("{a}; {b}")),
        (a, b) => a.or(b),
    }
}

fn cannot_read(path: &Path, source: std::io::Error) -> RecordingError {
    let path = path.to_owned();
    if source.kind() == std::io::ErrorKind::NotFound {
        RecordingError::NotFound { path }
    } else {
        RecordingError::Unreadable { path, source }
    }
}
