//! A live node: batches of samples in, observations out, and how the plates are told to whoever runs the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::calibration::Calibrations;
use super::config::NodeConfig;
use super::gate_watch::{GateWatch, Heard};
use super::loads::LoadMeter;
use super::plate_feed::{News, Scale};
use super::sampler::Batch;
use super::supervisor::Supervisor;
use super::tape::Tape;
use crate::edge::ceiling_cameras::CeilingCameras;
use crate::edge::live::{Clock, LiveNode, Sensed, wall_now};
use crate::edge::mqtt::{self, Health, LinkError, LinkState, NodeLink};
use crate::observation::{
    GapCause, GapObservation, GateObservation, Observation, PlateChange, PlateFault,
    SamplingReport, ShelfGap,
};
use crate::recording::{GateRecord, NO_COUNT, Record, ScaleBatch, ScaleGroup};
use crate::sensing::node::NodeSensor;
use crate::store::{Definition, NodeName, PlateId};
use crate::units::{Milligrams, Timestamp};
use crate::vision::shelf_eyes::ShelfEyes;

/// A plate without a calibration is recorded as if it had this factor, and weighs nothing.
pub const NOMINAL_COUNTS_PER_GRAM: f64 = 420.0;
/// A node that reads no plates says so often that time goes on.
const PASSING: Duration = Duration::from_millis(100);
/// Wall time that runs away from the board's by more than this was set.
const CLOCK_JUMP_S: f64 = 0.5;
/// Error of a level that was compared across an illness.
const SIGMA: Milligrams = Milligrams(2_000);
/// Plates whose faults are told.
const FAULTS_MAX: usize = crate::edge::wire::bounds::FAULTS_MAX;

/// Why a node's service ends by itself. Whoever started it starts it again.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("node {node}: the link to the broker has ended: {reason}")]
    Ended { node: String, reason: String },
    #[error("node {node}: the reading of its converters has ended")]
    Sampler { node: String },
    #[error("node {node}: its gate has ended, and is open")]
    Gate { node: String },
    #[error(
        "node {node}: the clock was set by {jump_s:.1} s; it has to begin anew with the right time"
    )]
    ClockSet { node: String, jump_s: f64 },
}

/// When the board's clock showed zero.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    event: Timestamp,
    wall: Timestamp,
    began: Instant,
}

impl Anchor {
    /// The board's clock shows `now_us` now.
    pub fn now(now_us: u64) -> Self {
        let wall = wall_now();
        Anchor {
            event: Timestamp(wall.0 - i64::try_from(now_us).unwrap_or(0)),
            wall,
            began: Instant::now(),
        }
    }

    /// Event time of a moment of the board's clock.
    pub fn at(&self, board_us: u64) -> Timestamp {
        Timestamp(self.event.0 + i64::try_from(board_us).unwrap_or(0))
    }

    /// By how much the wall's clock was set since.
    fn jump_s(&self) -> f64 {
        wall_now().seconds_since(self.wall) - self.began.elapsed().as_secs_f64()
    }
}

/// How a plate's counts become grams: by its calibration, or nominally.
pub fn scale_of(calibrations: &Calibrations, plate: PlateId) -> Scale {
    let nominal = Scale {
        counts_per_gram: NOMINAL_COUNTS_PER_GRAM,
        zero: None,
        capacity_g: None,
    };
    calibrations
        .of(plate)
        .map_or(nominal, super::calibration::Calibration::scale)
}

/// What a node's records say of its raw samples.
pub fn group_of(config: &NodeConfig, calibrations: &Calibrations) -> Arc<ScaleGroup> {
    let plates = config.plates();
    let factor = |plate: &PlateId| scale_of(calibrations, *plate).counts_per_gram;
    Arc::new(ScaleGroup {
        node: config.name.clone(),
        counts_per_gram: plates.iter().map(factor).collect(),
        plates,
        rate_hz: config.sampling.rate_hz,
    })
}

/// The raw record of a batch.
pub fn raw_record(group: &Arc<ScaleGroup>, anchor: Anchor, batch: &Batch) -> Record {
    Record::Scale(ScaleBatch {
        group: Arc::clone(group),
        first_at: anchor.at(batch.first_us),
        counts: batch.raw.clone(),
    })
}

