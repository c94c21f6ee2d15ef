//! Pictures in memory.

use super::bounding_box::BoundingBox;

/// An RGB picture of 8 bits a channel: rows from the top, pixels from the left, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture of those bytes; `None` unless there are `width × height × 3` of them and at least one pixel.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Option<Self> {
        let bytes = (width as usize)
            .checked_mul(height as usize)?
            .checked_mul(3)?;
        (bytes > 0 && rgb.len() == bytes).then_some(Picture { width, height, rgb })
    }

    /// A picture of one colour; at least one pixel each way.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let pixels = width as usize * height as usize;
        Picture {
            width,
            height,
            rgb: colour.repeat(pixels),
        }
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes of the pixels, `width × height × 3`.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// The whole of it as a box.
    pub fn bounds(&self) -> BoundingBox {
        BoundingBox::at(0.0, 0.0, f64::from(self.width), f64::from(self.height))
    }

    /// The colour at a place within the picture; black beside it.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        if x >= self.width || y >= self.height {
            return [0; 3];
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// Sets a pixel; beside the picture nothing happens.
    pub fn set(&mut self, x: u32, y: u32, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y as usize * self.width as usize + x as usize) * 3;
            self.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// Luma (ITU-R BT.601) of each pixel, row by row.
    pub fn luma(&self) -> impl Iterator<Item = u8> + '_ {
        self.rgb.chunks_exact(3).map(|p| luma([p[0], p[1], p[2]]))
    }

    /// The whole pixels within a box; `None` if none is.
    pub fn crop(&self, bounds: &BoundingBox) -> Option<Picture> {
        let kept = bounds.clipped(f64::from(self.width), f64::from(self.height));
        let (left, top) = (kept.x0.floor() as u32, kept.y0.floor() as u32);
        let (right, bottom) = (kept.x1.ceil() as u32, kept.y1.ceil() as u32);
        if !kept.is_sound() || right <= left || bottom <= top {
            return None;
        }
        let row_bytes = self.width as usize * 3;
        let (from, to) = (left as usize * 3, right as usize * 3);
        let rgb = (top as usize..bottom as usize)
            .flat_map(|y| &self.rgb[y * row_bytes + from..y * row_bytes + to])
            .copied()
            .collect();
        Picture::new(right - left, bottom - top, rgb)
    }

    /// Its mirror image, left and right exchanged.
    pub fn mirrored(&self) -> Picture {
        let row_bytes = self.width as usize * 3;
        let rgb = (self.rgb.chunks_exact(row_bytes))
            .flat_map(|row| row.rchunks_exact(3).flatten())
            .copied()
            .collect();
        Picture { rgb, ..*self }
    }
}

/// Luma (ITU-R BT.601) of a colour, in integers so that every machine finds the same.
pub fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114 + 500) / 1000) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(width: u32, height: u32) -> Picture {
        let rgb = (0..width * height * 3).map(|n| n as u8).collect();
        Picture::new(width, height, rgb).unwrap()
    }

    #[test]
    fn wants_its_pixels() {
        for (width, height, bytes, there) in [
            (2, 2, 12, true),
            (2, 2, 11, false),
            (0, 2, 0, false),
            (u32::MAX, u32::MAX, 3, false),
        ] {
            let made = Picture::new(width, height, vec![0; bytes]);
            assert_eq!(made.is_some(), there, "{width}×{height} of {bytes}");
        }
    }

    #[test]
    fn crops_and_mirrors() {
        let picture = counted(4, 3);
        let part = picture.crop(&BoundingBox::at(1.2, 1.0, 2.0, 9.0)).unwrap();
        assert_eq!((part.width(), part.height()), (3, 2));
        assert_eq!(part.pixel(0, 0), picture.pixel(1, 1));
        assert_eq!(part.pixel(2, 1), picture.pixel(3, 2));
        assert_eq!(picture.crop(&BoundingBox::at(4.0, 0.0, 2.0, 2.0)), None);
        assert_eq!(
            picture.crop(&BoundingBox::at(f64::NAN, 0.0, 2.0, 2.0)),
            None
        );
        let mirror = picture.mirrored();
        assert_eq!(mirror.pixel(0, 2), picture.pixel(3, 2));
        assert_eq!(mirror.mirrored(), picture);
    }
}
