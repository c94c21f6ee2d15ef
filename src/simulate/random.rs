//! Where the simulator's chance comes from: one stream of numbers for each thing that has a life of its own.
//!
//! All streams are cut from one ChaCha8 key, the seed. A plate's noise, a shopper's whims and a body's sway never
//! draw from each other's stream, so that one shopper more leaves everybody else's numbers as they were.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::store::{PlateId, ShelfId};

/// What a stream belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    /// Noise of a plate.
    Plate(PlateId),
    /// Gain and zero of a plate's converter.
    Converter(PlateId),
    /// What the plates of a shelf have in common.
    Shelf(ShelfId),
    /// What the shelves of a gondola have in common.
    Gondola(u16),
    /// What stands on the facing of that index when the store opens.
    Facing(usize),
    /// When shoppers arrive.
    Arrivals,
    /// The times of the body frames.
    Tracker,
    /// The sampling phase of the node of that index.
    Node(usize),
    /// What the shopper of that number does.
    Shopper(u64),
    /// How the body of that number moves and is seen.
    Body(u64),
    /// Which situations the shopper of that number, or two who come together, play when.
    Script(u64),
    /// How the cameras see hands, where that is made worse.
    Hands,
    /// Which messages are lost.
    Losses,
    /// Which plates stick when.
    Faults,
    /// Which clocks are off.
    Clocks,
}

/// Opens a stream at its beginning.
pub(super) fn open(seed: u64, stream: Stream) -> ChaCha8Rng {
    let shelf = |id: ShelfId| u64::from(id.gondola) << 32 | u64::from(id.shelf) << 16;
    let (kind, number) = match stream {
        Stream::Plate(id) => (1, shelf(id.shelf) | u64::from(id.plate)),
        Stream::Converter(id) => (10, shelf(id.shelf) | u64::from(id.plate)),
        Stream::Shelf(id) => (2, shelf(id)),
        Stream::Gondola(gondola) => (3, u64::from(gondola)),
        Stream::Facing(index) => (4, index as u64),
        Stream::Arrivals => (5, 0),
        Stream::Tracker => (6, 0),
        Stream::Node(index) => (7, index as u64),
        Stream::Shopper(number) => (8, number),
        Stream::Body(number) => (9, number),
        Stream::Script(number) => (11, number),
        Stream::Hands => (12, 0),
        Stream::Losses => (13, 0),
        Stream::Faults => (14, 0),
        Stream::Clocks => (15, 0),
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(kind << 56 | number);
    random
}

/// A draw from the standard normal distribution.
pub(super) fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

/// -1 or 1.
pub(super) fn sign(random: &mut ChaCha8Rng, minus_probability: f64) -> f64 {
    if random.random_bool(minus_probability) {
        -1.0
    } else {
        1.0
    }
}
