use image::{ImageBuffer, Luma, Rgb, Rgba};

use super::*;

fn png<P>(image: &ImageBuffer<P, Vec<P::Subpixel>>) -> Vec<u8>
where
    P: image::Pixel + image::PixelWithColorType,
    [P::Subpixel]: image::EncodableLayout,
{
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

fn photo() -> Picture {
    let mut picture = Picture::filled(64, 48, [120, 30, 60]);
    (0..48).for_each(|y| picture.set(y, y, [255, 255, 255]));
    picture
}

/// The same with a header that says other sides: the checksum follows suit.
fn png_that_says(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(&ImageBuffer::from_pixel(2, 2, Rgb([1_u8, 2, 3])));
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    bytes
}

/// A JPEG of one component turned into one of four: what a CMYK picture's header looks like.
fn cmyk() -> Vec<u8> {
    // Start of image, a quantisation table of ones, a frame of four components, Huffman tables of one code each, a scan.
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    bytes.extend([1; 64]);
    bytes.extend([0xFF, 0xC0, 0, 20, 8, 0, 8, 0, 8, 4]);
    for component in 1..=4 {
        bytes.extend([component, 0x11, 0]);
    }
    for table in [0x00, 0x10] {
        bytes.extend([0xFF, 0xC4, 0, 20, table, 1]);
        bytes.extend([0; 15]);
        bytes.push(0);
    }
    bytes.extend([0xFF, 0xDA, 0, 14, 4]);
    for component in 1..=4 {
        bytes.extend([component, 0]);
    }
    bytes.extend([0, 63, 0, 0x00, 0xFF, 0xD9]);
    bytes
}

#[test]
fn each_bad_picture_is_told_for_what_it_is() {
    let whole = jpeg(&photo(), 90).unwrap();
    let mut damaged = png(&ImageBuffer::from_pixel(9, 9, Rgb([1_u8, 2, 3])));
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    for (bytes, said) in [
        (vec![], "it is empty"),
        (b"hello".to_vec(), "neither JPEG nor PNG"),
        (b"GIF89a and so on".to_vec(), "neither JPEG nor PNG"),
        (whole[..whole.len() / 2].to_vec(), "cut off"),
        (whole[..whole.len() - 2].to_vec(), "cut off"),
        (whole[..3].to_vec(), "cut off"),
        (png_that_says(0, 0), "no pixels (0×0)"),
        (png_that_says(0, 7), "no pixels (0×7)"),
        (png_that_says(30_000, 30_000), "too large (30000×30000)"),
        (png_that_says(16_000, 16_000), "too large (16000×16000)"),
        (
            png(&ImageBuffer::from_pixel(3, 3, Rgb([1_u16, 2, 3]))),
            "16 bits a channel",
        ),
        (
            png(&ImageBuffer::from_pixel(3, 3, Luma([1_u16]))),
            "16 bits a channel",
        ),
        (cmyk(), "CMYK"),
        (damaged, "it is damaged"),
    ] {
        match decode(&bytes) {
            Ok(_) => panic!("decoded, and not: {said}"),
            Err(error) => assert!(error.to_string().contains(said), "{said}: {error}"),
        }
    }
}

#[test]
fn pictures_of_8_bits_are_read() {
    for bytes in [
        png(&ImageBuffer::from_pixel(3, 2, Rgb([7_u8, 7, 7]))),
        png(&ImageBuffer::from_pixel(3, 2, Rgba([7_u8, 7, 7, 9]))),
        png(&ImageBuffer::from_pixel(3, 2, Luma([7_u8]))),
    ] {
        assert_eq!(decode(&bytes).unwrap(), Picture::filled(3, 2, [7, 7, 7]));
    }
    let back = decode(&jpeg(&photo(), 95).unwrap()).unwrap();
    assert_eq!((back.width(), back.height()), (64, 48));
    let [red, ..] = back.pixel(60, 5);
    assert!(red.abs_diff(120) < 8, "{red}");
}

#[test]
fn finds_the_end_of_a_jpeg_among_others() {
    let first = jpeg(&photo(), 50).unwrap();
    let mut two = first.clone();
    two.extend(&first);
    assert_eq!(end_of_jpeg(&two), Some(first.len()));
    assert_eq!(end_of_jpeg(b"no"), None);
}

#[test]
fn files_are_ordered_by_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "f10.jpg",
        "f9.JPG",
        "f010.png",
        "a.jpeg",
        "f2x.png",
        "notes.txt",
    ] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    let found = files_in(folder.path()).unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|f| f.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["a.jpeg", "f2x.png", "f9.JPG", "f10.jpg", "f010.png"]
    );
}
