//! The phones of the simulated shoppers.

use sha2::{Digest, Sha256};

use crate::observation::DeviceId;

/// The device of that index, from 0 in the order of first arrival, and its key: always the same for a seed.
pub fn device(seed: u64, index: usize) -> (DeviceId, Vec<u8>) {
    let mut hash = Sha256::new();
    hash.update(b"stroll simulated device");
    hash.update(seed.to_be_bytes());
    hash.update((index as u64).to_be_bytes());
    (
        DeviceId::from(format!("simulated-{index}")),
        hash.finalize().to_vec(),
    )
}
