//! `stroll replay`: the same receipts whichever way the data goes.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use stroll::edge::broker::{BrokerOptions, EmbeddedBroker};
use stroll::edge::mqtt::BrokerUrl;
use stroll::edge::recording::mcap::McapWriter;
use stroll::edge::recording::{OpenOptions, open};

use crate::corner;
use crate::mosquitto::Mosquitto;
use crate::program::{arg, replayed, stroll, text};
use crate::recording::folder::shared;

/// What really happened in `benchmark-1`.
const BENCHMARK: &str = "\
shopper 3325379692103139202  in 2020-04-22T05:06:34.630Z  out 2020-04-22T05:06:53.030Z
  1 x 071142008582 ARRWHD SPRNG WTR      1.00 USD
  total 1.00 USD (captured), of it tax 0.00 USD
1 charged, 0 left without taking anything
";

fn embedded() -> EmbeddedBroker {
    let listen = "127.0.0.1:0".parse().expect("an address");
    EmbeddedBroker::start(BrokerOptions::at(listen)).expect("the embedded broker starts")
}

/// Simulates shoppers in the corner shop.
fn simulate(path: &Path, store: &Path, seed: u64, shoppers: u32) {
    let (seed, shoppers) = (seed.to_string(), shoppers.to_string());
    let numbers = ["--seed", &seed, "--shoppers", &shoppers];
    let files = ["--store", arg(store), "-o", arg(path)];
    let output = stroll(&[&["simulate"], &numbers[..], &files[..]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn the_real_recording_prints_its_receipt_whichever_way_it_goes() {
    let Some(shared) = shared() else { return };
    let recording = shared.join("nanostore/benchmark-1");
    let recording = arg(&recording);
    assert_eq!(replayed(&[recording]), BENCHMARK);
    assert_eq!(replayed(&[recording]), BENCHMARK, "and again");

    let folder = tempfile::tempdir().expect("a folder");
    let imported = folder.path().join("benchmark-1.mcap");
    let import = ["import", "nanostore", recording, "-o", arg(&imported)];
    assert!(stroll(&import).status.success());
    assert_eq!(replayed(&[arg(&imported)]), BENCHMARK);

    let broker = embedded();
    let url = BrokerUrl::local(broker.addr()).to_string();
    assert_eq!(replayed(&[recording, "--broker", &url]), BENCHMARK);
    if let Some(mosquitto) = Mosquitto::start() {
        let url = mosquitto.url().to_string();
        assert_eq!(replayed(&[recording, "--broker", &url]), BENCHMARK);
    }
}

#[test]
fn a_simulated_day_replays_to_its_truth_whichever_way_it_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, day) = (
        folder.path().join("corner.toml"),
        folder.path().join("day.mcap"),
    );
    std::fs::write(&store, corner::gated()).expect("written");
    simulate(&day, &store, 2, 1);
    let read = open(&day, &OpenOptions::default()).expect("it opens");
    let truth = read.truth.clone().expect("a simulation knows the truth");
    let expected: Vec<String> = (truth.receipts.iter())
        .map(|receipt| {
            let products: Vec<String> = (receipt.products.iter())
                .map(|p| format!(r#"{{"barcode":"{}","quantity":{}}}"#, p.barcode, p.quantity))
                .collect();
            let products = products.join(",");
            format!(
                r#"{{"products":[{products}],"target_id":"{}"}}"#,
                receipt.target_id
            )
        })
        .collect();
    let expected = format!("{{\"receipts\":[{}]}}\n", expected.join(","));
    assert!(
        expected.contains("barcode"),
        "nobody takes anything: {expected}"
    );

    let json = [arg(&day), "--json"];
    let journal = folder.path().join("journal.sqlite");
    let kept = [arg(&day), "--json", "--journal", arg(&journal)];
    let broker = embedded();
    let url = BrokerUrl::local(broker.addr()).to_string();
    assert_eq!(replayed(&json), expected);
    assert_eq!(replayed(&kept), expected);
    assert_eq!(
        replayed(&[&kept[..], &["--broker", &url]].concat()),
        expected
    );
    assert_eq!(
        replayed(&[&json[..], &["--broker", &url]].concat()),
        expected
    );
    assert_eq!(replayed(&kept), expected, "nothing counts twice");
    drop(broker);
    if let Some(mosquitto) = Mosquitto::start() {
        let url = mosquitto.url().to_string();
        assert_eq!(
            replayed(&[&json[..], &["--broker", &url]].concat()),
            expected
        );
    }
}

#[test]
fn nodes_in_files_of_their_own_are_merged() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, day) = (
        folder.path().join("corner.toml"),
        folder.path().join("day.mcap"),
    );
    std::fs::write(&store, corner::gated()).expect("written");
    simulate(&day, &store, 4, 2);
    let whole = open(&day, &OpenOptions::default()).expect("it opens");
    let mut parts = Vec::new();
    for node in &whole.nodes {
        let path = folder.path().join(format!("{node}.mcap"));
        let file = File::create(&path).expect("made");
        let truth = (node.as_str() == "gate")
            .then_some(whole.truth.as_ref())
            .flatten();
        let nodes = [node.clone()];
        let mut writer =
            McapWriter::new(BufWriter::new(file), &whole.definition, &nodes, truth).expect("begun");
        for record in whole.records.iter().filter(|record| record.node() == node) {
            writer.write(record).expect("written");
        }
        writer.finish().expect("finished");
        parts.push(path);
    }
    let parts: Vec<&str> = parts.iter().map(|path| arg(path)).collect();
    assert_eq!(replayed(&parts), replayed(&[arg(&day)]));
}
