use embedded_hal::delay::DelayNs;
use embedded_hal_mock::eh1::MockError;
use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

use super::*;
use crate::edge::converter::hand::Hand;

fn low() -> Transaction {
    Transaction::get(State::Low)
}

fn high() -> Transaction {
    Transaction::get(State::High)
}

/// What a data wire shows over one read: ready, 24 bits, and its level after the last pulse.
fn word(bits: u32, after: State) -> Vec<Transaction> {
    let mut shown = vec![low()];
    for bit in (0..24).rev() {
        shown.push(if bits >> bit & 1 == 1 { high() } else { low() });
    }
    shown.push(Transaction::get(after));
    shown
}

/// Pulses on the clock: one for the reset, then those of the reads.
fn pulses(count: u32) -> Vec<Transaction> {
    (0..=count)
        .flat_map(|_| [Transaction::set(State::High), Transaction::set(State::Low)])
        .collect()
}

struct Bench {
    clock: Mock,
    data: Vec<Mock>,
    time: Hand,
    chips: Hx711<Mock, Mock, Hand>,
}

impl Bench {
    /// Chips whose data wires show this, read with so many pulses in all.
    fn new(gain: Gain, clock_pulses: u32, wires: &[Vec<Transaction>]) -> Self {
        let clock = Mock::new(&pulses(clock_pulses));
        let data: Vec<Mock> = wires.iter().map(Mock::new).collect();
        let time = Hand::default();
        let chips = Hx711::new(clock.clone(), data.clone(), time.clone(), gain, Rate::Sps80);
        Bench {
            clock,
            data,
            time,
            chips: chips.expect("the reset works"),
        }
    }

    fn poll(&mut self) -> Option<Vec<Sample>> {
        let mut samples = Vec::new();
        let is_read = self.chips.poll(&mut samples).expect("the pins work");
        is_read.then_some(samples)
    }

    /// Every transaction that was expected has happened.
    fn done(mut self) {
        self.clock.done();
        self.data.iter_mut().for_each(Mock::done);
    }
}

#[test]
fn the_gain_is_the_number_of_pulses() {
    for (gain, count) in [(Gain::A128, 25), (Gain::B32, 26), (Gain::A64, 27)] {
        let wire = [word(0, State::High), word(0x12_3456, State::High)].concat();
        let mut bench = Bench::new(gain, 2 * count, &[wire]);
        assert_eq!(
            bench.poll(),
            Some(vec![Err(Fault::Settling)]),
            "after the reset"
        );
        assert_eq!(bench.poll(), Some(vec![Ok(0x12_3456)]));
        bench.done();
    }
    assert_eq!(Gain::of(64), Some(Gain::A64));
    assert_eq!(Gain::of(100), None);
}

#[test]
fn a_read_is_what_the_wire_shows() {
    for (bits, sample) in [
        (0xff_ffff, Ok(-1)),
        (0x80_0001, Ok(-8_388_607)),
        (0x7f_fffe, Ok(8_388_606)),
        (0x7f_ffff, Err(Fault::Saturated)),
        (0x80_0000, Err(Fault::Saturated)),
    ] {
        let wire = [word(0, State::High), word(bits, State::High)].concat();
        let mut bench = Bench::new(Gain::A128, 50, &[wire]);
        bench.poll();
        assert_eq!(bench.poll(), Some(vec![sample]), "{bits:#x}");
        bench.done();
    }
}

#[test]
fn data_that_is_not_high_after_the_last_pulse_makes_the_sample_void() {
    let wire = [
        word(0, State::High),
        word(5, State::Low),
        word(6, State::High),
        word(7, State::High),
    ];
    let mut bench = Bench::new(Gain::A128, 100, &[wire.concat()]);
    bench.poll();
    assert_eq!(bench.poll(), Some(vec![Err(Fault::Interrupted)]));
    assert_eq!(
        bench.poll(),
        Some(vec![Err(Fault::Settling)]),
        "it was reset"
    );
    assert_eq!(bench.poll(), Some(vec![Ok(7)]));
    bench.done();
}

#[test]
fn a_clock_that_is_held_high_makes_the_sample_void() {
    // Looks at the time: one at the reset, one a poll, one at the start of a read, two a pulse, one at its end.
    let second_read = 1 + (1 + 1 + 50 + 1) + 2;
    for (look, stall_us, sample) in [
        // In the middle of the 10th pulse, beyond what powers down.
        (second_read + 20, 61, Err(Fault::Interrupted)),
        // The same, short of it.
        (second_read + 20, 40, Ok(9)),
        // Between two pulses: only the whole read is late.
        (second_read + 21, 1_500, Ok(9)),
        (second_read + 21, 2_500, Err(Fault::Interrupted)),
    ] {
        let wire = [word(0, State::High), word(9, State::High)].concat();
        let mut bench = Bench::new(Gain::A128, 50, &[wire]);
        bench.time.stall.set(Some((look, stall_us)));
        bench.poll();
        assert_eq!(bench.poll(), Some(vec![sample]), "{look} {stall_us}");
        bench.done();
    }
}

#[test]
fn chips_on_one_clock_are_read_together_when_the_last_is_ready() {
    let first = [word(0, State::High), vec![low()], word(1, State::High)].concat();
    let second = [
        word(0, State::High),
        vec![high()],
        word(0xff_fffe, State::High),
    ]
    .concat();
    let mut bench = Bench::new(Gain::A128, 50, &[first, second]);
    assert_eq!(bench.poll(), Some(vec![Err(Fault::Settling); 2]));
    assert_eq!(bench.poll(), None, "the second has nothing yet");
    assert_eq!(bench.poll(), Some(vec![Ok(1), Ok(-2)]));
    bench.done();
}

#[test]
fn a_chip_that_is_overdue_holds_up_the_others_once() {
    let mut present = vec![low(), low()];
    present.extend(word(0, State::High).split_off(1));
    present.extend(word(2, State::High));
    let absent = vec![high(), high(), high()];
    let mut bench = Bench::new(Gain::A128, 50, &[present, absent]);
    assert_eq!(bench.poll(), None);
    bench.time.delay_us(16_000);
    let settling = vec![Err(Fault::Settling), Err(Fault::NotReady)];
    assert_eq!(bench.poll(), Some(settling));
    let next = vec![Ok(2), Err(Fault::NotReady)];
    assert_eq!(bench.poll(), Some(next), "it is not waited for any more");
    bench.done();
}

#[test]
fn chips_that_are_all_away_say_so_once_a_period() {
    let mut bench = Bench::new(Gain::A128, 0, &[vec![high(); 4]]);
    assert_eq!(bench.poll(), None);
    bench.time.delay_us(76_000);
    assert_eq!(bench.poll(), Some(vec![Err(Fault::NotReady)]));
    assert_eq!(bench.poll(), None);
    bench.time.delay_us(12_600);
    assert_eq!(bench.poll(), Some(vec![Err(Fault::NotReady)]));
    bench.done();
}

#[test]
fn a_pin_that_fails_is_an_error_with_its_name() {
    let failing = || MockError::Io(std::io::ErrorKind::NotConnected);
    let mut clock = Mock::new(&pulses(0));
    let mut data = Mock::new(&[low().with_error(failing())]);
    let chips = Hx711::new(
        clock.clone(),
        [data.clone()],
        Hand::default(),
        Gain::A128,
        Rate::Sps10,
    );
    let error = chips.expect("it resets").poll(&mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "the pin DOUT of the HX711 fails: Other");
    clock.done();
    data.done();
}
