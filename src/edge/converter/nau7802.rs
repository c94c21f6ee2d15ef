//! The NAU7802: a 24-bit converter on I²C (Nuvoton, data sheet revision 1.7).
//!
//! It has one fixed address, so several of them sit behind a multiplexer ([`Multiplexer`]). The driver is handed the bus
//! with each call: it belongs to all of them.

use embedded_hal::i2c::I2c;

use super::{Fault, Sample, Time, count};

/// The address of every NAU7802.
pub const ADDRESS: u8 = 0x2a;

mod register {
    pub const PU_CTRL: u8 = 0x00;
    pub const CTRL1: u8 = 0x01;
    pub const CTRL2: u8 = 0x02;
    pub const ADC_OUT: u8 = 0x12;
    pub const ADC: u8 = 0x15;
    pub const POWER: u8 = 0x1c;
    pub const REVISION: u8 = 0x1f;
}

mod bit {
    pub const RESET: u8 = 1 << 0;
    pub const DIGITAL_ON: u8 = 1 << 1;
    pub const ANALOG_ON: u8 = 1 << 2;
    pub const POWERED: u8 = 1 << 3;
    pub const CONVERT: u8 = 1 << 4;
    pub const READY: u8 = 1 << 5;
    pub const INTERNAL_LDO: u8 = 1 << 7;
    pub const CALIBRATE: u8 = 1 << 2;
    pub const CALIBRATION_FAILED: u8 = 1 << 3;
}

/// Low half of the revision register.
const REVISION: u8 = 0x0f;
/// Regulator at 3.0 V (leaves headroom below the Pi's 3.3 V) and gain 128.
const LDO_3V0_GAIN_128: u8 = 0b101 << 3 | 0b111;
/// The chopper's clock off, as the data sheet wants it.
const CHOPPER_OFF: u8 = 0x30;
/// The capacitor of the unused second channel decouples the amplifier.
const CAPACITOR: u8 = 0x80;
/// Power comes up within 200 µs, and the calibration of the offset ends within 4 conversions at 10 a second.
const POWER_TRIES: u32 = 100;
const POWER_TRY_US: u32 = 50;
const CALIBRATION_TRIES: u32 = 100;
const CALIBRATION_TRY_US: u32 = 10_000;
/// A chip's oscillator is at most so much too fast.
const EARLIEST_PERIODS: f64 = 0.85;
/// Without a conversion for so many periods the chip is taken for dead: the first one takes four.
const SILENCE_PERIODS: f64 = 8.0;

/// Conversions a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    Sps10,
    Sps20,
    Sps40,
    Sps80,
    Sps320,
}

impl Rate {
    pub const ALL: [Rate; 5] = [
        Rate::Sps10,
        Rate::Sps20,
        Rate::Sps40,
        Rate::Sps80,
        Rate::Sps320,
    ];

    pub const fn hz(self) -> f64 {
        match self {
            Rate::Sps10 => 10.0,
            Rate::Sps20 => 20.0,
            Rate::Sps40 => 40.0,
            Rate::Sps80 => 80.0,
            Rate::Sps320 => 320.0,
        }
    }

    const fn code(self) -> u8 {
        match self {
            Rate::Sps10 => 0,
            Rate::Sps20 => 1,
            Rate::Sps40 => 2,
            Rate::Sps80 => 3,
            Rate::Sps320 => 7,
        }
    }
}

/// Why a chip can't be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    #[error(
        "nothing answers at address 0x2a ({0:?}): look at the wires and at the multiplexer's channel"
    )]
    Bus(embedded_hal::i2c::ErrorKind),
    #[error("what answers at address 0x2a is no NAU7802: its revision reads {0:#04x}, not 0x0f")]
    Revision(u8),
    #[error("its power does not come up: look at the 3.3 V")]
    Power,
    #[error("it can't calibrate its offset: look at the wires of the load cell")]
    Calibration,
}

fn bus<E: embedded_hal::i2c::Error>(error: E) -> SetupError {
    SetupError::Bus(error.kind())
}

/// One chip, which has to be chosen on the multiplexer before each call.
#[derive(Debug)]
pub struct Nau7802 {
    rate: Rate,
    is_set_up: bool,
    is_settling: bool,
    /// When it last gave a conversion, or was set up.
    heard_us: u64,
}

impl Nau7802 {
    pub fn new(rate: Rate) -> Self {
        Nau7802 {
            rate,
            is_set_up: false,
            is_settling: true,
            heard_us: 0,
        }
    }

    /// Whether [`Nau7802::poll`] reads conversions. After errors of the bus it has to be set up again: it may have lost
    /// its power, and with it its settings.
    pub fn is_set_up(&self) -> bool {
        self.is_set_up
    }

