//! `stroll import`: makes an `.mcap` recording of somebody else's format.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::output_file;
use crate::edge::recording::mcap::McapWriter;
use crate::edge::recording::{OpenOptions, nanostore};
use crate::recording::{Record, Recording};
use crate::units::Timestamp;

/// Make an .mcap recording of somebody else's format
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Format {
    Nanostore(NanostoreArgs),
}

/// A folder of the AutoCheckout competition (plate_data.json, full_targets.json, planogram.json, products.json)
#[derive(Debug, clap::Args)]
struct NanostoreArgs {
    /// The competition's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The recording to write
    #[arg(short, long, value_name = "FILE.mcap")]
    output: PathBuf,
    /// Import what is whole before the first damage
    #[arg(long)]
    partial: bool,
    /// Overwrite the output file
    #[arg(long)]
    force: bool,
}

/// Imports, and says in a paragraph what was imported.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Format::Nanostore(args) = args.format;
    let options = OpenOptions {
        partial: args.partial,
        definition: None,
    };
    let recording = nanostore::read(&args.dir, &options)?;
    let file = output_file::create(&args.output, args.force)?;
    if let Err(error) = write(&recording, file) {
        // Half a recording under the name of a whole one would mislead; the first error is the one to tell.
        let _ = std::fs::remove_file(&args.output);
        return Err(error);
    }
    println!("{}", summary(&args.dir, &args.output, &recording));
    Ok(())
}

fn write(recording: &Recording, file: File) -> anyhow::Result<()> {
    let mut writer = McapWriter::new(
        BufWriter::new(file),
        &recording.definition,
        &recording.nodes,
        recording.truth.as_ref(),
    )?;
    for record in &recording.records {
        writer.write(record)?;
    }
    writer.finish()?;
    Ok(())
}

/// One paragraph: what was imported, and what was left out.
fn summary(from: &Path, to: &Path, recording: &Recording) -> String {
    let mut samples = 0;
    let mut frames = 0;
    let mut tracks = BTreeSet::new();
    let mut span: Option<(Timestamp, Timestamp)> = None;
    for record in &recording.records {
        let (first_at, last_at) = match record {
            Record::Scale(batch) => {
                samples += batch.counts.len();
                (batch.first_at, batch.last_at())
            }
            Record::Body(frame) => {
                frames += 1;
                tracks.extend(frame.bodies.iter().map(|(track, _)| track));
                (frame.at, frame.at)
            }
            Record::Gate(gate) => (gate.observation.at, gate.observation.at),
        };
        span = Some(span.map_or((first_at, last_at), |(first, last)| {
            (first.min(first_at), last.max(last_at))
        }));
    }
    let seconds = span.map_or(0.0, |(first, last)| last.seconds_since(first));
    let nodes: Vec<&str> = recording.nodes.iter().map(|node| node.as_str()).collect();
    let truth = match &recording.truth {
        Some(truth) => format!(
            "the truth of {}",
            counted(truth.receipts.len(), "receipt", "receipts")
        ),
        None => "no truth".to_owned(),
    };
    let damage = match &recording.damage {
        Some(damage) => format!(" Not whole: {damage}."),
        None => String::new(),
    };
    format!(
        "Imported {} into {}: {seconds:.1} s of {} ({}), {} samples of {}, {} with {}, and {truth}.{damage}",
        from.display(),
        to.display(),
        counted(nodes.len(), "node", "nodes"),
        nodes.join(", "),
        samples,
        counted(recording.definition.layout.plate_count(), "plate", "plates"),
        counted(frames, "body frame", "body frames"),
        counted(tracks.len(), "track", "tracks"),
    )
}

/// `1 plate`, `2 plates`.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
