//! A replay through a real MQTT broker: nodes with outboxes on one side, the store on the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::mpsc;

use super::store_at::{self, JournalAt};
use crate::coordinator::{Coordinator, Input};
use crate::edge::live::{Clock, LiveNode, LiveStore, Sensed, StoreParts};
use crate::edge::mqtt::{BrokerUrl, CoordinatorLink, CoordinatorOptions, NodeLink, NodeOptions};
use crate::edge::outbox::{Outbox, OutboxOptions};
use crate::edge::playback;
use crate::edge::shell::{Asker, Shell};
use crate::recording::Recording;
use crate::sensing::node::NodeSensor;
use crate::units::Timestamp;

/// How long the store may take for what is still under way when the recording is over.
const PATIENCE: Duration = Duration::from_secs(60);
/// Records that wait for a node; then the reader waits.
const RECORDS_MAX: usize = 256;
/// How long the broker is tried: somebody is waiting, and it should be there already.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// Plays a recording through `broker`, as fast as it goes.
pub fn replay(
    recording: &Recording,
    journal: &JournalAt,
    broker: BrokerUrl,
) -> anyhow::Result<Shell<Coordinator>> {
    if broker.tls {
        anyhow::bail!(
            "{broker}: a replay plays the whole store over a broker that asks nobody: write mqtt://"
        );
    }
    let runtime =
        tokio::runtime::Runtime::new().context("the network runtime cannot be started")?;
    let shell = store_at::open(journal, recording)?;
    runtime.block_on(async {
        // A store of its own on the broker, so that a live one of the same name hears nothing of it.
        let name = format!("{}-replay-{}", recording.definition.id, std::process::id());
        let options = CoordinatorOptions {
            patience: CONNECT_PATIENCE,
            ..CoordinatorOptions::new(broker.clone(), name.as_str())
        };
        let (link, deliveries) = CoordinatorLink::connect(options).await?;
        let link = Arc::new(link);
        let parts = StoreParts {
            shell,
            link: link.clone(),
            deliveries,
            answers: Asker::no_answers(),
            owed: Vec::new(),
            ticks: false,
            alarm: Box::new(|_| {}),
            watcher: Box::new(|_, _, _| {}),
        };
        let live = LiveStore::start(tokio::runtime::Handle::current(), parts)?;
        let published = publish(recording, &name, broker).await;
        if published.is_ok() {
            live.tell(Input::EndOfRecording).await;
        }
        // A store that has stopped by itself says why here, and that is why the nodes were not heard.
        let shell = tokio::task::spawn_blocking(move || live.stop()).await??;
        published?;
        Ok(shell)
    })
}

/// Runs every node of the recording, each on its own link, until all is committed.
async fn publish(recording: &Recording, store: &str, broker: BrokerUrl) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("stroll-")
        .tempdir()
        .context("no folder for the outboxes")?;
    let mut inlets = BTreeMap::new();
    let mut nodes = Vec::new();
    for name in &recording.nodes {
        let path = folder.path().join(format!("{name}.sqlite"));
        let id = Some(playback::outbox_of(recording, name));
        let outbox = Outbox::open_with(
            path,
            name,
            OutboxOptions {
                id,
                ..OutboxOptions::default()
            },
        )?;
        let options = NodeOptions {
            patience: CONNECT_PATIENCE,
            ..NodeOptions::new(broker.clone(), store)
        };
        let link = NodeLink::connect(options, outbox).await?;
        let clock = Clock {
            boot: "replay".to_owned(),
            started: Instant::now(),
        };
        let node = LiveNode::new(NodeSensor::new(recording.definition.clone()), link, clock);
        let (inlet, records) = mpsc::channel(RECORDS_MAX);
        inlets.insert(name, inlet);
        nodes.push(tokio::spawn(node.run(records)));
    }
    let mut promised_at = None;
    for record in &recording.records {
        if let Some(inlet) = inlets.get(record.node()) {
            // A node that has ended says why when it is joined.
            let _ = inlet.send(Sensed::Record(record.clone())).await;
        }
        if promised_at.is_none_or(|at| record.at().seconds_since(at) >= NodeSensor::PROMISE_S) {
            promised_at = Some(record.at());
            for inlet in inlets.values() {
                // Another node's record of this very moment may still be to come.
                let _ = inlet
                    .send(Sensed::Nothing(Timestamp(record.at().0 - 1)))
                    .await;
            }
        }
    }
    drop(inlets);
    for node in nodes {
        let link = node.await??;
        link.drained(PATIENCE).await?;
        link.close(PATIENCE).await?;
    }
    Ok(())
}
