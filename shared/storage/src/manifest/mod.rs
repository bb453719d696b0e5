//! Manifests: what a version holds and where its bytes lie. The layout is in this crate's FORMATS.md.
//!
//! Owns the pairing of a domain [`Tree`] with locations in packs. Refuses everything a hostile or damaged object could
//! say: names, order, duplicates, parents that are no directories, counts beyond the limits, locations outside blocks.
//! A manifest in memory is either one object of the bucket, or such a *base* with one [`Delta`] applied to it; readers
//! need not care which.

mod decode;
mod encode;
mod index;
mod limits;
mod view;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use bytes::Bytes;
use drydock_domain::{Digest, Entry, EntryKind, RelativePath, TenantId, Tree};

pub(crate) use self::index::ContentIndex;
pub use self::limits::Limits;
use self::view::Origin;
use crate::{Storage, StorageError, pack::BlockInfo};

/// First bytes of every manifest.
const MAGIC: &[u8; 8] = b"DDTREE\r\n";
const VERSION: u32 = 1;
/// Longest manifest object that is read: a million files with long names.
const STORED_MAX: u64 = 256 << 20;

/// A pack that holds contents of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackRef {
    /// BLAKE3 of the pack.
    pub id: Digest,
    /// Its length.
    pub bytes: u64,
    /// Whether it is no object of the bucket but lies in the version's delta, as blocks without a trailer; only the
    /// last pack can. [`read_pack`](crate::read_pack) reads either.
    pub inline: bool,
}

/// A block that holds contents of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Index into [`Manifest::packs`].
    pub pack: u32,
    /// Its place there.
    pub info: BlockInfo,
    /// For a chunk of a big file: BLAKE3 of the raw block. `None` for a solid block of small files.
    pub chunk: Option<Digest>,
}

/// Where the content of an entry lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Nowhere: a directory, a symlink or an empty file.
    None,
    /// A file of up to 256 KiB, inside a solid block.
    Slice {
        /// Index into [`Manifest::blocks`].
        block: u32,
        /// First byte in the decoded block.
        offset: u32,
    },
    /// A bigger file: its chunks in order, as indices into [`Manifest::blocks`]. All but the last have
    /// [`CHUNK`](crate::pack::CHUNK) bytes.
    Chunks(Box<[u32]>),
}

impl Location {
    /// The blocks it lies in.
    pub fn blocks(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::Slice { block, .. } => std::slice::from_ref(block),
            Self::Chunks(blocks) => blocks,
        }
    }
}

/// A decoded manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    id: Digest,
    tree: Tree,
    locations: Vec<Location>,
    blocks: Vec<Block>,
    packs: Vec<PackRef>,
    /// What it was made of, where it is not the object `id` alone.
    origin: Option<Origin>,
    index: ContentIndex,
}

impl Manifest {
    /// Joins the parts; returns the manifest and the bytes to store under its id.
    pub(crate) fn assemble(
        tree: Tree,
        locations: Vec<Location>,
        blocks: Vec<Block>,
        packs: Vec<PackRef>,
    ) -> Result<(Self, Bytes), StorageError> {
        debug_assert!(packs.iter().all(|pack| !pack.inline), "only a delta has contents inside");
        let mut manifest = Self::whole(tree.id(), tree, locations, blocks, packs);
        let stored = encode::encode(&manifest)?;
        manifest.id = Digest::of(&stored);
        Ok((manifest, stored.into()))
    }

    fn whole(id: Digest, tree: Tree, locations: Vec<Location>, blocks: Vec<Block>, packs: Vec<PackRef>) -> Self {
        Self { id, tree, locations, blocks, packs, origin: None, index: ContentIndex::default() }
    }

    /// Reads stored bytes that must hash to `id`.
    pub fn decode(id: Digest, stored: &[u8], limits: &Limits) -> Result<Self, StorageError> {
        decode::decode(id, stored, limits)
    }

    /// Fetches and decodes a manifest; one that is damaged, perhaps on its way, is fetched once more.
    /// [`ManifestCache`](crate::ManifestCache) keeps them.
    pub async fn fetch(
        storage: &Storage,
        tenant: TenantId,
        id: Digest,
        limits: Limits,
    ) -> Result<Arc<Self>, StorageError> {
        match Self::fetch_once(storage, tenant, id, limits).await {
            Err(StorageError::Corrupt { .. }) => Self::fetch_once(storage, tenant, id, limits).await,
            fetched => fetched,
        }
    }

    async fn fetch_once(
        storage: &Storage,
        tenant: TenantId,
        id: Digest,
        limits: Limits,
    ) -> Result<Arc<Self>, StorageError> {
        let stored = storage.get(&storage.keys(tenant).manifest(id), STORED_MAX).await?;
        let decoding = tokio::task::spawn_blocking(move || Self::decode(id, &stored, &limits));
        decoding.await.map_err(|_| StorageError::Interrupted)?.map(Arc::new)
    }

    /// BLAKE3 of the stored manifest; of the base's, where a delta was applied to it.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// Merkle id of the tree.
    pub const fn tree_id(&self) -> Digest {
        self.tree.id()
    }

    /// What the version holds.
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Where the content of each entry of the tree lies, in the same order.
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }

    /// Blocks, sorted by pack and offset. Where a delta was applied, not all of them are needed.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Packs that hold the blocks.
    pub fn packs(&self) -> &[PackRef] {
        &self.packs
    }

    /// The entry at `path` and where its content lies.
    pub fn find(&self, path: &RelativePath) -> Option<(&Entry, &Location)> {
        let at = self.tree.position(path)?;
        Some((&self.tree.entries()[at], &self.locations[at]))
    }

    /// Entries with their locations, in path order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Entry, &Location)> {
        self.tree.entries().iter().zip(&self.locations)
    }

    /// About how many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let entries: usize = self
            .iter()
            .map(|(entry, location)| {
                let target = match &entry.kind {
                    EntryKind::Symlink { target } => target.as_bytes().len(),
                    _ => 0,
                };
                // Reference counts of the path and allocator overhead, on average.
                let path = entry.path.as_bytes().len() + 32;
                let chunks = if matches!(location, Location::Chunks(_)) { location.blocks().len() * 4 } else { 0 };
                path + target + chunks
            })
            .sum();
        entries
            + self.locations.len() * (size_of::<Entry>() + size_of::<Location>() + size_of::<u32>())
            + self.blocks.len() * size_of::<Block>()
            + self.packs.len() * size_of::<PackRef>()
    }
}
