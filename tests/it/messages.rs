//! Messages to try the wire with: chosen ones, random ones, and ways to spoil their bytes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use stroll::edge::wire::Message;
use stroll::observation::{
    BodySegment, ChangeKind, Committed, GapCause, GapObservation, GateEvent, GateObservation,
    GateOrder, GateState, Item, ItemLikelihood, Loads, NodeClock, NodeState, NodeStatus,
    Observation, OpenInterval, PlateChange, PlateFault, Pose, ProductLikelihood, SamplingReport,
    ShelfGap, ShelfObservation, Sighting, Stamp, Stamped, Stood, VisionObservation, Watermark,
};
use stroll::store::{NodeName, PlateId, ShelfId};
use stroll::units::{Milligrams, Point, Timestamp};

/// One message of each kind with every optional field at its bound, then one of each with none.
pub fn samples() -> Vec<Message> {
    [true, false].into_iter().flat_map(sample).collect()
}

/// One message of each kind: as full as the bounds allow, or as bare.
fn sample(full: bool) -> Vec<Message> {
    let node = NodeName::from("node-1");
    let some = |count: usize| if full { count } else { 0 };
    let text = |text: &str| if full { text.to_owned() } else { String::new() };
    let stamped = |observation| {
        Message::Observation(Stamped {
            stamp: Stamp {
                node: node.clone(),
                outbox: "b0".into(),
                sequence: 1,
            },
            clock: NodeClock {
                boot: text("b"),
                monotonic_us: 1,
                wall_us: Timestamp(2),
                error_us: 3,
            },
            observation,
        })
    };
    let since = Timestamp(0);
    let shelf = ShelfId {
        gondola: 1,
        shelf: 5,
    };
    vec![
        stamped(sample_shelf(shelf, some)),
        stamped(sample_vision(shelf, some)),
        stamped(sample_body(full)),
        stamped(Observation::Gate(GateObservation {
            at: Timestamp(1),
            event: if full {
                GateEvent::CodeShown {
                    code: "STROLL1.d.1.m".into(),
                }
            } else {
                GateEvent::PassedOut
            },
        })),
        stamped(Observation::Gap(GapObservation {
            start: Timestamp(1),
            end: Timestamp(9),
            cause: GapCause::Full,
            dropped: some(3) as u64,
            replaces: full.then(|| "b-1".into()),
            shelves: vec![
                ShelfGap {
                    shelf,
                    plates: vec![]
                };
                some(16)
            ],
        })),
        Message::Watermark(Watermark {
            node: node.clone(),
            outbox: "b0".into(),
            sequence: 0,
            at: if full { Timestamp::MAX } else { Timestamp::MIN },
            open: vec![OpenInterval { shelf, since }; some(1_024)],
        }),
        Message::Status(NodeStatus {
            node: node.clone(),
            state: if full {
                NodeState::Online
            } else {
                NodeState::Offline
            },
            version: text("0.1.0"),
            trouble: text("plate 1.5.3 gives no counts"),
            notice: text("camera of shelf 1.5 gives no frames"),
            outbox: full.then(|| "b0".into()),
            faults: vec![
                PlateFault {
                    plate: "1.5.3".parse().expect("a plate"),
                    what: "the converter gives nothing".to_owned(),
                    since,
                };
                some(64)
            ],
            sampling: full.then(SamplingReport::default),
            gate: full.then_some(GateState::Held),
        }),
        Message::Committed {
            node: node.clone(),
            committed: Committed {
                outbox: "b0".into(),
                sequence: some(7) as u64,
            },
        },
        Message::Loads(Loads {
            node: node.clone(),
            load_mg: (0..some(1_024) as u16)
                .map(|plate| (PlateId { shelf, plate }, Milligrams(-1)))
                .collect(),
        }),
        Message::Order {
            node: node.clone(),
            order: if full {
                GateOrder::Open { for_ms: 60_000 }
            } else {
                GateOrder::Release
            },
        },
    ]
}

fn sample_shelf(shelf: ShelfId, some: impl Fn(usize) -> usize) -> Observation {
    let plate = PlateChange {
        plate: 1,
        delta_mg: Milligrams(-5),
        sigma_mg: Milligrams(1),
    };
    let likelihood = ItemLikelihood {
        items: vec![Item {
            product: "071142008582".into(),
            quantity: 1,
        }],
        log_likelihood_milli: -9,
    };
    Observation::Shelf(ShelfObservation {
        shelf,
        start: Timestamp(1),
        peak: Timestamp(2),
        peak_error_us: some(600_000) as u64,
        end: Timestamp(3),
        kind: ChangeKind::Take,
        plates: vec![plate; some(64)],
        stood: (some(1) > 0).then(|| Stood {
            from: Timestamp(1),
            until: Timestamp(3),
            plates: vec![plate; 64],
        }),
        likelihoods: vec![likelihood; some(32)],
        evidence: vec!["trace-1".into(); some(32)],
    })
}

fn sample_vision(shelf: ShelfId, some: impl Fn(usize) -> usize) -> Observation {
    let likelihood = ProductLikelihood {
        product: "071142008582".into(),
        log_likelihood_milli: -9,
    };
    Observation::Vision(VisionObservation {
        shelf,
        start: Timestamp(1),
        end: Timestamp(3),
        likelihoods: vec![likelihood; some(32)],
        others_milli: -6_000,
        model: "products-1".to_owned(),
        evidence: vec!["frame-1".into(); some(32)],
    })
}

