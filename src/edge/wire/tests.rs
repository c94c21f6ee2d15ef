use serde_json::{Value, json};

use super::*;
use crate::observation::NodeState;

const TOPIC_BODY: &str = "stroll/v1/nano/cam-1/observation/body";

fn body(poses: usize) -> Value {
    let sighting = json!({"x": 1.234, "y": -0.5, "z": 1.7, "confidence": 0.93});
    let pose = |i: usize| json!({"at": 1_000 * i, "head": sighting, "hands": [sighting, sighting]});
    json!({
        "stamp": {"node": "cam-1", "outbox": "b0", "sequence": 7},
        "clock": {"boot": "a", "monotonic_us": 5, "wall_us": 6, "error_us": 1},
        "observation": {
            "type": "body", "track": "3325379692103139202", "start": 0, "end": 1_000_000,
            "poses": (0..poses).map(pose).collect::<Vec<_>>(),
        }
    })
}

fn shelf() -> Value {
    json!({
        "stamp": {"node": "scale-1", "outbox": "b0", "sequence": 7},
        "clock": {"boot": "a", "monotonic_us": 5, "wall_us": 6, "error_us": 1},
        "observation": {
            "type": "shelf", "shelf": "1.5", "start": 10, "peak": 20, "end": 30, "kind": "take",
            "plates": [{"plate": 3, "delta_mg": -623_100, "sigma_mg": 400}],
            "likelihoods": [{"items": [{"product": "071142008582", "quantity": 1}], "log_likelihood_milli": -1200}],
        }
    })
}

/// `value` with the part at that JSON pointer replaced.
fn with(mut value: Value, pointer: &str, part: Value) -> Value {
    *value.pointer_mut(pointer).unwrap() = part;
    value
}

#[test]
fn a_topic_is_taken_apart_as_it_was_put_together() {
    let node = NodeName::from("scale-1");
    for kind in Kind::ALL {
        let text = topic("nano_1", &node, kind);
        let parts = parse_topic(&text).unwrap();
        assert_eq!(
            (parts.store, parts.node, parts.kind),
            ("nano_1", "scale-1", kind)
        );
    }
    for foreign in [
        "",
        "stroll/v1",
        "stroll/v2/s/n/status",
        "stroll/v1/s/n",
        "stroll/v1/s/n/",
        "stroll/v1/s/n/status/",
        "stroll/v1/s/n/observation",
        "stroll/v1//n/status",
        "stroll/v1/s/+/status",
        "stroll/v1/s/a b/status",
        "stroll/v1x/s/n/status",
        "homeassistant/device/n/config",
    ] {
        assert!(parse_topic(foreign).is_err(), "{foreign}");
    }
}

#[test]
fn the_fast_reader_reads_what_the_domain_types_read() {
    let gate = |event: Value| {
        let mut gate = json!({
            "stamp": {"node": "gate", "outbox": "b0", "sequence": 1},
            "clock": {"boot": "a", "monotonic_us": 5, "wall_us": 6, "error_us": 1},
            "observation": {"type": "gate", "at": 99},
        });
        let fields = gate["observation"].as_object_mut().unwrap();
        fields.extend(event.as_object().unwrap().clone());
        gate
    };
    for (topic, value) in [
        (TOPIC_BODY, body(15)),
        ("stroll/v1/nano/scale-1/observation/shelf", shelf()),
        (
            "stroll/v1/nano/gate/observation/gate",
            gate(json!({"event": "passed_in"})),
        ),
        (
            "stroll/v1/nano/gate/observation/gate",
            gate(json!({"event": "code_shown", "code": "STROLL1.a.1.b"})),
        ),
    ] {
        let payload = value.to_string();
        let slow: Stamped = serde_json::from_str(&payload).unwrap();
        let message = decode(topic, payload.as_bytes()).unwrap();
        assert_eq!(message, Message::Observation(slow));
        let again = encode("nano", &message).unwrap();
        assert_eq!(again.topic, topic);
        assert_eq!(decode(topic, &again.payload).unwrap(), message);
    }
}

