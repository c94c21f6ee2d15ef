//! Stripe's HTTP client against a real HTTP server, and a whole store that is paid through it.

mod fake;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use stroll::checkout::Decision;
use stroll::checkout::decision::PaymentRequest;
use stroll::checkout::payment::{IdempotencyKey, PaymentGateway, PaymentOutcome};
use stroll::edge::gateway::Payers;
use stroll::edge::gateway::stripe::{Patience, SecretKey, Stripe};
use stroll::edge::journal::Journal;
use stroll::edge::recording::{self, OpenOptions};
use stroll::units::Money;

use crate::corner;
use crate::day::{Day, with_broker_and};
use crate::program::{Program, arg, stroll, text, wait_for};
use fake::{Call, FakeStripe, Fault, KEY, PATIENCE};

/// A card that works, one that is declined, and one of a customer who does not exist, as phones `ann`, `bob` and `eve`.
fn payers(fake: &FakeStripe) -> String {
    let entry = |phone: &str, (customer, method): &(String, String)| {
        format!("[payer.{phone}]\ncustomer = '{customer}'\npayment_method = '{method}'\n")
    };
    let nobody = ("cus_nobody".to_owned(), "pm_nothing".to_owned());
    entry("ann", &fake.customer("4242424242424242"))
        + &entry("bob", &fake.customer("4000000000000341"))
        + &entry("eve", &nobody)
}

fn stripe(fake: &FakeStripe, payers: &str) -> Stripe {
    let key = SecretKey::parse(KEY, "the test").unwrap();
    let patience = Patience {
        connect: Duration::from_secs(4),
        answer: PATIENCE,
    };
    let payers = Payers::parse(payers).unwrap();
    Stripe::new(&fake.url(), key, patience, payers, "EUR".parse().unwrap()).unwrap()
}

/// Reads `<key> authorise ann 5000`, `<key> charge ann 800`, `<key> capture <id> 1250`, `<key> void <id>`,
/// `<key> refund <id> 100`.
fn question(line: &str, ids: &dyn Fn(&str) -> String) -> (IdempotencyKey, PaymentRequest) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let amount = || Money::new(words[3].parse().unwrap(), "EUR".parse().unwrap());
    let authorisation = ids(words[2]);
    let payer = Some(words[2].into());
    let request = match words[1] {
        "authorise" => PaymentRequest::Authorise {
            amount: amount(),
            payer,
        },
        "charge" => PaymentRequest::Charge {
            amount: amount(),
            payer,
        },
        "capture" => PaymentRequest::Capture {
            authorisation,
            amount: amount(),
        },
        "void" => PaymentRequest::Void { authorisation },
        "refund" => PaymentRequest::Refund {
            authorisation,
            amount: amount(),
            by: None,
        },
        other => panic!("{other}"),
    };
    (IdempotencyKey::from(words[0]), request)
}

/// Asks line by line; `done`, `! reason`, `~ reason` or `? why` is the answer. A hold or charge goes by its key.
struct Asking {
    stripe: Stripe,
    ids: std::collections::BTreeMap<String, String>,
}

impl Asking {
    fn new(stripe: Stripe) -> Self {
        Asking {
            stripe,
            ids: std::collections::BTreeMap::new(),
        }
    }

    fn ask(&mut self, line: &str, again: bool) -> String {
        let ids = self.ids.clone();
        let named = |name: &str| ids.get(name).cloned().unwrap_or_else(|| name.to_owned());
        let (key, request) = question(line, &named);
        let answer = match again {
            true => self.stripe.ask_again(&key, &request),
            false => self.stripe.ask(&key, &request),
        };
        match answer {
            Ok(PaymentOutcome::Done { authorisation }) => {
                self.ids.entry(key.to_string()).or_insert(authorisation);
                "done".to_owned()
            }
            Ok(PaymentOutcome::Declined { reason }) => format!("! {reason}"),
            Ok(PaymentOutcome::Lapsed { reason }) => format!("~ {reason}"),
            Err(error) => format!("? {}", error.why),
        }
    }

    /// Asks again until there is an answer, as the store does.
    fn ask_until_answered(&mut self, line: &str) -> String {
        for _ in 0..10 {
            let answer = self.ask(line, true);
            if !answer.starts_with('?') {
                return answer;
            }
        }
        panic!("no answer: {line}");
    }
}

