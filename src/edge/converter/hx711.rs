//! The HX711: a 24-bit converter that is read bit by bit over two wires (Avia Semiconductor, data sheet of 2011).
//!
//! DOUT falls when a conversion is ready. Each rising edge of PD_SCK shifts out one bit, highest first; one to three
//! pulses more choose the gain of the *next* conversion, and from the 25th on DOUT is high. PD_SCK high for more than
//! 60 µs powers the chip down, and its fall resets it to gain 128. A program that Linux may suspend at any moment can't
//! promise 60 µs, so each read is timed, and one that was held up counts for nothing.

use embedded_hal::digital::{InputPin, OutputPin};

use super::{Fault, Sample, Time, count};

/// PD_SCK is high, and low, for at least 0.2 µs.
const PULSE_US: u32 = 1;
/// PD_SCK high for longer than 60 µs powers down; less some for the clock's own error.
const HIGH_US_MAX: u64 = 50;
/// How long PD_SCK is high to power down for certain.
const POWER_DOWN_US: u32 = 80;
/// A read takes a tenth of this. The next conversion may have come into one that takes longer.
const READ_US_MAX: u64 = 2_000;
/// A chip that is the only one missing is waited for so many of its periods after the first was ready.
const PATIENCE_PERIODS: f64 = 1.2;
/// A chip's oscillator is at most so much too fast.
const EARLIEST_PERIODS: f64 = 0.85;
/// With none ready for so many periods all of them are missing. (Settling after a reset takes four.)
const SILENCE_PERIODS: f64 = 6.0;

/// Channel and gain, which the number of pulses of a read chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gain {
    A128,
    B32,
    A64,
}

impl Gain {
    /// Pulses of a read.
    pub const fn pulses(self) -> u32 {
        match self {
            Gain::A128 => 25,
            Gain::B32 => 26,
            Gain::A64 => 27,
        }
    }

    /// The gain of that amplification.
    pub const fn of(amplification: i64) -> Option<Self> {
        match amplification {
            128 => Some(Gain::A128),
            64 => Some(Gain::A64),
            32 => Some(Gain::B32),
            _ => None,
        }
    }
}

/// What the RATE pin of the boards is wired to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// To ground, as most boards come.
    Sps10,
    /// To the supply.
    Sps80,
}

impl Rate {
    /// Conversions a second, by the data sheet; a chip's own oscillator is some percent off.
    pub const fn hz(self) -> f64 {
        match self {
            Rate::Sps10 => 10.0,
            Rate::Sps80 => 80.0,
        }
    }

    fn periods_us(self, periods: f64) -> u64 {
        (periods * 1e6 / self.hz()) as u64
    }
}

/// A pin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pin {pin} of the HX711 fails: {kind:?}")]
pub struct PinError {
    /// `PD_SCK`, or `DOUT`.
    pub pin: &'static str,
    pub kind: embedded_hal::digital::ErrorKind,
}

fn clock_error<E: embedded_hal::digital::Error>(error: E) -> PinError {
    PinError {
        pin: "PD_SCK",
        kind: error.kind(),
    }
}

fn data_error<E: embedded_hal::digital::Error>(error: E) -> PinError {
    PinError {
        pin: "DOUT",
        kind: error.kind(),
    }
}

#[derive(Debug)]
struct Chip<D> {
    dout: D,
    /// The next conversion is not of these settings.
    is_settling: bool,
    /// It had nothing when it was due, and is not waited for until it has.
    is_missing: bool,
    bits: u32,
    is_ready: bool,
}

/// Chips that share one clock, each with its own data wire: all of them are read by the same pulses.
#[derive(Debug)]
pub struct Hx711<C, D, T> {
    clock: C,
    chips: Vec<Chip<D>>,
    time: T,
    gain: Gain,
    rate: Rate,
    /// When the last read ended.
    read_us: u64,
    /// When the first chip was seen to be ready since.
    ready_us: Option<u64>,
}

