//! The server under load: `stroll coordinator` as a process of its own, and what it takes.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, anyhow};

use crate::edge::mqtt::BrokerUrl;

/// Ticks of a second in `/proc/PID/stat`: what Linux has told programs for ever (`getconf CLK_TCK`).
const TICKS_A_SECOND: f64 = 100.0;

/// A coordinator at work; it is killed when this is dropped.
pub struct Served {
    child: Child,
    /// Held, for whatever else it says.
    _said: BufReader<ChildStdout>,
    pub console: SocketAddr,
    pub broker: BrokerUrl,
}

impl Served {
    /// Starts one on loopback for the store in a folder, and waits until it is open.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let mut child = Command::new(program)
            .arg("coordinator")
            .arg("--store")
            .arg(folder.join("store.toml"))
            .arg("--journal")
            .arg(folder.join("journal.sqlite"))
            .args(["--listen", "127.0.0.1:0", "--mqtt-listen", "127.0.0.1:0"])
            .args(["--disk-free-min-mb", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the coordinator cannot be started")?;
        let said = child
            .stdout
            .take()
            .context("the coordinator says nothing")?;
        let mut said = BufReader::new(said);
        let mut line = String::new();
        while said
            .read_line(&mut line)
            .context("the coordinator cannot be heard")?
            > 0
        {
            let words = line.trim_end().split([' ', ',']);
            let mut addresses = words.filter(|word| word.contains("://"));
            if let (Some(console), Some(broker)) = (addresses.next(), addresses.next()) {
                let console = console.trim_start_matches("http://").parse()?;
                let broker = broker.parse()?;
                return Ok(Served {
                    child,
                    _said: said,
                    console,
                    broker,
                });
            }
            line.clear();
        }
        // It has said on standard error why.
        child
            .wait()
            .context("the coordinator cannot be waited for")?;
        Err(anyhow!("the coordinator did not open"))
    }

    /// Memory now and at most, megabytes.
    pub fn memory_mb(&self) -> Option<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let kilobytes = |what: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(what))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        Some((kilobytes("VmRSS:")? / 1e3, kilobytes("VmHWM:")? / 1e3))
    }

    /// Processor time that it has taken, seconds.
    pub fn processor_s(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name before it is in brackets, and can hold anything: utime and stime are the 12th and 13th after it.
        let (_, after) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some((ticks(11)? + ticks(12)?) / TICKS_A_SECOND)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // What it wrote is thrown away with its folder.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
