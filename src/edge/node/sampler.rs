//! Reads the converters at a steady rate, on a thread of its own that asks for real-time priority.
//!
//! What it reads goes through a queue with a bound: where the rest of the program falls behind, the newest samples are
//! lost, counted and told, and the reading never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::banks::{Banks, BanksError, Given};
use super::board::{Board, Clock};
use super::config::NodeConfig;
use super::grid::Grid;
use super::plate_feed::{News, PlateFeed, Scale};
use crate::edge::converter::hx711::PinError;
use crate::edge::converter::{Fault, Sample, Time};
use crate::observation::SamplingReport;
use crate::recording::NO_COUNT;

/// Samples of a batch: 50 ms of them, or one.
const BATCH_S: f64 = 0.05;
/// The converters are looked at no more often than this.
const LOOK_US: u64 = 500;
/// A report goes with the batch that ends such a stretch.
const REPORT_S: f64 = 5.0;
/// Wakes of one report that are kept; more than there can be.
const WAKES_MAX: usize = 20_000;

/// What the plates gave over some slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Middle of the first slot, microseconds of the board's clock.
    pub first_us: u64,
    /// Row-major slots × plates, as the converters gave them; [`NO_COUNT`] where there is none.
    pub raw: Vec<i32>,
    /// The same, only what can be relied on.
    pub trusted: Vec<i32>,
    /// What is new about a plate, by its column.
    pub news: Vec<(usize, News)>,
    pub report: Option<SamplingReport>,
}

/// The reading of a node's converters.
pub struct Sampler<B: Board> {
    banks: Banks<B>,
    clock: B::Clock,
    grid: Grid,
    feeds: Vec<PlateFeed>,
    rate_hz: f64,
    batch: Batch,
    given: Vec<Given>,
    tally: Tally,
    began_us: u64,
}

/// What a report is made of.
#[derive(Debug, Default)]
struct Tally {
    /// How late each wake was, microseconds.
    late_us: Vec<u32>,
    counts: u64,
    interrupted: u64,
    not_ready: u64,
    saturated: u64,
    /// Samples that the queue had no room for, ever.
    dropped: u64,
    slots: u64,
}

impl<B: Board> Sampler<B> {
    /// Opens the converters. `scales` are those of [`NodeConfig::plates`].
    pub fn open(config: &NodeConfig, scales: &[Scale], board: &mut B) -> Result<Self, BanksError> {
        let banks = Banks::open(config, board)?;
        let mut clock = board.clock();
        let began_us = clock.now_us();
        let rate_hz = config.sampling.rate_hz;
        let columns = config.plates().len();
        let feeds = scales.iter().map(|scale| PlateFeed::new(*scale, rate_hz));
        Ok(Sampler {
            banks,
            clock,
            grid: Grid::new(columns, rate_hz, began_us),
            feeds: feeds.collect(),
            rate_hz,
            batch: empty(),
            given: Vec::new(),
            tally: Tally::default(),
            began_us,
        })
    }

    /// Looks at the converters once and waits for the next look; gives a batch when one is full.
    pub fn step(&mut self) -> Result<Option<Batch>, PinError> {
        let result = self.look()?;
        let now_us = self.clock.now_us();
        let due_us = self.banks.due_us().min(self.grid.next_us());
        let wake_us = due_us.max(now_us + LOOK_US);
        self.clock.sleep_until_us(wake_us);
        let late_us = self.clock.now_us().saturating_sub(wake_us);
        if self.tally.late_us.len() < WAKES_MAX {
            self.tally
                .late_us
                .push(u32::try_from(late_us).unwrap_or(u32::MAX));
        }
        Ok(result)
    }

    fn look(&mut self) -> Result<Option<Batch>, PinError> {
        let columns = self.feeds.len().max(1);
        let wanted = (self.rate_hz * BATCH_S).round().max(1.0) as usize * columns;
        let (batch, feeds, tally) = (&mut self.batch, &mut self.feeds, &mut self.tally);
        let now_us = self.clock.now_us();
        self.grid.close_until(now_us, |middle_us, row| {
            if batch.raw.is_empty() {
                batch.first_us = middle_us;
            }
            tally.slots += 1;
            for (column, (sample, feed)) in row.iter().zip(feeds.iter_mut()).enumerate() {
                tally.take(*sample);
                let (trusted, news) = feed.push(*sample);
                batch
                    .raw
                    .push(sample.and_then(Sample::ok).unwrap_or(NO_COUNT));
                batch.trusted.push(trusted);
                batch.news.extend(news.map(|news| (column, news)));
            }
        });
        self.given.clear();
        self.banks.poll(&mut self.given)?;
        for (column, sample) in self.given.drain(..) {
            self.grid.put(column, sample);
        }
        if self.batch.raw.len() < wanted {
            return Ok(None);
        }
        let mut batch = std::mem::replace(&mut self.batch, empty());
        if self.tally.slots as f64 >= REPORT_S * self.rate_hz {
            batch.report = Some(self.tally.report(columns as u64, self.rate_hz));
        }
        Ok(Some(batch))
    }