#[test]
fn unknown_fields_are_ignored() {
    let mut newer = body(1);
    for pointer in [
        "",
        "/stamp",
        "/clock",
        "/observation",
        "/observation/poses/0/head",
    ] {
        let part = newer.pointer_mut(pointer).unwrap();
        part["from_the_future"] = json!([1, {"a": null}]);
    }
    let plain = decode(TOPIC_BODY, body(1).to_string().as_bytes()).unwrap();
    assert_eq!(
        decode(TOPIC_BODY, newer.to_string().as_bytes()).unwrap(),
        plain
    );
}

/// A payload that breaks a bound is refused with the field's name, and its stamp is kept.
fn refused<const N: usize>(topic: &str, cases: [(Value, &str); N]) {
    for (value, said) in cases {
        let error = decode(topic, value.to_string().as_bytes()).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(said) && shown.contains(topic), "{shown}");
        assert_eq!(error.stamp.unwrap().sequence, 7, "{said}");
    }
}

#[test]
fn a_body_segment_beyond_its_bounds_is_refused() {
    let sighting = json!({"x": 0, "y": 0, "z": 0, "confidence": 1});
    refused(
        TOPIC_BODY,
        [
            (body(65), "`poses` has 65 entries, at most 64 are allowed"),
            (body(0), "`poses` is empty"),
            (
                with(
                    body(1),
                    "/observation/poses/0/hands",
                    json!([sighting, sighting, sighting]),
                ),
                "`hands` has 3 entries, at most 2 are allowed",
            ),
            (
                with(body(1), "/observation/poses/0/head/x", json!(1e300)),
                "`x` is 1000",
            ),
            (
                with(body(1), "/observation/poses/0/head/confidence", json!(1.1)),
                "`confidence` is 1.1, not within 0 to 1",
            ),
            (
                with(body(1), "/observation/track", json!("x".repeat(129))),
                "`track` has 129 bytes, at most 128 are allowed",
            ),
            (
                with(body(1), "/observation/start", json!(2_000_000)),
                "is before `start`",
            ),
            (
                with(body(1), "/clock/wall_us", json!(i64::MAX)),
                "`clock.wall_us` is 9223372036854775807, not within",
            ),
        ],
    );
}

#[test]
fn a_shelf_observation_beyond_its_bounds_is_refused() {
    let plate = json!({"plate": 1, "delta_mg": 0, "sigma_mg": 1});
    let item = json!({"product": "a", "quantity": 1});
    let likelihood = json!({"items": [item], "log_likelihood_milli": 0});
    refused(
        "stroll/v1/nano/scale-1/observation/shelf",
        [
            (
                with(shelf(), "/observation/plates", json!(vec![plate; 65])),
                "`plates` has 65 entries, at most 64 are allowed",
            ),
            (
                with(shelf(), "/observation/plates/0/sigma_mg", json!(-1)),
                "`sigma_mg` is -1, not within 0 to",
            ),
            (
                with(
                    shelf(),
                    "/observation/likelihoods",
                    json!(vec![likelihood; 33]),
                ),
                "`likelihoods` has 33 entries, at most 32 are allowed",
            ),
            (
                with(
                    shelf(),
                    "/observation/likelihoods/0/items",
                    json!(vec![item; 4]),
                ),
                "`items` has 4 entries, at most 3 are allowed",
            ),
            (
                with(shelf(), "/observation/kind", json!("juggled")),
                "unknown variant `juggled`",
            ),
            (
                with(shelf(), "/observation/type", json!("body")),
                "the payload's type is `body`, which is not the topic's",
            ),
            (
                with(
                    shelf(),
                    "/observation/shelf",
                    json!("x".repeat(PAYLOAD_BYTES_MAX)),
                ),
                "bytes, at most 65536 are allowed",
            ),
        ],
    );
}

