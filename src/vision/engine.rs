//! What runs a network: one trait, and behind it whichever engines the program was built with.

use std::path::PathBuf;

use super::model_card::ModelCard;

#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "vision")]
mod tract;

/// One output of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    pub shape: Vec<usize>,
    /// Row-major, as many as the shape says.
    pub values: Vec<f32>,
}

/// A network that was loaded and optimised, with the memory that it works in: one a thread.
pub trait Engine: Send {
    /// Runs it on one input of the card's shape and gives the card's outputs in the order of [`ModelCard::outputs`].
    fn run(&mut self, input: &[f32]) -> Result<Vec<Output>, EngineError>;
}

/// What one run of a network takes, whatever runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Multiplications with additions of convolutions and matrices.
    pub multiplications: u64,
    /// Of the weights, which stay in memory.
    pub weight_bytes: u64,
    /// Of the largest input and output of one layer, which have to be in memory at once.
    pub layer_bytes_max: u64,
}

/// Why a network can't be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("built without `{feature}`: cargo build --release --features {feature}")]
    NotBuilt { feature: &'static str },
    #[error("it is no network that can be run: {0}")]
    BadModel(String),
    #[error("it has no output `{0}`")]
    NoOutput(String),
    #[error("it takes {wanted} numbers and was given {found}")]
    WrongInput { wanted: usize, found: usize },
    #[error("output `{output}` has the shape {found:?}; it takes {wanted}")]
    WrongOutput {
        output: String,
        found: Vec<usize>,
        wanted: &'static str,
    },
    #[error("output `{0}` holds what is no number")]
    NotFinite(String),
    #[error("it failed: {0}")]
    Failed(String),
}

/// Which engine runs the networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// tract, in Rust: nothing has to be installed.
    #[default]
    Tract,
    /// onnxruntime, from that library.
    Ort { library: PathBuf },
}

/// Loads a network and optimises it, which takes some tenths of a second: once at the start.
pub fn load(
    kind: &EngineKind,
    onnx: &[u8],
    card: &ModelCard,
) -> Result<Box<dyn Engine>, EngineError> {
    match kind {
        EngineKind::Tract => load_tract(onnx, card),
        EngineKind::Ort { library } => load_ort(library, onnx, card),
    }
}

/// Counts what one run of a network takes, from its graph.
#[cfg(feature = "vision")]
pub fn cost(onnx: &[u8], card: &ModelCard) -> Result<Cost, EngineError> {
    tract::cost(onnx, card)
}

/// Counts what one run of a network takes, from its graph.
#[cfg(not(feature = "vision"))]
pub fn cost(_: &[u8], _: &ModelCard) -> Result<Cost, EngineError> {
    Err(EngineError::NotBuilt { feature: "vision" })
}

#[cfg(feature = "vision")]
fn load_tract(onnx: &[u8], card: &ModelCard) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(tract::Tract::load(onnx, card)?))
}

#[cfg(not(feature = "vision"))]
fn load_tract(_: &[u8], _: &ModelCard) -> Result<Box<dyn Engine>, EngineError> {
    Err(EngineError::NotBuilt { feature: "vision" })
}

#[cfg(feature = "ort")]
fn load_ort(
    library: &std::path::Path,
    onnx: &[u8],
    card: &ModelCard,
) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(ort::Ort::load(library, onnx, card)?))
}

#[cfg(not(feature = "ort"))]
fn load_ort(_: &std::path::Path, _: &[u8], _: &ModelCard) -> Result<Box<dyn Engine>, EngineError> {
    Err(EngineError::NotBuilt { feature: "ort" })
}

/// Checks what every engine has to promise of its outputs.
#[cfg_attr(
    not(any(feature = "vision", feature = "ort")),
    allow(dead_code, reason = "no engine is built in")
)]
fn checked(outputs: Vec<Output>, card: &ModelCard) -> Result<Vec<Output>, EngineError> {
    for (output, name) in outputs.iter().zip(card.outputs()) {
        if !output.values.iter().all(|v| v.is_finite()) {
            return Err(EngineError::NotFinite(name.to_owned()));
        }
    }
    Ok(outputs)
}
