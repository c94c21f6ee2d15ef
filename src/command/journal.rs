//! `stroll journal`: looks at a journal, copies it, and puts a copy in its place.

mod report;
mod show;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::output_file;
use crate::edge::journal::{Archive, Checked, Hash, Head, Restoring};

/// Verify, show, sum up, export, back up and restore the journal of a store
///
/// All but `restore` also work while the store is open, and see the journal as it was when they began.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Look whether anything was changed since it was written
    ///
    /// The entries are chained by their hashes: what was changed, deleted, added or moved is found, and the first such
    /// entry is named. A journal that was cut off at its end, or rewritten as a whole, is found only with a head that was
    /// kept elsewhere: give it with `--entries` and `--head`.
    Verify {
        /// The journal
        journal: PathBuf,
        /// How many entries it had when `--head` was its head
        #[arg(long, value_name = "N", requires = "head")]
        entries: Option<u64>,
        /// The hash of entry N, as an earlier `verify` printed it
        #[arg(long, value_name = "HASH", requires = "entries")]
        head: Option<Hash>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    Show(show::Args),
    Report(report::Args),
    /// Write every entry as a line of JSON, with its hash; phones' keys are in no entry
    Export {
        /// The journal
        journal: PathBuf,
        /// Write to this file, `-` for standard output
        #[arg(long, short, value_name = "FILE", default_value = "-")]
        output: PathBuf,
        /// Only what comes after this entry
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u64,
        /// Overwrite the file
        #[arg(long)]
        force: bool,
    },
    /// Copy it to one file, and verify the copy
    ///
    /// The copy holds the phones' keys, as the journal does.
    Backup {
        /// The journal
        journal: PathBuf,
        /// The copy
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        /// Overwrite the file
        #[arg(long)]
        force: bool,
    },
    /// Put a backup in the journal's place; the store must be closed
    ///
    /// What was there is kept beside it. Nodes keep what they sent for a day, and send again what the backup does not
    /// know of.
    Restore {
        /// The backup
        backup: PathBuf,
        /// The journal that it becomes
        #[arg(long, value_name = "FILE")]
        journal: PathBuf,
        /// Do it although there is a journal
        #[arg(long)]
        force: bool,
    },
}

/// Does it, and prints what was found or done.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Verify {
            journal,
            entries,
            head,
            json,
        } => {
            let expected = (entries.zip(head)).map(|(entries, hash)| Head { entries, hash });
            verify(&journal, expected.as_ref(), json)
        }
        What::Show(args) => show::run(&args),
        What::Report(args) => report::run(&args),
        What::Export {
            journal,
            output,
            after,
            force,
        } => export(&journal, &output, after, force),
        What::Backup {
            journal,
            output,
            force,
        } => {
            let checked = Archive::open(&journal)?.back_up(&output, force)?;
            println!("{} holds {}, verified", output.display(), told(&checked));
            println!("head {}", checked.head.hash);
            Ok(())
        }
        What::Restore {
            backup,
            journal,
            force,
        } => restore(&backup, &journal, force),
    }
}

fn verify(journal: &Path, expected: Option<&Head>, json: bool) -> anyhow::Result<()> {
    let checked = Archive::open(journal)?.verify(expected)?;
    if json {
        println!("{}", serde_json::to_string(&checked)?);
        return Ok(());
    }
    let Head { entries, hash } = checked.head;
    println!(
        "{} is what was written: {}",
        journal.display(),
        told(&checked)
    );
    println!("head {hash}");
    if expected.is_none() {
        println!(
            "Kept elsewhere, `--entries {entries} --head {hash}` shows later whether it was cut off or rewritten."
        );
    }
    Ok(())
}

fn told(checked: &Checked) -> String {
    let Checked {
        store,
        head,
        observations,
        decisions,
    } = checked;
    let entries = head.entries;
    format!("{entries} entries of `{store}` ({observations} observations, {decisions} decisions)")
}

fn export(journal: &Path, output: &Path, after: u64, force: bool) -> anyhow::Result<()> {
    let archive = Archive::open(journal)?;
    let out: Box<dyn Write> = match output == Path::new("-") {
        true => Box::new(std::io::stdout().lock()),
        false => Box::new(output_file::create(output, force)?),
    };
    let written = show::write_lines(&archive, after, out, |filed, _| {
        Some(show::json_line(&filed))
    })
    .with_context(|| format!("the export of {}", journal.display()))?;
    if output != Path::new("-") {
        println!("{} holds {written} entries", output.display());
    }
    Ok(())
}

fn restore(backup: &Path, journal: &Path, force: bool) -> anyhow::Result<()> {
    let restoring = Restoring::prepare(backup, journal)?;
    let (entries, hash) = (
        restoring.checked().head.entries,
        restoring.checked().head.hash,
    );
    match restoring.carry_out(force)? {
        Some(kept) => println!(
            "{} is the backup now; what was there is kept as {}",
            journal.display(),
            kept.display()
        ),
        None => println!("{} is the backup now", journal.display()),
    }
    println!("{entries} entries, head {hash}");
    Ok(())
}
