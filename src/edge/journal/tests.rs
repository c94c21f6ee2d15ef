use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::checkout::Decision;
use crate::observation::{GateEvent, GateObservation, NodeClock, Observation, Stamped};
use crate::store::{Catalogue, Layout, Planogram, Policy};
use crate::units::{Currency, Timestamp};

mod chained;
mod copied;
mod full;
mod kept;
mod upgraded;

fn definition(id: &str, currency: &str, hash: &str) -> Definition {
    let currency: Currency = currency.parse().unwrap();
    Definition {
        id: id.to_owned(),
        name: "A shop".to_owned(),
        currency,
        policy: Policy::default_in(currency),
        catalogue: Catalogue::default(),
        planogram: Planogram::default(),
        layout: Layout::default(),
        hash: hash.to_owned(),
    }
}

fn shop() -> Definition {
    definition("shop", "EUR", "h1")
}

fn stamp(sequence: u64) -> Stamp {
    Stamp {
        node: "pi-1".into(),
        outbox: "box".into(),
        sequence,
    }
}

/// Somebody passed in, `sequence` seconds after the epoch.
fn accept(sequence: u64) -> Output {
    let at = Timestamp(sequence as i64 * 1_000_000);
    Output::Accept(Arc::new(Stamped {
        stamp: stamp(sequence),
        clock: NodeClock {
            boot: "boot".into(),
            monotonic_us: sequence,
            wall_us: at,
            error_us: 0,
        },
        observation: Observation::Gate(GateObservation {
            at,
            event: GateEvent::PassedIn,
        }),
    }))
}

fn refused(second: i64) -> Decision {
    Decision::EntryRefused {
        at: Timestamp(second * 1_000_000),
        reason: "no such device".into(),
    }
}

fn quarantine(sequence: u64) -> Output {
    Output::Decide(Decision::Quarantined {
        stamp: stamp(sequence),
        reason: "no JSON".into(),
    })
}

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    Place {
        _folder: folder,
        path,
    }
}

fn sequences(journal: &Journal) -> Vec<u64> {
    (journal.observations())
        .map(|o| o.unwrap().stamp.sequence)
        .collect()
}

fn up_to(journal: &Journal) -> u64 {
    journal.committed_up_to(&"pi-1".into(), &"box".into())
}

#[test]
fn a_batch_is_there_after_reopening() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    let batch = [accept(2), Output::Decide(refused(2)), accept(1)];
    journal.commit(&batch).unwrap();
    journal.commit(&[Output::Decide(refused(3))]).unwrap();
    journal.commit(&[]).unwrap();
    drop(journal);

    let journal = Journal::open(&place.path, &shop()).unwrap();
    let contents = journal.load().unwrap();
    let decisions: Vec<_> = (contents.decisions.iter())
        .map(|d| (d.sequence, d.decision.clone()))
        .collect();
    assert_eq!(decisions, [(1, refused(2)), (2, refused(3))]);
    let observations: Vec<_> = contents.observations.map(Result::unwrap).collect();
    let [Output::Accept(second), _, Output::Accept(first)] = &batch else {
        unreachable!()
    };
    assert_eq!(observations, [(**second).clone(), (**first).clone()]);
}

#[test]
fn stamps_are_known_also_undecodable_ones_and_beyond_a_gap() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    assert_eq!(up_to(&journal), 0);
    journal
        .commit(&[accept(1), quarantine(2), accept(4), accept(u64::MAX)])
        .unwrap();
    journal.commit(&[quarantine(5)]).unwrap();
    for reopened in [false, true] {
        if reopened {
            drop(journal);
            journal = Journal::open(&place.path, &shop()).unwrap();
        }
        assert_eq!(up_to(&journal), 2, "{reopened}");
        for (sequence, known) in [
            (1, true),
            (2, true),
            (3, false),
            (4, true),
            (5, true),
            (6, false),
        ] {
            assert_eq!(
                journal.knows(&stamp(sequence)),
                known,
                "{sequence} {reopened}"
            );
        }
        assert!(journal.knows(&stamp(u64::MAX)));
        assert!(!journal.knows(&Stamp {
            outbox: "another".into(),
            ..stamp(1)
        }));
    }
    journal.commit(&[accept(3)]).unwrap();
    assert_eq!(up_to(&journal), 5);
}

