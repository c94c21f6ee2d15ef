//! A scripted core, a journal that fails on demand and a gateway write one log of what happened in which order.

mod room;
mod threads;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;
use crate::checkout::Decision;
use crate::checkout::decision::PaymentRequest;
use crate::checkout::payment::{
    GatewayUnavailable, IdempotencyKey, PaymentGateway, PaymentOutcome,
};
use crate::edge::gateway::{Sandbox, SandboxFaults};
use crate::edge::sqlite::DatabaseError;
use crate::observation::{GateEvent, GateObservation, NodeClock, Observation, Stamped};
use crate::units::Money;

type Events = Arc<Mutex<Vec<String>>>;

/// Answers the n-th input with the n-th list of outputs.
struct Script {
    events: Events,
    answers: VecDeque<Vec<Output>>,
}

impl Core for Script {
    fn handle(&mut self, input: Input, _: Timestamp, out: &mut Vec<Output>) {
        let heard = match input {
            Input::Observation(stamped) => format!("observation {}", stamped.stamp.sequence),
            Input::Undecodable { stamp, .. } => format!("undecodable {}", stamp.sequence),
            Input::Payment { key, outcome, .. } => format!("{} {key}", outcome.name()),
            Input::PaymentUnanswered { key, .. } => format!("no answer {key}"),
            Input::DeviceEnrolled { device, .. } => format!("enrolled {device}"),
            Input::DeviceRevoked { device } => format!("revoked {device}"),
            Input::Tick => "tick".to_owned(),
            Input::Watermark(_)
            | Input::Status(_)
            | Input::Payer { .. }
            | Input::Refund { .. }
            | Input::Verdict { .. }
            | Input::Bar { .. }
            | Input::Unbar { .. }
            | Input::EndOfRecording => unreachable!(),
        };
        self.events.lock().unwrap().push(format!("core: {heard}"));
        out.extend(self.answers.pop_front().unwrap_or_default());
    }
    fn snapshot(&self) -> Option<Vec<u8>> {
        self.events
            .lock()
            .unwrap()
            .push("core: snapshot".to_owned());
        Some(b"state".to_vec())
    }
}

/// A journal in memory; the commits counted by `good` succeed, the one after fails.
#[derive(Default)]
struct Log {
    events: Events,
    good: usize,
    /// So many of the next writes find no room.
    full: usize,
    /// After so many good commits the next one finds no room.
    full_after: Option<usize>,
    snapshot_due: bool,
    stamps: HashSet<Stamp>,
    revoked: BTreeMap<DeviceId, bool>,
}

impl Log {
    fn is_full(&mut self) -> Result<(), JournalError> {
        if self.full_after == Some(0) {
            (self.full, self.full_after) = (1, None);
        }
        self.full_after = self.full_after.map(|left| left - 1);
        if self.full == 0 {
            return Ok(());
        }
        self.full -= 1;
        self.events.lock().unwrap().push("journal: full".to_owned());
        Err(DatabaseError::Full {
            path: PathBuf::from("j.sqlite"),
            what: "journal",
            doing: "committing".to_owned(),
        }
        .into())
    }
}

