//! Home Assistant finds a node by itself, over real brokers: the description is kept for whoever comes later, and said again
//! when Home Assistant comes.

use stroll::edge::broker::{BrokerOptions, EmbeddedBroker};
use stroll::edge::home_assistant::{Discovery, PREFIX, Shown};
use stroll::edge::mqtt::{BrokerUrl, NodeLink, NodeOptions};
use stroll::edge::outbox::Outbox;
use stroll::observation::Loads;
use stroll::units::Milligrams;

use crate::gate::Ear;
use crate::mosquitto::Mosquitto;

const CONFIG: &str = "homeassistant/device/stroll_corner_shelf/config";

const STATUS: &str = "stroll/v1/corner/shelf/status";
const LOADS: &str = "stroll/v1/corner/shelf/loads";

async fn is_found(broker: &BrokerUrl) {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = Outbox::open(folder.path().join("o.sqlite"), &"shelf".into());
    let shown = Shown {
        plates: vec![("1.1.1".parse().expect("a plate"), "water".to_owned())],
        is_sampling: true,
        has_gate: false,
    };
    let mut options = NodeOptions::new(broker.clone(), "corner");
    options.discovery = Some(Discovery::new(PREFIX, "corner", &"shelf".into(), &shown));
    let link = NodeLink::connect(options, outbox.expect("an outbox"))
        .await
        .expect("connects");
    link.tell_loads(Loads {
        node: "shelf".into(),
        load_mg: [("1.1.1".parse().expect("a plate"), Milligrams(500_000))].into(),
    });

    // What is kept comes in any order, so that each is heard by an ear of its own. The first ones wait until all is kept.
    let said_once = Ear::named("early-config", broker, CONFIG)
        .await
        .hear(CONFIG, |_| true)
        .await;
    assert_eq!(said_once.0["device"]["name"], "Stroll shelf");
    Ear::named("early-loads", broker, LOADS)
        .await
        .hear(LOADS, |_| true)
        .await;
    let mut home = Ear::named("home-assistant", broker, CONFIG).await;
    let (config, is_kept) = home.hear(CONFIG, |_| true).await;
    assert!(is_kept, "{config}");
    let load = &config["components"]["load_1_1_1"];
    assert_eq!(load["state_topic"], LOADS);
    let (loads, is_kept) = Ear::named("loads", broker, LOADS)
        .await
        .hear(LOADS, |_| true)
        .await;
    assert!(is_kept && loads["load_mg"]["1.1.1"] == 500_000, "{loads}");

    home.say("homeassistant/status", "online").await;
    let (_, is_kept) = home.hear(CONFIG, |_| true).await;
    assert!(!is_kept, "it is said again");

    // Its availability is the node's own state, down to the last will.
    let mut watcher = Ear::named("watcher", broker, STATUS).await;
    (watcher.hear(STATUS, |said| said["state"] == "online")).await;
    drop(link);
    (watcher.hear(STATUS, |said| said["state"] == "offline")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_found_over_the_embedded_broker() {
    let broker = EmbeddedBroker::start(BrokerOptions::at(crate::port::free()));
    let broker = broker.expect("it starts");
    is_found(&BrokerUrl::local(broker.addr())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_found_over_mosquitto() {
    if let Some(mosquitto) = Mosquitto::start() {
        is_found(&mosquitto.url()).await;
    }
}
