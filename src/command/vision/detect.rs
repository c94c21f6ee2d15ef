//! `stroll vision detect`: where people are in pictures.

use std::io::Write;

use serde::Serialize;

use crate::edge::camera;
use crate::vision::bounding_box::Detection;
use crate::vision::model_card::ModelKind;

/// Find the people in pictures, a recording or a video
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A picture, a folder of pictures, an `.mcap` recording, or, where `ffmpeg` is installed, a video, stream or device
    #[arg(value_name = "FILE")]
    source: String,
    /// Look at each Nth frame only
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// From which score a box is shown [default: as the model's card says]
    #[arg(long, value_name = "S", value_parser = super::share)]
    score_min: Option<f64>,
    /// Print JSON, a line for each frame
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    models: super::models::Args,
}

/// A line of the output.
#[derive(Serialize)]
struct Line {
    frame: u64,
    people: Vec<Detection>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let model = args.models.open(ModelKind::People)?;
    let mut detector = model.people_detector(&args.models.engine())?;
    let score_min = args.score_min.unwrap_or(detector.score_min());
    let mut frames = camera::open(&args.source)?;
    let mut out = std::io::stdout().lock();
    while let Some(frame) = frames.next_frame()? {
        if frame.number % args.every != 0 {
            continue;
        }
        let found = detector
            .look(&frame.picture()?, score_min)
            .map_err(|error| model.engine_error(error))?;
        let line = Line {
            frame: frame.number,
            people: found.into_iter().map(rounded).collect(),
        };
        let told = if args.json {
            serde_json::to_writer(&mut out, &line)?;
            writeln!(out)
        } else {
            writeln!(out, "{}", sentence(&line))
        };
        match told {
            Ok(()) => {}
            // Whoever read it has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A tenth of a pixel and a thousandth of a score are more than is meant.
fn rounded(found: Detection) -> Detection {
    let sides: [f64; 4] = found.bounds.into();
    Detection {
        bounds: sides.map(|n| (n * 10.0).round() / 10.0).into(),
        score: (found.score * 1e3).round() / 1e3,
    }
}

fn sentence(line: &Line) -> String {
    let people = line.people.iter().map(|d| {
        let b = d.bounds;
        format!(
            "  [{:.0}, {:.0}, {:.0}, {:.0}] {:.2}",
            b.x0, b.y0, b.x1, b.y1, d.score
        )
    });
    let people: Vec<String> = people.collect();
    let count = people.len();
    format!("frame {}: {count}{}", line.frame, people.concat())
}