impl DurableLog for Log {
    fn commit(&mut self, batch: &[Output]) -> Result<(), JournalError> {
        let kept = (batch.iter())
            .filter(|output| !matches!(output, Output::Effect(_)))
            .count();
        self.is_full()?;
        let mut events = self.events.lock().unwrap();
        if self.good == 0 {
            events.push(format!("journal: fails {kept}"));
            let path = PathBuf::from("j.sqlite");
            return Err(JournalError::Stopped { path });
        }
        self.good -= 1;
        events.push(format!("journal: keeps {kept}"));
        for output in batch {
            if let Output::Accept(stamped) = output {
                assert!(self.stamps.insert(stamped.stamp.clone()), "twice");
            }
        }
        Ok(())
    }
    fn snapshot_due(&self) -> bool {
        self.snapshot_due
    }
    fn keep_snapshot(&mut self, state: &[u8]) -> Result<(), JournalError> {
        let state = String::from_utf8(state.to_vec()).unwrap();
        self.events
            .lock()
            .unwrap()
            .push(format!("journal: snapshot {state}"));
        let path = PathBuf::from("j.sqlite");
        Err(JournalError::Stopped { path })
    }
    fn knows(&self, stamp: &Stamp) -> bool {
        self.stamps.contains(stamp)
    }
    fn committed_up_to(&self, _: &NodeName, _: &OutboxId) -> u64 {
        self.stamps.iter().map(|s| s.sequence).max().unwrap_or(0)
    }
    fn enrol_device(&mut self, device: &DeviceId, _: &[u8], _: Role) -> Result<bool, JournalError> {
        self.is_full()?;
        self.events
            .lock()
            .unwrap()
            .push(format!("journal: enrols {device}"));
        Ok(!*self.revoked.entry(device.clone()).or_insert(false))
    }
    fn revoke_device(&mut self, device: &DeviceId) -> Result<bool, JournalError> {
        self.events
            .lock()
            .unwrap()
            .push(format!("journal: revokes {device}"));
        Ok(self.revoked.insert(device.clone(), true).is_none())
    }
}

/// The sandbox, with a note of every question.
struct Noted(Events, Sandbox);

impl PaymentGateway for Noted {
    fn ask(
        &mut self,
        key: &IdempotencyKey,
        request: &PaymentRequest,
    ) -> Result<PaymentOutcome, GatewayUnavailable> {
        let answer = self.1.ask(key, request);
        let heard = match &answer {
            Ok(outcome) => outcome.name(),
            Err(_) => "no answer",
        };
        let note = format!("gateway: {} {key}, {heard}", request.name());
        self.0.lock().unwrap().push(note);
        answer
    }
}

struct Bench {
    shell: Shell<Script, Log>,
    events: Events,
    sandbox: Sandbox,
}

impl Bench {
    /// A shell whose journal does `good` commits and whose core gives those answers.
    fn new(good: usize, answers: impl IntoIterator<Item = Vec<Output>>) -> Self {
        let events = Events::default();
        let sandbox = Sandbox::in_memory().unwrap();
        let core = Script {
            events: events.clone(),
            answers: answers.into_iter().collect(),
        };
        let log = Log {
            events: events.clone(),
            good,
            ..Log::default()
        };
        let gateway = Box::new(Noted(events.clone(), sandbox.clone()));
        let mut shell = Shell::new(core, log, gateway);
        let seen = events.clone();
        shell.observe(Box::new(move |output| {
            let shown = match output {
                Output::Accept(stamped) => format!("accept {}", stamped.stamp.sequence),
                Output::Decide(_) => "decision".to_owned(),
                Output::Effect(effect) => name(effect),
            };
            seen.lock().unwrap().push(format!("observer: {shown}"));
        }));
        Bench {
            shell,
            events,
            sandbox,
        }
    }

    /// What has happened since this was last called.
    fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    fn batch(&mut self, inputs: Vec<Input>) -> Result<Vec<String>, ShellError> {
        let effects = self.shell.batch(inputs, at(0))?;
        Ok(effects.iter().map(name).collect())
    }
}

