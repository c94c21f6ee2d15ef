//! Boxes of consecutive frames become tracks: the SORT and ByteTrack family.
//!
//! Each track foretells its box ([`super::kalman`]); boxes are given to tracks by overlap ([`super::assignment`]), sure
//! ones first, then doubtful ones to tracks that have nothing yet: a person half hidden is seen with a low score
//! (Bewley et al., "Simple online and realtime tracking", 2016; Zhang et al., "ByteTrack", 2022). A doubtful box never
//! begins a track.

use super::assignment::assign;
use super::bounding_box::{BoundingBox, Detection};
use super::kalman::BoxMotion;

/// When a box belongs to a track, and when a track begins and ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerSettings {
    /// A box is sure from this score.
    pub sure_min: f64,
    /// A box with a lower score is nothing at all.
    pub doubtful_min: f64,
    /// A track begins with a box of this score.
    pub begin_min: f64,
    /// A sure box may belong to a track that overlaps it by more than this.
    pub sure_iou_min: f64,
    /// A doubtful box: more than this.
    pub doubtful_iou_min: f64,
    /// A track is shown from this many frames in which it was seen; those of the first frame at once.
    pub shown_after_frames: u32,
    /// A track that is not seen for longer is over.
    pub unseen_frames_max: u32,
}

impl Default for TrackerSettings {
    fn default() -> Self {
        TrackerSettings {
            sure_min: 0.6,
            doubtful_min: 0.1,
            begin_min: 0.9,
            sure_iou_min: 0.2,
            doubtful_iou_min: 0.4,
            shown_after_frames: 1,
            unseen_frames_max: 30,
        }
    }
}

impl TrackerSettings {
    /// For a detector that says of its own scores from which one on a box is somebody.
    pub fn for_detector(score_min: f64) -> Self {
        TrackerSettings {
            sure_min: score_min,
            doubtful_min: score_min / 3.0,
            begin_min: score_min,
            ..TrackerSettings::default()
        }
    }
}

/// At most so many tracks are kept; beyond it none begins. A ceiling camera sees a room.
const TRACKS_MAX: usize = 256;

/// A body in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackedBox {
    /// From 1, never given twice.
    pub track: u64,
    pub bounds: BoundingBox,
    pub score: f64,
}

#[derive(Clone, Debug)]
struct Track {
    id: u64,
    motion: BoxMotion,
    seen_frames: u32,
    unseen_frames: u32,
    shown: bool,
}

/// Follows what a detector finds in one camera's frames.
#[derive(Clone, Debug)]
pub struct Tracker {
    settings: TrackerSettings,
    tracks: Vec<Track>,
    last_id: u64,
    first_frame: bool,
}

impl Tracker {
    pub fn new(settings: TrackerSettings) -> Self {
        Tracker {
            settings,
            tracks: Vec::new(),
            last_id: 0,
            first_frame: true,
        }
    }

    /// Takes the next frame's boxes in, and gives those that belong to tracks, by track.
    pub fn step(&mut self, found: &[Detection]) -> Vec<TrackedBox> {
        for track in &mut self.tracks {
            if track.unseen_frames > 0 {
                track.motion.hold_size();
            }
            track.motion.predict();
        }
        let settings = self.settings;
        let sound = || found.iter().filter(|d| d.bounds.is_sound());
        let sure: Vec<&Detection> = sound().filter(|d| d.score >= settings.sure_min).collect();
        let doubtful: Vec<&Detection> = sound()
            .filter(|d| (settings.doubtful_min..settings.sure_min).contains(&d.score))
            .collect();

        let mut seen: Vec<Option<Detection>> = vec![None; self.tracks.len()];
        let mut free = vec![true; sure.len()];
        // Who is new gives way to who is known.
        for shown in [true, false] {
            self.give(&mut seen, &sure, &mut free, settings.sure_iou_min, |t| {
                t.shown == shown
            });
        }
        self.give(
            &mut seen,
            &doubtful,
            &mut vec![true; doubtful.len()],
            settings.doubtful_iou_min,
            |t| t.shown && t.unseen_frames == 0,
        );
        let mut shown = self.take_in(&seen);
        shown.extend(
            self.begin(
                sure.iter()
                    .zip(&free)
                    .filter_map(|(d, &free)| free.then_some(*d)),
            ),
        );
        self.first_frame = false;
        shown.sort_by_key(|b| b.track);
        shown
    }

    /// Gives boxes that are free to the tracks of a kind that have none yet.
    fn give(
        &self,
        seen: &mut [Option<Detection>],
        boxes: &[&Detection],
        free: &mut [bool],
        iou_min: f64,
        of_kind: impl Fn(&Track) -> bool,
    ) {
        let rows: Vec<usize> = (0..self.tracks.len())
            .filter(|&t| seen[t].is_none() && of_kind(&self.tracks[t]))
            .collect();
        let columns: Vec<usize> = (0..boxes.len()).filter(|&b| free[b]).collect();
        let cost = |&row: &usize| -> Vec<f64> {
            let foretold = self.tracks[row].motion.bounds();
            (columns.iter())
                .map(|&column| {
                    let iou = foretold.iou(&boxes[column].bounds);
                    if iou > iou_min {
                        1.0 - iou
                    } else {
                        f64::INFINITY
                    }
                })
                .collect()
        };
        let costs: Vec<Vec<f64>> = rows.iter().map(cost).collect();
        for (row, column) in rows.iter().zip(assign(&costs)) {
            if let Some(column) = column.map(|c| columns[c]) {
                seen[*row] = Some(*boxes[column]);
                free[column] = false;
            }
        }
    }

    /// Moves each track to where it was seen, ends what is over, and gives what is shown.
    fn take_in(&mut self, seen: &[Option<Detection>]) -> Vec<TrackedBox> {
        let settings = self.settings;
        let mut shown = Vec::new();
        for (track, seen) in self.tracks.iter_mut().zip(seen) {
            let Some(seen) = seen else {
                track.unseen_frames += 1;
                continue;
            };
            track.motion.correct(&seen.bounds);
            track.seen_frames += 1;
            track.unseen_frames = 0;
            track.shown |= track.seen_frames >= settings.shown_after_frames;
            if track.shown {
                shown.push(TrackedBox {
                    track: track.id,
                    bounds: seen.bounds,
                    score: seen.score,
                });
            }
        }
        self.tracks.retain(|track| {
            track.unseen_frames == 0
                || track.shown && track.unseen_frames <= settings.unseen_frames_max
        });
        shown
    }

    fn begin<'d>(&mut self, boxes: impl Iterator<Item = &'d Detection>) -> Vec<TrackedBox> {
        let mut shown = Vec::new();
        for seen in boxes.filter(|d| d.score >= self.settings.begin_min) {
            if self.tracks.len() >= TRACKS_MAX {
                break;
            }
            self.last_id += 1;
            let track = Track {
                id: self.last_id,
                motion: BoxMotion::new(&seen.bounds),
                seen_frames: 1,
                unseen_frames: 0,
                shown: self.first_frame || self.settings.shown_after_frames <= 1,
            };
            if track.shown {
                shown.push(TrackedBox {
                    track: track.id,
                    bounds: seen.bounds,
                    score: seen.score,
                });
            }
            self.tracks.push(track);
        }
        shown
    }
}
