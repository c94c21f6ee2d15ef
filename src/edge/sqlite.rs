//! SQLite files of our own: made whole or not at all, held by one process, and never misread.
//!
//! A file is made beside its place, synced and then given its name, so that a crash leaves either no file or a
//! complete one. It is then opened in WAL mode with `synchronous=FULL`: a commit that returned is on the disk.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// What tells one kind of our files from every other SQLite file.
#[derive(Debug)]
pub struct Format {
    /// What people call such a file: `journal`.
    pub what: &'static str,
    /// SQLite's `application_id`.
    pub application_id: i32,
    /// SQLite's `user_version`: the newest that this program reads.
    pub version: i32,
    /// The statements that make its tables in version 1.
    pub schema: &'static str,
    /// The way from each version to the next, from 1 on: `version` less one of them.
    pub upgrades: &'static [Upgrade],
    /// Who else may look at such a file while a program has it open.
    pub readers: Readers,
}

/// The way from one version of a file's tables to the next.
#[derive(Clone, Copy, Debug)]
pub enum Upgrade {
    Statements(&'static str),
    /// What statements alone can't do. It is also run on the empty tables of a new file.
    Code(fn(&Connection) -> rusqlite::Result<()>),
}

impl Upgrade {
    fn run(self, connection: &Connection) -> rusqlite::Result<()> {
        match self {
            Upgrade::Statements(statements) => connection.execute_batch(statements),
            Upgrade::Code(code) => code(connection),
        }
    }
}

/// Who may look at a file while a program has it open. Only one program ever writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Nobody: SQLite's own lock keeps every other program out.
    Nobody,
    /// Any program of the same user; whoever writes holds a [`WriterLock`].
    Anybody,
}

/// How long a reader and the writer wait for each other where SQLite lets only one of them in: while one of them
/// opens the file or closes it, never for a commit.
const READER_WAIT: Duration = Duration::from_secs(5);

/// Has a prepared statement keep its plan. SQLite else makes a new one each time that a number is bound to a `LIMIT`,
/// which cost the sender of a node more than all its reading.
pub(super) fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
    kept.map(drop)
}

/// A file that could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{path}: cannot create the {what}: {source}")]
    Create {
        path: PathBuf,
        what: &'static str,
        source: io::Error,
    },
    #[error(
        "{path}: another running stroll has this {what} open; stop it first, or name another file"
    )]
    InUse { path: PathBuf, what: &'static str },
    #[error("{path}: this file is no {what} of stroll; name another file")]
    Foreign { path: PathBuf, what: &'static str },
    #[error("{path}: there is no such file; name a {what} of stroll")]
    Missing { path: PathBuf, what: &'static str },
    #[error(
        "{path}: made by an older stroll ({what} version {found}, and this one reads {supported}); the store that opens it next brings it up to date"
    )]
    Older {
        path: PathBuf,
        what: &'static str,
        found: i32,
        supported: i32,
    },
    #[error(
        "{path}: made by a newer stroll ({what} version {found}, and this one reads up to {supported}); update stroll"
    )]
    Newer {
        path: PathBuf,
        what: &'static str,
        found: i32,
        supported: i32,
    },
    #[error("{path}: the {what} is damaged ({doing}: {source}); restore it from a copy")]
    Damaged {
        path: PathBuf,
        what: &'static str,
        doing: String,
        source: Box<rusqlite::Error>,
    },
    #[error("{path}: the disk of the {what} is full ({doing}); make room there")]
    Full {
        path: PathBuf,
        what: &'static str,
        doing: String,
    },
    #[error("{path}: the {what} failed ({doing}): {source}")]
    Failed {
        path: PathBuf,
        what: &'static str,
        doing: String,
        source: Box<rusqlite::Error>,
    },
}

