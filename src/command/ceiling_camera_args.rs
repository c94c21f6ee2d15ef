//! The cameras that look down at a node's floor.

use std::path::PathBuf;

use anyhow::{Context, bail};

use super::vision::{self, models};
use crate::edge::camera::{self, calibration};
use crate::edge::ceiling_cameras::{self, CeilingCameras, Timing};
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;
use crate::vision::ceiling::Ceiling;
use crate::vision::model_card::ModelKind;

/// Cameras that follow people.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// A camera that follows people, by its name in the calibration: 1=0 (a Pi's own camera), 1=/dev/video0, 1=rtsp://..., or 1=frames.mcap; once for each
    #[arg(long, value_name = "ID=SOURCE", requires = "calibration", value_parser = vision::named)]
    ceiling_camera: Vec<(String, String)>,
    /// Where they hang: a `calibration.json` of the AutoCheckout competition
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Frames a second of videos and pictures, which don't say when they were taken
    #[arg(long, value_name = "HZ", default_value_t = 10.0, value_parser = vision::rate)]
    ceiling_rate_hz: f64,
}

/// When things happen to cameras.
pub struct Times<C> {
    /// The node begins to watch.
    pub from: Timestamp,
    /// What recorded frames say of their time is event time.
    pub as_stamped: bool,
    /// Event time, for live cameras.
    pub clock: C,
    /// What makes tracks of this run differ from those of an earlier one.
    pub run: String,
}

impl Args {
    pub fn is_empty(&self) -> bool {
        self.ceiling_camera.is_empty()
    }

    /// Opens the cameras of a node; `None` if there are none.
    pub fn open(
        &self,
        models: &models::Args,
        definition: &Definition,
        node: &NodeName,
        times: Times<impl Fn() -> Timestamp + Clone + Send + 'static>,
    ) -> anyhow::Result<Option<CeilingCameras>> {
        let Some(calibration) = self.calibration.as_ref().filter(|_| !self.is_empty()) else {
            return Ok(None);
        };
        let known = definition.layout.node(node);
        if !known.is_some_and(|n| n.tracks_bodies) {
            bail!(
                "store {} does not have node {node} follow people: its definition wants `tracks_bodies = true` for a node with --ceiling-camera",
                definition.id
            );
        }
        let (names, sources): (Vec<String>, Vec<String>) =
            self.ceiling_camera.iter().cloned().unzip();
        let places = calibration::of_named(calibration, &names)?;
        let recorded = sources.iter().filter(|s| ceiling_cameras::is_recorded(s));
        let recorded = recorded.count();
        if recorded > 0 && recorded < sources.len() {
            bail!("some of the ceiling cameras are recordings and some are live: take one kind");
        }
        let model = models.open(ModelKind::People)?;
        let detector = model.people_detector(&models.engine())?;
        let ceiling = Ceiling::new(detector, places, times.from);
        if recorded == 0 {
            let live = CeilingCameras::live(node, &times.run, ceiling, &sources, times.clock);
            return Ok(Some(live.context("the ceiling cameras cannot be read")?));
        }
        let opened: Result<Vec<_>, _> = sources.iter().map(|s| camera::open(s)).collect();
        let timing = Timing {
            from: times.from,
            rate_hz: self.ceiling_rate_hz,
            as_stamped: times.as_stamped,
        };
        let run = if times.as_stamped { "" } else { &times.run };
        Ok(Some(CeilingCameras::recorded(
            node, run, ceiling, opened?, timing,
        )))
    }
}
