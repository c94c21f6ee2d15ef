//! The competition's folders, and their import.

use std::fs;
use std::sync::Arc;

use stroll::edge::recording::{OpenOptions, nanostore, open};
use stroll::recording::{NO_COUNT, Record, ScaleBatch};
use stroll::store::NodeName;
use stroll::units::Point;

use super::folder::{Folder, shared};
use super::{assert_same, file_of, mcap_bytes, strict, stroll, text};

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