#[test]
fn each_way_that_a_payment_goes() {
    let Some(fake) = FakeStripe::start() else {
        return;
    };
    let mut asking = Asking::new(stripe(&fake, &payers(&fake)));
    for (line, answer) in [
        ("a authorise ann 5000", "done"),
        ("a authorise ann 5000", "done"),
        ("b capture a 1250", "done"),
        ("b capture a 1250", "done"),
        ("c refund a 1000", "done"),
        ("c refund a 1000", "done"),
        ("d void a", "! it was captured at Stripe"),
        ("e authorise ann 5000", "done"),
        ("f void e", "done"),
        ("f void e", "done"),
        (
            "g capture e 1",
            "~ the hold has expired or was cancelled at Stripe",
        ),
        ("h charge ann 800", "done"),
        ("i authorise bob 5000", "! Your card was declined."),
        ("j charge bob 5000", "! Your card was declined."),
        ("k authorise eve 5000", "? Not Found"),
        ("l authorise zoe 5000", "! no card is on file for phone zoe"),
        ("m capture auth-1 100", "! auth-1 is no hold at Stripe"),
        (
            "n capture pi_x/../y 100",
            "! pi_x/../y is no hold at Stripe",
        ),
    ] {
        assert_eq!(asking.ask(line, false), answer, "{line}");
    }
    fake.fail([
        (Call::Capture, Fault::Expire),
        (Call::Cancel, Fault::Expire),
    ]);
    for (line, answer) in [
        ("o authorise ann 5000", "done"),
        (
            "p capture o 900",
            "~ the hold has expired or was cancelled at Stripe",
        ),
        ("q authorise ann 5000", "done"),
        ("r void q", "done"),
        ("s authorise ann 700", "done"),
    ] {
        assert_eq!(asking.ask(line, false), answer, "{line}");
    }
    fake.fail([
        (Call::Create, Fault::Decline),
        (Call::Create, Fault::Decline),
    ]);
    for (line, answer) in [
        ("u authorise ann 5000", "! card_declined"),
        ("v charge ann 5000", "! card_declined"),
    ] {
        assert_eq!(asking.ask(line, false), answer, "{line}");
    }
    // A day later, with every key forgotten: what was done is found, and nothing is done again.
    fake.forget_keys();
    for (line, answer) in [
        ("a authorise ann 5000", "done"),
        ("b capture a 1250", "done"),
        ("c refund a 1000", "done"),
        ("f void e", "done"),
        ("h charge ann 800", "done"),
        ("i authorise bob 5000", "! Your card was declined."),
        ("s authorise ann 700", "done"),
        (
            "t capture a 1249",
            "! Stripe has it captured with another amount (1250) than 1249",
        ),
    ] {
        assert_eq!(asking.ask(line, true), answer, "{line}");
    }
    assert_eq!(
        fake.ledger(),
        [
            "a succeeded 5000 1250 1000",
            "e canceled 5000 0 0",
            "h succeeded 800 800 0",
            "i requires_payment_method 5000 0 0",
            "j requires_payment_method 5000 0 0",
            "o canceled 5000 0 0",
            "q canceled 5000 0 0",
            "s requires_capture 700 0 0",
        ]
    );
    assert_eq!(fake.wrong(), Vec::<String>::new());
}

