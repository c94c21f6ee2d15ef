//! The wire against its contract, `deploy/asyncapi.yaml`, and against whatever else may arrive.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use stroll::edge::wire::{self, Kind, Message, PAYLOAD_BYTES_MAX};
use stroll::observation::{
    BodySegment, ChangeKind, Committed, GateEvent, GateObservation, Item, ItemLikelihood,
    NodeClock, NodeState, NodeStatus, Observation, OpenInterval, PlateChange, Pose,
    ShelfObservation, Sighting, Stamp, Stamped, Watermark,
};
use stroll::store::{NodeName, ShelfId};
use stroll::units::{Milligrams, Point, Timestamp};

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
        Kind::Body => "bodyObservation",
        Kind::Gate => "gateObservation",
        Kind::Watermark => "watermark",
        Kind::Status => "status",
        Kind::Committed => "committed",
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
        let sender = if kind == Kind::Committed {
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

/// One message of each kind, with every optional field and with none.
fn samples() -> Vec<Message> {
    let node = NodeName::from("node-1");
    let shelf: ShelfId = "1.5".parse().expect("a shelf");
    let stamped = |observation| {
        Message::Observation(Stamped {
            stamp: Stamp {
                node: node.clone(),
                outbox: "b0".into(),
                sequence: 1,
            },
            clock: NodeClock {
                boot: "b".into(),
                monotonic_us: 1,
                wall_us: Timestamp(2),
                error_us: 3,
            },
            observation,
        })
    };
    let place = Point {
        x: 1.234,
        y: -0.5,
        z: 1.7,
    };
    let sighting = Sighting {
        place,
        confidence: 1.0,
    };
    let mut messages = Vec::new();
    for full in [true, false] {
        let some = |count: usize| if full { count } else { 0 };
        let items = vec![Item {
            product: "071142008582".into(),
            quantity: 1,
        }];
        messages.push(stamped(Observation::Shelf(ShelfObservation {
            shelf,
            start: Timestamp(1),
            peak: Timestamp(2),
            end: Timestamp(3),
            kind: ChangeKind::Take,
            plates: vec![
                PlateChange {
                    plate: 1,
                    delta_mg: Milligrams(-5),
                    sigma_mg: Milligrams(1)
                };
                some(64)
            ],
            likelihoods: vec![
                ItemLikelihood {
                    items,
                    log_likelihood_milli: -9
                };
                some(32)
            ],
            evidence: vec!["trace-1".into(); some(32)],
        })));
        let pose = Pose {
            at: Timestamp(1),
            head: full.then_some(sighting),
            hands: vec![sighting; some(2)],
        };
        messages.push(stamped(Observation::Body(BodySegment {
            track: "3325379692103139202".into(),
            start: Timestamp(1),
            end: Timestamp(1),
            poses: vec![pose; some(63) + 1],
        })));
        messages.push(stamped(Observation::Gate(GateObservation {
            at: Timestamp(1),
            event: if full {
                GateEvent::CodeShown {
                    code: "STROLL1.d.1.m".into(),
                }
            } else {
                GateEvent::PassedOut
            },
        })));
        messages.push(Message::Watermark(Watermark {
            node: node.clone(),
            outbox: "b0".into(),
            sequence: 0,
            at: if full { Timestamp::MAX } else { Timestamp::MIN },
            open: vec![
                OpenInterval {
                    shelf,
                    since: Timestamp(0)
                };
                some(1_024)
            ],
        }));
        messages.push(Message::Status(NodeStatus {
            node: node.clone(),
            state: if full {
                NodeState::Online
            } else {
                NodeState::Offline
            },
            version: if full { "0.1.0".into() } else { String::new() },
            trouble: if full {
                "plate 1.5.3 gives no counts".into()
            } else {
                String::new()
            },
        }));
        messages.push(Message::Committed {
            node: node.clone(),
            committed: Committed {
                outbox: "b0".into(),
                sequence: some(7) as u64,
            },
        });
    }
    messages
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
        (1, "/observation/poses", json!([])),
        (1, "/observation/track", json!("")),
        (1, "/observation/poses/0/head/x", too_far),
        (1, "/observation/poses/0/head/confidence", json!(-0.1)),
        (2, "/observation/event", json!("sang")),
        (3, "/open/0/shelf", json!("x.y")),
        (4, "/state", json!("asleep")),
        (5, "/sequence", json!(-1)),
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

fn id() -> impl Strategy<Value = String> {
    // Beyond ASCII, too: 32 characters of at most four bytes.
    "[a-zA-Z0-9\"\\\\ é\u{1F6D2}\n.-]{1,32}"
}

fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.0..=Timestamp::MAX.0).prop_map(Timestamp)
}

