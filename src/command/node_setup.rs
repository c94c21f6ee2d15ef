//! What `node`, `calibrate` and `record` share: the node's configuration, and the converters behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::sync::mpsc;

use crate::edge::definition_file;
use crate::edge::gate::keeper::{GateThread, Keeper};
use crate::edge::gate::scanner;
use crate::edge::home_assistant::{Discovery, Shown};
use crate::edge::node::board::{Board, Clock};
use crate::edge::node::calibration::Calibrations;
use crate::edge::node::config::{self, GateWiring, NodeConfig};
use crate::edge::node::gate_watch::GateWatch;
use crate::edge::node::sampler::{Batch, Sampler, SamplerThread};
use crate::edge::node::service::{Anchor, scale_of};
use crate::edge::simulated::SimulatedBoard;
use crate::edge::simulated::situation::{self, Situation};
use crate::observation::GateOrder;
use crate::store::{Definition, PlateId};

/// Where a Pi has its configuration.
pub const CONFIG: &str = "/etc/stroll/node.toml";

/// Which node, and on what.
#[derive(Clone, Debug, clap::Args)]
pub struct Wiring {
    /// What is wired to this node
    #[arg(long, value_name = "node.toml", env = "STROLL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Simulate the converters: what is put on which plate, and what breaks
    #[arg(long, value_name = "situation.toml")]
    pub simulate: Option<PathBuf>,
}

/// A node whose files are all right.
pub struct Setup {
    pub config: NodeConfig,
    pub definition: Arc<Definition>,
    pub calibrations: Calibrations,
    /// The converters are simulated.
    pub situation: Option<Situation>,
    /// The files' texts: configuration and definition.
    pub texts: Option<(String, String)>,
}

impl Wiring {
    /// Reads everything that the node needs.
    pub fn set_up(&self) -> anyhow::Result<Setup> {
        let path = self.config.clone().unwrap_or_else(|| CONFIG.into());
        let config = read_config(&path)?;
        let definition_text = std::fs::read_to_string(&config.store).unwrap_or_default();
        let definition = Arc::new(definition_file::load(&config.store)?.0);
        let text = std::fs::read_to_string(&path)?;
        let mut setup = self.complete(config, definition)?;
        setup.texts = Some((text, definition_text));
        Ok(setup)
    }

    /// Adds what goes with a configuration.
    pub fn complete(
        &self,
        config: NodeConfig,
        definition: Arc<Definition>,
    ) -> anyhow::Result<Setup> {
        if let Some(stranger) = config.strangers(&definition) {
            bail!("{stranger}: correct the node's configuration, or the store's definition");
        }
        let calibrations = Calibrations::load(&config.calibration)?;
        let situation = match &self.simulate {
            None => None,
            Some(path) => Some(read_situation(path, &config)?),
        };
        Ok(Setup {
            config,
            definition,
            calibrations,
            situation,
            texts: None,
        })
    }
}

/// Reads a node's configuration; mistakes are told with their lines.
pub fn read_config(path: &Path) -> anyhow::Result<NodeConfig> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the node's configuration {}", path.display()))?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let env = |name: &str| std::env::var(name).ok();
    let (config, _) = config::parse(&text, &path.to_string_lossy(), folder, env)?;
    Ok(config)
}

fn read_situation(path: &Path, config: &NodeConfig) -> anyhow::Result<Situation> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the situation {}", path.display()))?;
    let situation = situation::parse(&text, &path.to_string_lossy())?;
    if let Some(stranger) = situation.stranger(&config.plates()) {
        bail!(
            "{}: node {} has no plate {stranger}",
            path.display(),
            config.name
        );
    }
    Ok(situation)
}

impl Setup {
    /// Opens the converters and starts to read them, at life's pace.
    pub fn start(&self) -> anyhow::Result<(SamplerThread, mpsc::Receiver<Batch>, Anchor)> {
        match &self.situation {
            Some(situation) => {
                self.start_on(SimulatedBoard::new(&self.config, situation).paced(1.0))
            }
            None => self.start_on(open_board()?),
        }
    }

