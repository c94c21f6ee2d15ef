//! Reading `.mcap` recordings.
//!
//! The top-level records are walked here, so that damage can be told by its place in the file; their contents are
//! the `mcap` crate's business, and so are all checksums.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ::mcap::read::parse_record;
use ::mcap::records::{Channel as ChannelRecord, Record as McapRecord, op};
use ::mcap::sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions};
use serde::de::DeserializeOwned;

use super::messages::{BodiesMessage, GateMessage, ScaleMessage, flaw_of_group};
use super::{BODIES, DEFINITION, GATE, GROUP, MANIFEST, Manifest, SCALE, TRUTH, VERSION};
use crate::edge::recording::{
    Damage, DefinitionFile, Flaw, OpenOptions, RecordingError, cannot_read, sort_records,
};
use crate::recording::{Record, Recording, ScaleGroup, Truth};
use crate::store::{Definition, NodeName};

/// A chunk that says it is larger than this is damaged: ours have at most some megabytes.
const CHUNK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Opcode and length before each record.
const RECORD_HEAD: usize = 9;

/// Reads a recording. Channels that this version does not know are skipped.
pub fn read(path: &Path, options: &OpenOptions) -> Result<Recording, RecordingError> {
    let bytes = std::fs::read(path).map_err(|source| cannot_read(path, source))?;
    let mut content = Content::default();
    let damage = content.read(&bytes).err().map(|(offset, flaw)| Damage {
        file: path.to_owned(),
        line: None,
        offset,
        flaw,
    });
    if let Some(damage) = &damage
        && !options.partial
    {
        return Err(RecordingError::Damaged(damage.clone()));
    }
    let definition = match (&options.definition, content.definition) {
        (Some(given), _) => Arc::clone(given),
        (None, Some(own)) => Arc::new(own),
        (None, None) => {
            return Err(match damage {
                Some(damage) => RecordingError::DamagedDefinition(damage),
                None => RecordingError::NoDefinition {
                    file: path.to_owned(),
                },
            });
        }
    };
    let mut nodes = content.nodes;
    nodes.extend(content.channels.values().filter_map(Channel::node).cloned());
    nodes.sort();
    nodes.dedup();
    sort_records(&mut content.records);
    Ok(Recording {
        definition,
        nodes,
        records: content.records,
        truth: content.truth,
        damage: damage.map(|damage| damage.to_string()),
    })
}

/// What has been read so far.
#[derive(Default)]
struct Content {
    definition: Option<Definition>,
    truth: Option<Truth>,
    nodes: Vec<NodeName>,
    channels: HashMap<u16, Channel>,
    records: Vec<Record>,
}

enum Channel {
    Scale(Arc<ScaleGroup>),
    Bodies(NodeName),
    Gate(NodeName),
    /// Of a newer version, or of somebody else.
    Unknown,
}

/// A flaw and its byte in the file.
type FlawAt = (u64, Flaw);

impl Content {
    /// Reads a whole file up to the first flaw.
    fn read(&mut self, file: &[u8]) -> Result<(), FlawAt> {
        if file.is_empty() {
            return Err((0, Flaw::Empty));
        }
        let Some(mut rest) = file.strip_prefix(::mcap::MAGIC) else {
            return Err((0, Flaw::NotMcap));
        };
        loop {
            let offset = (file.len() - rest.len()) as u64;
            let (opcode, body, after) = next_record(rest).ok_or((offset, Flaw::CutFile))?;
            let record = &rest[..RECORD_HEAD + body.len()];
            rest = after;
            match opcode {
                op::CHUNK => self.chunk(record).map_err(|flaw| (offset, flaw))?,
                op::CHANNEL | op::MESSAGE | op::ATTACHMENT => {
                    let record = parse(opcode, body).map_err(|flaw| (offset, flaw))?;
                    self.record(record).map_err(|flaw| (offset, flaw))?;
                }
                op::DATA_END => {
                    if !rest.ends_with(::mcap::MAGIC) {
                        return Err((file.len() as u64, Flaw::CutFile));
                    }
                    return check_sums(file).map_err(|flaw| (offset, flaw));
                }
                // Header, schemas, metadata and indexes say nothing that is needed, and readers skip what they don't know.
                _ => {}
            }
        }
    }

    /// Takes a chunk over, given with its head, as a whole or not at all.
    fn chunk(&mut self, chunk: &[u8]) -> Result<(), Flaw> {
        let options = LinearReaderOptions::default()
            .with_skip_start_magic(true)
            .with_skip_end_magic(true)
            // The sum is checked before anything in the chunk is believed, and lengths are limited before memory is taken.
            .with_prevalidate_chunk_crcs(true)
            .with_record_length_limit(CHUNK_BYTES_MAX);
        let whole = self.records.len();
        let read = for_each_record(chunk, options, |opcode, body| {
            self.record(parse(opcode, body)?)
        });
        if read.is_err() {
            self.records.truncate(whole);
        }
        read
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a later format may have more"
    )]
    fn record(&mut self, record: McapRecord<'_>) -> Result<(), Flaw> {
        match record {
            McapRecord::Channel(channel) => {
                let kind = Channel::read(&channel)?;
                self.channels.insert(channel.id, kind);
                Ok(())
            }
            McapRecord::Message { header, data } => self.message(header.channel_id, &data),
            McapRecord::Attachment { header, data, .. } => self.attachment(&header.name, &data),
            // The rest says nothing that is needed.
            _ => Ok(()),
        }
    }

    fn message(&mut self, channel_id: u16, data: &[u8]) -> Result<(), Flaw> {
        let channel = self.channels.get(&channel_id).ok_or_else(|| {
            Flaw::BadRecord(format!(
                "a message belongs to channel {channel_id}, which is unknown"
            ))
        })?;
        let record = match channel {
            Channel::Scale(group) => json::<ScaleMessage>("a scale message", data)?.record(group),
            Channel::Bodies(node) => json::<BodiesMessage>("a bodies message", data)?.record(node),
            Channel::Gate(node) => json::<GateMessage>("a gate message", data)?.record(node),
            Channel::Unknown => return Ok(()),
        };
        self.records.push(record.map_err(Flaw::BadRecord)?);
        Ok(())
    }

    fn attachment(&mut self, name: &str, data: &[u8]) -> Result<(), Flaw> {
        match name {
            MANIFEST => {
                let manifest: Manifest = json(name, data)?;
                if manifest.version > VERSION {
                    return Err(Flaw::NewerVersion(manifest.version));
                }
                self.nodes = manifest.nodes;
            }
            DEFINITION => {
                let definition = Definition::try_from(json::<DefinitionFile>(name, data)?)
                    .map_err(|error| Flaw::BadRecord(error.to_string()))?;
                self.definition = Some(definition);
            }
            TRUTH => self.truth = Some(json(name, data)?),
            _ => {}
        }
        Ok(())
    }
}

