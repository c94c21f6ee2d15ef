//! Whatever is changed in a journal after it was written is found, at the entry where it was changed.

use sha2::{Digest, Sha256};

use super::*;
use crate::edge::journal::chain;

/// Entry by entry: observation 1, decision 1, observation 2, decision 2 (unreadable), decision 3, observation 3.
fn batches() -> [Vec<Output>; 2] {
    [
        vec![
            accept(1),
            Output::Decide(refused(1)),
            accept(2),
            quarantine(3),
        ],
        vec![Output::Decide(refused(4)), accept(5)],
    ]
}

fn written(path: &Path) -> Head {
    let mut journal = Journal::open(path, &shop()).unwrap();
    for batch in batches() {
        journal.commit(&batch).unwrap();
    }
    let head = journal.head();
    journal.close().unwrap();
    head
}

fn verified(path: &Path, expected: Option<&Head>) -> Result<Checked, String> {
    let checked = Archive::open(path).and_then(|archive| archive.verify(expected));
    let folder = format!("{}/", path.parent().unwrap().display());
    checked.map_err(|error| error.to_string().replace(&folder, ""))
}

/// What verifying says after those statements were at the journal.
fn after(spoil: &str, with_head: bool) -> Result<Checked, String> {
    let place = place();
    let head = written(&place.path);
    let spoiler = Connection::open(&place.path).unwrap();
    spoiler
        .execute_batch(&format!("PRAGMA foreign_keys = OFF; {spoil}"))
        .unwrap();
    drop(spoiler);
    verified(&place.path, with_head.then_some(&head))
}

#[test]
fn a_journal_that_nobody_changed_is_whole() {
    let place = place();
    let head = written(&place.path);
    let checked = verified(&place.path, Some(&head)).unwrap();
    let expected = Checked {
        store: "shop".to_owned(),
        head,
        observations: 3,
        decisions: 3,
    };
    assert_eq!(checked, expected);
    assert_eq!(head.entries, 6);
}

/// The chain as another program would make it from the description in chain.rs.
#[test]
fn the_hashes_are_those_that_are_described() {
    let fields = |fields: &[&str]| -> [u8; 32] {
        let mut hash = Sha256::new();
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().into()
    };
    let link = |before: [u8; 32], content: [u8; 32]| -> [u8; 32] {
        Sha256::digest([before, content].concat()).into()
    };
    let payload = r#"{"stamp":{"node":"pi-1","outbox":"box","sequence":1},"clock":{"boot":"boot","monotonic_us":1,"wall_us":1000000,"error_us":0},"observation":{"type":"gate","at":1000000,"event":"passed_in"}}"#;
    let event = r#"{"decision":"entry_refused","at":1000000,"reason":"no such device"}"#;
    let start = fields(&["stroll journal", "shop", "EUR"]);
    let observation = [
        "observation",
        "pi-1",
        "box",
        "1",
        "1000000",
        "1000000",
        payload,
    ];
    let first = link(start, fields(&observation));
    let decision = ["decision", env!("CARGO_PKG_VERSION"), "h1", "none", event];
    let second = link(first, fields(&decision));

    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal
        .commit(&[accept(1), Output::Decide(refused(1))])
        .unwrap();
    let mut found = Vec::new();
    let archive = Archive::open(&place.path).unwrap();
    archive
        .entries(0, &mut |filed| {
            found.push((filed.entry, filed.hash, filed.text));
            Ok(())
        })
        .unwrap();
    let hash = |bytes| Hash::of_bytes(bytes).unwrap();
    assert_eq!(
        found,
        [
            (1, hash(&first), payload.to_owned()),
            (2, hash(&second), event.to_owned())
        ]
    );
    assert_eq!(journal.head().hash.to_string().parse(), Ok(hash(&second)));
}

