//! A coordinator with a journal in memory and a gateway, and the scripts that it is told.
//!
//! A script has one step a line. Steps that are told begin with the event time in seconds; a line that begins with
//! `=` says what must be so by then.
//!
//! | Step | What it tells |
//! |---|---|
//! | `1 see ann 1.1.1 [2]` | body `ann` has a hand at that plate (or is at the `door`, or in the `aisle`) for so many seconds |
//! | `1 take 1.1.1 500`, `put`, `touch` | so many grams left or came |
//! | `1 code phone`, `1 code phone forged` | an entry code, made at that moment with the right or a wrong key |
//! | `9 gap left 2 8 full 3` | that node says that it dropped so many observations between two times |
//! | `9 gap left 2 8 off 1.1.1 -500` | it was off, and so many grams came to a plate meanwhile |
//! | `9 trouble left full`, `9 trouble left` | that node says that it is in trouble; that it is not any more |
//! | `9 bar emergency`, `9 unbar closed` | an operator presses a button |
//! | `lost left`, `renew left` | its next observation never comes; it goes on with a new outbox |
//! | `1 same-code` | the last code once more |
//! | `1 in`, `1 out` | somebody passed the gate |
//! | `9 mark`, `9 mark left`, `9 mark but left` | nodes promise that time |
//! | `9 open left 1.1 8` | that node promises it with that shelf open since then |
//! | `9 stuck left 2` | that node promises 2 s once more, when it is 9 |
//! | `9 tick`, `9 end` | wall time went on; the recording is over |
//! | `9 verdict ann cola*1`, `9 verdict nobody` | an operator decides the first open review |
//! | `gateway slow`, `gateway away`, `gateway answers`, `gateway declines capture`, `gateway lapses capture` | how the gateway is from now on |
//! | `agreed phone` | whose phone it is has agreed to a second charge |
//! | `refund ann 100` | somebody wants that much given back |
//! | `again` | everything comes once more |
//! | `crash` | the coordinator starts again from its journal |

mod showing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use showing::name_of;

use super::store;
use crate::checkout::decision::{Decision, PaymentRequest};
use crate::checkout::entry_code::EntryCode;
use crate::checkout::payment::{IdempotencyKey, PaymentOutcome};
use crate::checkout::receipt::Receipt;
use crate::checkout::session::{Role, SessionId};
use crate::coordinator::{Coordinator, Effect, Input, Output};
use crate::observation::{DeviceId, GateEvent, Item, Observation, OpenInterval, OutboxId, Stamped};
use crate::store::{Definition, NodeName};
use crate::units::{Money, Timestamp};

mod faults;

pub const KEY: &[u8] = b"0123456789abcdef";

/// Every phone that is enrolled.
const DEVICES: [(&str, Role); 3] = [
    ("phone", Role::Shopper),
    ("tablet", Role::Shopper),
    ("badge", Role::Staff),
];

/// What the journal keeps of the outputs.
#[derive(Clone, Debug)]
pub enum Kept {
    Accepted(Arc<Stamped>),
    Decided(Decision),
}

/// How the gateway is.
#[derive(Clone, Debug, PartialEq)]
enum Gateway {
    Answers,
    Slow,
    /// It cannot be asked, and says so at once.
    Away,
    Declines(String),
    Lapses(String),
}

pub struct Bench {
    definition: Arc<Definition>,
    nodes: Vec<NodeName>,
    pub core: Coordinator,
    pub journal: Vec<Kept>,
    /// Every question to the gateway, as often as it was asked.
    pub asked: Vec<(SessionId, IdempotencyKey, PaymentRequest)>,
    pub receipts: Vec<Receipt>,
    pub gates_opened: usize,
    pub gate_released: bool,
    unanswered: VecDeque<(SessionId, IdempotencyKey, PaymentRequest)>,
    /// Asked while the gateway was away.
    in_vain: Vec<(SessionId, IdempotencyKey, PaymentRequest)>,
    gateway: Gateway,
    agreed: BTreeSet<DeviceId>,
    sequences: BTreeMap<NodeName, u64>,
    /// How often each node was given a new outbox.
    renewed: BTreeMap<NodeName, u32>,
    told: Vec<(Input, Timestamp)>,
    last_code: String,
    /// Snapshots as they would be kept, each with the length of the journal then; one in [`SNAPSHOT_EVERY`] inputs.
    snapshots: Vec<(usize, String)>,
    handled: usize,
}

/// Often enough that most crashes have several behind them, and each with entries after it.
const SNAPSHOT_EVERY: usize = 7;

