//! `stroll calibrate`: tare, known weights, linearity, creep and noise of each plate, step by step.

use std::io::{BufRead as _, Write as _};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::Failed;
use super::node_setup::{Setup, Wiring, open_board};
use crate::edge::live::wall_now;
use crate::edge::node::board::Board;
use crate::edge::node::calibration::{Calibration, Calibrations};
use crate::edge::node::sampler::Sampler;
use crate::edge::node::weighing::{self, Reading, Refusal};
use crate::edge::simulated::SimulatedBoard;
use crate::recording::NO_COUNT;
use crate::store::PlateId;

/// After a weight was put down the plate swings, and the converter settles, seconds.
const SETTLE_S: f64 = 1.5;
/// How long a plate is read for one reading, seconds.
const READ_S: f64 = 3.0;

/// Calibrate the plates of a node with known weights
///
/// For each plate: empty it, lay the weights on it one after the other, wait, empty it again. What makes no sense is refused
/// and nothing is stored. What was found is kept with date and name, and the last calibration holds.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wiring: Wiring,
    /// Only this plate; may be given again. Without it all of them
    #[arg(long = "plate", value_name = "PLATE")]
    plates: Vec<PlateId>,
    /// The known weights that are laid on, grams, the lightest first
    #[arg(long, value_name = "G,G", value_delimiter = ',', default_values_t = [500.0, 2_000.0])]
    weights: Vec<f64>,
    /// What the load cells may be loaded with, grams
    #[arg(long, value_name = "G", default_value_t = 5_000.0)]
    capacity_g: f64,
    /// How long the heaviest weight stays, to see the cell creep, seconds
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    creep_s: f64,
    /// Who calibrates
    #[arg(long, value_name = "NAME", required_unless_present = "show")]
    by: Option<String>,
    /// Show what holds now, and do nothing
    #[arg(long)]
    show: bool,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut setup = args.wiring.set_up()?;
    if args.show {
        return show(&setup);
    }
    check(&args, &setup)?;
    // Weights are recognised by nobody but the person: what is known so far says nothing.
    let known = std::mem::take(&mut setup.calibrations);
    match setup.situation.clone() {
        Some(mut situation) => {
            // Whoever calibrates empties the plates first.
            situation.loads.clear();
            let board = SimulatedBoard::new(&setup.config, &situation);
            calibrate(
                &args,
                &setup,
                known,
                board.clone(),
                Person::Simulated(board),
            )
        }
        None => calibrate(&args, &setup, known, open_board()?, Person::Terminal),
    }
}

fn check(args: &Args, setup: &Setup) -> anyhow::Result<()> {
    let rises = args.weights.windows(2).all(|pair| pair[0] < pair[1]);
    let is_sound = |g: &f64| (1.0..=args.capacity_g).contains(g);
    if args.weights.is_empty() || !rises || !args.weights.iter().all(is_sound) {
        bail!(
            "--weights takes grams, the lightest first, none above the capacity of {} g",
            args.capacity_g
        );
    }
    let plates = setup.config.plates();
    if let Some(stranger) = args.plates.iter().find(|plate| !plates.contains(plate)) {
        bail!("node {} has no plate {stranger}", setup.config.name);
    }
    Ok(())
}

/// Who lays weights on plates.
enum Person {
    Terminal,
    Simulated(SimulatedBoard),
}

impl Person {
    /// Has the plate carry `grams` in place of `before`.
    fn lay(&self, plate: PlateId, grams: f64, before: f64) -> anyhow::Result<()> {
        match self {
            Person::Simulated(board) => board.put(plate, grams - before),
            Person::Terminal => {
                if grams > 0.0 {
                    print!("Put {grams} g on plate {plate}, nothing else, and press Enter: ");
                } else {
                    print!("Take everything off plate {plate}, and press Enter: ");
                }
                std::io::stdout().flush()?;
                let mut line = String::new();
                if std::io::stdin().lock().read_line(&mut line)? == 0 {
                    bail!("nobody is at the terminal: calibrating takes a person, or --simulate");
                }
            }
        }
        Ok(())
    }
}

fn calibrate<B: Board>(
    args: &Args,
    setup: &Setup,
    mut known: Calibrations,
    mut board: B,
    person: Person,
) -> anyhow::Result<()> {
    let plates = setup.config.plates();
    let mut bench = Bench {
        sampler: setup.sampler(&mut board)?,
        plates: plates.clone(),
    };
    let wanted = if args.plates.is_empty() {
        &plates
    } else {
        &args.plates
    };
    let mut refused = 0;
    for &plate in wanted {
        match bench.calibrate(args, plate, &person)? {
            Ok(found) => {
                println!("plate {plate}: {}", described(&found));
                known.add(&setup.config.calibration, plate, found)?;
            }
            Err(refusal) => {
                refused += 1;
                eprintln!("stroll: refused: {refusal}");
                person.lay(plate, 0.0, args.weights.last().copied().unwrap_or(0.0))?;
            }
        }
    }
    println!(
        "{} of {} plates calibrated, in {}",
        wanted.len() - refused,
        wanted.len(),
        setup.config.calibration.display()
    );
    if refused > 0 {
        return Err(Failed.into());
    }
    Ok(())
}

/// The converters while somebody calibrates.
struct Bench<B: Board> {
    sampler: Sampler<B>,
    plates: Vec<PlateId>,
}

