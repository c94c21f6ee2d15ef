//! `stroll node` on converters: the service, and its safe mode.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

use super::ceiling_camera_args::Times;
use super::credentials_args::{CredentialsArgs, client_tls};
use super::node_setup::{CONFIG, Setup, Wiring, open_board, read_config};
use super::pace::Pace;
use super::{Failed, node};
use crate::edge::credentials::Who;
use crate::edge::definition_file;
use crate::edge::gate::keeper::{GateThread, Keeper};
use crate::edge::live::{Clock, wall_now};
use crate::edge::mqtt::{BrokerUrl, Health, LinkError, LinkState, NodeLink, NodeOptions};
use crate::edge::node::config::{self, NodeConfig, Recording};
use crate::edge::node::sampler::SamplerThread;
use crate::edge::node::service::{Cameras, Service, ServiceParts, group_of, raw_record};
use crate::edge::node::supervisor::Supervisor;
use crate::edge::node::tape::Tape;
use crate::edge::outbox::Outbox;
use crate::edge::wire::bounds::TROUBLE_BYTES_MAX;

/// A node that is told to stop gives the coordinator so long; the rest stays in the outbox.
const FAREWELL: Duration = Duration::from_secs(3);
/// A broker that answers later than this is told of.
const PATIENCE: Duration = Duration::from_secs(5);
/// Words to the gate that wait for its thread.
const ORDERS_MAX: usize = 16;
/// How often a broken configuration is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What a node records in safe mode if it was not told to record.
const SAFE_DISK_MB: u64 = 500;

/// Runs a node from its configuration until it is told to stop. A configuration that is broken puts it into safe mode.
pub async fn run(args: &node::Args, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let (wiring, credentials) = (&args.wiring, &args.credentials);
    let path = wiring.config.clone().unwrap_or_else(|| CONFIG.into());
    let kept = LastGood::beside(&path);
    loop {
        match wiring.set_up() {
            Ok(setup) => {
                kept.keep(&setup);
                return serve(setup, args, stop).await;
            }
            Err(error) => {
                let why = format!("{error:#}");
                eprintln!("{why}\n\nstroll: node in safe mode until that is mended");
                let is_mended =
                    safe_mode(wiring, credentials, (&path, &kept), &why, stop.clone()).await?;
                if !is_mended {
                    return Ok(());
                }
                println!("The configuration is mended");
            }
        }
    }
}

/// Runs a node whose files are all right.
pub async fn serve(
    setup: Setup,
    args: &node::Args,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut options = options(&setup.config, &setup.definition.id, &args.credentials)?;
    options.discovery = setup.discovery();
    let sampled = match setup.config.plates().is_empty() {
        true => None,
        false => Some(setup.start()?),
    };
    let (orders, heard_orders) = std::sync::mpsc::sync_channel(ORDERS_MAX);
    let gate = setup.start_gate(heard_orders)?;
    options.orders = gate.is_some().then_some(orders);
    let outbox = Outbox::open(&setup.config.outbox, &setup.config.name)?;
    let link = NodeLink::begin(options, outbox)?;
    tokio::spawn(tell_line(
        link.state(),
        setup.described(),
        setup.config.broker.clone(),
    ));
    let (thread, batches, sampled_from) = match sampled {
        Some((thread, batches, anchor)) => (Some(thread), Some(batches), Some(anchor)),
        None => (None, None, None),
    };
    let (gate_thread, gate, gate_from) = match gate {
        Some((thread, watch, anchor)) => (Some(thread), Some(watch), Some(anchor)),
        None => (None, None, None),
    };
    let anchor = sampled_from
        .or(gate_from)
        .context("nothing is wired to the node")?;
    let tape = (setup.config.recording.clone())
        .map(|wanted| Tape::new(wanted, setup.config.name.clone(), setup.definition.clone()));
    let clock = Clock::new()?;
    let times = Times {
        from: wall_now(),
        as_stamped: false,
        clock: wall_now,
        run: clock.boot.clone(),
    };
    let (models, name) = (args.eyes.models(), &setup.config.name);
    let cameras = Cameras {
        eyes: args.eyes.open(Pace::starting(times.from, 1.0))?,
        ceiling: (args.ceiling).open(models, &setup.definition, name, times)?,
    };
    let parts = ServiceParts {
        config: setup.config,
        definition: setup.definition,
        calibrations: setup.calibrations,
        cameras,
        link,
        batches,
        gate,
        anchor,
        clock,
        tape,
        supervisor: Supervisor::default(),
    };
    let link = Service::new(parts).await?.run(stop).await;
    // The gate first: it is open from then on.
    gate_thread.map_or(Ok(()), GateThread::stop)?;
    thread.map_or(Ok(()), SamplerThread::stop)?;
    match link?.close(FAREWELL).await {
        Err(error @ LinkError::NotCommitted { .. }) => {
            eprintln!("stroll: {error}");
            Ok(())
        }
        closed => Ok(closed?),
    }
}

