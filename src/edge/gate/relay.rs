//! The relay of a magnetic lock. It fails open: the lock holds only while somebody says so again and again.
//!
//! The lock is wired so that no current means an open gate (`deploy/wiring.md`): a power cut opens it. A program that hangs
//! does not renew its word, and [`Relay::tick`], which runs beside it, lets go. A program that ends lets go as well.

use embedded_hal::digital::OutputPin;

/// The lock is held for so long after the last word.
pub const HELD_US: u64 = 1_000_000;

/// Which level draws the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Active {
    High,
    /// Most relay boards.
    Low,
}

/// The relay. Dropping it lets go.
#[derive(Debug)]
pub struct Relay<P: OutputPin> {
    pin: P,
    active: Active,
    /// Until when the gate is held shut.
    held_until_us: Option<u64>,
    /// An alarm is on: nothing holds the gate until it is over.
    is_alarm: bool,
}

impl<P: OutputPin> Relay<P> {
    /// A gate that is open.
    pub fn new(pin: P, active: Active) -> Result<Self, P::Error> {
        let mut relay = Relay {
            pin,
            active,
            held_until_us: None,
            is_alarm: false,
        };
        relay.set(false)?;
        Ok(relay)
    }

    /// Holds the gate shut for a second from now on.
    pub fn hold(&mut self, now_us: u64) -> Result<(), P::Error> {
        if self.is_alarm {
            return Ok(());
        }
        self.held_until_us = Some(now_us + HELD_US);
        self.set(true)
    }

    /// Lets go at once.
    pub fn release(&mut self) -> Result<(), P::Error> {
        self.held_until_us = None;
        self.set(false)
    }

    /// Lets go when nobody has renewed the word. To be called at least ten times a second.
    pub fn tick(&mut self, now_us: u64) -> Result<(), P::Error> {
        match self.held_until_us {
            Some(until_us) if now_us >= until_us => self.release(),
            Some(_) | None => Ok(()),
        }
    }

    /// The emergency input: while it is on nothing holds the gate.
    pub fn alarm(&mut self, is_on: bool) -> Result<(), P::Error> {
        self.is_alarm = is_on;
        if is_on { self.release() } else { Ok(()) }
    }

    /// Whether the gate is held shut.
    pub fn is_held(&self) -> bool {
        self.held_until_us.is_some()
    }

    fn set(&mut self, is_drawn: bool) -> Result<(), P::Error> {
        if is_drawn == (self.active == Active::High) {
            self.pin.set_high()
        } else {
            self.pin.set_low()
        }
    }
}

impl<P: OutputPin> Drop for Relay<P> {
    fn drop(&mut self) {
        // There is nobody to tell; without power on the pin the relay falls off by itself.
        let _ = self.release();
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;

    const DRAWN: State = State::Low;
    const OFF: State = State::High;

    fn relay(states: &[State]) -> (Mock, Relay<Mock>) {
        let steps: Vec<Transaction> = states.iter().map(|s| Transaction::set(*s)).collect();
        let pin = Mock::new(&steps);
        let relay = Relay::new(pin.clone(), Active::Low).unwrap();
        (pin, relay)
    }

    #[test]
    fn it_lets_go_when_nobody_says_so_any_more() {
        let (mut pin, mut relay) = relay(&[OFF, DRAWN, DRAWN, OFF, OFF]);
        relay.hold(0).unwrap();
        relay.tick(900_000).unwrap();
        relay.hold(900_000).unwrap();
        relay.tick(1_899_999).unwrap();
        assert!(relay.is_held());
        relay.tick(1_900_000).unwrap();
        assert!(!relay.is_held());
        relay.tick(2_000_000).unwrap();
        drop(relay);
        pin.done();
    }

    #[test]
    fn it_lets_go_at_an_alarm_and_at_its_end() {
        let (mut pin, mut relay) = relay(&[OFF, DRAWN, OFF, DRAWN, OFF]);
        relay.hold(0).unwrap();
        relay.alarm(true).unwrap();
        relay.hold(1).unwrap();
        assert!(!relay.is_held(), "nothing holds it during an alarm");
        relay.alarm(false).unwrap();
        relay.hold(2).unwrap();
        drop(relay);
        pin.done();
    }
}
