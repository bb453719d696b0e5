//! What a job changed: the folder before against the folder after. Of jobs that run together each may tell of the other's.

use std::path::Path;

use super::{super::sync::Snapshot, log::Log};

/// Paths listed per kind of change.
const LISTED: usize = 10_000;
/// Files listed in the log.
const SAID: usize = 50;
/// Bytes of a file whose lines are counted at most.
const COUNTED: u64 = 1 << 20;

/// Files and links that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// New ones.
    pub(crate) created: Vec<String>,
    /// Other ones.
    pub(crate) modified: Vec<String>,
    /// Those that are gone.
    pub(crate) deleted: Vec<String>,
}

impl Changes {
    /// What turns `before` into `after`.
    pub(crate) fn between(before: &Snapshot, after: &Snapshot) -> Self {
        let new = |path: &&String| !before.contains_key(*path);
        let other = |path: &&String| before.get(*path).is_some_and(|known| after.get(*path) != Some(known));
        Self {
            created: after.keys().filter(new).take(LISTED).cloned().collect(),
            modified: after.keys().filter(other).take(LISTED).cloned().collect(),
            deleted: before.keys().filter(|path| !after.contains_key(*path)).take(LISTED).cloned().collect(),
        }
    }

    /// Lists them in a log, as workers do.
    pub(crate) fn say(&self, root: &Path, log: &Log<'_>) {
        log.line("[worker] Generated files:");
        let paths = || self.created.iter().chain(&self.modified);
        for path in paths().take(SAID) {
            log.line(match lines(&root.join(path)) {
                Some(lines) => format!("[worker]   - {path} ({lines} lines)"),
                None => format!("[worker]   - {path}"),
            });
        }
        if let Some(more) = paths().count().checked_sub(SAID).filter(|&more| more > 0) {
            log.line(format!("[worker]   - and {more} more"));
        }
    }
}

fn lines(path: &Path) -> Option<usize> {
    let meta = fs_err::symlink_metadata(path).ok()?;
    if !meta.is_file() || meta.len() > COUNTED {
        return None;
    }
    let bytes = fs_err::read(path).ok()?;
    let unfinished = usize::from(bytes.last().is_some_and(|last| *last != b'\n'));
    Some(bytes.iter().filter(|byte| **byte == b'\n').count() + unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Known;

    #[test]
    fn before_and_after_are_compared_by_content() {
        let tree = |files: &[(&str, &str)]| -> Snapshot {
            files.iter().map(|(path, to)| ((*path).to_owned(), Known::Symlink((*to).to_owned()))).collect()
        };
        let changes = Changes::between(
            &tree(&[("same", "1"), ("other", "1"), ("gone", "1")]),
            &tree(&[("same", "1"), ("other", "2"), ("new", "1")]),
        );
        let expected =
            Changes { created: vec!["new".into()], modified: vec!["other".into()], deleted: vec!["gone".into()] };
        assert_eq!(changes, expected);
    }
}
