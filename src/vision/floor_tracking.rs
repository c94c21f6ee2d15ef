//! People on the floor, from the tracks that several cameras have of them.
//!
//! Each person has a place and a velocity (a Kalman filter with constant velocity). What a camera sees is given to the people
//! by distance, camera by camera; the track of a camera that was somebody's before stays theirs unless it leaves them.

use std::collections::BTreeMap;

use super::assignment::assign;
use super::camera_geometry::Standing;

/// Standard deviation of the acceleration of somebody who shops, m/s².
const ACCELERATION: f64 = 1.5;
/// Of the speed of somebody who has just been seen, m/s.
const SPEED: f64 = 1.0;
/// A sighting is somebody's if its squared distance in standard deviations is below this: 99 % of theirs are (chi squared, two
/// degrees of freedom).
const DISTANCE_SQUARED_MAX: f64 = 9.21;
/// The same for the track of a camera that was theirs before.
const KEPT_DISTANCE_SQUARED_MAX: f64 = 25.0;
/// Two people whom no camera sees at once, this near to each other for so many steps, are one.
const SAME_M: f64 = 0.6;
const SAME_STEPS: u32 = 8;
/// Somebody is shown from so many steps in which they were seen.
const SHOWN_AFTER: u32 = 3;
/// Somebody who is not seen for longer has left, seconds.
const UNSEEN_S_MAX: f64 = 2.0;
/// People at a time, at most: a small store's door would not let in more.
const PEOPLE_MAX: usize = 128;

/// What one camera sees of somebody at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloorSighting {
    /// Index of the camera.
    pub camera: usize,
    /// The camera's own track.
    pub track: u64,
    pub standing: Standing,
    /// The detector's, 0 to 1.
    pub score: f64,
}

/// Somebody on the floor.
#[derive(Clone, Debug, PartialEq)]
pub struct FloorPerson {
    /// From 1, never given twice.
    pub id: u64,
    /// Metres.
    pub x: f64,
    pub y: f64,
    /// Standard deviation of either, metres.
    pub sigma_m: f64,
    /// The cameras that see them now.
    pub cameras: Vec<usize>,
    /// The best score of a sighting now; 0 if no camera sees them.
    pub score: f64,
}

/// One coordinate and its speed, with their covariance.
#[derive(Clone, Copy, Debug)]
struct Axis {
    place: f64,
    speed: f64,
    covariance: [f64; 3],
}

impl Axis {
    fn new(place: f64, sigma: f64) -> Self {
        Axis {
            place,
            speed: 0.0,
            covariance: [sigma * sigma, 0.0, SPEED * SPEED],
        }
    }

    fn predict(&mut self, dt: f64) {
        let [pp, ps, ss] = self.covariance;
        let noise = ACCELERATION * ACCELERATION;
        self.place += self.speed * dt;
        self.covariance = [
            pp + 2.0 * dt * ps + dt * dt * ss + noise * dt.powi(4) / 4.0,
            ps + dt * ss + noise * dt.powi(3) / 2.0,
            ss + noise * dt * dt,
        ];
    }

    fn correct(&mut self, seen: f64, sigma: f64) {
        let [pp, ps, ss] = self.covariance;
        let total = pp + sigma * sigma;
        let residual = seen - self.place;
        self.place += pp / total * residual;
        self.speed += ps / total * residual;
        self.covariance = [
            pp - pp * pp / total,
            ps - ps * pp / total,
            ss - ps * ps / total,
        ];
    }

    fn variance(&self) -> f64 {
        self.covariance[0]
    }
}

#[derive(Clone, Debug)]
struct Person {
    id: u64,
    x: Axis,
    y: Axis,
    seen_steps: u32,
    unseen_s: f64,
    /// The track of each camera that was last theirs.
    tracks: BTreeMap<usize, u64>,
    cameras: Vec<usize>,
    score: f64,
    /// For how many steps somebody older has been right here whom no camera sees beside them.
    beside: BTreeMap<u64, u32>,
}

