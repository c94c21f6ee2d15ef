//! As much of a browser as the console needs: requests, answers and event streams over a plain socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stroll::console::view::StoreView;
use stroll::console::{ConsoleError, ConsoleKey, ConsoleOptions, Guest, serve};
use stroll::edge::live::wall_now;
use stroll::edge::office::{Office, Part};
use tokio::sync::{oneshot, watch};

use super::fixture::{NOON, definition};
use crate::program::CONSOLE_KEY;

/// Nothing here takes so long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A console on a free port of loopback.
pub struct Served {
    pub address: SocketAddr,
    pub views: watch::Sender<Arc<StoreView>>,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<Result<(), ConsoleError>>,
    runtime: tokio::runtime::Runtime,
}

impl Served {
    /// One at which everybody from this machine is the operator, as in a demo.
    pub fn new(view: StoreView) -> Self {
        let office = Office::in_memory().expect("an office");
        let account = office
            .add_account("demo", Part::Operator, "correct horse", NOON)
            .expect("an account");
        let token = office
            .log_in(account.id, wall_now(), 3_600.0)
            .expect("a login");
        let mut options = ConsoleOptions::new(Arc::new(office), Arc::new(definition()));
        options.allowed_hosts = vec!["shop.example".to_owned()];
        options.guest = Some(Guest { account, token });
        options.key = ConsoleKey::new(CONSOLE_KEY);
        Self::with(view, options)
    }

    pub fn with(view: StoreView, options: ConsoleOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (views, seen) = watch::channel(Arc::new(view));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = runtime.spawn(serve(listener, options, seen, async {
            let _ = stopped.await;
        }));
        Served {
            address,
            views,
            stop,
            server,
            runtime,
        }
    }

    /// Does something beside the server.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the console listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Sends these bytes and reads the answer to its end.
    pub fn raw(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        Answer(text)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "localhost", "")
    }

    pub fn ask(&self, method: &str, path: &str, host: &str, more: &str) -> Answer {
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"
        ))
    }

    /// The head of an answer that does not end.
    pub fn head_of(&self, path: &str, more: &str) -> Answer {
        let mut stream = self.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "{head}");
        }
        Answer(head)
    }

    pub fn events(&self) -> Events {
        let mut stream = self.connect();
        let request = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("sent");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "{head}");
        }
        Events { reader, head }
    }

    /// Asks the server to stop, and says how long it took.
    pub fn stop(self) -> Duration {
        let asked = Instant::now();
        self.stop.send(()).expect("the server still runs");
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, self.server).await });
        ended
            .expect("it ends")
            .expect("without panic")
            .expect("without error");
        asked.elapsed()
    }
}

/// Head and body of an answer.
pub struct Answer(String);

impl Answer {
    pub fn status(&self) -> u16 {
        let status = self.0.split(' ').nth(1).and_then(|code| code.parse().ok());
        status.unwrap_or_else(|| panic!("no status: {}", self.0))
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once("\r\n\r\n").expect("head and body")
    }

    pub fn body(&self) -> &str {
        self.parts().1
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.parts();
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// A page's event stream, chunked transfer and all.
pub struct Events {
    reader: BufReader<TcpStream>,
    pub head: String,
}

#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub id: Option<u64>,
    pub data: String,
}

impl Events {
    /// The next event; `None` when the server has ended the stream.
    pub fn next(&mut self) -> Option<Event> {
        let (mut name, mut id, mut data) = (String::new(), None, Vec::new());
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).expect("events in time") == 0 {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line == "0" {
                return None; // The last chunk.
            } else if let Some(value) = line.strip_prefix("event: ") {
                name = value.to_owned();
            } else if let Some(value) = line.strip_prefix("id: ") {
                id = value.parse().ok();
            } else if let Some(value) = line.strip_prefix("data: ") {
                data.push(value.to_owned());
            } else if line.is_empty() && !name.is_empty() && !data.is_empty() {
                let data = data.join("\n");
                return Some(Event { name, id, data });
            }
        }
    }

    pub fn take(&mut self, count: usize) -> Vec<Event> {
        (0..count).map_while(|_| self.next()).collect()
    }
}
