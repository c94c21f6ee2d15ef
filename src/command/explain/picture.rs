//! The picture of a change: weights above, distances of hands and heads below, on one time axis.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::played::{Change, Played};
use super::story::{Story, parts_text};
use super::text;
use super::traces::{self, Series, WINDOW_S};
use crate::checkout::attribution::Place;
use crate::command::plot::{self, FAINT_INK, GRID, INK, PAPER};
use crate::store::PlateId;

/// Width and height, pixels.
const SIZE: (u32, u32) = (960, 640);
/// What the legend takes at the right, pixels.
const LEGEND_WIDTH: u32 = 190;
const TITLE_HEIGHT: u32 = 64;
/// A plate that moved by more than this is drawn, grams: hands and footsteps beside the change explain much.
const MOVED_G: f64 = 8.0;
/// Plates and shoppers that are drawn, at most.
const SERIES_MAX: usize = 7;
/// Hands farther off than this are no news, metres.
const DISTANCE_M_MAX: f64 = 2.5;
/// What is not seen for longer than this is a gap in the line, seconds.
const GAP_S: f64 = 0.3;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One line of a panel.
struct Line {
    label: String,
    colour: RGBColor,
    dashed: bool,
    points: Series,
}

/// A panel's lines and its scale.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    values: Range<f64>,
    lines: Vec<Line>,
    /// Times that are marked, seconds after the moment of the change, with their names.
    marks: &'a [(f64, &'a str)],
    /// The recording's time at the moment of the change, seconds.
    peak_t_s: f64,
    has_time_axis: bool,
}

/// Draws a change; the text of an SVG file.
pub fn draw(played: &Played<'_>, change: &Change, story: &Story) -> anyhow::Result<String> {
    let seen = &change.observation;
    let marks = [
        (seen.start.seconds_since(seen.peak), "start"),
        (0.0, "change"),
        (seen.end.seconds_since(seen.peak), "end"),
    ];
    let weights = weights(played, change);
    let distances = distances(played, change, story);
    let upper = Panel {
        title: "weight, from the level before",
        unit: "g",
        values: padded(&weights, f64::INFINITY),
        lines: weights,
        marks: &marks,
        peak_t_s: story.outline.t_s,
        has_time_axis: false,
    };
    let lower = Panel {
        title: "distance to the changed plates",
        unit: "m",
        values: -0.05..padded(&distances, DISTANCE_M_MAX).end,
        lines: distances,
        marks: &marks,
        peak_t_s: story.outline.t_s,
        has_time_axis: true,
    };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        drawn(&root, story, &upper, &lower)
            .map_err(|error| anyhow!("{error}"))
            .context("the picture cannot be drawn")?;
    }
    Ok(svg)
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn drawn(root: &Area<'_>, story: &Story, upper: &Panel<'_>, lower: &Panel<'_>) -> Drawn {
    root.fill(&PAPER)?;
    let (head, body) = root.split_vertically(TITLE_HEIGHT);
    for (y, words, style) in [
        (14, title(story), plot::text(17, true, &INK)),
        (38, decided(story), plot::text(13, false, &FAINT_INK)),
    ] {
        head.draw(&Text::new(words, (20, y), style))?;
    }
    let (above, below) = body.split_vertically((SIZE.1 - TITLE_HEIGHT) * 48 / 100);
    panel(&above, upper)?;
    panel(&below, lower)?;
    root.present()
}

/// What happened, and who got it.
fn title(story: &Story) -> String {
    let o = &story.outline;
    let plates = if o.plates.len() == 1 {
        "plate"
    } else {
        "plates"
    };
    format!(
        "{} of {} on shelf {}, {plates} {}, at {:.2} s",
        capitalised(text::kind(o.kind)),
        o.delta_mg.abs(),
        o.shelf,
        text::plates_text(&o.plates),
        o.t_s,
    )
}

