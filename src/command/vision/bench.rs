//! `stroll vision bench`: what one frame costs, stage by stage.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

use crate::edge::pictures;
use crate::vision::engine::Cost;
use crate::vision::model_card::ModelKind;
use crate::vision::picture::Picture;

/// Measure what a frame costs, stage by stage, on one thread
///
/// The lowest run, and the processor time of a run, on which other work on the machine has little influence. `load` reads and optimises the network, once at the start.
/// Below it what a run of each network takes on any machine, counted from its graph (with the feature `vision`): multiplications with additions, the bytes of the weights, and those of the largest layer's input and output.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The picture that is looked at [default: one of 1280×720 made of stripes]
    #[arg(value_name = "FILE")]
    picture: Option<PathBuf>,
    /// How often each stage runs
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    models: super::models::Args,
}

/// A stage's time, milliseconds.
#[derive(Serialize)]
struct Stage {
    model: &'static str,
    stage: &'static str,
    lowest_ms: f64,
    /// Mean over all runs, of the processor.
    processor_ms: f64,
}

/// A network's counts.
#[derive(Serialize)]
struct Network {
    model: &'static str,
    #[serde(flatten)]
    cost: Cost,
}

#[derive(Serialize)]
struct Report {
    stages: Vec<Stage>,
    networks: Vec<Network>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let encoded = match &args.picture {
        Some(path) => pictures::bytes(path).with_context(|| path.display().to_string())?,
        None => pictures::jpeg(&stripes(), 90)?,
    };
    let picture = pictures::decode(&encoded)?;
    let mut networks = Vec::new();
    let mut stages = vec![timed("frame", "decode", args.runs, || {
        Ok(pictures::decode(&encoded)?)
    })?];
    if args.models.has(ModelKind::Products) {
        products(&args, &picture, &mut stages)?;
        networks.extend(network(&args, ModelKind::Products)?);
    }
    if args.models.has(ModelKind::People) {
        people(&args, &picture, &mut stages)?;
        networks.extend(network(&args, ModelKind::People)?);
    }
    let report = Report { stages, networks };
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        tell(&report);
    }
    Ok(())
}

/// What a network takes; `None` where the program can't read its graph.
fn network(args: &Args, kind: ModelKind) -> anyhow::Result<Option<Network>> {
    if !cfg!(feature = "vision") {
        return Ok(None);
    }
    let cost = args.models.open(kind)?.cost()?;
    let model = kind.name();
    Ok(Some(Network { model, cost }))
}

fn tell(report: &Report) {
    println!(
        "{:<9} {:<11} {:>10} {:>10}",
        "model", "stage", "lowest ms", "proc. ms"
    );
    for stage in &report.stages {
        println!(
            "{:<9} {:<11} {:>10.2} {:>10.2}",
            stage.model, stage.stage, stage.lowest_ms, stage.processor_ms
        );
    }
    let million = |count: u64| count as f64 / 1e6;
    for Network { model, cost } in &report.networks {
        println!(
            "{model}: {:.1} million multiplications a run ({:.2} thousand million a second at 10 frames/s), {:.1} MB of weights, {:.1} MB for the largest layer",
            million(cost.multiplications),
            million(cost.multiplications) / 100.0,
            million(cost.weight_bytes),
            million(cost.layer_bytes_max),
        );
    }
}

/// A picture with something in it for the decoder to do.
fn stripes() -> Picture {
    let mut picture = Picture::filled(1280, 720, [90; 3]);
    for n in 0..1280 * 720 {
        let (x, y) = (n % 1280, n / 1280);
        let level = ((x * 7 + y * 3) / 16 % 256) as u8;
        picture.set(x, y, [level, level / 2, 255 - level]);
    }
    picture
}

/// Processor time of this thread, milliseconds, as Linux counts it (to some milliseconds); 0 elsewhere.
fn thread_ms() -> f64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = counted
        .split_whitespace()
        .next()
        .and_then(|n| n.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) / 1e6
}

fn timed<T>(
    model: &'static str,
    stage: &'static str,
    runs: u32,
    mut work: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<Stage> {
    let mut lowest_ms = f64::INFINITY;
    let processor_ms = thread_ms();
    for _ in 0..runs {
        let begun = Instant::now();
        drop(work()?);
        lowest_ms = lowest_ms.min(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Stage {
        model,
        stage,
        lowest_ms,
        processor_ms: (thread_ms() - processor_ms) / f64::from(runs),
    })
}

fn products(args: &Args, picture: &Picture, stages: &mut Vec<Stage>) -> anyhow::Result<()> {
    let model = args.models.open(ModelKind::Products)?;
    let engine = args.models.engine();
    stages.push(timed("products", "load", 1, || {
        Ok(model.recogniser(&engine)?)
    })?);
    let mut recogniser = model.recogniser(&engine)?;
    let runs = args.runs;
    stages.push(timed("products", "preprocess", runs, || {
        recogniser.preprocess(picture);
        Ok(())
    })?);
    stages.push(timed(
        "products",
        "infer",
        runs,
        || Ok(recogniser.infer()?),
    )?);
    let known = model.prototypes()?.unwrap_or_default();
    let scale = recogniser.form().prototype_scale;
    stages.push(timed("products", "whole", runs, || {
        let look = recogniser.look(picture)?;
        known.probabilities(&look.embedding, scale);
        Ok(())
    })?);
    Ok(())
}

fn people(args: &Args, picture: &Picture, stages: &mut Vec<Stage>) -> anyhow::Result<()> {
    let model = args.models.open(ModelKind::People)?;
    let engine = args.models.engine();
    stages.push(timed("people", "load", 1, || {
        Ok(model.people_detector(&engine)?)
    })?);
    let mut detector = model.people_detector(&engine)?;
    let runs = args.runs;
    let score_min = detector.score_min();
    stages.push(timed("people", "preprocess", runs, || {
        detector.preprocess(picture);
        Ok(())
    })?);
    stages.push(timed("people", "infer", runs, || Ok(detector.infer()?))?);
    stages.push(timed("people", "whole", runs, || {
        Ok(detector.look(picture, score_min)?)
    })?);
    Ok(())
}
