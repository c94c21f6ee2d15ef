//! The journal from outside: an old one is still read, and a killed process loses nothing that it was told is kept.

mod command;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use stroll::checkout::decision::{
    Attributed, AttributionVerdict, Decision, Hypothesis, PaymentRequest,
};
use stroll::checkout::payment::{PaymentGateway, PaymentOutcome};
use stroll::checkout::receipt::{Paid, Receipt, ReceiptLine};
use stroll::checkout::session::Role;
use stroll::coordinator::Output;
use stroll::edge::gateway::Sandbox;
use stroll::edge::journal::{Archive, Device, Journal};
use stroll::observation::{
    BodySegment, ChangeKind, GateEvent, GateObservation, Item, ItemLikelihood, NodeClock,
    Observation, PlateChange, Pose, ShelfObservation, Sighting, Stamp, Stamped,
};
use stroll::store::{Catalogue, Definition, Layout, Planogram, Policy, ShelfId};
use stroll::units::{Currency, Milligrams, Money, Point, Timestamp};

/// Names the folder in which a child of the crash test works.
const CRASH_FOLDER: &str = "STROLL_TEST_CRASH_FOLDER";

fn shop() -> Definition {
    let currency: Currency = "EUR".parse().unwrap();
    Definition {
        id: "fixture".to_owned(),
        name: "The store of the fixture".to_owned(),
        currency,
        policy: Policy::default_in(currency),
        catalogue: Catalogue::default(),
        planogram: Planogram::default(),
        layout: Layout::default(),
        hash: "5d41402abc4b2a76b9719d911017c592".to_owned(),
    }
}

fn eur(minor: i64) -> Money {
    Money::new(minor, shop().currency)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp((1_600_000_000 + seconds) * 1_000_000)
}

fn stamp(sequence: u64) -> Stamp {
    Stamp {
        node: "gondola-1".into(),
        outbox: "7f3a".into(),
        sequence,
    }
}

fn stamped(sequence: u64, observation: Observation) -> Stamped {
    Stamped {
        stamp: stamp(sequence),
        clock: NodeClock {
            boot: "b1".to_owned(),
            monotonic_us: 1_000_000 * sequence,
            wall_us: observation.end(),
            error_us: 500,
        },
        observation,
    }
}

fn gate(seconds: i64, event: GateEvent) -> Observation {
    Observation::Gate(GateObservation {
        at: at(seconds),
        event,
    })
}

fn items() -> Vec<Item> {
    vec![Item {
        product: "071142008582".into(),
        quantity: 1,
    }]
}

fn shelf() -> ShelfId {
    "1.5".parse().unwrap()
}

/// One observation of each kind: somebody enters, reaches, takes one thing and leaves.
fn observations() -> Vec<Stamped> {
    let hand = Sighting {
        place: Point {
            x: 0.25,
            y: -0.125,
            z: 1.5,
        },
        confidence: 0.875,
    };
    let code = "STROLL1.phone.53333333.00".to_owned();
    let reach = Observation::Body(BodySegment {
        track: "t1".into(),
        start: at(10),
        end: at(11),
        poses: vec![Pose {
            at: at(10),
            head: None,
            hands: vec![hand],
        }],
    });
    let take = Observation::Shelf(ShelfObservation {
        shelf: shelf(),
        start: at(10),
        peak: at(11),
        peak_error_us: 0,
        stood: None,
        end: at(12),
        kind: ChangeKind::Take,
        plates: vec![PlateChange {
            plate: 11,
            delta_mg: Milligrams(-623_100),
            sigma_mg: Milligrams(900),
        }],
        likelihoods: vec![ItemLikelihood {
            items: items(),
            log_likelihood_milli: -1234,
        }],
        evidence: vec!["e1".to_owned()],
    });
    vec![
        stamped(1, gate(0, GateEvent::CodeShown { code })),
        stamped(2, gate(1, GateEvent::PassedIn)),
        stamped(3, reach),
        stamped(4, take),
        stamped(6, gate(30, GateEvent::PassedOut)),
    ]
}

fn receipt() -> Receipt {
    Receipt {
        session: "s1".into(),
        track: Some("t1".into()),
        entered_at: at(0),
        exited_at: at(30),
        lines: vec![ReceiptLine {
            product: "071142008582".into(),
            name: "Lemonade".to_owned(),
            quantity: 1,
            mass_mg: None,
            amount: eur(249),
            tax: eur(16),
            tax_basis_points: 700,
        }],
        total: eur(249),
        tax: eur(16),
        paid: Paid::Captured,
        owed: None,
    }
}

fn attributed() -> Decision {
    Decision::Attributed(Attributed {
        change: stamp(4),
        at: at(11),
        shelf: shelf(),
        kind: ChangeKind::Take,
        delta_mg: Milligrams(-623_100),
        plates: vec![11],
        verdict: AttributionVerdict::Review {
            review: "r1".into(),
            reason: "two shoppers stood there".to_owned(),
        },
        hypotheses: vec![Hypothesis {
            session: Some("s1".into()),
            items: items(),
            also: vec![],
            probability_ppm: 870_000,
        }],
        reached: vec![],
        clock: None,
        seen: None,
    })
}

