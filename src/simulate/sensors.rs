//! Sensors that do worse than they should: what the situations do to the records on their way to the nodes.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::random::{Stream, normal, open};
use super::situation::Situation;
use crate::observation::Pose;
use crate::recording::{NO_COUNT, Record, ScaleBatch};
use crate::store::{NodeName, PlateId};
use crate::units::Timestamp;

/// How far cameras are off at the hands in each direction, metres, and how many of the hands they do not see.
const HANDS_OFF_M: f64 = 0.09;
const HANDS_UNSEEN: f64 = 0.5;
/// How many messages are lost, and how long a gondola then and again says nothing, seconds.
const LOST: f64 = 0.05;
const SILENT_S: f64 = 1.5;
/// When the first gondola falls silent, and how long it is to the next, seconds.
const FIRST_SILENT_S: std::ops::Range<f64> = 3.5..5.0;
const NEXT_SILENT_S: std::ops::Range<f64> = 5.0..9.0;
/// When the first plate sticks by itself, how long it is to the next, and how long it lasts, seconds.
const FIRST_FAULT_S: std::ops::Range<f64> = 2.0..4.0;
const NEXT_FAULT_S: std::ops::Range<f64> = 4.0..8.0;
const FAULT_S: std::ops::Range<f64> = 2.0..20.0;
/// Clocks are off by no more than this and, of those that are, by no less, seconds.
const SKEW_S: (f64, f64) = (0.3, 1.0);

/// A plate that says the wrong thing for a while. Times are seconds since the simulation's start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub plate: PlateId,
    pub from_t: f64,
    pub until_t: f64,
    pub kind: FaultKind,
}

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The last count, again and again.
    Sticks,
    /// Nothing.
    Silent,
}

impl FaultKind {
    pub fn draw(random: &mut ChaCha8Rng) -> Self {
        if random.random_bool(0.5) {
            FaultKind::Sticks
        } else {
            FaultKind::Silent
        }
    }
}

/// What is done to the records.
#[derive(Clone, Debug)]
pub(super) struct Sensors {
    start: Timestamp,
    hands: Hands,
    losses: Option<Losses>,
    faults: Option<Faults>,
    clocks: Option<Clocks>,
}

#[derive(Clone, Debug)]
enum Hands {
    AsSeen,
    Unseen,
    Noisy(Box<ChaCha8Rng>),
}

/// Messages that never come.
#[derive(Clone, Debug)]
struct Losses {
    random: ChaCha8Rng,
    /// Nodes that read scales.
    gondolas: Vec<NodeName>,
    /// Which of them is silent from when on, seconds: the last that was, or the next that will be.
    silent: usize,
    silent_t: f64,
}

/// Plates that stick by themselves, and what each said last.
#[derive(Clone, Debug)]
struct Faults {
    random: ChaCha8Rng,
    plates: Vec<PlateId>,
    next_t: f64,
    stuck: BTreeMap<PlateId, i32>,
}

/// Clocks that are off. Records wait until nothing earlier can come: at most those of two seconds.
#[derive(Clone, Debug)]
struct Clocks {
    off_us: BTreeMap<NodeName, i64>,
    waiting: Vec<Record>,
}

impl Sensors {
    /// The sensors of a store with these plates, each by the node that reads it.
    pub fn new(
        seed: u64,
        situations: &BTreeSet<Situation>,
        start: Timestamp,
        plates: &BTreeMap<NodeName, Vec<PlateId>>,
    ) -> Self {
        let gondolas: Vec<NodeName> = plates.keys().cloned().collect();
        let with = |situation| situations.contains(&situation) && !gondolas.is_empty();
        let hands = if situations.contains(&Situation::HeadsOnly) {
            Hands::Unseen
        } else if situations.contains(&Situation::NoisyHands) {
            Hands::Noisy(Box::new(open(seed, Stream::Hands)))
        } else {
            Hands::AsSeen
        };
        Sensors {
            start,
            hands,
            losses: with(Situation::LostSamples).then(|| Losses::new(seed, &gondolas)),
            faults: with(Situation::StuckPlate).then(|| {
                let mut random = open(seed, Stream::Faults);
                Faults {
                    next_t: random.random_range(FIRST_FAULT_S),
                    random,
                    plates: plates.values().flatten().copied().collect(),
                    stuck: BTreeMap::new(),
                }
            }),
            clocks: with(Situation::ClockSkew).then(|| Clocks::new(seed, &gondolas)),
        }
    }

    /// What the nodes get of the records of the time before `end_t`, in the order of their times. Faults that come
    /// by themselves are added to `faults`.
    pub fn pass(
        &mut self,
        records: Vec<Record>,
        faults: &mut Vec<Fault>,
        end_t: f64,
    ) -> Vec<Record> {
        let mut passed = Vec::with_capacity(records.len());
        if let Some(own) = &mut self.faults {
            own.begin(faults, end_t);
        }
        for mut record in records {
            match &mut record {
                Record::Body(frame) => {
                    let poses = frame.bodies.iter_mut();
                    poses.for_each(|(_, pose)| self.hands.spoil(pose));
                }
                Record::Scale(batch) => {
                    if let Some(own) = &mut self.faults {
                        own.spoil(batch, faults, self.start);
                    }
                }
                Record::Gate(_) => {}
            }
            let lost = (self.losses.as_mut()).is_some_and(|own| own.lose(&record, self.start));
            if !lost {
                passed.push(record);
            }
        }
        match &mut self.clocks {
            Some(clocks) => clocks.pass(passed, self.start.plus_seconds(end_t - SKEW_S.1)),
            None => passed,
        }
    }

