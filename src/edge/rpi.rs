//! The Raspberry Pi's own pins and buses, by `rppal` (feature `rpi`).

use std::time::{Duration, Instant};

use embedded_hal::delay::DelayNs;
use rppal::gpio::{Gpio, InputPin, OutputPin};
use rppal::i2c::I2c;

use super::converter::Time;
use super::node::board::{Board, BoardError, Clock};

/// Waits up to here are spun away: a sleep of Linux is never as short.
const SPUN_MAX: Duration = Duration::from_micros(100);

/// The Pi.
#[derive(Debug)]
pub struct Pi {
    gpio: Gpio,
    clock: PiClock,
}

impl Pi {
    /// Opens the pins.
    pub fn open() -> Result<Self, BoardError> {
        let gpio = Gpio::new().map_err(|error| BoardError {
            what: "the GPIO".to_owned(),
            reason: format!("{error} (is this a Raspberry Pi, and the user in group gpio?)"),
        })?;
        Ok(Pi {
            gpio,
            clock: PiClock(Instant::now()),
        })
    }
}

fn refused(gpio: u8) -> impl Fn(rppal::gpio::Error) -> BoardError {
    move |error| BoardError {
        what: format!("GPIO {gpio}"),
        reason: error.to_string(),
    }
}

impl Board for Pi {
    type Output = OutputPin;
    type Input = InputPin;
    type Bus = I2c;
    type Clock = PiClock;

    fn output(&mut self, gpio: u8) -> Result<OutputPin, BoardError> {
        let pin = self.gpio.get(gpio).map_err(refused(gpio))?;
        Ok(pin.into_output_low())
    }

    fn input(&mut self, gpio: u8) -> Result<InputPin, BoardError> {
        let pin = self.gpio.get(gpio).map_err(refused(gpio))?;
        Ok(pin.into_input_pullup())
    }

    fn i2c(&mut self, bus: u8) -> Result<I2c, BoardError> {
        I2c::with_bus(bus).map_err(|error| BoardError {
            what: format!("I2C bus {bus}"),
            reason: format!("{error} (dtparam=i2c_arm=on in config.txt switches bus 1 on)"),
        })
    }

    fn clock(&self) -> PiClock {
        self.clock.clone()
    }
}

/// The monotonic clock since the program began.
#[derive(Clone, Debug)]
pub struct PiClock(Instant);

impl DelayNs for PiClock {
    fn delay_ns(&mut self, ns: u32) {
        let wait = Duration::from_nanos(u64::from(ns));
        if wait > SPUN_MAX {
            std::thread::sleep(wait);
            return;
        }
        let began = Instant::now();
        while began.elapsed() < wait {
            std::hint::spin_loop();
        }
    }
}

impl Time for PiClock {
    fn now_us(&mut self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Clock for PiClock {
    fn sleep_until_us(&mut self, us: u64) {
        std::thread::sleep(Duration::from_micros(us.saturating_sub(self.now_us())));
    }
}