/// A payment's question and its answer.
fn paid(key: &str, second: i64, request: PaymentRequest) -> [Decision; 2] {
    let asked = Decision::PaymentRequested {
        session: "s1".into(),
        at: at(second),
        key: key.into(),
        request,
    };
    let answered = Decision::PaymentDecided {
        session: "s1".into(),
        at: at(second),
        key: key.into(),
        outcome: PaymentOutcome::Done {
            authorisation: "auth-1".to_owned(),
        },
    };
    [asked, answered]
}

/// What goes wrong with nodes.
fn troubles() -> [Decision; 4] {
    [
        Decision::Quarantined {
            stamp: stamp(5),
            reason: "no JSON".to_owned(),
        },
        Decision::Gap {
            node: "gondola-1".into(),
            outbox: "7f3a".into(),
            after: 6,
            before: 8,
            dropped: 2,
            from: Some(at(3)),
            to: Some(at(4)),
            weighed: false,
            reason: "its outbox was full".to_owned(),
        },
        Decision::NodeSilent {
            node: "gondola-2".into(),
            since: at(5),
        },
        Decision::NodeBack {
            node: "gondola-2".into(),
            at: at(9),
        },
    ]
}

/// One decision of each kind, as a visit of somebody in that role makes them.
fn decisions(role: Role) -> Vec<Decision> {
    let session = || "s1".into();
    let mut decisions = vec![
        Decision::EntryRefused {
            at: at(-5),
            reason: "the code was used before".to_owned(),
        },
        Decision::SessionOpened {
            session: session(),
            at: at(0),
            role,
            device: Some("phone".into()),
            track: None,
            second_charge: false,
        },
    ];
    decisions.extend(paid(
        "k1",
        0,
        PaymentRequest::Authorise {
            amount: eur(5000),
            payer: None,
        },
    ));
    decisions.extend(troubles());
    decisions.extend([
        Decision::TrackBound {
            session: session(),
            track: "t1".into(),
            at: at(1),
        },
        attributed(),
        Decision::ReviewClosed {
            review: "r1".into(),
            at: at(20),
            by: "operator".to_owned(),
            session: Some(session()),
            items: items(),
        },
        Decision::SessionExited {
            session: session(),
            at: at(30),
        },
        Decision::CartDrafted {
            session: session(),
            at: at(30),
            reason: "1 of its lines wait for a verdict".to_owned(),
        },
        Decision::LinesDropped {
            session: session(),
            at: at(30),
            items: items(),
            reason: "it may have been put back".to_owned(),
        },
        Decision::FrontierAdvanced { to: at(30) },
        Decision::Settled {
            session: session(),
            at: at(31),
            total: eur(249),
        },
    ]);
    let authorisation = "auth-1".to_owned();
    let capture = PaymentRequest::Capture {
        authorisation,
        amount: eur(249),
    };
    decisions.extend(paid("k2", 31, capture));
    decisions.push(Decision::ReceiptIssued { receipt: receipt() });
    decisions
}

/// A journal of the newest version with all of the above.
fn write_journal(path: &Path) {
    let mut journal = Journal::open(path, &shop()).unwrap();
    journal
        .enrol_device(&"phone".into(), b"not a secret", Role::Staff)
        .unwrap();
    journal
        .enrol_device(&"lost".into(), b"nor this", Role::Shopper)
        .unwrap();
    journal.revoke_device(&"lost".into()).unwrap();
    let accepted = observations()
        .into_iter()
        .map(|o| Output::Accept(Arc::new(o)));
    let decided = decisions(Role::Staff).into_iter().map(Output::Decide);
    let batch: Vec<Output> = accepted.chain(decided).collect();
    let (early, late) = batch.split_at(batch.len() / 2);
    journal.commit(early).unwrap();
    journal.commit(late).unwrap();
    journal.close().unwrap();
}

/// The fixtures of old versions stay as those versions wrote them: journals like them are in stores.
#[test]
fn a_journal_of_version_2_is_read() {
    holds_everything(&fixture("journal-v2.sqlite"), Role::Staff);
}

/// Nobody but shoppers had a phone then.
#[test]
fn a_journal_of_version_1_is_read() {
    holds_everything(&fixture("journal-v1.sqlite"), Role::Shopper);
}

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures");
    folder.join(name)
}

/// A decision as versions 1 and 2 knew it: a gap had neither a time nor a reason.
fn as_then(decision: Decision) -> Decision {
    match decision {
        Decision::Gap {
            node,
            outbox,
            after,
            before,
            ..
        } => Decision::Gap {
            node,
            outbox,
            after,
            before,
            dropped: 0,
            from: None,
            to: None,
            weighed: false,
            reason: String::new(),
        },
        same => same,
    }
}

