//! The phones of the simulated shoppers and staff.

use sha2::{Digest, Sha256};

use crate::observation::DeviceId;

/// The shopper's device of that index, from 0 in the order of first arrival, and its key: always the same for a seed.
pub fn device(seed: u64, index: usize) -> (DeviceId, Vec<u8>) {
    let id = DeviceId::from(format!("simulated-{index}"));
    (id, key("stroll simulated device", seed, index))
}

/// The same for one of the staff.
pub fn staff_device(seed: u64, index: usize) -> (DeviceId, Vec<u8>) {
    let id = DeviceId::from(format!("simulated-staff-{index}"));
    (id, key("stroll simulated staff device", seed, index))
}

fn key(of: &str, seed: u64, index: usize) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(of);
    hash.update(seed.to_be_bytes());
    hash.update((index as u64).to_be_bytes());
    hash.finalize().to_vec()
}
