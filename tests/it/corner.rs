//! Variants of the corner shop, which is small enough to be played in a moment.

use std::sync::Arc;

use stroll::store::Definition;
use stroll::store::definition::parse;

const CORNER: &str = include_str!("../../deploy/corner.toml");

/// The corner shop with cameras and gate on nodes of their own, and patient with nodes that a busy machine holds up.
pub fn gated() -> String {
    let one = "[[node]]\nname = \"door\"\ntracks_bodies = true\nwatches_gate = true\n";
    let two = "[[node]]\nname = \"ceiling\"\ntracks_bodies = true\n\n[[node]]\nname = \"gate\"\nwatches_gate = true\n";
    changed(&[(one, two)])
}

/// The corner shop without a gate.
pub fn gateless() -> String {
    let gate = "[gate]\nx_m = -0.5\ny_m = -1.2\n";
    changed(&[("watches_gate = true\n", ""), (gate, "")])
}

fn changed(changes: &[(&str, &str)]) -> String {
    let patience = [("node_silent_s = 5 ", "node_silent_s = 600 ")];
    patience
        .iter()
        .chain(changes)
        .fold(CORNER.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "deploy/corner.toml has no {from:?}");
            text.replace(from, to)
        })
}

/// A variant as the library has it.
pub fn definition(toml: &str) -> Arc<Definition> {
    let (definition, _) = parse(toml, "corner.toml").expect("a variant of what ships");
    Arc::new(definition)
}
