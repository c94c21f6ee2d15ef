//! Whether a camera still sees what it should: dead, frozen, black or moved.

use super::picture::Picture;
use crate::units::Timestamp;

/// A frame is compared by the mean brightness of so many cells each way.
const COLUMNS: usize = 16;
const ROWS: usize = 9;
const CELLS: usize = COLUMNS * ROWS;
/// No frame for so long: dead, seconds.
const DEAD_S: f64 = 5.0;
/// The very same frame for so long: frozen, seconds. A live sensor has noise even in the dark.
const FROZEN_S: f64 = 10.0;
/// Darker than this throughout: black (of 255).
const BLACK_MAX: f32 = 10.0;
/// The cells' pattern agrees less than this with what it was: moved, or covered.
const AGREEMENT_MIN: f32 = 0.5;
/// For so long, seconds: longer than people stand before a lens.
const MOVED_S: f64 = 60.0;
/// The pattern that it is held against follows the light of the day with this time constant, seconds.
const FOLLOWS_S: f64 = 600.0;
/// Frames that the first pattern is the mean of.
const FIRST_FRAMES: u32 = 20;

/// What is wrong with a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraTrouble {
    Dead,
    Frozen,
    Black,
    Moved,
}

impl CameraTrouble {
    /// A sentence for the operator; `camera` names it.
    pub fn sentence(self, camera: &str) -> String {
        match self {
            CameraTrouble::Dead => format!("camera {camera} gives no frames"),
            CameraTrouble::Frozen => {
                format!("camera {camera} gives the same frame again and again")
            }
            CameraTrouble::Black => format!("camera {camera} sees nothing but black"),
            CameraTrouble::Moved => format!("camera {camera} was moved, or is covered"),
        }
    }
}

/// Watches one camera's frames. What it keeps is some hundred numbers, and none of a person.
#[derive(Clone, Debug)]
pub struct CameraHealth {
    since: Timestamp,
    last_at: Option<Timestamp>,
    /// Checksum of the last frame, and since when it has been the same.
    same: Option<(u64, Timestamp)>,
    dark: bool,
    /// What the camera usually sees, and from how many frames that is known.
    usual: [f32; CELLS],
    frames: u32,
    /// Since when it has seen something else.
    strange_since: Option<Timestamp>,
    /// Mean time between frames, seconds.
    interval_s: f64,
    /// Mean brightness of the last frame, 0 to 255: what the exposure made of the light.
    brightness: f32,
}

impl CameraHealth {
    pub fn new(now: Timestamp) -> Self {
        CameraHealth {
            since: now,
            last_at: None,
            same: None,
            dark: false,
            usual: [0.0; CELLS],
            frames: 0,
            strange_since: None,
            interval_s: 0.0,
            brightness: 0.0,
        }
    }

    /// Takes a frame in.
    pub fn see(&mut self, at: Timestamp, picture: &Picture) {
        if let Some(last) = self.last_at {
            let interval_s = at.seconds_since(last).max(0.0);
            let weight = if self.interval_s == 0.0 { 1.0 } else { 0.05 };
            self.interval_s += weight * (interval_s - self.interval_s);
        }
        self.last_at = Some(at);
        let sum = checksum(picture.rgb());
        if self.same.is_none_or(|(known, _)| known != sum) {
            self.same = Some((sum, at));
        }
        let cells = cells(picture);
        let brightest = cells.iter().copied().fold(0.0, f32::max);
        self.dark = brightest < BLACK_MAX;
        self.brightness = cells.iter().sum::<f32>() / CELLS as f32;
        self.compare(at, &cells);
    }

    fn compare(&mut self, at: Timestamp, cells: &[f32; CELLS]) {
        if self.frames < FIRST_FRAMES {
            self.frames += 1;
            let weight = 1.0 / self.frames as f32;
            for (usual, now) in self.usual.iter_mut().zip(cells) {
                *usual += weight * (now - *usual);
            }
            return;
        }
        if agreement(&self.usual, cells) < AGREEMENT_MIN {
            self.strange_since.get_or_insert(at);
            return;
        }
        self.strange_since = None;
        let weight = (self.interval_s / FOLLOWS_S).min(1.0) as f32;
        for (usual, now) in self.usual.iter_mut().zip(cells) {
            *usual += weight * (now - *usual);
        }
    }

    /// What is wrong with it now, the worst first.
    pub fn trouble(&self, now: Timestamp) -> Option<CameraTrouble> {
        if now.seconds_since(self.last_at.unwrap_or(self.since)) > DEAD_S {
            return Some(CameraTrouble::Dead);
        }
        let at = self.last_at?;
        let lasts = |since: Timestamp, seconds: f64| at.seconds_since(since) > seconds;
        if self.dark {
            Some(CameraTrouble::Black)
        } else if self.same.is_some_and(|(_, since)| lasts(since, FROZEN_S)) {
            Some(CameraTrouble::Frozen)
        } else if self
            .strange_since
            .is_some_and(|since| lasts(since, MOVED_S))
        {
            Some(CameraTrouble::Moved)
        } else {
            None
        }
    }

