//! `stroll demo`: a whole store in one program, with simulated shoppers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use super::Failed;
use super::console_feed::{self, Feed};
use super::serving::{self, ConsoleArgs};
use super::verdict::Verdict;
use crate::coordinator::Input;
use crate::edge::broker::{BrokerOptions, EmbeddedBroker};
use crate::edge::definition_file;
use crate::edge::gateway::Sandbox;
use crate::edge::journal::Journal;
use crate::edge::live::{self, Clock, LiveNode, LiveStore, Sensed, StoreParts};
use crate::edge::mqtt::{BrokerUrl, CoordinatorLink, CoordinatorOptions, NodeLink, NodeOptions};
use crate::edge::outbox::Outbox;
use crate::edge::shell::Shell;
use crate::recording::Record;
use crate::sensing::node::NodeSensor;
use crate::simulate::{self, Options};
use crate::store::definition::{self, NANOSTORE, NANOSTORE_FILE};
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

/// Records that wait for a node, at most; then the simulation waits.
const RECORDS_MAX: usize = 64;
/// How long the last observations may take to be committed, and the last carts to be settled.
const PATIENCE: Duration = Duration::from_secs(30);

/// Open a whole store in one program: broker, coordinator, console, simulated nodes and shoppers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Everything that the shoppers do follows from it
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Let --shoppers come, check every receipt against the truth, and end: 0 if all are right, 1 if not
    #[arg(long)]
    once: bool,
    /// How many shoppers come with --once
    #[arg(long, value_name = "K", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    shoppers: u32,
    /// How many times faster than life; 1, or 4 with --once
    #[arg(long, value_name = "X", value_parser = speed)]
    speed: Option<f64>,
    /// The store's definition; without it the NanoStore
    #[arg(long, value_name = "FILE.toml")]
    store: Option<PathBuf>,
    /// Keep the journal and the outboxes in this folder; without it they are thrown away at the end
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Where the embedded MQTT broker listens; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    mqtt_listen: SocketAddr,
    #[command(flatten)]
    console: ConsoleArgs,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if (0.1..=100.0).contains(&x) => Ok(x),
        _ => Err("a number from 0.1 to 100".to_owned()),
    }
}

/// Runs the store until it is told to stop, or until everybody has left.
pub fn run(args: Args) -> anyhow::Result<()> {
    let definition = match &args.store {
        Some(path) => definition_file::load(path)?.0,
        None => definition::parse(NANOSTORE, NANOSTORE_FILE)?.0,
    };
    let (switch, stop) = serving::stop_switch()?;
    let runtime =
        tokio::runtime::Runtime::new().context("the network runtime cannot be started")?;
    let verdict = runtime.block_on(open(&args, Arc::new(definition), switch, stop))?;
    match verdict {
        None => Ok(()),
        Some(verdict) => {
            print!("{verdict}");
            if verdict.is_right() {
                Ok(())
            } else {
                Err(Failed.into())
            }
        }
    }
}

/// A pace: event time runs `speed` times as fast as the wall's.
#[derive(Clone, Copy)]
struct Pace {
    from: Timestamp,
    started: Instant,
    speed: f64,
}

impl Pace {
    fn event_now(&self) -> Timestamp {
        self.from
            .plus_seconds(self.started.elapsed().as_secs_f64() * self.speed)
    }

    /// When event time will be `at`.
    fn instant(&self, at: Timestamp) -> Instant {
        self.started + Duration::from_secs_f64((at.seconds_since(self.from) / self.speed).max(0.0))
    }
}

