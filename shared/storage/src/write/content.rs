//! `Contents`: reads files to their end and stores what they hold, within the limits.

use std::io::Read as _;

use drydock_domain::{Digest, RelativePath};

use super::{Source, blobs::BlobWriter};
use crate::{
    Limits, StorageError,
    manifest::Location,
    pack::{CHUNK, SOLID_MAX},
};

/// Reads of one file before it is called unstable.
const READS: usize = 3;

pub(super) struct Contents {
    pub(super) blobs: BlobWriter,
    limits: Limits,
    /// Of all files so far.
    bytes: u64,
    /// One chunk, reused for every file.
    buffer: Vec<u8>,
}

/// A content that is stored.
pub(super) struct Blob {
    pub(super) size: u64,
    pub(super) digest: Digest,
    pub(super) location: Location,
}

impl Contents {
    pub(super) const fn new(blobs: BlobWriter, limits: Limits) -> Self {
        Self { blobs, limits, bytes: 0, buffer: Vec::new() }
    }

    /// Counts a file of `size` bytes towards the limit.
    pub(super) fn count(&mut self, size: u64) -> Result<(), StorageError> {
        self.bytes = self.bytes.saturating_add(size);
        self.limits.check_bytes(self.bytes)
    }

    /// Reads a file once and stores it; again, up to three times in all, when it changed meanwhile.
    pub(super) fn store(&mut self, path: &RelativePath, source: &mut impl Source) -> Result<Blob, StorageError> {
        for _ in 0..READS {
            if let Some(blob) = self.store_once(path, source)? {
                return Ok(blob);
            }
        }
        Err(StorageError::Unstable { path: path.clone() })
    }

    /// `None` when the source changed meanwhile.
    fn store_once(&mut self, path: &RelativePath, source: &mut impl Source) -> Result<Option<Blob>, StorageError> {
        let io = |source| StorageError::Read { path: path.clone(), source };
        let mut reader = source.open().map_err(io)?;
        let mut whole = blake3::Hasher::new();
        let mut chunks: Vec<u32> = Vec::new();
        let mut size = 0_u64;
        loop {
            self.buffer.clear();
            let read = reader.by_ref().take(CHUNK as u64).read_to_end(&mut self.buffer).map_err(io)?;
            size += read as u64;
            self.limits.check_bytes(self.bytes.saturating_add(size))?;
            whole.update(&self.buffer);
            if read < CHUNK {
                break;
            }
            chunks.push(self.blobs.put_chunk(&self.buffer)?);
        }
        drop(reader);
        if !source.is_unchanged().map_err(io)? {
            return Ok(None);
        }
        let digest = whole.finalize().into();
        let location = if size <= SOLID_MAX as u64 {
            self.blobs.put_small(&self.buffer, digest)?
        } else {
            if !self.buffer.is_empty() {
                chunks.push(self.blobs.put_chunk(&self.buffer)?);
            }
            Location::Chunks(chunks.into())
        };
        Ok(Some(Blob { size, digest, location }))
    }
}
