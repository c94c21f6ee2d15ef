//! Files of one JSON document a line, read on as many threads as are worth it.

use std::io::BufRead;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use serde::Deserialize;

use crate::edge::recording::{Damage, Flaw};

/// Bytes of a file that are worth a thread of their own.
const BYTES_PER_THREAD_MIN: usize = 256 * 1024;
const THREADS_MAX: usize = 8;

/// A value and the line that it came from.
#[derive(Debug)]
pub(super) struct Located<T> {
    /// From 1.
    pub(super) line: u64,
    /// Where the line begins, bytes from the start of the file.
    pub(super) offset: u64,
    pub(super) value: T,
}

impl<T> Located<T> {
    /// A flaw of this whole line.
    pub(super) fn damage(&self, file: &Path, flaw: Flaw) -> Damage {
        Damage {
            file: file.to_owned(),
            line: Some(self.line),
            offset: self.offset,
            flaw,
        }
    }
}

/// What a file holds: every line up to the first that is damaged.
#[derive(Debug)]
pub(super) struct Lines<T> {
    pub(super) values: Vec<Located<T>>,
    pub(super) damage: Option<Damage>,
}

/// A flaw and the byte of the line at which it is.
#[derive(Debug)]
pub(super) struct LineFlaw {
    at: usize,
    flaw: Flaw,
}

impl From<Flaw> for LineFlaw {
    fn from(flaw: Flaw) -> Self {
        LineFlaw { at: 0, flaw }
    }
}

/// Reads the JSON of one line; the value may borrow from it.
pub(super) fn json<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, LineFlaw> {
    serde_json::from_str(line).map_err(|error| {
        if error.is_eof() {
            return LineFlaw {
                at: line.len(),
                flaw: Flaw::CutLine,
            };
        }
        // The column counts bytes from 1.
        LineFlaw {
            at: error.column().saturating_sub(1).min(line.len()),
            flaw: Flaw::NotJson(without_place(&error)),
        }
    })
}

