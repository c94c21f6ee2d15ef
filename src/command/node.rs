//! `stroll node`: one node of a store, as a process of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::error::ErrorKind;
use tokio::sync::watch;

use super::ceiling_camera_args::{self, Times};
use super::credentials_args::{CredentialsArgs, client_tls};
use super::node_service;
use super::node_setup::Wiring;
use super::pace::{self, Pace};
use super::serving;
use super::shelf_camera_args;
use crate::edge::credentials::Who;
use crate::edge::definition_file;
use crate::edge::live::{Clock, LiveNode, Sensed};
use crate::edge::mqtt::{BrokerUrl, LinkError, LinkState, NodeLink, NodeOptions};
use crate::edge::node::config::NodeConfig;
use crate::edge::outbox::{Outbox, OutboxOptions};
use crate::edge::playback;
use crate::edge::recording::{self, OpenOptions};
use crate::observation::Observation;
use crate::recording::{Record, Recording};
use crate::sensing::node::NodeSensor;
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

/// The coordinator may take so long to commit anything more of what waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// A node that is told to stop gives the coordinator so long; the rest stays in the outbox.
const FAREWELL: Duration = Duration::from_secs(3);

/// Run one node of a store: on its converters, on simulated ones, or on the sensor data of a recording
///
/// With --config the node reads the converters that the file wires, until Ctrl-C or SIGTERM; with --simulate they are
/// simulated at their pins. A broken configuration does not end it: it stays reachable, shows the error, keeps recording raw
/// samples, and goes on when the file is mended.
///
/// With --from it plays a recording. Event time is the recorded one, so that a store whose nodes all play a recording prints the receipts that `stroll
/// replay` prints. Start them all within the store's node_silent_s. At the end of the recording each node promises
/// the time after which nobody can be inside any more and no review is open; then it stays on the line, as a real
/// node with nothing to see does, until Ctrl-C or SIGTERM.
///
/// The outbox is named after the recording: started again with the same outbox the node goes on where it was, and
/// a recording counts once in a journal however often it is played.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) wiring: Wiring,
    #[command(flatten)]
    place: Option<Place>,
    #[command(flatten)]
    pub(super) credentials: CredentialsArgs,
    /// Play this node's part of a recording
    #[arg(long, value_name = "RECORDING", conflicts_with_all = ["config", "simulate"])]
    from: Option<PathBuf>,
    /// How many times faster than life the recording is played
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = pace::speed)]
    speed: f64,
    /// Play the recording without waiting
    #[arg(long, conflicts_with = "speed")]
    as_fast_as_possible: bool,
    /// Go on so many seconds later than where the outbox ends, as if the node had been off meanwhile: what changed on its
    /// shelves is told as a gap. Afterwards the outbox can only be delivered
    #[arg(long, value_name = "S", requires = "from", value_parser = missed)]
    missed_s: Option<f64>,
    /// Let go of the gate and end: for systemd, however the node ended
    #[arg(long, conflicts_with_all = ["from", "simulate"])]
    release_gate: bool,
    /// End when the recording is over and everything is committed
    #[arg(long)]
    once: bool,
    /// Play nothing: end when everything in the outbox is committed
    #[arg(long, conflicts_with_all = ["from", "once", "as_fast_as_possible", "speed"])]
    deliver_only: bool,
    #[command(flatten)]
    pub(super) eyes: shelf_camera_args::Args,
    #[command(flatten)]
    pub(super) ceiling: ceiling_camera_args::Args,
}

mod watching;

/// A node that no configuration names.
#[derive(Clone, Debug, clap::Args)]
struct Place {
    /// The store's definition
    #[arg(long, value_name = "FILE.toml", required = false, requires_all = ["name", "broker", "outbox"], conflicts_with = "config")]
    store: PathBuf,
    /// Which of the store's nodes this is
    #[arg(long, value_name = "NODE", required = false, requires = "store")]
    name: String,
    /// The store's MQTT broker
    #[arg(
        long,
        value_name = "mqtt[s]://HOST:PORT",
        required = false,
        requires = "store"
    )]
    broker: BrokerUrl,
    /// Where what the coordinator has not committed yet is kept, made if there is none
    #[arg(long, value_name = "FILE", required = false, requires = "store")]
    outbox: PathBuf,
}

