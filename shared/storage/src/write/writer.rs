//! `TreeWriter`: takes the entries of a tree one by one, stores their contents, and makes the manifest.
//!
//! Synchronous: it lives on the blocking thread of [`write_tree`](super::write_tree). Protocol files are accepted and
//! left out. Order does not matter, but contents given in path order compress and read best.

use std::sync::Arc;

use drydock_domain::{Entry, EntryKind, LinkTarget, Mode, RelativePath, Tree};
use tokio::sync::mpsc;

use super::{
    Finished, Source, WriteOptions,
    blobs::BlobWriter,
    compact::{Kept, compact},
    content::Contents,
    inline,
};
use crate::{
    Limits, Manifest, StorageError,
    columns::Numbered,
    manifest::{Block, Location},
    pack::SealedPack,
};

/// A tree being written.
pub struct TreeWriter {
    base: Option<Arc<Manifest>>,
    limits: Limits,
    entries: Vec<Entry>,
    locations: Vec<Location>,
    contents: Contents,
}

impl TreeWriter {
    pub(super) fn new(options: WriteOptions, sealed: mpsc::Sender<SealedPack>) -> Result<Self, StorageError> {
        let blobs = BlobWriter::new(options.base.clone(), options.temp_dir, sealed)?;
        Ok(Self {
            contents: Contents::new(blobs, options.limits),
            base: options.base,
            limits: options.limits,
            entries: Vec::new(),
            locations: Vec::new(),
        })
    }

    /// Adds a directory. Every directory of the tree must be added.
    pub fn add_dir(&mut self, path: RelativePath, mode: Mode) -> Result<(), StorageError> {
        self.add(path, EntryKind::Dir { mode }, Location::None)
    }

    /// Adds a symlink.
    pub fn add_symlink(&mut self, path: RelativePath, target: LinkTarget) -> Result<(), StorageError> {
        self.add(path, EntryKind::Symlink { target }, Location::None)
    }

    /// Adds a file, reading its content once; again, up to three times in all, when it changed meanwhile.
    pub fn add_file(&mut self, path: RelativePath, mode: Mode, source: &mut impl Source) -> Result<(), StorageError> {
        if path.is_protocol_file() {
            return Ok(());
        }
        self.limits.check_entries(self.entries.len() as u64 + 1)?;
        let blob = self.contents.store(&path, source)?;
        self.add(path, EntryKind::File { size: blob.size, mode, blob: blob.digest }, blob.location)
    }

    /// Adds the entry at `index` of the base version's tree as it is, without reading anything.
    pub fn reuse(&mut self, index: usize) -> Result<(), StorageError> {
        let base = self.base.as_ref().expect("only a write with a base has entries to reuse");
        let Entry { path, kind } = base.tree().entries()[index].clone();
        let location = base.locations()[index].clone();
        self.add(path, kind, location)
    }

    /// Adds a file with the content and mode of the one added as number `of` (see [`Self::len`]), as for a hard link.
    pub fn add_copy(&mut self, path: RelativePath, of: usize) -> Result<(), StorageError> {
        self.add(path, self.entries[of].kind.clone(), self.locations[of].clone())
    }

    /// Entries added so far: the number the next one gets.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn add(&mut self, path: RelativePath, kind: EntryKind, location: Location) -> Result<(), StorageError> {
        if path.is_protocol_file() {
            return Ok(());
        }
        let entry = Entry { path, kind };
        self.contents.count(entry.size())?;
        self.entries.push(entry);
        self.locations.push(location);
        self.limits.check_entries(self.entries.len() as u64)
    }

    /// Checks the tree and encodes its manifest. `None` when it is the base's tree; nothing is uploaded then, because
    /// a tree of contents that all exist made no pack.
    pub(super) fn finish(self) -> Result<Option<Finished>, StorageError> {
        let Self { base, mut entries, mut locations, contents, .. } = self;
        sort(&mut entries, &mut locations);
        if let Some(at) = Tree::lone_protocol_directory(&entries) {
            entries.remove(at);
            locations.remove(at);
        }
        let tree = Tree::from_sorted(entries).map_err(StorageError::InvalidTree)?;
        let base_tree = base.as_ref().map_or_else(|| Tree::default().id(), |base| base.tree_id());
        if tree.id() == base_tree {
            return Ok(None);
        }
        let mut blobs = contents.blobs;
        if let Some(base) = &base {
            let inside = |block: &Block| inline::stored(base, block);
            inline::move_out(base, &mut blobs, tree.entries().iter(), &mut locations, inside)?;
        }
        let new = blobs.finish()?;
        let (old_blocks, old_packs) = base.as_ref().map_or((&[][..], &[][..]), |base| (base.blocks(), base.packs()));
        let blocks = Numbered { base: old_blocks, new: &new.blocks };
        let packs = Numbered { base: old_packs, new: &new.packs };
        let left = compact(&mut locations, blocks, packs, Kept { blocks: 0, packs: 0 });
        let first_new = left.were.partition_point(|&pack| (pack as usize) < old_packs.len());
        let (manifest, stored) = Manifest::assemble(tree, locations, left.blocks, left.packs)?;
        Ok(Some(Finished { manifest, stored, first_new }))
    }
}

/// Sorts both by path, in place; what comes from a walk is sorted already.
fn sort(entries: &mut [Entry], locations: &mut [Location]) {
    if entries.is_sorted_by(|a, b| a.path <= b.path) {
        return;
    }
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by(|&a, &b| entries[a].path.cmp(&entries[b].path));
    // Each cycle of the permutation in turn; what is in its place points to itself.
    for start in 0..order.len() {
        let mut at = start;
        while order[at] != start {
            let from = std::mem::replace(&mut order[at], at);
            entries.swap(at, from);
            locations.swap(at, from);
            at = from;
        }
        order[at] = at;
    }
}
