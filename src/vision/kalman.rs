//! The motion of a box from frame to frame: constant velocity, one filter a coordinate.
//!
//! State, noise and their growth with the box's height are those of SORT's successors (Wojke, Bewley and Paulus,
//! "Simple online and realtime tracking with a deep association metric", 2017). None of their matrices couples two
//! coordinates, so four filters of two numbers give what one of eight does.

use super::bounding_box::BoundingBox;

/// Noise of a position and of a velocity for each frame, as shares of the box's height.
const POSITION_NOISE: f64 = 1.0 / 20.0;
const VELOCITY_NOISE: f64 = 1.0 / 160.0;
/// The same of the width's share of the height, which hardly changes.
const ASPECT_NOISE: f64 = 1e-2;
const ASPECT_VELOCITY_NOISE: f64 = 1e-5;
const ASPECT_MEASURED_NOISE: f64 = 1e-1;

/// One coordinate and its change a frame, with their covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    position: f64,
    velocity: f64,
    /// Variance of the position, covariance, variance of the velocity.
    covariance: [f64; 3],
}

impl Axis {
    fn new(position: f64, position_sigma: f64, velocity_sigma: f64) -> Self {
        Axis {
            position,
            velocity: 0.0,
            covariance: [position_sigma.powi(2), 0.0, velocity_sigma.powi(2)],
        }
    }

    fn predict(&mut self, position_sigma: f64, velocity_sigma: f64) {
        let [pp, pv, vv] = self.covariance;
        self.position += self.velocity;
        self.covariance = [
            pp + 2.0 * pv + vv + position_sigma.powi(2),
            pv + vv,
            vv + velocity_sigma.powi(2),
        ];
    }

    fn correct(&mut self, measured: f64, sigma: f64) {
        let [pp, pv, vv] = self.covariance;
        let total = pp + sigma * sigma;
        let (gain, velocity_gain) = (pp / total, pv / total);
        let residual = measured - self.position;
        self.position += gain * residual;
        self.velocity += velocity_gain * residual;
        self.covariance = [pp - gain * pp, pv - gain * pv, vv - velocity_gain * pv];
    }
}

/// Where a box is thought to be, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxMotion {
    x: Axis,
    y: Axis,
    /// Width over height.
    aspect: Axis,
    height: Axis,
}

impl BoxMotion {
    /// A box that was seen for the first time.
    pub fn new(seen: &BoundingBox) -> Self {
        let [x, y] = seen.centre();
        let height = seen.height();
        let (position, velocity) = (
            2.0 * POSITION_NOISE * height,
            10.0 * VELOCITY_NOISE * height,
        );
        BoxMotion {
            x: Axis::new(x, position, velocity),
            y: Axis::new(y, position, velocity),
            aspect: Axis::new(seen.width() / height, ASPECT_NOISE, ASPECT_VELOCITY_NOISE),
            height: Axis::new(height, position, velocity),
        }
    }

    /// Goes on by one frame.
    pub fn predict(&mut self) {
        let height = self.height.position;
        let (position, velocity) = (POSITION_NOISE * height, VELOCITY_NOISE * height);
        self.x.predict(position, velocity);
        self.y.predict(position, velocity);
        self.aspect.predict(ASPECT_NOISE, ASPECT_VELOCITY_NOISE);
        self.height.predict(position, velocity);
    }

    /// Takes in where the box was seen.
    pub fn correct(&mut self, seen: &BoundingBox) {
        let sigma = POSITION_NOISE * self.height.position;
        let [x, y] = seen.centre();
        self.x.correct(x, sigma);
        self.y.correct(y, sigma);
        self.aspect
            .correct(seen.width() / seen.height(), ASPECT_MEASURED_NOISE);
        self.height.correct(seen.height(), sigma);
    }

    /// Keeps the height from growing or shrinking on while nothing is seen.
    pub fn hold_size(&mut self) {
        self.height.velocity = 0.0;
    }

    /// The box of the moment.
    pub fn bounds(&self) -> BoundingBox {
        let height = self.height.position.max(1.0);
        let width = (self.aspect.position * height).max(1.0);
        BoundingBox::at(
            self.x.position - width / 2.0,
            self.y.position - height / 2.0,
            width,
            height,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_the_velocity_and_goes_on_with_it() {
        let seen = |frame: f64| BoundingBox::at(10.0 + 4.0 * frame, 50.0, 40.0, 100.0);
        let mut motion = BoxMotion::new(&seen(0.0));
        for frame in 1..40 {
            motion.predict();
            motion.correct(&seen(f64::from(frame)));
        }
        for _ in 0..5 {
            motion.predict();
        }
        let (foretold, there) = (motion.bounds(), seen(44.0));
        assert!(foretold.iou(&there) > 0.97, "{foretold:?}");
    }

    #[test]
    fn a_box_at_rest_stays() {
        let seen = BoundingBox::at(10.0, 50.0, 40.0, 100.0);
        let mut motion = BoxMotion::new(&seen);
        for _ in 0..20 {
            motion.predict();
        }
        assert!(motion.bounds().iou(&seen) > 0.999_999);
    }
}
