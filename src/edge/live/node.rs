//! The live node: records in, observations through the outbox, promises.

use std::time::Instant;

use tokio::sync::mpsc;

use crate::edge::ceiling_cameras::CeilingCameras;
use crate::edge::levels::Levels;
use crate::edge::mqtt::{LinkError, NodeLink};
use crate::observation::{NodeClock, Observation};
use crate::recording::Record;
use crate::sensing::node::NodeSensor;
use crate::units::Timestamp;
use crate::vision::shelf_eyes::{self, ShelfEyes};

/// What plates read is kept this often, seconds of event time.
const LEVELS_EVERY_S: f64 = 10.0;
/// After a power cut plates are waited for so long to come to rest, seconds.
const SETTLING_MAX_S: f64 = 30.0;

/// The clock of a node: which boot, since when, and how event time runs.
#[derive(Clone, Debug)]
pub struct Clock {
    pub boot: String,
    pub started: Instant,
}

impl Clock {
    /// A clock that starts now, with a random name for the boot.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut name = [0; 8];
        getrandom::fill(&mut name)?;
        let boot = name.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Clock {
            boot,
            started: Instant::now(),
        })
    }

    /// What the clock shows when event time is `event`.
    pub fn at(&self, event: Timestamp) -> NodeClock {
        let monotonic_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        NodeClock {
            boot: self.boot.clone(),
            monotonic_us,
            wall_us: event,
            error_us: 0,
        }
    }
}

/// What a node's sensors say.
#[derive(Clone, Debug)]
pub enum Sensed {
    Record(Record),
    /// Nothing more up to this event time: a gate that nobody passes must promise so, or the store waits for it.
    Nothing(Timestamp),
}

impl Sensed {
    fn at(&self) -> Timestamp {
        match self {
            Sensed::Record(record) => record.at(),
            Sensed::Nothing(at) => *at,
        }
    }
}

/// A live node: records in, observations through the outbox, a promise at least every 200 ms.
pub struct LiveNode {
    sensor: NodeSensor,
    link: NodeLink,
    clock: Clock,
    last_at: Option<Timestamp>,
    promised_at: Option<Timestamp>,
    /// What stood on the shelves before it was off, while that is still to be compared.
    before: Option<Levels>,
    /// Event time of its first record, and when levels were kept last.
    began_at: Option<Timestamp>,
    kept_at: Option<Timestamp>,
    /// The cameras of its shelves, and those at the ceiling.
    eyes: Option<Box<dyn ShelfEyes>>,
    ceiling: Option<CeilingCameras>,
    /// How well they see: trouble and notice.
    sight: (String, String),
}

impl LiveNode {
    /// A node whose link is connected.
    pub fn new(sensor: NodeSensor, link: NodeLink, clock: Clock) -> Self {
        LiveNode {
            sensor,
            link,
            clock,
            last_at: None,
            promised_at: None,
            before: None,
            began_at: None,
            kept_at: None,
            eyes: None,
            ceiling: None,
            sight: Default::default(),
        }
    }

    /// The same with cameras before its shelves.
    pub fn with_eyes(mut self, eyes: Option<Box<dyn ShelfEyes>>) -> Self {
        self.eyes = eyes;
        self
    }

    /// The same with cameras at the ceiling: what they see is the node's to vouch for.
    pub fn with_ceiling(mut self, ceiling: Option<CeilingCameras>) -> Self {
        if let Some(ceiling) = &ceiling {
            self.sensor.watch_bodies(ceiling.began_at());
        }
        self.ceiling = ceiling;
        self
    }

    /// How well its cameras see, as trouble and notice, where somebody else tells how the node is.
    pub fn sight(&self) -> &(String, String) {
        &self.sight
    }

    /// Takes what the cameras at the ceiling saw, and says how well cameras see.
    fn look_down(&mut self, at: Timestamp, seen: &mut Vec<Observation>) {
        let (mut trouble, mut notices) = (String::new(), Vec::new());
        if let Some(ceiling) = &mut self.ceiling {
            let sensor = &mut self.sensor;
            tokio::task::block_in_place(|| ceiling.look(at, sensor, seen));
            trouble = ceiling.trouble().to_owned();
            notices.extend(Some(ceiling.notice().to_owned()).filter(|n| !n.is_empty()));
        }
        if let Some(eyes) = &mut self.eyes {
            notices.extend(eyes.tend(at));
        }
        self.sight = (trouble, notices.join("; "));
    }

    /// Has the cameras look at each change: some tens of milliseconds of a network's work.
    fn look(&mut self, seen: &mut Vec<Observation>) {
        if let Some(eyes) = self.eyes.as_deref_mut()
            && !seen.is_empty()
        {
            tokio::task::block_in_place(|| shelf_eyes::add(Some(eyes), seen));
        }
    }

