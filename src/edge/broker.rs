//! The broker that runs inside the coordinator, so that a store needs nothing else installed.
//!
//! It is rumqttd behind a seam: nothing outside this file knows. What it can't do, any other broker by URL can:
//! it keeps sessions and retained messages in memory only (after a restart nodes publish their birth again and
//! resend from their outboxes, so nothing is lost), and asks nobody who they are. Hence it listens on loopback only;
//! from elsewhere one comes to it through the [`door`], with TLS and a certificate.

mod door;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::task::Poll;
use std::thread::JoinHandle;

use rumqttd::protocol::v4::V4;
use rumqttd::{
    ConnectionSettings, LinkType, Router, RouterConfig, SegmentConfig, Server, ServerSettings,
};
use tokio::sync::oneshot;

use crate::edge::credentials::{Credentials, CredentialsError};
use crate::edge::wire::PAYLOAD_BYTES_MAX;

/// MQTT's own port.
pub const PORT: u16 = 1883;
/// The same with TLS.
pub const TLS_PORT: u16 = 8883;

/// Clients at once: nodes, a coordinator, and a few onlookers.
const CONNECTIONS_MAX: usize = 256;
/// Packets that one client may have under way.
const INFLIGHT_MAX: usize = 200;
/// Room for a payload with its topic and header, bytes; longer packets end their connection.
const PACKET_BYTES_MAX: usize = 2 * PAYLOAD_BYTES_MAX;

/// How the broker is started.
#[derive(Debug)]
pub struct BrokerOptions {
    /// Where it listens; port 0 takes a free one, which [`EmbeddedBroker::addr`] tells. Anything but loopback needs a
    /// door.
    pub listen: SocketAddr,
    /// With credentials, it is the door that listens there, and the broker behind it takes a free port of loopback.
    pub door: Option<Credentials>,
}

impl BrokerOptions {
    /// Without a door, which only loopback may be.
    pub fn at(listen: SocketAddr) -> Self {
        BrokerOptions { listen, door: None }
    }
}

/// A running broker. Dropping it closes the port and every connection; rumqttd's routing thread cannot be told
/// to end, so that one stays, idle, until the process ends.
#[derive(Debug)]
pub struct EmbeddedBroker {
    addr: SocketAddr,
    door: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts the broker; it takes connections when this returns.
    pub fn start(options: BrokerOptions) -> Result<Self, BrokerError> {
        let (addr, door) = match options.door {
            Some(credentials) => {
                // Said at once, and not when the first node comes.
                credentials.server()?;
                let listener = bind(options.listen)?;
                let addr = free_address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
                (addr, Some((listener, credentials)))
            }
            None if options.listen.ip().is_loopback() => (free_address(options.listen)?, None),
            None => return Err(BrokerError::Open(options.listen)),
        };
        let door_addr = door.as_ref().and_then(|(door, _)| door.local_addr().ok());
        let (stop, stopped) = oneshot::channel();
        let (started, outcome) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("mqtt-broker".into())
            .spawn(move || serve(addr, door, started, stopped))
            .map_err(|source| BrokerError::Start { addr, source })?;
        // A thread that ends without a word has dropped its sender, which ends this wait, too.
        match outcome.recv() {
            Ok(Ok(())) => Ok(EmbeddedBroker {
                addr,
                door: door_addr,
                stop: Some(stop),
                thread: Some(thread),
            }),
            Ok(Err(source)) => Err(BrokerError::listening(addr, source)),
            Err(_) => Err(BrokerError::Start {
                addr,
                source: std::io::Error::other("its thread ended"),
            }),
        }
    }

    /// Where it listens on loopback.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where its door listens, if it has one.
    pub fn door(&self) -> Option<SocketAddr> {
        self.door
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the embedded broker at {} ended in a panic", self.addr);
        }
    }
}

/// Finds out whether the address can be had before rumqttd is started, which would hide why not, and chooses a
/// port in place of 0.
fn free_address(listen: SocketAddr) -> Result<SocketAddr, BrokerError> {
    let listener = bind(listen)?;
    (listener.local_addr()).map_err(|source| BrokerError::listening(listen, source))
}

fn bind(listen: SocketAddr) -> Result<TcpListener, BrokerError> {
    TcpListener::bind(listen).map_err(|source| BrokerError::listening(listen, source))
}

