//! Which moves are one change.

use super::*;

/// A sudden move of one plate.
fn sudden(cell: usize, at: f64, delta: f64) -> Pending {
    Pending {
        cell,
        opened: at as u64,
        at,
        took: 2.0,
        unseen: 0.0,
        settled: 100,
        kind: Kind::Item,
        delta,
        sigma: 0.5,
        wander: 0.0,
    }
}

/// Kind and net grams of every change, in the order of time.
fn said(moves: &[Pending], units: &[&[f64]]) -> Vec<(Kind, f64)> {
    let mut joined = join(moves, |cell| units[cell]);
    joined.sort_by(|a, b| a.at.total_cmp(&b.at));
    let net = |j: &Joined| j.cells.iter().map(|c| c.1).sum::<f64>();
    joined
        .iter()
        .map(|j| (j.kind, if j.kind == Kind::Touch { 0.0 } else { net(j) }))
        .collect()
}

#[test]
fn runs_of_moves() {
    // Products of 300 g on plates 0 and 1, of 100 g on plate 2.
    let units: [&[f64]; 3] = [&[300.0], &[300.0], &[100.0]];
    type Case<'a> = (&'a str, &'a [(usize, f64, f64)], &'a [(Kind, f64)]);
    let table: &[Case<'_>] = &[
        ("a pick", &[(0, 20.0, -300.0)], &[(Kind::Item, -300.0)]),
        (
            "a press and a pick",
            &[(0, 16.0, 55.0), (0, 20.0, -355.0)],
            &[(Kind::Item, -300.0)],
        ),
        (
            "a put and a press",
            &[(0, 16.0, 340.0), (0, 20.0, -40.0)],
            &[(Kind::Item, 300.0)],
        ),
        (
            "a hesitation",
            &[(0, 16.0, -110.0), (0, 20.0, -190.0)],
            &[(Kind::Item, -300.0)],
        ),
        (
            "two picks",
            &[(0, 16.0, -300.0), (0, 20.0, -300.0)],
            &[(Kind::Item, -300.0), (Kind::Item, -300.0)],
        ),
        (
            "a press",
            &[(0, 16.0, 70.0), (0, 20.0, -70.0)],
            &[(Kind::Touch, 0.0)],
        ),
        (
            "a pick and a put-back half a second later",
            &[(0, 16.0, -300.0), (0, 26.0, 300.0)],
            &[(Kind::Item, -300.0), (Kind::Item, 300.0)],
        ),
        (
            "an item across two plates",
            &[(0, 20.0, -180.0), (1, 20.4, -120.0)],
            &[(Kind::Item, -300.0)],
        ),
        (
            "an item that is tilted off two plates",
            &[(0, 20.0, -180.0), (1, 24.0, -120.0)],
            &[(Kind::Item, -300.0)],
        ),
        (
            "two products from neighbouring plates",
            &[(1, 20.0, -300.0), (2, 25.0, -100.0)],
            &[(Kind::Item, -300.0), (Kind::Item, -100.0)],
        ),
        (
            "leak",
            &[(0, 20.0, -300.0), (1, 21.0, -7.0)],
            &[(Kind::Item, -300.0)],
        ),
        (
            "a press on one of two plates, then an item across both",
            &[(0, 16.0, 40.0), (1, 20.0, -120.0), (0, 20.4, -220.0)],
            &[(Kind::Item, -300.0)],
        ),
        (
            "a press that could be leak of a pick beside it, but for what left next",
            &[(0, 20.0, -300.0), (1, 21.0, 31.0), (1, 26.0, -331.0)],
            &[(Kind::Item, -300.0), (Kind::Item, -300.0)],
        ),
        (
            "an item across two plates, and another from one of them",
            &[(0, 20.0, -180.0), (1, 20.4, -120.0), (1, 26.0, -300.0)],
            &[(Kind::Item, -300.0), (Kind::Item, -300.0)],
        ),
        (
            "three plates at once",
            &[(0, 20.0, -100.0), (2, 20.2, -80.0), (1, 20.4, -120.0)],
            &[(Kind::Item, -300.0)],
        ),
        (
            "far apart",
            &[(0, 20.0, -300.0), (2, 20.0, -100.0)],
            &[(Kind::Item, -300.0), (Kind::Item, -100.0)],
        ),
    ];
    for (name, moves, expected) in table {
        let moves: Vec<Pending> = moves.iter().map(|&(c, at, g)| sudden(c, at, g)).collect();
        assert_eq!(said(&moves, &units), *expected, "{name}");
    }
}

