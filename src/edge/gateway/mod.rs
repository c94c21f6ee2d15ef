//! Payment gateways: the [`Sandbox`], which moves no money, and [`stripe`].

mod payers;
mod sandbox;
pub mod stripe;
#[cfg(test)]
mod tests;

pub use payers::{Payer, Payers, PayersError};
pub use sandbox::{Entry, EntryState, Sandbox, SandboxFaults};
