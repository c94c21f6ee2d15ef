//! HTTPS for the console: connections are taken, shaken hands with beside each other, and handed over as they are ready.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::credentials;

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Handshakes at once; beyond, connections wait in the system's queue.
const HANDSHAKES_MAX: usize = 64;
/// Connections that are ready and not served yet.
const READY_MAX: usize = 16;
/// How often the files are looked at: a certificate is renewed without a restart.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// After the system would give no connection (it has no file left, say).
const BREATH: Duration = Duration::from_millis(200);

/// A certificate that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    #[error("{what} {path} cannot be read as PEM: {why}")]
    File {
        what: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error(
        "{path} holds no certificate: it is to begin with the site's own, and the chain follows"
    )]
    Empty { path: PathBuf },
    #[error("the key {key} does not belong to the certificate {certificate}: {why}")]
    Mismatch {
        certificate: PathBuf,
        key: PathBuf,
        why: String,
    },
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A certificate with its key, and the files that they come from.
#[derive(Clone, Debug)]
pub struct Https {
    config: Arc<ServerConfig>,
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    certificate: PathBuf,
    key: PathBuf,
    now: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Held {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Some(now.clone())
    }
}

impl Https {
    /// Reads them from PEM files.
    ///
    /// # Errors
    /// A file is not what it should be, or the two do not belong together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, HttpsError> {
        let held = Arc::new(Held {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            now: RwLock::new(Arc::new(read(certificate, key)?)),
        });
        let builder = ServerConfig::builder_with_provider(credentials::provider());
        let builder = builder.with_safe_default_protocol_versions()?;
        let mut config = builder
            .with_no_client_auth()
            .with_cert_resolver(held.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Https {
            config: Arc::new(config),
            held,
        })
    }

    /// Serves connections of that socket; within a runtime.
    pub fn listen(self, socket: TcpListener) -> HttpsListener {
        let (ready, accepted) = mpsc::channel(READY_MAX);
        let address = socket.local_addr();
        let renewing = tokio::spawn(renew(self.held));
        let taking = tokio::spawn(take(socket, self.config.into(), ready));
        HttpsListener {
            address,
            accepted,
            tasks: [renewing, taking],
        }
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, HttpsError> {
    let file = |what, path: &Path, why: &dyn std::fmt::Display| HttpsError::File {
        what,
        path: path.to_owned(),
        why: why.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file("the certificate", certificate, &error))?;
    if chain.is_empty() {
        let path = certificate.to_owned();
        return Err(HttpsError::Empty { path });
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| file("the key", key, &error))?;
    CertifiedKey::from_der(chain, secret, &credentials::provider()).map_err(|error| {
        HttpsError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            why: error.to_string(),
        }
    })
}

/// Takes up renewed files. Those that are broken are told, and the old certificate is served on.
async fn renew(held: Arc<Held>) {
    let changed = |held: &Held| -> Option<(SystemTime, SystemTime)> {
        let at = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        Some((at(&held.certificate)?, at(&held.key)?))
    };
    let mut seen = changed(&held);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = changed(&held);
        if now == seen {
            continue;
        }
        match read(&held.certificate, &held.key) {
            Ok(renewed) => {
                let mut current = held.now.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(renewed);
                seen = now;
                tracing::info!("the console's certificate is renewed");
            }
            // Perhaps only one of the two is written yet: they are read again the next time.
            Err(error) => tracing::warn!("the old certificate is served on: {error}"),
        }
    }
}

async fn take(
    socket: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(permit) = handshakes.clone().acquire_owned().await else {
            return;
        };
        let (stream, from) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("a connection could not be taken: {error}");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await;
            drop(permit);
            match shaken {
                // A server that has stopped takes nobody any more.
                Ok(Ok(stream)) => drop(ready.send((stream, from)).await),
                Ok(Err(error)) => tracing::debug!("{from} shook no hands: {error}"),
                Err(_) => tracing::debug!("{from} took too long to shake hands"),
            }
        });
    }
}

/// Connections that have shaken hands.
#[derive(Debug)]
pub struct HttpsListener {
    address: std::io::Result<SocketAddr>,
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Drop for HttpsListener {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Listener for HttpsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // Only once this listener is dropped.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        match &self.address {
            Ok(address) => Ok(*address),
            Err(error) => Err(error.kind().into()),
        }
    }
}
