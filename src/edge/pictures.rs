//! Picture files in and out: JPEG and PNG of 8 bits a channel.
//!
//! What a camera or a folder gives may be cut off, huge or of another kind; each is an error in a sentence, and no picture takes more
//! memory than the limits below.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{
    ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError,
    ImageFormat, ImageReader, Limits,
};

use crate::vision::picture::Picture;

mod jpeg;

pub use jpeg::end_of_jpeg;

/// A file that is larger is no picture of a camera.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// Pixels of a side, and of a picture: 48 megapixels are more than any camera of a Pi has.
pub const SIDE_PX_MAX: u32 = 16_384;
pub const PIXELS_MAX: u64 = 50_000_000;
/// What a decoder may take beside the picture.
const DECODER_BYTES_MAX: u64 = 512 << 20;

/// Why a picture can't be had.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("there is no such file")]
    NotFound,
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error("it is empty")]
    Empty,
    #[error("it is neither JPEG nor PNG")]
    UnknownFormat,
    #[error("it is cut off: its last part is missing")]
    CutOff,
    #[error("it has no pixels ({width}×{height})")]
    NoPixels { width: u32, height: u32 },
    #[error(
        "it is too large ({width}×{height}); up to {SIDE_PX_MAX} pixels a side and {} megapixels are read",
        PIXELS_MAX / 1_000_000
    )]
    TooLarge { width: u32, height: u32 },
    #[error("the file is too large ({bytes} bytes); up to {} MiB are read", FILE_BYTES_MAX >> 20)]
    FileTooLarge { bytes: u64 },
    #[error("it has {bits} bits a channel; save it with 8")]
    Depth { bits: u32 },
    #[error("its colours are CMYK, for printing; save it as RGB")]
    Cmyk,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it cannot be written: {0}")]
    Unwritable(String),
}

/// Reads a picture from a file.
pub fn read(path: &Path) -> Result<Picture, PictureError> {
    decode(&bytes(path)?)
}

/// The bytes of a picture's file, if it is no larger than the limit.
pub fn bytes(path: &Path) -> Result<Vec<u8>, PictureError> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => PictureError::NotFound,
        _ => PictureError::Unreadable(error),
    };
    let bytes = std::fs::metadata(path).map_err(cannot)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(PictureError::FileTooLarge { bytes });
    }
    std::fs::read(path).map_err(cannot)
}

/// Decodes a picture.
pub fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let format = image::guess_format(bytes).map_err(|_| PictureError::UnknownFormat)?;
    if !matches!(format, ImageFormat::Jpeg | ImageFormat::Png) {
        return Err(PictureError::UnknownFormat);
    }
    if let Some((width, height)) = jpeg::png_sides(bytes) {
        check_sides(width, height)?;
    }
    // The decoder makes up what a cut-off JPEG lacks.
    if format == ImageFormat::Jpeg && end_of_jpeg(bytes).is_none() {
        return Err(PictureError::CutOff);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(flaw)?;
    let (width, height) = decoder.dimensions();
    check_sides(width, height)?;
    check_colours(&decoder)?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(flaw)?;
    let rgb = decoded.into_rgb8().into_raw();
    Picture::new(width, height, rgb).ok_or(PictureError::NoPixels { width, height })
}

fn check_sides(width: u32, height: u32) -> Result<(), PictureError> {
    if width == 0 || height == 0 {
        return Err(PictureError::NoPixels { width, height });
    }
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > SIDE_PX_MAX || pixels > PIXELS_MAX {
        return Err(PictureError::TooLarge { width, height });
    }
    Ok(())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate's enum, which may grow"
)]
fn check_colours(decoder: &impl ImageDecoder) -> Result<(), PictureError> {
    if let ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 = decoder.original_color_type() {
        return Err(PictureError::Cmyk);
    }
    match decoder.color_type() {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => Ok(()),
        other => {
            let bits = u32::from(other.bits_per_pixel()) / u32::from(other.channel_count());
            Err(PictureError::Depth { bits })
        }
    }
}

fn flaw(error: ImageError) -> PictureError {
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            PictureError::CutOff
        }
        ImageError::Decoding(_)
        | ImageError::Encoding(_)
        | ImageError::Parameter(_)
        | ImageError::Limits(_)
        | ImageError::Unsupported(_)
        | ImageError::IoError(_) => PictureError::Damaged(error.to_string()),
    }
}

/// The picture as a JPEG; quality from 1 to 100.
pub fn jpeg(picture: &Picture, quality: u8) -> Result<Vec<u8>, PictureError> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, quality)
        .write_image(
            picture.rgb(),
            picture.width(),
            picture.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(|e| PictureError::Unwritable(e.to_string()))?;
    Ok(out)
}

/// The picture files (`.jpg`, `.jpeg`, `.png`) right in a folder, in the order of their names, numbers by their value.
pub fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let known = ["jpg", "jpeg", "png"];
        if known.iter().any(|k| extension.eq_ignore_ascii_case(k)) && path.is_file() {
            found.push(path);
        }
    }
    found.sort_by_cached_key(|path| {
        let name = path.file_name().unwrap_or_default();
        natural_key(&name.to_string_lossy())
    });
    Ok(found)
}

/// A key by which `frame9` comes before `frame10`: runs of digits by their length without zeros first.
fn natural_key(name: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number = number.trim_start_matches('0');
        parts.push((number.len(), number.to_owned()));
        let text = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (text, after) = after.split_at(text);
        parts.push((0, text.to_owned()));
        rest = after;
    }
    // Names that differ in zeros only still have an order.
    parts.push((0, name.to_owned()));
    parts
}

#[cfg(test)]
mod tests;
