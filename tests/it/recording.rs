//! Recordings in and out: the competition's folders, `.mcap`, `stroll import`, and every kind of damage.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use proptest::prelude::*;
use stroll::edge::recording::mcap::McapWriter;
use stroll::edge::recording::{
    DefinitionFile, OpenOptions, RecordingError, nanostore, open, open_many,
};
use stroll::observation::{GateEvent, GateObservation, Pose, Sighting, TrackId};
use stroll::recording::{
    BodyFrame, GateRecord, NO_COUNT, Record, Recording, ScaleBatch, ScaleGroup,
};
use stroll::store::{Definition, Gate, NodeName};
use stroll::units::{Point, Timestamp};

#[path = "recording_folder.rs"]
mod folder;
use folder::{Folder, shared};

const PARTIAL: OpenOptions = OpenOptions {
    partial: true,
    definition: None,
};

fn strict() -> OpenOptions {
    OpenOptions::default()
}

fn stroll(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stroll"))
        .args(args)
        .output()
        .expect("the executable starts")
}

/// Text of a path that the tests made.
fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the test is UTF-8")
}

/// Everything of a definition, in a form that can be compared.
fn file_of(definition: &Definition) -> DefinitionFile {
    DefinitionFile::from(definition)
}

fn assert_same(a: &Recording, b: &Recording) {
    assert_eq!(file_of(&a.definition), file_of(&b.definition));
    assert_eq!(a.nodes, b.nodes);
    assert_eq!(a.records, b.records);
    assert_eq!(a.truth, b.truth);
    assert_eq!(a.damage, b.damage);
}

/// A recording as the bytes of an `.mcap` file.
fn mcap_bytes(recording: &Recording) -> Vec<u8> {
    let mut writer = McapWriter::new(
        Cursor::new(Vec::new()),
        &recording.definition,
        &recording.nodes,
        recording.truth.as_ref(),
    )
    .expect("memory can be written");
    for record in &recording.records {
        writer.write(record).expect("the record can be written");
    }
    writer.finish().expect("the file can be ended").into_inner()
}

#[test]
fn a_folder_becomes_a_recording_and_its_store() {
    let folder = Folder::new();
    let recording = open(folder.path(), &strict()).unwrap();
    let definition = &recording.definition;

    let nodes: Vec<_> = recording.nodes.iter().map(|n| n.to_string()).collect();
    assert_eq!(nodes, ["ceiling", "gondola-1", "gondola-2"]);
    assert_eq!(definition.layout.plate_count(), 2 * 3 + 2);

    // Leading zeros apart, the product with a weight wins; the weightless one is left out.
    let codes: Vec<_> = (definition.catalogue.products().iter())
        .map(|p| (p.id.as_str(), p.weight.0, p.price.to_string()))
        .collect();
    let expected = [
        ("071142008582", 500_000, "1.00 USD".to_owned()),
        ("120850", 33_500, "2.50 USD".to_owned()),
        ("78742101354", 400_000, "1.00 USD".to_owned()),
    ];
    assert_eq!(codes, expected);

    // Empty and unrecorded facings are left out, and a facing loses the plates that are not there.
    let facings: Vec<_> = (definition.planogram.facings().iter())
        .map(|f| {
            let plates: Vec<_> = f.plates.iter().map(|p| p.to_string()).collect();
            (f.product.to_string(), plates.join(" "))
        })
        .collect();
    let expected = [
        ("071142008582", "1.1.1 1.1.2"),
        ("120850", "1.2.3"),
        ("78742101354", "2.1.1"),
    ];
    assert_eq!(facings, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));

    let plate = |id: &str| definition.layout.plate(id.parse().unwrap()).unwrap().front;
    let at = |x, z| Point { x, y: 0.0, z };
    assert_eq!(plate("1.1.1"), at(0.0758, 0.3));
    assert_eq!(plate("1.1.3"), at(0.279, 0.3)); // no facing: by the pitch
    assert_eq!(plate("2.1.2"), at(1.3524, 0.4)); // of the empty facing

    let scales: Vec<&ScaleBatch> = (recording.records.iter())
        .filter_map(|r| match r {
            Record::Scale(batch) if batch.group.node.as_str() == "gondola-1" => Some(batch),
            Record::Scale(_) | Record::Body(_) | Record::Gate(_) => None,
        })
        .collect();
    assert_eq!(scales.len(), 25);
    let first = scales[0];
    assert_eq!(first.group.counts_per_gram, vec![1_000.0; 6]);
    assert_eq!(first.samples(), 12);
    assert_eq!(
        first.counts[..6],
        [111_000, 112_000, NO_COUNT, 121_000, 122_000, 123_000]
    );
    for pair in scales.windows(2) {
        let step = pair[1].first_at.seconds_since(pair[0].first_at);
        assert!(
            (step - 0.2).abs() < 0.004,
            "samples are evenly spaced: {step}"
        );
    }
    for pair in recording.records.windows(2) {
        let key = |r: &Record| (r.at(), r.node().clone());
        assert!(key(&pair[0]) <= key(&pair[1]), "records are sorted");
    }
    assert_eq!(recording.truth.unwrap().receipts[0].products[0].quantity, 1);
    assert_eq!(
        file_of(&nanostore::read_definition(folder.path()).unwrap()),
        file_of(definition)
    );
}

