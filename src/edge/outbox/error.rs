//! What can be wrong with an outbox.

use std::path::{Path, PathBuf};

use super::file::VERSION;
use crate::edge::sqlite::is_full;
use crate::edge::wire::Bound;
use crate::observation::Stamp;
use crate::store::NodeName;

/// Why an outbox does not work.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error(
        "the outbox {} of node `{node}` cannot be used: {source}; check that its folder exists and may be written to", path.display()
    )]
    Unusable {
        path: PathBuf,
        node: NodeName,
        source: rusqlite::Error,
    },
    #[error(
        "the disk of the outbox {} of node `{node}` is full: make room there", path.display()
    )]
    Full { path: PathBuf, node: NodeName },
    #[error(
        "the outbox {} of node `{node}` is in use by another program: stop that one first", path.display()
    )]
    InUse { path: PathBuf, node: NodeName },
    #[error(
        "the outbox {} of node `{node}` is damaged ({source}): move it away and start again with a new one; what it had not sent is lost", path.display()
    )]
    Damaged {
        path: PathBuf,
        node: NodeName,
        source: rusqlite::Error,
    },
    #[error(
        "observation {sequence} in the outbox {} of node `{node}` cannot be read: {source}; move the file away and start again with a new one", path.display()
    )]
    Row {
        path: PathBuf,
        node: NodeName,
        sequence: u64,
        source: serde_json::Error,
    },
    #[error(
        "{} is no outbox of node `{node}` but another program's file: choose another path", path.display()
    )]
    Foreign { path: PathBuf, node: NodeName },
    #[error(
        "the outbox {} belongs to node `{owner}`, not to `{node}`: each node takes its own file", path.display()
    )]
    OtherNode {
        path: PathBuf,
        node: NodeName,
        owner: NodeName,
    },
    #[error(
        "the outbox {} of node `{node}` has version {found}, and this program knows {VERSION}: start the newer program again", path.display()
    )]
    Newer {
        path: PathBuf,
        node: NodeName,
        found: i64,
    },
    #[error("observation {stamp} breaks a bound of the wire: {source}")]
    Unfit { stamp: Box<Stamp>, source: Bound },
    #[error("observation {stamp} cannot be written as JSON: {source}")]
    Unwritable {
        stamp: Box<Stamp>,
        source: serde_json::Error,
    },
    #[error(
        "no random id for the outbox {} of node `{node}`: the system gives no random numbers ({source})", path.display()
    )]
    Random {
        path: PathBuf,
        node: NodeName,
        source: getrandom::Error,
    },
}

impl OutboxError {
    pub(super) fn sqlite(path: &Path, node: &NodeName, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let (path, node) = (path.to_owned(), node.clone());
        if is_full(&source) {
            return OutboxError::Full { path, node };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                OutboxError::InUse { path, node }
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                OutboxError::Damaged { path, node, source }
            }
            // SQLite answers so when the tables are not what the version says.
            Some(ErrorCode::Unknown) => OutboxError::Damaged { path, node, source },
            None => OutboxError::Damaged { path, node, source },
            Some(_) => OutboxError::Unusable { path, node, source },
        }
    }
}
