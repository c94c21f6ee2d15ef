//! Payment gateways. The only one so far is the [`Sandbox`].

mod sandbox;
#[cfg(test)]
mod tests;

pub use sandbox::{Entry, EntryState, Sandbox, SandboxFaults};
