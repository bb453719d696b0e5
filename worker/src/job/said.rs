//! Lines the worker itself says in a job's log.

use std::path::Path;

use drydock_domain::{Changes, IgnoreFlaw, RelativePath};
use drydock_files::{Directories, open_directory, open_file};

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
    let paths: Vec<RelativePath> = changes.created.iter().chain(&changes.modified).take(LISTED).cloned().collect();
    let more = (changes.created.len() + changes.modified.len()).saturating_sub(LISTED);
    attempt.log.line("[worker] Generated files:").await;
    if paths.is_empty() {
        return;
    }
    let root = attempt.scratch.workspace().to_owned();
    let counted = tokio::task::spawn_blocking(move || described(&root, &paths));
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

/// One line for each file. Where the workspace cannot be opened, they are named without counts.
fn described(root: &Path, paths: &[RelativePath]) -> Vec<String> {
    let top = open_directory(root);
    let mut directories = top.as_ref().ok().map(Directories::below);
    let line = |path: &RelativePath| match directories.as_mut().and_then(|directories| lines(directories, path)) {
        Some(lines) => format!("[worker]   - {path} ({lines} lines)"),
        None => format!("[worker]   - {path}"),
    };
    paths.iter().map(line).collect()
}

/// By the bytes of its path, because its text may be that of another one, and through no link.
fn lines(directories: &mut Directories<'_>, path: &RelativePath) -> Option<usize> {
    let file = open_file(directories.parent_of(path).ok()?, path.file_name()).ok()?;
    if file.length() > COUNTED {
        return None;
    }
    let bytes = file.head(COUNTED).ok()?;
    let unfinished = usize::from(bytes.last().is_some_and(|last| *last != b'\n'));
    Some(bytes.iter().filter(|byte| **byte == b'\n').count() + unfinished)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use super::*;

    /// Two names that are the same text: a directory, and a link out of the workspace.
    #[test]
    fn a_name_that_is_no_text_does_not_stand_for_another_one() {
        let root = tempfile::tempdir().unwrap();
        let listed = root.path().join(OsStr::from_bytes(b"d\xff/self"));
        fs_err::create_dir_all(&listed).unwrap();
        fs_err::write(listed.join("status"), "").unwrap();
        std::os::unix::fs::symlink("/proc", root.path().join("d\u{fffd}")).unwrap();
        let lines = described(root.path(), &[RelativePath::new(b"d\xff/self/status").unwrap()]);
        assert_eq!(lines, ["[worker]   - d\u{fffd}/self/status (0 lines)"]);
    }

    #[test]
    fn only_plain_files_of_the_workspace_are_counted() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("two"), "a\nb").unwrap();
        fs_err::write(root.path().join("long"), vec![b'\n'; 1 + (1 << 20)]).unwrap();
        std::os::unix::fs::symlink("/proc", root.path().join("out")).unwrap();
        std::os::unix::fs::symlink("two", root.path().join("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.path().join("pipe"), rustix::fs::Mode::RWXU).unwrap();
        let paths = ["two", "long", "out/self/status", "link", "pipe", "gone"].map(|path| path.parse().unwrap());
        let lines = described(root.path(), &paths);
        let counted: Vec<_> = lines.iter().filter(|line| line.contains("lines)")).collect();
        assert_eq!(counted, ["[worker]   - two (2 lines)"], "{lines:?}");
    }
}
