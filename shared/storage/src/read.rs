//! Reading one file of a version: its blocks by ranged GETs, checked and decoded, as a stream.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use drydock_domain::{Digest, EntryKind, RelativePath, TenantId};
use futures_util::{Stream, StreamExt as _, stream, stream::BoxStream};

use crate::{
    Manifest, Storage, StorageError,
    manifest::{Block, Location},
    pack::CHUNK,
};

/// Blocks fetched ahead of the reader: at most this many times 4 MiB in memory.
const AHEAD: usize = 2;

/// The content of a file, or a part of it.
pub struct FileStream {
    /// Bytes of the whole file.
    pub size: u64,
    /// BLAKE3 of the whole file.
    pub digest: Digest,
    /// The part this stream gives, cut to the file's size.
    pub range: Range<u64>,
    /// The bytes. A whole read ends in an error when they do not hash to `digest`.
    pub stream: BoxStream<'static, Result<Bytes, StorageError>>,
}

/// Opens the file at `path`; symlinks are not followed. Without a range, all of it.
pub fn read_file(
    storage: &Storage,
    tenant: TenantId,
    manifest: &Arc<Manifest>,
    path: &RelativePath,
    range: Option<Range<u64>>,
) -> Result<FileStream, StorageError> {
    let found = manifest.find(path).map(|(entry, location)| (&entry.kind, location));
    let Some((&EntryKind::File { size, blob, .. }, location)) = found else {
        return Err(StorageError::NotAFile { path: path.clone() });
    };
    let whole = 0..size;
    let range = range.map_or(whole.clone(), |range| range.start.min(size)..range.end.min(size));
    let parts = parts(location, &range);
    let storage = storage.clone();
    let blocks = Arc::clone(manifest);
    let stream = stream::iter(parts)
        .map(move |part| {
            let (storage, blocks) = (storage.clone(), Arc::clone(&blocks));
            async move {
                let raw = fetch_block(&storage, tenant, &blocks, part.block).await?;
                Ok(raw.slice(part.range))
            }
        })
        .buffered(AHEAD);
    let stream = if range == whole { verified(stream, blob, path.clone()).boxed() } else { stream.boxed() };
    Ok(FileStream { size, digest: blob, range, stream })
}

/// Bytes `range` of the pack with this index in [`Manifest::packs`], as they are stored: from the bucket, or from the
/// version's delta where they lie in that. All of them, or an error; held in memory: ask for a few MiB at most.
pub async fn read_pack(
    storage: &Storage,
    tenant: TenantId,
    manifest: &Manifest,
    pack: u32,
    range: Range<u64>,
) -> Result<Bytes, StorageError> {
    storage.retry_get(|| read_pack_once(storage, tenant, manifest, pack, range.clone())).await
}

/// As [`read_pack`], with a single request: for callers that have something to do between two tries, and leave them to
/// [`Storage::retry_get`].
pub async fn read_pack_once(
    storage: &Storage,
    tenant: TenantId,
    manifest: &Manifest,
    pack: u32,
    range: Range<u64>,
) -> Result<Bytes, StorageError> {
    match manifest.inline(pack, range.clone()) {
        Some(inline) => inline,
        None => storage.get_range_once(&storage.keys(tenant).pack(manifest.packs()[pack as usize].id), range).await,
    }
}

/// Fetches and decodes one block of a manifest.
pub async fn fetch_block(
    storage: &Storage,
    tenant: TenantId,
    manifest: &Manifest,
    block: u32,
) -> Result<Bytes, StorageError> {
    let block = manifest.blocks()[block as usize];
    let pack = manifest.packs()[block.pack as usize].id;
    let start = u64::from(block.info.offset);
    let range = start..start + u64::from(block.info.stored_len);
    let stored = read_pack(storage, tenant, manifest, block.pack, range).await?;
    let decoding = tokio::task::spawn_blocking(move || decode_block(&block, &stored, pack));
    decoding.await.map_err(|_| StorageError::Interrupted)?.map(Bytes::from)
}

/// Decodes a stored block and checks all that is known of it alone.
pub fn decode_block(block: &Block, stored: &[u8], pack: Digest) -> Result<Vec<u8>, StorageError> {
    let what = format!("pack {pack}");
    let raw = block.info.decode(stored, &what)?;
    match block.chunk {
        Some(digest) if Digest::of(&raw) != digest => {
            Err(StorageError::corrupt(what, "a chunk does not match its hash"))
        }
        _ => Ok(raw),
    }
}

struct Part {
    block: u32,
    range: Range<usize>,
}

/// The pieces of blocks that make up `range` of a file.
fn parts(location: &Location, range: &Range<u64>) -> Vec<Part> {
    if range.is_empty() {
        return Vec::new();
    }
    match location {
        Location::None => Vec::new(),
        &Location::Slice { block, offset } => {
            let start = offset as usize;
            vec![Part { block, range: start + range.start as usize..start + range.end as usize }]
        }
        Location::Chunks(blocks) => {
            let chunk = CHUNK as u64;
            let first = range.start / chunk;
            let last = (range.end - 1) / chunk;
            (first..=last)
                .map(|at| {
                    let start = range.start.saturating_sub(at * chunk).min(chunk);
                    let end = (range.end - at * chunk).min(chunk);
                    Part { block: blocks[at as usize], range: start as usize..end as usize }
                })
                .collect()
        }
    }
}

/// Passes the bytes on, and ends in an error when they were not those of `digest`.
fn verified(
    stream: impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static,
    digest: Digest,
    path: RelativePath,
) -> impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static {
    let state = (Box::pin(stream), Some(blake3::Hasher::new()));
    stream::unfold(state, move |(mut stream, hasher)| {
        let path = path.clone();
        async move {
            let mut hasher = hasher?;
            match stream.next().await {
                Some(Ok(bytes)) => {
                    hasher.update(&bytes);
                    Some((Ok(bytes), (stream, Some(hasher))))
                }
                Some(Err(error)) => Some((Err(error), (stream, None))),
                None if digest == hasher.finalize().into() => None,
                None => {
                    let error = StorageError::corrupt(format!("file {path}"), "its content does not match its hash");
                    Some((Err(error), (stream, None)))
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_chunks() {
        let chunks = Location::Chunks([7, 8, 9].into());
        let cut = |range| parts(&chunks, &range).into_iter().map(|part| (part.block, part.range)).collect::<Vec<_>>();
        let chunk = CHUNK as u64;
        assert_eq!(cut(0..1), [(7, 0..1)]);
        assert_eq!(cut(chunk - 1..chunk + 1), [(7, CHUNK - 1..CHUNK), (8, 0..1)]);
        assert_eq!(cut(0..2 * chunk + 5), [(7, 0..CHUNK), (8, 0..CHUNK), (9, 0..5)]);
        assert_eq!(cut(chunk..2 * chunk), [(8, 0..CHUNK)]);
        assert_eq!(cut(5..5), []);
        let slice = Location::Slice { block: 3, offset: 10 };
        assert_eq!(parts(&slice, &(2..4))[0].range, 12..14);
        assert!(parts(&Location::None, &(0..0)).is_empty());
    }
}
