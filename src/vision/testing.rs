//! Cards for tests.

use super::model_card::{ModelCard, ModelKind};

/// The text of a card for a network that takes `side` × `side` pixels as they are and whose file has that SHA-256. `table` is
/// what stands in the kind's own table.
pub fn card_text(kind: ModelKind, side: u32, sha256: &str, table: &str) -> String {
    let kind = kind.name();
    format!(
        "kind = \"{kind}\"\nfile = \"{kind}.onnx\"\nsha256 = \"{sha256}\"\nversion = \"test\"\n\n[input]\nwidth = {side}\n\
         height = {side}\nlayout = \"nchw\"\ncolour = \"rgb\"\nscale = 1.0\nmean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\n\
         fit = \"stretch\"\n\n[{kind}]\n{table}"
    )
}

/// A network with a class head, and one without.
pub const PRODUCTS: &str =
    "embedding = \"e\"\nlogits = \"l\"\nprototype_scale = 10.0\nunknown_below = 0.5\n";
pub const EMBEDDINGS: &str = "embedding = \"e\"\nprototype_scale = 10.0\nunknown_below = 0.5\n";
pub const PEOPLE: &str = "boxes = \"boxes\"\nscore_min = 0.4\nnms_iou = 0.5\ninside_max = 0.8\n";

/// A SHA-256 that no file has.
pub const NO_SUM: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub fn products_card(side: u32) -> ModelCard {
    ModelCard::parse(&card_text(ModelKind::Products, side, NO_SUM, PRODUCTS)).unwrap()
}

pub fn people_card(side: u32) -> ModelCard {
    ModelCard::parse(&card_text(ModelKind::People, side, NO_SUM, PEOPLE)).unwrap()
}
