//! Recordings: `.mcap` files as bytes, `.mcap` files whose sums are right and whose contents are not, and the
//! competition's folders.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use stroll::edge::recording::mcap::McapWriter;
use stroll::edge::recording::{DefinitionFile, OpenOptions, open};
use stroll::recording::Recording;

use super::{Fate, Judged, fuzz, same};

const PARTIAL: OpenOptions = OpenOptions {
    partial: true,
    definition: None,
};

/// Opens what lies there, whole and in part; what is whole is the same after it was written as `.mcap`.
fn judge(path: &Path) -> Judged {
    let partial = open(path, &PARTIAL);
    let whole = match (open(path, &OpenOptions::default()), partial) {
        (Ok(whole), Ok(_)) => whole,
        (Ok(_), Err(error)) => {
            return Err(format!("whole, it can be read, and in part not: {error}"));
        }
        (Err(error), Ok(part)) => {
            let damage = part.damage.unwrap_or_default();
            if damage.trim().is_empty() {
                return Err(format!(
                    "a part of it does not say what is damaged: {error}"
                ));
            }
            return Ok(Fate::refused(error));
        }
        (Err(error), Err(_)) => return Ok(Fate::refused(error)),
    };
    let bytes = written(&whole).map_err(|e| format!("cannot be written again: {e}"))?;
    let folder = tempfile::tempdir().unwrap();
    let again = folder.path().join("again.mcap");
    std::fs::write(&again, bytes).unwrap();
    let read = open(&again, &OpenOptions::default());
    let read = read.map_err(|e| format!("what is written cannot be read: {e}"))?;
    let definition = |recording: &Recording| DefinitionFile::from(&*recording.definition);
    same("the definition", &definition(&whole), &definition(&read))?;
    same("the nodes", &whole.nodes, &read.nodes)?;
    same("the records", &whole.records, &read.records)?;
    same("the truth", &whole.truth, &read.truth)?;
    Ok(Fate::Taken)
}

fn written(recording: &Recording) -> Result<Vec<u8>, String> {
    let sentence = |error: stroll::edge::recording::RecordingError| error.to_string();
    let mut writer = McapWriter::new(
        Cursor::new(Vec::new()),
        &recording.definition,
        &recording.nodes,
        recording.truth.as_ref(),
    )
    .map_err(sentence)?;
    for record in &recording.records {
        writer.write(record).map_err(sentence)?;
    }
    Ok(writer.finish().map_err(sentence)?.into_inner())
}

#[test]
fn mcap_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.mcap");
    let good = built(&super::committed("mcap_contents")[0]);
    fuzz("mcap", 4_000, vec![good], |input| {
        std::fs::write(&path, input).unwrap();
        judge(&path)
    });
}

/// Lines `A <name> <content>`, `C <topic> <group>` and `M <channel> <content>` as attachments, channels and messages of
/// a file that is sound in itself.
fn built(lines: &[u8]) -> Vec<u8> {
    let mut writer = ::mcap::WriteOptions::new()
        .profile("stroll")
        .create(Cursor::new(Vec::new()))
        .unwrap();
    for (number, line) in lines.split(|&b| b == b'\n').enumerate() {
        let mut words = line.splitn(3, |&b| b == b' ');
        let kind = words.next().unwrap_or_default();
        let name = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
        let content = words.next().unwrap_or_default();
        match kind {
            b"A" => {
                let attachment = ::mcap::Attachment {
                    log_time: 0,
                    create_time: 0,
                    name,
                    media_type: "application/json".to_owned(),
                    data: content.into(),
                };
                writer.attach(&attachment).unwrap();
            }
            b"C" => {
                let group = String::from_utf8_lossy(content).into_owned();
                let metadata = BTreeMap::from([("group".to_owned(), group)]);
                // The same topic with other contents is another channel.
                let _ = writer.add_channel(0, &name, "json", &metadata);
            }
            b"M" => {
                let header = ::mcap::records::MessageHeader {
                    channel_id: name.parse().unwrap_or(0),
                    sequence: number as u32,
                    log_time: 0,
                    publish_time: 0,
                };
                // To a channel that the file does not have, the writer writes nothing.
                let _ = writer.write_to_known_channel(&header, content);
            }
            _ => {}
        }
    }
    writer.finish().unwrap();
    writer.into_inner().into_inner()
}

#[test]
fn mcap_contents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.mcap");
    fuzz("mcap_contents", 4_000, Vec::new(), |input| {
        std::fs::write(&path, built(input)).unwrap();
        judge(&path)
    });
}

/// The files of a folder behind each other, each after a line `== <name>`.
#[test]
fn competition_folders() {
    const NAMES: [&str; 5] = [
        "products.json",
        "planogram.json",
        "plate_data.json",
        "full_targets.json",
        "truth.json",
    ];
    let folder = tempfile::tempdir().unwrap();
    fuzz("nanostore", 4_000, Vec::new(), |input| {
        for name in NAMES {
            let _ = std::fs::remove_file(folder.path().join(name));
            let head = format!("== {name}\n");
            let begin = input.windows(head.len()).position(|w| w == head.as_bytes());
            let Some(rest) = begin.map(|begin| &input[begin + head.len()..]) else {
                continue;
            };
            let end = rest
                .windows(3)
                .position(|w| w == b"== ")
                .unwrap_or(rest.len());
            std::fs::write(folder.path().join(name), &rest[..end]).unwrap();
        }
        judge(folder.path())
    });
}
