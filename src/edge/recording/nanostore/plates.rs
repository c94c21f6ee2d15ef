//! `plate_data.json`: batches of load-cell samples.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::lines::{self, LineFlaw, Lines};
use crate::edge::recording::clock::{self, BatchClock};
use crate::edge::recording::{Damage, Flaw};
use crate::recording::{NO_COUNT, Record, ScaleBatch, ScaleGroup};
use crate::units::Timestamp;

/// The folders hold grams; as counts of a milligram they pass through the same code as a converter's.
pub(super) const COUNTS_PER_GRAM: f64 = 1_000.0;
/// The competition's sample rate, where a batch names none.
const RATE_HZ: f64 = 60.0;
const RATE_HZ_MAX: f64 = 100_000.0;
const BYTES_PER_SAMPLE: u64 = 4;

/// Shelves and plates that a gondola's samples have room for, and how fast they come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GondolaShape {
    pub(super) shelves: u16,
    pub(super) plates: u16,
    pub(super) rate_hz: f64,
}

impl std::fmt::Display for GondolaShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} shelves × {} plates at {} Hz",
            self.shelves, self.plates, self.rate_hz
        )
    }
}

/// One line of the file.
#[derive(Debug)]
struct Batch {
    gondola: u16,
    shape: GondolaShape,
    sent_at: Timestamp,
    /// Row-major samples × shelves × plates.
    counts: Vec<i32>,
}

/// The batches of one gondola.
#[derive(Debug)]
pub(super) struct Gondola {
    pub(super) shape: GondolaShape,
    batches: Vec<(Timestamp, Vec<i32>)>,
}

/// Everything that the file holds, up to the first damage.
#[derive(Debug)]
pub(super) struct PlateData {
    pub(super) gondolas: BTreeMap<u16, Gondola>,
    pub(super) damage: Option<Damage>,
}

impl PlateData {
    /// What the store's definition depends on.
    pub(super) fn shapes(&self) -> BTreeMap<u16, GondolaShape> {
        self.gondolas
            .iter()
            .map(|(&gondola, g)| (gondola, g.shape))
            .collect()
    }
}

/// Reads the whole file.
pub(super) fn read(file: &Path, bytes: &[u8]) -> PlateData {
    gather(file, lines::scan(file, bytes, parse))
}

fn gather(file: &Path, lines: Lines<Batch>) -> PlateData {
    let mut data = PlateData {
        gondolas: BTreeMap::new(),
        damage: lines.damage,
    };
    if lines.values.is_empty() && data.damage.is_none() {
        data.damage = Some(Damage {
            file: file.to_owned(),
            line: None,
            offset: 0,
            flaw: Flaw::Empty,
        });
    }
    for line in lines.values {
        let gondola = data
            .gondolas
            .entry(line.value.gondola)
            .or_insert_with(|| Gondola {
                shape: line.value.shape,
                batches: Vec::new(),
            });
        if gondola.shape != line.value.shape {
            let flaw = Flaw::Changed {
                gondola: line.value.gondola,
                before: gondola.shape.to_string(),
                after: line.value.shape.to_string(),
            };
            // This line comes before whatever ended the scan.
            data.damage = Some(line.damage(file, flaw));
            break;
        }
        gondola
            .batches
            .push((line.value.sent_at, line.value.counts));
    }
    data
}

/// The plates that one node reads, and the columns of the gondola's samples that they are in.
#[derive(Debug)]
pub(super) struct GroupColumns {
    pub(super) group: Arc<ScaleGroup>,
    pub(super) columns: Vec<usize>,
}