/// A node's cameras, before its shelves and at the ceiling.
#[derive(Default)]
pub struct Cameras {
    pub eyes: Option<Box<dyn ShelfEyes>>,
    pub ceiling: Option<CeilingCameras>,
}

/// What a service works with.
pub struct ServiceParts {
    pub config: NodeConfig,
    pub definition: Arc<Definition>,
    pub calibrations: Calibrations,
    pub link: NodeLink,
    /// What its plates give; `None` if it has none.
    pub batches: Option<mpsc::Receiver<Batch>>,
    pub gate: Option<GateWatch>,
    pub cameras: Cameras,
    pub anchor: Anchor,
    pub clock: Clock,
    pub tape: Option<Tape>,
    pub supervisor: Supervisor,
}

/// A node at work.
pub struct Service {
    node: LiveNode,
    name: NodeName,
    batches: Option<mpsc::Receiver<Batch>>,
    gate: Option<GateWatch>,
    /// Tells what lies on the plates, where somebody wants to know.
    loads: Option<LoadMeter>,
    anchor: Anchor,
    tape: Option<Tape>,
    supervisor: Supervisor,
    raw: Arc<ScaleGroup>,
    /// Columns that are calibrated, and what sensing knows of them; `None` if none is.
    weighed: Vec<usize>,
    group: Option<Arc<ScaleGroup>>,
    faults: BTreeMap<PlateId, PlateFault>,
    /// Since when each plate that is ill now could not be watched.
    ill_since: BTreeMap<usize, Timestamp>,
    report: Option<SamplingReport>,
    has_sampled: bool,
    last_at: Timestamp,
}

/// The next samples; never any if the node reads no plates.
async fn next_batch(batches: &mut Option<mpsc::Receiver<Batch>>) -> Option<Batch> {
    match batches {
        Some(batches) => batches.recv().await,
        None => std::future::pending().await,
    }
}

/// What the gate says next; never anything if there is none.
async fn next_heard(gate: &mut Option<GateWatch>) -> Option<Heard> {
    match gate {
        Some(gate) => gate.next().await,
        None => std::future::pending().await,
    }
}

impl Service {
    pub async fn new(parts: ServiceParts) -> Result<Self, ServiceError> {
        let raw = group_of(&parts.config, &parts.calibrations);
        let is_weighed = |column: &usize| parts.calibrations.of(raw.plates[*column]).is_some();
        let weighed: Vec<usize> = (0..raw.plates.len()).filter(is_weighed).collect();
        let group = (!weighed.is_empty()).then(|| {
            Arc::new(ScaleGroup {
                plates: weighed.iter().map(|c| raw.plates[*c]).collect(),
                counts_per_gram: weighed.iter().map(|c| raw.counts_per_gram[*c]).collect(),
                node: raw.node.clone(),
                rate_hz: raw.rate_hz,
            })
        });
        let weighing = (weighed.iter())
            .map(|c| {
                (
                    raw.plates[*c],
                    scale_of(&parts.calibrations, raw.plates[*c]),
                )
            })
            .collect();
        let loads = parts
            .config
            .home_assistant
            .is_some()
            .then(|| LoadMeter::new(raw.node.clone(), weighing, raw.rate_hz));
        let now = wall_now();
        let faults = (raw.plates.iter().enumerate())
            .filter(|(column, _)| !weighed.contains(column))
            .map(|(_, plate)| {
                let what = "it is not calibrated: run `stroll calibrate`".to_owned();
                let (plate, since) = (*plate, now);
                (plate, PlateFault { plate, what, since })
            })
            .collect();
        let sensor = NodeSensor::new(parts.definition);
        let node = LiveNode::after_power_off(sensor, parts.link, parts.clock).await?;
        Ok(Service {
            node: (node.with_eyes(parts.cameras.eyes)).with_ceiling(parts.cameras.ceiling),
            name: parts.config.name,
            batches: parts.batches,
            gate: parts.gate,
            loads,
            anchor: parts.anchor,
            tape: parts.tape,
            supervisor: parts.supervisor,
            raw,
            weighed,
            group,
            faults,
            ill_since: BTreeMap::new(),
            report: None,
            has_sampled: false,
            last_at: now,
        })
    }

