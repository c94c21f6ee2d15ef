//! A node: simulated senses, a real outbox on a card that can be pulled, and the sender's rules towards the network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::faults::{Chance, Fault};
use super::network::Network;
use super::{TortureError, at};
use crate::edge::outbox::{Outbox, OutboxOptions, Word};
use crate::edge::wire::Message;
use crate::observation::{
    Committed, GapCause, GapObservation, NodeClock, NodeState, NodeStatus, Observation, OutboxId,
    PlateChange, ShelfGap, Stamp,
};
use crate::store::{NodeName, PlateId, ShelfId};
use crate::units::{Milligrams, Timestamp};

const CRASH: f64 = 1.0 / 700.0;
const BACKED_UP: f64 = 0.4;
const CARD_RESTORED: f64 = 0.4;
/// What is not committed so long after it was sent is sent again, seconds.
const RESEND_S: i64 = 5;
/// Promises are sent this often, seconds.
const PROMISE_EVERY_S: i64 = 2;

/// What a card knows beside the outbox.
#[derive(Clone, Default)]
struct Card {
    /// What the plates read, from the beginning of the day.
    levels: BTreeMap<PlateId, Milligrams>,
    vouched_to: Option<Timestamp>,
}

pub(super) struct Node {
    pub name: NodeName,
    path: PathBuf,
    outbox: Option<Outbox>,
    starts: u32,
    back_at: i64,
    /// What the plates read at this moment, whether the node is on or off.
    levels: BTreeMap<PlateId, Milligrams>,
    card: Card,
    backup: Option<Card>,
    may_send: bool,
    first_word: bool,
    cursor: u64,
    progress_at: i64,
    /// What was stamped; with one stamp twice where an old copy of the outbox did not know better yet.
    pub made: BTreeMap<Stamp, Vec<Observation>>,
    /// Outboxes of which the newest card is gone: what it had not sent is lost for good.
    pub replaced: Vec<OutboxId>,
    /// The coordinator's words as they arrived.
    pub words: BTreeMap<OutboxId, u64>,
}

impl Node {
    pub fn new(name: &NodeName, folder: &Path) -> Result<Self, TortureError> {
        let path = folder.join(format!("{name}.db"));
        let options = OutboxOptions {
            id: Some(format!("outbox-of-{name}").into()),
            ..OutboxOptions::default()
        };
        // Made with an id that is the same for every run; opened again, it is an outbox like any other.
        drop(Outbox::open_with(&path, name, options)?);
        let mut node = Node {
            name: name.clone(),
            path,
            outbox: None,
            starts: 0,
            back_at: 0,
            levels: BTreeMap::new(),
            card: Card::default(),
            backup: None,
            may_send: false,
            first_word: true,
            cursor: 0,
            progress_at: 0,
            made: BTreeMap::new(),
            replaced: Vec::new(),
            words: BTreeMap::new(),
        };
        node.open()?;
        Ok(node)
    }

    fn open(&mut self) -> Result<(), TortureError> {
        self.starts += 1;
        let options = OutboxOptions {
            successor: Some(format!("outbox-of-{}-{}", self.name, self.starts).into()),
            ..OutboxOptions::default()
        };
        let outbox = Outbox::open_with(&self.path, &self.name, options)?;
        self.may_send = outbox.is_fresh();
        self.cursor = outbox.committed_sequence();
        self.first_word = true;
        self.outbox = Some(outbox);
        Ok(())
    }

    pub fn is_up(&self) -> bool {
        self.outbox.is_some()
    }

    pub fn prune(&mut self, now: Timestamp) -> Result<(), TortureError> {
        let outbox = self.outbox.as_mut();
        outbox.map_or(Ok(0), |outbox| outbox.prune(now))?;
        Ok(())
    }

    /// Whether everything that it has seen is committed.
    pub fn is_done(&self) -> bool {
        (self.outbox.as_ref()).is_some_and(|o| o.committed_sequence() == o.last_sequence())
    }

    /// It crashes or starts again, as chance has it.
    pub fn live(&mut self, step: i64, chance: &mut Chance) -> Result<(), TortureError> {
        if self.is_up() {
            if chance.strikes(Fault::NodeCrash, CRASH) {
                self.outbox = None;
                self.back_at = step + chance.between(6, 60);
                if chance.happens(BACKED_UP) {
                    std::fs::copy(&self.path, self.backup_path())?;
                    self.backup = Some(self.card.clone());
                } else if let Some(backup) = self.backup.clone()
                    && chance.strikes(Fault::CardRestored, CARD_RESTORED)
                {
                    let newest = Outbox::open(&self.path, &self.name)?;
                    self.replaced.push(newest.id().clone());
                    drop(newest);
                    std::fs::copy(self.backup_path(), &self.path)?;
                    self.card = backup;
                }
            }
        } else if step >= self.back_at || !chance.on {
            self.open()?;
            self.tell_gap(step)?;
        }
        Ok(())
    }

    fn backup_path(&self) -> PathBuf {
        self.path.with_extension("backup")
    }

