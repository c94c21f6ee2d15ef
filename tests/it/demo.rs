//! `stroll demo`: a whole store in one program.

use serde_json::Value;

use crate::program::{Program, get, wait_for};

fn carts(state: &Value) -> impl Iterator<Item = &Vec<Value>> {
    let sessions = state["sessions"].as_array();
    sessions
        .into_iter()
        .flatten()
        .filter_map(|s| s["lines"].as_array())
}

#[test]
fn a_demo_ends_by_itself_with_every_receipt_right() {
    let demo = Program::start(&[
        "demo",
        "--once",
        "--seed",
        "7",
        "--speed",
        "20",
        "--listen",
        "127.0.0.1:0",
    ]);
    let console = demo.console();
    wait_for(console, "a shopper has something in the cart", |state| {
        carts(state).any(|lines| !lines.is_empty())
    });
    let (status, page) = get(console, "/").expect("the page is there");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(page.contains("NanoStore"), "{page}");
    let verdict = demo.ends_well();
    let last = verdict.lines().last().unwrap_or_default();
    assert!(last.starts_with("12 receipts: "), "{verdict}");
    assert!(last.contains(" 0 wrong;"), "{verdict}");
    assert!(!verdict.contains("WRONG"), "{verdict}");
}

#[test]
fn a_demo_without_an_end_ends_when_told_to() {
    let demo = Program::start(&[
        "demo",
        "--seed",
        "3",
        "--speed",
        "10",
        "--listen",
        "127.0.0.1:0",
    ]);
    let console = demo.console();
    wait_for(console, "somebody comes in", |state| {
        carts(state).count() > 0
    });
    demo.terminate();
    assert_eq!(demo.ends_well(), "");
    assert!(get(console, "/").is_err(), "the port is free again");
}
