//! A day played by real processes, and the auditor of `stroll torture` who looks at what they leave behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use stroll::checkout::Decision;
use stroll::checkout::decision::AttributionVerdict;
use stroll::checkout::session::SessionId;
use stroll::coordinator::{Coordinator, State};
use stroll::edge::gateway::Sandbox;
use stroll::edge::journal::{Archive, Journal};
use stroll::edge::outbox::Outbox;
use stroll::edge::recording::{self, OpenOptions};
use stroll::edge::shell::Shell;
use stroll::observation::{DeviceId, Observation, Stamp};
use stroll::store::NodeName;
use stroll::torture::Person;
use stroll::torture::auditor::{self, Evidence, Totals};
use stroll::units::Timestamp;

use crate::corner;
use crate::day::Day;
use crate::program::{arg, replayed};

/// Seeds that are tried, at most, until a day is as it should be.
const TRIES: u64 = 30;

/// A day of which an undisturbed replay makes exactly what people took, with nothing left to a person: whatever else
/// comes of it is due to what was done to the processes.
pub struct Audited {
    pub day: Day,
    /// What is charged, by shopper's track.
    pub expected: Value,
    people: Vec<Person>,
}

impl Audited {
    /// The first such day from that seed on.
    pub fn from(toml: &str, seed: u64, shoppers: u32) -> Self {
        let mut days = (seed..seed + TRIES).map(|seed| Day::new(toml.to_owned(), seed, shoppers));
        days.find_map(Self::of)
            .expect("a day on which nobody is in doubt")
    }

    fn of(day: Day) -> Option<Self> {
        let undisturbed = day.path("undisturbed.sqlite");
        replayed(&[arg(&day.path("day.mcap")), "--journal", arg(&undisturbed)]);
        let decisions = decisions(&undisturbed, &day);
        let is_doubt = |decision: &Decision| match decision {
            Decision::Attributed(a) | Decision::Revised(a) => {
                matches!(a.verdict, AttributionVerdict::Review { .. })
            }
            other => matches!(
                other,
                Decision::Unwatched(_) | Decision::CorrectionProposed { .. } | Decision::Gap { .. }
            ),
        };
        let people = people(&day, &decisions);
        let is_true = people.iter().all(|person| {
            let receipts = decisions.iter().filter_map(|decision| match decision {
                Decision::ReceiptIssued { receipt } => Some(receipt),
                _ => None,
            });
            let mut charged = BTreeMap::new();
            receipts
                .filter(|receipt| receipt.track.as_ref() == Some(&person.track))
                .flat_map(|receipt| &receipt.lines)
                .for_each(|line| {
                    *charged.entry(line.product.clone()).or_default() += i64::from(line.quantity);
                });
            charged == person.took
        });
        (is_true && !decisions.iter().any(is_doubt)).then(|| Audited {
            expected: day.charged(),
            people,
            day,
        })
    }

