//! Frames in `.mcap` recordings: messages of `foxglove.CompressedImage`, which Foxglove and Rerun show as pictures.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};

use ::mcap::read::parse_record;
use ::mcap::records::{MessageHeader, Record as McapRecord, op};
use ::mcap::sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{CameraError, Frame, FrameSource, cannot_read};
use crate::units::Timestamp;

const SCHEMA: &str = "foxglove.CompressedImage";
const TOPIC: &str = "/camera/";
/// No record of ours is larger.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// A chunk is closed at this size, so that what is buffered stays bounded and a crash costs little.
const CHUNK_BYTES_MAX: u64 = 4 << 20;

/// foxglove.CompressedImage in JSON, as Foxglove documents it.
#[derive(Serialize, Deserialize)]
struct CompressedImage {
    timestamp: Time,
    frame_id: String,
    /// Base64.
    data: String,
    /// `jpeg` or `png`.
    format: String,
}

#[derive(Serialize, Deserialize)]
struct Time {
    sec: i64,
    nsec: i64,
}

/// The frames of a recording in the order of the file, of every camera in it. It is read as it is used.
pub struct RecordedFrames {
    path: PathBuf,
    file: BufReader<File>,
    reader: LinearReader,
    cameras: HashMap<u16, String>,
    schemas: HashMap<u16, String>,
    waiting: VecDeque<Frame>,
    number: u64,
}

impl RecordedFrames {
    pub fn open(path: &Path) -> Result<Self, CameraError> {
        let file = File::open(path).map_err(|source| cannot_read(path, source))?;
        let options = LinearReaderOptions::default()
            .with_prevalidate_chunk_crcs(true)
            .with_record_length_limit(RECORD_BYTES_MAX);
        Ok(RecordedFrames {
            path: path.to_owned(),
            file: BufReader::new(file),
            reader: LinearReader::new_with_options(options),
            cameras: HashMap::new(),
            schemas: HashMap::new(),
            waiting: VecDeque::new(),
            number: 0,
        })
    }

    fn damaged(&self, why: impl ToString) -> CameraError {
        CameraError::Damaged {
            path: self.path.clone(),
            why: why.to_string(),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a later format may have more"
    )]
    fn record(&mut self, opcode: u8, data: &[u8]) -> Result<(), CameraError> {
        if !matches!(opcode, op::SCHEMA | op::CHANNEL | op::MESSAGE) {
            return Ok(());
        }
        match parse_record(opcode, data).map_err(|e| self.damaged(e))? {
            McapRecord::Schema { header, .. } => {
                self.schemas.insert(header.id, header.name);
            }
            McapRecord::Channel(channel) => {
                let schema = self.schemas.get(&channel.schema_id);
                if channel.message_encoding == "json" && schema.is_some_and(|s| s == SCHEMA) {
                    self.cameras.insert(channel.id, channel.topic);
                }
            }
            McapRecord::Message { header, data } => {
                if let Some(topic) = self.cameras.get(&header.channel_id) {
                    let name = format!("{}, {topic}", self.path.display());
                    let image: CompressedImage =
                        serde_json::from_slice(&data).map_err(|e| self.damaged(e))?;
                    let encoded = STANDARD.decode(&image.data).map_err(|e| self.damaged(e))?;
                    self.waiting.push_back(Frame {
                        number: self.number,
                        at: Some(Timestamp((header.log_time / 1_000) as i64)),
                        encoded,
                        name,
                    });
                    self.number += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl FrameSource for RecordedFrames {
    fn next_frame(&mut self) -> Result<Option<Frame>, CameraError> {
        while self.waiting.is_empty() {
            let seen = match self.reader.next_event() {
                None => break,
                Some(Err(error)) => return Err(self.damaged(error)),
                Some(Ok(LinearReadEvent::ReadRequest(wanted))) => {
                    let into = self.reader.insert(wanted);
                    let read = self.file.read(into);
                    let read = read.map_err(|source| cannot_read(&self.path, source))?;
                    self.reader.notify_read(read);
                    continue;
                }
                Some(Ok(LinearReadEvent::Record { opcode, data })) => (opcode, data.to_vec()),
            };
            self.record(seen.0, &seen.1)?;
        }
        if self.waiting.is_empty() && self.number == 0 {
            return Err(CameraError::NoFrames {
                path: self.path.clone(),
            });
        }
        Ok(self.waiting.pop_front())
    }
}

/// Writes the frames of one camera as a recording.
pub struct FrameWriter {
    path: PathBuf,
    out: ::mcap::Writer<BufWriter<File>>,
    channel: u16,
    camera: String,
    sequence: u32,
}

impl FrameWriter {
    /// Begins a recording in an empty file.
    pub fn new(path: &Path, file: File, camera: &str) -> Result<Self, CameraError> {
        let cannot = |error: ::mcap::McapError| CameraError::Unwritable {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let mut out = ::mcap::WriteOptions::new()
            .compression(Some(::mcap::Compression::Zstd))
            .compression_threads(0)
            .chunk_size(Some(CHUNK_BYTES_MAX))
            .profile("stroll")
            .library("stroll")
            .create(BufWriter::new(file))
            .map_err(cannot)?;
        let schema = serde_json::json!({
            "title": SCHEMA,
            "type": "object",
            "properties": {
                "timestamp": {
                    "type": "object", "title": "time",
                    "properties": { "sec": { "type": "integer" }, "nsec": { "type": "integer" } },
                },
                "frame_id": { "type": "string" },
                "data": { "type": "string", "contentEncoding": "base64" },
                "format": { "type": "string" },
            },
        });
        let schema = out
            .add_schema(SCHEMA, "jsonschema", schema.to_string().as_bytes())
            .map_err(cannot)?;
        let channel = out
            .add_channel(
                schema,
                &format!("{TOPIC}{camera}"),
                "json",
                &BTreeMap::new(),
            )
            .map_err(cannot)?;
        Ok(FrameWriter {
            path: path.to_owned(),
            out,
            channel,
            camera: camera.to_owned(),
            sequence: 0,
        })
    }

    /// Adds a frame that was taken at `at`.
    pub fn write(&mut self, at: Timestamp, encoded: &[u8]) -> Result<(), CameraError> {
        let us = at.0.max(0);
        let png = encoded.starts_with(b"\x89PNG");
        let image = CompressedImage {
            timestamp: Time {
                sec: us / 1_000_000,
                nsec: us % 1_000_000 * 1_000,
            },
            frame_id: self.camera.clone(),
            data: STANDARD.encode(encoded),
            format: if png { "png" } else { "jpeg" }.to_owned(),
        };
        let header = MessageHeader {
            channel_id: self.channel,
            sequence: self.sequence,
            log_time: us.unsigned_abs() * 1_000,
            publish_time: us.unsigned_abs() * 1_000,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let data = serde_json::to_vec(&image).map_err(|e| self.cannot(e))?;
        self.out
            .write_to_known_channel(&header, &data)
            .map_err(|e| self.cannot(e))
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<(), CameraError> {
        self.out.finish().map(|_| ()).map_err(|e| self.cannot(e))
    }

    fn cannot(&self, why: impl ToString) -> CameraError {
        CameraError::Unwritable {
            path: self.path.clone(),
            why: why.to_string(),
        }
    }
}
