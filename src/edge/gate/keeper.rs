//! The gate at work: relay, beams and emergency input together, on a thread of its own.
//!
//! The gate is held only by the coordinator's word, said again each second. Whoever comes from inside is let out by the gate
//! itself, and asks nobody: the inner beam opens it. While the emergency input is on nothing holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use embedded_hal::digital::{ErrorKind, InputPin};
use tokio::sync::mpsc;

use super::beams::{Beams, Passages};
use super::relay::Relay;
use crate::edge::converter::Time;
use crate::edge::node::board::{Board, BoardError, Clock};
use crate::edge::node::config::GateWiring;
use crate::observation::{GateEvent, GateOrder, GateState};

/// How often the gate's pins are looked at.
const LOOK_US: u64 = 2_000;
/// Whoever comes from inside finds the gate open for so long after they last broke the inner beam.
const LEAVING_US: u64 = 3_000_000;
/// After the last of those who were let in is through, the door has so long to fall shut.
const THROUGH_US: u64 = 500_000;
/// The emergency input opens the gate at once. It is told, and taken to be over, after so long: a spark is no emergency.
const ALARM_TOLD_US: u64 = 200_000;
const ALARM_OVER_US: u64 = 1_000_000;
/// News that wait for the rest of the program.
const NEWS_MAX: usize = 256;

/// A gate that can't go on. It is open.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error(transparent)]
    Board(#[from] BoardError),
    #[error("the gate's {what} fails: {kind:?}")]
    Pin { what: &'static str, kind: ErrorKind },
}

fn failed<E: embedded_hal::digital::Error>(what: &'static str) -> impl Fn(E) -> GateError {
    move |error| GateError::Pin {
        what,
        kind: error.kind(),
    }
}

/// What is new at the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Microseconds of the board's clock.
    pub at_us: u64,
    pub what: What,
}

/// What can be new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Event(GateEvent),
    /// More have passed in than were let in.
    Uninvited,
    State(GateState),
}

/// The gate's pins and what is known of it.
pub struct Keeper<B: Board> {
    relay: Relay<B::Output>,
    beams: Option<Beams<B::Input, B::Input>>,
    passages: Passages,
    emergency: Option<B::Input>,
    clock: B::Clock,
    held_until_us: u64,
    open_until_us: u64,
    /// Let in, and not through yet.
    awaited: u32,
    /// Since when the emergency input is as it is, and how that is.
    input: (u64, bool),
    is_alarm: bool,
    told: Option<GateState>,
}

impl<B: Board> Keeper<B> {
    /// An open gate.
    pub fn open(wiring: &GateWiring, board: &mut B) -> Result<Self, GateError> {
        let pin = board.output(wiring.relay_gpio)?;
        let beams = match wiring.beams {
            None => None,
            Some((outer, inner)) => Some(Beams {
                outer: board.input(outer)?,
                inner: board.input(inner)?,
            }),
        };
        let emergency = wiring.emergency_gpio.map(|gpio| board.input(gpio));
        Ok(Keeper {
            relay: Relay::new(pin, wiring.relay_active).map_err(failed("relay"))?,
            beams,
            passages: Passages::default(),
            emergency: emergency.transpose()?,
            clock: board.clock(),
            held_until_us: 0,
            open_until_us: 0,
            awaited: 0,
            input: (0, false),
            is_alarm: false,
            told: None,
        })
    }

    /// Takes the coordinator's word.
    pub fn heed(&mut self, order: GateOrder) {
        let now_us = self.clock.now_us();
        match order {
            GateOrder::Hold { for_ms } => self.held_until_us = now_us + for_ms * 1_000,
            GateOrder::Open { for_ms } => {
                self.awaited = if now_us < self.open_until_us {
                    self.awaited + 1
                } else {
                    1
                };
                self.open_until_us = now_us + for_ms * 1_000;
            }
            GateOrder::Release => self.held_until_us = now_us,
        }
    }

