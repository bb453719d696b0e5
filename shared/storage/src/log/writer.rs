//! Writes a sealed log.

use std::{
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{
    FRAME_MAX,
    index::{Frame, LogIndex},
};
use crate::{
    ObjectKey, Storage, StorageError,
    pack::{BlockInfo, Compressor, encode_block},
    s3::SealedFile,
};

/// A log on its way to becoming an object. Built in a temporary file; memory is one frame.
pub struct SealedLogWriter {
    file: BufWriter<NamedTempFile>,
    crc32c: u32,
    stored: u64,
    raw: u64,
    index: LogIndex,
    frame: Vec<u8>,
    compressor: Compressor,
}

impl SealedLogWriter {
    /// Starts an empty log with its temporary file in `directory`.
    pub fn create(directory: &Path) -> Result<Self, StorageError> {
        let file =
            tempfile::Builder::new().prefix(".log-").tempfile_in(directory).map_err(StorageError::io(directory))?;
        Ok(Self {
            file: BufWriter::new(file),
            crc32c: 0,
            stored: 0,
            raw: 0,
            index: LogIndex::default(),
            frame: Vec::with_capacity(FRAME_MAX),
            compressor: Compressor::new().map_err(StorageError::io("zstd context"))?,
        })
    }

    /// Appends output. Compresses on the calling thread: about a millisecond for each 256 KiB.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), StorageError> {
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(FRAME_MAX - self.frame.len()));
            self.frame.extend_from_slice(head);
            bytes = rest;
            if self.frame.len() == FRAME_MAX {
                self.flush_frame()?;
            }
        }
        Ok(())
    }

    /// Bytes pushed so far.
    pub fn len(&self) -> u64 {
        self.raw + self.frame.len() as u64
    }

    /// Whether nothing was pushed: an empty log makes no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores the log under `key`, unless it is empty.
    pub async fn seal(self, storage: &Storage, key: &ObjectKey) -> Result<(), StorageError> {
        if self.is_empty() {
            return Ok(());
        }
        storage.put_file(key, &self.finish()?).await
    }

    /// Writes out what is pending, and the index.
    pub(crate) fn finish(mut self) -> Result<SealedFile, StorageError> {
        self.flush_frame()?;
        let index = self.index.encode();
        self.write(&index)?;
        let path = self.path();
        let file = self.file.into_inner().map_err(|error| StorageError::io(path)(error.into_error()))?;
        Ok(SealedFile { file, len: self.stored, crc32c: self.crc32c })
    }

    fn flush_frame(&mut self) -> Result<(), StorageError> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let raw = std::mem::take(&mut self.frame);
        let (codec, stored) = encode_block(&mut self.compressor, &raw).map_err(StorageError::io("frame in memory"))?;
        let offset = u32::try_from(self.stored)
            .map_err(|_| StorageError::TooLarge { what: "log in bytes".to_owned(), limit: u32::MAX.into() })?;
        let block = BlockInfo {
            offset,
            stored_len: stored.len() as u32,
            raw_len: raw.len() as u32,
            crc32c: crc32c::crc32c(&stored),
            codec,
        };
        self.write(&stored)?;
        self.index.frames.push(Frame { block, start: self.raw, lines_before: self.index.lines });
        self.index.lines += raw.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.raw += raw.len() as u64;
        self.frame = raw;
        self.frame.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        self.stored += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        written.map_err(|error| StorageError::io(self.path())(error))
    }

    fn path(&self) -> PathBuf {
        self.file.get_ref().path().to_owned()
    }
}