impl Bench {
    pub fn new(definition: Arc<Definition>, nodes: &[&str]) -> Self {
        let nodes: Vec<NodeName> = nodes.iter().map(|&n| n.into()).collect();
        let mut bench = Bench {
            core: Coordinator::new(definition.clone(), &nodes),
            definition,
            nodes,
            journal: Vec::new(),
            asked: Vec::new(),
            receipts: Vec::new(),
            gates_opened: 0,
            gate_released: false,
            unanswered: VecDeque::new(),
            in_vain: Vec::new(),
            gateway: Gateway::Answers,
            agreed: BTreeSet::new(),
            sequences: BTreeMap::new(),
            renewed: BTreeMap::new(),
            told: Vec::new(),
            last_code: String::new(),
            snapshots: Vec::new(),
            handled: 0,
        };
        bench.enrol();
        bench
    }

    fn enrol(&mut self) {
        for (device, role) in DEVICES {
            let (device, key) = (DeviceId::from(device), KEY.to_vec());
            let enrolled = Input::DeviceEnrolled { device, key, role };
            self.handle(enrolled, store::at(0.0));
        }
    }

    /// Tells the coordinator something and does what it wants, until it wants nothing more.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        let mut out = Vec::new();
        self.core.handle(input, now, &mut out);
        self.perform(out, now);
        self.handled += 1;
        if self.handled.is_multiple_of(SNAPSHOT_EVERY) {
            let kept = serde_json::to_string(&self.core.snapshot()).unwrap();
            self.snapshots.push((self.journal.len(), kept));
        }
    }

    fn perform(&mut self, out: Vec<Output>, now: Timestamp) {
        for output in out {
            match output {
                Output::Accept(stamped) => self.journal.push(Kept::Accepted(stamped)),
                Output::Decide(decision) => self.journal.push(Kept::Decided(decision)),
                Output::Effect(Effect::Commit { .. }) => {}
                Output::Effect(Effect::OpenGate { .. }) => self.gates_opened += 1,
                Output::Effect(Effect::ReleaseGate) => self.gate_released = true,
                Output::Effect(Effect::Receipt(receipt)) => self.receipts.push(receipt),
                Output::Effect(Effect::Pay {
                    session,
                    key,
                    request,
                }) => {
                    self.asked
                        .push((session.clone(), key.clone(), request.clone()));
                    self.unanswered.push_back((session, key, request));
                }
            }
        }
        self.answer(now);
    }

    /// Lets the gateway answer, unless it is slow. It stands by what it once said under a key.
    fn answer(&mut self, now: Timestamp) {
        while self.gateway != Gateway::Slow {
            let Some((session, key, request)) = self.unanswered.pop_front() else {
                return;
            };
            let id = match &request {
                PaymentRequest::Authorise { .. } => format!("hold of {session}"),
                PaymentRequest::Charge { .. } => format!("charge of {session}"),
                PaymentRequest::Capture { authorisation, .. }
                | PaymentRequest::Void { authorisation }
                | PaymentRequest::Refund { authorisation, .. } => authorisation.clone(),
            };
            let outcome = match &self.gateway {
                Gateway::Away => {
                    let why = "no route".to_owned();
                    self.in_vain.push((session.clone(), key.clone(), request));
                    self.handle(Input::PaymentUnanswered { session, key, why }, now);
                    continue;
                }
                Gateway::Declines(what) if *what == request.name() => PaymentOutcome::Declined {
                    reason: "no funds".into(),
                },
                Gateway::Lapses(what) if *what == request.name() => PaymentOutcome::Lapsed {
                    reason: "too old".into(),
                },
                Gateway::Answers | Gateway::Declines(_) | Gateway::Lapses(_) | Gateway::Slow => {
                    PaymentOutcome::Done { authorisation: id }
                }
            };
            let answer = Input::Payment {
                session,
                key,
                outcome,
            };
            self.handle(answer, now);
        }
    }

    /// Starts again from the journal; what the gateway had not answered is asked again. Early and late snapshots lead to
    /// the same, and the store goes on from the last one.
    pub fn crash(&mut self) {
        let (core, out) = self.restored(None);
        let asked = |out: &[Output]| format!("{out:?}");
        let expected = (comparable(&core), asked(&out));
        (self.core, self.unanswered) = (core, VecDeque::new());
        let mut last = out;
        let kept = self.snapshots.len();
        let compared: BTreeSet<usize> = [0, kept / 2, kept.saturating_sub(1)].into();
        let compared = compared.into_iter().filter_map(|i| self.snapshots.get(i));
        for (length, kept) in compared.cloned().collect::<Vec<_>>() {
            let (core, out) = self.restored(Some((length, &kept)));
            assert_eq!((comparable(&core), asked(&out)), expected, "from {length}");
            (self.core, last) = (core, out);
        }
        self.in_vain.clear();
        for device in self.agreed.clone() {
            let second_charge = true;
            self.handle(
                Input::Payer {
                    device,
                    second_charge,
                },
                store::at(0.0),
            );
        }
        self.perform(last, store::at(0.0));
    }

    /// What the journal gives: all of it, or what came after a snapshot.
    fn restored(&self, snapshot: Option<(usize, &str)>) -> (Coordinator, Vec<Output>) {
        let (mut core, waiting, length) = match snapshot {
            None => (
                Coordinator::new(self.definition.clone(), &self.nodes),
                Vec::new(),
                0,
            ),
            Some((length, kept)) => {
                let kept = serde_json::from_str(kept).unwrap();
                let (core, waiting, _) =
                    Coordinator::from_snapshot(self.definition.clone(), &self.nodes, kept);
                (core, waiting, length)
            }
        };
        let (before, after) = self.journal.split_at(length);
        for kept in after {
            if let Kept::Decided(decision) = kept {
                core.restore_decision(decision);
            }
        }
        for kept in before {
            if let Kept::Accepted(stamped) = kept {
                core.restore_poses(stamped);
                if waiting.contains(&stamped.stamp) {
                    core.restore_waiting(stamped.clone());
                }
            }
        }
        for kept in after {
            if let Kept::Accepted(stamped) = kept {
                core.restore_observation(stamped.clone());
            }
        }
        let mut out = Vec::new();
        for (device, role) in DEVICES {
            core.restore_device(device.into(), KEY.to_vec(), role, false);
        }
        core.resume(&mut out);
        (core, out)
    }

    /// Runs a script; the lines that do not hold, with what is so instead.
    pub fn run(&mut self, script: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
            match line.strip_prefix('=').map(str::trim) {
                None => self.step(line),
                Some(expected) => {
                    let found = self.shown();
                    if !found.iter().any(|line| line == expected) {
                        wrong.push(format!("`{expected}`, but {found:?}"));
                    }
                }
            }
        }
        wrong
    }

    fn step(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if self.control(&words) {
            return;
        }
        let t: f64 = words[0]
            .parse()
            .unwrap_or_else(|_| panic!("no step: {line}"));
        match words[1..] {
            ["see", who, place] => self.see(who, t, place, 1.0),
            ["see", who, place, seconds] => self.see(who, t, place, seconds.parse().unwrap()),
            ["take", plate, grams] => self.change(t, plate, -grams.parse::<f64>().unwrap()),
            ["put", plate, grams] => self.change(t, plate, grams.parse().unwrap()),
            ["touch", plate] => self.change(t, plate, 0.0),
            ["code", device] => self.show_code(t, device, KEY),
            ["code", device, "forged"] => self.show_code(t, device, b"another key"),
            ["same-code"] => self.show(t, self.last_code.clone()),
            ["in"] => self.send("gate", store::gate(t, GateEvent::PassedIn)),
            ["out"] => self.send("gate", store::gate(t, GateEvent::PassedOut)),
            ["mark"] => self.mark(t, |_| true),
            ["mark", "but", node] => self.mark(t, |n| n.as_str() != node),
            ["mark", node] => self.mark(t, |n| n.as_str() == node),
            ["open", node, shelf, since] => self.open(t, node, shelf, since.parse().unwrap()),
            ["stuck", node, at] => self.promise(t, node.into(), at.parse().unwrap(), vec![]),
            ["gap", node, from, to, ref rest @ ..] => self.gap(t, node, (from, to), rest),
            ["trouble", node, ref what @ ..] => self.status(t, node, &what.join(" ")),
            ["bar", what] => self.tell(faults::bar(what), t),
            ["unbar", what] => self.tell(faults::unbar(what), t),
            ["tick"] => self.tell(Input::Tick, t),
            ["end"] => self.tell(Input::EndOfRecording, t),
            ["verdict", who, ref items @ ..] => self.verdict(t, who, items),
            _ => panic!("no step: {line}"),
        }
    }

    /// Steps without a time.
    fn control(&mut self, words: &[&str]) -> bool {
        match words {
            ["gateway", how @ ..] => {
                self.gateway = match how {
                    ["slow"] => Gateway::Slow,
                    ["away"] => Gateway::Away,
                    ["answers"] => Gateway::Answers,
                    ["declines", what] => Gateway::Declines((*what).to_owned()),
                    ["lapses", what] => Gateway::Lapses((*what).to_owned()),
                    other => panic!("no gateway: {other:?}"),
                };
                if self.gateway != Gateway::Away {
                    self.unanswered.extend(self.in_vain.drain(..));
                }
                self.answer(store::at(0.0));
            }
            ["agreed", device] => {
                self.agreed.insert((*device).into());
                let (device, second_charge) = ((*device).into(), true);
                self.handle(
                    Input::Payer {
                        device,
                        second_charge,
                    },
                    store::at(0.0),
                );
            }
            ["refund", who, minor] => {
                let sessions = &self.core.state().sessions;
                let session = sessions.values().find(|s| name_of(s) == *who).unwrap();
                let session = session.id.clone();
                let amount = Money::new(minor.parse().unwrap(), self.definition.currency);
                let by = "op".to_owned();
                self.handle(
                    Input::Refund {
                        session,
                        by,
                        amount,
                    },
                    store::at(0.0),
                );
            }
            ["again"] => {
                for (input, now) in self.told.clone() {
                    self.handle(input, now);
                }
            }
            ["crash"] => self.crash(),
            ["lost", node] => *self.sequences.entry((*node).into()).or_default() += 1,
            ["renew", node] => {
                self.sequences.remove(&NodeName::from(*node));
                *self.renewed.entry((*node).into()).or_default() += 1;
            }
            _ => return false,
        }
        true
    }

    fn tell(&mut self, input: Input, t: f64) {
        self.told.push((input.clone(), store::at(t)));
        self.handle(input, store::at(t));
    }

    /// Sends an observation with the node's next stamp.
    fn send(&mut self, node: &str, observation: Observation) {
        let t = store::seconds(observation.end());
        self.send_at(t, node, observation);
    }

    fn send_at(&mut self, t: f64, node: &str, observation: Observation) {
        let sequence = self.sequences.entry(node.into()).or_default();
        *sequence += 1;
        let mut stamped = store::stamped(node, *sequence, observation);
        if let Some(fresh) = Arc::get_mut(&mut stamped) {
            fresh.stamp.outbox = self.outbox(&node.into());
        }
        self.tell(Input::Observation(stamped), t);
    }

    fn outbox(&self, node: &NodeName) -> OutboxId {
        let generation = self.renewed.get(node);
        let suffix = generation.map_or(String::new(), |n| format!("-{n}"));
        format!("outbox-{node}{suffix}").as_str().into()
    }

    fn see(&mut self, who: &str, t: f64, place: &str, seconds: f64) {
        for half in 0..(2.0 * seconds) as u32 {
            let segment = store::body(who, t + 0.5 * f64::from(half), place);
            self.send("ceiling", segment);
        }
    }

    fn change(&mut self, t: f64, plate: &str, grams: f64) {
        let plate = plate.parse().unwrap();
        self.send(store::node_of(plate), store::change(plate, t, grams));
    }

    fn show_code(&mut self, t: f64, device: &str, key: &[u8]) {
        let code = EntryCode::mint("corner", &device.into(), key, store::at(t)).unwrap();
        self.last_code = code.to_string();
        self.show(t, self.last_code.clone());
    }

    fn show(&mut self, t: f64, code: String) {
        self.send("gate", store::gate(t, GateEvent::CodeShown { code }));
    }

    fn mark(&mut self, t: f64, which: impl Fn(&NodeName) -> bool) {
        for node in self.nodes.clone().into_iter().filter(which) {
            self.promise(t, node, t, vec![]);
        }
    }

    fn open(&mut self, t: f64, node: &str, shelf: &str, since: f64) {
        let open = OpenInterval {
            shelf: shelf.parse().unwrap(),
            since: store::at(since),
        };
        self.promise(t, node.into(), t, vec![open]);
    }

    fn promise(&mut self, t: f64, node: NodeName, at: f64, open: Vec<OpenInterval>) {
        let sequence = self.sequences.get(&node).copied().unwrap_or(0);
        let mut watermark = store::watermark(&node, sequence, store::at(at), open);
        watermark.outbox = self.outbox(&node);
        self.tell(Input::Watermark(watermark), t);
    }

    fn verdict(&mut self, t: f64, who: &str, items: &[&str]) {
        let review = self.core.state().reviews.keys().next().unwrap().clone();
        let session = self
            .core
            .state()
            .sessions
            .values()
            .find(|s| name_of(s) == who);
        let items = (items.iter())
            .map(|item| {
                let (product, quantity) = item.split_once('*').unwrap();
                Item {
                    product: product.into(),
                    quantity: quantity.parse().unwrap(),
                }
            })
            .collect();
        let verdict = Input::Verdict {
            review,
            by: "op".into(),
            session: match who {
                "nobody" => None,
                "stranger" => Some("s-unknown".into()),
                _ => Some(session.unwrap().id.clone()),
            },
            items,
        };
        self.tell(verdict, t);
    }
}

/// What is the same however a store was restored. A snapshot knows more than the decisions in two ways: up to when
/// everything was decided, though nothing followed; and so which bodies wait no more.
fn comparable(core: &Coordinator) -> serde_json::Value {
    let mut kept = serde_json::to_value(core.snapshot()).unwrap();
    kept["state"]["frontier"].take();
    kept["waiting"].take();
    kept["visits"].take();
    kept
}
