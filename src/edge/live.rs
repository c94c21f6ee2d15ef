//! The live store and the live node: what stands between the pure parts and the links to the broker.

mod gates;
mod node;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use crate::coordinator::{Coordinator, Effect, Input, Rejection};
use crate::edge::mqtt::{CoordinatorLink, Delivery};
use crate::edge::playback;
use crate::edge::shell::{Answers, Shell, ShellError};
use crate::edge::wire::Message;
use crate::observation::Committed;
use crate::units::Timestamp;
use gates::Gates;
pub use node::{Clock, LiveNode, Sensed};

/// Inputs taken into one group commit, at most. What waits beyond it makes the next group.
const GROUP_MAX: usize = 256;
/// How often a store whose disk is full looks for room.
const ROOM_EVERY: Duration = Duration::from_millis(500);
/// How often limits and deadlines are looked at, and how long the store waits for a message, at most.
const TICK: Duration = Duration::from_millis(200);
/// Inputs of the store's own program (enrolments, verdicts) that wait, at most; then their sender waits.
const TOLD_MAX: usize = 256;

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
