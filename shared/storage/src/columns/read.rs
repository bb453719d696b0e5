//! Reads columns from untrusted bytes: streamed out of zstd, every field checked before it is used.

use std::io::{self, BufReader, Read};

use drydock_domain::{Digest, Entry, EntryKind, LinkTarget, Mode, RelativePath, path::MAX_PATH, tree::MAX_LINK_TARGET};

use super::Numbered;
use crate::{
    StorageError,
    manifest::{Block, Location, PackRef},
    pack::{BlockInfo, CHUNK, Codec, PACK_MAX, SOLID_MAX},
};

/// Capacity reserved on a mere declaration; more is allocated as things really come.
pub(crate) const RESERVE_MAX: usize = 4096;

/// A body being read; `what` names the object in errors.
pub(crate) struct Body<'a> {
    input: io::Take<BufReader<zstd::stream::Decoder<'static, &'a [u8]>>>,
    what: &'a str,
}

impl<'a> Body<'a> {
    /// Of `len` bytes before compression; the caller has checked that this is within its limits.
    pub(crate) fn open(frame: &'a [u8], len: u64, what: &'a str) -> Result<Self, StorageError> {
        let frame = zstd::stream::Decoder::with_buffer(frame)
            .map_err(|_| StorageError::corrupt(what, "it cannot be decompressed"))?;
        Ok(Self { input: BufReader::with_capacity(64 << 10, frame).take(len), what })
    }

    pub(crate) fn pack(&mut self) -> Result<PackRef, StorageError> {
        let pack = PackRef { id: self.digest()?, bytes: self.u64()?, inline: false };
        if pack.bytes > PACK_MAX { Err(self.corrupt("a pack is impossibly long")) } else { Ok(pack) }
    }

    /// Blocks in order, each in one of the new packs.
    pub(crate) fn blocks(&mut self, count: usize, packs: Numbered<'_, PackRef>) -> Result<Vec<Block>, StorageError> {
        let mut blocks: Vec<Block> = Vec::with_capacity(count.min(RESERVE_MAX));
        for _ in 0..count {
            let block = self.block()?;
            let Block { pack, info, chunk } = block;
            let end = u64::from(info.offset) + u64::from(info.stored_len);
            let in_pack = packs.get(pack).is_some_and(|pack| end <= pack.bytes) && pack as usize >= packs.base.len();
            let in_order = blocks
                .last()
                .is_none_or(|last| (last.pack, last.info.offset + last.info.stored_len) <= (pack, info.offset));
            let solid = chunk.is_some() || info.raw_len as usize <= SOLID_MAX;
            if !info.is_sane() || !in_pack || !in_order || !solid {
                return Err(self.corrupt("a block has an impossible place"));
            }
            blocks.push(block);
        }
        Ok(blocks)
    }

    fn block(&mut self) -> Result<Block, StorageError> {
        let pack = self.varint32()?;
        let (offset, stored_len, raw_len) = (self.varint32()?, self.varint32()?, self.varint32()?);
        let crc32c = self.u32()?;
        let codec = Codec::from_byte(self.u8()?).ok_or_else(|| self.corrupt("unknown codec"))?;
        let chunk = match self.u8()? {
            0 => None,
            1 => Some(self.digest()?),
            _ => return Err(self.corrupt("unknown kind of block")),
        };
        Ok(Block { pack, info: BlockInfo { offset, stored_len, raw_len, crc32c, codec }, chunk })
    }

    pub(crate) fn paths(&mut self, count: usize) -> Result<Vec<RelativePath>, StorageError> {
        let mut paths: Vec<RelativePath> = Vec::with_capacity(count.min(RESERVE_MAX));
        let mut current: Vec<u8> = Vec::new();
        for _ in 0..count {
            let shared = self.varint32()? as usize;
            if shared > current.len() {
                return Err(self.corrupt("a path shares more than the one before it has"));
            }
            current.truncate(shared);
            self.append_bytes(&mut current, MAX_PATH)?;
            paths.push(RelativePath::new(&current).map_err(|_| self.corrupt("it holds a forbidden path"))?);
        }
        Ok(paths)
    }

    /// Paths, kinds, sizes and hashes; whether they are a tree is for the caller to check.
    pub(crate) fn entries(&mut self, count: usize) -> Result<Vec<Entry>, StorageError> {
        let paths = self.paths(count)?;
        let mut kinds = Vec::with_capacity(paths.len());
        for _ in 0..count {
            kinds.push((self.u8()?, u16::from_le_bytes(self.array()?)));
        }
        let mut entries = Vec::with_capacity(paths.len());
        for (path, (kind, mode)) in paths.into_iter().zip(kinds) {
            entries.push(Entry { path, kind: self.kind(kind, mode)? });
        }
        for entry in &mut entries {
            if let EntryKind::File { blob, .. } = &mut entry.kind {
                *blob = self.digest()?;
            }
        }
        Ok(entries)
    }

