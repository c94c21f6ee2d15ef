//! A node at work on converters, real or simulated: [`config`] says what is wired to it, [`board`] gives pins and buses,
//! [`banks`] reads the converters, [`grid`] puts samples on even times, [`plate_feed`] lets through what can be relied on,
//! [`sampler`] does that on a thread of its own, [`service`] makes a live node of it, [`calibration`] knows counts per gram, [`weighing`] finds them, [`tape`] keeps raw samples, and
//! [`supervisor`] talks to systemd.

pub mod banks;
pub mod board;
pub mod calibration;
pub mod config;
pub mod gate_watch;
pub mod grid;
pub mod loads;
pub mod plate_feed;
pub mod sampler;
pub mod service;
pub mod supervisor;
pub mod tape;
pub mod weighing;
