//! By a walk over everything, where files were copied: what looks as it did is what it was.

use std::os::fd::OwnedFd;

use drydock_domain::{Entry, EntryKind, IgnoreRules, RelativePath, agent::EXCHANGE_DIR};

use super::{
    Baseline, Changed, Found, FoundKind,
    snapshot::{Ignoring, Snapshot, Walk},
};
use crate::workspace::WorkspaceError;

/// What may differ from `entries` in the workspace `top`, which may have `limit` entries at most. Blocking.
pub(in crate::workspace) fn walk(
    top: &OwnedFd,
    entries: &[Entry],
    baseline: &Baseline,
    rules: &IgnoreRules,
    limit: u64,
) -> Result<Changed, WorkspaceError> {
    let is_tracked = |path: &RelativePath, is_dir| {
        let at = entries.binary_search_by(|entry| entry.path.cmp(path));
        at.is_ok_and(|at| matches!(entries[at].kind, EntryKind::Dir { .. }) == is_dir)
    };
    let ignoring = Ignoring { rules, is_tracked: &is_tracked };
    let Snapshot { found, dropped, opened } = Walk::of(top, limit, ignoring).whole()?;
    let mut changed = Changed { dropped, opened, ..Changed::default() };
    let mut index = 0;
    let mut found = found.into_iter().filter(|found| !found.path.is_protocol_file()).peekable();
    while let Some(next) = found.next() {
        while let Some(gone) = entries.get(index).filter(|entry| entry.path < next.path) {
            changed.remove(gone);
            index += 1;
        }
        match entries.get(index).filter(|entry| entry.path == next.path) {
            Some(entry) => {
                if !is_untouched(&next, entry, index, baseline) {
                    changed.found.push(next);
                }
                index += 1;
            }
            None if is_lone_exchange(&next, found.peek()) => {}
            None => changed.found.push(next),
        }
    }
    entries[index..].iter().for_each(|gone| changed.remove(gone));
    Ok(changed)
}

fn is_untouched(found: &Found, entry: &Entry, index: usize, baseline: &Baseline) -> bool {
    match (&found.kind, &entry.kind) {
        (FoundKind::File(stat), EntryKind::File { .. }) => baseline.is_unchanged(index, stat),
        (FoundKind::Dir(mode), EntryKind::Dir { mode: before }) => mode == before,
        (FoundKind::Symlink(target), EntryKind::Symlink { target: before }) => target == before,
        _ => false,
    }
}

/// The protocol's directory, where nothing else is in it, is no part of a tree.
pub(super) fn is_lone_exchange(found: &Found, next: Option<&Found>) -> bool {
    let exchange = found.path.as_bytes() == EXCHANGE_DIR.as_bytes() && matches!(found.kind, FoundKind::Dir(_));
    exchange && next.and_then(|next| next.path.parent_bytes()) != Some(EXCHANGE_DIR.as_bytes())
}

impl Changed {
    /// Notes an entry that is gone, unless a directory above it is noted already.
    fn remove(&mut self, gone: &Entry) {
        let below = |above: &[u8]| gone.path.as_bytes().strip_prefix(above).is_some_and(|rest| rest.starts_with(b"/"));
        if !self.removed.last().is_some_and(|last| below(last.as_bytes())) {
            self.removed.push(gone.path.clone());
        }
    }
}
