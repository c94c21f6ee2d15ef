//! Frames of shelves that show what a change was, kept for a while: until their time is over, and never more than so many bytes.
//!
//! A file's name says when it was taken, so that what an earlier run left is forgotten in time, too.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use crate::units::Timestamp;

/// How long frames are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EvidenceLimits {
    /// Seconds of event time.
    pub kept_s: f64,
    /// Of all frames together; at the bound the oldest go first.
    pub bytes_max: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    at: Timestamp,
    file: String,
    bytes: u64,
}

/// A folder of evidence.
#[derive(Clone, Debug)]
pub struct Evidence {
    folder: PathBuf,
    limits: EvidenceLimits,
    /// Oldest first.
    kept: VecDeque<Kept>,
    bytes: u64,
}

impl Evidence {
    /// Opens a folder, or makes it. Files with other names than those written here are left alone.
    ///
    /// # Errors
    /// The folder can't be made or read.
    pub fn open(folder: &Path, limits: EvidenceLimits) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut kept = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let file = entry.file_name().to_string_lossy().into_owned();
            if let Some(at) = taken_at(&file) {
                let bytes = entry.metadata()?.len();
                kept.push(Kept { at, file, bytes });
            }
        }
        kept.sort_by(|a, b| (a.at, &a.file).cmp(&(b.at, &b.file)));
        Ok(Evidence {
            folder: folder.to_owned(),
            limits,
            bytes: kept.iter().map(|k| k.bytes).sum(),
            kept: kept.into(),
        })
    }

    /// Keeps a frame, JPEG or PNG, and gives its id: the name of its file. `what` is letters, digits, `.` and `-`.
    ///
    /// # Errors
    /// The frame can't be written, or is larger than everything that may be kept.
    pub fn keep(&mut self, at: Timestamp, what: &str, encoded: &[u8]) -> io::Result<String> {
        let bytes = encoded.len() as u64;
        if bytes > self.limits.bytes_max {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let kind = if encoded.starts_with(b"\x89PNG") {
            "png"
        } else {
            "jpg"
        };
        let file = format!("{:020}-{what}.{kind}", at.0);
        let is_known = self.kept.iter().any(|k| k.file == file);
        if !is_known {
            std::fs::write(self.folder.join(&file), encoded)?;
            self.bytes += bytes;
            let after = self.kept.iter().rposition(|k| k.at <= at);
            let kept = Kept {
                at,
                file: file.clone(),
                bytes,
            };
            self.kept.insert(after.map_or(0, |n| n + 1), kept);
        }
        self.forget(at);
        Ok(file)
    }

    /// Deletes what is over.
    pub fn forget(&mut self, now: Timestamp) {
        let oldest = now.plus_seconds(-self.limits.kept_s);
        while let Some(first) = self.kept.front() {
            if first.at >= oldest && self.bytes <= self.limits.bytes_max {
                return;
            }
            let path = self.folder.join(&first.file);
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                // It is tried again with the next start.
                tracing::warn!("{}: it cannot be deleted: {error}", path.display());
            }
            self.bytes -= first.bytes;
            self.kept.pop_front();
        }
    }

    /// Bytes of all frames.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// When a file of ours was taken.
fn taken_at(file: &str) -> Option<Timestamp> {
    let (stem, kind) = file.rsplit_once('.')?;
    let (at, _) = stem.split_once('-')?;
    let is_ours = at.len() == 20 && matches!(kind, "jpg" | "png");
    at.parse().ok().filter(|_| is_ours).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: EvidenceLimits = EvidenceLimits {
        kept_s: 60.0,
        bytes_max: 1_000,
    };

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000.0 + seconds)
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_day_of_frames_stays_within_time_and_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let mut evidence = Evidence::open(folder.path(), LIMITS).unwrap();
        for n in 0..2_880 {
            let frame = vec![1; 40 + n % 7 * 30];
            let now = at(n as f64 * 30.0);
            evidence.keep(now, "1.5-before", &frame).unwrap();
            evidence.keep(now, "1.5-after", &frame).unwrap();
            assert!(evidence.bytes() <= LIMITS.bytes_max);
            assert!(files(folder.path()) <= 6, "a minute, and the next frames");
        }
        let last = at(2_879.0 * 30.0);
        evidence.forget(last.plus_seconds(61.0));
        assert_eq!((files(folder.path()), evidence.bytes()), (0, 0));
    }

    #[test]
    fn the_next_run_forgets_what_the_last_one_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut evidence = Evidence::open(folder.path(), LIMITS).unwrap();
        let id = evidence.keep(at(0.0), "1.5-before", b"\x89PNG").unwrap();
        assert_eq!(id, "00001700000000000000-1.5-before.png");
        evidence.keep(at(50.0), "1.5-after", &[1; 900]).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "the owner's").unwrap();
        drop(evidence);
        let mut evidence = Evidence::open(folder.path(), LIMITS).unwrap();
        assert_eq!(evidence.bytes(), 904);
        evidence.forget(at(61.0));
        assert_eq!((files(folder.path()), evidence.bytes()), (2, 900));
        evidence.keep(at(62.0), "1.5-after", &[1; 200]).unwrap();
        assert_eq!(evidence.bytes(), 200, "the oldest goes at the bound");
        assert!(evidence.keep(at(62.0), "large", &[1; 1_001]).is_err());
        assert_eq!(files(folder.path()), 2);
    }
}
