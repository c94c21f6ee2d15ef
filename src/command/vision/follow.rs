//! `stroll vision follow`: where people walk, from the ceiling cameras.

use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;

use crate::edge::camera::{self, calibration};
use crate::units::Timestamp;
use crate::vision::ceiling::Ceiling;
use crate::vision::model_card::ModelKind;

/// Follow people over the floor, through one camera or several
///
/// The frames of all cameras are taken to be of the same moments. Each line is one moment; places are metres in the store's coordinates.
/// At the end it warns of cameras that place the same person metres apart: they do not hang where the calibration says.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A camera's name in the calibration and its frames, such as 1=cam1.mp4; once for each
    #[arg(long, value_name = "NAME=SOURCE", required = true, value_parser = super::named)]
    camera: Vec<(String, String)>,
    /// Where the cameras hang: a `calibration.json` of the AutoCheckout competition
    #[arg(long, value_name = "FILE")]
    calibration: PathBuf,
    /// Frames a second
    #[arg(long, value_name = "HZ", default_value_t = 10.0, value_parser = super::rate)]
    rate_hz: f64,
    /// Print JSON, a line for each moment
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    models: super::models::Args,
}

#[derive(Serialize)]
struct Line {
    frame: u64,
    t: f64,
    people: Vec<Person>,
}

#[derive(Serialize)]
struct Person {
    track: u64,
    floor: [f64; 2],
    sigma_m: f64,
    cameras: Vec<String>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let model = args.models.open(ModelKind::People)?;
    let detector = model.people_detector(&args.models.engine())?;
    let places =
        calibration::of_named(&args.calibration, args.camera.iter().map(|(name, _)| name))?;
    let mut sources = Vec::new();
    for (_, source) in &args.camera {
        sources.push(camera::open(source)?);
    }
    let mut ceiling = Ceiling::new(detector, places, Timestamp(0));
    for number in 0.. {
        let mut frames = Vec::new();
        for (index, source) in sources.iter_mut().enumerate() {
            if let Some(frame) = source.next_frame()? {
                frames.push((index, frame.picture()?));
            }
        }
        if frames.is_empty() {
            break;
        }
        let at = Timestamp(0).plus_seconds(number as f64 / args.rate_hz);
        let people = ceiling.step(at, &frames);
        let people = people.map_err(|error| model.engine_error(error))?;
        let centimetres = |m: f64| (m * 100.0).round() / 100.0;
        let people = people.into_iter().map(|p| Person {
            track: p.id,
            floor: [centimetres(p.x), centimetres(p.y)],
            sigma_m: centimetres(p.sigma_m),
            cameras: p
                .cameras
                .iter()
                .map(|c| args.camera[*c].0.clone())
                .collect(),
        });
        let line = Line {
            frame: number,
            t: (number as f64 / args.rate_hz * 1e3).round() / 1e3,
            people: people.collect(),
        };
        tell(&line, args.json).context("the line cannot be written")?;
    }
    for (a, b, apart_m) in ceiling.disagreements() {
        eprintln!(
            "stroll: cameras {a} and {b} place the same person {apart_m:.1} m apart (median): they do not hang where {} says",
            args.calibration.display()
        );
    }
    Ok(())
}

fn tell(line: &Line, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(line)?);
        return Ok(());
    }
    let people = line.people.iter().map(|p| {
        let [x, y] = p.floor;
        format!(
            "  {}: ({x:.2}, {y:.2}) m by {}",
            p.track,
            p.cameras.join("+")
        )
    });
    println!("{:7.1} s{}", line.t, people.collect::<String>());
    Ok(())
}
