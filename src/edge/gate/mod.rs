//! The gate's hardware: a relay that lets out whoever wants to leave, and light beams that tell who passed.

pub mod beams;
pub mod keeper;
pub mod relay;
pub mod scanner;
