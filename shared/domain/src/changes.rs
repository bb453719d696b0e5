//! `Changes`: which files differ between two trees.
//!
//! Owns the rule of what counts as a change of a file; pure, so that every caller gets the same answer from the same
//! two trees. Directories are not listed: one that appears, goes or changes its mode changes the tree id (and so makes
//! a version) but no list here, because users are told of files. A version whose lists are all empty is therefore
//! possible; it differs in directories only.

use std::cmp::Ordering;

use crate::{
    path::RelativePath,
    tree::{Edited, Entry, Tree},
};

/// Files and symlinks that differ, each list sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// A file or symlink where there was none (or a directory).
    pub created: Vec<RelativePath>,
    /// Content, mode, link target or kind differ; a touch or a rewrite with the same bytes is no change.
    pub modified: Vec<RelativePath>,
    /// No file or symlink any more (or a directory in its place).
    pub deleted: Vec<RelativePath>,
}

impl Changes {
    /// What turns `before` into `after`.
    pub fn between(before: &Tree, after: &Tree) -> Self {
        Self::compare(before.entries().iter(), after.entries().iter())
    }

    /// What an edit changes, in time by what it changes; the files below a removed directory are listed.
    pub fn of(edit: &Edited<'_>) -> Self {
        Self::compare(edit.replaced(), edit.put().iter())
    }

    fn compare<'a>(before: impl Iterator<Item = &'a Entry>, after: impl Iterator<Item = &'a Entry>) -> Self {
        let mut changes = Self::default();
        let mut old = before.filter(|entry| !entry.is_dir()).peekable();
        let mut new = after.filter(|entry| !entry.is_dir()).peekable();
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(was), Some(is)) => was.path.cmp(&is.path),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return changes,
            };
            let was = if order.is_le() { old.next() } else { None };
            let is = if order.is_ge() { new.next() } else { None };
            match (was, is) {
                (Some(was), Some(is)) if was.kind != is.kind => changes.modified.push(is.path.clone()),
                (None, Some(is)) => changes.created.push(is.path.clone()),
                (Some(was), None) => changes.deleted.push(was.path.clone()),
                _ => {}
            }
        }
    }

    /// Whether no file differs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Files that differ.
    pub fn len(&self) -> usize {
        self.created.len() + self.modified.len() + self.deleted.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::btree_map, prelude::*};

    use super::*;
    use crate::{
        digest::Digest,
        tree::{EntryKind, LinkTarget, Mode},
    };

    /// One top-level name: 0 is a directory with a file in it, the rest files and links that differ in one property.
    fn build(names: &BTreeMap<String, u8>) -> Tree {
        let mut entries = Vec::new();
        for (name, &variant) in names {
            let path: RelativePath = name.parse().unwrap();
            let file = |mode, content: &[u8]| EntryKind::File {
                size: content.len() as u64,
                mode: Mode::new(mode),
                blob: Digest::of(content),
            };
            let kind = match variant {
                0 => {
                    entries.push(Entry { path: path.join("in").unwrap(), kind: file(0o644, b"in") });
                    EntryKind::Dir { mode: Mode::new(0o755) }
                }
                1 => EntryKind::Dir { mode: Mode::new(0o700) },
                2 => file(0o644, b"a"),
                3 => file(0o755, b"a"),
                4 => file(0o644, b"b"),
                _ => EntryKind::Symlink { target: LinkTarget::new(format!("to{variant}")).unwrap() },
            };
            entries.push(Entry { path, kind });
        }
        Tree::new(entries).unwrap()
    }

    fn files(tree: &Tree) -> impl Iterator<Item = &Entry> {
        tree.entries().iter().filter(|entry| !entry.is_dir())
    }

    /// The naive model: two maps and set operations.
    fn model(before: &Tree, after: &Tree) -> Changes {
        let map = |tree: &Tree| -> BTreeMap<RelativePath, EntryKind> {
            files(tree).map(|entry| (entry.path.clone(), entry.kind.clone())).collect()
        };
        let (old, new) = (map(before), map(after));
        Changes {
            created: new.keys().filter(|path| !old.contains_key(*path)).cloned().collect(),
            modified: new.keys().filter(|path| old.get(*path).is_some_and(|was| was != &new[*path])).cloned().collect(),
            deleted: old.keys().filter(|path| !new.contains_key(*path)).cloned().collect(),
        }
    }

    #[test]
    fn directories_are_not_listed() {
        let empty = build(&BTreeMap::new());
        let directory = build(&BTreeMap::from([("d".to_owned(), 1)]));
        let changes = Changes::between(&empty, &directory);
        assert!(changes.is_empty());
        assert_ne!(empty.id(), directory.id());
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_model(
            before in btree_map("[ab](-|\\.)?", 0_u8..7, 0..5),
            after in btree_map("[ab](-|\\.)?", 0_u8..7, 0..5),
        ) {
            let (before, after) = (build(&before), build(&after));
            let changes = Changes::between(&before, &after);
            prop_assert_eq!(&changes, &model(&before, &after));
            prop_assert_eq!(changes.is_empty(), files(&before).eq(files(&after)));
        }
    }
}
