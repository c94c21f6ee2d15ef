//! An explanation as people read it.

use std::fmt::Write;

use super::story::{Candidate, Outline, Story, items_text, parts_text};
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
            let (parts, percent) = (parts_text(&change.parts), percent(change.probability_ppm));
            let _ = write!(out, "  {percent:>8}  {parts}");
        }
        if change.revised {
            let _ = write!(out, "  (revised)");
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
    let first = &story.at_first;
    let verdict = match &first.reason {
        None => first.verdict.to_owned(),
        Some(reason) => format!("{}: {reason}", first.verdict),
    };
    let _ = writeln!(out, "   {verdict}");
    if first.probability_ppm > 0 {
        let (parts, percent) = (parts_text(&first.parts), percent(first.probability_ppm));
        let _ = writeln!(out, "   most probable: {parts}, {percent}");
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
        "   {:>8} {:>18} {:>8} {:>9} {:>9} {:>9}",
        "hand", "nearest", "head", "dwell", "log reach", "posterior"
    );
    let metres = |m: Option<f64>| m.map_or("-".to_owned(), |m| format!("{m:.2} m"));
    let seconds = |s: Option<f64>| s.map_or("-".to_owned(), |s| format!("{s:+.2} s"));
    for near in &story.near {
        let distance = &near.distance;
        let nearest = match (distance.hand_m_min, distance.hand_min_after_s) {
            (Some(m), Some(s)) => format!("{m:.2} m at {s:+.2} s"),
            (None, _) | (_, None) => "-".to_owned(),
        };
        let log =
            (near.log_reach_milli).map_or("-".to_owned(), |l| format!("{:.2}", l as f64 / 1e3));
        let who = (near.track.as_ref()).map_or("somebody without a session", |t| t.as_str());
        let staff = if near.staff { " (staff)" } else { "" };
        let _ = writeln!(
            out,
            "   {:>8} {nearest:>18} {:>8} {:>9} {log:>9} {:>9}  {who}{staff}",
            metres(distance.hand_m),
            metres(distance.head_m),
            seconds(near.dwell_after_s),
            percent(near.probability_ppm),
        );
    }
    let nobody = percent(story.nobody_ppm);
    let _ = writeln!(out, "   {:>57} {nobody:>9}  nobody we know", "");
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