#[test]
fn what_nobody_saw_belongs_to_what_was_seen_beside_it() {
    let units: [&[f64]; 2] = [&[300.0], &[300.0]];
    // Grams on plate 0, seen at block 40; on plate 1, silent for so many blocks around block 60; and the changes.
    type Case<'a> = (&'a str, f64, (f64, f64), &'a [f64]);
    let table: &[Case<'_>] = &[
        ("halves of one", -180.0, (-120.0, 100.0), &[-300.0]),
        (
            "halves, but it was seen by then",
            -180.0,
            (-120.0, 10.0),
            &[-180.0, -120.0],
        ),
        ("one each", -300.0, (-300.0, 100.0), &[-300.0, -300.0]),
    ];
    for (name, seen, (grams, unseen), expected) in table {
        let silent = Pending {
            unseen: *unseen,
            ..sudden(1, 60.0, *grams)
        };
        let joined = join(&[sudden(0, 40.0, *seen), silent], |cell| units[cell]);
        let net = |j: &Joined| j.cells.iter().map(|c| c.1).sum::<f64>();
        let found: Vec<f64> = joined.iter().map(net).collect();
        assert_eq!(found, *expected, "{name}");
        assert_eq!(joined[0].at, 40.0, "{name}");
        assert_eq!(joined[0].unseen, 0.0, "{name}");
    }
}

#[test]
fn nothing_is_lost_between_moves_and_changes() {
    let units: [&[f64]; 2] = [&[300.0], &[80.0]];
    let moves = [
        sudden(0, 10.0, -300.0),
        sudden(1, 14.0, -80.0),
        sudden(0, 18.0, 60.0),
        sudden(0, 22.0, -360.0),
        sudden(1, 40.0, 80.0),
    ];
    let before: f64 = moves.iter().map(|p| p.delta).sum();
    let after: f64 = said(&moves, &units).iter().map(|c| c.1).sum();
    assert!((before - after).abs() < 1e-9);
}

/// What stood in between, if it may have been a product.
#[test]
fn levels_on_which_plates_stood() {
    // Products of 300 g on plates 0 and 1, of 100 g on plate 2.
    let units: [&[f64]; 3] = [&[300.0], &[300.0], &[100.0]];
    type Case<'a> = (&'a str, &'a [(usize, f64, f64)], Option<f64>);
    let table: &[Case<'_>] = &[
        ("a press", &[(0, 16.0, 70.0), (0, 20.0, -70.0)], None),
        (
            "a press and a pick",
            &[(0, 16.0, 55.0), (0, 20.0, -355.0)],
            None,
        ),
        (
            "as heavy as a product, and away",
            &[(0, 16.0, 299.0), (0, 24.0, -299.0)],
            Some(299.0),
        ),
        (
            "one came before two left",
            &[(0, 16.0, 302.0), (0, 24.0, -601.0)],
            Some(302.0),
        ),
        (
            "it is gone before it could be seen",
            &[(0, 16.0, 299.0), (0, 18.5, -299.0)],
            None,
        ),
    ];
    for (name, moves, expected) in table {
        let moves: Vec<Pending> = moves.iter().map(|m| sudden(m.0, m.1, m.2)).collect();
        let found = join(&moves, |cell| units[cell]);
        let stood: Vec<f64> = (found.iter().filter_map(|j| j.stood.as_ref()))
            .map(|s| s.cells.iter().map(|c| c.1).sum())
            .collect();
        assert_eq!(stood, Vec::from_iter(*expected), "{name}: {found:?}");
    }
}

/// What stays on a plate is no press: it came while something else left beside it.
#[test]
fn what_comes_to_stay_is_not_lost_beside_what_leaves() {
    let units: [&[f64]; 3] = [&[300.0], &[300.0], &[300.0]];
    let moves = [(2, 18.0, 300.0), (1, 22.0, -400.0), (0, 22.2, -200.0)];
    let moves: Vec<Pending> = moves.iter().map(|m| sudden(m.0, m.1, m.2)).collect();
    let found = join(&moves, |cell| units[cell]);
    let kept = |cell: usize| -> f64 {
        let cells = found.iter().flat_map(|j| &j.cells).filter(|c| c.0 == cell);
        cells.map(|c| c.1).sum()
    };
    assert_eq!(
        [kept(0), kept(1), kept(2)],
        [-200.0, -400.0, 300.0],
        "{found:?}"
    );
}

/// What leaves beside a plate that a hand leaves is the hand, too; what comes, or leaves at another time, is not.
#[test]
fn a_hand_leaves_two_plates_at_once() {
    // The move of plate 1 beside -200 g that a hand takes off plate 0 at 20, and whether it is an item.
    let table: &[(&str, f64, f64, bool)] = &[
        ("the other half of the hand", 20.6, -240.0, false),
        ("an item a tenth of a second later", 22.2, -240.0, true),
        ("something that comes", 20.2, 240.0, true),
        ("far more than a hand leaves there", 20.2, -1500.0, true),
    ];
    for (name, at, delta, is_item) in table {
        let hand = Pending {
            kind: Kind::Foreign,
            ..sudden(0, 20.0, -200.0)
        };
        let mut moves = [hand, sudden(1, *at, *delta)];
        lift_hands(&mut moves);
        assert_eq!(moves[1].kind == Kind::Item, *is_item, "{name}");
    }
}
