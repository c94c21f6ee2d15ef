//! `stroll simulate`: a recording of trips that never happened, with their truth.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::error::ErrorKind;

use super::output_file;
use super::situation_args::{self, SituationArgs};
use crate::edge::definition_file;
use crate::edge::recording::mcap::McapWriter;
use crate::recording::Truth;
use crate::simulate::{self, Options};
use crate::store::Definition;
use crate::store::definition::{self, NANOSTORE, NANOSTORE_FILE};

/// Make a recording of simulated shoppers, with the truth of what they took
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recording to write
    #[arg(short, long, value_name = "FILE.mcap")]
    output: Option<PathBuf>,
    /// Everything follows from it: the same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many shoppers come
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    shoppers: u32,
    /// The store's definition; without it the NanoStore
    #[arg(long, value_name = "FILE.toml")]
    store: Option<PathBuf>,
    #[command(flatten)]
    situations: SituationArgs,
    /// Overwrite the output file
    #[arg(long)]
    force: bool,
}

/// Simulates, and says in a line what happened.
pub fn run(args: Args) -> anyhow::Result<()> {
    if args.situations.lists() {
        print!("{}", situation_args::list());
        return Ok(());
    }
    let Some(output) = &args.output else {
        let what = "the following required arguments were not provided:\n  --output <FILE.mcap>\n";
        clap::Error::raw(ErrorKind::MissingRequiredArgument, what).exit();
    };
    let (definition, _) = match &args.store {
        Some(path) => definition_file::load(path)?,
        None => definition::parse(NANOSTORE, NANOSTORE_FILE)?,
    };
    let definition = Arc::new(definition);
    let options = Options {
        shoppers: Some(args.shoppers),
        situations: (args.situations).resolve(&definition, Some(args.shoppers))?,
        ..Options::default()
    };
    let file = output_file::create(output, args.force)?;
    let played = play(&definition, args.seed, &options, file);
    if played.is_err() {
        // Half a recording under the name of a whole one would mislead; the first error is the one to tell.
        let _ = std::fs::remove_file(output);
    }
    let (truth, seconds) = played?;
    println!("{}", summary(output, &truth, args.seed, seconds)?);
    Ok(())
}

/// Plays the store into `file`; gives the truth and the seconds that it lasted.
fn play(
    definition: &Arc<Definition>,
    seed: u64,
    options: &Options,
    file: File,
) -> anyhow::Result<(Truth, f64)> {
    // The truth stands at the head of the file, and a day of records does not fit into memory: so the day is
    // played twice, which is cheap and, by the seed, the same.
    let mut rehearsal = simulate::Store::new(definition, seed, options.clone());
    while rehearsal.next_chunk().is_some() {}
    let truth = rehearsal.truth().clone();

    let store = simulate::Store::new(definition, seed, options.clone());
    let mut writer = McapWriter::new(
        BufWriter::new(file),
        definition,
        &store.nodes(),
        Some(&truth),
    )?;
    for record in store.flatten() {
        writer.write(&record)?;
    }
    writer.finish()?;
    Ok((truth, rehearsal.elapsed_s()))
}

/// One line: what happened, and how large the recording is.
fn summary(output: &Path, truth: &Truth, seed: u64, seconds: f64) -> anyhow::Result<String> {
    let bytes = std::fs::metadata(output)
        .with_context(|| format!("{} cannot be looked at", output.display()))?
        .len();
    let events = |kind| {
        truth
            .events
            .iter()
            .filter(|event| event.kind == kind)
            .count()
    };
    Ok(format!(
        "Simulated {} in {seconds:.1} s: {}, {}, {}. {} holds {:.1} MB (seed {seed}).",
        counted(truth.receipts.len(), "shopper", "shoppers"),
        counted(events("pick"), "pick", "picks"),
        counted(events("put_back"), "put-back", "put-backs"),
        counted(events("touch"), "touch", "touches"),
        output.display(),
        bytes as f64 / 1e6,
    ))
}

/// `1 pick`, `2 picks`.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