/// serde's own words without its line and column, which count within the one line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Reads every line of `bytes` by `parse`; blank lines are skipped.
pub(super) fn scan<T: Send>(
    file: &Path,
    bytes: &[u8],
    parse: impl Fn(&str) -> Result<T, LineFlaw> + Sync,
) -> Lines<T> {
    let parts = split(bytes, thread_count(bytes.len()));
    let parsed: Vec<Part<T>> = thread::scope(|scope| {
        let parse = &parse;
        let mut parts = parts.into_iter();
        let own = parts.next();
        let others: Vec<_> = parts
            .map(|part| scope.spawn(move || scan_part(part, parse)))
            .collect();
        let own = own.map(|part| scan_part(part, parse));
        // A panic of a helper is a bug of ours and goes on in this thread.
        let others = others.into_iter().map(|helper| {
            helper
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        own.into_iter().chain(others).collect()
    });
    join(file, parsed)
}

fn thread_count(bytes: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    (bytes / BYTES_PER_THREAD_MIN).clamp(1, cores.min(THREADS_MAX))
}

/// Cuts a file into about `count` equal parts, each of whole lines.
fn split(mut bytes: &[u8], count: usize) -> Vec<&[u8]> {
    let size = bytes.len() / count;
    let mut parts = Vec::with_capacity(count);
    for _ in 1..count {
        let Some(mut rest) = bytes.get(size..) else {
            break;
        };
        // Reading from memory does not fail.
        let _ = rest.skip_until(b'\n');
        let (part, tail) = bytes.split_at(bytes.len() - rest.len());
        parts.push(part);
        bytes = tail;
    }
    parts.push(bytes);
    parts
}

/// What one part of a file holds; lines and offsets count from the part's own start.
struct Part<T> {
    bytes: u64,
    lines: u64,
    values: Vec<Located<T>>,
    flaw: Option<Located<LineFlaw>>,
}

fn scan_part<T>(bytes: &[u8], parse: impl Fn(&str) -> Result<T, LineFlaw>) -> Part<T> {
    let mut part = Part {
        bytes: bytes.len() as u64,
        lines: 0,
        values: Vec::new(),
        flaw: None,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let offset = (bytes.len() - rest.len()) as u64;
        let from_here = rest;
        // Reading from memory does not fail, and `skip_until` finds the line's end fast.
        let _ = rest.skip_until(b'\n');
        let line = &from_here[..from_here.len() - rest.len()];
        part.lines += 1;
        match parse_line(line, &parse) {
            None => {}
            Some(Ok(value)) => part.values.push(Located {
                line: part.lines,
                offset,
                value,
            }),
            Some(Err(flaw)) => {
                part.flaw = Some(Located {
                    line: part.lines,
                    offset,
                    value: flaw,
                });
                break;
            }
        }
    }
    part
}

/// `None` for a blank line.
fn parse_line<T>(
    line: &[u8],
    parse: impl Fn(&str) -> Result<T, LineFlaw>,
) -> Option<Result<T, LineFlaw>> {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text.trim_end_matches(['\n', '\r']),
        Err(error) => {
            return Some(Err(LineFlaw {
                at: error.valid_up_to(),
                flaw: Flaw::NotUtf8,
            }));
        }
    };
    (!text.trim_ascii().is_empty()).then(|| parse(text))
}

/// Puts the parts together, up to the first flaw.
fn join<T>(file: &Path, parts: Vec<Part<T>>) -> Lines<T> {
    let mut joined = Lines {
        values: Vec::with_capacity(parts.iter().map(|part| part.values.len()).sum()),
        damage: None,
    };
    let (mut line, mut offset) = (0, 0);
    for part in parts {
        joined
            .values
            .extend(part.values.into_iter().map(|v| Located {
                line: line + v.line,
                offset: offset + v.offset,
                value: v.value,
            }));
        if let Some(flaw) = part.flaw {
            joined.damage = Some(Damage {
                file: file.to_owned(),
                line: Some(line + flaw.line),
                offset: offset + flaw.offset + flaw.value.at as u64,
                flaw: flaw.value.flaw,
            });
            break;
        }
        line += part.lines;
        offset += part.bytes;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(line: &str) -> Result<u32, LineFlaw> {
        json(line)
    }

    fn read(bytes: &[u8], parts: usize) -> Lines<u32> {
        let parts = split(bytes, parts)
            .into_iter()
            .map(|part| scan_part(part, number))
            .collect();
        join(Path::new("numbers.json"), parts)
    }

    #[test]
    fn places_do_not_depend_on_how_a_file_is_split() {
        let text = "1\n22\r\n\n  \n333\n4\n55555\n6";
        for parts in 1..30 {
            let lines = read(text.as_bytes(), parts);
            assert_eq!(lines.damage, None);
            let places: Vec<_> = lines
                .values
                .iter()
                .map(|v| (v.value, v.line, v.offset))
                .collect();
            let expected = [
                (1, 1, 0),
                (22, 2, 2),
                (333, 5, 10),
                (4, 6, 14),
                (55555, 7, 16),
                (6, 8, 22),
            ];
            assert_eq!(places, expected, "{parts} parts");
        }
    }

    #[test]
    fn the_first_flaw_ends_the_file_wherever_it_is_split() {
        for (bytes, whole, line, offset, flaw) in [
            (&b"1\n2\n[3\n4\n"[..], 2, 3, 4, "invalid type"),
            (b"1\n2\n3\n\xff\n5\nx\n", 3, 4, 6, "not UTF-8"),
            (b"1\n\n2x\n3\n", 1, 3, 4, "trailing characters"),
            (b"1\n-", 1, 2, 3, "cut off"),
        ] {
            for parts in 1..8 {
                let lines = read(bytes, parts);
                let damage = lines.damage.expect("there is a flaw");
                assert_eq!(lines.values.len(), whole);
                assert_eq!((damage.line, damage.offset), (Some(line), offset));
                assert!(damage.to_string().contains(flaw), "{damage}");
            }
        }
    }
}