impl<C: OutputPin, D: InputPin, T: Time> Hx711<C, D, T> {
    /// Resets the chips: from here on their state is known.
    pub fn new(
        mut clock: C,
        data: impl IntoIterator<Item = D>,
        mut time: T,
        gain: Gain,
        rate: Rate,
    ) -> Result<Self, PinError> {
        clock.set_high().map_err(clock_error)?;
        time.delay_us(POWER_DOWN_US);
        clock.set_low().map_err(clock_error)?;
        let read_us = time.now_us();
        let chip = |dout| Chip {
            dout,
            is_settling: true,
            is_missing: false,
            bits: 0,
            is_ready: false,
        };
        Ok(Hx711 {
            clock,
            chips: data.into_iter().map(chip).collect(),
            time,
            gain,
            rate,
            read_us,
            ready_us: None,
        })
    }

    /// Before this there can be nothing to read.
    pub fn due_us(&self) -> u64 {
        match self.ready_us {
            Some(_) => 0,
            None => self.read_us + self.rate.periods_us(EARLIEST_PERIODS),
        }
    }

    /// Reads all chips as soon as all are ready, or those that are when the others are overdue. True: `samples` holds
    /// what each gave, in the order of their data wires.
    pub fn poll(&mut self, samples: &mut Vec<Sample>) -> Result<bool, PinError> {
        let mut ready = 0;
        let mut waited_for = 0;
        for chip in &mut self.chips {
            chip.is_ready = chip.dout.is_low().map_err(data_error)?;
            ready += usize::from(chip.is_ready);
            waited_for += usize::from(!chip.is_ready && !chip.is_missing);
        }
        let now_us = self.time.now_us();
        if ready == 0 {
            let silence_us = self.rate.periods_us(SILENCE_PERIODS);
            if now_us.saturating_sub(self.read_us) < silence_us {
                return Ok(false);
            }
            // They say so once a period from here on.
            self.read_us = now_us - (silence_us - self.rate.periods_us(1.0));
            samples.clear();
            for chip in &mut self.chips {
                chip.is_missing = true;
                chip.is_settling = true;
                samples.push(Err(Fault::NotReady));
            }
            return Ok(true);
        }
        let since_us = *self.ready_us.get_or_insert(now_us);
        let patience_us = self.rate.periods_us(PATIENCE_PERIODS);
        if waited_for > 0 && now_us - since_us < patience_us {
            return Ok(false);
        }
        self.read(samples)?;
        Ok(true)
    }

    fn read(&mut self, samples: &mut Vec<Sample>) -> Result<(), PinError> {
        let began_us = self.time.now_us();
        let mut is_held_up = false;
        for chip in &mut self.chips {
            chip.bits = 0;
        }
        for pulse in 0..self.gain.pulses() {
            let rise_us = self.time.now_us();
            self.clock.set_high().map_err(clock_error)?;
            self.time.delay_us(PULSE_US);
            self.clock.set_low().map_err(clock_error)?;
            let fell_us = self.time.now_us();
            is_held_up |= fell_us - rise_us > HIGH_US_MAX;
            if pulse < 24 {
                for chip in self.chips.iter_mut().filter(|chip| chip.is_ready) {
                    let bit = chip.dout.is_high().map_err(data_error)?;
                    chip.bits = chip.bits << 1 | u32::from(bit);
                }
            }
            self.time.delay_us(PULSE_US);
        }
        let ended_us = self.time.now_us();
        is_held_up |= ended_us - began_us > READ_US_MAX;
        samples.clear();
        for chip in &mut self.chips {
            chip.is_missing = !chip.is_ready;
            let is_low = chip.is_ready && chip.dout.is_low().map_err(data_error)?;
            let sample = if !chip.is_ready {
                Err(Fault::NotReady)
            } else if is_held_up || is_low {
                Err(Fault::Interrupted)
            } else if chip.is_settling {
                Err(Fault::Settling)
            } else {
                count(chip.bits)
            };
            chip.is_settling = matches!(sample, Err(Fault::NotReady | Fault::Interrupted));
            samples.push(sample);
        }
        self.read_us = ended_us;
        self.ready_us = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
