//! `stroll torture`: whole store-days in which everything fails, from seeds.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Context, bail};

use super::Failed;
use crate::torture::{self, Counts, Fault, Options, Totals};

/// Play whole store-days in which everything fails, and audit them
///
/// Nodes crash and get old copies of their cards, messages are lost, doubled, delayed and overtaken, nodes are cut off,
/// the coordinator is killed, and the payment provider declines, lapses, or does not answer. Each day is one seed on a
/// clock of its own. A seed that breaks a rule is printed with the command that plays it again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first and the last seed
    #[arg(long, value_name = "A..B", default_value = "1..10", value_parser = seeds)]
    seeds: RangeInclusive<u64>,
    /// Shoppers a day
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    shoppers: u32,
    /// Let nothing fail: then nothing may go to review
    #[arg(long)]
    calm: bool,
    /// Instead, so many days on end in one store, of the first seed, in which nothing fails: what memory it takes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: Option<u32>,
    /// Where the files of a day are made, and removed again [default: in memory, where the system has /dev/shm]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Linux keeps this folder in memory.
const IN_MEMORY: &str = "/dev/shm";

fn in_memory() -> PathBuf {
    let memory = PathBuf::from(IN_MEMORY);
    let is_writable = tempfile::tempdir_in(&memory).is_ok();
    if is_writable {
        memory
    } else {
        std::env::temp_dir()
    }
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let ends = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (ends.0.parse(), ends.1.trim_start_matches('=').parse());
    match (first, last) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err("write the first and the last seed: 1..20".to_owned()),
    }
}

/// Plays and audits.
pub fn run(args: Args) -> anyhow::Result<()> {
    let options = Options {
        shoppers: args.shoppers as usize,
        calm: args.calm,
        folder: args.folder.unwrap_or_else(in_memory),
    };
    if let Some(days) = args.days {
        return on_end(*args.seeds.start(), days, &options);
    }
    let (mut faults, mut totals) = (Counts::default(), Totals::default());
    let (mut days, mut failed) = (0_u64, 0_u64);
    for seed in args.seeds {
        let again = format!(
            "stroll torture --seeds {seed}..{seed} --shoppers {}{}",
            args.shoppers,
            if args.calm { " --calm" } else { "" }
        );
        let day = torture::run(seed, &options).with_context(|| format!("again: {again}"))?;
        days += 1;
        faults.merge(&day.faults);
        totals.merge(&day.totals);
        if !day.violations.is_empty() {
            failed += 1;
            println!(
                "seed {seed} breaks {} rules; again: {again}",
                day.violations.len()
            );
            for violation in day.violations.iter().take(10) {
                println!("  {violation}");
            }
        }
    }
    print(days, &totals, &faults);
    if days == 0 {
        bail!("no seeds");
    }
    if failed > 0 {
        println!("{failed} of {days} days break a rule.");
        return Err(Failed.into());
    }
    println!("No day breaks a rule.");
    Ok(())
}

fn on_end(seed: u64, days: u32, options: &Options) -> anyhow::Result<()> {
    println!("  day  receipts  sessions remembered  journal, MB  resident, MB");
    let mega = |bytes: u64| bytes as f64 / 1e6;
    torture::days(seed, days, options, |end| {
        println!(
            "{:>5}  {:>8}  {:>19}  {:>11.1}  {:>12.1}",
            end.day,
            end.receipts,
            end.sessions,
            mega(end.journal_bytes),
            mega(end.resident_bytes)
        );
    })?;
    Ok(())
}

fn print(days: u64, totals: &Totals, faults: &Counts) {
    println!(
        "{days} days: {} shoppers ({} let in), {} observations in the journal, {} receipts",
        totals.shoppers, totals.let_in, totals.observations, totals.receipts
    );
    println!(
        "{} units taken, {} charged; {} shoppers with another receipt than they should have, {} of them charged too much: \
         each with a review, a gap or a silent node that tells of it",
        totals.units_taken, totals.units_charged, totals.flagged, totals.flagged_overcharged
    );
    for fault in Fault::ALL {
        println!("{:>9}  {fault}", faults.get(fault));
    }
}
