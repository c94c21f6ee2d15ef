//! The file that a command writes.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};

/// Opens the output; one that is there already only by `force`.
pub fn create(path: &Path, force: bool) -> anyhow::Result<File> {
    let mut how = File::options();
    how.write(true);
    if force {
        how.create(true).truncate(true);
    } else {
        how.create_new(true);
    }
    match how.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} exists already; `--force` overwrites it", path.display())
        }
        opened => opened.with_context(|| format!("{} cannot be written", path.display())),
    }
}
