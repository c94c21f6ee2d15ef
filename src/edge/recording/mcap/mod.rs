//! `.mcap` recordings: what Stroll's nodes write, and what Foxglove and Rerun open.
//!
//! Profile `stroll`, zstd chunks of a second. Channels `/scale/<node>`, `/bodies/<node>` and `/gate/<node>` carry JSON messages
//! with their JSON schemas; a scale channel's metadata carries its [`ScaleGroup`](crate::recording::ScaleGroup) as
//! `group`. Log times are event times. Three attachments come before the first message, so that a file cut off in
//! mid-recording still has them: `recording.json` (format version and nodes), `definition.json` (the store) and, if
//! known, `truth.json`.
//!
//! The same records give the same bytes.

use serde::{Deserialize, Serialize};

use crate::store::NodeName;

mod messages;
mod reader;
mod writer;

pub use messages::{BodiesMessage, BodyMessage, GateMessage, ScaleMessage};
pub use reader::read;
pub use writer::McapWriter;

const PROFILE: &str = "stroll";
const VERSION: u32 = 1;

const MANIFEST: &str = "recording.json";
const DEFINITION: &str = "definition.json";
const TRUTH: &str = "truth.json";

const SCALE: &str = "/scale/";
const BODIES: &str = "/bodies/";
const GATE: &str = "/gate/";

/// Key of a scale channel's metadata.
const GROUP: &str = "group";

/// `recording.json`
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    nodes: Vec<NodeName>,
}
