//! The HC-SR04: distance by the echo of an ultrasonic burst.
//!
//! 10 µs on the trigger send eight pulses of 40 kHz; the echo pin is high for as long as the sound was on its way. It
//! speaks 5 V: the echo needs a divider before a Pi's pin (`deploy/wiring.md`).

use embedded_hal::digital::{InputPin, OutputPin};

use crate::edge::converter::Time;

const TRIGGER_US: u32 = 10;
/// The echo pin rises within half a millisecond.
const RISE_US_MAX: u64 = 5_000;
/// Without an echo the pin falls after 38 ms; a person 4 m away is no shopper.
const ECHO_US_MAX: u64 = 25_000;
const LOOK_US: u32 = 5;

/// What an attempt to measure came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Echo {
    /// Something stands so far away, metres.
    At(f64),
    /// Nothing within about 4 m.
    Nothing,
    /// The sensor does not answer: no power, or a cut wire.
    NoAnswer,
}

/// The sensor.
#[derive(Debug)]
pub struct Ultrasound<O, I, T> {
    trigger: O,
    echo: I,
    time: T,
}

/// A pin failed.
#[derive(Debug, thiserror::Error)]
#[error("the pin {pin} of the HC-SR04 fails: {kind:?}")]
pub struct PinError {
    pub pin: &'static str,
    pub kind: embedded_hal::digital::ErrorKind,
}

fn failed<E: embedded_hal::digital::Error>(pin: &'static str) -> impl Fn(E) -> PinError {
    move |error| PinError {
        pin,
        kind: error.kind(),
    }
}

impl<O: OutputPin, I: InputPin, T: Time> Ultrasound<O, I, T> {
    pub fn new(trigger: O, echo: I, time: T) -> Self {
        Ultrasound {
            trigger,
            echo,
            time,
        }
    }

    /// Measures once, which takes up to 30 ms. Wait 60 ms before the next, or it hears the echo of this one.
    ///
    /// `air_c`: temperature of the air; 10 °C are 1.8 % of the distance.
    pub fn measure(&mut self, air_c: f64) -> Result<Echo, PinError> {
        self.trigger.set_high().map_err(failed("TRIG"))?;
        self.time.delay_us(TRIGGER_US);
        self.trigger.set_low().map_err(failed("TRIG"))?;
        if self.becomes(true, RISE_US_MAX)?.is_none() {
            return Ok(Echo::NoAnswer);
        }
        let Some(flight_us) = self.becomes(false, ECHO_US_MAX)? else {
            return Ok(Echo::Nothing);
        };
        // Speed of sound in air, Cramer 1993, linearised: 331.3 + 0.606 T metres a second.
        let speed_m_s = 331.3 + 0.606 * air_c;
        Ok(Echo::At(flight_us as f64 / 1e6 * speed_m_s / 2.0))
    }

    /// How long it took until the echo pin was so.
    fn becomes(&mut self, is_high: bool, us_max: u64) -> Result<Option<u64>, PinError> {
        let began_us = self.time.now_us();
        loop {
            let is_so = self.echo.is_high().map_err(failed("ECHO"))? == is_high;
            let took_us = self.time.now_us() - began_us;
            if is_so {
                return Ok(Some(took_us));
            }
            if took_us >= us_max {
                return Ok(None);
            }
            self.time.delay_us(LOOK_US);
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;
    use crate::edge::converter::hand::Hand;

    /// Looks at the echo pin before it rises, and before it falls again.
    fn measured(before: usize, during: usize) -> Echo {
        let mut trigger = Mock::new(&[Transaction::set(State::High), Transaction::set(State::Low)]);
        let mut looks = vec![Transaction::get(State::Low); before];
        if during > 0 {
            looks.extend(vec![Transaction::get(State::High); during]);
            if during < 5_000 {
                looks.push(Transaction::get(State::Low));
            }
        }
        let mut echo = Mock::new(&looks);
        let mut sensor = Ultrasound::new(trigger.clone(), echo.clone(), Hand::default());
        let measured = sensor.measure(20.0).unwrap();
        trigger.done();
        echo.done();
        measured
    }

    #[test]
    fn the_echo_is_a_distance() {
        // The pin is high for 1,165 looks of 5 µs.
        let Echo::At(m) = measured(10, 1_165) else {
            panic!("no distance");
        };
        assert!((m - 1.0).abs() < 0.002, "{m}");
        assert_eq!(measured(10, 5_002), Echo::Nothing);
        assert_eq!(measured(1_001, 0), Echo::NoAnswer);
    }
}
