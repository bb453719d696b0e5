//! `BlobWriter`: turns contents into blocks and blocks into packs, each content once.
//!
//! Owns deduplication: against the base version, and within this write. Small contents by their hash, big ones by the
//! hashes of their chunks, so that a byte appended to a big file stores one chunk.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use drydock_domain::Digest;
use tokio::sync::mpsc;

use crate::{
    Manifest, StorageError,
    manifest::{Block, Location, PackRef},
    pack::{BlockInfo, CHUNK, Codec, Compressor, PackWriter, SOLID_MAX, SealedPack, encode_block},
};

/// A block with a number but without a place yet.
const PENDING: Block = Block {
    pack: u32::MAX,
    info: BlockInfo { offset: 0, stored_len: 0, raw_len: 0, crc32c: 0, codec: Codec::Raw },
    chunk: None,
};

pub(super) struct BlobWriter {
    base: Option<Arc<Manifest>>,
    new: NewBlobs,
    slices: HashMap<Digest, (u32, u32)>,
    chunks: HashMap<Digest, u32>,
    solid: Solid,
    pack: Option<PackWriter>,
    compressor: Compressor,
    temp_dir: PathBuf,
    sealed: mpsc::Sender<SealedPack>,
}

/// Packs and blocks of this write; their numbers count those of the base first.
#[derive(Default)]
pub(super) struct NewBlobs {
    pub(super) packs: Vec<PackRef>,
    pub(super) blocks: Vec<Block>,
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
        base: Option<Arc<Manifest>>,
        temp_dir: PathBuf,
        sealed: mpsc::Sender<SealedPack>,
    ) -> Result<Self, StorageError> {
        let compressor = Compressor::new().map_err(StorageError::io("zstd context"))?;
        Ok(Self {
            base,
            new: NewBlobs::default(),
            slices: HashMap::new(),
            chunks: HashMap::new(),
            solid: Solid::default(),
            pack: None,
            compressor,
            temp_dir,
            sealed,
        })
    }

    /// Stores a whole content of at most [`SOLID_MAX`] bytes.
    pub(super) fn put_small(&mut self, content: &[u8], digest: Digest) -> Result<Location, StorageError> {
        if content.is_empty() {
            return Ok(Location::None);
        }
        if let Some(known) = self.base.as_ref().and_then(|base| base.find_blob(&digest)) {
            return Ok(known.clone());
        }
        if let Some(&(block, offset)) = self.slices.get(&digest) {
            return Ok(Location::Slice { block, offset });
        }
        if self.solid.raw.len() + content.len() > SOLID_MAX {
            self.flush_solid()?;
        }
        if self.solid.raw.is_empty() {
            self.solid.number = self.number(PENDING);
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
        let known = self.base.as_ref().and_then(|base| base.find_chunk(&digest));
        if let Some(block) = known.or_else(|| self.chunks.get(&digest).copied()) {
            return Ok(block);
        }
        let (pack, info) = self.append(chunk, [(0, chunk.len() as u32, digest)])?;
        let number = self.number(Block { pack, info, chunk: Some(digest) });
        self.chunks.insert(digest, number);
        Ok(number)
    }

    /// Stores a block as it is, with the contents in it that are needed; returns its number.
    pub(super) fn put_block(
        &mut self,
        block: &Block,
        stored: &[u8],
        contents: Vec<(u32, u32, Digest)>,
    ) -> Result<u32, StorageError> {
        let (pack, info) = self.append_stored(block.info.codec, stored, block.info.raw_len as usize, contents)?;
        Ok(self.number(Block { pack, info, chunk: block.chunk }))
    }

    /// Gives every block its place.
    pub(super) fn flush(&mut self) -> Result<(), StorageError> {
        self.flush_solid()
    }

    /// The stored blocks, where all are in one pack that needed no file yet; empty where there are none.
    pub(super) fn held(&self) -> Option<&[u8]> {
        match &self.pack {
            _ if !self.new.packs.is_empty() => None,
            None => Some(&[]),
            Some(pack) => pack.held(),
        }
    }

    /// The blocks so far.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.new.blocks
    }

    /// Forgets what is not written to disk yet.
    pub(super) fn discard(self) {
        if let Some(pack) = self.pack {
            pack.discard();
        }
    }

    /// Writes out what is pending.
    pub(super) fn finish(mut self) -> Result<NewBlobs, StorageError> {
        self.flush_solid()?;
        self.seal()?;
        Ok(self.new)
    }

    fn number(&mut self, block: Block) -> u32 {
        let base = self.base.as_ref().map_or(0, |base| base.blocks().len());
        self.new.blocks.push(block);
        (base + self.new.blocks.len() - 1) as u32
    }

    fn flush_solid(&mut self) -> Result<(), StorageError> {
        if self.solid.raw.is_empty() {
            return Ok(());
        }
        let Solid { mut raw, entries, number } = std::mem::take(&mut self.solid);
        let (pack, info) = self.append(&raw, entries)?;
        let base = self.base.as_ref().map_or(0, |base| base.blocks().len());
        self.new.blocks[number as usize - base] = Block { pack, info, chunk: None };
        raw.clear();
        self.solid.raw = raw;
        Ok(())
    }

    fn append(
        &mut self,
        raw: &[u8],
        contents: impl IntoIterator<Item = (u32, u32, Digest)>,
    ) -> Result<(u32, BlockInfo), StorageError> {
        let (codec, stored) = encode_block(&mut self.compressor, raw).map_err(StorageError::io("block in memory"))?;
        self.append_stored(codec, &stored, raw.len(), contents)
    }

    fn append_stored(
        &mut self,
        codec: Codec,
        stored: &[u8],
        raw_len: usize,
        contents: impl IntoIterator<Item = (u32, u32, Digest)>,
    ) -> Result<(u32, BlockInfo), StorageError> {
        if self.pack.as_ref().is_some_and(|pack| pack.is_full_for(stored.len())) {
            self.seal()?;
        }
        let pack = self.pack.get_or_insert_with(|| PackWriter::create(&self.temp_dir));
        let info = pack.append(codec, stored, raw_len, contents)?;
        let base = self.base.as_ref().map_or(0, |base| base.packs().len());
        Ok(((base + self.new.packs.len()) as u32, info))
    }

    /// Finishes the open pack and hands it to the uploader, waiting while that is busy.
    fn seal(&mut self) -> Result<(), StorageError> {
        let Some(pack) = self.pack.take() else {
            return Ok(());
        };
        let pack = pack.seal()?;
        self.new.packs.push(PackRef { id: pack.id, bytes: pack.file.len, inline: false });
        self.sealed.blocking_send(pack).map_err(|_| StorageError::Interrupted)
    }
}
