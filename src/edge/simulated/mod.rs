//! A board that isn't there: pins, converters and load cells simulated at the electrical level, so that the very drivers, the
//! node and the coordinator can be tried without hardware. A [`situation`] says what is put on which plate and what breaks.
//!
//! Time is the world's own: each look at a pin and each wait takes its nanoseconds, and a sleep jumps. A paced clock keeps
//! it from running ahead of the wall's; without a pace hours pass in seconds, and come out the same each time.

pub mod cell;
pub mod hx711;
pub mod nau7802;
pub mod situation;
pub mod world;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use embedded_hal::i2c::{self, I2c, Operation};

use super::converter::Time;
use super::node::board::{Board, BoardError, Clock};
use super::node::config::NodeConfig;
use crate::store::PlateId;
use situation::Situation;
use world::World;

/// The board, wired as a node's configuration says.
#[derive(Clone, Debug)]
pub struct SimulatedBoard {
    world: Arc<Mutex<World>>,
    /// Since when, and how many times faster than life; `None`: as fast as possible.
    pace: Option<(Instant, f64)>,
}

impl SimulatedBoard {
    /// A board whose time runs as fast as it is used.
    pub fn new(config: &NodeConfig, situation: &Situation) -> Self {
        SimulatedBoard {
            world: Arc::new(Mutex::new(World::new(config, situation))),
            pace: None,
        }
    }

    /// The same, kept from running ahead of the wall's time.
    pub fn paced(mut self, speed: f64) -> Self {
        self.pace = Some((Instant::now(), speed));
        self
    }

    /// Puts so many grams on a plate now, or takes them away.
    pub fn put(&self, plate: PlateId, grams: f64) {
        self.world().put(plate, grams);
    }

    /// The level that a pin was driven to last.
    pub fn driven(&self, gpio: u8) -> Option<bool> {
        self.world().driven(gpio)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A world in which somebody panicked is as good as before.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board for SimulatedBoard {
    type Output = SimulatedOutput;
    type Input = SimulatedInput;
    type Bus = SimulatedBus;
    type Clock = SimulatedClock;

    fn output(&mut self, gpio: u8) -> Result<SimulatedOutput, BoardError> {
        let board = self.clone();
        Ok(SimulatedOutput { board, gpio })
    }

    fn input(&mut self, gpio: u8) -> Result<SimulatedInput, BoardError> {
        let board = self.clone();
        Ok(SimulatedInput { board, gpio })
    }

    fn i2c(&mut self, bus: u8) -> Result<SimulatedBus, BoardError> {
        let board = self.clone();
        Ok(SimulatedBus { board, bus })
    }

    fn clock(&self) -> SimulatedClock {
        SimulatedClock(self.clone())
    }
}

/// A pin that is driven.
#[derive(Debug)]
pub struct SimulatedOutput {
    board: SimulatedBoard,
    gpio: u8,
}

impl ErrorType for SimulatedOutput {
    type Error = Infallible;
}

impl OutputPin for SimulatedOutput {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.board.world().drive(self.gpio, false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.board.world().drive(self.gpio, true);
        Ok(())
    }
}

/// A pin that is read.
#[derive(Debug)]
pub struct SimulatedInput {
    board: SimulatedBoard,
    gpio: u8,
}

impl ErrorType for SimulatedInput {
    type Error = Infallible;
}

impl InputPin for SimulatedInput {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.board.world().level(self.gpio))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|high| !high)
    }
}

/// An I²C bus.
#[derive(Debug)]
pub struct SimulatedBus {
    board: SimulatedBoard,
    bus: u8,
}

/// Nobody answers at that address.
#[derive(Clone, Copy, Debug)]
pub struct NoAnswer;

impl i2c::Error for NoAnswer {
    fn kind(&self) -> i2c::ErrorKind {
        i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Address)
    }
}

impl i2c::ErrorType for SimulatedBus {
    type Error = NoAnswer;
}

impl I2c for SimulatedBus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), NoAnswer> {
        let mut world = self.board.world();
        for operation in operations {
            let answered = match operation {
                Operation::Write(bytes) => world.i2c_write(self.bus, address, bytes),
                Operation::Read(bytes) => world.i2c_read(self.bus, address, bytes),
            };
            if !answered {
                return Err(NoAnswer);
            }
        }
        Ok(())
    }
}

/// The world's time.
#[derive(Clone, Debug)]
pub struct SimulatedClock(SimulatedBoard);

impl DelayNs for SimulatedClock {
    fn delay_ns(&mut self, ns: u32) {
        self.0.world().pass_ns(u64::from(ns));
    }
}

impl Time for SimulatedClock {
    fn now_us(&mut self) -> u64 {
        self.0.world().now_ns() / 1_000
    }
}

impl Clock for SimulatedClock {
    fn sleep_until_us(&mut self, us: u64) {
        if let Some((began, speed)) = self.0.pace {
            let due = began + Duration::from_secs_f64(us as f64 / 1e6 / speed);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        self.0.world().pass_until_ns(us * 1_000);
    }
}

#[cfg(test)]
mod tests;
