//! Boxes around what a picture shows.

use serde::{Deserialize, Serialize};

/// An upright rectangle in pixels: `x0`, `y0` is the top left corner, `x1`, `y1` the bottom right one.
///
/// Pixel (0, 0) covers the square from 0 to 1 both ways, so a whole picture is 0, 0, width, height. Written as
/// `[x0, y0, x1, y1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 4]", into = "[f64; 4]")]
pub struct BoundingBox {
    pub x0: f64,
    pub y0: f64,
    pub x1: f64,
    pub y1: f64,
}

impl BoundingBox {
    /// The box with that top left corner.
    pub fn at(left: f64, top: f64, width: f64, height: f64) -> Self {
        BoundingBox {
            x0: left,
            y0: top,
            x1: left + width,
            y1: top + height,
        }
    }

    pub fn width(&self) -> f64 {
        (self.x1 - self.x0).max(0.0)
    }

    pub fn height(&self) -> f64 {
        (self.y1 - self.y0).max(0.0)
    }

    /// Square pixels; 0 for a box turned inside out.
    pub fn area(&self) -> f64 {
        self.width() * self.height()
    }

    pub fn centre(&self) -> [f64; 2] {
        [(self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0]
    }

    /// What both boxes cover, square pixels.
    pub fn intersection(&self, other: &Self) -> f64 {
        let width = self.x1.min(other.x1) - self.x0.max(other.x0);
        let height = self.y1.min(other.y1) - self.y0.max(other.y0);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union, 0 to 1; 0 where both are empty.
    pub fn iou(&self, other: &Self) -> f64 {
        let both = self.intersection(other);
        let either = self.area() + other.area() - both;
        if either > 0.0 { both / either } else { 0.0 }
    }

    /// The share of this box that lies inside the other, 0 to 1.
    pub fn share_inside(&self, other: &Self) -> f64 {
        if self.area() > 0.0 {
            self.intersection(other) / self.area()
        } else {
            0.0
        }
    }

    /// The part of it within a picture of that size.
    pub fn clipped(&self, width: f64, height: f64) -> Self {
        BoundingBox {
            x0: self.x0.clamp(0.0, width),
            y0: self.y0.clamp(0.0, height),
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
        }
    }

    /// Whether every number is finite and it covers something.
    pub fn is_sound(&self) -> bool {
        [self.x0, self.y0, self.x1, self.y1]
            .iter()
            .all(|n| n.is_finite())
            && self.area() > 0.0
    }
}

impl From<[f64; 4]> for BoundingBox {
    fn from([x0, y0, x1, y1]: [f64; 4]) -> Self {
        BoundingBox { x0, y0, x1, y1 }
    }
}

impl From<BoundingBox> for [f64; 4] {
    fn from(b: BoundingBox) -> [f64; 4] {
        [b.x0, b.y0, b.x1, b.y1]
    }
}

/// Something that was found in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    #[serde(rename = "box")]
    pub bounds: BoundingBox,
    /// The detector's confidence, 0 to 1.
    pub score: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        let a = BoundingBox::at(0.0, 0.0, 10.0, 10.0);
        for (other, iou, inside) in [
            (a, 1.0, 1.0),
            (BoundingBox::at(5.0, 0.0, 10.0, 10.0), 50.0 / 150.0, 0.5),
            (BoundingBox::at(10.0, 0.0, 10.0, 10.0), 0.0, 0.0),
            (BoundingBox::at(0.0, 0.0, 20.0, 20.0), 0.25, 1.0),
            (BoundingBox::at(3.0, 3.0, 0.0, 0.0), 0.0, 0.0),
            (BoundingBox::at(9.0, 9.0, -4.0, -4.0), 0.0, 0.0),
        ] {
            assert!((a.iou(&other) - iou).abs() < 1e-12, "{other:?}");
            assert!((a.share_inside(&other) - inside).abs() < 1e-12, "{other:?}");
        }
    }

    #[test]
    fn clipping_leaves_what_is_in_the_picture() {
        let b = BoundingBox::at(-5.0, 8.0, 10.0, 10.0).clipped(20.0, 12.0);
        assert_eq!(<[f64; 4]>::from(b), [0.0, 8.0, 5.0, 12.0]);
        assert!(b.is_sound());
        assert!(
            !BoundingBox::at(30.0, 0.0, 5.0, 5.0)
                .clipped(20.0, 12.0)
                .is_sound()
        );
    }
}
