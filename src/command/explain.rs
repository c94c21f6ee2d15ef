//! `stroll explain`: why a change was seen, what it was taken for, and who got it.

use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};

use super::output_file;
use crate::units::Timestamp;

mod later;
mod picture;
mod played;
mod story;
mod text;
mod traces;

use played::Played;

/// A change is looked for this long before and after the time that was asked for, seconds.
const NEAREST_S_MAX: f64 = 5.0;

/// Explain a change on a shelf: why it was seen, what it was taken for, and who got it
///
/// Plays recordings as `stroll replay` does. Without `--at` it lists their changes, a line each.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `.mcap` recordings of one store, or a folder of the AutoCheckout competition
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,
    /// Explain the change nearest to this: seconds from the recording's start, or an RFC 3339 time
    #[arg(long, value_name = "T")]
    at: Option<Moment>,
    /// Draw the change: weights, and how far each shopper's hands were
    #[arg(long, value_name = "OUT.svg", requires = "at")]
    picture: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Use this store definition in place of the recording's own
    #[arg(long, value_name = "FILE.toml")]
    store: Option<PathBuf>,
    /// Play what is whole of a damaged recording
    #[arg(long)]
    partial: bool,
    /// Overwrite the picture
    #[arg(long)]
    force: bool,
}

/// A time as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// Seconds from the recording's start.
    Since(f64),
    At(Timestamp),
}

impl FromStr for Moment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<f64>() {
            // What is farther off is no time of a recording, and would not fit into one.
            return (seconds.abs() < 1e9)
                .then_some(Moment::Since(seconds))
                .ok_or_else(|| format!("`{text}` seconds are out of all proportion"));
        }
        text.parse::<jiff::Timestamp>()
            .map(|at| Moment::At(Timestamp(at.as_microsecond())))
            .map_err(|_| {
                format!("`{text}` is no time: write seconds from the start, such as 12.34, or 2020-04-22T05:06:37Z")
            })
    }
}

impl Moment {
    fn in_recording(self, start: Timestamp) -> Timestamp {
        match self {
            Moment::Since(seconds) => start.plus_seconds(seconds),
            Moment::At(at) => at,
        }
    }
}

/// Plays, and prints the list or the explanation.
pub fn run(args: Args) -> anyhow::Result<()> {
    let recording =
        super::store_at::recording(&args.recordings, args.store.as_deref(), args.partial)?;
    let played = Played::of(&recording)?;
    let Some(moment) = args.at else {
        let changes: Vec<_> = played
            .changes()
            .map(|c| story::outline(&played, c))
            .collect();
        if args.json {
            println!("{}", serde_json::to_string(&changes)?);
        } else {
            print!("{}", text::list(&changes));
        }
        return Ok(());
    };
    let asked = moment.in_recording(played.start);
    let change = nearest(&played, asked)?;
    let story = story::tell(&played, change, asked);
    if let Some(path) = &args.picture {
        let svg = picture::draw(&played, change, &story)?;
        let mut file = output_file::create(path, args.force)?;
        file.write_all(svg.as_bytes())
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&story)?);
    } else {
        print!("{}", text::story(&story));
    }
    Ok(())
}

/// The change whose moment is nearest to `asked`.
fn nearest<'p>(played: &'p Played<'_>, asked: Timestamp) -> anyhow::Result<&'p played::Change> {
    let off = |c: &&played::Change| (c.observation.peak.0 - asked.0).abs();
    let Some(change) = played.changes().min_by_key(off) else {
        bail!("the recording holds no change on a shelf");
    };
    let off_s = change.observation.peak.seconds_since(asked);
    if off_s.abs() > NEAREST_S_MAX {
        bail!(
            "no change within {NEAREST_S_MAX} s of {:.2} s: the nearest is on shelf {} at {:.2} s ({})",
            asked.seconds_since(played.start),
            change.observation.shelf,
            change.observation.peak.seconds_since(played.start),
            change.observation.peak,
        );
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_or_a_date() {
        let at = Timestamp(1_587_531_997_040_000);
        for (text, expected) in [
            ("12.34", Some(Moment::Since(12.34))),
            ("0", Some(Moment::Since(0.0))),
            ("2020-04-22T05:06:37.040Z", Some(Moment::At(at))),
            ("2020-04-22T07:06:37.04+02:00", Some(Moment::At(at))),
            ("noon", None),
            ("NaN", None),
            ("1e300", None),
        ] {
            assert_eq!(text.parse::<Moment>().ok(), expected, "{text}");
        }
    }
}
