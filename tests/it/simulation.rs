//! Whole store-days in which everything fails, audited: as many as fit into a test run. `stroll torture` plays more.

use stroll::torture::{Counts, Fault, Options, run};

#[test]
fn whatever_fails_the_auditor_finds_nothing() {
    let mut faults = Counts::default();
    for seed in 1..=3 {
        let options = Options {
            shoppers: 30,
            calm: false,
            folder: std::env::temp_dir(),
        };
        let day = run(seed, &options).expect("a day is played");
        assert_eq!(
            day.violations, [""; 0],
            "stroll torture --seeds {seed}..{seed} --shoppers 30"
        );
        faults.merge(&day.faults);
    }
    for fault in [Fault::NodeCrash, Fault::MessageDropped, Fault::AnswerLost] {
        assert!(faults.get(fault) > 0, "{fault}");
    }
}

#[test]
fn a_failing_day_can_be_played_again() {
    let options = Options {
        shoppers: 12,
        calm: false,
        folder: std::env::temp_dir(),
    };
    // One on which an old copy of an outbox is put in.
    let days = (1..40).map(|seed| (seed, run(seed, &options).expect("a day is played")));
    let restored = |day: &stroll::torture::Day| day.faults.get(Fault::CardRestored) > 0;
    let mut days = days.filter(|(_, day)| restored(day));
    let (seed, day) = days.next().expect("a day with a card restored");
    assert_eq!(run(seed, &options).expect("again"), day, "seed {seed}");
}

#[test]
fn without_faults_nothing_goes_to_review_and_a_seed_is_the_same_day_again() {
    let options = Options {
        shoppers: 12,
        calm: true,
        folder: std::env::temp_dir(),
    };
    let day = run(7, &options).expect("a day is played");
    assert_eq!(
        day.violations, [""; 0],
        "stroll torture --seeds 7..7 --shoppers 12 --calm"
    );
    assert_eq!(day.totals.units_charged, day.totals.units_taken);
    assert_eq!(run(7, &options).expect("again"), day);
}
