//! `TreeEdit`: changes to a tree, and the id they lead to, in time proportional to the changes and to what the changed
//! directories hold themselves.
//!
//! Owns the meaning of a sequence of changes: each is applied to what those before it left. What comes out depends only
//! on the base and on the tree it leads to, not on the way there, so an edit that leads back to the base is empty.

mod edited;
mod hash;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::edited::Edited;
use super::{Entry, EntryKind, PROTOCOL_DIRECTORY, Tree, TreeError};
use crate::path::RelativePath;

/// Changes being collected against a tree.
#[derive(Clone, Debug)]
pub struct TreeEdit<'t> {
    base: &'t Tree,
    /// Paths of the base that are gone with all below them; none lies below another.
    removed: BTreeSet<RelativePath>,
    /// What is there instead, or besides. What replaces a directory of the base has its path among the removed too.
    put: BTreeMap<RelativePath, EntryKind>,
}

impl<'t> TreeEdit<'t> {
    /// No changes yet.
    pub const fn new(base: &'t Tree) -> Self {
        Self { base, removed: BTreeSet::new(), put: BTreeMap::new() }
    }

    /// Puts an entry at `path`. A directory put over a directory keeps what is in it; anything else replaces what is
    /// there with all below it. Protocol files are left out.
    pub fn put(&mut self, path: RelativePath, kind: EntryKind) {
        if path.is_protocol_file() {
            return;
        }
        if !is_dir(&kind) {
            self.drop_below(&path);
        }
        if let Some(was) = self.base.get(&path) {
            if !was.is_dir() {
                self.removed.remove(&path);
            }
            if !self.is_hidden(&path) {
                if was.kind == kind {
                    self.put.remove(&path);
                    return;
                }
                if was.is_dir() && !is_dir(&kind) {
                    self.removed.insert(path.clone());
                }
            }
        }
        self.put.insert(path, kind);
    }

    /// Removes what is at `path` with all below it, if there is anything.
    pub fn remove(&mut self, path: &RelativePath) {
        self.put.remove(path);
        self.drop_below(path);
        if self.base.get(path).is_some() && !self.is_hidden(path) {
            self.removed.insert(path.clone());
        }
    }

    /// Checks the result by the rules of [`Tree::new`] and computes its id.
    pub fn finish(mut self) -> Result<Edited<'t>, TreeError> {
        self.reopen_directories();
        self.leave_out_lone_protocol_directory();
        self.check_parents()?;
        let id = self.hash();
        let replaced = self.replaced();
        let put = self.put.into_iter().map(|(path, kind)| Entry { path, kind }).collect();
        Ok(Edited { base: self.base, removed: self.removed.into_iter().collect(), put, replaced, id })
    }

    /// Forgets changes below `path`.
    fn drop_below(&mut self, path: &RelativePath) {
        let below = |other: &&RelativePath| **other == *path || other.is_below(path);
        let put: Vec<_> = self
            .put
            .range(path..)
            .map(|(other, _)| other)
            .take_while(below)
            .skip_while(|p| *p == path)
            .cloned()
            .collect();
        for path in put {
            self.put.remove(&path);
        }
        let removed: Vec<_> =
            self.removed.range(path..).take_while(below).skip_while(|p| *p == path).cloned().collect();
        for path in removed {
            self.removed.remove(&path);
        }
    }

    /// Whether what the base has at `path` is removed, by itself or with a directory above it.
    fn is_hidden(&self, path: &RelativePath) -> bool {
        // Nothing removed lies below another, so only the nearest one before can hold the path.
        let nearest = self.removed.range(..=path).next_back();
        nearest.is_some_and(|removed| removed == path || path.is_below(removed))
    }

    /// The base's entry at `path`, where it still shows.
    fn visible(&self, path: &RelativePath) -> Option<usize> {
        self.base.position(path).filter(|_| !self.is_hidden(path))
    }

    /// Whether a directory is at `path` after the changes so far.
    pub fn is_dir(&self, path: &RelativePath) -> bool {
        self.kind(path).is_some_and(is_dir)
    }

    /// What is at `path` after the changes.
    fn kind(&self, path: &RelativePath) -> Option<&EntryKind> {
        self.put.get(path).or_else(|| self.visible(path).map(|at| &self.base.entries()[at].kind))
    }

    /// A directory that was removed and made again keeps what came back equal: only the difference remains.
    fn reopen_directories(&mut self) {
        let again = self.removed.iter().filter(|path| self.put.get(*path).is_some_and(is_dir));
        let again: Vec<RelativePath> = again.cloned().collect();
        for directory in again {
            self.removed.remove(&directory);
            if let Some(at) = self.base.position(&directory) {
                self.reopen(at);
            }
        }
    }

    fn reopen(&mut self, directory: usize) {
        let base = self.base;
        let mut rest = base.subtree(directory);
        while let Some(at) = rest.next() {
            let was = &base.entries()[at];
            match self.put.get(&was.path) {
                Some(kind) if *kind == was.kind => {
                    self.put.remove(&was.path);
                }
                Some(kind) if is_dir(kind) || !was.is_dir() => {}
                _ => {
                    self.removed.insert(was.path.clone());
                    rest.start = base.subtree(at).end;
                }
            }
        }
    }

    fn leave_out_lone_protocol_directory(&mut self) {
        let directory = RelativePath::new(PROTOCOL_DIRECTORY).expect("a name is a path");
        if !self.kind(&directory).is_some_and(is_dir) {
            return;
        }
        let next = self.put.range(&directory..).map(|(path, _)| path).find(|path| **path != directory);
        let put_below = next.is_some_and(|path| path.is_below(&directory));
        let kept_below = self.visible(&directory).is_some_and(|at| {
            let mut children = self.base.children(Some(at));
            children.any(|child| !self.removed.contains(&self.base.entries()[child].path))
        });
        if !put_below && !kept_below {
            self.remove(&directory);
        }
    }

    fn check_parents(&self) -> Result<(), TreeError> {
        for path in self.put.keys() {
            if let Some(parent) = path.parent()
                && !self.kind(&parent).is_some_and(is_dir)
            {
                return Err(TreeError::ParentNotDirectory(path.clone()));
            }
        }
        Ok(())
    }

    /// The base's entries that are gone or replaced, in path order.
    fn replaced(&self) -> Vec<usize> {
        let removed = self.removed.iter().filter_map(|path| self.base.position(path));
        let replaced = self.put.keys().filter_map(|path| self.visible(path));
        let mut all: Vec<usize> = removed.flat_map(|at| self.base.subtree(at)).chain(replaced).collect();
        all.sort_unstable();
        all
    }
}

const fn is_dir(kind: &EntryKind) -> bool {
    matches!(kind, EntryKind::Dir { .. })
}
