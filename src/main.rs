//! The executable: reads the command line, starts the log, runs one subcommand, and gives its exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use stroll::command::{Cli, Failed};

#[expect(
    clippy::print_stderr,
    reason = "why the program ends is told to who called it"
)]
fn main() -> ExitCode {
    let cli = Cli::parse(); // ends with 2 on wrong usage
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,rumqttd=off")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
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