fn decided(story: &Story) -> String {
    let o = &story.outline;
    if o.probability_ppm == 0 {
        return o.reason.clone().unwrap_or_else(|| o.verdict.to_owned());
    }
    let reason = o
        .reason
        .as_ref()
        .map_or(String::new(), |r| format!(" ({r})"));
    let (percent, parts) = (text::percent(o.probability_ppm), parts_text(&o.parts));
    format!("{}{reason}: {parts}, {percent}", o.verdict)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    first + letters.as_str()
}

/// The plates of the shelf that moved, the changed ones first.
fn weights(played: &Played<'_>, change: &Change) -> Vec<Line> {
    let seen = &change.observation;
    let changed: BTreeSet<u16> = seen.plates.iter().map(|p| p.plate).collect();
    let shelf = played.definition.layout.shelves.get(&seen.shelf);
    let mut moved: Vec<(bool, f64, PlateId, Series)> = (shelf.into_iter().flat_map(|s| &s.plates))
        .filter_map(|plate| {
            let (from, to) = (
                seen.peak.plus_seconds(-WINDOW_S),
                seen.peak.plus_seconds(WINDOW_S),
            );
            let before = traces::level(played, plate.id, seen.start, seen.end).before?;
            let points: Series = (played.weights(plate.id, from, to).into_iter())
                .map(|(at, grams)| (at.seconds_since(seen.peak), grams - before))
                .collect();
            let most = points.iter().map(|p| p.1.abs()).fold(0.0, f64::max);
            let is_changed = changed.contains(&plate.id.plate);
            (is_changed || most > MOVED_G).then_some((is_changed, most, plate.id, points))
        })
        .collect();
    moved.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)));
    (moved.into_iter().take(SERIES_MAX).enumerate())
        .map(|(index, (_, _, plate, points))| Line {
            label: format!("plate {}", plate.plate),
            colour: plot::colour(index),
            dashed: false,
            points,
        })
        .collect()
}

/// Hands and heads of the shoppers who were near.
fn distances(played: &Played<'_>, change: &Change, story: &Story) -> Vec<Line> {
    let seen = &change.observation;
    let Some(place) = Place::of(&played.definition, seen.shelf, &seen.plates) else {
        return Vec::new();
    };
    let tracks = story.near.iter().filter_map(|n| n.track.as_ref());
    (tracks.take(SERIES_MAX).enumerate())
        .flat_map(|(index, track)| {
            let (hands, heads) = traces::distances(&played.tracks, track, &place, seen.peak);
            [("hand", hands, false), ("head", heads, true)].map(|(what, points, dashed)| Line {
                label: format!("{}, {what}", shortened(track.as_str())),
                colour: plot::colour(index),
                dashed,
                points,
            })
        })
        .filter(|line| !line.points.is_empty())
        .collect()
}

/// The end of a long name, by which random ones can be told apart.
fn shortened(name: &str) -> String {
    const LETTERS_MAX: usize = 12;
    let letters = name.chars().count();
    if letters <= LETTERS_MAX {
        return name.to_owned();
    }
    let end: String = name.chars().skip(letters - LETTERS_MAX + 1).collect();
    format!("…{end}")
}

/// The range of all values up to `max`, with some room.
fn padded(lines: &[Line], max: f64) -> Range<f64> {
    let values = || lines.iter().flat_map(|l| &l.points).map(|p| p.1.min(max));
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let room = (0.06 * (high - low)).max(0.02);
    low - room..high + room
}

