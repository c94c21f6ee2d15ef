//! `stroll vision watch`: pictures with boxes and tracks, for people to look at.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::edge::{camera, pictures};
use crate::vision::model_card::ModelKind;
use crate::vision::overlay;
use crate::vision::people::PeopleDetector;
use crate::vision::picture::Picture;
use crate::vision::tracking::{Tracker, TrackerSettings};

/// Write pictures with a box around each person, heads made unrecognisable
///
/// Each track has a colour of its own. Without `--every` each frame is looked at and written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A picture, a folder of pictures, an `.mcap` recording, or, where `ffmpeg` is installed, a video, stream or device
    #[arg(value_name = "FILE")]
    source: String,
    /// The folder that the pictures are written to; one is replaced if it has the same number
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
    /// Write each Nth frame only
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    #[command(flatten)]
    models: super::models::Args,
}

const QUALITY: u8 = 85;
const COLOURS: [[u8; 3]; 6] = [
    [230, 60, 60],
    [60, 180, 75],
    [60, 110, 230],
    [240, 200, 40],
    [200, 70, 200],
    [70, 210, 220],
];

pub fn run(args: Args) -> anyhow::Result<()> {
    let model = args.models.open(ModelKind::People)?;
    let mut detector = model.people_detector(&args.models.engine())?;
    let mut frames = camera::open(&args.source)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("{} cannot be made", args.out.display()))?;
    let mut tracker = Tracker::new(TrackerSettings::for_detector(detector.score_min()));
    let mut written = 0_u64;
    while let Some(frame) = frames.next_frame()? {
        let mut picture = frame.picture()?;
        draw(&mut picture, &mut detector, &mut tracker)
            .map_err(|error| model.engine_error(error))?;
        if frame.number % args.every == 0 {
            write(&picture, &args.out, frame.number)?;
            written += 1;
        }
    }
    println!("{written} pictures in {}", args.out.display());
    Ok(())
}

/// Draws who is seen. Heads are blurred of everybody who may be there, long before it is sure.
fn draw(
    picture: &mut Picture,
    detector: &mut PeopleDetector,
    tracker: &mut Tracker,
) -> Result<(), crate::vision::engine::EngineError> {
    let maybe = detector.look(picture, detector.score_min() / 4.0)?;
    for person in &maybe {
        overlay::blur(picture, &overlay::head_of(&person.bounds));
    }
    for person in tracker.step(&maybe) {
        let colour = COLOURS[(person.track % COLOURS.len() as u64) as usize];
        overlay::outline(picture, &person.bounds, colour);
    }
    Ok(())
}

fn write(picture: &Picture, folder: &Path, number: u64) -> anyhow::Result<()> {
    let path = folder.join(format!("frame-{number:06}.jpg"));
    let bytes = pictures::jpeg(picture, QUALITY)?;
    std::fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}