#[test]
fn stamps_stay_known_when_their_observations_are_erased() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1), accept(2)]).unwrap();
    journal
        .connection
        .execute("DELETE FROM observation", [])
        .unwrap();
    drop(journal);
    let journal = Journal::open(&place.path, &shop()).unwrap();
    assert_eq!(up_to(&journal), 2);
    assert!(sequences(&journal).is_empty());
}

#[test]
fn a_stamp_never_counts_twice() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1)]).unwrap();
    let batches = [
        vec![accept(2), accept(1)],
        vec![accept(3), accept(3)],
        vec![accept(4), quarantine(4)],
        vec![quarantine(1)],
        vec![accept(0)],
    ];
    for batch in batches {
        let error = journal.commit(&batch).unwrap_err();
        assert!(
            matches!(error, JournalError::AlreadyCommitted { .. }),
            "{error}"
        );
    }
    assert_eq!(
        sequences(&journal),
        [1],
        "nothing of a refused batch is kept"
    );
    journal.commit(&[accept(2)]).unwrap();
    assert_eq!(up_to(&journal), 2);
}

#[test]
fn decisions_name_the_versions_that_made_them() {
    let place = place();
    for (hash, second) in [("h1", 1), ("h2", 2), ("h1", 3)] {
        let mut journal = Journal::open(&place.path, &definition("shop", "EUR", hash)).unwrap();
        let batch = [
            Output::Decide(refused(second)),
            Output::Decide(refused(second)),
        ];
        journal.commit(&batch).unwrap();
    }
    let journal = Journal::open(&place.path, &shop()).unwrap();
    let decisions = journal.decisions().unwrap();
    let hashes: Vec<_> = (decisions.iter())
        .map(|d| d.versions.definition.as_str())
        .collect();
    assert_eq!(hashes, ["h1", "h1", "h2", "h2", "h1", "h1"]);
    assert_eq!(*decisions[0].versions, Versions::of(&shop()));
    let rows: i64 = (journal.connection)
        .query_row("SELECT count(*) FROM versions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn observations_are_read_in_pages_and_from_a_time() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    let batch: Vec<Output> = (1..=700).map(accept).collect();
    journal.commit(&batch).unwrap();
    assert_eq!(sequences(&journal), (1..=700).collect::<Vec<_>>());
    for (second, expected) in [(-1, 1), (350, 351), (699, 700), (700, 701)] {
        let late: Vec<u64> = (journal
            .observations_ending_after(Timestamp(second * 1_000_000), i64::MAX))
        .unwrap()
        .map(|o| o.unwrap().stamp.sequence)
        .collect();
        assert_eq!(late, (expected..=700).collect::<Vec<_>>(), "{second}");
    }
}

#[test]
fn a_revoked_key_stays_revoked() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    let phone = DeviceId::from("phone");
    assert!(!journal.revoke_device(&phone).unwrap());
    assert!(journal.enrol_device(&phone, b"key", Role::Shopper).unwrap());
    assert!(journal.enrol_device(&phone, b"key", Role::Shopper).unwrap());
    assert!(journal.revoke_device(&phone).unwrap());
    assert!(!journal.enrol_device(&phone, b"key", Role::Shopper).unwrap());
    assert!(
        journal
            .enrol_device(&phone, b"new key", Role::Shopper)
            .unwrap()
    );
    assert!(
        journal
            .enrol_device(&"another".into(), b"k", Role::Shopper)
            .unwrap()
    );
    assert!(journal.revoke_device(&"another".into()).unwrap());
    drop(journal);

    let journal = Journal::open(&place.path, &shop()).unwrap();
    let devices = journal.devices().unwrap();
    let shown: Vec<_> = (devices.iter())
        .map(|d| (d.id.as_str(), d.key.as_slice(), d.revoked))
        .collect();
    assert_eq!(
        shown,
        [
            ("another", &b"k"[..], true),
            ("phone", &b"new key"[..], false)
        ]
    );
    assert!(!format!("{devices:?}").contains("key"));
}

