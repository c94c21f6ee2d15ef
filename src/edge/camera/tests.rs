use std::os::unix::fs::PermissionsExt;

use super::pipe::{JpegStream, Pipe, Program};
use super::*;

fn jpeg(grey: u8) -> Vec<u8> {
    pictures::jpeg(&Picture::filled(16, 8, [grey; 3]), 90).unwrap()
}

fn greys(source: &mut dyn FrameSource) -> Vec<(u64, u8)> {
    let mut seen = Vec::new();
    while let Some(frame) = source.next_frame().unwrap() {
        seen.push((
            frame.number,
            frame.picture().unwrap().pixel(3, 3)[0] / 10 * 10,
        ));
    }
    seen
}

#[test]
fn folders_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let error = open(folder.path().to_str().unwrap()).err().unwrap();
    assert!(error.to_string().contains("holds no picture"), "{error}");
    std::fs::write(name("f2.jpg"), jpeg(52)).unwrap();
    std::fs::write(name("f10.jpg"), jpeg(102)).unwrap();
    let mut all = open(folder.path().to_str().unwrap()).unwrap();
    assert_eq!(greys(all.as_mut()), [(0, 50), (1, 100)]);
    assert_eq!(greys(open(&name("f10.jpg")).unwrap().as_mut()), [(0, 100)]);
    let error = open(&name("gone.jpg")).err().unwrap();
    assert!(
        error.to_string().contains("no such file or folder"),
        "{error}"
    );
    std::fs::write(name("text.txt"), "text").unwrap();
    let frame = open(&name("text.txt"))
        .unwrap()
        .next_frame()
        .unwrap()
        .unwrap();
    let error = frame.picture().unwrap_err().to_string();
    assert!(
        error.contains("text.txt (frame 0): it is neither JPEG nor PNG"),
        "{error}"
    );
}

#[test]
fn a_recording_gives_its_frames_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames.mcap");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = FrameWriter::new(&path, file, "shelf-1").unwrap();
    let start = Timestamp::from_seconds(1_700_000_000.0);
    for frame in 0..50 {
        let at = start.plus_seconds(f64::from(frame) / 10.0);
        writer.write(at, &jpeg(5 * frame as u8)).unwrap();
    }
    writer.finish().unwrap();
    let mut frames = RecordedFrames::open(&path).unwrap();
    let mut last = None;
    while let Some(frame) = frames.next_frame().unwrap() {
        last = Some(frame);
    }
    let last = last.unwrap();
    assert_eq!((last.number, last.at), (49, Some(start.plus_seconds(4.9))));
    assert_eq!(last.picture().unwrap().width(), 16);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let mut cut = RecordedFrames::open(&path).unwrap();
    let error = loop {
        match cut.next_frame() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the file is cut off"),
            Err(error) => break error,
        }
    };
    assert!(
        error.to_string().contains("the recording is damaged"),
        "{error}"
    );
}

#[test]
fn a_stream_of_jpegs_in_pieces_of_any_size() {
    struct Pieces(Vec<u8>, usize);
    impl std::io::Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let bytes = self.1.min(self.0.len()).min(into.len());
            into[..bytes].copy_from_slice(&self.0[..bytes]);
            self.0.drain(..bytes);
            Ok(bytes)
        }
    }
    let frames = [jpeg(10), jpeg(200), jpeg(90)];
    let mut bytes = frames.concat();
    // Half a frame at the end, as of a program that was ended.
    bytes.extend(&frames[0][..40]);
    for piece in [1, 7, 1000, 1 << 20] {
        let mut stream = JpegStream::new(Pieces(bytes.clone(), piece));
        for frame in &frames {
            assert!(matches!(stream.next(), Ok(Some(found)) if found == *frame));
        }
        assert!(matches!(stream.next(), Ok(None)));
    }
    let mut noise = JpegStream::new(Pieces(vec![7; 100], 50));
    assert!(noise.next().is_err());
}

/// A program that stands in for a camera's.
fn script(folder: &Path, text: &str) -> String {
    let path = folder.join("camera.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_program_gives_frames_and_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("two.mjpeg"),
        [jpeg(10), jpeg(200)].concat(),
    )
    .unwrap();
    let two = format!("cat {}/two.mjpeg", folder.path().display());
    let mut pipe = Pipe::spawn(Program::RpicamVid, &script(folder.path(), &two), "0").unwrap();
    assert_eq!(greys(&mut pipe), [(0, 10), (1, 200)]);
    for (text, said) in [
        (
            "echo no cameras available >&2; exit 1",
            "no cameras available",
        ),
        ("exit 3", "exit status: 3"),
    ] {
        let path = script(folder.path(), text);
        let mut pipe = Pipe::spawn(Program::RpicamVid, &path, "0").unwrap();
        let error = pipe.next_frame().err().unwrap().to_string();
        assert!(
            error.contains(said) && error.contains("`rpicam-vid` failed"),
            "{error}"
        );
    }
    let error = Pipe::spawn(Program::Ffmpeg, "/no/such/ffmpeg", "trip.mp4")
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("apt-get install ffmpeg"),
        "{error}"
    );
}

/// Dropped while its program says nothing, as of a camera whose cable is out.
#[test]
fn a_program_that_hangs_ends_with_its_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hangs");
    let pid = folder.path().join("pid");
    let script = format!(
        "#!/bin/sh\necho $$ > {0}.part\nmv {0}.part {0}\nexec sleep 1000\n",
        pid.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let open = move || -> Result<Box<dyn FrameSource>, CameraError> {
        Ok(Box::new(Pipe::spawn(Program::RpicamVid, &path, "0")?))
    };
    let reader = LiveReader::start("0", || Timestamp(0), open, |_, _| {}).unwrap();
    while !pid.is_file() {
        std::thread::yield_now();
    }
    let process = std::fs::read_to_string(&pid).unwrap();
    let process = Path::new("/proc").join(process.trim());
    assert!(process.is_dir());
    drop(reader);
    // Its thread sees the end of the output and takes leave of it.
    while process.is_dir() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
