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
//! A full disk is no such error: what could not be kept waits, and [`Shell::go_on`] keeps it when there is room.

mod asking;
mod opening;
mod pending;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};

use crate::checkout::session::Role;
use crate::coordinator::{Coordinator, Effect, Input, Output};
use crate::edge::journal::{Journal, JournalError};
use crate::observation::{Committed, DeviceId, OutboxId, Stamp};
use crate::store::NodeName;
use crate::units::Timestamp;

pub use asking::{Answered, Answers, Asker};
use pending::Pending;
pub use pending::Question;
use room::Held;

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
    /// Nothing of it has happened yet: [`Shell::go_on`].
    #[error("nobody is let in and nothing is charged until there is room: {why}")]
    Full { why: String },
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
    /// What waits for room on the journal's disk.
    held: Option<Held>,
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
            held: None,
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
    ///
    /// Errors: [`ShellError::Full`] where the disk has no room; until [`Shell::go_on`] has been able to, further inputs
    /// are refused with the same error.
    pub fn batch(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, ShellError> {
        self.refuse_if_stopped()?;
        self.take_all(inputs.into_iter().collect(), Vec::new(), now)
    }

    /// Does what [`Shell::batch`] says, after `effects`.
    fn take_all(
        &mut self,
        mut inputs: VecDeque<Input>,
        mut effects: Vec<Effect>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, ShellError> {
        let mut outputs = Vec::new();
        let mut repeated = HashSet::new();
        let mut seen = HashSet::new();
        while let Some(input) = inputs.pop_front() {
            match self.admit(&input, &mut seen) {
                Ok(Admission::Admitted) => self.core.handle(input, now, &mut outputs),
                Ok(Admission::Refused) => {}
                Ok(Admission::Repeated(stamp)) => {
                    if repeated.insert((stamp.node.clone(), stamp.outbox.clone())) {
                        effects.extend(self.committed(&stamp));
                    }
                }
                Err(error) => {
                    inputs.push_front(input);
                    let held = Held {
                        outputs,
                        inputs,
                        effects,
                    };
                    return Err(self.hold(held, error));
                }
            }
        }
        self.settle(outputs, inputs, effects, now)
    }

    /// Asks again what the gateway has not answered and what is due, under the same keys; gives the effects that
    /// follow, as [`Shell::batch`] does.
    pub fn retry(&mut self, now: Timestamp) -> Result<Vec<Effect>, ShellError> {
        self.refuse_if_stopped()?;
        let mut outputs = Vec::new();
        for question in self.pending.due(now) {
            self.ask(question, true, now, &mut outputs);
        }
        self.settle(outputs, VecDeque::new(), Vec::new(), now)
    }

    /// Hands the core what threads of their own have heard from the gateway; gives the effects that follow, as
    /// [`Shell::batch`] does.
    pub fn answered(
        &mut self,
        answered: impl IntoIterator<Item = Answered>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, ShellError> {
        self.refuse_if_stopped()?;
        let mut outputs = Vec::new();
        for Answered { question, answer } in answered {
            self.hear(question, answer, now, &mut outputs);
        }
        self.settle(outputs, VecDeque::new(), Vec::new(), now)
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

    /// Whether the core is to hear of an input. Keys of devices are made durable here: they are in no decision.
    fn admit(
        &mut self,
        input: &Input,
        seen: &mut HashSet<Stamp>,
    ) -> Result<Admission, JournalError> {
        let stamp = match input {
            Input::Observation(stamped) => &stamped.stamp,
            Input::Undecodable { stamp, .. } => stamp,
            Input::DeviceEnrolled { device, key, role } => {
                return Ok(if self.log.enrol_device(device, key, *role)? {
                    Admission::Admitted
                } else {
                    tracing::warn!(%device, "a revoked key was enrolled again and stays revoked");
                    Admission::Refused
                });
            }
            Input::DeviceRevoked { device } => {
                self.log.revoke_device(device)?;
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

    /// Commits outputs, performs their payments, and goes on with what the answers bring; `inputs` are what the core
    /// has not heard yet, in case that there is no room.
    fn settle(
        &mut self,
        mut outputs: Vec<Output>,
        inputs: VecDeque<Input>,
        mut effects: Vec<Effect>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, ShellError> {
        let mut rounds_left = ROUNDS_MAX;
        while !outputs.is_empty() {
            if let Err(error) = self.log.commit(&outputs) {
                let held = Held {
                    outputs,
                    inputs,
                    effects,
                };
                return Err(self.hold(held, error));
            }
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
        if inputs.is_empty() {
            return Ok(effects);
        }
        self.take_all(inputs, effects, now)
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

/// What becomes of an input.
enum Admission {
    /// The core hears of it.
    Admitted,
    /// Nobody does.
    Refused,
    /// It was committed in an earlier batch.
    Repeated(Stamp),
}
