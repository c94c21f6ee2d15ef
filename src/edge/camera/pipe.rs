//! Frames from another program over a pipe: `rpicam-vid` for the Pi's own cameras, `ffmpeg` for all else.
//!
//! Both write one JPEG after the other. Nothing has to be linked, and a camera that hangs hangs a process that can be ended.

use std::io::{ErrorKind, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::{CameraError, Ender, Frame, FrameSource};
use crate::edge::pictures::end_of_jpeg;

/// A frame that is larger is no camera's.
const FRAME_BYTES_MAX: usize = 32 << 20;
const READ_BYTES: usize = 64 << 10;
/// What is kept of what the program says on standard error, the latest.
const COMPLAINT_BYTES_MAX: usize = 2 << 10;

/// A program that writes JPEGs to its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Videos, V4L2 devices, RTSP and HTTP streams.
    Ffmpeg,
    /// The Pi's CSI cameras, by libcamera.
    RpicamVid,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Ffmpeg => "ffmpeg",
            Program::RpicamVid => "rpicam-vid",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Program::Ffmpeg => "ffmpeg",
            Program::RpicamVid => "rpicam-apps",
        }
    }

    fn arguments(self, source: &str) -> Vec<String> {
        let text: Vec<&str> = match self {
            Program::Ffmpeg => {
                let mut before = vec!["-nostdin", "-hide_banner", "-loglevel", "error"];
                if source.starts_with("rtsp://") {
                    before.extend(["-rtsp_transport", "tcp"]);
                }
                if source.starts_with("/dev/") {
                    before.extend(["-f", "v4l2"]);
                }
                before.extend(["-i", source, "-an", "-fps_mode", "passthrough"]);
                before.extend(["-f", "image2pipe", "-c:v", "mjpeg", "-q:v", "2", "-"]);
                before
            }
            Program::RpicamVid => vec![
                "--camera",
                source,
                "--codec",
                "mjpeg",
                "--quality",
                "90",
                "--width",
                "1280",
                "--height",
                "720",
                "--framerate",
                "10",
                "--timeout",
                "0",
                "--nopreview",
                "--flush",
                "--output",
                "-",
            ],
        };
        text.into_iter().map(str::to_owned).collect()
    }
}

/// The frames that a program writes. It is ended when this is dropped.
pub struct Pipe {
    program: Program,
    source: String,
    child: Arc<Mutex<Child>>,
    frames: JpegStream<ChildStdout>,
    complaints: Option<JoinHandle<String>>,
    number: u64,
}

/// Reads what a program says until it ends, and gives the last of it: one that is not listened to would stop.
fn listen(mut to: ChildStderr) -> String {
    let (mut said, mut piece) = (Vec::new(), [0; 1 << 10]);
    while let Ok(read @ 1..) = to.read(&mut piece) {
        said.extend(&piece[..read]);
        let old = said.len().saturating_sub(COMPLAINT_BYTES_MAX);
        said.drain(..old);
    }
    String::from_utf8_lossy(&said).trim().replace('\n', "; ")
}

impl Pipe {
    pub fn start(program: Program, source: &str) -> Result<Self, CameraError> {
        Self::spawn(program, program.name(), source)
    }

    /// Starts the program under another name or path.
    pub(super) fn spawn(program: Program, path: &str, source: &str) -> Result<Self, CameraError> {
        let spawned = Command::new(path)
            .args(program.arguments(source))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let failed = |why: String| CameraError::Program {
            source_name: source.to_owned(),
            program: program.name(),
            why,
        };
        let mut child = spawned.map_err(|error| {
            if error.kind() != ErrorKind::NotFound {
                return failed(error.to_string());
            }
            CameraError::NoProgram {
                source_name: source.to_owned(),
                program: program.name(),
                package: program.package(),
            }
        })?;
        let Some(output) = child.stdout.take() else {
            return Err(failed("it has no output".to_owned()));
        };
        let complaints = child.stderr.take();
        Ok(Pipe {
            program,
            source: source.to_owned(),
            complaints: complaints.map(|to| std::thread::spawn(|| listen(to))),
            child: Arc::new(Mutex::new(child)),
            frames: JpegStream::new(output),
            number: 0,
        })
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At the end of the output: whether the program is content.
    fn end(&mut self) -> Result<(), CameraError> {
        let said = (self.complaints.take()).and_then(|listener| listener.join().ok());
        let why = match (self.child().wait(), said) {
            (Ok(status), _) if status.success() => return Ok(()),
            (Ok(_), Some(said)) if !said.is_empty() => said,
            (Ok(status), _) => format!("it ended with {status}"),
            (Err(error), _) => error.to_string(),
        };
        Err(CameraError::Program {
            source_name: self.source.clone(),
            program: self.program.name(),
            why,
        })
    }
}

impl FrameSource for Pipe {
    fn next_frame(&mut self) -> Result<Option<Frame>, CameraError> {
        match self.frames.next() {
            Ok(Some(encoded)) => {
                let number = self.number;
                self.number += 1;
                Ok(Some(Frame {
                    number,
                    at: None,
                    encoded,
                    name: self.source.clone(),
                }))
            }
            Ok(None) => self.end().map(|()| None),
            Err(StreamFlaw::TooLarge) => Err(CameraError::Stream {
                source_name: self.source.clone(),
                bytes_max: FRAME_BYTES_MAX,
            }),
            Err(StreamFlaw::Io(error)) => Err(CameraError::Program {
                source_name: self.source.clone(),
                program: self.program.name(),
                why: error.to_string(),
            }),
        }
    }

    fn ender(&self) -> Option<Ender> {
        let child = Arc::clone(&self.child);
        Some(Box::new(move || {
            // Whoever holds it waits for its end already.
            if let Ok(mut child) = child.try_lock() {
                let _ = child.kill();
            }
        }))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // It may have ended by itself; both then fail and nothing is left to do.
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// JPEGs that follow one another in a stream of bytes.
pub(super) struct JpegStream<R> {
    from: R,
    /// What was read and not yet given out: at most a frame and one reading.
    bytes: Vec<u8>,
}

pub(super) enum StreamFlaw {
    /// A frame beyond all bounds, or bytes that are none.
    TooLarge,
    Io(std::io::Error),
}

impl<R: Read> JpegStream<R> {
    pub(super) fn new(from: R) -> Self {
        JpegStream {
            from,
            bytes: Vec::new(),
        }
    }

    /// The next whole frame; `None` at the end, where half a frame is dropped.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, StreamFlaw> {
        let mut tried_at = 0;
        loop {
            // A frame is looked for again only when it may be there: its end is two bytes that are seldom elsewhere.
            let news = &self.bytes[tried_at.min(self.bytes.len())..];
            if news.windows(2).any(|pair| pair == [0xFF, 0xD9])
                && let Some(end) = end_of_jpeg(&self.bytes)
            {
                let rest = self.bytes.split_off(end);
                return Ok(Some(std::mem::replace(&mut self.bytes, rest)));
            }
            let begins = self.bytes.starts_with(&[0xFF, 0xD8]) || self.bytes.len() < 2;
            if self.bytes.len() > FRAME_BYTES_MAX || !begins {
                return Err(StreamFlaw::TooLarge);
            }
            tried_at = self.bytes.len().saturating_sub(1);
            let had = self.bytes.len();
            self.bytes.resize(had + READ_BYTES, 0);
            let read = loop {
                match self.from.read(&mut self.bytes[had..]) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            self.bytes.truncate(had + *read.as_ref().unwrap_or(&0));
            if read.map_err(StreamFlaw::Io)? == 0 {
                return Ok(None);
            }
        }
    }
}
