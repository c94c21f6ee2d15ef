//! `stroll bench` with phones: a coordinator of its own process under load.

use serde_json::Value;

use crate::program::{stroll, text};

/// A few phones: that each of them follows its cart, whatever that takes.
#[test]
fn bench_opens_phones_and_counts_what_they_show() {
    let output = stroll(&[
        "bench",
        "--phones",
        "4",
        "--consoles",
        "1",
        "--seconds",
        "12",
        "--json",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let outcome: Value = serde_json::from_str(text(&output.stdout)).expect("JSON");
    assert_eq!(outcome["lost"], 0, "{outcome}");
    // Everybody takes something every ten seconds.
    assert!(outcome["changes"].as_u64() >= Some(4), "{outcome}");
    assert!(outcome["console_bytes"].as_u64() > Some(0), "{outcome}");
}
