//! A store with its journal and its payment sandbox, for the commands that play recordings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;

use super::live_store::sandbox_beside;
use crate::coordinator::{Coordinator, Input};
use crate::edge::definition_file;
use crate::edge::gateway::Sandbox;
use crate::edge::journal::Journal;
use crate::edge::recording::{self, OpenOptions};
use crate::edge::shell::Shell;
use crate::recording::Recording;
use crate::units::Timestamp;

/// Where a journal is kept.
pub enum JournalAt {
    /// In a file of the user's, with the sandbox's ledger beside it.
    File(PathBuf),
    /// In memory, as long as the command runs: nobody will ask for it again.
    Memory,
}

impl JournalAt {
    /// The file that was asked for, or none.
    pub fn of(file: Option<&Path>) -> Self {
        file.map_or(JournalAt::Memory, |path| JournalAt::File(path.to_owned()))
    }
}

/// Reads recordings as one, with another store's definition if `store` names one; of a damaged one what is whole, if
/// `partial`, and says so.
pub fn recording(
    paths: &[PathBuf],
    store: Option<&Path>,
    partial: bool,
) -> anyhow::Result<Recording> {
    let definition = match store {
        Some(path) => Some(Arc::new(definition_file::load(path)?.0)),
        None => None,
    };
    let options = OpenOptions {
        partial,
        definition,
    };
    let recording = recording::open_many(paths, &options)?;
    if let Some(damage) = &recording.damage {
        eprintln!("stroll: played only what is whole: {damage}");
    }
    Ok(recording)
}

/// Opens the store of a recording: its nodes take part, its simulated phones are enrolled.
pub fn open(journal: &JournalAt, recording: &Recording) -> anyhow::Result<Shell<Coordinator>> {
    let definition = &recording.definition;
    let (opened, sandbox) = match journal {
        JournalAt::File(path) => (
            Journal::open(path, definition)?,
            Sandbox::open(&sandbox_beside(path))?,
        ),
        JournalAt::Memory => (Journal::in_memory(definition)?, Sandbox::in_memory()?),
    };
    let (mut shell, _) = Shell::open(opened, definition, &recording.nodes, Box::new(sandbox))?;
    let enrolled = devices(recording)?;
    if !enrolled.is_empty() {
        shell.batch(
            enrolled,
            recording.records.first().map_or(Timestamp(0), |r| r.at()),
        )?;
    }
    Ok(shell)
}

/// The enrolments of a recording's simulated phones.
pub fn devices(recording: &Recording) -> anyhow::Result<Vec<Input>> {
    let devices = recording.truth.iter().flat_map(|t| &t.devices);
    devices
        .map(|d| {
            let key = base64::engine::general_purpose::STANDARD
                .decode(&d.key_base64)
                .with_context(|| {
                    format!("the key of simulated device {} is no base64", d.device)
                })?;
            Ok(Input::DeviceEnrolled {
                device: d.device.clone(),
                key,
                role: d.role,
            })
        })
        .collect()
}
