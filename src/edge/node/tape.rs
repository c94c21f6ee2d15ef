//! Raw samples on the disk: `.mcap` files that rotate, and never take more than they may.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::Recording;
use crate::edge::recording::RecordingError;
use crate::edge::recording::mcap::McapWriter;
use crate::recording::Record;
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

/// After an error, as of a full disk, it is tried again after this, seconds of event time.
const RETRY_S: f64 = 30.0;

/// A recording that goes on for ever.
pub struct Tape {
    wanted: Recording,
    node: NodeName,
    definition: Arc<Definition>,
    open: Option<Open>,
    retry_at: Option<Timestamp>,
}

struct Open {
    writer: McapWriter,
    path: PathBuf,
    began_at: Timestamp,
    pruned_at: Timestamp,
}

/// A file on the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    path: PathBuf,
    bytes: u64,
}

impl Tape {
    pub fn new(wanted: Recording, node: NodeName, definition: Arc<Definition>) -> Self {
        Tape {
            wanted,
            node,
            definition,
            open: None,
            retry_at: None,
        }
    }

    /// Adds a record. An error is told once; then nothing is kept for half a minute.
    pub fn write(&mut self, record: &Record) -> Result<(), RecordingError> {
        let at = record.at();
        if self.retry_at.is_some_and(|retry_at| at < retry_at) {
            return Ok(());
        }
        let written = self.try_write(record, at);
        if written.is_err() {
            // What is flushed can be read; a file that can't be written to is left as it is.
            self.open = None;
            self.retry_at = Some(at.plus_seconds(RETRY_S));
        }
        written
    }

    fn try_write(&mut self, record: &Record, at: Timestamp) -> Result<(), RecordingError> {
        let is_over =
            |open: &Open| at.seconds_since(open.began_at) >= self.wanted.rotate_min * 60.0;
        if self.open.as_ref().is_some_and(is_over) {
            self.finish()?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(at)?);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if at.seconds_since(open.pruned_at) >= 1.0 {
            open.pruned_at = at;
            let limit = self.wanted.disk_max_mb * 1_000_000;
            prune(&self.wanted.folder, &self.node, &open.path, limit);
        }
        open.writer.write(record)
    }

    fn begin(&self, at: Timestamp) -> Result<Open, RecordingError> {
        let folder = &self.wanted.folder;
        std::fs::create_dir_all(folder).map_err(|source| RecordingError::Uncreatable {
            path: folder.clone(),
            source,
        })?;
        let path = folder.join(name(&self.node, at));
        let nodes = [self.node.clone()];
        Ok(Open {
            writer: McapWriter::create(&path, &self.definition, &nodes, None)?,
            path,
            began_at: at,
            pruned_at: at,
        })
    }

    /// Ends the file that is open.
    pub fn finish(&mut self) -> Result<(), RecordingError> {
        match self.open.take() {
            Some(open) => open.writer.finish().map(drop),
            None => Ok(()),
        }
    }
}

/// `shelf-20261123T221500.000Z.mcap`: in the order of time by name.
fn name(node: &NodeName, at: Timestamp) -> String {
    let time: String = at
        .to_string()
        .chars()
        .filter(|c| !matches!(c, '-' | ':'))
        .collect();
    format!("{node}-{time}.mcap")
}

/// Deletes the oldest files of the node until all of them take at most `bytes_max`; never the one that is open.
fn prune(folder: &Path, node: &NodeName, open: &Path, bytes_max: u64) {
    let prefix = format!("{node}-2");
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut kept: Vec<Kept> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(".mcap")
        })
        .filter_map(|entry| {
            let bytes = entry.metadata().ok()?.len();
            let path = entry.path();
            Some(Kept { path, bytes })
        })
        .collect();
    kept.sort_by(|a, b| a.path.cmp(&b.path));
    let mut total: u64 = kept.iter().map(|file| file.bytes).sum();
    for file in kept.iter().filter(|file| file.path != open) {
        if total <= bytes_max {
            return;
        }
        match std::fs::remove_file(&file.path) {
            Ok(()) => total -= file.bytes,
            Err(error) => tracing::warn!("{} cannot be deleted: {error}", file.path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::recording::{OpenOptions, open};
    use crate::recording::{ScaleBatch, ScaleGroup};
    use crate::store::definition::parse;

    fn batch(group: &Arc<ScaleGroup>, at_s: f64, random: &mut u64) -> Record {
        // Noise, so that it does not compress to nothing.
        let counts = (0..320).map(|_| {
            *random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (*random >> 40) as i32
        });
        Record::Scale(ScaleBatch {
            group: Arc::clone(group),
            first_at: Timestamp::from_seconds(1.7e9 + at_s),
            counts: counts.collect(),
        })
    }

    #[test]
    fn files_rotate_the_oldest_go_and_what_is_left_replays() {
        let folder = tempfile::tempdir().unwrap();
        let (definition, _) = parse(include_str!("../../../deploy/corner.toml"), "c").unwrap();
        let node = NodeName::from("shelf");
        let group = Arc::new(ScaleGroup {
            node: node.clone(),
            plates: vec!["1.1.1".parse().unwrap()],
            counts_per_gram: vec![420.0],
            rate_hz: 80.0,
        });
        let wanted = Recording {
            folder: folder.path().to_owned(),
            rotate_min: 5.0,
            disk_max_mb: 1,
        };
        let mut tape = Tape::new(wanted, node, Arc::new(definition));
        let mut random = 1;
        for second in 0..900 {
            let record = batch(&group, f64::from(second) * 4.0, &mut random);
            tape.write(&record).unwrap();
        }
        tape.finish().unwrap();
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let bytes: u64 = files.iter().map(|f| f.metadata().unwrap().len()).sum();
        assert!((2..12).contains(&files.len()), "{files:?}");
        assert!(bytes < 1_300_000, "{bytes}");
        let last = files.last().unwrap();
        let read = open(last, &OpenOptions::default()).unwrap();
        assert_eq!(read.records.last().unwrap().node().as_str(), "shelf");
        assert_eq!(read.damage, None);
    }

    #[test]
    fn a_tape_without_a_place_says_so_once_and_tries_again_later() {
        let (definition, _) = parse(include_str!("../../../deploy/corner.toml"), "c").unwrap();
        let node = NodeName::from("shelf");
        let group = Arc::new(ScaleGroup {
            node: node.clone(),
            plates: vec!["1.1.1".parse().unwrap()],
            counts_per_gram: vec![420.0],
            rate_hz: 80.0,
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        let wanted = Recording {
            folder: file.path().join("below a file"),
            rotate_min: 5.0,
            disk_max_mb: 1,
        };
        let mut tape = Tape::new(wanted, node, Arc::new(definition));
        let told: Vec<bool> = [0.0, 4.0, 28.0, 40.0]
            .map(|s| tape.write(&batch(&group, s, &mut 1)).is_err())
            .into();
        assert_eq!(told, [true, false, false, true]);
    }
}
