//! `Draft`: a version as the difference from a manifest object, and the form in which that is stored.
//!
//! Owns the choice: contents and all inside one delta where that is short enough; else contents in a pack and a delta;
//! else, when even that delta is too long, or packs have become too many, a manifest object of its own.

use std::sync::Arc;

use bytes::Bytes;
use drydock_domain::tree::{Edited, Merged};

use super::{
    PackInfo,
    blobs::BlobWriter,
    compact::{Compacted, Kept, compact},
    consolidate::SmallPacks,
    inline,
};
use crate::{
    Delta, Manifest, StorageError,
    columns::Numbered,
    delta::{Counts, Parts},
    manifest::{Block, Location, PackRef},
};

pub(super) struct Draft<'t> {
    /// The version the changes were made to.
    base: Arc<Manifest>,
    /// The tree, as difference from the base's manifest object.
    whole: Edited<'t>,
    /// Of the entries put; numbers are those of the base version, then those of this write.
    locations: Vec<Location>,
}

/// How a version is stored.
pub(super) enum Form {
    /// As its base's manifest object, which it equals.
    Root(Arc<Manifest>),
    /// As a delta of that.
    Delta { root: Arc<Manifest>, delta: Arc<Delta>, packs: Vec<PackInfo> },
    /// As a manifest object of its own, still to be uploaded.
    Manifest { manifest: Arc<Manifest>, stored: Bytes, packs: Vec<PackInfo> },
}

impl<'t> Draft<'t> {
    pub(super) const fn new(base: Arc<Manifest>, whole: Edited<'t>, locations: Vec<Location>) -> Self {
        Self { base, whole, locations }
    }

    pub(super) fn store(mut self, mut blobs: BlobWriter, inline_max: usize) -> Result<Form, StorageError> {
        if self.whole.id() == self.root().tree_id() {
            blobs.discard();
            return Ok(Form::Root(Arc::clone(self.root())));
        }
        blobs.flush()?;
        if let Some(form) = self.inline(&blobs, inline_max)? {
            blobs.discard();
            return Ok(form);
        }
        let base = Arc::clone(&self.base);
        let inside = |block: &Block| inline::stored(&base, block);
        inline::move_out(&base, &mut blobs, self.whole.put().iter(), &mut self.locations, inside)?;
        let new = blobs.finish()?;
        let blocks = Numbered { base: self.base.blocks(), new: &new.blocks };
        let packs = Numbered { base: self.base.packs(), new: &new.packs };
        let mut locations = std::mem::take(&mut self.locations);
        let left = compact(&mut locations, blocks, packs, self.kept());
        let first_new = self.first_new(&left);
        match Delta::assemble(self.parts(left, locations, Vec::new()), Delta::INLINE_MAX)? {
            Ok(delta) => Ok(self.delta(delta, first_new)),
            Err(parts) => self.rebase(parts, first_new),
        }
    }

    /// A manifest object of the whole tree; what is needed of small packs, and of the base's delta, is stored again in new ones.
    pub(super) fn consolidate(self, mut blobs: BlobWriter, small: &SmallPacks) -> Result<Form, StorageError> {
        let (base, root) = (&self.base, self.root());
        let located = self.whole.merged().map(|from| match from {
            Merged::Base(at) => (&root.tree().entries()[at], root.locations()[at].clone()),
            Merged::Put(at) => (&self.whole.put()[at], self.locations[at].clone()),
        });
        let (entries, mut locations): (Vec<_>, Vec<_>) = located.unzip();
        let place = |block: &Block| small.stored(block).or_else(|| inline::stored(base, block));
        blobs.flush()?;
        inline::move_out(base, &mut blobs, entries.into_iter(), &mut locations, place)?;
        let new = blobs.finish()?;
        let (blocks, packs) =
            (Numbered { base: base.blocks(), new: &new.blocks }, Numbered { base: base.packs(), new: &new.packs });
        self.manifest(locations, blocks, packs, base.packs().len())
    }

