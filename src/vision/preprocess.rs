//! A picture becomes a network's input: resized, fitted, normalised, once.

use fast_image_resize::images::{Image, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::bounding_box::BoundingBox;
use super::model_card::{ColourOrder, Filter, Fit, InputForm, TensorLayout};
use super::picture::Picture;

/// Where the picture lies in a network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Input pixels for each pixel of the picture.
    scale: [f64; 2],
    /// Where the picture's top left corner is in the input; negative where it was cut off.
    offset: [f64; 2],
}

impl Placement {
    /// A box of the input, in pixels of the picture.
    pub fn to_picture(&self, found: &BoundingBox) -> BoundingBox {
        let [sx, sy] = self.scale;
        let [dx, dy] = self.offset;
        BoundingBox {
            x0: (found.x0 - dx) / sx,
            y0: (found.y0 - dy) / sy,
            x1: (found.x1 - dx) / sx,
            y1: (found.y1 - dy) / sy,
        }
    }
}

/// Makes inputs of one form. Its buffers are kept, so that a frame costs no memory.
pub struct Preprocessor {
    form: InputForm,
    resizer: Resizer,
    resized: Image<'static>,
    /// The value of each channel (red, green, blue) for each of the 256 levels.
    values: [[f32; 256]; 3],
}

impl Preprocessor {
    pub fn new(form: &InputForm) -> Self {
        let mut values = [[0.0; 256]; 3];
        for (colour, table) in values.iter_mut().enumerate() {
            let channel = channel(form.colour, colour);
            for (level, value) in table.iter_mut().enumerate() {
                *value = (level as f32 * form.scale - form.mean[channel]) / form.std[channel];
            }
        }
        Preprocessor {
            form: form.clone(),
            resizer: Resizer::new(),
            resized: Image::new(1, 1, PixelType::U8x3),
            values,
        }
    }

    /// Writes the input for a picture, `form.len()` numbers, and says where the picture lies in it.
    pub fn fill(&mut self, picture: &Picture, mirror: bool, input: &mut Vec<f32>) -> Placement {
        let (width, height) = self.size(picture);
        let (left, top) = (
            (i64::from(self.form.width) - i64::from(width)).div_euclid(2),
            (i64::from(self.form.height) - i64::from(height)).div_euclid(2),
        );
        self.resize(picture, width, height);
        self.write([left, top], mirror, input);
        Placement {
            scale: [
                f64::from(width) / f64::from(picture.width()),
                f64::from(height) / f64::from(picture.height()),
            ],
            offset: [left as f64, top as f64],
        }
    }

    /// The size that the picture is resized to before it is cut or filled up.
    fn size(&self, picture: &Picture) -> (u32, u32) {
        let form = &self.form;
        let (wide, high) = (f64::from(picture.width()), f64::from(picture.height()));
        match form.fit {
            Fit::Stretch => (form.width, form.height),
            Fit::Letterbox => {
                let scale = (f64::from(form.width) / wide).min(f64::from(form.height) / high);
                let side = |length: f64, max: u32| ((length * scale).round() as u32).clamp(1, max);
                (side(wide, form.width), side(high, form.height))
            }
            Fit::Crop => {
                let short = form.short_side.unwrap_or(form.width.min(form.height));
                // A picture like a thread would be resized to an endless one: beyond this its ends are stretched.
                let long =
                    |ratio: f64| ((f64::from(short) * ratio) as u32).clamp(short, 16 * short);
                if wide < high {
                    (short, long(high / wide))
                } else {
                    (long(wide / high), short)
                }
            }
        }
    }

    fn resize(&mut self, picture: &Picture, width: u32, height: u32) {
        if (self.resized.width(), self.resized.height()) != (width, height) {
            self.resized = Image::new(width, height, PixelType::U8x3);
        }
        let filter = match self.form.filter {
            Filter::Bilinear => FilterType::Bilinear,
            Filter::CatmullRom => FilterType::CatmullRom,
            Filter::Lanczos3 => FilterType::Lanczos3,
        };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
        // Typed: of all kinds of pixels the resizer is compiled for this one.
        // None of it can fail: a picture has the bytes that its sides say, and both have three channels.
        let source =
            TypedImageRef::<U8x3>::from_buffer(picture.width(), picture.height(), picture.rgb());
        if let (Ok(source), Some(mut resized)) = (source, self.resized.typed_image_mut::<U8x3>()) {
            let done = self.resizer.resize_typed(&source, &mut resized, &options);
            debug_assert!(done.is_ok(), "{done:?}");
        }
    }

