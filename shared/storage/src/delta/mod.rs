//! `Delta`: how a version differs from a base manifest, small enough to be kept in its row. The layout is in this
//! crate's FORMATS.md.
//!
//! Cumulative: a version is a base and at most one delta, however many small pushes lie between them. It may hold the
//! changed contents too, so that a small push needs no object at all.

mod decode;
mod encode;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use bytes::Bytes;
use drydock_domain::{Digest, Entry, RelativePath, Tree};

use crate::{
    Limits, Manifest, StorageError,
    manifest::{Block, ContentIndex, Location, PackRef},
};

/// First bytes of every delta.
const MAGIC: &[u8; 8] = b"DDDELTA\n";
const VERSION: u32 = 1;
/// Longest body before compression: what a delta may unfold to.
const BODY_MAX: u64 = 4 << 20;

/// Where a version's tree is stored: what its row says.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StoredTree {
    /// Id of a manifest object.
    pub manifest: Digest,
    /// An encoded [`Delta`] of that manifest, of at most [`Delta::INLINE_MAX`] bytes. Without one, the manifest is all.
    pub delta: Option<Bytes>,
}

impl From<Digest> for StoredTree {
    fn from(manifest: Digest) -> Self {
        Self { manifest, delta: None }
    }
}

impl fmt::Debug for StoredTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.delta.as_ref().map(Bytes::len);
        f.debug_struct("StoredTree").field("manifest", &self.manifest).field("delta_bytes", &bytes).finish()
    }
}

/// A decoded delta. Numbers of packs and blocks count those of the base first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    base: Digest,
    tree_id: Digest,
    counts: Counts,
    packs: Vec<PackRef>,
    blocks: Vec<Block>,
    removed: Vec<RelativePath>,
    put: Vec<Entry>,
    locations: Vec<Location>,
    inline: Bytes,
    encoded: Bytes,
    index: ContentIndex,
}

/// Of the whole tree after the delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Files, symlinks and directories.
    pub(crate) entries: u64,
    /// Files and symlinks.
    pub(crate) files: u64,
    /// Bytes of all files, each path counted.
    pub(crate) bytes: u64,
}

/// What a delta is made of.
pub(crate) struct Parts {
    pub(crate) base: Digest,
    pub(crate) tree_id: Digest,
    pub(crate) counts: Counts,
    pub(crate) packs: Vec<PackRef>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) removed: Vec<RelativePath>,
    pub(crate) put: Vec<Entry>,
    pub(crate) locations: Vec<Location>,
    /// The bytes of the inline pack, which is the last one.
    pub(crate) inline: Vec<u8>,
}

impl Delta {
    /// Longest encoded delta, in bytes: what a row is to hold.
    pub const INLINE_MAX: usize = 64 << 10;

    /// Encodes the parts; gives them back where that takes more than `max` bytes.
    pub(crate) fn assemble(parts: Parts, max: usize) -> Result<Result<Self, Parts>, StorageError> {
        let (encoded, body_len) = encode::encode(&parts).map_err(StorageError::io("delta in memory"))?;
        if encoded.len() > max.min(Self::INLINE_MAX) || body_len > BODY_MAX {
            return Ok(Err(parts));
        }
        Ok(Ok(Self::new(parts, encoded.into())))
    }

    /// Reads stored bytes that must be a delta of `base`. Whether it leads to the tree it names is checked by
    /// [`Manifest::apply`].
    pub fn decode(stored: &Bytes, base: &Manifest, limits: &Limits) -> Result<Self, StorageError> {
        decode::decode(stored, base, limits).map(|parts| Self::new(parts, stored.clone()))
    }

    fn new(parts: Parts, encoded: Bytes) -> Self {
        let Parts { base, tree_id, counts, packs, blocks, removed, put, locations, inline } = parts;
        let index = ContentIndex::default();
        Self { base, tree_id, counts, packs, blocks, removed, put, locations, inline: inline.into(), encoded, index }
    }

    /// Id of the manifest it is a difference from.
    pub const fn base(&self) -> Digest {
        self.base
    }

    /// Merkle id of the tree it leads to.
    pub const fn tree_id(&self) -> Digest {
        self.tree_id
    }

    /// Files and symlinks of that tree.
    pub const fn file_count(&self) -> u64 {
        self.counts.files
    }

    /// Bytes of all files of that tree, each path counted.
    pub const fn total_bytes(&self) -> u64 {
        self.counts.bytes
    }

    /// Packs besides those of the base.
    pub fn packs(&self) -> &[PackRef] {
        &self.packs
    }

    /// Blocks besides those of the base, sorted by pack and offset.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Paths of the base that are gone with all below them, sorted, none below another.
    pub fn removed(&self) -> &[RelativePath] {
        &self.removed
    }

    /// Entries that are new or differ, sorted.
    pub fn put(&self) -> &[Entry] {
        &self.put
    }

    /// Where the content of each of these lies, in the same order.
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }

    /// The bytes of its inline pack; empty where it has none.
    pub const fn inline(&self) -> &Bytes {
        &self.inline
    }

    /// As it is stored.
    pub const fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    pub(crate) fn find_blob(&self, blob: Digest) -> Option<&Location> {
        self.index.file(&self.put, &self.locations, blob)
    }

    /// The index of a block among its own.
    pub(crate) fn find_chunk(&self, chunk: Digest) -> Option<usize> {
        self.index.chunk(&self.blocks, chunk)
    }

    /// Whether the counts it states are those of `tree`.
    pub(crate) fn counts(&self, tree: &Tree) -> bool {
        let entries = tree.entries().len() as u64;
        self.counts == Counts { entries, files: tree.file_count(), bytes: tree.total_bytes() }
    }
}
