//! What the commands that serve share: the console's socket, the signal to stop, a journal that is kept or not.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::console::{self, ConsoleOptions, Operations, view::StoreView};

/// Where the console listens, and under which names.
#[derive(Clone, Debug, clap::Args)]
pub struct ConsoleArgs {
    /// Where the console listens; anything but loopback is yours to protect
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Another host name under which the console may be asked for
    #[arg(long = "allow-host", value_name = "NAME")]
    pub allowed_hosts: Vec<String>,
}

/// Binds a socket, or says which port is taken and what to do.
pub async fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen).await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            anyhow::anyhow!(
                "port {listen} is in use: stop the other program or choose another with --listen"
            )
        } else {
            anyhow::anyhow!("the console cannot listen on {listen}: {error}")
        }
    })
}

/// Ends when `stop` turns true.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    // The sender lives in the signal handler and the command; if both are gone it is time to stop, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A switch that the first Ctrl-C or SIGTERM turns; the second ends the process at once.
pub fn stop_switch() -> anyhow::Result<(watch::Sender<bool>, watch::Receiver<bool>)> {
    let (switch, stop) = watch::channel(false);
    let by_signal = switch.clone();
    ctrlc::set_handler(move || {
        if by_signal.send_replace(true) {
            std::process::exit(130);
        }
    })
    .context("signals cannot be handled")?;
    Ok((switch, stop))
}

/// Serves the console until `stop`.
pub fn console(
    listener: TcpListener,
    args: &ConsoleArgs,
    views: watch::Receiver<Arc<StoreView>>,
    operations: Option<Operations>,
    stop: watch::Receiver<bool>,
) -> tokio::task::JoinHandle<Result<(), console::ConsoleError>> {
    let options = ConsoleOptions {
        allowed_hosts: args.allowed_hosts.clone(),
        operations,
    };
    tokio::spawn(console::serve(listener, options, views, stopped(stop)))
}