    /// The kind with its size or target; the hash of a file comes in a later column.
    fn kind(&mut self, kind: u8, bits: u16) -> Result<EntryKind, StorageError> {
        let mode = Mode::new(bits.into());
        if mode.bits() != u32::from(bits) {
            return Err(self.corrupt("a mode has more than permission bits"));
        }
        match kind {
            1 => Ok(EntryKind::File { size: self.varint()?, mode, blob: Digest::from_bytes([0; 32]) }),
            2 => Ok(EntryKind::Dir { mode }),
            3 if bits == 0 => {
                let mut target = Vec::new();
                self.append_bytes(&mut target, MAX_LINK_TARGET)?;
                let target = LinkTarget::new(target).map_err(|_| self.corrupt("it holds a forbidden link target"))?;
                Ok(EntryKind::Symlink { target })
            }
            _ => Err(self.corrupt("unknown kind of entry")),
        }
    }

    /// Where the contents of `entries` lie.
    pub(crate) fn locations(
        &mut self,
        entries: &[Entry],
        blocks: Numbered<'_, Block>,
    ) -> Result<Vec<Location>, StorageError> {
        let mut locations = Vec::with_capacity(entries.len());
        for entry in entries {
            locations.push(self.location(entry.size(), blocks)?);
        }
        Ok(locations)
    }

    fn location(&mut self, size: u64, blocks: Numbered<'_, Block>) -> Result<Location, StorageError> {
        if size == 0 {
            return Ok(Location::None);
        }
        if size <= SOLID_MAX as u64 {
            let (block, offset) = (self.varint32()?, self.varint32()?);
            let inside = blocks.get(block).is_some_and(|block| {
                block.chunk.is_none() && u64::from(offset) + size <= u64::from(block.info.raw_len)
            });
            return if inside { Ok(Location::Slice { block, offset }) } else { Err(self.misplaced()) };
        }
        let count = usize::try_from(size.div_ceil(CHUNK as u64)).map_err(|_| self.misplaced())?;
        let mut chunks = Vec::with_capacity(count.min(RESERVE_MAX));
        for _ in 0..self.varint()? {
            let (first, len) = (self.varint32()?, self.varint32()?);
            if len == 0 || chunks.len() + len as usize > count || first.checked_add(len).is_none() {
                return Err(self.misplaced());
            }
            chunks.extend(first..first + len);
        }
        let fits = chunks.len() == count
            && chunks.iter().enumerate().all(|(at, &block)| {
                let raw_len = (size - (at * CHUNK) as u64).min(CHUNK as u64);
                let block = blocks.get(block);
                block.is_some_and(|block| block.chunk.is_some() && u64::from(block.info.raw_len) == raw_len)
            });
        if fits { Ok(Location::Chunks(chunks.into())) } else { Err(self.misplaced()) }
    }

    fn misplaced(&self) -> StorageError {
        self.corrupt("a file lies outside its blocks")
    }

    pub(crate) fn corrupt(&self, reason: &'static str) -> StorageError {
        StorageError::corrupt(self.what, reason)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|_| self.corrupt("it ends too early"))?;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, StorageError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StorageError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StorageError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, StorageError> {
        self.array().map(Digest::from_bytes)
    }

    fn varint(&mut self) -> Result<u64, StorageError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.corrupt("a number is too large"))
    }

    fn varint32(&mut self) -> Result<u32, StorageError> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.corrupt("a number is too large"))
    }

    /// The next `len` bytes; the caller has checked that this is within its limits.
    pub(crate) fn raw(&mut self, len: usize) -> Result<Vec<u8>, StorageError> {
        let mut bytes = vec![0; len];
        self.input.read_exact(&mut bytes).map_err(|_| self.corrupt("it ends too early"))?;
        Ok(bytes)
    }

    /// Appends a length-prefixed string; the whole must stay within `max`.
    fn append_bytes(&mut self, out: &mut Vec<u8>, max: usize) -> Result<(), StorageError> {
        let (len, start) = (self.varint32()? as usize, out.len());
        if start + len > max {
            return Err(self.corrupt("a string is too long"));
        }
        out.resize(start + len, 0);
        self.input.read_exact(&mut out[start..]).map_err(|_| self.corrupt("it ends too early"))
    }

    /// The declared length must be used up, and the frame must end there.
    pub(crate) fn finish(self) -> Result<(), StorageError> {
        let mut inner = self.input;
        let left = inner.limit();
        let mut one = [0];
        let more = inner.get_mut().read(&mut one).map_err(|_| StorageError::corrupt(self.what, "damaged end"))?;
        if left == 0 && more == 0 { Ok(()) } else { Err(StorageError::corrupt(self.what, "bytes are left over")) }
    }
}