    /// Resets the chip, checks what it is, calibrates its offset and starts converting.
    pub fn set_up<B: I2c>(&mut self, i2c: &mut B, time: &mut impl Time) -> Result<(), SetupError> {
        self.is_set_up = false;
        write(i2c, register::PU_CTRL, bit::RESET)?;
        time.delay_us(POWER_TRY_US);
        write(i2c, register::PU_CTRL, bit::DIGITAL_ON)?;
        let is_on = |value| value & bit::POWERED != 0;
        if !becomes(
            i2c,
            register::PU_CTRL,
            is_on,
            (POWER_TRIES, POWER_TRY_US),
            time,
        )? {
            return Err(SetupError::Power);
        }
        let revision = read(i2c, register::REVISION)?;
        if revision & 0x0f != REVISION {
            return Err(SetupError::Revision(revision));
        }
        let on = bit::DIGITAL_ON | bit::ANALOG_ON | bit::INTERNAL_LDO;
        write(i2c, register::PU_CTRL, on)?;
        write(i2c, register::CTRL1, LDO_3V0_GAIN_128)?;
        let rate = self.rate.code() << 4;
        write(i2c, register::CTRL2, rate)?;
        write(i2c, register::ADC, CHOPPER_OFF)?;
        write(i2c, register::POWER, CAPACITOR)?;
        write(i2c, register::CTRL2, rate | bit::CALIBRATE)?;
        let is_over = |value| value & bit::CALIBRATE == 0;
        let patience = (CALIBRATION_TRIES, CALIBRATION_TRY_US);
        if !becomes(i2c, register::CTRL2, is_over, patience, time)?
            || read(i2c, register::CTRL2)? & bit::CALIBRATION_FAILED != 0
        {
            return Err(SetupError::Calibration);
        }
        write(i2c, register::PU_CTRL, on | bit::CONVERT)?;
        self.is_set_up = true;
        self.is_settling = true;
        self.heard_us = time.now_us();
        Ok(())
    }

    /// Before this there can be nothing to read.
    pub fn due_us(&self) -> u64 {
        self.heard_us + (EARLIEST_PERIODS * 1e6 / self.rate.hz()) as u64
    }

    /// The conversion that is ready, if there is one.
    pub fn poll<B: I2c>(&mut self, i2c: &mut B, now_us: u64) -> Option<Sample> {
        let state = match read(i2c, register::PU_CTRL) {
            Ok(state) => state,
            Err(_) => return Some(self.fails()),
        };
        // A chip that lost its power meanwhile has forgotten that it converts.
        if state & bit::CONVERT == 0 {
            return Some(self.fails());
        }
        if state & bit::READY == 0 {
            let silence_us = (SILENCE_PERIODS * 1e6 / self.rate.hz()) as u64;
            if now_us.saturating_sub(self.heard_us) < silence_us {
                return None;
            }
            self.is_set_up = false;
            return Some(Err(Fault::NotReady));
        }
        let mut bytes = [0; 3];
        if i2c
            .write_read(ADDRESS, &[register::ADC_OUT], &mut bytes)
            .is_err()
        {
            return Some(self.fails());
        }
        self.heard_us = now_us;
        if std::mem::take(&mut self.is_settling) {
            return Some(Err(Fault::Settling));
        }
        let [high, middle, low] = bytes;
        Some(count(u32::from_be_bytes([0, high, middle, low])))
    }

    fn fails(&mut self) -> Sample {
        self.is_set_up = false;
        Err(Fault::Bus)
    }
}

fn write<B: I2c>(i2c: &mut B, register: u8, value: u8) -> Result<(), SetupError> {
    i2c.write(ADDRESS, &[register, value]).map_err(bus)
}

fn read<B: I2c>(i2c: &mut B, register: u8) -> Result<u8, SetupError> {
    let mut value = [0];
    i2c.write_read(ADDRESS, &[register], &mut value)
        .map_err(bus)?;
    Ok(value[0])
}

/// Whether a register comes to be so within some tries.
fn becomes<B: I2c>(
    i2c: &mut B,
    register: u8,
    is_so: impl Fn(u8) -> bool,
    (tries, try_us): (u32, u32),
    time: &mut impl Time,
) -> Result<bool, SetupError> {
    for _ in 0..tries {
        if is_so(read(i2c, register)?) {
            return Ok(true);
        }
        time.delay_us(try_us);
    }
    Ok(false)
}

/// The TCA9548A: eight I²C buses behind one, of which one is chosen at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplexer {
    /// 0x70 to 0x77.
    pub address: u8,
}

impl Multiplexer {
    /// Chooses a channel, 0 to 7.
    pub fn choose<B: I2c>(self, i2c: &mut B, channel: u8) -> Result<(), B::Error> {
        i2c.write(self.address, &[1 << (channel & 7)])
    }

    /// Chooses none: what is behind another multiplexer has the same address.
    pub fn close<B: I2c>(self, i2c: &mut B) -> Result<(), B::Error> {
        i2c.write(self.address, &[0])
    }
}

#[cfg(test)]
mod tests;
