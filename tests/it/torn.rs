//! Torn files: a write-ahead log that ends at any of its last bytes, or is garbage from there on. What is opened then is
//! exactly what some commit had left, the last that is whole, never half of one.
//!
//! The last page is cut at every offset; before it, and for what is overwritten, at each byte of the last frames' headers
//! and at every 509th of the rest. `STROLL_TORN_STEP=1` takes every offset of the whole log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stroll::checkout::Decision;
use stroll::coordinator::Output;
use stroll::edge::journal::{Archive, Head, Journal};
use stroll::edge::levels::Levels;
use stroll::edge::outbox::{Outbox, OutboxOptions};
use stroll::observation::{
    Committed, GateEvent, GateObservation, NodeClock, Observation, OutboxId, Stamp, Stamped,
};
use stroll::store::{Definition, NodeName};
use stroll::units::{Milligrams, Timestamp};

use crate::corner;

/// SQLite's log: a header, and then frames of a header and a page.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const FRAME: usize = FRAME_HEADER + 4_096;
/// So many frames at the end are cut at every offset.
const LAST_FRAMES: usize = 1;
/// And so many at every byte of their headers.
const LAST_HEADERS: usize = 6;

/// What is done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    CutOff,
    Zeroed,
    Garbage,
}

/// A file with its log, and what each commit had left.
struct Written<S> {
    base: Vec<u8>,
    log: Vec<u8>,
    /// The length of the log after a commit, and what is held then; the first is the file without its log.
    states: Vec<(usize, S)>,
}

impl<S> Written<S> {
    fn read(path: &Path, states: Vec<(usize, S)>) -> Self {
        let written = Written {
            base: std::fs::read(path).expect("the file"),
            log: std::fs::read(log_of(path)).expect("its log"),
            states,
        };
        let lengths: Vec<usize> = written.states.iter().map(|(length, _)| *length).collect();
        assert!(lengths.is_sorted_by(|a, b| a < b), "{lengths:?}");
        assert_eq!(lengths.last(), Some(&written.log.len()));
        assert_eq!((written.log.len() - HEADER) % FRAME, 0, "pages of 4,096");
        written
    }

    /// The log with that done to it from an offset on, and what is to be found then.
    fn harmed(&self, offset: usize, harm: Harm) -> (Vec<u8>, &S) {
        let mut log = self.log.clone();
        let mut random = ChaCha8Rng::seed_from_u64(offset as u64);
        match harm {
            Harm::CutOff => log.truncate(offset),
            Harm::Zeroed => log[offset..].fill(0),
            Harm::Garbage => random.fill(&mut log[offset..]),
        }
        // Zeros on zeros change nothing.
        let after = log[offset..].iter().zip(&self.log[offset..]);
        let whole = offset + after.take_while(|(a, b)| a == b).count();
        let state = self
            .states
            .iter()
            .rev()
            .find(|(length, _)| *length <= whole);
        let (_, state) = state.expect("the first is there without any log");
        (log, state)
    }

    fn places(&self) -> impl Iterator<Item = (usize, Harm)> + '_ {
        let step = std::env::var("STROLL_TORN_STEP").ok();
        let step: usize = step.map_or(509, |step| step.parse().expect("a number of bytes"));
        let all = self.log.len();
        let frame_of = move |offset: usize| offset.saturating_sub(HEADER) % FRAME;
        let places = move |harm: Harm| {
            let every = match harm {
                Harm::CutOff => all - LAST_FRAMES * FRAME,
                Harm::Zeroed | Harm::Garbage => all,
            };
            (0..all).filter(move |offset| {
                *offset >= every
                    || offset % step == 0
                    || (*offset + LAST_HEADERS * FRAME >= all && frame_of(*offset) < FRAME_HEADER)
            })
        };
        [Harm::CutOff, Harm::Zeroed, Harm::Garbage]
            .into_iter()
            .flat_map(move |harm| places(harm).map(move |offset| (offset, harm)))
    }
}

fn log_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

/// Puts a file and its log where they are opened next.
fn put(path: &Path, base: &[u8], log: &[u8]) {
    let _ = std::fs::remove_file(format!("{}-shm", path.display()));
    std::fs::write(path, base).expect("written");
    std::fs::write(log_of(path), log).expect("written");
}