#[test]
fn a_given_definition_overrides_the_folders_own() {
    let folder = Folder::new();
    let mut definition = nanostore::read_definition(folder.path()).unwrap();
    // One plate is gone, one shelf is read by a node of its own, and another node tracks bodies.
    for shelf in definition.layout.shelves.values_mut() {
        shelf.plates.retain(|plate| plate.id.to_string() != "1.1.2");
        if shelf.id.to_string() == "1.2" {
            shelf.node = NodeName::from("pi-7");
        }
    }
    for node in &mut definition.layout.nodes {
        if node.tracks_bodies {
            node.name = NodeName::from("eyes");
        }
    }
    folder.remove("planogram.json");
    folder.remove("products.json");
    let options = OpenOptions {
        partial: false,
        definition: Some(Arc::new(definition)),
    };
    let recording = open(folder.path(), &options).unwrap();
    let nodes: Vec<_> = recording.nodes.iter().map(|n| n.to_string()).collect();
    assert_eq!(nodes, ["eyes", "gondola-1", "gondola-2", "pi-7"]);
    let first_of = |node: &str| {
        let of_node = |r: &&Record| r.node().as_str() == node;
        match recording.records.iter().find(of_node) {
            Some(Record::Scale(batch)) => batch.clone(),
            other => panic!("{node} begins with {other:?}"),
        }
    };
    assert_eq!(first_of("gondola-1").counts[..2], [111_000, NO_COUNT]);
    assert_eq!(first_of("pi-7").counts[..3], [121_000, 122_000, 123_000]);
}