impl Person {
    fn distance_squared(&self, seen: &Standing) -> f64 {
        let (dx, dy) = (seen.x - self.x.place, seen.y - self.y.place);
        let noise = seen.sigma_m * seen.sigma_m;
        dx * dx / (self.x.variance() + noise) + dy * dy / (self.y.variance() + noise)
    }

    fn take(&mut self, seen: &FloorSighting) {
        self.x.correct(seen.standing.x, seen.standing.sigma_m);
        self.y.correct(seen.standing.y, seen.standing.sigma_m);
        self.tracks.insert(seen.camera, seen.track);
        self.cameras.push(seen.camera);
        self.score = self.score.max(seen.score);
    }
}

/// Follows people over the floor.
#[derive(Clone, Debug, Default)]
pub struct FloorTracker {
    people: Vec<Person>,
    last_id: u64,
}

impl FloorTracker {
    /// Takes what all cameras see `dt` seconds after the step before, and gives the people, by id.
    pub fn step(&mut self, dt: f64, seen: &[FloorSighting]) -> Vec<FloorPerson> {
        for person in &mut self.people {
            person.x.predict(dt);
            person.y.predict(dt);
            person.cameras.clear();
            person.score = 0.0;
        }
        let mut cameras: Vec<usize> = seen.iter().map(|s| s.camera).collect();
        cameras.sort_unstable();
        cameras.dedup();
        for camera in cameras {
            let of_camera: Vec<&FloorSighting> =
                seen.iter().filter(|s| s.camera == camera).collect();
            self.give(&of_camera);
        }
        for person in &mut self.people {
            if person.cameras.is_empty() {
                person.unseen_s += dt;
            } else {
                person.unseen_s = 0.0;
                person.seen_steps += 1;
            }
        }
        // Who was seen only for a moment leaves at once.
        self.people.retain(|p| {
            p.unseen_s
                <= if p.seen_steps < SHOWN_AFTER {
                    0.3
                } else {
                    UNSEEN_S_MAX
                }
        });
        self.join();
        let shown = self.people.iter().filter(|p| p.seen_steps >= SHOWN_AFTER);
        shown
            .map(|p| FloorPerson {
                id: p.id,
                x: p.x.place,
                y: p.y.place,
                sigma_m: p.x.variance().max(p.y.variance()).sqrt(),
                cameras: p.cameras.clone(),
                score: p.score,
            })
            .collect()
    }

    /// Gives what one camera sees to the people; who is left over is somebody new.
    fn give(&mut self, seen: &[&FloorSighting]) {
        let cost = |person: &Person| -> Vec<f64> {
            (seen.iter())
                .map(|s| {
                    let distance = person.distance_squared(&s.standing);
                    let kept = person.tracks.get(&s.camera) == Some(&s.track);
                    match kept {
                        true if distance < KEPT_DISTANCE_SQUARED_MAX => {
                            distance - KEPT_DISTANCE_SQUARED_MAX
                        }
                        false if distance < DISTANCE_SQUARED_MAX => distance,
                        true | false => f64::INFINITY,
                    }
                })
                .collect()
        };
        let costs: Vec<Vec<f64>> = self.people.iter().map(cost).collect();
        let mut left = vec![true; seen.len()];
        for (person, column) in self.people.iter_mut().zip(assign(&costs)) {
            if let Some(column) = column {
                person.take(seen[column]);
                left[column] = false;
            }
        }
        for (sighting, _) in seen.iter().zip(left).filter(|(_, left)| *left) {
            if self.people.len() >= PEOPLE_MAX {
                break;
            }
            self.last_id += 1;
            let standing = sighting.standing;
            self.people.push(Person {
                id: self.last_id,
                x: Axis::new(standing.x, standing.sigma_m),
                y: Axis::new(standing.y, standing.sigma_m),
                seen_steps: 0,
                unseen_s: 0.0,
                tracks: BTreeMap::from([(sighting.camera, sighting.track)]),
                cameras: vec![sighting.camera],
                score: sighting.score,
                beside: BTreeMap::new(),
            });
        }
    }

