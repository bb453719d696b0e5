//! Lines the worker itself says in a job's log.

use std::path::{Path, PathBuf};

use drydock_domain::{Changes, IgnoreFlaw};

use super::Attempt;
use crate::workspace::Dropped;

/// Most files listed by name; the job's own lists have the others.
const LISTED: usize = 50;
/// Bytes of a file whose lines are counted at most.
const COUNTED: u64 = 1 << 20;
/// Most flaws of an ignore file told one by one.
const FLAWS: usize = 5;

/// Lists what the agent created and modified, with its line counts.
pub(super) async fn generated_files(attempt: &Attempt, changes: &Changes) {
    let paths: Vec<String> =
        changes.created.iter().chain(&changes.modified).take(LISTED).map(ToString::to_string).collect();
    let more = (changes.created.len() + changes.modified.len()).saturating_sub(LISTED);
    attempt.log.line("[worker] Generated files:").await;
    if paths.is_empty() {
        return;
    }
    let root = attempt.scratch.workspace().to_owned();
    let counted =
        tokio::task::spawn_blocking(move || paths.into_iter().map(|path| describe(&root, &path)).collect::<Vec<_>>());
    for line in counted.await.unwrap_or_default() {
        attempt.log.line(line).await;
    }
    if more > 0 {
        attempt.log.line(format!("[worker]   - and {more} more")).await;
    }
}

/// Names what a version cannot or shall not hold.
pub(super) async fn dropped(attempt: &Attempt, dropped: &Dropped) {
    let counts = [
        (dropped.special, "sockets, named pipes or devices"),
        (dropped.mounts, "directories on another file system"),
        (dropped.ignored, "entries that are ignored (.drydockignore, leftovers of Git)"),
    ];
    for (count, what) in counts {
        if count > 0 {
            attempt.log.line(format!("[worker] Not stored: {count} {what}")).await;
        }
    }
}

/// Warns of what is wrong with the project's ignore file: what it was meant to keep out is stored.
pub(super) async fn flaws(attempt: &Attempt, flaws: &[IgnoreFlaw]) {
    for flaw in flaws.iter().take(FLAWS) {
        attempt.log.line(format!("[worker] Warning: {flaw}")).await;
    }
    if flaws.len() > FLAWS {
        attempt.log.line(format!("[worker] Warning: {} more such lines", flaws.len() - FLAWS)).await;
    }
}

fn describe(root: &Path, path: &str) -> String {
    match lines(&root.join(path)) {
        Some(lines) => format!("[worker]   - {path} ({lines} lines)"),
        None => format!("[worker]   - {path}"),
    }
}

/// Nothing of the agent is alive, and the walk that found the file followed no link to it.
fn lines(path: &PathBuf) -> Option<usize> {
    let meta = fs_err::symlink_metadata(path).ok()?;
    if !meta.is_file() || meta.len() > COUNTED {
        return None;
    }
    let bytes = fs_err::read(path).ok()?;
    let unfinished = usize::from(bytes.last().is_some_and(|last| *last != b'\n'));
    Some(bytes.iter().filter(|byte| **byte == b'\n').count() + unfinished)
}
