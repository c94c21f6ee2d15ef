//! `stroll evaluate`: its figures are those that its receipts and the truth give.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stroll::edge::recording::mcap::McapWriter;
use stroll::recording::{Recording, TrueProduct};
use stroll::simulate::{self, Options};

use crate::corner;
use crate::program::{arg, replayed, stroll, text};

/// Two suites of trips to the corner shop. In `b` the truth is falsified, so that the store is found to be wrong.
struct Suites {
    folder: tempfile::TempDir,
    cases: BTreeMap<(&'static str, &'static str), Recording>,
}

impl Suites {
    fn new() -> Self {
        let mut suites = Suites {
            folder: tempfile::tempdir().expect("a folder"),
            cases: BTreeMap::new(),
        };
        suites.add("a", "one", 4, |_| {});
        suites.add("a", "two", 2, |_| {});
        suites.add("b", "one", 4, swap_receipts);
        suites.add("b", "two", 2, claim_more);
        suites
    }

    fn add(
        &mut self,
        suite: &'static str,
        case: &'static str,
        seed: u64,
        falsify: fn(&mut Recording),
    ) {
        let store = corner::definition(&corner::gated());
        let mut recording = simulate::record(&store, seed, 2, Options::default());
        falsify(&mut recording);
        std::fs::create_dir_all(self.path(suite)).expect("made");
        let file = File::create(self.path(suite).join(format!("{case}.mcap"))).expect("made");
        let (nodes, truth) = (&recording.nodes, recording.truth.as_ref());
        let mut writer =
            McapWriter::new(BufWriter::new(file), &store, nodes, truth).expect("begun");
        for record in &recording.records {
            writer.write(record).expect("written");
        }
        writer.finish().expect("finished");
        self.cases.insert((suite, case), recording);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What evaluating the suites prints.
    fn evaluated(&self, suites: &[&str], more: &[&str]) -> String {
        let paths: Vec<PathBuf> = suites.iter().map(|name| self.path(name)).collect();
        let dirs: Vec<&str> = paths.iter().map(|path| arg(path)).collect();
        let output = stroll(&[&["evaluate"], &dirs[..], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).to_owned()
    }

    /// What the receipts that were written below `out` are worth, case by case.
    fn counted(&self, suites: &[&str], out: impl Fn(&str, &str) -> PathBuf) -> Vec<Counted> {
        (self.cases.iter())
            .filter(|((suite, _), _)| suites.contains(suite))
            .map(|((suite, case), recording)| Counted::of(recording, &out(suite, case)))
            .collect()
    }
}

/// The two shoppers are said to have taken what the other took.
fn swap_receipts(recording: &mut Recording) {
    let truth = recording.truth.as_mut().expect("a simulation knows it");
    let [first, second] = &mut truth.receipts[..] else {
        panic!("two shoppers came");
    };
    assert_ne!(first.products, second.products);
    std::mem::swap(&mut first.products, &mut second.products);
}

/// The first shopper is said to have taken five more of everything, and something that is not sold.
fn claim_more(recording: &mut Recording) {
    let truth = recording.truth.as_mut().expect("a simulation knows it");
    let products = &mut truth.receipts[0].products;
    products
        .iter_mut()
        .for_each(|product| product.quantity += 5);
    products.push(TrueProduct {
        barcode: "4006381333931".into(),
        quantity: 1,
    });
}

/// Units right, charged and true of a case, each counted here by itself.
#[derive(Debug)]
struct Counted {
    right: u64,
    charged: u64,
    units: u64,
    whole: u64,
    shoppers: u64,
}

impl Counted {
    fn of(recording: &Recording, receipts: &Path) -> Self {
        type Bag = BTreeMap<(String, String), u64>;
        let written =
            std::fs::read(receipts).unwrap_or_else(|e| panic!("{}: {e}", receipts.display()));
        let written: Value = serde_json::from_slice(&written).expect("JSON");
        let truth = serde_json::to_value(&recording.truth).expect("JSON");
        let bag = |of: &Value| {
            let mut bag = Bag::new();
            for receipt in of["receipts"].as_array().expect("receipts") {
                for product in receipt["products"].as_array().expect("products") {
                    let name = |value: &Value| value.as_str().expect("text").to_owned();
                    let unit = (name(&receipt["target_id"]), name(&product["barcode"]));
                    *bag.entry(unit).or_default() +=
                        product["quantity"].as_u64().expect("a number");
                }
            }
            bag
        };
        let (charged, units) = (bag(&written), bag(&truth));
        let all: BTreeSet<_> = charged.keys().chain(units.keys()).collect();
        let differ = |who: &str| {
            all.iter()
                .any(|unit| unit.0 == who && charged.get(*unit) != units.get(*unit))
        };
        let shoppers = &recording.truth.as_ref().expect("truth").receipts;
        Counted {
            right: (units.iter())
                .map(|(unit, n)| *n.min(charged.get(unit).unwrap_or(&0)))
                .sum(),
            charged: charged.values().sum(),
            units: units.values().sum(),
            whole: shoppers
                .iter()
                .filter(|r| !differ(r.target_id.as_str()))
                .count() as u64,
            shoppers: shoppers.len() as u64,
        }
    }

    fn f1(&self) -> f64 {
        (2 * self.right) as f64 / (self.charged + self.units) as f64
    }
}

/// The words of the row that begins with this name.
#[track_caller]
fn row<'a>(printed: &'a str, name: &str) -> Vec<&'a str> {
    let words = |line: &'a str| {
        line.split([' ', '[', ']', ',', '%'])
            .filter(|w| !w.is_empty())
            .collect()
    };
    let rows = printed
        .lines()
        .map(words)
        .find(|w: &Vec<&str>| w.first() == Some(&name));
    rows.unwrap_or_else(|| panic!("no row {name}: {printed}"))
}

