//! Sensors that tell whether somebody is near: light and ultrasound. They wake what may sleep, and decide nothing.
//!
//! `hcsr04` 0.1.3 and `hc-sr04` 0.1.2 were looked at: both are under the GPL, which the program must not carry.

pub mod light;
pub mod ultrasound;
