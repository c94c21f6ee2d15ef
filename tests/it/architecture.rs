//! The rules of the architecture that a text can show: which part may know which, and what stands where.

mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines from which a file of `src` wants splitting, and beyond which it may not grow.
const FILE_LINES_WANTED_MAX: usize = 500;
const FILE_LINES_MAX: usize = 600;

/// What may stand at the top of the repository.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "deploy",
    "models",
    "src",
    "tests",
];

/// Words that the code of some files may not hold.
struct Rule {
    /// What a violation is told with.
    why: &'static str,
    /// The beginnings of the paths that it holds for, and of those among them that it does not hold for.
    within: &'static [&'static str],
    except: &'static [&'static str],
    /// Found as whole words, in code only: comments and literals do not count.
    forbidden: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        why: "the domain does no IO, reads no clock, spawns nothing and draws no randomness: time and seeds come in as arguments",
        within: &[
            "src/store/",
            "src/sensing/",
            "src/checkout/",
            "src/coordinator.rs",
            "src/coordinator/",
            "src/observation.rs",
            "src/recording.rs",
            "src/units.rs",
            "src/vision/",
        ],
        except: &[],
        forbidden: &[
            "crate::edge",
            "crate::command",
            "crate::console",
            "super::edge",
            "super::command",
            "super::console",
            "std::env",
            "std::fs",
            "std::net",
            "std::process",
            "std::thread",
            "::now",
            "SystemTime",
            "thread::spawn",
            "tokio",
            "rand::",
            "use rand",
            "rand_chacha",
            "rand_distr",
            "getrandom",
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
        ],
    },
    Rule {
        why: "the edge imports the domain, and only the commands wire the edge to the rest",
        within: &["src/edge/"],
        except: &[],
        forbidden: &[
            "crate::command",
            "crate::console",
            "super::command",
            "super::console",
        ],
    },
    Rule {
        why: "errors outside the commands are types of their own (thiserror), so that a caller can tell them apart",
        within: &["src/"],
        except: &["src/command/", "src/main.rs"],
        forbidden: &["anyhow"],
    },
    Rule {
        why: "what is in the tree is finished, and every test runs",
        within: &["src/", "tests/", "benches/"],
        except: &[],
        forbidden: &["todo!", "unimplemented!", "dbg!", "#[ignore"],
    },
];

impl Rule {
    fn holds_for(&self, path: &str) -> bool {
        let begins = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
        begins(self.within) && !begins(self.except)
    }

    /// The lines (counted from 1) of this text that break the rule, each with the words that do.
    fn violations(&self, text: &str) -> BTreeSet<(usize, &'static str)> {
        let code = source::code(text);
        let lines = (1..).zip(code.lines().map(str::to_owned));
        lines
            .chain(source::grouped_uses(&code))
            .flat_map(|(number, line)| {
                let broken = (self.forbidden.iter()).filter(move |p| source::mentions(&line, p));
                broken.map(move |pattern| (number, *pattern))
            })
            .collect()
    }
}

/// What breaks the rules in a file, one line each.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let rules = RULES.iter().filter(|rule| rule.holds_for(path));
    rules
        .flat_map(|rule| {
            let broken = rule.violations(text).into_iter();
            broken.map(|(line, words)| format!("{path}:{line}: `{words}`: {}", rule.why))
        })
        .collect()
}

