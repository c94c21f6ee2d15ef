//! Opening the store of a journal: the state in which it was left.

use std::sync::Arc;

use super::{Asker, Question, Shell};
use crate::coordinator::{Coordinator, Effect, Output};
use crate::edge::journal::{Journal, JournalError};
use crate::store::{Definition, NodeName};

impl Shell<Coordinator> {
    /// Opens the store of a journal, in the state in which the journal was left: decisions are folded, what was
    /// accepted and not decided waits again, and what the gateway never answered is asked again at the next
    /// [`Shell::retry`]. Also gives what the nodes are to be told.
    pub fn open(
        mut journal: Journal,
        definition: &Arc<Definition>,
        nodes: &[NodeName],
        asker: impl Into<Asker>,
    ) -> Result<(Self, Vec<Effect>), JournalError> {
        let mut core = folded(&mut journal, definition, nodes)?;
        for device in journal.devices()? {
            core.restore_device(device.id, device.key, device.role, device.revoked);
        }
        let mut outputs = Vec::new();
        core.resume(&mut outputs);
        let mut shell = Shell::new(core, journal, asker);
        let mut effects = Vec::new();
        for output in outputs {
            match output {
                Output::Effect(Effect::Pay {
                    session,
                    key,
                    request,
                }) => {
                    shell.resume(Question {
                        session,
                        key,
                        request,
                    });
                }
                Output::Effect(effect) => effects.push(effect),
                Output::Accept(_) | Output::Decide(_) => {}
            }
        }
        shell.keep_snapshot_if_due();
        Ok((shell, effects))
    }
}

/// What a journal's entries make of the store: those after the last snapshot, on top of it, or all of them.
fn folded(
    journal: &mut Journal,
    definition: &Arc<Definition>,
    nodes: &[NodeName],
) -> Result<Coordinator, JournalError> {
    let kept = journal.snapshot()?;
    let read = kept.and_then(|kept| match serde_json::from_slice(&kept.state) {
        Ok(snapshot) => Some((kept, snapshot)),
        Err(error) => {
            tracing::info!(%error, "the journal's snapshot is in another form, and is passed over");
            None
        }
    });
    let Some((kept, snapshot)) = read else {
        let mut core = Coordinator::new(definition.clone(), nodes);
        for recorded in journal.decisions()? {
            core.restore_decision(&recorded.decision);
        }
        for observation in journal.observations() {
            core.restore_observation(Arc::new(observation?));
        }
        return Ok(core);
    };
    let (mut core, waiting, poses_from) =
        Coordinator::from_snapshot(definition.clone(), nodes, snapshot);
    let since = journal.decisions_after(kept.decided)?;
    journal.count_changes(since.iter().map(|recorded| &recorded.decision));
    for recorded in &since {
        core.restore_decision(&recorded.decision);
    }
    for observation in journal.observations_ending_after(poses_from, kept.accepted)? {
        core.restore_poses(&observation?);
    }
    for stamp in &waiting {
        core.restore_waiting(Arc::new(journal.observation(stamp)?));
    }
    for observation in journal.observations_after(kept.accepted) {
        core.restore_observation(Arc::new(observation?));
    }
    Ok(core)
}
