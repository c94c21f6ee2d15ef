//! The shell around the pure core: journal first, effects after.
//!
//! [`Shell::batch`] hands inputs to the core, makes everything that the core accepted and decided durable with one
//! commit, and only then asks the gateway; an answer is an input again, with a commit of its own before the next
//! question. The other effects are given back to the caller, who performs them in their order.
//!
//! Who asks is an [`Asker`]: the caller's own thread, so that a replay is the same every time, or threads of their own,
//! so that a slow provider holds up no cart; what those hear comes back by [`Shell::answered`].
//!
//! A question without an answer stays pending and is asked again by [`Shell::retry`], under the same key. After a
//! journal error nothing more is performed: the core is ahead of what is durable, and only a restart puts that right.

mod asking;
mod pending;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use crate::checkout::session::Role;
use crate::coordinator::{Coordinator, Effect, Input, Output};
use crate::edge::journal::{Journal, JournalError};
use crate::observation::{Committed, DeviceId, OutboxId, Stamp};
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

pub use asking::{Answered, Answers, Asker};
use pending::Pending;
pub use pending::Question;

/// Rounds of questions and answers in one call. A payment takes one round; what a core asks beyond this stays pending.
const ROUNDS_MAX: usize = 16;

/// A pure coordinator: it is told things, and says what it wants kept and done.
pub trait Core {
    /// Takes one input and adds what follows from it to `out`, in order.
    fn handle(&mut self, input: Input, now: Timestamp, out: &mut Vec<Output>);
    /// What it knows, for [`DurableLog::keep_snapshot`], if it can be kept.
    fn snapshot(&self) -> Option<Vec<u8>>;
}

impl Core for Coordinator {
    fn handle(&mut self, input: Input, now: Timestamp, out: &mut Vec<Output>) {
        Coordinator::handle(self, input, now, out);
    }
    fn snapshot(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(&Coordinator::snapshot(self)).ok()
    }
}

/// What makes outputs durable: the [`Journal`], or in tests one that fails.
pub trait DurableLog {
    /// See [`Journal::commit`].
    fn commit(&mut self, batch: &[Output]) -> Result<(), JournalError>;
    /// See [`Journal::snapshot_due`].
    fn snapshot_due(&self) -> bool;
    /// See [`Journal::keep_snapshot`].
    fn keep_snapshot(&mut self, state: &[u8]) -> Result<(), JournalError>;
    /// See [`Journal::knows`].
    fn knows(&self, stamp: &Stamp) -> bool;
    /// See [`Journal::committed_up_to`].
    fn committed_up_to(&self, node: &NodeName, outbox: &OutboxId) -> u64;
    /// See [`Journal::enrol_device`].
    fn enrol_device(
        &mut self,
        device: &DeviceId,
        key: &[u8],
        role: Role,
    ) -> Result<bool, JournalError>;
    /// See [`Journal::revoke_device`].
    fn revoke_device(&mut self, device: &DeviceId) -> Result<bool, JournalError>;
}

impl DurableLog for Journal {
    fn commit(&mut self, batch: &[Output]) -> Result<(), JournalError> {
        Journal::commit(self, batch)
    }
    fn snapshot_due(&self) -> bool {
        Journal::snapshot_due(self)
    }
    fn keep_snapshot(&mut self, state: &[u8]) -> Result<(), JournalError> {
        Journal::keep_snapshot(self, state)
    }
    fn knows(&self, stamp: &Stamp) -> bool {
        Journal::knows(self, stamp)
    }
    fn committed_up_to(&self, node: &NodeName, outbox: &OutboxId) -> u64 {
        Journal::committed_up_to(self, node, outbox)
    }
    fn enrol_device(
        &mut self,
        device: &DeviceId,
        key: &[u8],
        role: Role,
    ) -> Result<bool, JournalError> {
        Journal::enrol_device(self, device, key, role)
    }
    fn revoke_device(&mut self, device: &DeviceId) -> Result<bool, JournalError> {
        Journal::revoke_device(self, device)
    }
}

/// Why a shell does nothing more.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    #[error("the store stops, for what it decides can't be kept: {0}")]
    Journal(#[from] JournalError),
    #[error("the store has stopped after an error of its journal ({why}); restart it")]
    Stopped { why: String },
}

/// Is shown every output once it is durable.
pub type Observer = Box<dyn FnMut(&Output) + Send>;

