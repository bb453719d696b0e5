//! `BlobWriter`: turns contents into blocks and blocks into packs, each content once.
//!
//! Owns deduplication: against the base version, and within this write. Small contents by their hash, big ones by the
//! hashes of their chunks, so that a byte appended to a big file stores one chunk.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use drydock_domain::{Digest, EntryKind};
use tokio::sync::mpsc;

use crate::{
    Manifest, StorageError,
    manifest::{Block, Location, PackRef},
    pack::{BlockInfo, CHUNK, Codec, Compressor, PackWriter, SOLID_MAX, SealedPack, encode_block},
};

/// Number of the block and pack not yet written out.
const PENDING: Block = Block {
    pack: u32::MAX,
    info: BlockInfo { offset: 0, stored_len: 0, raw_len: 0, crc32c: 0, codec: Codec::Raw },
    chunk: None,
};

pub(super) struct BlobWriter {
    /// Those of the base first, then new ones. A pack still open has its number reserved at the end.
    packs: Vec<PackRef>,
    /// Those of the base first, then new ones.
    blocks: Vec<Block>,
    slices: HashMap<Digest, (u32, u32)>,
    chunks: HashMap<Digest, u32>,
    solid: Solid,
    pack: Option<PackWriter>,
    compressor: Compressor,
    temp_dir: PathBuf,
    sealed: mpsc::Sender<SealedPack>,
}

/// The solid block being filled.
#[derive(Default)]
struct Solid {
    raw: Vec<u8>,
    entries: Vec<(u32, u32, Digest)>,
    /// Its number, reserved when its first content came.
    number: u32,
}

impl BlobWriter {
    pub(super) fn new(
        base: Option<&Arc<Manifest>>,
        temp_dir: PathBuf,
        sealed: mpsc::Sender<SealedPack>,
    ) -> Result<Self, StorageError> {
        let compressor = Compressor::new().map_err(StorageError::io("zstd context"))?;
        let mut writer = Self {
            packs: Vec::new(),
            blocks: Vec::new(),
            slices: HashMap::new(),
            chunks: HashMap::new(),
            solid: Solid::default(),
            pack: None,
            compressor,
            temp_dir,
            sealed,
        };
        if let Some(base) = base {
            writer.know(base);
        }
        Ok(writer)
    }

    /// Takes over what a base version has stored.
    fn know(&mut self, base: &Manifest) {
        self.packs = base.packs().to_vec();
        self.blocks = base.blocks().to_vec();
        for (entry, location) in base.iter() {
            if let (EntryKind::File { blob, .. }, &Location::Slice { block, offset }) = (&entry.kind, location) {
                self.slices.insert(*blob, (block, offset));
            }
        }
        let chunks = self.blocks.iter().enumerate();
        self.chunks = chunks.filter_map(|(at, block)| Some((block.chunk?, at as u32))).collect();
    }

    /// Stores a whole content of at most [`SOLID_MAX`] bytes.
    pub(super) fn put_small(&mut self, content: &[u8], digest: Digest) -> Result<Location, StorageError> {
        if content.is_empty() {
            return Ok(Location::None);
        }
        if let Some(&(block, offset)) = self.slices.get(&digest) {
            return Ok(Location::Slice { block, offset });
        }
        if self.solid.raw.len() + content.len() > SOLID_MAX {
            self.flush_solid()?;
        }
        if self.solid.raw.is_empty() {
            self.solid.number = self.blocks.len() as u32;
            self.blocks.push(PENDING);
        }
        let (block, offset) = (self.solid.number, self.solid.raw.len() as u32);
        self.solid.raw.extend_from_slice(content);
        self.solid.entries.push((offset, content.len() as u32, digest));
        self.slices.insert(digest, (block, offset));
        Ok(Location::Slice { block, offset })
    }

    /// Stores one chunk of a bigger content; returns its block.
    pub(super) fn put_chunk(&mut self, chunk: &[u8]) -> Result<u32, StorageError> {
        debug_assert!(!chunk.is_empty() && chunk.len() <= CHUNK, "chunks are cut by the caller");
        let digest = Digest::of(chunk);
        if let Some(&block) = self.chunks.get(&digest) {
            return Ok(block);
        }
        let (pack, info) = self.append(chunk, [(0, chunk.len() as u32, digest)])?;
        let number = self.blocks.len() as u32;
        self.blocks.push(Block { pack, info, chunk: Some(digest) });
        self.chunks.insert(digest, number);
        Ok(number)
    }

    /// Writes out what is pending; all packs and blocks, the base's first.
    pub(super) fn finish(mut self) -> Result<(Vec<PackRef>, Vec<Block>), StorageError> {
        self.flush_solid()?;
        self.seal()?;
        Ok((self.packs, self.blocks))
    }

    fn flush_solid(&mut self) -> Result<(), StorageError> {
        if self.solid.raw.is_empty() {
            return Ok(());
        }
        let Solid { mut raw, entries, number } = std::mem::take(&mut self.solid);
        let (pack, info) = self.append(&raw, entries)?;
        self.blocks[number as usize] = Block { pack, info, chunk: None };
        raw.clear();
        self.solid.raw = raw;
        Ok(())
    }

    fn append(
        &mut self,
        raw: &[u8],
        entries: impl IntoIterator<Item = (u32, u32, Digest)>,
    ) -> Result<(u32, BlockInfo), StorageError> {
        let (codec, stored) = encode_block(&mut self.compressor, raw).map_err(StorageError::io("block in memory"))?;
        if self.pack.as_ref().is_some_and(|pack| pack.is_full_for(stored.len())) {
            self.seal()?;
        }
        let pack = match &mut self.pack {
            Some(pack) => pack,
            empty => empty.insert(PackWriter::create(&self.temp_dir)?),
        };
        let info = pack.append(codec, &stored, raw.len(), entries)?;
        Ok((self.packs.len() as u32, info))
    }

    /// Finishes the open pack and hands it to the uploader, waiting while that is busy.
    fn seal(&mut self) -> Result<(), StorageError> {
        let Some(pack) = self.pack.take() else {
            return Ok(());
        };
        let pack = pack.seal()?;
        self.packs.push(PackRef { id: pack.id, bytes: pack.file.len });
        self.sealed.blocking_send(pack).map_err(|_| StorageError::Interrupted)
    }
}
