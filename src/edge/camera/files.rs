//! Picture files as frames.

use std::path::{Path, PathBuf};

use super::{CameraError, Frame, FrameSource, cannot_read};
use crate::edge::pictures;

/// Pictures one after the other.
pub(super) struct Files {
    paths: std::vec::IntoIter<PathBuf>,
    number: u64,
}

impl Files {
    pub(super) fn one(path: &Path) -> Self {
        Files {
            paths: vec![path.to_owned()].into_iter(),
            number: 0,
        }
    }

    /// The pictures right in a folder, by name; an error if there is none.
    pub(super) fn in_folder(path: &Path) -> Result<Self, CameraError> {
        let found = pictures::files_in(path).map_err(|source| cannot_read(path, source))?;
        if found.is_empty() {
            let path = path.to_owned();
            return Err(CameraError::EmptyFolder { path });
        }
        Ok(Files {
            paths: found.into_iter(),
            number: 0,
        })
    }
}

impl FrameSource for Files {
    fn next_frame(&mut self) -> Result<Option<Frame>, CameraError> {
        let Some(path) = self.paths.next() else {
            return Ok(None);
        };
        let (number, name) = (self.number, path.display().to_string());
        self.number += 1;
        let encoded = pictures::bytes(&path).map_err(|error| CameraError::Frame {
            number,
            name: name.clone(),
            error,
        })?;
        Ok(Some(Frame {
            number,
            at: None,
            encoded,
            name,
        }))
    }
}
