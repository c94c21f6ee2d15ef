//! How plots look: sizes, fonts, and colours that can be told apart.
//!
//! A plot has a background of its own, so that it can be read on a light page and on a dark one.

use plotters::prelude::*;

/// The page behind everything.
pub const PAPER: RGBColor = RGBColor(255, 255, 255);
/// Titles and figures.
pub const INK: RGBColor = RGBColor(31, 41, 51);
/// Labels of axes, marks, and what is said beside.
pub const FAINT_INK: RGBColor = RGBColor(97, 110, 124);
/// The lines of the grid.
pub const GRID: RGBColor = RGBColor(228, 231, 235);

/// Colours of series: M. Okabe and K. Ito, "Color Universal Design" (2008), which the colour-blind tell apart, too;
/// without its yellow, which can't be seen on white.
const SERIES: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(80, 80, 80),
];

/// The colour of series `index`; they repeat after seven.
pub fn colour(index: usize) -> RGBColor {
    SERIES[index % SERIES.len()]
}

/// Text of that size in pixels, bold or not.
pub fn text(size: u32, bold: bool, colour: &RGBColor) -> TextStyle<'static> {
    // The drawing library sets letters smaller than it is told, by this factor.
    let size = f64::from(size) * 1.24;
    let style = if bold {
        FontStyle::Bold
    } else {
        FontStyle::Normal
    };
    ("sans-serif", size, style).into_font().color(colour)
}
