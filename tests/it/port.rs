//! Ports that stay free between a server's end and its next start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rand::{Rng, SeedableRng};

/// Below those that systems give to whoever asks for any, so that no connection and no server of another test takes one
/// while a server is to come (again). A client that looks for a server there can't meet itself, either.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A loopback address on which nobody listens yet.
pub fn free() -> SocketAddr {
    let seed = getrandom::u64().expect("randomness");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..100)
        .map(|_| {
            let port =
                PORTS.start + (random.next_u32() % u32::from(PORTS.end - PORTS.start)) as u16;
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        })
        .find(|addr| TcpListener::bind(addr).is_ok())
        .expect("a free loopback port")
}
