//! A journal without room: nothing happens, and later everything happens once.

use super::*;
use crate::checkout::session::Role;

#[test]
fn on_a_full_disk_nothing_happens_until_there_is_room_and_then_all_of_it_once() {
    let answers = [
        vec![
            Output::Accept(stamped(1)),
            decide(),
            pay("k1"),
            open("early"),
        ],
        vec![decide(), open("second")],
        vec![decide(), open("later")],
    ];
    let mut bench = Bench::new(9, answers);
    bench.shell.log.full = 2;
    let error = bench.batch(vec![Input::Observation(stamped(1))]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "nobody is let in and nothing is charged until there is room: \
         j.sqlite: the disk of the journal is full (committing); make room there"
    );
    assert!(bench.shell.is_full());
    // Nobody hears of what comes meanwhile.
    let refused = bench.batch(vec![Input::Tick]);
    assert!(matches!(refused, Err(ShellError::Full { .. })));
    assert!(matches!(
        bench.shell.go_on(at(1)),
        Err(ShellError::Full { .. })
    ));
    assert_eq!(
        bench.events(),
        ["core: observation 1", "journal: full", "journal: full"]
    );

    let effects = bench.shell.go_on(at(2)).unwrap();
    let effects: Vec<String> = effects.iter().map(name).collect();
    assert_eq!(effects, ["open early", "open second"]);
    assert_eq!(
        bench.events(),
        [
            "journal: keeps 2",
            "observer: accept 1",
            "observer: decision",
            "observer: pay k1",
            "gateway: authorise k1, done",
            "core: done k1",
            "observer: open early",
            "journal: keeps 1",
            "observer: decision",
            "observer: open second",
        ]
    );
    assert_eq!(bench.shell.go_on(at(3)).unwrap().len(), 0, "nothing waits");
    assert_eq!(bench.batch(vec![Input::Tick]).unwrap(), ["open later"]);
}

#[test]
fn an_answer_that_there_is_no_room_for_is_not_asked_for_again() {
    let answers = [
        vec![decide(), pay("k1"), open("first")],
        vec![decide(), open("paid")],
    ];
    let mut bench = Bench::new(9, answers);
    // The second commit of the two: the question is durable, its answer not yet.
    bench.shell.log.full_after = Some(1);
    assert!(bench.batch(vec![Input::Tick]).is_err());
    bench.events();
    let effects = bench.shell.go_on(at(1)).unwrap();
    let effects: Vec<String> = effects.iter().map(name).collect();
    assert_eq!(effects, ["open first", "open paid"]);
    assert_eq!(
        bench.events(),
        [
            "journal: keeps 1",
            "observer: decision",
            "observer: open paid"
        ]
    );
}

#[test]
fn a_phone_that_there_is_no_room_for_is_enrolled_later_with_what_comes_after_it() {
    let mut bench = Bench::new(
        9,
        [vec![decide()], vec![], vec![Output::Accept(stamped(2))]],
    );
    bench.shell.log.full = 1;
    let inputs = vec![
        Input::Tick,
        Input::DeviceEnrolled {
            device: "phone".into(),
            key: vec![1],
            role: Role::Shopper,
        },
        Input::Observation(stamped(2)),
        Input::Observation(stamped(2)),
    ];
    assert!(bench.batch(inputs).is_err());
    assert_eq!(bench.events(), ["core: tick", "journal: full"]);
    bench.shell.go_on(at(1)).unwrap();
    assert_eq!(
        bench.events(),
        [
            "journal: keeps 1",
            "observer: decision",
            "journal: enrols phone",
            "core: enrolled phone",
            "core: observation 2",
            "journal: keeps 1",
            "observer: accept 2",
        ]
    );
}
