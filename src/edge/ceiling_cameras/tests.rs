use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::edge::pictures;
use crate::store::{Definition, definition};
use crate::vision::camera_geometry::CameraGeometry;
use crate::vision::engine::{Engine, EngineError, Output};
use crate::vision::people::PeopleDetector;
use crate::vision::testing::people_card;

const SIDE: usize = 100;

/// A network to which everything bright is one person.
struct Bright;

impl Engine for Bright {
    fn run(&mut self, input: &[f32]) -> Result<Vec<Output>, EngineError> {
        let bright = (0..SIDE * SIDE).filter(|n| input[*n] > 200.0);
        let places: Vec<(usize, usize)> = bright.map(|n| (n % SIDE, n / SIDE)).collect();
        let xs = || places.iter().map(|(x, _)| *x as f32);
        let ys = || places.iter().map(|(_, y)| *y as f32);
        let values = vec![
            xs().fold(f32::MAX, f32::min),
            ys().fold(f32::MAX, f32::min),
            xs().fold(0.0, f32::max) + 1.0,
            ys().fold(0.0, f32::max) + 1.0,
            if places.is_empty() { 0.0 } else { 0.875 },
        ];
        let shape = vec![1, 1, 5];
        Ok(vec![Output { shape, values }])
    }
}

/// At 2.4 m, looking along +y and 45° down.
fn geometry() -> CameraGeometry {
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
        distortion: [0.0; 5],
    }
}

fn ceiling(now: Timestamp) -> Ceiling {
    let detector = PeopleDetector::new(&people_card(SIDE as u32), Box::new(Bright)).unwrap();
    Ceiling::new(detector, [("over-the-door".to_owned(), geometry())], now)
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000.0 + seconds)
}

/// Where somebody stands who comes in at 1 s and goes along the shelf.
fn way(t: f64) -> Option<(f64, f64)> {
    (t >= 1.0).then(|| (0.4 + 0.1 * (t - 1.0), -1.5))
}

/// What the camera sees: a grainy floor, and on it the person.
fn frame(number: u64, t: f64) -> Frame {
    const SIZE: (u32, u32) = (320, 180);
    let mut picture = Picture::filled(SIZE.0, SIZE.1, [0; 3]);
    for n in 0..SIZE.0 * SIZE.1 {
        let (x, y) = (n % SIZE.0, n / SIZE.0);
        let grain = ((n + number as u32).wrapping_mul(2_654_435_761) >> 30) as u8;
        let level = if (x / 40 + y / 30) % 2 == 0 { 90 } else { 40 };
        picture.set(x, y, [level + grain; 3]);
    }
    if let Some((x, y)) = way(t) {
        let seen = |z: f64| {
            let [u, v] = geometry().project(&Point { x, y, z }).unwrap();
            (u * f64::from(SIZE.0), v * f64::from(SIZE.1))
        };
        let ((middle, bottom), (_, top)) = (seen(0.0), seen(1.7));
        for x in middle as u32 - 12..=middle as u32 + 12 {
            (top as u32..bottom.round() as u32).for_each(|y| picture.set(x, y, [255; 3]));
        }
    }
    Frame {
        number,
        at: Some(at(t)),
        encoded: pictures::jpeg(&picture, 95).unwrap(),
        name: "test".to_owned(),
    }
}

fn store() -> Arc<Definition> {
    let parsed = definition::parse(definition::NANOSTORE, definition::NANOSTORE_FILE);
    Arc::new(parsed.unwrap().0)
}

struct Frames(VecDeque<Frame>);

impl FrameSource for Frames {
    fn next_frame(&mut self) -> Result<Option<Frame>, CameraError> {
        Ok(self.0.pop_front())
    }
}

/// Frames at 10 Hz of the seconds in which there are any.
fn frames(until: f64, there_are: impl Fn(f64) -> bool) -> Box<dyn FrameSource> {
    let times = (0..(until * 10.0) as u64).map(|n| (n, n as f64 / 10.0));
    let kept = times.filter(|(_, t)| there_are(*t));
    Box::new(Frames(kept.map(|(n, t)| frame(n, t)).collect()))
}

fn recorded(source: Box<dyn FrameSource>) -> CeilingCameras {
    let timing = Timing {
        from: at(0.0),
        rate_hz: 10.0,
        as_stamped: true,
    };
    CeilingCameras::recorded(&"cams".into(), "", ceiling(at(0.0)), vec![source], timing)
}

