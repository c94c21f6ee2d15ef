//! Converters of load cells: drivers on `embedded-hal` 1.0, generic over pins, bus and time.
//!
//! They know nothing of a Raspberry Pi: `rppal` supplies the real pins (feature `rpi`), [`crate::edge::simulated`]
//! simulated ones, and the tests `embedded-hal-mock`.
//!
//! # Crates that were tried in their place (November 2026)
//! - `hx711` 0.7.0: one chip a clock, no guard against a read that is interrupted, saturation is a number like any other,
//!   and its constant for the lowest count has the wrong sign.
//! - `loadcell` 0.3.0: one chip a clock, panics when a pin fails, `unsafe`, and clamps, so that saturation can't be told.
//! - `hx711_spi` 0.7.0: takes a whole SPI bus for each chip (a Pi has two), cannot power down, no guard either.
//! - `nau7802` 0.1.0-alpha: `embedded-hal` 0.2, never looks at the revision, doesn't wait for the calibration, and so
//!   gives counts of an offset that failed.
//!
//! None has tests at the pins or registers. What is here passes them.

pub mod hx711;
pub mod nau7802;

use embedded_hal::delay::DelayNs;

/// Time as a driver needs it: it waits, and it measures how long something really took.
pub trait Time: DelayNs {
    /// Microseconds since any fixed moment; never goes back.
    fn now_us(&mut self) -> u64;
}

/// Why a converter gave no count that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It had no conversion when one was due: no power, a cut cable, or none of the kind at that place.
    NotReady,
    /// The read was held up, or did not end as it must: its bits mean nothing, and the chip may have been reset.
    Interrupted,
    /// The count is the end of the converter's range: overload, or a wire of the load cell is off.
    Saturated,
    /// The first conversion after a reset or an interruption is not of the settings that were asked for.
    Settling,
    /// The bus did not carry the read.
    Bus,
}

/// What a converter gave for one plate.
pub type Sample = Result<i32, Fault>;

/// Highest and lowest count of a 24-bit converter: both are what it gives for anything beyond, too.
pub const COUNT_MAX: i32 = 0x7f_ffff;
pub const COUNT_MIN: i32 = -0x80_0000;

/// A 24-bit two's complement number as a count, or as what it says of the input.
pub fn count(raw: u32) -> Sample {
    // Shifted up and arithmetically down again, which extends the sign.
    let count = ((raw << 8) as i32) >> 8;
    if (COUNT_MIN + 1..COUNT_MAX).contains(&count) {
        Ok(count)
    } else {
        Err(Fault::Saturated)
    }
}

/// A clock for tests: time passes by waiting, and by a stall at a chosen look.
#[cfg(test)]
pub mod hand {
    use std::cell::Cell;
    use std::rc::Rc;

    use embedded_hal::delay::DelayNs;

    use super::Time;

    #[derive(Clone, Default)]
    pub struct Hand {
        pub now_us: Rc<Cell<u64>>,
        looks: Rc<Cell<u64>>,
        /// At which look, and by how much, microseconds.
        pub stall: Rc<Cell<Option<(u64, u64)>>>,
    }

    impl DelayNs for Hand {
        fn delay_ns(&mut self, ns: u32) {
            self.now_us.set(self.now_us.get() + u64::from(ns) / 1_000);
        }
    }

    impl Time for Hand {
        fn now_us(&mut self) -> u64 {
            self.looks.set(self.looks.get() + 1);
            if let Some((look, us)) = self.stall.get()
                && self.looks.get() == look
            {
                self.now_us.set(self.now_us.get() + us);
            }
            self.now_us.get()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_is_extended_and_the_ends_are_no_counts() {
        for (raw, sample) in [
            (0, Ok(0)),
            (1, Ok(1)),
            (0xff_ffff, Ok(-1)),
            (0x7f_fffe, Ok(8_388_606)),
            (0x80_0001, Ok(-8_388_607)),
            (0x7f_ffff, Err(Fault::Saturated)),
            (0x80_0000, Err(Fault::Saturated)),
        ] {
            assert_eq!(count(raw), sample, "{raw:#x}");
        }
    }
}
