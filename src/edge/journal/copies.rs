//! Copies of a journal: a backup while the store goes on, and a backup put in the journal's place.
//!
//! A backup is made with SQLite's online backup from one moment of the journal, looked at entry by entry, and only then
//! given its name. It is one plain file without a write-ahead log, so it can be read from anywhere. It holds the
//! phones' keys as the journal does: nobody but its owner may read it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;
use tempfile::NamedTempFile;

use super::{Archive, Checked, Head, JournalError, sql};
use crate::edge::sqlite::{self, WriterLock};

/// Pages copied at a time, and the pause between, so that the store's own syncs come through.
const PAGES: i32 = 1_024;
const PAUSE: Duration = Duration::from_millis(1);

impl Archive {
    /// Copies the journal to a file, as it was when it was opened here, and verifies the copy.
    ///
    /// Errors: there is a file of that name and `force` is not given; the disk fails or is full; the journal, and so
    /// the copy, is not what was written.
    pub fn back_up(&self, to: &Path, force: bool) -> Result<Checked, JournalError> {
        if !force && to.exists() {
            return Err(JournalError::Exists {
                path: to.to_owned(),
            });
        }
        let (draft, checked) = self.copy_beside(to)?;
        let persisted = match force {
            true => draft.persist(to),
            false => draft.persist_noclobber(to),
        };
        persisted.map_err(|lost| {
            if lost.error.kind() == io::ErrorKind::AlreadyExists {
                let path = to.to_owned();
                JournalError::Exists { path }
            } else {
                copying(to, "given its name")(lost.error)
            }
        })?;
        sync_folder(to)?;
        Ok(checked)
    }

    /// A verified, durable copy without a name in the folder of `to`.
    fn copy_beside(&self, to: &Path) -> Result<(NamedTempFile, Checked), JournalError> {
        let draft = tempfile::Builder::new()
            .prefix(".stroll-")
            .tempfile_in(folder_of(to))
            .map_err(copying(to, "made"))?;
        let failed = |source| sql::FORMAT.error(to, "copying the journal", source);
        let copy = || -> rusqlite::Result<()> {
            let mut copy = Connection::open(draft.path())?;
            Backup::new(&self.connection, &mut copy)?.run_to_completion(PAGES, PAUSE, None)?;
            copy.pragma_update(None, "journal_mode", "DELETE")?;
            copy.close().map_err(|(_, source)| source)
        };
        copy().map_err(failed)?;
        draft
            .as_file()
            .sync_all()
            .map_err(copying(to, "made durable"))?;
        let copied = Archive {
            // What is wrong with the copy is wrong with the journal; the draft's name would only confuse.
            path: self.path.clone(),
            ..Archive::open(draft.path())?
        };
        let checked = copied.verify(Some(&self.head()?))?;
        Ok((draft, checked))
    }
}

/// A backup that is about to take the place of a journal. No store can open the journal meanwhile.
#[derive(Debug)]
pub struct Restoring {
    backup: Archive,
    journal: PathBuf,
    checked: Checked,
    replaced: Replaced,
    _lock: WriterLock,
}

/// What a backup takes the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    Nothing,
    /// A journal that can be read.
    Journal {
        head: Head,
        /// It is the backup's own, and goes on from it.
        continues: bool,
    },
    /// Something that can't be read.
    Unreadable {
        why: String,
    },
}

impl Restoring {
    /// Looks at the backup and at what is in the journal's place; changes nothing.
    ///
    /// Errors: the backup can't be read or is not what was written; it is another store's; a store has the journal
    /// open.
    pub fn prepare(backup: &Path, journal: &Path) -> Result<Self, JournalError> {
        let backup = Archive::open(backup)?;
        let checked = backup.verify(None)?;
        let lock = WriterLock::take(journal, sql::FORMAT.what)?;
        let replaced = if !journal.exists() {
            Replaced::Nothing
        } else {
            match looked_at(journal, &checked.head) {
                Ok((store, _, _)) if store != checked.store => {
                    return Err(JournalError::OtherStore {
                        path: journal.to_owned(),
                        found: store,
                        asked: checked.store,
                    });
                }
                Ok((_, head, continues)) => Replaced::Journal { head, continues },
                Err(error) => Replaced::Unreadable {
                    why: error.to_string(),
                },
            }
        };
        Ok(Restoring {
            backup,
            journal: journal.to_owned(),
            checked,
            replaced,
            _lock: lock,
        })
    }