    /// Says what it did not watch, and what changed on its shelves meanwhile.
    fn tell_gap(&mut self, step: i64) -> Result<(), TortureError> {
        let Some(start) = self.card.vouched_to else {
            return Ok(());
        };
        let mut shelves: BTreeMap<ShelfId, Vec<PlateChange>> = BTreeMap::new();
        for (plate, level) in &self.levels {
            let known = self.card.levels.get(plate).copied().unwrap_or_default();
            let delta_mg = Milligrams(level.0 - known.0);
            if delta_mg.0.abs() > 5_000 {
                let change = PlateChange {
                    plate: plate.plate,
                    delta_mg,
                    sigma_mg: Milligrams(400),
                };
                shelves.entry(plate.shelf).or_default().push(change);
            }
        }
        let gap = GapObservation {
            start,
            end: at(step, 0.0),
            cause: GapCause::Off,
            dropped: 0,
            replaces: None,
            shelves: (shelves.into_iter())
                .map(|(shelf, plates)| ShelfGap { shelf, plates })
                .collect(),
        };
        self.append(step, vec![Observation::Gap(gap)])
    }

    fn append(&mut self, step: i64, seen: Vec<Observation>) -> Result<(), TortureError> {
        if let Some(outbox) = &mut self.outbox {
            let clock = NodeClock {
                boot: "b".into(),
                monotonic_us: 0,
                wall_us: at(step, 0.95),
                error_us: 0,
            };
            for stamped in outbox.append(&clock, seen)? {
                let made = self.made.entry(stamped.stamp).or_default();
                made.push(stamped.observation);
            }
            self.card.levels = self.levels.clone();
        }
        Ok(())
    }

    /// What happened before its sensors in this second: it sees it if it is on.
    pub fn sense(
        &mut self,
        step: i64,
        seen: Vec<Observation>,
        weights: &[(PlateId, Milligrams)],
    ) -> Result<(), TortureError> {
        for (plate, delta) in weights {
            let level = self.levels.entry(*plate).or_default();
            *level = Milligrams(level.0 + delta.0);
        }
        if !seen.is_empty() {
            self.append(step, seen)?;
        }
        if self.is_up() {
            self.card.vouched_to = Some(promised(step));
        }
        Ok(())
    }

    /// Sends what is to be sent: as the sender of a live node does.
    pub fn send(
        &mut self,
        step: i64,
        store: &str,
        network: &mut Network,
        chance: &mut Chance,
    ) -> Result<(), TortureError> {
        let Some(outbox) = &mut self.outbox else {
            return Ok(());
        };
        if !self.may_send {
            if step % 3 == 0 {
                let status = NodeStatus {
                    node: self.name.clone(),
                    state: NodeState::Online,
                    version: String::new(),
                    trouble: String::new(),
                    notice: String::new(),
                    outbox: Some(outbox.id().clone()),
                    faults: Vec::new(),
                    sampling: None,
                    gate: None,
                };
                network.send(step, store, &Message::Status(status), chance)?;
            }
            return Ok(());
        }
        let committed = outbox.committed_sequence();
        if self.cursor > committed && step - self.progress_at >= RESEND_S {
            self.cursor = committed;
            self.progress_at = step;
        }
        if self.cursor == committed {
            self.progress_at = step;
        }
        for stamped in outbox.offer(self.cursor, 256)? {
            self.cursor = stamped.stamp.sequence;
            network.send(step, store, &Message::Observation(stamped), chance)?;
        }
        if step % PROMISE_EVERY_S == 0 && self.cursor >= outbox.last_sequence() {
            let watermark = outbox.watermark(promised(step), Vec::new());
            network.send(step, store, &Message::Watermark(watermark), chance)?;
        }
        Ok(())
    }

    /// Hears the coordinator's word.
    pub fn hear(&mut self, step: i64, word: &Committed) -> Result<(), TortureError> {
        let told = self.words.entry(word.outbox.clone()).or_default();
        *told = (*told).max(word.sequence);
        let Some(outbox) = &mut self.outbox else {
            return Ok(());
        };
        if word.outbox != *outbox.id() {
            return Ok(());
        }
        let heard = outbox.committed(word, at(step, 0.99))?;
        let wanted = self.first_word && outbox.wanted_after(word.sequence)?;
        (self.first_word, self.may_send) = (false, true);
        match heard {
            Word::News => {
                self.progress_at = step;
                self.cursor = self.cursor.max(outbox.committed_sequence());
            }
            Word::OldCopy => {
                self.cursor = 0;
                for stamped in outbox.pending(0, 1_000)? {
                    let made = self.made.entry(stamped.stamp).or_default();
                    made.push(stamped.observation);
                }
            }
            Word::Known if wanted => self.cursor = outbox.committed_sequence(),
            Word::Known => {}
        }
        Ok(())
    }
}

/// What a node promises at the end of a second: everything in it began and ended in it.
fn promised(step: i64) -> Timestamp {
    Timestamp(at(step + 1, 0.0).0 - 1)
}
