//! `stroll node`: processes of their own that play a recording.

use std::time::Duration;

use crate::corner;
use crate::day::{Day, with_broker};
use crate::mosquitto::Mosquitto;
use crate::program::{Program, arg, stroll, text, wait_for};

#[test]
fn nodes_end_when_asked_to_and_a_recording_counts_once() {
    let day = Day::new(corner::gated(), 3, 2);
    let (coordinator, _, broker) = with_broker(&day);
    let once = ["--as-fast-as-possible", "--once"];
    let first: Vec<Program> = (day.nodes().iter())
        .map(|name| day.node(name, &broker, &once))
        .collect();
    for node in first {
        node.ends_well();
    }
    // The same again from outboxes that know all of it, and from those that know nothing.
    for renew in [false, true] {
        for name in day.nodes() {
            if renew {
                let outbox = day.path(&format!("{name}.sqlite"));
                std::fs::remove_file(outbox).expect("it is there");
                for beside in ["-wal", "-shm"] {
                    // SQLite may have folded them in.
                    let _ = std::fs::remove_file(day.path(&format!("{name}.sqlite{beside}")));
                }
            }
            day.node(&name, &broker, &once).ends_well();
        }
    }
    coordinator.terminate();
    coordinator.ends_well();
    assert_eq!(day.journalled(), day.charged());
}

#[test]
fn what_a_node_could_not_deliver_is_delivered_later() {
    let day = Day::new(corner::gated(), 5, 1);
    let (coordinator, _, broker) = with_broker(&day);
    coordinator.kill();
    // Nobody listens: the nodes cannot even begin.
    let name = &day.nodes()[0];
    let node = day.node(name, &broker, &["--as-fast-as-possible"]);
    assert_eq!(node.wait().0, Some(1));

    let Some(mosquitto) = Mosquitto::start() else {
        return;
    };
    let broker = mosquitto.url().to_string();
    let node = day.node(name, &broker, &["--as-fast-as-possible"]);
    node.line();
    assert!(node.line().ends_with("has played its part"));
    node.terminate();
    let (code, _) = node.wait();
    assert_eq!(
        code,
        Some(0),
        "told to stop, it leaves the rest in its outbox"
    );

    let (coordinator, console) = day.coordinator(&broker);
    let outbox = day.path(&format!("{name}.sqlite"));
    let store = day.path("store.toml");
    let deliver = [
        "node",
        "--store",
        arg(&store),
        "--name",
        name,
        "--broker",
        &broker,
        "--outbox",
        arg(&outbox),
        "--deliver-only",
    ];
    let delivered = stroll(&deliver);
    assert!(delivered.status.success(), "{}", text(&delivered.stderr));
    wait_for(console, "it is all there", |state| {
        state["counters"]["observations"].as_u64() > Some(0)
    });
    coordinator.terminate();
    coordinator.ends_well();
}

#[test]
fn a_node_that_has_played_its_part_stays_on_the_line() {
    let patient = corner::gated().replace("node_silent_s = 600", "node_silent_s = 3");
    let day = Day::new(patient, 5, 1);
    let (coordinator, console, broker) = with_broker(&day);
    let nodes: Vec<Program> = (day.nodes().iter())
        .map(|name| day.node(name, &broker, &["--as-fast-as-possible"]))
        .collect();
    for node in &nodes {
        node.line();
        assert!(node.line().ends_with("has played its part"));
    }
    std::thread::sleep(Duration::from_secs(5));
    wait_for(console, "every node is heard", |state| {
        let nodes = state["nodes"].as_array();
        nodes.is_some_and(|nodes| nodes.iter().all(|node| node["health"] == "online"))
    });
    coordinator.terminate();
    coordinator.ends_well();
}
