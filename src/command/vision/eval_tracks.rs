//! `stroll vision eval-tracks`: the tracker on detections with a known truth.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::evaluation::multi_object::{self, Tracks};
use crate::vision::bounding_box::Detection;
use crate::vision::tracking::{Tracker, TrackerSettings};

/// Measure the tracker on files in MOTChallenge's form (CLEAR MOT)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What a detector found: frame, -1, left, top, width, height, score
    #[arg(value_name = "DETECTIONS")]
    detections: PathBuf,
    /// Who was really where: frame, identity, left, top, width, height, 1
    #[arg(value_name = "TRUTH")]
    truth: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let found = read(&args.detections)?;
    let truth = multi_object::by_frame(&read(&args.truth)?);
    let score = multi_object::score(&truth, &track(&found));
    println!(
        "MOTA {:.1} %, {} id switches, {} misses, {} false positives of {} boxes in {} frames",
        100.0 * score.mota(),
        score.id_switches,
        score.misses,
        score.false_positives,
        score.present,
        truth.len()
    );
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<(u32, i64, Detection)>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    multi_object::parse(&text).with_context(|| path.display().to_string())
}

/// The tracks of detections, frame by frame.
fn track(found: &[(u32, i64, Detection)]) -> Tracks {
    let mut tracker = Tracker::new(TrackerSettings::default());
    let frames = found.iter().map(|(frame, ..)| *frame);
    let (first, last) = (frames.clone().min(), frames.max());
    let mut tracks = Tracks::new();
    for frame in first.unwrap_or(1)..=last.unwrap_or(0) {
        let seen: Vec<Detection> = (found.iter())
            .filter(|(of, ..)| *of == frame)
            .map(|(.., detection)| *detection)
            .collect();
        let shown = tracker.step(&seen).into_iter();
        tracks.insert(frame, shown.map(|b| (b.track, b.bounds)).collect());
    }
    tracks
}
