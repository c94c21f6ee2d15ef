//! `stroll vision record`: frames of a camera as a recording.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::command::output_file;
use crate::edge::camera::{self, FrameWriter};
use crate::units::Timestamp;

/// Record frames as an `.mcap` file that Foxglove shows and `detect` reads
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder of pictures, or, where `ffmpeg` or `rpicam-vid` is installed, a video, stream, device or camera number
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The recording
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// The camera's name in the recording
    #[arg(long, value_name = "NAME", default_value = "camera")]
    camera: String,
    /// End after so many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Frames a second of pictures and videos, which don't say when they were taken; a camera's are stamped as they come
    #[arg(long, value_name = "HZ", value_parser = super::rate)]
    rate_hz: Option<f64>,
    /// Overwrite the recording
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let mut source = camera::open(&args.source)?;
    let file = output_file::create(&args.out, args.force)?;
    let mut writer = FrameWriter::new(&args.out, file, &args.camera)?;
    let start = now();
    let mut written = 0;
    while args.frames.is_none_or(|max| written < max)
        && let Some(frame) = source.next_frame()?
    {
        let by_rate = |hz: f64| start.plus_seconds(frame.number as f64 / hz);
        let at = frame.at.or(args.rate_hz.map(by_rate)).unwrap_or_else(now);
        writer.write(at, &frame.encoded)?;
        written += 1;
    }
    writer.finish()?;
    println!("{written} frames in {}", args.out.display());
    Ok(())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(since.map_or(0, |d| d.as_micros() as i64))
}