impl Format {
    /// Opens the file at `path`, made first if there is none; `fill` writes what a new one starts with.
    ///
    /// The file stays locked until the connection is dropped, unless it has [`Readers`]; then the caller holds a
    /// [`WriterLock`]. Dropping leaves the write-ahead log beside the file, as a crash does, because folding it in costs
    /// several syncs; [`close`] folds it in.
    pub fn open(
        &self,
        path: &Path,
        fill: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Connection, DatabaseError> {
        let failed = |source| self.error(path, "opening it", source);
        if !path.exists() {
            self.create(path, fill)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        match self.readers {
            Readers::Nobody => {
                // A second process is told at once. The lock is taken with the first read and kept; set before that
                // read, it also keeps the log's index in memory instead of a shared file.
                connection.busy_timeout(Duration::ZERO).map_err(failed)?;
                connection
                    .pragma_update(None, "locking_mode", "EXCLUSIVE")
                    .map_err(failed)?;
            }
            Readers::Anybody => connection.busy_timeout(READER_WAIT).map_err(failed)?,
        }
        let found = self.check(path, &connection)?;
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .map_err(failed)?;
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(failed)?;
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map_err(failed)?;
        keep_plans(&connection).map_err(failed)?;
        self.upgrade(&connection, found)
            .map_err(|source| self.error(path, "bringing it up to date", source))?;
        Ok(connection)
    }

    /// Opens a file of [`Readers::Anybody`] to look at it, also while a store writes it. Nothing that it holds is
    /// changed, so an older version is not brought up to date but refused.
    pub fn open_to_read(&self, path: &Path) -> Result<Connection, DatabaseError> {
        let failed = |source| self.error(path, "opening it", source);
        if !path.exists() {
            return Err(DatabaseError::Missing {
                path: path.to_owned(),
                what: self.what,
            });
        }
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let is_logged = std::fs::metadata(log).is_ok_and(|log| log.len() > 0);
        // A connection that may not write leaves the write-ahead log's two files behind where it is the last to close.
        // SQLite falls back to reading where the file is write-protected.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(READER_WAIT).map_err(failed)?;
        connection
            .pragma_update(None, "query_only", true)
            .map_err(failed)?;
        // What a crash has left in the log stays there: it is for a writer to fold it in.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_logged)
            .map_err(failed)?;
        let found = self.check(path, &connection)?;
        if found < self.version {
            return Err(DatabaseError::Older {
                path: path.to_owned(),
                what: self.what,
                found,
                supported: self.version,
            });
        }
        Ok(connection)
    }

    /// A database of this format in memory, for tests and for runs that leave nothing behind.
    pub fn open_in_memory(&self) -> Result<Connection, DatabaseError> {
        let path = Path::new(":memory:");
        let failed = |source| self.error(path, "opening it", source);
        let connection = Connection::open_in_memory().map_err(failed)?;
        connection.execute_batch(self.schema).map_err(failed)?;
        self.upgrade(&connection, 1).map_err(failed)?;
        Ok(connection)
    }

    /// The error that SQLite's stands for; `doing` says what was tried.
    pub fn error(
        &self,
        path: &Path,
        doing: impl Into<String>,
        source: rusqlite::Error,
    ) -> DatabaseError {
        let (path, what) = (path.to_owned(), self.what);
        if is_full(&source) {
            let doing = doing.into();
            return DatabaseError::Full { path, what, doing };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                DatabaseError::InUse { path, what }
            }
            Some(ErrorCode::NotADatabase) => DatabaseError::Foreign { path, what },
            Some(ErrorCode::DatabaseCorrupt) => DatabaseError::Damaged {
                path,
                what,
                doing: doing.into(),
                source: Box::new(source),
            },
            Some(_) | None => DatabaseError::Failed {
                path,
                what,
                doing: doing.into(),
                source: Box::new(source),
            },
        }
    }

    /// Brings tables of an older version up to date, wholly or not at all.
    fn upgrade(&self, connection: &Connection, found: i32) -> rusqlite::Result<()> {
        let done = usize::try_from(found).unwrap_or(0).saturating_sub(1);
        let missing = self.upgrades.get(done..).unwrap_or_default();
        if missing.is_empty() {
            return Ok(());
        }
        let transaction = connection.unchecked_transaction()?;
        for step in missing {
            step.run(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", self.version)?;
        transaction.commit()
    }

    /// The file's version: that it is of this format, and of no later version, is looked at. Takes the lock.
    fn check(&self, path: &Path, connection: &Connection) -> Result<i32, DatabaseError> {
        let number = |pragma: &str| {
            connection
                .pragma_query_value(None, pragma, |row| row.get::<_, i32>(0))
                .map_err(|source| self.error(path, "reading its header", source))
        };
        if number("application_id")? != self.application_id {
            return Err(DatabaseError::Foreign {
                path: path.to_owned(),
                what: self.what,
            });
        }
        let found = number("user_version")?;
        if found > self.version {
            return Err(DatabaseError::Newer {
                path: path.to_owned(),
                what: self.what,
                found,
                supported: self.version,
            });
        }
        Ok(found)
    }

    /// Makes the file: two syncs, one of the file and one of its folder.
    fn create(
        &self,
        path: &Path,
        fill: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), DatabaseError> {
        let create = |source| DatabaseError::Create {
            path: path.to_owned(),
            what: self.what,
            source,
        };
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            Some(_) | None => Path::new("."),
        };
        // Said of the folder itself: the draft's name would only confuse.
        std::fs::metadata(folder).map_err(create)?;
        let draft = tempfile::Builder::new()
            .prefix(".stroll-")
            .tempfile_in(folder)
            .map_err(create)?;
        self.write_schema(draft.path(), fill)
            .map_err(|source| self.error(path, "making its tables", source))?;
        draft.as_file().sync_all().map_err(create)?;
        match draft.persist_noclobber(path) {
            Ok(_) => {}
            // Somebody else made it in the meantime: whoever locks it first has it.
            Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(lost) => return Err(create(lost.error)),
        }
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(create)
    }

    /// Writes everything that a new file holds, unsynced: it has no name yet that a crash could leave behind.
    fn write_schema(
        &self,
        draft: &Path,
        fill: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let connection = Connection::open(draft)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.execute_batch("BEGIN")?;
        connection.execute_batch(self.schema)?;
        for step in self.upgrades {
            step.run(&connection)?;
        }
        connection.pragma_update(None, "application_id", self.application_id)?;
        connection.pragma_update(None, "user_version", self.version)?;
        fill(&connection)?;
        connection.execute_batch("COMMIT")?;
        // Last, so that the log is empty: only the mark in the file's header changes.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.close().map_err(|(_, source)| source)
    }
}

/// Whether SQLite had no room: its own limit, or that of the disk, also for the index of the write-ahead log.
pub fn is_full(source: &rusqlite::Error) -> bool {
    source.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || (source.sqlite_error())
            .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// Says that this process writes a file which others may read. The kernel forgets it when the process ends, however
/// it ends; the file `NAME.lock` that it is taken on may then stay behind, and says nothing by itself.
///
/// It is not taken on the database itself: closing any handle of that would let go of SQLite's own locks.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
    path: PathBuf,
}

impl WriterLock {
    /// Takes the lock of the file at `path`, which needn't be there yet.
    ///
    /// Errors: another process, or another handle of this one, has it; or no file can be made beside `path`.
    pub fn take(path: &Path, what: &'static str) -> Result<Self, DatabaseError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let create = |source| DatabaseError::Create {
            path: path.to_owned(),
            what,
            source,
        };
        loop {
            let mut how = File::options();
            how.write(true).create(true).truncate(false);
            let file = how.open(&lock).map_err(create)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(DatabaseError::InUse {
                        path: path.to_owned(),
                        what,
                    });
                }
                Err(TryLockError::Error(source)) => return Err(create(source)),
            }
            // Whoever had it may have removed the file between the two calls: then this lock is on a file without a
            // name, which nobody else will ever ask for.
            if is_named(&file, &lock).map_err(create)? {
                return Ok(WriterLock {
                    _file: file,
                    path: lock,
                });
            }
        }
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Removed before it is let go, so that nobody else's is removed. One that stays does no harm.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!("{}: {error}", self.path.display());
        }
    }
}

/// Whether that file is the one which has this name now.
fn is_named(file: &File, name: &Path) -> io::Result<bool> {
    let named = match std::fs::metadata(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        named => named?,
    };
    let ours = file.metadata()?;
    Ok((ours.dev(), ours.ino()) == (named.dev(), named.ino()))
}

/// Folds the write-ahead log into the file and closes it: afterwards the one file is all there is.
pub fn close(connection: Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.close().map_err(|(_, source)| source)
}
