//! Whatever the records, and wherever a byte is damaged.

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use stroll::edge::recording::{nanostore, open};
use stroll::observation::{GateEvent, GateObservation, Pose, Sighting, TrackId};
use stroll::recording::{BodyFrame, GateRecord, Record, Recording, ScaleBatch, ScaleGroup};
use stroll::store::{Gate, NodeName};
use stroll::units::{Point, Timestamp};

use super::folder::Folder;
use super::{PARTIAL, assert_same, mcap_bytes, strict};

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
