//! The console with a certificate of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use stroll::console::ConsoleOptions;
use stroll::edge::https::Https;
use stroll::edge::office::Office;

use super::browser::{PATIENCE, Served};
use super::fixture::{busy, definition};

#[test]
fn pages_come_by_https_and_a_wrong_key_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let make = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        let (certificate, key) = (
            folder.path().join(format!("{name}.pem")),
            folder.path().join(format!("{name}.key")),
        );
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        (made.cert.der().clone(), certificate, key)
    };
    let (root, certificate, key) = make("one");
    let (_, _, other) = make("two");
    let wrong = Https::load(&certificate, &other).expect_err("another's key");
    assert!(wrong.to_string().contains("does not belong"), "{wrong}");
    let swapped = Https::load(&key, &certificate).expect_err("the wrong way round");
    assert!(swapped.to_string().contains("one."), "{swapped}");

    let office = Arc::new(Office::in_memory().expect("an office"));
    let mut options = ConsoleOptions::new(office, Arc::new(definition()));
    options.https = Some(Https::load(&certificate, &key).expect("they belong together"));
    let served = Served::with(busy(), options);
    // Who does not speak TLS gets nothing, and holds up nobody.
    let mut plain = served.connect();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let _idle = served.connect();

    let mut roots = RootCertStore::empty();
    roots.add(root).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let socket = TcpStream::connect(served.address).expect("the console listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut stream = StreamOwned::new(client, socket);
    let request = b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("sent");
    let mut answer = Vec::new();
    // The end may come without a farewell.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("Log in") && !answer.contains("without HTTPS"),
        "{answer}"
    );
}
