//! How well tracks keep to people: the CLEAR MOT metrics.
//!
//! Bernardin and Stiefelhagen, "Evaluating multiple object tracking performance", 2008, with the MOTChallenge's rule that a
//! pair of the frame before is kept as long as it overlaps enough.

use std::collections::BTreeMap;

use crate::vision::assignment::assign;
use crate::vision::bounding_box::{BoundingBox, Detection};

/// A pair overlaps at least by this.
const IOU_MIN: f64 = 0.5;

/// Boxes with the number of who it is, by frame.
pub type Tracks = BTreeMap<u32, Vec<(u64, BoundingBox)>>;

/// What was counted over all frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MotScore {
    /// Boxes of the truth.
    pub present: u32,
    pub misses: u32,
    pub false_positives: u32,
    /// Times at which somebody's track became another one.
    pub id_switches: u32,
}

impl MotScore {
    /// Multiple object tracking accuracy, at most 1; below 0 where there are more errors than people.
    pub fn mota(&self) -> f64 {
        let errors = self.misses + self.false_positives + self.id_switches;
        1.0 - f64::from(errors) / f64::from(self.present.max(1))
    }
}

/// Holds tracks against the truth.
pub fn score(truth: &Tracks, tracks: &Tracks) -> MotScore {
    let mut score = MotScore::default();
    // Whose track each was last.
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    let mut frames: Vec<u32> = truth.keys().chain(tracks.keys()).copied().collect();
    frames.sort_unstable();
    frames.dedup();
    for frame in frames {
        let there = truth.get(&frame).map_or(&[][..], Vec::as_slice);
        let seen = tracks.get(&frame).map_or(&[][..], Vec::as_slice);
        let pairs = pair(there, seen, &last);
        score.present += there.len() as u32;
        score.misses += (there.len() - pairs.len()) as u32;
        score.false_positives += (seen.len() - pairs.len()) as u32;
        for (person, track) in pairs {
            if last
                .insert(person, track)
                .is_some_and(|before| before != track)
            {
                score.id_switches += 1;
            }
        }
    }
    score
}

/// Who is seen as which track in a frame.
fn pair(
    there: &[(u64, BoundingBox)],
    seen: &[(u64, BoundingBox)],
    last: &BTreeMap<u64, u64>,
) -> Vec<(u64, u64)> {
    let cost = |(person, place): &(u64, BoundingBox)| -> Vec<f64> {
        (seen.iter())
            .map(|(track, found)| {
                let iou = place.iou(found);
                // A pair of before counts for more than any two others.
                let kept = last.get(person) == Some(track);
                match iou >= IOU_MIN {
                    true if kept => -1e3,
                    true => 1.0 - iou,
                    false => f64::INFINITY,
                }
            })
            .collect()
    };
    let costs: Vec<Vec<f64>> = there.iter().map(cost).collect();
    let chosen = assign(&costs);
    (there.iter().zip(chosen))
        .filter_map(|((person, _), column)| Some((*person, seen[column?].0)))
        .collect()
}

/// A line of a MOTChallenge file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: a line is `frame, id, left, top, width, height, score, ...`")]
pub struct BadLine {
    /// From 1.
    pub line: usize,
}

/// Reads a file in MOTChallenge's form: frame, identity (-1 where there is none), box and score of each line.
pub fn parse(text: &str) -> Result<Vec<(u32, i64, Detection)>, BadLine> {
    let lines = (1..).zip(text.lines());
    let filled = lines.filter(|(_, text)| !text.trim().is_empty());
    filled
        .map(|(line, text)| parse_line(text).ok_or(BadLine { line }))
        .collect()
}

fn parse_line(text: &str) -> Option<(u32, i64, Detection)> {
    let mut numbers = text
        .split(',')
        .map(|field| field.trim().parse::<f64>().ok());
    let mut next = || numbers.next().flatten().filter(|n| n.is_finite());
    let (frame, id) = (next()?, next()?);
    let bounds = BoundingBox::at(next()?, next()?, next()?, next()?);
    let score = next()?;
    let whole = frame >= 0.0 && frame.fract() == 0.0 && id.fract() == 0.0;
    whole.then_some((frame as u32, id as i64, Detection { bounds, score }))
}

/// The lines that name who it is, by frame; a score of 0 marks what does not count.
pub fn by_frame(lines: &[(u32, i64, Detection)]) -> Tracks {
    let mut tracks = Tracks::new();
    for (frame, id, found) in lines {
        if let Ok(id) = u64::try_from(*id)
            && found.score > 0.0
        {
            tracks.entry(*frame).or_default().push((id, found.bounds));
        }
    }
    tracks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64) -> BoundingBox {
        BoundingBox::at(x, 0.0, 10.0, 20.0)
    }

    #[test]
    fn counts() {
        let truth = Tracks::from([
            (1, vec![(1, at(0.0)), (2, at(100.0))]),
            (2, vec![(1, at(2.0)), (2, at(100.0))]),
            (3, vec![(1, at(4.0))]),
        ]);
        for (tracks, expected) in [
            (truth.clone(), (0, 0, 0)),
            (Tracks::new(), (5, 0, 0)),
            // Another number for the first from the second frame on; a box where nobody is.
            (
                Tracks::from([
                    (1, vec![(7, at(0.0)), (8, at(100.0))]),
                    (2, vec![(9, at(2.0)), (8, at(100.0)), (4, at(300.0))]),
                    (3, vec![(9, at(4.0))]),
                    (4, vec![(9, at(4.0))]),
                ]),
                (0, 2, 1),
            ),
            // The pair of before is kept though another track overlaps more.
            (
                Tracks::from([
                    (1, vec![(7, at(0.0)), (8, at(100.0))]),
                    (2, vec![(7, at(4.0)), (9, at(2.0)), (8, at(100.0))]),
                    (3, vec![(7, at(4.0))]),
                ]),
                (0, 1, 0),
            ),
        ] {
            let found = score(&truth, &tracks);
            let counted = (found.misses, found.false_positives, found.id_switches);
            assert_eq!(counted, expected, "{tracks:?}");
            assert_eq!(found.present, 5);
        }
    }

    #[test]
    fn lines() {
        let text = "1,-1,281.9,187.4,79.9,209.5,0.99,-1,-1,-1\n\n2, 3, 1, 2, 3, 4, 1\n";
        let lines = parse(text).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(by_frame(&lines).keys().collect::<Vec<_>>(), [&2]);
        for bad in [
            "1,2,3",
            "x",
            "1,-1,1,2,3,4,NaN",
            "-1,-1,1,2,3,4,1",
            "1.5,1,1,2,3,4,1",
        ] {
            assert_eq!(parse(&format!("\n{bad}")).unwrap_err().line, 2, "{bad}");
        }
    }
}
