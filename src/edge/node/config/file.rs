//! From the file and the environment to a configuration: what is written, and every mistake in it with its line.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::{Hx711Bank, Nau7802Chip, NodeConfig, Recording, Sampling};
use crate::edge::converter::{hx711, nau7802};
use crate::edge::mqtt::BrokerUrl;
use crate::store::hint::nearest;
use crate::store::raw::{At, Entries, entries_of, table_of, top_level};
use crate::store::remark::Remarks;
use crate::store::{DefinitionError, NodeName, PlateId, Warning};

mod extras;

use extras::{RawGate, RawHomeAssistant};

/// Bytes of a configuration.
const BYTES_MAX: usize = 1024 * 1024;
/// Pins of the Pi's header, by their BCM numbers.
const GPIOS: RangeInclusive<i64> = 2..=27;
/// What a node writes whose configuration is in /etc; the unit's `StateDirectory`.
const STATE: &str = "/var/lib/stroll";
const TABLES: [&str; 7] = [
    "node",
    "sampling",
    "recording",
    "hx711",
    "nau7802",
    "gate",
    "home_assistant",
];

/// A node of a Stroll store: what is wired to it, and where it keeps things.
#[derive(Debug, Default, JsonSchema)]
#[schemars(deny_unknown_fields, title = "Stroll node")]
struct Raw {
    /// Who the node is, and whom it talks to.
    #[schemars(with = "RawNode", default)]
    node: Option<Spanned<RawNode>>,
    /// How plates are read.
    #[schemars(with = "RawSampling", default)]
    sampling: Option<Spanned<RawSampling>>,
    /// Raw samples are kept for a replay; leave it out to keep none.
    #[schemars(with = "RawRecording", default)]
    recording: Option<Spanned<RawRecording>>,
    /// HX711 boards that share a clock.
    #[schemars(with = "Vec<RawHx711>", default)]
    hx711: Entries<RawHx711>,
    /// NAU7802 boards.
    #[schemars(with = "Vec<RawNau7802>", default)]
    nau7802: Entries<RawNau7802>,
    /// The gate, for the node that keeps it.
    #[schemars(with = "RawGate", default)]
    gate: Option<Spanned<RawGate>>,
    /// Home Assistant finds the node by itself.
    #[schemars(with = "RawHomeAssistant", default)]
    home_assistant: Option<Spanned<RawHomeAssistant>>,
}

