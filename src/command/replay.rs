//! `stroll replay`: plays recordings through the store and prints the receipts.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::printed;
use super::store_at::{self, JournalAt};
use crate::checkout::{Decision, Receipt};
use crate::coordinator::Coordinator;
use crate::edge::definition_file;
use crate::edge::journal::{Journal, JournalError};
use crate::edge::mqtt::BrokerUrl;
use crate::edge::playback::Playback;
use crate::edge::recording::{self, OpenOptions};
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
    let definition = match &args.store {
        Some(path) => Some(Arc::new(definition_file::load(path)?.0)),
        None => None,
    };
    let options = OpenOptions {
        partial: args.partial,
        definition,
    };
    let recording = recording::open_many(&args.recordings, &options)?;
    if let Some(damage) = &recording.damage {
        eprintln!("stroll: played only what is whole: {damage}");
    }
    let journal = JournalAt::of(args.journal.as_deref());
    let shell = match args.broker {
        None => in_process(&recording, &journal)?,
        Some(broker) => super::through_broker::replay(&recording, &journal, broker)?,
    };
    if let Some(path) = &args.events {
        write_events(path, &shell)?;
    }
    let receipts = receipts(shell.log())?;
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

/// Every receipt of the journal, by time of entry.
fn receipts(journal: &Journal) -> Result<Vec<Receipt>, JournalError> {
    let decisions = journal.decisions()?.into_iter();
    let mut receipts: Vec<Receipt> = decisions
        .filter_map(|recorded| {
            if let Decision::ReceiptIssued { receipt } = recorded.decision {
                Some(receipt)
            } else {
                None
            }
        })
        .collect();
    receipts.sort_by(|a, b| (a.entered_at, &a.session).cmp(&(b.entered_at, &b.session)));
    Ok(receipts)
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
