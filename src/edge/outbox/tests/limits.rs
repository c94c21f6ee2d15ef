//! What happens at the limits: nothing is lost without being told.

use super::*;
use crate::observation::{GapCause, GapObservation};

fn outbox_of(rows_max: u64, bytes_max: u64) -> Outbox {
    let options = OutboxOptions {
        rows_max,
        bytes_max,
        ..OutboxOptions::default()
    };
    let mut outbox = Outbox::in_memory(&NodeName::from("scale-1"), options).unwrap();
    outbox.set_online(true);
    outbox
}

fn seen(from: i64, count: i64) -> Vec<Observation> {
    (from..from + count).map(passed_in).collect()
}

fn kept(outbox: &mut Outbox, from: i64, count: i64) -> usize {
    outbox.append(&clock(), seen(from, count)).unwrap().len()
}

#[test]
fn what_does_not_fit_is_counted_and_told_before_anything_else() {
    let mut outbox = outbox_of(16, 1 << 30);
    assert_eq!(kept(&mut outbox, 0, 16), 16);
    assert_eq!(outbox.loss(), None);
    // Committed ones go first, though their day is not over.
    outbox.committed(&upto(&outbox, 2), Timestamp(0)).unwrap();
    assert_eq!(kept(&mut outbox, 20, 2), 2);
    assert_eq!(kept(&mut outbox, 30, 2), 0);
    assert_eq!(kept(&mut outbox, 40, 1), 0);
    let loss = Loss {
        since: Timestamp(30),
        until: Timestamp(40),
        dropped: 3,
    };
    assert_eq!(outbox.loss(), Some(&loss));
    // One row less is not room enough: it would be full again at once.
    outbox.committed(&upto(&outbox, 3), Timestamp(0)).unwrap();
    assert_eq!(kept(&mut outbox, 41, 0), 0);
    outbox.committed(&upto(&outbox, 12), Timestamp(0)).unwrap();
    let told = outbox.append(&clock(), seen(50, 1)).unwrap();
    assert_eq!(outbox.loss(), None);
    assert_eq!(told[0].stamp.sequence, 19, "no sequence is left out");
    let gap = GapObservation {
        start: Timestamp(30),
        end: clock().wall_us,
        cause: GapCause::Full,
        dropped: 3,
        replaces: None,
        shelves: vec![],
    };
    assert_eq!(told[0].observation, Observation::Gap(gap));
    assert_eq!(told[1].observation, passed_in(50));
    assert_eq!(told.len(), 2);
}

#[test]
fn bytes_are_limited_too() {
    let mut outbox = outbox_of(1_000_000, 200_000);
    let mut groups = 0;
    while kept(&mut outbox, 10 * groups, 10) == 10 {
        groups += 1;
        assert!(groups < 1_000, "it never fills");
    }
    assert!(groups > 10);
    assert!(file::bytes(&outbox.connection).unwrap() < 220_000);
    let last = outbox.last_sequence();
    outbox
        .committed(&upto(&outbox, last), Timestamp(0))
        .unwrap();
    let told = outbox.append(&clock(), vec![]).unwrap();
    assert_eq!(told.len(), 1, "the gap is told though nothing is seen");
}

#[test]
fn a_full_disk_is_the_same_and_stops_nobody() {
    let mut outbox = outbox_of(1_000_000, 1 << 30);
    kept(&mut outbox, 0, 10);
    let pages = |outbox: &Outbox, max: i64| {
        let sql = format!("PRAGMA max_page_count = {max}");
        outbox.connection.query_row(&sql, [], |_| Ok(())).unwrap();
    };
    // SQLite then answers as it does where the disk has no room.
    pages(&outbox, 1);
    let mut groups = 0;
    while kept(&mut outbox, 10 * groups, 10) == 10 {
        groups += 1;
        assert!(groups < 1_000, "it never fills");
    }
    assert_eq!(outbox.loss().map(|loss| loss.dropped), Some(10));
    let last = outbox.last_sequence();
    outbox.offer(0, 10).unwrap();
    outbox
        .committed(&upto(&outbox, last), Timestamp(0))
        .unwrap();
    assert_eq!(outbox.committed_sequence(), last);
    pages(&outbox, 1_000_000);
    assert_eq!(outbox.append(&clock(), seen(1, 1)).unwrap().len(), 2);
    assert_eq!(outbox.loss(), None);
}

#[test]
fn a_loss_outlives_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let node = NodeName::from("scale-1");
    let open = |rows_max| {
        let options = OutboxOptions {
            rows_max,
            ..OutboxOptions::default()
        };
        Outbox::open_with(&path, &node, options).unwrap()
    };
    let mut outbox = open(1);
    assert_eq!(kept(&mut outbox, 0, 1), 1);
    assert_eq!(kept(&mut outbox, 7, 3), 0);
    drop(outbox);
    let mut outbox = open(100);
    assert_eq!(outbox.loss().map(|loss| loss.dropped), Some(3));
    assert_eq!(kept(&mut outbox, 0, 0), 1);
    drop(outbox);
    assert_eq!(open(100).loss(), None);
}
