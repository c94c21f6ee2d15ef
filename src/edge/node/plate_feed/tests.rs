use super::*;

const SCALE: Scale = Scale {
    counts_per_gram: 400.0,
    zero: Some(50_000),
    capacity_g: Some(5_000.0),
};

/// Grams with a converter's noise, which never repeats a count.
fn count(grams: f64, slot: u32) -> Sample {
    let noise = [13, -40, 22, 5, -17, 31, -9][slot as usize % 7];
    Ok(50_000 + (grams * 400.0) as i32 + noise)
}

/// Feeds `seconds` of what `sample` gives; the last count that went to sensing, and what was told, with the second.
fn feed(
    plate: &mut PlateFeed,
    seconds: f64,
    sample: impl Fn(u32) -> Option<Sample>,
) -> (i32, Vec<(f64, News)>) {
    let mut told = Vec::new();
    let mut last = NO_COUNT;
    for slot in 0..(seconds * 80.0) as u32 {
        let (passed, news) = plate.push(sample(slot));
        last = passed;
        told.extend(news.map(|news| (f64::from(slot + 1) / 80.0, news)));
    }
    (last, told)
}

#[test]
fn each_illness_is_told_within_a_second_and_its_counts_go_nowhere() {
    for (illness, sample) in [
        (Illness::Silent, Some(Err(Fault::NotReady))),
        (Illness::Silent, Some(Err(Fault::Bus))),
        (Illness::Silent, None),
        (Illness::Saturated, Some(Err(Fault::Saturated))),
        (Illness::Saturated, Some(Ok(-1_500_000))),
        (Illness::Saturated, Some(Ok(4_000_000))),
        (Illness::Stuck, Some(Ok(250_000))),
        (Illness::Interrupted, Some(Err(Fault::Interrupted))),
    ] {
        let mut plate = PlateFeed::new(SCALE, 80.0);
        feed(&mut plate, 2.0, |slot| Some(count(500.0, slot)));
        let (last, told) = feed(&mut plate, 3.0, |_| sample);
        assert_eq!(last, NO_COUNT);
        assert_eq!(told.len(), 1, "{illness:?}: {told:?}");
        assert_eq!(told[0].1, News::Ill(illness));
        assert!(told[0].0 < 1.0, "{illness:?} after {} s", told[0].0);
    }
}

#[test]
fn a_plate_that_comes_back_goes_on_where_it_was_and_says_what_moved() {
    for (grams, moved_g) in [
        (500.0, 0.0),
        (501.5, 0.0),
        (250.0, -250.0),
        (4_000.0, 3_500.0),
    ] {
        let mut plate = PlateFeed::new(SCALE, 80.0);
        feed(&mut plate, 2.0, |slot| Some(count(500.0, slot)));
        // The plug bounces before it is out.
        feed(&mut plate, 0.1, |slot| {
            Some(count(f64::from(slot) * 300.0, slot))
        });
        feed(&mut plate, 5.0, |_| Some(Err(Fault::NotReady)));
        let (last, told) = feed(&mut plate, 3.0, |slot| Some(count(grams, slot)));
        let [(after_s, News::Well { moved_g: told_g })] = told[..] else {
            panic!("{told:?}");
        };
        assert!((1.0..1.2).contains(&after_s), "{after_s}");
        assert!((told_g - moved_g).abs() < 0.5, "{told_g} for {moved_g}");
        let expected = if moved_g == 0.0 { grams } else { 500.0 };
        let shown_g = f64::from(last - 50_000) / 400.0;
        assert!((shown_g - expected).abs() < 0.5, "{shown_g} for {expected}");
    }
}

#[test]
fn single_losses_are_no_illness() {
    let mut plate = PlateFeed::new(SCALE, 80.0);
    let (_, told) = feed(&mut plate, 10.0, |slot| match slot % 20 {
        3 => Some(Err(Fault::Interrupted)),
        9 => None,
        10..=13 => Some(Err(Fault::NotReady)),
        _ => Some(count(500.0, slot)),
    });
    assert_eq!(told, []);
    // A quarter of the reads broken off is no single loss any more.
    let (_, told) = feed(&mut plate, 3.0, |slot| match slot % 4 {
        1 => Some(Err(Fault::Interrupted)),
        _ => Some(count(500.0, slot)),
    });
    assert_eq!(
        told.first().map(|t| t.1),
        Some(News::Ill(Illness::Interrupted))
    );
}

#[test]
fn a_plate_that_waves_about_is_not_believed_yet() {
    let mut plate = PlateFeed::new(SCALE, 80.0);
    feed(&mut plate, 2.0, |slot| Some(count(500.0, slot)));
    feed(&mut plate, 1.0, |_| None);
    let (last, told) = feed(&mut plate, 4.0, |slot| {
        Some(count(f64::from(slot % 40) * 10.0, slot))
    });
    assert_eq!((last, told.len()), (NO_COUNT, 0));
}