/// What a node says that looks every 0.2 s, each observation with the promise before it.
fn watched(mut cameras: CeilingCameras, until: f64) -> Vec<(Timestamp, Observation, String)> {
    let mut sensor = NodeSensor::new(store());
    sensor.watch_bodies(cameras.began_at());
    let (mut said, mut promised) = (Vec::new(), Timestamp::MIN);
    for tick in 1..=(until * 5.0) as u32 {
        let now = at(f64::from(tick) / 5.0);
        let mut seen = Vec::new();
        cameras.look(now, &mut sensor, &mut seen);
        let trouble = cameras.trouble().to_owned();
        said.extend(seen.into_iter().map(|o| (promised, o, trouble.clone())));
        let (promise, _) = sensor.promise(now);
        promised = promised.max(cameras.vouched().map_or(promise, |v| v.min(promise)));
    }
    assert!(promised >= at(until - 1.0), "promises go on: {promised:?}");
    said
}

#[test]
fn who_walks_below_a_camera_is_followed() {
    let said = watched(recorded(frames(7.0, |_| true)), 7.0);
    let mut heads = 0;
    for (promised, observation, trouble) in &said {
        assert!(observation.start() > *promised, "{observation:?}");
        assert_eq!(trouble, "");
        let Observation::Body(segment) = observation else {
            panic!("{observation:?}");
        };
        assert_eq!(segment.track.as_str(), "cams-1");
        assert!(segment.end.seconds_since(segment.start) <= 1.0);
        for pose in &segment.poses {
            let head = pose.head.unwrap();
            let (x, y) = way(pose.at.seconds_since(at(0.0))).unwrap();
            let off = (head.place.x - x).hypot(head.place.y - y);
            assert!(off < 0.2 && head.place.z == HEAD_M, "{x} {y}: {head:?}");
            assert_eq!((head.confidence, pose.hands.len()), (0.875, 0));
            heads += 1;
        }
    }
    // From 1 s to the last segment that is closed.
    assert!((50..=60).contains(&heads), "{heads}");
    let again = watched(recorded(frames(7.0, |_| true)), 7.0);
    assert_eq!(said, again, "the same frames, the same tracks");
}

#[test]
fn blindness_is_told_piece_by_piece_until_it_is_over() {
    let source = frames(22.0, |t| !(4.0..14.0).contains(&t));
    let said = watched(recorded(source), 22.0);
    let mut blind = Vec::new();
    for (promised, observation, trouble) in &said {
        assert!(observation.start() > *promised, "{observation:?}");
        if let Observation::Gap(gap) = observation {
            assert_eq!(gap.cause, GapCause::Blind);
            blind.push((gap.start, gap.end, trouble.clone()));
        }
    }
    // Looked at for its health once a second, and dead after five seconds without.
    let (first, last) = (blind.first().unwrap(), blind.last().unwrap());
    assert!(first.0 > at(7.9) && first.0 < at(9.2), "{blind:?}");
    assert_eq!(first.2, "camera over-the-door gives no frames");
    assert!(last.1 >= at(14.0) && last.1 < at(14.3), "{blind:?}");
    assert_eq!(last.2, "", "it sees again");
    for pieces in blind.windows(2) {
        assert_eq!(pieces[1].0, Timestamp(pieces[0].1.0 + 1));
    }
}

#[test]
fn a_live_camera_is_seen_as_it_is_now() {
    let opened = AtomicU32::new(0);
    let open = move || -> Result<Box<dyn FrameSource>, CameraError> {
        // The first time it is not there yet.
        if opened.fetch_add(1, Ordering::Relaxed) == 0 {
            let path = "/dev/video0".into();
            return Err(CameraError::NotFound { path });
        }
        Ok(Box::new(Endless(0)))
    };
    let cameras = CeilingCameras::live_by(
        &"cams".into(),
        "boot",
        ceiling(crate::edge::live::wall_now()),
        [open],
        crate::edge::live::wall_now,
    );
    let mut cameras = cameras.unwrap();
    let mut sensor = NodeSensor::new(store());
    let mut seen = Vec::new();
    while seen.is_empty() {
        std::thread::sleep(Duration::from_millis(50));
        cameras.look(Timestamp::MAX, &mut sensor, &mut seen);
    }
    let Observation::Body(segment) = &seen[0] else {
        panic!("{seen:?}");
    };
    assert!(segment.track.as_str().starts_with("cams-boot-"), "{seen:?}");
}

/// Somebody who stands still, 20 times a second.
struct Endless(u64);

impl FrameSource for Endless {
    fn next_frame(&mut self) -> Result<Option<Frame>, CameraError> {
        std::thread::sleep(Duration::from_millis(50));
        self.0 += 1;
        let mut frame = frame(self.0, 5.0);
        frame.at = None;
        Ok(Some(frame))
    }
}
