//! The engine in Rust: tract (sonos/tract).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::Cost as CostKind;
use tract_onnx::tract_hir::tract_core::ops::cnn::Conv;
use tract_onnx::tract_hir::tract_core::ops::einsum::EinSum;

use super::{Cost, Engine, EngineError, Output, checked};
use crate::vision::model_card::ModelCard;

/// A network's optimised plan with its memory.
pub struct Tract {
    state: TypedSimpleState,
    card: ModelCard,
}

impl Tract {
    /// Reads an ONNX file, fixes its input to the card's shape and optimises it.
    pub fn load(onnx: &[u8], card: &ModelCard) -> Result<Self, EngineError> {
        // Damaged files make the reader panic here and there; a wrong file is no bug of ours.
        let plan = catch_unwind(|| plan(onnx, card))
            .map_err(|_| EngineError::BadModel("its graph makes no sense".to_owned()))??;
        let state = plan.spawn().map_err(|e| bad(&e))?;
        Ok(Tract {
            state,
            card: card.clone(),
        })
    }
}

fn bad(error: &TractError) -> EngineError {
    EngineError::BadModel(format!("{error:#}"))
}

fn plan(onnx: &[u8], card: &ModelCard) -> Result<Arc<TypedSimplePlan>, EngineError> {
    graph(onnx, card)?
        .into_optimized()
        .and_then(IntoRunnable::into_runnable)
        .map_err(|e| bad(&e))
}

/// Counts over the graph before it is made fast for this machine: what is left out then is left out on every machine.
pub fn cost(onnx: &[u8], card: &ModelCard) -> Result<Cost, EngineError> {
    let counted = || {
        let graph = graph(onnx, card)?;
        let graph = graph.into_typed().and_then(TypedModel::into_decluttered);
        count(&graph.map_err(|e| bad(&e))?).map_err(|e| bad(&e))
    };
    catch_unwind(counted)
        .map_err(|_| EngineError::BadModel("its graph makes no sense".to_owned()))?
}

fn count(graph: &TypedModel) -> TractResult<Cost> {
    let mut cost = Cost::default();
    let bytes = |facts: &[&TypedFact]| -> TractResult<u64> {
        let moving = facts.iter().filter(|fact| fact.konst.is_none());
        let sizes = moving.map(|fact| Ok(fact.mem_size().to_i64()?));
        Ok(sizes.sum::<TractResult<i64>>()?.unsigned_abs())
    };
    for node in graph.nodes() {
        let (inputs, outputs) = graph.node_facts(node.id)?;
        if let Some(weights) = outputs.first().and_then(|fact| fact.konst.as_ref()) {
            cost.weight_bytes += weights.len() as u64 * weights.datum_type().size_of() as u64;
            continue;
        }
        cost.layer_bytes_max = (cost.layer_bytes_max).max(bytes(&inputs)? + bytes(&outputs)?);
        let is_weighing = node.op_is::<Conv>() || node.op_is::<EinSum>();
        for (kind, times) in node.op.cost(&inputs)? {
            if is_weighing && matches!(kind, CostKind::FMA(_)) {
                cost.multiplications += times.to_i64()?.unsigned_abs();
            }
        }
    }
    Ok(cost)
}

/// The graph with the card's input and outputs.
fn graph(onnx: &[u8], card: &ModelCard) -> Result<InferenceModel, EngineError> {
    let mut model = tract_onnx::onnx()
        .model_for_read(&mut std::io::Cursor::new(onnx))
        .map_err(|e| bad(&e))?;
    let inputs = model.inputs.len();
    if inputs != 1 {
        return Err(EngineError::BadModel(format!(
            "it takes {inputs} inputs, not 1"
        )));
    }
    model
        .set_input_fact(0, f32::fact(card.input.shape()).into())
        .map_err(|e| bad(&e))?;
    let names = card.outputs();
    for name in &names {
        let known = model.node_by_name(name).is_ok() || model.find_outlet_label(name).is_some();
        if !known {
            return Err(EngineError::NoOutput((*name).to_owned()));
        }
    }
    model.select_outputs_by_name(&names).map_err(|e| bad(&e))?;
    Ok(model)
}

impl Engine for Tract {
    fn run(&mut self, input: &[f32]) -> Result<Vec<Output>, EngineError> {
        let form = &self.card.input;
        if input.len() != form.len() {
            return Err(EngineError::WrongInput {
                wanted: form.len(),
                found: input.len(),
            });
        }
        let failed = |e: TractError| EngineError::Failed(format!("{e:#}"));
        let tensor = Tensor::from_shape(&form.shape(), input).map_err(failed)?;
        let state = &mut self.state;
        let ran = catch_unwind(AssertUnwindSafe(|| state.run(tvec!(tensor.into_tvalue()))));
        let values = match ran {
            Ok(ran) => ran.map_err(failed)?,
            Err(_) => return Err(EngineError::Failed("its graph makes no sense".to_owned())),
        };
        let outputs = values.iter().map(|value| {
            let view = value.to_plain_array_view::<f32>()?;
            Ok(Output {
                shape: view.shape().to_vec(),
                values: view.iter().copied().collect(),
            })
        });
        let outputs: TractResult<Vec<Output>> = outputs.collect();
        checked(outputs.map_err(failed)?, &self.card)
    }
}
