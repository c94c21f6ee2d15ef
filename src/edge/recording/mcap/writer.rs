//! Writing `.mcap` recordings.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use ::mcap::records::MessageHeader;
use schemars::JsonSchema;
use serde::Serialize;

use super::messages::{BodiesMessage, GateMessage, ScaleMessage, flaw_of_group, possible};
use super::{BODIES, DEFINITION, GATE, GROUP, MANIFEST, Manifest, PROFILE, SCALE, TRUTH, VERSION};
use crate::edge::recording::{DefinitionFile, RecordingError};
use crate::recording::{Record, ScaleGroup, Truth};
use crate::store::{Definition, NodeName};
use crate::units::Timestamp;

/// Record time after which a chunk is closed and flushed: what a crash can cost.
const CHUNK_S: f64 = 1.0;
/// A chunk is closed at this size even before, so that what is buffered stays bounded.
const CHUNK_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Writes records as they come; call [`McapWriter::finish`] at the end. Without it the file is
/// readable up to the last flushed second.
pub struct McapWriter<W: Write + Seek = BufWriter<File>> {
    out: ::mcap::Writer<W>,
    /// By topic and, for scales, group.
    channels: Vec<Channel>,
    /// Time of the first record since the last flush.
    chunk_began_at: Option<Timestamp>,
}

struct Channel {
    id: u16,
    kind: ChannelKind,
    node: NodeName,
    /// Of the next message.
    sequence: u32,
}

#[derive(Clone, PartialEq)]
enum ChannelKind {
    Scale(Arc<ScaleGroup>),
    Bodies,
    Gate,
}

impl McapWriter {
    /// Begins a file; one that is there already is overwritten.
    pub fn create(
        path: &Path,
        definition: &Definition,
        nodes: &[NodeName],
        truth: Option<&Truth>,
    ) -> Result<Self, RecordingError> {
        let file = File::create(path).map_err(|source| RecordingError::Uncreatable {
            path: path.to_owned(),
            source,
        })?;
        McapWriter::new(BufWriter::new(file), definition, nodes, truth)
    }
}

impl<W: Write + Seek> McapWriter<W> {
    /// Begins a recording in `out`: in `nodes` also those that may never say anything.
    pub fn new(
        out: W,
        definition: &Definition,
        nodes: &[NodeName],
        truth: Option<&Truth>,
    ) -> Result<Self, RecordingError> {
        let mut out = ::mcap::WriteOptions::new()
            .compression(Some(::mcap::Compression::Zstd))
            // Zstd's worker threads would make the bytes depend on the machine.
            .compression_threads(0)
            .chunk_size(Some(CHUNK_BYTES_MAX))
            .profile(PROFILE)
            .library("stroll")
            .create(out)
            .map_err(RecordingError::Write)?;
        let mut nodes = nodes.to_vec();
        nodes.sort();
        nodes.dedup();
        let manifest = Manifest {
            version: VERSION,
            nodes,
        };
        attach(&mut out, MANIFEST, &manifest)?;
        attach(&mut out, DEFINITION, &DefinitionFile::from(definition))?;
        if let Some(truth) = truth {
            attach(&mut out, TRUTH, truth)?;
        }
        // For people who look at the file in a viewer.
        out.write_metadata(&::mcap::records::Metadata {
            name: PROFILE.to_owned(),
            metadata: BTreeMap::from([
                ("store".to_owned(), definition.id.clone()),
                ("definition_sha256".to_owned(), definition.hash.clone()),
            ]),
        })
        .map_err(RecordingError::Write)?;
        Ok(McapWriter {
            out,
            channels: Vec::new(),
            chunk_began_at: None,
        })
    }

    /// Adds a record. Records come in the order of [`Record::at`].
    pub fn write(&mut self, record: &Record) -> Result<(), RecordingError> {
        check(record).map_err(|why| RecordingError::Unwritable {
            node: record.node().clone(),
            why,
        })?;
        let at = record.at();
        match self.chunk_began_at {
            Some(began_at) if at.seconds_since(began_at) < CHUNK_S => {}
            Some(_) => {
                self.out.flush().map_err(RecordingError::Write)?;
                self.chunk_began_at = Some(at);
            }
            None => self.chunk_began_at = Some(at),
        }
        let (kind, data) = match record {
            Record::Scale(batch) => (
                ChannelKind::Scale(Arc::clone(&batch.group)),
                serde_json::to_vec(&ScaleMessage::from(batch))?,
            ),
            Record::Body(frame) => (
                ChannelKind::Bodies,
                serde_json::to_vec(&BodiesMessage::from(frame))?,
            ),
            Record::Gate(gate) => (
                ChannelKind::Gate,
                serde_json::to_vec(&GateMessage {
                    observation: gate.observation.clone(),
                    clock: None,
                })?,
            ),
        };
        let (channel_id, sequence) = self.channel(record.node(), kind)?;
        let nanoseconds = at.0.unsigned_abs() * 1_000;
        let header = MessageHeader {
            channel_id,
            sequence,
            log_time: nanoseconds,
            publish_time: nanoseconds,
        };
        self.out
            .write_to_known_channel(&header, &data)
            .map_err(RecordingError::Write)
    }