impl Gondola {
    /// The gondola's samples as records, in the order of their times.
    pub(super) fn records(self, groups: &[GroupColumns], records: &mut Vec<Record>) {
        let width = usize::from(self.shape.shelves) * usize::from(self.shape.plates);
        let mut batches = self.batches;
        // Lines may have been stored out of order.
        batches.sort_by_key(|(sent_at, _)| *sent_at);
        let mut clock = BatchClock::new(self.shape.rate_hz);
        for (sent_at, counts) in batches {
            let first_at = clock.first_at(sent_at, counts.len() / width);
            let batch = |group: &GroupColumns, counts| {
                Record::Scale(ScaleBatch {
                    group: Arc::clone(&group.group),
                    first_at,
                    counts,
                })
            };
            if let [group] = groups
                && group.columns.len() == width
            {
                records.push(batch(group, counts));
                continue;
            }
            for group in groups {
                let own = counts
                    .chunks_exact(width)
                    .flat_map(|row| group.columns.iter().filter_map(|&c| row.get(c).copied()))
                    .collect();
                records.push(batch(group, own));
            }
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    timestamp: f64,
    #[serde(borrow)]
    document: Document<'a>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    plate_data: PlateDataJson<'a>,
}

#[derive(Deserialize)]
struct PlateDataJson<'a> {
    plate_id: PlatePath,
    freq_samp: Option<f64>,
    #[serde(borrow)]
    values: Values<'a>,
}

#[derive(Deserialize)]
struct PlatePath {
    shelf_id: ShelfPath,
}

#[derive(Deserialize)]
struct ShelfPath {
    gondola_id: Id,
}

#[derive(Deserialize)]
struct Id {
    #[serde(default)]
    id: u16,
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    shape: Vec<u64>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

fn parse(line: &str) -> Result<Batch, LineFlaw> {
    let Line {
        timestamp,
        document: Document { plate_data },
    } = lines::json(line)?;
    let values = plate_data.values;
    if let Some(kind) = values.kind
        && kind != "DATATYPE_FLOAT32"
    {
        return Err(Flaw::WrongType(kind.into_owned()).into());
    }
    let rate_hz = plate_data.freq_samp.unwrap_or(RATE_HZ);
    if !(rate_hz > 0.0 && rate_hz <= RATE_HZ_MAX) {
        return Err(Flaw::NoRate(rate_hz).into());
    }
    let sent_at = clock::possible(timestamp).ok_or(Flaw::NoTime(timestamp))?;
    let shape = Shape::checked(&values.shape)?;
    // The first sample is that much earlier, and must be possible as well.
    let first_s = timestamp - f64::from(shape.samples) / rate_hz;
    clock::possible(first_s).ok_or(Flaw::NoTime(first_s))?;
    let counts = shape.counts(&values.data, &values.shape)?;
    Ok(Batch {
        gondola: plate_data.plate_id.shelf_id.gondola_id.id,
        shape: GondolaShape {
            shelves: shape.rows - 1,
            plates: shape.columns - 1,
            rate_hz,
        },
        sent_at,
        counts,
    })
}

/// The shape of a batch as stored: row 0 and column 0 are there and mean nothing.
struct Shape {
    samples: u32,
    /// Shelves + 1, at least 2.
    rows: u16,
    /// Plates + 1, at least 2.
    columns: u16,
}

impl Shape {
    fn checked(shape: &[u64]) -> Result<Self, Flaw> {
        let &[samples, rows, columns] = shape else {
            return Err(Flaw::NoShape(shape.to_vec()));
        };
        let fit = || {
            Some(Shape {
                samples: u32::try_from(samples).ok().filter(|&n| n >= 1)?,
                rows: u16::try_from(rows).ok().filter(|&n| n >= 2)?,
                columns: u16::try_from(columns).ok().filter(|&n| n >= 2)?,
            })
        };
        fit().ok_or_else(|| Flaw::NoShape(shape.to_vec()))
    }

