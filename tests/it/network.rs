//! Brokers that restart and networks that part, in the middle of a store at work: afterwards the receipts are those of an
//! undisturbed day, and the auditor of `stroll torture` has nothing to say.

use std::net::SocketAddr;
use std::time::Duration;

use crate::audited::Audited;
use crate::corner;
use crate::crash::receipts_shown;
use crate::day::with_broker_and;
use crate::mosquitto::Mosquitto;
use crate::program::{Program, wait_for};
use crate::proxy::{Does, Proxy};

const SHOPPERS: u32 = 6;
const SPEED: [&str; 2] = ["--speed", "5"];

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn nodes(audited: &Audited, broker: impl Fn(&str) -> String) -> Vec<(String, Program)> {
    let names = audited.day.nodes().into_iter();
    names
        .map(|name| {
            let node = audited.day.node(&name, &broker(&name), &SPEED);
            (name, node)
        })
        .collect()
}

/// Waits for the end of the day, and has it audited.
fn finish(
    audited: &Audited,
    coordinator: Program,
    console: SocketAddr,
    nodes: Vec<(String, Program)>,
    what: &str,
) {
    let all = audited.expected.as_array().map_or(0, Vec::len);
    wait_for(console, what, |state| {
        receipts_shown(state) == all && state["sessions"] == serde_json::json!([])
    });
    let outboxes: Vec<_> = (nodes.into_iter())
        .map(|(name, mut node)| {
            assert!(node.is_running(), "{what}: {name}: {}", node.said());
            node.terminate();
            node.ends_well();
            let outbox = audited.day.outbox(&name);
            (name, outbox)
        })
        .collect();
    coordinator.terminate();
    coordinator.ends_well();
    audited.audit(&audited.day.path("journal.sqlite"), &outboxes, what);
    assert_eq!(audited.day.journalled(), audited.expected, "{what}");
}

#[test]
fn a_mosquitto_that_restarts_changes_no_receipt() {
    let audited = Audited::from(&corner::gated(), 1, SHOPPERS);
    for (what, mosquitto) in [
        ("a broker without a memory", Mosquitto::start()),
        ("a broker with a memory", Mosquitto::with_a_memory()),
    ] {
        let Some(mut mosquitto) = mosquitto else {
            return;
        };
        let broker = mosquitto.url().to_string();
        let (coordinator, console) = audited.day.coordinator(&broker);
        let nodes = nodes(&audited, |_| broker.clone());
        for away_ms in [0, 700, 2_500] {
            pause(1_500);
            mosquitto.kill();
            pause(away_ms);
            mosquitto.run();
        }
        finish(&audited, coordinator, console, nodes, what);
        audited.day.clear();
    }
}

#[test]
fn the_broker_inside_a_coordinator_that_is_killed_changes_no_receipt() {
    let audited = Audited::from(&corner::gated(), 1, SHOPPERS);
    let (mut coordinator, mut console, broker) =
        with_broker_and(&audited.day, "127.0.0.1:0", &[], &[]);
    let address = broker.trim_start_matches("mqtt://").to_owned();
    let nodes = nodes(&audited, |_| broker.clone());
    for away_ms in [0, 700, 2_500] {
        pause(1_500);
        coordinator.kill_now();
        pause(away_ms);
        (coordinator, console, _) = with_broker_and(&audited.day, &address, &[], &[]);
    }
    finish(&audited, coordinator, console, nodes, "an embedded broker");
}

#[test]
fn nodes_and_a_coordinator_that_are_cut_off_for_a_while_change_no_receipt() {
    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    let audited = Audited::from(&corner::gated(), 1, SHOPPERS);
    let upstream = mosquitto.addr();
    let (shelf, store) = (Proxy::before(upstream), Proxy::before(upstream));
    let (coordinator, console) = audited.day.coordinator(&store.url());
    let nodes = nodes(&audited, |name| match name {
        "shelf" => shelf.url(),
        _ => mosquitto.url().to_string(),
    });
    for (proxy, does, ms) in [
        (&shelf, Does::Cut, 2_000),
        (&store, Does::Cut, 2_000),
        // Longer than a client waits for the answer to its ping.
        (&shelf, Does::Deaf, 12_000),
        (&store, Does::Deaf, 12_000),
    ] {
        pause(1_500);
        proxy.does(does);
        pause(ms);
        proxy.does(Does::Pass);
    }
    finish(&audited, coordinator, console, nodes, "partitions");
}