    /// Looks at a journal and the ledger beside it, and at the outboxes of all nodes, all of them closed. It panics with
    /// what is wrong: a rule broken, or anything that went to review.
    #[track_caller]
    pub fn audit(&self, journal: &Path, outboxes: &[(String, PathBuf)], again: &str) -> Totals {
        let definition = corner::definition(&self.day.toml);
        let chain = Archive::open(journal).and_then(|archive| archive.verify(None));
        let sandbox = Sandbox::open(&journal.with_extension("sandbox.sqlite")).expect("a ledger");
        let ledger = sandbox.ledger().expect("it can be read");
        let nodes: Vec<NodeName> = (definition.layout.nodes.iter())
            .map(|node| node.name.clone())
            .collect();
        let opened = Journal::open(journal, &definition).expect("a journal");
        let (shell, _) =
            Shell::open(opened, &definition, &nodes, Box::new(sandbox)).expect("the store opens");
        let decisions: Vec<Decision> = (shell.log().decisions().expect("read").into_iter())
            .map(|recorded| recorded.decision)
            .collect();
        let observations: Vec<_> = (shell.log().observations())
            .map(|stamped| stamped.expect("read"))
            .collect();
        let mut folded = State::new(definition.clone());
        decisions.iter().for_each(|decision| folded.apply(decision));
        folded.frontier = Timestamp::MIN;
        let outboxes: Vec<Outbox> = outboxes
            .iter()
            .map(|(name, path)| {
                Outbox::open(path, &NodeName::from(name.as_str())).expect("an outbox")
            })
            .collect();
        let made = made(&outboxes);
        let is_told = |outbox: &Outbox| outbox.committed_sequence() == outbox.last_sequence();
        let is_settled = shell.pending() == 0
            && shell.core().state().active.is_empty()
            && outboxes.iter().all(is_told);
        let evidence = Evidence {
            definition: &definition,
            people: &self.people,
            decisions: &decisions,
            observations: &observations,
            ledger: &ledger,
            made: made.iter().collect(),
            replaced: BTreeSet::new(),
            words: (outboxes.iter())
                .map(|o| ((o.node(), o.id()), o.committed_sequence()))
                .collect(),
            is_settled,
            is_calm: true,
            chain_error: chain.err().map(|error| error.to_string()),
            replay_differs: state(&shell) != format!("{folded:?}"),
        };
        let (totals, findings) = auditor::audit(&evidence);
        assert_eq!(findings, [""; 0], "{again}");
        totals
    }
}

/// What a store has decided. What time has gone by is in no decision.
fn state(shell: &Shell<Coordinator>) -> String {
    let mut state = shell.core().state().clone();
    state.frontier = Timestamp::MIN;
    format!("{state:?}")
}

/// What nodes have stamped: outboxes keep it for a day.
fn made(outboxes: &[Outbox]) -> BTreeMap<Stamp, Vec<Observation>> {
    let held = outboxes.iter().flat_map(|outbox| {
        let held = outbox.pending(0, 1_000_000).expect("it can be read");
        assert_eq!(held.len() as u64, outbox.last_sequence(), "all of it");
        held
    });
    held.map(|stamped| (stamped.stamp, vec![stamped.observation]))
        .collect()
}

pub fn decisions(journal: &Path, day: &Day) -> Vec<Decision> {
    let journal = Journal::open(journal, &corner::definition(&day.toml)).expect("a journal");
    let decisions = journal.decisions().expect("it can be read");
    decisions.into_iter().map(|r| r.decision).collect()
}

/// What everybody really took. Which phone was in whose pocket only the sessions say.
fn people(day: &Day, decisions: &[Decision]) -> Vec<Person> {
    let options = OpenOptions {
        partial: false,
        definition: None,
    };
    let recording = recording::open(&day.path("day.mcap"), &options).expect("a recording");
    let truth = recording.truth.expect("a simulated day has its truth");
    let ends = recording.records.first().zip(recording.records.last());
    let inside = ends.map(|(first, last)| (first.at(), last.at()));
    let mut devices: BTreeMap<&SessionId, &DeviceId> = BTreeMap::new();
    let mut phones = BTreeMap::new();
    for decision in decisions {
        match decision {
            Decision::SessionOpened {
                session,
                device: Some(device),
                ..
            } => {
                devices.insert(session, device);
            }
            Decision::ReceiptIssued { receipt } => {
                let device = devices.get(&receipt.session);
                phones.extend(receipt.track.as_ref().zip(device.copied()));
            }
            _ => {}
        }
    }
    (truth.receipts.into_iter())
        .filter_map(|receipt| {
            let device = DeviceId::clone(phones.get(&receipt.target_id)?);
            let lines = receipt.products.into_iter();
            let took = lines.map(|line| (line.barcode, i64::from(line.quantity)));
            let took = took.collect();
            Some(Person::who_took(device, receipt.target_id, took, inside?))
        })
        .collect()
}
