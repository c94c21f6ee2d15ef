//! Inputs that nobody sent: made from the corpus by a seeded mutator that knows a little of JSON, TOML and lengths.

/// Bytes of an input, at most: more only makes it slow.
const INPUT_BYTES_MAX: usize = 128 * 1024;

/// What decoders stumble over, put in anywhere.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"[[]]",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"\"\\n\\t\\\\\"",
    b",",
    b":",
    b"\"",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    "\u{202e}".as_bytes(),
    "é".as_bytes(),
    b"../",
    b"%00",
    b"#",
    b"=",
];

/// What a number may become.
const NUMBERS: &[&[u8]] = &[
    b"0",
    b"-0",
    b"-1",
    b"1",
    b"255",
    b"65535",
    b"65536",
    b"2147483647",
    b"-2147483648",
    b"4294967296",
    b"9007199254740992",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"253402300799000000",
    b"1e308",
    b"-1e308",
    b"1e999",
    b"5e-324",
    b"0.1",
    b"1.5",
    b"NaN",
    b"nan",
    b"inf",
    b"-Infinity",
    b"00",
    b"0x10",
    b"99999999999999999999999999999999999999999999999999",
];

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): the same inputs for a
/// seed whatever becomes of the libraries.
pub struct Random(u64);

impl Random {
    /// The numbers of one input of a seed.
    pub fn of(seed: u64, input: u64) -> Self {
        let mut random = Random(seed);
        let start = random.next() ^ input.wrapping_mul(0xd134_2543_de82_ef95);
        Random(start)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound.max(1) as u64)) as usize
    }

    fn pick<'p, T: ?Sized>(&mut self, from: &[&'p T]) -> &'p T {
        from[self.below(from.len())]
    }
}

/// One more input: one of the corpus, changed in one to five places.
pub fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    // Most inputs are changed a little, so that they get far.
    let changes = [1, 1, 1, 2, 2, 3, 5][random.below(7)];
    for _ in 0..changes {
        change(&mut bytes, corpus, random);
        bytes.truncate(INPUT_BYTES_MAX);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(16) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        2 => bytes.truncate(at),
        3 => {
            let end = bytes.len().min(at + 1 + random.below(32));
            bytes.drain(at..end);
        }
        4 => {
            let end = bytes.len().min(at + 1 + random.below(256));
            let again = bytes[at..end].to_vec();
            put(bytes, at..at, &again);
        }
        5 => splice(bytes, at, &corpus[random.below(corpus.len())], random),
        6 | 7 => replace_number(bytes, at, random),
        8 => replace_length(bytes, at, random),
        9 => put(bytes, at..at, random.pick(WORDS)),
        10 => replace_string(bytes, at, &corpus[random.below(corpus.len())], random),
        11 => replace_value(bytes, at, random),
        12 => nest(bytes, at, random),
        13 => {
            let long = vec![b"aA0 \xc3"[random.below(5)]; 1 << random.below(16)];
            put(bytes, at..at, &long);
        }
        14 => drop_or_double_line(bytes, at, random),
        _ => swap_lines(bytes, random),
    }
}

fn put(bytes: &mut Vec<u8>, range: std::ops::Range<usize>, new: &[u8]) {
    bytes.splice(range, new.iter().copied());
}

/// The end of another input in place of the rest of this one, or a piece of it in the middle.
fn splice(bytes: &mut Vec<u8>, at: usize, other: &[u8], random: &mut Random) {
    let from = random.below(other.len() + 1);
    if random.below(2) == 0 {
        bytes.truncate(at);
        bytes.extend_from_slice(&other[from..]);
    } else {
        let end = other.len().min(from + random.below(512));
        put(bytes, at..at, &other[from..end]);
    }
}

/// The first piece from `at` on, or before it, of bytes that `is_part` takes.
fn piece(bytes: &[u8], at: usize, is_part: impl Fn(u8) -> bool) -> Option<std::ops::Range<usize>> {
    let found = bytes[at..].iter().position(|&b| is_part(b));
    let begin = match found {
        Some(found) => at + found,
        None => bytes.iter().position(|&b| is_part(b))?,
    };
    let length = bytes[begin..].iter().take_while(|&&b| is_part(b)).count();
    Some(begin..begin + length)
}

