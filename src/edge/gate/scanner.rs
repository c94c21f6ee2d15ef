//! What shows entry codes to the gate, line by line: a USB scanner that speaks serial (`/dev/ttyACM0`), or anything that
//! writes lines into a pipe or file.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::edge::wire::bounds::TEXT_BYTES_MAX;

/// Codes that wait for the rest of the program; people can't show them faster.
const CODES_MAX: usize = 16;
/// A scanner that is unplugged is looked for again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads codes on a thread of its own, for as long as somebody takes them. One that is unplugged is read again when it is
/// back.
pub fn start(path: &Path) -> std::io::Result<mpsc::Receiver<String>> {
    let (send, receive) = mpsc::channel(CODES_MAX);
    let path = path.to_owned();
    std::thread::Builder::new()
        .name("scanner".to_owned())
        .spawn(move || read_on(&path, &send))?;
    Ok(receive)
}

fn read_on(path: &PathBuf, codes: &mpsc::Sender<String>) {
    let mut is_told = false;
    while !codes.is_closed() {
        match File::open(path) {
            Ok(file) => {
                is_told = false;
                if let Err(error) = read(file, codes) {
                    tracing::warn!("the scanner {} cannot be read: {error}", path.display());
                }
            }
            Err(error) if !is_told => {
                is_told = true;
                tracing::warn!("the scanner {} cannot be opened: {error}", path.display());
            }
            Err(_) => {}
        }
        std::thread::sleep(AGAIN);
    }
}

/// Reads to the end; lines that are too long for a code are nobody's.
fn read(file: File, codes: &mpsc::Sender<String>) -> std::io::Result<()> {
    // A file only grows; a device that is at its end is unplugged, and a pipe's writer has gone.
    let only_grows = file.metadata()?.is_file();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = TEXT_BYTES_MAX as u64 * 4;
        match (&mut reader).take(limit).read_until(b'\n', &mut line) {
            Ok(0) if only_grows && !codes.is_closed() => std::thread::sleep(AGAIN),
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let code = String::from_utf8_lossy(&line);
        let code = code.trim();
        let is_code = (1..=TEXT_BYTES_MAX).contains(&code.len());
        if is_code && codes.blocking_send(code.to_owned()).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_codes_but_for_those_that_can_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanner");
        let long = "x".repeat(129);
        std::fs::write(
            &path,
            format!("STROLL1.a.1.b\r\n\n  \n{long}\nSTROLL1.c.2.d"),
        )
        .unwrap();
        let mut codes = start(&path).unwrap();
        assert_eq!(codes.blocking_recv().as_deref(), Some("STROLL1.a.1.b"));
        assert_eq!(codes.blocking_recv().as_deref(), Some("STROLL1.c.2.d"));
    }
}
