//! `stroll vision`: what the cameras see, and how well.

mod bench;
mod detect;
mod eval;
mod eval_tracks;
mod follow;
pub(super) mod models;
mod qr;
mod record;
mod watch;

/// Find people, recognise products and read codes in pictures, and measure how well
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Detect(detect::Args),
    Follow(follow::Args),
    Watch(watch::Args),
    Eval(eval::Args),
    EvalTracks(eval_tracks::Args),
    Bench(bench::Args),
    Qr(qr::Args),
    Record(record::Args),
}

pub fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Detect(args) => detect::run(args),
        What::Follow(args) => follow::run(args),
        What::Watch(args) => watch::run(args),
        What::Eval(args) => eval::run(args),
        What::EvalTracks(args) => eval_tracks::run(args),
        What::Bench(args) => bench::run(args),
        What::Qr(args) => qr::run(args),
        What::Record(args) => record::run(args),
    }
}

/// A camera's name and its frames.
pub(super) fn named(text: &str) -> Result<(String, String), String> {
    let parts = text
        .split_once('=')
        .filter(|(_, source)| !source.is_empty());
    let (name, source) = parts.ok_or_else(|| "write NAME=SOURCE, such as 1=cam1.mp4".to_owned())?;
    Ok((name.to_owned(), source.to_owned()))
}

/// A share, 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    (text.parse().ok())
        .filter(|s| (0.0..=1.0).contains(s))
        .ok_or_else(|| "write a share from 0 to 1".to_owned())
}

/// Frames a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    (text.parse().ok())
        .filter(|hz| (0.001..=1_000.0).contains(hz))
        .ok_or_else(|| "write frames a second, 0.001 to 1000".to_owned())
}