impl Channel {
    /// The node that speaks on it.
    fn node(&self) -> Option<&NodeName> {
        match self {
            Channel::Scale(group) => Some(&group.node),
            Channel::Bodies(node) | Channel::Gate(node) => Some(node),
            Channel::Unknown => None,
        }
    }

    fn read(channel: &ChannelRecord) -> Result<Self, Flaw> {
        let topic = channel.topic.as_str();
        if channel.message_encoding != "json" {
            return Ok(Channel::Unknown);
        }
        if let Some(node) = topic.strip_prefix(SCALE) {
            let group = channel.metadata.get(GROUP).ok_or_else(|| {
                Flaw::BadRecord(format!("channel {topic} does not say its plates"))
            })?;
            let group: ScaleGroup = json(&format!("the group of {topic}"), group.as_bytes())?;
            if group.node.as_str() != node {
                return Err(Flaw::BadRecord(format!(
                    "channel {topic} has the plates of {}",
                    group.node
                )));
            }
            return match flaw_of_group(&group) {
                Some(flaw) => Err(Flaw::BadRecord(flaw)),
                None => Ok(Channel::Scale(Arc::new(group))),
            };
        }
        Ok(if let Some(node) = topic.strip_prefix(BODIES) {
            Channel::Bodies(node.into())
        } else if let Some(node) = topic.strip_prefix(GATE) {
            Channel::Gate(node.into())
        } else {
            Channel::Unknown
        })
    }
}

/// Opcode and body of the next record, and what comes after it; None if it is cut off.
fn next_record(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(RECORD_HEAD)?;
    let (&opcode, length) = head.split_first()?;
    let length = u64::from_le_bytes(length.try_into().ok()?);
    let (body, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((opcode, body, after))
}

fn parse(opcode: u8, body: &[u8]) -> Result<McapRecord<'_>, Flaw> {
    if opcode == op::ATTACHMENT && !attachment_fits(body) {
        return Err(Flaw::BadRecord("an attachment is damaged".to_owned()));
    }
    parse_record(opcode, body).map_err(unreadable)
}

/// Whether an attachment's lengths stay within it, which the crate takes for granted.
fn attachment_fits(body: &[u8]) -> bool {
    fn skip_text(bytes: &[u8]) -> Option<&[u8]> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        rest.get(usize::try_from(u32::from_le_bytes(*length)).ok()?..)
    }
    // Two times of 8 bytes, name, media type, a length of 8 bytes, the data, a checksum of 4 bytes.
    let fits = || {
        let after_texts = skip_text(skip_text(body.get(16..)?)?)?;
        let (length, rest) = after_texts.split_first_chunk::<8>()?;
        let data = rest.len().checked_sub(4)? as u64;
        (u64::from_le_bytes(*length) == data).then_some(())
    };
    fits().is_some()
}

/// Checks the sums of everything that the walk did not: the data section and the summary.
fn check_sums(file: &[u8]) -> Result<(), Flaw> {
    let options = LinearReaderOptions::default()
        .with_emit_chunks(true)
        .with_record_length_limit(file.len())
        .with_validate_data_section_crc(true)
        .with_validate_summary_section_crc(true);
    for_each_record(file, options, |_, _| Ok(()))
}

/// Has the `mcap` crate read `bytes`, and calls `see` with the opcode and body of each record.
fn for_each_record(
    bytes: &[u8],
    options: LinearReaderOptions,
    mut see: impl FnMut(u8, &[u8]) -> Result<(), Flaw>,
) -> Result<(), Flaw> {
    let mut reader = LinearReader::new_with_options(options);
    let mut rest = bytes;
    while let Some(event) = reader.next_event() {
        match event.map_err(unreadable)? {
            LinearReadEvent::ReadRequest(wanted) => {
                // Nothing left is an end of file to the reader, which knows whether it may be here.
                let (now, later) = rest.split_at(wanted.min(rest.len()));
                reader.insert(now.len()).copy_from_slice(now);
                reader.notify_read(now.len());
                rest = later;
            }
            LinearReadEvent::Record { opcode, data } => see(opcode, data)?,
        }
    }
    Ok(())
}

fn json<T: DeserializeOwned>(what: &str, data: &[u8]) -> Result<T, Flaw> {
    serde_json::from_slice(data)
        .map_err(|error| Flaw::BadRecord(format!("{what} is damaged: {error}")))
}

fn unreadable(error: ::mcap::McapError) -> Flaw {
    Flaw::BadRecord(format!("a record is damaged: {error}"))
}
