//! A real Mosquitto for the tests, on a free loopback port, killed when it goes out of scope.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stroll::edge::mqtt::BrokerUrl;

use crate::port;

/// A Mosquitto process of the test's own.
pub struct Mosquitto {
    program: PathBuf,
    folder: tempfile::TempDir,
    addr: SocketAddr,
    /// Where it keeps what it knows.
    memory: Option<tempfile::TempDir>,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts one that lets anybody in. `None`, and a line that says so, where Mosquitto is not installed; there a
    /// run with `CI=true` fails.
    pub fn start() -> Option<Self> {
        Self::with_config("allow_anonymous true")
    }

    /// Starts one that keeps what it knows in a file, and writes that after every change.
    pub fn with_a_memory() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder for mosquitto.db");
        let mut mosquitto = Self::with_config(&format!(
            "allow_anonymous true\npersistence true\npersistence_location {}/\n\
             autosave_on_changes true\nautosave_interval 1",
            folder.path().display()
        ))?;
        mosquitto.memory = Some(folder);
        Some(mosquitto)
    }

    /// Starts one with these lines in its configuration.
    pub fn with_config(lines: &str) -> Option<Self> {
        let Some(program) = find() else {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "mosquitto is not installed: apt-get install --no-install-recommends mosquitto"
            );
            println!("skipped: mosquitto is not installed");
            return None;
        };
        let addr = port::free();
        let folder = tempfile::tempdir().expect("a folder for mosquitto.conf");
        let config = format!("listener {} 127.0.0.1\n{lines}\n", addr.port());
        std::fs::write(folder.path().join("mosquitto.conf"), config).expect("mosquitto.conf");
        let mut mosquitto = Mosquitto {
            program,
            folder,
            addr,
            memory: None,
            child: None,
        };
        mosquitto.run();
        Some(mosquitto)
    }

    /// Where it listens.
    pub fn url(&self) -> BrokerUrl {
        BrokerUrl::local(self.addr)
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Starts it again, after [`Mosquitto::kill`], on the same port.
    pub fn run(&mut self) {
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto starts");
        self.child = Some(child);
        let start = Instant::now();
        while TcpStream::connect(self.addr).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "mosquitto does not listen on {}",
                self.addr
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child
                .kill()
                .expect("the test's own mosquitto can be killed");
            child.wait().expect("and waited for");
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([
            Path::new("/usr/sbin").into(),
            Path::new("/usr/local/sbin").into(),
        ])
        .map(|folder| folder.join("mosquitto"))
        .find(|program| program.is_file())
}
