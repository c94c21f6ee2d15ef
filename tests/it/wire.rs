//! The wire against its contract, `deploy/asyncapi.yaml`, and against whatever else may arrive.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use stroll::edge::wire::{self, Kind, Message, PAYLOAD_BYTES_MAX};
use stroll::store::NodeName;

use crate::messages::{message, mutate, mutation, samples};

const STORE: &str = "corner-shop";

/// The contract as JSON.
fn contract() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/asyncapi.yaml");
    let text = std::fs::read_to_string(path).expect("deploy/asyncapi.yaml");
    serde_yaml_ng::from_str(&text).expect("valid YAML")
}

/// The name under which the contract has that kind's channel, message and operation.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Shelf => "shelfObservation",
        Kind::Vision => "visionObservation",
        Kind::Body => "bodyObservation",
        Kind::Gate => "gateObservation",
        Kind::Gap => "gapObservation",
        Kind::Watermark => "watermark",
        Kind::Status => "status",
        Kind::Committed => "committed",
        Kind::Loads => "loads",
        Kind::Order => "order",
    }
}

/// What a `$ref` of the contract points at.
fn resolve<'c>(contract: &'c Value, reference: &Value) -> &'c Value {
    let pointer = reference["$ref"].as_str().expect("a $ref");
    let pointer = pointer.strip_prefix('#').expect("a local $ref");
    contract
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{pointer} is missing"))
}

/// The validator of that kind's payload, reached as a reader of the contract would: channel, message, payload.
fn validator(contract: &Value, kind: Kind) -> jsonschema::Validator {
    let channel = &contract["channels"][name(kind)];
    let message = resolve(contract, &channel["messages"][name(kind)]);
    let schema = json!({
        "allOf": [message["payload"]],
        "components": contract["components"],
    });
    jsonschema::draft7::new(&schema).expect("a valid schema")
}

#[test]
fn every_kind_has_its_channel_and_every_channel_its_kind() {
    let contract = contract();
    let keys = |value: &Value| -> BTreeSet<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    let kinds: BTreeSet<String> = Kind::ALL.map(|kind| name(kind).to_owned()).into();
    assert_eq!(keys(&contract["channels"]), kinds);
    assert_eq!(keys(&contract["components"]["messages"]), kinds);

    let node = NodeName::from("node-1");
    for kind in Kind::ALL {
        let channel = &contract["channels"][name(kind)];
        let address = channel["address"].as_str().expect("an address");
        let filled = address
            .replace("{store}", STORE)
            .replace("{node}", "node-1");
        assert_eq!(filled, wire::topic(STORE, &node, kind));
        assert_eq!(
            keys(&channel["messages"]),
            BTreeSet::from([name(kind).to_owned()])
        );
        assert_eq!(
            keys(&channel["parameters"]),
            ["node", "store"].map(str::to_owned).into()
        );
    }
}

#[test]
fn each_operation_says_who_sends_and_how() {
    let contract = contract();
    let operations = contract["operations"].as_object().expect("operations");
    assert_eq!(operations.len(), Kind::ALL.len());
    for kind in Kind::ALL {
        let channel = json!({"$ref": format!("#/channels/{}", name(kind))});
        let operation = operations
            .values()
            .find(|operation| operation["channel"] == channel)
            .unwrap_or_else(|| panic!("{kind:?} has no operation"));
        let sender = if kind.is_for_node() {
            "receive"
        } else {
            "send"
        };
        assert_eq!(operation["action"], sender, "{kind:?}");
        let mqtt = &operation["bindings"]["mqtt"];
        assert_eq!(mqtt["qos"], 1, "{kind:?}");
        assert_eq!(mqtt["retain"], kind.is_retained(), "{kind:?}");
    }
}

