use super::*;

mod limits;
mod replaced;
use crate::observation::{GateEvent, GateObservation};

fn clock() -> NodeClock {
    NodeClock {
        boot: "boot".into(),
        monotonic_us: 1,
        wall_us: Timestamp(1_000_000),
        error_us: 10,
    }
}

fn passed_in(at: i64) -> Observation {
    Observation::Gate(GateObservation {
        at: Timestamp(at),
        event: GateEvent::PassedIn,
    })
}

fn group(count: i64) -> Vec<Observation> {
    (0..count).map(passed_in).collect()
}

fn upto(outbox: &Outbox, sequence: u64) -> Committed {
    Committed {
        outbox: outbox.id().clone(),
        sequence,
    }
}

fn sequences(outbox: &Outbox, after: u64) -> Vec<u64> {
    let pending = outbox.pending(after, 100).unwrap();
    pending.iter().map(|s| s.stamp.sequence).collect()
}

const DAY_US: i64 = 86_400_000_000;

#[test]
fn what_was_appended_is_there_after_a_power_cut_and_the_sequence_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let node = NodeName::from("scale-1");
    let mut outbox = Outbox::open(&path, &node).unwrap();
    let first = outbox.append(&clock(), group(3)).unwrap();
    let id = outbox.id().clone();
    assert_eq!(id.as_str().len(), 32);
    // What is on the disk while the program still runs is what a power cut would leave.
    let after_the_cut = folder.path().join("after.db");
    std::fs::copy(&path, &after_the_cut).unwrap();
    std::fs::copy(
        folder.path().join("outbox.db-wal"),
        folder.path().join("after.db-wal"),
    )
    .unwrap();

    let mut outbox = Outbox::open(&after_the_cut, &node).unwrap();
    assert_eq!(outbox.id(), &id);
    assert_eq!(outbox.pending(0, 100).unwrap(), first);
    let more = outbox.append(&clock(), group(1)).unwrap();
    assert_eq!(more[0].stamp.sequence, 4);
    assert_eq!(outbox.watermark(Timestamp(9), vec![]).sequence, 4);
    assert_eq!(sequences(&outbox, 2), [3, 4]);
}

#[test]
fn deleting_every_row_does_not_reset_the_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let node = NodeName::from("scale-1");
    let mut outbox = Outbox::open(&path, &node).unwrap();
    outbox.set_online(true);
    outbox.append(&clock(), group(5)).unwrap();
    let said = outbox.committed(&upto(&outbox, 5), Timestamp(0));
    assert_eq!(said.unwrap(), Word::News);
    assert_eq!(outbox.prune(Timestamp(DAY_US)).unwrap(), 5);
    drop(outbox);
    let mut outbox = Outbox::open(&path, &node).unwrap();
    assert_eq!(outbox.committed_sequence(), 5);
    let next = outbox.append(&clock(), group(1)).unwrap();
    assert_eq!(next[0].stamp.sequence, 6);
}

#[test]
fn committed_rows_stay_a_day_and_the_others_for_ever() {
    let mut outbox =
        Outbox::in_memory(&NodeName::from("scale-1"), OutboxOptions::default()).unwrap();
    outbox.set_online(true);
    outbox.append(&clock(), group(5)).unwrap();
    // (committed up to, at, whether that was news)
    for (sequence, at, news) in [(2, 0, true), (1, 10, false), (2, 10, false), (3, 20, true)] {
        let committed = upto(&outbox, sequence);
        let said = outbox.committed(&committed, Timestamp(at)).unwrap();
        assert_eq!(said == Word::News, news, "committed {sequence} at {at}");
    }
    let foreign = Committed {
        outbox: "another".into(),
        sequence: 5,
    };
    let said = outbox.committed(&foreign, Timestamp(30)).unwrap();
    assert_eq!(said, Word::Known);
    assert_eq!(sequences(&outbox, outbox.committed_sequence()), [4, 5]);
    // (prune at, what is left)
    for (at, left) in [
        (DAY_US - 1, vec![1, 2, 3, 4, 5]),
        (DAY_US, vec![3, 4, 5]),
        (DAY_US + 20, vec![4, 5]),
        (i64::MAX, vec![4, 5]),
    ] {
        outbox.prune(Timestamp(at)).unwrap();
        assert_eq!(sequences(&outbox, 0), left, "pruned at {at}");
    }
}