fn replace_number(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let Some(range) = piece(bytes, at, |b| b.is_ascii_digit()) else {
        return;
    };
    if random.below(3) > 0 {
        put(bytes, range, random.pick(NUMBERS));
        return;
    }
    // A neighbour of the number, which is where off-by-one mistakes are.
    let text = String::from_utf8_lossy(&bytes[range.clone()]).into_owned();
    if let Ok(number) = text.parse::<u64>() {
        let step = random.below(4) as u64;
        let near = if random.below(2) == 0 {
            number.wrapping_add(step)
        } else {
            number.wrapping_sub(step)
        };
        put(bytes, range, near.to_string().as_bytes());
    }
}

/// A binary length, little or big endian, of two, four or eight bytes.
fn replace_length(bytes: &mut [u8], at: usize, random: &mut Random) {
    let value = match random.below(5) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << random.below(64),
        3 => bytes.len() as u64 + random.below(9) as u64,
        _ => random.next(),
    };
    let width = [2, 4, 8][random.below(3)];
    let little = random.below(3) > 0;
    let length = value.to_le_bytes();
    for (offset, to) in bytes.iter_mut().skip(at).take(width).enumerate() {
        *to = length[if little { offset } else { width - 1 - offset }];
    }
}

/// The place of a quoted text, without its quotes.
fn quoted(bytes: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let begin = at + bytes[at..].iter().position(|&b| b == b'"')? + 1;
    let length = bytes[begin..].iter().position(|&b| b == b'"')?;
    Some(begin..begin + length)
}

/// A text becomes one of another input: often a field that belongs elsewhere, or one that is there twice.
fn replace_string(bytes: &mut Vec<u8>, at: usize, other: &[u8], random: &mut Random) {
    let from = random.below(other.len() + 1);
    if let (Some(range), Some(new)) = (quoted(bytes, at), quoted(other, from)) {
        put(bytes, range, &other[new]);
    }
}

/// What stands after a colon or an equals sign becomes something else.
fn replace_value(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let Some(found) = bytes[at..].iter().position(|&b| b == b':' || b == b'=') else {
        return;
    };
    let begin = at + found + 1;
    let ends = |b: u8| matches!(b, b',' | b'}' | b']' | b'\n');
    let length = bytes[begin..].iter().position(|&b| ends(b));
    let end = length.map_or(bytes.len(), |length| begin + length);
    let word = if random.below(2) == 0 {
        random.pick(WORDS)
    } else {
        random.pick(NUMBERS)
    };
    put(bytes, begin..end, word);
}

/// Something within itself, many times: what a parser that calls itself dies of.
fn nest(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let depth = 1 << random.below(15);
    let (open, close): (&[u8], &[u8]) = match random.below(4) {
        0 => (b"[", b"]"),
        1 => (b"{\"a\":", b"}"),
        2 => (b"{a=", b"}"),
        _ => (b"[{\"a\":", b"}]"),
    };
    let mut nested = open.repeat(depth);
    nested.extend_from_slice(b"1");
    nested.extend_from_slice(&close.repeat(depth));
    // In the place of a value it gets further than in the middle of one.
    let value = bytes[at..].iter().position(|&b| b == b':' || b == b'=');
    let at = value.map_or(at, |found| at + found + 1);
    put(bytes, at..at, &nested);
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|&b| b == b'\n').collect()
}

fn drop_or_double_line(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let begin = bytes[..at]
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |n| n + 1);
    let length = bytes[begin..].iter().position(|&b| b == b'\n');
    let end = length.map_or(bytes.len(), |length| begin + length + 1);
    if random.below(2) == 0 {
        bytes.drain(begin..end);
    } else {
        let again = bytes[begin..end].to_vec();
        put(bytes, begin..begin, &again);
    }
}

fn swap_lines(bytes: &mut Vec<u8>, random: &mut Random) {
    let mut all = lines(bytes);
    if all.len() < 2 {
        return;
    }
    let (a, b) = (random.below(all.len()), random.below(all.len()));
    all.swap(a, b);
    *bytes = all.concat();
}
