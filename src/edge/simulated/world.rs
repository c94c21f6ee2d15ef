//! Everything that is wired to a simulated board, and its time.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::cell::Cell;
use super::situation::{Fault, FaultKind, Passage, Situation};
use super::{hx711, nau7802};
use crate::edge::node::config::{GateWiring, NodeConfig};
use crate::store::PlateId;

/// What a look at a pin, or driving it, takes.
const PIN_NS: u64 = 150;
/// A byte on the bus at 400 kHz.
const I2C_BYTE_NS: u64 = 22_500;
/// A plug that is pulled bounces for so long, seconds.
const BOUNCE_S: f64 = 0.08;
/// A program that is suspended while the clock is high comes back after this.
const STALL_NS: u64 = 90_000;
const LONG_AGO_S: f64 = -7_200.0;
const FULL_SCALE: f64 = 8_388_608.0;

/// A converter's input: its plate's cell, and what is wrong with it.
#[derive(Debug)]
struct Input {
    plate: PlateId,
    faults: Vec<Fault>,
    /// What was converted last.
    last: u32,
    was_dead: bool,
}

#[derive(Debug)]
struct Hx711 {
    clock_gpio: u8,
    gpio: u8,
    chip: hx711::Chip,
    input: Input,
}

#[derive(Debug)]
struct Nau7802 {
    bus: u8,
    behind: Option<(u8, u8)>,
    chip: nau7802::Chip,
    input: Input,
}

/// The world of one board.
#[derive(Debug)]
pub struct World {
    now_ns: u64,
    cells: BTreeMap<PlateId, Cell>,
    hx711: Vec<Hx711>,
    nau7802: Vec<Nau7802>,
    /// The channels that the multiplexers of a bus have chosen, by bus and address.
    chosen: BTreeMap<(u8, u8), u8>,
    /// The gate's pins, and what happens there.
    gate: Option<GateWiring>,
    passages: Vec<Passage>,
    /// Levels of the pins that are driven.
    driven: BTreeMap<u8, bool>,
    /// Times and chances at which the program is suspended.
    stalls: Vec<Fault>,
    random: ChaCha8Rng,
}

