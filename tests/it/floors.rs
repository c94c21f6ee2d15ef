//! Figures that must not get worse: `tests/floors.toml` says how bad each may be, and these tests measure.
//!
//! Accuracy is measured on trips that `generate.py`, which comes with the NanoStore's recording, re-creates.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::recording::folder::shared;

/// `tests/floors.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    pub scripted: Accuracy,
    pub random: Accuracy,
    pub vision: Vision,
    pub console: Console,
    /// Measured by `benches/node.rs`.
    #[expect(dead_code, reason = "a bench reads it")]
    pub node: Node,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    #[expect(dead_code, reason = "a bench reads it")]
    pub instructions_a_sample_max: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vision {
    pub mota_min: f64,
    pub id_switches_max: u64,
    pub codes_read_min: usize,
    #[cfg_attr(
        not(feature = "vision"),
        expect(dead_code, reason = "no engine is built in")
    )]
    pub groceries_fine_min: f64,
    #[cfg_attr(
        not(feature = "vision"),
        expect(dead_code, reason = "no engine is built in")
    )]
    pub groceries_coarse_min: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    pub mean_f1_min: f64,
    pub precision_min: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    pub page_weight_bytes_max: usize,
}

/// The floors as they stand in the repository.
pub fn floors() -> Floors {
    toml::from_str(include_str!("../floors.toml")).unwrap_or_else(|e| panic!("floors.toml: {e}"))
}

#[test]
fn scripted_trips() {
    let Some(table) = evaluated("scripted-1", &["--suite", "scripted", "--seed", "1"]) else {
        return;
    };
    let shown = Figures::of(&table);
    assert_eq!(shown.cases, 39, "{table}");
    shown.hold(&floors().scripted);
}

#[test]
fn random_trips() {
    let arguments = ["--suite", "random", "--seed", "1", "--cases", "24"];
    let Some(table) = evaluated("random-1-24", &arguments) else {
        return;
    };
    let shown = Figures::of(&table);
    assert_eq!(shown.cases, 24, "{table}");
    shown.hold(&floors().random);
}

#[test]
fn the_real_trip_is_one_bottle_for_one_shopper() {
    let Some(shared) = shared() else {
        return;
    };
    let trip = shared.join("nanostore/benchmark-1");
    let replay = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stroll"));
        output(command.arg("replay").arg(&trip).args(more))
    };
    let told = replay(&["--json"]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("the receipts are JSON");
    let receipts = told["receipts"].as_array().expect("there are receipts");
    let charged: Vec<_> = (receipts.iter())
        .filter(|receipt| receipt["products"] != serde_json::json!([]))
        .collect();
    let expected = serde_json::json!({
        "target_id": "3325379692103139202",
        "products": [{ "barcode": "071142008582", "quantity": 1 }],
    });
    assert_eq!(charged, [&expected]);

    let text = replay(&[]);
    let bought: Vec<_> = text.lines().filter(|line| line.contains(" x ")).collect();
    assert_eq!(bought.len(), 1, "{text}");
    assert!(
        bought[0].trim_start().starts_with("1 x 071142008582 "),
        "{text}"
    );
    assert!(text.starts_with("shopper 3325379692103139202 "), "{text}");
    assert_eq!(text, replay(&[]), "the same recording gives the same bytes");
}

/// What `stroll evaluate` prints of a generated suite, after `score.py` has found the same in its receipts. `None`,
/// said aloud, where what it takes is missing and nobody insists.
fn evaluated(name: &str, arguments: &[&str]) -> Option<String> {
    let scripts = shared()?.join("nanostore");
    let python = python()?;
    let suite = generated(&python, &scripts, name, arguments);
    let receipts = tempfile::tempdir().expect("a folder for the receipts");
    let mut evaluate = Command::new(env!("CARGO_BIN_EXE_stroll"));
    let table = output(
        (evaluate.arg("evaluate").arg(&suite))
            .arg("--receipts")
            .arg(receipts.path()),
    );
    let mut score = Command::new(&python);
    let scored = output(
        (score.arg(scripts.join("score.py")))
            .arg(&suite)
            .arg(receipts.path()),
    );
    // Between the lines of the cases and the last one stands our own table, which score.py does not know.
    let (cases, rest) = table.split_once("\n\n").expect("a table after the cases");
    let (_, last) = rest.rsplit_once("\n\n").expect("a last line after it");
    assert_eq!(
        format!("{cases}\n{last}"),
        scored,
        "score.py finds something else in the receipts"
    );
    println!("{name}: {}", table.lines().last().unwrap_or_default());
    Some(table)
}