    /// Looks at every pin, and sets the relay.
    pub fn look(&mut self, news: &mut Vec<News>) -> Result<(), GateError> {
        let now_us = self.clock.now_us();
        let is_on = self.look_at_emergency(now_us)?;
        self.look_at_beams(now_us, news)?;
        let relay = &mut self.relay;
        relay.alarm(is_on).map_err(failed("relay"))?;
        let is_held = !is_on && now_us < self.held_until_us && now_us >= self.open_until_us;
        match (is_held, relay.is_held()) {
            (true, _) => relay.hold(now_us),
            (false, true) => relay.release(),
            (false, false) => Ok(()),
        }
        .map_err(failed("relay"))?;
        let state = match (self.is_alarm, is_held) {
            (true, _) => GateState::Alarm,
            (false, true) => GateState::Held,
            (false, false) => GateState::Open,
        };
        if self.told != Some(state) {
            self.told = Some(state);
            news.push(News {
                at_us: now_us,
                what: What::State(state),
            });
        }
        Ok(())
    }

    /// Whether the input is on; that it has been so for long enough is noted.
    fn look_at_emergency(&mut self, now_us: u64) -> Result<bool, GateError> {
        let Some(input) = &mut self.emergency else {
            return Ok(false);
        };
        let is_on = input.is_high().map_err(failed("emergency input"))?;
        if is_on != self.input.1 {
            self.input = (now_us, is_on);
        }
        let since_us = now_us - self.input.0;
        let (told_us, over_us) = (ALARM_TOLD_US, ALARM_OVER_US);
        if since_us >= if is_on { told_us } else { over_us } {
            self.is_alarm = is_on;
        }
        Ok(is_on || self.is_alarm)
    }

    fn look_at_beams(&mut self, now_us: u64, news: &mut Vec<News>) -> Result<(), GateError> {
        let Some(beams) = &mut self.beams else {
            return Ok(());
        };
        let (outer, inner) = beams.look().map_err(failed("light beam"))?;
        if inner && !outer {
            self.open_until_us = self.open_until_us.max(now_us + LEAVING_US);
        }
        let was_open = now_us < self.open_until_us;
        for event in self.passages.push(now_us, (outer, inner)) {
            if event == GateEvent::PassedIn {
                let is_invited = self.awaited > 0 || !self.relay.is_held() && !was_open;
                self.awaited = self.awaited.saturating_sub(1);
                if self.awaited == 0 {
                    self.open_until_us = self.open_until_us.min(now_us + THROUGH_US);
                }
                let what = What::Uninvited;
                news.extend((!is_invited).then_some(News {
                    at_us: now_us,
                    what,
                }));
            }
            let what = What::Event(event);
            news.push(News {
                at_us: now_us,
                what,
            });
        }
        Ok(())
    }

    fn wait(&mut self) {
        let now_us = self.clock.now_us();
        self.clock.sleep_until_us(now_us + LOOK_US);
    }
}

/// A gate on its thread. When the thread ends, the gate is open.
#[derive(Debug)]
pub struct GateThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), GateError>>>,
}

impl GateThread {
    /// Starts it. What is new comes in order; the channel closes when the thread has ended.
    pub fn start<B: Board>(
        mut keeper: Keeper<B>,
        orders: Receiver<GateOrder>,
    ) -> std::io::Result<(Self, mpsc::Receiver<News>)> {
        let (send, receive) = mpsc::channel(NEWS_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = move || {
            let mut news = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                orders.try_iter().for_each(|order| keeper.heed(order));
                keeper.look(&mut news)?;
                for one in news.drain(..) {
                    if let Err(lost) = send.try_send(one) {
                        // The program has hung for minutes: systemd ends it soon.
                        tracing::error!("news of the gate are lost: {lost}");
                    }
                }
                keeper.wait();
            }
            Ok(())
        };
        let thread = std::thread::Builder::new()
            .name("gate".to_owned())
            .spawn(work)?;
        let thread = Some(thread);
        Ok((GateThread { stop, thread }, receive))
    }