/// A folder in memory where there is one: what is opened here so often needs no disk to wait for.
fn folder() -> tempfile::TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory
        .or_else(|_| tempfile::tempdir())
        .expect("a folder")
}

fn length(path: &Path) -> usize {
    std::fs::metadata(log_of(path)).map_or(0, |log| log.len() as usize)
}

fn clock() -> NodeClock {
    NodeClock {
        boot: "b".into(),
        monotonic_us: 0,
        wall_us: Timestamp(0),
        error_us: 0,
    }
}

fn seen(at: u64) -> Observation {
    Observation::Gate(GateObservation {
        at: Timestamp(at as i64),
        event: GateEvent::CodeShown {
            code: "c".repeat(128),
        },
    })
}

fn accepted(sequence: u64) -> Output {
    Output::Accept(Arc::new(Stamped {
        stamp: Stamp {
            node: "gate".into(),
            outbox: "o".into(),
            sequence,
        },
        clock: clock(),
        observation: seen(sequence),
    }))
}

fn batch(commit: u64) -> Vec<Output> {
    let first = commit * (commit + 1) / 2;
    let mut batch: Vec<Output> = (first..=first + commit).map(|n| accepted(n + 1)).collect();
    batch.push(Output::Decide(Decision::NodeBack {
        node: NodeName::from("gate"),
        at: Timestamp(commit as i64),
    }));
    batch
}

/// A journal's head, and the last sequence that its node may be told of.
type Held = (Head, u64);

fn held(journal: &Journal) -> Held {
    let (node, outbox) = (NodeName::from("gate"), OutboxId::from("o"));
    (journal.head(), journal.committed_up_to(&node, &outbox))
}

fn journal_of(path: &Path, definition: &Definition, commits: u64) -> Written<Held> {
    let mut journal = Journal::open(path, definition).expect("a new journal");
    let mut states = vec![(0, held(&journal))];
    for commit in 0..commits {
        journal.commit(&batch(commit)).expect("kept");
        states.push((length(path), held(&journal)));
    }
    drop(journal);
    Written::read(path, states)
}

#[test]
fn a_torn_log_of_a_journal_leaves_what_the_last_whole_commit_left() {
    let folder = folder();
    let definition = corner::definition(&corner::gated());
    let written = journal_of(&folder.path().join("whole.sqlite"), &definition, 5);
    let path = folder.path().join("torn.sqlite");
    let mut opened = 0;
    for (index, (offset, harm)) in written.places().enumerate() {
        let (log, expected) = written.harmed(offset, harm);
        put(&path, &written.base, &log);
        let mut journal = Journal::open(&path, &definition).expect("it opens");
        assert_eq!(held(&journal), *expected, "{harm:?} from {offset}");
        if index % 50 == 0 {
            // It is whole, and goes on from there.
            let commit = 1_000 + index as u64;
            journal.commit(&batch(commit)).expect("kept");
            let head = journal.head();
            drop(journal);
            let checked = Archive::open(&path).and_then(|archive| archive.verify(None));
            let checked = checked.unwrap_or_else(|e| panic!("{harm:?} from {offset}: {e}"));
            assert_eq!(checked.head, head, "{harm:?} from {offset}");
            assert!(head.entries > expected.0.entries);
        }
        opened += 1;
    }
    println!("{opened} torn journals opened");
}

/// Everything that an outbox says of itself.
fn told(outbox: &Outbox) -> String {
    format!(
        "{} {} {} {:?} {:?} {:?}",
        outbox.id(),
        outbox.last_sequence(),
        outbox.committed_sequence(),
        outbox.loss(),
        outbox.levels().expect("read"),
        outbox.pending(0, 1_000).expect("read"),
    )
}