    /// Normalises what was resized into the input.
    fn write(&self, [left, top]: [i64; 2], mirror: bool, input: &mut Vec<f32>) {
        let form = &self.form;
        let (wide, high) = (form.width as usize, form.height as usize);
        input.clear();
        input.resize(form.len(), 0.0);
        let resized_row = self.resized.width() as usize * 3;
        let resized = self.resized.buffer();
        let columns = covered(left, self.resized.width(), wide);
        let rows = covered(top, self.resized.height(), high);
        let places = |x: usize, y: usize, colour: usize| {
            let channel = channel(form.colour, colour);
            match form.layout {
                TensorLayout::Nchw => (channel * high + y) * wide + x,
                TensorLayout::Nhwc => (y * wide + x) * 3 + channel,
            }
        };
        let fill = usize::from(form.fill);
        for y in 0..high {
            let within = rows.contains(&y);
            let row = if within {
                let from = (y as i64 - top) as usize * resized_row;
                &resized[from..from + resized_row]
            } else {
                &[]
            };
            for x in 0..wide {
                let pixel = (within && columns.contains(&x)).then(|| {
                    let at = (x as i64 - left) as usize * 3;
                    &row[at..at + 3]
                });
                let to = if mirror { wide - 1 - x } else { x };
                for colour in 0..3 {
                    let level = pixel.map_or(fill, |p| usize::from(p[colour]));
                    input[places(to, y, colour)] = self.values[colour][level];
                }
            }
        }
    }
}

/// The input's pixels that a side of the picture covers.
fn covered(offset: i64, length: u32, side: usize) -> std::ops::Range<usize> {
    let from = offset.clamp(0, side as i64) as usize;
    let to = (offset + i64::from(length)).clamp(0, side as i64) as usize;
    from..to
}

/// Which channel of the input red (0), green (1) and blue (2) are.
fn channel(order: ColourOrder, colour: usize) -> usize {
    match order {
        ColourOrder::Rgb => colour,
        ColourOrder::Bgr => 2 - colour,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(width: u32, height: u32, fit: Fit) -> InputForm {
        InputForm {
            width,
            height,
            layout: TensorLayout::Nchw,
            colour: ColourOrder::Rgb,
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
            fit,
            short_side: None,
            fill: 7,
            filter: Filter::Bilinear,
            mirrored: false,
        }
    }

    /// Red on the left, blue on the right.
    fn two_halves(width: u32, height: u32) -> Picture {
        let mut picture = Picture::filled(width, height, [200, 0, 0]);
        for y in 0..height {
            for x in width / 2..width {
                picture.set(x, y, [0, 0, 100]);
            }
        }
        picture
    }

    #[test]
    fn fits() {
        let picture = two_halves(40, 20);
        let mut input = Vec::new();
        for (fit, first, centre, box_back) in [
            // The picture is 8 × 4 in the middle of 8 × 8.
            (Fit::Letterbox, 7.0, 200.0, [0.0, -10.0, 40.0, 30.0]),
            (Fit::Stretch, 200.0, 200.0, [0.0, 0.0, 40.0, 20.0]),
            // 16 × 8, of which the middle is kept.
            (Fit::Crop, 200.0, 200.0, [10.0, 0.0, 30.0, 20.0]),
        ] {
            let placement = Preprocessor::new(&form(8, 8, fit)).fill(&picture, false, &mut input);
            assert_eq!(input.len(), 8 * 8 * 3);
            assert_eq!((input[0], input[4 * 8 + 2]), (first, centre), "{fit:?}");
            let back = placement.to_picture(&BoundingBox::at(0.0, 0.0, 8.0, 8.0));
            assert_eq!(<[f64; 4]>::from(back), box_back, "{fit:?}");
        }
    }

    #[test]
    fn layouts_colours_and_mirror() {
        let picture = two_halves(8, 8);
        let mut input = Vec::new();
        let base = form(8, 8, Fit::Stretch);
        let red = |form: &InputForm, mirror: bool, at: usize, input: &mut Vec<f32>| {
            Preprocessor::new(form).fill(&picture, mirror, input);
            input[at]
        };
        assert_eq!(red(&base, false, 0, &mut input), 200.0);
        assert_eq!(red(&base, true, 7, &mut input), 200.0);
        let bgr = InputForm {
            colour: ColourOrder::Bgr,
            ..base.clone()
        };
        assert_eq!(red(&bgr, false, 2 * 64, &mut input), 200.0);
        let nhwc = InputForm {
            layout: TensorLayout::Nhwc,
            ..base.clone()
        };
        assert_eq!(red(&nhwc, false, 7 * 3 + 2, &mut input), 100.0);
        let normal = InputForm {
            scale: 0.5,
            mean: [10.0, 0.0, 0.0],
            std: [3.0, 1.0, 1.0],
            ..base
        };
        assert_eq!(red(&normal, false, 0, &mut input), 30.0);
    }

    #[test]
    fn odd_pictures_are_fitted_too() {
        let mut input = Vec::new();
        for (width, height) in [(1, 1), (1, 5000), (5000, 1), (3, 2)] {
            for fit in [Fit::Letterbox, Fit::Stretch, Fit::Crop] {
                let picture = Picture::filled(width, height, [9, 9, 9]);
                Preprocessor::new(&form(8, 8, fit)).fill(&picture, false, &mut input);
                assert!(input.contains(&9.0), "{width}×{height} {fit:?}");
            }
        }
    }
}