    /// Opens the gate's pins, if there is a gate, and begins to look after it. Simulated pins have a time of their own, so
    /// that looking at them holds up no converter.
    pub fn start_gate(
        &self,
        orders: std::sync::mpsc::Receiver<GateOrder>,
    ) -> anyhow::Result<Option<(GateThread, GateWatch, Anchor)>> {
        let Some(wiring) = &self.config.gate else {
            return Ok(None);
        };
        let started = match &self.situation {
            Some(situation) => {
                let board = SimulatedBoard::new(&self.config, situation).paced(1.0);
                gate_on(wiring, board, orders)?
            }
            None => gate_on(wiring, open_board()?, orders)?,
        };
        Ok(Some(started))
    }

    /// How Home Assistant is told of the node, if it is.
    pub fn discovery(&self) -> Option<Discovery> {
        let wanted = self.config.home_assistant.as_ref()?;
        let products = self.definition.catalogue.products();
        let stands_on = |plate: PlateId| {
            let mut facings = self.definition.planogram.on_plate(plate);
            let product = facings.next().and_then(|f| products.get(f.product_index));
            product
                .map(|product| product.name.clone())
                .unwrap_or_default()
        };
        let plates = self.config.plates();
        let shown = Shown {
            plates: (plates.iter())
                .filter(|plate| self.calibrations.of(**plate).is_some())
                .map(|plate| (*plate, stands_on(*plate)))
                .collect(),
            is_sampling: !plates.is_empty(),
            has_gate: self.config.gate.is_some(),
        };
        let (store, node) = (&self.definition.id, &self.config.name);
        Some(Discovery::new(&wanted.prefix, store, node, &shown))
    }

    /// The node and what it does, the beginning of a sentence.
    pub fn described(&self) -> String {
        let (name, plates) = (&self.config.name, self.config.plates().len());
        match (plates, &self.config.gate) {
            (0, _) => format!("Node {name} keeps the gate"),
            (_, None) => format!("Node {name} reads {plates} plates"),
            (_, Some(_)) => format!("Node {name} reads {plates} plates, keeps the gate"),
        }
    }

    fn start_on<B: Board>(
        &self,
        mut board: B,
    ) -> anyhow::Result<(SamplerThread, mpsc::Receiver<Batch>, Anchor)> {
        let sampler = self.sampler(&mut board)?;
        let mut clock = board.clock();
        // A simulated board's time begins with it, and opening takes some of it.
        clock.sleep_until_us(0);
        let anchor = Anchor::now(crate::edge::converter::Time::now_us(&mut clock));
        let (thread, batches) = SamplerThread::start(sampler, &self.config)
            .context("the sampling thread cannot be started")?;
        Ok((thread, batches, anchor))
    }

    /// Opens the converters.
    pub fn sampler<B: Board>(&self, board: &mut B) -> anyhow::Result<Sampler<B>> {
        let plates = self.config.plates();
        let scales: Vec<_> = (plates.iter())
            .map(|plate| scale_of(&self.calibrations, *plate))
            .collect();
        Ok(Sampler::open(&self.config, &scales, board)?)
    }
}

fn gate_on<B: Board>(
    wiring: &GateWiring,
    mut board: B,
    orders: std::sync::mpsc::Receiver<GateOrder>,
) -> anyhow::Result<(GateThread, GateWatch, Anchor)> {
    let keeper = Keeper::open(wiring, &mut board)?;
    let anchor = Anchor::now(crate::edge::converter::Time::now_us(&mut board.clock()));
    let (thread, news) =
        GateThread::start(keeper, orders).context("the gate's thread cannot be started")?;
    let codes = match &wiring.scanner {
        None => None,
        Some(path) => Some(scanner::start(path).context("the scanner's thread cannot be started")?),
    };
    Ok((thread, GateWatch::new(news, codes, anchor), anchor))
}

/// The Pi that this program runs on.
#[cfg(feature = "rpi")]
pub fn open_board() -> anyhow::Result<crate::edge::rpi::Pi> {
    Ok(crate::edge::rpi::Pi::open()?)
}

/// Without the feature there is no Pi.
#[cfg(not(feature = "rpi"))]
pub fn open_board() -> anyhow::Result<SimulatedBoard> {
    bail!(
        "this program was built without the Pi's pins: build it with `--features rpi`, or give --simulate situation.toml"
    )
}
