//! Light by RC time: how long a capacitor takes to charge through a photoresistor.
//!
//! One pin, used as an open drain: driven low it discharges the capacitor, released it reads high once the voltage has
//! passed the threshold of the input. Less light, more resistance, more time; a shopper's shadow shows.

use embedded_hal::digital::{InputPin, OutputPin};

use crate::edge::converter::Time;

/// A microfarad is empty after this through the pin's 50 Ω.
const DISCHARGE_US: u32 = 1_000;
/// Darker than this is dark, microseconds.
pub const DARK_US: u32 = 100_000;
/// How often the pin is looked at.
const LOOK_US: u32 = 20;

/// The sensor.
#[derive(Debug)]
pub struct Light<P, T> {
    /// `set_low` drives, `set_high` releases.
    pin: P,
    time: T,
}

impl<P: InputPin + OutputPin, T: Time> Light<P, T> {
    pub fn new(pin: P, time: T) -> Self {
        Light { pin, time }
    }

    /// Microseconds that the capacitor took, at most [`DARK_US`].
    pub fn charge_us(&mut self) -> Result<u32, P::Error> {
        self.pin.set_low()?;
        self.time.delay_us(DISCHARGE_US);
        self.pin.set_high()?;
        let began_us = self.time.now_us();
        loop {
            let is_charged = self.pin.is_high()?;
            let took_us = self.time.now_us() - began_us;
            if is_charged || took_us >= u64::from(DARK_US) {
                return Ok(u32::try_from(took_us).unwrap_or(DARK_US).min(DARK_US));
            }
            self.time.delay_us(LOOK_US);
        }
    }
}

/// Whether it got darker or lighter by more than a part of what it was: follows daylight, and not a passer-by.
#[derive(Clone, Copy, Debug)]
pub struct Shadow {
    usual_us: Option<f64>,
    part: f64,
}

impl Shadow {
    /// `part`: 0.25 is a quarter off what is usual.
    pub fn new(part: f64) -> Self {
        Shadow {
            usual_us: None,
            part,
        }
    }

    /// Takes one reading.
    pub fn sees(&mut self, charge_us: u32) -> bool {
        let now = f64::from(charge_us);
        let usual = *self.usual_us.get_or_insert(now);
        let is_near = (now - usual).abs() > self.part * usual.max(1.0);
        // Someone who stays for long becomes the usual, so that a lamp that was switched on does not stay a person.
        let share = if is_near { 0.002 } else { 0.05 };
        self.usual_us = Some(usual + share * (now - usual));
        is_near
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;
    use crate::edge::converter::hand::Hand;

    fn measured(looks_until_high: usize) -> u32 {
        let mut steps = vec![Transaction::set(State::Low), Transaction::set(State::High)];
        steps.extend(vec![Transaction::get(State::Low); looks_until_high]);
        if looks_until_high < 5_000 {
            steps.push(Transaction::get(State::High));
        }
        let mut pin = Mock::new(&steps);
        let measured = Light::new(pin.clone(), Hand::default()).charge_us();
        pin.done();
        measured.unwrap()
    }

    #[test]
    fn the_time_is_that_of_the_capacitor_and_darkness_has_an_end() {
        assert_eq!(measured(0), 0);
        assert_eq!(measured(100), 2_000);
        assert_eq!(measured(5_001), DARK_US);
    }

    #[test]
    fn a_shadow_is_seen_and_the_evening_is_not() {
        let mut shadow = Shadow::new(0.25);
        let evening = (0..2_000).map(|i| 3_000 + i);
        assert!(evening.into_iter().all(|us| !shadow.sees(us)));
        assert!(shadow.sees(8_000));
        assert!(!shadow.sees(5_000));
    }
}
