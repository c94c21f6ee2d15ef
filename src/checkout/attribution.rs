//! Who changed the shelf, and what it was: a joint posterior over shoppers (and nobody) and items.
//!
//! The weight of an explanation (who, what) in a world is
//!
//! > reach(who) × prior(what | who, planogram, what they have, what lies there) × likelihood(weights | what)
//!
//! [`reach`] weighs movements by [`hands`] and [`heads`] and learns what the [`clocks`] show, [`candidates`] lists what a change can have been, [`weights`] learns what things weigh,
//! [`branches`] weighs each of them in each world, and [`beliefs`] keeps the ways in which everything can have happened and lets later evidence decide among them.

pub mod beliefs;
mod branches;
mod candidates;
pub mod clocks;
mod cluster;
mod consequences;
mod hands;
mod heads;
mod put_backs;
pub mod reach;
mod seen;
mod swaps;
mod weights;
mod world;

pub use beliefs::{Beliefs, NOBODY};
pub use clocks::Clocks;
pub use cluster::Explained;
pub use reach::Place;
pub use world::{Choice, Part};

#[cfg(test)]
mod tests;
