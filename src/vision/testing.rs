//! Cards for tests.

use super::model_card::ModelCard;

fn card(kind: &str, side: u32, table: &str) -> ModelCard {
    let text = format!(
        "kind = \"{kind}\"\nfile = \"{kind}.onnx\"\nsha256 = \"{}\"\nversion = \"test\"\n[input]\nwidth = {side}\n\
         height = {side}\nlayout = \"nchw\"\ncolour = \"rgb\"\nscale = 1.0\nmean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\n\
         fit = \"stretch\"\n[{kind}]\n{table}",
        "0".repeat(64)
    );
    ModelCard::parse(&text).unwrap()
}

pub fn products_card(side: u32) -> ModelCard {
    let table = "embedding = \"e\"\nlogits = \"l\"\nprototype_scale = 10.0\nunknown_below = 0.5\n";
    card("products", side, table)
}

pub fn people_card(side: u32) -> ModelCard {
    let table = "boxes = \"boxes\"\nscore_min = 0.4\nnms_iou = 0.5\ninside_max = 0.8\n";
    card("people", side, table)
}