#[test]
fn one_suite_is_a_line_a_case_a_row_and_the_last_line() {
    let suites = Suites::new();
    let out = suites.path("out");
    let printed = suites.evaluated(&["a"], &["--receipts", arg(&out)]);
    let lines: Vec<&str> = printed.lines().collect();
    let cases = suites.counted(&["a"], |_, case| out.join(format!("{case}.json")));
    let case = |name: &str, c: &Counted| {
        let (f1, wrong, missed) = (c.f1(), c.charged - c.right, c.units - c.right);
        format!("{name:32} F1 {f1:.3}  wrongly charged {wrong}  missed {missed}")
    };
    let expected = [case("one", &cases[0]), case("two", &cases[1])];
    assert_eq!(lines[..2], expected, "{printed}");

    // The words of the competition's score.py.
    let sum = |of: fn(&Counted) -> u64| cases.iter().map(of).sum::<u64>();
    let right = sum(|c| c.right) as f64;
    let (precision, recall) = (
        right / sum(|c| c.charged) as f64,
        right / sum(|c| c.units) as f64,
    );
    let (whole, f1) = (sum(|c| c.whole), (cases[0].f1() + cases[1].f1()) / 2.0);
    let last = format!(
        "cases 2  mean F1 {f1:.4}  precision {precision:.4}  recall {recall:.4}  receipts exactly right {whole}/4 = {:.4}",
        whole as f64 / 4.0
    );
    assert_eq!(lines[lines.len() - 2..], ["", &last], "{printed}");
    for name in ["one", "two"] {
        let receipts = std::fs::read_to_string(out.join(format!("{name}.json"))).expect("written");
        let case = suites.path("a").join(format!("{name}.mcap"));
        assert_eq!(receipts + "\n", replayed(&[arg(&case), "--json"]));
    }
}

