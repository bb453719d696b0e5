//! `Edited`: what an edit leads to, without the tree.

use crate::{
    digest::Digest,
    path::RelativePath,
    tree::{Entry, Merged, Tree, merge},
};

/// A valid tree, told as the difference from another one: the same two trees always give the same difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited<'t> {
    pub(super) base: &'t Tree,
    pub(super) removed: Vec<RelativePath>,
    pub(super) put: Vec<Entry>,
    /// Indices into the base's entries.
    pub(super) replaced: Vec<usize>,
    pub(super) id: Digest,
}

impl Edited<'_> {
    /// The tree's Merkle id.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// Paths of the base that are gone, each with all below it; sorted, none below another.
    pub fn removed(&self) -> &[RelativePath] {
        &self.removed
    }

    /// Entries that are new or differ, sorted.
    pub fn put(&self) -> &[Entry] {
        &self.put
    }

    /// The base's entries that are gone or replaced, in path order.
    pub fn replaced(&self) -> impl Iterator<Item = &Entry> {
        self.replaced.iter().map(|&at| &self.base.entries()[at])
    }

    /// Files, symlinks and directories.
    pub fn entry_count(&self) -> u64 {
        (self.base.entries().len() - self.replaced.len() + self.put.len()) as u64
    }

    /// Files and symlinks.
    pub fn file_count(&self) -> u64 {
        let count = |entry: &&Entry| !entry.is_dir();
        let gone = self.replaced().filter(count).count() as u64;
        self.base.file_count() - gone + self.put.iter().filter(count).count() as u64
    }

    /// Bytes of all files, each path counted.
    pub fn total_bytes(&self) -> u64 {
        let gone = self.replaced().fold(0_u64, |sum, entry| sum.saturating_add(entry.size()));
        let kept = self.base.total_bytes().saturating_sub(gone);
        self.put.iter().fold(kept, |sum, entry| sum.saturating_add(entry.size()))
    }

    /// Where each entry of the tree comes from, in path order.
    pub fn merged(&self) -> impl Iterator<Item = Merged> {
        merge(self.base, &self.removed, &self.put)
    }

    /// The whole tree; takes time by its size.
    pub fn to_tree(&self) -> Tree {
        let entry = |merged| match merged {
            Merged::Base(at) => self.base.entries()[at].clone(),
            Merged::Put(at) => self.put[at].clone(),
        };
        Tree::valid(self.merged().map(entry).collect())
    }
}
