//! A day: people, nodes, network and coordinator, a second at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::auditor::{self, Evidence, Totals};
use super::faults::{Chance, Counts};
use super::network::Network;
use super::node::Node;
use super::people::{self, People, Seen};
use super::store::Store;
use super::{Options, TortureError, at};
use crate::checkout::session::Role;
use crate::coordinator::{Coordinator, Effect, Input};
use crate::edge::journal::Archive;
use crate::edge::playback;
use crate::edge::shell::Shell;
use crate::edge::wire::Message;
use crate::observation::{DeviceId, Observation};
use crate::store::{Definition, NodeName, PlateId, definition};
use crate::units::{Milligrams, Timestamp};

/// Seconds after which the day is over, whoever is still there; and after which everything must be settled then.
const DAY_S_MAX: i64 = 30_000;
const SETTLING_S_MAX: i64 = 1_200;

/// What came of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Day {
    pub faults: Counts,
    pub totals: Totals,
    /// What the auditor objects to, a sentence each.
    pub violations: Vec<String>,
    /// Of receipts and ledger: the same for every run of a seed.
    pub digest: String,
}

pub(super) struct World {
    definition: Arc<Definition>,
    people: People,
    nodes: Vec<Node>,
    network: Network,
    store: Store,
    chance: Chance,
    /// For whom the gate has opened.
    let_in: BTreeSet<DeviceId>,
    receipts: u64,
}

/// Plays the day of a seed and audits it.
pub fn run(seed: u64, options: &Options) -> Result<Day, TortureError> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let (definition, _) = definition::parse(&people::definition_toml(), "torture.toml")
        .map_err(|error| TortureError::Definition(error.to_string()))?;
    let definition = Arc::new(definition);
    let people = People::new(seed, options.shoppers, &definition);
    let mut world = World::open(folder.path(), &definition, people, seed)?;
    world.enrol()?;
    world.chance.on = !options.calm;
    let mut step = 1;
    while !world.people.are_gone() && step < DAY_S_MAX {
        world.step(step)?;
        step += 1;
    }
    world.chance.on = false;
    world.network.heal();
    world.store.heal(step);
    let last = step + SETTLING_S_MAX;
    while step < last && !world.is_settled() {
        world.step(step)?;
        step += 1;
    }
    world.audited(options)
}

impl World {
    /// A store in which nothing has happened, with its files in `folder`. Nothing fails as yet.
    pub(super) fn open(
        folder: &Path,
        definition: &Arc<Definition>,
        people: People,
        seed: u64,
    ) -> Result<Self, TortureError> {
        let consenting = people.all.iter().filter(|p| p.consents);
        let consenting = consenting.map(|p| p.device.clone()).collect();
        let path = folder.join("journal.sqlite");
        Ok(World {
            nodes: (definition.layout.nodes.iter())
                .map(|node| Node::new(&node.name, folder))
                .collect::<Result<_, _>>()?,
            store: Store::new(definition.clone(), path, consenting)?,
            network: Network::default(),
            chance: Chance::new(seed, false),
            let_in: BTreeSet::new(),
            people,
            definition: definition.clone(),
            receipts: 0,
        })
    }

    /// The same shoppers come on another day.
    pub(super) fn begin_day(&mut self, day: u32, seed: u64, shoppers: usize) {
        let seed = seed.wrapping_add(u64::from(day));
        self.people = People::new(seed, shoppers, &self.definition);
        for person in &mut self.people.all {
            person.track = format!("{}-{day}", person.track).as_str().into();
        }
        self.let_in.clear();
    }

    /// Everybody has gone, and has a receipt.
    pub(super) fn is_over(&self) -> bool {
        self.people.are_gone() && self.is_settled()
    }

    /// Receipts that were handed out since this was last asked.
    pub(super) fn receipts_of_step(&mut self) -> u64 {
        std::mem::take(&mut self.receipts)
    }

    /// Sessions that the coordinator remembers.
    pub(super) fn sessions(&self) -> u64 {
        let shell = self.store.shell();
        shell.map_or(0, |shell| shell.core().state().sessions.len() as u64)
    }

    pub(super) fn journal_bytes(&self) -> u64 {
        std::fs::metadata(&self.store.path).map_or(0, |file| file.len())
    }

    /// Forgets what only an audit would want to know, so that the memory is the store's.
    pub(super) fn forget_evidence(&mut self) {
        for node in &mut self.nodes {
            node.made.clear();
        }
    }

    /// Has the nodes forget what was committed more than a day ago, as they do.
    pub(super) fn prune(&mut self, now: Timestamp) -> Result<(), TortureError> {
        self.nodes.iter_mut().try_for_each(|node| node.prune(now))
    }

    pub(super) fn enrol(&mut self) -> Result<(), TortureError> {
        let phones = self.people.all.iter().map(|person| Input::DeviceEnrolled {
            device: person.device.clone(),
            key: people::KEY.to_vec(),
            role: Role::Shopper,
        });
        let phones: Vec<Input> = phones.collect();
        self.store.step(0, at(0, 0.0), phones, &mut self.chance)?;
        Ok(())
    }

