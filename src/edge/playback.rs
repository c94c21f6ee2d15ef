//! Plays a recording through the store inside one process.
//!
//! What runs is what runs live: the nodes' sensing, the wire codec in both directions, the shell with its journal,
//! and the coordinator. Swapped are the source (a recording), the clock (event time), and the broker (none: the
//! bus is a queue). The outbox is left out, because the recording itself is what a node would send again.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::checkout::Decision;
use crate::checkout::receipt::Receipt;
use crate::coordinator::{Coordinator, Effect, Input};
use crate::edge::shell::{Shell, ShellError};
use crate::edge::wire::{self, Message, WireError};
use crate::observation::{NodeClock, Observation, OutboxId, Stamp, Stamped, Watermark};
use crate::recording::{Record, Recording};
use crate::sensing::node::NodeSensor;
use crate::store::NodeName;
use crate::units::Timestamp;
use crate::vision::shelf_eyes::{self, ShelfEyes};

/// Event time between two commits, seconds: a group commit takes in all that arrives in it.
const GROUP_S: f64 = 10.0;

/// Why a playback ended early.
#[derive(Debug, thiserror::Error)]
pub enum PlaybackError {
    #[error(transparent)]
    Shell(#[from] ShellError),
    #[error("node {node} made a message that its own codec refuses: {source}")]
    Wire { node: NodeName, source: WireError },
}

/// A recording's node: its sensing and its stamps.
struct PlayedNode {
    name: NodeName,
    sensor: NodeSensor,
    outbox: OutboxId,
    sequence: u64,
    promised_at: Option<Timestamp>,
}

/// A recording on its way through the store.
pub struct Playback<'a> {
    store: String,
    records: &'a [Record],
    nodes: BTreeMap<NodeName, PlayedNode>,
    first_at: Timestamp,
    /// Records played so far.
    played: usize,
    /// The cameras of the shelves, if there are any.
    eyes: Option<Box<dyn ShelfEyes>>,
}

impl<'a> Playback<'a> {
    /// Sets a recording up. Its stamps depend on nothing but what it holds, so that playing it again into the same
    /// journal adds nothing.
    pub fn new(recording: &'a Recording) -> Self {
        let first_at = recording.records.first().map_or(Timestamp::MIN, Record::at);
        let nodes = (recording.nodes.iter())
            .map(|name| {
                let node = PlayedNode {
                    name: name.clone(),
                    sensor: NodeSensor::new(recording.definition.clone()),
                    outbox: outbox_of(recording, name),
                    sequence: 0,
                    promised_at: None,
                };
                (name.clone(), node)
            })
            .collect();
        Playback {
            store: recording.definition.id.clone(),
            records: &recording.records,
            nodes,
            first_at,
            played: 0,
            eyes: None,
        }
    }

    /// The same with cameras before the shelves.
    pub fn with_eyes(mut self, eyes: Box<dyn ShelfEyes>) -> Self {
        self.eyes = Some(eyes);
        self
    }

    /// Plays the next stretch into `shell`. False when the recording is over and everybody has left.
    pub fn step(&mut self, shell: &mut Shell<Coordinator>) -> Result<bool, PlaybackError> {
        let rest = &self.records[self.played..];
        let Some(first) = rest.first() else {
            return Ok(false);
        };
        let until = first.at().plus_seconds(GROUP_S);
        let group = &rest[..rest.partition_point(|record| record.at() < until)];
        let now = group.last().map_or(until, Record::at);
        self.played += group.len();
        let over = self.played == self.records.len();
        let mut inputs = self.sense(group, now, over)?;
        // No tick: whether a node is silent is a matter of wall time, and a recording has none.
        inputs.extend(over.then_some(Input::EndOfRecording));
        shell.batch(inputs, now)?;
        Ok(!over)
    }

    /// What the nodes send of a stretch of records that ends at `now`, in the order of the records.
    fn sense(
        &mut self,
        group: &[Record],
        now: Timestamp,
        over: bool,
    ) -> Result<Vec<Input>, PlaybackError> {
        let mut inputs = Vec::new();
        for record in group {
            if let Some(node) = self.nodes.get_mut(record.node()) {
                let mut seen = Vec::new();
                node.sensor.push(record, &mut seen);
                shelf_eyes::add(self.eyes.as_deref_mut(), &mut seen);
                node.publish(seen, &self.store, self.first_at, record.at(), &mut inputs)?;
                node.promise(&self.store, record.at(), &mut inputs)?;
            }
        }
        for node in self.nodes.values_mut() {
            if over {
                let mut seen = Vec::new();
                node.sensor.finish(&mut seen);
                shelf_eyes::add(self.eyes.as_deref_mut(), &mut seen);
                node.publish(seen, &self.store, self.first_at, now, &mut inputs)?;
            } else {
                // Also a node that had nothing to say: records come in the order of time.
                node.promise(&self.store, now, &mut inputs)?;
            }
        }
        Ok(inputs)
    }

