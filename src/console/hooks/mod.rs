//! Webhooks and the books: what follows from the journal's decisions, kept and sent. And the opening hours.
//!
//! The journal is read on from where the office's file says that it was read to, and what follows is kept together with the new
//! place in one transaction. So nothing is told twice or not at all, whenever the program ends; what a receiver does not take is tried again.

mod events;
mod hours;
mod sending;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use self::events::Teller;
pub(super) use self::events::{KINDS, test};
pub(super) use self::sending::{address, secret, shown_secret};
use super::{Console, live};
use crate::checkout::decision::Decision;
use crate::edge::journal::{Archive, JournalError};
use crate::edge::live::wall_now;
use crate::edge::office::{HookId, Office, OfficeError};

/// How often the journal is looked at, and what is due.
const EVERY: Duration = Duration::from_millis(250);
/// How often the opening hours are looked at.
const HOURS_EVERY: Duration = Duration::from_secs(5);
/// After something failed.
const EVERY_BROKEN: Duration = Duration::from_secs(10);
/// Decisions of one transaction.
const READ_MAX: usize = 500;
/// Decisions from which nothing follows are read again after a restart, up to so many: a place that moves is a write.
const UNKEPT_MAX: i64 = 5_000;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Office(#[from] OfficeError),
    #[error("its thread has ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// Keeps the books and sends what webhooks are to know, until the console closes.
pub(super) async fn run(console: Console, closing: watch::Receiver<bool>) {
    let work = async {
        let mut books = Books::default();
        let sender = Sender::default();
        let mut hours_next = Instant::now();
        loop {
            if hours_next <= Instant::now() {
                hours_next = Instant::now() + HOURS_EVERY;
                if let Err(error) = hours::heed(&console).await {
                    tracing::error!("{error}");
                }
            }
            let done = match books.read_on(&console).await {
                Ok(more) => sender.send_due(&console).await.map(|()| more),
                Err(error) => Err(error),
            };
            match done {
                // There is more to read.
                Ok(true) => tokio::task::yield_now().await,
                Ok(false) => tokio::time::sleep(EVERY).await,
                Err(error) => {
                    tracing::error!("the books and webhooks wait: {error}");
                    tokio::time::sleep(EVERY_BROKEN).await;
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = live::closed(closing) => {}
    }
}

/// How far the journal was read.
#[derive(Default)]
struct Books {
    /// None before the office was asked.
    read_to: Option<i64>,
    kept_to: i64,
    teller: Teller,
}

impl Books {
    /// Reads on in the journal; true if there is more at once.
    async fn read_on(&mut self, console: &Console) -> Result<bool, Broken> {
        let office = console.office.clone();
        let (path, from) = (console.journal.clone(), self.read_to);
        let read = tokio::task::spawn_blocking(move || read(&office, path.as_deref(), from));
        let (kept_to, from, decisions) = read.await??;
        if let Some(kept_to) = kept_to {
            self.kept_to = kept_to;
        }
        let has_hooks = !console.office.hooks()?.is_empty();
        let more = decisions.len() == READ_MAX;
        if has_hooks && !more && !decisions.is_empty() {
            // What the store shows next includes everything that was durable before.
            console.next_view().await;
        }
        let view = console.views.borrow().clone();
        let events = match has_hooks {
            true => self.teller.events(&decisions, &view, wall_now()),
            false => Vec::new(),
        };
        let last = decisions.last().map_or(from, |(sequence, _)| *sequence);
        let matters = decisions.iter().any(|(_, d)| Office::books(d));
        if matters || !events.is_empty() || last - self.kept_to >= UNKEPT_MAX {
            let office = console.office.clone();
            tokio::task::spawn_blocking(move || office.book(&decisions, &events, wall_now()))
                .await??;
            self.kept_to = last;
        }
        self.read_to = Some(last);
        Ok(more)
    }
}

type Read = (Option<i64>, i64, Vec<(i64, Decision)>);

fn read(office: &Office, journal: Option<&Path>, from: Option<i64>) -> Result<Read, Broken> {
    let kept_to = match from {
        Some(_) => None,
        None => Some(office.booked_to()?),
    };
    let from = from.or(kept_to).unwrap_or_default();
    let Some(journal) = journal else {
        return Ok((kept_to, from, Vec::new()));
    };
    let archive = Archive::open(journal)?;
    // A journal that was restored from a backup is shorter than what the books know.
    let from = from.min(archive.last_decision()?);
    Ok((kept_to, from, archive.decisions_after(from, READ_MAX)?))
}

/// The last decision of the journal, after which a new webhook wants to know.
pub(super) fn journal_end(console: &Console) -> Result<i64, JournalError> {
    match &console.journal {
        Some(path) => Archive::open(path)?.last_decision(),
        None => Ok(0),
    }
}

/// The webhooks to which something is being sent: one thing at a time to each, so that none holds up another.
#[derive(Clone, Default)]
struct Sender(Arc<Mutex<BTreeSet<HookId>>>);

impl Sender {
    async fn send_due(&self, console: &Console) -> Result<(), Broken> {
        for hook in console.office.due_hooks(wall_now())? {
            let mut busy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if busy.insert(hook) {
                let (sender, office) = (self.clone(), console.office.clone());
                tokio::task::spawn_blocking(move || {
                    sender.send_all(&office, hook);
                    let mut busy = sender.0.lock().unwrap_or_else(PoisonError::into_inner);
                    busy.remove(&hook);
                });
            }
        }
        Ok(())
    }

    fn send_all(&self, office: &Office, hook: HookId) {
        let agent = sending::agent();
        let send = |agent: &ureq::Agent| -> Result<bool, OfficeError> {
            let Some(due) = office.due(hook, wall_now())? else {
                return Ok(false);
            };
            let sent = sending::send(agent, &due, wall_now());
            office.sent(due.delivery, &sent, wall_now())?;
            Ok(true)
        };
        loop {
            match send(&agent) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!("a webhook waits: {error}");
                    return;
                }
            }
        }
    }
}
