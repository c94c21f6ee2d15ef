//! QR codes in a picture: the entry code on a shopper's phone.

use super::picture::{Picture, luma};

/// A longer side is halved until it is at most this: a code that is held before a camera fills much of the picture.
const SIDE_PX_MAX: usize = 1_600;
/// Below this a code's modules are too small to read.
const SIDE_PX_MIN: usize = 160;
/// Longer texts are no entry codes.
const TEXT_BYTES_MAX: usize = 4_296;

/// Grey levels of a picture, row by row.
struct Grey {
    width: usize,
    height: usize,
    levels: Vec<u8>,
}

impl Grey {
    fn of(picture: &Picture) -> Self {
        let pixels = picture.rgb().chunks_exact(3);
        Grey {
            width: picture.width() as usize,
            height: picture.height() as usize,
            levels: pixels.map(|p| luma([p[0], p[1], p[2]])).collect(),
        }
    }

    /// Half as wide and high: the mean of each four pixels.
    fn halved(&self) -> Self {
        let (width, height) = ((self.width / 2).max(1), (self.height / 2).max(1));
        let level = |x: usize, y: usize| -> u16 {
            let (x, y) = (x.min(self.width - 1), y.min(self.height - 1));
            u16::from(self.levels[y * self.width + x])
        };
        let mean = |at: usize| -> u8 {
            let (x, y) = (2 * (at % width), 2 * (at / width));
            ((level(x, y) + level(x + 1, y) + level(x, y + 1) + level(x + 1, y + 1)) / 4) as u8
        };
        Grey {
            width,
            height,
            levels: (0..width * height).map(mean).collect(),
        }
    }

    /// Bright where it was dark: phones in dark mode show codes so.
    fn inverted(&self) -> Self {
        let levels = self.levels.iter().map(|l| 255 - l).collect();
        Grey { levels, ..*self }
    }

    fn side(&self) -> usize {
        self.width.max(self.height)
    }

    /// The texts of the codes in it.
    fn texts(&self) -> Vec<String> {
        let mut prepared =
            rqrr::PreparedImage::prepare_from_greyscale(self.width, self.height, |x, y| {
                self.levels[y * self.width + x]
            });
        let grids = prepared.detect_grids();
        let texts = grids.iter().filter_map(|grid| grid.decode().ok());
        let mut texts: Vec<String> = texts.map(|(_, text)| text).collect();
        texts.retain(|text| text.len() <= TEXT_BYTES_MAX);
        texts.sort();
        texts.dedup();
        texts
    }
}

/// The texts of the QR codes in a picture, sorted. It is read as it is; if there is none, ever smaller (which takes noise and
/// moiré away), and then bright on dark.
pub fn read(picture: &Picture) -> Vec<String> {
    let mut grey = Grey::of(picture);
    while grey.side() > SIDE_PX_MAX {
        grey = grey.halved();
    }
    let mut sizes = vec![grey];
    while let Some(half) = sizes.last().map(Grey::halved)
        && half.side() >= SIDE_PX_MIN
    {
        sizes.push(half);
    }
    let plain = sizes.iter().map(Grey::texts);
    let inverted = sizes.iter().map(|grey| grey.inverted().texts());
    plain
        .chain(inverted)
        .find(|texts| !texts.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_without_codes_have_none() {
        let mut noise = Picture::filled(64, 64, [0; 3]);
        for n in 0..64 * 64 {
            let grey = (n * 2_654_435_761_u64 >> 7) as u8;
            noise.set((n % 64) as u32, (n / 64) as u32, [grey; 3]);
        }
        for picture in [
            Picture::filled(1, 1, [0; 3]),
            Picture::filled(3, 900, [255; 3]),
            Picture::filled(2_000, 7, [80; 3]),
            noise,
        ] {
            assert_eq!(read(&picture), [""; 0]);
        }
    }

    #[test]
    fn halving_takes_means() {
        let mut picture = Picture::filled(4, 2, [0; 3]);
        picture.set(0, 0, [200; 3]);
        let half = Grey::of(&picture).halved();
        assert_eq!((half.width, half.height, half.levels), (2, 1, vec![50, 0]));
    }
}