#[test]
fn a_number_that_is_not_finite_is_neither_written_nor_read() {
    let text = body(1).to_string().replace("1.234", "1e999");
    assert!(decode(TOPIC_BODY, text.as_bytes()).is_err());
    let Message::Observation(mut stamped) =
        decode(TOPIC_BODY, body(1).to_string().as_bytes()).unwrap()
    else {
        panic!("a body topic gives an observation");
    };
    if let Observation::Body(segment) = &mut stamped.observation {
        segment.poses[0].hands[0].place.y = f64::NAN;
    }
    let error = encode("nano", &Message::Observation(stamped)).unwrap_err();
    assert!(error.to_string().contains("`y` is NaN"), "{error}");
}

#[test]
fn nobody_speaks_for_another_node() {
    let payload = body(1).to_string();
    let topic = "stroll/v1/nano/other/observation/body";
    let error = decode(topic, payload.as_bytes()).unwrap_err();
    assert!(
        error.to_string().contains("speaks for node `cam-1`"),
        "{error}"
    );
    assert!(error.stamp.is_none(), "its stamp must not be committed");

    let status = br#"{"node": "b", "state": "online"}"#;
    assert!(decode("stroll/v1/nano/a/status", status).is_err());
    assert!(decode("stroll/v1/nano/b/status", status).is_ok());
}

#[test]
fn the_stamp_survives_what_follows_it() {
    let whole =
        br#"{"stamp":{"node":"n","outbox":"o","sequence":3},"observation":{"type":"sniff"}}"#;
    let stamp = stamp_of(whole).unwrap();
    assert_eq!(stamp.to_string(), "n/o/3");
    assert_eq!(stamp_of(&whole[..60]), Some(stamp.clone()));
    let later =
        br#"{"observation":{"type":"sniff"},"stamp":{"node":"n","outbox":"o","sequence":3}}"#;
    assert_eq!(stamp_of(later), Some(stamp));
    for without in [
        &br#"{"stamp":{"node":"n","outbox":"o","sequence":0}}"#[..],
        br#"{"stamp":{"node":"","outbox":"o","sequence":3}}"#,
        br#"{"stamp":"n/o/3"}"#,
        br#"[{"stamp":{"node":"n","outbox":"o","sequence":3}}]"#,
        &whole[..20],
        b"",
    ] {
        assert_eq!(stamp_of(without), None);
    }
}

#[test]
fn what_a_newer_node_observes_is_set_aside_by_its_stamp() {
    let payload =
        br#"{"stamp":{"node":"n","outbox":"o","sequence":3},"observation":{"type":"smell"}}"#;
    let stamp = |topic: &str| decode(topic, payload).unwrap_err().stamp;
    let known = stamp("stroll/v1/nano/n/observation/smell").unwrap();
    assert_eq!(known.to_string(), "n/o/3");
    for other in [
        "stroll/v1/nano/m/observation/smell",
        "stroll/v1/nano/n/observation/a/b",
        "stroll/v1/nano/n/smell",
        "stroll/v2/nano/n/observation/smell",
    ] {
        assert_eq!(stamp(other), None, "{other}");
    }
}

#[test]
fn only_the_status_is_retained() {
    let node = NodeName::from("n");
    let status = Message::Status(NodeStatus {
        node: node.clone(),
        state: NodeState::Online,
        version: String::new(),
        trouble: String::new(),
        notice: String::new(),
        outbox: None,
        faults: Vec::new(),
        sampling: None,
        gate: None,
    });
    let committed = Message::Committed {
        node,
        committed: Committed {
            outbox: "o".into(),
            sequence: 0,
        },
    };
    assert!(encode("s", &status).unwrap().retain);
    assert!(!encode("s", &committed).unwrap().retain);
    assert!(encode("a/b", &status).is_err(), "a store id is one level");
}
