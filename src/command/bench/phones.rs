//! Many phones and consoles on one coordinator: how long a cart takes to a phone, and what the server takes.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::clients::{self, Shown, Stream};
use super::served::Served;
use crate::edge::live::{Clock, wall_now};
use crate::edge::mqtt::{NodeLink, NodeOptions};
use crate::edge::office::{Office, Part, Token};
use crate::edge::outbox::{Outbox, OutboxOptions};
use crate::observation::DeviceId;
use crate::simulate;
use crate::simulate::crowd::{Crowd, Phone};

/// How much faster than life everybody comes in.
const ENTRY_SPEED: f64 = 5.0;
/// Once everybody is inside, the store has this long to catch up before anything counts.
const SETTLED: Duration = Duration::from_secs(5);
/// How long a login lasts, seconds.
const LOGIN_S: f64 = 3_600.0;
/// A password that nobody logs in by.
const PASSWORD: &str = "nobody logs in by this";

/// What is measured.
pub struct Load {
    pub phones: usize,
    pub consoles: usize,
    /// For how long, once everybody is inside.
    pub seconds: f64,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    phones: usize,
    consoles: usize,
    seconds: f64,
    /// Changes of carts that reached a phone.
    changes: usize,
    p50_ms: f64,
    p99_ms: f64,
    longest_ms: f64,
    /// Streams that ended before their time.
    lost: usize,
    console_bytes: u64,
    server_mb: f64,
    server_mb_max: f64,
    /// Cores that the server kept busy.
    server_cores: f64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} phones and {} consoles on one coordinator, everybody inside, for {:.0} s",
            self.phones, self.consoles, self.seconds
        )?;
        writeln!(
            f,
            "a cart's change, from durable to the phone: {} changes, p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
            self.changes, self.p50_ms, self.p99_ms, self.longest_ms
        )?;
        writeln!(
            f,
            "server: {:.0} MB at the end, {:.0} MB at most, {:.2} cores; {:.1} kB a second to each console; {} streams lost",
            self.server_mb,
            self.server_mb_max,
            self.server_cores,
            self.console_bytes as f64 / 1e3 / self.seconds / self.consoles.max(1) as f64,
            self.lost
        )
    }
}

/// What all clients fill.
#[derive(Default)]
struct Seen {
    counts: std::sync::atomic::AtomicBool,
    carts: Mutex<Vec<Shown>>,
    console_bytes: AtomicU64,
    lost: AtomicUsize,
}

/// Opens a store in a process of its own, fills it, and measures.
pub fn measure(load: &Load) -> anyhow::Result<Outcome> {
    let folder = tempfile::Builder::new()
        .prefix("stroll-bench-")
        .tempdir()
        .context("no temporary folder")?;
    let crowd = Crowd::new(load.phones)?;
    std::fs::write(folder.path().join("store.toml"), Crowd::file(load.phones))?;
    let logins = logins(folder.path(), load)?;
    let served = Served::start(folder.path())?;
    let runtime =
        tokio::runtime::Runtime::new().context("the network runtime cannot be started")?;
    runtime.block_on(run(load, &crowd, &served, &logins))
}

/// An account for each phone, and the operator's for the consoles, last. Made before the coordinator has the file.
fn logins(folder: &Path, load: &Load) -> anyhow::Result<Vec<Token>> {
    let office = Office::open(&Office::beside(&folder.join("journal.sqlite")))?;
    let shoppers = (0..load.phones).map(|n| (format!("shopper-{n}"), Part::Shopper));
    let all = shoppers.chain([("operator".to_owned(), Part::Operator)]);
    let mut logins = Vec::new();
    for (name, part) in all {
        let account = office.add_account(&name, part, PASSWORD, wall_now())?;
        logins.push(office.log_in(account.id, wall_now(), LOGIN_S)?);
    }
    Ok(logins)
}

async fn run(
    load: &Load,
    crowd: &Crowd,
    served: &Served,
    logins: &[Token],
) -> anyhow::Result<Outcome> {
    let (shoppers, operators) = logins.split_at(load.phones);
    let phones = register(served, shoppers).await?;
    let seen = Arc::new(Seen::default());
    for login in shoppers {
        let stream = Stream::open(served.console, "/me/events", login).await?;
        let seen = seen.clone();
        tokio::spawn(async move {
            let cart = |shown| {
                if seen.counts.load(Relaxed) {
                    let mut carts = seen.carts.lock().unwrap_or_else(PoisonError::into_inner);
                    carts.push(shown);
                }
            };
            // It ends only when the server does, or gives it up.
            let _ = stream.carts(cart).await;
            seen.lost.fetch_add(1, Relaxed);
        });
    }
    for _ in 0..load.consoles {
        let Some(operator) = operators.first() else {
            break;
        };
        let stream = Stream::open(served.console, "/events", operator).await?;
        let seen = seen.clone();
        tokio::spawn(async move {
            let count = |bytes: usize| {
                if seen.counts.load(Relaxed) {
                    seen.console_bytes.fetch_add(bytes as u64, Relaxed);
                }
            };
            let _ = stream.drain(count).await;
            seen.lost.fetch_add(1, Relaxed);
        });
    }
    play(load, crowd, served, &phones, &seen).await
}