#[test]
fn whatever_is_lost_each_thing_is_done_once() {
    let Some(fake) = FakeStripe::start() else {
        return;
    };
    let payers = payers(&fake);
    let mut expected = Vec::new();
    let calls = [
        (Call::Create, &["authorise ann 5000"][..]),
        (Call::Create, &["charge ann 800"]),
        (Call::Capture, &["authorise ann 5000", "capture @0 1250"]),
        (Call::Cancel, &["authorise ann 5000", "void @0"]),
        (Call::Refund, &["charge ann 800", "refund @0 300"]),
    ];
    // Each fault at each call; alone, and followed by one while it is looked up.
    for (n, (call, steps)) in calls.into_iter().enumerate() {
        for fault in Fault::UNKNOWN {
            for forgets in [false, true] {
                let name = format!("{n}-{fault:?}-{forgets}");
                let mut asking = Asking::new(stripe(&fake, &payers));
                let (last, before) = steps.split_last().unwrap();
                let line = |at: usize, step: &str| {
                    let of = format!("{name}-0");
                    format!("{name}-{at} {}", step.replace("@0", &of))
                };
                for (at, step) in before.iter().enumerate() {
                    assert_eq!(asking.ask(&line(at, step), false), "done", "{name}");
                }
                fake.fail([(call, fault)]);
                if forgets {
                    fake.fail([(Call::LookUp, Fault::FailBefore)]);
                }
                let last = line(before.len(), last);
                let first = asking.ask(&last, false);
                if forgets {
                    fake.forget_keys();
                }
                let answer = match first.strip_prefix('?') {
                    Some(_) => asking.ask_until_answered(&last),
                    None => first,
                };
                // A key that Stripe has failed on for good is not used for new money again: that is a no.
                let refused = fault == Fault::FailForGood
                    && !forgets
                    && matches!(call, Call::Create | Call::Refund);
                assert_eq!(answer == "done", !refused, "{name}: {answer}");
                if forgets {
                    fake.forget_keys();
                }
                let again = asking.ask(&last, true);
                assert_eq!(again == "done", !refused, "{name}: {again}");
                expected.extend(match (call, refused) {
                    (Call::Create, true) => None,
                    (Call::Create, false) if n == 0 => {
                        Some(format!("{name}-0 requires_capture 5000 0 0"))
                    }
                    (Call::Create, false) => Some(format!("{name}-0 succeeded 800 800 0")),
                    (Call::Capture, _) => Some(format!("{name}-0 succeeded 5000 1250 0")),
                    (Call::Cancel, _) => Some(format!("{name}-0 canceled 5000 0 0")),
                    (Call::Refund, true) => Some(format!("{name}-0 succeeded 800 800 0")),
                    (Call::Refund, false) => Some(format!("{name}-0 succeeded 800 800 300")),
                    (Call::LookUp, _) => unreachable!(),
                });
            }
        }
    }
    assert_eq!(fake.ledger(), expected);
    assert_eq!(fake.wrong(), Vec::<String>::new());
    let fired = fake.fired();
    println!("{fired:?}");
    for (call, _) in calls {
        for fault in Fault::UNKNOWN {
            assert!(fired.contains_key(&(call, fault)), "{call:?} {fault:?}");
        }
    }
}

/// A store that lets everybody in while Stripe is away, and holds so little that some take more.
fn store() -> String {
    let gated = corner::gated().replace("hold_minor = 3000", "hold_minor = 300");
    let capped = "offline = \"capped\"\noffline_shoppers_max = 100";
    let open = gated.replace("offline = \"closed\"", capped);
    assert!(
        open.contains(capped) && open.contains("hold_minor = 300 "),
        "{open}"
    );
    open
}

