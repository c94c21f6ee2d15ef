//! How much each node says.

use std::collections::BTreeMap;

use crate::observation::{Observation, Stamped};
use crate::store::NodeName;
use crate::units::Timestamp;

const MINUTE_US: i64 = 60_000_000;

/// Observations of each node, by its own clock.
#[derive(Clone, Debug, Default)]
pub struct Rates(BTreeMap<NodeName, Rate>);

/// Of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Since the program started.
    pub observations: u64,
    pub gaps: u64,
    /// In the last whole minute.
    pub a_minute: u64,
    minute: i64,
    counted: u64,
}

impl Rates {
    /// Counts an observation.
    pub fn push(&mut self, stamped: &Stamped) {
        let rate = self.0.entry(stamped.stamp.node.clone()).or_default();
        let minute = stamped.clock.wall_us.0.div_euclid(MINUTE_US);
        if minute != rate.minute {
            rate.a_minute = if minute == rate.minute + 1 {
                rate.counted
            } else {
                0
            };
            (rate.minute, rate.counted) = (minute, 0);
        }
        rate.counted += 1;
        rate.observations += 1;
        match stamped.observation {
            Observation::Gap(_) => rate.gaps += 1,
            Observation::Shelf(_)
            | Observation::Vision(_)
            | Observation::Body(_)
            | Observation::Gate(_) => {}
        }
    }

    /// Of a node, now.
    pub fn of(&self, node: &NodeName, now: Timestamp) -> Rate {
        let mut rate = self.0.get(node).copied().unwrap_or_default();
        if now.0.div_euclid(MINUTE_US) > rate.minute + 1 {
            rate.a_minute = 0;
        }
        rate
    }
}