async fn open(
    args: &Args,
    definition: Arc<Definition>,
    switch: watch::Sender<bool>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Option<Verdict>> {
    let temporary = tempfile::Builder::new()
        .prefix("stroll-demo-")
        .tempdir()
        .context("no temporary folder")?;
    let folder = args
        .keep
        .clone()
        .unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    // Both sockets first: a taken port is said before anything else happens.
    let listener = serving::bind(args.console.listen).await?;
    let at = listener.local_addr()?;
    let broker = EmbeddedBroker::start(BrokerOptions {
        listen: args.mqtt_listen,
    })?;
    let url = BrokerUrl::local(broker.addr());

    let speed = args.speed.unwrap_or(if args.once { 4.0 } else { 1.0 });
    let pace = Pace {
        from: live::wall_now(),
        started: Instant::now(),
        speed,
    };
    let options = Options {
        shoppers: args.once.then_some(args.shoppers),
        start: pace.from,
        ..Options::default()
    };
    let mut simulation = simulate::Store::new(&definition, args.seed, options);
    let Feed {
        observer,
        watcher,
        views,
    } = console_feed::feed(&definition, Arc::new(move || pace.event_now()));
    let store = start_store(&folder, &definition, &simulation, &url, observer, watcher).await?;
    let mut inlets = BTreeMap::new();
    let mut nodes = Vec::new();
    for name in simulation.nodes() {
        let node = start_node(&folder, &definition, &name, &url).await?;
        let (inlet, records) = mpsc::channel(RECORDS_MAX);
        inlets.insert(name, inlet);
        nodes.push(tokio::spawn(node.run(records)));
    }
    let console = serving::console(listener, &args.console, views, stop.clone());
    println!(
        "{} is open: look at http://{at} (Ctrl-C ends it)",
        definition.name
    );

    let told_to_stop = play(&mut simulation, pace, inlets, &store, stop).await?;
    for node in nodes {
        let link = node.await??;
        if !told_to_stop {
            link.drained(PATIENCE).await?;
        }
        link.close(PATIENCE).await?;
    }
    let verdict = if args.once && !told_to_stop {
        store.tell(Input::EndOfRecording).await;
        let shell = tokio::task::spawn_blocking(move || store.stop()).await??;
        Some(Verdict::of(simulation.truth(), shell.core()))
    } else {
        tokio::task::spawn_blocking(move || store.stop()).await??;
        None
    };
    switch.send_replace(true);
    console.await??;
    Ok(verdict)
}

/// Starts the coordinator's side: journal, sandbox, link, and the simulated phones.
async fn start_store(
    folder: &Path,
    definition: &Arc<Definition>,
    simulation: &simulate::Store,
    url: &BrokerUrl,
    observer: crate::edge::shell::Observer,
    watcher: live::Watcher,
) -> anyhow::Result<LiveStore> {
    let gateway = Box::new(Sandbox::open(&folder.join("sandbox.sqlite"))?);
    let journal = Journal::open(&folder.join("journal.sqlite"), definition)?;
    let (mut shell, owed) = Shell::open(journal, definition, &simulation.nodes(), gateway)?;
    shell.observe(observer);
    let options = CoordinatorOptions::new(url.clone(), definition.id.as_str());
    let (link, deliveries) = CoordinatorLink::connect(options).await?;
    let parts = StoreParts {
        shell,
        link: Arc::new(link),
        deliveries,
        owed,
        ticks: true,
        watcher,
    };
    let store = LiveStore::start(tokio::runtime::Handle::current(), parts)?;
    for (device, key) in simulation.devices() {
        store
            .tell(Input::DeviceEnrolled {
                device: device.clone(),
                key: key.clone(),
            })
            .await;
    }
    Ok(store)
}

async fn start_node(
    folder: &Path,
    definition: &Arc<Definition>,
    name: &NodeName,
    url: &BrokerUrl,
) -> anyhow::Result<LiveNode> {
    let outbox = Outbox::open(folder.join(format!("outbox-{name}.sqlite")), name)?;
    let link = NodeLink::connect(
        NodeOptions::new(url.clone(), definition.id.as_str()),
        outbox,
    )
    .await?;
    Ok(LiveNode::new(
        NodeSensor::new(definition.clone()),
        link,
        Clock::new()?,
    ))
}

/// Lets the simulation run at its pace. True if it was told to stop.
async fn play(
    simulation: &mut simulate::Store,
    pace: Pace,
    inlets: BTreeMap<NodeName, mpsc::Sender<Sensed>>,
    store: &LiveStore,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<bool> {
    while let Some(chunk) = simulation.next_chunk() {
        let until = chunk.iter().map(Record::at).max().unwrap_or(pace.from);
        tokio::select! {
            () = tokio::time::sleep_until(pace.instant(until).into()) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(true),
        }
        if store.has_stopped() {
            anyhow::bail!("the store has stopped; its log says why");
        }
        // A node that has ended says why when it is joined.
        for record in chunk {
            if let Some(inlet) = inlets.get(record.node()) {
                let _ = inlet.send(Sensed::Record(record)).await;
            }
        }
        for inlet in inlets.values() {
            let _ = inlet.send(Sensed::Nothing(until)).await;
        }
    }
    Ok(false)
}
