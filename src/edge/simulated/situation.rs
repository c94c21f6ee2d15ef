//! A situation: what is put on which plate, and what breaks, as a commented TOML file (`deploy/situation.toml`).

use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::cell::CellKind;
use crate::store::hint::nearest;
use crate::store::raw::{At, Entries, entries_of, table_of, top_level};
use crate::store::remark::Remarks;
use crate::store::{DefinitionError, PlateId};

/// A day, seconds.
const DAY_S: f64 = 86_400.0;

/// What happens to a simulated board.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Situation {
    pub seed: u64,
    pub cell: CellKind,
    /// Each converter's clock is off by up to this.
    pub rate_error_percent: f64,
    pub loads: Vec<Load>,
    pub faults: Vec<Fault>,
    pub gate: Vec<Passage>,
}

/// Something happens at the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    pub at_s: f64,
    pub what: AtGate,
}

/// What can happen at a gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AtGate {
    In,
    Out,
    /// Two pass in, breast to back.
    TwoIn,
    /// Somebody looks in and turns round.
    TurnsBack,
    /// The emergency input is on for so long.
    Emergency {
        for_s: f64,
    },
}

impl Passage {
    /// Whether the outer and the inner beam are broken then.
    pub fn breaks(&self, now_s: f64) -> (bool, bool) {
        let since_s = now_s - self.at_s;
        let within = |spans: &[(f64, f64)]| spans.iter().any(|(a, b)| (*a..*b).contains(&since_s));
        // A body is 0.6 s in a beam, and 0.3 s from one to the other.
        let (first, second) = ([(0.0, 0.6)], [(0.3, 0.9)]);
        match self.what {
            AtGate::In => (within(&first), within(&second)),
            AtGate::Out => (within(&second), within(&first)),
            AtGate::TwoIn => (within(&[(0.0, 0.6), (0.8, 1.4)]), within(&[(0.3, 1.7)])),
            AtGate::TurnsBack => (within(&[(0.0, 0.9)]), within(&[(0.3, 0.6)])),
            AtGate::Emergency { .. } => (false, false),
        }
    }

    /// Whether the emergency input is on then.
    pub fn alarms(&self, now_s: f64) -> bool {
        match self.what {
            AtGate::Emergency { for_s } => (self.at_s..self.at_s + for_s).contains(&now_s),
            AtGate::In | AtGate::Out | AtGate::TwoIn | AtGate::TurnsBack => false,
        }
    }
}

/// Something is put on a plate, or taken from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    pub at_s: f64,
    pub plate: PlateId,
    /// Negative: taken.
    pub grams: f64,
}

/// Something breaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub at_s: f64,
    /// Until then; for ever if it is not said.
    pub until_s: f64,
    pub kind: FaultKind,
    /// All plates if none is named.
    pub plate: Option<PlateId>,
    pub swap_with: Option<PlateId>,
}

/// What can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The cable between converter and Pi is off.
    CableOff,
    /// The load cell's plug is pulled from the converter.
    CellOff,
    Saturated,
    /// The converter gives the same conversion again and again.
    Stuck,
    /// The converter is wired to the cell of another plate.
    Swapped,
    /// The converter has no supply.
    BrownOut,
    /// The program is suspended while the clock is high.
    ClockStretched,
    /// Ten times the noise.
    Noise,
}

const KINDS: [(&str, FaultKind); 8] = [
    ("cable-off", FaultKind::CableOff),
    ("cell-off", FaultKind::CellOff),
    ("saturated", FaultKind::Saturated),
    ("stuck", FaultKind::Stuck),
    ("swapped", FaultKind::Swapped),
    ("brown-out", FaultKind::BrownOut),
    ("clock-stretched", FaultKind::ClockStretched),
    ("noise", FaultKind::Noise),
];

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = KINDS.iter().find(|(name, _)| *name == text);
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            format!("write one of {}", names.join(", "))
        })
    }
}

impl Fault {
    pub fn is_on(&self, now_s: f64) -> bool {
        (self.at_s..self.until_s).contains(&now_s)
    }
}

impl Situation {
    /// Nothing happens, and what can differ by chance follows from `seed`.
    pub fn quiet(seed: u64) -> Self {
        Situation {
            seed,
            cell: CellKind::default(),
            rate_error_percent: 2.0,
            loads: Vec::new(),
            faults: Vec::new(),
            gate: Vec::new(),
        }
    }

