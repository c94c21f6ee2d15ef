//! What the commands that serve share: the console's socket, the signal to stop, a journal that is kept or not.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::console_feed::Handed;

use crate::console::{self, ConsoleKey, ConsoleOptions, Guest, view::StoreView};
use crate::edge::https::Https;
use crate::edge::live::wall_now;
use crate::edge::office::{Office, Part, Token};
use crate::observation::DeviceId;
use crate::store::Definition;

/// The account that a demo is shown by.
const DEMO_NAME: &str = "demo";
/// How long a demo's login lasts, seconds: longer than anybody looks.
const DEMO_LOGIN_S: f64 = 30.0 * 86_400.0;

/// Where the console listens, and under which names.
#[derive(Clone, Debug, clap::Args)]
pub struct ConsoleArgs {
    /// Where the console listens; anything but loopback is yours to protect
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Another host name under which the console may be asked for
    #[arg(long = "allow-host", value_name = "NAME")]
    pub allowed_hosts: Vec<String>,
    /// Serve the console by HTTPS with this certificate, a PEM file with the chain; read again when it is renewed
    #[arg(long, value_name = "FILE", requires = "https_key")]
    pub https_certificate: Option<PathBuf>,
    /// The key of that certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "https_certificate")]
    pub https_key: Option<PathBuf>,
    /// A file with the key by which programs ask the console (`Authorization: Bearer KEY`), 16 characters or more; or the
    /// variable STROLL_CONSOLE_KEY holds it
    #[arg(long, value_name = "FILE")]
    pub console_key_file: Option<PathBuf>,
}

impl ConsoleArgs {
    fn key(&self) -> anyhow::Result<Option<ConsoleKey>> {
        let (text, whence) = match &self.console_key_file {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| {
                    format!("the console's key {} cannot be read", path.display())
                })?;
                (text, path.display().to_string())
            }
            None => match std::env::var("STROLL_CONSOLE_KEY") {
                Ok(text) => (text, "STROLL_CONSOLE_KEY".to_owned()),
                Err(_) => return Ok(None),
            },
        };
        let least = ConsoleKey::CHARS_MIN;
        let key = ConsoleKey::new(&text).ok_or_else(|| {
            anyhow!("{whence}: a console's key has {least} characters or more; make one by `openssl rand -hex 16`")
        })?;
        Ok(Some(key))
    }

    /// `http` or `https`
    pub fn scheme(&self) -> &'static str {
        match self.https_certificate {
            Some(_) => "https",
            None => "http",
        }
    }

    /// How the console of a store is served; its office lies beside the journal.
    pub fn options(
        &self,
        definition: &Arc<Definition>,
        journal: &Path,
    ) -> anyhow::Result<ConsoleOptions> {
        let office = Office::open(&Office::beside(journal))?;
        let mut options = ConsoleOptions::new(Arc::new(office), definition.clone());
        options.journal = Some(journal.to_owned());
        options.key = self.key()?;
        if let Some((certificate, key)) =
            self.https_certificate.as_ref().zip(self.https_key.as_ref())
        {
            options.https = Some(Https::load(certificate, key)?);
        }
        options.allowed_hosts.clone_from(&self.allowed_hosts);
        Ok(options)
    }
}

/// What the first operator opens, while there is none: a secret of this start.
pub fn opening(options: &mut ConsoleOptions) -> anyhow::Result<Option<String>> {
    if options.office.has_operator()? {
        return Ok(None);
    }
    let token = Token::random()?;
    let path = format!("/setup?key={}", token.reveal());
    options.opening = Some(token);
    Ok(Some(path))
}

/// Has everybody who looks from this machine be the demo's operator, who owns these phones, too; their password, for who
/// looks from elsewhere.
pub fn welcome_guests<'d>(
    options: &mut ConsoleOptions,
    phones: impl Iterator<Item = &'d DeviceId>,
) -> anyhow::Result<String> {
    let office = &options.office;
    let password: String = Token::random()?.reveal().chars().take(12).collect();
    let accounts = office.accounts()?;
    let account = match accounts.into_iter().find(|a| a.name == DEMO_NAME) {
        Some(account) => {
            office.set_password(account.id, &password)?;
            account
        }
        None => office.add_account(DEMO_NAME, Part::Operator, &password, wall_now())?,
    };
    for phone in phones {
        office.add_phone(account.id, phone, wall_now())?;
    }
    let token = office.log_in(account.id, wall_now(), DEMO_LOGIN_S)?;
    options.guest = Some(Guest { account, token });
    Ok(password)
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

/// Files receipts for their shoppers as they are handed out.
pub fn file_receipts(office: Arc<Office>, mut handed: mpsc::Receiver<Handed>) {
    tokio::task::spawn_blocking(move || {
        while let Some((device, receipt)) = handed.blocking_recv() {
            if let Err(error) = office.keep_receipt(&device, &receipt) {
                tracing::error!("a receipt is not filed for its shopper: {error}");
            }
        }
    });
}

/// Serves the console until `stop`.
pub fn console(
    listener: TcpListener,
    options: ConsoleOptions,
    views: watch::Receiver<Arc<StoreView>>,
    stop: watch::Receiver<bool>,
) -> tokio::task::JoinHandle<Result<(), console::ConsoleError>> {
    tokio::spawn(console::serve(listener, options, views, stopped(stop)))
}
