use std::collections::VecDeque;

use super::*;
use crate::edge::evidence::EvidenceLimits;
use crate::vision::embedding::Embedding;
use crate::vision::engine::{Engine, EngineError, Output};
use crate::vision::model_card::{ModelCard, ModelKind};
use crate::vision::testing;

/// A network whose embedding is the mean colour.
struct MeanColour;

impl Engine for MeanColour {
    fn run(&mut self, input: &[f32]) -> Result<Vec<Output>, EngineError> {
        let channel = input.len() / 3;
        let means = input
            .chunks(channel)
            .map(|c| c.iter().sum::<f32>() / channel as f32);
        let values: Vec<f32> = means.collect();
        Ok(vec![Output {
            shape: vec![1, 3],
            values,
        }])
    }
}

struct Frames(VecDeque<Frame>);

impl FrameSource for Frames {
    fn next_frame(&mut self) -> Result<Option<Frame>, CameraError> {
        Ok(self.0.pop_front())
    }
}

/// Sees by [`MeanColour`].
fn recogniser() -> Recogniser {
    let text = testing::card_text(
        ModelKind::Products,
        32,
        testing::NO_SUM,
        testing::EMBEDDINGS,
    );
    let card = ModelCard::parse(&text).unwrap();
    Recogniser::new(&card, Box::new(MeanColour)).unwrap()
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_seconds(1_000.0 + seconds)
}

/// A grey shelf on which a red product stands until 5 s, and a blue one from 12 s on.
fn frames() -> Frames {
    let frame = |n: u64| {
        let t = n as f64 / 10.0;
        let mut picture = Picture::filled(160, 96, [90; 3]);
        let mut paint = |x0: u32, colour: [u8; 3]| {
            (20..80).for_each(|y| (x0..x0 + 40).for_each(|x| picture.set(x, y, colour)));
        };
        if t < 5.0 {
            paint(20, [220, 20, 20]);
        }
        if t >= 12.0 {
            paint(90, [20, 20, 220]);
        }
        Frame {
            number: n,
            at: Some(at(t)),
            encoded: pictures::jpeg(&picture, 90).unwrap(),
            name: String::new(),
        }
    };
    Frames((0..300).map(frame).collect())
}

fn change(kind: ChangeKind, start: f64, end: f64) -> ShelfObservation {
    ShelfObservation {
        shelf: ShelfId {
            gondola: 1,
            shelf: 2,
        },
        start: at(start),
        peak: at(f64::midpoint(start, end)),
        peak_error_us: 0,
        end: at(end),
        kind,
        plates: Vec::new(),
        stood: None,
        likelihoods: Vec::new(),
        evidence: Vec::new(),
    }
}

#[test]
fn a_take_is_seen_before_it_and_a_put_after_it() {
    let mut products: Prototypes<ProductId> = Prototypes::default();
    let colour = |rgb: [f32; 3]| vec![Embedding::new(rgb.to_vec()).unwrap()];
    products.enrol("red".into(), colour([180.0, 40.0, 40.0]));
    products.enrol("blue".into(), colour([40.0, 40.0, 180.0]));
    let mut eyes = ShelfCameras::new(recogniser(), products, "mean-colour");
    let folder = tempfile::tempdir().unwrap();
    let limits = EvidenceLimits {
        kept_s: 60.0,
        bytes_max: 1 << 20,
    };
    eyes.keep(Evidence::open(folder.path(), limits).unwrap());
    eyes.add_recorded(
        ShelfId {
            gondola: 1,
            shelf: 2,
        },
        Box::new(frames()),
    );

    let take = eyes.look(&change(ChangeKind::Take, 4.6, 5.4)).unwrap();
    assert_eq!(take.likelihoods[0].product.as_str(), "red");
    assert_eq!(
        (
            take.likelihoods[0].log_likelihood_milli,
            take.model.as_str()
        ),
        (0, "mean-colour")
    );
    assert_eq!(
        take.evidence,
        [
            "00000000001004300000-1.2-before.jpg",
            "00000000001005700000-1.2-after.jpg"
        ]
    );
    assert!(folder.path().join(&take.evidence[0]).is_file());
    assert!(take.log(Some(&"blue".into())) < -3.0, "{take:?}");
    let put = eyes.look(&change(ChangeKind::Put, 11.6, 12.4)).unwrap();
    assert_eq!(put.likelihoods[0].product.as_str(), "blue");

    // Nothing changed; only touched; another shelf; long gone from the ring; after the recording.
    assert_eq!(eyes.look(&change(ChangeKind::Take, 14.0, 15.0)), None);
    assert_eq!(eyes.look(&change(ChangeKind::Touch, 11.6, 12.4)), None);
    let mut other = change(ChangeKind::Put, 11.6, 12.4);
    other.shelf.shelf = 9;
    assert_eq!(eyes.look(&other), None);
    assert_eq!(eyes.look(&change(ChangeKind::Take, 40.0, 41.0)), None);
    assert_eq!(eyes.look(&change(ChangeKind::Take, 4.6, 5.4)), None);
}

#[test]
fn a_live_camera_that_ends_is_opened_again() {
    let mut eyes = ShelfCameras::new(recogniser(), Prototypes::default(), "m");
    let (opened, opens) = std::sync::mpsc::channel();
    let shelf = ShelfId {
        gondola: 1,
        shelf: 2,
    };
    let reopen = move || {
        let _ = opened.send(());
        Ok(Box::new(Frames(frames().0.into_iter().take(20).collect())) as Box<dyn FrameSource>)
    };
    eyes.add_live(shelf, || at(0.0), reopen).unwrap();
    opens.recv().unwrap();
    opens.recv().unwrap();
    let ring = eyes.cameras[&shelf].ring.clone();
    assert!(ring.lock().unwrap().bytes() > 0);
    drop(eyes);
    // The thread ends, and with it the sender.
    while opens.recv().is_ok() {}
}
