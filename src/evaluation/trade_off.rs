//! What doubt costs: the more changes wait for a person, the fewer units are charged wrongly.

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, ChartContext, LabelAreaPosition};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, Text};
use plotters::series::LineSeries;
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle};

use super::score::{Score, share};

/// Confidences that are tried, beside the store's own.
pub const CONFIDENCES: [f64; 12] = [
    0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0,
];

/// Pixels of the picture.
const SIZE: (u32, u32) = (760, 440);
/// Labels of points stand no closer, pixels.
const LABEL_GAP: i32 = 44;

// On a ground of its own the picture reads the same on a light and on a dark page.
const GROUND: RGBColor = RGBColor(250, 250, 247);
const INK: RGBColor = RGBColor(34, 40, 49);
const FAINT: RGBColor = RGBColor(214, 216, 214);
const LINE: RGBColor = RGBColor(0, 104, 139);
const OWN: RGBColor = RGBColor(192, 57, 43);

/// How a set of cases came out at one confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The policy's `confidence_min`.
    pub confidence: f64,
    /// Of all cases together.
    pub score: Score,
    /// Changes that went to a person, of so many.
    pub reviewed: u64,
    pub changes: u64,
}

impl Point {
    /// The share of the changes that went to a person.
    pub fn review_share(&self) -> f64 {
        share(self.reviewed, self.changes)
    }

    /// Wrongly charged units per charged unit; none where nothing was charged.
    pub fn wrong_share(&self) -> Option<f64> {
        (self.score.charged() > 0).then(|| share(self.score.wrong, self.score.charged()))
    }

    /// Both in percent, as they are drawn.
    fn place(&self) -> Option<(f64, f64)> {
        Some((100.0 * self.review_share(), 100.0 * self.wrong_share()?))
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn<'a> = Result<
    (),
    DrawingAreaErrorKind<<SVGBackend<'a> as plotters::prelude::DrawingBackend>::ErrorType>,
>;

/// Draws the curve as SVG, the store's own confidence `own` marked. `points` go by confidence, upwards; `title` says
/// of what.
///
/// # Errors
/// What the drawing library says; it writes to memory here.
pub fn svg(points: &[Point], own: f64, title: &str) -> Result<String, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area, points, own, title).map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

fn draw<'a>(area: &Area<'a>, points: &[Point], own: f64, title: &str) -> Drawn<'a> {
    area.fill(&GROUND)?;
    let places: Vec<_> = points.iter().filter_map(Point::place).collect();
    let most = |of: fn(&(f64, f64)) -> f64| places.iter().map(of).fold(0.0, f64::max);
    let (right, top) = (most(|p| p.0).max(1.0) * 1.08, most(|p| p.1).max(0.1) * 1.15);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .caption(title, ("sans-serif", 18).into_font().color(&INK))
        .set_label_area_size(LabelAreaPosition::Left, 64)
        .set_label_area_size(LabelAreaPosition::Bottom, 48)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(GROUND)
        .bold_line_style(FAINT)
        .axis_style(INK)
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 14).into_font().color(&INK))
        .x_desc("changes in review, % of all")
        .y_desc("units charged wrongly, % of charged")
        .x_label_formatter(&|x| number(*x))
        .y_label_formatter(&|y| number(*y))
        .draw()?;
    chart.draw_series(LineSeries::new(places, LINE.stroke_width(2)))?;
    mark(&mut chart, points, own)?;
    area.present()
}

/// Dots, and beside them the confidences, as far as there is room.
fn mark<'a>(chart: &mut Chart<'_, 'a>, points: &[Point], own: f64) -> Drawn<'a> {
    let font = |colour: &'static RGBColor| ("sans-serif", 13).into_font().color(colour);
    let mut labelled: Vec<(i32, i32)> = Vec::new();
    let is_own = |point: &Point| point.confidence.total_cmp(&own).is_eq();
    let (own_first, others): (Vec<&Point>, Vec<&Point>) =
        points.iter().partition(|point| is_own(point));
    for point in own_first.into_iter().chain(others) {
        let Some(place) = point.place() else { continue };
        let (colour, size) = if is_own(point) { (&OWN, 6) } else { (&LINE, 3) };
        let dot = Circle::new(place, size, ShapeStyle::from(colour).filled());
        chart.draw_series(std::iter::once(dot))?;
        let (x, y) = chart.backend_coord(&place);
        let crowded = |&(a, b): &(i32, i32)| (a - x).abs() < LABEL_GAP && (b - y).abs() < 18;
        if labelled.iter().any(crowded) {
            continue;
        }
        labelled.push((x, y));
        let label = if is_own(point) {
            format!("{} (the store's)", point.confidence)
        } else {
            point.confidence.to_string()
        };
        let above = chart.plotting_area().strip_coord_spec();
        let (left, top) = above.get_base_pixel();
        above.draw(&Text::new(
            label,
            (x - left + 7, y - top - 17),
            font(colour),
        ))?;
    }
    Ok(())
}

/// Without needless digits.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
