//! The one integration binary: each module tests Stroll from outside, most through the executable.

mod broker;
mod console;
mod definition;
mod expect;
mod journal;
mod messages;
mod mosquitto;
mod recording;
mod simulate;
mod wire;
