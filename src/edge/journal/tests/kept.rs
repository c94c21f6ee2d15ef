//! The folded state that is kept beside the entries.

use super::*;

/// A journal with a state kept after its second entry, and a third one.
fn kept(path: &Path) -> Journal {
    let mut journal = Journal::open(path, &shop()).unwrap();
    journal
        .commit(&[accept(1), Output::Decide(refused(1))])
        .unwrap();
    journal.keep_snapshot(b"the state").unwrap();
    journal.commit(&[accept(2)]).unwrap();
    journal
}

fn state_of(journal: &mut Journal) -> Option<(u64, Vec<u8>)> {
    let kept = journal.snapshot().unwrap();
    kept.map(|kept| (kept.entry, kept.state))
}

#[test]
fn the_last_state_is_there_after_opening_again_with_what_came_since() {
    let place = place();
    let mut journal = kept(&place.path);
    journal.keep_snapshot(b"a newer state").unwrap();
    journal
        .commit(&[Output::Decide(refused(3)), accept(3)])
        .unwrap();
    drop(journal);
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    let expected = Kept {
        entry: 3,
        accepted: 2,
        decided: 1,
        state: b"a newer state".to_vec(),
    };
    assert_eq!(journal.snapshot().unwrap(), Some(expected));
    let since: Vec<_> = (journal.decisions_after(1).unwrap().into_iter())
        .map(|d| (d.sequence, d.decision))
        .collect();
    assert_eq!(since, [(2, refused(3))]);
    let since: Vec<_> = (journal.observations_after(2))
        .map(|o| o.unwrap().stamp.sequence)
        .collect();
    assert_eq!(since, [3]);
    assert_eq!(journal.observation(&stamp(2)).unwrap().stamp, stamp(2));
    assert!(journal.observation(&stamp(9)).is_err());
    let rows: i64 = (journal.connection)
        .query_row("SELECT count(*) FROM snapshot", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1, "only the last is kept");
}

#[test]
fn a_snapshot_is_due_after_so_many_entries() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.keep_snapshots_every(3);
    let mut due = Vec::new();
    for sequence in 1..=8 {
        journal.commit(&[accept(sequence)]).unwrap();
        if journal.snapshot_due() {
            journal.keep_snapshot(b"").unwrap();
            due.push(sequence);
        }
    }
    assert_eq!(due, [3, 6]);
    drop(journal);
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.keep_snapshots_every(3);
    assert_eq!(state_of(&mut journal), Some((6, Vec::new())));
    assert!(!journal.snapshot_due());
}

#[test]
fn what_this_program_did_not_keep_for_this_journal_is_passed_over() {
    for spoil in [
        "UPDATE snapshot SET state = 'another'",
        "UPDATE snapshot SET accepted = 0",
        "UPDATE snapshot SET decided = 0",
        "UPDATE snapshot SET entry = 1",
        "UPDATE snapshot SET entry = 4",
        "UPDATE snapshot SET form = form + 1",
        "UPDATE versions SET code = '0.0.0'",
        "UPDATE versions SET definition = 'another'",
        "UPDATE chain SET hash = zeroblob(32) WHERE entry = 2",
    ] {
        let place = place();
        kept(&place.path).close().unwrap();
        let spoiler = Connection::open(&place.path).unwrap();
        let cast = spoil.replace("'another'", "CAST('another' AS BLOB)");
        let spoil = if spoil.contains("state") {
            &cast
        } else {
            spoil
        };
        spoiler.execute_batch(spoil).unwrap();
        drop(spoiler);
        let mut journal = Journal::open(&place.path, &shop()).unwrap();
        assert_eq!(state_of(&mut journal), None, "{spoil}");
        // Another one takes its place.
        journal.keep_snapshot(b"a newer state").unwrap();
        assert_eq!(
            state_of(&mut journal),
            Some((3, b"a newer state".to_vec())),
            "{spoil}"
        );
    }
    let place = place();
    drop(kept(&place.path));
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    assert_eq!(state_of(&mut journal), Some((2, b"the state".to_vec())));
}

#[test]
fn a_changed_snapshot_is_found() {
    let place = place();
    kept(&place.path).close().unwrap();
    assert!(Archive::open(&place.path).unwrap().verify(None).is_ok());
    let spoiler = Connection::open(&place.path).unwrap();
    spoiler
        .execute_batch("UPDATE snapshot SET state = CAST('another' AS BLOB)")
        .unwrap();
    drop(spoiler);
    let error = Archive::open(&place.path)
        .unwrap()
        .verify(None)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with(
            "table snapshot does not follow from them: the state at entry 2 is not what was kept"
        ),
        "{error}"
    );
}
