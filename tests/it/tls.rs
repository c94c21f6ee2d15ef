//! The network of a store with TLS: who is let in to the broker, and what they may say there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stroll::edge::broker::{BrokerOptions, EmbeddedBroker};
use stroll::edge::credentials::{Credentials, Who};
use stroll::edge::mqtt::{BrokerUrl, LinkError, LinkState, NodeLink, NodeOptions};
use stroll::edge::outbox::Outbox;
use stroll::edge::provision::Authority;

use crate::corner;
use crate::crash::receipts_shown;
use crate::day::{Day, with_broker_and};
use crate::mosquitto::Mosquitto;
use crate::program::{LIMIT, arg, stroll, text, wait_for};

const STORE: &str = "corner";
const TODAY: (i32, u8, u8) = (2026, 11, 23);

/// A store's authority with the folders that it made.
struct Members {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Members {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::make(&folder.path().join("authority"), STORE, TODAY);
        let members = Members {
            authority: authority.expect("it is made"),
            folder,
        };
        members.issue("coordinator", &Who::Coordinator, &["localhost".to_owned()]);
        members
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn issue(&self, folder: &str, who: &Who, hosts: &[String]) {
        let path = self.path(folder);
        (self.authority.issue(who, hosts, TODAY, &path)).expect("it is made");
    }

    fn node(&self, name: &str) -> Credentials {
        if !self.path(name).exists() {
            self.issue(name, &Who::Node(name.into()), &[]);
        }
        Credentials::load(&self.path(name)).expect("what was just made")
    }

