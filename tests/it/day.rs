//! A simulated day in the corner shop, and the processes that play it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stroll::checkout::Decision;
use stroll::edge::journal::Journal;

use crate::corner;
use crate::program::{Program, arg, replayed, stroll, text};

/// A simulated day in a variant of the corner shop, as files.
pub struct Day {
    folder: tempfile::TempDir,
    pub toml: String,
}

impl Day {
    /// Simulates it.
    pub fn new(toml: String, seed: u64, shoppers: u32) -> Self {
        let day = Day {
            folder: tempfile::tempdir().expect("a folder"),
            toml,
        };
        std::fs::write(day.path("store.toml"), &day.toml).expect("written");
        let output = stroll(&[
            "simulate",
            "--store",
            arg(&day.path("store.toml")),
            "--seed",
            &seed.to_string(),
            "--shoppers",
            &shoppers.to_string(),
            "-o",
            arg(&day.path("day.mcap")),
        ]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        day
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Forgets journal, ledger and outboxes: the next store begins from nothing.
    pub fn clear(&self) {
        let entries = std::fs::read_dir(self.folder.path()).expect("its folder");
        for entry in entries {
            let path = entry.expect("an entry").path();
            let is_kept = ["store.toml", "day.mcap"].map(|name| self.path(name));
            if path.is_file() && !is_kept.contains(&path) {
                std::fs::remove_file(path).expect("removed");
            }
        }
    }

    /// What an undisturbed replay charges, by shopper's track.
    pub fn charged(&self) -> Value {
        let replay = replayed(&[arg(&self.path("day.mcap")), "--json"]);
        let mut receipts: Value = serde_json::from_str(&replay).expect("JSON");
        sorted(receipts["receipts"].take())
    }

    /// What a coordinator has charged, by shopper's track: from its journal, when it is closed.
    pub fn journalled(&self) -> Value {
        let journal = Journal::open(
            &self.path("journal.sqlite"),
            &corner::definition(&self.toml),
        );
        let decisions = journal.and_then(|journal| journal.decisions());
        let receipts = (decisions.expect("the journal can be read").into_iter())
            .filter_map(|recorded| match recorded.decision {
                Decision::ReceiptIssued { receipt } => Some(receipt),
                _ => None,
            })
            .map(|receipt| {
                let lines = receipt.lines.iter();
                let products: Vec<Value> = lines
                    .map(|l| serde_json::json!({"barcode": l.product, "quantity": l.quantity}))
                    .collect();
                serde_json::json!({"target_id": receipt.track, "products": products})
            });
        sorted(receipts.collect())
    }

    /// Starts a coordinator on that broker; its console.
    pub fn coordinator(&self, broker: &str) -> (Program, SocketAddr) {
        let coordinator = self.coordinator_with(broker, &self.path("journal.sqlite"), &[]);
        let console = coordinator.console();
        (coordinator, console)
    }

    /// Starts a coordinator with that journal and these arguments, and does not wait for it.
    pub fn coordinator_with(&self, broker: &str, journal: &Path, more: &[&str]) -> Program {
        let (store, enrol) = (self.path("store.toml"), self.path("day.mcap"));
        let args = [
            "coordinator",
            "--store",
            arg(&store),
            "--journal",
            arg(journal),
            "--broker",
            broker,
            "--enrol",
            arg(&enrol),
            "--listen",
            "127.0.0.1:0",
        ];
        Program::start(&[&args, more].concat())
    }

    /// Starts a node of it on that broker.
    pub fn node(&self, name: &str, broker: &str, more: &[&str]) -> Program {
        self.node_with(name, broker, &self.outbox(name), more)
    }

    /// Where a node's outbox is.
    pub fn outbox(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.sqlite"))
    }

    /// Starts a node of it on that broker, with that outbox.
    pub fn node_with(&self, name: &str, broker: &str, outbox: &Path, more: &[&str]) -> Program {
        let (store, recording) = (self.path("store.toml"), self.path("day.mcap"));
        let args = [
            "node",
            "--store",
            arg(&store),
            "--name",
            name,
            "--broker",
            broker,
            "--outbox",
            arg(outbox),
            "--from",
            arg(&recording),
        ];
        Program::start(&[&args, more].concat())
    }

    /// Every node's name.
    pub fn nodes(&self) -> Vec<String> {
        let nodes = &corner::definition(&self.toml).layout.nodes;
        nodes.iter().map(|node| node.name.to_string()).collect()
    }
}

fn sorted(receipts: Value) -> Value {
    let Value::Array(mut receipts) = receipts else {
        panic!("no receipts: {receipts}")
    };
    receipts.sort_by_key(|receipt| receipt["target_id"].to_string());
    Value::Array(receipts)
}

/// A coordinator with the broker inside it, its console, and where nodes connect.
pub fn with_broker(day: &Day) -> (Program, SocketAddr, String) {
    with_broker_and(day, "127.0.0.1:0", &[], &[])
}

/// The same, with more arguments and variables, and the broker at that address.
pub fn with_broker_and(
    day: &Day,
    mqtt: &str,
    more: &[&str],
    env: &[(&str, &str)],
) -> (Program, SocketAddr, String) {
    let (store, journal) = (day.path("store.toml"), day.path("journal.sqlite"));
    let enrol = day.path("day.mcap");
    let args = [
        "coordinator",
        "--store",
        arg(&store),
        "--journal",
        arg(&journal),
        "--mqtt-listen",
        mqtt,
        "--enrol",
        arg(&enrol),
        "--listen",
        "127.0.0.1:0",
    ];
    let coordinator = Program::with_env(&[&args, more].concat(), env);
    let mut line = coordinator.line();
    if line.starts_with("Payment: ") {
        line = coordinator.line();
    }
    let address = |scheme: &str| {
        let rest = line.split_once(scheme).map(|(_, rest)| rest);
        let end = rest.and_then(|rest| rest.split([',', ' ']).next());
        end.unwrap_or_else(|| panic!("no {scheme} in: {line}"))
            .to_owned()
    };
    let console = address("http://").parse().expect("an address");
    let scheme = ["mqtts://", "mqtt://"]
        .into_iter()
        .find(|s| line.contains(s));
    let scheme = scheme.unwrap_or_else(|| panic!("no broker in: {line}"));
    let broker = format!("{scheme}{}", address(scheme));
    (coordinator, console, broker)
}
