//! Old copies of the file, and files of an older version.

use super::*;
use crate::observation::{GapCause, GapObservation};

/// A folder with an outbox, and how to open it.
fn card() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    (folder, path)
}

fn open(path: &Path) -> Outbox {
    let mut outbox = Outbox::open(path, &NodeName::from("scale-1")).unwrap();
    outbox.set_online(true);
    outbox
}

fn copied(from: &Path, to: &Path) {
    for beside in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{beside}", path.display()));
        std::fs::copy(name(from), name(to)).unwrap();
    }
}

#[test]
fn an_old_copy_gets_a_new_id_and_what_it_sees_is_new() {
    let (folder, path) = card();
    let copy = folder.path().join("copy.db");
    let mut outbox = open(&path);
    outbox.append(&clock(), group(3)).unwrap();
    outbox.set_online(false);
    outbox.append(&clock(), vec![passed_in(100)]).unwrap();
    copied(&path, &copy);
    outbox.offer(0, 100).unwrap();
    outbox.append(&clock(), group(2)).unwrap();
    let (old_id, word) = (outbox.id().clone(), upto(&outbox, 6));
    drop(outbox);

    let mut copy = open(&copy);
    copy.set_online(false);
    assert!(!copy.is_fresh());
    assert_eq!(copy.id(), &old_id);
    copy.append(&clock(), vec![passed_in(200)]).unwrap();
    assert_eq!(
        copy.committed(&word, Timestamp(300)).unwrap(),
        Word::OldCopy
    );
    assert_ne!(copy.id(), &old_id);
    let now: Vec<Stamped> = copy.pending(0, 100).unwrap();
    assert!(now.iter().all(|s| s.stamp.outbox == *copy.id()));
    let gap = GapObservation {
        start: Timestamp(100),
        end: Timestamp(300),
        cause: GapCause::Replaced,
        dropped: 1,
        replaces: Some(old_id.clone()),
        shelves: vec![],
    };
    let observations: Vec<&Observation> = now.iter().map(|s| &s.observation).collect();
    assert_eq!(observations, [&Observation::Gap(gap), &passed_in(200)]);
    let sequences: Vec<u64> = now.iter().map(|s| s.stamp.sequence).collect();
    assert_eq!(sequences, [1, 2]);

    // What may have been counted is put aside, and nothing of it is thrown away.
    let doubtful: Vec<u64> = (copy.connection)
        .prepare("SELECT sequence FROM doubtful WHERE outbox = ?1 ORDER BY sequence")
        .unwrap()
        .query_map([old_id.as_str()], |row| row.get::<_, i64>(0))
        .unwrap()
        .map(|sequence| sequence.unwrap().cast_unsigned())
        .collect();
    assert_eq!(doubtful, [1, 2, 3, 4]);
    assert_eq!(copy.committed(&word, Timestamp(400)).unwrap(), Word::Known);
    let word = upto(&copy, 1);
    copy.offer(0, 100).unwrap();
    assert_eq!(copy.committed(&word, Timestamp(400)).unwrap(), Word::News);
}

#[test]
fn a_coordinator_with_an_older_journal_is_sent_again_what_is_there() {
    let (_folder, path) = card();
    let mut outbox = open(&path);
    outbox.append(&clock(), group(5)).unwrap();
    outbox.committed(&upto(&outbox, 5), Timestamp(0)).unwrap();
    assert!(!outbox.wanted_after(5).unwrap());
    assert!(outbox.wanted_after(2).unwrap());
    drop(outbox);
    let mut outbox = open(&path);
    assert_eq!(outbox.committed_sequence(), 2);
    outbox.prune(Timestamp(i64::MAX)).unwrap();
    assert_eq!(sequences(&outbox, 2), [3, 4, 5]);
    assert_eq!(
        outbox.committed(&upto(&outbox, 5), Timestamp(0)).unwrap(),
        Word::News
    );
}

#[test]
fn an_outbox_of_version_1_is_taken_over() {
    let (_folder, path) = card();
    let sqlite = Connection::open(&path).unwrap();
    file::make_version_1(&sqlite, "old", "scale-1").unwrap();
    drop(sqlite);
    let mut outbox = open(&path);
    assert_eq!((outbox.id().as_str(), outbox.last_sequence()), ("old", 7));
    assert_eq!(
        outbox.committed(&upto(&outbox, 7), Timestamp(0)).unwrap(),
        Word::News
    );
    outbox.append(&clock(), group(1)).unwrap();
    drop(outbox);
    assert_eq!(open(&path).last_sequence(), 8);
}

#[test]
fn a_journal_from_before_what_is_still_held_is_told_of_a_gap_and_blocks_nothing() {
    let (_folder, path) = card();
    let mut outbox = open(&path);
    outbox.append(&clock(), group(4)).unwrap();
    outbox.committed(&upto(&outbox, 4), Timestamp(0)).unwrap();
    assert_eq!(outbox.prune(Timestamp(i64::MAX)).unwrap(), 4);
    outbox.append(&clock(), group(2)).unwrap();
    let later = upto(&outbox, 6);
    outbox.committed(&later, Timestamp(1)).unwrap();
    let old_id = outbox.id().clone();

    // All that is pruned is known there: the rest can be sent again.
    assert!(!outbox.renew_after(4, Timestamp(9)).unwrap());
    assert!(outbox.renew_after(1, Timestamp(9)).unwrap());
    assert_ne!(outbox.id(), &old_id);
    let held: Vec<Observation> = (outbox.pending(0, 100).unwrap().into_iter())
        .map(|stamped| stamped.observation)
        .collect();
    let [Observation::Gap(gap), rest @ ..] = &held[..] else {
        panic!("no gap, but {held:?}");
    };
    assert_eq!((gap.dropped, gap.cause), (3, GapCause::Replaced));
    assert_eq!(gap.replaces.as_ref(), Some(&old_id));
    assert_eq!(rest, group(2));
    assert!(!outbox.renew_after(0, Timestamp(9)).unwrap(), "only once");
    drop(outbox);
    let outbox = open(&path);
    assert_eq!(sequences(&outbox, 0), [1, 2, 3]);
}
