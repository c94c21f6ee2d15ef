//! `stroll demo`: a whole store in one program, with simulated shoppers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::Failed;
use super::live_store::{OpenStore, Setup};
use super::operating;
use super::pace::{self, Pace};
use super::payment::Payment;
use super::serving::{self, ConsoleArgs};
use super::situation_args::{self, SituationArgs};
use super::verdict::Verdict;
use crate::checkout::session::Role;
use crate::console::{ConsoleOptions, Operation};
use crate::coordinator::Input;
use crate::edge::broker::{BrokerOptions, EmbeddedBroker};
use crate::edge::definition_file;
use crate::edge::live::{self, Clock, LiveNode, Sensed};
use crate::edge::mqtt::{BrokerUrl, LinkError, NodeLink, NodeOptions};
use crate::edge::outbox::Outbox;
use crate::recording::Record;
use crate::sensing::node::NodeSensor;
use crate::simulate::{self, Impossible, Options};
use crate::store::definition::{self, NANOSTORE, NANOSTORE_FILE};
use crate::store::{Definition, NodeName};
use crate::units::{Currency, Timestamp};

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
    #[arg(long, value_name = "X", value_parser = pace::speed)]
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
    situations: SituationArgs,
    #[command(flatten)]
    console: ConsoleArgs,
}

/// Runs the store until it is told to stop, or until everybody has left.
pub fn run(args: Args) -> anyhow::Result<()> {
    if args.situations.lists() {
        print!("{}", situation_args::list());
        return Ok(());
    }
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
    let journal = folder.join("journal.sqlite");
    // Both sockets first: a taken port is said before anything else happens.
    let listener = serving::bind(args.console.listen).await?;
    let at = listener.local_addr()?;
    let mut options = args.console.options(&definition, &journal)?;
    let broker = EmbeddedBroker::start(BrokerOptions::at(args.mqtt_listen))?;
    let url = BrokerUrl::local(broker.addr());

    let speed = args.speed.unwrap_or(if args.once { 4.0 } else { 1.0 });
    let start = live::wall_now();
    let pace = Pace::starting(start, speed);
    let mut simulation = simulation(args, &definition, start)?;
    let mut store = OpenStore::open(Setup {
        definition: &definition,
        nodes: &simulation.nodes(),
        journal: &journal,
        broker: url.clone(),
        tls: None,
        clock: Arc::new(move || pace.event_now()),
        payment: &Payment::Sandbox,
    })
    .await?;
    enrol(&simulation, &store).await;
    let mut inlets = BTreeMap::new();
    let mut nodes = Vec::new();
    for name in simulation.nodes() {
        let node = start_node(&folder, &definition, &name, &url).await?;
        let (inlet, records) = mpsc::channel(RECORDS_MAX);
        inlets.insert(name, inlet);
        nodes.push(tokio::spawn(node.run(records)));
    }
    if let Some(handed) = store.handed.take() {
        serving::file_receipts(options.office.clone(), handed);
    }
    let (operations, operated) = mpsc::channel(operating::WAITING_MAX);
    options.operations = Some(operations);
    let address = format!("{}://{at}", args.console.scheme());
    welcome(&mut options, &simulation, &definition, at, &address)?;
    let console = serving::console(listener, options, store.views.clone(), stop.clone());

    let cut_short = {
        let played = play(&mut simulation, pace, inlets, &store, stop);
        let currency = definition.currency;
        obeying(operated, &store, currency, played).await
    };
    if store.has_stopped() {
        // Nobody commits any more what the nodes hold; closing the store says why.
        store.close().await?;
        return Err(anyhow!("the store has stopped"));
    }
    hang_up(nodes, cut_short).await?;
    let verdict = if args.once && !cut_short {
        store.tell(Input::EndOfRecording).await;
        let core = store.close().await?;
        Some(Verdict::of(simulation.truth(), &core))
    } else {
        store.close().await?;
        None
    };
    switch.send_replace(true);
    console.await??;
    Ok(verdict)
}

/// Lets whoever looks from this machine in, and says where to look.
fn welcome(
    options: &mut ConsoleOptions,
    simulation: &simulate::Store,
    definition: &Definition,
    at: SocketAddr,
    address: &str,
) -> anyhow::Result<()> {
    options.payment_words = Payment::Sandbox.to_shoppers();
    let phones = simulation.devices().iter().map(|(device, _)| device);
    let password = serving::welcome_guests(options, phones)?;
    println!(
        "{} is open: look at {address} (Ctrl-C ends it)",
        definition.name
    );
    if !at.ip().is_loopback() {
        println!("From elsewhere log in as demo with the password {password}");
    }
    Ok(())
}

/// Does what operators ask for while something else goes on, and ends with it.
async fn obeying<T>(
    mut operated: mpsc::Receiver<Operation>,
    store: &OpenStore,
    currency: Currency,
    other: impl Future<Output = T>,
) -> T {
    let mut other = pin!(other);
    loop {
        tokio::select! {
            ended = &mut other => break ended,
            Some(operation) = operated.recv() => {
                operating::perform(operation, store, currency).await;
            }
        }
    }
}

fn simulation(
    args: &Args,
    definition: &Arc<Definition>,
    start: Timestamp,
) -> Result<simulate::Store, Impossible> {
    let shoppers = args.once.then_some(args.shoppers);
    let options = Options {
        shoppers,
        start,
        situations: args.situations.resolve(definition, shoppers)?,
        ..Options::default()
    };
    Ok(simulate::Store::new(definition, args.seed, options))
}

/// Lets everybody's phone in.
async fn enrol(simulation: &simulate::Store, store: &OpenStore) {
    let shoppers = simulation
        .devices()
        .iter()
        .map(|phone| (phone, Role::Shopper));
    let staff = simulation
        .staff_devices()
        .iter()
        .map(|phone| (phone, Role::Staff));
    for ((device, key), role) in shoppers.chain(staff) {
        let (device, key) = (device.clone(), key.clone());
        (store.tell(Input::DeviceEnrolled { device, key, role })).await;
    }
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

/// Waits for the nodes' ends and for what they still hold to be committed, unless the play was cut short.
async fn hang_up(
    nodes: Vec<JoinHandle<Result<NodeLink, LinkError>>>,
    cut_short: bool,
) -> anyhow::Result<()> {
    for node in nodes {
        let link = node.await??;
        if !cut_short {
            link.drained(PATIENCE).await?;
        }
        link.close(PATIENCE).await?;
    }
    Ok(())
}

/// Lets the simulation run at its pace. True if it was cut short: told to stop, or the store or a node has ended.
async fn play(
    simulation: &mut simulate::Store,
    pace: Pace,
    inlets: BTreeMap<NodeName, mpsc::Sender<Sensed>>,
    store: &OpenStore,
    mut stop: watch::Receiver<bool>,
) -> bool {
    while let Some(chunk) = simulation.next_chunk() {
        let Some(until) = chunk.iter().map(Record::at).max() else {
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep_until(pace.instant(until).into()) => {}
            _ = stop.wait_for(|stop| *stop) => return true,
        }
        if store.has_stopped() {
            return true;
        }
        // A node that has ended says why when it is joined.
        for record in chunk {
            if let Some(inlet) = inlets.get(record.node())
                && inlet.send(Sensed::Record(record)).await.is_err()
            {
                return true;
            }
        }
        for inlet in inlets.values() {
            if inlet.send(Sensed::Nothing(until)).await.is_err() {
                return true;
            }
        }
    }
    false
}
