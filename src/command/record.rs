//! `stroll record`: raw samples of a node's plates on the disk.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::node_setup::Wiring;
use super::serving;
use crate::edge::node::config::Recording;
use crate::edge::node::service::{group_of, raw_record};
use crate::edge::node::tape::Tape;
use crate::recording::NO_COUNT;

/// Record the raw samples of a node's plates, with rotation and a limit on the disk
///
/// The files are `.mcap`: `stroll replay` plays them anywhere, Foxglove opens them. A plate that is not calibrated is
/// recorded with a nominal factor.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wiring: Wiring,
    /// The folder for the files
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    /// A new file after so many minutes
    #[arg(long, value_name = "MIN", default_value_t = 60.0)]
    rotate_min: f64,
    /// The oldest files go when all of them take more than this
    #[arg(long, value_name = "MB", default_value_t = 2_000)]
    disk_max_mb: u64,
    /// End after so many seconds
    #[arg(long, value_name = "S")]
    for_s: Option<f64>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let setup = args.wiring.set_up()?;
    let (_switch, mut stop) = serving::stop_switch()?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let wanted = Recording {
        folder: args.output.clone(),
        rotate_min: args.rotate_min.max(0.01),
        disk_max_mb: args.disk_max_mb,
    };
    let mut tape = Tape::new(wanted, setup.config.name.clone(), setup.definition.clone());
    let group = group_of(&setup.config, &setup.calibrations);
    let (thread, mut batches, anchor) = setup.start()?;
    println!(
        "Recording {} plates to {} (Ctrl-C ends it)",
        group.plates.len(),
        args.output.display()
    );
    let mut samples = 0_u64;
    let mut lost = 0_u64;
    runtime.block_on(async {
        let limit = args.for_s.map_or(Duration::MAX, Duration::from_secs_f64);
        let over = tokio::time::sleep(limit.min(Duration::from_secs(1 << 31)));
        tokio::pin!(over);
        loop {
            tokio::select! {
                batch = batches.recv() => {
                    let batch = batch.context("the reading of the converters has ended")?;
                    samples += batch.raw.len() as u64;
                    lost += batch.raw.iter().filter(|count| **count == NO_COUNT).count() as u64;
                    tape.write(&raw_record(&group, anchor, &batch))?;
                }
                _ = stop.wait_for(|stop| *stop) => break,
                () = &mut over => break,
            }
        }
        anyhow::Ok(())
    })?;
    tape.finish()?;
    thread.stop()?;
    println!("{samples} samples, {lost} of them without a count");
    Ok(())
}
