//! Our own files: merged, seen by viewers, refused where they could not be read back.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;

use stroll::edge::recording::mcap::McapWriter;
use stroll::edge::recording::{RecordingError, nanostore, open, open_many};
use stroll::observation::{GateEvent, GateObservation};
use stroll::recording::{GateRecord, Record, ScaleBatch, ScaleGroup};
use stroll::store::{Definition, NodeName};
use stroll::units::Timestamp;

use super::folder::Folder;
use super::{assert_same, mcap_bytes, strict};

#[test]
fn nodes_are_merged_by_time() {
    let folder = Folder::new();
    let whole = open(folder.path(), &strict()).unwrap();
    let write_part = |name: &str, nodes: &[&str], store: &Definition| -> PathBuf {
        let path = folder.path().join(name);
        let nodes: Vec<NodeName> = nodes.iter().map(|n| NodeName::from(*n)).collect();
        let mut writer = McapWriter::create(&path, store, &nodes, whole.truth.as_ref()).unwrap();
        for record in whole.records.iter().filter(|r| nodes.contains(r.node())) {
            writer.write(record).unwrap();
        }
        writer.finish().unwrap();
        path
    };
    let a = write_part("a.mcap", &["gondola-2", "ceiling"], &whole.definition);
    let b = write_part("b.mcap", &["gondola-1"], &whole.definition);
    let merged = open_many(&[a.clone(), b.clone()], &strict()).unwrap();
    assert_same(&merged, &whole);
    assert_same(
        &open_many(&[b.clone(), a.clone()], &strict()).unwrap(),
        &whole,
    );

    let mut other_store = Definition::clone(&whole.definition);
    other_store.hash = "f".repeat(64);
    let c = write_part("c.mcap", &["gondola-1"], &other_store);
    let error = open_many(&[a.clone(), c], &strict())
        .unwrap_err()
        .to_string();
    for part in [
        "a.mcap",
        "c.mcap",
        "different stores",
        &whole.definition.hash[..12],
    ] {
        assert!(error.contains(part), "{error}");
    }
    let error = open_many(&[a, b.clone(), b], &strict())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("both hold node gondola-1 at the same time"),
        "{error}"
    );
    assert!(matches!(
        open_many(&[], &strict()),
        Err(RecordingError::Nothing)
    ));
}

#[test]
fn viewers_find_channels_with_schemas_that_hold() {
    let folder = Folder::new();
    let mut recording = open(folder.path(), &strict()).unwrap();
    recording.records.push(Record::Gate(GateRecord {
        node: NodeName::from("door"),
        observation: GateObservation {
            at: recording.records.last().unwrap().at(),
            event: GateEvent::CodeShown {
                code: "STROLL1.a.1.x".to_owned(),
            },
        },
    }));
    let bytes = mcap_bytes(&recording);
    let summary = mcap::Summary::read(&bytes).unwrap().unwrap();
    assert!(summary.chunk_indexes.len() >= 5, "a chunk each second");
    let mut topics: Vec<_> = summary
        .channels
        .values()
        .map(|c| c.topic.as_str())
        .collect();
    topics.sort_unstable();
    assert_eq!(
        topics,
        [
            "/bodies/ceiling",
            "/gate/door",
            "/scale/gondola-1",
            "/scale/gondola-2"
        ]
    );
    let mut messages = 0;
    for message in mcap::MessageStream::new(&bytes).unwrap() {
        let message = message.unwrap();
        let schema = message
            .channel
            .schema
            .as_ref()
            .expect("every channel has a schema");
        assert_eq!(
            (
                schema.encoding.as_str(),
                message.channel.message_encoding.as_str()
            ),
            ("jsonschema", "json")
        );
        let schema: serde_json::Value = serde_json::from_slice(&schema.data).unwrap();
        assert_eq!(schema["type"], "object", "Foxglove takes objects only");
        let value: serde_json::Value = serde_json::from_slice(&message.data).unwrap();
        if let Err(error) = jsonschema::validate(&schema, &value) {
            panic!("{}: {error}", message.channel.topic);
        }
        assert_eq!(
            message.log_time,
            recording.records[messages].at().0 as u64 * 1_000
        );
        messages += 1;
    }
    assert_eq!(messages, recording.records.len());
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let folder = Folder::new();
    let definition = nanostore::read_definition(folder.path()).unwrap();
    let group = |plates: &[&str], factors: &[f64], rate_hz| {
        Arc::new(ScaleGroup {
            node: NodeName::from("n"),
            plates: plates.iter().map(|p| p.parse().unwrap()).collect(),
            counts_per_gram: factors.to_vec(),
            rate_hz,
        })
    };
    for (group, at, counts, complaint) in [
        (
            group(&["1.1.1", "1.1.2"], &[1.0, 1.0], 60.0),
            0,
            vec![1, 2, 3],
            "no whole samples",
        ),
        (
            group(&["1.1.1"], &[1.0], 60.0),
            0,
            vec![],
            "no whole samples",
        ),
        (
            group(&["1.1.1"], &[0.0], 60.0),
            0,
            vec![1],
            "calibration factor of zero",
        ),
        (group(&["1.1.1"], &[1.0], 0.0), 0, vec![1], "0 Hz"),
        (group(&[], &[], 60.0), 0, vec![], "0 plates"),
        (
            group(&["1.1.1"], &[1.0], 60.0),
            -1,
            vec![1],
            "impossible time",
        ),
    ] {
        let first_at = Timestamp(at);
        let batch = ScaleBatch {
            group,
            first_at,
            counts,
        };
        let mut writer = McapWriter::new(Cursor::new(Vec::new()), &definition, &[], None).unwrap();
        let error = writer.write(&Record::Scale(batch)).unwrap_err().to_string();
        assert!(
            error.contains("node n: ") && error.contains(complaint),
            "{error}"
        );
    }
}
