//! What can be wrong with a recording, in sentences that name file and place.

use std::path::PathBuf;

use crate::store::NodeName;

/// Why a recording could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error(
        "{path}: there is no such file or folder; give a competition folder or an .mcap recording"
    )]
    NotFound { path: PathBuf },
    #[error("{path}: it cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{folder}: the folder has no {name}, so it is no competition recording; it takes plate_data.json, \
         full_targets.json, planogram.json and products.json"
    )]
    MissingFile { folder: PathBuf, name: &'static str },
    /// The samples are damaged; what comes before can still be had.
    #[error("{0}; `--partial` gives what was whole before it")]
    Damaged(Damage),
    /// The store's definition is damaged: without it nothing can be priced, so there is no part to be had.
    #[error("{0}; the store cannot be understood without it")]
    DamagedDefinition(Damage),
    #[error(
        "{file}, line {line}: the planogram has product {code}, which products.json does not know; add it there or \
         correct the code"
    )]
    UnknownProduct {
        file: PathBuf,
        line: u64,
        code: String,
    },
    #[error("no recording was given; name at least one folder or .mcap file")]
    Nothing,
    #[error(
        "{file}: the recording holds no store definition, so Stroll did not make it; give the definition of the \
         store along with it"
    )]
    NoDefinition { file: PathBuf },
    #[error(
        "{first} and {second} were recorded in different stores (definitions {first_hash:.12} and \
         {second_hash:.12}); replay them one by one"
    )]
    DifferentStores {
        first: PathBuf,
        first_hash: String,
        second: PathBuf,
        second_hash: String,
    },
    #[error(
        "{first} and {second} both hold node {node} at the same time; give each node's recording once"
    )]
    SameNode {
        node: NodeName,
        first: PathBuf,
        second: PathBuf,
    },
    #[error("node {node}: the record cannot be written: {why}")]
    Unwritable { node: NodeName, why: String },
    #[error("the recording cannot be written to {path}")]
    Uncreatable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("writing the recording failed")]
    Write(#[source] ::mcap::McapError),
    #[error("a part of the recording cannot be written as JSON")]
    Encode(#[from] serde_json::Error),
}

/// The first place at which a file is not what it should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{file}, {place}byte {offset}: {flaw}", place = .line.map(|n| format!("line {n}, ")).unwrap_or_default())]
pub struct Damage {
    pub file: PathBuf,
    /// From 1, in files of lines.
    pub line: Option<u64>,
    /// Bytes from the start of the file.
    pub offset: u64,
    pub flaw: Flaw,
}

/// What is wrong there.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Flaw {
    #[error("the file is empty")]
    Empty,
    #[error("the line is cut off")]
    CutLine,
    #[error("the line is not UTF-8 text")]
    NotUtf8,
    #[error("the line is not the JSON that belongs here: {0}")]
    NotJson(String),
    #[error("the samples are not base64: {0}")]
    NotBase64(String),
    #[error("the samples are of type {0}, and only DATATYPE_FLOAT32 can be read")]
    WrongType(String),
    #[error("{0:?} is no shape of samples × (shelves + 1) × (plates + 1)")]
    NoShape(Vec<u64>),
    #[error("shape {shape:?} takes {expected} bytes of samples, but {found} are there")]
    WrongLength {
        shape: Vec<u64>,
        expected: u64,
        found: u64,
    },
    #[error("gondola {gondola} changes from {before} to {after} in the middle of the recording")]
    Changed {
        gondola: u16,
        before: String,
        after: String,
    },
    #[error("{0} Hz is no sample rate")]
    NoRate(f64),
    #[error(
        "{0} is an impossible timestamp (seconds between the years 1970 and 2500 are possible)"
    )]
    NoTime(f64),
    #[error("a body {0:.0} m away is impossible")]
    NoPlace(f64),
    #[error(
        "a facing that is {0:e} m from the store's origin, or so wide, is impossible (up to 10 km is)"
    )]
    TooFar(f64),
    #[error("the file does not begin as an MCAP file")]
    NotMcap,
    #[error("the file is cut off")]
    CutFile,
    #[error("{0}")]
    BadRecord(String),
    #[error(
        "the recording has format version {0}, and this program reads version 1; use a newer one"
    )]
    NewerVersion(u32),
}