#[test]
fn every_object_of_the_contract_is_closed() {
    fn visit(value: &Value, path: &str, objects: &mut usize) {
        if value["type"] == "object" {
            assert_eq!(value["additionalProperties"], false, "{path} is open");
            *objects += 1;
        }
        match value {
            Value::Object(fields) => {
                for (key, part) in fields {
                    visit(part, &format!("{path}/{key}"), objects);
                }
            }
            Value::Array(parts) => {
                for part in parts {
                    visit(part, path, objects);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut objects = 0;
    visit(
        &contract()["components"]["schemas"],
        "schemas",
        &mut objects,
    );
    assert!(objects >= 15, "only {objects} objects were looked at");
}

#[test]
fn the_fullest_and_the_barest_messages_keep_the_contract() {
    let contract = contract();
    let mut kinds = BTreeSet::new();
    for message in samples() {
        let kind = message.kind();
        kinds.insert(kind);
        let encoded = wire::encode(STORE, &message).expect("fits the bounds");
        let payload: Value = serde_json::from_slice(&encoded.payload).expect("JSON");
        if let Err(error) = validator(&contract, kind).validate(&payload) {
            panic!("{kind:?}: {error} at {}: {payload}", error.instance_path());
        }
        assert_eq!(
            wire::decode(&encoded.topic, &encoded.payload).expect("read"),
            message
        );
    }
    assert_eq!(kinds, Kind::ALL.into());
}

#[test]
fn an_unknown_field_breaks_the_contract_and_not_the_reader() {
    let contract = contract();
    for message in samples() {
        let encoded = wire::encode(STORE, &message).expect("fits the bounds");
        let plain: Value = serde_json::from_slice(&encoded.payload).expect("JSON");
        for pointer in [
            "",
            "/stamp",
            "/clock",
            "/observation",
            "/observation/poses/0",
        ] {
            let mut newer = plain.clone();
            let Some(Value::Object(part)) = newer.pointer_mut(pointer) else {
                continue;
            };
            part.insert("from_the_future".into(), json!({"a": [1, null]}));
            let kind = message.kind();
            assert!(
                !validator(&contract, kind).is_valid(&newer),
                "{kind:?} {pointer}"
            );
            let read = wire::decode(&encoded.topic, newer.to_string().as_bytes());
            assert_eq!(read.expect("read"), message, "{pointer}");
        }
    }
}

#[test]
fn what_the_reader_refuses_the_contract_refuses_too() {
    let contract = contract();
    let too_far = json!(1e6);
    for (index, pointer, part) in [
        (0, "/stamp/sequence", json!(0)),
        (0, "/clock/wall_us", json!(i64::MAX)),
        (0, "/observation/kind", json!("juggle")),
        (0, "/observation/plates/0/sigma_mg", json!(-1)),
        (
            0,
            "/observation/plates/0/delta_mg",
            json!(2_000_000_000_000_i64),
        ),
        (0, "/observation/plates/0/delta_mg", json!(-5.5)),
        (0, "/observation/likelihoods/0/items", json!([])),
        (0, "/observation/likelihoods/0/items/0/quantity", json!(0)),
        (
            0,
            "/observation/likelihoods/0/items/0/product",
            json!(71_142_008_582_i64),
        ),
        (1, "/observation/others_milli", json!(0.5)),
        (1, "/observation/likelihoods/0/product", json!(7)),
        (1, "/observation/model", json!(null)),
        (2, "/observation/poses", json!([])),
        (2, "/observation/track", json!("")),
        (2, "/observation/poses/0/head/x", too_far),
        (2, "/observation/poses/0/head/confidence", json!(-0.1)),
        (3, "/observation/event", json!("sang")),
        (4, "/observation/cause", json!("eaten")),
        (4, "/observation/dropped", json!(-1)),
        (5, "/open/0/shelf", json!("x.y")),
        (6, "/state", json!("asleep")),
        (6, "/gate", json!("ajar")),
        (7, "/sequence", json!(-1)),
        (8, "/load_mg", json!({"1.5": 3})),
        (8, "/load_mg/1.5.3", json!(0.5)),
        (9, "/for_ms", json!(60_001)),
        (9, "/order", json!("explode")),
    ] {
        let message = &samples()[index];
        let encoded = wire::encode(STORE, message).expect("fits the bounds");
        let mut payload: Value = serde_json::from_slice(&encoded.payload).expect("JSON");
        *payload.pointer_mut(pointer).expect("the field is there") = part;
        assert!(
            wire::decode(&encoded.topic, payload.to_string().as_bytes()).is_err(),
            "{pointer}"
        );
        assert!(
            !validator(&contract, message.kind()).is_valid(&payload),
            "{pointer}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read_back_and_keeps_the_contract(message in message()) {
        let encoded = wire::encode(STORE, &message).expect("fits the bounds");
        prop_assert!(encoded.payload.len() <= PAYLOAD_BYTES_MAX);
        let read = wire::decode(&encoded.topic, &encoded.payload);
        prop_assert_eq!(read.expect("read"), message.clone());
        thread_local! {
            static VALIDATORS: Vec<(Kind, jsonschema::Validator)> = {
                let contract = contract();
                Kind::ALL.map(|kind| (kind, validator(&contract, kind))).into()
            };
        }
        let payload: Value = serde_json::from_slice(&encoded.payload).expect("JSON");
        let kept = VALIDATORS.with(|validators| {
            let of_kind = validators.iter().find(|(kind, _)| *kind == message.kind());
            of_kind.is_some_and(|(_, validator)| validator.is_valid(&payload))
        });
        prop_assert!(kept, "{payload}");
        if let Message::Observation(stamped) = &message {
            prop_assert_eq!(wire::stamp_of(&encoded.payload), Some(stamped.stamp.clone()));
        }
    }

    #[test]
    fn spoilt_bytes_are_refused_or_read_but_never_a_panic(
        message in message(),
        mutations in vec(mutation(), 1..4),
    ) {
        let mut encoded = wire::encode(STORE, &message).expect("fits the bounds");
        for mutation in &mutations {
            mutate(&mut encoded.payload, mutation);
        }
        // What is still read must be fit to be written again: whatever passes the reader keeps every bound.
        if let Ok(read) = wire::decode(&encoded.topic, &encoded.payload) {
            let again = wire::encode(STORE, &read);
            prop_assert!(again.is_ok(), "{again:?}");
        }
        let _ = wire::stamp_of(&encoded.payload);
    }

    #[test]
    fn any_bytes_on_any_topic_are_never_a_panic(
        topic in prop_oneof![any::<String>(), "stroll/v1/[a-z/+#]{0,20}"],
        kind in prop::sample::select(Kind::ALL.to_vec()),
        payload in vec(any::<u8>(), 0..200),
    ) {
        let _ = wire::decode(&topic, &payload);
        let _ = wire::stamp_of(&payload);
        let known = wire::topic(STORE, &"n".into(), kind);
        let read = wire::decode(&known, &payload);
        prop_assert!(read.is_err(), "two hundred random bytes are no message: {read:?}");
    }
}