    /// Frames a second that really come; `None` before there are two.
    pub fn rate_hz(&self) -> Option<f64> {
        (self.interval_s > 0.0).then(|| 1.0 / self.interval_s)
    }

    /// Mean brightness of the last frame, 0 to 255.
    pub fn brightness(&self) -> f32 {
        self.brightness
    }
}

/// FNV-1a over the frame.
fn checksum(bytes: &[u8]) -> u64 {
    (bytes.iter()).fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Mean brightness of each cell. Every fourth pixel each way is enough.
fn cells(picture: &Picture) -> [f32; CELLS] {
    let mut sums = [(0_u64, 0_u64); CELLS];
    let (wide, high) = (picture.width() as usize, picture.height() as usize);
    let step = if wide >= 4 * COLUMNS && high >= 4 * ROWS {
        4
    } else {
        1
    };
    for y in (0..high).step_by(step) {
        for x in (0..wide).step_by(step) {
            let cell = &mut sums[y * ROWS / high * COLUMNS + x * COLUMNS / wide];
            cell.0 += u64::from(super::picture::luma(picture.pixel(x as u32, y as u32)));
            cell.1 += 1;
        }
    }
    sums.map(|(sum, count)| {
        if count == 0 {
            0.0
        } else {
            sum as f32 / count as f32
        }
    })
}

/// Correlation of two patterns, -1 to 1: brighter or darker all over makes no difference. A plain surface agrees with nothing
/// but another one.
fn agreement(a: &[f32; CELLS], b: &[f32; CELLS]) -> f32 {
    let centred = |cells: &[f32; CELLS]| {
        let mean = cells.iter().sum::<f32>() / CELLS as f32;
        cells.map(|c| c - mean)
    };
    let (a, b) = (centred(a), centred(b));
    let dot = |a: &[f32; CELLS], b: &[f32; CELLS]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let (aa, bb) = (dot(&a, &a), dot(&b, &b));
    // Below one grey level of spread there is no pattern.
    let plain = CELLS as f32;
    match (aa < plain, bb < plain) {
        (true, true) => 1.0,
        (true, false) | (false, true) => 0.0,
        (false, false) => dot(&a, &b) / (aa * bb).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scene of stripes, with a little noise that differs from frame to frame.
    fn scene(stripe: u32, light: u8, noise: u32) -> Picture {
        let mut picture = Picture::filled(160, 90, [0; 3]);
        for n in 0..160 * 90 {
            let (x, y) = (n % 160, n / 160);
            let bright = (x / stripe + y / 30) % 2 == 0;
            let grain = ((n + noise).wrapping_mul(2_654_435_761) >> 30) as u8;
            let level = if bright { light } else { light / 3 } + grain;
            picture.set(x, y, [level; 3]);
        }
        picture
    }

    fn watch(mut frame: impl FnMut(u32) -> Option<Picture>) -> Option<CameraTrouble> {
        let mut health = CameraHealth::new(Timestamp(0));
        let mut now = Timestamp(0);
        for second in 0..200 {
            now = Timestamp(i64::from(second) * 1_000_000);
            if let Some(picture) = frame(second) {
                health.see(now, &picture);
            }
        }
        health.trouble(now)
    }

    #[test]
    fn tells_what_is_wrong() {
        assert_eq!(watch(|n| Some(scene(40, 120, n))), None);
        assert_eq!(watch(|_| None), Some(CameraTrouble::Dead));
        assert_eq!(
            watch(|n| (n < 190).then(|| scene(40, 120, n))),
            Some(CameraTrouble::Dead)
        );
        let frozen = watch(|n| Some(scene(40, 120, n.min(150))));
        assert_eq!(frozen, Some(CameraTrouble::Frozen));
        let black = watch(|n| {
            Some(if n < 100 {
                scene(40, 120, n)
            } else {
                scene(40, 3, n)
            })
        });
        assert_eq!(black, Some(CameraTrouble::Black));
        let moved = watch(|n| Some(scene(if n < 100 { 40 } else { 25 }, 120, n)));
        assert_eq!(moved, Some(CameraTrouble::Moved));
    }

    #[test]
    fn light_that_comes_and_people_who_pass_are_no_trouble() {
        assert_eq!(watch(|n| Some(scene(40, 60 + (n / 2) as u8, n))), None);
        let passing = |n: u32| scene(if n % 100 < 30 { 25 } else { 40 }, 120, n);
        assert_eq!(watch(|n| Some(passing(n + 40))), None);
    }

    #[test]
    fn measures_the_rate() {
        let mut health = CameraHealth::new(Timestamp(0));
        for n in 0..50 {
            health.see(Timestamp(i64::from(n) * 100_000), &scene(40, 120, n));
        }
        assert!((health.rate_hz().unwrap() - 10.0).abs() < 0.01);
        assert!(health.brightness() > 50.0);
    }
}