/// Registers each shopper's phone by its page's way; keys follow from the number.
async fn register(served: &Served, shoppers: &[Token]) -> anyhow::Result<Vec<Phone>> {
    let mut phones = Vec::new();
    for (number, login) in shoppers.iter().enumerate() {
        let (_, key) = simulate::device(0, number);
        let sent = URL_SAFE_NO_PAD.encode(&key);
        let name = clients::register(served.console, login, &sent).await?;
        phones.push((DeviceId::from(name), key));
    }
    Ok(phones)
}

/// Has the nodes say what happens: everybody comes in fast, so that event time has caught up with the wall's when the
/// first takes something.
async fn play(
    load: &Load,
    crowd: &Crowd,
    served: &Served,
    phones: &[Phone],
    seen: &Seen,
) -> anyhow::Result<Outcome> {
    let mut nodes = Vec::new();
    for node in &crowd.definition().layout.nodes {
        let outbox = Outbox::in_memory(&node.name, OutboxOptions::default())?;
        let options = NodeOptions::new(served.broker.clone(), crowd.definition().id.as_str());
        nodes.push(NodeLink::connect(options, outbox).await?);
    }
    let clock = Clock::new()?;
    let entry_s = crowd.inside_after_s();
    let start = wall_now().plus_seconds(entry_s / ENTRY_SPEED - entry_s);
    let began = Instant::now();
    let counted_from_s = entry_s + SETTLED.as_secs_f64();
    let until_s = counted_from_s + load.seconds;
    let mut before_s = None;
    for step in 0.. {
        let end_s = (step + 1) as f64 * Crowd::STEP_S;
        // Seconds of the crowd's, in seconds of the wall's.
        let wall_s = match end_s < entry_s {
            true => end_s / ENTRY_SPEED,
            false => end_s - entry_s + entry_s / ENTRY_SPEED,
        };
        tokio::time::sleep_until((began + Duration::from_secs_f64(wall_s)).into()).await;
        if end_s >= until_s {
            break;
        }
        if end_s >= counted_from_s && before_s.is_none() {
            before_s = served.processor_s();
            seen.counts.store(true, Relaxed);
        }
        let now = start.plus_seconds(end_s);
        for ((_, said), link) in crowd.step(step, start, phones).into_iter().zip(&nodes) {
            if !said.is_empty() {
                link.append(clock.at(now), said).await?;
            }
            link.watermark(now.plus_seconds(-Crowd::OPEN_S), Vec::new());
        }
    }
    seen.counts.store(false, Relaxed);
    let (server_mb, server_mb_max) = served.memory_mb().unwrap_or_default();
    let spent_s = served
        .processor_s()
        .zip(before_s)
        .map(|(now, then)| now - then);
    let carts = seen.carts.lock().unwrap_or_else(PoisonError::into_inner);
    let (changes, [p50_ms, p99_ms, longest_ms]) = quantiles(&carts);
    Ok(Outcome {
        phones: load.phones,
        consoles: load.consoles,
        seconds: load.seconds,
        changes,
        p50_ms,
        p99_ms,
        longest_ms,
        lost: seen.lost.load(Relaxed),
        console_bytes: seen.console_bytes.load(Relaxed),
        server_mb,
        server_mb_max,
        server_cores: spent_s.unwrap_or_default() / load.seconds,
    })
}

/// How many, and the middle, the 99th percentile and the longest in milliseconds.
fn quantiles(carts: &[Shown]) -> (usize, [f64; 3]) {
    let late_ms = |shown: &Shown| (shown.shown_at.0 - shown.changed_at.0) as f64 / 1e3;
    let mut late: Vec<f64> = carts.iter().map(late_ms).collect();
    late.sort_by(f64::total_cmp);
    let last = late.len().saturating_sub(1) as f64;
    let at = |share: f64| late.get((last * share).round() as usize).copied();
    (
        late.len(),
        [0.5, 0.99, 1.0].map(|share| at(share).unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    #[test]
    fn quantiles_are_of_what_came() {
        let shown = |late_ms: i64| Shown {
            changed_at: Timestamp(1_000_000),
            shown_at: Timestamp(1_000_000 + late_ms * 1_000),
        };
        let carts: Vec<Shown> = (1..=100).rev().map(shown).collect();
        assert_eq!(quantiles(&carts), (100, [51.0, 99.0, 100.0]));
        assert_eq!(quantiles(&[]), (0, [0.0; 3]));
    }
}
