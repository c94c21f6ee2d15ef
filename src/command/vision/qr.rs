//! `stroll vision qr`: reads QR codes.

use std::path::PathBuf;

use anyhow::Context;

use crate::edge::pictures;
use crate::vision::codes;

/// Read the QR codes in pictures
///
/// Of a folder, each picture that has its text beside it (`7.png`, `7.txt`) is held against it, and the rate is printed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pictures, or folders of pictures
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    for path in &args.paths {
        if path.is_dir() {
            folder(path)?;
        } else {
            let picture = pictures::read(path).with_context(|| path.display().to_string())?;
            for text in codes::read(&picture) {
                println!("{text}");
            }
        }
    }
    Ok(())
}

fn folder(path: &PathBuf) -> anyhow::Result<()> {
    let files = pictures::files_in(path).with_context(|| path.display().to_string())?;
    let (mut read, mut wrong, mut all) = (0, 0, 0);
    for file in files {
        let picture = pictures::read(&file).with_context(|| file.display().to_string())?;
        let found = codes::read(&picture);
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Ok(bytes) = std::fs::read(file.with_extension("txt")) else {
            println!("{name}: {}", found.join(", "));
            continue;
        };
        all += 1;
        let wanted = String::from_utf8_lossy(&bytes);
        let verdict = if found
            .iter()
            .any(|text| text.trim_end() == wanted.trim_end())
        {
            read += 1;
            "read"
        } else if found.is_empty() {
            "not read"
        } else {
            wrong += 1;
            "read as something else"
        };
        println!("{name}: {verdict}");
    }
    if all > 0 {
        let rate = 100.0 * f64::from(read) / f64::from(all);
        println!("{read} of {all} read ({rate:.1} %), {wrong} read as something else");
    }
    Ok(())
}
