//! The store's definition as a file that is edited: checked before it is written, and earlier versions kept for undoing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::store::{Definition, DefinitionError, definition};

/// What went wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum StoreFileError {
    #[error("{path} cannot be read: {source}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{path} cannot be written: {source}; the coordinator's user needs to write there and in its folder"
    )]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("somebody has changed {path} meanwhile: look at it again, and repeat what you did")]
    Changed { path: PathBuf },
    #[error("{path} is no TOML: {why}")]
    NoToml { path: PathBuf, why: String },
    #[error(transparent)]
    Mistakes(#[from] DefinitionError),
}

/// The file.
#[derive(Clone, Debug)]
pub struct StoreFile {
    path: PathBuf,
}

/// Its text, and what names that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub text: String,
    /// Short, and another for every other text.
    pub version: String,
}

impl Written {
    fn of(text: String) -> Self {
        let digest: [u8; 32] = Sha256::digest(&text).into();
        let version = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Written { text, version }
    }
}

impl StoreFile {
    /// That at `path`.
    pub fn at(path: &Path) -> Self {
        let path = path.to_owned();
        StoreFile { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> Result<Written, StoreFileError> {
        fs::read_to_string(&self.path)
            .map(Written::of)
            .map_err(|source| StoreFileError::Read {
                path: self.path.clone(),
                source,
            })
    }

    /// A text as a definition.
    ///
    /// # Errors
    /// Every mistake in it, with its line.
    pub fn check(&self, text: &str) -> Result<Definition, DefinitionError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        definition::parse(text, &name).map(|(definition, _)| definition)
    }

    /// Checks a text and writes it in the place of that version. A crash leaves the one or the other.
    ///
    /// # Errors
    /// The text has mistakes, the file says something else by now, or cannot be written.
    pub fn write(&self, text: &str, over: &str) -> Result<Definition, StoreFileError> {
        let definition = self.check(text)?;
        if self.read()?.version != over {
            let path = self.path.clone();
            return Err(StoreFileError::Changed { path });
        }
        self.replace(text).map_err(|source| StoreFileError::Write {
            path: self.path.clone(),
            source,
        })?;
        Ok(definition)
    }

    fn replace(&self, text: &str) -> std::io::Result<()> {
        let folder = self.path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        let permissions = fs::metadata(&self.path)?.permissions();
        file.as_file().set_permissions(permissions)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        // The name, too, is to outlast a power cut.
        fs::File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_right_and_nobody_elses_change_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.toml");
        let text = definition::NANOSTORE;
        fs::write(&path, text).unwrap();
        let file = StoreFile::at(&path);
        let before = file.read().unwrap();
        let renamed = text.replacen("name = \"", "name = \"New ", 1);
        assert_ne!(renamed, text);
        let wrong = file.write("[store]\n", &before.version);
        assert!(matches!(wrong, Err(StoreFileError::Mistakes(_))));
        file.write(&renamed, &before.version).unwrap();
        assert_eq!(file.read().unwrap().text, renamed);
        let late = file.write(text, &before.version);
        assert!(matches!(late, Err(StoreFileError::Changed { .. })));
    }
}