    /// The same for a node that was off while the store went on: what changed on its shelves meanwhile is told as a gap,
    /// and nothing is promised before.
    pub async fn after_power_off(
        sensor: NodeSensor,
        link: NodeLink,
        clock: Clock,
    ) -> Result<Self, LinkError> {
        let before = link.levels().await?;
        let mut node = LiveNode::new(sensor, link, clock);
        node.before = Some(before).filter(|levels| !levels.plates.is_empty());
        Ok(node)
    }

    /// Its link, and nothing of what is still open: the records will go on another time.
    pub fn into_link(self) -> NodeLink {
        self.link
    }

    /// Its link.
    pub fn link(&self) -> &NodeLink {
        &self.link
    }

    /// Stamps what is known of the node itself, such as that a plate could not be watched.
    pub async fn tell(&mut self, at: Timestamp, seen: Vec<Observation>) -> Result<(), LinkError> {
        self.link.append(self.clock.at(at), seen).await?;
        Ok(())
    }

    /// Takes what the sensors say next.
    pub async fn take(&mut self, sensed: &Sensed) -> Result<(), LinkError> {
        let mut seen = Vec::new();
        self.look_down(sensed.at(), &mut seen);
        if let Sensed::Record(record) = sensed {
            self.sensor.push(record, &mut seen);
        }
        self.look(&mut seen);
        let at = self
            .last_at
            .map_or(sensed.at(), |last| last.max(sensed.at()));
        self.last_at = Some(at);
        if !seen.is_empty() || self.link.has_lost() {
            self.link.append(self.clock.at(at), seen).await?;
        }
        self.look_at_levels(at).await?;
        self.promise(at);
        Ok(())
    }

    /// Keeps what the plates read, now and then; after a power cut compares it with what they read before.
    async fn look_at_levels(&mut self, at: Timestamp) -> Result<(), LinkError> {
        let began_at = *self.began_at.get_or_insert(at);
        let is_due = |kept: Timestamp| at.seconds_since(kept) >= LEVELS_EVERY_S;
        if self.before.is_none() && !self.kept_at.is_none_or(is_due) {
            return Ok(());
        }
        let (plates, all) = self.sensor.levels();
        let now = Levels { at, plates };
        if let Some(off_since) = self.before.as_ref().map(|levels| levels.at) {
            // Somebody may lean on a shelf for long: then the others are compared without it.
            if !all && at.seconds_since(began_at) < SETTLING_MAX_S {
                return Ok(());
            }
            self.before = None;
            // Read again: what was seen since the start is in it.
            let mut before = self.link.levels().await?;
            before.at = off_since;
            let gaps = before.gaps(&now, self.sensor.definition());
            if !gaps.is_empty() {
                self.link.append(self.clock.at(at), gaps).await?;
            }
        }
        if !now.plates.is_empty() {
            self.kept_at = Some(at);
            self.link.keep_levels(now).await?;
        }
        Ok(())
    }

    /// Says how well its cameras see, where nobody else tells how the node is.
    pub fn tell_sight(&self) {
        if self.ceiling.is_some() || self.eyes.is_some() {
            self.link.tell(&self.sight.0, &self.sight.1);
        }
    }

    /// Promises what the sensors give, unless that was done a moment ago.
    fn promise(&mut self, at: Timestamp) {
        let is_due = |last| at.seconds_since(last) >= NodeSensor::PROMISE_S;
        if self.promised_at.is_none_or(is_due) {
            self.promised_at = Some(at);
            let (promised, open) = self.sensor.promise(at);
            let before = self.before.as_ref();
            let told = before.map_or(promised, |levels| promised.min(Timestamp(levels.at.0 - 1)));
            let blind = self.ceiling.as_ref().and_then(CeilingCameras::vouched);
            let told = blind.map_or(told, |since| told.min(since));
            self.link.watermark(told, open);
        }
    }

    /// The records are over at `now`: says what was still open.
    pub async fn finish(mut self, now: Timestamp) -> Result<NodeLink, LinkError> {
        let mut seen = Vec::new();
        self.sensor.finish(&mut seen);
        self.look(&mut seen);
        if !seen.is_empty() {
            self.link.append(self.clock.at(now), seen).await?;
        }
        Ok(self.link)
    }

    /// Takes what the sensors say until they end, then says what was still open.
    pub async fn run(mut self, mut sensed: mpsc::Receiver<Sensed>) -> Result<NodeLink, LinkError> {
        while let Some(next) = sensed.recv().await {
            self.take(&next).await?;
            self.tell_sight();
        }
        let now = self.last_at.unwrap_or_default();
        self.finish(now).await
    }
}