fn missed(text: &str) -> Result<f64, String> {
    (text.parse().ok())
        .filter(|s| (0.0..=86_400.0).contains(s))
        .ok_or_else(|| "write seconds from 0 to 86400".to_owned())
}

/// Runs the node.
pub fn run(args: Args) -> anyhow::Result<()> {
    if args.release_gate {
        return node_service::release_gate(&args.wiring);
    }
    let is_played = args.from.is_some() || args.deliver_only;
    // Cameras at the ceiling are watched without converters, too.
    let is_played = is_played || !args.ceiling.is_empty() && args.wiring.simulate.is_none();
    match args.place.clone() {
        None if args.from.is_some() || args.deliver_only => Err(anyhow::anyhow!(
            "a recording is played by a node that --store, --name, --broker and --outbox name"
        )),
        None => on_runtime(|stop| async move { node_service::run(&args, stop).await }),
        Some(place) if is_played => play_part(&args, &place),
        Some(_) if args.wiring.simulate.is_none() => needs(
            "--from <RECORDING>, --ceiling-camera <ID=SOURCE>, --config <NODE.toml> or --simulate <SITUATION.toml>",
        ),
        Some(place) => {
            let definition = Arc::new(definition_file::load(&place.store)?.0);
            let name = node_name(&place, &definition)?;
            let config = NodeConfig::bench(
                &definition,
                &name,
                &place.store,
                place.broker,
                &place.outbox,
            );
            let setup = args.wiring.complete(config, definition)?;
            on_runtime(|stop| async move { node_service::serve(setup, &args, stop).await })
        }
    }
}

/// Wrong usage that clap cannot see by itself.
fn needs(what: &str) -> ! {
    let missing = format!("the following required arguments were not provided:\n  {what}\n");
    clap::Error::raw(ErrorKind::MissingRequiredArgument, missing).exit()
}

/// Runs a service until it ends or a signal tells it to.
fn on_runtime<F: Future<Output = anyhow::Result<()>>>(
    work: impl FnOnce(watch::Receiver<bool>) -> F,
) -> anyhow::Result<()> {
    let (_switch, stop) = serving::stop_switch()?;
    let runtime =
        tokio::runtime::Runtime::new().context("the network runtime cannot be started")?;
    runtime.block_on(work(stop))
}

fn play_part(args: &Args, place: &Place) -> anyhow::Result<()> {
    let definition = Arc::new(definition_file::load(&place.store)?.0);
    let name = node_name(place, &definition)?;
    let part = match &args.from {
        Some(path) => Some(Part::open(path, &definition, &name)?),
        None => None,
    };
    let outbox = open_outbox(args, &place.outbox, &name, part.as_ref())?;
    let has_cameras = !args.eyes.is_empty() || !args.ceiling.is_empty();
    if part.is_some() && has_cameras && outbox.last_sequence() > 0 {
        bail!(
            "{}: what cameras saw can't be seen again, so with cameras a recording is played into a new outbox",
            place.outbox.display()
        );
    }
    let who = Who::Node(name.clone());
    let credentials = args.credentials.load(definition.id.as_str(), &who)?;
    let tls = client_tls(&place.broker, credentials.as_ref())?;
    on_runtime(|stop| async move {
        let mut options = NodeOptions::new(place.broker.clone(), definition.id.as_str());
        options.tls = tls;
        match part {
            None if !args.deliver_only => {
                let link = NodeLink::connect(options, outbox).await?;
                watching::watch(args, &name, &definition, link, stop).await
            }
            None => deliver(NodeLink::connect(options, outbox).await?).await,
            Some(part) => {
                let mut start = part.taken_up(&outbox)?;
                if let Some(missed_s) = args.missed_s {
                    part.miss(&mut start, missed_s);
                }
                let link = NodeLink::connect(options, outbox).await?;
                println!(
                    "Node {name} is on the line at {} (Ctrl-C ends it)",
                    place.broker
                );
                play(args, part, start, link, stop).await
            }
        }
    })
}

fn node_name(place: &Place, definition: &Definition) -> anyhow::Result<NodeName> {
    let name = NodeName::from(place.name.as_str());
    if definition.layout.node(&name).is_none() {
        let known: Vec<&str> = (definition.layout.nodes.iter())
            .map(|node| node.name.as_str())
            .collect();
        bail!(
            "store {} has no node {name}; its nodes are {}",
            definition.id,
            known.join(", ")
        );
    }
    Ok(name)
}

