//! `TreeWriter`: takes the entries of a tree one by one, stores their contents, and makes the manifest.
//!
//! Synchronous: it lives on the blocking thread of [`write_tree`](super::write_tree). Protocol files are accepted and
//! left out. Order does not matter, but contents given in path order compress and read best.

use std::{io::Read, sync::Arc};

use drydock_domain::{Digest, Entry, EntryKind, LinkTarget, Mode, RelativePath, Tree};
use tokio::sync::mpsc;

use super::{Finished, Source, WriteOptions, blobs::BlobWriter};
use crate::{
    Limits, Manifest, StorageError,
    manifest::{Block, Location, PackRef},
    pack::{CHUNK, SOLID_MAX, SealedPack},
};

/// Reads of one file before it is called unstable.
const READS: usize = 3;

/// A tree being written.
pub struct TreeWriter {
    base: Option<Arc<Manifest>>,
    limits: Limits,
    entries: Vec<Entry>,
    locations: Vec<Location>,
    bytes: u64,
    blobs: BlobWriter,
    /// One chunk, reused for every file.
    buffer: Vec<u8>,
}

/// A content that is stored.
struct Blob {
    size: u64,
    digest: Digest,
    location: Location,
}

impl TreeWriter {
    pub(super) fn new(options: WriteOptions, sealed: mpsc::Sender<SealedPack>) -> Result<Self, StorageError> {
        Ok(Self {
            blobs: BlobWriter::new(options.base.as_ref(), options.temp_dir, sealed)?,
            base: options.base,
            limits: options.limits,
            entries: Vec::new(),
            locations: Vec::new(),
            bytes: 0,
            buffer: Vec::new(),
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
        for _ in 0..READS {
            if let Some(blob) = self.store(&path, source)? {
                let kind = EntryKind::File { size: blob.size, mode, blob: blob.digest };
                return self.add(path, kind, blob.location);
            }
        }
        Err(StorageError::Unstable { path })
    }

    /// Adds the entry at `index` of the base version's tree as it is, without reading anything.
    pub fn reuse(&mut self, index: usize) -> Result<(), StorageError> {
        let base = self.base.clone().expect("only a write with a base has entries to reuse");
        let entry = base.tree().entries()[index].clone();
        self.add(entry.path, entry.kind, base.locations()[index].clone())
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
        self.bytes = self.bytes.saturating_add(entry.size());
        self.limits.check_bytes(self.bytes)?;
        self.entries.push(entry);
        self.locations.push(location);
        self.limits.check_entries(self.entries.len() as u64)
    }

    /// Reads the source to its end and stores it; `None` when it changed meanwhile.
    fn store(&mut self, path: &RelativePath, source: &mut impl Source) -> Result<Option<Blob>, StorageError> {
        let io = |source| StorageError::Read { path: path.clone(), source };
        let mut reader = source.open().map_err(io)?;
        let mut whole = blake3::Hasher::new();
        let mut chunks: Vec<u32> = Vec::new();
        let mut size = 0_u64;
        loop {
            self.buffer.clear();
            let read = reader.by_ref().take(CHUNK as u64).read_to_end(&mut self.buffer).map_err(io)?;
            size += read as u64;
            self.limits.check_bytes(self.bytes.saturating_add(size))?;
            whole.update(&self.buffer);
            if read < CHUNK {
                break;
            }
            chunks.push(self.blobs.put_chunk(&self.buffer)?);
        }
        drop(reader);
        if !source.is_unchanged().map_err(io)? {
            return Ok(None);
        }
        let digest = whole.finalize().into();
        let location = if size <= SOLID_MAX as u64 {
            self.blobs.put_small(&self.buffer, digest)?
        } else {
            if !self.buffer.is_empty() {
                chunks.push(self.blobs.put_chunk(&self.buffer)?);
            }
            Location::Chunks(chunks.into())
        };
        Ok(Some(Blob { size, digest, location }))
    }

    /// Checks the tree and encodes its manifest. `None` when it is the base's tree; nothing is uploaded then, because
    /// a tree of contents that all exist made no pack.
    pub(super) fn finish(self) -> Result<Option<Finished>, StorageError> {
        let Self { base, entries, locations, blobs, .. } = self;
        let mut located: Vec<(RelativePath, Location)> =
            entries.iter().map(|entry| entry.path.clone()).zip(locations).collect();
        let tree = Tree::new(entries).map_err(StorageError::InvalidTree)?;
        let base_tree = base.as_ref().map_or_else(|| Tree::default().id(), |base| base.tree_id());
        if tree.id() == base_tree {
            return Ok(None);
        }
        located.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut located = located.into_iter();
        let locations = tree.entries().iter().map(|entry| {
            // Both are sorted, and the tree has a subset of the paths.
            located.by_ref().find(|(path, _)| *path == entry.path).expect("every entry was located").1
        });
        let locations = locations.collect();
        let old_packs = base.as_ref().map_or(0, |base| base.packs().len());
        let (packs, blocks) = blobs.finish()?;
        let (locations, blocks, packs, first_new) = compact(locations, &blocks, &packs, old_packs);
        let (manifest, stored) = Manifest::assemble(tree, locations, blocks, packs)?;
        Ok(Some(Finished { manifest, stored, first_new }))
    }
}

/// Drops blocks and packs that no location needs, sorts the blocks by place and renumbers.
fn compact(
    mut locations: Vec<Location>,
    blocks: &[Block],
    packs: &[PackRef],
    old_packs: usize,
) -> (Vec<Location>, Vec<Block>, Vec<PackRef>, usize) {
    let mut needed: Vec<u32> = locations.iter().flat_map(Location::blocks).copied().collect();
    needed.sort_unstable_by_key(|&block| {
        let Block { pack, info, .. } = blocks[block as usize];
        (pack, info.offset)
    });
    needed.dedup();
    let mut new_packs: Vec<PackRef> = Vec::new();
    let mut first_new = 0;
    let mut last_pack = None;
    let mut renumbered = vec![0_u32; blocks.len()];
    let mut new_blocks = Vec::with_capacity(needed.len());
    for old in needed {
        let mut block = blocks[old as usize];
        if last_pack != Some(block.pack) {
            last_pack = Some(block.pack);
            new_packs.push(packs[block.pack as usize]);
            first_new += usize::from((block.pack as usize) < old_packs);
        }
        block.pack = new_packs.len() as u32 - 1;
        renumbered[old as usize] = new_blocks.len() as u32;
        new_blocks.push(block);
    }
    for location in &mut locations {
        match location {
            Location::None => {}
            Location::Slice { block, .. } => *block = renumbered[*block as usize],
            Location::Chunks(blocks) => blocks.iter_mut().for_each(|block| *block = renumbered[*block as usize]),
        }
    }
    (locations, new_blocks, new_packs, first_new)
}
