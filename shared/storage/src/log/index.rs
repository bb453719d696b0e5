//! The trailer index of a sealed log.

use drydock_domain::Digest;

use super::FRAME_MAX;
use crate::{
    StorageError,
    cursor::Cursor,
    pack::{BLOCK_LEN, BlockInfo},
};

const MAGIC: &[u8; 8] = b"DDLOG\0\r\n";
const VERSION: u32 = 1;
/// `u64` lines, `u32` trailer length, `u32` version, 32 bytes BLAKE3 of the trailer, magic.
pub(crate) const FOOTER_LEN: usize = 8 + 4 + 4 + Digest::LEN + 8;
const FRAME_LEN: usize = BLOCK_LEN + 8;

/// One frame of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) block: BlockInfo,
    /// First raw byte it holds; implied by those before it.
    pub(crate) start: u64,
    /// Lines that ended before it.
    pub(crate) lines_before: u64,
}

impl Frame {
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::from(self.block.raw_len)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogIndex {
    pub(crate) frames: Vec<Frame>,
    /// Newlines in all.
    pub(crate) lines: u64,
}

impl LogIndex {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.frames.len() * FRAME_LEN + FOOTER_LEN);
        out.extend((self.frames.len() as u32).to_le_bytes());
        for frame in &self.frames {
            frame.block.encode(&mut out);
            out.extend(frame.lines_before.to_le_bytes());
        }
        let digest = Digest::of(&out);
        let trailer_len = out.len() as u32;
        out.extend(self.lines.to_le_bytes());
        out.extend(trailer_len.to_le_bytes());
        out.extend(VERSION.to_le_bytes());
        out.extend(digest.as_bytes());
        out.extend(MAGIC);
        out
    }

    /// Length of trailer and footer together, told by the footer at the end of `tail`.
    pub(crate) fn len(tail: &[u8], what: &str) -> Result<u64, StorageError> {
        Footer::read(tail, what).map(|footer| u64::from(footer.trailer_len) + FOOTER_LEN as u64)
    }

    /// Reads the index from the end of an object; `tail` must hold all of it.
    pub(crate) fn read(tail: &[u8], what: &str) -> Result<Self, StorageError> {
        let footer = Footer::read(tail, what)?;
        let corrupt = |reason| StorageError::corrupt(what, reason);
        let rest = &tail[..tail.len() - FOOTER_LEN];
        let start = rest.len().checked_sub(footer.trailer_len as usize);
        let trailer = &rest[start.ok_or_else(|| corrupt("trailer longer than the log"))?..];
        if Digest::of(trailer) != footer.digest {
            return Err(corrupt("trailer does not match its hash"));
        }
        let mut cursor = Cursor::new(trailer, what);
        let count = cursor.count(FRAME_LEN)?;
        let mut index = Self { frames: Vec::with_capacity(count), lines: footer.lines };
        let (mut start, mut stored) = (0, 0);
        for _ in 0..count {
            let frame = Frame { block: BlockInfo::read(&mut cursor)?, start, lines_before: cursor.u64()? };
            if frame.block.raw_len as usize > FRAME_MAX || u64::from(frame.block.offset) != stored {
                return Err(corrupt("a frame has an impossible place"));
            }
            start = frame.end();
            stored += u64::from(frame.block.stored_len);
            index.frames.push(frame);
        }
        cursor.finish()?;
        if !index.frames.is_sorted_by_key(|frame| frame.lines_before) {
            return Err(corrupt("line numbers run backwards"));
        }
        Ok(index)
    }
}

struct Footer {
    lines: u64,
    trailer_len: u32,
    digest: Digest,
}

impl Footer {
    fn read(tail: &[u8], what: &str) -> Result<Self, StorageError> {
        let corrupt = |reason| StorageError::corrupt(what, reason);
        let start = tail.len().checked_sub(FOOTER_LEN).ok_or_else(|| corrupt("not a log: too short"))?;
        let footer = &tail[start..];
        if !footer.ends_with(MAGIC) {
            return Err(corrupt("not a log: it does not end in the magic bytes"));
        }
        let mut cursor = Cursor::new(footer, what);
        let (lines, trailer_len, version) = (cursor.u64()?, cursor.u32()?, cursor.u32()?);
        if version != VERSION {
            return Err(StorageError::Version { what: what.to_owned(), version });
        }
        Ok(Self { lines, trailer_len, digest: cursor.digest()? })
    }
}
