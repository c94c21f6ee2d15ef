//! Pictures for people to look at: boxes drawn in, faces made unrecognisable.

use super::bounding_box::BoundingBox;
use super::picture::Picture;

/// Pixels of a box's line.
const LINE_PX: u32 = 2;
/// The upper part of a body in which the head is, as a share of the box's height; seen from a ceiling it is a large part.
const HEAD_SHARE: f64 = 0.4;
/// So much of the box beside it is blurred as well: boxes are not exact.
const MARGIN_SHARE: f64 = 0.1;
/// A head becomes at most so many blocks wide: too few to know anybody by.
const BLOCKS: f64 = 4.0;

/// Draws a box's outline.
pub fn outline(picture: &mut Picture, bounds: &BoundingBox, colour: [u8; 3]) {
    let (wide, high) = (picture.width(), picture.height());
    let kept = bounds.clipped(f64::from(wide), f64::from(high));
    if !kept.is_sound() {
        return;
    }
    let (left, top) = (kept.x0 as u32, kept.y0 as u32);
    let (right, bottom) = (
        (kept.x1.ceil() as u32).clamp(1, wide) - 1,
        (kept.y1.ceil() as u32).clamp(1, high) - 1,
    );
    for line in 0..LINE_PX {
        for x in left..=right {
            picture.set(x, (top + line).min(bottom), colour);
            picture.set(x, bottom.saturating_sub(line).max(top), colour);
        }
        for y in top..=bottom {
            picture.set((left + line).min(right), y, colour);
            picture.set(right.saturating_sub(line).max(left), y, colour);
        }
    }
}

/// Where the head of a person in this box may be.
pub fn head_of(person: &BoundingBox) -> BoundingBox {
    let margin_x = person.width() * MARGIN_SHARE;
    let margin_y = person.height() * MARGIN_SHARE;
    BoundingBox {
        x0: person.x0 - margin_x,
        y0: person.y0 - margin_y,
        x1: person.x1 + margin_x,
        y1: person.y0 + person.height() * HEAD_SHARE,
    }
}

/// Replaces a part of a picture by coarse blocks of its mean colours; what was there can't be got back.
pub fn blur(picture: &mut Picture, bounds: &BoundingBox) {
    let kept = bounds.clipped(f64::from(picture.width()), f64::from(picture.height()));
    if !kept.is_sound() {
        return;
    }
    let block = ((bounds.width().max(bounds.height()) / BLOCKS).ceil() as u32).max(4);
    let (left, top) = (kept.x0.floor() as u32, kept.y0.floor() as u32);
    let (right, bottom) = (kept.x1.ceil() as u32, kept.y1.ceil() as u32);
    for y in (top..bottom).step_by(block as usize) {
        for x in (left..right).step_by(block as usize) {
            let (to_x, to_y) = ((x + block).min(right), (y + block).min(bottom));
            let mean = mean(picture, [x, y], [to_x, to_y]);
            for at_y in y..to_y {
                (x..to_x).for_each(|at_x| picture.set(at_x, at_y, mean));
            }
        }
    }
}

fn mean(picture: &Picture, [x0, y0]: [u32; 2], [x1, y1]: [u32; 2]) -> [u8; 3] {
    let mut sums = [0_u64; 3];
    for y in y0..y1 {
        for x in x0..x1 {
            let pixel = picture.pixel(x, y);
            (0..3).for_each(|c| sums[c] += u64::from(pixel[c]));
        }
    }
    let pixels = (u64::from(x1 - x0) * u64::from(y1 - y0)).max(1);
    sums.map(|sum| (sum / pixels) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chequered() -> Picture {
        let mut picture = Picture::filled(40, 40, [0; 3]);
        for n in (0..1600).filter(|n| (n / 40 + n % 40) % 2 == 0) {
            picture.set(n % 40, n / 40, [255; 3]);
        }
        picture
    }

    #[test]
    fn a_blurred_head_shows_no_detail() {
        let person = BoundingBox::at(8.0, 4.0, 24.0, 30.0);
        let mut picture = chequered();
        blur(&mut picture, &head_of(&person));
        for x in 8..32 {
            for y in 4..16 {
                assert!(picture.pixel(x, y)[0].abs_diff(127) < 20, "{x}, {y}");
            }
        }
        assert_eq!(picture.pixel(20, 30), chequered().pixel(20, 30));
    }

    #[test]
    fn whatever_the_box_nothing_is_drawn_beside_the_picture() {
        for bounds in [
            BoundingBox::at(-9.0, -9.0, 90.0, 90.0),
            BoundingBox::at(38.0, 38.0, 9.0, 9.0),
            BoundingBox::at(60.0, 0.0, 5.0, 5.0),
            BoundingBox::at(f64::NAN, 0.0, 5.0, 5.0),
            BoundingBox::at(5.0, 5.0, 1.0, 1.0),
        ] {
            let mut picture = chequered();
            outline(&mut picture, &bounds, [255, 0, 0]);
            blur(&mut picture, &bounds);
            assert_eq!(picture.rgb().len(), 4800);
        }
        let mut picture = chequered();
        outline(
            &mut picture,
            &BoundingBox::at(5.0, 6.0, 10.0, 10.0),
            [255, 0, 0],
        );
        assert_eq!(
            [picture.pixel(5, 6), picture.pixel(14, 15)],
            [[255, 0, 0]; 2]
        );
        assert_ne!(picture.pixel(10, 10), [255, 0, 0]);
    }
}
