//! Writes one pack to a temporary file, block by block, hashing on the way.

use std::{
    io::{BufWriter, Write as _},
    path::Path,
};

use drydock_domain::Digest;
use tempfile::NamedTempFile;

use super::{BlockInfo, Codec, IndexEntry, PACK_MAX, PACK_TARGET, PackIndex};
use crate::{StorageError, s3::SealedFile};

/// A pack being written.
pub(crate) struct PackWriter {
    file: BufWriter<NamedTempFile>,
    hasher: blake3::Hasher,
    crc32c: u32,
    len: u64,
    index: PackIndex,
}

/// A finished pack, ready for upload.
#[derive(Debug)]
pub(crate) struct SealedPack {
    pub(crate) id: Digest,
    pub(crate) file: SealedFile,
}

impl PackWriter {
    pub(crate) fn create(directory: &Path) -> Result<Self, StorageError> {
        let file =
            tempfile::Builder::new().prefix(".pack-").tempfile_in(directory).map_err(StorageError::io(directory))?;
        Ok(Self {
            file: BufWriter::with_capacity(64 << 10, file),
            hasher: blake3::Hasher::new(),
            crc32c: 0,
            len: 0,
            index: PackIndex::default(),
        })
    }

    /// Whether a block of `stored` bytes should go to the next pack.
    pub(crate) fn is_full_for(&self, stored: usize) -> bool {
        let whole = self.len + (stored + self.index.encoded_len()) as u64;
        self.len >= PACK_TARGET || whole + 1024 > PACK_MAX
    }

    /// Appends a block that holds `entries` (offset, length and hash of each).
    pub(crate) fn append(
        &mut self,
        codec: Codec,
        stored: &[u8],
        raw_len: usize,
        entries: impl IntoIterator<Item = (u32, u32, Digest)>,
    ) -> Result<BlockInfo, StorageError> {
        let block = BlockInfo {
            offset: u32::try_from(self.len).expect("packs are at most 64 MiB"),
            stored_len: u32::try_from(stored.len()).expect("blocks are at most 4 MiB"),
            raw_len: u32::try_from(raw_len).expect("blocks are at most 4 MiB"),
            crc32c: crc32c::crc32c(stored),
            codec,
        };
        self.write(stored)?;
        let number = self.index.blocks.len() as u32;
        self.index.blocks.push(block);
        let entries = entries.into_iter();
        self.index.entries.extend(entries.map(|(offset, len, digest)| IndexEntry {
            block: number,
            offset,
            len,
            digest,
        }));
        Ok(block)
    }

    /// Writes the index; the id is the hash of all bytes.
    pub(crate) fn seal(mut self) -> Result<SealedPack, StorageError> {
        let index = self.index.encode();
        self.write(&index)?;
        let path = self.file.get_ref().path().to_owned();
        let file = self.file.into_inner().map_err(|error| StorageError::io(path)(error.into_error()))?;
        let file = SealedFile { file, len: self.len, crc32c: self.crc32c };
        Ok(SealedPack { id: self.hasher.finalize().into(), file })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.hasher.update(bytes);
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        self.len += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        written.map_err(|error| StorageError::io(self.file.get_ref().path())(error))
    }
}
