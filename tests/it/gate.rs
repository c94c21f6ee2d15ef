//! A node that keeps the gate, through the executable: held by the coordinator's word, opened by a code, by whoever leaves, in
//! an emergency, and when the coordinator is gone.

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use serde_json::Value;
use stroll::checkout::entry_code::EntryCode;
use stroll::edge::live::wall_now;
use stroll::edge::mqtt::BrokerUrl;
use stroll::edge::recording::{OpenOptions, open};

use crate::day::Day;
use crate::mosquitto::Mosquitto;
use crate::program::{LIMIT, Program, arg, ask, stroll, wait_for};

/// The corner shop with one node for everything.
fn alone() -> String {
    let corner = include_str!("../../deploy/corner.toml");
    let (before, rest) = corner.split_once("[[node]]").expect("nodes");
    let (_, after) = rest
        .split_once("# --- Shelves")
        .expect("shelves after them");
    let node = "[[node]]\nname = \"shelf\"\nshelves = [\"1.1\", \"1.2\"]\nwatches_gate = true\n\n";
    format!("{before}{node}# --- Shelves{after}")
        .replace("node_silent_s = 5 ", "node_silent_s = 600 ")
}

/// Hears what a store's nodes say.
pub struct Ear {
    client: AsyncClient,
    events: EventLoop,
    heard: VecDeque<(String, Value, bool)>,
}

impl Ear {
    pub async fn at(broker: &BrokerUrl, filter: &str) -> Self {
        Ear::named("an-ear", broker, filter).await
    }

    pub async fn named(name: &str, broker: &BrokerUrl, filter: &str) -> Self {
        let mut options = MqttOptions::new(name, &broker.host, broker.port);
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, events) = AsyncClient::new(options, 10);
        client
            .subscribe(filter, QoS::AtLeastOnce)
            .await
            .expect("asked");
        let heard = VecDeque::new();
        Ear {
            client,
            events,
            heard,
        }
    }

    pub async fn say(&self, topic: &str, payload: &str) {
        (self
            .client
            .publish(topic, QoS::AtLeastOnce, false, payload)
            .await)
            .expect("said");
    }

    /// The next message on a topic with this end that is as wanted, and whether the broker had kept it. What comes before
    /// is passed over.
    pub async fn hear(&mut self, end: &str, what: impl Fn(&Value) -> bool) -> (Value, bool) {
        let wait = async {
            loop {
                while let Some((topic, said, kept)) = self.heard.pop_front() {
                    if topic.ends_with(end) && what(&said) {
                        return (said, kept);
                    }
                }
                match self.events.poll().await {
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let said = serde_json::from_slice(&publish.payload);
                        let said = said.unwrap_or(Value::Null);
                        self.heard.push_back((publish.topic, said, publish.retain));
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        let heard = tokio::time::timeout(LIMIT, wait).await;
        heard.unwrap_or_else(|_| panic!("nothing such was said on {end}"))
    }

    async fn gate(&mut self, state: &str) {
        self.hear("/status", |said| said["gate"] == state).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_is_held_and_opened_by_word_and_open_without_one() {
    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    let day = Day::new(alone(), 3, 1);
    let recording = open(&day.path("day.mcap"), &OpenOptions::default()).expect("what was made");
    let phone = &recording.truth.expect("a simulated day").devices[0];
    let node = include_str!("../../deploy/node.toml");
    let (wired, gate) = node.split_once("# [gate]").expect("a gate to take in");
    let (gate, _) = gate.split_once("\n\n").expect("its end");
    let gate = format!("[gate]{}", gate.replace("\n# ", "\n"));
    let gate = gate.replace("/dev/ttyACM0", "codes");
    std::fs::write(day.path("node.toml"), format!("{wired}{gate}\n")).expect("written");
    std::fs::write(day.path("codes"), "").expect("written");
    let situation = "[[gate]]\nat_s = 14\nwhat = \"in\"\n[[gate]]\nat_s = 22\nfor_s = 2\nwhat = \"emergency\"\n";
    std::fs::write(day.path("situation.toml"), situation).expect("written");

    let (config, situation) = (day.path("node.toml"), day.path("situation.toml"));
    let wiring = ["--config", arg(&config), "--simulate", arg(&situation)];
    let calibrate = [
        &["calibrate"],
        &wiring[..],
        &["--by", "test", "--creep-s", "1"],
    ]
    .concat();
    assert!(stroll(&calibrate).status.success());

    let broker = mosquitto.url();
    let url = broker.to_string();
    let mut ear = Ear::at(&broker, "stroll/v1/corner/#").await;
    let (store, journal) = (day.path("store.toml"), day.path("journal.sqlite"));
    let enrol = day.path("day.mcap");
    let coordinator = Program::start(&[
        "coordinator",
        "--store",
        arg(&store),
        "--journal",
        arg(&journal),
        "--broker",
        &url,
        "--listen",
        "127.0.0.1:0",
        "--enrol",
        arg(&enrol),
    ]);
    let console = coordinator.console();
    let node = Program::with_env(
        &[&["node"], &wiring[..]].concat(),
        &[("STROLL_NODE_BROKER", &url)],
    );
    assert!(
        node.line()
            .starts_with("Node shelf reads 8 plates, keeps the gate")
    );
    ear.gate("held").await;

    let key = BASE64_STANDARD.decode(&phone.key_base64).expect("a key");
    let code = EntryCode::mint("corner", &phone.device, &key, wall_now()).expect("a code");
    let mut scanner = std::fs::File::options()
        .append(true)
        .open(day.path("codes"))
        .expect("it is there");
    writeln!(scanner, "{code}").expect("written");
    ear.hear("/observation/gate", |said| {
        said["observation"]["event"] == "code_shown"
    })
    .await;
    ear.gate("open").await;
    ear.hear("/observation/gate", |said| {
        said["observation"]["event"] == "passed_in"
    })
    .await;
    ear.gate("held").await;
    ear.gate("alarm").await;
    wait_for(console, "the store knows of it", |state| {
        state["bars"]
            .to_string()
            .contains("there is an emergency, says the input of node shelf")
    });
    ear.hear("/order", |said| said["order"] == "release").await;
    ear.gate("open").await;
    let (cleared, why) = ask(console, "POST", "/operate/all-clear").expect("it answers");
    assert!(cleared.starts_with("HTTP/1.1 2"), "{cleared}: {why}");
    ear.gate("held").await;
    coordinator.kill();
    ear.gate("open").await;
    node.terminate();
    node.ends_well();
}
