//! An explanation as people read it.

use std::fmt::Write;

use super::story::{Candidate, Near, Outline, Story, items_text};
use crate::observation::ChangeKind;
use crate::units::Milligrams;

/// Candidates that are printed: those that the explanations kept, and the best of the others.
const CANDIDATES_SHOWN: usize = 6;

/// A line for each change.
pub fn list(changes: &[Outline]) -> String {
    let mut out = String::new();
    for change in changes {
        let plates = plates_text(&change.plates);
        let (t_s, shelf, kind, verdict) =
            (change.t_s, change.shelf, kind(change.kind), change.verdict);
        let delta = signed(change.delta_mg);
        let shelf = format!("{shelf} plate {plates}");
        let _ = write!(
            out,
            "{t_s:9.2} s  {shelf:<18} {delta:>10}  {kind:<7} {verdict:<8}"
        );
        if change.probability_ppm > 0 {
            let (who, what) = (who(change), items_text(&change.items));
            let percent = percent(change.probability_ppm);
            let _ = write!(out, "  {percent:>7}  {who}  {what}");
        }
        let _ = writeln!(out);
    }
    let _ = writeln!(out, "{} changes", changes.len());
    out
}

/// The whole explanation.
pub fn story(story: &Story) -> String {
    let mut out = String::new();
    let o = &story.outline;
    let _ = writeln!(
        out,
        "A {} on shelf {} at {:.2} s ({}), {} asked for",
        kind(o.kind),
        o.shelf,
        o.t_s,
        o.at,
        off(story.off_s),
    );
    weights(&mut out, story);
    what(&mut out, &story.candidates);
    who_was_near(&mut out, story);
    let _ = writeln!(out, "\n4. Decided");
    let verdict = match &o.reason {
        None => o.verdict.to_owned(),
        Some(reason) => format!("{}: {reason}", o.verdict),
    };
    let _ = writeln!(out, "   {verdict}");
    if o.probability_ppm > 0 {
        let (who, what) = (who(o), items_text(&o.items));
        let _ = writeln!(
            out,
            "   most probable: {who}, {what}, {}",
            percent(o.probability_ppm)
        );
    }
    for sentence in &story.later {
        let _ = writeln!(out, "   {sentence}");
    }
    out
}

fn weights(out: &mut String, story: &Story) {
    let o = &story.outline;
    let _ = writeln!(
        out,
        "\n1. The weights: {} ± {}, between {:.2} s and {:.2} s",
        signed(o.delta_mg),
        story.sigma_mg,
        story.start_s,
        story.end_s,
    );
    let mass = |m: Option<Milligrams>| m.map_or("-".to_owned(), |m| m.to_string());
    let _ = writeln!(
        out,
        "   {:<10} {:>11} {:>8} {:>12} {:>12} {:>8}",
        "plate", "change", "sigma", "before", "after", "noise"
    );
    for w in &story.plates_weighed {
        let _ = writeln!(
            out,
            "   {:<10} {:>11} {:>8} {:>12} {:>12} {:>8}",
            w.plate.to_string(),
            signed(w.delta_mg),
            w.sigma_mg.to_string(),
            mass(w.before_mg),
            mass(w.after_mg),
            mass(w.noise_mg),
        );
    }
}

fn what(out: &mut String, candidates: &[Candidate]) {
    let _ = writeln!(out, "\n2. What it can have been");
    if candidates.is_empty() {
        let _ = writeln!(out, "   nothing: no weight has changed");
        return;
    }
    let _ = writeln!(
        out,
        "   {:>14} {:>9} {:>9}",
        "log-likelihood", "prior", "posterior"
    );
    let shown = |(index, c): &(usize, &Candidate)| *index < CANDIDATES_SHOWN || c.posterior_ppm > 0;
    for (_, c) in candidates.iter().enumerate().filter(shown) {
        let log =
            (c.log_likelihood_milli).map_or("-".to_owned(), |l| format!("{:.2}", l as f64 / 1e3));
        let prior = c
            .prior
            .map_or("-".to_owned(), |p| percent((p * 1e6).round() as u32));
        let posterior = percent(c.posterior_ppm);
        let what = items_text(&c.items);
        let _ = writeln!(out, "   {log:>14} {prior:>9} {posterior:>9}  {what}");
    }
    let shown = (candidates.iter().enumerate()).filter(shown).count();
    if shown < candidates.len() {
        let _ = writeln!(out, "   and {} worse", candidates.len() - shown);
    }
}

fn who_was_near(out: &mut String, story: &Story) {
    let _ = writeln!(out, "\n3. Who");
    let _ = writeln!(
        out,
        "   {:>8} {:>18} {:>8} {:>9} {:>9}",
        "hand", "nearest", "head", "log reach", "posterior"
    );
    let metres = |m: Option<f64>| m.map_or("-".to_owned(), |m| format!("{m:.2} m"));
    for Near {
        track,
        distance,
        log_reach,
        probability_ppm,
        ..
    } in &story.near
    {
        let nearest = match (distance.hand_m_min, distance.hand_min_after_s) {
            (Some(m), Some(s)) => format!("{m:.2} m at {s:+.2} s"),
            (None, _) | (_, None) => "-".to_owned(),
        };
        let log = log_reach.map_or("-".to_owned(), |l| format!("{l:.2}"));
        let _ = writeln!(
            out,
            "   {:>8} {nearest:>18} {:>8} {log:>9} {:>9}  {track}",
            metres(distance.hand_m),
            metres(distance.head_m),
            percent(*probability_ppm),
        );
    }
    let (log, percent) = (story.nobody_log_reach, percent(story.nobody_ppm));
    let _ = writeln!(
        out,
        "   {:>8} {:>18} {:>8} {log:>9.2} {percent:>9}  nobody we know",
        "-", "-", "-"
    );
}

/// What the outline calls the likeliest.
pub fn who(outline: &Outline) -> &str {
    outline.who.as_deref().unwrap_or("nobody we know")
}

/// The kind of a change in a word.
pub fn kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Take => "take",
        ChangeKind::Put => "put",
        ChangeKind::Touch => "touch",
        ChangeKind::Foreign => "foreign object",
        ChangeKind::Unsure => "change",
    }
}

/// `11, 12`.
pub fn plates_text(plates: &[u16]) -> String {
    let plates: Vec<String> = plates.iter().map(ToString::to_string).collect();
    plates.join(", ")
}

/// Grams with their sign: `+12.0 g`.
pub fn signed(mass: Milligrams) -> String {
    let plus = if mass.0 > 0 { "+" } else { "" };
    format!("{plus}{mass}")
}

/// Parts in a million as percent; what is certain but for rounding is not called 100 %.
pub fn percent(ppm: u32) -> String {
    match ppm {
        0 => "0 %".to_owned(),
        1..1_000 => "< 0.1 %".to_owned(),
        999_000..1_000_000 => "> 99.9 %".to_owned(),
        _ => format!("{:.1} %", f64::from(ppm) / 1e4),
    }
}

fn off(seconds: f64) -> String {
    if seconds.abs() < 0.005 {
        return "as".to_owned();
    }
    let side = if seconds > 0.0 { "after" } else { "before" };
    format!("{:.2} s {side} the time", seconds.abs())
}
