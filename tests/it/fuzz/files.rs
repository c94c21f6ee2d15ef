//! Files that outlive the process: the journal with its snapshots and copies, and the outbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use stroll::coordinator::{Coordinator, Output, Snapshot};
use stroll::edge::journal::archive::Filed;
use stroll::edge::journal::{Archive, Hash, Journal, Restoring};
use stroll::edge::outbox::Outbox;
use stroll::store::{Definition, NodeName, definition};
use stroll::units::Timestamp;

use super::{Fate, Judged, committed, fuzz, same};

pub fn corner() -> Definition {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/corner.toml");
    let text = std::fs::read_to_string(path).unwrap();
    definition::parse(&text, "corner.toml").unwrap().0
}

/// Every value of a corpus that is one.
fn values<T: serde::de::DeserializeOwned>(target: &str) -> Vec<T> {
    let corpus = committed(target);
    let read = corpus
        .iter()
        .flat_map(|bytes| serde_json::from_slice(bytes));
    read.collect()
}

/// The bytes of an SQLite file in small pages, so that few changes reach many of its parts.
fn small(path: &Path) -> Vec<u8> {
    let connection = Connection::open(path).unwrap();
    let small = "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM;";
    connection.execute_batch(small).unwrap();
    connection.close().unwrap();
    std::fs::read(path).unwrap()
}

