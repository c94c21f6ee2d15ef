//! The cameras before a node's shelves.

use std::path::PathBuf;

use anyhow::{Context, bail};

use super::pace::Pace;
use super::vision::models;
use crate::edge::camera;
use crate::edge::evidence::{Evidence, EvidenceLimits};
use crate::edge::gallery::Gallery;
use crate::edge::shelf_cameras::ShelfCameras;
use crate::store::ShelfId;
use crate::vision::model_card::ModelKind;
use crate::vision::shelf_eyes::ShelfEyes;

/// Cameras that look at what moves on shelves.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// A camera before a shelf, such as 1.5=0 (a Pi's own camera), 1.5=/dev/video0, 1.5=rtsp://..., or 1.5=frames.mcap; once for each
    #[arg(long, value_name = "SHELF=CAMERA", value_parser = shelf_camera)]
    shelf_camera: Vec<(ShelfId, String)>,
    /// The products that were enrolled for them by `stroll enroll`
    #[arg(long, value_name = "FILE", default_value = "gallery.json")]
    gallery: PathBuf,
    /// Keep the frames before and after each change that is looked at in this folder, for a person who reviews it
    #[arg(long, value_name = "DIR", requires = "shelf_camera")]
    evidence: Option<PathBuf>,
    /// How long they are kept
    #[arg(long, value_name = "HOURS", default_value_t = 24.0, value_parser = hours)]
    evidence_hours: f64,
    /// How many of them are kept at most, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    evidence_mib: u64,
    #[command(flatten)]
    models: models::Args,
}

fn hours(text: &str) -> Result<f64, String> {
    (text.parse().ok())
        .filter(|hours| (0.0..=8_760.0).contains(hours))
        .ok_or_else(|| "write hours from 0 to 8760".to_owned())
}

fn shelf_camera(text: &str) -> Result<(ShelfId, String), String> {
    let (shelf, camera) = (text.split_once('='))
        .filter(|(_, camera)| !camera.is_empty())
        .ok_or_else(|| "write SHELF=CAMERA, such as 1.5=/dev/video0".to_owned())?;
    Ok((shelf.parse()?, camera.to_owned()))
}

impl Args {
    pub fn is_empty(&self) -> bool {
        self.shelf_camera.is_empty()
    }

    /// The models of all of a node's cameras.
    pub fn models(&self) -> &models::Args {
        &self.models
    }

    /// Opens the cameras; `None` if there are none. Live frames are stamped by `pace`, those of a recording by themselves.
    pub fn open(&self, pace: Pace) -> anyhow::Result<Option<Box<dyn ShelfEyes>>> {
        if self.is_empty() {
            return Ok(None);
        }
        let model = self.models.open(ModelKind::Products)?;
        let Some(gallery) = Gallery::read(&self.gallery, &model.card.sha256)? else {
            bail!(
                "{}: there is no such gallery; `stroll enroll` makes one",
                self.gallery.display()
            );
        };
        let recogniser = model.recogniser(&self.models.engine())?;
        let mut eyes = ShelfCameras::new(recogniser, gallery.products, &model.card.version);
        if let Some(folder) = &self.evidence {
            let limits = EvidenceLimits {
                kept_s: self.evidence_hours * 3_600.0,
                bytes_max: self.evidence_mib << 20,
            };
            let evidence = Evidence::open(folder, limits);
            eyes.keep(evidence.with_context(|| format!("{} cannot be used", folder.display()))?);
        }
        for (shelf, name) in &self.shelf_camera {
            if name.ends_with(".mcap") {
                eyes.add_recorded(*shelf, camera::open(name)?);
            } else {
                let name = name.clone();
                eyes.add_live(
                    *shelf,
                    move || pace.event_now(),
                    move || camera::open(&name),
                )
                .with_context(|| format!("the camera of shelf {shelf} cannot be read"))?;
            }
        }
        Ok(Some(Box::new(eyes)))
    }
}