impl World {
    pub fn new(config: &NodeConfig, situation: &Situation) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(situation.seed);
        let mut cells = BTreeMap::new();
        for (plate, index) in config.plates().into_iter().zip(1u64..) {
            let seed = situation.seed.wrapping_mul(1_000).wrapping_add(index);
            cells.insert(plate, Cell::new(situation.cell, seed));
        }
        for load in &situation.loads {
            if let Some(cell) = cells.get_mut(&load.plate) {
                // What is there from the start has long come to rest.
                let at_s = if load.at_s > 0.0 {
                    load.at_s
                } else {
                    LONG_AGO_S
                };
                cell.put(at_s, load.grams);
            }
        }
        let input = |plate: PlateId| Input {
            plate,
            faults: situation.faults_of(plate),
            last: 0,
            was_dead: false,
        };
        let mut slowness = || {
            let off = situation.rate_error_percent / 100.0;
            1.0 + off * random.random_range(-1.0..1.0)
        };
        let hx711 = (config.hx711.iter())
            .flat_map(|bank| bank.data.iter().map(move |data| (bank, *data)))
            .map(|(bank, (gpio, plate))| Hx711 {
                clock_gpio: bank.clock_gpio,
                gpio,
                chip: hx711::Chip::new((1e9 / bank.rate.hz() * slowness()) as u64),
                input: input(plate),
            })
            .collect();
        let nau7802 = (config.nau7802.iter())
            .map(|wired| Nau7802 {
                bus: wired.bus,
                behind: wired.behind,
                chip: nau7802::Chip::new(slowness()),
                input: input(wired.plate),
            })
            .collect();
        let is_stall = |fault: &&Fault| fault.kind == FaultKind::ClockStretched;
        World {
            now_ns: 0,
            cells,
            hx711,
            nau7802,
            chosen: BTreeMap::new(),
            gate: config.gate.clone(),
            passages: situation.gate.clone(),
            driven: BTreeMap::new(),
            stalls: situation.faults.iter().filter(is_stall).cloned().collect(),
            random,
        }
    }

    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    pub fn pass_ns(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    pub fn pass_until_ns(&mut self, ns: u64) {
        self.now_ns = self.now_ns.max(ns);
    }

    pub fn put(&mut self, plate: PlateId, grams: f64) {
        let now_s = self.now_ns as f64 / 1e9;
        if let Some(cell) = self.cells.get_mut(&plate) {
            cell.put(now_s, grams);
        }
    }

    /// Drives a pin.
    pub fn drive(&mut self, gpio: u8, is_high: bool) {
        self.now_ns += PIN_NS;
        let was_high = self.driven.insert(gpio, is_high).unwrap_or(false);
        if was_high && !is_high && self.is_stalled() {
            self.now_ns += STALL_NS;
        }
        for index in 0..self.hx711.len() {
            if self.hx711[index].clock_gpio == gpio {
                self.settle_hx711(index);
                self.hx711[index].chip.clock(self.now_ns, is_high);
            }
        }
    }

    /// The level of a pin; one that nothing is wired to is pulled up.
    pub fn level(&mut self, gpio: u8) -> bool {
        self.now_ns += PIN_NS;
        let Some(index) = self.hx711.iter().position(|wired| wired.gpio == gpio) else {
            return self.gate_level(gpio).unwrap_or(true);
        };
        self.settle_hx711(index);
        let wired = &self.hx711[index];
        let now_s = self.now_ns as f64 / 1e9;
        wired.chip.data(hx711::Wires {
            is_off: wired.input.has(FaultKind::CableOff, now_s),
            is_dead: wired.input.has(FaultKind::BrownOut, now_s),
        })
    }

    /// The level that a pin was driven to last.
    pub fn driven(&self, gpio: u8) -> Option<bool> {
        self.driven.get(&gpio).copied()
    }

    /// The level of a pin of the gate.
    fn gate_level(&self, gpio: u8) -> Option<bool> {
        let gate = self.gate.as_ref()?;
        let now_s = self.now_ns as f64 / 1e9;
        if gate.emergency_gpio == Some(gpio) {
            return Some(self.passages.iter().any(|passage| passage.alarms(now_s)));
        }
        let (outer, _) = gate.beams.filter(|(a, b)| [*a, *b].contains(&gpio))?;
        let mut broken = self.passages.iter().map(|passage| passage.breaks(now_s));
        Some(if outer == gpio {
            broken.any(|(outer, _)| outer)
        } else {
            broken.any(|(_, inner)| inner)
        })
    }

    /// Writes to a device of a bus; false if none answers.
    pub fn i2c_write(&mut self, bus: u8, address: u8, bytes: &[u8]) -> bool {
        self.now_ns += I2C_BYTE_NS * (1 + bytes.len() as u64);
        let is_multiplexer = (self.nau7802.iter())
            .any(|wired| wired.bus == bus && wired.behind.is_some_and(|(at, _)| at == address));
        if is_multiplexer {
            self.chosen
                .insert((bus, address), bytes.first().copied().unwrap_or(0));
            return true;
        }
        let Some(index) = self.answers(bus, address) else {
            return false;
        };
        self.nau7802[index].chip.write(self.now_ns, bytes);
        true
    }

    /// Reads from a device of a bus; false if none answers.
    pub fn i2c_read(&mut self, bus: u8, address: u8, bytes: &mut [u8]) -> bool {
        self.now_ns += I2C_BYTE_NS * (1 + bytes.len() as u64);
        let Some(index) = self.answers(bus, address) else {
            return false;
        };
        self.nau7802[index].chip.read(bytes);
        true
    }

    /// The chip that answers at an address of a bus, as its multiplexers stand.
    fn answers(&mut self, bus: u8, address: u8) -> Option<usize> {
        if address != crate::edge::converter::nau7802::ADDRESS {
            return None;
        }
        let chosen = &self.chosen;
        let index = self.nau7802.iter().position(|wired| {
            let is_chosen = wired.behind.is_none_or(|(at, channel)| {
                chosen
                    .get(&(bus, at))
                    .is_some_and(|mask| mask >> channel & 1 == 1)
            });
            wired.bus == bus && is_chosen
        })?;
        let now_s = self.now_ns as f64 / 1e9;
        let wired = &mut self.nau7802[index];
        let is_dead = wired.input.has(FaultKind::BrownOut, now_s);
        if is_dead || wired.input.has(FaultKind::CableOff, now_s) {
            wired.input.was_dead |= is_dead;
            return None;
        }
        if std::mem::take(&mut wired.input.was_dead) {
            wired.chip.reset();
        }
        let (input, cells) = (&mut wired.input, &mut self.cells);
        wired
            .chip
            .pass(self.now_ns, |at_ns, gain| input.convert(cells, at_ns, gain));
        Some(index)
    }

    fn settle_hx711(&mut self, index: usize) {
        let now_s = self.now_ns as f64 / 1e9;
        let wired = &mut self.hx711[index];
        if wired.input.has(FaultKind::BrownOut, now_s) {
            wired.input.was_dead = true;
            return;
        }
        if std::mem::take(&mut wired.input.was_dead) {
            wired.chip.reset(self.now_ns);
        }
        let (input, cells) = (&mut wired.input, &mut self.cells);
        wired
            .chip
            .pass(self.now_ns, |at_ns, gain| input.convert(cells, at_ns, gain));
    }

    /// Whether the program is suspended just now: one pulse of 150, which spoils every sixth read.
    fn is_stalled(&mut self) -> bool {
        let now_s = self.now_ns as f64 / 1e9;
        let is_on = self.stalls.iter().any(|fault| fault.is_on(now_s));
        is_on && self.random.random_range(0..150) == 0
    }
}

impl Input {
    fn has(&self, kind: FaultKind, now_s: f64) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.kind == kind && fault.is_on(now_s))
    }

    /// The 24 bits of a conversion.
    fn convert(&mut self, cells: &mut BTreeMap<PlateId, Cell>, at_ns: u64, gain: f64) -> u32 {
        let now_s = at_ns as f64 / 1e9;
        if self.has(FaultKind::Stuck, now_s) {
            return self.last;
        }
        let mut plate = self.plate;
        let mut noisier = 1.0;
        let mut end = None;
        for fault in self.faults.iter().filter(|fault| fault.is_on(now_s)) {
            match fault.kind {
                FaultKind::Swapped => plate = fault.swap_with.unwrap_or(plate),
                FaultKind::Noise => noisier = 10.0,
                FaultKind::Saturated => end = Some(1.0),
                FaultKind::CellOff => {
                    // It bounces between its end and what lies on it.
                    let since_s = now_s - fault.at_s;
                    let is_open = since_s > BOUNCE_S || (since_s * 90.0) as u64 % 2 == 1;
                    end = is_open.then_some(1.0).or(end);
                }
                FaultKind::CableOff
                | FaultKind::BrownOut
                | FaultKind::Stuck
                | FaultKind::ClockStretched => {}
            }
        }
        let counts = cells
            .get_mut(&plate)
            .map_or(0.0, |cell| cell.counts(now_s, gain, noisier));
        let counts = end.map_or(counts, |end| end * FULL_SCALE);
        let cut = counts.round().clamp(-FULL_SCALE, FULL_SCALE - 1.0) as i32;
        self.last = cut as u32 & 0xff_ffff;
        self.last
    }
}
