//! A disk without room, by SQLite's own limit: it answers as it does where the disk is full.

use super::*;

fn pages_max(journal: &Journal, max: i64) {
    let sql = format!("PRAGMA max_page_count = {max}");
    let set = journal.connection.query_row(&sql, [], |_| Ok(()));
    set.unwrap();
}

#[test]
fn a_commit_that_finds_no_room_leaves_nothing_and_is_made_again_later() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1)]).unwrap();
    pages_max(&journal, 1);
    let head = journal.head();
    let large: Vec<Output> = (2..500).map(accept).collect();
    for _ in 0..3 {
        let error = journal.commit(&large).unwrap_err();
        assert!(error.is_full(), "{error}");
        assert!(error.to_string().contains("is full"), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert_eq!(journal.head(), head);
        assert!(!journal.knows(&stamp(2)));
    }
    pages_max(&journal, 1_000_000);
    journal.commit(&large).unwrap();
    let head = journal.head();
    assert_eq!(head.entries, 499);
    drop(journal);
    let checked = Archive::open(&place.path).unwrap().verify(None).unwrap();
    assert_eq!(checked.head, head);
}