/// A Python with numpy: `STROLL_PYTHON`, which `tests/run.sh` sets, or the one on the path.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("STROLL_PYTHON").unwrap_or_else(|| "python3".into());
    let numpy = Command::new(&python).args(["-c", "import numpy"]).output();
    if numpy.is_ok_and(|output| output.status.success()) {
        return Some(python.into());
    }
    let missing = format!(
        "{} has no numpy: tests/run.sh installs it",
        python.display()
    );
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{missing}");
    println!("skipped: {missing}");
    None
}

/// The folder of a suite. It is made once for each state of the generator, and kept with what cargo builds.
fn generated(python: &Path, scripts: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let mut state = Sha256::new();
    for file in ["generate.py", "trips.json"] {
        let path = scripts.join(file);
        state.update(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
    }
    let state: String = (state.finalize().iter().take(6))
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{state}"));
    if !kept.is_dir() {
        // Made beside its place and then moved there, so that an interrupted run leaves nothing that looks whole.
        let making =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder to make it in");
        let out = making.path().join("suite");
        let mut generate = Command::new(python);
        output(
            (generate.arg(scripts.join("generate.py")).args(arguments))
                .arg("--out")
                .arg(&out),
        );
        if let Err(error) = std::fs::rename(&out, &kept) {
            assert!(kept.is_dir(), "{}: {error}", kept.display()); // Another run may have been first.
        }
    }
    kept
}

/// What the command prints. It has to succeed.
fn output(command: &mut Command) -> String {
    let name = command.get_program().display().to_string();
    let output = (command.env_remove("RUST_LOG").env_remove("PYTHONPATH"))
        .output()
        .unwrap_or_else(|e| panic!("{name} does not start: {e}"));
    let arguments: Vec<&OsStr> = command.get_args().collect();
    assert!(
        output.status.success(),
        "{name} {arguments:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap_or_else(|e| panic!("{name} {arguments:?}: {e}"))
}

/// The last line of the table of `score.py`.
#[derive(Debug, PartialEq)]
struct Figures {
    cases: usize,
    mean_f1: f64,
    precision: f64,
}

impl Figures {
    fn of(table: &str) -> Self {
        let last = table.lines().last().unwrap_or_default();
        let after = |label: &str| {
            let value = last.split_once(label).map(|(_, rest)| rest);
            value
                .and_then(|rest| rest.split_whitespace().next())
                .unwrap_or_else(|| panic!("no `{label}` in the last line of the table: {last}"))
        };
        let figure = |label: &str| {
            let text = after(label);
            text.parse()
                .unwrap_or_else(|e| panic!("{label}: {text}: {e}"))
        };
        Figures {
            cases: after("cases ").parse().expect("a count of cases"),
            mean_f1: figure("mean F1 "),
            precision: figure("precision "),
        }
    }

    #[track_caller]
    fn hold(&self, floor: &Accuracy) {
        assert!(
            self.mean_f1 >= floor.mean_f1_min && self.precision >= floor.precision_min,
            "below the floor: {self:?}, {floor:?}"
        );
    }
}

const TABLE: &str = "\
a F1 1.000  wrongly charged 0  missed 0
b F1 0.800  wrongly charged 1  missed 0
cases 2  mean F1 0.9000  precision 0.7500  recall 1.0000  receipts exactly right 3/4 = 0.7500
";

#[test]
fn the_figures_are_read_from_the_last_line() {
    let expected = Figures {
        cases: 2,
        mean_f1: 0.9,
        precision: 0.75,
    };
    assert_eq!(Figures::of(TABLE), expected);
}

#[test]
fn a_floor_holds_at_its_value_and_not_below() {
    for (mean_f1_min, precision_min, holds) in [
        (0.9, 0.75, true),
        (0.9001, 0.75, false),
        (0.9, 0.7501, false),
    ] {
        let floor = Accuracy {
            mean_f1_min,
            precision_min,
        };
        let held = std::panic::catch_unwind(|| Figures::of(TABLE).hold(&floor));
        assert_eq!(held.is_ok(), holds, "{floor:?}");
    }
}
