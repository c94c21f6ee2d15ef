//! The networks in `models/`: a card, the ONNX file that it names, and its checksum.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::vision::embedding::Embedding;
use crate::vision::engine::{self, EngineError, EngineKind};
use crate::vision::model_card::{CardFlaw, ModelCard, ModelKind};
use crate::vision::people::PeopleDetector;
use crate::vision::prototypes::Prototypes;
use crate::vision::recognition::Recogniser;

/// A network's file that is larger is a mistake.
const FILE_BYTES_MAX: u64 = 256 << 20;
const CARD_BYTES_MAX: u64 = 1 << 20;

/// Why a model can't be had. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{path}: there is no such file; `--models` says where the models are")]
    NotFound { path: PathBuf },
    #[error("{path}: it cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: it has {bytes} bytes; a model has at most {max}")]
    TooLarge { path: PathBuf, bytes: u64, max: u64 },
    #[error("{path}: {flaw}")]
    Card { path: PathBuf, flaw: CardFlaw },
    #[error("{path}: it is a model for {found}, not for {wanted}")]
    OtherKind {
        path: PathBuf,
        found: &'static str,
        wanted: &'static str,
    },
    #[error(
        "{path}: its SHA-256 is {found}, but {card} says {wanted}: it is another model, or damaged"
    )]
    Checksum {
        path: PathBuf,
        card: PathBuf,
        found: String,
        wanted: String,
    },
    #[error("{path}: {error}")]
    Engine { path: PathBuf, error: EngineError },
    #[error("{path}: {bytes} bytes are no {rows} rows of {dimension} numbers")]
    Prototypes {
        path: PathBuf,
        bytes: usize,
        rows: usize,
        dimension: usize,
    },
}

/// A model's card and file, checked against each other.
#[derive(Clone, Debug)]
pub struct ModelFile {
    pub card: ModelCard,
    pub card_path: PathBuf,
    pub onnx_path: PathBuf,
    onnx: Vec<u8>,
}

impl ModelFile {
    /// The model of a kind in a folder.
    pub fn open(folder: &Path, kind: ModelKind) -> Result<Self, ModelError> {
        Self::from_card(&folder.join(format!("{}.toml", kind.name())), kind)
    }

    /// The model of a card.
    pub fn from_card(card_path: &Path, kind: ModelKind) -> Result<Self, ModelError> {
        let text = read(card_path, CARD_BYTES_MAX)?;
        let card = ModelCard::parse(&String::from_utf8_lossy(&text)).map_err(|flaw| {
            let path = card_path.to_owned();
            ModelError::Card { path, flaw }
        })?;
        if card.kind != kind {
            return Err(ModelError::OtherKind {
                path: card_path.to_owned(),
                found: card.kind.name(),
                wanted: kind.name(),
            });
        }
        let onnx_path = card_path.with_file_name(&card.file);
        let onnx = read(&onnx_path, FILE_BYTES_MAX)?;
        check(&onnx_path, &onnx, card_path, &card.sha256)?;
        Ok(ModelFile {
            card,
            card_path: card_path.to_owned(),
            onnx_path,
            onnx,
        })
    }

    fn engine(&self, kind: &EngineKind) -> Result<Box<dyn engine::Engine>, ModelError> {
        engine::load(kind, &self.onnx, &self.card).map_err(|error| self.engine_error(error))
    }

    /// What one run takes.
    pub fn cost(&self) -> Result<engine::Cost, ModelError> {
        engine::cost(&self.onnx, &self.card).map_err(|error| self.engine_error(error))
    }

    /// An error of the engine with the model's file.
    pub fn engine_error(&self, error: EngineError) -> ModelError {
        let path = self.onnx_path.clone();
        ModelError::Engine { path, error }
    }

    /// The network, ready to look at products.
    pub fn recogniser(&self, kind: &EngineKind) -> Result<Recogniser, ModelError> {
        let engine = self.engine(kind)?;
        Recogniser::new(&self.card, engine).ok_or_else(|| self.other_kind(ModelKind::Products))
    }

    /// The network, ready to look for people.
    pub fn people_detector(&self, kind: &EngineKind) -> Result<PeopleDetector, ModelError> {
        let engine = self.engine(kind)?;
        PeopleDetector::new(&self.card, engine).ok_or_else(|| self.other_kind(ModelKind::People))
    }

    fn other_kind(&self, wanted: ModelKind) -> ModelError {
        ModelError::OtherKind {
            path: self.card_path.clone(),
            found: self.card.kind.name(),
            wanted: wanted.name(),
        }
    }

    /// The classes that come with the model, by their number; `None` if none do.
    pub fn prototypes(&self) -> Result<Option<Prototypes<u32>>, ModelError> {
        let Some(form) = &self.card.products else {
            return Ok(None);
        };
        let (Some(name), Some(sum)) = (&form.prototypes, &form.prototypes_sha256) else {
            return Ok(None);
        };
        let path = self.card_path.with_file_name(name);
        let bytes = read(&path, FILE_BYTES_MAX)?;
        check(&path, &bytes, &self.card_path, sum)?;
        let rows = form.prototype_classes.len();
        let dimension = bytes.len() / 4 / rows.max(1);
        let damaged = || ModelError::Prototypes {
            path: path.clone(),
            bytes: bytes.len(),
            rows,
            dimension,
        };
        if dimension == 0 || bytes.len() != rows * dimension * 4 {
            return Err(damaged());
        }
        let mut known = Prototypes::default();
        for (row, class) in bytes
            .chunks_exact(dimension * 4)
            .zip(&form.prototype_classes)
        {
            let numbers = row
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b));
            let row = Embedding::new(numbers.collect()).ok_or_else(damaged)?;
            known.add(*class, row);
        }
        Ok(Some(known))
    }
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>, ModelError> {
    let cannot = |source: std::io::Error| {
        let path = path.to_owned();
        if source.kind() == std::io::ErrorKind::NotFound {
            ModelError::NotFound { path }
        } else {
            ModelError::Unreadable { path, source }
        }
    };
    let bytes = std::fs::metadata(path).map_err(cannot)?.len();
    if bytes > max {
        let path = path.to_owned();
        return Err(ModelError::TooLarge { path, bytes, max });
    }
    std::fs::read(path).map_err(cannot)
}

fn check(path: &Path, bytes: &[u8], card: &Path, wanted: &str) -> Result<(), ModelError> {
    let found = sha256(bytes);
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(ModelError::Checksum {
        path: path.to_owned(),
        card: card.to_owned(),
        found,
        wanted: wanted.to_owned(),
    })
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