    /// All contents inside the delta; `None` where they do not fit.
    fn inline(&self, blobs: &BlobWriter, max: usize) -> Result<Option<Form>, StorageError> {
        let Some(held) = blobs.held().filter(|held| held.len() <= max) else {
            return Ok(None);
        };
        // The pack in memory has no name of its own: it becomes a part of the delta's.
        let open = PackRef { id: self.whole.id(), bytes: held.len() as u64, inline: true };
        let blocks = Numbered { base: self.base.blocks(), new: blobs.blocks() };
        let packs = Numbered { base: self.base.packs(), new: std::slice::from_ref(&open) };
        let mut locations = self.locations.clone();
        let mut left = compact(&mut locations, blocks, packs, self.kept());
        let inline = inline::gather(&self.base, held, &mut left, self.kept().packs)?;
        let fits = if inline.is_empty() { Delta::INLINE_MAX } else { max };
        let first_new = self.first_new(&left);
        let delta = Delta::assemble(self.parts(left, locations, inline), fits)?;
        Ok(delta.ok().map(|delta| self.delta(delta, first_new)))
    }

    /// A manifest object of the whole tree, with what it needs of the root's packs and those of `parts`.
    fn rebase(&self, parts: Parts, first_new: usize) -> Result<Form, StorageError> {
        let root = self.root();
        let located = self.whole.merged().map(|from| match from {
            Merged::Base(at) => root.locations()[at].clone(),
            Merged::Put(at) => parts.locations[at].clone(),
        });
        let blocks = Numbered { base: root.blocks(), new: &parts.blocks };
        let packs = Numbered { base: root.packs(), new: &parts.packs };
        self.manifest(located.collect(), blocks, packs, root.packs().len() + first_new)
    }

    /// The form of a manifest object; `known` are the packs before this write.
    fn manifest(
        &self,
        mut locations: Vec<Location>,
        blocks: Numbered<'_, Block>,
        packs: Numbered<'_, PackRef>,
        known: usize,
    ) -> Result<Form, StorageError> {
        let left = compact(&mut locations, blocks, packs, Kept { blocks: 0, packs: 0 });
        let first_new = left.were.partition_point(|&pack| (pack as usize) < known);
        let (manifest, stored) = Manifest::assemble(self.whole.to_tree(), locations, left.blocks, left.packs)?;
        let packs = PackInfo::list(manifest.packs(), first_new);
        Ok(Form::Manifest { manifest: Arc::new(manifest), stored, packs })
    }

    fn root(&self) -> &Arc<Manifest> {
        self.base.base()
    }

    /// What the root has, a delta does not repeat.
    fn kept(&self) -> Kept {
        Kept { blocks: self.root().blocks().len(), packs: self.root().packs().len() }
    }

    /// The first of the packs left that is of this write.
    fn first_new(&self, left: &Compacted) -> usize {
        left.were.partition_point(|&pack| (pack as usize) < self.base.packs().len())
    }

    fn parts(&self, left: Compacted, locations: Vec<Location>, inline: Vec<u8>) -> Parts {
        Parts {
            base: self.root().id(),
            tree_id: self.whole.id(),
            counts: Counts {
                entries: self.whole.entry_count(),
                files: self.whole.file_count(),
                bytes: self.whole.total_bytes(),
            },
            packs: left.packs,
            blocks: left.blocks,
            removed: self.whole.removed().to_vec(),
            put: self.whole.put().to_vec(),
            locations,
            inline,
        }
    }

    fn delta(&self, delta: Delta, first_new: usize) -> Form {
        let root = Arc::clone(self.root());
        let objects: Vec<PackRef> = delta.packs().iter().filter(|pack| !pack.inline).copied().collect();
        let mut packs = PackInfo::list(root.packs(), root.packs().len());
        packs.extend(PackInfo::list(&objects, first_new));
        Form::Delta { root, delta: Arc::new(delta), packs }
    }
}