/// A day with Stripe: a key file, a file of payers (every other one has agreed to a second charge), and the arguments
/// that name them.
fn paid_through(fake: &FakeStripe, day: &Day) -> Vec<String> {
    let day_file = recording::open(&day.path("day.mcap"), &OpenOptions::default()).unwrap();
    let devices = day_file.truth.iter().flat_map(|truth| &truth.devices);
    let payers: Vec<String> = devices
        .enumerate()
        .map(|(n, device)| {
            let (customer, method) = fake.customer("4242424242424242");
            let agreed = n % 2 == 0;
            format!(
                "[payer.{}]\ncustomer = '{customer}'\npayment_method = '{method}'\nsecond_charge = {agreed}\n",
                device.device
            )
        })
        .collect();
    std::fs::write(day.path("payers.toml"), payers.concat()).unwrap();
    let key = day.path("stripe.key");
    std::fs::write(&key, format!("{KEY}\n")).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    [
        "--payment",
        "stripe",
        "--stripe-key-file",
        arg(&key),
        "--payers",
        arg(&day.path("payers.toml")),
        "--stripe-url",
        &fake.url(),
        "--stripe-timeout",
        "0.7",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// What the journal says was taken and given back at the provider, an intent a line as [`FakeStripe::ledger`] has it.
fn journalled(day: &Day) -> Vec<(String, i64)> {
    let definition = corner::definition(&day.toml);
    let journal = Journal::open(&day.path("journal.sqlite"), &definition).unwrap();
    let decisions = journal.decisions().unwrap();
    let receipts = decisions
        .into_iter()
        .filter_map(|recorded| match recorded.decision {
            Decision::ReceiptIssued { receipt } => Some(receipt),
            _ => None,
        });
    let mut taken: Vec<(String, i64)> = receipts
        .map(|receipt| {
            let owed = receipt.owed.map_or(0, |owed| owed.minor);
            (receipt.session.to_string(), receipt.total.minor - owed)
        })
        .collect();
    taken.sort();
    taken
}

/// What the provider has taken of each session.
fn taken(fake: &FakeStripe) -> Vec<(String, i64)> {
    let mut sums = std::collections::BTreeMap::new();
    for line in fake.ledger() {
        let words: Vec<&str> = line.split(' ').collect();
        let session = words[0].split('/').nth(1).unwrap().to_owned();
        let charged: i64 = words[3].parse().unwrap();
        *sums.entry(session).or_insert(0) += charged;
    }
    sums.into_iter().collect()
}

#[test]
fn a_store_is_paid_through_it_whatever_is_killed_and_shows_its_key_to_nobody() {
    let Some(fake) = FakeStripe::start() else {
        return;
    };
    let day = Day::new(store(), 11, 8);
    let more = paid_through(&fake, &day);
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let calls = [Call::Create, Call::Capture, Call::Cancel, Call::LookUp];
    let faults = [
        Fault::LoseAnswer,
        Fault::FailAfter,
        Fault::LoseRequest,
        Fault::RateLimit,
        Fault::Unauthorised,
    ];
    fake.fail(calls.into_iter().flat_map(|call| {
        // A key that is not accepted is asked with again only after minutes, or after a restart.
        let some = faults.into_iter().filter(move |_| call != Call::LookUp);
        some.map(move |fault| (call, fault))
    }));
    let env = [("RUST_LOG", "trace")];
    let mut said = String::new();
    let (mut coordinator, mut console, broker) = with_broker_and(&day, "127.0.0.1:0", &more, &env);
    let mqtt = broker.trim_start_matches("mqtt://").to_owned();
    let once = ["--as-fast-as-possible", "--once"];
    let nodes: Vec<Program> = (day.nodes().iter())
        .map(|name| day.node(name, &broker, &once))
        .collect();
    for node in nodes {
        node.ends_well();
    }
    // Everything is committed, and payments are under way: each kill comes somewhere between a call and its answer.
    for _ in 0..4 {
        said += &coordinator.said();
        coordinator.kill();
        (coordinator, console, _) = with_broker_and(&day, &mqtt, &more, &env);
        std::thread::sleep(Duration::from_millis(900));
    }
    wait_for(console, "everybody has a receipt", |state| {
        state["receipts"]
            .as_array()
            .is_some_and(|all| all.len() == 8)
    });
    said += &coordinator.said();
    coordinator.terminate();
    let (code, printed) = coordinator.wait();
    assert_eq!(code, Some(0));

    assert_eq!(day.journalled(), day.charged());
    assert_eq!(taken(&fake), journalled(&day));
    assert_eq!(fake.wrong(), Vec::<String>::new());
    println!("{:?}\n{:#?}", fake.fired(), fake.ledger());
    assert!(
        fake.ledger()
            .iter()
            .any(|line| line.contains("/charge succeeded"))
    );
    let keys: std::collections::BTreeSet<String> = (fake.ledger().iter())
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        keys.len(),
        fake.ledger().len(),
        "a key stands for one intent"
    );

    report(&fake, &day, &more);

    let secret = KEY.trim_start_matches("sk_test_");
    assert!(said.contains(" TRACE "), "the logs are those of a trace");
    for (what, text) in [("a log", said.as_bytes()), ("a line", printed.as_bytes())] {
        let shown = text
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        let line = String::from_utf8_lossy(text);
        let line = line.lines().find(|line| line.contains(secret));
        assert!(!shown, "{what} shows the key: {line:?}");
    }
    for file in std::fs::read_dir(day.path("")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let has = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert_eq!(has, path.ends_with("stripe.key"), "{}", path.display());
    }
}

/// The day-end report says that all is well, until it is not.
fn report(fake: &FakeStripe, day: &Day, more: &[&str]) {
    let journal = day.path("journal.sqlite");
    let report = |date: &str, more: &[&str]| {
        let args = ["journal", "report", arg(&journal), "--day", date];
        let output = stroll(&[&args, more].concat());
        let said = text(&output.stderr);
        assert_eq!(said, "", "{date}");
        (output.status.code(), text(&output.stdout).to_owned())
    };
    let definition = corner::definition(&day.toml);
    let decisions = Journal::open(&journal, &definition)
        .unwrap()
        .decisions()
        .unwrap();
    let first = decisions
        .iter()
        .find_map(|recorded| recorded.decision.at())
        .unwrap();
    let zoned = |at: jiff::Timestamp| at.to_zoned(jiff::tz::TimeZone::system());
    let date = |at: jiff::Timestamp| zoned(at).date().to_string();
    let then = date(jiff::Timestamp::from_microsecond(first.0).unwrap());
    let now = date(jiff::Timestamp::now());

    let (code, said) = report(&then, more);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.ends_with("The provider's list says the same.\n"),
        "{said}"
    );
    assert!(
        said.contains("  holds                      8       24.00 EUR\n"),
        "{said}"
    );
    assert!(said.contains("  owed "), "{said}");
    let (code, said) = report(&then, &["--offline", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, &json["payments"]["holds"]["count"]),
        (Some(0), &8.into())
    );
    let taken: i64 = taken(fake).iter().map(|(_, minor)| minor).sum();
    assert_eq!(json["payments"]["captured"]["minor"], taken);
    // A journal that its sandbox does not lie beside is held against nothing.
    let (code, said) = report(&then, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.ends_with("Not held against the provider's list.\n"),
        "{said}"
    );

    // Somebody gives money back in the dashboard, and another coordinator takes some in the store's name.
    let ledger = fake.ledger();
    let captured = ledger.iter().find(|line| line.contains(" succeeded "));
    let key = captured.unwrap().split(' ').next().unwrap();
    let mut asking = Asking::new(stripe(fake, &payers(fake)));
    asking.ids.insert("it".to_owned(), fake.intent_of(key));
    assert_eq!(asking.ask("x refund it 50", false), "done");
    assert_eq!(
        asking.ask("corner/s-other/authorise authorise ann 300", false),
        "done"
    );
    let (code, said) = report(&then, more);
    assert_eq!(code, Some(1), "{said}");
    let difference = format!(
        "The provider's list differs:\n  {key}: refunded 0.00 EUR by the journal, 0.50 EUR by the provider\n"
    );
    assert!(said.ends_with(&difference), "{said}");
    let (code, said) = report(&now, more);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("corner/s-other/authorise: the provider has pi_"),
        "{said}"
    );
}

