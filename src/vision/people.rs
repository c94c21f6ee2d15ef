//! Where people are in a picture, as the network says it.

use super::bounding_box::{BoundingBox, Detection};
use super::engine::{Engine, EngineError, Output};
use super::model_card::{InputForm, ModelCard, PeopleDecode, PeopleForm};
use super::picture::Picture;
use super::preprocess::{Placement, Preprocessor};

/// So many people are found in a picture at most, the surest ones.
const PEOPLE_MAX: usize = 100;
/// So many boxes are weighed against each other at most, the surest ones: a network that sees people everywhere costs no more.
const CANDIDATES_MAX: usize = 1_000;

/// A network for people, ready to look.
pub struct PeopleDetector {
    engine: Box<dyn Engine>,
    preprocessor: Preprocessor,
    form: PeopleForm,
    input_form: InputForm,
    input: Vec<f32>,
}

impl PeopleDetector {
    /// `None` if the card is not one for people.
    pub fn new(card: &ModelCard, engine: Box<dyn Engine>) -> Option<Self> {
        Some(PeopleDetector {
            engine,
            preprocessor: Preprocessor::new(&card.input),
            form: card.people.clone()?,
            input_form: card.input.clone(),
            input: Vec::new(),
        })
    }

    /// From which score a box is somebody.
    pub fn score_min(&self) -> f64 {
        self.form.score_min
    }

    /// The people in a picture with a score of at least `score_min`, surest first, in its pixels.
    pub fn look(
        &mut self,
        picture: &Picture,
        score_min: f64,
    ) -> Result<Vec<Detection>, EngineError> {
        let placement = self.preprocess(picture);
        let outputs = self.infer()?;
        let whole = picture.bounds();
        self.read(&outputs, &placement, &whole, score_min)
    }

    /// First stage of [`Self::look`]: the network's input.
    pub fn preprocess(&mut self, picture: &Picture) -> Placement {
        self.preprocessor.fill(picture, false, &mut self.input)
    }

    /// Second stage: the network.
    pub fn infer(&mut self) -> Result<Vec<Output>, EngineError> {
        self.engine.run(&self.input)
    }

    /// Third stage: boxes of the picture.
    pub fn read(
        &self,
        outputs: &[Output],
        placement: &Placement,
        whole: &BoundingBox,
        score_min: f64,
    ) -> Result<Vec<Detection>, EngineError> {
        let output = outputs.first().cloned().unwrap_or_default();
        let rows = match self.form.decode {
            PeopleDecode::Boxes => boxes(&output),
            PeopleDecode::FastestDet => fastest_det(&output, &self.input_form),
        };
        let rows = rows.ok_or_else(|| EngineError::WrongOutput {
            output: self.form.boxes.clone(),
            found: output.shape.clone(),
            wanted: match self.form.decode {
                PeopleDecode::Boxes => "1 × boxes × 5",
                PeopleDecode::FastestDet => "1 × 85 × rows × columns",
            },
        })?;
        let mut found: Vec<Detection> = rows
            .into_iter()
            .map(|d| Detection {
                score: tempered(d.score, self.form.temperature),
                ..d
            })
            .filter(|d| d.score >= score_min)
            .map(|d| Detection {
                bounds: (placement.to_picture(&d.bounds)).clipped(whole.x1, whole.y1),
                ..d
            })
            .filter(|d| d.bounds.is_sound())
            .collect();
        // Equal scores in the order of the network's rows: the same picture, the same answer.
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(CANDIDATES_MAX);
        Ok(one_box_each(
            &found,
            self.form.nms_iou,
            self.form.inside_max,
        ))
    }
}

/// `sigmoid(logit(score) / temperature)`
fn tempered(score: f64, temperature: f64) -> f64 {
    let score = score.clamp(0.0, 1.0);
    if temperature == 1.0 || score == 0.0 || score == 1.0 {
        return score;
    }
    let logit = (score / (1.0 - score)).ln();
    1.0 / (1.0 + (-logit / temperature).exp())
}

/// Greedy non-maximum suppression of boxes that come best first: one that overlaps a better one too much goes, and so does
/// one that lies within it.
pub fn one_box_each(found: &[Detection], iou_max: f64, inside_max: f64) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::new();
    for box_ in found {
        let said_before = kept.iter().any(|better| {
            box_.bounds.iou(&better.bounds) > iou_max
                || box_.bounds.share_inside(&better.bounds) > inside_max
        });
        if !said_before {
            kept.push(*box_);
            if kept.len() == PEOPLE_MAX {
                break;
            }
        }
    }
    kept
}

