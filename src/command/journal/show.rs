//! Entries of a journal, for people and for programs.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use serde_json::Value;

use crate::checkout::Decision;
use crate::checkout::session::SessionId;
use crate::edge::journal::archive::{Filed, What};
use crate::edge::journal::{Archive, JournalError};
use crate::observation::Observation;
use crate::units::Timestamp;

/// Longer lists and parts of an entry are cut off after so many characters; `--json` has all of them.
const NESTED_MAX: usize = 72;
/// Fields that are event time.
const TIMES: &[&str] = &["at", "to", "since", "start", "peak", "end", "middle"];

/// Show entries, one a line: number, event time, kind, and what it says
///
/// An entry without an event time of its own has that of the entry before it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The journal
    journal: PathBuf,
    /// Only from this time on, like 2026-11-23T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Only up to this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Only decisions about this session
    #[arg(long)]
    session: Option<SessionId>,
    /// Only these kinds: `decision`, `observation`, or one of either, like `settled` or `shelf`
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    kind: Vec<String>,
    /// Only what comes after this entry
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// Print lines of JSON, as `export` does
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Timestamp, String> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed
        .map(|at| Timestamp(at.as_microsecond()))
        .map_err(|_| "write a time with its zone, like 2026-11-23T12:00:00Z".to_owned())
}

const OBSERVATIONS: [&str; 3] = ["shelf", "body", "gate"];

fn kind(text: &str) -> Result<String, String> {
    let mut all = (["decision", "observation"].into_iter())
        .chain(OBSERVATIONS)
        .chain(Decision::NAMES);
    match all.clone().any(|name| name == text) {
        true => Ok(text.to_owned()),
        false => {
            let first = all.next().unwrap_or_default().to_owned();
            Err(format!(
                "there are the kinds {}",
                all.fold(first, |list, name| list + ", " + name)
            ))
        }
    }
}

/// Prints what is asked for.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let archive = Archive::open(&args.journal)?;
    let out = io::stdout().lock();
    write_lines(&archive, args.after, out, |filed, at| {
        args.wants(&filed, at).then(|| match args.json {
            true => json_line(&filed),
            false => line(&filed, at),
        })
    })?;
    Ok(())
}

/// Why lines were not written.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("it cannot be written: {0}")]
    Output(io::Error),
}

/// Writes what `shown` makes of the entries after `after` and their times, a line each, and counts them. Whoever reads
/// may stop reading.
pub fn write_lines(
    archive: &Archive,
    after: u64,
    out: impl Write,
    shown: impl Fn(Filed, Option<Timestamp>) -> Option<String>,
) -> Result<u64, ShowError> {
    let mut out = BufWriter::new(out);
    let (mut written, mut now, mut failed) = (0, None, None);
    archive.entries(after, &mut |filed| {
        now = time_of(&filed).or(now);
        if let (Some(line), None) = (shown(filed, now), &failed) {
            written += 1;
            failed = writeln!(out, "{line}").err();
        }
        Ok(())
    })?;
    match failed.or_else(|| out.flush().err()) {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(ShowError::Output(error)),
        Some(_) | None => Ok(written),
    }
}

/// An entry with its hash, as one line of JSON. What was hashed stands in it byte by byte.
pub fn json_line(filed: &Filed) -> String {
    let Filed {
        entry, hash, text, ..
    } = filed;
    match &filed.what {
        What::Observation(_) => {
            format!(r#"{{"entry":{entry},"hash":"{hash}","observation":{text}}}"#)
        }
        What::Decision { versions, .. } => {
            let by = serde_json::json!({
                "code": versions.code, "definition": versions.definition, "model": versions.model
            });
            format!(r#"{{"entry":{entry},"hash":"{hash}","versions":{by},"decision":{text}}}"#)
        }
    }
}

impl Args {
    fn wants(&self, filed: &Filed, at: Option<Timestamp>) -> bool {
        let in_time = self.from.is_none_or(|from| at.is_some_and(|at| at >= from))
            && self.to.is_none_or(|to| at.is_some_and(|at| at <= to));
        let of_session = match (&self.session, &filed.what) {
            (None, _) => true,
            (Some(session), What::Decision { decision, .. }) => decision.concerns(session),
            (Some(_), What::Observation(_)) => false,
        };
        let (general, special) = kinds(&filed.what);
        let mut kinds = self.kind.iter();
        let of_kind = self.kind.is_empty() || kinds.any(|k| k == general || k == special);
        in_time && of_session && of_kind
    }
}

fn kinds(what: &What) -> (&'static str, &'static str) {
    match what {
        What::Observation(stamped) => (
            "observation",
            match stamped.observation {
                Observation::Shelf(_) => "shelf",
                Observation::Vision(_) => "vision",
                Observation::Body(_) => "body",
                Observation::Gate(_) => "gate",
                Observation::Gap(_) => "gap",
            },
        ),
        What::Decision { decision, .. } => ("decision", decision.name()),
    }
}

fn time_of(filed: &Filed) -> Option<Timestamp> {
    match &filed.what {
        What::Observation(stamped) => Some(stamped.observation.end()),
        What::Decision { decision, .. } => decision.at(),
    }
}

fn line(filed: &Filed, at: Option<Timestamp>) -> String {
    let at = at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let (_, kind) = kinds(&filed.what);
    let mut line = format!("{:>8}  {at:<24}  {kind:<17}", filed.entry);
    let told: Option<Value> = serde_json::from_str(&filed.text).ok();
    let fields = match (&filed.what, &told) {
        (What::Observation(stamped), Some(told)) => {
            let _ = write!(line, "  {}", stamped.stamp);
            told.get("observation")
        }
        (What::Decision { .. }, told) => told.as_ref(),
        (What::Observation(_), None) => None,
    };
    for (name, value) in fields.and_then(Value::as_object).into_iter().flatten() {
        if !["decision", "type", "at"].contains(&name.as_str()) {
            let _ = write!(line, "  {name}={}", short(name, value));
        }
    }
    line
}

fn short(name: &str, value: &Value) -> String {
    match (value, value.as_i64()) {
        (Value::String(text), _) => text.clone(),
        (_, Some(us)) if TIMES.contains(&name) => Timestamp(us).to_string(),
        (_, _) => {
            let text = value.to_string();
            match text.char_indices().nth(NESTED_MAX) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}