#[test]
fn what_is_set_up_wrongly_is_said_before_the_store_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("store.toml"), corner::gated()).unwrap();
    std::fs::write(path("payers.toml"), "[payer.p]\ncustomer = 'ann'\n").unwrap();
    std::fs::write(path("open.key"), KEY).unwrap();
    std::fs::set_permissions(path("open.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (store, journal) = (path("store.toml"), path("journal.sqlite"));
    let (payers, key) = (path("payers.toml"), path("open.key"));
    let empty = path("empty.toml");
    std::fs::write(&empty, "").unwrap();
    for (more, expected) in [
        (
            vec!["--payers", arg(&payers)],
            "--stripe-key-file and --payers are for --payment stripe",
        ),
        (vec!["--payment", "stripe"], "name them with --payers"),
        (
            vec!["--payment", "stripe", "--payers", arg(&payers)],
            "missing field `payment_method`",
        ),
        (
            vec!["--payment", "stripe", "--payers", arg(&empty)],
            "no secret key: write it to a file for --stripe-key-file, or into the variable STROLL_STRIPE_KEY",
        ),
        (
            vec![
                "--payment",
                "stripe",
                "--payers",
                arg(&empty),
                "--stripe-key-file",
                arg(&key),
            ],
            "`chmod 600` it",
        ),
    ] {
        let args = [
            "coordinator",
            "--store",
            arg(&store),
            "--journal",
            arg(&journal),
        ];
        let output = stroll(&[&args, &more[..]].concat());
        assert_eq!(output.status.code(), Some(1), "{more:?}");
        let said = text(&output.stderr);
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("NobodyMaySeeThis"), "{said}");
    }
}
