//! Every kind of IO: it imports the domain, and the domain never imports it.

pub mod definition_file;
pub mod recording;
//! Every kind of IO. The edge imports the domain, never the other way round; only [`crate::command`] wires the two.
pub mod broker;
pub mod mqtt;
pub mod outbox;
pub mod wire;
//! Every kind of IO.
pub mod gateway;
pub mod journal;
pub mod shell;
pub mod sqlite;