fn name(effect: &Effect) -> String {
    match effect {
        Effect::Commit { committed, .. } => format!("commit {}", committed.sequence),
        Effect::Pay { key, .. } => format!("pay {key}"),
        Effect::OpenGate { session } => format!("open {session}"),
        Effect::ReleaseGate => "release".to_owned(),
        Effect::Receipt(receipt) => format!("receipt {}", receipt.session),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

fn stamp(sequence: u64) -> Stamp {
    Stamp {
        node: "pi".into(),
        outbox: "box".into(),
        sequence,
    }
}

fn stamped(sequence: u64) -> Arc<Stamped> {
    Arc::new(Stamped {
        stamp: stamp(sequence),
        clock: NodeClock {
            boot: "boot".into(),
            monotonic_us: 0,
            wall_us: at(0),
            error_us: 0,
        },
        observation: Observation::Gate(GateObservation {
            at: at(0),
            event: GateEvent::PassedIn,
        }),
    })
}

fn decide() -> Output {
    Output::Decide(Decision::FrontierAdvanced { to: at(0) })
}

fn pay(key: &str) -> Output {
    Output::Effect(Effect::Pay {
        session: "s".into(),
        key: key.into(),
        request: PaymentRequest::Authorise {
            amount: Money::new(5000, "EUR".parse().unwrap()),
            payer: None,
        },
    })
}

fn open(session: &str) -> Output {
    Output::Effect(Effect::OpenGate {
        session: session.into(),
    })
}

#[test]
fn a_batch_is_one_commit_and_each_round_of_payment_is_one_more() {
    let answers = [
        vec![
            Output::Accept(stamped(1)),
            decide(),
            pay("k1"),
            open("early"),
        ],
        vec![decide(), open("second")],
        vec![decide(), pay("k2"), open("third")],
        vec![open("no entry to keep")],
    ];
    let mut bench = Bench::new(9, answers);
    let effects = bench
        .batch(vec![Input::Observation(stamped(1)), Input::Tick])
        .unwrap();
    assert_eq!(
        effects,
        [
            "open early",
            "open second",
            "open third",
            "open no entry to keep"
        ]
    );
    assert_eq!(
        bench.events(),
        [
            "core: observation 1",
            "core: tick",
            "journal: keeps 3",
            "observer: accept 1",
            "observer: decision",
            "observer: pay k1",
            "gateway: authorise k1, done",
            "core: done k1",
            "observer: open early",
            "observer: decision",
            "observer: open second",
            "journal: keeps 1",
            "observer: decision",
            "observer: pay k2",
            "gateway: authorise k2, done",
            "core: done k2",
            "observer: open third",
            "journal: keeps 0",
            "observer: open no entry to keep",
        ]
    );
}

#[test]
fn nothing_happens_before_it_is_kept_nor_ever_after_a_failure() {
    let mut bench = Bench::new(0, [vec![decide(), pay("k1"), open("s")]]);
    let error = bench.batch(vec![Input::Tick]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the store stops, for what it decides can't be kept: j.sqlite: the journal takes nothing more after an error; restart stroll"
    );
    assert_eq!(bench.events(), ["core: tick", "journal: fails 1"]);
    for error in [
        bench.batch(vec![Input::Tick]).unwrap_err(),
        bench.shell.retry(at(99)).unwrap_err(),
    ] {
        assert!(matches!(error, ShellError::Stopped { .. }), "{error}");
    }
    assert!(bench.events().is_empty());
    assert!(bench.sandbox.ledger().unwrap().is_empty());
}

#[test]
fn a_failure_after_an_answer_stops_before_the_next_question() {
    let answers = [vec![decide(), pay("k1")], vec![decide(), pay("k2")]];
    let mut bench = Bench::new(1, answers);
    bench.batch(vec![Input::Tick]).unwrap_err();
    let asked: Vec<_> = (bench.events().into_iter())
        .filter(|event| event.starts_with("gateway"))
        .collect();
    assert_eq!(asked, ["gateway: authorise k1, done"]);
}

#[test]
fn an_unanswered_question_is_asked_again_under_its_key_when_it_is_due() {
    let answers = [
        vec![decide(), pay("k1"), open("s")],
        vec![],
        vec![pay("k1")],
        vec![],
        vec![decide(), open("t")],
    ];
    let mut bench = Bench::new(9, answers);
    bench.sandbox.set_faults(SandboxFaults {
        lose_answer_next: 2,
        ..SandboxFaults::default()
    });
    assert_eq!(bench.batch(vec![Input::Tick]).unwrap(), ["open s"]);
    assert_eq!(bench.shell.next_retry_at(), Some(at(1)));
    // A core that says it again doesn't make it asked before its time.
    assert!(bench.batch(vec![Input::Tick]).unwrap().is_empty());
    for (second, pending) in [(0, 1), (1, 1), (2, 1), (3, 0), (99, 0)] {
        bench.shell.retry(at(second)).unwrap();
        assert_eq!(bench.shell.pending(), pending, "{second}");
    }
    let events = bench.events();
    let asked: Vec<_> = (events.iter())
        .filter(|e| e.starts_with("gateway"))
        .collect();
    assert_eq!(
        asked,
        [
            "gateway: authorise k1, no answer",
            "gateway: authorise k1, no answer",
            "gateway: authorise k1, done",
        ]
    );
    let tail = [
        "core: done k1",
        "journal: keeps 1",
        "observer: decision",
        "observer: open t",
    ];
    assert_eq!(events[events.len() - 4..], tail);
    assert_eq!(bench.sandbox.ledger().unwrap().len(), 1);
}

#[test]
fn after_a_restart_a_question_is_taken_up() {
    let mut bench = Bench::new(9, [vec![decide(), open("s")]]);
    let Output::Effect(Effect::Pay {
        session,
        key,
        request,
    }) = pay("k1")
    else {
        unreachable!()
    };
    bench.shell.resume(Question {
        session,
        key,
        request,
    });
    assert_eq!(bench.shell.pending(), 1);
    let effects = bench.shell.retry(at(0)).unwrap();
    assert_eq!(effects.iter().map(name).collect::<Vec<_>>(), ["open s"]);
    assert_eq!(bench.shell.pending(), 0);
}

#[test]
fn a_core_that_asks_for_ever_is_put_off() {
    let answers = (0..100).map(|n| vec![decide(), pay(&format!("k{n}"))]);
    let mut bench = Bench::new(1000, answers);
    bench.batch(vec![Input::Tick]).unwrap();
    assert_eq!(bench.sandbox.ledger().unwrap().len(), ROUNDS_MAX);
    assert_eq!(bench.shell.pending(), 1);
}

#[test]
fn a_repeated_stamp_does_not_reach_the_core_and_its_node_is_told_again() {
    let answers = [
        vec![Output::Accept(stamped(1))],
        vec![Output::Accept(stamped(2)), decide()],
    ];
    let mut bench = Bench::new(9, answers);
    let first = [1, 1, 2].map(|n| Input::Observation(stamped(n)));
    assert!(bench.batch(first.into()).unwrap().is_empty());
    assert_eq!(
        bench.events()[..3],
        [
            "core: observation 1",
            "core: observation 2",
            "journal: keeps 3"
        ]
    );
    let again = vec![
        Input::Observation(stamped(1)),
        Input::Undecodable {
            stamp: stamp(2),
            reason: "no JSON".into(),
        },
        Input::Observation(stamped(3)),
    ];
    assert_eq!(bench.batch(again).unwrap(), ["commit 2"]);
    assert_eq!(bench.events(), ["core: observation 3"]);
}

#[test]
fn a_key_is_kept_before_the_core_hears_of_it_and_a_revoked_one_never_is() {
    let mut bench = Bench::new(9, []);
    let device = || DeviceId::from("phone");
    let enrol = || Input::DeviceEnrolled {
        device: device(),
        key: b"key".to_vec(),
        role: Role::Shopper,
    };
    let revoke = Input::DeviceRevoked { device: device() };
    bench.batch(vec![enrol(), revoke, enrol()]).unwrap();
    assert_eq!(
        bench.events(),
        [
            "journal: enrols phone",
            "core: enrolled phone",
            "journal: revokes phone",
            "core: revoked phone",
            "journal: enrols phone",
        ]
    );
}
