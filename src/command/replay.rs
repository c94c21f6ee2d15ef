//! `stroll replay`: plays recordings through the store and prints the receipts.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::printed;
use super::store_at::{self, JournalAt};
use crate::coordinator::Coordinator;
use crate::edge::mqtt::BrokerUrl;
use crate::edge::playback::{self, Playback};
use crate::edge::shell::Shell;
use crate::recording::Recording;
use crate::units::Timestamp;

/// Play recordings through the store, and print the receipts
///
/// The very code that runs live: sensing, wire, attribution, journal, payment (a sandbox).
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `.mcap` recordings of one store, or a folder of the AutoCheckout competition
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,
    /// Use this store definition in place of the recording's own
    #[arg(long, value_name = "FILE.toml")]
    store: Option<PathBuf>,
    /// Play what is whole of a damaged recording
    #[arg(long)]
    partial: bool,
    /// Keep the journal in this file, or go on with it; without it a journal is made and thrown away
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Send everything through this MQTT broker instead of within the process
    #[arg(long, value_name = "mqtt://HOST:PORT")]
    broker: Option<BrokerUrl>,
    /// Write every decision of the store to this file, a JSON line each, `-` for standard output
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Print JSON, in the form of the competition's receipts
    #[arg(long)]
    json: bool,
}

/// Plays, and prints what each shopper was charged.
pub fn run(args: Args) -> anyhow::Result<()> {
    let recording = store_at::recording(&args.recordings, args.store.as_deref(), args.partial)?;
    let journal = JournalAt::of(args.journal.as_deref());
    let shell = match args.broker {
        None => in_process(&recording, &journal)?,
        Some(broker) => super::through_broker::replay(&recording, &journal, broker)?,
    };
    if let Some(path) = &args.events {
        write_events(path, &shell)?;
    }
    let decisions = shell.log().decisions()?;
    let receipts = playback::issued(decisions.iter().map(|recorded| &recorded.decision));
    if args.json {
        println!("{}", printed::receipts_json(&receipts));
    } else {
        print!("{}", printed::receipts(&receipts));
    }
    Ok(())
}

fn in_process(recording: &Recording, journal: &JournalAt) -> anyhow::Result<Shell<Coordinator>> {
    let mut shell = store_at::open(journal, recording)?;
    let now = recording.records.first().map_or(Timestamp(0), |r| r.at());
    shell
        .retry(now)
        .context("while taking up the payments of before")?;
    Playback::new(recording).run(&mut shell)?;
    Ok(shell)
}

/// Writes the decisions of the journal in their order.
fn write_events(path: &Path, shell: &Shell<Coordinator>) -> anyhow::Result<()> {
    let cannot = || format!("the events cannot be written to {}", path.display());
    let mut out: Box<dyn Write> = if path == Path::new("-") {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(BufWriter::new(File::create(path).with_context(cannot)?))
    };
    for recorded in shell.log().decisions()? {
        serde_json::to_writer(&mut out, &recorded.decision).with_context(cannot)?;
        out.write_all(b"\n").with_context(cannot)?;
    }
    out.flush().with_context(cannot)
}
