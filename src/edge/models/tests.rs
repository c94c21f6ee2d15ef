use super::*;
use crate::vision::testing;

/// The card of a file of these bytes.
fn card_of(onnx: &[u8]) -> String {
    testing::card_text(ModelKind::People, 8, &sha256(onnx), testing::PEOPLE)
}

/// A folder with a card and, unless it is `None`, a network.
fn folder(card: &str, onnx: Option<&[u8]>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("people.toml"), card).unwrap();
    if let Some(onnx) = onnx {
        std::fs::write(folder.path().join("people.onnx"), onnx).unwrap();
    }
    folder
}

#[test]
fn each_wrong_model_is_told_for_what_it_is() {
    let right = card_of(b"network");
    for (card, onnx, said) in [
        (right.clone(), None, "people.onnx: there is no such file"),
        (
            right.clone(),
            Some(&b"another"[..]),
            "it is another model, or damaged",
        ),
        (
            right.replace("score_min = 0.4", "score_min = 4"),
            Some(b"network"),
            "`people.score_min` is 4",
        ),
        (
            right.replace("\"people\"\n", "\"pets\"\n"),
            Some(b"network"),
            "unknown variant `pets`",
        ),
    ] {
        let folder = folder(&card, onnx);
        let error = ModelFile::open(folder.path(), ModelKind::People).unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
    let folder = folder(&right, Some(b"network"));
    let card = folder.path().join("people.toml");
    let error = ModelFile::from_card(&card, ModelKind::Products).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a model for people, not for products"),
        "{error}"
    );
    let error = ModelFile::open(folder.path(), ModelKind::Products).unwrap_err();
    assert!(
        error.to_string().contains("`--models` says where"),
        "{error}"
    );
}

#[test]
fn bytes_that_are_no_network() {
    let folder = folder(&card_of(b"network"), Some(b"network"));
    let file = ModelFile::open(folder.path(), ModelKind::People).unwrap();
    let Err(error) = file.people_detector(&EngineKind::Tract) else {
        panic!("it is no network");
    };
    let said = if cfg!(feature = "vision") {
        "it is no network that can be run"
    } else {
        "built without `vision`: cargo build --release --features vision"
    };
    assert!(error.to_string().contains(said), "{error}");
}
