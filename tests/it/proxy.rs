//! A TCP proxy of the test's own between clients and their broker: it can cut them off, and it can go deaf.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How often a connection looks at what it is to do.
const LOOK: Duration = Duration::from_millis(20);

/// What a proxy does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Does {
    /// Passes everything on.
    Pass = 0,
    /// Breaks every connection, and each new one at once.
    Cut = 1,
    /// Keeps connections open and passes nothing on, as a cable does that was pulled. What was sent then never arrives.
    Deaf = 2,
    /// It has gone.
    End = 3,
}

/// A proxy; it ends when it goes out of scope.
pub struct Proxy {
    addr: SocketAddr,
    does: Arc<AtomicU8>,
}

impl Proxy {
    /// One in front of that address.
    pub fn before(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(crate::port::free()).expect("a free loopback port");
        let addr = listener.local_addr().expect("its address");
        let does = Arc::new(AtomicU8::new(Does::Pass as u8));
        let seen = does.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                match now(&seen) {
                    Does::End => return,
                    Does::Cut => {}
                    Does::Pass | Does::Deaf => {
                        if let Ok(server) = TcpStream::connect(upstream) {
                            join(client, server, &seen);
                        }
                    }
                }
            }
        });
        Proxy { addr, does }
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.addr)
    }

    pub fn does(&self, what: Does) {
        self.does.store(what as u8, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.does(Does::End);
        // Wakes the thread that waits for the next client.
        let _ = TcpStream::connect(self.addr);
    }
}

fn now(does: &AtomicU8) -> Does {
    match does.load(Ordering::SeqCst) {
        0 => Does::Pass,
        1 => Does::Cut,
        2 => Does::Deaf,
        _ => Does::End,
    }
}

/// Passes on in both directions, each on a thread of its own.
fn join(client: TcpStream, server: TcpStream, does: &Arc<AtomicU8>) {
    let pairs = [
        (client.try_clone(), server.try_clone()),
        (Ok(server), Ok(client)),
    ];
    for pair in pairs {
        if let (Ok(from), Ok(to)) = pair {
            let does = does.clone();
            std::thread::spawn(move || pass(from, to, &does));
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, does: &AtomicU8) {
    let mut buffer = [0; 16_384];
    let mut was_deaf = false;
    let _ = from.set_read_timeout(Some(LOOK));
    loop {
        let read = from.read(&mut buffer);
        match now(does) {
            Does::Cut | Does::End => break,
            Does::Deaf => was_deaf = true,
            // A connection of which a part is missing is of no use any more.
            Does::Pass if was_deaf => break,
            Does::Pass => {}
        }
        match read {
            Ok(0) => break,
            Ok(_) if was_deaf => {}
            Ok(length) => {
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
