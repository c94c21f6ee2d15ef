//! A small folder in the competition's format, made by the tests: two gondolas for five seconds, and ways to spoil it.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const EPOCH_S: f64 = 1_600_000_000.0;
const BATCH: usize = 12;
const BATCHES: usize = 25;

const PRODUCTS: &str = r#"{"product_id":{"barcode_type":"UPC","id":"071142008582"},"metadata":{"name":"Water \"still\"","price":1,"weight":500.0}}
{"product_id":{"barcode_type":"UPC","id":"120850"},"metadata":{"name":"Bar","price":2.5,"weight":33.5,"thumbnail":"https://example.com/bar.jpg"}}
{"product_id":{"barcode_type":"UPC","id":"0120850"},"metadata":{"name":"The same bar again","weight":35.0}}
{"product_id":{"barcode_type":"UPC","id":"078742101354"},"metadata":{"name":"Nuts that nobody weighed"}}
{"product_id":{"barcode_type":"UPC","id":"78742101354"},"metadata":{"name":"Nuts","weight":400.0}}

{"product_id":{"barcode_type":"UPC","id":"9999"},"metadata":{"name":"Weightless","price":10000}}
"#;

/// Facings: wall gondolas 1 and 2, gondola 5 without samples; one is empty, one reaches beyond the recorded plates, and one
/// holds the product without a weight.
const PLANOGRAM: &[&str] = &[
    r#"{"plate_ids":[{P1,1,1},{P1,1,2}],"planogram_product_id":{"id":"071142008582"},X0.025,0.3,0.2032}"#,
    r#"{"plate_ids":[{P1,2,3},{P1,2,4}],"planogram_product_id":{"id":"0120850"},X0.2282,0.55,0.2032}"#,
    r#"{"plate_ids":[{P2,1,1}],"planogram_product_id":{"id":"078742101354"},X1.2,0.4,0.1016}"#,
    r#"{"plate_ids":[{P2,1,2}],"planogram_product_id":{},X1.3016,0.4,0.1016}"#,
    r#"{"plate_ids":[{P5,1,1}],"planogram_product_id":{"id":"120850"},X4.3,0.4,0.1016}"#,
    r#"{"plate_ids":[{P1,2,1}],"planogram_product_id":{"id":"9999"},X0.025,0.55,0.1016}"#,
];

/// A folder that is deleted with this value.
pub struct Folder {
    dir: tempfile::TempDir,
    /// Line starts of the spoilt file before it was spoilt: file, line, offset.
    spoilt: RefCell<Vec<(String, Vec<usize>)>>,
}

impl Folder {
    pub fn new() -> Self {
        let folder = Folder {
            dir: tempfile::tempdir().expect("a temporary folder can be made"),
            spoilt: RefCell::default(),
        };
        folder.write("products.json", PRODUCTS);
        let planogram: Vec<String> = PLANOGRAM.iter().map(|entry| expand(entry)).collect();
        folder.write("planogram.json", &planogram.join("\n"));
        folder.write("plate_data.json", &plate_data());
        folder.write("full_targets.json", &full_targets());
        folder.write(
            "truth.json",
            r#"{"name":"synthetic","start":1600000000.0,"receipts":[{"target_id":"4711","products":[{"barcode":"120850","quantity":1}]}],
                "events":[{"kind":"pick","t":2.5,"target_id":"4711","barcode":"120850","quantity":1,"plates":[[1,2,3]]}]}"#,
        );
        for name in ["plate_data.json", "full_targets.json", "planogram.json"] {
            let starts = line_starts(&folder.bytes(name));
            folder.spoilt.borrow_mut().push((name.to_owned(), starts));
        }
        folder
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, name: &str, content: &str) {
        self.write_bytes(name, content.as_bytes());
    }

    fn write_bytes(&self, name: &str, content: &[u8]) {
        fs::write(self.path().join(name), content).expect("the test's own folder can be written");
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).expect("the test's own file can be read")
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path().join(name)).expect("the test's own file can be removed");
    }

    pub fn remove_all(&self) {
        fs::remove_dir_all(self.path()).expect("the test's own folder can be removed");
    }

    /// Cuts the file off, `at` bytes into `line` (from 1).
    pub fn cut(&self, name: &str, line: usize, at: usize) {
        let mut bytes = self.bytes(name);
        bytes.truncate(line_starts(&bytes)[line - 1] + at);
        self.write_bytes(name, &bytes);
    }

    /// Puts a byte into the file, `at` bytes into `line` (from 1).
    pub fn put_byte(&self, name: &str, line: usize, at: usize, byte: u8) {
        let mut bytes = self.bytes(name);
        let start = line_starts(&bytes)[line - 1];
        bytes[start + at] = byte;
        self.write_bytes(name, &bytes);
    }

    /// Replaces text in `line` (from 1).
    pub fn replace(&self, name: &str, line: usize, from: &str, to: &str) {
        let text = String::from_utf8(self.bytes(name)).expect("it was text");
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        assert!(lines[line - 1].contains(from), "line {line} has {from}");
        lines[line - 1] = lines[line - 1].replacen(from, to, 1);
        self.write(name, &lines.join("\n"));
    }

    /// Replaces `{line+at}` in a complaint by the byte of the file that the complaint names.
    pub fn fill_in_offset(&self, complaint: &str) -> String {
        let Some((before, rest)) = complaint.split_once('{') else {
            return complaint.to_owned();
        };
        let (place, after) = rest.split_once('}').expect("the brace is closed");
        let (line, at) = place.split_once('+').expect("line+at");
        let number = |text: &str| text.parse::<usize>().expect("a number");
        let spoilt = self.spoilt.borrow();
        let (_, starts) = (spoilt.iter())
            .find(|(name, _)| complaint.contains(name.as_str()))
            .or(spoilt.first())
            .expect("there are files");
        format!("{before}{}{after}", starts[number(line) - 1] + number(at))
    }
}

