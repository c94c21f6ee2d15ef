//! Recordings in and out: the competition's folders, `.mcap`, `stroll import`, and every kind of damage.

use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Output};

use stroll::edge::recording::mcap::McapWriter;
use stroll::edge::recording::{DefinitionFile, OpenOptions};
use stroll::recording::Recording;
use stroll::store::Definition;

mod competition;
mod damage;
pub mod folder;
mod mcap_files;
mod properties;

const PARTIAL: OpenOptions = OpenOptions {
    partial: true,
    definition: None,
};

fn strict() -> OpenOptions {
    OpenOptions::default()
}

fn stroll(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stroll"))
        .args(args)
        .output()
        .expect("the executable starts")
}

/// Text of a path that the tests made.
fn text(path: &Path) -> &str {
    path.to_str().expect("a path of the test is UTF-8")
}

/// Everything of a definition, in a form that can be compared.
fn file_of(definition: &Definition) -> DefinitionFile {
    DefinitionFile::from(definition)
}

fn assert_same(a: &Recording, b: &Recording) {
    assert_eq!(file_of(&a.definition), file_of(&b.definition));
    assert_eq!(a.nodes, b.nodes);
    assert_eq!(a.records, b.records);
    assert_eq!(a.truth, b.truth);
    assert_eq!(a.damage, b.damage);
}

/// A recording as the bytes of an `.mcap` file.
fn mcap_bytes(recording: &Recording) -> Vec<u8> {
    let mut writer = McapWriter::new(
        Cursor::new(Vec::new()),
        &recording.definition,
        &recording.nodes,
        recording.truth.as_ref(),
    )
    .expect("memory can be written");
    for record in &recording.records {
        writer.write(record).expect("the record can be written");
    }
    writer.finish().expect("the file can be ended").into_inner()
}