    /// What still waits when everything is over.
    pub fn rest(&mut self) -> Vec<Record> {
        let waiting = self.clocks.as_mut().map(|clocks| &mut clocks.waiting);
        waiting.map(std::mem::take).unwrap_or_default()
    }
}

impl Hands {
    fn spoil(&mut self, pose: &mut Pose) {
        match self {
            Hands::AsSeen => {}
            Hands::Unseen => pose.hands.clear(),
            Hands::Noisy(random) => {
                pose.hands.retain(|_| !random.random_bool(HANDS_UNSEEN));
                for hand in &mut pose.hands {
                    hand.place.x += HANDS_OFF_M * normal(random);
                    hand.place.y += HANDS_OFF_M * normal(random);
                    hand.place.z += HANDS_OFF_M * normal(random);
                    hand.place = hand.place.quantised();
                }
            }
        }
    }
}

impl Losses {
    fn new(seed: u64, gondolas: &[NodeName]) -> Self {
        let mut random = open(seed, Stream::Losses);
        Losses {
            silent: random.random_range(0..gondolas.len()),
            silent_t: random.random_range(FIRST_SILENT_S),
            gondolas: gondolas.to_owned(),
            random,
        }
    }

    /// Whether a record never comes. What a gate says is sent until it has come.
    fn lose(&mut self, record: &Record, start: Timestamp) -> bool {
        let t = record.at().seconds_since(start);
        if t > self.silent_t + SILENT_S + 0.2 {
            self.silent = self.random.random_range(0..self.gondolas.len());
            self.silent_t = t + self.random.random_range(NEXT_SILENT_S);
        }
        match record {
            Record::Gate(_) => false,
            Record::Body(_) => self.random.random_bool(LOST),
            Record::Scale(batch) => {
                let lost = self.random.random_bool(LOST);
                // A batch of which a sample falls into the silence is lost as a whole.
                let begin_t = batch.first_at.seconds_since(start);
                let silent = t >= self.silent_t && begin_t <= self.silent_t + SILENT_S;
                lost || (silent && batch.group.node == self.gondolas[self.silent])
            }
        }
    }
}

impl Faults {
    /// Lets plates stick by themselves, those that do before `end_t`; forgets what is over.
    fn begin(&mut self, faults: &mut Vec<Fault>, end_t: f64) {
        faults.retain(|fault| fault.until_t > end_t - 1.0);
        while self.next_t < end_t {
            let from_t = self.next_t;
            faults.push(Fault {
                plate: self.plates[self.random.random_range(0..self.plates.len())],
                from_t,
                until_t: from_t + self.random.random_range(FAULT_S),
                kind: FaultKind::draw(&mut self.random),
            });
            self.next_t += self.random.random_range(NEXT_FAULT_S);
        }
    }

    fn spoil(&mut self, batch: &mut ScaleBatch, faults: &[Fault], start: Timestamp) {
        let begin_t = batch.first_at.seconds_since(start);
        let rate_hz = batch.group.rate_hz;
        let plates = &batch.group.plates;
        for (column, plate) in plates.iter().enumerate() {
            let here: Vec<&Fault> = faults
                .iter()
                .filter(|fault| fault.plate == *plate)
                .collect();
            let counts = batch.counts.iter_mut().skip(column).step_by(plates.len());
            for (sample, count) in counts.enumerate() {
                let t = begin_t + sample as f64 / rate_hz;
                let fault = here
                    .iter()
                    .find(|fault| (fault.from_t..fault.until_t).contains(&t));
                match fault.map(|fault| fault.kind) {
                    Some(FaultKind::Sticks) => *count = *self.stuck.entry(*plate).or_insert(*count),
                    Some(FaultKind::Silent) => *count = NO_COUNT,
                    None => {
                        self.stuck.remove(plate);
                    }
                }
            }
        }
    }
}

impl Clocks {
    /// Half of the nodes with scales, and at least one, are off.
    fn new(seed: u64, gondolas: &[NodeName]) -> Self {
        let mut random = open(seed, Stream::Clocks);
        let certain = random.random_range(0..gondolas.len());
        let mut off_us = BTreeMap::new();
        for (index, node) in gondolas.iter().enumerate() {
            if index == certain || random.random_bool(0.5) {
                let off_s = random.random_range(SKEW_S.0..SKEW_S.1);
                let late = random.random_bool(0.5);
                let off_us_abs = (off_s * 1e6) as i64;
                off_us.insert(node.clone(), if late { off_us_abs } else { -off_us_abs });
            }
        }
        Clocks {
            off_us,
            waiting: Vec::new(),
        }
    }

    /// Records by the clocks of their nodes, those from before `until`: nothing earlier will come.
    fn pass(&mut self, records: Vec<Record>, until: Timestamp) -> Vec<Record> {
        for mut record in records {
            let off_us = self.off_us.get(record.node()).copied().unwrap_or(0);
            match &mut record {
                Record::Scale(batch) => batch.first_at.0 += off_us,
                Record::Body(_) | Record::Gate(_) => {}
            }
            self.waiting.push(record);
        }
        (self.waiting).sort_by(|a, b| (a.at(), a.node()).cmp(&(b.at(), b.node())));
        let due = self.waiting.partition_point(|record| record.at() < until);
        self.waiting.drain(..due).collect()
    }
}
