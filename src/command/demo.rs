//! `stroll demo`

/// To be written.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_: Args) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
