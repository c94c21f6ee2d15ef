//! Who a program is on the store's network, by the command line.

use std::path::PathBuf;

use anyhow::{anyhow, bail};

use crate::edge::credentials::{ClientTls, Credentials, Identity, Who};
use crate::edge::mqtt::BrokerUrl;

/// The arguments of a command that talks to a broker.
#[derive(Clone, Debug, clap::Args)]
pub struct CredentialsArgs {
    /// Folder with this program's key and certificate, made by `stroll provision`
    #[arg(long, value_name = "DIR", env = "STROLL_CREDENTIALS")]
    credentials: Option<PathBuf>,
}

impl CredentialsArgs {
    /// Reads the folder, if there is one; it has to be that member's of that store.
    pub fn load(&self, store: &str, who: &Who) -> anyhow::Result<Option<Credentials>> {
        let Some(folder) = &self.credentials else {
            return Ok(None);
        };
        let credentials = Credentials::load(folder)?;
        let wanted = Identity {
            store: store.to_owned(),
            who: who.clone(),
        };
        if credentials.identity != wanted {
            bail!(
                "{} is for {}, and this is {wanted}: name the folder that was made for it",
                folder.display(),
                credentials.identity
            );
        }
        Ok(Some(credentials))
    }
}

/// How to connect to that broker.
pub fn client_tls(
    broker: &BrokerUrl,
    credentials: Option<&Credentials>,
) -> anyhow::Result<Option<ClientTls>> {
    match (broker.tls, credentials) {
        (true, Some(credentials)) => Ok(Some(credentials.client()?)),
        (true, None) => Err(anyhow!(
            "{broker} wants to know who connects: add --credentials DIR (`stroll provision` makes the folder)"
        )),
        (false, Some(_)) => Err(anyhow!(
            "--credentials are for a broker with TLS, and {broker} is none: write mqtts://"
        )),
        (false, None) => Ok(None),
    }
}