/// Opens the outbox of a part of a recording, or whatever outbox is there to be delivered.
fn open_outbox(
    args: &Args,
    path: &Path,
    name: &NodeName,
    part: Option<&Part>,
) -> anyhow::Result<Outbox> {
    let Some(part) = part else {
        if args.deliver_only && !path.exists() {
            bail!(
                "{}: there is no such outbox to deliver from",
                path.display()
            );
        }
        return Ok(Outbox::open(path, name)?);
    };
    let id = playback::outbox_of(&part.recording, name);
    let options = OutboxOptions {
        id: Some(id.clone()),
        ..OutboxOptions::default()
    };
    let outbox = Outbox::open_with(path, name, options)?;
    if *outbox.id() != id {
        bail!(
            "{}: this outbox is not that of {}; deliver what it holds with --deliver-only, and play into a new file",
            path.display(),
            part.path.display()
        );
    }
    Ok(outbox)
}

/// What a recording holds of one node.
struct Part {
    path: PathBuf,
    recording: Recording,
    name: NodeName,
}

/// Where in its part a node begins to play.
struct Start {
    sensor: NodeSensor,
    /// The first record that is new.
    next: usize,
    /// All of it has been played, the end included.
    over: bool,
}

impl Part {
    fn open(path: &Path, definition: &Arc<Definition>, name: &NodeName) -> anyhow::Result<Self> {
        let options = OpenOptions {
            partial: false,
            definition: Some(definition.clone()),
        };
        let recording = recording::open(path, &options)?;
        if !recording.nodes.contains(name) {
            let known: Vec<&str> = recording.nodes.iter().map(NodeName::as_str).collect();
            bail!(
                "{}: the recording holds nothing of node {name}; it holds {}",
                path.display(),
                known.join(", ")
            );
        }
        Ok(Part {
            path: path.to_owned(),
            recording,
            name: name.clone(),
        })
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        let mine = |record: &&Record| *record.node() == self.name;
        self.recording.records.iter().filter(mine)
    }

    /// From when to when the recording lasts, all nodes together.
    fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let records = &self.recording.records;
        Some((records.first()?.at(), records.last()?.at()))
    }

    /// When nobody can be inside any more and no review is open, which is what a replay assumes at the end, too.
    fn horizon(&self, end: Timestamp) -> Timestamp {
        let policy = &self.recording.definition.policy;
        end.plus_seconds(policy.track_lost_s.max(policy.review_deadline_s) + 1.0)
    }

    /// Senses again what an earlier run has stamped: the same records give the same observations.
    fn taken_up(&self, outbox: &Outbox) -> anyhow::Result<Start> {
        let mut sensor = NodeSensor::new(self.recording.definition.clone());
        let stamped = outbox.last_sequence();
        let mut seen = Vec::new();
        let mut sensed = 0;
        let mut next = 0;
        for record in self.records() {
            if sensed == stamped {
                break;
            }
            seen.clear();
            sensor.push(record, &mut seen);
            sensed += seen.len() as u64;
            next += 1;
        }
        let over = sensed < stamped;
        if over {
            seen.clear();
            sensor.finish(&mut seen);
            sensed += seen.len() as u64;
        }
        if sensed != stamped || !self.ends_with(outbox, seen.last())? {
            bail!(
                "{}: another version of stroll has played the recording into this outbox; deliver what it holds with --deliver-only",
                self.path.display()
            );
        }
        Ok(Start { sensor, next, over })
    }

    /// Leaves out what happened while the node was off: it begins with a sensor that knows nothing.
    fn miss(&self, start: &mut Start, missed_s: f64) {
        let Some(from) = self.records().nth(start.next).map(Record::at) else {
            return;
        };
        let is_missed = |record: &&Record| record.at().seconds_since(from) < missed_s;
        let missed = self.records().skip(start.next).take_while(is_missed);
        start.next += missed.count();
        start.sensor = NodeSensor::new(self.recording.definition.clone());
    }

    /// Whether `last` is what the outbox ends with, as far as it still knows.
    fn ends_with(&self, outbox: &Outbox, last: Option<&Observation>) -> anyhow::Result<bool> {
        let kept = outbox.pending(outbox.last_sequence().saturating_sub(1), 1)?;
        Ok(kept
            .first()
            .is_none_or(|kept| Some(&kept.observation) == last))
    }
}

