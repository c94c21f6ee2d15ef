//! From a place in a picture to a place in the store, and back: a pinhole camera with radial and tangential distortion
//! (Brown, "Close-range camera calibration", 1971; coefficients in OpenCV's order).

use super::bounding_box::BoundingBox;
use crate::units::Point;

/// Steps of the search for the undistorted place; it halves its error in each at the very least.
const UNDISTORT_STEPS: usize = 30;
/// Height of a head that is taken where feet are not seen, metres: the middle of adults'.
pub const HEAD_M: f64 = 1.65;
/// A box that ends this near to the picture's lower edge may go on beyond it, as a share of the picture's height.
const EDGE_SHARE: f64 = 0.02;
/// A place that is further from the camera is not believed, metres.
const FAR_M: f64 = 30.0;

/// A calibrated camera. Places in a picture are shares of its width and height, so that the size does not matter.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraGeometry {
    /// Where it is, metres in the store's coordinates.
    pub place: Point,
    /// Directions in the store of the picture's right, of its down, and of the view; each of length 1.
    pub axes: [[f64; 3]; 3],
    /// Focal length, as shares of width and height.
    pub focal: [f64; 2],
    /// Where the view's axis meets the picture, shares of width and height.
    pub centre: [f64; 2],
    /// k1, k2, p1, p2, k3.
    pub distortion: [f64; 5],
}

/// Where a body stands on the floor, as one camera sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Metres, on the floor.
    pub x: f64,
    pub y: f64,
    /// Standard deviation of either, metres.
    pub sigma_m: f64,
}

impl CameraGeometry {
    /// Where a place of the store is in the picture, as shares; `None` behind the camera.
    pub fn project(&self, point: &Point) -> Option<[f64; 2]> {
        let from = [
            point.x - self.place.x,
            point.y - self.place.y,
            point.z - self.place.z,
        ];
        let along = |axis: &[f64; 3]| -> f64 { axis.iter().zip(from).map(|(a, f)| a * f).sum() };
        let [right, down, ahead] = [
            along(&self.axes[0]),
            along(&self.axes[1]),
            along(&self.axes[2]),
        ];
        if ahead <= 1e-6 {
            return None;
        }
        let [x, y] = self.distorted([right / ahead, down / ahead]);
        Some([
            x * self.focal[0] + self.centre[0],
            y * self.focal[1] + self.centre[1],
        ])
    }

    /// The place at a height (metres) that is seen at a place in the picture, or somewhat beside it; `None` if the line of sight
    /// does not come there within 30 m.
    pub fn at_height(&self, [u, v]: [f64; 2], height_m: f64) -> Option<Point> {
        // Further out the distortion's polynomial says nothing of the lens.
        if ![u, v].iter().all(|share| (-0.25..=1.25).contains(share)) {
            return None;
        }
        let [x, y] = self.undistorted([
            (u - self.centre[0]) / self.focal[0],
            (v - self.centre[1]) / self.focal[1],
        ])?;
        let [right, down, ahead] = self.axes;
        let along = |i: usize| right[i] * x + down[i] * y + ahead[i];
        let rise = along(2);
        let distance = (height_m - self.place.z) / rise;
        if !distance.is_finite() || distance <= 0.0 {
            return None;
        }
        let point = Point {
            x: self.place.x + distance * along(0),
            y: self.place.y + distance * along(1),
            z: height_m,
        };
        (point.distance(&self.place) <= FAR_M).then_some(point)
    }

    /// Where a body stands whose box is this one, in a picture of that size: below the middle of the box's lower edge; if the
    /// body may go on below the picture, below a head of usual height.
    pub fn standing(&self, body: &BoundingBox, width: u32, height: u32) -> Option<Standing> {
        let (wide, high) = (f64::from(width), f64::from(height));
        let middle = body.centre()[0] / wide;
        let (place, sigma_m) = if body.y1 < high * (1.0 - EDGE_SHARE) {
            (self.at_height([middle, body.y1 / high], 0.0)?, 0.25)
        } else {
            // The head is a little below the box's upper edge, and people differ in height.
            let top = (body.y0 + 0.05 * body.height()) / high;
            (self.at_height([middle, top], HEAD_M)?, 0.45)
        };
        Some(Standing {
            x: place.x,
            y: place.y,
            sigma_m,
        })
    }

