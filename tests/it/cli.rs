//! What the commands say of what they cannot use: one sentence, and the exit code 1; 2 is for wrong usage.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use stroll::checkout::Decision;
use stroll::coordinator::Output;
use stroll::edge::journal::Journal;
use stroll::store::definition::NANOSTORE;
use stroll::units::Timestamp;

use crate::corner;
use crate::program::{arg, replayed, stroll, text};
use crate::recording::folder::{Folder, shared};

/// A folder of the tests with what the commands are given.
struct Bad {
    folder: tempfile::TempDir,
}

impl Bad {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Bad { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("the test's own folder can be written");
    }

    /// A simulated recording of the corner shop.
    fn recording(&self) {
        self.write("corner.toml", &corner::gated());
        let (store, recording) = (self.path("corner.toml"), self.path("day.mcap"));
        let args = [
            "simulate",
            "--store",
            arg(&store),
            "--shoppers",
            "1",
            "-o",
            arg(&recording),
        ];
        assert!(stroll(&args).status.success());
    }

    /// Runs the command; `DIR` stands for the folder. Its exit code and what it says.
    fn run(&self, command: &str) -> (Option<i32>, String) {
        let dir = arg(self.folder.path());
        let words: Vec<String> = command.split(' ').map(|w| w.replace("DIR", dir)).collect();
        let output = stroll(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let said = text(&output.stderr).replace(dir, "DIR");
        (output.status.code(), said)
    }

    /// Runs the commands and compares each sentence.
    #[track_caller]
    fn fails(&self, table: &[(&str, &str)]) {
        let mut wrong = Vec::new();
        for (command, sentence) in table {
            let expected = (Some(1), format!("stroll: {sentence}\n"));
            let found = self.run(command);
            if found != expected {
                wrong.push(format!(
                    "{command}\n  expected {expected:?}\n  found    {found:?}"
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn recordings_that_cannot_be_played() {
    let bad = Bad::new();
    std::fs::create_dir(bad.path("empty")).expect("made");
    bad.write("text.mcap", "no recording at all");
    bad.fails(&[
        (
            "replay DIR/none",
            "DIR/none: there is no such file or folder; give a competition folder or an .mcap recording",
        ),
        (
            "replay DIR/empty",
            "DIR/empty: the folder has no products.json, so it is no competition recording; it takes plate_data.json, full_targets.json, planogram.json and products.json",
        ),
        (
            "replay DIR/text.mcap",
            "DIR/text.mcap, byte 0: the file does not begin as an MCAP file; `--partial` gives what was whole before it",
        ),
        (
            "evaluate DIR/none",
            "DIR/none cannot be read as a folder: No such file or directory (os error 2)",
        ),
        (
            "evaluate DIR/empty",
            "DIR/empty holds no case: expected folders with truth.json, or .mcap recordings made by `stroll simulate`",
        ),
    ]);
}

#[test]
fn folders_that_are_damaged() {
    type Spoiled = (fn(&Folder), &'static str);
    let table: &[Spoiled] = &[
        (
            |f| f.cut("plate_data.json", 9, 100),
            "DIR/plate_data.json, line 9, byte {9+100}: the line is cut off; `--partial` gives what was whole before it",
        ),
        (
            |f| f.replace("plate_data.json", 5, "[12, 3, 4]", "[12, 3, 5]"),
            "DIR/plate_data.json, line 5, byte {5+0}: shape [12, 3, 5] takes 720 bytes of samples, but 576 are there; `--partial` gives what was whole before it",
        ),
        (
            |f| f.replace("planogram.json", 2, "0120850", "0999999"),
            "DIR/planogram.json, line 2: the planogram has product 0999999, which products.json does not know; add it there or correct the code",
        ),
    ];
    for (spoil, sentence) in table {
        let folder = Folder::new();
        spoil(&folder);
        let output = stroll(&["replay", arg(folder.path())]);
        let said = text(&output.stderr).replace(arg(folder.path()), "DIR");
        let expected = format!("stroll: {}\n", folder.fill_in_offset(sentence));
        assert_eq!((output.status.code(), said), (Some(1), expected));
    }
}

#[test]
fn what_is_whole_of_a_damaged_folder_is_played_when_asked() {
    let folder = Folder::new();
    folder.cut("plate_data.json", 9, 100);
    let output = stroll(&["replay", "--partial", arg(folder.path())]);
    assert!(output.status.success());
    let said = text(&output.stderr).replace(arg(folder.path()), "DIR");
    let place = folder.fill_in_offset("DIR/plate_data.json, line 9, byte {9+100}");
    let damage = format!("stroll: played only what is whole: {place}: the line is cut off\n");
    assert!(said.ends_with(&damage), "{said}");
    assert!(text(&output.stdout).ends_with("left without taking anything\n"));
}

/// A plate from which nothing is taken in `benchmark-1` gives nothing at all, and every other one now and then.
#[test]
fn plates_that_give_no_number_now_and_then_charge_the_same() {
    let Some(shared) = shared() else { return };
    let original = shared.join("nanostore/benchmark-1");
    let folder = tempfile::tempdir().expect("a folder");
    for name in [
        "full_targets.json",
        "planogram.json",
        "products.json",
        "truth.json",
    ] {
        std::fs::copy(original.join(name), folder.path().join(name)).expect("copied");
    }
    let lines = std::fs::read_to_string(original.join("plate_data.json")).expect("read");
    let spoilt: Vec<String> = lines
        .lines()
        .enumerate()
        .map(|(i, l)| with_holes(i, l))
        .collect();
    std::fs::write(folder.path().join("plate_data.json"), spoilt.join("\n")).expect("written");
    assert_eq!(replayed(&[arg(folder.path())]), replayed(&[arg(&original)]));
}

/// A line of plate data in which every 37th value, and one plate altogether, is not a number.
fn with_holes(index: usize, line: &str) -> String {
    let mut line: Value = serde_json::from_str(line).expect("JSON");
    let values = &mut line["document"]["plate_data"]["values"];
    let columns = values["shape"][2].as_u64().expect("a shape") as usize;
    let mut data = STANDARD
        .decode(values["data"].as_str().expect("samples"))
        .expect("base64");
    for (number, sample) in data.chunks_exact_mut(4).enumerate() {
        if (index + number).is_multiple_of(37) || number % columns == 3 {
            sample.copy_from_slice(&f32::NAN.to_le_bytes());
        }
    }
    values["data"] = Value::String(STANDARD.encode(data));
    line.to_string()
}

#[test]
fn brokers_that_are_not_there() {
    let bad = Bad::new();
    bad.recording();
    // Nobody may listen on port 1 but root, and root does not.
    let store = "--store DIR/corner.toml --broker mqtt://127.0.0.1:1";
    let unreachable = |seconds| {
        format!(
            "broker mqtt://127.0.0.1:1 cannot be reached: connection refused (tried for {seconds} s); start it or choose another with --broker"
        )
    };
    let commands = [
        (
            "replay DIR/day.mcap --broker mqtt://127.0.0.1:1".to_owned(),
            2,
        ),
        (
            format!("coordinator {store} --journal DIR/j.sqlite --listen 127.0.0.1:0"),
            10,
        ),
        (
            format!("node {store} --name gate --outbox DIR/o.sqlite --from DIR/day.mcap"),
            10,
        ),
    ];
    std::thread::scope(|scope| {
        for (command, seconds) in &commands {
            let (bad, sentence) = (&bad, unreachable(*seconds));
            scope.spawn(move || bad.fails(&[(command, &sentence)]));
        }
    });
}

#[test]
fn ports_that_are_taken() {
    let bad = Bad::new();
    bad.write("corner.toml", &corner::gated());
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken = holder.local_addr().expect("it has one");
    let coordinator = "coordinator --store DIR/corner.toml --journal DIR/j.sqlite";
    let free = "127.0.0.1:0";
    let other = |option: &str| {
        format!("port {taken} is in use: stop the other program or choose another with {option}")
    };
    for (command, option) in [
        (format!("demo --listen {taken}"), "--listen"),
        (
            format!("demo --listen {free} --mqtt-listen {taken}"),
            "--mqtt-listen",
        ),
        (format!("{coordinator} --listen {taken}"), "--listen"),
        (
            format!("{coordinator} --listen {free} --mqtt-listen {taken}"),
            "--mqtt-listen",
        ),
    ] {
        bad.fails(&[(&command, &other(option))]);
    }
}

#[test]
fn journals_that_cannot_be_used() {
    let bad = Bad::new();
    bad.recording();
    bad.write("text.sqlite", &"no journal at all ".repeat(100));
    journal(&bad.path("other.sqlite"), NANOSTORE);
    journal(&bad.path("damaged.sqlite"), &corner::gated());
    let mut bytes = std::fs::read(bad.path("damaged.sqlite")).expect("read");
    // Every page but the first, which tells what kind of file it is.
    bytes.iter_mut().skip(4_096).for_each(|byte| *byte ^= 0xa5);
    std::fs::write(bad.path("damaged.sqlite"), bytes).expect("written");

    let coordinator =
        "coordinator --store DIR/corner.toml --mqtt-listen 127.0.0.1:0 --listen 127.0.0.1:0";
    for command in ["replay DIR/day.mcap", coordinator] {
        let with = |journal: &str| format!("{command} --journal DIR/{journal}");
        bad.fails(&[
            (
                &with("none/journal.sqlite"),
                "DIR/none/journal.sqlite: cannot create the journal: No such file or directory (os error 2)",
            ),
            (
                &with("text.sqlite"),
                "DIR/text.sqlite: this file is no journal of stroll; name another file",
            ),
            (
                &with("other.sqlite"),
                "DIR/other.sqlite: the journal of store `nanostore`, and this is store `corner`; name another file",
            ),
            (
                &with("damaged.sqlite"),
                "DIR/damaged.sqlite: the journal is damaged (reading table meta: database disk image is malformed); restore it from a copy",
            ),
        ]);
    }

    let definition = corner::definition(&corner::gated());
    let _held = Journal::open(&bad.path("held.sqlite"), &definition).expect("made");
    bad.fails(&[(
        "replay DIR/day.mcap --journal DIR/held.sqlite",
        "DIR/held.sqlite: another running stroll has this journal open; stop it first, or name another file",
    )]);
}

/// A closed journal with a little in it.
fn journal(path: &Path, toml: &str) {
    let mut journal = Journal::open(path, &corner::definition(toml)).expect("made");
    let decision = Decision::FrontierAdvanced { to: Timestamp(1) };
    journal
        .commit(&[Output::Decide(decision)])
        .expect("written");
    journal.close().expect("closed");
}

#[test]
fn nodes_and_outboxes_that_do_not_belong_together() {
    let bad = Bad::new();
    bad.recording();
    bad.write("nanostore.toml", NANOSTORE);
    let other = [
        "simulate",
        "--store",
        "DIR/corner.toml",
        "--seed",
        "9",
        "-o",
        "DIR/other.mcap",
    ];
    assert_eq!(bad.run(&other.join(" ")).0, Some(0));
    let node = "node --store DIR/corner.toml --broker mqtt://127.0.0.1:1 --outbox DIR/o.sqlite";
    let with = |rest: &str| format!("{node} {rest}");
    // The broker is only asked when all else is well: this leaves an outbox named after the recording.
    let (code, said) = bad.run(&with("--name gate --from DIR/day.mcap"));
    assert!(
        code == Some(1) && said.contains("connection refused"),
        "{said}"
    );
    bad.fails(&[
        (
            &with("--name porch --from DIR/day.mcap"),
            "store corner has no node porch; its nodes are ceiling, gate, shelf",
        ),
        (
            &with("--name gate --from DIR/other.mcap"),
            "DIR/o.sqlite: this outbox is not that of DIR/other.mcap; deliver what it holds with --deliver-only, and play into a new file",
        ),
        (
            &with("--name ceiling --from DIR/day.mcap"),
            "the outbox DIR/o.sqlite belongs to node `gate`, not to `ceiling`: each node takes its own file",
        ),
        (
            &with("--name gate --deliver-only").replace("o.sqlite", "none.sqlite"),
            "DIR/none.sqlite: there is no such outbox to deliver from",
        ),
        (
            &with("--name gate --from DIR/none.mcap"),
            "DIR/none.mcap: there is no such file or folder; give a competition folder or an .mcap recording",
        ),
    ]);
}

#[test]
fn a_store_with_an_unknown_field_is_shown_with_the_line() {
    let bad = Bad::new();
    bad.write(
        "bad.toml",
        &corner::gated().replace("price_minor = 89", "pricee = 89"),
    );
    for command in [
        "demo --store DIR/bad.toml",
        "coordinator --store DIR/bad.toml --journal DIR/j.sqlite",
        "node --store DIR/bad.toml --name gate --broker mqtt://127.0.0.1:1 --outbox DIR/o.sqlite --deliver-only",
        "simulate --store DIR/bad.toml -o DIR/day.mcap",
        "replay --store DIR/bad.toml DIR/day.mcap",
    ] {
        let (code, said) = bad.run(command);
        assert_eq!(code, Some(1), "{command}: {said}");
        assert!(
            said.starts_with("stroll: DIR/bad.toml:"),
            "{command}: {said}"
        );
        assert!(said.contains("unknown field `pricee`"), "{command}: {said}");
        assert!(said.contains("pricee = 89"), "{command}: {said}");
    }
}

#[test]
fn wrong_usage_is_told_with_2() {
    let bad = Bad::new();
    let node = "node --store s --name n --broker mqtt://b --outbox o";
    for (command, what) in [
        ("replay", "<RECORDING>..."),
        ("evaluate", "<DIR>..."),
        (
            "evaluate d --confidence 2",
            "invalid value '2' for '--confidence <X>': a probability from 0 to 1",
        ),
        (
            "evaluate d --confidence 0.5 --curve c.svg",
            "cannot be used with",
        ),
        (
            "demo --speed fast",
            "invalid value 'fast' for '--speed <X>': a number from 0.1 to 100",
        ),
        (
            "demo --speed 0",
            "invalid value '0' for '--speed <X>': a number from 0.1 to 100",
        ),
        (
            "demo --speed NaN",
            "invalid value 'NaN' for '--speed <X>': a number from 0.1 to 100",
        ),
        ("demo --shoppers 0", "0 is not in 1..=1000"),
        (
            "demo --listen 8080",
            "invalid value '8080' for '--listen <IP:PORT>'",
        ),
        (
            "replay r --broker 127.0.0.1:1",
            "starts with mqtt:// or mqtts://, such as mqtt://127.0.0.1:1883",
        ),
        ("coordinator --store s", "--journal <FILE>"),
        (
            "coordinator --store s --journal j --broker mqtt://b --mqtt-listen 127.0.0.1:1",
            "cannot be used with",
        ),
        (node, "--from <RECORDING>"),
        (
            &format!("{node} --from r --speed 1e9"),
            "a number from 0.1 to 100",
        ),
        (
            &format!("{node} --from r --speed 2 --as-fast-as-possible"),
            "cannot be used with",
        ),
        (
            &format!("{node} --from r --deliver-only"),
            "cannot be used with",
        ),
        ("open-sesame", "unrecognized subcommand 'open-sesame'"),
    ] {
        let (code, said) = bad.run(command);
        assert_eq!(code, Some(2), "{command}: {said}");
        assert!(said.contains(what), "{command}: {said}");
    }
}

#[test]
fn a_newcomer_is_helped() {
    let alone = stroll(&[]);
    assert_eq!(alone.status.code(), Some(2));
    let said = text(&alone.stderr);
    for word in [
        "Usage: stroll <COMMAND>",
        "demo",
        "replay",
        "An open, checkout-free store",
    ] {
        assert!(said.contains(word), "{said}");
    }
    for (command, arguments) in [
        (
            "demo",
            "--seed --once --shoppers --speed --store --keep --mqtt-listen --listen --allow-host",
        ),
        (
            "replay",
            "<RECORDING>... --store --partial --journal --broker --events --json",
        ),
        (
            "evaluate",
            "<DIR>... --receipts --brief --confusion --curve --confidence",
        ),
        ("simulate", "--output --seed --shoppers --store --force"),
        ("import nanostore", "<DIR> --output"),
        ("config check", "<FILE>"),
        (
            "coordinator",
            "--store --journal --broker --mqtt-listen --enrol --listen --allow-host",
        ),
        (
            "node",
            "--store --name --broker --outbox --from --speed --as-fast-as-possible --once --deliver-only",
        ),
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let output = stroll(&words);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let help = text(&output.stdout);
        for argument in arguments.split(' ') {
            assert!(help.contains(argument), "{command} {argument}: {help}");
        }
    }
    let version = stroll(&["--version"]);
    assert_eq!(
        text(&version.stdout),
        concat!("stroll ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