/// Opens a journal after `spoil` has been at its file, and gives the error without the path of the folder.
fn opened_after(spoil: impl FnOnce(&Connection)) -> String {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    let batch = [accept(1), Output::Decide(refused(1))];
    journal.commit(&batch).unwrap();
    spoil(&journal.connection);
    journal.close().unwrap();
    let error = match Journal::open(&place.path, &shop()) {
        Err(error) => error,
        Ok(journal) => match journal.load() {
            Err(error) => error,
            Ok(contents) => (contents.observations)
                .map(Result::unwrap_err)
                .next()
                .unwrap(),
        },
    };
    let folder = place.path.parent().unwrap().to_str().unwrap();
    error.to_string().replace(&format!("{folder}/"), "")
}

#[test]
fn errors_name_file_table_and_row() {
    for (sql, expected) in [
        (
            "UPDATE meta SET store = 'other'",
            "journal.sqlite: the journal of store `other`, and this is store `shop`; name another file",
        ),
        (
            "UPDATE meta SET currency = 'USD'",
            "journal.sqlite: the journal is kept in USD, and the store definition says EUR; a new currency takes a new journal",
        ),
        (
            "PRAGMA user_version = 4",
            "journal.sqlite: made by a newer stroll (journal version 4, and this one reads up to 3); update stroll",
        ),
        (
            "PRAGMA application_id = 7",
            "journal.sqlite: this file is no journal of stroll; name another file",
        ),
        (
            "UPDATE decision SET event = '{\"decision\":\"guessed\"}'",
            "journal.sqlite: table decision, row 1: its event cannot be read: unknown variant `guessed`",
        ),
        (
            "PRAGMA foreign_keys = OFF; UPDATE decision SET versions = 9",
            "journal.sqlite: table decision, row 1: there is no row 9 in table versions; it was written by another version or is damaged",
        ),
        (
            "UPDATE observation SET payload = '{'",
            "journal.sqlite: table observation, row 1: its payload cannot be read: EOF while parsing",
        ),
        (
            "UPDATE observation SET sequence = 7",
            "journal.sqlite: table observation, row 1: it is stamped pi-1/box/7, and its payload pi-1/box/1",
        ),
        (
            "DROP TABLE quarantine",
            "journal.sqlite: the journal failed (reading table observation): no such table: quarantine",
        ),
    ] {
        let error = opened_after(|c| c.execute_batch(sql).unwrap());
        assert!(error.starts_with(expected), "{sql}: {error}");
    }
}

#[test]
fn one_process_at_a_time_and_a_close_leaves_one_file() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1)]).unwrap();
    let second = Journal::open(&place.path, &shop()).unwrap_err().to_string();
    assert!(
        second.ends_with(
            "another running stroll has this journal open; stop it first, or name another file"
        ),
        "{second}"
    );
    journal.close().unwrap();
    let folder = place.path.parent().unwrap();
    let files: Vec<_> = (std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, ["journal.sqlite"]);
    assert_eq!(
        sequences(&Journal::open(&place.path, &shop()).unwrap()),
        [1]
    );
}

#[test]
fn what_is_no_journal_is_told_so() {
    let place = place();
    let opened = |bytes: &[u8]| {
        std::fs::write(&place.path, bytes).unwrap();
        Journal::open(&place.path, &shop()).unwrap_err().to_string()
    };
    for bytes in [&b""[..], b"hello, this is a text and no database at all"] {
        let error = opened(bytes);
        assert!(
            error.ends_with("this file is no journal of stroll; name another file"),
            "{error}"
        );
    }
    let missing = place.path.join("no/such/folder.sqlite");
    let error = Journal::open(&missing, &shop()).unwrap_err().to_string();
    assert!(error.contains("cannot create the journal"), "{error}");
}

#[test]
fn a_damaged_file_is_told_so() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    let batch: Vec<Output> = (1..200).map(accept).collect();
    journal.commit(&batch).unwrap();
    journal.close().unwrap();
    let mut bytes = std::fs::read(&place.path).unwrap();
    // The header stays; the pages behind it are overwritten.
    bytes[4096..].fill(0x5a);
    std::fs::write(&place.path, &bytes).unwrap();
    let error = Journal::open(&place.path, &shop()).unwrap_err().to_string();
    assert!(error.contains("the journal is damaged"), "{error}");
    // Cut off in the middle of a page.
    bytes.truncate(6000);
    std::fs::write(&place.path, &bytes).unwrap();
    let error = Journal::open(&place.path, &shop()).unwrap_err().to_string();
    assert!(error.contains("the journal is damaged"), "{error}");
}
