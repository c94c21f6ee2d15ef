//! `stroll evaluate`: plays every case of some folders and scores the receipts against the truth.

mod cases;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

use self::cases::{Case, Suite};
use super::printed;
use super::store_at::{self, JournalAt};
use crate::edge::playback::{self, Playback};
use crate::edge::recording::{self, OpenOptions};
use crate::evaluation::changes::Changes;
use crate::evaluation::confusion::{self, Mistake};
use crate::evaluation::score::Score;
use crate::evaluation::trade_off::{self, CONFIDENCES, Point};
use crate::recording::{Record, Recording};
use crate::simulate::eyes::SimulatedEyes;
use crate::units::Timestamp;

/// Play every case below some folders, and score the receipts against the truth
///
/// A case is a folder of the AutoCheckout competition with a truth.json, or an `.mcap` recording with truth. A unit
/// counts as right when both the product and the shopper are right; what waits for a verdict counts as missed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders with cases: a row of the table each
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Write each case's receipts to OUT/<case>.json, as `score.py` reads them; of several folders, to
    /// OUT/<folder>/<case>.json
    #[arg(long, value_name = "OUT")]
    receipts: Option<PathBuf>,
    /// Leave out the line of each case
    #[arg(long)]
    brief: bool,
    /// Say how each unit that is wrong came about, with examples
    #[arg(long)]
    confusion: bool,
    /// Play at other confidences too, and draw what doubt costs: reviews against wrong charges
    #[arg(long, value_name = "OUT.svg")]
    curve: Option<PathBuf>,
    /// Send to review what is less sure than this, instead of the store's `confidence_min`
    #[arg(long, value_name = "X", value_parser = confidence, conflicts_with = "curve")]
    confidence: Option<f64>,
    /// As if cameras before all shelves named the product among 20 so often (simulated, from the truth): 0.1 to 0.9999
    #[arg(long, value_name = "SHARE", value_parser = eyes)]
    eyes: Option<f64>,
}

fn eyes(text: &str) -> Result<f64, String> {
    let given = text.parse().ok().filter(|x| (0.1..=0.9999).contains(x));
    given.ok_or_else(|| "a share from 0.1 to 0.9999".to_owned())
}

fn confidence(text: &str) -> Result<f64, String> {
    let given = text.parse().ok().filter(|x| (0.0..=1.0).contains(x));
    given.ok_or_else(|| "a probability from 0 to 1".to_owned())
}

/// How a case came out.
#[derive(Clone)]
struct Outcome {
    /// The policy's `confidence_min` that it was played at.
    confidence: f64,
    score: Score,
    /// Changes that went to a person, of so many.
    reviewed: u64,
    changes: u64,
    mistakes: Vec<Mistake>,
}

/// A case at the confidence that was asked for, and at those of the curve.
struct Played {
    own: Outcome,
    swept: Vec<Outcome>,
}

/// Plays the cases, on as many threads as there are cores, and prints the tables.
pub fn run(args: Args) -> anyhow::Result<()> {
    let suites = (args.dirs.iter())
        .map(|dir| cases::suite(dir))
        .collect::<anyhow::Result<Vec<Suite>>>()?;
    let receipts = folders(&suites, args.receipts.as_deref())?;
    let jobs: Vec<(&Case, Option<&Path>)> = (suites.iter().zip(&receipts))
        .flat_map(|(suite, out)| suite.cases.iter().map(move |case| (case, out.as_deref())))
        .collect();
    let played = cases::in_parallel(&jobs, |(case, _)| &case.name, |job| play(&args, *job))?;
    let (own, swept): (Vec<_>, Vec<_>) = played.into_iter().map(|p| (p.own, p.swept)).unzip();

    if !args.brief {
        print!("{}", tables::cases(&jobs, &own));
    }
    print!("\n{}\n", tables::suites(&suites, &own));
    if args.confusion {
        println!("{}", tables::confusion(&jobs, &own));
    }
    if let Some(path) = &args.curve {
        let points = points(&swept);
        println!("{}", tables::trade_off(&points));
        draw(path, &points, &suites, &own)?;
    }
    println!("{}", tables::total(&own));
    Ok(())
}

