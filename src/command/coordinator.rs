//! `stroll coordinator`: the store itself, as a service beside nodes that run elsewhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use super::credentials_args::{CredentialsArgs, client_tls};
use super::live_store::{self, OpenStore, Setup};
use super::operating::{self, Disk};
use super::payment::{Payment, PaymentArgs};
use super::serving::{self, ConsoleArgs};
use super::store_at;
use crate::coordinator::Input;
use crate::edge::broker::{BrokerOptions, EmbeddedBroker, PORT, TLS_PORT};
use crate::edge::credentials::{ClientTls, Who};
use crate::edge::definition_file;
use crate::edge::mqtt::BrokerUrl;
use crate::edge::recording::{self, OpenOptions};
use crate::edge::store_file::StoreFile;
use crate::store::{Definition, NodeName};

/// How often the room on the disk is looked at.
const DISK_EVERY: Duration = Duration::from_secs(10);

/// Run the store: hear its nodes, keep the carts, take payment, show the console
///
/// It serves until Ctrl-C or SIGTERM. Started again with the same journal, also after a crash, it goes on where it
/// was: nodes send again what it had not committed, and payments without an answer are asked again.
///
/// At the first start it prints a link by which the first operator makes an account. Who may log in is kept beside the
/// journal (`*.office.sqlite`). Machines ask /healthz, /readyz and /metrics (Prometheus); programs that do more send the
/// console's key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The store's definition
    #[arg(long, value_name = "FILE.toml")]
    store: PathBuf,
    /// Where the journal is kept, made if there is none; the payment sandbox's ledger lies beside it
    #[arg(long, value_name = "FILE")]
    journal: PathBuf,
    /// Use this MQTT broker instead of the one inside the program
    #[arg(
        long,
        value_name = "mqtt[s]://HOST:PORT",
        conflicts_with = "mqtt_listen"
    )]
    broker: Option<BrokerUrl>,
    /// Where the MQTT broker inside the program listens, port 0 takes a free one; anything but loopback needs
    /// --credentials, and then nodes have to show theirs [default: 127.0.0.1:1883, with credentials port 8883]
    #[arg(long, value_name = "IP:PORT")]
    mqtt_listen: Option<SocketAddr>,
    #[command(flatten)]
    credentials: CredentialsArgs,
    /// Let the simulated phones of this recording in, whose nodes `stroll node` plays
    #[arg(long, value_name = "RECORDING")]
    enrol: Vec<PathBuf>,
    /// Let nobody in while the journal's disk has less room than this, megabytes
    #[arg(long, value_name = "MB", default_value_t = 256)]
    disk_free_min_mb: u64,
    #[command(flatten)]
    payment: PaymentArgs,
    #[command(flatten)]
    console: ConsoleArgs,
}

/// Serves until it is told to stop.
pub fn run(args: Args) -> anyhow::Result<()> {
    let definition = Arc::new(definition_file::load(&args.store)?.0);
    let payment = args.payment.resolve(definition.currency)?;
    let mut enrolled = enrolments(&args, &definition)?;
    enrolled.extend(payment.payers());
    let (switch, stop) = serving::stop_switch()?;
    let runtime =
        tokio::runtime::Runtime::new().context("the network runtime cannot be started")?;
    runtime.block_on(serve(&args, definition, payment, enrolled, switch, stop))
}

/// The broker and how to connect to it; the one inside the program lives as long as it is held.
fn broker(
    args: &Args,
    store: &str,
) -> anyhow::Result<(BrokerUrl, Option<ClientTls>, Option<EmbeddedBroker>)> {
    let credentials = args.credentials.load(store, &Who::Coordinator)?;
    if let Some(broker) = &args.broker {
        let tls = client_tls(broker, credentials.as_ref())?;
        return Ok((broker.clone(), tls, None));
    }
    let port = if credentials.is_some() {
        TLS_PORT
    } else {
        PORT
    };
    let listen = args.mqtt_listen;
    let embedded = EmbeddedBroker::start(BrokerOptions {
        listen: listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        door: credentials,
    })?;
    Ok((BrokerUrl::local(embedded.addr()), None, Some(embedded)))
}

fn enrolments(args: &Args, definition: &Arc<Definition>) -> anyhow::Result<Vec<Input>> {
    let options = OpenOptions {
        partial: false,
        definition: Some(definition.clone()),
    };
    let mut enrolled = Vec::new();
    for path in &args.enrol {
        enrolled.extend(store_at::devices(&recording::open(path, &options)?)?);
    }
    Ok(enrolled)
}

async fn serve(
    args: &Args,
    definition: Arc<Definition>,
    payment: Payment,
    enrolled: Vec<Input>,
    switch: watch::Sender<bool>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    // Both sockets first: a taken port is said before anything else happens.
    let listener = serving::bind(args.console.listen).await?;
    let at = listener.local_addr()?;
    let (broker, tls, embedded) = broker(args, definition.id.as_str())?;
    let for_nodes = match embedded.as_ref().and_then(EmbeddedBroker::door) {
        Some(door) => format!("mqtts://{door}"),
        None => broker.to_string(),
    };
    let nodes: Vec<NodeName> = (definition.layout.nodes.iter())
        .map(|node| node.name.clone())
        .collect();
    let mut store = OpenStore::open(Setup {
        definition: &definition,
        nodes: &nodes,
        journal: &args.journal,
        broker,
        tls,
        clock: live_store::wall_clock(),
        payment: &payment,
    })
    .await?;
    for input in enrolled {
        store.tell(input).await;
    }
    let mut options = args.console.options(&definition, &args.journal)?;
    let first = serving::opening(&mut options)?;
    options.payment_words = payment.to_shoppers();
    options.store_file = Some(StoreFile::at(&args.store));
    if let Some(handed) = store.handed.take() {
        serving::file_receipts(options.office.clone(), handed);
    }
    let (operations, mut operated) = mpsc::channel(operating::WAITING_MAX);
    options.operations = Some(operations);
    let console = serving::console(listener, options, store.views.clone(), stop.clone());
    if let Payment::Stripe(..) = &payment {
        println!("{payment}");
    }
    let scheme = args.console.scheme();
    println!(
        "{} is open: look at {scheme}://{at}, nodes connect to {for_nodes} (Ctrl-C ends it)",
        definition.name
    );
    if let Some(path) = first {
        println!(
            "Nobody can log in yet: make the first operator's account at {scheme}://{at}{path}"
        );
    }
    let disk = Disk::of(&args.journal, args.disk_free_min_mb);
    let mut looked = tokio::time::interval(DISK_EVERY);
    let served = loop {
        tokio::select! {
            () = serving::stopped(stop.clone()) => break Ok(()),
            broken = store.broken() => break broken,
            // One that waits for room on the disk does not keep the store from being stopped.
            Some(operation) = operated.recv() => tokio::select! {
                () = serving::stopped(stop.clone()) => break Ok(()),
                () = operating::perform(operation, &store, definition.currency) => {}
            },
            _ = looked.tick() => if let Some(input) = disk.look() {
                store.mention(input);
            },
        }
    };
    let closed = store.close().await;
    switch.send_replace(true);
    console.await??;
    closed?;
    served
}
