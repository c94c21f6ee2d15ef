//! `stroll evaluate`: plays every case of a folder and scores the receipts against the truth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::printed;
use super::store_at::{self, JournalAt};
use crate::checkout::receipt::Receipt;
use crate::edge::playback::Playback;
use crate::edge::recording::{self, OpenOptions};
use crate::recording::Truth;
use crate::store::catalogue::canonical;

/// Play every case below a folder, and score the receipts against the truth
///
/// A case is a folder of the AutoCheckout competition with a truth.json, or an `.mcap` recording with truth. A unit
/// counts as right when both the product and the shopper are right; what waits for a verdict counts as missed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder with the cases
    dir: PathBuf,
    /// Write each case's receipts to OUT/<case>.json, as `score.py` reads them
    #[arg(long, value_name = "OUT")]
    receipts: Option<PathBuf>,
}

/// Plays the cases, on as many threads as there are cores, and prints the table.
pub fn run(args: Args) -> anyhow::Result<()> {
    let cases = cases(&args.dir)?;
    if let Some(out) = &args.receipts {
        std::fs::create_dir_all(out)
            .with_context(|| format!("{} cannot be made", out.display()))?;
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {eta}")?;
    let bar = ProgressBar::new(cases.len() as u64).with_style(style);
    let next = AtomicUsize::new(0);
    let scores = Mutex::new(vec![None; cases.len()]);
    let work = || -> anyhow::Result<()> {
        while let Some((index, case)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, cases.get(i)?)))
        {
            bar.set_message(case.name.clone());
            let score = play(case, args.receipts.as_deref())
                .with_context(|| format!("case {}", case.name))?;
            scores.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(score);
            bar.inc(1);
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, |n| n.get())
        .min(cases.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter().map(|w| {
            w.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        results.collect::<anyhow::Result<Vec<()>>>()
    })?;
    bar.finish_and_clear();
    let scores: Vec<Score> = scores
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_iter()
        .flatten()
        .collect();
    print!("{}", table(&cases, &scores));
    Ok(())
}

/// A recording with its truth.
struct Case {
    name: String,
    path: PathBuf,
}

fn cases(dir: &Path) -> anyhow::Result<Vec<Case>> {
    let entries = std::fs::read_dir(dir)
        .with_context(|| format!("{} cannot be read as a folder", dir.display()))?;
    let mut cases = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("{} cannot be listed", dir.display()))?
            .path();
        let is_recording = path.extension().is_some_and(|e| e == "mcap");
        let name = if is_recording {
            path.file_stem()
        } else {
            path.file_name()
        };
        if is_recording || path.join("truth.json").is_file() {
            cases.push(Case {
                name: name.unwrap_or_default().to_string_lossy().into_owned(),
                path,
            });
        }
    }
    if cases.is_empty() {
        bail!(
            "{} holds no case: expected folders with truth.json, or .mcap recordings made by `stroll simulate`",
            dir.display()
        );
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

/// Units that are right, wrongly charged and missed; and whole receipts that are right, of how many.
#[derive(Clone, Copy, Default)]
struct Score {
    right: u64,
    wrong: u64,
    missed: u64,
    whole: u64,
    shoppers: u64,
}

type Units = BTreeMap<(String, String), u64>;

fn play(case: &Case, out: Option<&Path>) -> anyhow::Result<Score> {
    let recording = recording::open(&case.path, &OpenOptions::default())?;
    let truth = recording
        .truth
        .as_ref()
        .with_context(|| format!("{} holds no truth", case.path.display()))?;
    let mut shell = store_at::open(&JournalAt::of(None)?, &recording)?;
    let receipts = Playback::new(&recording).run(&mut shell)?;
    if let Some(out) = out {
        let path = out.join(format!("{}.json", case.name));
        std::fs::write(&path, printed::receipts_json(&receipts))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(score(truth, &receipts))
}

fn score(truth: &Truth, receipts: &[Receipt]) -> Score {
    let mut expected = Units::new();
    for receipt in &truth.receipts {
        for product in &receipt.products {
            let code = canonical(product.barcode.as_str()).to_owned();
            *expected
                .entry((receipt.target_id.to_string(), code))
                .or_default() += u64::from(product.quantity);
        }
    }
    let mut charged = Units::new();
    for receipt in receipts {
        let who = receipt
            .track
            .as_ref()
            .map_or(receipt.session.as_str(), |t| t.as_str());
        for line in &receipt.lines {
            let code = canonical(line.product.as_str()).to_owned();
            *charged.entry((who.to_owned(), code)).or_default() += u64::from(line.quantity);
        }
    }
    let right: u64 = expected
        .iter()
        .map(|(key, n)| *n.min(charged.get(key).unwrap_or(&0)))
        .sum();
    let of = |units: &Units, who: &str| -> Units {
        units
            .iter()
            .filter(|((shopper, _), _)| shopper == who)
            .map(|(k, n)| (k.clone(), *n))
            .collect()
    };
    let whole = |who: &str| of(&expected, who) == of(&charged, who);
    Score {
        right,
        wrong: charged.values().sum::<u64>() - right,
        missed: expected.values().sum::<u64>() - right,
        whole: truth
            .receipts
            .iter()
            .filter(|r| whole(r.target_id.as_str()))
            .count() as u64,
        shoppers: truth.receipts.len() as u64,
    }
}

impl Score {
    fn f1(&self) -> f64 {
        let units = 2 * self.right + self.wrong + self.missed;
        if units == 0 {
            1.0
        } else {
            (2 * self.right) as f64 / units as f64
        }
    }
}

/// The table that the competition's `score.py` prints.
fn table(cases: &[Case], scores: &[Score]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for (case, score) in cases.iter().zip(scores) {
        let (name, f1, wrong, missed) = (&case.name, score.f1(), score.wrong, score.missed);
        let _ = writeln!(
            out,
            "{name:32} F1 {f1:.3}  wrongly charged {wrong}  missed {missed}"
        );
    }
    let sum = |of: fn(&Score) -> u64| scores.iter().map(of).sum::<u64>();
    let (right, wrong, missed) = (sum(|s| s.right), sum(|s| s.wrong), sum(|s| s.missed));
    let (whole, shoppers) = (sum(|s| s.whole), sum(|s| s.shoppers));
    let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    let _ = writeln!(
        out,
        "cases {}  mean F1 {:.4}  precision {:.4}  recall {:.4}  receipts exactly right {whole}/{shoppers} = {:.4}",
        scores.len(),
        scores.iter().map(Score::f1).sum::<f64>() / scores.len().max(1) as f64,
        share(right, right + wrong),
        share(right, right + missed),
        share(whole, shoppers),
    );
    out
}
