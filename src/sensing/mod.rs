//! From samples to observations: what a node does with its load cells and body tracks before anything is sent.
//!
//! Everything here is pure: samples and their event times come in, observations and watermarks go out.

pub mod body_track;
pub mod cell;
pub mod combine;
pub mod history;
pub mod item_match;
pub mod load_cell;
pub mod movement;
pub mod node;
pub mod one_by_one;
pub mod shelf;
pub mod weight_step;