    /// Ends the file and gives the sink back.
    pub fn finish(mut self) -> Result<W, RecordingError> {
        self.out.finish().map_err(RecordingError::Write)?;
        let mut sink = self.out.into_inner();
        sink.flush()
            .map_err(|error| RecordingError::Write(error.into()))?;
        Ok(sink)
    }

    /// The channel of that node and kind, made at its first message, and the sequence of its next message.
    fn channel(
        &mut self,
        node: &NodeName,
        kind: ChannelKind,
    ) -> Result<(u16, u32), RecordingError> {
        let known = self
            .channels
            .iter_mut()
            .find(|channel| channel.kind == kind && &channel.node == node);
        if let Some(channel) = known {
            channel.sequence = channel.sequence.wrapping_add(1);
            return Ok((channel.id, channel.sequence));
        }
        let mut metadata = BTreeMap::new();
        let (topic, schema) = match &kind {
            ChannelKind::Scale(group) => {
                metadata.insert(GROUP.to_owned(), serde_json::to_string(group.as_ref())?);
                (SCALE, self.schema::<ScaleMessage>("stroll.Scale")?)
            }
            ChannelKind::Bodies => (BODIES, self.schema::<BodiesMessage>("stroll.Bodies")?),
            ChannelKind::Gate => (GATE, self.schema::<GateMessage>("stroll.Gate")?),
        };
        let id = self
            .out
            .add_channel(schema, &format!("{topic}{node}"), "json", &metadata)
            .map_err(RecordingError::Write)?;
        self.channels.push(Channel {
            id,
            kind,
            node: node.clone(),
            sequence: 0,
        });
        Ok((id, 0))
    }

    fn schema<T: JsonSchema>(&mut self, name: &str) -> Result<u16, RecordingError> {
        let schema = serde_json::to_vec(&schemars::schema_for!(T))?;
        self.out
            .add_schema(name, "jsonschema", &schema)
            .map_err(RecordingError::Write)
    }
}

fn attach<W: Write + Seek>(
    out: &mut ::mcap::Writer<W>,
    name: &str,
    content: &impl Serialize,
) -> Result<(), RecordingError> {
    let data = serde_json::to_vec(content)?;
    out.attach(&::mcap::Attachment {
        // The time of writing would make equal recordings differ.
        log_time: 0,
        create_time: 0,
        name: name.to_owned(),
        media_type: "application/json".to_owned(),
        data: Cow::Owned(data),
    })
    .map_err(RecordingError::Write)
}

/// Refuses what could not be read back.
fn check(record: &Record) -> Result<(), String> {
    match record {
        Record::Scale(batch) => {
            if let Some(flaw) = flaw_of_group(&batch.group) {
                return Err(flaw);
            }
            possible(batch.first_at)?;
            possible(batch.last_at())?;
            if batch.counts.is_empty() || batch.counts.len() % batch.group.plates.len() != 0 {
                return Err(format!(
                    "{} counts are no whole samples of {} plates",
                    batch.counts.len(),
                    batch.group.plates.len()
                ));
            }
        }
        Record::Body(frame) => {
            possible(frame.at)?;
            let sightings = frame
                .bodies
                .iter()
                .flat_map(|(_, pose)| pose.head.iter().chain(&pose.hands));
            for sighting in sightings {
                let place = sighting.place;
                let numbers = [place.x, place.y, place.z, sighting.confidence];
                if !numbers.into_iter().all(f64::is_finite) {
                    return Err("a place is not a number".to_owned());
                }
            }
            if frame.bodies.iter().any(|(_, pose)| pose.at != frame.at) {
                return Err("a pose has another time than its frame".to_owned());
            }
        }
        Record::Gate(gate) => {
            possible(gate.observation.at)?;
        }
    }
    Ok(())
}
