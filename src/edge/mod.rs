//! Every kind of IO: it imports the domain, and the domain never imports it.

pub mod definition_file;
pub mod recording;
