//! Backups of a journal that is being written, and their way back.

use super::*;

fn backed_up(place: &Place, to: &str, force: bool) -> Result<Checked, JournalError> {
    let to = place.path.with_file_name(to);
    Archive::open(&place.path).and_then(|archive| archive.back_up(&to, force))
}

fn names(place: &Place) -> Vec<String> {
    let folder = place.path.parent().unwrap();
    let mut names: Vec<String> = (std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_the_journal_as_it_was_at_one_moment() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1)]).unwrap();
    journal
        .enrol_device(&"phone".into(), b"key", Role::Shopper)
        .unwrap();
    let before = journal.head();
    let archive = Archive::open(&place.path).unwrap();
    journal.commit(&[accept(2), quarantine(3)]).unwrap();
    let copy = place.path.with_file_name("copy.sqlite");
    let checked = archive.back_up(&copy, false).unwrap();
    drop(archive);
    assert_eq!(checked.head, before);

    let refused = backed_up(&place, "copy.sqlite", false).unwrap_err();
    assert!(matches!(refused, JournalError::Exists { .. }), "{refused}");
    assert_eq!(
        backed_up(&place, "copy.sqlite", true).unwrap().head,
        journal.head()
    );
    journal.close().unwrap();
    // No trace of a draft, a lock or a write-ahead log.
    assert_eq!(names(&place), ["copy.sqlite", "journal.sqlite"]);

    let copy = Journal::open(&copy, &shop()).unwrap();
    assert_eq!(sequences(&copy), [1, 2]);
    assert_eq!(up_to(&copy), 3);
    assert_eq!(copy.devices().unwrap().len(), 1);
}

#[test]
fn what_was_changed_is_not_backed_up() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1)]).unwrap();
    journal.close().unwrap();
    let spoiler = Connection::open(&place.path).unwrap();
    spoiler
        .execute("UPDATE observation SET end_us = 7", [])
        .unwrap();
    drop(spoiler);
    let error = backed_up(&place, "copy.sqlite", false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("journal.sqlite: entry 1 of"), "{error}");
    assert_eq!(names(&place), ["journal.sqlite"]);
}

#[test]
fn a_restored_journal_is_the_backup_and_the_other_is_kept() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1)]).unwrap();
    let backup = backed_up(&place, "copy.sqlite", false).unwrap();
    journal.commit(&[accept(2)]).unwrap();
    let copy = place.path.with_file_name("copy.sqlite");

    let error = Restoring::prepare(&copy, &place.path).unwrap_err();
    assert!(
        error.to_string().contains("has this journal open"),
        "{error}"
    );
    let lost = journal.head();
    // As a crash leaves it: with a write-ahead log.
    drop(journal);
    assert!(names(&place).contains(&"journal.sqlite-wal".to_owned()));

    let restoring = Restoring::prepare(&copy, &place.path).unwrap();
    let of = Replaced::Journal {
        head: lost,
        continues: true,
    };
    assert_eq!(restoring.replaced(), &of);
    let error = restoring.carry_out(false).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "journal.sqlite: the 1 entries of the backup of `shop` would take the place of 2: what the store has decided \
             in the 1 since would be in no journal it uses, and its nodes send again what they still have; `--force` \
             does it all the same"
        ),
        "{error}"
    );
    assert_eq!(Journal::open(&place.path, &shop()).unwrap().head(), lost);

    for number in 1..3 {
        let restoring = Restoring::prepare(&copy, &place.path).unwrap();
        let kept = restoring.carry_out(true).unwrap().unwrap();
        assert!(kept.ends_with(format!("journal.sqlite.replaced-{number}")));
        let mut journal = Journal::open(&place.path, &shop()).unwrap();
        assert_eq!(journal.head(), backup.head);
        let kept = Archive::open(&kept).unwrap().verify(None).unwrap();
        assert_eq!(kept.head, lost);
        // The nodes send again what they have.
        journal.commit(&[accept(2)]).unwrap();
        assert_eq!(journal.head(), lost);
    }
}

#[test]
fn a_journal_that_cannot_be_read_is_replaced_with_all_its_files() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1)]).unwrap();
    let backup = backed_up(&place, "copy.sqlite", false).unwrap();
    drop(journal);
    std::fs::write(&place.path, b"not a database at all").unwrap();

    let copy = place.path.with_file_name("copy.sqlite");
    let restoring = Restoring::prepare(&copy, &place.path).unwrap();
    assert!(
        matches!(restoring.replaced(), Replaced::Unreadable { .. }),
        "{restoring:?}"
    );
    assert!(restoring.told().contains("this file is no journal"));
    let kept = restoring.carry_out(true).unwrap().unwrap();
    assert_eq!(std::fs::read(&kept).unwrap(), b"not a database at all");
    assert_eq!(
        Journal::open(&place.path, &shop()).unwrap().head(),
        backup.head
    );
    assert!(
        names(&place).contains(&"journal.sqlite.replaced-1-wal".to_owned()),
        "{:?}",
        names(&place)
    );
}

#[test]
fn a_backup_becomes_the_journal_where_there_is_none_and_never_that_of_another_store() {
    let place = place();
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    journal.commit(&[accept(1)]).unwrap();
    let head = journal.head();
    journal.close().unwrap();
    let new = place.path.with_file_name("new.sqlite");
    let restoring = Restoring::prepare(&place.path, &new).unwrap();
    assert_eq!(
        restoring.told(),
        "the 1 entries of the backup of `shop` become the journal"
    );
    assert_eq!(restoring.carry_out(false).unwrap(), None);
    assert_eq!(Journal::open(&new, &shop()).unwrap().head(), head);

    let other = place.path.with_file_name("other.sqlite");
    drop(Journal::open(&other, &definition("other", "EUR", "h")).unwrap());
    let error = Restoring::prepare(&place.path, &other).unwrap_err();
    assert!(matches!(error, JournalError::OtherStore { .. }), "{error}");
    assert!(Archive::open(&place.path.with_file_name("none")).is_err());
}
