//! The HX711 as its pins show it.

/// PD_SCK high for longer than this powers down.
const POWER_DOWN_NS: u64 = 60_000;
/// Conversions that it keeps to itself after a reset or a change of gain.
const SETTLING: u64 = 4;

/// What the chip's surroundings do to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wires {
    /// Its data wire is off: the Pi's pull-up is all that is seen.
    pub is_off: bool,
    /// It has no supply.
    pub is_dead: bool,
}

/// One chip.
#[derive(Clone, Debug)]
pub struct Chip {
    /// Of its own oscillator.
    period_ns: u64,
    /// When the next conversion is ready.
    due_ns: u64,
    /// What was converted last, 24 bits.
    word: u32,
    is_ready: bool,
    /// Pulses since the conversion was ready.
    pulses: u32,
    gain_pulses: u32,
    clock_is_high: bool,
    rose_ns: u64,
    is_down: bool,
}

impl Chip {
    pub fn new(period_ns: u64) -> Self {
        Chip {
            period_ns,
            due_ns: SETTLING * period_ns,
            word: 0,
            is_ready: false,
            pulses: 0,
            gain_pulses: 25,
            clock_is_high: false,
            rose_ns: 0,
            is_down: false,
        }
    }

    /// The amplification of the conversion that is under way.
    pub fn gain(&self) -> f64 {
        match self.gain_pulses {
            26 => 32.0,
            27 => 64.0,
            _ => 128.0,
        }
    }

    /// Back to what it is after power came on.
    pub fn reset(&mut self, now_ns: u64) {
        self.is_down = false;
        self.is_ready = false;
        self.pulses = 0;
        self.gain_pulses = 25;
        self.due_ns = now_ns + SETTLING * self.period_ns;
    }

    /// Goes on to `now_ns`; `convert` gives the word of a conversion at a time with a gain.
    pub fn pass(&mut self, now_ns: u64, convert: impl FnOnce(u64, f64) -> u32) {
        if self.clock_is_high && now_ns - self.rose_ns > POWER_DOWN_NS {
            self.is_down = true;
        }
        // A read that is under way holds the word.
        let is_being_read = (1..25).contains(&self.pulses);
        if self.is_down || is_being_read || now_ns < self.due_ns {
            return;
        }
        if self.pulses >= 25 && self.pulses != self.gain_pulses {
            self.gain_pulses = self.pulses.min(27);
            self.pulses = 0;
            self.is_ready = false;
            self.due_ns = now_ns + SETTLING * self.period_ns;
            return;
        }
        // Only the last of those that nobody came for is there.
        let missed = (now_ns - self.due_ns) / self.period_ns;
        let at_ns = self.due_ns + missed * self.period_ns;
        self.word = convert(at_ns, self.gain());
        self.due_ns = at_ns + self.period_ns;
        self.is_ready = true;
        self.pulses = 0;
    }

    /// The clock changes its level.
    pub fn clock(&mut self, now_ns: u64, is_high: bool) {
        if is_high && !self.clock_is_high {
            self.rose_ns = now_ns;
            if self.is_ready && !self.is_down {
                self.pulses += 1;
                self.is_ready = self.pulses < 25;
                // A conversion that ended while the last one was read is lost.
                while !self.is_ready && self.due_ns <= now_ns {
                    self.due_ns += self.period_ns;
                }
            } else if (25..27).contains(&self.pulses) {
                self.pulses += 1;
            }
        }
        if !is_high && self.clock_is_high && self.is_down {
            self.reset(now_ns);
        }
        self.clock_is_high = is_high;
    }

    /// The level of DOUT.
    pub fn data(&self, wires: Wires) -> bool {
        if wires.is_off {
            return true;
        }
        // Without a supply its protection diodes pull the wire down.
        if wires.is_dead {
            return false;
        }
        match (self.is_ready, self.pulses) {
            (true, 0) => false,
            (true, pulse) => self.word >> (24 - pulse.min(24)) & 1 == 1,
            (false, _) => true,
        }
    }
}