fn outbox_of(path: &Path, node: &NodeName) -> Written<String> {
    let options = OutboxOptions {
        rows_max: 40,
        ..OutboxOptions::default()
    };
    drop(Outbox::open(path, node).expect("a new outbox"));
    let mut outbox = Outbox::open_with(path, node, options).expect("it opens");
    let mut states = vec![(0, told(&outbox))];
    let note = |outbox: &Outbox, states: &mut Vec<(usize, String)>| {
        states.push((length(path), told(outbox)));
    };
    for group in 0..6_u64 {
        let group: Vec<Observation> = (0..=2 * group).map(|n| seen(100 * group + n)).collect();
        outbox.append(&clock(), group).expect("kept");
        note(&outbox, &mut states);
    }
    outbox.offer(0, 20).expect("offered");
    note(&outbox, &mut states);
    let committed = Committed {
        outbox: outbox.id().clone(),
        sequence: 9,
    };
    outbox.committed(&committed, Timestamp(7)).expect("noted");
    note(&outbox, &mut states);
    let plates = [("1.1.1".parse().expect("a plate"), Milligrams(1_000))];
    let levels = Levels {
        at: Timestamp(5),
        plates: plates.into_iter().collect(),
    };
    outbox.keep_levels(&levels).expect("kept");
    note(&outbox, &mut states);
    outbox
        .append(&clock(), vec![seen(1_000), seen(1_001)])
        .expect("kept");
    note(&outbox, &mut states);
    let written = Written::read(path, states);
    drop(outbox);
    written
}

#[test]
fn a_torn_log_of_an_outbox_leaves_what_the_last_whole_commit_left() {
    let folder = folder();
    let node = NodeName::from("gate");
    let written = outbox_of(&folder.path().join("whole.db"), &node);
    let path = folder.path().join("torn.db");
    let mut opened = 0;
    for (index, (offset, harm)) in written.places().enumerate() {
        let (log, expected) = written.harmed(offset, harm);
        put(&path, &written.base, &log);
        let mut outbox = Outbox::open(&path, &node).expect("it opens");
        assert_eq!(told(&outbox), *expected, "{harm:?} from {offset}");
        if index % 50 == 0 {
            let last = outbox.last_sequence();
            outbox.append(&clock(), vec![seen(1)]).expect("kept");
            let before = told(&outbox);
            drop(outbox);
            let outbox = Outbox::open(&path, &node).expect("it opens again");
            assert_eq!(told(&outbox), before, "{harm:?} from {offset}");
            assert_eq!(
                outbox.last_sequence(),
                last + 1,
                "no sequence is given twice"
            );
        }
        opened += 1;
    }
    println!("{opened} torn outboxes opened");
}

/// What is wrong with a file is said in a sentence that names it.
fn is_a_sentence(error: &str, path: &Path) {
    assert!(!error.contains('\n'), "{error}");
    assert!(error.contains(path.to_str().expect("a path")), "{error}");
}

#[test]
fn a_page_of_the_file_itself_that_is_lost_is_found_or_does_not_matter() {
    let folder = folder();
    let definition = corner::definition(&corner::gated());
    let whole = folder.path().join("whole.sqlite");
    let mut journal = Journal::open(&whole, &definition).expect("a new journal");
    for commit in 0..20 {
        journal.commit(&batch(commit)).expect("kept");
    }
    let expected = held(&journal);
    journal.close().expect("one file");
    let bytes = std::fs::read(&whole).expect("the file");
    let path = folder.path().join("damaged.sqlite");
    let mut found = 0;
    for page in 0..bytes.len() / 4_096 {
        for harm in [Harm::CutOff, Harm::Zeroed, Harm::Garbage] {
            let mut damaged = bytes.clone();
            let from = page * 4_096;
            let mut random = ChaCha8Rng::seed_from_u64(page as u64);
            match harm {
                Harm::CutOff => damaged.truncate(from + 1_000),
                Harm::Zeroed => damaged[from..from + 4_096].fill(0),
                Harm::Garbage => random.fill(&mut damaged[from..from + 4_096]),
            }
            put(&path, &damaged, &[]);
            let opened = Journal::open(&path, &definition).map(|journal| held(&journal));
            let checked = Archive::open(&path).and_then(|archive| archive.verify(None));
            match (opened, checked) {
                (Ok(held), Ok(checked)) => {
                    assert_eq!(held, expected, "page {page}, {harm:?}");
                    assert_eq!(checked.head, expected.0, "page {page}, {harm:?}");
                }
                (opened, checked) => {
                    found += 1;
                    let errors = [opened.err(), checked.err()];
                    for error in errors.into_iter().flatten() {
                        is_a_sentence(&error.to_string(), &path);
                    }
                }
            }
        }
    }
    assert!(found > 20, "{found} found");
}
