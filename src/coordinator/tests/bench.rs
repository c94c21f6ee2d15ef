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

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::store;
use crate::checkout::decision::{Decision, PaymentRequest};
use crate::checkout::payment::{IdempotencyKey, PaymentOutcome};
use crate::checkout::receipt::Receipt;
use crate::checkout::session::{Role, SessionId};
use crate::coordinator::{Coordinator, Effect, Input, Output};
use crate::observation::{DeviceId, Stamped};
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

mod faults;
mod script;
mod showing;

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
