//! What a node is wired to. [`parse`] reads it from one commented TOML file (`deploy/node.toml`) and the environment.

mod file;

use std::path::{Path, PathBuf};

use crate::edge::converter::{hx711, nau7802};
use crate::edge::gate::relay::Active;
use crate::edge::mqtt::BrokerUrl;
use crate::store::{Definition, NodeName, PlateId};

pub use file::{parse, schema};

/// A node as it is wired.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeConfig {
    pub name: NodeName,
    /// The store's definition.
    pub store: PathBuf,
    pub broker: BrokerUrl,
    pub outbox: PathBuf,
    pub calibration: PathBuf,
    pub sampling: Sampling,
    /// Raw samples are kept as well.
    pub recording: Option<Recording>,
    pub hx711: Vec<Hx711Bank>,
    pub nau7802: Vec<Nau7802Chip>,
    pub gate: Option<GateWiring>,
    /// Home Assistant is told of the node.
    pub home_assistant: Option<HomeAssistant>,
}

/// A gate as it is wired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateWiring {
    pub relay_gpio: u8,
    pub relay_active: Active,
    /// The outer and the inner beam; without them nobody is counted, and nobody is let out by the gate itself.
    pub beams: Option<(u8, u8)>,
    /// High is an emergency: a button, or a fire alarm's contact, that is closed to ground as long as all is well.
    pub emergency_gpio: Option<u8>,
    /// What gives entry codes line by line, such as a USB scanner.
    pub scanner: Option<PathBuf>,
}

/// How Home Assistant is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeAssistant {
    pub prefix: String,
}

/// How plates are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Samples a second and plate.
    pub rate_hz: f64,
    /// Real-time priority of the sampling thread, 1 to 99; 0 asks for none.
    pub realtime_priority: u8,
    /// Seconds of samples that may wait for the rest of the program; then the newest are lost, and counted.
    pub queue_s: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            rate_hz: 80.0,
            realtime_priority: 50,
            queue_s: 2.0,
        }
    }
}

/// Where raw samples are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    pub folder: PathBuf,
    /// A new file is begun after so many minutes.
    pub rotate_min: f64,
    /// The oldest files go when all of them take more than this.
    pub disk_max_mb: u64,
}

/// HX711 chips that share a clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Hx711Bank {
    pub clock_gpio: u8,
    pub gain: hx711::Gain,
    pub rate: hx711::Rate,
    /// Data pin and plate of each.
    pub data: Vec<(u8, PlateId)>,
}

/// A NAU7802, alone on its bus or behind a multiplexer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nau7802Chip {
    pub bus: u8,
    /// Address and channel of the multiplexer.
    pub behind: Option<(u8, u8)>,
    pub rate: nau7802::Rate,
    pub plate: PlateId,
}

impl NodeConfig {
    /// Every plate in the order in which they are sampled.
    pub fn plates(&self) -> Vec<PlateId> {
        let hx711 = self.hx711.iter().flat_map(|bank| &bank.data);
        hx711
            .map(|(_, plate)| *plate)
            .chain(self.nau7802.iter().map(|chip| chip.plate))
            .collect()
    }

    /// A node that has an HX711 for each of its plates in the store, six to a clock: for simulations without a file.
    pub fn bench(
        definition: &Definition,
        name: &NodeName,
        store: &Path,
        broker: BrokerUrl,
        outbox: &Path,
    ) -> Self {
        let shelves = definition.layout.shelves.values();
        let plates: Vec<PlateId> = shelves
            .filter(|shelf| shelf.node == *name)
            .flat_map(|shelf| shelf.plates.iter().map(|plate| plate.id))
            .collect();
        let banks = plates.chunks(6).zip(0u8..).map(|(plates, bank)| Hx711Bank {
            clock_gpio: 200 + bank,
            gain: hx711::Gain::A128,
            rate: hx711::Rate::Sps80,
            data: (plates.iter().zip(0u8..))
                .map(|(plate, index)| (bank * 6 + index, *plate))
                .collect(),
        });
        NodeConfig {
            name: name.clone(),
            store: store.to_owned(),
            broker,
            outbox: outbox.to_owned(),
            calibration: outbox.with_extension("calibration.json"),
            sampling: Sampling::default(),
            recording: None,
            hx711: banks.collect(),
            nau7802: Vec::new(),
            gate: None,
            home_assistant: None,
        }
    }

    /// Plates that are not of this node in that store, in a sentence.
    pub fn strangers(&self, definition: &Definition) -> Option<String> {
        if definition.layout.node(&self.name).is_none() {
            return Some(format!("store {} has no node {}", definition.id, self.name));
        }
        let watches = |node: &crate::store::Node| node.watches_gate;
        if self.gate.is_some() && !definition.layout.node(&self.name).is_some_and(watches) {
            return Some(format!(
                "node {} has a gate, and in store {} it does not watch it (watches_gate = true)",
                self.name, definition.id
            ));
        }
        let of_node = |plate: &PlateId| {
            let shelf = definition.layout.shelves.get(&plate.shelf);
            shelf.is_some_and(|shelf| shelf.node == self.name)
                && definition.layout.plate(*plate).is_some()
        };
        let stranger = self.plates().into_iter().find(|plate| !of_node(plate))?;
        Some(format!(
            "plate {stranger} is none of node {} in store {}",
            self.name, definition.id
        ))
    }
}

#[cfg(test)]
mod tests;