    /// Seconds since it was opened, by the board's clock.
    pub fn elapsed_s(&mut self) -> f64 {
        (self.clock.now_us() - self.began_us) as f64 / 1e6
    }
}

fn empty() -> Batch {
    Batch {
        first_us: 0,
        raw: Vec::new(),
        trusted: Vec::new(),
        news: Vec::new(),
        report: None,
    }
}

impl Tally {
    fn take(&mut self, sample: Option<Sample>) {
        match sample {
            Some(Ok(_)) => self.counts += 1,
            Some(Err(Fault::Interrupted)) => self.interrupted += 1,
            Some(Err(Fault::NotReady | Fault::Bus)) => self.not_ready += 1,
            Some(Err(Fault::Saturated)) => self.saturated += 1,
            Some(Err(Fault::Settling)) | None => {}
        }
    }

    fn report(&mut self, columns: u64, rate_hz: f64) -> SamplingReport {
        self.late_us.sort_unstable();
        let at = |share: f64| {
            let index = (self.late_us.len() as f64 * share) as usize;
            let last = self.late_us.len().saturating_sub(1);
            self.late_us.get(index.min(last)).copied().unwrap_or(0)
        };
        let seconds = self.slots as f64 / rate_hz;
        let millihertz = self.counts as f64 * 1e3 / (seconds * columns as f64);
        let report = SamplingReport {
            rate_millihertz: millihertz.round() as u64,
            late_us_p99: u64::from(at(0.99)),
            late_us_max: u64::from(at(1.0)),
            interrupted: self.interrupted,
            not_ready: self.not_ready,
            saturated: self.saturated,
            dropped: self.dropped,
        };
        let dropped = self.dropped;
        *self = Tally {
            dropped,
            ..Tally::default()
        };
        report
    }
}

/// A sampler on its thread.
#[derive(Debug)]
pub struct SamplerThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), PinError>>>,
}

impl SamplerThread {
    /// Starts it. Batches come in order; the channel closes when it has ended.
    pub fn start<B: Board>(
        mut sampler: Sampler<B>,
        config: &NodeConfig,
    ) -> std::io::Result<(Self, mpsc::Receiver<Batch>)> {
        let capacity = (config.sampling.queue_s / BATCH_S).ceil().max(1.0) as usize;
        let (send, receive) = mpsc::channel(capacity);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let priority = config.sampling.realtime_priority;
        let thread = std::thread::Builder::new()
            .name("sampler".to_owned())
            .spawn(move || {
                ask_for_priority(priority);
                while !stopped.load(Ordering::Acquire) {
                    let Some(batch) = sampler.step()? else {
                        continue;
                    };
                    match send.try_send(batch) {
                        Ok(()) => {}
                        Err(mpsc::error::TrySendError::Full(batch)) => {
                            sampler.tally.dropped += batch.raw.len() as u64;
                        }
                        Err(mpsc::error::TrySendError::Closed(_)) => break,
                    }
                }
                Ok(())
            })?;
        let thread = Some(thread);
        Ok((SamplerThread { stop, thread }, receive))
    }

    /// Ends it.
    pub fn stop(mut self) -> Result<(), PinError> {
        self.stop.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for SamplerThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Asks for round-robin real-time scheduling; without the right to it (`LimitRTPRIO`) the thread goes on as it is.
fn ask_for_priority(priority: u8) {
    use thread_priority::{
        RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };
    let Ok(value) = ThreadPriorityValue::try_from(priority) else {
        return;
    };
    if priority == 0 {
        return;
    }
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let asked = set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(value),
        policy,
    );
    if let Err(error) = asked {
        tracing::info!(
            "the sampling thread gets no real-time priority ({error:?}); it goes on without: set LimitRTPRIO= in its unit"
        );
    }
}
