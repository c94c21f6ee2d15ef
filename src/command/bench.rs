//! `stroll bench`: what a second of store time costs, and how that grows with plates and shoppers; and how long phones wait
//! for their carts.

mod clients;
mod phones;
mod served;

use std::hint::black_box;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

use crate::simulate::load::{self, Load};

/// Measure what a second of store time costs with many plates and shoppers
///
/// On one thread, without network and disk. Sensing is the work of all nodes together, the coordinator's is one
/// machine's. The growth is over the line before that differs in only plates, or in only shoppers: 1.00 is linear.
///
/// With --phones it is about the console instead: a coordinator of its own process on loopback, so many shoppers inside with
/// their phones open and taking something every ten seconds, and how long it takes until a phone shows a change of its
/// cart once that is durable.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many plates the stores have
    #[arg(long, value_delimiter = ',', default_value = "100,400,1600", value_parser = clap::value_parser!(u32).range(10..=4_096))]
    plates: Vec<u32>,
    /// How many shoppers are inside
    #[arg(long, value_delimiter = ',', default_value = "1,10,50", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    shoppers: Vec<u32>,
    /// Store time of each measurement, seconds
    #[arg(long, value_name = "S", default_value_t = 30.0, value_parser = seconds)]
    seconds: f64,
    /// The fastest of so many runs counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Measure the console with so many phones instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000), conflicts_with_all = ["plates", "shoppers", "runs"])]
    phones: Option<u32>,
    /// Pages of the console that are open beside the phones
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=200), requires = "phones")]
    consoles: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    (text.parse().ok())
        .filter(|s| (10.0..=600.0).contains(s))
        .ok_or_else(|| "write seconds from 10 to 600".to_owned())
}

/// What a store costs, milliseconds a second of store time.
#[derive(Clone, Copy, Debug, Serialize)]
struct Cost {
    plates: u32,
    shoppers: u32,
    sensing_ms: f64,
    coordinator_ms: f64,
}

/// Measures, and prints the table.
pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(phones) = args.phones {
        let load = phones::Load {
            phones: phones as usize,
            consoles: args.consoles as usize,
            seconds: args.seconds,
        };
        let outcome = phones::measure(&load)?;
        match args.json {
            true => println!("{}", serde_json::to_string(&outcome)?),
            false => print!("{outcome}"),
        }
        return Ok(());
    }
    let mut costs = Vec::new();
    for &plates in &args.plates {
        for &shoppers in &args.shoppers {
            costs.push(measure(plates, shoppers, &args)?);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string(&costs)?);
    } else {
        print!("{}", table(&costs));
    }
    Ok(())
}

fn measure(plates: u32, shoppers: u32, args: &Args) -> anyhow::Result<Cost> {
    let load = Load {
        plates: plates as usize,
        shoppers: shoppers as usize,
        seconds: args.seconds,
    };
    let recording = load
        .recording()
        .context("no store of that size can be made")?;
    let inputs = load::sense(&recording);
    let fastest_ms = |work: &dyn Fn() -> usize| {
        let once = || {
            let begun = Instant::now();
            black_box(work());
            begun.elapsed().as_secs_f64() * 1e3
        };
        let runs = (0..args.runs).map(|_| once());
        runs.fold(f64::INFINITY, f64::min) / args.seconds
    };
    Ok(Cost {
        plates,
        shoppers,
        sensing_ms: fastest_ms(&|| load::sense(&recording).len()),
        coordinator_ms: fastest_ms(&|| load::coordinate(&recording, &inputs)),
    })
}

/// A line for each store; beside each cost its growth with the plates and with the shoppers.
fn table(costs: &[Cost]) -> String {
    use std::fmt::Write;
    let mut out = format!(
        "{:>6} {:>8}   {:>12} {:>9} {:>9}   {:>12} {:>9} {:>9}\n",
        "plates",
        "shoppers",
        "sensing ms/s",
        "by plates",
        "shoppers",
        "coord. ms/s",
        "by plates",
        "shoppers"
    );
    for cost in costs {
        let by_plates = (costs.iter().rev())
            .find(|c| c.shoppers == cost.shoppers && c.plates < cost.plates)
            .map(|c| (c, f64::from(cost.plates) / f64::from(c.plates)));
        let by_shoppers = (costs.iter().rev())
            .find(|c| c.plates == cost.plates && c.shoppers < cost.shoppers)
            .map(|c| (c, f64::from(cost.shoppers) / f64::from(c.shoppers)));
        let growth = |before: Option<(&Cost, f64)>, of: fn(&Cost) -> f64| {
            before.map_or(String::new(), |(c, factor)| {
                format!("{:.2}", of(cost) / of(c) / factor)
            })
        };
        let (sensing, core) = (|c: &Cost| c.sensing_ms, |c: &Cost| c.coordinator_ms);
        let _ = writeln!(
            out,
            "{:>6} {:>8}   {:>12.3} {:>9} {:>9}   {:>12.3} {:>9} {:>9}",
            cost.plates,
            cost.shoppers,
            cost.sensing_ms,
            growth(by_plates, sensing),
            growth(by_shoppers, sensing),
            cost.coordinator_ms,
            growth(by_plates, core),
            growth(by_shoppers, core),
        );
    }
    out
}
