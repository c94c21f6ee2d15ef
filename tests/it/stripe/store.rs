//! A whole store that is paid through Stripe's client.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use stroll::checkout::Decision;
use stroll::edge::journal::Journal;
use stroll::edge::recording::{self, OpenOptions};

use super::fake::{Call, FakeStripe, Fault, KEY};
use super::{Asking, payers, stripe};
use crate::corner;
use crate::day::{Day, with_broker_and};
use crate::program::{Program, arg, stroll, text, wait_for};

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
