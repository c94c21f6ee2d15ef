//! `stroll vision watch`: pictures with boxes and tracks, for people to look at.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::watch;

use crate::command::serving;
use crate::console::live_picture;
use crate::edge::models::ModelFile;
use crate::edge::{camera, pictures};
use crate::vision::model_card::ModelKind;
use crate::vision::overlay;
use crate::vision::people::PeopleDetector;
use crate::vision::picture::Picture;
use crate::vision::tracking::{Tracker, TrackerSettings};

/// Show pictures with a box around each person, heads made unrecognisable
///
/// Each track has a colour of its own. With `--out` they are written to a folder, with `--listen` a browser on this machine shows
/// them live; files are then played at their pace. Without `--every` each frame is looked at and shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A picture, a folder of pictures, an `.mcap` recording, or, where `ffmpeg` is installed, a video, stream or device
    #[arg(value_name = "FILE")]
    source: String,
    /// The folder that the pictures are written to; one is replaced if it has the same number
    #[arg(short, long, value_name = "DIR", required_unless_present = "listen")]
    out: Option<PathBuf>,
    /// Serve a live picture here, on loopback only, such as 127.0.0.1:8090
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Frames a second at which files are played to `--listen`
    #[arg(long, value_name = "HZ", default_value_t = 10.0, value_parser = super::rate)]
    rate_hz: f64,
    /// Show each Nth frame only
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
    let detector = model.people_detector(&args.models.engine())?;
    let mut watching = Watching {
        tracker: Tracker::new(TrackerSettings::for_detector(detector.score_min())),
        detector,
        model,
        written: 0,
    };
    let Some(listen) = args.listen else {
        watching.frames(&args, None, &|| false)?;
        return watching.tell(args.out.as_deref());
    };
    if !listen.ip().is_loopback() {
        bail!(
            "{listen}: pictures of people are shown on this machine only; listen on 127.0.0.1:{}",
            listen.port()
        );
    }
    let (switch, stop) = serving::stop_switch()?;
    let runtime =
        tokio::runtime::Runtime::new().context("the network runtime cannot be started")?;
    let (show, pictures) = watch::channel(Arc::default());
    let listener = runtime.block_on(serving::bind(listen))?;
    println!("Look at http://{} (Ctrl-C ends it)", listener.local_addr()?);
    let until = serving::stopped(stop.clone());
    let server = runtime.spawn(live_picture::serve(listener, pictures, until));
    let seen = watching.frames(&args, Some(&show), &|| *stop.borrow());
    drop(show);
    switch.send_replace(true);
    seen?;
    runtime.block_on(server)??;
    watching.tell(args.out.as_deref())
}

/// The network and the tracks at work.
struct Watching {
    model: ModelFile,
    detector: PeopleDetector,
    tracker: Tracker,
    written: u64,
}

impl Watching {
    fn frames(
        &mut self,
        args: &Args,
        show: Option<&watch::Sender<Arc<[u8]>>>,
        is_stopped: &dyn Fn() -> bool,
    ) -> anyhow::Result<()> {
        if let Some(folder) = &args.out {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let mut frames = camera::open(&args.source)?;
        let is_file = Path::new(&args.source).exists() && !args.source.starts_with("/dev/");
        let begun = Instant::now();
        while !is_stopped()
            && let Some(frame) = frames.next_frame()?
        {
            let mut picture = frame.picture()?;
            self.draw(&mut picture)
                .map_err(|error| self.model.engine_error(error))?;
            if frame.number % args.every != 0 {
                continue;
            }
            let bytes = pictures::jpeg(&picture, QUALITY)?;
            if let Some(folder) = &args.out {
                write(&bytes, folder, frame.number)?;
                self.written += 1;
            }
            if let Some(show) = show {
                show.send_replace(bytes.into());
                let due = Duration::from_secs_f64(frame.number as f64 / args.rate_hz);
                if is_file {
                    std::thread::sleep(due.saturating_sub(begun.elapsed()));
                }
            }
        }
        Ok(())
    }

    /// Draws who is seen. Heads are blurred of everybody who may be there, long before it is sure.
    fn draw(&mut self, picture: &mut Picture) -> Result<(), crate::vision::engine::EngineError> {
        let maybe = self
            .detector
            .look(picture, self.detector.score_min() / 4.0)?;
        for person in &maybe {
            overlay::blur(picture, &overlay::head_of(&person.bounds));
        }
        for person in self.tracker.step(&maybe) {
            let colour = COLOURS[(person.track % COLOURS.len() as u64) as usize];
            overlay::outline(picture, &person.bounds, colour);
        }
        Ok(())
    }

    fn tell(&self, out: Option<&Path>) -> anyhow::Result<()> {
        if let Some(folder) = out {
            println!("{} pictures in {}", self.written, folder.display());
        }
        Ok(())
    }
}

fn write(bytes: &[u8], folder: &Path, number: u64) -> anyhow::Result<()> {
    let path = folder.join(format!("frame-{number:06}.jpg"));
    std::fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}
