//! How long a cart waits inside the coordinator, with 500 observations a second: from the arrival of what decides a change to
//! the moment in which the decision is durable and the cart shows it.
//!
//! A store with ten shoppers is played so fast that its nodes send that many (`STROLL_BENCH_RATE` says otherwise), for 20
//! seconds. Arrivals keep to their times whatever the store does, so that a stall is paid for by everything that waits
//! behind it. What is waiting goes into one commit, as in the live store. The journal is a file, synced with each commit.

#![allow(
    clippy::print_stdout,
    reason = "what was measured is for the one who asked"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stroll::checkout::Decision;
use stroll::coordinator::{Coordinator, Input, Output};
use stroll::edge::gateway::Sandbox;
use stroll::edge::journal::Journal;
use stroll::edge::shell::Shell;
use stroll::simulate::load::{self, Load};
use stroll::units::Timestamp;

const RATE: f64 = 500.0;
const MEASURED_S: f64 = 20.0;
const SHOPPERS: usize = 10;
/// Each shopper is seen five times in two seconds and takes something every ten.
const OBSERVATIONS_A_SECOND: f64 = SHOPPERS as f64 * 2.6;
/// As many as the live store takes into one commit.
const GROUP_MAX: usize = 256;

/// Inputs with the moment at which they arrive, from the beginning.
fn arrivals(rate: f64, inputs: Vec<(Input, Timestamp)>) -> Vec<(Duration, Input, Timestamp)> {
    let mut observations = 0;
    let arrive = |(input, at): (Input, Timestamp)| {
        observations += u32::from(matches!(input, Input::Observation(_)));
        let moment = Duration::from_secs_f64(f64::from(observations) / rate);
        (moment, input, at)
    };
    inputs.into_iter().map(arrive).collect()
}

fn quantile(sorted: &[Duration], q: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * q).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

fn tell(what: &str, mut latencies: Vec<Duration>, took: Duration) {
    latencies.sort_unstable();
    let ms = |q| quantile(&latencies, q).as_secs_f64() * 1e3;
    println!(
        "{what}: {} in {:.0} s; p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        latencies.len(),
        took.as_secs_f64(),
        ms(0.5),
        ms(0.99),
        ms(1.0)
    );
}

fn main() {
    let rate = std::env::var("STROLL_BENCH_RATE").ok();
    let rate: f64 = rate.map_or(RATE, |rate| rate.parse().expect("observations a second"));
    let load = Load {
        plates: 100,
        shoppers: SHOPPERS,
        seconds: rate * MEASURED_S / OBSERVATIONS_A_SECOND,
    };
    let recording = load.recording().expect("a store");
    let inputs = arrivals(rate, load::sense(&recording));
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal.sqlite");
    let journal = Journal::open(&journal, &recording.definition).expect("a journal");
    let gateway = Box::new(Sandbox::in_memory().expect("a sandbox"));
    let (mut shell, _) = Shell::open(journal, &recording.definition, &recording.nodes, gateway)
        .expect("the store opens");
    let updates = Arc::new(Mutex::new(0_usize));
    let seen = updates.clone();
    shell.observe(Box::new(move |output| {
        if let Output::Decide(Decision::Attributed(_) | Decision::Revised(_)) = output {
            *seen.lock().expect("nobody panics with it") += 1;
        }
    }));
    measure(&mut shell, inputs, &updates);
}

fn measure(
    shell: &mut Shell<Coordinator>,
    inputs: Vec<(Duration, Input, Timestamp)>,
    updates: &Mutex<usize>,
) {
    let (mut durable, mut carts) = (Vec::new(), Vec::new());
    let mut commits = 0;
    let mut waiting = inputs.into_iter().peekable();
    let began = Instant::now();
    while let Some((next, ..)) = waiting.peek() {
        std::thread::sleep(next.saturating_sub(began.elapsed()));
        let (mut group, mut moments) = (Vec::new(), Vec::new());
        let (mut first, mut now) = (None, Timestamp::MIN);
        let elapsed = began.elapsed();
        while group.len() < GROUP_MAX
            && let Some((moment, input, at)) = waiting.next_if(|(moment, ..)| *moment <= elapsed)
        {
            first.get_or_insert(moment);
            if matches!(input, Input::Observation(_)) {
                moments.push(moment);
            }
            now = at;
            group.push(input);
        }
        let before = *updates.lock().expect("nobody panics with it");
        shell.batch(group, now).expect("it goes on");
        let done = began.elapsed();
        commits += 1;
        let decided = *updates.lock().expect("nobody panics with it") - before;
        // Which of the group decided it is not known: the first of them waited longest.
        carts.extend(std::iter::repeat_n(
            done.saturating_sub(first.unwrap_or(done)),
            decided,
        ));
        durable.extend(moments.iter().map(|moment| done.saturating_sub(*moment)));
    }
    let took = began.elapsed();
    tell("observations, until durable", durable, took);
    tell("changes of carts, until decided and durable", carts, took);
    println!("{commits} commits");
}