impl<B: Board> Bench<B> {
    /// Reads all plates for some seconds, once they have come to rest.
    fn read(
        &mut self,
        what: &str,
        grams_of: impl Fn(f64) -> f64,
        column: usize,
    ) -> anyhow::Result<Vec<Vec<i32>>> {
        let bar = ProgressBar::new(100).with_style(
            ProgressStyle::with_template("{prefix:>24} [{bar:24}] {msg}")
                .context("a template of ours")?,
        );
        bar.set_prefix(what.to_owned());
        let began_s = self.sampler.elapsed_s();
        let mut counts = vec![Vec::new(); self.plates.len()];
        loop {
            let since_s = self.sampler.elapsed_s() - began_s;
            if since_s >= SETTLE_S + READ_S {
                break;
            }
            let Some(batch) = self.sampler.step()? else {
                continue;
            };
            let row = batch.raw.len() - self.plates.len();
            if let Some(&count) = batch
                .raw
                .get(row + column)
                .filter(|count| **count != NO_COUNT)
            {
                bar.set_message(format!("{:9.1}", grams_of(f64::from(count))));
            }
            bar.set_position((since_s / (SETTLE_S + READ_S) * 100.0) as u64);
            if since_s < SETTLE_S {
                continue;
            }
            for row in batch.raw.chunks(self.plates.len()) {
                let given = counts
                    .iter_mut()
                    .zip(row)
                    .filter(|(_, count)| **count != NO_COUNT);
                given.for_each(|(counts, count)| counts.push(*count));
            }
        }
        bar.finish_and_clear();
        Ok(counts)
    }

    fn calibrate(
        &mut self,
        args: &Args,
        plate: PlateId,
        person: &Person,
    ) -> anyhow::Result<Result<Calibration, Refusal>> {
        let Some(column) = self.plates.iter().position(|known| *known == plate) else {
            bail!("there is no plate {plate}");
        };
        person.lay(plate, 0.0, 0.0)?;
        let nominal = crate::edge::node::service::NOMINAL_COUNTS_PER_GRAM;
        let empty_counts = self.read("empty", |count| count / nominal, column)?;
        let Some(empty) = weighing::read(&empty_counts[column]) else {
            return Ok(Err(Refusal::Silent(plate)));
        };
        let live = |count: f64| (count - empty.mean) / nominal;
        let mut points = vec![(0.0, empty.mean)];
        let mut before_g = 0.0;
        let mut heavy = empty;
        for &grams in &args.weights {
            person.lay(plate, grams, before_g)?;
            before_g = grams;
            let counts = self.read(&format!("{grams} g"), live, column)?;
            let Some(reading) = weighing::read(&counts[column]) else {
                return Ok(Err(Refusal::Silent(plate)));
            };
            let moved = |of: usize| {
                let pair = weighing::read(&counts[of]).zip(weighing::read(&empty_counts[of]));
                pair.map_or(0.0, |(now, then)| now.mean - then.mean)
            };
            let others = (self.plates.iter().enumerate()).filter(|(of, _)| *of != column);
            let others = others.map(|(of, plate)| (*plate, moved(of)));
            if let Err(refusal) = weighing::answered(plate, reading.mean - empty.mean, others) {
                return Ok(Err(refusal));
            }
            points.push((grams, reading.mean));
            heavy = reading;
        }
        let crept = self.creep(args.creep_s, heavy, live, column)?;
        person.lay(plate, 0.0, before_g)?;
        let after = self.read("empty again", live, column)?;
        let (Some(after), Some(line)) = (weighing::read(&after[column]), weighing::fit(&points))
        else {
            return Ok(Err(Refusal::Silent(plate)));
        };
        if let Err(refusal) = weighing::judge(plate, line, empty, after.mean, before_g) {
            return Ok(Err(refusal));
        }
        let factor = line.counts_per_gram;
        Ok(Ok(Calibration {
            at: wall_now(),
            by: args.by.clone().unwrap_or_default(),
            counts_per_gram: factor,
            zero: empty.mean.round() as i32,
            points,
            noise_g: empty.noise / factor.abs(),
            spikes_percent: empty.spikes_percent,
            nonlinearity_percent: line.nonlinearity_percent,
            creep_g_min: crept / factor,
            capacity_g: args.capacity_g,
        }))
    }

    /// How the load goes on growing, counts a minute.
    fn creep(
        &mut self,
        seconds: f64,
        heavy: Reading,
        live: impl Fn(f64) -> f64,
        column: usize,
    ) -> anyhow::Result<f64> {
        if seconds <= 0.0 {
            return Ok(0.0);
        }
        let until_s = self.sampler.elapsed_s() + seconds;
        let bar = ProgressBar::new_spinner();
        bar.set_message("the weight stays, to see it creep");
        while self.sampler.elapsed_s() < until_s {
            self.sampler.step()?;
            bar.tick();
        }
        bar.finish_and_clear();
        let counts = self.read("creep", live, column)?;
        let late = weighing::read(&counts[column]).unwrap_or(heavy);
        Ok((late.mean - heavy.mean) / (seconds + SETTLE_S + READ_S) * 60.0)
    }
}

fn described(found: &Calibration) -> String {
    format!(
        "{:.2} counts/g, zero {}, off the line {:.3} %, creep {:+.2} g/min, noise {:.2} g, spikes {:.2} %, grade {}",
        found.counts_per_gram,
        found.zero,
        found.nonlinearity_percent,
        found.creep_g_min,
        found.noise_g,
        found.spikes_percent,
        weighing::grade(found.noise_g, found.spikes_percent)
    )
}

fn show(setup: &Setup) -> anyhow::Result<()> {
    for plate in setup.config.plates() {
        match setup.calibrations.of(plate) {
            Some(found) => println!(
                "plate {plate}: {} ({}, {})",
                described(found),
                found.at,
                found.by
            ),
            None => println!("plate {plate}: not calibrated"),
        }
    }
    Ok(())
}