#[test]
fn the_rows_of_several_suites_are_what_their_receipts_give() {
    let suites = Suites::new();
    let out = suites.path("out");
    let printed = suites.evaluated(&["a", "b"], &["--brief", "--receipts", arg(&out)]);
    assert!(!printed.contains("wrongly charged"), "{printed}");
    for (name, of) in [("a", &["a"][..]), ("b", &["b"]), ("all", &["a", "b"])] {
        let cases = suites.counted(of, |suite, case| {
            out.join(suite).join(format!("{case}.json"))
        });
        let sum = |of: fn(&Counted) -> u64| cases.iter().map(of).sum::<u64>();
        let (right, charged, units) = (sum(|c| c.right), sum(|c| c.charged), sum(|c| c.units));
        let f1 = cases.iter().map(Counted::f1).sum::<f64>() / cases.len() as f64;
        let whole = sum(|c| c.whole);
        let shoppers = sum(|c| c.shoppers);

        let row = row(&printed, name);
        let number = |index: usize| row[index].parse::<f64>().expect("a number");
        assert_eq!(
            row[1..3],
            [cases.len().to_string(), units.to_string()],
            "{printed}"
        );
        assert_eq!(row[3], format!("{f1:.4}"), "{printed}");
        assert_eq!(
            row[6],
            format!("{:.4}", right as f64 / charged as f64),
            "{printed}"
        );
        assert_eq!(
            row[9],
            format!("{:.4}", right as f64 / units as f64),
            "{printed}"
        );
        assert_eq!(row[10], format!("{whole}/{shoppers}"), "{printed}");
        for figure in [3, 6] {
            let (low, high) = (number(figure + 1), number(figure + 2));
            assert!(low <= number(figure) && number(figure) <= high, "{printed}");
        }
    }
    let b = row(&printed, "b");
    assert_ne!(
        (b[3], b[9]),
        ("1.0000", "1.0000"),
        "the falsified truth shows: {printed}"
    );
}

#[test]
fn the_confusion_counts_every_unit_that_is_wrong() {
    let suites = Suites::new();
    let out = suites.path("out");
    let printed = suites.evaluated(&["b"], &["--brief", "--confusion", "--receipts", arg(&out)]);
    let cases = suites.counted(&["b"], |_, case| out.join(format!("{case}.json")));
    let wrong: u64 = cases.iter().map(|c| c.charged - c.right).sum();
    let missed: u64 = cases.iter().map(|c| c.units - c.right).sum();

    let (_, table) = printed
        .split_once("what went wrong")
        .expect("the table is there");
    let (table, examples) = table.split_once("\n\n").expect("and examples after it");
    let mut sums = (0, 0);
    for line in table.lines().skip(1) {
        let mut numbers = line
            .split_whitespace()
            .rev()
            .map(|w| w.parse::<u64>().expect("a number"));
        sums.1 += numbers.next().expect("missed");
        sums.0 += numbers.next().expect("wrongly charged");
    }
    assert_eq!(sums, (wrong, missed), "{printed}");
    assert!(wrong > 0 && missed > 0);
    assert!(
        examples.contains("  one, ") && examples.contains("  two, "),
        "{examples}"
    );
}

#[test]
fn the_curve_holds_what_playing_at_each_confidence_gives() {
    let suites = Suites::new();
    let svg = suites.path("curve.svg");
    let printed = suites.evaluated(&["b"], &["--brief", "--curve", arg(&svg)]);
    let own = corner::definition(&corner::gated()).policy.confidence_min;
    let at_own = row(&printed, &own.to_string());
    let suite = row(&printed, "b");
    // In review, precision and recall, in both tables.
    assert_eq!(
        [at_own[1], at_own[3], at_own[4]],
        [suite[12], suite[6], suite[9]],
        "{printed}"
    );

    for confidence in ["0.5", "0.99", "1"] {
        let alone = suites.evaluated(&["b"], &["--brief", "--confidence", confidence]);
        let (alone, on_curve) = (row(&alone, "b"), row(&printed, confidence));
        assert_eq!(
            on_curve[1], alone[12],
            "in review at {confidence}: {printed}"
        );
        assert_eq!(on_curve[4], alone[9], "recall at {confidence}: {printed}");
    }

    let svg = std::fs::read_to_string(svg).expect("drawn");
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for words in [
        "changes in review, % of all",
        "units charged wrongly, % of charged",
    ] {
        assert!(svg.contains(words), "{words}");
    }
    assert!(svg.contains(&format!("{own} (the store&apos;s)")), "{svg}");
}
