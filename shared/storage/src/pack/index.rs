//! The trailer index and footer of a pack: what it holds, readable from the pack alone.

use drydock_domain::Digest;

use super::{BLOCK_LEN, BlockInfo, PACK_MAX};
use crate::{StorageError, cursor::Cursor};

/// Last bytes of every pack.
const MAGIC: &[u8; 8] = b"DDPACK\r\n";
const VERSION: u32 = 1;
/// `u32` trailer length, `u32` version, 32 bytes BLAKE3 of the trailer, magic.
const FOOTER_LEN: usize = 4 + 4 + Digest::LEN + 8;
const ENTRY_LEN: usize = 12 + Digest::LEN;

/// A blob (file up to 256 KiB) or chunk (piece of a bigger one) in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Index of its block.
    pub block: u32,
    /// First byte in the decoded block.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
    /// BLAKE3 of them.
    pub digest: Digest,
}

/// What a pack holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackIndex {
    /// In pack order.
    pub blocks: Vec<BlockInfo>,
    /// In block order.
    pub entries: Vec<IndexEntry>,
}

impl PackIndex {
    /// Trailer and footer, to be appended to the blocks.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        out.extend((self.blocks.len() as u32).to_le_bytes());
        self.blocks.iter().for_each(|block| block.encode(&mut out));
        out.extend((self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            out.extend(entry.block.to_le_bytes());
            out.extend(entry.offset.to_le_bytes());
            out.extend(entry.len.to_le_bytes());
            out.extend(entry.digest.as_bytes());
        }
        let trailer = Digest::of(&out);
        out.extend((out.len() as u32).to_le_bytes());
        out.extend(VERSION.to_le_bytes());
        out.extend(trailer.as_bytes());
        out.extend(MAGIC);
        out
    }

    /// Bytes [`Self::encode`] will give.
    pub(super) fn encoded_len(&self) -> usize {
        8 + self.blocks.len() * BLOCK_LEN + self.entries.len() * ENTRY_LEN + FOOTER_LEN
    }

    /// Reads the index of a whole pack. `what` names the pack in errors.
    pub fn read(pack: &[u8], what: &str) -> Result<Self, StorageError> {
        let corrupt = |reason| StorageError::corrupt(what, reason);
        if pack.len() as u64 > PACK_MAX || pack.len() < FOOTER_LEN {
            return Err(corrupt("not a pack: impossible length"));
        }
        let (rest, footer) = pack.split_at(pack.len() - FOOTER_LEN);
        if !footer.ends_with(MAGIC) {
            return Err(corrupt("not a pack: it does not end in the magic bytes"));
        }
        let mut footer = Cursor::new(footer, what);
        let trailer_len = footer.u32()? as usize;
        let version = footer.u32()?;
        if version != VERSION {
            return Err(StorageError::Version { what: what.to_owned(), version });
        }
        let digest = footer.digest()?;
        let start = rest.len().checked_sub(trailer_len).ok_or_else(|| corrupt("trailer longer than the pack"))?;
        let (blocks, trailer) = rest.split_at(start);
        if Digest::of(trailer) != digest {
            return Err(corrupt("trailer does not match its hash"));
        }
        Self::parse(trailer, blocks.len(), what)
    }

    fn parse(trailer: &[u8], blocks_len: usize, what: &str) -> Result<Self, StorageError> {
        let corrupt = |reason| StorageError::corrupt(what, reason);
        let mut cursor = Cursor::new(trailer, what);
        let mut index = Self::default();
        let count = cursor.count(BLOCK_LEN)?;
        let mut end = 0;
        for _ in 0..count {
            let block = BlockInfo::read(&mut cursor)?;
            if block.offset as usize != end {
                return Err(corrupt("blocks do not follow each other"));
            }
            end += block.stored_len as usize;
            index.blocks.push(block);
        }
        if end != blocks_len {
            return Err(corrupt("blocks do not fill the pack"));
        }
        let count = cursor.count(ENTRY_LEN)?;
        for _ in 0..count {
            let (block, offset, len) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            let raw_len = index.blocks.get(block as usize).map(|block| block.raw_len);
            let end = offset.checked_add(len);
            if raw_len.is_none() || end > raw_len || end.is_none() {
                return Err(corrupt("an entry lies outside its block"));
            }
            index.entries.push(IndexEntry { block, offset, len, digest: cursor.digest()? });
        }
        cursor.finish()?;
        Ok(index)
    }
}