    /// What the backup holds.
    pub fn checked(&self) -> &Checked {
        &self.checked
    }

    /// What it takes the place of.
    pub fn replaced(&self) -> &Replaced {
        &self.replaced
    }

    /// What will happen, in a sentence without an end.
    pub fn told(&self) -> String {
        let (backup, of) = (self.checked.head, &self.checked.store);
        let taken = format!("the {} entries of the backup of `{of}`", backup.entries);
        match &self.replaced {
            Replaced::Nothing => format!("{taken} become the journal"),
            Replaced::Journal {
                head,
                continues: true,
            } => format!(
                "{taken} would take the place of {}: what the store has decided in the {} since would be in no journal \
                 it uses, and its nodes send again what they still have",
                head.entries,
                head.entries - backup.entries
            ),
            Replaced::Journal {
                head,
                continues: false,
            } => format!(
                "{taken} would take the place of {} others: the journal there (head {}) does not go on from the backup",
                head.entries,
                head.hash.short()
            ),
            Replaced::Unreadable { why } => {
                format!("{taken} would take the place of a file that cannot be read ({why})")
            }
        }
    }

    /// Puts a copy of the backup in the journal's place. What was there is kept beside it, under the name that is
    /// given back.
    ///
    /// Errors: there is a journal and `force` is not given; the disk fails or is full. The journal is then as it was.
    pub fn carry_out(self, force: bool) -> Result<Option<PathBuf>, JournalError> {
        let journal = &self.journal;
        if self.replaced != Replaced::Nothing && !force {
            return Err(JournalError::WouldReplace {
                path: journal.clone(),
                what: self.told(),
            });
        }
        let (draft, _) = self.backup.copy_beside(journal)?;
        let kept = match &self.replaced {
            Replaced::Nothing => None,
            Replaced::Journal { .. } => {
                // Then one file is all of it.
                Connection::open(journal)
                    .and_then(sqlite::close)
                    .map_err(|source| sql::FORMAT.error(journal, "closing it", source))?;
                Some(put_aside(journal)?)
            }
            Replaced::Unreadable { .. } => Some(put_aside(journal)?),
        };
        draft
            .persist(journal)
            .map_err(|lost| copying(journal, "put in its place")(lost.error))?;
        sync_folder(journal)?;
        Ok(kept)
    }
}

/// The store of a journal, its head, and whether it goes on from another head.
fn looked_at(journal: &Path, from: &Head) -> Result<(String, Head, bool), JournalError> {
    let there = Archive::open(journal)?;
    let continues = there.hash_of(from.entries)? == Some(from.hash);
    Ok((there.store()?.0, there.head()?, continues))
}

/// Gives a journal a second name. Its own then passes to another file in one step, whenever the power fails.
fn put_aside(journal: &Path) -> Result<PathBuf, JournalError> {
    let failed = copying(journal, "made, as the journal there cannot be kept");
    let mut number = 1;
    let kept = loop {
        let kept = with_suffix(journal, &format!(".replaced-{number}"));
        match fs::hard_link(journal, &kept) {
            Ok(()) => break kept,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(failed(error)),
        }
    };
    // A write-ahead log belongs to its database by name: beside another one it would spoil that.
    for part in ["-wal", "-shm"] {
        match fs::rename(with_suffix(journal, part), with_suffix(&kept, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(kept)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}

fn sync_folder(of: &Path) -> Result<(), JournalError> {
    File::open(folder_of(of))
        .and_then(|folder| folder.sync_all())
        .map_err(copying(of, "made durable"))
}

fn copying(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Copy {
        path: path.clone(),
        doing,
        source,
    }
}