    /// What breaks about a plate. Plates that are swapped are so both ways.
    pub fn faults_of(&self, plate: PlateId) -> Vec<Fault> {
        let of_plate = |fault: &Fault| {
            let is_mine = fault.plate.is_none_or(|of| of == plate);
            let is_other = fault.swap_with == Some(plate);
            let mut fault = fault.clone();
            if is_other {
                fault.swap_with = fault.plate;
            }
            (is_mine || is_other).then_some(fault)
        };
        self.faults.iter().filter_map(of_plate).collect()
    }

    /// A plate that the situation names and the node doesn't have.
    pub fn stranger(&self, plates: &[PlateId]) -> Option<PlateId> {
        let loads = self.loads.iter().map(|load| load.plate);
        let faults =
            (self.faults.iter()).flat_map(|fault| fault.plate.into_iter().chain(fault.swap_with));
        loads.chain(faults).find(|plate| !plates.contains(plate))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCell {
    counts_per_gram: Option<At<f64>>,
    noise_g: Option<At<f64>>,
    drift_g: Option<At<f64>>,
    creep_percent: Option<At<f64>>,
    rate_error_percent: Option<At<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLoad {
    at_s: At<f64>,
    plate: At<String>,
    grams: At<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPassage {
    at_s: At<f64>,
    for_s: Option<At<f64>>,
    what: At<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    at_s: At<f64>,
    for_s: Option<At<f64>>,
    plate: Option<At<String>>,
    kind: At<String>,
    swap_with: Option<At<String>>,
}

/// Reads a situation.
///
/// # Errors
/// Every mistake with its line.
pub fn parse(text: &str, file_name: &str) -> Result<Situation, DefinitionError> {
    let mut remarks = Remarks::new(text, file_name);
    let situation = read(text, &mut remarks);
    remarks.finish(situation).map(|(situation, _)| situation)
}

fn read(text: &str, remarks: &mut Remarks<'_>) -> Option<Situation> {
    const TABLES: [&str; 5] = ["seed", "cell", "load", "fault", "gate"];
    let mut situation = Situation::quiet(1);
    let mut cell: Option<Spanned<RawCell>> = None;
    let mut loads: Entries<RawLoad> = Entries::default();
    let mut faults: Entries<RawFault> = Entries::default();
    let mut gate: Entries<RawPassage> = Entries::default();
    for (key, value) in top_level(text, remarks)? {
        match key.get_ref().as_ref() {
            "seed" => {
                let seed = value
                    .get_ref()
                    .as_integer()
                    .map(|seed| seed.as_str().parse());
                match seed {
                    Some(Ok(seed)) => situation.seed = seed,
                    Some(Err(_)) | None => {
                        remarks.mistake(
                            value.span(),
                            "`seed` is no whole number",
                            "write it like `seed = 7`",
                        );
                    }
                }
            }
            "cell" => cell = table_of("cell", value, remarks),
            "load" => loads = entries_of("load", value, remarks),
            "fault" => faults = entries_of("fault", value, remarks),
            "gate" => gate = entries_of("gate", value, remarks),
            other => remarks.mistake(
                key.span(),
                format!("a situation has no `{other}`"),
                match nearest(other, TABLES) {
                    Some(near) => format!("write `{near}`, or remove it"),
                    None => format!("remove it: there are {}", TABLES.join(", ")),
                },
            ),
        }
    }
    if let Some(cell) = &cell {
        read_cell(cell.get_ref(), &mut situation, remarks);
    }
    for load in &loads.list {
        let load = load.get_ref();
        let at_s = number("at_s", &load.at_s, 0.0..=DAY_S, remarks);
        let plate = plate(&load.plate, remarks);
        let grams = number("grams", &load.grams, -50_000.0..=50_000.0, remarks);
        if let (Some(at_s), Some(plate), Some(grams)) = (at_s, plate, grams) {
            situation.loads.push(Load { at_s, plate, grams });
        }
    }
    situation.faults = (faults.list.iter())
        .filter_map(|fault| read_fault(fault.get_ref(), remarks))
        .collect();
    situation.gate = (gate.list.iter())
        .filter_map(|passage| read_passage(passage.get_ref(), remarks))
        .collect();
    Some(situation)
}

fn read_passage(raw: &RawPassage, remarks: &mut Remarks<'_>) -> Option<Passage> {
    let at_s = number("at_s", &raw.at_s, 0.0..=DAY_S, remarks);
    let for_s = (raw.for_s.as_ref()).and_then(|s| number("for_s", s, 0.0..=DAY_S, remarks));
    let what = match raw.what.get().as_str() {
        "in" => Some(AtGate::In),
        "out" => Some(AtGate::Out),
        "two-in" => Some(AtGate::TwoIn),
        "turns-back" => Some(AtGate::TurnsBack),
        "emergency" => Some(AtGate::Emergency {
            for_s: for_s.unwrap_or(f64::INFINITY),
        }),
        other => {
            let said = format!("at a gate there is no `{other}`");
            let help = "write one of in, out, two-in, turns-back, emergency";
            remarks.mistake(raw.what.span(), said, help);
            None
        }
    };
    Some(Passage {
        at_s: at_s?,
        what: what?,
    })
}

fn read_cell(raw: &RawCell, situation: &mut Situation, remarks: &mut Remarks<'_>) {
    let cell = &mut situation.cell;
    let fields = [
        (
            "counts_per_gram",
            &raw.counts_per_gram,
            1.0..=20_000.0,
            &mut cell.counts_per_gram,
        ),
        ("noise_g", &raw.noise_g, 0.0..=1_000.0, &mut cell.noise_g),
        ("drift_g", &raw.drift_g, 0.0..=1_000.0, &mut cell.drift_g),
        (
            "creep_percent",
            &raw.creep_percent,
            0.0..=10.0,
            &mut cell.creep_percent,
        ),
        (
            "rate_error_percent",
            &raw.rate_error_percent,
            0.0..=20.0,
            &mut situation.rate_error_percent,
        ),
    ];
    for (field, value, range, target) in fields {
        if let Some(value) = value
            .as_ref()
            .and_then(|value| number(field, value, range, remarks))
        {
            *target = value;
        }
    }
}

fn read_fault(raw: &RawFault, remarks: &mut Remarks<'_>) -> Option<Fault> {
    let at_s = number("at_s", &raw.at_s, 0.0..=DAY_S, remarks);
    let for_s = (raw.for_s.as_ref()).and_then(|for_s| number("for_s", for_s, 0.0..=DAY_S, remarks));
    let of = raw.plate.as_ref().and_then(|value| plate(value, remarks));
    let swap_with = raw
        .swap_with
        .as_ref()
        .and_then(|value| plate(value, remarks));
    let kind: Option<FaultKind> = match raw.kind.get().parse() {
        Ok(kind) => Some(kind),
        Err(help) => {
            let said = format!("there is no fault `{}`", raw.kind.get());
            remarks.mistake(raw.kind.span(), said, help);
            None
        }
    };
    if kind == Some(FaultKind::Swapped) && (raw.plate.is_none() || raw.swap_with.is_none()) {
        remarks.mistake(
            raw.kind.span(),
            "two plates are swapped",
            "add `plate` and `swap_with`",
        );
    }
    let at_s = at_s?;
    Some(Fault {
        at_s,
        until_s: for_s.map_or(f64::INFINITY, |for_s| at_s + for_s),
        kind: kind?,
        plate: of,
        swap_with,
    })
}

fn number(
    field: &str,
    value: &At<f64>,
    range: RangeInclusive<f64>,
    remarks: &mut Remarks<'_>,
) -> Option<f64> {
    if range.contains(value.get()) {
        return Some(*value.get());
    }
    let help = format!("write a number from {} to {}", range.start(), range.end());
    remarks.mistake(value.span(), format!("`{field}` is {}", value.get()), help);
    None
}

fn plate(value: &At<String>, remarks: &mut Remarks<'_>) -> Option<PlateId> {
    let parsed = value.get().parse();
    parsed
        .map_err(|error: String| {
            remarks.mistake(value.span(), error, "write it like `plate = \"1.1.1\"`")
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_right() {
        let situation = parse(include_str!("../../../deploy/situation.toml"), "s").unwrap();
        assert!(situation.loads.len() > 4 && situation.faults.len() > 2);
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let text = "seed = 7\n[[load]]\nat_s = 1\nplate = \"1.1\"\ngrams = 5\n[[fault]]\nat_s = 2\nkind = \"cabel-off\"\n[[fault]]\nat_s = -1\nkind = \"swapped\"\n[[gate]]\nat_s = 1\nwhat = \"over\"\n";
        let error = parse(text, "s.toml").unwrap_err().to_string();
        for said in [
            "s.toml:4: `1.1` is no plate",
            "s.toml:8: there is no fault `cabel-off`",
            "write one of cable-off,",
            "s.toml:10: `at_s` is -1",
            "s.toml:11: two plates are swapped",
            "s.toml:14: at a gate there is no `over`",
        ] {
            assert!(error.contains(said), "{said} is not in:\n{error}");
        }
    }
}
