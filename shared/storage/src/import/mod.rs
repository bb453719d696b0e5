//! Importing an archive: a tar stream, plain or compressed, becomes a tree.
//!
//! Owns what an archive may say. Names are checked, never joined to a path; nothing is written to disk but packs.
//! Refused, each with the entry's name: absolute paths, `..`, devices, fifos, sparse files, duplicates, entries below
//! something that is no directory, hard links to what was not seen. Symlinks are kept verbatim: they are data.

mod held;
mod metered;
mod reader;
mod sink;

use std::io::Read;

use async_compression::{
    tokio::bufread::{GzipDecoder, ZstdDecoder},
    zstd::DParameter,
};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader, Chain};
use tokio_util::io::SyncIoBridge;

use crate::{
    ChangeOptions, PackRegistry, Storage, StorageError, WriteOptions, Written, WrittenChanges, write_changes,
    write_tree,
};

/// Largest zstd window accepted (RFC 8878 §3.1.1.1.2 asks decoders for at least 8 MiB): bounds the decoder's memory.
const ZSTD_WINDOW_LOG: u32 = 23;
const BUFFER: usize = 64 << 10;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// Told by the first bytes.
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Stores the tree in an archive. `None` when it is the base's tree, as for [`write_tree`].
pub async fn import_tar<R, A>(
    storage: &Storage,
    options: WriteOptions,
    registry: &R,
    archive: A,
) -> Result<Option<Written>, StorageError>
where
    R: PackRegistry,
    A: AsyncRead + Send + Unpin + 'static,
{
    let (archive, limits) = (Unpacked::open(archive).await?, options.limits);
    write_tree(storage, options, registry, move |writer| reader::read(archive.reader(), writer, limits)).await
}

/// Stores the base version with the changes that an archive holds: its entries are put in place of what is there, and one with
/// the pax record `DRYDOCK.remove=1` stands for a path that is removed with all below it; those go first. `None` when it leads to
/// the base's tree.
pub async fn change_tar<R, A>(
    storage: &Storage,
    options: ChangeOptions,
    registry: &R,
    archive: A,
) -> Result<Option<WrittenChanges>, StorageError>
where
    R: PackRegistry,
    A: AsyncRead + Send + Unpin + 'static,
{
    let (archive, limits) = (Unpacked::open(archive).await?, options.limits);
    write_changes(storage, options, registry, move |writer| reader::read(archive.reader(), writer, limits)).await
}

/// An archive with its compression known, to be read on a blocking thread.
struct Unpacked<A> {
    compression: Compression,
    archive: BufReader<Chain<std::io::Cursor<Vec<u8>>, A>>,
}

impl<A: AsyncRead + Send + Unpin + 'static> Unpacked<A> {
    async fn open(mut archive: A) -> Result<Self, StorageError> {
        let mut start = Vec::with_capacity(4);
        (&mut archive).take(4).read_to_end(&mut start).await.map_err(StorageError::Archive)?;
        let compression = Compression::detect(&start);
        let archive = AsyncReadExt::chain(std::io::Cursor::new(start), archive);
        Ok(Self { compression, archive: BufReader::with_capacity(BUFFER, archive) })
    }

    /// What it holds, decompressed.
    fn reader(self) -> Box<dyn Read> {
        match self.compression {
            Compression::None => Box::new(SyncIoBridge::new(self.archive)),
            Compression::Gzip => {
                let mut decoder = GzipDecoder::new(self.archive);
                decoder.multiple_members(true);
                Box::new(SyncIoBridge::new(BufReader::with_capacity(BUFFER, decoder)))
            }
            Compression::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW_LOG);
                let mut decoder = ZstdDecoder::with_params(self.archive, &[window]);
                decoder.multiple_members(true);
                Box::new(SyncIoBridge::new(BufReader::with_capacity(BUFFER, decoder)))
            }
        }
    }
}
