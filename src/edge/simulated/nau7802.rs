//! The NAU7802 as its registers show it.

const PU_CTRL: usize = 0x00;
const CTRL1: usize = 0x01;
const CTRL2: usize = 0x02;
const ADC_OUT: usize = 0x12;
const REVISION: usize = 0x1f;
/// Calibrating takes two conversions.
const CALIBRATING: u64 = 2;

/// One chip.
#[derive(Clone, Debug)]
pub struct Chip {
    registers: [u8; 32],
    /// The register that is read next.
    pointer: usize,
    /// How much its oscillator is off.
    slowness: f64,
    due_ns: u64,
    calibrated_ns: Option<u64>,
}

impl Chip {
    pub fn new(slowness: f64) -> Self {
        let mut chip = Chip {
            registers: [0; 32],
            pointer: 0,
            slowness,
            due_ns: 0,
            calibrated_ns: None,
        };
        chip.reset();
        chip
    }

    /// Back to what it is after power came on.
    pub fn reset(&mut self) {
        self.registers = [0; 32];
        self.registers[REVISION] = 0x0f;
        self.calibrated_ns = None;
    }

    /// The amplification.
    pub fn gain(&self) -> f64 {
        f64::from(1u32 << (self.registers[CTRL1] & 7))
    }

    fn period_ns(&self) -> u64 {
        let hz = match self.registers[CTRL2] >> 4 & 7 {
            0 => 10.0,
            1 => 20.0,
            2 => 40.0,
            3 => 80.0,
            _ => 320.0,
        };
        (1e9 / hz * self.slowness) as u64
    }

    /// Goes on to `now_ns`.
    pub fn pass(&mut self, now_ns: u64, convert: impl FnOnce(u64, f64) -> u32) {
        if self.calibrated_ns.is_some_and(|at_ns| now_ns >= at_ns) {
            self.calibrated_ns = None;
            self.registers[CTRL2] &= !0x04;
        }
        let is_converting = self.registers[PU_CTRL] & 0x10 != 0;
        if !is_converting || now_ns < self.due_ns {
            return;
        }
        let missed = (now_ns - self.due_ns) / self.period_ns();
        let at_ns = self.due_ns + missed * self.period_ns();
        let [_, high, middle, low] = convert(at_ns, self.gain()).to_be_bytes();
        self.registers[ADC_OUT..ADC_OUT + 3].copy_from_slice(&[high, middle, low]);
        self.registers[PU_CTRL] |= 0x20;
        self.due_ns = at_ns + self.period_ns();
    }

    /// Takes what is written: the register, and perhaps its value.
    pub fn write(&mut self, now_ns: u64, bytes: &[u8]) {
        let &[register, ref values @ ..] = bytes else {
            return;
        };
        self.pointer = usize::from(register) % 32;
        for &value in values {
            match self.pointer {
                PU_CTRL if value & 1 == 1 => self.reset(),
                PU_CTRL => {
                    let begins = value & 0x10 != 0 && self.registers[PU_CTRL] & 0x10 == 0;
                    if begins {
                        self.due_ns = now_ns + 4 * self.period_ns();
                    }
                    // Digital power is up at once.
                    self.registers[PU_CTRL] = value & !0x28 | (value & 0x02) << 2;
                }
                CTRL2 if value & 0x04 != 0 => {
                    self.registers[CTRL2] = value;
                    self.calibrated_ns = Some(now_ns + CALIBRATING * self.period_ns());
                }
                REVISION => {}
                register => self.registers[register] = value,
            }
            self.pointer = (self.pointer + 1) % 32;
        }
    }

    /// Gives the registers from the one that was chosen.
    pub fn read(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.registers[self.pointer];
            if self.pointer == ADC_OUT + 2 {
                self.registers[PU_CTRL] &= !0x20;
            }
            self.pointer = (self.pointer + 1) % 32;
        }
    }
}
