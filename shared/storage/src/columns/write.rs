//! Writes columns straight into a zstd frame, so that a body is never held uncompressed.

use std::io::{self, BufWriter, Write};

use drydock_domain::{Digest, Entry, EntryKind, RelativePath};

use crate::manifest::{Block, Location, PackRef};

/// Level 3 is within 5 % of the best on columns whose bulk are hashes.
const LEVEL: i32 = 3;
const BUFFER: usize = 64 << 10;

/// The body being written.
pub(crate) struct Columns {
    out: BufWriter<zstd::stream::Encoder<'static, Vec<u8>>>,
    len: u64,
}

/// What a header starts with, then the length of the body before compression, then the body as one zstd frame; and that
/// length again. The frame has a checksum where nothing else tells that the bytes are those that were written.
pub(crate) fn compress(
    mut header: Vec<u8>,
    checksum: bool,
    body: impl FnOnce(&mut Columns) -> io::Result<()>,
) -> io::Result<(Vec<u8>, u64)> {
    let at = header.len();
    // Known only at the end.
    header.extend([0; 8]);
    let mut encoder = zstd::stream::Encoder::new(header, LEVEL)?;
    encoder.include_checksum(checksum)?;
    let mut columns = Columns { out: BufWriter::with_capacity(BUFFER, encoder), len: 0 };
    body(&mut columns)?;
    let len = columns.len;
    let mut stored = columns.out.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
    stored[at..at + 8].copy_from_slice(&len.to_le_bytes());
    Ok((stored, len))
}

impl Columns {
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    pub(crate) fn count(&mut self, count: usize) -> io::Result<()> {
        self.raw(&u32::try_from(count).expect("limits keep counts below 2^32").to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> io::Result<()> {
        self.raw(&value.to_le_bytes())
    }

    pub(crate) fn digest(&mut self, digest: Digest) -> io::Result<()> {
        self.raw(digest.as_bytes())
    }

    pub(crate) fn pack(&mut self, pack: &PackRef) -> io::Result<()> {
        self.digest(pack.id)?;
        self.u64(pack.bytes)
    }

    pub(crate) fn block(&mut self, block: &Block) -> io::Result<()> {
        for number in [block.pack, block.info.offset, block.info.stored_len, block.info.raw_len] {
            self.varint(number.into())?;
        }
        self.raw(&block.info.crc32c.to_le_bytes())?;
        self.raw(&[block.info.codec.to_byte(), u8::from(block.chunk.is_some())])?;
        block.chunk.map_or(Ok(()), |digest| self.digest(digest))
    }

    /// Front coding: bytes shared with the path before, then the rest.
    pub(crate) fn paths<'a>(&mut self, paths: impl IntoIterator<Item = &'a RelativePath>) -> io::Result<()> {
        let mut previous: &[u8] = &[];
        for path in paths {
            let path = path.as_bytes();
            let shared = path.iter().zip(previous).take_while(|(a, b)| a == b).count();
            self.varint(shared as u64)?;
            self.bytes(&path[shared..])?;
            previous = path;
        }
        Ok(())
    }

    /// Paths, kinds, sizes, hashes and places of entries in path order.
    pub(crate) fn entries(&mut self, entries: &[Entry], locations: &[Location]) -> io::Result<()> {
        self.paths(entries.iter().map(|entry| &entry.path))?;
        for entry in entries {
            let (kind, mode) = match &entry.kind {
                EntryKind::File { mode, .. } => (1, mode.bits()),
                EntryKind::Dir { mode } => (2, mode.bits()),
                EntryKind::Symlink { .. } => (3, 0),
            };
            self.raw(&[kind])?;
            self.raw(&(mode as u16).to_le_bytes())?;
        }
        for entry in entries {
            match &entry.kind {
                EntryKind::File { size, .. } => self.varint(*size)?,
                EntryKind::Symlink { target } => self.bytes(target.as_bytes())?,
                EntryKind::Dir { .. } => {}
            }
        }
        for entry in entries {
            if let EntryKind::File { blob, .. } = &entry.kind {
                self.digest(*blob)?;
            }
        }
        locations.iter().try_for_each(|location| self.location(location))
    }

    fn location(&mut self, location: &Location) -> io::Result<()> {
        match location {
            Location::None => Ok(()),
            Location::Slice { block, offset } => {
                self.varint((*block).into())?;
                self.varint((*offset).into())
            }
            Location::Chunks(blocks) => {
                let runs = || blocks.chunk_by(|a, b| a.checked_add(1) == Some(*b));
                self.varint(runs().count() as u64)?;
                runs().try_for_each(|run| {
                    self.varint(run[0].into())?;
                    self.varint(run.len() as u64)
                })
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.varint(bytes.len() as u64)?;
        self.raw(bytes)
    }

    /// LEB128, unsigned.
    fn varint(&mut self, mut value: u64) -> io::Result<()> {
        while value >= 0x80 {
            self.raw(&[value as u8 | 0x80])?;
            value >>= 7;
        }
        self.raw(&[value as u8])
    }
}
