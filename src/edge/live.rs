//! The live store and the live node: what stands between the pure parts and the links to the broker.

mod gates;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use crate::coordinator::{Coordinator, Effect, Input, Rejection};
use crate::edge::ceiling_cameras::CeilingCameras;
use crate::edge::levels::Levels;
use crate::edge::mqtt::{CoordinatorLink, Delivery, LinkError, NodeLink};
use crate::edge::playback;
use crate::edge::shell::{Answers, Shell, ShellError};
use crate::edge::wire::Message;
use crate::observation::{Committed, NodeClock, Observation};
use crate::recording::Record;
use crate::sensing::node::NodeSensor;
use crate::units::Timestamp;
use crate::vision::shelf_eyes::{self, ShelfEyes};
use gates::Gates;

/// Inputs taken into one group commit, at most. What waits beyond it makes the next group.
const GROUP_MAX: usize = 256;
/// How often a store whose disk is full looks for room.
const ROOM_EVERY: Duration = Duration::from_millis(500);
/// How often limits and deadlines are looked at, and how long the store waits for a message, at most.
const TICK: Duration = Duration::from_millis(200);
/// Inputs of the store's own program (enrolments, verdicts) that wait, at most; then their sender waits.
const TOLD_MAX: usize = 256;

/// What plates read is kept this often, seconds of event time.
const LEVELS_EVERY_S: f64 = 10.0;
/// After a power cut plates are waited for so long to come to rest, seconds.
const SETTLING_MAX_S: f64 = 30.0;
/// How long a store that is told to stop waits for payments that are under way. What has no answer then is in the
/// journal, and is asked again at the next start.
const FAREWELL: Duration = Duration::from_secs(3);

/// The time of this machine's wall clock.
pub fn wall_now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX / 4))
}

/// What a store shows after each batch: the core, the batch's effects and the time.
pub type Watcher = Box<dyn FnMut(&Coordinator, &[Effect], Timestamp) + Send>;

/// Is told what the store waits for, and, with `None`, that it goes on.
pub type Alarm = Box<dyn FnMut(Option<&str>) + Send>;

/// A store at work on a thread of its own: messages in, one commit a group, words to the nodes out.
pub struct LiveStore {
    told: mpsc::Sender<Told>,
    thread: JoinHandle<Result<Shell<Coordinator>, ShellError>>,
}

/// An input, and where its answer goes if somebody waits for one.
type Told = (Input, Option<oneshot::Sender<Result<(), Rejection>>>);

/// What a [`LiveStore`] works with.
pub struct StoreParts {
    pub shell: Shell<Coordinator>,
    pub link: Arc<CoordinatorLink>,
    pub deliveries: mpsc::Receiver<Delivery>,
    /// What the payment gateway says.
    pub answers: Answers,
    /// What the nodes are to be told at once, after a restart.
    pub owed: Vec<Effect>,
    /// Look at limits on silence (off in a replay, whose event time is not the wall's).
    pub ticks: bool,
    pub watcher: Watcher,
    pub alarm: Alarm,
}

