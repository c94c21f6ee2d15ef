//! `stroll journal`, as an operator uses it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use stroll::checkout::Decision;
use stroll::checkout::session::Role;

use super::{decisions, observations, write_journal};
use crate::corner;
use crate::program::{Program, arg, stroll, text};

/// A folder with a journal of one visit.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        let shop = Shop {
            folder: tempfile::tempdir().unwrap(),
        };
        write_journal(&shop.path("journal.sqlite"));
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `stroll journal`, `DIR` being the folder; gives the exit code, and what was printed and said.
    fn run(&self, command: &str) -> (Option<i32>, String, String) {
        let folder = arg(self.folder.path()).to_owned();
        let args: Vec<String> = (command.split(' '))
            .map(|word| word.replace("DIR", &folder))
            .collect();
        let mut all = vec!["journal"];
        all.extend(args.iter().map(String::as_str));
        let output = stroll(&all);
        let plain = |bytes| text(bytes).replace(&folder, "DIR");
        (
            output.status.code(),
            plain(&output.stdout),
            plain(&output.stderr),
        )
    }

    #[track_caller]
    fn printed(&self, command: &str) -> String {
        let (code, printed, said) = self.run(command);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{command}");
        printed
    }

    #[track_caller]
    fn fails(&self, command: &str, why: &str) {
        let (code, printed, said) = self.run(command);
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{command}: {said}");
        let why = format!("stroll: {why}");
        assert!(said.starts_with(&why), "{command}\n{said}\n{why}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }

    fn spoil(&self, journal: &str, sql: &str) {
        let spoiler = rusqlite::Connection::open(self.path(journal)).unwrap();
        spoiler.execute_batch(sql).unwrap();
    }

    /// Entries and head, as `verify` tells them.
    fn head(&self, journal: &str) -> (u64, String) {
        let told = self.printed(&format!("verify DIR/{journal} --json"));
        let told: Value = serde_json::from_str(&told).unwrap();
        let hash = told["head"]["hash"].as_str().unwrap().to_owned();
        (told["head"]["entries"].as_u64().unwrap(), hash)
    }
}

/// Every decision of the fixture has the name that it is written under.
#[test]
fn decisions_are_named_as_they_are_written() {
    for decision in decisions(Role::Staff) {
        let written = serde_json::to_value(&decision).unwrap();
        assert_eq!(written["decision"], decision.name());
        assert!(Decision::NAMES.contains(&decision.name()));
    }
}

#[test]
fn verify_names_what_was_changed_and_fails() {
    let shop = Shop::new();
    let (entries, hash) = shop.head("journal.sqlite");
    let (o, d) = (observations().len(), decisions(Role::Staff).len());
    assert_eq!(entries, (o + d) as u64);
    assert_eq!(
        shop.printed("verify DIR/journal.sqlite"),
        format!(
            "DIR/journal.sqlite is what was written: {entries} entries of `fixture` ({o} observations, {d} decisions)\n\
             head {hash}\n\
             Kept elsewhere, `--entries {entries} --head {hash}` shows later whether it was cut off or rewritten.\n"
        )
    );
    let kept = format!("verify DIR/journal.sqlite --entries {entries} --head {hash}");
    assert_eq!(shop.printed(&kept).lines().count(), 2);

    let cut = format!(
        "DELETE FROM chain WHERE entry = {entries}; DELETE FROM decision WHERE sequence = {d}"
    );
    shop.spoil("journal.sqlite", &cut);
    assert_eq!(shop.head("journal.sqlite").0, entries - 1);
    shop.fails(
        &kept,
        &format!(
            "DIR/journal.sqlite: the journal was cut off: it ends with entry {}, and once had {entries}",
            entries - 1
        ),
    );
    shop.spoil(
        "journal.sqlite",
        "UPDATE decision SET event = replace(event, 'operator', 'somebody')",
    );
    shop.fails(
        "verify DIR/journal.sqlite",
        "DIR/journal.sqlite: entry 16 of 2020-09-13T12:27:00.000Z is not what was written: decision 11 was changed: it hashes to ",
    );
    shop.fails(
        "verify DIR/none.sqlite",
        "DIR/none.sqlite: there is no such file; name a journal of stroll",
    );
    let (code, _, said) = shop.run("verify DIR/journal.sqlite --head abc --entries 1");
    assert_eq!(code, Some(2));
    assert!(
        said.contains("a hash has 64 hexadecimal digits, and `abc` is something else"),
        "{said}"
    );
    assert_eq!(
        shop.run(&format!("verify DIR/journal.sqlite --head {hash}"))
            .0,
        Some(2)
    );
}

#[test]
fn a_journal_of_an_older_version_is_for_the_store_to_bring_up_to_date() {
    let shop = Shop::new();
    std::fs::copy(super::fixture("journal-v2.sqlite"), shop.path("old.sqlite")).unwrap();
    shop.fails(
        "verify DIR/old.sqlite",
        "DIR/old.sqlite: made by an older stroll (journal version 2, and this one reads 3); the store that opens it next brings it up to date",
    );
}

#[test]
fn show_has_what_is_asked_for() {
    let shop = Shop::new();
    let all = shop.printed("show DIR/journal.sqlite");
    assert_eq!(
        all.lines().count(),
        observations().len() + decisions(Role::Staff).len()
    );
    assert_eq!(
        all.lines().next(),
        Some(
            "       1  2020-09-13T12:26:40.000Z  gate               gondola-1/7f3a/1  code=STROLL1.phone.53333333.00  event=code_shown"
        )
    );
    for (filter, expected) in [
        ("--kind shelf,body", &["body", "shelf"][..]),
        (
            "--kind observation",
            &["gate", "gate", "body", "shelf", "gate"],
        ),
        ("--kind receipt_issued", &["receipt_issued"]),
        (
            "--session s1 --from 2020-09-13T12:27:09Z --to 2020-09-13T12:27:10Z",
            &["session_exited", "cart_drafted", "lines_dropped"],
        ),
        ("--session s1 --kind observation", &[]),
        ("--session nobody", &[]),
        ("--after 22", &["payment_decided", "receipt_issued"]),
    ] {
        let shown = shop.printed(&format!("show DIR/journal.sqlite {filter}"));
        let kinds: Vec<&str> = (shown.lines())
            .filter_map(|line| line.split_whitespace().nth(2))
            .collect();
        assert_eq!(kinds, expected, "{filter}\n{all}");
    }
    for (filter, why) in [
        (
            "--kind gates",
            "there are the kinds decision, observation, shelf,",
        ),
        ("--from noon", "write a time with its zone"),
    ] {
        let (code, _, said) = shop.run(&format!("show DIR/journal.sqlite {filter}"));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn an_export_has_every_entry_with_its_hash() {
    let shop = Shop::new();
    let (entries, hash) = shop.head("journal.sqlite");
    let exported = shop.printed("export DIR/journal.sqlite");
    let lines: Vec<Value> = (exported.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len() as u64, entries);
    assert_eq!(lines.last().unwrap()["hash"], hash.as_str());
    let decided: Vec<Decision> = (lines.iter())
        .filter(|line| line.get("decision").is_some())
        .map(|line| serde_json::from_value(line["decision"].clone()).unwrap())
        .collect();
    assert_eq!(decided, decisions(Role::Staff));
    assert!(!exported.contains("not a secret"));
    assert_eq!(
        shop.printed("show DIR/journal.sqlite --json"),
        exported,
        "show says it in the same words"
    );

    let file = "export DIR/journal.sqlite --after 20 -o DIR/export.jsonl";
    assert_eq!(
        shop.printed(file),
        format!("DIR/export.jsonl holds {} entries\n", entries - 20)
    );
    let rest = std::fs::read_to_string(shop.path("export.jsonl")).unwrap();
    assert!(exported.ends_with(&rest) && rest.lines().count() as u64 == entries - 20);
    shop.fails(
        file,
        "DIR/export.jsonl exists already; `--force` overwrites it",
    );
    shop.printed(&format!("{file} --force"));
}

#[test]
fn a_backup_is_restored_only_by_force_and_nothing_is_thrown_away() {
    let shop = Shop::new();
    let (entries, hash) = shop.head("journal.sqlite");
    let backup = "backup DIR/journal.sqlite -o DIR/copy.sqlite";
    let printed = shop.printed(backup);
    assert!(
        printed.starts_with(&format!(
            "DIR/copy.sqlite holds {entries} entries of `fixture`"
        )) && printed.ends_with(&format!("verified\nhead {hash}\n")),
        "{printed}"
    );
    shop.fails(
        backup,
        "DIR/copy.sqlite: there is a file of that name already; `--force` overwrites it",
    );
    assert_eq!(shop.head("copy.sqlite"), (entries, hash.clone()));

    let restore = "restore DIR/copy.sqlite --journal DIR/journal.sqlite";
    shop.fails(
        restore,
        &format!(
            "DIR/journal.sqlite: the {entries} entries of the backup of `fixture` would take the place of {entries}: "
        ),
    );
    shop.spoil(
        "journal.sqlite",
        "UPDATE decision SET event = replace(event, 'operator', 'somebody')",
    );
    assert_eq!(
        shop.printed(&format!("{restore} --force")),
        format!(
            "DIR/journal.sqlite is the backup now; what was there is kept as DIR/journal.sqlite.replaced-1\n{entries} entries, head {hash}\n"
        )
    );
    assert_eq!(shop.head("journal.sqlite"), (entries, hash));
    shop.fails(
        "verify DIR/journal.sqlite.replaced-1",
        "DIR/journal.sqlite.replaced-1: entry 16 of",
    );
    shop.fails(
        "restore DIR/journal.sqlite.replaced-1 --journal DIR/new.sqlite",
        "DIR/journal.sqlite.replaced-1: entry 16 of",
    );
    assert!(!shop.path("new.sqlite").exists());
}

/// A store that is open goes on while its journal is looked at and copied, and nobody can take it away.
#[test]
fn an_open_store_is_looked_at_and_backed_up() {
    let shop = Shop::new();
    std::fs::write(shop.path("corner.toml"), corner::gated()).unwrap();
    let live = shop.path("live.sqlite");
    let coordinator = |journal: &Path| {
        let store = shop.path("corner.toml");
        let store = arg(&store).to_owned();
        let mut program = Program::start(&[
            "coordinator",
            "--store",
            &store,
            "--journal",
            arg(journal),
            "--mqtt-listen",
            "127.0.0.1:0",
            "--listen",
            "127.0.0.1:0",
        ]);
        program.console();
        assert!(program.is_running());
        program
    };
    let open = coordinator(&live);
    let (entries, hash) = shop.head("live.sqlite");
    assert_eq!(shop.printed("show DIR/live.sqlite"), "");
    shop.printed("backup DIR/live.sqlite -o DIR/copy.sqlite");
    assert_eq!(shop.head("copy.sqlite"), (entries, hash));
    shop.fails(
        "restore DIR/copy.sqlite --journal DIR/live.sqlite --force",
        "DIR/live.sqlite: another running stroll has this journal open; stop it first, or name another file",
    );
    // A crash leaves the lock's file behind, which keeps nobody out.
    open.kill();
    assert!(shop.path("live.sqlite.lock").exists());
    shop.head("live.sqlite");
    let again = coordinator(&live);
    again.terminate();
    again.ends_well();
    assert!(!shop.path("live.sqlite.lock").exists());
}