/// What a node goes by while it plays.
struct Course {
    /// `None`: as fast as possible.
    pace: Option<Pace>,
    stop: watch::Receiver<bool>,
    link: watch::Receiver<LinkState>,
}

impl Course {
    /// Waits until event time has come to `at`. False if the node is to stop, or its link has ended.
    async fn goes_on(&mut self, at: Timestamp) -> bool {
        let has_ended = |state: &LinkState| matches!(state, LinkState::Ended { .. });
        match self.pace {
            None => !*self.stop.borrow() && !has_ended(&self.link.borrow()),
            Some(pace) => tokio::select! {
                () = tokio::time::sleep_until(pace.instant(at).into()) => true,
                _ = self.stop.wait_for(|stop| *stop) => false,
                _ = self.link.wait_for(has_ended) => false,
            },
        }
    }
}

/// Plays what is new of the recording, and then stays or ends.
async fn play(
    args: &Args,
    part: Part,
    start: Start,
    link: NodeLink,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Start { sensor, next, over } = start;
    let Some((first_at, end_at)) = part.span() else {
        bail!("{}: the recording holds no records", part.path.display());
    };
    let mut now = match part.records().nth(next) {
        _ if over => end_at,
        _ if next == 0 => first_at,
        Some(record) => record.at(),
        None => end_at,
    };
    let pace = Pace::starting(now, args.speed);
    let eyes = args.eyes.open(pace)?;
    let times = Times {
        from: now,
        as_stamped: true,
        clock: move || pace.event_now(),
        run: String::new(),
    };
    let models = args.eyes.models();
    let definition = &part.recording.definition;
    let ceiling = args.ceiling.open(models, definition, &part.name, times)?;
    let mut course = Course {
        pace: (!args.as_fast_as_possible).then_some(pace),
        stop,
        link: link.state(),
    };
    let clock = Clock::new()?;
    let mut node = match args.missed_s {
        None => LiveNode::new(sensor, link, clock),
        Some(_) => LiveNode::after_power_off(sensor, link, clock).await?,
    }
    .with_eyes(eyes)
    .with_ceiling(ceiling);
    let mut records = part.records().skip(next);
    let mut playing = !over;
    while playing {
        let record = records.next();
        let until = record.map_or(end_at, Record::at);
        while until.seconds_since(now) > NodeSensor::PROMISE_S {
            now = now.plus_seconds(NodeSensor::PROMISE_S);
            if !course.goes_on(now).await {
                return farewell(node.into_link()).await;
            }
            // A record of that very moment may still come.
            let before = Timestamp(now.0 - 1);
            node.take(&Sensed::Nothing(before)).await?;
        }
        now = now.max(until);
        if !course.goes_on(now).await {
            return farewell(node.into_link()).await;
        }
        match record {
            Some(record) => node.take(&Sensed::Record(record.clone())).await?,
            None => playing = false,
        }
    }
    let link = if over {
        node.into_link()
    } else {
        node.finish(end_at).await?
    };
    let horizon = part.horizon(end_at);
    link.watermark(horizon, Vec::new());
    if args.once {
        return deliver(link).await;
    }
    println!("Node {} has played its part", part.name);
    stay(link, Pace::starting(horizon, 1.0), course).await
}

/// Waits until everything is committed, as long as that goes on, and says goodbye.
async fn deliver(link: NodeLink) -> anyhow::Result<()> {
    let mut left_before = u64::MAX;
    loop {
        match link.drained(PATIENCE).await {
            Ok(()) => break,
            Err(LinkError::NotCommitted { left, .. }) if left < left_before => left_before = left,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(link.close(PATIENCE).await?)
}

/// Stays on the line until told to stop. Time goes on, and nothing happens: a promise that stood still would say that
/// the node has died.
async fn stay(link: NodeLink, pace: Pace, mut course: Course) -> anyhow::Result<()> {
    course.pace = Some(pace);
    let mut now = pace.event_now();
    while course.goes_on(now).await {
        link.watermark(now, Vec::new());
        now = pace.event_now().plus_seconds(NodeSensor::PROMISE_S);
    }
    farewell(link).await
}

/// Ends as told. What is not committed yet is no failure: it stays in the outbox for the next start.
async fn farewell(link: NodeLink) -> anyhow::Result<()> {
    match link.close(FAREWELL).await {
        Err(error @ LinkError::NotCommitted { .. }) => {
            eprintln!("stroll: {error}");
            Ok(())
        }
        closed => Ok(closed?),
    }
}
