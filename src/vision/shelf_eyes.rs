//! What cameras add to a shelf's changes.

use crate::observation::{Observation, ShelfObservation, VisionObservation};
use crate::units::Timestamp;

/// Cameras before the shelves of a node.
pub trait ShelfEyes: Send {
    /// What they make of a change that has just been noticed; `None` if no camera sees that shelf, or nothing is to be seen.
    fn look(&mut self, change: &ShelfObservation) -> Option<VisionObservation>;

    /// Is called now and then: forgets what its time is over of, and says what is wrong with cameras, a sentence each.
    fn tend(&mut self, _now: Timestamp) -> Vec<String> {
        Vec::new()
    }
}

/// Puts what cameras saw of each change right before it: sent in this order, it is there when the change is decided.
pub fn add(eyes: Option<&mut (dyn ShelfEyes + 'static)>, seen: &mut Vec<Observation>) {
    let Some(eyes) = eyes else { return };
    for observation in std::mem::take(seen) {
        if let Observation::Shelf(change) = &observation {
            seen.extend(eyes.look(change).map(Observation::Vision));
        }
        seen.push(observation);
    }
}
