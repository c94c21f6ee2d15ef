//! Every kind of IO. The edge imports the domain, never the other way round; only [`crate::command`] wires the two.

pub mod broker;
pub mod camera;
pub mod definition_file;
pub mod gallery;
pub mod gateway;
pub mod journal;
pub mod levels;
pub mod live;
pub mod models;
pub mod mqtt;
pub mod office;
pub mod outbox;
pub mod pictures;
pub mod playback;
pub mod recording;
pub mod shelf_cameras;
pub mod shell;
pub mod sqlite;
pub mod wire;