    /// Decodes base64 little-endian float32 grams into counts, without row 0 and column 0.
    fn counts(&self, base64: &str, shape: &[u64]) -> Result<Vec<i32>, Flaw> {
        let bytes = STANDARD
            .decode(base64)
            .map_err(|error| Flaw::NotBase64(error.to_string()))?;
        // At most 2^32 × 2^16 × 2^16 values: that fits into 128 bits.
        let values = u128::from(self.samples) * u128::from(self.rows) * u128::from(self.columns);
        let expected = values * u128::from(BYTES_PER_SAMPLE);
        if expected != bytes.len() as u128 {
            return Err(Flaw::WrongLength {
                shape: shape.to_vec(),
                expected: u64::try_from(expected).unwrap_or(u64::MAX),
                found: bytes.len() as u64,
            });
        }
        let (rows, columns) = (usize::from(self.rows), usize::from(self.columns));
        let grams = bytes.as_chunks::<4>().0;
        let mut counts = Vec::with_capacity(grams.len());
        for sample in grams.chunks_exact(rows * columns) {
            for row in sample.chunks_exact(columns).skip(1) {
                counts.extend(row.iter().skip(1).map(|&g| count(f32::from_le_bytes(g))));
            }
        }
        Ok(counts)
    }
}

/// Grams as a count, saturating; [`NO_COUNT`] for what is no number.
#[inline]
fn count(grams: f32) -> i32 {
    if !grams.is_finite() {
        return NO_COUNT;
    }
    let exact = f64::from(grams) * COUNTS_PER_GRAM;
    // The cast truncates and saturates: half away from zero makes it round. It costs a fraction of `f64::round` on plain x86-64.
    ((exact + 0.5_f64.copysign(exact)) as i32).max(NO_COUNT + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(timestamp: &str, gondola: u16, shape: &[u64], grams: &[f32]) -> String {
        let bytes: Vec<u8> = grams.iter().flat_map(|g| g.to_le_bytes()).collect();
        format!(
            r#"{{"timestamp":{timestamp},"document":{{"plate_data":{{"plate_id":{{"shelf_id":{{"gondola_id":{{"id":{gondola}}}}}}},"freq_samp":60.0,"values":{{"data":"{}","shape":{shape:?},"type":"DATATYPE_FLOAT32"}}}}}}}}"#,
            STANDARD.encode(bytes)
        )
    }

    fn flaw_of(text: &str) -> String {
        let data = read(Path::new("plate_data.json"), text.as_bytes());
        data.damage.expect("there is a flaw").to_string()
    }

    #[test]
    fn grams_become_milligrams() {
        for (grams, expected) in [
            (1.0_f32, 1_000),
            (-0.2416, -242),
            (0.0, 0),
            (-0.0, 0),
            (0.0005, 1),
            (-0.0006, -1),
            (f32::NAN, NO_COUNT),
            (f32::INFINITY, NO_COUNT),
            (1e30, i32::MAX),
            (-1e30, NO_COUNT + 1),
        ] {
            assert_eq!(count(grams), expected, "{grams} g");
        }
    }

    #[test]
    fn row_and_column_zero_are_left_out() {
        let nan = f32::NAN;
        let grams = [
            [nan, nan, nan, nan, 1.0, 2.0],
            [nan, nan, nan, nan, 3.0, nan],
        ]
        .concat();
        let batch = parse(&line("1600000000.2", 7, &[2, 2, 3], &grams)).unwrap();
        assert_eq!(batch.gondola, 7);
        assert_eq!(batch.counts, [1_000, 2_000, 3_000, NO_COUNT]);
        assert_eq!((batch.shape.shelves, batch.shape.plates), (1, 2));
        assert_eq!(batch.sent_at, Timestamp(1_600_000_000_200_000));
    }

    #[test]
    fn flaws_are_named() {
        let zeros = [0.0_f32; 8];
        let good = line("1600000000", 1, &[2, 2, 2], &zeros);
        for (text, expected) in [
            (String::new(), "plate_data.json, byte 0: the file is empty".to_owned()),
            (format!("{good}\n{}", &good[..40]), format!("line 2, byte {}: the line is cut off", good.len() + 1 + 40)),
            (line("1600000000", 1, &[2, 2, 3], &zeros), "takes 48 bytes of samples, but 32 are there".to_owned()),
            (line("1600000000", 1, &[u32::MAX.into(), 65_535, 65_535], &zeros), "but 32 are there".to_owned()),
            (line("1600000000", 1, &[4, 2], &zeros), "[4, 2] is no shape".to_owned()),
            (line("1600000000", 1, &[8, 1, 1], &zeros), "is no shape".to_owned()),
            (line("1600000000", 1, &[0, 2, 2], &[]), "is no shape".to_owned()),
            (line("-5", 1, &[2, 2, 2], &zeros), "-5 is an impossible timestamp".to_owned()),
            (line("1e200", 1, &[2, 2, 2], &zeros), "impossible timestamp".to_owned()),
            (line("1e999", 1, &[2, 2, 2], &zeros), "number out of range".to_owned()),
            (good.replace("60.0", "0"), "0 Hz is no sample rate".to_owned()),
            (good.replace("FLOAT32", "INT16"), "DATATYPE_INT16".to_owned()),
            (good.replace("AAAA", "A*AA"), "not base64".to_owned()),
            (good.replace("\"timestamp\"", "\"time\""), "missing field `timestamp`".to_owned()),
            (
                format!("{good}\n{}", line("1600000001", 1, &[1, 3, 2], &zeros[..6])),
                "gondola 1 changes from 1 shelves × 1 plates at 60 Hz to 2 shelves × 1 plates at 60 Hz".to_owned(),
            ),
        ] {
            let flaw = flaw_of(&text);
            assert!(flaw.contains(&expected), "{flaw}\nshould say\n{expected}");
        }
    }

    #[test]
    fn what_is_whole_before_a_flaw_stays() {
        let good = line("1600000000", 1, &[2, 2, 2], &[0.0; 8]);
        let text = format!("{good}\n{good}\n{{");
        let data = read(Path::new("plate_data.json"), text.as_bytes());
        assert!(data.damage.is_some());
        assert_eq!(data.gondolas[&1].batches.len(), 2);
    }
}