fn sample_body(full: bool) -> Observation {
    let place = Point {
        x: 1.234,
        y: -0.5,
        z: 1.7,
    };
    let sighting = Sighting {
        place,
        confidence: 1.0,
    };
    let pose = Pose {
        at: Timestamp(1),
        head: full.then_some(sighting),
        hands: vec![sighting; if full { 2 } else { 0 }],
    };
    Observation::Body(BodySegment {
        track: "3325379692103139202".into(),
        start: Timestamp(1),
        end: Timestamp(1),
        poses: vec![pose; if full { 64 } else { 1 }],
    })
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
        (time(), 0..=9_007_199_254_740_991_u64),
        kind,
        vec(plate, 0..=64),
        likelihoods,
        evidence,
    )
        .prop_map(
            |(shelf, (start, end), (peak, peak_error_us), kind, plates, likelihoods, evidence)| {
                Observation::Shelf(ShelfObservation {
                    shelf,
                    start,
                    peak,
                    peak_error_us,
                    end,
                    kind,
                    plates,
                    stood: None,
                    likelihoods,
                    evidence,
                })
            },
        )
}

fn vision() -> impl Strategy<Value = Observation> {
    let log = || -1_000_000_000_000..=1_000_000_000_000_i64;
    let likelihood = (id(), log()).prop_map(|(product, log_likelihood_milli)| ProductLikelihood {
        product: product.into(),
        log_likelihood_milli,
    });
    let likelihoods = vec(likelihood, 0..8);
    (
        shelf_id(),
        span(),
        likelihoods,
        log(),
        id(),
        vec(id(), 0..4),
    )
        .prop_map(
            |(shelf, (start, end), likelihoods, others_milli, model, evidence)| {
                Observation::Vision(VisionObservation {
                    shelf,
                    start,
                    end,
                    likelihoods,
                    others_milli,
                    model,
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

fn gap() -> impl Strategy<Value = Observation> {
    let causes = vec![
        GapCause::Off,
        GapCause::Full,
        GapCause::Replaced,
        GapCause::Blind,
    ];
    let plates =
        (any::<u16>(), -1_000_000_000..=1_000_000_000_i64).prop_map(|(plate, delta)| PlateChange {
            plate,
            delta_mg: Milligrams(delta),
            sigma_mg: Milligrams(1),
        });
    let shelf = (shelf_id(), vec(plates, 0..=64));
    let shelves = vec(
        shelf.prop_map(|(shelf, plates)| ShelfGap { shelf, plates }),
        0..=16,
    );
    (
        span(),
        prop::sample::select(causes),
        0..=9_007_199_254_740_991_u64,
        option::of(id()),
        shelves,
    )
        .prop_map(|((start, end), cause, dropped, replaces, shelves)| {
            Observation::Gap(GapObservation {
                start,
                end,
                cause,
                dropped,
                replaces: replaces.map(Into::into),
                shelves,
            })
        })
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
    (
        stamp,
        clock,
        prop_oneof![shelf(), vision(), body(), gate(), gap()],
    )
        .prop_map(|((node, outbox, sequence), clock, observation)| {
            Message::Observation(Stamped {
                stamp: Stamp {
                    node: node.into(),
                    outbox: outbox.into(),
                    sequence,
                },
                clock,
                observation,
            })
        })
}

pub fn message() -> impl Strategy<Value = Message> {
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
    let texts = (option::of(id()), option::of(id()), option::of(id()));
    let status = (node(), states, texts).prop_map(|(node, state, (version, trouble, outbox))| {
        Message::Status(NodeStatus {
            node,
            state,
            version: version.unwrap_or_default(),
            trouble: trouble.unwrap_or_default(),
            notice: String::new(),
            outbox: outbox.map(Into::into),
            faults: Vec::new(),
            sampling: None,
            gate: None,
        })
    });
    let committed =
        (node(), id(), 0..1_u64 << 53).prop_map(|(node, outbox, sequence)| Message::Committed {
            node,
            committed: Committed {
                outbox: outbox.into(),
                sequence,
            },
        });
    let plate = ("[0-9]{1,3}", -1_000_000_000..=1_000_000_000_i64);
    let plates = vec(
        plate.prop_map(|(p, mg)| (format!("1.5.{p}"), Milligrams(mg))),
        0..9,
    );
    let loads = (node(), plates).prop_map(|(node, plates)| {
        let plates = plates.into_iter();
        let load_mg = plates
            .filter_map(|(p, mg)| Some((p.parse().ok()?, mg)))
            .collect();
        Message::Loads(Loads { node, load_mg })
    });
    let order = (node(), 1..=60_000_u64, any::<bool>()).prop_map(|(node, for_ms, opens)| {
        let order = match opens {
            true => GateOrder::Open { for_ms },
            false => GateOrder::Hold { for_ms },
        };
        Message::Order { node, order }
    });
    prop_oneof![4 => observation(), 1 => watermark, 1 => status, 1 => committed, 1 => loads, 1 => order]
}

/// A way to spoil bytes.
#[derive(Clone, Debug)]
pub enum Mutation {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Double(prop::sample::Index),
}

pub fn mutation() -> impl Strategy<Value = Mutation> {
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

pub fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
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
