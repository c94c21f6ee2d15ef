//! Reading a store definition from disk; what it says is checked by [`crate::store::definition::parse`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::store::definition::{self, FILE_BYTES_MAX};
use crate::store::{Definition, DefinitionError, Warning};

/// A definition that could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is missing, a folder, or not ours to read.
    #[error("cannot read the store definition {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file is larger than any store's definition.
    #[error(
        "the store definition {} has more than {FILE_BYTES_MAX} bytes: is it the right file?",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is no text.
    #[error(
        "the store definition {} is no UTF-8 text: byte {offset}, on line {line}, belongs to no character; save it as UTF-8",
        path.display()
    )]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first byte that is wrong, from 0.
        offset: usize,
        /// Its line, from 1.
        line: usize,
    },
    /// The text has mistakes; the message is all of them, each with its line.
    #[error(transparent)]
    Mistakes(#[from] DefinitionError),
}

/// Loads and checks the definition at `path`.
///
/// # Errors
/// The file cannot be read, or it has mistakes.
pub fn load(path: &Path) -> Result<(Definition, Vec<Warning>), LoadError> {
    let read_error = |cause| LoadError::Read {
        path: path.to_owned(),
        cause,
    };
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large, also where its length is unknown (a pipe).
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(read_error)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(LoadError::TooLarge {
            path: path.to_owned(),
        });
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let offset = error.valid_up_to();
        LoadError::NotText {
            path: path.to_owned(),
            offset,
            line: 1 + bytes.iter().take(offset).filter(|&&b| b == b'\n').count(),
        }
    })?;
    Ok(definition::parse(text, &path.display().to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_fail_says_what_and_where() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.toml");
        let message = || load(&file).unwrap_err().to_string();

        assert!(
            message().contains("store.toml: No such file"),
            "{}",
            message()
        );

        std::fs::write(&file, b"[store]\nname = \"\xff\"\n").unwrap();
        assert!(message().contains("byte 16, on line 2"), "{}", message());

        std::fs::write(&file, vec![b'#'; FILE_BYTES_MAX + 1]).unwrap();
        assert!(
            message().contains("more than 16777216 bytes"),
            "{}",
            message()
        );

        std::fs::write(&file, "[store]\nid = \"x\"\n").unwrap();
        assert!(
            message().contains("store.toml:1: missing field"),
            "{}",
            message()
        );

        assert!(
            load(folder.path())
                .unwrap_err()
                .to_string()
                .contains("directory")
        );
    }
}
