//! Where cases are found, and how they are played side by side.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// A recording with its truth.
pub struct Case {
    pub name: String,
    pub path: PathBuf,
}

/// The cases of a folder, by name.
pub struct Suite {
    pub name: String,
    pub cases: Vec<Case>,
}

/// Finds the cases of a folder. One without any is a mistake.
pub fn suite(dir: &Path) -> anyhow::Result<Suite> {
    let entries = std::fs::read_dir(dir)
        .with_context(|| format!("{} cannot be read as a folder", dir.display()))?;
    let mut cases = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("{} cannot be listed", dir.display()))?
            .path();
        let is_recording = path.extension().is_some_and(|e| e == "mcap");
        let name = if is_recording {
            path.file_stem()
        } else {
            path.file_name()
        };
        if is_recording || path.join("truth.json").is_file() {
            cases.push(Case {
                name: name.unwrap_or_default().to_string_lossy().into_owned(),
                path,
            });
        }
    }
    if cases.is_empty() {
        bail!(
            "{} holds no case: expected folders with truth.json, or .mcap recordings made by `stroll simulate`",
            dir.display()
        );
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    // `.` has no name of its own.
    let name = dir.canonicalize().ok();
    let name = name.as_deref().unwrap_or(dir).file_name();
    let name = name.unwrap_or(dir.as_os_str());
    Ok(Suite {
        name: name.to_string_lossy().into_owned(),
        cases,
    })
}

/// Does all jobs on as many threads as there are cores; the results are in the order of the jobs.
///
/// The first error ends the thread that it comes from; the others finish what there is, and the error is returned.
pub fn in_parallel<J: Sync, T: Send>(
    jobs: &[J],
    name: impl Fn(&J) -> &str + Sync,
    work: impl Fn(&J) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {eta}")?;
    let bar = ProgressBar::new(jobs.len() as u64).with_style(style);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<T>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    let worker = || -> anyhow::Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else {
                return Ok(());
            };
            bar.set_message(name(job).to_owned());
            let result = work(job).with_context(|| format!("case {}", name(job)))?;
            done.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
            bar.inc(1);
        }
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, |n| n.get())
        .min(jobs.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let results = workers.into_iter().map(|w| {
            w.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        results.collect::<anyhow::Result<Vec<()>>>()
    })?;
    bar.finish_and_clear();
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(done.into_iter().flatten().collect())
}
