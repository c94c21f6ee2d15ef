//! What `stroll calibrate` found about each plate: a JSON file that only grows, so that it says who did what and when.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plate_feed::Scale;
use crate::store::PlateId;
use crate::units::Timestamp;

/// A calibration file is no larger.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Every calibration of a node's plates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibrations {
    /// By plate, oldest first: the last one holds.
    pub plates: BTreeMap<PlateId, Vec<Calibration>>,
}

/// One calibration of one plate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    pub at: Timestamp,
    pub by: String,
    pub counts_per_gram: f64,
    /// The count of the empty plate.
    pub zero: i32,
    /// What was laid on it, grams, and what it read, counts, the empty plate first.
    pub points: Vec<(f64, f64)>,
    /// Standard deviation of a sample, grams.
    pub noise_g: f64,
    /// Samples that lie further out than noise does, percent.
    pub spikes_percent: f64,
    /// The farthest that a point lies off the straight line, percent of the heaviest.
    pub nonlinearity_percent: f64,
    /// How the heaviest load went on growing, grams a minute.
    pub creep_g_min: f64,
    /// What it may be loaded with, grams.
    pub capacity_g: f64,
}

impl Calibration {
    /// How its counts become grams.
    pub fn scale(&self) -> Scale {
        Scale {
            counts_per_gram: self.counts_per_gram,
            zero: Some(self.zero),
            capacity_g: Some(self.capacity_g),
        }
    }
}

/// A calibration file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    #[error("cannot read the calibration {}: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: this is no calibration ({source}); move it away and calibrate again", path.display())]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{}: plate {plate} has a calibration factor of {factor}; calibrate it again", path.display())]
    Nonsense {
        path: PathBuf,
        plate: PlateId,
        factor: f64,
    },
    #[error("cannot write the calibration {}: {source}", path.display())]
    Unwritable {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Calibrations {
    /// Reads the file; one that is not there holds nothing.
    pub fn load(path: &Path) -> Result<Self, CalibrationError> {
        let unreadable = |source| CalibrationError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let length = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            found => found.map_err(unreadable)?.len(),
        };
        if length > BYTES_MAX {
            let said = format!("it has {length} bytes");
            return Err(unreadable(std::io::Error::other(said)));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let read: Self =
            serde_json::from_slice(&bytes).map_err(|source| CalibrationError::Damaged {
                path: path.to_owned(),
                source,
            })?;
        for (plate, calibrations) in &read.plates {
            let factors = calibrations
                .iter()
                .map(|calibration| calibration.counts_per_gram);
            if let Some(factor) = factors.into_iter().find(|f| !f.is_normal()) {
                return Err(CalibrationError::Nonsense {
                    path: path.to_owned(),
                    plate: *plate,
                    factor,
                });
            }
        }
        Ok(read)
    }

    /// What holds of a plate.
    pub fn of(&self, plate: PlateId) -> Option<&Calibration> {
        self.plates.get(&plate)?.last()
    }

    /// Adds a calibration and writes the file: whole, or not at all.
    pub fn add(
        &mut self,
        path: &Path,
        plate: PlateId,
        new: Calibration,
    ) -> Result<(), CalibrationError> {
        self.plates.entry(plate).or_default().push(new);
        let unwritable = |source| CalibrationError::Unwritable {
            path: path.to_owned(),
            source,
        };
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| unwritable(std::io::Error::other(error)))?;
        text.push('\n');
        // A temporary file is its owner's alone, and so is what it becomes.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
        file.write_all(text.as_bytes()).map_err(unwritable)?;
        file.as_file().sync_all().map_err(unwritable)?;
        file.persist(path)
            .map_err(|error| unwritable(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration(counts_per_gram: f64) -> Calibration {
        Calibration {
            at: Timestamp(1_763_935_200_000_000),
            by: "me".to_owned(),
            counts_per_gram,
            zero: -70_000,
            points: vec![(0.0, -70_000.0), (500.0, 140_000.0)],
            noise_g: 0.3,
            spikes_percent: 0.0,
            nonlinearity_percent: 0.01,
            creep_g_min: 0.1,
            capacity_g: 5_000.0,
        }
    }

    #[test]
    fn the_last_one_holds_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calibration.json");
        let plate: PlateId = "1.1.1".parse().unwrap();
        let mut all = Calibrations::load(&path).unwrap();
        assert_eq!(all.of(plate), None);
        all.add(&path, plate, calibration(420.0)).unwrap();
        all.add(&path, plate, calibration(-421.5)).unwrap();
        let read = Calibrations::load(&path).unwrap();
        assert_eq!(read, all);
        assert_eq!(read.of(plate).map(|c| c.counts_per_gram), Some(-421.5));
        assert_eq!(read.plates[&plate].len(), 2);
    }

    #[test]
    fn what_is_no_calibration_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calibration.json");
        std::fs::write(&path, "{\"plates\": {\"1.1.1\": [{}]}}").unwrap();
        let error = Calibrations::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("calibration.json: this is no calibration"),
            "{error}"
        );
        let plate: PlateId = "1.1.1".parse().unwrap();
        Calibrations::default()
            .add(&path, plate, calibration(0.0))
            .unwrap();
        let error = Calibrations::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("plate 1.1.1 has a calibration factor of 0"),
            "{error}"
        );
    }
}