#[test]
fn an_import_holds_the_very_same_records() {
    let folder = Folder::new();
    let output = folder.path().join("trip.mcap");
    let args = [
        "import",
        "nanostore",
        text(folder.path()),
        "-o",
        text(&output),
    ];
    let run = stroll(&args);
    let said = String::from_utf8(run.stdout).unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    for part in [
        "3 nodes (ceiling, gondola-1, gondola-2)",
        "8 plates",
        "75 body frames with 1 track",
        "the truth of 1 receipt",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let from_folder = open(folder.path(), &strict()).unwrap();
    assert_same(&from_folder, &open(&output, &strict()).unwrap());
    let bytes = fs::read(&output).unwrap();
    assert!(
        bytes == mcap_bytes(&from_folder),
        "the same records give the same bytes"
    );

    let again = stroll(&args);
    assert_eq!(again.status.code(), Some(1));
    let complaint = String::from_utf8(again.stderr).unwrap();
    assert!(
        complaint.contains("trip.mcap exists already; `--force` overwrites it"),
        "{complaint}"
    );
    let forced = stroll(&[&args[..], &["--force"]].concat());
    assert!(forced.status.success());
    assert!(fs::read(&output).unwrap() == bytes);
}

/// What to spoil, what the complaint says, and whether `--partial` helps.
type Spoiled = (&'static str, fn(&Folder), &'static str, bool);

#[test]
fn every_bad_folder_ends_in_one_clear_sentence() {
    let cases: &[Spoiled] = &[
        (
            "the folder",
            |f| f.remove_all(),
            "there is no such file or folder",
            false,
        ),
        (
            "plate_data.json",
            |f| f.remove("plate_data.json"),
            "has no plate_data.json",
            false,
        ),
        (
            "full_targets.json",
            |f| f.remove("full_targets.json"),
            "has no full_targets.json",
            false,
        ),
        (
            "planogram.json",
            |f| f.remove("planogram.json"),
            "has no planogram.json",
            false,
        ),
        (
            "products.json",
            |f| f.remove("products.json"),
            "has no products.json",
            false,
        ),
        (
            "a cut-off line of plates",
            |f| f.cut("plate_data.json", 9, 100),
            "plate_data.json, line 9, byte {9+100}: the line is cut off",
            true,
        ),
        (
            "a cut-off line of bodies",
            |f| f.cut("full_targets.json", 30, 20),
            "full_targets.json, line 30, byte {30+20}: the line is cut off",
            true,
        ),
        (
            "the shape",
            |f| f.replace("plate_data.json", 5, "[12, 3, 4]", "[12, 3, 5]"),
            "line 5, byte {5+0}: shape [12, 3, 5] takes 720 bytes of samples, but 576 are there",
            true,
        ),
        (
            "the shape of later lines",
            |f| f.replace("plate_data.json", 7, "[12, 3, 4]", "[12, 4, 3]"),
            "line 7, byte {7+0}: gondola 1 changes from 2 shelves × 3 plates at 60 Hz to 3 shelves × 2 plates at 60 Hz",
            true,
        ),
        (
            "base64",
            |f| f.replace("plate_data.json", 8, "AADAfwAA", "AAD-fwAA"),
            "line 8, byte {8+0}: the samples are not base64",
            true,
        ),
        (
            "UTF-8",
            |f| f.put_byte("full_targets.json", 12, 40, 0xff),
            "full_targets.json, line 12, byte {12+40}: the line is not UTF-8 text",
            true,
        ),
        (
            "the time of plates",
            |f| {
                f.replace(
                    "plate_data.json",
                    3,
                    "\"timestamp\":16",
                    "\"timestamp\":-16",
                )
            },
            "is an impossible timestamp",
            true,
        ),
        (
            "the time of bodies",
            |f| {
                f.replace(
                    "full_targets.json",
                    3,
                    "\"timestamp\":16",
                    "\"timestamp\":NaN, \"t\":16",
                )
            },
            "full_targets.json, line 3, byte {3+13}: the line is not the JSON that belongs here",
            true,
        ),
        (
            "all plates",
            |f| f.write("plate_data.json", ""),
            "plate_data.json, byte 0: the file is empty",
            true,
        ),
        (
            "the truth",
            |f| f.write("truth.json", "{\n\"receipts\": ["),
            "truth.json, line 2, byte",
            true,
        ),
        (
            "a facing",
            |f| f.replace("planogram.json", 2, "0120850", "0999999"),
            "planogram.json, line 2: the planogram has product 0999999, which products.json does not know",
            false,
        ),
        (
            "the planogram",
            |f| f.cut("planogram.json", 2, 30),
            "planogram.json, line 2, byte {2+30}: the line is cut off; the store cannot be understood without it",
            false,
        ),
        (
            "the products",
            |f| f.cut("products.json", 1, 10),
            "products.json, line 1, byte 10: the line is cut off",
            false,
        ),
    ];
    for (what, spoil, complaint, partial_helps) in cases {
        let folder = Folder::new();
        let whole = open(folder.path(), &strict()).unwrap();
        let complaint = folder.fill_in_offset(complaint);
        spoil(&folder);

        let error = open(folder.path(), &strict()).expect_err(what).to_string();
        assert!(
            error.contains(&complaint),
            "{what}: {error}\nshould say {complaint}"
        );
        assert!(!error.contains('\n'), "{what}: one sentence: {error}");
        assert_eq!(
            error.contains("--partial"),
            *partial_helps,
            "{what}: {error}"
        );
        match open(folder.path(), &PARTIAL) {
            Ok(part) => {
                assert!(partial_helps, "{what} is not read partially");
                let damage = part.damage.expect(what);
                assert!(damage.contains(&complaint), "{what}: {damage}");
                assert!(part.records.len() < whole.records.len() || part.truth.is_none());
            }
            Err(error) => {
                assert!(!partial_helps, "{what}: {error}");
                assert!(error.to_string().contains(&complaint), "{what}: {error}");
            }
        }
    }
}

#[test]
fn import_says_what_is_wrong_and_imports_the_rest_when_asked() {
    let folder = Folder::new();
    let output = folder.path().join("trip.mcap");
    let whole = open(folder.path(), &strict()).unwrap();
    folder.cut("plate_data.json", 21, 50);
    let args = [
        "import",
        "nanostore",
        text(folder.path()),
        "-o",
        text(&output),
    ];

    let refused = stroll(&args);
    assert_eq!(refused.status.code(), Some(1));
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(
        complaint.starts_with("stroll: ") && complaint.lines().count() == 1,
        "{complaint}"
    );
    assert!(
        complaint.contains("plate_data.json, line 21, byte "),
        "{complaint}"
    );
    assert!(complaint.contains("--partial"), "{complaint}");
    assert!(!output.exists());

    let run = stroll(&[&args[..], &["--partial"]].concat());
    assert!(run.status.success());
    let said = String::from_utf8(run.stdout).unwrap();
    assert!(
        said.contains("Not whole: ") && said.contains("line 21"),
        "{said}"
    );
    let part = open(&output, &strict()).unwrap();
    assert_eq!(part.damage, None, "the import itself is whole");
    // The first 20 of 50 lines of plates and every frame of bodies.
    assert_eq!(part.records.len(), whole.records.len() - 30);
    assert!(
        part.records
            .iter()
            .all(|record| whole.records.contains(record))
    );

    let usage = stroll(&["import", "nanostore", text(folder.path())]);
    assert_eq!(usage.status.code(), Some(2), "no output is wrong usage");
}

#[test]
fn a_cut_off_mcap_gives_its_whole_seconds() {
    let folder = Folder::new();
    let whole = open(folder.path(), &strict()).unwrap();
    let bytes = mcap_bytes(&whole);
    let path = folder.path().join("cut.mcap");
    let mut seen = Vec::new();
    // Every 97th length and all of the last ones, where the summary and the end mark are.
    let lengths = (0..bytes.len()).filter(|n| n % 97 == 0 || n + 40 > bytes.len());
    for length in lengths {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = open(&path, &strict())
            .expect_err("it is cut off")
            .to_string();
        assert!(error.contains("cut.mcap, byte "), "{error}");
        match open(&path, &PARTIAL) {
            Ok(part) => {
                assert!(error.contains("--partial"), "{error}");
                assert!(part.damage.unwrap().contains("cut.mcap, byte "));
                assert_eq!(part.records[..], whole.records[..part.records.len()]);
                seen.push(part.records.len());
            }
            Err(error) => assert!(
                matches!(error, RecordingError::DamagedDefinition(_)),
                "only without a store there is nothing to be had: {error}"
            ),
        }
    }
    seen.dedup();
    assert!(seen.is_sorted());
    // Five seconds in chunks of one.
    assert!(seen.len() >= 6, "{seen:?}");
    assert_eq!(seen.last(), Some(&whole.records.len()));
}

#[test]
fn other_files_are_no_recordings() {
    let folder = Folder::new();
    for (name, content, complaint) in [
        (
            "empty.mcap",
            &b""[..],
            "empty.mcap, byte 0: the file is empty",
        ),
        (
            "text.mcap",
            b"hello",
            "text.mcap, byte 0: the file does not begin as an MCAP file",
        ),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = open(&path, &strict()).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
    // A good file of somebody else.
    let mut other = mcap::Writer::new(Cursor::new(Vec::new())).unwrap();
    other.finish().unwrap();
    let path = folder.path().join("other.mcap");
    fs::write(&path, other.into_inner().into_inner()).unwrap();
    let error = open(&path, &strict()).unwrap_err();
    assert!(
        matches!(error, RecordingError::NoDefinition { .. }),
        "{error}"
    );
}

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

#[test]
fn the_real_recording() {
    let Some(shared) = shared() else { return };
    let dir = shared.join("nanostore/benchmark-1");
    let recording = open(&dir, &strict()).unwrap();
    assert_eq!(recording.nodes.len(), 5);
    assert_eq!(recording.definition.catalogue.products().len(), 353);
    assert_eq!(recording.definition.planogram.facings().len(), 99);
    assert_eq!(recording.records.len(), 344 + 291);
    let sold = recording
        .definition
        .planogram
        .on_plate("1.5.11".parse().unwrap());
    let sold: Vec<_> = sold.map(|facing| facing.product.as_str()).collect();
    assert_eq!(sold, ["071142008582"]);
    let values = |r: &Record| match r {
        Record::Scale(batch) => batch.counts.iter().filter(|&&c| c != NO_COUNT).count(),
        Record::Body(_) | Record::Gate(_) => 0,
    };
    let values: usize = recording.records.iter().map(values).sum();
    assert_eq!(
        values,
        278 * 86 * 12,
        "278 plates are alive, for 86 batches of 12 samples"
    );

    let folder = Folder::new();
    let path = folder.path().join("benchmark-1.mcap");
    fs::write(&path, mcap_bytes(&recording)).unwrap();
    assert_same(&recording, &open(&path, &strict()).unwrap());
}

/// Any record that a node of the synthetic folder's store could write, at that many milliseconds.
fn any_record() -> impl Strategy<Value = (i64, Record)> {
    let group = Arc::new(ScaleGroup {
        node: NodeName::from("scale-a"),
        plates: vec!["1.1.1".parse().unwrap(), "1.1.2".parse().unwrap()],
        counts_per_gram: vec![417.25, -1e-3],
        rate_hz: 11.6,
    });
    let scale = prop::collection::vec(any::<[i32; 2]>(), 1..20).prop_map(move |rows| {
        Record::Scale(ScaleBatch {
            group: Arc::clone(&group),
            first_at: Timestamp(0),
            counts: rows.into_flattened(),
        })
    });
    let number = -1e4..1e4_f64;
    let sighting =
        (number.clone(), number.clone(), number, 0.0..1.0_f64).prop_map(|(x, y, z, c)| Sighting {
            place: Point { x, y, z },
            confidence: c,
        });
    let hands = prop::collection::vec(sighting.clone(), 0..=2);
    let body = ("\\PC{0,8}", prop::option::of(sighting), hands);
    let bodies = prop::collection::vec(body, 0..4).prop_map(|bodies| {
        let at = Timestamp(0);
        let body =
            |(track, head, hands): (String, _, _)| (TrackId::from(track), Pose { at, head, hands });
        Record::Body(BodyFrame {
            node: NodeName::from("ceiling"),
            at,
            bodies: bodies.into_iter().map(body).collect(),
        })
    });
    let event = prop_oneof![
        Just(GateEvent::PassedIn),
        Just(GateEvent::PassedOut),
        "\\PC{0,30}".prop_map(|code| GateEvent::CodeShown { code }),
    ];
    let gate = event.prop_map(|event| {
        let at = Timestamp(0);
        Record::Gate(GateRecord {
            node: NodeName::from("door"),
            observation: GateObservation { at, event },
        })
    });
    (0..3_000_i64, prop_oneof![scale, bodies, gate])
}

/// The records one after another in time.
fn timed(records: Vec<(i64, Record)>) -> Vec<Record> {
    let mut now = 1_600_000_000_000_000;
    let place = |(milliseconds, mut record): (i64, Record)| {
        now += milliseconds * 1_000 + 1;
        let at = Timestamp(now);
        match &mut record {
            Record::Scale(batch) => batch.first_at = at,
            Record::Body(frame) => {
                frame.at = at;
                frame.bodies.iter_mut().for_each(|(_, pose)| pose.at = at);
            }
            Record::Gate(gate) => gate.observation.at = at,
        }
        now = record.at().0;
        record
    };
    records.into_iter().map(place).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn any_records_come_back_from_mcap(records in prop::collection::vec(any_record(), 0..40)) {
        let folder = Folder::new();
        let mut definition = nanostore::read_definition(folder.path()).unwrap();
        definition.layout.gate = Some(Gate { place: Point { x: 0.1, y: -1.4, z: 0.0 } });
        let written = Recording {
            definition: Arc::new(definition),
            nodes: ["ceiling", "door", "never-said-a-word", "scale-a"].map(NodeName::from).to_vec(),
            records: timed(records),
            truth: None,
            damage: None,
        };
        let bytes = mcap_bytes(&written);
        prop_assert!(bytes == mcap_bytes(&written));
        let path = folder.path().join("any.mcap");
        fs::write(&path, bytes).unwrap();
        assert_same(&written, &open(&path, &strict()).unwrap());
    }

    #[test]
    fn a_damaged_byte_is_found_or_does_no_harm(place in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let folder = Folder::new();
        let whole = open(folder.path(), &strict()).unwrap();
        let mut bytes = mcap_bytes(&whole);
        let index = place.index(bytes.len());
        bytes[index] ^= flip;
        let path = folder.path().join("flipped.mcap");
        fs::write(&path, bytes).unwrap();
        match open(&path, &strict()) {
            Ok(recording) => assert_same(&whole, &recording),
            Err(error) => prop_assert!(error.to_string().contains("flipped.mcap"), "{}", error),
        }
        if let Ok(part) = open(&path, &PARTIAL) {
            prop_assert!(part.records.iter().all(|record| whole.records.contains(record)));
        }
    }
}