/// Says when the node is on the line, and, if that takes long, that it goes on without.
async fn tell_line(mut state: watch::Receiver<LinkState>, who: String, broker: BrokerUrl) {
    let is_up = async { (state.wait_for(|state| *state == LinkState::Up).await).is_ok() };
    let mut is_up = std::pin::pin!(is_up);
    let up = tokio::select! {
        up = &mut is_up => up,
        () = tokio::time::sleep(PATIENCE) => {
            eprintln!(
                "stroll: broker {broker} does not answer; the node keeps what it sees, and goes on trying"
            );
            is_up.await
        }
    };
    if up {
        println!("{who} and is on the line at {broker} (Ctrl-C ends it)");
    }
}

/// How a node connects: by certificate, where it has one.
fn options(
    config: &NodeConfig,
    store: &str,
    args: &CredentialsArgs,
) -> anyhow::Result<NodeOptions> {
    let credentials = args.load(store, &Who::Node(config.name.clone()))?;
    let mut options = NodeOptions::new(config.broker.clone(), store);
    options.tls = client_tls(&config.broker, credentials.as_ref())?;
    Ok(options)
}

/// The configuration and the definition with which the node last came up.
struct LastGood {
    config: PathBuf,
    definition: PathBuf,
    /// Paths in it are relative to this.
    folder: PathBuf,
}

impl LastGood {
    /// In the folder that systemd gives the unit for its state, or beside the configuration.
    fn beside(path: &Path) -> Self {
        let folder = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let state =
            std::env::var_os("STATE_DIRECTORY").map_or_else(|| folder.clone(), PathBuf::from);
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        LastGood {
            config: state.join(format!("{name}.last-good.toml")),
            definition: state.join(format!("{name}.last-good-store.toml")),
            folder,
        }
    }

    fn keep(&self, setup: &Setup) {
        let Some((config, definition)) = &setup.texts else {
            return;
        };
        for (path, text) in [(&self.config, config), (&self.definition, definition)] {
            let is_known = std::fs::read_to_string(path).is_ok_and(|known| known == *text);
            if !is_known && let Err(error) = std::fs::write(path, text) {
                tracing::warn!(
                    "{} cannot be written, so that there is no safe mode: {error}",
                    path.display()
                );
            }
        }
    }

    fn read(&self, wiring: &Wiring) -> anyhow::Result<Setup> {
        let text = std::fs::read_to_string(&self.config)
            .context("there is no configuration with which it ever came up")?;
        let env = |name: &str| std::env::var(name).ok();
        let name = self.config.to_string_lossy();
        let (mut config, _) = config::parse(&text, &name, &self.folder, env)?;
        config.store.clone_from(&self.definition);
        let definition = definition_file::load(&self.definition)?.0;
        wiring.complete(config, definition.into())
    }
}

/// Stays reachable, shows the error and records raw samples, until the configuration is mended (true) or it is told to
/// stop (false).
async fn safe_mode(
    wiring: &Wiring,
    credentials: &CredentialsArgs,
    (path, kept): (&Path, &LastGood),
    why: &str,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<bool> {
    let mut supervisor = Supervisor::default();
    supervisor.ready();
    supervisor.status(&format!("safe mode: {}", first_line(why)));
    let broken = std::fs::read_to_string(path).ok();
    let good = match kept.read(wiring) {
        Ok(setup) => Some(setup),
        Err(error) => {
            eprintln!("stroll: it records nothing: {error:#}");
            None
        }
    };
    let recorder = good
        .as_ref()
        .map(|setup| tokio::spawn(record(safe_tape(setup), setup.start(), stop.clone())));
    let link = match &good {
        Some(setup) => show(setup, credentials, why).await,
        None => None,
    };
    let is_mended = loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => break false,
        }
        supervisor.alive();
        let now = std::fs::read_to_string(path).ok();
        // A store's definition or a calibration may have been mended, too.
        if now != broken || wiring.set_up().is_ok() {
            break true;
        }
    };
    if let Some(recorder) = recorder {
        recorder.abort();
        // It was told to end; what it had flushed can be read.
        let _ = recorder.await;
    }
    if let Some(link) = link
        && let Err(error) = link.close(FAREWELL).await
    {
        tracing::info!("{error}");
    }
    Ok(is_mended)
}

