//! What a node's program needs of the board that it runs on: pins, buses and time.

use embedded_hal::digital::{InputPin, OutputPin};
use embedded_hal::i2c::I2c;

use crate::edge::converter::Time;

/// A pin or bus that can't be had.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be used: {reason}")]
pub struct BoardError {
    /// Such as `GPIO 5`.
    pub what: String,
    pub reason: String,
}

/// The clock of a board.
pub trait Clock: Time + Clone + Send + 'static {
    /// Sleeps until [`Time::now_us`] has come to that; at once if it has.
    fn sleep_until_us(&mut self, us: u64);
}

/// A board: the Pi itself (feature `rpi`), or a simulated one.
pub trait Board: Send + 'static {
    type Output: OutputPin + Send;
    type Input: InputPin + Send;
    type Bus: I2c + Send;
    type Clock: Clock;

    /// A pin that is driven.
    fn output(&mut self, gpio: u8) -> Result<Self::Output, BoardError>;
    /// A pin that is read, pulled up: a wire that is off reads high.
    fn input(&mut self, gpio: u8) -> Result<Self::Input, BoardError>;
    /// An I²C bus by its number.
    fn i2c(&mut self, bus: u8) -> Result<Self::Bus, BoardError>;
    fn clock(&self) -> Self::Clock;
}
