//! Two light beams across the gate, one before the other: who passed, in or out.
//!
//! A body breaks the outer and then the inner beam on its way in; it leaves the outer while it still breaks the inner, and
//! then that. A body that turns round ends where it began and has not passed. When the first beam is broken anew while the
//! second is still broken, a second body follows close behind: two have passed, whatever the code said.

use embedded_hal::digital::InputPin;

use crate::observation::GateEvent;

/// A body keeps a beam broken for longer than this; a swinging bag or an arm does not, microseconds.
const BODY_US: u64 = 120_000;

/// The two beams' pins, high while broken.
#[derive(Debug)]
pub struct Beams<O, I> {
    pub outer: O,
    pub inner: I,
}

impl<O: InputPin, I: InputPin<Error = O::Error>> Beams<O, I> {
    /// Whether the outer and the inner beam are broken.
    pub fn look(&mut self) -> Result<(bool, bool), O::Error> {
        Ok((self.outer.is_high()?, self.inner.is_high()?))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Outer,
    Inner,
}

/// Makes passages of what the beams show.
#[derive(Debug, Default)]
pub struct Passages {
    last: (bool, bool),
    /// The beam that was broken first since both were free.
    from: Option<Side>,
    /// Since when the first beam is broken by the body of now.
    broken_us: Option<u64>,
    /// Bodies that have left the first beam and not yet the second.
    between: u32,
}

impl Passages {
    /// Takes what the beams show at a time. What follows is in the order in which it happened.
    pub fn push(&mut self, now_us: u64, (outer, inner): (bool, bool)) -> Vec<GateEvent> {
        if (outer, inner) == self.last {
            return Vec::new();
        }
        self.last = (outer, inner);
        let from = match (self.from, outer, inner) {
            (Some(from), _, _) => from,
            (None, true, _) => Side::Outer,
            (None, false, true) => Side::Inner,
            (None, false, false) => return Vec::new(),
        };
        self.from = Some(from);
        let (first, second) = match from {
            Side::Outer => (outer, inner),
            Side::Inner => (inner, outer),
        };
        let event = match from {
            Side::Outer => GateEvent::PassedIn,
            Side::Inner => GateEvent::PassedOut,
        };
        match (first, second) {
            (true, false) => {
                // Whoever was between has either gone on or come back; with the first beam broken it came back, but
                // for those who were followed.
                let passed = std::mem::take(&mut self.between).saturating_sub(1);
                self.broken_us.get_or_insert(now_us);
                vec![event; passed as usize]
            }
            (true, true) => {
                self.broken_us.get_or_insert(now_us);
                Vec::new()
            }
            (false, true) => {
                let since_us = self.broken_us.take().unwrap_or(now_us);
                if self.between == 0 || now_us - since_us >= BODY_US {
                    self.between += 1;
                }
                Vec::new()
            }
            (false, false) => {
                let passed = std::mem::take(&mut self.between);
                *self = Passages::default();
                vec![event; passed as usize]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;

    /// Steps of 200 ms, or 50 ms where written in brackets: `o` the outer beam is broken, `i` the inner, `b` both, `-` none.
    fn passed(steps: &str) -> String {
        let mut passages = Passages::default();
        let mut now_us = 0;
        let mut step_us = 200_000;
        let mut told = String::new();
        for step in steps.chars() {
            let shown = match step {
                'o' => (true, false),
                'i' => (false, true),
                'b' => (true, true),
                '(' => {
                    step_us = 50_000;
                    continue;
                }
                ')' => {
                    step_us = 200_000;
                    continue;
                }
                _ => (false, false),
            };
            now_us += step_us;
            for event in passages.push(now_us, shown) {
                told.push(match event {
                    GateEvent::PassedIn => '+',
                    GateEvent::PassedOut => '-',
                    GateEvent::CodeShown { .. } => '?',
                });
            }
        }
        told
    }

    #[test]
    fn who_passes_is_told_with_the_way() {
        for (steps, told, why) in [
            ("obi-", "+", "in"),
            ("ibo-", "-", "out"),
            ("obi-ibo-", "+-", "in and out again"),
            ("ob-", "", "both at once is no way"),
            ("obo-", "", "turned round between the beams"),
            ("obibo-", "", "turned round at the inner beam"),
            ("o-o-", "", "only looked in"),
            ("obibi-", "++", "two on one code, breast to back"),
            ("obibibi-", "+++", "three"),
            ("obi(bi)-", "+", "a bag that swings back"),
            ("ibobo-", "--", "two on their way out"),
            ("obi-obi-", "++", "one after the other"),
        ] {
            assert_eq!(passed(steps), told, "{why}: {steps}");
        }
    }

    #[test]
    fn a_beam_is_broken_while_its_pin_is_high() {
        let mut outer = Mock::new(&[Transaction::get(State::High)]);
        let mut inner = Mock::new(&[Transaction::get(State::Low)]);
        let mut beams = Beams {
            outer: outer.clone(),
            inner: inner.clone(),
        };
        assert_eq!(beams.look().unwrap(), (true, false));
        outer.done();
        inner.done();
    }
}