    fn broker(&self) -> (EmbeddedBroker, BrokerUrl) {
        let credentials = Credentials::load(&self.path("coordinator")).expect("what was just made");
        let broker = EmbeddedBroker::start(BrokerOptions {
            listen: crate::port::free(),
            door: Some(credentials),
        });
        let broker = broker.expect("it starts");
        let port = broker.door().expect("a door").port();
        let url = format!("mqtts://localhost:{port}").parse();
        (broker, url.expect("an address"))
    }
}

async fn connect(
    url: &BrokerUrl,
    credentials: Option<&Credentials>,
    name: &str,
    folder: &Path,
) -> Result<NodeLink, LinkError> {
    // Each link has an outbox of its own.
    static OUTBOXES: AtomicU64 = AtomicU64::new(0);
    let number = OUTBOXES.fetch_add(1, Ordering::Relaxed);
    let outbox = Outbox::open(folder.join(format!("{number}.sqlite")), &name.into());
    let outbox = outbox.expect("an outbox");
    let mut options = NodeOptions::new(url.clone(), STORE);
    options.patience = Duration::from_secs(3);
    options.tls = credentials.map(|c| c.client().expect("what was just made"));
    NodeLink::connect(options, outbox).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_but_members_under_their_own_names() {
    let members = Members::new();
    let (_broker, url) = members.broker();
    let shelf = members.node("shelf");
    let folder = members.folder.path();

    let link = connect(&url, Some(&shelf), "shelf", folder).await;
    assert_eq!(*link.expect("a member").state().borrow(), LinkState::Up);

    let another = connect(&url, Some(&shelf), "gate", folder).await;
    let said = another.expect_err("it is the shelf's key").to_string();
    assert!(said.contains("refuses `stroll:corner:node:gate`"), "{said}");

    let mut plain = url.clone();
    plain.tls = false;
    let stranger = connect(&plain, None, "shelf", folder).await;
    assert!(
        matches!(stranger, Err(LinkError::Unreachable { .. })),
        "{stranger:?}"
    );

    let others = Members::new();
    let stranger = connect(&url, Some(&others.node("shelf")), "shelf", folder).await;
    let said = stranger.expect_err("another authority").to_string();
    assert!(said.contains("certificate"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_is_cut_off_and_stays_out_and_the_others_come_back() {
    let members = Members::new();
    let (_broker, url) = members.broker();
    let folder = members.folder.path();
    let (gate, shelf) = (members.node("gate"), members.node("shelf"));
    let good = connect(&url, Some(&gate), "gate", folder)
        .await
        .expect("a member");
    let bad = connect(&url, Some(&shelf), "shelf", folder)
        .await
        .expect("a member");

    let who = Who::Node("shelf".into());
    let taken = (members.authority).revoke(&who, TODAY, &members.path("coordinator"));
    assert_eq!(taken.expect("it is written"), 1);
    let mut state = bad.state();
    let down = state.wait_for(|state| matches!(state, LinkState::Down { .. }));
    let down = tokio::time::timeout(LIMIT, down).await;
    down.expect("it is cut off").expect("the link is there");
    let again = connect(&url, Some(&shelf), "shelf", folder).await;
    let said = again.expect_err("it is revoked").to_string();
    assert!(said.to_lowercase().contains("revoked"), "{said}");
    let mut state = good.state();
    let up = tokio::time::timeout(LIMIT, state.wait_for(|state| *state == LinkState::Up)).await;
    up.expect("it comes back").expect("the link is there");

    let twice = (members.authority).revoke(&who, TODAY, &members.path("coordinator"));
    let said = twice.expect_err("there is nothing left").to_string();
    assert!(
        said.contains("nothing that is valid was issued to node/shelf"),
        "{said}"
    );
}

/// `stroll provision` for a day's store.
fn provision(day: &Day, args: &[&str]) -> String {
    let (store, authority) = (day.path("store.toml"), day.path("authority"));
    let common = ["--store", arg(&store), "--authority", arg(&authority)];
    let output = stroll(&[&["provision"], args, &common].concat());
    assert!(
        output.status.success(),
        "{args:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout).to_owned()
}

/// A day's store with an authority and a folder for each member.
fn provisioned() -> Day {
    let day = Day::new(corner::gated(), 3, 2);
    provision(&day, &["authority"]);
    let folder = day.path("coordinator");
    provision(
        &day,
        &[
            "coordinator",
            "--host",
            "localhost",
            "--host",
            "127.0.0.1",
            "-o",
            arg(&folder),
        ],
    );
    for name in day.nodes() {
        let folder = day.path(&name);
        provision(&day, &["node", &name, "-o", arg(&folder)]);
    }
    day
}

/// Plays the day over that broker, with everybody's credentials, and compares the receipts.
fn plays(day: &Day, broker: &str, console: std::net::SocketAddr) {
    let nodes: Vec<_> = (day.nodes().into_iter())
        .map(|name| {
            let folder = day.path(&name);
            day.node(
                &name,
                broker,
                &["--speed", "20", "--credentials", arg(&folder)],
            )
        })
        .collect();
    let expected = day.charged();
    let all = expected.as_array().map_or(0, Vec::len);
    wait_for(console, "everybody gets a receipt", |state| {
        receipts_shown(state) == all
    });
    for node in nodes {
        node.terminate();
        node.ends_well();
    }
}

#[test]
fn a_store_works_through_its_door() {
    let day = provisioned();
    let folder = day.path("coordinator");
    let more = ["--credentials", arg(&folder)];
    let (coordinator, console, broker) = with_broker_and(&day, "127.0.0.1:0", &more, &[]);
    assert!(broker.starts_with("mqtts://127.0.0.1:"), "{broker}");
    plays(&day, &broker, console);
    coordinator.terminate();
    coordinator.ends_well();
    assert_eq!(day.journalled(), day.charged());
}

#[test]
fn mosquitto_keeps_the_same_rules() {
    let day = provisioned();
    let (folder, conf) = (day.path("coordinator"), day.path("mosquitto"));
    provision(
        &day,
        &["mosquitto", "--coordinator", arg(&folder), "-o", arg(&conf)],
    );
    let conf = std::fs::read_to_string(conf.join("mosquitto.conf")).expect("written");
    // The test chooses the port; and as root Mosquitto would give up the right to read the keys.
    let lines = conf.lines().filter(|line| !line.starts_with("listener"));
    let lines: Vec<&str> = lines.chain(["user root"]).collect();
    let Some(mosquitto) = Mosquitto::with_config(&lines.join("\n")) else {
        return;
    };
    let broker = format!("mqtts://localhost:{}", mosquitto.addr().port());
    let more = ["--credentials", arg(&folder)];
    let coordinator = day.coordinator_with(&broker, &day.path("journal.sqlite"), &more);
    plays(&day, &broker, coordinator.console());
    coordinator.terminate();
    coordinator.ends_well();
    assert_eq!(day.journalled(), day.charged());

    // Under another node's name nothing it says arrives.
    let (gate, other) = (day.path("gate"), day.path("other.sqlite"));
    let said = stroll(&[
        "node",
        "--store",
        arg(&day.path("store.toml")),
        "--name",
        "ceiling",
        "--broker",
        &broker,
        "--outbox",
        arg(&other),
        "--credentials",
        arg(&gate),
        "--from",
        arg(&day.path("day.mcap")),
    ]);
    let said = text(&said.stderr);
    assert!(
        said.contains("is for stroll:corner/node/gate, and this is stroll:corner/node/ceiling"),
        "{said}"
    );
}

#[test]
fn what_is_missing_or_wrong_is_said_in_a_sentence() {
    let day = provisioned();
    let (store, authority) = (day.path("store.toml"), day.path("authority"));
    let (key, nothing) = (day.path("gate/key.pem"), day.path("nothing"));
    let loose = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&key, loose).expect("it is the test's own");
    let outbox = day.path("new.sqlite");
    let node = |broker: &'static str, more: &[&str]| {
        let args = [
            "node",
            "--store",
            arg(&store),
            "--name",
            "gate",
            "--outbox",
            arg(&outbox),
        ];
        let from = day.path("day.mcap");
        stroll(&[&args[..], &["--from", arg(&from), "--broker", broker], more].concat())
    };
    let provision = |args: &[&str]| {
        let common = ["--store", arg(&store), "--authority", arg(&authority)];
        stroll(&[&["provision"], args, &common].concat())
    };
    let listen = [
        "coordinator",
        "--store",
        arg(&store),
        "--journal",
        arg(&outbox),
    ];
    let listen = [
        &listen[..],
        &["--mqtt-listen", "0.0.0.0:0", "--listen", "127.0.0.1:0"],
    ]
    .concat();
    for (said, what) in [
        (
            node("mqtts://localhost", &[]),
            "mqtts://localhost:8883 wants to know who connects: add --credentials DIR",
        ),
        (
            node(
                "mqtt://localhost",
                &["--credentials", arg(&day.path("ceiling"))],
            ),
            "is for stroll:corner/node/ceiling",
        ),
        (
            node(
                "mqtts://localhost",
                &["--credentials", arg(&day.path("gate"))],
            ),
            "can be read by others (mode 644): chmod 600 it",
        ),
        (
            node("mqtts://localhost", &["--credentials", arg(&nothing)]),
            "`stroll provision` makes such a folder",
        ),
        (
            stroll(&[
                "replay",
                arg(&day.path("day.mcap")),
                "--broker",
                "mqtts://localhost",
            ]),
            "a replay plays the whole store over a broker that asks nobody: write mqtt://",
        ),
        (
            provision(&["authority"]),
            "is there already: nothing was changed",
        ),
        (
            provision(&["node", "attic", "-o", arg(&nothing)]),
            "has no node `attic`: it has ",
        ),
        (
            provision(&["revoke", "attic", "--coordinator", arg(&nothing)]),
            "nothing that is valid was issued to node/attic",
        ),
        (
            provision(&["node", "gate", "-o", arg(&day.path("gate"))]),
            "key.pem is there already: nothing was changed",
        ),
        (
            provision(&["coordinator", "--host", "sp ace\u{e9}", "-o", arg(&nothing)]),
            "can be no name of a machine",
        ),
        (
            stroll(&listen),
            "does not listen on 0.0.0.0:0 for whoever comes: give it --credentials",
        ),
    ] {
        let shown = text(&said.stderr);
        assert!(
            !said.status.success() && shown.contains(what),
            "{what:?} is not in {shown:?}"
        );
        assert_eq!(shown.trim_end().lines().count(), 1, "{shown}");
    }
}