/// The JSON Schema of the file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Raw)
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawNode {
    /// As the store's definition names it; or STROLL_NODE_NAME.
    name: Option<At<String>>,
    /// The store's definition; or STROLL_NODE_STORE.
    store: Option<At<String>>,
    /// mqtt://host:port, or mqtts:// with credentials; or STROLL_NODE_BROKER.
    broker: Option<At<String>>,
    /// What the coordinator has not committed yet.
    outbox: Option<At<String>>,
    /// What `stroll calibrate` found.
    calibration: Option<At<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawSampling {
    /// 80, or 10 for boards whose RATE pin is at ground.
    rate_hz: Option<At<f64>>,
    /// Of the sampling thread, 0 to 99; 0 asks for none.
    realtime_priority: Option<At<f64>>,
    /// Seconds of samples that may wait for the rest of the program.
    queue_s: Option<At<f64>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawRecording {
    /// Where the files go.
    folder: Option<At<String>>,
    /// A new file after so many minutes.
    rotate_min: Option<At<f64>>,
    /// The oldest files go when all take more than this.
    disk_max_mb: Option<At<f64>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawHx711 {
    /// BCM number of the pin that clocks them all.
    clock_gpio: At<i64>,
    /// 128 or 64 (channel A), or 32 (channel B).
    gain: Option<At<i64>>,
    /// A data pin and a plate for each board.
    data: Vec<RawData>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawData {
    gpio: At<i64>,
    plate: At<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawNau7802 {
    /// I2C bus; 1 if it is left out.
    bus: Option<At<i64>>,
    /// Address of the TCA9548A, 0x70 to 0x77.
    multiplexer: Option<At<i64>>,
    /// Its channel, 0 to 7.
    channel: Option<At<i64>>,
    plate: At<String>,
}

/// Reads and checks a configuration. `env` gives the value of `STROLL_NODE_NAME`, `STROLL_SAMPLING_RATE_HZ` and so
/// on: the name of the table and of the field in capitals. Paths are relative to `folder`.
///
/// # Errors
/// Every mistake with its line; one of the environment names the variable.
pub fn parse(
    text: &str,
    file_name: &str,
    folder: &Path,
    env: impl Fn(&str) -> Option<String>,
) -> Result<(NodeConfig, Vec<Warning>), DefinitionError> {
    let too_large = text.len() > BYTES_MAX;
    let mut remarks = Remarks::new(if too_large { "" } else { text }, file_name);
    if too_large {
        let said = format!("the file has {} bytes", text.len());
        remarks.mistake_of_file(said, "no node needs more than 1 MiB");
    }
    let config = read(text, &mut remarks).and_then(|raw| {
        let mut check = Check {
            remarks: &mut remarks,
            env: &env,
            folder,
            gpios: BTreeMap::new(),
            plates: BTreeMap::new(),
        };
        check.config(&raw)
    });
    remarks.finish(config)
}

fn read(text: &str, remarks: &mut Remarks<'_>) -> Option<Raw> {
    let mut raw = Raw::default();
    for (key, value) in top_level(text, remarks)? {
        match key.get_ref().as_ref() {
            "node" => raw.node = table_of("node", value, remarks),
            "sampling" => raw.sampling = table_of("sampling", value, remarks),
            "recording" => raw.recording = table_of("recording", value, remarks),
            "hx711" => raw.hx711 = entries_of("hx711", value, remarks),
            "nau7802" => raw.nau7802 = entries_of("nau7802", value, remarks),
            "gate" => raw.gate = table_of("gate", value, remarks),
            "home_assistant" => raw.home_assistant = table_of("home_assistant", value, remarks),
            other => remarks.mistake(
                key.span(),
                format!("a node's configuration has no `{other}`"),
                match nearest(other, TABLES) {
                    Some(near) => format!("write `{near}`, or remove it"),
                    None => format!("remove it: there are {}", TABLES.join(", ")),
                },
            ),
        }
    }
    Some(raw)
}

struct Check<'c, 't> {
    remarks: &'c mut Remarks<'t>,
    env: &'c dyn Fn(&str) -> Option<String>,
    folder: &'c Path,
    /// What each pin is used for.
    gpios: BTreeMap<i64, String>,
    plates: BTreeMap<PlateId, usize>,
}

impl Check<'_, '_> {
    fn config(&mut self, raw: &Raw) -> Option<NodeConfig> {
        let (no_node, no_sampling) = (RawNode::default(), RawSampling::default());
        let node = raw.node.as_ref().map_or(&no_node, Spanned::get_ref);
        let name = self.text("node", "name", &node.name);
        let store = self.text("node", "store", &node.store);
        let broker = self.broker(&node.broker);
        let name = name.or_else(|| self.missing("name", "[node]"));
        let store = store.or_else(|| self.missing("store", "[node]"));
        let given = raw.sampling.as_ref().map_or(&no_sampling, Spanned::get_ref);
        let usual = Sampling::default();
        let rate_hz = self.number("sampling", "rate_hz", &given.rate_hz, 10.0..=80.0);
        let rate_hz = rate_hz.unwrap_or(usual.rate_hz);
        if ![10.0, 80.0].contains(&rate_hz) {
            let span = given.rate_hz.as_ref().map_or(0..0, At::span);
            let said = format!("no converter samples at {rate_hz} Hz");
            self.remarks.mistake(
                span,
                said,
                "write 80, or 10 for boards whose RATE pin is at ground",
            );
        }
        let priority = self.number(
            "sampling",
            "realtime_priority",
            &given.realtime_priority,
            0.0..=99.0,
        );
        let queue_s = self.number("sampling", "queue_s", &given.queue_s, 0.2..=60.0);
        let sampling = Sampling {
            rate_hz,
            realtime_priority: priority.map_or(usual.realtime_priority, |p| p as u8),
            queue_s: queue_s.unwrap_or(usual.queue_s),
        };
        let outbox = self.text("node", "outbox", &node.outbox);
        let calibration = self.text("node", "calibration", &node.calibration);
        let recording = raw
            .recording
            .as_ref()
            .and_then(|raw| self.recording(raw.get_ref()));
        let hx711 = (raw.hx711.list.iter())
            .filter_map(|bank| self.hx711(bank.get_ref(), rate_hz))
            .collect();
        let nau7802 = (raw.nau7802.list.iter())
            .filter_map(|chip| self.nau7802(chip.get_ref(), rate_hz))
            .collect();
        let gate = raw.gate.as_ref().and_then(|raw| self.gate(raw.get_ref()));
        let home_assistant =
            (raw.home_assistant.as_ref()).and_then(|raw| self.home_assistant(raw.get_ref()));
        if self.plates.is_empty() && gate.is_none() && !self.remarks.has_mistakes() {
            self.remarks.mistake_of_file(
                "neither a converter nor a gate is wired",
                "add [[hx711]] or [[nau7802]] with the plates, or [gate]",
            );
        }
        let name = NodeName::from(name?.as_str());
        let path = |text: Option<String>, usual: String| self.kept(text, &usual);
        Some(NodeConfig {
            store: self.folder.join(store?),
            broker: broker?,
            outbox: path(outbox, format!("{name}.sqlite")),
            calibration: path(calibration, format!("{name}.calibration.json")),
            name,
            sampling,
            recording,
            hx711,
            nau7802,
            gate,
            home_assistant,
        })
    }

    /// A file that the node writes: as it is named, or where such files are kept.
    fn kept(&self, named: Option<String>, usual: &str) -> PathBuf {
        match named {
            Some(named) => self.folder.join(named),
            // Nobody writes into /etc but its owner.
            None if self.folder.starts_with("/etc") => Path::new(STATE).join(usual),
            None => self.folder.join(usual),
        }
    }

    fn missing(&mut self, field: &str, table: &str) -> Option<String> {
        let example = crate::store::hint::example(field).unwrap_or("");
        let variable = variable(table.trim_matches(['[', ']']), field);
        let help = format!("add a line such as `{example}` to {table}, or set {variable}");
        self.remarks
            .mistake_of_file(format!("missing field `{field}`"), help);
        None
    }

    /// A text of the file, or of the environment.
    fn text(&self, table: &str, field: &str, value: &Option<At<String>>) -> Option<String> {
        (self.env)(&variable(table, field)).or_else(|| value.as_ref().map(|v| v.get().clone()))
    }

    fn number(
        &mut self,
        table: &str,
        field: &str,
        value: &Option<At<f64>>,
        range: RangeInclusive<f64>,
    ) -> Option<f64> {
        let help = format!("write a number from {} to {}", range.start(), range.end());
        let variable = variable(table, field);
        if let Some(text) = (self.env)(&variable) {
            let number = text.parse().ok().filter(|number| range.contains(number));
            if number.is_none() {
                self.remarks
                    .mistake_of_file(format!("the variable {variable} is `{text}`"), help);
            }
            return number;
        }
        let value = value.as_ref()?;
        if range.contains(value.get()) {
            return Some(*value.get());
        }
        self.remarks
            .mistake(value.span(), format!("`{field}` is {}", value.get()), help);
        None
    }

    fn broker(&mut self, value: &Option<At<String>>) -> Option<BrokerUrl> {
        let Some(text) = self.text("node", "broker", value) else {
            self.missing("broker", "[node]");
            return None;
        };
        let parsed = text.parse::<BrokerUrl>();
        if let Err(error) = &parsed {
            let help = "write it like `broker = \"mqtt://127.0.0.1:1883\"`";
            match value {
                Some(value) if *value.get() == text => {
                    self.remarks.mistake(value.span(), error.to_string(), help);
                }
                Some(_) | None => {
                    self.remarks
                        .mistake_of_file(format!("the variable STROLL_NODE_BROKER: {error}"), help);
                }
            }
        }
        parsed.ok()
    }

    fn recording(&mut self, raw: &RawRecording) -> Option<Recording> {
        let folder = self.text("recording", "folder", &raw.folder);
        let rotate_min = self.number("recording", "rotate_min", &raw.rotate_min, 0.01..=1_440.0);
        let disk_max_mb = self.number("recording", "disk_max_mb", &raw.disk_max_mb, 1.0..=1e6);
        Some(Recording {
            folder: self.kept(folder, "recordings"),
            rotate_min: rotate_min.unwrap_or(60.0),
            disk_max_mb: disk_max_mb.unwrap_or(2_000.0) as u64,
        })
    }

    fn hx711(&mut self, raw: &RawHx711, rate_hz: f64) -> Option<Hx711Bank> {
        let clock_gpio = self.gpio(&raw.clock_gpio, "a clock");
        let gain = match &raw.gain {
            None => Some(hx711::Gain::A128),
            Some(at) => {
                let gain = hx711::Gain::of(*at.get());
                if gain.is_none() {
                    let said = format!("`gain` is {}", at.get());
                    self.remarks.mistake(
                        at.span(),
                        said,
                        "write 128 or 64 for channel A, or 32 for channel B",
                    );
                }
                gain
            }
        };
        let data = (raw.data.iter())
            .filter_map(|data| {
                let plate = self.plate(&data.plate);
                let gpio = self.gpio(&data.gpio, "data of another plate");
                gpio.zip(plate)
            })
            .collect();
        let rate = if rate_hz < 40.0 {
            hx711::Rate::Sps10
        } else {
            hx711::Rate::Sps80
        };
        Some(Hx711Bank {
            clock_gpio: clock_gpio?,
            gain: gain?,
            rate,
            data,
        })
    }

    fn nau7802(&mut self, raw: &RawNau7802, rate_hz: f64) -> Option<Nau7802Chip> {
        let plate = self.plate(&raw.plate);
        let mut within = |field: &str, value: &Option<At<i64>>, range: RangeInclusive<i64>| {
            let value = value.as_ref()?;
            if !range.contains(value.get()) {
                let said = format!("`{field}` is {}", value.get());
                let help = format!(
                    "write a whole number from {} to {}",
                    range.start(),
                    range.end()
                );
                self.remarks.mistake(value.span(), said, help);
            }
            u8::try_from(*value.get()).ok()
        };
        let bus = within("bus", &raw.bus, 0..=9).unwrap_or(1);
        let address = within("multiplexer", &raw.multiplexer, 0x70..=0x77);
        let channel = within("channel", &raw.channel, 0..=7);
        let behind = match (address, channel) {
            (None, Some(channel)) => Some((0x70, channel)),
            (Some(address), Some(channel)) => Some((address, channel)),
            (Some(_), None) => {
                let span = raw.multiplexer.as_ref().map_or(0..0, At::span);
                self.remarks.mistake(
                    span,
                    "a multiplexer without a channel",
                    "add `channel = 0` to 7",
                );
                None
            }
            (None, None) => None,
        };
        let rate = nau7802::Rate::ALL
            .into_iter()
            .find(|rate| rate.hz() == rate_hz);
        Some(Nau7802Chip {
            bus,
            behind,
            rate: rate.unwrap_or(nau7802::Rate::Sps80),
            plate: plate?,
        })
    }

    fn gpio(&mut self, value: &At<i64>, used: &str) -> Option<u8> {
        let gpio = *value.get();
        if !GPIOS.contains(&gpio) {
            let help = "write the BCM number of a pin of the header, 2 to 27";
            self.remarks
                .mistake(value.span(), format!("there is no GPIO {gpio}"), help);
            return None;
        }
        let line = self.remarks.line(value.span().start);
        let used = format!("{used} in line {line}");
        if let Some(before) = self.gpios.insert(gpio, used) {
            let said = format!("GPIO {gpio} is {before} already");
            self.remarks
                .mistake(value.span(), said, "give each wire a pin of its own");
        }
        u8::try_from(gpio).ok()
    }

    fn plate(&mut self, value: &At<String>) -> Option<PlateId> {
        let plate: PlateId = match value.get().parse() {
            Ok(plate) => plate,
            Err(error) => {
                self.remarks
                    .mistake(value.span(), error, "write it like `plate = \"1.1.1\"`");
                return None;
            }
        };
        let line = self.remarks.line(value.span().start);
        if let Some(before) = self.plates.insert(plate, line) {
            let said = format!("plate {plate} is wired in line {before} already");
            self.remarks
                .mistake(value.span(), said, "a plate has one converter");
        }
        Some(plate)
    }
}

fn variable(table: &str, field: &str) -> String {
    format!("STROLL_{}_{}", table.to_uppercase(), field.to_uppercase())
}