/// The broker's thread: serves until `stop` is used or dropped.
fn serve(
    addr: SocketAddr,
    door: Option<(TcpListener, Credentials)>,
    started: std::sync::mpsc::Sender<std::io::Result<()>>,
    stop: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(source) => {
            let _ = started.send(Err(source));
            return;
        }
    };
    let router = Router::new(0, router_config()).spawn();
    let mut server = Server::new(server_settings(addr), router, V4);
    // Dropping the runtime at the end of this function ends every connection's task.
    runtime.block_on(async move {
        let mut serving = pin!(server.start(LinkType::Remote));
        // The first poll binds the port and then waits for a connection, so its outcome says whether it listens.
        let first = poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx))).await;
        let outcome = match first {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => Err(std::io::Error::other("it ended at once")),
            Poll::Ready(Err(rumqttd_error)) => Err(io_error(rumqttd_error)),
        };
        let listening = outcome.is_ok();
        if started.send(outcome).is_err() || !listening {
            return;
        }
        let door = async {
            match door {
                Some((listener, credentials)) => open_door(listener, credentials, addr).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = door => {}
            ended = serving => tracing::error!("the embedded broker at {addr} ended: {ended:?}"),
            _ = stop => {}
        }
    });
}

async fn open_door(listener: TcpListener, credentials: Credentials, inner: SocketAddr) {
    let listener =
        (listener.set_nonblocking(true)).and_then(|()| tokio::net::TcpListener::from_std(listener));
    match listener {
        Ok(listener) => door::keep(listener, credentials, inner).await,
        Err(error) => tracing::error!("the broker's door does not open: {error}"),
    }
}

/// rumqttd does not export its error type; what it says about the socket is found in the chain of sources.
fn io_error(error: impl std::error::Error) -> std::io::Error {
    let mut cause: Option<&dyn std::error::Error> = error.source();
    while let Some(source) = cause {
        if let Some(io) = source.downcast_ref::<std::io::Error>() {
            return std::io::Error::new(io.kind(), io.to_string());
        }
        cause = source.source();
    }
    std::io::Error::other(error.to_string())
}

fn router_config() -> RouterConfig {
    // rumqttd keeps a log for each filter that anybody subscribed to, and drops its oldest segment when it is full:
    // these sizes bound its memory. Answers to nodes are small and only the last counts.
    let small = SegmentConfig {
        max_segment_size: 16 * 1024,
        max_segment_count: 2,
    };
    RouterConfig {
        max_connections: CONNECTIONS_MAX,
        max_outgoing_packet_count: 200,
        max_segment_size: 4 * 1024 * 1024,
        max_segment_count: 8,
        custom_segment: Some(HashMap::from([
            ("stroll/v1/+/+/committed".to_owned(), small.clone()),
            ("stroll/v1/+/+/status".to_owned(), small),
        ])),
        ..RouterConfig::default()
    }
}

fn server_settings(listen: SocketAddr) -> ServerSettings {
    ServerSettings {
        name: "stroll".into(),
        listen,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: PACKET_BYTES_MAX,
            max_inflight_count: INFLIGHT_MAX,
            auth: None,
            external_auth: None,
            dynamic_filters: false,
        },
    }
}

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error(
        "the embedded broker does not listen on {0} for whoever comes: give it --credentials (`stroll provision coordinator` makes them), or let it listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("port {addr} is in use: stop the other program or choose another with --mqtt-listen")]
    PortInUse { addr: SocketAddr },
    #[error(
        "the embedded broker cannot listen on {addr}: {source}; choose another address with --mqtt-listen"
    )]
    Listen {
        addr: SocketAddr,
        source: std::io::Error,
    },
    #[error("the embedded broker for {addr} cannot be started: {source}")]
    Start {
        addr: SocketAddr,
        source: std::io::Error,
    },
}

impl BrokerError {
    fn listening(addr: SocketAddr, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            BrokerError::PortInUse { addr }
        } else {
            BrokerError::Listen { addr, source }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn it_takes_connections_when_start_returns_and_none_after_the_drop() {
        for _ in 0..5 {
            let broker = EmbeddedBroker::start(BrokerOptions::at(ANY)).unwrap();
            let addr = broker.addr();
            assert_ne!(addr.port(), 0);
            let connection = TcpStream::connect(addr).unwrap();
            drop(broker);
            drop(connection);
            assert!(TcpStream::connect(addr).is_err(), "{addr} is still open");
        }
    }

    #[test]
    fn a_taken_port_and_an_address_of_another_machine_are_named() {
        let holder = TcpListener::bind(ANY).unwrap();
        let taken = holder.local_addr().unwrap();
        let error = EmbeddedBroker::start(BrokerOptions::at(taken)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "port {taken} is in use: stop the other program or choose another with --mqtt-listen"
            )
        );

        // TEST-NET-1 (RFC 5737) belongs to no machine.
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 1883));
        let error = EmbeddedBroker::start(BrokerOptions::at(elsewhere)).unwrap_err();
        assert!(matches!(error, BrokerError::Open(addr) if addr == elsewhere));
        let shown = bind(elsewhere).unwrap_err().to_string();
        assert!(shown.contains("cannot listen on 192.0.2.1:1883"), "{shown}");
    }
}
