//! The one integration binary: each module tests Stroll from outside, most through the executable.

mod broker;
mod messages;
mod mosquitto;
mod wire;