fn panel(area: &Area<'_>, panel: &Panel<'_>) -> Drawn {
    let (left, legend) = area.split_horizontally(SIZE.0 - LEGEND_WIDTH);
    let (caption, left) = left.split_vertically(22);
    let heading = format!("{} ({})", panel.title, panel.unit);
    caption.draw(&Text::new(heading, (20, 4), plot::text(13, true, &INK)))?;
    let peak = panel.peak_t_s;
    let mut chart = ChartBuilder::on(&left)
        .margin_top(16)
        .margin_right(8)
        .x_label_area_size(if panel.has_time_axis { 46 } else { 12 })
        .y_label_area_size(64)
        .build_cartesian_2d(peak - WINDOW_S..peak + WINDOW_S, panel.values.clone())?;
    let time = |t: &f64| match panel.has_time_axis {
        true => format!("{t:.1}"),
        false => String::new(),
    };
    let value = |v: &f64| axis_label(*v, &panel.values);
    let mut mesh = chart.configure_mesh();
    mesh.axis_style(GRID)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .x_labels(7)
        .y_labels(6)
        .x_label_formatter(&time)
        .y_label_formatter(&value)
        .label_style(plot::text(12, false, &FAINT_INK))
        .axis_desc_style(plot::text(12, false, &FAINT_INK));
    if panel.has_time_axis {
        mesh.x_desc("seconds from the recording's start");
    }
    mesh.draw()?;
    marks(&mut chart, panel)?;
    for line in &panel.lines {
        let style = line.colour.stroke_width(2);
        // Without a look at the gaps a line would claim what nobody saw.
        for points in line.points.chunk_by(|a, b| b.0 - a.0 <= GAP_S) {
            let points = points
                .iter()
                .map(|(t, v)| (peak + t, v.clamp(panel.values.start, panel.values.end)));
            if line.dashed {
                let thin = line.colour.stroke_width(1);
                chart.draw_series(DashedLineSeries::new(points, 5, 4, thin))?;
            } else {
                chart.draw_series(LineSeries::new(points, style))?;
            }
        }
    }
    for (row, line) in (0..).zip(&panel.lines) {
        let y = 46 + 20 * row;
        let style = line.colour.stroke_width(if line.dashed { 1 } else { 3 });
        let ends: &[(i32, i32)] = if line.dashed {
            &[(0, 8), (13, 21)]
        } else {
            &[(0, 21)]
        };
        for (from, to) in ends {
            legend.draw(&PathElement::new(vec![(8 + from, y), (8 + to, y)], style))?;
        }
        let centred = plot::text(12, false, &INK).pos(Pos::new(HPos::Left, VPos::Center));
        legend.draw(&Text::new(line.label.clone(), (36, y), centred))?;
    }
    Ok(())
}

/// Digits as the range needs them.
fn axis_label(value: f64, range: &Range<f64>) -> String {
    let digits = if range.end - range.start > 20.0 { 0 } else { 1 };
    // No minus sign before a zero.
    let value = if value.abs() < 1e-9 { 0.0 } else { value };
    format!("{value:.digits$}")
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// Upright lines where the change began, happened and ended; their names above the upper panel only.
fn marks(chart: &mut Chart<'_, '_>, panel: &Panel<'_>) -> Drawn {
    let Range {
        start: low,
        end: high,
    } = panel.values;
    for &(t, name) in panel.marks.iter().filter(|(t, _)| t.abs() <= WINDOW_S) {
        let is_peak = t == 0.0;
        let style = if is_peak {
            INK.stroke_width(1)
        } else {
            FAINT_INK.stroke_width(1)
        };
        let points = [low, high].map(|v| (panel.peak_t_s + t, v));
        if is_peak {
            chart.draw_series(LineSeries::new(points, style))?;
        } else {
            chart.draw_series(DashedLineSeries::new(points, 2, 4, style))?;
        }
        if panel.has_time_axis {
            continue;
        }
        // The change is never far from its start and its end: names go to the side where there is room.
        let side = if is_peak {
            HPos::Left
        } else if t < 0.0 {
            HPos::Right
        } else {
            HPos::Left
        };
        let style = plot::text(11, is_peak, &FAINT_INK).pos(Pos::new(side, VPos::Bottom));
        let aside = match side {
            HPos::Left => 4,
            HPos::Center => 0,
            HPos::Right => -4,
        };
        let top = EmptyElement::at((panel.peak_t_s + t, high));
        let area = chart.plotting_area();
        area.draw(&(top + Text::new(name.to_owned(), (aside, -3), style)))?;
    }
    Ok(())
}
