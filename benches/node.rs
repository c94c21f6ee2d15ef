//! What a node's work costs on each sample: instructions, counted by valgrind, which come out the same on every machine.
//!
//! `cargo bench --bench node` runs this program under callgrind for ten and for seventy seconds of samples of twelve plates on
//! two HX711 banks at 80 a second, and divides the difference. In it: the driver's bits, the grid, what is trusted, the record,
//! sensing with a product taken or put back every five seconds, and the promises. Not in it: the waits between the bits (they
//! are spun away, 50 µs a bank and read), the pins themselves, SQLite and the network, which few samples concern. It ends with 1
//! above the figure in `tests/floors.toml`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench speaks to the terminal"
)]

use std::convert::Infallible;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use embedded_hal::i2c::{self, I2c, Operation};
use stroll::edge::converter::Time;
use stroll::edge::node::board::{Board, BoardError, Clock};
use stroll::edge::node::config::{self, NodeConfig};
use stroll::edge::node::plate_feed::Scale;
use stroll::edge::node::sampler::Sampler;
use stroll::edge::wire::{self, Message};
use stroll::observation::{Observation, Watermark};
use stroll::recording::{Record, ScaleBatch, ScaleGroup};
use stroll::sensing::node::NodeSensor;
use stroll::store::definition;
use stroll::units::Timestamp;

const PLATES: u32 = 12;
const RATE_HZ: f64 = 80.0;
const COUNTS_PER_GRAM: f64 = 420.0;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if let Some(seconds) = args.find_map(|arg| arg.strip_prefix("--seconds=")?.parse().ok()) {
        let seen = work(seconds);
        assert!(
            seen > 0,
            "nothing was seen: the simulated pins are not read"
        );
        println!("{seen} observations");
        return ExitCode::SUCCESS;
    }
    let (short_s, long_s) = (10.0, 70.0);
    let (Some(short), Some(long)) = (counted(short_s), counted(long_s)) else {
        eprintln!("node: valgrind is missing: apt-get install --no-install-recommends valgrind");
        return ExitCode::FAILURE;
    };
    let samples = (long_s - short_s) * RATE_HZ * f64::from(PLATES);
    let each = (long - short) / samples;
    let of_core = each * RATE_HZ * f64::from(PLATES) / 1e9 * 100.0;
    println!(
        "{each:.0} instructions a sample; {PLATES} plates at {RATE_HZ} Hz are {of_core:.2} % of a core that does 10^9 a second"
    );
    let max = floor();
    if each > max {
        eprintln!("node: tests/floors.toml allows {max} instructions a sample");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn floor() -> f64 {
    let floors: toml::Table = include_str!("../tests/floors.toml")
        .parse()
        .expect("floors.toml");
    let max = &floors["node"]["instructions_a_sample_max"];
    max.as_integer().expect("a whole number") as f64
}

/// Instructions that so many seconds of samples take.
fn counted(seconds: f64) -> Option<f64> {
    let own = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .arg(format!("--seconds={seconds}"))
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, collected) = said
        .split_once("Collected : ")
        .unwrap_or_else(|| panic!("{said}"));
    collected.split_whitespace().next()?.parse().ok()
}

/// A node's work on so many seconds; how many observations came of it.
fn work(seconds: f64) -> usize {
    let corner = include_str!("../deploy/corner.toml").replace("plates = 4\n", "plates = 6\n");
    let (definition, _) = definition::parse(&corner, "corner.toml").expect("a store");
    let config = wired();
    let mut board = Pins::default();
    let scale = Scale {
        counts_per_gram: COUNTS_PER_GRAM,
        zero: Some(0),
        capacity_g: None,
    };
    let plates = config.plates();
    let scales = vec![scale; plates.len()];
    let mut sampler = Sampler::open(&config, &scales, &mut board).expect("it opens");
    let group = Arc::new(ScaleGroup {
        node: config.name.clone(),
        counts_per_gram: vec![COUNTS_PER_GRAM; plates.len()],
        plates,
        rate_hz: RATE_HZ,
    });
    let mut sensor = NodeSensor::new(Arc::new(definition));
    let mut seen: Vec<Observation> = Vec::new();
    let mut batches = 0;
    while sampler.elapsed_s() < seconds {
        let Some(batch) = sampler.step().expect("pins do not fail") else {
            continue;
        };
        let at = Timestamp::from_seconds(1.7e9 + batch.first_us as f64 / 1e6);
        let record = Record::Scale(ScaleBatch {
            group: Arc::clone(&group),
            first_at: at,
            counts: batch.trusted,
        });
        sensor.push(&record, &mut seen);
        batches += 1;
        if batches % 4 == 0 {
            let (at, open) = sensor.promise(at);
            let promise = Message::Watermark(Watermark {
                node: config.name.clone(),
                outbox: "bench".into(),
                sequence: seen.len() as u64,
                at,
                open,
            });
            wire::encode("corner", &promise).expect("it keeps the bounds");
        }
    }
    seen.len()
}

