//! Where the models are.

use std::path::PathBuf;

use crate::edge::models::{ModelError, ModelFile};
use crate::vision::engine::EngineKind;
use crate::vision::model_card::ModelKind;

/// Which models are used, and what runs them.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// The folder of the models [default: `models` here, beside the program, or above it]
    #[arg(long, value_name = "DIR", env = "STROLL_MODELS")]
    models: Option<PathBuf>,
    /// What runs the networks
    #[arg(long, value_enum, default_value_t = Engine::Tract)]
    engine: Engine,
    /// The library of onnxruntime, for `--engine ort`
    #[arg(
        long,
        value_name = "FILE",
        env = "ORT_DYLIB_PATH",
        default_value = "libonnxruntime.so"
    )]
    onnxruntime: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    /// In Rust, and built in
    Tract,
    /// onnxruntime
    Ort,
}

impl Args {
    /// The model of a kind.
    pub fn open(&self, kind: ModelKind) -> Result<ModelFile, ModelError> {
        ModelFile::open(&self.folder(kind), kind)
    }

    /// Whether there is a model of that kind.
    pub fn has(&self, kind: ModelKind) -> bool {
        card(&self.folder(kind), kind).is_file()
    }

    /// What runs them.
    pub fn engine(&self) -> EngineKind {
        match self.engine {
            Engine::Tract => EngineKind::Tract,
            Engine::Ort => EngineKind::Ort {
                library: self.onnxruntime.clone(),
            },
        }
    }

    fn folder(&self, kind: ModelKind) -> PathBuf {
        let here = PathBuf::from("models");
        if let Some(given) = &self.models {
            return given.clone();
        }
        let program = std::env::current_exe().unwrap_or_default();
        let above = program
            .ancestors()
            .skip(1)
            .map(|folder| folder.join("models"));
        let installed = PathBuf::from("/usr/share/stroll/models");
        std::iter::once(here.clone())
            .chain(above)
            .chain([installed])
            .find(|folder| card(folder, kind).is_file())
            .unwrap_or(here)
    }
}

fn card(folder: &std::path::Path, kind: ModelKind) -> PathBuf {
    folder.join(format!("{}.toml", kind.name()))
}
