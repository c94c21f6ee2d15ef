//! A network that loses, doubles, delays and reorders, and parts of which are cut off.

use std::collections::BTreeMap;

use super::TortureError;
use super::faults::{Chance, Fault};
use crate::edge::wire::{self, Message};
use crate::store::NodeName;

const DROPPED: f64 = 0.01;
const DUPLICATED: f64 = 0.01;
const DELAYED: f64 = 0.03;
/// Longest delay, seconds: shorter than any crash lasts, so that nothing arrives that a node does not remember to have sent.
const DELAY_S_MAX: i64 = 4;
const CUT_OFF: f64 = 1.0 / 2_000.0;

struct Packet {
    to_store: bool,
    node: NodeName,
    topic: String,
    payload: Vec<u8>,
}

/// Messages under way, by the second in which they arrive.
#[derive(Default)]
pub(super) struct Network {
    underway: BTreeMap<(i64, u64), Packet>,
    sent: u64,
    cut_off_until: BTreeMap<NodeName, i64>,
}

impl Network {
    /// Cuts nodes off, for as long as chance has it.
    pub fn step(&mut self, step: i64, nodes: &[NodeName], chance: &mut Chance) {
        for node in nodes {
            if !self.is_cut_off(step, node) && chance.strikes(Fault::Partition, CUT_OFF) {
                let until = step + chance.between(3, 90);
                self.cut_off_until.insert(node.clone(), until);
            }
        }
    }

    pub fn heal(&mut self) {
        self.cut_off_until.clear();
    }

    fn is_cut_off(&self, step: i64, node: &NodeName) -> bool {
        self.cut_off_until
            .get(node)
            .is_some_and(|until| *until > step)
    }

    /// Sends a message of a node, or to it.
    pub fn send(
        &mut self,
        step: i64,
        store: &str,
        message: &Message,
        chance: &mut Chance,
    ) -> Result<(), TortureError> {
        let (node, to_store) = match message {
            Message::Observation(stamped) => (&stamped.stamp.node, true),
            Message::Watermark(watermark) => (&watermark.node, true),
            Message::Status(status) => (&status.node, true),
            Message::Loads(loads) => (&loads.node, true),
            Message::Committed { node, .. } | Message::Order { node, .. } => (node, false),
        };
        if self.is_cut_off(step, node) || chance.strikes(Fault::MessageDropped, DROPPED) {
            return Ok(());
        }
        let encoded = wire::encode(store, message)?;
        let copies = 1 + i64::from(chance.strikes(Fault::MessageDuplicated, DUPLICATED));
        for _ in 0..copies {
            let late = chance.strikes(Fault::MessageDelayed, DELAYED);
            let delay_s = if late {
                chance.between(1, DELAY_S_MAX)
            } else {
                0
            };
            self.sent += 1;
            let packet = Packet {
                to_store,
                node: node.clone(),
                topic: encoded.topic.clone(),
                payload: encoded.payload.clone(),
            };
            self.underway.insert((step + delay_s, self.sent), packet);
        }
        Ok(())
    }

    /// What arrives by now, at the coordinator or at nodes.
    pub fn arrived(&mut self, step: i64, to_store: bool) -> Result<Vec<Message>, TortureError> {
        let due = self.underway.range(..(step + 1, 0));
        let due: Vec<_> = due
            .filter(|(_, packet)| packet.to_store == to_store)
            .map(|(key, _)| *key)
            .collect();
        let mut messages = Vec::new();
        for key in due {
            if let Some(packet) = self.underway.remove(&key)
                && !self.is_cut_off(step, &packet.node)
            {
                messages.push(wire::decode(&packet.topic, &packet.payload)?);
            }
        }
        Ok(messages)
    }
}