#[test]
fn an_observation_that_no_reader_takes_gets_no_sequence() {
    let mut outbox =
        Outbox::in_memory(&NodeName::from("scale-1"), OutboxOptions::default()).unwrap();
    let code = "x".repeat(200);
    let unfit = Observation::Gate(GateObservation {
        at: Timestamp(0),
        event: GateEvent::CodeShown { code },
    });
    let error = outbox
        .append(&clock(), vec![passed_in(0), unfit])
        .unwrap_err();
    assert!(
        error.to_string().contains("`code` has 200 bytes"),
        "{error}"
    );
    assert_eq!((outbox.last_sequence(), sequences(&outbox, 0)), (0, vec![]));
}

#[test]
fn a_replay_chooses_the_id_of_a_new_outbox_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let node = NodeName::from("scale-1");
    for id in ["first", "second"] {
        let options = OutboxOptions {
            id: Some(id.into()),
            ..OutboxOptions::default()
        };
        let outbox = Outbox::open_with(&path, &node, options).unwrap();
        assert_eq!(outbox.id().as_str(), "first");
    }
    let random = Outbox::open(folder.path().join("other.db"), &node).unwrap();
    assert_ne!(random.id().as_str(), "first");
}

#[test]
fn a_file_that_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let node = NodeName::from("scale-1");
    let at = |name: &str| folder.path().join(name);

    drop(Outbox::open(at("owned"), &NodeName::from("scale-2")).unwrap());

    drop(Outbox::open(at("newer"), &node).unwrap());
    let sqlite = Connection::open(at("newer")).unwrap();
    sqlite.pragma_update(None, "user_version", 3).unwrap();
    drop(sqlite);

    let sqlite = Connection::open(at("foreign")).unwrap();
    sqlite.execute_batch("CREATE TABLE photo (x)").unwrap();
    drop(sqlite);

    std::fs::write(
        at("garbage"),
        "no database, but long enough to look at\n".repeat(50),
    )
    .unwrap();

    drop(Outbox::open(at("cut"), &node).unwrap());
    let whole = std::fs::read(at("cut")).unwrap();
    std::fs::write(at("cut"), &whole[..whole.len() / 2]).unwrap();

    drop(Outbox::open(at("emptied"), &node).unwrap());
    let sqlite = Connection::open(at("emptied")).unwrap();
    sqlite.execute_batch("DELETE FROM outbox").unwrap();
    drop(sqlite);

    let _used = Outbox::open(at("used"), &node).unwrap();

    for (name, said) in [
        ("owned", "belongs to node `scale-2`, not to `scale-1`"),
        ("newer", "has version 3, and this program knows 2"),
        ("foreign", "is no outbox of node `scale-1`"),
        ("garbage", "is damaged (file is not a database)"),
        ("cut", "is damaged (database disk image is malformed)"),
        ("emptied", "is damaged"),
        ("used", "in use by another program"),
        ("missing/outbox.db", "check that its folder exists"),
    ] {
        let error = Outbox::open(at(name), &node).unwrap_err().to_string();
        let path = at(name).display().to_string();
        assert!(
            error.contains(said) && error.contains(&path),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_row_that_cannot_be_read_is_named() {
    let mut outbox =
        Outbox::in_memory(&NodeName::from("scale-1"), OutboxOptions::default()).unwrap();
    outbox.append(&clock(), group(2)).unwrap();
    let spoil = "UPDATE observation SET stamped = '{' WHERE sequence = 2";
    outbox.connection.execute_batch(spoil).unwrap();
    assert_eq!(outbox.pending(0, 1).unwrap().len(), 1);
    let error = outbox.pending(1, 1).unwrap_err().to_string();
    assert!(
        error.starts_with("observation 2 in the outbox :memory:"),
        "{error}"
    );
}
