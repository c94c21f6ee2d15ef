//! The executable: reads the command line, starts the log, runs one subcommand, and gives its exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use stroll::command::{Cli, Failed};
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

#[expect(
    clippy::print_stderr,
    reason = "why the program ends is told to who called it"
)]
fn main() -> ExitCode {
    let cli = Cli::parse(); // ends with 2 on wrong usage
    let wanted =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,rumqttd=off"));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(wanted.and(filter_fn(shows_no_secret)));
    tracing_subscriber::registry().with(log).init();
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A command that has already said what is wrong ends quietly.
            if !error.is::<Failed>() {
                eprintln!("stroll: {}", sentence(&error));
            }
            ExitCode::FAILURE
        }
    }
}

/// At `trace` the HTTP client logs every byte that it sends, and with them the payment provider's key: it may say only what
/// it says at `info`, whatever `RUST_LOG` wants.
fn shows_no_secret(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with("ureq") || *metadata.level() <= Level::INFO
}

/// An error with its causes, each said once: some name their cause in their own words, and some repeat it.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    let mut last = said.clone();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) && !cause.contains(&last) {
            said.push_str(": ");
            said.push_str(&cause);
        }
        last = cause;
    }
    said
}
