//! What `evaluate` prints. The lines of the cases and the last line are those of the competition's `score.py`.

use std::fmt::Write;
use std::path::Path;

use super::Outcome;
use super::cases::{Case, Suite};
use crate::evaluation::confusion::{Class, Mistake};
use crate::evaluation::interval::{self, Interval};
use crate::evaluation::score::{self, Score, share};
use crate::evaluation::trade_off::Point;

/// Examples of each class of mistakes.
const EXAMPLES: usize = 10;

/// A case with where its receipts go.
type Job<'a> = (&'a Case, Option<&'a Path>);

/// A line for each case.
pub fn cases(jobs: &[Job<'_>], outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    for ((case, _), outcome) in jobs.iter().zip(outcomes) {
        let Score { wrong, missed, .. } = outcome.score;
        let (name, f1) = (&case.name, outcome.score.f1());
        let _ = writeln!(
            out,
            "{name:32} F1 {f1:.3}  wrongly charged {wrong}  missed {missed}"
        );
    }
    out
}

/// A row for each suite, with 95 % intervals, and one for all of several.
pub fn suites(suites: &[Suite], outcomes: &[Outcome]) -> String {
    let mut out = format!(
        "{:<24} {:>5} {:>6}  {:<24} {:<24} {:>7}  {:>16}  {:>9}\n",
        "suite",
        "cases",
        "units",
        "mean F1 (95 %)",
        "precision (95 %)",
        "recall",
        "receipts right",
        "in review"
    );
    let mut rest = outcomes;
    for suite in suites {
        let (these, others) = rest.split_at(suite.cases.len().min(rest.len()));
        rest = others;
        row(&mut out, &suite.name, these);
    }
    if suites.len() > 1 {
        row(&mut out, "all", outcomes);
    }
    out
}

fn row(out: &mut String, name: &str, outcomes: &[Outcome]) {
    let scores = scores(outcomes);
    let all = score::pooled(&scores);
    let between = |figure: f64, Interval { low, high }: Interval| {
        format!("{figure:.4} [{low:.4}, {high:.4}]")
    };
    let reviewed: u64 = outcomes.iter().map(|o| o.reviewed).sum();
    let changes: u64 = outcomes.iter().map(|o| o.changes).sum();
    let receipts = format!("{}/{} {:.4}", all.whole, all.shoppers, all.whole_share());
    let _ = writeln!(
        out,
        "{name:<24} {:>5} {:>6}  {:<24} {:<24} {:>7.4}  {receipts:>16}  {:>7.2} %",
        scores.len(),
        all.units(),
        between(score::mean_f1(&scores), interval::of_mean_f1(&scores)),
        between(all.precision(), interval::of_precision(&scores)),
        all.recall(),
        100.0 * share(reviewed, changes),
    );
}

/// The last line.
pub fn total(outcomes: &[Outcome]) -> String {
    let scores = scores(outcomes);
    let all = score::pooled(&scores);
    format!(
        "cases {}  mean F1 {:.4}  precision {:.4}  recall {:.4}  receipts exactly right {}/{} = {:.4}",
        scores.len(),
        score::mean_f1(&scores),
        all.precision(),
        all.recall(),
        all.whole,
        all.shoppers,
        all.whole_share(),
    )
}

/// How many units each class of mistakes spoilt, and examples of each.
pub fn confusion(jobs: &[Job<'_>], outcomes: &[Outcome]) -> String {
    let mistakes: Vec<(&str, &Mistake)> = (jobs.iter().zip(outcomes))
        .flat_map(|((case, _), o)| o.mistakes.iter().map(|m| (case.name.as_str(), m)))
        .collect();
    let mut out = format!(
        "{:<20} {:>15} {:>7}\n",
        "what went wrong", "wrongly charged", "missed"
    );
    let mut examples = String::new();
    for class in Class::ALL {
        let of_class: Vec<_> = mistakes.iter().filter(|(_, m)| m.class == class).collect();
        let sum = |of: fn(&Mistake) -> u64| of_class.iter().map(|(_, m)| of(m)).sum::<u64>();
        let (wrong, missed) = (sum(|m| m.wrong), sum(|m| m.missed));
        let _ = writeln!(out, "{class:<20} {wrong:>15} {missed:>7}");
        if !of_class.is_empty() {
            let _ = writeln!(examples, "\n{class}:");
        }
        for (case, mistake) in of_class.iter().take(EXAMPLES) {
            let at = mistake.at_s.map_or("?".to_owned(), |s| format!("{s:.1} s"));
            let shelf = mistake
                .shelf
                .map_or("?".to_owned(), |shelf| shelf.to_string());
            let Mistake {
                expected, decided, ..
            } = mistake;
            let _ = writeln!(
                examples,
                "  {case}, {at}, shelf {shelf}: expected {expected}; decided {decided}"
            );
        }
    }
    out + &examples
}

/// The numbers behind the curve.
pub fn trade_off(points: &[Point]) -> String {
    let mut out = format!(
        "{:>10} {:>9} {:>15} {:>9} {:>7}\n",
        "confidence", "in review", "wrongly charged", "precision", "recall"
    );
    for point in points {
        let wrong = point.wrong_share();
        let _ = writeln!(
            out,
            "{:>10} {:>7.2} % {:>15} {:>9} {:>7.4}",
            point.confidence,
            100.0 * point.review_share(),
            wrong.map_or("-".to_owned(), |w| format!("{:.3} %", 100.0 * w)),
            wrong.map_or("-".to_owned(), |w| format!("{:.4}", 1.0 - w)),
            point.score.recall(),
        );
    }
    out
}

fn scores(outcomes: &[Outcome]) -> Vec<Score> {
    outcomes.iter().map(|outcome| outcome.score).collect()
}
