//! The coordinator as a process that can be killed: what outlives it are its journal's file and the payment provider.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::TortureError;
use super::faults::{Chance, Fault};
use crate::coordinator::{Coordinator, Effect, Input};
use crate::edge::gateway::{Sandbox, SandboxFaults};
use crate::edge::journal::Journal;
use crate::edge::shell::Shell;
use crate::observation::DeviceId;
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

/// So often that most restarts begin with a snapshot, and some of them long after it.
const SNAPSHOT_EVERY: u64 = 700;
const KILL: f64 = 1.0 / 300.0;
const DOWN_S_MAX: i64 = 15;
const PAYMENT_FAULT: f64 = 1.0 / 60.0;

pub(super) struct Store {
    pub definition: Arc<Definition>,
    pub nodes: Vec<NodeName>,
    pub path: PathBuf,
    pub sandbox: Sandbox,
    /// Phones whose owners have agreed to a second charge.
    pub consenting: BTreeSet<DeviceId>,
    shell: Option<Shell<Coordinator>>,
    down_until: i64,
    armed: SandboxFaults,
}

impl Store {
    pub fn new(
        definition: Arc<Definition>,
        path: PathBuf,
        consenting: BTreeSet<DeviceId>,
    ) -> Result<Self, TortureError> {
        let nodes = definition.layout.nodes.iter().map(|n| n.name.clone());
        Ok(Store {
            nodes: nodes.collect(),
            definition,
            path,
            sandbox: Sandbox::in_memory()?,
            consenting,
            shell: None,
            down_until: 0,
            armed: SandboxFaults::default(),
        })
    }

    /// Opens the store of the journal as it is; also gives what the nodes are to be told.
    pub fn opened(&self) -> Result<(Shell<Coordinator>, Vec<Effect>), TortureError> {
        let mut journal = Journal::open(&self.path, &self.definition)?;
        journal.keep_snapshots_every(SNAPSHOT_EVERY);
        let gateway = Box::new(self.sandbox.clone());
        Ok(Shell::open(
            journal,
            &self.definition,
            &self.nodes,
            gateway,
        )?)
    }

    pub fn shell(&self) -> Option<&Shell<Coordinator>> {
        self.shell.as_ref()
    }

    /// Ends the process.
    pub fn stop(&mut self) -> Option<Shell<Coordinator>> {
        self.shell.take()
    }

    /// Nothing of payments goes wrong any more.
    pub fn heal(&mut self, step: i64) {
        self.down_until = self.down_until.min(step);
    }

    /// One second: it hears `inputs`, or, if it is down or is killed, does not; the effects that it lives to perform.
    pub fn step(
        &mut self,
        step: i64,
        now: Timestamp,
        mut inputs: Vec<Input>,
        chance: &mut Chance,
    ) -> Result<Vec<Effect>, TortureError> {
        let mut effects = Vec::new();
        if self.shell.is_none() {
            if step < self.down_until {
                return Ok(effects);
            }
            let (shell, owed) = self.opened()?;
            self.shell = Some(shell);
            effects.extend(owed);
            let consents = self.consenting.iter().map(|device| Input::Payer {
                device: device.clone(),
                second_charge: true,
            });
            inputs.splice(0..0, consents);
        }
        if chance.strikes(Fault::KillBeforeCommit, KILL) {
            self.kill(step, chance);
            return Ok(Vec::new());
        }
        self.arm(chance);
        inputs.push(Input::Tick);
        let Some(shell) = &mut self.shell else {
            return Ok(effects);
        };
        effects.extend(shell.batch(inputs, now)?);
        effects.extend(shell.retry(now)?);
        self.disarm(chance);
        if chance.strikes(Fault::KillAfterCommit, KILL) {
            self.kill(step, chance);
            return Ok(Vec::new());
        }
        Ok(effects)
    }

    fn kill(&mut self, step: i64, chance: &mut Chance) {
        self.shell = None;
        self.down_until = step + chance.between(1, DOWN_S_MAX);
    }

    /// Lets the provider fail at whatever it is asked next.
    fn arm(&mut self, chance: &mut Chance) {
        let left = self.sandbox.faults();
        let none = SandboxFaults::default();
        self.armed = if !chance.on {
            none
        } else if left == none && chance.happens(PAYMENT_FAULT) {
            let mut faults = none;
            match chance.between(0, 3) {
                0 => faults.unavailable_next = u32::try_from(chance.between(1, 6)).unwrap_or(1),
                1 => faults.lose_answer_next = 1,
                2 => faults.decline_next = 1,
                _ => faults.lapse_next = 1,
            }
            faults
        } else {
            left
        };
        self.sandbox.set_faults(self.armed.clone());
    }

    /// Counts what has gone wrong since.
    fn disarm(&self, chance: &mut Chance) {
        let left = self.sandbox.faults();
        let spent = |armed: u32, left: u32| u64::from(armed.saturating_sub(left));
        for (fault, armed, left) in [
            (
                Fault::ProviderAway,
                self.armed.unavailable_next,
                left.unavailable_next,
            ),
            (
                Fault::AnswerLost,
                self.armed.lose_answer_next,
                left.lose_answer_next,
            ),
            (Fault::Declined, self.armed.decline_next, left.decline_next),
            (Fault::HoldLapsed, self.armed.lapse_next, left.lapse_next),
        ] {
            chance.counts.add(fault, spent(armed, left));
        }
    }
}
