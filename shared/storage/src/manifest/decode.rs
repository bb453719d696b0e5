//! Reads a manifest from untrusted bytes: streamed out of zstd, every count and place checked before it is used.

use std::io::{self, BufReader, Read};

use drydock_domain::{
    Digest, Entry, EntryKind, LinkTarget, Mode, RelativePath, Tree, path::MAX_PATH, tree::MAX_LINK_TARGET,
};

use super::{Block, HEADER_LEN, Limits, Location, MAGIC, Manifest, PackRef, VERSION};
use crate::{
    StorageError,
    pack::{BlockInfo, CHUNK, Codec, PACK_MAX, SOLID_MAX},
};

/// Capacity reserved on a mere declaration; more is allocated as entries really come.
const RESERVE_MAX: usize = 4096;

pub(super) fn decode(id: Digest, stored: &[u8], limits: &Limits) -> Result<Manifest, StorageError> {
    let what = format!("manifest {id}");
    let corrupt = |reason| StorageError::corrupt(what.as_str(), reason);
    if Digest::of(stored) != id {
        return Err(corrupt("it does not match its id"));
    }
    let (header, frame) = stored.split_at_checked(HEADER_LEN).ok_or_else(|| corrupt("it ends too early"))?;
    let (magic, numbers) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(corrupt("it does not start with the magic bytes"));
    }
    let (version, body_len) = numbers.split_at(4);
    let version = u32::from_le_bytes(version.try_into().expect("four bytes"));
    let body_len = u64::from_le_bytes(body_len.try_into().expect("eight bytes"));
    if version != VERSION {
        return Err(StorageError::Version { what, version });
    }
    if body_len > limits.body_max() {
        return Err(StorageError::TooLarge { what, limit: limits.body_max() });
    }
    let frame = zstd::stream::Decoder::with_buffer(frame).map_err(|_| corrupt("it cannot be decompressed"))?;
    let mut body = Body { input: BufReader::with_capacity(64 << 10, frame).take(body_len), what: &what };
    let manifest = body.manifest(id, limits)?;
    body.finish()?;
    Ok(manifest)
}

struct Counts {
    packs: usize,
    blocks: usize,
    entries: usize,
    bytes: u64,
}

struct Body<'w, R: Read> {
    input: io::Take<BufReader<R>>,
    what: &'w str,
}

impl<R: Read> Body<'_, R> {
    fn manifest(&mut self, id: Digest, limits: &Limits) -> Result<Manifest, StorageError> {
        let tree_id = self.digest()?;
        let counts = self.counts(limits)?;
        let packs = self.packs(counts.packs)?;
        let blocks = self.blocks(counts.blocks, &packs)?;
        let tree = self.tree(counts.entries)?;
        // Summed without overflow before anything trusts it.
        let bytes = tree.entries().iter().try_fold(0_u64, |sum, entry| sum.checked_add(entry.size()));
        if bytes != Some(counts.bytes) {
            return Err(self.corrupt("sizes do not add up"));
        }
        if tree.id() != tree_id {
            return Err(self.corrupt("its entries do not hash to its tree id"));
        }
        let mut locations = Vec::with_capacity(tree.entries().len());
        for entry in tree.entries() {
            locations.push(self.location(entry.size(), &blocks)?);
        }
        Ok(Manifest { id, tree_id, tree, locations, blocks, packs })
    }

    fn counts(&mut self, limits: &Limits) -> Result<Counts, StorageError> {
        let (packs, blocks, entries) = (self.u32()?, self.u32()?, self.u32()?);
        let bytes = u64::from_le_bytes(self.array()?);
        limits.check_entries(entries.into())?;
        limits.check_bytes(bytes)?;
        if packs > blocks {
            return Err(self.corrupt("it has more packs than blocks"));
        }
        Ok(Counts { packs: packs as usize, blocks: blocks as usize, entries: entries as usize, bytes })
    }

    fn packs(&mut self, count: usize) -> Result<Vec<PackRef>, StorageError> {
        let mut packs = Vec::with_capacity(count.min(RESERVE_MAX));
        for _ in 0..count {
            let pack = PackRef { id: self.digest()?, bytes: u64::from_le_bytes(self.array()?) };
            if pack.bytes > PACK_MAX {
                return Err(self.corrupt("a pack is impossibly long"));
            }
            packs.push(pack);
        }
        Ok(packs)
    }

    fn blocks(&mut self, count: usize, packs: &[PackRef]) -> Result<Vec<Block>, StorageError> {
        let mut blocks: Vec<Block> = Vec::with_capacity(count.min(RESERVE_MAX));
        for _ in 0..count {
            let pack = self.varint32()?;
            let (offset, stored_len, raw_len) = (self.varint32()?, self.varint32()?, self.varint32()?);
            let crc32c = self.u32()?;
            let codec = Codec::from_byte(self.u8()?).ok_or_else(|| self.corrupt("unknown codec"))?;
            let chunk = match self.u8()? {
                0 => None,
                1 => Some(self.digest()?),
                _ => return Err(self.corrupt("unknown kind of block")),
            };
            let info = BlockInfo { offset, stored_len, raw_len, crc32c, codec };
            let end = u64::from(offset) + u64::from(stored_len);
            let in_pack = packs.get(pack as usize).is_some_and(|pack| end <= pack.bytes);
            let in_order =
                blocks.last().is_none_or(|last| (last.pack, last.info.offset + last.info.stored_len) <= (pack, offset));
            if !info.is_sane() || !in_pack || !in_order || (chunk.is_none() && raw_len as usize > SOLID_MAX) {
                return Err(self.corrupt("a block has an impossible place"));
            }
            blocks.push(Block { pack, info, chunk });
        }
        Ok(blocks)
    }

    fn tree(&mut self, count: usize) -> Result<Tree, StorageError> {
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
        Tree::from_sorted(entries).map_err(StorageError::InvalidTree)
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

    fn location(&mut self, size: u64, blocks: &[Block]) -> Result<Location, StorageError> {
        if size == 0 {
            return Ok(Location::None);
        }
        if size <= SOLID_MAX as u64 {
            let (block, offset) = (self.varint32()?, self.varint32()?);
            let inside = blocks.get(block as usize).is_some_and(|block| {
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
                let block = blocks.get(block as usize);
                block.is_some_and(|block| block.chunk.is_some() && u64::from(block.info.raw_len) == raw_len)
            });
        if fits { Ok(Location::Chunks(chunks.into())) } else { Err(self.misplaced()) }
    }

    fn misplaced(&self) -> StorageError {
        self.corrupt("a file lies outside its blocks")
    }

    fn corrupt(&self, reason: &'static str) -> StorageError {
        StorageError::corrupt(self.what, reason)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StorageError> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|_| self.corrupt("it ends too early"))?;
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, StorageError> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, StorageError> {
        self.array().map(u32::from_le_bytes)
    }

    fn digest(&mut self) -> Result<Digest, StorageError> {
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
    fn finish(self) -> Result<(), StorageError> {
        let mut inner = self.input;
        let left = inner.limit();
        let mut one = [0];
        let more = inner.get_mut().read(&mut one).map_err(|_| StorageError::corrupt(self.what, "damaged end"))?;
        if left == 0 && more == 0 { Ok(()) } else { Err(StorageError::corrupt(self.what, "bytes are left over")) }
    }
}