#[test]
fn what_was_changed_is_named_with_its_entry() {
    for (spoil, expected) in [
        (
            "UPDATE decision SET event = replace(event, 'no such', 'a stolen') WHERE sequence = 1",
            "journal.sqlite: entry 2 of 1970-01-01T00:00:01.000Z is not what was written: decision 1 was changed: it hashes to ",
        ),
        (
            "UPDATE decision SET event = 'nonsense' WHERE sequence = 3",
            "journal.sqlite: entry 5 is not what was written: decision 3 was changed",
        ),
        (
            "UPDATE versions SET code = '9'",
            "journal.sqlite: entry 2 of 1970-01-01T00:00:01.000Z is not what was written: decision 1 was changed",
        ),
        (
            "DELETE FROM observation WHERE accepted = 2",
            "journal.sqlite: entry 3 is not what was written: observation 2 is not there any more",
        ),
        (
            "DELETE FROM chain WHERE entry = 4",
            "journal.sqlite: entry 4 is not what was written: it is missing, and the chain goes on after it",
        ),
        (
            "DELETE FROM chain WHERE entry = 2; DELETE FROM decision WHERE sequence = 1;
             UPDATE chain SET entry = entry - 1 WHERE entry > 2",
            "journal.sqlite: entry 2 of 1970-01-01T00:00:02.000Z is not what was written: its hash does not follow from the one before it and from observation 2",
        ),
        (
            "DELETE FROM chain WHERE entry IN (1, 3); UPDATE chain SET entry = -entry;
             UPDATE chain SET entry = row_number FROM (SELECT entry AS old, row_number() OVER (ORDER BY entry DESC) AS row_number FROM chain)
             WHERE entry = old",
            "journal.sqlite: entry 1 of 1970-01-01T00:00:01.000Z is not what was written: its hash does not follow",
        ),
        (
            "UPDATE chain SET observation = 5 - observation WHERE observation IN (2, 3)",
            "journal.sqlite: entry 3 of 1970-01-01T00:00:05.000Z is not what was written: it is observation 3 where observation 2 was written: entries were moved or deleted",
        ),
        (
            "UPDATE chain SET entry = -1 WHERE entry = 1; UPDATE chain SET entry = 1 WHERE entry = 2;
             UPDATE chain SET entry = 2 WHERE entry = -1",
            "journal.sqlite: entry 1 of 1970-01-01T00:00:01.000Z is not what was written: its hash does not follow from the one before it and from decision 1",
        ),
        (
            "UPDATE decision SET event = (SELECT event FROM decision d WHERE d.sequence = 4 - decision.sequence)
             WHERE sequence IN (1, 3)",
            "journal.sqlite: entry 2 of 1970-01-01T00:00:04.000Z is not what was written: decision 1 was changed",
        ),
        (
            "INSERT INTO decision SELECT 4, versions, event FROM decision WHERE sequence = 1",
            "journal.sqlite: entry 7 is not what was written: decision 4 is in no entry: it was added, or the chain was cut off there",
        ),
        (
            "DELETE FROM chain WHERE entry > 4",
            "journal.sqlite: entry 5 is not what was written: observation 3 is in no entry",
        ),
        (
            "UPDATE chain SET decision = observation, observation = NULL WHERE entry = 1",
            "journal.sqlite: entry 1 of 1970-01-01T00:00:01.000Z is not what was written: decision 1 was changed",
        ),
        (
            "UPDATE outbox SET committed = 9",
            "journal.sqlite: the entries are what was written, and table outbox does not follow from them: it says that pi-1/box is committed up to 9, and the entries go up to 3",
        ),
        (
            "DELETE FROM outbox",
            "journal.sqlite: the entries are what was written, and table outbox does not follow from them: it has 0 outboxes, and the entries are of 1",
        ),
        (
            "DELETE FROM quarantine",
            "journal.sqlite: the entries are what was written, and table quarantine does not follow from them: pi-1/box/3 and decision 2 don't agree",
        ),
        (
            "UPDATE meta SET store = 'other'",
            "journal.sqlite: entry 1 of 1970-01-01T00:00:01.000Z is not what was written: its hash does not follow",
        ),
    ] {
        let error = after(spoil, false).unwrap_err();
        assert!(error.starts_with(expected), "{spoil}: {error}");
    }
}

fn columns(path: &Path, table: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let statement = connection.prepare(&format!("SELECT * FROM {table}"));
    let names = statement.unwrap();
    names.column_names().map(str::to_owned).collect()
}