fn holds_everything(fixture: &Path, role: Role) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    std::fs::copy(fixture, &path).unwrap();

    let journal = Journal::open(&path, &shop()).unwrap();
    let contents = journal.load().unwrap();
    let found: Vec<Decision> = (contents.decisions.iter())
        .map(|recorded| recorded.decision.clone())
        .collect();
    let written: Vec<Decision> = (decisions(role).into_iter()).map(as_then).collect();
    assert_eq!(found, written);
    let receipts: Vec<&Receipt> = (found.iter())
        .filter_map(|decision| match decision {
            Decision::ReceiptIssued { receipt } => Some(receipt),
            _ => None,
        })
        .collect();
    assert_eq!(receipts, [&receipt()]);
    let versions = &contents.decisions[0].versions;
    assert_eq!(
        (versions.code.as_str(), &versions.definition),
        ("0.1.0", &shop().hash)
    );
    let found: Vec<Stamped> = contents.observations.map(Result::unwrap).collect();
    assert_eq!(found, observations());
    assert_eq!(journal.committed_up_to(&stamp(0).node, &stamp(0).outbox), 6);
    let device = |id: &str, key: &[u8], role, revoked| Device {
        id: id.into(),
        key: key.to_owned(),
        role,
        revoked,
    };
    let devices = [
        device("lost", b"nor this", Role::Shopper, true),
        device("phone", b"not a secret", role, false),
    ];
    assert_eq!(journal.devices().unwrap(), devices);

    let checked = Archive::open(&path).unwrap().verify(None).unwrap();
    assert_eq!(checked.head, journal.head());
    let entries = observations().len() + decisions(role).len();
    assert_eq!(checked.head.entries, entries as u64);
}

/// What the child of the crash test does until it is killed: a batch, a payment, and then the word that both are done.
fn commit_for_ever(folder: &Path) {
    let mut journal = Journal::open(&folder.join("journal.sqlite"), &shop()).unwrap();
    let mut sandbox = Sandbox::open(&folder.join("sandbox.sqlite")).unwrap();
    let first = journal.committed_up_to(&stamp(0).node, &stamp(0).outbox) + 1;
    for sequence in first.. {
        let [asked, _] = paid(
            "k",
            0,
            PaymentRequest::Authorise {
                amount: eur(1),
                payer: None,
            },
        );
        let observation = stamped(sequence, gate(sequence as i64, GateEvent::PassedIn));
        let batch = [
            Output::Accept(Arc::new(observation)),
            Output::Decide(asked),
            Output::Decide(Decision::FrontierAdvanced {
                to: at(sequence as i64),
            }),
        ];
        journal.commit(&batch).unwrap();
        hold(&mut sandbox, sequence);
        println!("\nkept {sequence}");
    }
}

/// Holds as many cents as the sequence says, under a key of its own.
fn hold(sandbox: &mut Sandbox, sequence: u64) -> PaymentOutcome {
    let amount = eur(sequence as i64);
    let key = format!("k{sequence}").into();
    sandbox
        .ask(
            &key,
            &PaymentRequest::Authorise {
                amount,
                payer: None,
            },
        )
        .unwrap()
}

#[test]
fn what_was_kept_outlives_kill_9() {
    if let Some(folder) = std::env::var_os(CRASH_FOLDER) {
        return commit_for_ever(&PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let journal_path = folder.path().join("journal.sqlite");
    let mut kept = 0;
    for run in 1..=4_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "journal::what_was_kept_outlives_kill_9",
                "--nocapture",
            ])
            .env(CRASH_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let goal = kept + 23 * run;
        for line in lines {
            let Some(sequence) =
                (line.unwrap().strip_prefix("kept ")).map(|number| number.parse::<u64>().unwrap())
            else {
                continue;
            };
            if sequence == goal {
                let second = Journal::open(&journal_path, &shop())
                    .unwrap_err()
                    .to_string();
                assert!(second.contains("has this journal open"), "{second}");
                child.kill().unwrap(); // SIGKILL; what is in the pipe by then is still read
            }
            kept = kept.max(sequence);
        }
        assert!(!child.wait().unwrap().success());
        assert!(kept >= goal, "the child ended by itself after {kept}");

        let journal = Journal::open(&journal_path, &shop()).unwrap();
        let there = journal.committed_up_to(&stamp(0).node, &stamp(0).outbox);
        assert!(there >= kept, "{kept} were kept and {there} are there");
        let contents = journal.load().unwrap();
        assert_eq!(contents.observations.count() as u64, there);
        assert_eq!(
            contents.decisions.len() as u64,
            2 * there,
            "a batch is whole"
        );

        // A child that was killed between the journal and the gateway has its question asked again.
        let mut sandbox = Sandbox::open(&folder.path().join("sandbox.sqlite")).unwrap();
        let held = sandbox.ledger().unwrap().len() as u64;
        assert!(
            (kept..=there).contains(&held),
            "{held} held, {kept} to {there}"
        );
        for sequence in 1..=there {
            let authorisation = format!("auth-k{sequence}");
            assert_eq!(
                hold(&mut sandbox, sequence),
                PaymentOutcome::Done { authorisation }
            );
        }
        assert_eq!(sandbox.ledger().unwrap().len() as u64, there);
    }
}
