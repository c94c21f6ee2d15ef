//! Every kind of IO.

pub mod gateway;
pub mod journal;
pub mod shell;
pub mod sqlite;