/// Two banks of six.
fn wired() -> NodeConfig {
    let mut text =
        "[node]\nname = \"shelf\"\nstore = \"s\"\nbroker = \"mqtt://127.0.0.1:1883\"\n".to_owned();
    for bank in 0..2 {
        let data: Vec<String> = (1..=6)
            .map(|plate| {
                let gpio = 4 + bank * 6 + plate;
                format!("{{ gpio = {gpio}, plate = \"1.{}.{plate}\" }}", bank + 1)
            })
            .collect();
        text += &format!(
            "[[hx711]]\nclock_gpio = {}\ndata = [{}]\n",
            2 + bank,
            data.join(", ")
        );
    }
    let parsed = config::parse(&text, "node.toml", std::path::Path::new("."), |_| None);
    parsed.expect("a configuration").0
}

/// Pins that cost next to nothing: the time, and for each bank what was clocked and when the next conversion is ready.
#[derive(Clone, Debug, Default)]
struct Pins(Arc<State>);

#[derive(Debug, Default)]
struct State {
    now_ns: AtomicU64,
    pulses: [AtomicU32; 2],
    rose_ns: [AtomicU64; 2],
    ready_ns: [AtomicU64; 2],
}

const PERIOD_NS: u64 = 12_500_000;
/// A clock that is high for longer switches the chip off.
const POWER_DOWN_NS: u64 = 60_000;

impl State {
    /// What an HX711's plate reads: rest with a little noise, and 528 g more or less every five seconds.
    fn count(&self, gpio: u8) -> u32 {
        let now_ns = self.now_ns.load(Relaxed);
        let step = now_ns / 5_000_000_000 + u64::from(gpio);
        let grams = if step % 24 < 12 { 1_000.0 } else { 1_528.5 };
        let noise = (now_ns / PERIOD_NS)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(u64::from(gpio) * 977)
            >> 57;
        ((grams * COUNTS_PER_GRAM) as i32 + noise as i32 - 64) as u32 & 0xff_ffff
    }
}

fn bank_of_data(gpio: u8) -> usize {
    usize::from(gpio > 10)
}

struct Clocked(Pins, usize);
struct Data(Pins, u8);

impl ErrorType for Clocked {
    type Error = Infallible;
}

impl OutputPin for Clocked {
    fn set_high(&mut self) -> Result<(), Infallible> {
        let state = &self.0.0;
        state.pulses[self.1].fetch_add(1, Relaxed);
        state.rose_ns[self.1].store(state.now_ns.load(Relaxed), Relaxed);
        Ok(())
    }

    fn set_low(&mut self) -> Result<(), Infallible> {
        let (state, bank) = (&self.0.0, self.1);
        let now_ns = state.now_ns.load(Relaxed);
        if now_ns - state.rose_ns[bank].load(Relaxed) > POWER_DOWN_NS {
            state.pulses[bank].store(0, Relaxed);
            state.ready_ns[bank].store(now_ns + 4 * PERIOD_NS, Relaxed);
        } else if state.pulses[bank].load(Relaxed) >= 25 {
            state.pulses[bank].store(0, Relaxed);
            let next = state.ready_ns[bank].load(Relaxed) + PERIOD_NS;
            state.ready_ns[bank].store(next.max(now_ns), Relaxed);
        }
        Ok(())
    }
}

impl ErrorType for Data {
    type Error = Infallible;
}

impl InputPin for Data {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        let state = &self.0.0;
        let bank = bank_of_data(self.1);
        Ok(match state.pulses[bank].load(Relaxed) {
            0 => state.now_ns.load(Relaxed) < state.ready_ns[bank].load(Relaxed),
            pulses => state.count(self.1) >> (24 - pulses.min(24)) & 1 == 1,
        })
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|high| !high)
    }
}

/// No bus is wired.
struct NoBus;

impl i2c::ErrorType for NoBus {
    type Error = i2c::ErrorKind;
}

impl I2c for NoBus {
    fn transaction(&mut self, _: u8, _: &mut [Operation<'_>]) -> Result<(), i2c::ErrorKind> {
        Err(i2c::ErrorKind::Bus)
    }
}

impl Board for Pins {
    type Output = Clocked;
    type Input = Data;
    type Bus = NoBus;
    type Clock = Pins;

    fn output(&mut self, gpio: u8) -> Result<Clocked, BoardError> {
        Ok(Clocked(self.clone(), usize::from(gpio - 2)))
    }

    fn input(&mut self, gpio: u8) -> Result<Data, BoardError> {
        Ok(Data(self.clone(), gpio))
    }

    fn i2c(&mut self, _: u8) -> Result<NoBus, BoardError> {
        Ok(NoBus)
    }

    fn clock(&self) -> Pins {
        self.clone()
    }
}

impl DelayNs for Pins {
    fn delay_ns(&mut self, ns: u32) {
        self.0.now_ns.fetch_add(u64::from(ns), Relaxed);
    }
}

impl Time for Pins {
    fn now_us(&mut self) -> u64 {
        self.0.now_ns.load(Relaxed) / 1_000
    }
}

impl Clock for Pins {
    fn sleep_until_us(&mut self, us: u64) {
        self.0.now_ns.fetch_max(us * 1_000, Relaxed);
    }
}
