//! Stroll.
pub mod checkout;
pub mod command;
pub mod console;
pub mod coordinator;
pub mod edge;
pub mod observation;
pub mod recording;
pub mod sensing;
pub mod simulate;
pub mod store;
pub mod units;
