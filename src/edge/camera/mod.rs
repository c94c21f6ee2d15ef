//! Where frames come from: pictures, folders of them, recordings, and programs that read cameras and videos.
//!
//! A source gives frames in order, each as the bytes it came in; decoding is left to whoever wants the picture, so that a frame
//! that is passed over costs nothing.

use std::path::{Path, PathBuf};

use crate::edge::pictures::{self, PictureError};
use crate::units::Timestamp;
use crate::vision::picture::Picture;

pub mod calibration;
mod files;
mod live;
mod pipe;
mod recording;

pub use live::LiveReader;
pub use pipe::{Pipe, Program};
pub use recording::{FrameWriter, RecordedFrames};

/// One frame of a source.
#[derive(Clone, Debug)]
pub struct Frame {
    /// From 0, in the order of the source; frames that were dropped count.
    pub number: u64,
    /// When it was taken, where that is known.
    pub at: Option<Timestamp>,
    /// JPEG or PNG.
    pub encoded: Vec<u8>,
    /// What to call it in a message: its file, or the source.
    pub name: String,
}

impl Frame {
    /// Decodes it; an error names it.
    pub fn picture(&self) -> Result<Picture, CameraError> {
        pictures::decode(&self.encoded).map_err(|error| CameraError::Frame {
            number: self.number,
            name: self.name.clone(),
            error,
        })
    }
}

/// Gives frames one after the other.
pub trait FrameSource: Send {
    /// The next frame; `None` at the end.
    fn next_frame(&mut self) -> Result<Option<Frame>, CameraError>;

    /// What ends it while another thread waits for its next frame; `None` if it never waits for long.
    fn ender(&self) -> Option<Ender> {
        None
    }
}

/// Ends a source: there is no frame after it.
pub type Ender = Box<dyn Fn() + Send>;

/// Why there are no frames, or no more.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    #[error("{path}: there is no such file or folder")]
    NotFound { path: PathBuf },
    #[error("{path}: it cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: the folder holds no picture (.jpg, .jpeg or .png)")]
    EmptyFolder { path: PathBuf },
    #[error("{name} (frame {number}): {error}")]
    Frame {
        number: u64,
        name: String,
        error: PictureError,
    },
    #[error("{path}: the recording holds no frames (channels of foxglove.CompressedImage)")]
    NoFrames { path: PathBuf },
    #[error("{path}: it is no calibration of cameras: {why}")]
    Calibration { path: PathBuf, why: String },
    #[error("{path}: it has no camera {name}; it has {known}")]
    NotCalibrated {
        path: PathBuf,
        name: String,
        known: String,
    },
    #[error("{path}: the recording is damaged: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error(
        "{source_name}: it takes the program `{program}`, which is not installed here (on Debian: apt-get install {package}); \
         pictures, folders of pictures and .mcap recordings can be read without it"
    )]
    NoProgram {
        source_name: String,
        program: &'static str,
        package: &'static str,
    },
    #[error("{source_name}: `{program}` failed: {why}")]
    Program {
        source_name: String,
        program: &'static str,
        why: String,
    },
    #[error("{source_name}: a frame is larger than {bytes_max} bytes, or no JPEG")]
    Stream {
        source_name: String,
        bytes_max: usize,
    },
    #[error("{path}: it cannot be written: {why}")]
    Unwritable { path: PathBuf, why: String },
}

/// Opens what a user names: a picture, a folder of pictures, an `.mcap` recording, a video, a stream (`rtsp://...`,
/// `http://...`), a V4L2 device (`/dev/video0`), or the number of a camera of the Pi's own (`0`).
pub fn open(name: &str) -> Result<Box<dyn FrameSource>, CameraError> {
    let path = Path::new(name);
    if name.contains("://") || name.starts_with("/dev/") {
        return Ok(Box::new(Pipe::start(Program::Ffmpeg, name)?));
    }
    if name.parse::<u8>().is_ok() && !path.exists() {
        return Ok(Box::new(Pipe::start(Program::RpicamVid, name)?));
    }
    let kind = std::fs::metadata(path).map_err(|source| cannot_read(path, source))?;
    if kind.is_dir() {
        return Ok(Box::new(files::Files::in_folder(path)?));
    }
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "mcap" => Ok(Box::new(RecordedFrames::open(path)?)),
        "mp4" | "avi" | "mkv" | "mov" | "webm" | "m4v" | "ts" | "h264" | "mjpeg" | "mjpg" => {
            Ok(Box::new(Pipe::start(Program::Ffmpeg, name)?))
        }
        // A picture, or what will be told not to be one.
        _ => Ok(Box::new(files::Files::one(path))),
    }
}

fn cannot_read(path: &Path, source: std::io::Error) -> CameraError {
    let path = path.to_owned();
    if source.kind() == std::io::ErrorKind::NotFound {
        CameraError::NotFound { path }
    } else {
        CameraError::Unreadable { path, source }
    }
}

#[cfg(test)]
mod tests;