/// The data beside the project, which is no part of it; None, said aloud, where it is not there and nobody insists.
pub fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("STROLL_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    if path.join("nanostore").is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{} is not there",
        path.display()
    );
    eprintln!("skipped: {} is not there", path.display());
    None
}

fn line_starts(bytes: &[u8]) -> Vec<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    std::iter::once(0).chain(ends.map(|(i, _)| i + 1)).collect()
}

/// Writes out the abbreviations of [`PLANOGRAM`].
fn expand(entry: &str) -> String {
    let (plates, rest) = entry.split_once("],").expect("plates");
    let mut out = String::new();
    for piece in plates.split('P') {
        match piece.split_once('}') {
            None => out.push_str(piece),
            Some((numbers, after)) => {
                let n: Vec<&str> = numbers.split(',').collect();
                out.push_str(&format!(
                    r#""shelf_id":{{"gondola_id":{{"id":{}}},"shelf_index":{}}},"plate_index":{}}}{after}"#,
                    n[0], n[1], n[2]
                ));
            }
        }
    }
    let (product, place) = rest.split_once(",X").expect("a place");
    let n: Vec<&str> = place.trim_end_matches('}').split(',').collect();
    format!(
        r#"{out}],{product},"global_coordinates":{{"transform":{{"translation":{{"x":{},"z":{}}},"rotation":{{}}}},"dim_x":{}}}}}"#,
        n[0], n[1], n[2]
    )
}

/// Gondola 1 with 2 × 3 plates of which one is dead, gondola 2 with 1 × 2, in turn, with jittering times.
fn plate_data() -> String {
    let mut lines = String::new();
    for batch in 0..BATCHES {
        for (gondola, rows, columns) in [(1, 3, 4), (2, 2, 3)] {
            let jitter_s = [0.0, 0.004, -0.003, 0.006, -0.005][(batch + gondola) % 5];
            let t = EPOCH_S + (batch + 1) as f64 * 0.2 + jitter_s;
            let mut bytes = Vec::new();
            for sample in 0..BATCH {
                for row in 0..rows {
                    for column in 0..columns {
                        let dead = row == 0 || column == 0 || (gondola, row, column) == (1, 1, 3);
                        let grams = if dead {
                            f32::NAN
                        } else {
                            let wobble = (sample * batch) as f32 * 0.2416;
                            (gondola * 100 + row * 10 + column) as f32 + wobble
                        };
                        bytes.extend(grams.to_le_bytes());
                    }
                }
            }
            lines += &format!(
                r#"{{"_id":{{"$oid":"0"}},"timestamp":{t},"date_time":{{"$date":"2020"}},"gondola_id":{gondola},"document":{{"header":{{"uuid":{{}}}},"plate_data":{{"plate_id":{{"shelf_id":{{"gondola_id":{{"id":{gondola}}}}}}},"freq_samp":60.0,"values":{{"data":"{}","shape":[{BATCH}, {rows}, {columns}],"type":"DATATYPE_FLOAT32"}}}}}}}}"#,
                STANDARD.encode(bytes)
            );
            lines.push('\n');
        }
    }
    lines
}

/// One body that comes after a second and is lost after four, at 15 Hz.
fn full_targets() -> String {
    let mut lines = String::new();
    for frame in 0..75 {
        let t = f64::from(frame) / 15.0;
        let body = if (1.0..4.0).contains(&t) {
            format!(
                r#"{{"targets":[{{"target_id":{{"id":"4711"}},"detection_metadata":[{{"bbox":{{"left":1}}}}],"head":{{"point":{{"x":{},"y":-20.5,"z":66}},"score":0.99912}},"hands":[{{"point":{{"x":10,"y":-2,"z":40}},"score":0.9}},{{"point":{{}}}}]}}]}}"#,
                10.0 + t
            )
        } else {
            "{}".to_owned()
        };
        lines += &format!(
            r#"{{"timestamp":{},"date_time":{{"$date":"late"}},"document":{{"targets":{body}}},"id":0}}"#,
            EPOCH_S + t
        );
        lines.push('\n');
    }
    lines
}
