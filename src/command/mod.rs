//! The subcommands: one file each, with its own arguments and `run`. They only wire.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a command finds is told to who called it"
)]

pub mod bench;
pub mod calibrate;
mod ceiling_camera_args;
pub mod config;
mod console_feed;
pub mod coordinator;
mod credentials_args;
pub mod demo;
pub mod enroll;
pub mod evaluate;
pub mod explain;
pub mod import;
pub mod journal;
mod live_store;
pub mod node;
mod node_service;
mod node_setup;
mod operating;
mod output_file;
mod pace;
mod payment;
mod plot;
mod printed;
pub mod provision;
pub mod record;
pub mod replay;
mod serving;
mod shelf_camera_args;
pub mod simulate;
mod situation_args;
mod store_at;
mod through_broker;
pub mod torture;
mod verdict;
pub mod vision;

/// Stroll: an open, checkout-free store that runs on Raspberry Pi.
#[derive(Debug, clap::Parser)]
#[command(name = "stroll", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Bench(bench::Args),
    Demo(demo::Args),
    Replay(replay::Args),
    Evaluate(evaluate::Args),
    Explain(explain::Args),
    Simulate(simulate::Args),
    Torture(torture::Args),
    Import(import::Args),
    Config(config::Args),
    Coordinator(coordinator::Args),
    Node(node::Args),
    Calibrate(calibrate::Args),
    Record(record::Args),
    Provision(provision::Args),
    Journal(journal::Args),
    Enroll(enroll::Args),
    Vision(vision::Args),
}

impl Command {
    /// Runs the subcommand. Wrong usage that clap cannot see ends the process with 2.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Command::Bench(args) => bench::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Replay(args) => replay::run(args),
            Command::Evaluate(args) => evaluate::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Simulate(args) => simulate::run(args),
            Command::Torture(args) => torture::run(args),
            Command::Import(args) => import::run(args),
            Command::Config(args) => config::run(args),
            Command::Coordinator(args) => coordinator::run(args),
            Command::Node(args) => node::run(args),
            Command::Calibrate(args) => calibrate::run(args),
            Command::Record(args) => record::run(args),
            Command::Provision(args) => provision::run(args),
            Command::Journal(args) => journal::run(args),
            Command::Enroll(args) => enroll::run(args),
            Command::Vision(args) => vision::run(args),
        }
    }
}

/// The command failed and has said why itself.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
pub struct Failed;
