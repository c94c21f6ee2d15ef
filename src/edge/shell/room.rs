//! A full disk: what the core has decided and the journal had no room for waits, and nothing of it has happened.

use std::collections::VecDeque;

use super::{Core, DurableLog, Shell, ShellError};
use crate::coordinator::{Effect, Input, Output};
use crate::edge::journal::JournalError;
use crate::units::Timestamp;

/// What waits for room.
pub(super) struct Held {
    /// Put out by the core, and not durable.
    pub outputs: Vec<Output>,
    /// Not heard by the core yet.
    pub inputs: VecDeque<Input>,
    /// Of what was durable before.
    pub effects: Vec<Effect>,
}

impl<C: Core, L: DurableLog> Shell<C, L> {
    /// Whether something waits for room on the journal's disk.
    pub fn is_full(&self) -> bool {
        self.held.is_some()
    }

    /// Tries once more to keep what there was no room for, and goes on from there; gives the effects that follow, as
    /// [`Shell::batch`] does. Does nothing where nothing waits.
    pub fn go_on(&mut self, now: Timestamp) -> Result<Vec<Effect>, ShellError> {
        if let Some(Held {
            outputs,
            inputs,
            effects,
        }) = self.held.take()
        {
            self.stopped = None;
            return self.settle(outputs, inputs, effects, now);
        }
        self.refuse_if_stopped().map(|()| Vec::new())
    }

    pub(super) fn refuse_if_stopped(&self) -> Result<(), ShellError> {
        match &self.stopped {
            Some(why) if self.is_full() => Err(ShellError::Full { why: why.clone() }),
            Some(why) => Err(ShellError::Stopped { why: why.clone() }),
            None => Ok(()),
        }
    }

    /// Remembers a journal error: for ever, or, where the disk is full, until there is room.
    pub(super) fn hold(&mut self, held: Held, error: JournalError) -> ShellError {
        let why = error.to_string();
        self.stopped = Some(why.clone());
        if !error.is_full() {
            return ShellError::Journal(error);
        }
        self.held = Some(held);
        ShellError::Full { why }
    }
}