    /// Makes one of two that can't be told apart for a while: the older stays.
    fn join(&mut self) {
        let mut gone: Vec<usize> = Vec::new();
        for later in 1..self.people.len() {
            for earlier in 0..later {
                let (a, b) = (&self.people[earlier], &self.people[later]);
                let near = (a.x.place - b.x.place).hypot(a.y.place - b.y.place) < SAME_M;
                let apart = a.cameras.iter().any(|c| b.cameras.contains(c));
                let older = a.id;
                let beside = &mut self.people[later].beside;
                if near && !apart {
                    let steps = beside.entry(older).or_insert(0);
                    *steps += 1;
                    if *steps >= SAME_STEPS {
                        gone.push(later);
                    }
                } else {
                    beside.remove(&older);
                }
            }
        }
        gone.sort_unstable();
        gone.dedup();
        for index in gone.into_iter().rev() {
            self.people.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sees(camera: usize, track: u64, x: f64, y: f64) -> FloorSighting {
        let standing = Standing {
            x,
            y,
            sigma_m: 0.25,
        };
        FloorSighting {
            camera,
            track,
            standing,
            score: 0.9,
        }
    }

    #[test]
    fn two_cameras_see_one_person() {
        let mut floor = FloorTracker::default();
        let mut people = Vec::new();
        for step in 0..40 {
            let x = 0.1 * f64::from(step);
            // The second camera is off by 20 cm, and sees the person in the middle of the way only.
            let mut seen = vec![sees(0, 1, x, 0.0)];
            if (10..30).contains(&step) {
                seen.push(sees(1, 7, x + 0.2, 0.1));
            }
            people = floor.step(0.1, &seen);
            assert!(people.len() <= 1, "{step}: {people:?}");
        }
        assert_eq!(people[0].id, 1);
        assert!((people[0].x - 3.9).abs() < 0.15, "{people:?}");
    }

    #[test]
    fn one_camera_hands_over_to_another() {
        let mut floor = FloorTracker::default();
        let mut ids = Vec::new();
        for step in 0..60 {
            let x = 0.1 * f64::from(step);
            // Out of sight of both for half a second.
            let seen = match step {
                0..28 => vec![sees(0, 1, x, 0.0)],
                28..33 => vec![],
                _ => vec![sees(1, 4, x, 0.1)],
            };
            ids.extend(floor.step(0.1, &seen).iter().map(|p| p.id));
        }
        ids.dedup();
        assert_eq!(ids, [1]);
    }

    #[test]
    fn two_people_who_pass_each_other_stay_two() {
        let mut floor = FloorTracker::default();
        for step in 0..40 {
            let x = 0.1 * f64::from(step);
            let people = floor.step(0.1, &[sees(0, 1, x, 0.0), sees(0, 2, 3.9 - x, 0.8)]);
            if step > 5 {
                assert_eq!(
                    people.iter().map(|p| p.id).collect::<Vec<_>>(),
                    [1, 2],
                    "{step}"
                );
            }
        }
        for _ in 0..30 {
            floor.step(0.1, &[]);
        }
        assert_eq!(floor.step(0.1, &[]), []);
    }

    #[test]
    fn two_of_whom_it_turns_out_that_they_are_one() {
        let mut floor = FloorTracker::default();
        // Far apart at first, as of a body that is cut off by the picture's edge.
        for step in 0..40 {
            let off = f64::max(3.0 - 0.2 * f64::from(step), 0.0);
            floor.step(0.1, &[sees(0, 1, 0.0, 0.0), sees(1, 5, off, 0.0)]);
        }
        let people = floor.step(0.1, &[sees(0, 1, 0.0, 0.0), sees(1, 5, 0.0, 0.0)]);
        assert_eq!(people.len(), 1, "{people:?}");
        assert_eq!(people[0].cameras, [0, 1]);
    }
}
