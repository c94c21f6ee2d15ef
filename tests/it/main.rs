//! The one integration binary: each module tests Stroll from outside, most through the executable.

mod definition;
mod expect;
mod recording;
mod simulate;
mod broker;
mod mosquitto;
mod wire;
mod journal;
mod console;
