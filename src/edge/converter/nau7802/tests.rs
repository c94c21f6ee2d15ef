use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

use super::*;
use crate::edge::converter::hand::Hand;

fn writes(register: u8, value: u8) -> Transaction {
    Transaction::write(ADDRESS, vec![register, value])
}

fn reads(register: u8, value: u8) -> Transaction {
    Transaction::write_read(ADDRESS, vec![register], vec![value])
}

/// Reset and power, up to the revision.
fn powered(revision: u8) -> Vec<Transaction> {
    vec![
        writes(0x00, 0x01),
        writes(0x00, 0x02),
        reads(0x00, 0x02),
        reads(0x00, 0x0a),
        reads(0x1f, revision),
    ]
}

/// The settings for 80 a second, up to the calibration.
fn settings() -> Vec<Transaction> {
    vec![
        writes(0x00, 0x86),
        writes(0x01, 0x2f),
        writes(0x02, 0x30),
        writes(0x15, 0x30),
        writes(0x1c, 0x80),
        writes(0x02, 0x34),
    ]
}

fn calibrated(after: u8) -> Vec<Transaction> {
    vec![
        reads(0x02, 0x34),
        reads(0x02, after & !0x04),
        reads(0x02, after),
    ]
}

fn set_up() -> Vec<Transaction> {
    let converting = vec![writes(0x00, 0x96)];
    [powered(0x0f), settings(), calibrated(0x30), converting].concat()
}

fn converted(bytes: [u8; 3]) -> Vec<Transaction> {
    let word = Transaction::write_read(ADDRESS, vec![0x12], bytes.to_vec());
    vec![reads(0x00, 0xbe), word]
}

#[test]
fn it_is_set_up_as_the_data_sheet_says_and_read_when_a_conversion_is_ready() {
    let settling = converted([1, 2, 3]);
    let waiting = vec![reads(0x00, 0x9e)];
    let samples = [
        converted([0x12, 0x34, 0x56]),
        converted([0xff, 0xff, 0xfe]),
        converted([0x7f, 0xff, 0xff]),
    ];
    let mut i2c = Mock::new(&[set_up(), settling, waiting, samples.concat()].concat());
    let mut chip = Nau7802::new(Rate::Sps80);
    chip.set_up(&mut i2c, &mut Hand::default()).unwrap();
    let given: Vec<Option<Sample>> = (0..5).map(|_| chip.poll(&mut i2c, 0)).collect();
    let expected = [
        Some(Err(Fault::Settling)),
        None,
        Some(Ok(0x12_3456)),
        Some(Ok(-2)),
        Some(Err(Fault::Saturated)),
    ];
    assert_eq!(given, expected);
    i2c.done();
}

#[test]
fn what_is_no_nau7802_or_can_not_calibrate_is_refused_in_a_sentence() {
    let failed = [powered(0x0f), settings(), calibrated(0x38)].concat();
    let dead = [
        vec![writes(0x00, 0x01), writes(0x00, 0x02)],
        vec![reads(0x00, 0x02); POWER_TRIES as usize],
    ];
    let nobody = Transaction::write(ADDRESS, vec![0x00, 0x01])
        .with_error(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
    for (transactions, said) in [
        (powered(0x04), "its revision reads 0x04"),
        (failed, "can't calibrate its offset"),
        (dead.concat(), "its power does not come up"),
        (vec![nobody], "nothing answers at address 0x2a"),
    ] {
        let mut i2c = Mock::new(&transactions);
        let mut chip = Nau7802::new(Rate::Sps80);
        let error = chip.set_up(&mut i2c, &mut Hand::default()).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(!chip.is_set_up());
        i2c.done();
    }
}

#[test]
fn a_chip_that_falls_silent_or_forgets_its_settings_is_set_up_again() {
    let silent = reads(0x00, 0x9e);
    let reset = reads(0x00, 0x00);
    let broken = Transaction::write_read(ADDRESS, vec![0x00], vec![0]).with_error(ErrorKind::Bus);
    for (transaction, now_us, sample) in [
        (silent, 100_001, Err(Fault::NotReady)),
        (reset, 0, Err(Fault::Bus)),
        (broken, 0, Err(Fault::Bus)),
    ] {
        let mut i2c = Mock::new(&[set_up(), vec![transaction]].concat());
        let mut chip = Nau7802::new(Rate::Sps80);
        chip.set_up(&mut i2c, &mut Hand::default()).unwrap();
        // Setting up took no time but that of the waits.
        let since = chip.heard_us;
        assert_eq!(chip.poll(&mut i2c, since + now_us), Some(sample));
        assert!(!chip.is_set_up());
        i2c.done();
    }
}

#[test]
fn the_multiplexer_chooses_one_channel() {
    let mut i2c = Mock::new(&[
        Transaction::write(0x70, vec![0b1]),
        Transaction::write(0x71, vec![0b1000_0000]),
        Transaction::write(0x71, vec![0]),
    ]);
    Multiplexer { address: 0x70 }.choose(&mut i2c, 0).unwrap();
    Multiplexer { address: 0x71 }.choose(&mut i2c, 7).unwrap();
    Multiplexer { address: 0x71 }.close(&mut i2c).unwrap();
    i2c.done();
}
