//! As much of JPEG and PNG as it takes to see where a picture ends, and how large it says it is.

/// Where the JPEG at the start of `bytes` ends (the first byte after it); `None` if it is cut off, or no JPEG.
///
/// Segments are walked by their lengths, so that the thumbnail in one is not taken for the end (ITU-T T.81, B.1).
pub fn end_of_jpeg(bytes: &[u8]) -> Option<usize> {
    if bytes.get(..2)? != [0xFF, 0xD8] {
        return None;
    }
    let mut at = 2;
    loop {
        // Any number of fill bytes may stand before a marker.
        while *bytes.get(at)? == 0xFF && *bytes.get(at + 1)? == 0xFF {
            at += 1;
        }
        if *bytes.get(at)? != 0xFF {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        at += 2;
        match marker {
            0xD9 => return Some(at),
            // Stand alone.
            0x01 | 0xD0..=0xD7 => {}
            // Start of a scan: its header, then coded data up to the next marker.
            0xDA => at = end_of_scan(bytes, at + length(bytes, at)?)?,
            _ => at += length(bytes, at)?,
        }
    }
}

/// Length of a segment with its two length bytes.
fn length(bytes: &[u8], at: usize) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    (length >= 2).then_some(length)
}

/// The first marker after coded data that is neither a stuffed byte nor a restart.
fn end_of_scan(bytes: &[u8], from: usize) -> Option<usize> {
    let coded = bytes.get(from..)?;
    let mut pairs = coded.windows(2).enumerate();
    let ends = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xD0..=0xD7 | 0xFF);
    pairs.find(|(_, pair)| ends(pair)).map(|(at, _)| from + at)
}

/// Width and height that a PNG's header states; `None` if this is none.
pub(super) fn png_sides(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let number = |at: usize| -> Option<u32> {
        let four = header.get(at..at + 4)?;
        Some(u32::from_be_bytes(four.try_into().ok()?))
    };
    (header.get(4..8)? == b"IHDR").then_some((number(8)?, number(12)?))
}
