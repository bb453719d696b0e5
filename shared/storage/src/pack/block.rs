//! One block: a zstd frame, or raw bytes where compression gains nothing, with a checksum over what is stored.

use std::{borrow::Cow, io};

use super::CHUNK;
use crate::{StorageError, cursor::Cursor};

/// Fast enough to keep up with a disk, 10 % smaller than level 1 on source trees.
const LEVEL: i32 = 3;

/// How the bytes of a block are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Codec {
    pub(crate) const fn to_byte(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Where a block lies in its pack, and how to check and decode it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// First byte in the pack.
    pub offset: u32,
    /// Bytes in the pack.
    pub stored_len: u32,
    /// Bytes after decoding.
    pub raw_len: u32,
    /// CRC-32C (RFC 3720 §B.4) of the stored bytes.
    pub crc32c: u32,
    /// How they are stored.
    pub codec: Codec,
}

/// Bytes of an encoded [`BlockInfo`].
pub(crate) const BLOCK_LEN: usize = 17;

impl BlockInfo {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.offset.to_le_bytes());
        out.extend(self.stored_len.to_le_bytes());
        out.extend(self.raw_len.to_le_bytes());
        out.push(self.codec.to_byte());
        out.extend(self.crc32c.to_le_bytes());
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, StorageError> {
        let (offset, stored_len, raw_len) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let codec = Codec::from_byte(cursor.u8()?).ok_or_else(|| cursor.corrupt("unknown codec"))?;
        let block = Self { offset, stored_len, raw_len, codec, crc32c: cursor.u32()? };
        if block.is_sane() { Ok(block) } else { Err(cursor.corrupt("a block has an impossible length")) }
    }

    /// Whether lengths are possible at all: checked before anything is allocated by them.
    pub(crate) fn is_sane(&self) -> bool {
        let raw = self.raw_len as usize;
        let stored = self.stored_len as usize;
        let lengths = match self.codec {
            Codec::Raw => stored == raw,
            Codec::Zstd => stored < raw,
        };
        (1..=CHUNK).contains(&raw) && stored >= 1 && lengths && self.offset.checked_add(self.stored_len).is_some()
    }

    /// The raw bytes, from the stored ones. `what` names the object in errors.
    pub fn decode(&self, stored: &[u8], what: &str) -> Result<Vec<u8>, StorageError> {
        let corrupt = |reason| StorageError::corrupt(what, reason);
        if !self.is_sane() || stored.len() != self.stored_len as usize {
            return Err(corrupt("a block has an impossible length"));
        }
        if crc32c::crc32c(stored) != self.crc32c {
            return Err(corrupt("a block does not match its checksum"));
        }
        match self.codec {
            Codec::Raw => Ok(stored.to_vec()),
            Codec::Zstd => {
                let raw = zstd::bulk::decompress(stored, self.raw_len as usize)
                    .map_err(|_| corrupt("a block cannot be decompressed"))?;
                if raw.len() != self.raw_len as usize {
                    return Err(corrupt("a block has another length than declared"));
                }
                Ok(raw)
            }
        }
    }
}

/// A compression context, kept over many blocks.
pub(crate) struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    pub(crate) fn new() -> io::Result<Self> {
        zstd::bulk::Compressor::new(LEVEL).map(Self)
    }
}

/// Compresses `raw` where that gains something.
pub(crate) fn encode_block<'r>(compressor: &mut Compressor, raw: &'r [u8]) -> io::Result<(Codec, Cow<'r, [u8]>)> {
    let packed = compressor.0.compress(raw)?;
    Ok(if packed.len() < raw.len() { (Codec::Zstd, packed.into()) } else { (Codec::Raw, raw.into()) })
}