/// Where the receipts of each suite go.
fn folders(suites: &[Suite], out: Option<&Path>) -> anyhow::Result<Vec<Option<PathBuf>>> {
    let Some(out) = out else {
        return Ok(vec![None; suites.len()]);
    };
    let folder = |suite: &Suite| match suites {
        [_] => out.to_owned(),
        _ => out.join(&suite.name),
    };
    (suites.iter().map(folder))
        .map(|folder| {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
            Ok(Some(folder))
        })
        .collect()
}

fn play(args: &Args, (case, out): (&Case, Option<&Path>)) -> anyhow::Result<Played> {
    let mut recording = recording::open(&case.path, &OpenOptions::default())?;
    if let Some(confidence) = args.confidence {
        doubt(&mut recording, confidence);
    }
    let own = play_once(case, &recording, out, args.eyes)?;
    let mut swept = Vec::new();
    if args.curve.is_some() {
        for confidence in confidences(own.confidence) {
            doubt(&mut recording, confidence);
            swept.push(play_once(case, &recording, None, args.eyes)?);
        }
    }
    Ok(Played { own, swept })
}

/// The confidences of the curve, upwards, with the store's own among them.
fn confidences(own: f64) -> Vec<f64> {
    let mut all: Vec<f64> = CONFIDENCES.into_iter().chain([own]).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// Has the recording's store ask a person about whatever is less sure than this.
fn doubt(recording: &mut Recording, confidence: f64) {
    Arc::make_mut(&mut recording.definition)
        .policy
        .confidence_min = confidence;
}

/// What simulated cameras see is drawn from this: the same each time.
const EYES_SEED: u64 = 5;

fn play_once(
    case: &Case,
    recording: &Recording,
    out: Option<&Path>,
    eyes: Option<f64>,
) -> anyhow::Result<Outcome> {
    let truth = (recording.truth.as_ref())
        .with_context(|| format!("{} holds no truth", case.path.display()))?;
    let mut shell = store_at::open(&JournalAt::Memory, recording)?;
    let mut playback = Playback::new(recording);
    if let Some(accuracy) = eyes
        && let Some(eyes) = SimulatedEyes::new(recording, accuracy, EYES_SEED)
    {
        playback = playback.with_eyes(Box::new(eyes));
    }
    playback.run(&mut shell)?;
    let decisions = shell.log().decisions()?;
    let receipts = playback::issued(decisions.iter().map(|recorded| &recorded.decision));
    if let Some(out) = out {
        let path = out.join(format!("{}.json", case.name));
        std::fs::write(&path, printed::receipts_json(&receipts))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let changes = Changes::of(decisions.iter().map(|recorded| &recorded.decision));
    let (reviewed, all) = changes.reviewed_of();
    let start = recording.records.first().map_or(Timestamp(0), Record::at);
    let sessions = &shell.core().state().sessions;
    Ok(Outcome {
        confidence: recording.definition.policy.confidence_min,
        score: Score::of(truth, &receipts),
        reviewed,
        changes: all,
        mistakes: confusion::mistakes(truth, &receipts, &changes, sessions, start),
    })
}

/// All cases together, at each confidence.
fn points(swept: &[Vec<Outcome>]) -> Vec<Point> {
    let confidences = swept.first().into_iter().flatten().map(|o| o.confidence);
    let mut points: Vec<Point> = confidences
        .map(|confidence| Point {
            confidence,
            score: Score::default(),
            reviewed: 0,
            changes: 0,
        })
        .collect();
    for outcome in swept.iter().flatten() {
        let same = |p: &&mut Point| p.confidence.total_cmp(&outcome.confidence).is_eq();
        if let Some(point) = points.iter_mut().find(same) {
            point.score += outcome.score;
            point.reviewed += outcome.reviewed;
            point.changes += outcome.changes;
        }
    }
    points
}

fn draw(path: &Path, points: &[Point], suites: &[Suite], own: &[Outcome]) -> anyhow::Result<()> {
    let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    let title = match names[..] {
        [name] => format!(
            "What doubt costs, by confidence_min: {name}, {} cases",
            own.len()
        ),
        _ => format!(
            "What doubt costs, by confidence_min: {} suites, {} cases",
            names.len(),
            own.len()
        ),
    };
    let Some(first) = own.first() else {
        bail!("there is nothing to draw");
    };
    let svg = trade_off::svg(points, first.confidence, &title)
        .map_err(|why| anyhow::anyhow!("the curve cannot be drawn: {why}"))?;
    std::fs::write(path, svg).with_context(|| format!("{} cannot be written", path.display()))
}