/// A core with its journal and its gateway.
pub struct Shell<C, L = Journal> {
    core: C,
    log: L,
    asker: Asker,
    observer: Option<Observer>,
    pending: Pending,
    /// The journal error after which nothing more is done.
    stopped: Option<String>,
}

impl<C: Core, L: DurableLog> Shell<C, L> {
    /// A shell around a core that is in the state which the journal's decisions give.
    pub fn new(core: C, log: L, asker: impl Into<Asker>) -> Self {
        Shell {
            core,
            log,
            asker: asker.into(),
            observer: None,
            pending: Pending::default(),
            stopped: None,
        }
    }

    /// Shows `observer` every output once it is durable, in order: what the console draws.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// The core, to look at.
    pub fn core(&self) -> &C {
        &self.core
    }

    /// The journal, to look at.
    pub fn log(&self) -> &L {
        &self.log
    }

    /// Core and journal, to close the latter.
    pub fn into_parts(self) -> (C, L) {
        (self.core, self.log)
    }

    /// Hands inputs to the core, makes what follows durable, asks the gateway what is to be asked, and gives the
    /// other effects in order, for the caller to perform.
    ///
    /// An observation whose stamp is committed already doesn't reach the core; its node is told again what is.
    pub fn batch(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, ShellError> {
        self.refuse_if_stopped()?;
        let mut effects = Vec::new();
        let mut outputs = Vec::new();
        let mut repeated = HashSet::new();
        let mut seen = HashSet::new();
        for input in inputs {
            match self.admit(&input, &mut seen)? {
                Admission::Admitted => self.core.handle(input, now, &mut outputs),
                Admission::Refused => {}
                Admission::Repeated(stamp) => {
                    if repeated.insert((stamp.node.clone(), stamp.outbox.clone())) {
                        effects.extend(self.committed(&stamp));
                    }
                }
            }
        }
        self.settle(outputs, now, &mut effects)?;
        Ok(effects)
    }

    /// Asks again what the gateway has not answered and what is due, under the same keys; gives the effects that
    /// follow, as [`Shell::batch`] does.
    pub fn retry(&mut self, now: Timestamp) -> Result<Vec<Effect>, ShellError> {
        self.refuse_if_stopped()?;
        let mut effects = Vec::new();
        let mut outputs = Vec::new();
        for question in self.pending.due(now) {
            self.ask(question, true, now, &mut outputs);
        }
        self.settle(outputs, now, &mut effects)?;
        Ok(effects)
    }

    /// Hands the core what threads of their own have heard from the gateway; gives the effects that follow, as
    /// [`Shell::batch`] does.
    pub fn answered(
        &mut self,
        answered: impl IntoIterator<Item = Answered>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, ShellError> {
        self.refuse_if_stopped()?;
        let mut effects = Vec::new();
        let mut outputs = Vec::new();
        for Answered { question, answer } in answered {
            self.hear(question, answer, now, &mut outputs);
        }
        self.settle(outputs, now, &mut effects)?;
        Ok(effects)
    }

    /// Questions that threads of their own are asking.
    pub fn asking(&self) -> usize {
        self.pending.asking()
    }

    /// After a restart: takes up a question that the journal holds without an answer. The next
    /// [`Shell::retry`] asks it.
    pub fn resume(&mut self, question: Question) {
        self.pending.add(question);
    }

    /// Questions without an answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// When [`Shell::retry`] next has something to ask.
    pub fn next_retry_at(&self) -> Option<Timestamp> {
        self.pending.next_at()
    }

    fn refuse_if_stopped(&self) -> Result<(), ShellError> {
        match &self.stopped {
            Some(why) => Err(ShellError::Stopped { why: why.clone() }),
            None => Ok(()),
        }
    }

    /// Remembers a journal error for ever.
    fn stopping<T>(&mut self, result: Result<T, JournalError>) -> Result<T, ShellError> {
        result.map_err(|error| {
            self.stopped = Some(error.to_string());
            ShellError::Journal(error)
        })
    }

    /// Whether the core is to hear of an input. Keys of devices are made durable here: they are in no decision.
    fn admit(&mut self, input: &Input, seen: &mut HashSet<Stamp>) -> Result<Admission, ShellError> {
        let stamp = match input {
            Input::Observation(stamped) => &stamped.stamp,
            Input::Undecodable { stamp, .. } => stamp,
            Input::DeviceEnrolled { device, key, role } => {
                let enrolled = self.log.enrol_device(device, key, *role);
                return Ok(if self.stopping(enrolled)? {
                    Admission::Admitted
                } else {
                    tracing::warn!(%device, "a revoked key was enrolled again and stays revoked");
                    Admission::Refused
                });
            }
            Input::DeviceRevoked { device } => {
                let revoked = self.log.revoke_device(device);
                self.stopping(revoked)?;
                return Ok(Admission::Admitted);
            }
            Input::Watermark(_)
            | Input::Status(_)
            | Input::Payment { .. }
            | Input::PaymentUnanswered { .. }
            | Input::Payer { .. }
            | Input::Refund { .. }
            | Input::Verdict { .. }
            | Input::Bar { .. }
            | Input::Unbar { .. }
            | Input::Tick
            | Input::EndOfRecording => return Ok(Admission::Admitted),
        };
        if self.log.knows(stamp) {
            Ok(Admission::Repeated(stamp.clone()))
        } else if seen.insert(stamp.clone()) {
            Ok(Admission::Admitted)
        } else {
            Ok(Admission::Refused)
        }
    }

    /// What the node of a repeated stamp missed when it was told first.
    fn committed(&self, stamp: &Stamp) -> Option<Effect> {
        let sequence = self.log.committed_up_to(&stamp.node, &stamp.outbox);
        (sequence > 0).then(|| Effect::Commit {
            node: stamp.node.clone(),
            committed: Committed {
                outbox: stamp.outbox.clone(),
                sequence,
            },
        })
    }

    /// Commits outputs, performs their payments, and goes on with what the answers bring.
    fn settle(
        &mut self,
        mut outputs: Vec<Output>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ShellError> {
        let mut rounds_left = ROUNDS_MAX;
        while !outputs.is_empty() {
            let committed = self.log.commit(&outputs);
            self.stopping(committed)?;
            let mut answers = Vec::new();
            for output in outputs {
                if let Some(observer) = &mut self.observer {
                    observer(&output);
                }
                match output {
                    Output::Accept(_) | Output::Decide(_) => {}
                    Output::Effect(Effect::Pay {
                        session,
                        key,
                        request,
                    }) => {
                        let question = Question {
                            session,
                            key,
                            request,
                        };
                        if rounds_left == 0 {
                            self.pending.add(question);
                        } else if !self.pending.contains(&question.key) {
                            self.ask(question, false, now, &mut answers);
                        }
                        // Otherwise it waits already, and is asked when it is due.
                    }
                    Output::Effect(
                        effect @ (Effect::Commit { .. }
                        | Effect::OpenGate { .. }
                        | Effect::ReleaseGate
                        | Effect::Receipt(_)),
                    ) => effects.push(effect),
                }
            }
            rounds_left = rounds_left.saturating_sub(1);
            outputs = answers;
        }
        self.keep_snapshot_if_due();
        Ok(())
    }

    /// Keeps what the core knows, from time to time. Only when everything that it has put out is in the journal.
    fn keep_snapshot_if_due(&mut self) {
        if self.log.snapshot_due()
            && let Some(state) = self.core.snapshot()
            && let Err(error) = self.log.keep_snapshot(&state)
        {
            // The next restart takes longer, and nothing is lost.
            tracing::warn!("{error}");
        }
    }

    /// Asks the gateway, or has it asked; the question must be durable in the journal.
    fn ask(&mut self, question: Question, again: bool, now: Timestamp, outputs: &mut Vec<Output>) {
        match self.asker.ask(&question, again) {
            asking::Asked::Heard(answer) => self.hear(question, answer, now, outputs),
            asking::Asked::Underway => self.pending.underway(question),
            asking::Asked::Busy => self.pending.busy(question, now),
        }
    }

    /// Hands the core what the gateway said, or that it said nothing.
    fn hear(
        &mut self,
        question: Question,
        answer: asking::Answer,
        now: Timestamp,
        outputs: &mut Vec<Output>,
    ) {
        let Question { session, key, .. } = question.clone();
        let input = match answer {
            Ok(outcome) => {
                self.pending.answered(&key);
                Input::Payment {
                    session,
                    key,
                    outcome,
                }
            }
            Err(unavailable) => {
                tracing::warn!(%session, "{unavailable}");
                let why = unavailable.why;
                self.pending.failed(question, unavailable.retry, now);
                Input::PaymentUnanswered { session, key, why }
            }
        };
        self.core.handle(input, now, outputs);
    }
}

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

/// What becomes of an input.
enum Admission {
    /// The core hears of it.
    Admitted,
    /// Nobody does.
    Refused,
    /// It was committed in an earlier batch.
    Repeated(Stamp),
}