    /// Ends it, and the gate is open.
    pub fn stop(mut self) -> Result<(), GateError> {
        self.stop.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for GateThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::node::config;
    use crate::edge::simulated::SimulatedBoard;
    use crate::edge::simulated::situation::parse;

    /// What a gate tells, with its seconds, when it hears these orders and this happens before it.
    fn told(situation: &str, orders: &[(f64, GateOrder)], until_s: f64) -> Vec<String> {
        let wired = "[node]\nname = \"gate\"\nstore = \"s\"\nbroker = \"mqtt://127.0.0.1:1883\"\n[gate]\n\
            relay_gpio = 17\nouter_beam_gpio = 23\ninner_beam_gpio = 24\nemergency_gpio = 25\n";
        let folder = std::path::Path::new(".");
        let (config, _) = config::parse(wired, "n", folder, |_| None).unwrap();
        let situation = parse(situation, "s").unwrap();
        let mut board = SimulatedBoard::new(&config, &situation);
        let wiring = config.gate.unwrap();
        let relay = wiring.relay_gpio;
        let mut keeper = Keeper::open(&wiring, &mut board).unwrap();
        let mut orders = orders.iter().peekable();
        let (mut news, mut told) = (Vec::new(), Vec::new());
        loop {
            let now_s = keeper.clock.now_us() as f64 / 1e6;
            if now_s >= until_s {
                return told;
            }
            while let Some((_, order)) = orders.next_if(|(at_s, _)| *at_s <= now_s) {
                keeper.heed(*order);
            }
            keeper.look(&mut news).unwrap();
            let is_drawn = !board.driven(relay).unwrap();
            for News { what, .. } in news.drain(..) {
                if let What::State(state) = &what {
                    assert_eq!(is_drawn, *state == GateState::Held, "{now_s}");
                }
                let word = match what {
                    What::Event(event) => format!("{event:?}"),
                    What::State(state) => format!("{state:?}"),
                    What::Uninvited => "Uninvited".to_owned(),
                };
                told.push(format!("{now_s:.1} {word}"));
            }
            keeper.wait();
        }
    }

    const HOLD: GateOrder = GateOrder::Hold { for_ms: 3_000 };
    const OPEN: GateOrder = GateOrder::Open { for_ms: 5_000 };

    fn held(seconds: u32) -> Vec<(f64, GateOrder)> {
        (0..seconds).map(|at_s| (f64::from(at_s), HOLD)).collect()
    }

    #[test]
    fn it_is_held_by_the_coordinators_word_alone() {
        let orders = held(3);
        assert_eq!(
            told("", &orders, 9.0),
            ["0.0 Held", "5.0 Open"],
            "three seconds after the last word it is open"
        );
        let orders = [held(3), vec![(2.5, GateOrder::Release)]].concat();
        assert_eq!(told("", &orders, 6.0), ["0.0 Held", "2.5 Open"]);
    }

    #[test]
    fn it_opens_for_one_and_says_who_passed() {
        let mut orders = held(12);
        orders.push((2.0, OPEN));
        orders.sort_by(|a, b| a.0.total_cmp(&b.0));
        let passes = |what: &str| format!("[[gate]]\nat_s = 3\nwhat = \"{what}\"\n");
        assert_eq!(
            told(&passes("in"), &orders, 12.0),
            ["0.0 Held", "2.0 Open", "3.9 PassedIn", "4.4 Held"]
        );
        assert_eq!(
            told(&passes("two-in"), &orders, 12.0),
            [
                "0.0 Held",
                "2.0 Open",
                "4.7 PassedIn",
                "4.7 Uninvited",
                "4.7 PassedIn",
                "5.2 Held"
            ],
            "two on one code"
        );
        assert_eq!(
            told("", &orders, 12.0),
            ["0.0 Held", "2.0 Open", "7.0 Held"],
            "nobody came"
        );
    }

    #[test]
    fn whoever_leaves_asks_nobody() {
        let leaves = "[[gate]]\nat_s = 3\nwhat = \"out\"\n";
        assert_eq!(
            told(leaves, &held(12), 12.0),
            ["0.0 Held", "3.0 Open", "3.9 PassedOut", "6.3 Held"]
        );
    }

    #[test]
    fn nothing_holds_it_in_an_emergency() {
        let fire = "[[gate]]\nat_s = 3\nfor_s = 2\nwhat = \"emergency\"\n";
        assert_eq!(
            told(fire, &held(12), 12.0),
            ["0.0 Held", "3.0 Open", "3.2 Alarm", "6.0 Held"]
        );
        let spark = "[[gate]]\nat_s = 3\nfor_s = 0.1\nwhat = \"emergency\"\n";
        assert_eq!(
            told(spark, &held(9), 9.0),
            ["0.0 Held", "3.0 Open", "3.1 Held"],
            "a spark opens it, and is no emergency"
        );
    }
}