    /// Works until told to stop; gives the link back.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<NodeLink, ServiceError> {
        self.supervisor.ready();
        self.tell_health();
        let mut state = self.node.link().state();
        let mut looked_at = Instant::now();
        let mut passing = tokio::time::interval(PASSING);
        passing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let has_ended = |state: &LinkState| matches!(state, LinkState::Ended { .. });
            // Of a node that weighs, nothing can be promised before its first samples.
            let may_hear = self.group.is_none() || self.has_sampled;
            tokio::select! {
                batch = next_batch(&mut self.batches) => match batch {
                    Some(batch) => self.take(batch).await?,
                    None => return Err(ServiceError::Sampler { node: self.name.to_string() }),
                },
                heard = next_heard(&mut self.gate), if may_hear => match heard {
                    Some(heard) => self.hear_gate(heard).await?,
                    None => return Err(ServiceError::Gate { node: self.name.to_string() }),
                },
                _ = passing.tick(), if self.batches.is_none() => self.pass_time().await?,
                _ = stop.wait_for(|stop| *stop) => break,
                ended = state.wait_for(has_ended) => {
                    let reason = match ended.as_deref() {
                        Ok(LinkState::Ended { reason: Some(reason) }) => reason.clone(),
                        Ok(_) | Err(_) => "it was closed".to_owned(),
                    };
                    return Err(ServiceError::Ended { node: self.name.to_string(), reason });
                }
            }
            if looked_at.elapsed() >= Duration::from_secs(1) {
                looked_at = Instant::now();
                let jump_s = self.anchor.jump_s();
                if jump_s.abs() > CLOCK_JUMP_S {
                    return Err(ServiceError::ClockSet {
                        node: self.name.to_string(),
                        jump_s,
                    });
                }
            }
        }
        self.supervisor.stopping();
        if let Some(tape) = &mut self.tape
            && let Err(error) = tape.finish()
        {
            tracing::warn!("the recording is not whole: {error}");
        }
        Ok(self.node.finish(self.last_at).await?)
    }

    async fn take(&mut self, batch: Batch) -> Result<(), ServiceError> {
        let record = raw_record(&self.raw, self.anchor, &batch);
        let at = record.at();
        if let Some(tape) = &mut self.tape
            && let Err(error) = tape.write(&record)
        {
            tracing::error!("node {}: raw samples cannot be kept: {error}", self.name);
        }
        if batch.raw.iter().any(|count| *count != NO_COUNT) {
            self.supervisor.sampled();
        }
        self.has_sampled = true;
        let counts = self.weighed_counts(&batch.trusted);
        if let Some(loads) = self.loads.as_mut().and_then(|meter| meter.push(&counts)) {
            self.node.link().tell_loads(loads);
        }
        let sensed = match &self.group {
            Some(group) => Sensed::Record(Record::Scale(ScaleBatch {
                group: Arc::clone(group),
                first_at: self.anchor.at(batch.first_us),
                counts,
            })),
            None => Sensed::Nothing(at),
        };
        self.node.take(&sensed).await?;
        self.last_at = self.last_at.max(at);
        for (column, news) in batch.news {
            self.hear(column, news, at).await?;
        }
        if batch.report.is_some() {
            self.report = batch.report;
        }
        self.tell_health();
        Ok(())
    }

    fn weighed_counts(&self, trusted: &[i32]) -> Vec<i32> {
        let rows = trusted.chunks_exact(self.raw.plates.len().max(1));
        rows.flat_map(|row| self.weighed.iter().map(|column| row[*column]))
            .collect()
    }

    /// What is new at the gate; it goes to the coordinator in its order, after all that was promised.
    async fn hear_gate(&mut self, heard: Heard) -> Result<(), ServiceError> {
        let said = (self.gate.as_mut()).and_then(|gate| gate.note(heard, wall_now()));
        if let Some((at, event)) = said {
            let at = at.max(Timestamp(self.last_at.0 + 1));
            let record = Record::Gate(GateRecord {
                node: self.name.clone(),
                observation: GateObservation { at, event },
            });
            if let Some(tape) = &mut self.tape
                && let Err(error) = tape.write(&record)
            {
                tracing::error!("node {}: what passed cannot be kept: {error}", self.name);
            }
            self.node.take(&Sensed::Record(record)).await?;
            self.last_at = at;
        }
        self.tell_health();
        Ok(())
    }

    /// Time goes on for a node that reads no plates: nothing more comes of what has passed.
    async fn pass_time(&mut self) -> Result<(), ServiceError> {
        self.supervisor.alive();
        let now = wall_now().max(Timestamp(self.last_at.0 + 1));
        self.node.take(&Sensed::Nothing(now)).await?;
        self.last_at = now;
        self.tell_health();
        Ok(())
    }

    /// Takes note of what is new about a plate.
    async fn hear(&mut self, column: usize, news: News, at: Timestamp) -> Result<(), ServiceError> {
        let Some(&plate) = self
            .raw
            .plates
            .get(column)
            .filter(|_| self.weighed.contains(&column))
        else {
            return Ok(());
        };
        match news {
            News::Ill(illness) => {
                let since = *self.ill_since.entry(column).or_insert(at);
                let what = illness.sentence().to_owned();
                tracing::warn!("plate {plate}: {what}");
                self.faults.insert(plate, PlateFault { plate, what, since });
            }
            News::Well { moved_g } => {
                self.faults.remove(&plate);
                let since = self.ill_since.remove(&column).unwrap_or(at);
                tracing::warn!(
                    "plate {plate} is well again, and reads {moved_g:+.1} g of what it did"
                );
                if moved_g != 0.0 {
                    self.node
                        .tell(at, vec![unwatched(plate, moved_g, since, at)])
                        .await?;
                }
            }
        }
        Ok(())
    }

    fn tell_health(&mut self) {
        let is_ill = |column: &&usize| self.ill_since.contains_key(column);
        let ill = self.weighed.iter().filter(is_ill).count();
        let trouble = if self.raw.plates.is_empty() {
            ""
        } else if self.weighed.is_empty() {
            "none of its plates is calibrated: run `stroll calibrate`"
        } else if ill == self.weighed.len() {
            "none of its plates gives samples"
        } else {
            ""
        };
        let (blind, dim) = self.node.sight();
        let uninvited = (self.gate.as_ref())
            .map(GateWatch::notice)
            .unwrap_or_default();
        self.node.link().tell_health(Health {
            trouble: joined(trouble, blind),
            notice: joined(&uninvited, dim),
            gate: self.gate.as_ref().and_then(GateWatch::state),
            faults: self.faults.values().take(FAULTS_MAX).cloned().collect(),
            sampling: self.report,
        });
        let mut status = format!("{} plates", self.raw.plates.len());
        if let Some(report) = &self.report {
            let rate_hz = report.rate_millihertz as f64 / 1e3;
            status = format!("{status}, {rate_hz:.1} samples a second");
        }
        for fault in self.faults.values().take(3) {
            status = format!("{status}; plate {}: {}", fault.plate, fault.what);
        }
        self.supervisor.status(&status);
    }
}

/// Two sentences, of which there may be none, as one that may be told.
fn joined(one: &str, other: &str) -> String {
    let both = [one, other].into_iter().filter(|part| !part.is_empty());
    mqtt::clipped(&both.collect::<Vec<_>>().join("; "))
}

/// A change that happened while a plate could not be watched.
fn unwatched(plate: PlateId, moved_g: f64, since: Timestamp, at: Timestamp) -> Observation {
    Observation::Gap(GapObservation {
        start: since,
        end: at,
        cause: GapCause::Off,
        dropped: 0,
        replaces: None,
        shelves: vec![ShelfGap {
            shelf: plate.shelf,
            plates: vec![PlateChange {
                plate: plate.plate,
                delta_mg: Milligrams::from_grams(moved_g),
                sigma_mg: SIGMA,
            }],
        }],
    })
}

#[cfg(test)]
mod tests;
