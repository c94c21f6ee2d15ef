//! Every decoder of bytes from outside, fed with what nobody would send.
//!
//! A target is a decoder with what must hold of it whatever comes: it never panics, says in words why it refuses, and
//! what it takes can be written and read again, where there is a writer. Its inputs are the files of
//! `tests/it/fuzz/corpus/<target>` and what [`mutate`] makes of them: as many in each run of the tests as the target
//! says, and more by command:
//!
//! ```text
//! STROLL_FUZZ_INPUTS=1000000 STROLL_FUZZ_SEED=7 cargo nextest run -E 'test(fuzz)' --no-capture
//! ```
//!
//! An input that fails is written to a file; with the fix it goes into the corpus, under a name that says what broke.

mod config;
mod files;
mod mutate;
mod network;
mod recordings;

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use mutate::Random;

/// Memory that a target may take beyond what it began with, bytes: far more than any input is worth.
const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Bytes of a message that says why an input is refused, beside what it repeats of the input.
const REASON_BYTES_MAX: usize = 16 * 1024;

/// What became of an input.
enum Fate {
    Taken,
    /// And why.
    Refused(String),
}

/// How an input of a target is judged: an error says what must hold and does not.
type Judged = Result<Fate, String>;

impl Fate {
    /// Refused for that reason.
    fn refused(why: impl Display) -> Fate {
        Fate::Refused(why.to_string())
    }
}

/// Feeds a target with its corpus and with `inputs` mutations of it, or as many as the environment asks for.
fn fuzz(target: &str, inputs: u64, more: Vec<Vec<u8>>, mut judge: impl FnMut(&[u8]) -> Judged) {
    let inputs = number("STROLL_FUZZ_INPUTS").unwrap_or(inputs);
    let seed = number("STROLL_FUZZ_SEED").unwrap_or(1);
    let mut corpus = more;
    corpus.extend(committed(target));
    assert!(!corpus.is_empty(), "{target} has no corpus");

    let before = memory_peak_bytes();
    let mut taken = 0;
    let whole = corpus.len() as u64;
    for index in 0..whole + inputs {
        let input = match corpus.get(index as usize) {
            Some(input) => input.clone(),
            None => mutate::mutated(&corpus, &mut Random::of(seed, index - whole)),
        };
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&input)));
        let broken = match judged {
            Ok(Ok(Fate::Taken)) => {
                taken += 1;
                continue;
            }
            Ok(Ok(Fate::Refused(why))) => match flaw_of_reason(&why, input.len()) {
                None if index < whole => {
                    println!("{target}: corpus {index} refused: {why:.300}");
                    continue;
                }
                None => continue,
                Some(flaw) => format!("the reason {flaw}: {:?}", why.get(..2_000).unwrap_or(&why)),
            },
            Ok(Err(broken)) => broken,
            Err(_) => "it panicked (see above)".to_owned(),
        };
        panic!(
            "{target}, seed {seed}, input {index}: {broken}\nthe input is in {}",
            keep(target, seed, index, &input).display()
        );
    }
    let grown = memory_peak_bytes().saturating_sub(before);
    println!(
        "fuzz {target}: {whole} of the corpus and {inputs} mutations (seed {seed}), {taken} taken; memory grew by {} MiB",
        grown >> 20
    );
    // Only a process of its own, which nextest gives to every test, says anything about one target.
    if std::env::var_os("NEXTEST").is_some() {
        assert!(grown < MEMORY_BYTES_MAX, "{target} took {grown} bytes");
    }
}

/// What is wrong with the reason for a refusal, if anything. It may repeat some of the input, and not swell it.
fn flaw_of_reason(why: &str, input_bytes: usize) -> Option<&'static str> {
    if why.trim().is_empty() {
        return Some("is empty");
    }
    (why.len() > REASON_BYTES_MAX + 4 * input_bytes).then_some("is far longer than the input")
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is {text}, no number")),
    )
}

/// The corpus of a target, in the order of its names.
fn committed(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fuzz/corpus");
    let Ok(entries) = std::fs::read_dir(folder.join(target)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Writes an input where it can be looked at and taken into the corpus.
fn keep(target: &str, seed: u64, index: u64, input: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{target}-{seed}-{index}"));
    std::fs::write(&path, input).unwrap();
    path
}

/// The most memory that this process ever had, where the system says so.
fn memory_peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// The same as text, or the refusal of what is none.
fn text(input: &[u8]) -> Result<&str, Fate> {
    std::str::from_utf8(input).map_err(Fate::refused)
}

/// Holds two values that ought to be the same against each other.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, before: &T, after: &T) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    let (before, after) = (format!("{before:?}"), format!("{after:?}"));
    let differs = before.bytes().zip(after.bytes()).position(|(a, b)| a != b);
    let around = |text: &str| {
        let at = differs.unwrap_or(0);
        String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(60)..text.len().min(at + 60)])
            .into_owned()
    };
    Err(format!(
        "{what}: …{}… became …{}…",
        around(&before),
        around(&after)
    ))
}