    pub(super) fn step(&mut self, step: i64) -> Result<(), TortureError> {
        let gate_works = self
            .nodes
            .iter()
            .any(|n| n.name.as_str() == "gate" && n.is_up());
        let seen = (self.people).step(step, &self.definition, &self.let_in, gate_works);
        self.network.step(step, &self.store.nodes, &mut self.chance);
        for node in &mut self.nodes {
            node.live(step, &mut self.chance)?;
            let (observations, weights) = share(&seen, node, &self.definition);
            node.sense(step, observations, &weights)?;
            let id = self.definition.id.as_str();
            node.send(step, id, &mut self.network, &mut self.chance)?;
        }
        let arrived = self.network.arrived(step, true)?;
        let inputs: Vec<Input> = arrived.into_iter().filter_map(playback::input).collect();
        let effects = self
            .store
            .step(step, at(step + 1, 0.0), inputs, &mut self.chance)?;
        self.perform(step, &effects, gate_works)?;
        for message in self.network.arrived(step, false)? {
            if let Message::Committed { node, committed } = message
                && let Some(node) = self.nodes.iter_mut().find(|n| n.name == node)
            {
                node.hear(step, &committed)?;
            }
        }
        Ok(())
    }

    fn perform(
        &mut self,
        step: i64,
        effects: &[Effect],
        gate_works: bool,
    ) -> Result<(), TortureError> {
        for ((node, outbox), sequence) in playback::commits(effects) {
            let committed = crate::observation::Committed { outbox, sequence };
            let word = Message::Committed { node, committed };
            let id = self.definition.id.as_str();
            self.network.send(step, id, &word, &mut self.chance)?;
        }
        for effect in effects {
            match effect {
                Effect::OpenGate { session } if gate_works => {
                    let sessions = self.store.shell().map(|s| &s.core().state().sessions);
                    let device = sessions.and_then(|s| s.get(session)?.device.clone());
                    self.let_in.extend(device);
                }
                Effect::Receipt(_) => self.receipts += 1,
                // An emergency is not played.
                Effect::OpenGate { .. }
                | Effect::ReleaseGate
                | Effect::Commit { .. }
                | Effect::Pay { .. } => {}
            }
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let closed = |shell: &Shell<Coordinator>| {
            shell.core().state().active.is_empty() && shell.pending() == 0
        };
        self.store.shell().is_some_and(closed) && self.nodes.iter().all(Node::is_done)
    }

    fn audited(mut self, options: &Options) -> Result<Day, TortureError> {
        let live = self.store.stop();
        let is_settled = live
            .as_ref()
            .is_some_and(|s| s.pending() == 0 && s.core().state().active.is_empty())
            && self.nodes.iter().all(Node::is_done);
        let live_state = live.as_ref().map(state);
        drop(live);
        let chain = Archive::open(&self.store.path)?.verify(None);
        let (replayed, _) = self.store.opened()?;
        let from_snapshot = state(&replayed);
        let journal = replayed.log();
        let decisions = journal.decisions()?.into_iter().map(|r| r.decision);
        let observations = journal.observations().collect::<Result<Vec<_>, _>>()?;
        let decisions: Vec<_> = decisions.collect();
        let mut folded = crate::coordinator::State::new(self.definition.clone());
        for decision in &decisions {
            folded.apply(decision);
        }
        folded.frontier = Timestamp::MIN;
        let ledger = self.store.sandbox.ledger()?;
        let evidence = Evidence {
            definition: &self.definition,
            people: &self.people.all,
            decisions: &decisions,
            observations: &observations,
            ledger: &ledger,
            made: self.nodes.iter().flat_map(|n| &n.made).collect(),
            replaced: self.nodes.iter().flat_map(|n| &n.replaced).collect(),
            words: (self.nodes.iter())
                .flat_map(|n| {
                    n.words
                        .iter()
                        .map(|(outbox, upto)| ((&n.name, outbox), *upto))
                })
                .collect::<BTreeMap<_, _>>(),
            is_settled,
            is_calm: options.calm,
            chain_error: chain.err().map(|error| error.to_string()),
            replay_differs: live_state.as_ref() != Some(&from_snapshot)
                || from_snapshot != format!("{folded:?}"),
        };
        let (totals, violations) = auditor::audit(&evidence);
        let receipts = playback::issued(&decisions);
        let digest = Sha256::digest(format!("{receipts:?} {ledger:?}"));
        let digest = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        Ok(Day {
            faults: self.chance.counts,
            totals,
            violations,
            digest,
        })
    }
}

/// What a store has decided. A snapshot knows of time that went by without a decision.
fn state(shell: &Shell<Coordinator>) -> String {
    let mut state = shell.core().state().clone();
    state.frontier = Timestamp::MIN;
    format!("{state:?}")
}

/// What of a second is before the sensors of a node.
fn share(
    seen: &Seen,
    node: &Node,
    definition: &Definition,
) -> (Vec<Observation>, Vec<(PlateId, Milligrams)>) {
    let Some(info) = definition.layout.node(&NodeName::from(node.name.as_str())) else {
        return Default::default();
    };
    let mut observations = Vec::new();
    if info.tracks_bodies {
        observations.extend(seen.bodies.iter().cloned());
    }
    if info.watches_gate {
        observations.extend(seen.gate.iter().cloned());
    }
    let mine = (seen.shelves.iter()).filter(|(plate, ..)| info.shelves.contains(&plate.shelf));
    let weights = mine.clone().map(|(plate, delta, _)| (*plate, *delta));
    observations.extend(mine.clone().map(|(.., observation)| observation.clone()));
    (observations, weights.collect())
}
