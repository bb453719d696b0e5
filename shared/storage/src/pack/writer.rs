//! Writes one pack to a temporary file, block by block, hashing on the way.

use std::{
    fs::DirBuilder,
    io::{self, BufWriter, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use drydock_domain::Digest;
use tempfile::NamedTempFile;

use super::{BlockInfo, Codec, IndexEntry, PACK_MAX, PACK_TARGET, PackIndex};
use crate::{StorageError, s3::SealedFile};

/// Bytes held in memory before anything is written: a pack that a delta could hold needs no file.
const BUFFER: usize = 64 << 10;

/// A pack being written.
pub(crate) struct PackWriter {
    file: BufWriter<LazyFile>,
    hasher: blake3::Hasher,
    crc32c: u32,
    len: u64,
    index: PackIndex,
}

/// A temporary file that is made, with its directory, when the first byte is written.
struct LazyFile {
    directory: PathBuf,
    file: Option<NamedTempFile>,
}

/// A finished pack, ready for upload.
#[derive(Debug)]
pub(crate) struct SealedPack {
    pub(crate) id: Digest,
    pub(crate) file: SealedFile,
}

impl LazyFile {
    fn open(&mut self) -> io::Result<&mut NamedTempFile> {
        if self.file.is_none() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        }
        Ok(match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::Builder::new().prefix(".pack-").tempfile_in(&self.directory)?),
        })
    }
}

impl io::Write for LazyFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.open()?.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open()?.flush()
    }
}

impl PackWriter {
    pub(crate) fn create(directory: &Path) -> Self {
        Self {
            file: BufWriter::with_capacity(BUFFER, LazyFile { directory: directory.to_owned(), file: None }),
            hasher: blake3::Hasher::new(),
            crc32c: 0,
            len: 0,
            index: PackIndex::default(),
        }
    }

    /// The blocks so far, where nothing had to be written to disk yet.
    pub(crate) fn held(&self) -> Option<&[u8]> {
        self.file.get_ref().file.is_none().then(|| self.file.buffer())
    }

    /// Forgets it without writing what is held.
    pub(crate) fn discard(self) {
        drop(self.file.into_parts());
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
        let directory = self.file.get_ref().directory.clone();
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let file = file.map(|lazy| lazy.file).map_err(StorageError::io(directory))?;
        let file = file.expect("a pack has a footer, which was written");
        let file = SealedFile { file, len: self.len, crc32c: self.crc32c };
        Ok(SealedPack { id: self.hasher.finalize().into(), file })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.hasher.update(bytes);
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        self.len += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        written.map_err(|error| StorageError::io(self.file.get_ref().directory.as_path())(error))
    }
}