impl LiveStore {
    /// Starts the store. It ends by itself after a journal error; otherwise by [`LiveStore::stop`]. While the journal's
    /// disk is full it waits for room: it hears nobody, and nodes keep what they see.
    pub fn start(runtime: tokio::runtime::Handle, parts: StoreParts) -> std::io::Result<Self> {
        let (told, inputs) = mpsc::channel(TOLD_MAX);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run_store(&runtime, parts, inputs))?;
        Ok(LiveStore { told, thread })
    }

    /// Tells the store something that doesn't come over the wire. False if it has stopped.
    pub async fn tell(&self, input: Input) -> bool {
        self.told.send((input, None)).await.is_ok()
    }

    /// The same for what a person asks for: resolves once it is durable, or to why nothing was done. None if the store has
    /// stopped.
    pub async fn ask(&self, input: Input) -> Option<Result<(), Rejection>> {
        let (answer, answered) = oneshot::channel();
        self.told.send((input, Some(answer))).await.ok()?;
        answered.await.ok()
    }

    /// The same for what is told again soon: where too much waits already it is dropped.
    pub fn mention(&self, input: Input) {
        // Whoever looks at it says the same again.
        let _ = self.told.try_send((input, None));
    }

    /// Whether the store has stopped by itself.
    pub fn has_stopped(&self) -> bool {
        self.thread.is_finished()
    }

    /// Resolves when the store has stopped by itself.
    pub async fn stopped(&self) {
        self.told.closed().await;
    }

    /// Ends the store after what it was told so far, and gives it back.
    pub fn stop(self) -> Result<Shell<Coordinator>, ShellError> {
        drop(self.told);
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn run_store(
    runtime: &tokio::runtime::Handle,
    mut parts: StoreParts,
    mut told: mpsc::Receiver<Told>,
) -> Result<Shell<Coordinator>, ShellError> {
    say(&parts.link, &parts.owed);
    let mut gates = Gates::default();
    let mut ticked = Instant::now();
    let mut open = true;
    // A link that has ended delivers nothing more; whoever owns it sees that, and the store serves on until then.
    let mut linked = true;
    while open {
        let mut inputs = Vec::new();
        let mut answered = Vec::new();
        let mut waits = None;
        runtime.block_on(async {
            tokio::select! {
                delivery = parts.deliveries.recv(), if linked => match delivery {
                    Some(delivery) => inputs.extend(heard(delivery, &mut gates)),
                    None => linked = false,
                },
                input = told.recv() => match input {
                    Some((input, answer)) => {
                        waits = answer.map(|a| (a, parts.shell.core().rejects(&input)));
                        inputs.push(input);
                    }
                    None => open = false,
                },
                Some(answer) = parts.answers.recv() => answered.push(answer),
                () = tokio::time::sleep(TICK) => {}
            }
        });
        while inputs.len() < GROUP_MAX
            && let Ok(delivery) = parts.deliveries.try_recv()
        {
            inputs.extend(heard(delivery, &mut gates));
        }
        if parts.ticks && ticked.elapsed() >= TICK {
            ticked = Instant::now();
            inputs.push(Input::Tick);
        }
        let now = wall_now();
        while let Ok(answer) = parts.answers.try_recv() {
            answered.push(answer);
        }
        let mut effects = with_room(&mut parts, &told, |shell| shell.batch(inputs, now))?;
        if let Some((answer, rejection)) = waits {
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(rejection.map_or(Ok(()), Err));
        }
        if !answered.is_empty() {
            let hear = |shell: &mut Shell<_>| shell.answered(answered, now);
            effects.extend(with_room(&mut parts, &told, hear)?);
        }
        if parts.shell.next_retry_at().is_some_and(|at| at <= now) {
            effects.extend(with_room(&mut parts, &told, |shell| shell.retry(now))?);
        }
        say(&parts.link, &effects);
        gates.tend(&parts.link, &effects, parts.shell.core());
        (parts.watcher)(parts.shell.core(), &effects, now);
    }
    gates.release(&parts.link);
    hear_out(runtime, &mut parts)?;
    Ok(parts.shell)
}

/// Has the shell do something, and waits until what follows from it is durable. A store that is told to stop waits no
/// longer: what is not durable has not happened, and comes again.
fn with_room(
    parts: &mut StoreParts,
    told: &mpsc::Receiver<Told>,
    work: impl FnOnce(&mut Shell<Coordinator>) -> Result<Vec<Effect>, ShellError>,
) -> Result<Vec<Effect>, ShellError> {
    let mut done = work(&mut parts.shell);
    let mut is_waiting = false;
    while let Err(ShellError::Full { why }) = &done {
        if told.is_closed() {
            return done;
        }
        if !is_waiting {
            is_waiting = true;
            tracing::error!("the store waits, and lets nobody in: {why}");
            (parts.alarm)(Some(why));
        }
        std::thread::sleep(ROOM_EVERY);
        done = parts.shell.go_on(wall_now());
    }
    if is_waiting && done.is_ok() {
        tracing::warn!("there is room again, and the store goes on");
        (parts.alarm)(None);
    }
    done
}

/// Waits for the payments that are under way, and for what follows from their answers.
fn hear_out(runtime: &tokio::runtime::Handle, parts: &mut StoreParts) -> Result<(), ShellError> {
    let until = Instant::now() + FAREWELL;
    while parts.shell.asking() > 0 {
        let next = runtime
            .block_on(async { tokio::time::timeout_at(until.into(), parts.answers.recv()).await });
        let Ok(Some(answer)) = next else {
            tracing::warn!(
                "{} payments are still under way; they are taken up at the next start",
                parts.shell.asking()
            );
            break;
        };
        let now = wall_now();
        let effects = parts.shell.answered([answer], now)?;
        say(&parts.link, &effects);
        (parts.watcher)(parts.shell.core(), &effects, now);
    }
    Ok(())
}

fn heard(delivery: Delivery, gates: &mut Gates) -> Option<Input> {
    if let Delivery::Message(Message::Status(status)) = &delivery {
        gates.note(status);
    }
    match delivery {
        Delivery::Message(message) => playback::input(message),
        Delivery::Undecodable { stamp, reason } => Some(Input::Undecodable { stamp, reason }),
    }
}

/// Tells the nodes what is durable.
fn say(link: &CoordinatorLink, effects: &[Effect]) {
    for ((node, outbox), sequence) in playback::commits(effects) {
        link.commit(&node, Committed { outbox, sequence });
    }
}

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
        if self.ceiling.is_some() || self.eyes.is_some() {
            self.link.tell(&trouble, &notices.join("; "));
        }
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
        }
        let now = self.last_at.unwrap_or_default();
        self.finish(now).await
    }
}