/// Every value of every row that is hashed, one at a time.
#[test]
fn no_value_can_be_changed_unseen() {
    let original = place();
    written(&original.path);
    let mut changed = 0;
    for (table, id, rows) in [
        ("observation", "accepted", 3),
        ("decision", "sequence", 3),
        ("chain", "entry", 6),
    ] {
        for column in columns(&original.path, table) {
            for row in 1..=rows {
                // A text differs in its last byte, a hash in all of them, a number by 100; nothing becomes something.
                let other = format!(
                    "CASE typeof({column}) WHEN 'text' THEN substr({column}, 1, length({column}) - 1) || '~'
                     WHEN 'blob' THEN zeroblob(32) ELSE coalesce({column}, 0) + 100 END"
                );
                let place = place();
                std::fs::copy(&original.path, &place.path).unwrap();
                let spoiler = Connection::open(&place.path).unwrap();
                spoiler.pragma_update(None, "foreign_keys", false).unwrap();
                let sql = format!("UPDATE {table} SET {column} = {other} WHERE {id} = {row}");
                match spoiler.execute(&sql, []) {
                    Err(refused) => assert_eq!(table, "chain", "{sql}: {refused}"),
                    Ok(rows) => {
                        assert_eq!(rows, 1, "{sql}");
                        drop(spoiler);
                        let found = verified(&place.path, None).unwrap_err();
                        assert!(found.contains("is not what was written"), "{sql}: {found}");
                        changed += 1;
                    }
                }
            }
        }
    }
    assert!(changed > 40, "{changed}");
}

#[test]
fn what_was_cut_off_or_rewritten_shows_by_a_head_that_was_kept() {
    let cut = "DELETE FROM chain WHERE entry > 4; DELETE FROM decision WHERE sequence > 2;
               DELETE FROM observation WHERE accepted > 2";
    assert_eq!(after(cut, false).unwrap().head.entries, 4);
    assert_eq!(
        after(cut, true).unwrap_err(),
        "journal.sqlite: the journal was cut off: it ends with entry 4, and once had 6"
    );

    let place = place();
    let head = written(&place.path);
    let spoiler = Connection::open(&place.path).unwrap();
    spoiler
        .execute_batch("UPDATE decision SET event = replace(event, 'no', 'a') WHERE sequence = 1; DROP TABLE chain; DROP TABLE snapshot")
        .unwrap();
    chain::chain_what_is_there(&spoiler).unwrap();
    drop(spoiler);
    assert_eq!(verified(&place.path, None).unwrap().head.entries, 6);
    let error = verified(&place.path, Some(&head)).unwrap_err();
    assert!(
        error.starts_with("journal.sqlite: the journal was rewritten, somewhere up to entry 6"),
        "{error}"
    );
    // A head from before is as good as the last one.
    let earlier = Head { entries: 0, ..head };
    let error = verified(&place.path, Some(&earlier)).unwrap_err();
    assert!(error.contains("rewritten"), "{error}");
}

#[test]
fn the_head_is_the_same_however_entries_are_grouped() {
    let heads = [1, 2, 6].map(|size| {
        let place = place();
        let mut journal = Journal::open(&place.path, &shop()).unwrap();
        let all = batches().concat();
        all.chunks(size)
            .for_each(|batch| journal.commit(batch).unwrap());
        let head = journal.head();
        drop(journal);
        let journal = Journal::open(&place.path, &shop()).unwrap();
        assert_eq!(journal.head(), head, "after opening it again");
        head
    });
    assert!(heads.iter().all(|head| *head == heads[0]), "{heads:?}");
}

#[test]
fn a_refused_batch_adds_nothing_to_the_chain() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1)]).unwrap();
    let head = journal.head();
    journal.commit(&[accept(2), accept(1)]).unwrap_err();
    assert_eq!(journal.head(), head);
    journal.commit(&[accept(2)]).unwrap();
    assert_eq!(verified(&place.path, None).unwrap().head, journal.head());
}

#[test]
fn what_is_no_hash_is_told_so() {
    for text in ["", "abc", &"g".repeat(64), &"é".repeat(32)] {
        let error = text.parse::<Hash>().unwrap_err().to_string();
        assert!(
            error.starts_with("a hash has 64 hexadecimal digits"),
            "{error}"
        );
    }
}