    /// Plays all of it.
    pub fn run(mut self, shell: &mut Shell<Coordinator>) -> Result<(), PlaybackError> {
        while self.step(shell)? {}
        Ok(())
    }
}

/// Every receipt among the decisions of a journal, by time of entry.
pub fn issued<'a>(decisions: impl IntoIterator<Item = &'a Decision>) -> Vec<Receipt> {
    let receipt = |decision: &Decision| {
        if let Decision::ReceiptIssued { receipt } = decision {
            Some(receipt.clone())
        } else {
            None
        }
    };
    by_entry(decisions.into_iter().filter_map(receipt).collect())
}

fn by_entry(mut receipts: Vec<Receipt>) -> Vec<Receipt> {
    receipts.sort_by(|a, b| (a.entered_at, &a.session).cmp(&(b.entered_at, &b.session)));
    receipts
}

/// The receipts that a store has handed out of late, by time of entry: those of the sessions that it still remembers.
pub fn receipts(coordinator: &Coordinator) -> Vec<Receipt> {
    let sessions = coordinator.state().sessions.values();
    by_entry(sessions.filter_map(|s| s.receipt.clone()).collect())
}

impl PlayedNode {
    /// Stamps observations and sends them over the in-process bus.
    fn publish(
        &mut self,
        seen: Vec<Observation>,
        store: &str,
        first_at: Timestamp,
        now: Timestamp,
        inputs: &mut Vec<Input>,
    ) -> Result<(), PlaybackError> {
        for observation in seen {
            self.sequence += 1;
            let stamp = Stamp {
                node: self.name.clone(),
                outbox: self.outbox.clone(),
                sequence: self.sequence,
            };
            let monotonic_us = u64::try_from(now.0.saturating_sub(first_at.0)).unwrap_or(0);
            let clock = NodeClock {
                boot: "replay".to_owned(),
                monotonic_us,
                wall_us: now,
                error_us: 0,
            };
            self.send(
                store,
                &Message::Observation(Stamped {
                    stamp,
                    clock,
                    observation,
                }),
                inputs,
            )?;
        }
        Ok(())
    }

    /// Sends a watermark as often as a live node does.
    fn promise(
        &mut self,
        store: &str,
        now: Timestamp,
        inputs: &mut Vec<Input>,
    ) -> Result<(), PlaybackError> {
        if self
            .promised_at
            .is_some_and(|at| now.seconds_since(at) < NodeSensor::PROMISE_S)
        {
            return Ok(());
        }
        self.promised_at = Some(now);
        let (at, open) = self.sensor.promise(now);
        let (node, outbox, sequence) = (self.name.clone(), self.outbox.clone(), self.sequence);
        self.send(
            store,
            &Message::Watermark(Watermark {
                node,
                outbox,
                sequence,
                at,
                open,
            }),
            inputs,
        )
    }

    /// The bus: what arrives is what the codec reads of what the codec wrote.
    fn send(
        &self,
        store: &str,
        message: &Message,
        inputs: &mut Vec<Input>,
    ) -> Result<(), PlaybackError> {
        let refused = |source| PlaybackError::Wire {
            node: self.name.clone(),
            source,
        };
        let encoded = wire::encode(store, message).map_err(refused)?;
        let decoded = wire::decode(&encoded.topic, &encoded.payload).map_err(refused)?;
        inputs.extend(input(decoded));
        Ok(())
    }
}

/// What the coordinator is told of a message; `None` for its own word, which is for nodes.
pub fn input(message: Message) -> Option<Input> {
    match message {
        Message::Observation(stamped) => Some(Input::Observation(Arc::new(stamped))),
        Message::Watermark(watermark) => Some(Input::Watermark(watermark)),
        Message::Status(status) => Some(Input::Status(status)),
        Message::Committed { .. } | Message::Loads(_) | Message::Order { .. } => None,
    }
}

/// The effects that a caller of [`Shell::batch`] owes the nodes: the last word for each outbox.
pub fn commits(effects: &[Effect]) -> BTreeMap<(NodeName, OutboxId), u64> {
    let mut last = BTreeMap::new();
    for effect in effects {
        if let Effect::Commit { node, committed } = effect {
            let word = last
                .entry((node.clone(), committed.outbox.clone()))
                .or_insert(0);
            *word = committed.sequence.max(*word);
        }
    }
    last
}

/// The outbox of a recording's node, named after the recording (its store, and when each of its records is from):
/// played again, it stamps the same.
pub fn outbox_of(recording: &Recording, node: &NodeName) -> OutboxId {
    let mut hash = Sha256::new();
    hash.update(recording.definition.hash.as_bytes());
    hash.update(node.as_str().as_bytes());
    for record in &recording.records {
        hash.update(record.at().0.to_be_bytes());
    }
    let id: String = hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    OutboxId::from(id)
}
