//! What a product's picture is, as the network says it.

use super::embedding::Embedding;
use super::engine::{Engine, EngineError, Output};
use super::model_card::{ModelCard, ProductsForm};
use super::picture::Picture;
use super::preprocess::Preprocessor;
use super::reliability::softmax;

/// A network for products, ready to look.
pub struct Recogniser {
    engine: Box<dyn Engine>,
    preprocessor: Preprocessor,
    form: ProductsForm,
    mirrored: bool,
    input: Vec<f32>,
}

/// What the network makes of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub embedding: Embedding,
    /// The probability of each class that the network was trained on; empty where it has no such output.
    pub classes: Vec<f64>,
}

impl Recogniser {
    /// `None` if the card is not one for products.
    pub fn new(card: &ModelCard, engine: Box<dyn Engine>) -> Option<Self> {
        Some(Recogniser {
            engine,
            preprocessor: Preprocessor::new(&card.input),
            form: card.products.clone()?,
            mirrored: card.input.mirrored,
            input: Vec::new(),
        })
    }

    /// How its answers are to be read.
    pub fn form(&self) -> &ProductsForm {
        &self.form
    }

    /// Looks at a picture of one product.
    pub fn look(&mut self, picture: &Picture) -> Result<Look, EngineError> {
        let mut sums = self.run(picture, false)?;
        if self.mirrored {
            for (sum, mirror) in sums.iter_mut().zip(self.run(picture, true)?) {
                let pairs = sum.values.iter_mut().zip(&mirror.values);
                pairs.for_each(|(a, b)| *a = f32::midpoint(*a, *b));
            }
        }
        let mut outputs = sums.into_iter();
        let embedding = outputs.next().unwrap_or_default();
        let shape = embedding.shape.clone();
        let embedding = Embedding::new(embedding.values).ok_or(EngineError::WrongOutput {
            output: self.form.embedding.clone(),
            found: shape,
            wanted: "a vector other than 0",
        })?;
        let temperature = self.form.temperature;
        let classes = outputs.next().map_or_else(Vec::new, |logits| {
            softmax(logits.values.iter().map(|l| f64::from(*l) / temperature))
        });
        Ok(Look { embedding, classes })
    }

    /// First stage of [`Self::look`]: the network's input.
    pub fn preprocess(&mut self, picture: &Picture) {
        self.preprocessor.fill(picture, false, &mut self.input);
    }

    /// Second stage: the network.
    pub fn infer(&mut self) -> Result<Vec<Output>, EngineError> {
        self.engine.run(&self.input)
    }

    /// The outputs for a picture, or for its mirror image; embeddings at length 1, so that both views count alike.
    fn run(&mut self, picture: &Picture, mirror: bool) -> Result<Vec<Output>, EngineError> {
        self.preprocessor.fill(picture, mirror, &mut self.input);
        let mut outputs = self.engine.run(&self.input)?;
        if let Some(first) = outputs.first_mut()
            && let Some(embedding) = Embedding::new(std::mem::take(&mut first.values))
        {
            first.values = embedding.values().to_vec();
        }
        Ok(outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::testing;

    /// An engine that answers with the mean of the input's left half and of its right half, and classes by them.
    struct Halves;

    impl Engine for Halves {
        fn run(&mut self, input: &[f32]) -> Result<Vec<Output>, EngineError> {
            let mean = |from: usize| {
                let red = &input[..64];
                let half = red.chunks(8).flat_map(|row| &row[from..from + 4]);
                half.sum::<f32>() / 32.0
            };
            let values = vec![mean(0), mean(4)];
            let shape = vec![1, 2];
            let logits = Output {
                shape: shape.clone(),
                values: values.clone(),
            };
            Ok(vec![Output { shape, values }, logits])
        }
    }

    #[test]
    fn looks() {
        let mut card = testing::products_card(8);
        let mut picture = Picture::filled(8, 8, [30, 0, 0]);
        for y in 0..8 {
            (4..8).for_each(|x| picture.set(x, y, [40, 0, 0]));
        }
        let look = |card: &ModelCard, picture: &Picture| {
            Recogniser::new(card, Box::new(Halves))
                .unwrap()
                .look(picture)
        };
        let seen = look(&card, &picture).unwrap();
        assert_eq!(seen.embedding.values(), [0.6, 0.8]);
        assert!(seen.classes[1] > 0.99);
        card.input.mirrored = true;
        let seen = look(&card, &picture).unwrap();
        assert_eq!(seen.embedding.values()[0], seen.embedding.values()[1]);
        assert_eq!(seen.classes, [0.5, 0.5]);
        let black = look(&card, &Picture::filled(8, 8, [0; 3]));
        assert!(
            matches!(black, Err(EngineError::WrongOutput { .. })),
            "{black:?}"
        );
        assert!(Recogniser::new(&testing::people_card(8), Box::new(Halves)).is_none());
    }
}
