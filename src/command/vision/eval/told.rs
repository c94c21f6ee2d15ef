//! What `stroll vision eval` prints and draws.

use std::fmt::Write;
use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use super::Unknown;
use crate::command::output_file;
use crate::evaluation::recognition::{Answer, Classes, Report};

/// Pairs of classes that are shown.
const CONFUSED_MAX: usize = 12;

/// The report as a table.
pub fn table(report: &Report, unknown: Option<&Unknown>, classes: &Classes) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} pictures: fine top-1 {:.2} %, coarse top-1 {:.2} %, calibration error {:.3}\n",
        report.pictures,
        100.0 * report.fine_right,
        100.0 * report.coarse_right,
        report.calibration_error
    );
    let _ = writeln!(out, "stated          pictures   mean stated   right");
    for bin in &report.reliability {
        let _ = writeln!(
            out,
            "{:.1} to {:.1}      {:>8}   {:>11.3}   {:.3}",
            bin.from, bin.to, bin.answers, bin.stated, bin.right
        );
    }
    if !report.confused.is_empty() {
        let _ = writeln!(out, "\nmost often confused");
    }
    let name = |id: u32| classes.get(id).map_or("?", |c| c.name.as_str());
    for (truth, answer, times) in report.confused.iter().take(CONFUSED_MAX) {
        let _ = writeln!(
            out,
            "{times:>4} × {} taken for {}",
            name(*truth),
            name(*answer)
        );
    }
    if let Some(unknown) = unknown {
        let auroc = unknown.auroc.map_or("-".to_owned(), |a| format!("{a:.4}"));
        let _ = writeln!(
            out,
            "\nunknown against enrolled ({} pictures of other classes): AUROC {auroc}; below cosine {:.3}, where a \
             picture is unknown, are {:.1} % of the enrolled and {:.1} % of the others",
            unknown.pictures,
            unknown.threshold,
            100.0 * unknown.known_refused,
            100.0 * unknown.unknown_refused
        );
    }
    out
}

/// The report for programs.
pub fn json(report: &Report, unknown: Option<&Unknown>) -> serde_json::Value {
    let bins = report.reliability.iter().map(|bin| {
        serde_json::json!({
            "from": bin.from, "to": bin.to, "pictures": bin.answers, "stated": bin.stated, "right": bin.right,
        })
    });
    serde_json::json!({
        "pictures": report.pictures,
        "fine_top1": report.fine_right,
        "coarse_top1": report.coarse_right,
        "calibration_error": report.calibration_error,
        "reliability": bins.collect::<Vec<_>>(),
        "unknown": unknown.map(|u| serde_json::json!({
            "pictures": u.pictures, "auroc": u.auroc, "threshold": u.threshold,
            "enrolled_refused": u.known_refused, "others_refused": u.unknown_refused,
        })),
    })
}

fn written(path: &Path, svg: &str, force: bool) -> anyhow::Result<()> {
    use std::io::Write;
    output_file::create(path, force)?.write_all(svg.as_bytes())?;
    Ok(())
}

/// Draws right against stated, the size of a point by the number of answers.
pub fn draw_reliability(report: &Report, path: &Path, force: bool) -> anyhow::Result<()> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (520, 520)).into_drawing_area();
        let failed = |e: &dyn std::fmt::Display| anyhow!("the drawing failed: {e}");
        area.fill(&WHITE).map_err(|e| failed(&e))?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(44)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)
            .map_err(|e| failed(&e))?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("stated probability")
            .y_desc("right")
            .light_line_style(WHITE)
            .draw()
            .map_err(|e| failed(&e))?;
        let ideal = LineSeries::new([(0.0, 0.0), (1.0, 1.0)], &BLACK);
        chart.draw_series(ideal).map_err(|e| failed(&e))?;
        let colour = RGBColor(31, 119, 180);
        let points = report.reliability.iter().map(|bin| {
            let size = 3.0 + (bin.answers as f64).sqrt() / 2.0;
            Circle::new((bin.stated, bin.right), size as i32, colour.filled())
        });
        chart.draw_series(points).map_err(|e| failed(&e))?;
        area.present().map_err(|e| failed(&e))?;
    }
    written(path, &svg, force)
}

/// Draws the matrix of truth and answer, classes in the order of their numbers; the darker, the larger the share.
pub fn draw_confusion(
    answers: &[Answer],
    classes: &Classes,
    path: &Path,
    force: bool,
) -> anyhow::Result<()> {
    let ids: Vec<u32> = classes.ids().collect();
    let sides = ids.len() as i32;
    let at = |id: u32| ids.binary_search(&id).unwrap_or(0) as i32;
    let mut counts = vec![vec![0_usize; ids.len()]; ids.len()];
    for answer in answers {
        counts[at(answer.truth) as usize][at(answer.fine) as usize] += 1;
    }
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (720, 720)).into_drawing_area();
        let failed = |e: &dyn std::fmt::Display| anyhow!("the drawing failed: {e}");
        area.fill(&WHITE).map_err(|e| failed(&e))?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(44)
            .build_cartesian_2d(0..sides, sides..0)
            .map_err(|e| failed(&e))?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("answered class")
            .y_desc("true class")
            .disable_mesh()
            .draw()
            .map_err(|e| failed(&e))?;
        let cells = counts.iter().enumerate().flat_map(|(truth, row)| {
            let all: usize = row.iter().sum();
            let filled = row.iter().enumerate().filter(|(_, n)| **n > 0);
            filled.map(move |(answer, n)| {
                let share = *n as f64 / all.max(1) as f64;
                let colour = if truth == answer { BLUE } else { RED };
                let (x, y) = (answer as i32, truth as i32);
                Rectangle::new(
                    [(x, y), (x + 1, y + 1)],
                    colour.mix(share.max(0.15)).filled(),
                )
            })
        });
        chart.draw_series(cells).map_err(|e| failed(&e))?;
        area.present().map_err(|e| failed(&e))?;
    }
    written(path, &svg, force)
}
