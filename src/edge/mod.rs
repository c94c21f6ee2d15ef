//! mod
pub mod recording;
