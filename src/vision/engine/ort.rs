//! Microsoft's onnxruntime by the `ort` crate: faster where its library is installed.

use std::path::Path;

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use super::{Engine, EngineError, Output, checked};
use crate::vision::model_card::ModelCard;

/// A network with one thread of its own.
pub struct Ort {
    session: Session,
    card: ModelCard,
}

impl Ort {
    /// Loads the library, once a process, and the network.
    pub fn load(library: &Path, onnx: &[u8], card: &ModelCard) -> Result<Self, EngineError> {
        let failed = |error: &dyn std::fmt::Display| {
            let why = error.to_string();
            EngineError::Failed(format!("onnxruntime ({}): {why}", library.display()))
        };
        let bad = |error: &dyn std::fmt::Display| EngineError::BadModel(error.to_string());
        let environment = ort::init_from(library)
            .map_err(|e| failed(&e))?
            .build()
            .map_err(|e| failed(&e))?;
        let mut builder = Session::builder(&environment)
            .map_err(|e| failed(&e))?
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(|e| failed(&e))?
            .with_intra_threads(1)
            .map_err(|e| failed(&e))?;
        let session = builder.commit_from_memory(onnx).map_err(|e| bad(&e))?;
        let inputs = session.inputs().len();
        if inputs != 1 {
            return Err(EngineError::BadModel(format!(
                "it takes {inputs} inputs, not 1"
            )));
        }
        for name in card.outputs() {
            if !session.outputs().iter().any(|output| output.name() == name) {
                return Err(EngineError::NoOutput(name.to_owned()));
            }
        }
        Ok(Ort {
            session,
            card: card.clone(),
        })
    }
}

impl Engine for Ort {
    fn run(&mut self, input: &[f32]) -> Result<Vec<Output>, EngineError> {
        let form = &self.card.input;
        if input.len() != form.len() {
            return Err(EngineError::WrongInput {
                wanted: form.len(),
                found: input.len(),
            });
        }
        let failed = |e: ort::Error| EngineError::Failed(e.to_string());
        let tensor = TensorRef::from_array_view((form.shape(), input)).map_err(failed)?;
        let ran = self.session.run(ort::inputs![tensor]).map_err(failed)?;
        let outputs = self.card.outputs().into_iter().map(|name| {
            let value = ran
                .get(name)
                .ok_or_else(|| EngineError::NoOutput(name.to_owned()))?;
            let (shape, values) = value.try_extract_tensor::<f32>().map_err(failed)?;
            let shape = shape
                .iter()
                .map(|side| usize::try_from(*side).unwrap_or(0))
                .collect();
            let values = values.to_vec();
            Ok(Output { shape, values })
        });
        let outputs: Result<Vec<Output>, EngineError> = outputs.collect();
        checked(outputs?, &self.card)
    }
}
