//! Every converter of a node, read when it is ready.

use std::collections::{BTreeMap, BTreeSet};

use super::board::{Board, BoardError};
use super::config::{Hx711Bank, Nau7802Chip, NodeConfig};
use crate::edge::converter::hx711::{Hx711, PinError};
use crate::edge::converter::nau7802::{Multiplexer, Nau7802};
use crate::edge::converter::{Fault, Sample, Time};

/// A chip that can't be set up is tried again after this.
const RETRY_US: u64 = 1_000_000;

/// Converters that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum BanksError {
    #[error(transparent)]
    Board(#[from] BoardError),
    #[error(transparent)]
    Pin(#[from] PinError),
}

/// What a plate gave: its column, and the sample.
pub type Given = (usize, Sample);

/// The converters of a node.
pub struct Banks<B: Board> {
    hx711: Vec<(Hx711<B::Output, B::Input, B::Clock>, usize)>,
    buses: Vec<Bus<B>>,
    clock: B::Clock,
    /// Used again for each read.
    samples: Vec<Sample>,
}

struct Bus<B: Board> {
    i2c: B::Bus,
    /// Where the multiplexers stand: address and channel.
    chosen: Option<(u8, u8)>,
    multiplexers: BTreeSet<u8>,
    chips: Vec<Chip>,
}

struct Chip {
    nau7802: Nau7802,
    wired: Nau7802Chip,
    column: usize,
    retry_us: u64,
}

impl<B: Board> Banks<B> {
    /// Opens what the configuration wires. Columns are those of [`NodeConfig::plates`].
    pub fn open(config: &NodeConfig, board: &mut B) -> Result<Self, BanksError> {
        let clock = board.clock();
        let mut column = 0;
        let mut hx711 = Vec::new();
        for bank in &config.hx711 {
            hx711.push((open_hx711(bank, board, clock.clone())?, column));
            column += bank.data.len();
        }
        let mut buses: BTreeMap<u8, Bus<B>> = BTreeMap::new();
        for &wired in &config.nau7802 {
            if let std::collections::btree_map::Entry::Vacant(vacant) = buses.entry(wired.bus) {
                vacant.insert(Bus {
                    i2c: board.i2c(wired.bus)?,
                    chosen: None,
                    multiplexers: BTreeSet::new(),
                    chips: Vec::new(),
                });
            }
            if let Some(bus) = buses.get_mut(&wired.bus) {
                bus.multiplexers
                    .extend(wired.behind.map(|(address, _)| address));
                bus.chips.push(Chip {
                    nau7802: Nau7802::new(wired.rate),
                    wired,
                    column,
                    retry_us: 0,
                });
            }
            column += 1;
        }
        Ok(Banks {
            hx711,
            buses: buses.into_values().collect(),
            clock,
            samples: Vec::new(),
        })
    }

    /// Reads whatever is ready; what each gave goes to `given`.
    pub fn poll(&mut self, given: &mut Vec<Given>) -> Result<(), PinError> {
        let now_us = self.clock.now_us();
        for (bank, first) in &mut self.hx711 {
            if now_us >= bank.due_us() && bank.poll(&mut self.samples)? {
                given.extend((*first..).zip(self.samples.iter().copied()));
            }
        }
        for bus in &mut self.buses {
            for index in 0..bus.chips.len() {
                bus.poll(index, &mut self.clock, given);
            }
        }
        Ok(())
    }

    /// Before this there can be nothing to read.
    pub fn due_us(&self) -> u64 {
        let hx711 = self.hx711.iter().map(|(bank, _)| bank.due_us());
        let chips = self.buses.iter().flat_map(|bus| &bus.chips);
        hx711.chain(chips.map(Chip::due_us)).min().unwrap_or(0)
    }
}

impl Chip {
    fn due_us(&self) -> u64 {
        if self.nau7802.is_set_up() {
            self.nau7802.due_us()
        } else {
            self.retry_us
        }
    }
}

impl<B: Board> Bus<B> {
    fn poll(&mut self, index: usize, clock: &mut B::Clock, given: &mut Vec<Given>) {
        let Some(chip) = self.chips.get_mut(index) else {
            return;
        };
        let now_us = clock.now_us();
        if now_us < chip.due_us() {
            return;
        }
        if chip.wired.behind != self.chosen
            && let Some((address, channel)) = chip.wired.behind
        {
            // Two that are open at once would have two chips answer together.
            let was_open = self.chosen.map(|(open, _)| open);
            let others = self.multiplexers.iter().filter(|other| **other != address);
            for &other in others.filter(|other| was_open.is_none_or(|open| open == **other)) {
                // One that does not answer has nothing open.
                let _ = Multiplexer { address: other }.close(&mut self.i2c);
            }
            let chosen = Multiplexer { address }.choose(&mut self.i2c, channel);
            self.chosen = chip.wired.behind.filter(|_| chosen.is_ok());
            if chosen.is_err() {
                chip.retry_us = now_us + RETRY_US;
                given.push((chip.column, Err(Fault::Bus)));
                return;
            }
        }
        if !chip.nau7802.is_set_up() {
            if let Err(error) = chip.nau7802.set_up(&mut self.i2c, clock) {
                tracing::debug!("plate {}: {error}", chip.wired.plate);
                chip.retry_us = now_us + RETRY_US;
                given.push((chip.column, Err(Fault::Bus)));
            }
            return;
        }
        if let Some(sample) = chip.nau7802.poll(&mut self.i2c, now_us) {
            given.push((chip.column, sample));
        }
    }
}

fn open_hx711<B: Board>(
    bank: &Hx711Bank,
    board: &mut B,
    clock: B::Clock,
) -> Result<Hx711<B::Output, B::Input, B::Clock>, BanksError> {
    let pd_sck = board.output(bank.clock_gpio)?;
    let data: Result<Vec<B::Input>, BoardError> = (bank.data.iter())
        .map(|(gpio, _)| board.input(*gpio))
        .collect();
    Ok(Hx711::new(pd_sck, data?, clock, bank.gain, bank.rate)?)
}