/// Says on the line what is wrong, if the broker can be had.
async fn show(setup: &Setup, credentials: &CredentialsArgs, why: &str) -> Option<NodeLink> {
    let config = &setup.config;
    let options = options(config, &setup.definition.id, credentials)
        .map_err(|error| eprintln!("stroll: {error:#}"))
        .ok()?;
    let outbox = Outbox::open(&config.outbox, &config.name)
        .map_err(|error| eprintln!("stroll: {error}"))
        .ok()?;
    let link = NodeLink::connect(options, outbox)
        .await
        .map_err(|error| eprintln!("stroll: {error}"))
        .ok()?;
    let mut trouble = format!("safe mode: {}", first_line(why));
    while trouble.len() > TROUBLE_BYTES_MAX {
        trouble.pop();
    }
    link.tell_health(Health {
        trouble,
        ..Health::default()
    });
    println!(
        "Node {} is in safe mode, on the line at {}",
        config.name, config.broker
    );
    Some(link)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn safe_tape(setup: &Setup) -> (Tape, std::sync::Arc<crate::recording::ScaleGroup>) {
    let config = &setup.config;
    let beside = config.outbox.with_file_name("recordings");
    let wanted = config.recording.clone().unwrap_or(Recording {
        folder: beside,
        rotate_min: 60.0,
        disk_max_mb: SAFE_DISK_MB,
    });
    let tape = Tape::new(wanted, config.name.clone(), setup.definition.clone());
    (tape, group_of(config, &setup.calibrations))
}

type Started = anyhow::Result<(
    crate::edge::node::sampler::SamplerThread,
    tokio::sync::mpsc::Receiver<crate::edge::node::sampler::Batch>,
    crate::edge::node::service::Anchor,
)>;

/// Keeps raw samples until told to stop.
async fn record(
    (mut tape, group): (Tape, std::sync::Arc<crate::recording::ScaleGroup>),
    started: Started,
    mut stop: watch::Receiver<bool>,
) {
    let (thread, mut batches, anchor) = match started {
        Ok(started) => started,
        Err(error) => {
            eprintln!("stroll: it records nothing: {error:#}");
            return;
        }
    };
    loop {
        tokio::select! {
            batch = batches.recv() => {
                let Some(batch) = batch else { break };
                if let Err(error) = tape.write(&raw_record(&group, anchor, &batch)) {
                    tracing::error!("raw samples cannot be kept: {error}");
                }
            }
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    let ended = tape.finish().map_err(anyhow::Error::from);
    if let Err(error) = ended.and(thread.stop().map_err(Into::into)) {
        tracing::warn!("{error:#}");
    }
}

/// Opens the gate, and lets go of it. Without a gate there is nothing to do.
pub fn release_gate(wiring: &Wiring) -> anyhow::Result<()> {
    let path = wiring.config.clone().unwrap_or_else(|| CONFIG.into());
    let kept = LastGood::beside(&path);
    let config = read_config(&path).or_else(|_| read_config(&kept.config))?;
    if let Some(gate) = &config.gate {
        drop(Keeper::open(gate, &mut open_board()?)?);
    }
    Ok(())
}

/// Checks a configuration, for `stroll config check-node`.
pub fn check(path: &Path) -> anyhow::Result<String> {
    let wiring = Wiring {
        config: Some(path.to_owned()),
        simulate: None,
    };
    let setup = wiring.set_up().map_err(|error| {
        eprintln!("{error:#}");
        Failed
    })?;
    let plates = setup.config.plates();
    let calibrated = plates
        .iter()
        .filter(|plate| setup.calibrations.of(**plate).is_some());
    Ok(format!(
        "ok: node {} of {}, {} plates at {} samples a second, {} of them calibrated\n",
        setup.config.name,
        setup.definition.id,
        plates.len(),
        setup.config.sampling.rate_hz,
        calibrated.count()
    ))
}
