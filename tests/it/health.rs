//! Whether a store lets people in, and why not: what machines are told, and what operators do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::corner;
use crate::day::{Day, with_broker};
use crate::program::{CONSOLE_KEY, LIMIT, Program, get, wait_for};

fn operate(console: SocketAddr, what: &str, header: &str) -> String {
    let mut stream = TcpStream::connect(console).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
    write!(
        stream,
        "POST /operate/{what} HTTP/1.1\r\nHost: {console}\r\nContent-Length: 0\r\nConnection: close\r\nAuthorization: Bearer {CONSOLE_KEY}\r\n{header}\r\n"
    )
    .expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_store_tells_machines_how_it_is_and_obeys_its_operator() {
    let day = Day::new(corner::gated(), 3, 1);
    let (coordinator, console, broker) = with_broker(&day);
    let status = |path: &str| get(console, path).expect("it answers");
    assert_eq!(status("/healthz").0, "HTTP/1.1 200 OK");
    let (not_ready, why) = status("/readyz");
    assert_eq!(not_ready, "HTTP/1.1 503 Service Unavailable");
    assert!(why.contains("node gate has not been heard yet"), "{why}");

    let nodes: Vec<Program> = (day.nodes().iter())
        .map(|name| day.node(name, &broker, &["--as-fast-as-possible"]))
        .collect();
    wait_for(console, "every node is heard", |state| {
        let nodes = state["nodes"].as_array();
        nodes.is_some_and(|nodes| nodes.iter().all(|node| node["health"] == "online"))
    });
    assert_eq!(
        status("/readyz"),
        ("HTTP/1.1 200 OK".to_owned(), "ready\n".to_owned())
    );

    let anna = "Stroll-Operator: anna\r\n";
    assert_eq!(
        operate(console, "close", "Stroll-Operator: \r\n"),
        "HTTP/1.1 403 Forbidden"
    );
    assert_eq!(operate(console, "sing", anna), "HTTP/1.1 404 Not Found");
    for (what, undo, said) in [
        ("close", "open", "the store was closed by anna"),
        ("emergency", "all-clear", "there is an emergency, says anna"),
    ] {
        assert_eq!(operate(console, what, anna), "HTTP/1.1 202 Accepted");
        wait_for(console, what, |state| {
            state["bars"] == serde_json::json!([said])
        });
        assert_eq!(status("/readyz").1, format!("{said}\n"));
        assert!(status("/metrics").1.contains("\nstroll_ready 0\n"));
        assert_eq!(operate(console, undo, anna), "HTTP/1.1 202 Accepted");
        wait_for(console, undo, |state| {
            state["bars"] == serde_json::json!([])
        });
    }
    check_metrics(&status("/metrics").1);
    coordinator.terminate();
    coordinator.ends_well();
    drop(nodes);
}

/// The page is what Prometheus reads: a help and a type before each figure, and every figure a number.
fn check_metrics(page: &str) {
    let mut typed = Vec::new();
    let mut figures = 0;
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(["gauge", "counter"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            typed.push(name.to_owned());
        } else if !line.starts_with("# HELP ") {
            let (figure, value) = line.rsplit_once(' ').expect("a figure and its value");
            let name = figure.split('{').next().unwrap_or_default();
            assert_eq!(typed.last().map(String::as_str), Some(name), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            figures += 1;
        }
    }
    assert!(
        page.contains("\nstroll_node_up{node=\"gate\"} 1\n"),
        "{page}"
    );
    assert!(figures > typed.len(), "{page}");
}