fn span() -> impl Strategy<Value = (Timestamp, Timestamp)> {
    (time(), time()).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn shelf_id() -> impl Strategy<Value = ShelfId> {
    (any::<u16>(), any::<u16>()).prop_map(|(gondola, shelf)| ShelfId { gondola, shelf })
}

fn sighting() -> impl Strategy<Value = Sighting> {
    let metres = || -10_000.0..=10_000.0_f64;
    (metres(), metres(), metres(), 0.0..=1.0_f64).prop_map(|(x, y, z, confidence)| Sighting {
        place: Point { x, y, z },
        confidence,
    })
}

fn likelihood() -> impl Strategy<Value = ItemLikelihood> {
    let item = (id(), 1..=1_000_u32).prop_map(|(product, quantity)| Item {
        product: product.into(),
        quantity,
    });
    (vec(item, 1..=3), -1_000_000_000_000..=1_000_000_000_000_i64).prop_map(
        |(items, log_likelihood_milli)| ItemLikelihood {
            items,
            log_likelihood_milli,
        },
    )
}

fn shelf() -> impl Strategy<Value = Observation> {
    let kind = prop::sample::select(vec![
        ChangeKind::Take,
        ChangeKind::Put,
        ChangeKind::Touch,
        ChangeKind::Foreign,
        ChangeKind::Unsure,
    ]);
    let plate = (
        any::<u16>(),
        -1_000_000_000..=1_000_000_000_i64,
        0..=1_000_000_000_i64,
    )
        .prop_map(|(plate, delta, sigma)| PlateChange {
            plate,
            delta_mg: Milligrams(delta),
            sigma_mg: Milligrams(sigma),
        });
    let likelihoods = vec(likelihood(), 0..8);
    let evidence = vec(id(), 0..4);
    (
        shelf_id(),
        span(),
        time(),
        kind,
        vec(plate, 0..=64),
        likelihoods,
        evidence,
    )
        .prop_map(
            |(shelf, (start, end), peak, kind, plates, likelihoods, evidence)| {
                Observation::Shelf(ShelfObservation {
                    shelf,
                    start,
                    peak,
                    end,
                    kind,
                    plates,
                    likelihoods,
                    evidence,
                })
            },
        )
}

fn body() -> impl Strategy<Value = Observation> {
    let pose = (time(), option::of(sighting()), vec(sighting(), 0..=2))
        .prop_map(|(at, head, hands)| Pose { at, head, hands });
    (id(), span(), vec(pose, 1..=64)).prop_map(|(track, (start, end), poses)| {
        Observation::Body(BodySegment {
            track: track.into(),
            start,
            end,
            poses,
        })
    })
}

fn gate() -> impl Strategy<Value = Observation> {
    let event = prop_oneof![
        Just(GateEvent::PassedIn),
        Just(GateEvent::PassedOut),
        id().prop_map(|code| GateEvent::CodeShown { code }),
    ];
    (time(), event).prop_map(|(at, event)| Observation::Gate(GateObservation { at, event }))
}

fn observation() -> impl Strategy<Value = Message> {
    let clock = (id(), 0..1_u64 << 53, time(), 0..1_u64 << 53).prop_map(
        |(boot, monotonic_us, wall_us, error_us)| NodeClock {
            boot,
            monotonic_us,
            wall_us,
            error_us,
        },
    );
    let stamp = ("[a-z0-9-]{1,64}", id(), 1..1_u64 << 53);
    (stamp, clock, prop_oneof![shelf(), body(), gate()]).prop_map(
        |((node, outbox, sequence), clock, observation)| {
            Message::Observation(Stamped {
                stamp: Stamp {
                    node: node.into(),
                    outbox: outbox.into(),
                    sequence,
                },
                clock,
                observation,
            })
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let node = || "[a-z0-9-]{1,64}".prop_map(NodeName::from);
    let open = (shelf_id(), time()).prop_map(|(shelf, since)| OpenInterval { shelf, since });
    let watermark = (node(), id(), 0..1_u64 << 53, time(), vec(open, 0..20)).prop_map(
        |(node, outbox, sequence, at, open)| {
            Message::Watermark(Watermark {
                node,
                outbox: outbox.into(),
                sequence,
                at,
                open,
            })
        },
    );
    let states = prop::sample::select(vec![NodeState::Online, NodeState::Offline]);
    let status = (node(), states, option::of(id()), option::of(id())).prop_map(
        |(node, state, version, trouble)| {
            Message::Status(NodeStatus {
                node,
                state,
                version: version.unwrap_or_default(),
                trouble: trouble.unwrap_or_default(),
            })
        },
    );
    let committed =
        (node(), id(), 0..1_u64 << 53).prop_map(|(node, outbox, sequence)| Message::Committed {
            node,
            committed: Committed {
                outbox: outbox.into(),
                sequence,
            },
        });
    prop_oneof![4 => observation(), 1 => watermark, 1 => status, 1 => committed]
}

/// A way to spoil bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Double(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = || any::<prop::sample::Index>();
    // Mostly what means something in JSON, so that the spoilt bytes get further than the first character.
    let byte = || {
        prop_oneof![
            prop::sample::select(b"{}[]\",:-.019eEnut\\ ".to_vec()),
            any::<u8>()
        ]
    };
    prop_oneof![
        (index(), byte()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (index(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        index().prop_map(Mutation::Cut),
        index().prop_map(Mutation::Double),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Set(at, byte) => {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
        }
        Mutation::Insert(at, byte) => bytes.insert(at.index(bytes.len() + 1), *byte),
        Mutation::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
        Mutation::Double(at) => {
            let tail = bytes[at.index(bytes.len() + 1)..].to_vec();
            bytes.extend(tail);
        }
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
