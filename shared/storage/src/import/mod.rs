//! Importing an archive: a tar stream, plain or compressed, becomes a tree.
//!
//! Owns what an archive may say. Names are checked, never joined to a path; nothing is written to disk but packs.
//! Refused, each with the entry's name: absolute paths, `..`, devices, fifos, sparse files, duplicates, entries below
//! something that is no directory, hard links to what was not seen. Symlinks are kept verbatim: they are data.

mod metered;
mod reader;

use std::io::Read;

use async_compression::{
    tokio::bufread::{GzipDecoder, ZstdDecoder},
    zstd::DParameter,
};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio_util::io::SyncIoBridge;

use crate::{PackRegistry, Storage, StorageError, WriteOptions, Written, write_tree};

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
    mut archive: A,
) -> Result<Option<Written>, StorageError>
where
    R: PackRegistry,
    A: AsyncRead + Send + Unpin + 'static,
{
    let mut start = Vec::with_capacity(4);
    (&mut archive).take(4).read_to_end(&mut start).await.map_err(StorageError::Archive)?;
    let compression = Compression::detect(&start);
    let archive = BufReader::with_capacity(BUFFER, AsyncReadExt::chain(std::io::Cursor::new(start), archive));
    let limits = options.limits;
    write_tree(storage, options, registry, move |writer| {
        let reader: Box<dyn Read> = match compression {
            Compression::None => Box::new(SyncIoBridge::new(archive)),
            Compression::Gzip => {
                let mut decoder = GzipDecoder::new(archive);
                decoder.multiple_members(true);
                Box::new(SyncIoBridge::new(BufReader::with_capacity(BUFFER, decoder)))
            }
            Compression::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW_LOG);
                let mut decoder = ZstdDecoder::with_params(archive, &[window]);
                decoder.multiple_members(true);
                Box::new(SyncIoBridge::new(BufReader::with_capacity(BUFFER, decoder)))
            }
        };
        reader::read(reader, writer, limits)
    })
    .await
}
