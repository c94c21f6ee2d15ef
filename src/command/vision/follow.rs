//! `stroll vision follow`: where people walk, from the ceiling cameras.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Serialize;

use crate::edge::camera::{self, FrameSource, calibration};
use crate::vision::bounding_box::BoundingBox;
use crate::vision::camera_geometry::CameraGeometry;
use crate::vision::floor_tracking::{FloorSighting, FloorTracker};
use crate::vision::model_card::ModelKind;
use crate::vision::tracking::{Tracker, TrackerSettings};

/// Follow people over the floor, through one camera or several
///
/// The frames of all cameras are taken to be of the same moments. Each line is one moment; places are metres in the store's coordinates.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A camera's name in the calibration and its frames, such as 1=cam1.mp4; once for each
    #[arg(long, value_name = "NAME=SOURCE", required = true, value_parser = named)]
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

fn named(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=');
    let (name, source) = parts.ok_or_else(|| "write NAME=SOURCE, such as 1=cam1.mp4".to_owned())?;
    Ok((name.to_owned(), source.to_owned()))
}

/// One camera at work.
struct Eye {
    source: Box<dyn FrameSource>,
    geometry: CameraGeometry,
    tracker: Tracker,
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
    let mut detector = model.people_detector(&args.models.engine())?;
    let settings = TrackerSettings::for_detector(detector.score_min());
    let known = calibration::read(&args.calibration)?;
    let mut eyes = Vec::new();
    for (name, source) in &args.camera {
        let Some(geometry) = known.get(name) else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            let path = args.calibration.display();
            bail!("{path} has no camera {name}; it has {}", names.join(", "));
        };
        eyes.push(Eye {
            source: camera::open(source)?,
            geometry: geometry.clone(),
            tracker: Tracker::new(settings),
        });
    }
    let mut floor = FloorTracker::default();
    for number in 0.. {
        let mut seen = Vec::new();
        let mut ended = true;
        for (index, eye) in eyes.iter_mut().enumerate() {
            let Some(frame) = eye.source.next_frame()? else {
                continue;
            };
            ended = false;
            let picture = frame.picture()?;
            // Doubtful boxes too: the tracker knows what to make of them.
            let found = detector.look(&picture, settings.doubtful_min);
            let found = found.map_err(|error| model.engine_error(error))?;
            let standing = |bounds: &BoundingBox| {
                eye.geometry
                    .standing(bounds, picture.width(), picture.height())
            };
            let tracked = eye.tracker.step(&found).into_iter();
            seen.extend(tracked.filter_map(|b| {
                Some(FloorSighting {
                    camera: index,
                    track: b.track,
                    standing: standing(&b.bounds)?,
                })
            }));
        }
        if ended {
            break;
        }
        let people = floor.step(1.0 / args.rate_hz, &seen);
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