#[test]
fn no_part_knows_what_it_must_not() {
    let broken: Vec<String> = (rust_files().iter())
        .flat_map(|(path, text)| complaints(path, text))
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn each_place_that_a_rule_names_is_there() {
    let files = rust_files();
    let places = RULES
        .iter()
        .flat_map(|rule| rule.within.iter().chain(rule.except));
    for place in places.filter(|place| **place != "benches/") {
        assert!(
            files.iter().any(|(path, _)| path.starts_with(place)),
            "no file is under {place}: a rule has lost what it watches over"
        );
    }
}

#[test]
fn each_rule_finds_what_breaks_it() {
    for rule in RULES {
        for words in rule.forbidden {
            for place in rule.within {
                let path = format!("{place}x.rs");
                let text = format!("fn f() {{}}\n\n    {words} y\n");
                let found = complaints(&path, &text);
                assert!(
                    found
                        .iter()
                        .any(|c| c.starts_with(&format!("{path}:3: `{words}`"))),
                    "{words} in {place}: {found:?}"
                );
                let found = complaints(
                    &path,
                    &format!("// {words} y\nconst X: &str = \"{words}\";\n"),
                );
                assert_eq!(found, [""; 0], "a comment or a string breaks no rule");
            }
        }
    }
}

#[test]
fn what_breaks_a_rule_in_one_place_may_be_right_in_another() {
    for (path, text, expected) in [
        (
            "src/sensing/shelf.rs",
            "use std::{fs, io};",
            &["1: `std::fs`"][..],
        ),
        (
            "src/sensing/shelf.rs",
            "use crate::{\n  edge::wire,\n  units,\n};",
            &["1: `crate::edge`"],
        ),
        (
            "src/coordinator.rs",
            "let x = 1;\nlet t = Instant::now();",
            &["2: `::now`"],
        ),
        (
            "src/coordinator/state.rs",
            "let operand = brand::of(now);",
            &[],
        ),
        ("src/simulate/mod.rs", "use rand::Rng;", &[]),
        ("src/edge/shell.rs", "use std::fs;\nuse tokio::time;", &[]),
        (
            "src/edge/shell.rs",
            "use crate::{command::Failed, store};",
            &["1: `crate::command`"],
        ),
        (
            "src/edge/shell.rs",
            "fn f() -> anyhow::Result<()> {}",
            &["1: `anyhow`"],
        ),
        (
            "src/command/demo.rs",
            "fn f() -> anyhow::Result<()> {}",
            &[],
        ),
        ("src/main.rs", "use anyhow::Context;", &[]),
        ("src/main.rs", "todo!()", &["1: `todo!`"]),
        (
            "tests/it/broker.rs",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
            &["2: `#[ignore`"],
        ),
    ] {
        let found = complaints(path, text);
        assert_eq!(found.len(), expected.len(), "{path}: {text}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(&format!("{path}:{expected}")), "{found}");
        }
    }
}

#[test]
fn no_file_outgrows_its_reader() {
    let mut longest = String::new();
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        if path.starts_with("src/") && lines > FILE_LINES_WANTED_MAX {
            println!("{path}: {lines} lines: wants splitting by concept");
            if lines > FILE_LINES_MAX {
                longest.push_str(&format!("\n{path}: {lines} lines"));
            }
        }
    }
    assert!(
        longest.is_empty(),
        "longer than {FILE_LINES_MAX} lines:{longest}"
    );
}

#[test]
fn the_top_level_holds_what_the_design_lists() {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output();
    let tracked = match listed {
        Ok(output) if output.status.success() => {
            String::from_utf8(output.stdout).expect("paths of the repository are UTF-8")
        }
        Ok(_) | Err(_) => {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "git lists no files"
            );
            println!("skipped: this is no git checkout");
            return;
        }
    };
    let found: BTreeSet<&str> = (tracked.split_terminator('\0'))
        .filter_map(|path| path.split('/').next())
        .collect();
    assert!(found.contains("src"), "git lists the sources");
    let strange: Vec<_> = found
        .iter()
        .filter(|name| !TOP_LEVEL.contains(name))
        .collect();
    assert!(strange.is_empty(), "the top level also holds {strange:?}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the crate, by its path from the root, with its text.
fn rust_files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["src", "tests", "benches"]
        .map(|name| root().join(name))
        .into();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue; // There are no benches yet.
        };
        for entry in entries {
            let path = entry.expect("a folder of the crate can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file can be read");
                let from_root = path.strip_prefix(root()).expect("it is below the root");
                files.push((from_root.to_string_lossy().into_owned(), text));
            }
        }
    }
    files.sort();
    assert!(
        files.len() > 50,
        "the sources are where they are looked for"
    );
    files
}