fn boxes(output: &Output) -> Option<Vec<Detection>> {
    let [1, rows, 5] = output.shape[..] else {
        return None;
    };
    let values = output.values.get(..rows * 5)?;
    let row = |v: &[f32]| Detection {
        bounds: BoundingBox {
            x0: f64::from(v[0]),
            y0: f64::from(v[1]),
            x1: f64::from(v[2]),
            y1: f64::from(v[3]),
        },
        score: f64::from(v[4]),
    };
    Some(values.chunks_exact(5).map(row).collect())
}

/// Channels: objectness, x and y offset (tanh), width and height (sigmoid), 80 classes (softmax is in the network).
fn fastest_det(output: &Output, form: &InputForm) -> Option<Vec<Detection>> {
    let [1, 85, rows, columns] = output.shape[..] else {
        return None;
    };
    let at = |channel: usize, cell: usize| -> f64 {
        f64::from(output.values[channel * rows * columns + cell])
    };
    let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
    let cell = |cell: usize| {
        let score = at(0, cell).max(0.0).powf(0.6) * at(5, cell).max(0.0).powf(0.4);
        let x = ((cell % columns) as f64 + at(1, cell).tanh()) / columns as f64;
        let y = ((cell / columns) as f64 + at(2, cell).tanh()) / rows as f64;
        let (wide, high) = (f64::from(form.width), f64::from(form.height));
        let (width, height) = (sigmoid(at(3, cell)) * wide, sigmoid(at(4, cell)) * high);
        Detection {
            bounds: BoundingBox::at(
                x * wide - width / 2.0,
                y * high - height / 2.0,
                width,
                height,
            ),
            score,
        }
    };
    (output.values.len() >= 85 * rows * columns).then(|| (0..rows * columns).map(cell).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::testing;

    struct Says(Output);

    impl Engine for Says {
        fn run(&mut self, _: &[f32]) -> Result<Vec<Output>, EngineError> {
            Ok(vec![self.0.clone()])
        }
    }

    fn look(rows: &[[f32; 5]], shape: Vec<usize>) -> Result<Vec<Detection>, EngineError> {
        let values = rows.as_flattened().to_vec();
        let engine = Box::new(Says(Output { shape, values }));
        let mut detector = PeopleDetector::new(&testing::people_card(100), engine).unwrap();
        detector.look(&Picture::filled(200, 100, [9; 3]), 0.4)
    }

    #[test]
    fn one_person_is_one_box() {
        let found = look(
            &[
                [10.0, 10.0, 50.0, 90.0, 0.8],
                // Almost the same, and a head within it.
                [12.0, 10.0, 50.0, 90.0, 0.9],
                [20.0, 12.0, 40.0, 30.0, 0.7],
                // Too doubtful; turned inside out; beside the picture.
                [60.0, 10.0, 90.0, 90.0, 0.3],
                [90.0, 10.0, 60.0, 90.0, 0.9],
                [120.0, 10.0, 160.0, 90.0, 0.9],
                // Half beside it.
                [80.0, 10.0, 160.0, 90.0, 0.6],
            ],
            vec![1, 7, 5],
        )
        .unwrap();
        let boxes: Vec<[f64; 4]> = found.iter().map(|d| d.bounds.into()).collect();
        assert_eq!(
            boxes,
            [[24.0, 10.0, 100.0, 90.0], [160.0, 10.0, 200.0, 90.0]]
        );
        assert!((found[0].score - 0.9).abs() < 1e-6);
    }

    #[test]
    fn another_form_is_an_error() {
        for shape in [vec![7, 5], vec![1, 7, 6], vec![1, 8, 5]] {
            let found = look(&[[0.0; 5]; 7], shape.clone());
            assert!(
                matches!(found, Err(EngineError::WrongOutput { .. })),
                "{shape:?}"
            );
        }
    }

    #[test]
    fn temperature_makes_less_of_a_score() {
        assert!((tempered(0.9, 2.0) - 0.75).abs() < 1e-12);
        assert_eq!(
            [tempered(0.5, 3.0), tempered(1.0, 3.0), tempered(0.0, 3.0)],
            [0.5, 1.0, 0.0]
        );
    }
}
