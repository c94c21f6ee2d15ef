//! Journals of every earlier version, made by that version's own statements, are brought up to date.

use super::*;
use crate::edge::journal::chain;
use crate::edge::sqlite::Upgrade;

/// What an old journal holds: two observations, a refusal, a message that could not be read, and two phones.
const OLD_ROWS: &str = "
    INSERT INTO meta VALUES (1, 'shop', 'EUR');
    INSERT INTO versions VALUES (1, '0.0.1', 'h0', 'none');
    INSERT INTO outbox VALUES ('pi-1', 'box', 3);
    INSERT INTO quarantine VALUES ('pi-1', 'box', 2, 2);
    INSERT INTO device (id, key, revoked) VALUES ('lost', x'00', 1), ('phone', x'6b6579', 0);
";

/// A journal as stroll made it when `version` was the newest.
fn old_journal(path: &Path, version: usize) {
    let old = Connection::open(path).unwrap();
    old.execute_batch("PRAGMA foreign_keys = OFF; BEGIN")
        .unwrap();
    old.execute_batch(sql::FORMAT.schema).unwrap();
    for upgrade in &sql::FORMAT.upgrades[..version - 1] {
        match upgrade {
            Upgrade::Statements(statements) => old.execute_batch(statements).unwrap(),
            Upgrade::Code(code) => code(&old).unwrap(),
        }
    }
    old.execute_batch(OLD_ROWS).unwrap();
    for sequence in [1, 3] {
        let Output::Accept(stamped) = accept(sequence) else {
            unreachable!()
        };
        let payload = serde_json::to_string(&*stamped).unwrap();
        let at = stamped.observation.end().0;
        old.execute(
            "INSERT INTO observation VALUES (NULL, 'pi-1', 'box', ?1, ?2, ?2, ?3)",
            params![sequence as i64, at, payload],
        )
        .unwrap();
    }
    let Output::Decide(unread) = quarantine(2) else {
        unreachable!()
    };
    for decision in [refused(1), unread] {
        let event = serde_json::to_string(&decision).unwrap();
        old.execute("INSERT INTO decision VALUES (NULL, 1, ?1)", [event])
            .unwrap();
    }
    old.pragma_update(None, "application_id", sql::FORMAT.application_id)
        .unwrap();
    old.pragma_update(None, "user_version", version as i64)
        .unwrap();
    old.execute_batch("COMMIT; PRAGMA journal_mode = WAL")
        .unwrap();
}

#[test]
fn every_earlier_version_is_brought_up_to_date_and_chained() {
    let newest = usize::try_from(sql::FORMAT.version).unwrap();
    assert_eq!(
        sql::FORMAT.upgrades.len(),
        newest - 1,
        "a step from each version"
    );
    let mut heads = Vec::new();
    // A journal that is chained already has no way to be made by such statements.
    for version in 1..=2 {
        let place = place();
        old_journal(&place.path, version);
        let older = Archive::open(&place.path).unwrap_err().to_string();
        assert!(older.contains(&format!("version {version}")), "{older}");

        let mut journal = Journal::open(&place.path, &shop()).unwrap();
        let decisions: Vec<_> = (journal.decisions().unwrap())
            .into_iter()
            .map(|d| (d.versions.code.clone(), d.decision))
            .collect();
        let Output::Decide(unread) = quarantine(2) else {
            unreachable!()
        };
        let old = "0.0.1".to_owned();
        assert_eq!(decisions, [(old.clone(), refused(1)), (old, unread)]);
        assert_eq!(sequences(&journal), [1, 3]);
        assert_eq!(up_to(&journal), 3);
        let devices = journal.devices().unwrap();
        let phones: Vec<_> = devices
            .iter()
            .map(|d| (d.id.as_str(), d.role, d.revoked))
            .collect();
        assert_eq!(
            phones,
            [
                ("lost", Role::Shopper, true),
                ("phone", Role::Shopper, false)
            ]
        );
        assert_eq!(journal.head().entries, 4);
        heads.push(journal.head());

        journal
            .commit(&[accept(4), Output::Decide(refused(5))])
            .unwrap();
        let checked = Archive::open(&place.path).unwrap().verify(None).unwrap();
        assert_eq!(checked.head, journal.head());
        assert_eq!((checked.observations, checked.decisions), (3, 3));
        drop(journal);
        let again = Journal::open(&place.path, &shop()).unwrap();
        assert_eq!(again.head(), checked.head, "opened once more");
    }
    assert_eq!(
        heads[0], heads[1],
        "what is hashed is what the journal says"
    );
}

#[test]
fn an_old_journal_that_cannot_be_brought_up_to_date_stays_what_it_was() {
    let place = place();
    old_journal(&place.path, 1);
    let old = Connection::open(&place.path).unwrap();
    // The step to version 2 works; that to version 3 then meets bytes where a text should be.
    old.execute_batch("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '') WHERE name = 'observation'")
        .unwrap();
    drop(old);
    let old = Connection::open(&place.path).unwrap();
    old.execute_batch("UPDATE observation SET payload = x'ff' WHERE accepted = 2")
        .unwrap();
    drop(old);
    let error = Journal::open(&place.path, &shop()).unwrap_err().to_string();
    assert!(error.contains("bringing it up to date"), "{error}");
    let old = Connection::open(&place.path).unwrap();
    let version: i64 = old
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    let columns: i64 = old
        .query_row(
            "SELECT count(*) FROM pragma_table_info('device')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!((version, columns), (1, 3));
}

#[test]
fn staff_have_phones_since_version_2() {
    let place = place();
    old_journal(&place.path, 1);
    let phone = DeviceId::from("phone");
    let role = |journal: &Journal| journal.devices().unwrap()[1].role;
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    assert_eq!(role(&journal), Role::Shopper);
    assert!(journal.enrol_device(&phone, b"key", Role::Staff).unwrap());
    assert_eq!(role(&journal), Role::Staff);
    drop(journal);
    let mut journal = Journal::open(&place.path, &shop()).unwrap();
    assert_eq!(role(&journal), Role::Staff);
    assert!(journal.revoke_device(&phone).unwrap());
    assert!(!journal.enrol_device(&phone, b"key", Role::Shopper).unwrap());
}

#[test]
fn a_new_journal_begins_with_the_hash_of_its_store() {
    let place = place();
    let journal = Journal::open(&place.path, &shop()).unwrap();
    let beginning = chain::beginning("shop", "EUR");
    assert_eq!(
        journal.head(),
        Head {
            entries: 0,
            hash: beginning
        }
    );
    assert_ne!(beginning, chain::beginning("shopE", "UR"));
}
