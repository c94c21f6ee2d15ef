//! The one integration binary: each module tests Stroll from outside, most through the executable.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, says why it was skipped, and is often a long table"
)]

mod architecture;
mod audited;
mod auditor;
mod bench;
mod broker;
mod cli;
mod console;
mod corner;
mod crash;
mod day;
mod definition;
mod demo;
mod deploy;
mod durable;
mod evaluate;
mod expect;
mod floors;
mod full_disk;
mod fuzz;
mod gate;
mod health;
mod home_assistant;
mod journal;
mod kills;
mod messages;
mod mosquitto;
mod network;
mod node;
mod pi;
mod port;
mod program;
mod proxy;
mod recording;
mod replay;
mod simulate;
mod simulation;
mod situations;
mod stripe;
mod tls;
mod torn;
mod vision;
mod wire;
