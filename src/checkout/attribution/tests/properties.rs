use proptest::prelude::*;

use super::*;

fn person() -> impl Strategy<Value = Person> {
    let state = prop_oneof![
        4 => Just(SessionState::Inside),
        1 => Just(SessionState::Leaving),
        1 => Just(SessionState::Draft),
        1 => Just(SessionState::Settled),
    ];
    let hand = prop::option::of((-0.5..1.5, -0.4..0.4, 0.9..1.9));
    let times = (50.0..110.0_f64, prop::option::of(90.0..120.0_f64));
    (
        [0..3_u32, 0..3_u32, 0..3_u32],
        prop::option::of(0..3_usize),
        (-1.0..2.0, -2.0..-0.3),
        hand,
        prop::bool::weighted(0.9),
        times,
        state,
    )
        .prop_map(
            |(has, doubtful, head, hand, seen, (entered_s, exited_s), state)| Person {
                has,
                doubtful,
                head,
                hand,
                seen,
                entered_s,
                exited_s,
                state,
            },
        )
}

fn changed() -> impl Strategy<Value = Changed> {
    let grams = prop_oneof![
        (0..3_usize, 1..4_u32, -3.0..3.0_f64)
            .prop_map(|(p, n, off)| PRODUCTS[p].1 * f64::from(n) + off),
        6.0..3_000.0_f64,
        Just(1e6),
    ];
    let kind = prop_oneof![
        Just(ChangeKind::Take),
        Just(ChangeKind::Put),
        Just(ChangeKind::Touch),
        Just(ChangeKind::Foreign),
        Just(ChangeKind::Unsure),
    ];
    let plate = prop_oneof![6 => 1..=4_u16, 1 => Just(0), 1 => Just(u16::MAX)];
    (1..=3_u16, plate, 1..=3_u16, grams, kind).prop_map(|(shelf, plate, plates, grams, kind)| {
        Changed {
            shelf,
            plate,
            plates,
            grams: if kind == ChangeKind::Take {
                -grams
            } else {
                grams
            },
            kind,
        }
    })
}

fn misplaced() -> impl Strategy<Value = Misplaced> {
    let plate = (1..=2_u16, 1..=4_u16).prop_map(|(shelf, plate)| PlateId {
        shelf: ShelfId { gondola: 1, shelf },
        plate,
    });
    let items = prop::collection::vec((plate.clone(), 0..3_usize), 0..3);
    let foreign = prop::collection::vec((plate, 6_000..900_000_i64), 0..3);
    (items, foreign).prop_map(|(items, foreign)| Misplaced {
        items: (items.into_iter())
            .map(|(plate, index)| (plate, PRODUCTS[index].0.into()))
            .collect(),
        foreign: (foreign.into_iter())
            .map(|(plate, mass)| (plate, Milligrams(mass)))
            .collect(),
    })
}

proptest! {
    #[test]
    fn probabilities_are_probabilities(
        persons in prop::collection::vec(person(), 0..6), changed in changed(), misplaced in misplaced(),
    ) {
        let names: Vec<usize> = (0..persons.len()).collect();
        let found = explained(&persons, &names, &misplaced, &changed, 0);
        prop_assert!(found.len() <= HYPOTHESES_MAX);
        prop_assert!(found.iter().all(|(_, _, p)| (0.0..=1.0 + 1e-12).contains(p)), "{:?}", found);
        prop_assert!(found.iter().map(|(_, _, p)| p).sum::<f64>() <= 1.0 + 1e-9);
        prop_assert!(found.windows(2).all(|pair| pair[0].2 >= pair[1].2), "the best comes first");
        prop_assert_eq!(found.is_empty(), changed.kind == ChangeKind::Touch);
        for (index, (who, what, _)) in found.iter().enumerate() {
            let again = found[..index].iter().any(|(w, t, _)| w == who && t == what);
            prop_assert!(!again, "{who:?} {what:?} is there twice");
        }
    }

    #[test]
    fn only_who_was_there_can_have_done_it(
        persons in prop::collection::vec(person(), 0..6), changed in changed(), misplaced in misplaced(),
    ) {
        let names: Vec<usize> = (0..persons.len()).collect();
        for (who, what, _) in explained(&persons, &names, &misplaced, &changed, 0) {
            let Some(person) = who.map(|index| &persons[index]) else {
                let put = changed.kind != ChangeKind::Take;
                prop_assert!(!put || what == What::Foreign, "nobody put {:?} back", what);
                continue;
            };
            prop_assert!(person.seen && person.entered_s <= PEAK_S);
            prop_assert!(person.exited_s.is_none_or(|exit| exit >= PEAK_S));
            prop_assert!(person.state != SessionState::Settled);
            if let (What::Items(items), true) = (&what, changed.kind != ChangeKind::Take) {
                let has = items.iter().all(|item| person.may_have(item));
                prop_assert!(has, "{:?} puts {:?} back", person, items);
            }
        }
    }

    #[test]
    fn names_and_dates_do_not_matter(
        persons in prop::collection::vec(person(), 1..6), changed in changed(), misplaced in misplaced(),
        turn in 0..6_usize, shift_us in -1_000_000_000_000..1_000_000_000_000_i64,
    ) {
        let names: Vec<usize> = (0..persons.len()).collect();
        let found = explained(&persons, &names, &misplaced, &changed, 0);
        let later = explained(&persons, &names, &misplaced, &changed, shift_us);
        prop_assert_eq!(&later, &found);
        let mut turned = names.clone();
        turned.rotate_left(turn % persons.len());
        turned.reverse();
        let renamed = explained(&persons, &turned, &misplaced, &changed, 0);
        prop_assert_eq!(renamed.len(), found.len());
        // Of equally good ones at the end of the list, others may be left out.
        let last = found.last().map_or(0.0, |(_, _, p)| *p);
        for (who, what, p) in found.iter().filter(|(_, _, p)| *p > last + 1e-9) {
            let same = renamed.iter().find(|(w, t, _)| w == who && t == what);
            prop_assert!(same.is_some_and(|(_, _, q)| (p - q).abs() < 1e-9), "{:?}", renamed);
        }
    }
}
