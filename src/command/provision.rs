//! `stroll provision`: keys and certificates for the members of a store's network.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use crate::edge::broker::TLS_PORT;
use crate::edge::credentials::Who;
use crate::edge::definition_file;
use crate::edge::provision::{self, Authority, COORDINATOR_USER, Day};
use crate::store::{Definition, NodeName};

/// Make the keys and certificates of a store's network, and take them back
///
/// The store has an authority of its own, whose key stays where it was made. Each member gets a folder with its key and
/// certificate, which its `--credentials` names: bring a node's folder to the node and delete it here.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make the store's authority, once
    Authority {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Make the coordinator's folder, which is also that of its broker
    Coordinator {
        #[command(flatten)]
        store: StoreArgs,
        /// A name or an address by which nodes connect to it, such as store.local or 192.168.1.10
        #[arg(long, value_name = "HOST", required = true)]
        host: Vec<String>,
        /// The folder that is made
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Make a node's folder
    Node {
        /// The node, as the store's definition names it
        name: String,
        #[command(flatten)]
        store: StoreArgs,
        /// The folder that is made
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Take a node's certificates back: its connection ends within seconds, and it is not let in again
    Revoke {
        /// The node
        name: String,
        #[command(flatten)]
        store: StoreArgs,
        /// The coordinator's folder, where its broker looks for what is revoked
        #[arg(long, value_name = "DIR")]
        coordinator: PathBuf,
    },
    /// Write Mosquitto's configuration and access list, for the same rules without the broker inside the program
    Mosquitto {
        #[command(flatten)]
        store: StoreArgs,
        /// The coordinator's folder
        #[arg(long, value_name = "DIR")]
        coordinator: PathBuf,
        /// Where it listens
        #[arg(long, value_name = "PORT", default_value_t = TLS_PORT)]
        port: u16,
        /// The folder that takes mosquitto.conf and mosquitto.acl
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct StoreArgs {
    /// The store's definition
    #[arg(long, value_name = "FILE.toml")]
    store: PathBuf,
    /// The folder of the store's authority
    #[arg(long, value_name = "DIR", default_value = "authority")]
    authority: PathBuf,
}

impl StoreArgs {
    fn definition(&self) -> anyhow::Result<Definition> {
        Ok(definition_file::load(&self.store)?.0)
    }

    fn open(&self, definition: &Definition) -> anyhow::Result<Authority> {
        Ok(Authority::open(&self.authority, definition.id.as_str())?)
    }
}

/// Does that.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Authority { store } => {
            let definition = store.definition()?;
            Authority::make(&store.authority, definition.id.as_str(), today()?)?;
            println!(
                "{} is the authority of {}. Keep authority.key where only you can read it: who has it can be any node",
                store.authority.display(),
                definition.id
            );
        }
        What::Coordinator {
            store,
            host,
            output,
        } => {
            let definition = store.definition()?;
            let authority = store.open(&definition)?;
            authority.issue(&Who::Coordinator, &host, today()?, &output)?;
            println!(
                "{}: stroll coordinator --credentials {0} --mqtt-listen 0.0.0.0:{TLS_PORT} ...",
                output.display()
            );
        }
        What::Node {
            name,
            store,
            output,
        } => {
            let definition = store.definition()?;
            let node = node_of(&definition, &name, &store.store)?;
            let authority = store.open(&definition)?;
            authority.issue(&Who::Node(node), &[], today()?, &output)?;
            println!(
                "{}: stroll node --name {name} --credentials {0} --broker mqtts://HOST ...",
                output.display()
            );
        }
        What::Revoke {
            name,
            store,
            coordinator,
        } => {
            let definition = store.definition()?;
            // A node that the definition has lost is the one to be revoked, as often as not.
            let who = Who::Node(NodeName::from(name.as_str()));
            let taken = store
                .open(&definition)?
                .revoke(&who, today()?, &coordinator)?;
            println!("{taken} of {name}: not believed any more");
        }
        What::Mosquitto {
            store,
            coordinator,
            port,
            output,
        } => {
            let definition = store.definition()?;
            write_mosquitto(&definition, &coordinator, port, &output)?;
        }
    }
    Ok(())
}

fn write_mosquitto(
    definition: &Definition,
    coordinator: &Path,
    port: u16,
    output: &Path,
) -> anyhow::Result<()> {
    let absolute = |path: &Path| {
        std::path::absolute(path).with_context(|| format!("{} cannot be found", path.display()))
    };
    std::fs::create_dir_all(output)
        .with_context(|| format!("{} cannot be made", output.display()))?;
    let output = absolute(output)?;
    let (conf_path, acl_path) = (output.join("mosquitto.conf"), output.join("mosquitto.acl"));
    let store = definition.id.as_str();
    let (conf, acl) = provision::mosquitto(store, port, &absolute(coordinator)?, &acl_path);
    for (path, text) in [(&conf_path, conf), (&acl_path, acl)] {
        std::fs::write(path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    println!(
        "{}: mosquitto -c {0} (its user has to be able to read the coordinator's folder)",
        conf_path.display()
    );
    Ok(())
}

fn node_of(definition: &Definition, name: &str, file: &Path) -> anyhow::Result<NodeName> {
    if name == COORDINATOR_USER {
        bail!("a node cannot be called `{name}`: Mosquitto would take it for the coordinator");
    }
    let node = NodeName::from(name);
    let known = definition.layout.node(&node);
    known.map(|_| node).ok_or_else(|| {
        let names: Vec<&str> = (definition.layout.nodes.iter())
            .map(|node| node.name.as_str())
            .collect();
        anyhow!(
            "{} has no node `{name}`: it has {}",
            file.display(),
            names.join(", ")
        )
    })
}

fn today() -> anyhow::Result<Day> {
    let date = jiff::Zoned::now().date();
    let part = |n: i8| u8::try_from(n).context("a date without a month");
    Ok((date.year().into(), part(date.month())?, part(date.day())?))
}
