//! How fast event time runs for what is played.

use std::time::{Duration, Instant};

use crate::units::Timestamp;

/// Event time runs `speed` times as fast as the wall's.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    from: Timestamp,
    started: Instant,
    speed: f64,
}

impl Pace {
    /// A pace at which event time is `from` now.
    pub fn starting(from: Timestamp, speed: f64) -> Self {
        Pace {
            from,
            started: Instant::now(),
            speed,
        }
    }

    /// Event time now.
    pub fn event_now(&self) -> Timestamp {
        self.from
            .plus_seconds(self.started.elapsed().as_secs_f64() * self.speed)
    }

    /// When event time will be `at`.
    pub fn instant(&self, at: Timestamp) -> Instant {
        self.started + Duration::from_secs_f64((at.seconds_since(self.from) / self.speed).max(0.0))
    }
}

/// Reads a `--speed`.
pub fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if (0.1..=100.0).contains(&x) => Ok(x),
        Ok(_) | Err(_) => Err("a number from 0.1 to 100".to_owned()),
    }
}
