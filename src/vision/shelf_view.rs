//! What changed before a shelf's camera.

use super::bounding_box::BoundingBox;
use super::picture::Picture;

/// Pictures are compared by cells of so many pixels.
const CELL_PX: u32 = 8;
/// A cell has changed if a channel's mean differs by more than this after the light is evened out, of 255.
const DIFFERENCE_MIN: f32 = 22.0;
/// Fewer changed cells are noise.
const CELLS_MIN: usize = 4;
/// What is cut out is larger than what changed by this share on each side: the network has seen products with something around.
const MARGIN_SHARE: f64 = 0.15;

/// The part of a picture that differs from another of the same camera: the largest connected patch; `None` where nothing
/// changed or the pictures have different sizes.
pub fn changed(before: &Picture, after: &Picture) -> Option<BoundingBox> {
    if (before.width(), before.height()) != (after.width(), after.height()) {
        return None;
    }
    let (columns, rows) = (
        (before.width() / CELL_PX) as usize,
        (before.height() / CELL_PX) as usize,
    );
    if columns == 0 || rows == 0 {
        return None;
    }
    let (then, now) = (cells(before, columns, rows), cells(after, columns, rows));
    // Exposure may have changed between the frames: the middle difference of each channel is the light's.
    let light: [f32; 3] = std::array::from_fn(|channel| {
        let mut all: Vec<f32> = (then.iter().zip(&now))
            .map(|(a, b)| b[channel] - a[channel])
            .collect();
        all.sort_by(f32::total_cmp);
        all[all.len() / 2]
    });
    let differs: Vec<bool> = (then.iter().zip(&now))
        .map(|(a, b)| (0..3).any(|c| (b[c] - a[c] - light[c]).abs() > DIFFERENCE_MIN))
        .collect();
    let patch = largest_patch(differs, columns)?;
    let cell = f64::from(CELL_PX);
    let bounds = BoundingBox {
        x0: patch[0] as f64 * cell,
        y0: patch[1] as f64 * cell,
        x1: (patch[2] + 1) as f64 * cell,
        y1: (patch[3] + 1) as f64 * cell,
    };
    let margin = MARGIN_SHARE * bounds.width().max(bounds.height());
    let wider = BoundingBox {
        x0: bounds.x0 - margin,
        y0: bounds.y0 - margin,
        x1: bounds.x1 + margin,
        y1: bounds.y1 + margin,
    };
    Some(wider.clipped(f64::from(after.width()), f64::from(after.height())))
}

/// Mean colour of each cell, row by row.
fn cells(picture: &Picture, columns: usize, rows: usize) -> Vec<[f32; 3]> {
    let mean = |cell: usize| {
        let (left, top) = (
            (cell % columns) as u32 * CELL_PX,
            (cell / columns) as u32 * CELL_PX,
        );
        let mut sums = [0_u32; 3];
        // Every second pixel each way.
        for y in (top..top + CELL_PX).step_by(2) {
            for x in (left..left + CELL_PX).step_by(2) {
                let pixel = picture.pixel(x, y);
                (0..3).for_each(|c| sums[c] += u32::from(pixel[c]));
            }
        }
        let pixels = (CELL_PX * CELL_PX / 4) as f32;
        sums.map(|sum| sum as f32 / pixels)
    };
    (0..columns * rows).map(mean).collect()
}

/// Left, top, right and bottom cell of the largest patch of cells that touch each other, corners included.
fn largest_patch(mut differs: Vec<bool>, columns: usize) -> Option<[usize; 4]> {
    let rows = differs.len() / columns;
    let mut best: Option<(usize, [usize; 4])> = None;
    for start in 0..differs.len() {
        if !std::mem::take(&mut differs[start]) {
            continue;
        }
        let (mut open, mut size) = (vec![start], 0);
        let mut sides = [columns, rows, 0, 0];
        while let Some(cell) = open.pop() {
            size += 1;
            let (x, y) = (cell % columns, cell / columns);
            sides = [
                sides[0].min(x),
                sides[1].min(y),
                sides[2].max(x),
                sides[3].max(y),
            ];
            for near_y in y.saturating_sub(1)..=(y + 1).min(rows - 1) {
                for near_x in x.saturating_sub(1)..=(x + 1).min(columns - 1) {
                    let near = near_y * columns + near_x;
                    if std::mem::take(&mut differs[near]) {
                        open.push(near);
                    }
                }
            }
        }
        if size >= CELLS_MIN && best.is_none_or(|(known, _)| size > known) {
            best = Some((size, sides));
        }
    }
    best.map(|(_, sides)| sides)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(light: u8) -> Picture {
        let mut picture = Picture::filled(320, 160, [100 + light, 100 + light, 90 + light]);
        paint(
            &mut picture,
            [20, 20, 60, 120],
            [200 + light, 40 + light, 40 + light],
        );
        picture
    }

    fn paint(picture: &mut Picture, [x0, y0, x1, y1]: [u32; 4], colour: [u8; 3]) {
        for y in y0..y1 {
            (x0..x1).for_each(|x| picture.set(x, y, colour));
        }
    }

    #[test]
    fn finds_what_left_even_in_another_light() {
        for light in [0, 40] {
            let mut before = shelf(0);
            paint(&mut before, [160, 40, 200, 120], [30, 30, 200]);
            // Something small elsewhere is not it.
            paint(&mut before, [280, 10, 288, 20], [250, 250, 250]);
            let found = changed(&before, &shelf(light)).unwrap();
            let item = BoundingBox::at(160.0, 40.0, 40.0, 80.0);
            assert!(item.share_inside(&found) > 0.99, "{found:?}");
            assert!(found.area() < 2.5 * item.area(), "{found:?}");
        }
    }

    #[test]
    fn nothing_changed() {
        assert_eq!(changed(&shelf(0), &shelf(0)), None);
        assert_eq!(changed(&shelf(0), &shelf(30)), None);
        assert_eq!(changed(&shelf(0), &Picture::filled(8, 8, [0; 3])), None);
        let tiny = Picture::filled(3, 3, [0; 3]);
        assert_eq!(changed(&tiny, &tiny), None);
    }
}
