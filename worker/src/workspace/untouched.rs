//! Whether a workspace still is its base version, told from a walk alone: the common end of commands that only look.

use drydock_domain::{EntryKind, agent::EXCHANGE_DIR};
use drydock_storage::Manifest;

use super::{
    baseline::Baseline,
    snapshot::{Found, FoundKind},
};

/// Whether `found` is exactly the base's tree (without one, an empty one) and the baseline proves every file untouched.
/// The protocol's files, and their directory where nothing else is in it, are no part of a tree.
pub(super) fn is_base(found: &[Found], base: Option<&Manifest>, baseline: &Baseline) -> bool {
    let entries = base.map_or(&[][..], |base| base.tree().entries());
    let kept: Vec<&Found> = found.iter().filter(|found| !found.path.is_protocol_file()).collect();
    let mut index = 0;
    for (at, found) in kept.iter().enumerate() {
        let Some(entry) = entries.get(index).filter(|entry| entry.path == found.path) else {
            if is_lone_exchange(found, kept.get(at + 1).copied()) {
                continue;
            }
            return false;
        };
        let same = match (&found.kind, &entry.kind) {
            (FoundKind::File(stat), EntryKind::File { .. }) => baseline.is_unchanged(index, stat),
            (FoundKind::Dir(mode), EntryKind::Dir { mode: before }) => mode == before,
            (FoundKind::Symlink(target), EntryKind::Symlink { target: before }) => target == before,
            _ => false,
        };
        if !same {
            return false;
        }
        index += 1;
    }
    index == entries.len()
}

fn is_lone_exchange(found: &Found, next: Option<&Found>) -> bool {
    let exchange = found.path.as_bytes() == EXCHANGE_DIR.as_bytes() && matches!(found.kind, FoundKind::Dir(_));
    exchange && next.and_then(|next| next.path.parent_bytes()) != Some(EXCHANGE_DIR.as_bytes())
}