/// An SQLite file and whatever lies beside it.
fn put(path: &Path, bytes: &[u8]) {
    for beside in ["-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(beside);
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
    std::fs::write(path, bytes).unwrap();
}

/// A journal with everything that the corpora of decisions and observations hold.
fn journal(folder: &Path) -> Vec<u8> {
    let path = folder.join("made.sqlite");
    let mut journal = Journal::open(&path, &corner()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let observations = values("observation").into_iter();
    let accepted = observations
        .filter(|o: &stroll::observation::Stamped| seen.insert(o.stamp.clone()))
        .map(|o| Output::Accept(Arc::new(o)));
    let decided = values("decision").into_iter().map(Output::Decide);
    let batch: Vec<Output> = accepted.chain(decided).collect();
    assert!(batch.len() > 10, "the corpora hold {} values", batch.len());
    journal.commit(&batch).unwrap();
    journal.keep_snapshot(snapshot().as_bytes()).unwrap();
    journal.close().unwrap();
    small(&path)
}

fn entries(archive: &Archive) -> Result<Vec<Filed>, String> {
    let mut entries = Vec::new();
    let mut each = |filed| {
        entries.push(filed);
        Ok(())
    };
    archive.entries(0, &mut each).map_err(|e| e.to_string())?;
    Ok(entries)
}

/// A changed journal is found out, or is what was written after all: nothing else passes `verify`. Whatever it is, it
/// can be looked at, restored from and opened without a panic.
#[test]
fn journal_files() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures");
    let good = journal(folder.path());
    let path = folder.path().join("journal.sqlite");
    put(&path, &good);
    let archive = Archive::open(&path).unwrap();
    let written: Vec<(String, Hash)> = (entries(&archive).unwrap().into_iter())
        .map(|filed| (filed.text, filed.hash))
        .collect();
    assert_eq!(
        archive.verify(None).unwrap().head.entries,
        written.len() as u64
    );
    drop(archive);
    let mut more = vec![good.clone(), good];
    for version in ["journal-v1.sqlite", "journal-v2.sqlite"] {
        let copy = folder.path().join(version);
        std::fs::copy(fixtures.join(version), &copy).unwrap();
        more.push(small(&copy));
    }

    let definition = corner();
    let restored = folder.path().join("restored.sqlite");
    fuzz("journal", 600, more, |input| {
        put(&path, input);
        let verified =
            Archive::open(&path).and_then(|archive| Ok((archive.verify(None)?, archive)));
        let fate = match verified {
            Err(error) => Fate::refused(error),
            Ok((checked, archive)) => {
                let found = entries(&archive)?;
                let found: Vec<_> = found.into_iter().map(|f| (f.text, f.hash)).collect();
                same(
                    "the number of entries",
                    &checked.head.entries,
                    &(found.len() as u64),
                )?;
                let expected = written.get(..found.len()).unwrap_or_default();
                same(
                    "entries that pass for what was written",
                    &expected,
                    &found.as_slice(),
                )?;
                Fate::Taken
            }
        };
        put(&restored, &[]);
        std::fs::remove_file(&restored).unwrap();
        let restoring = Restoring::prepare(&path, &restored).and_then(|r| r.carry_out(false));
        if restoring.is_ok() != matches!(fate, Fate::Taken) {
            return Err(format!("verified and restored don't agree: {restoring:?}"));
        }
        // The store itself opens it, brings it up to date where it is old, and goes on.
        if let Ok(mut journal) = Journal::open(&path, &definition) {
            let _ = journal
                .load()
                .map(|contents| contents.observations.flatten().count());
            let _ = journal.devices();
            let _ = journal.snapshot();
        }
        Ok(fate)
    });
}

/// What the coordinator knows after the decisions of the corpus.
fn snapshot() -> String {
    let mut core = Coordinator::new(Arc::new(corner()), &["shelf".into()]);
    for decision in values("decision") {
        core.restore_decision(&decision);
    }
    serde_json::to_string(&core.snapshot()).unwrap()
}

#[test]
fn journal_snapshots() {
    let definition = Arc::new(corner());
    fuzz("snapshot", 4_000, vec![snapshot().into_bytes()], |input| {
        let read: Snapshot = match serde_json::from_slice(input) {
            Ok(read) => read,
            Err(error) => return Ok(Fate::refused(error)),
        };
        let once = serde_json::to_string(&read).map_err(|e| format!("cannot be written: {e}"))?;
        let again: Snapshot = serde_json::from_str(&once)
            .map_err(|e| format!("what is written cannot be read: {e}"))?;
        same(
            "the snapshot",
            &once,
            &serde_json::to_string(&again).unwrap(),
        )?;
        let nodes: [NodeName; 1] = ["shelf".into()];
        let (core, _, _) = Coordinator::from_snapshot(definition.clone(), &nodes, again);
        serde_json::to_string(&core.snapshot()).map_err(|e| format!("cannot be kept: {e}"))?;
        Ok(Fate::Taken)
    });
}

/// A node's outbox with the corpus of observations.
fn outbox(folder: &Path) -> Vec<u8> {
    let path = folder.join("made.sqlite");
    let mut outbox = Outbox::open(&path, &"shelf".into()).unwrap();
    let observations: Vec<stroll::observation::Stamped> = values("observation");
    let clock = observations[0].clock.clone();
    let observed = observations.into_iter().map(|o| o.observation).collect();
    outbox.append(&clock, observed).unwrap();
    outbox.offer(0, 3).unwrap();
    drop(outbox);
    small(&path)
}

/// What a node does with its outbox, as far as it gets.
fn use_outbox(path: &Path) -> Judged {
    let mut outbox = match Outbox::open(path, &"shelf".into()) {
        Ok(outbox) => outbox,
        Err(error) => return Ok(Fate::refused(error)),
    };
    let _ = outbox.levels();
    let pending = match outbox.offer(0, 1_000) {
        Ok(pending) => pending,
        Err(error) => return Ok(Fate::refused(error)),
    };
    if let Some(first) = pending.first() {
        let now = Timestamp(first.clock.wall_us.0);
        let seen = vec![first.observation.clone()];
        let _ = outbox.append(&first.clock, seen);
        let committed = stroll::observation::Committed {
            outbox: outbox.id().clone(),
            sequence: first.stamp.sequence,
        };
        let _ = outbox.committed(&committed, now);
        let _ = outbox.wanted_after(0);
        let _ = outbox.prune(Timestamp::MAX);
    }
    Ok(Fate::Taken)
}

#[test]
fn outbox_files() {
    let folder = tempfile::tempdir().unwrap();
    let good = outbox(folder.path());
    let path = folder.path().join("outbox.sqlite");
    fuzz("outbox", 600, vec![good], |input| {
        put(&path, input);
        use_outbox(&path)
    });
}

/// One row that says something else, in a file that is sound.
#[test]
fn outbox_rows() {
    let folder = tempfile::tempdir().unwrap();
    let good = outbox(folder.path());
    let path = folder.path().join("outbox.sqlite");
    fuzz("outbox_row", 600, committed("observation"), |input| {
        put(&path, &good);
        let connection = Connection::open(&path).unwrap();
        let spoil = "UPDATE observation SET stamped = CAST(?1 AS TEXT) WHERE sequence = 1";
        connection.execute(spoil, [input]).unwrap();
        connection.close().unwrap();
        use_outbox(&path)
    });
}