    fn distorted(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [k1, k2, p1, p2, k3] = self.distortion;
        let r2 = x * x + y * y;
        let radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3));
        [
            x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
            y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
        ]
    }

    /// The inverse of [`Self::distorted`] by Newton's method with numerical slopes; `None` where it does not converge, beyond
    /// what the lens shows.
    fn undistorted(&self, seen: [f64; 2]) -> Option<[f64; 2]> {
        const SLOPE: f64 = 1e-6;
        let mut at = seen;
        for _ in 0..UNDISTORT_STEPS {
            let now = self.distorted(at);
            let (dx, dy) = (seen[0] - now[0], seen[1] - now[1]);
            if dx.hypot(dy) < 1e-12 {
                break;
            }
            let right = self.distorted([at[0] + SLOPE, at[1]]);
            let down = self.distorted([at[0], at[1] + SLOPE]);
            let [a, c] = [(right[0] - now[0]) / SLOPE, (right[1] - now[1]) / SLOPE];
            let [b, d] = [(down[0] - now[0]) / SLOPE, (down[1] - now[1]) / SLOPE];
            let determinant = a * d - b * c;
            if determinant <= 1e-3 {
                return None;
            }
            at[0] += (d * dx - b * dy) / determinant;
            at[1] += (a * dy - c * dx) / determinant;
        }
        let [x, y] = self.distorted(at);
        ((x - seen[0]).hypot(y - seen[1]) < 1e-6).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At 2.4 m, looking along +y and 45° down.
    fn camera() -> CameraGeometry {
        let half = 0.5_f64.sqrt();
        CameraGeometry {
            place: Point {
                x: 1.0,
                y: -4.0,
                z: 2.4,
            },
            axes: [[1.0, 0.0, 0.0], [0.0, -half, -half], [0.0, half, -half]],
            focal: [0.8, 1.42],
            centre: [0.5, 0.46],
            distortion: [-0.47, 0.2, 0.001, -0.002, 0.0],
        }
    }

    #[test]
    fn there_and_back() {
        let camera = camera();
        for (x, y, z) in [
            (1.0, -2.0, 0.0),
            (0.2, -1.5, 0.0),
            (1.8, -2.2, 1.65),
            (2.0, 0.5, 0.3),
        ] {
            let point = Point { x, y, z };
            let seen = camera.project(&point).unwrap();
            let back = camera.at_height(seen, z).unwrap();
            assert!(back.distance(&point) < 1e-6, "{point:?} {seen:?} {back:?}");
        }
        let middle = camera.at_height(camera.centre, 0.0).unwrap();
        assert!(
            (middle.y + 1.6).abs() < 1e-9,
            "45° down from 2.4 m: {middle:?}"
        );
    }

    #[test]
    fn what_is_not_in_view() {
        let camera = camera();
        let behind = Point {
            x: 1.0,
            y: -8.0,
            z: 2.4,
        };
        assert_eq!(camera.project(&behind), None);
        assert_eq!(camera.at_height([9.0, 9.0], 0.0), None);
        // Above the horizon there is no floor, and below the camera nothing of its own height.
        let level = CameraGeometry {
            axes: [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
            ..camera
        };
        assert_eq!(level.at_height([0.5, 0.4], 0.0), None);
        assert!(level.at_height([0.5, 0.9], 0.0).is_some());
        assert_eq!(level.at_height([0.5, 0.9], 3.0), None);
    }

    #[test]
    fn a_body_stands_where_its_feet_or_else_its_head_are() {
        let camera = camera();
        let pixels = |z: f64| {
            let [u, v] = camera.project(&Point { x: 1.3, y: -1.5, z }).unwrap();
            [u * 640.0, v * 360.0]
        };
        let ([_, top], [x, bottom]) = (pixels(1.75), pixels(0.0));
        let whole = BoundingBox::at(x - 30.0, top, 60.0, bottom - top);
        let feet = camera.standing(&whole, 640, 360).unwrap();
        assert!(
            (feet.x - 1.3).abs() < 0.01 && (feet.y + 1.5).abs() < 0.01,
            "{feet:?}"
        );
        let [x, top] = pixels(1.75);
        let cut = BoundingBox {
            x0: x - 30.0,
            y0: top,
            x1: x + 30.0,
            y1: 360.0,
        };
        let head = camera.standing(&cut, 640, 360).unwrap();
        assert!((head.x - 1.3).hypot(head.y + 1.5) < 0.5, "{head:?}");
        assert!(head.sigma_m > feet.sigma_m);
    }
}
